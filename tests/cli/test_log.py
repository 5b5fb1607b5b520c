"""What `log` is asked for: kinds, words, times, and what was refused on this machine."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clones import Seat
from pure_branch import T0, hours

from gitcoord.log.entries import EntryFilter, LogEntry
from gitcoord.outbox import denials

ENTRY = LogEntry(
    "c0ffee", T0, 7, "ann", "claim.released", "release: file src/api.py by ann", None, ("file:src/api.py",),
    data={"done": "Endpoints WORK", "details": {"why": ["deep", "down"]}},
)  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "claim"}, {"kind": "claim.released"}, {"words": "endpoints work"}, {"words": "SRC/API"}, {"words": "down"},
        {"since": T0, "until": T0}, {"session": "ann"}, {},
    ],
)  # fmt: skip
def test_event_fits_what_is_asked(asked: dict[str, object]) -> None:
    assert EntryFilter(**asked).fits(ENTRY)  # type: ignore[arg-type]  # the fields of a filter


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "claim.rel"}, {"kind": "cla"}, {"words": "nowhere"}, {"since": T0 + hours(1)}, {"until": T0 - hours(1)},
        {"session": "bob"}, {"kind": "claim", "words": "nowhere"},
    ],
)  # fmt: skip
def test_event_that_misses_one_of_them_does_not_fit(asked: dict[str, object]) -> None:
    assert not EntryFilter(**asked).fits(ENTRY)  # type: ignore[arg-type]  # the fields of a filter


def test_log_by_kind_words_and_time(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    ada.ok("claim", "src/api.py")
    ada.ok("release", "src/api.py", "--done", "endpoints work")
    assert [one["event"] for one in ada.ok("log", "--type", "claim")["events"]] == ["claim.acquired", "claim.released"]
    assert [one["event"] for one in ada.ok("log", "--grep", "Endpoints")["events"]] == ["claim.released"]
    assert ada.ok("log", "--until", "2h ago")["events"] == []
    told = ada.run("log", "--type", "claims")
    assert told.code == 2
    assert "kinds: branch, " in told.err


def test_refusal_is_kept_on_the_machine_of_who_asked_and_told_again(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "src/api.py", "--reason", "the new endpoints")
    assert ben.run("claim", "src/api.py").code == 3
    (denial,) = ben.ok("log", "--mine", "--refused")["refused"]
    assert (denial["session"], denial["asked"], denial["resources"]) == ("ben", "claim.acquire", ["file:src/api.py"])
    assert "ada" in denial["message"]
    assert denial["exit_code"] == 3
    told = ben.run("log", "--refused").out
    assert "src/api.py" in told
    assert "the new endpoints" in told
    assert told.count("hint: gitcoord request file:src/api.py") == 1
    assert " | or " not in told  # a person gets one next step
    assert ada.ok("log", "--mine", "--refused")["refused"] == []
    assert ben.ok("log", "--refused", "--grep", "docs")["refused"] == []
    assert "refused" not in ada.git("log", "--format=%B", "origin/coordination")


def test_refusals_are_bounded_and_what_is_broken_is_passed_over(tmp_path) -> None:
    for number in range(4):
        given = (T0 + timedelta(minutes=number), "ann", "claim.acquire", ("file:a",), "held", 3, "x" * 80_000, "")
        denials.note(tmp_path, denials.Denial(*given))
    path = tmp_path / "denied" / "denied.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at": 3}\n[]\nnothing\n')
    kept = denials.noted(tmp_path)
    assert 0 < len(kept) < 4
    assert kept[-1].at == T0 + timedelta(minutes=3)
    assert denials.noted(tmp_path, "bob") == []
