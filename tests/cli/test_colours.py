"""Colours say what something means, where a person looks; what is shown is inert before it is painted."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from clones import Seat

from gitcoord.cli import colours


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody looks."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(colours, "looked_at", lambda stream="stdout": True)
    colours.read_by(agent=False)


def test_each_meaning_has_its_colour_in_a_terminal(terminal: None) -> None:
    meanings = (colours.MINE, colours.WAITING, colours.OVER, colours.BLOCKED)
    assert len({colours.paint("x", meaning) for meaning in meanings}) == 4
    assert re.fullmatch(r"\x1b\[\d+mx\x1b\[0m", colours.paint("x", colours.ERROR))
    assert colours.paint("x", "") == "x"


def test_no_color_an_agent_or_a_pipe_gets_none(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert colours.paint("x", colours.ERROR) == "x"
    monkeypatch.setenv("NO_COLOR", "")
    assert colours.paint("x", colours.ERROR) != "x"
    colours.read_by(agent=True)
    assert colours.paint("x", colours.ERROR) == "x"
    colours.read_by(agent=False)
    monkeypatch.undo()
    assert colours.paint("x", colours.ERROR) == "x"


def test_in_a_terminal_a_refusal_is_red_its_hint_is_not_and_can_be_pasted(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("heartbeat", "editing", "src/api.py", "--progress", "60%")
    ada.ok("claim", "src/api.py", "--phase", "BUILD", "--reason", "limits")
    leader, follower = pty.openpty()
    env = {**ben.env, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-m", "gitcoord", "claim", "--any", "src/api.py"], cwd=ben.path, env=env, stdin=follower,
        stdout=follower, stderr=follower,
    ) as child:  # fmt: skip
        os.close(follower)
        text = b""
        while part := _read(leader):
            text += part
    os.close(leader)
    assert child.returncode == 3
    error, words, hint, more = [line for line in text.decode().splitlines() if not line.startswith("waiting for")][:4]
    assert error.startswith("\x1b[31merror: file:src/api.py is held by ada for another ")
    assert re.fullmatch(r"  ada: phase BUILD; why: limits; last: editing src/api.py, 60%, (?:just now|\d+ \w+ ago)", words)
    assert re.fullmatch(r"\x1b\[36mhint: gitcoord request file:src/api.py \"May I have it\?\"\x1b\[0m", hint)
    assert more == "more ways: gitcoord help refused"


def _read(number: int) -> bytes:
    try:
        return os.read(number, 65536)
    except OSError:  # nobody has the other end any more
        return b""
