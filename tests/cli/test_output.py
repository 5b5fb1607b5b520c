"""Output that nobody can read: what has landed has landed, what was taken comes again, and nothing is a traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from clones import PATIENCE, PROGRAM, Ran, Seat

CLOSED, FULL = ">&-", ">/dev/full"


def _sh(seat: Seat, script: str, **extra: str) -> Ran:
    """Runs a line of bash in which `coord` is the program."""
    coord = f"coord() {{ '{PROGRAM[0]}' -m gitcoord \"$@\"; }}; "
    done = subprocess.run(
        ["bash", "-c", coord + script], cwd=seat.path, env={**seat.env, **extra}, capture_output=True, text=True, timeout=PATIENCE,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert "a bug in gitcoord" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(("command", "where"), [("inbox", CLOSED), ("inbox", FULL), ("listen --follow --json", FULL)])
def test_what_was_taken_and_could_not_be_shown_comes_again_at_once_marked(
    pair: tuple[Seat, Seat], command: str, where: str
) -> None:
    ada, ben = pair
    ada.ok("send", "ben", "hello")
    lost = _sh(ben, f"coord {command} {where}")
    assert lost.code == 1, lost
    assert "could not be written" in lost.err
    again = ben.ok("inbox")["messages"]
    assert [(one["subject"], one["redelivered"]) for one in again] == [("hello", where != CLOSED)]  # closed: never taken
    assert ben.ok("inbox")["messages"] == []


def test_who_prints_to_nobody_takes_no_message(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("send", "ben", "hello")
    for_nobody, nobodys = os.pipe()
    os.close(for_nobody)
    for command in ("inbox", "listen"):
        done = subprocess.run([*PROGRAM, command], cwd=ben.path, env=ben.env, stdout=nobodys, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    os.close(nobodys)
    assert [one["redelivered"] for one in ben.ok("inbox")["messages"]] == [False]


@pytest.mark.parametrize("where", [CLOSED, FULL, FULL + " 2>/dev/full"])
def test_a_claim_that_landed_is_exit_0_whoever_can_read_it(pair: tuple[Seat, Seat], where: str) -> None:
    ada, ben = pair
    ran = _sh(ada, f"coord claim a.py {where}")
    assert ran.code == 0, ran
    assert "2>" in where or "could not be written" in ran.err
    assert _sh(ben, f"coord claim a.py --json {where}").code == 3
    assert _sh(ben, f"coord status {where}").code == 1


def test_what_can_not_be_encoded_is_shown_escaped(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("send", "ben", "grüße ☃")
    shown = _sh(ben, "coord inbox && coord board && coord status", PYTHONIOENCODING="ascii")
    assert shown.code == 0, shown
    assert "gr\\xfc\\xdfe \\u2603" in shown.out
    assert ben.ok("inbox")["messages"] == []


def test_a_reader_that_has_read_enough_is_no_failure(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    writing = (
        "(coord log --follow; echo $? >&2) | head -1 >/dev/null & sleep 0; for i in 1 2 3; do coord heartbeat --quiet; done; wait"
    )
    ended = _sh(ada, writing + "; coord log | head -1 >/dev/null; echo ${PIPESTATUS[0]}")
    assert (ended.out, ended.err) == ("0\n", "0\n")


def test_what_is_said_once_to_nobody_is_said_again(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    with ada.here() as found:
        found.outbox.leave_note("ada", "you should know")
    _sh(ada, "coord status 2>&-")
    assert "you should know" in ada.run("status").err


def test_a_file_that_is_opened_gets_nothing_that_is_printed(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    assert _sh(ada, f"coord board --output {tmp_path / 'board'} >&- 2>&- <&-").code == 1
    assert (tmp_path / "board").read_text() == ada.ok("board")["board"]
    assert os.path.getsize(tmp_path / "board") > 0
