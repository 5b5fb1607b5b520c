"""What is typed for a time to wait."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitcoord.cli import arguments
from gitcoord.errors import BadInput


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "utc_now", lambda: datetime(2025, 11, 15, 12, tzinfo=UTC))


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("2h40m", 9600), ("in 5m", 300), ("2025-11-15T12:30:00Z", 1800)])
def test_a_time_to_wait_is_a_duration_or_an_end(text: str, seconds: int) -> None:
    assert arguments.waiting_time(text) == seconds


def test_a_time_of_day_is_the_next_one_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 < arguments.waiting_time("15:00") <= 86400
    assert "15:00 is 2025-11-1" in capsys.readouterr().err  # which zone that was is told


@pytest.mark.parametrize("text", ["5m ago", "2025-11-15T11:00:00Z", "soon"])
def test_what_is_no_end_ahead_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        arguments.waiting_time(text)
