"""What a machine knows of its clock: who agreed counts until the clock is set, the machine boots, or a day is over."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from workload import FAKETIME

from gitcoord.machine import processes
from gitcoord.machine.timekeeper import Timekeeper

NOW = datetime(2025, 11, 15, 10, tzinfo=UTC)


class Machine:
    """A machine whose boot, clock and kernel the test sets."""

    def __init__(self, folder: Path) -> None:
        self.passed = 1000.0
        self.keeper = Timekeeper(folder / "clock.json", folder / "seen.json", lambda: self.passed, lambda now: False)

    def sleep(self, hours: float) -> datetime:
        """Time goes by; the time that a clock shows that nobody sets."""
        self.passed += hours * 3600
        return NOW + timedelta(seconds=self.passed - 1000.0)


def test_who_agreed_vouches_for_a_day_for_a_clock_that_nobody_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path)
    assert not machine.keeper.vouches(NOW)
    machine.keeper.agree(NOW)
    later = machine.sleep(23)
    assert machine.keeper.vouches(later)
    for wrong in (timedelta(minutes=35), -timedelta(minutes=35), timedelta(days=36500)):
        assert not machine.keeper.vouches(later + wrong)
    assert not machine.keeper.vouches(machine.sleep(2))
    machine.keeper.agree(machine.sleep(0))
    monkeypatch.setattr(processes, "boot", lambda: "another")
    assert not machine.keeper.vouches(machine.sleep(0))


def test_where_the_branch_was_seen_is_known_by_the_seconds_since_the_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path)
    for number in range(400):
        machine.keeper.note(f"{number:040}", number)
        machine.keeper.note(f"{number:040}", number)  # the first time counts
        machine.sleep(0.1)
    seen = machine.keeper.sights()
    assert len(seen) <= 64
    assert seen[0] == ("0" * 40, 0, timedelta(hours=40))
    assert (seen[-1][1], seen[-1][2]) == (399, timedelta(seconds=360))
    assert sorted(seen, key=lambda sight: sight[1]) == list(seen)
    monkeypatch.setattr(processes, "boot", lambda: "another")
    assert machine.keeper.sights() == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"boot": 1, "seen": [[1]]}', '{"boot": "", "at": "x", "offset": null}'])
def test_a_damaged_note_is_none(tmp_path: Path, text: str) -> None:
    machine = Machine(tmp_path)
    for name in ("clock.json", "seen.json"):
        (tmp_path / name).write_text(text)
    assert not machine.keeper.vouches(NOW)
    assert machine.keeper.sights() == []
    machine.keeper.agree(NOW)
    assert machine.keeper.vouches(NOW)


@pytest.mark.skipif(FAKETIME is None, reason="there is no libfaketime on this machine")
def test_neither_the_kernel_nor_the_boot_believes_a_clock_that_only_the_program_sees(tmp_path: Path) -> None:
    program = (
        "import sys, time; from datetime import UTC, datetime; from pathlib import Path;"
        "from gitcoord.machine.timekeeper import Timekeeper;"
        "keeper = Timekeeper(Path(sys.argv[1]), Path(sys.argv[2])); now = datetime.now(UTC);"
        "keeper.agree(now) if len(sys.argv) > 3 else None; print(keeper.vouches(now))"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "clock.json"), str(tmp_path / "seen.json")]

    def said(*more: str, shift: str = "") -> str:
        fake = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": shift} if shift else {}
        return subprocess.run([*words, *more], env=fake, capture_output=True, text=True, check=True).stdout.strip()

    assert said("agree") == "True"
    assert said() == "True"
    assert said(shift="+35m") == said(shift="-1d") == "False"
