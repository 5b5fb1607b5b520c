"""`watch` on a real terminal: what others do appears by itself, keys work, and the terminal is left as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from dataclasses import dataclass

import pytest
from clones import Seat

PATIENCE = 60.0


@dataclass
class Terminal:
    """Our end of a terminal on which a program runs."""

    number: int
    seen: str = ""

    def wait_for(self, text: str) -> None:
        """Read until that is drawn; what moves and colours is left out."""
        end = time.monotonic() + PATIENCE
        while text not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen):
            assert time.monotonic() < end, f"{text!r} is not drawn: {self.seen[-2000:]!r}"
            if select.select([self.number], [], [], 0.5)[0]:
                self.seen += os.read(self.number, 65536).decode("utf-8", "replace")

    def press(self, keys: str) -> None:
        """Press those keys; what was drawn before is forgotten."""
        self.seen = ""
        os.write(self.number, keys.encode())


def test_what_another_session_does_appears_and_a_key_ends_it(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    before = termios.tcgetattr(theirs)
    screen = Terminal(ours)
    command = [*ada.program, "watch"]
    with subprocess.Popen(
        command, cwd=ada.path, env={**ada.env, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
    ) as child:
        screen.wait_for("1 sessions 2")
        ben.ok("claim", "src/api.py")
        screen.wait_for("2 claims 1")
        screen.press("c")
        screen.wait_for("src/api.py")
        screen.press("q")
        screen.wait_for("")
        while select.select([ours], [], [], 0.2)[0] or child.poll() is None:
            if select.select([ours], [], [], 0.2)[0]:
                screen.seen += os.read(ours, 65536).decode("utf-8", "replace")
        _, said = child.communicate(timeout=PATIENCE)
    assert (child.returncode, said) == (0, b"")
    assert "\x1b[?1049l" in screen.seen, "the other screen is left"
    assert termios.tcgetattr(theirs) == before
    os.close(theirs)
    os.close(ours)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_where_no_terminal_is_it_says_what_to_use(options: tuple[str, ...], pair: tuple[Seat, Seat]) -> None:
    ran = pair[0].run("watch", *options)
    assert ran.code == 2
    assert "gitcoord log --follow" in ran.err
