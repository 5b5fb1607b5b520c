"""What is typed: times to wait, and names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from clones import Seat

from gitcoord.cli import arguments
from gitcoord.errors import BadInput


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "utc_now", lambda: datetime(2025, 11, 15, 12, tzinfo=UTC))


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("2h40m", 9600), ("in 5m", 300), ("2025-11-15T12:30:00Z", 1800)])
def test_a_time_to_wait_is_a_duration_or_an_end(noon: None, text: str, seconds: int) -> None:
    assert arguments.waiting_time(text) == seconds


def test_a_time_of_day_is_the_next_one_here(noon: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 < arguments.waiting_time("15:00") <= 86400
    assert "15:00 is 2025-11-1" in capsys.readouterr().err  # which zone that was is told


@pytest.mark.parametrize("text", ["5m ago", "2025-11-15T11:00:00Z", "soon"])
def test_what_is_no_end_ahead_is_bad_input(noon: None, text: str) -> None:
    with pytest.raises(BadInput):
        arguments.waiting_time(text)


def test_a_type_and_a_name_are_one_thing_with_a_colon_or_a_slash(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    asked = ada.run("claim", "deploy/staging")
    assert (asked.code, "hint: gitcoord claim deploy:staging\n" in asked.err) == (2, True), asked
    assert ada.run("run", "--claim", "deploy/staging", "--", "true").code == 2
    assert ada.ok("claim", "deploy:staging")["claims"][0]["resource_type"] == "deploy"
    assert ben.run("claim", "deploy/staging").code == 3
    assert ben.run("check", "deploy/staging").code == 3
    (other,) = ben.ok("claim", "deploy/production")["claims"]  # the type is known by now
    assert (other["resource_type"], other["resource_name"]) == ("deploy", "production")


def test_what_lies_in_a_folder_that_is_there_or_is_spelled_as_a_file_is_one(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    (ada.path / "deploy").mkdir()
    for name in ("deploy/staging", "newer/notes.md", "file:newer/notes", "a/b/c"):
        assert ada.ok("claim", name)["claims"][0]["resource_type"] == "file", name


def test_a_name_that_looks_like_words_is_asked_about(pair: tuple[Seat, Seat]) -> None:
    ran = pair[0].run("claim", "the landing page")
    assert ran.code == 2
    assert "hint: gitcoord claim 'task:the landing page'\nor: a file to come: gitcoord claim 'file:the landing page'" in ran.err
