"""A fresh clone of a long branch answers at once, marked; the check goes on behind it, and ends the mark."""

from __future__ import annotations

import fcntl

import pytest
from clones import Seats, until
from remotes import Remote

from gitcoord.log.history import Checked
from gitcoord.log.outcomes import Begun

LOOKS = ("status", "claims", "board", "tasks", "briefing")


def test_each_look_is_marked_until_the_history_is_checked_in_the_background(long_remote: Remote, seats: Seats) -> None:
    (ada,) = seats(long_remote, "ada")
    with ada.here() as found:
        memory = found.memory
    memory.path.parent.mkdir(exist_ok=True)
    with open(memory.lock, "wb") as file:  # no process begins a check yet: one seems to be at it
        fcntl.flock(file, fcntl.LOCK_EX)
        for command in LOOKS:
            assert ada.ok(command)["unverified"] is True
            assert "unverified: the history is still being checked" in ada.run(command).out, command
        assert ada.ok("--session", "now-00", "inbox", "--peek")["unverified"] is True
        memory.note_begun(Begun(Checked(), 1000, 1700))
        lines = [one["what"] for one in ada.ok("doctor")["findings"] if "history" in one["what"]]
        assert ["1,000 of 1,700 events" in line for line in lines] == [True]
        assert memory.load() == Checked()
        memory.end_check()
    assert ada.ok("status")["unverified"] is True  # and from here on a process is at it
    until(lambda: memory.load().seq == 1700, "nobody checks the history")
    told = ada.ok("status")
    assert (told.get("unverified"), told["seq"], memory.begun()) == (None, 1700, None)
    assert "unverified" not in ada.run("status").out


def test_another_process_checks_the_earlier_half(long_remote: Remote, seats: Seats) -> None:
    (ada,) = seats(long_remote, "ada")
    middle = ada.git("rev-parse", "origin/coordination~700").strip()
    with ada.here() as found:
        helper = found.coordinator.log.helper
    if helper is None:
        pytest.skip("there is one processor here")
    with helper(middle) as answer:
        assert answer() == Checked(middle, middle, 1000)
    with helper("0" * 40) as answer:
        assert answer() is None
