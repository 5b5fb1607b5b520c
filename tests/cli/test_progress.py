"""Whoever waits for over a second sees for what: a line, or something that moves on a terminal; nothing where a program reads."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from clones import Seat


@pytest.fixture
def slow(pair: tuple[Seat, Seat], tmp_path: Path) -> tuple[Seat, Path]:
    """A clone whose remote answers once something was written to that pipe."""
    ada, _ = pair
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program = tmp_path / "upload-pack"
    program.write_text(f'#!/bin/sh\nread line < "{gate}"\nexec git-upload-pack "$@"\n')
    program.chmod(0o755)
    ada.git("config", "remote.origin.uploadpack", str(program))
    return ada, gate


def test_a_slow_remote_is_named_in_a_line_where_nobody_looks(slow: tuple[Seat, Path]) -> None:
    ada, gate = slow
    with ada.start("status") as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "waiting for the branch on origin\n"
        gate.write_text("go\n")
        out, _ = child.communicate(timeout=60)
    assert (child.returncode, "ada" in out) == (0, True)


def test_on_a_terminal_something_moves_and_is_gone_at_the_end(slow: tuple[Seat, Path]) -> None:
    ada, gate = slow
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*ada.program, "status"],
        cwd=ada.path,
        env={**ada.env, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as child:
        os.close(theirs)
        shown = b""
        while b"waiting for the branch on origin" not in shown:
            shown += os.read(ours, 1000)
        gate.write_text("go\n")
        out = child.communicate(timeout=60)[0]
        while data := _read(ours):
            shown += data
    assert (child.returncode, b"ada" in out) == (0, True)
    assert b"\x1b[2K" in shown  # its line was wiped


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1000)
    except OSError:  # nobody writes to it any more
        return b""


@pytest.mark.parametrize("option", ["--json", "--quiet"])
def test_a_program_that_reads_is_told_nothing(pair: tuple[Seat, Seat], tmp_path: Path, option: str) -> None:
    ada, _ = pair
    program = tmp_path / "upload-pack"
    program.write_text('#!/bin/sh\nsleep 1.3\nexec git-upload-pack "$@"\n')
    program.chmod(0o755)
    ada.git("config", "remote.origin.uploadpack", str(program))
    ran = ada.run("status", option)
    assert (ran.code, ran.err) == (0, "")
