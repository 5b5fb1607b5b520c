"""What this machine knows of its own clock, by what no setting of the clock changes: the seconds since the boot, sleep included.

Who once agreed with the clock vouches for it for a day, as long as it was not set meanwhile. And when the branch was seen where is
noted, so that a machine whose clock nobody confirms can say how long it has itself seen no sign of life.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gitcoord.machine import files, processes

_FOR = 86400.0  # seconds that somebody's word is good for
_DRIFT = 5.0  # seconds that a clock may have moved against the boot's and still count as never set
_APART = 120.0  # seconds between two notes of where the branch was seen
_KEPT = 64  # notes: with older ones further apart, some days
_EXACT = 1.0  # seconds that the kernel's time may differ from the program's
_UNSYNCHRONISED, _ERROR = 0x40, 5  # STA_UNSYNC, TIME_ERROR


def uptime() -> float:
    """Return the seconds since the boot, sleep included where this system tells it."""
    try:
        return float(Path("/proc/uptime").read_bytes().split()[0])
    except (OSError, ValueError, IndexError):
        return time.monotonic()


def synchronised(now: float) -> bool:
    """Return True if the kernel says that its clock is synchronised, and it shows that time."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return False
    import ctypes  # only where it matters: it costs more than the rest

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("constant", ctypes.c_long), ("precision", ctypes.c_long),
            ("tolerance", ctypes.c_long), ("seconds", ctypes.c_long), ("fraction", ctypes.c_long), ("more", ctypes.c_byte * 256),
        )  # fmt: skip

    told = Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(told))
    except (OSError, AttributeError):
        return False
    if state < 0 or state == _ERROR or told.status & _UNSYNCHRONISED:
        return False
    return bool(abs(told.seconds - now) <= _EXACT + 1)  # whole seconds


@dataclass(frozen=True)
class Timekeeper:
    """`agreed`: the file that says who agreed with the clock, `seen`: the one that says where the branch was seen."""

    agreed: Path
    seen: Path
    passed: Callable[[], float] = uptime
    kernel: Callable[[float], bool] = synchronised

    def vouches(self, now: datetime) -> bool:
        """Return True if the kernel, or somebody within a day, says that the clock is right."""
        return self._is_noted(now, _FOR) or self.kernel(now.timestamp())

    def agree(self, now: datetime) -> None:
        """Notes that somebody else's clock agrees, if that isn't noted yet."""
        if not self._is_noted(now, _FOR / 2):
            passed = self.passed()
            with suppress(OSError):
                files.private_folder(self.agreed.parent)
                files.write_json(self.agreed, {"boot": processes.boot(), "at": passed, "offset": now.timestamp() - passed})

    def _is_noted(self, now: datetime, within: float) -> bool:
        """Return True if somebody agreed within those seconds, and the clock was not set since."""
        record, passed = files.read_json(self.agreed), self.passed()
        try:
            moved = abs(now.timestamp() - passed - float(record["offset"]))
            return bool(record["boot"] == processes.boot() and 0 <= passed - record["at"] <= within and moved <= _DRIFT)
        except (TypeError, KeyError, ValueError):
            return False

    def note(self, commit: str, seq: int) -> None:
        """Notes that the branch was seen at that good commit. Where it stays, the first time counts."""
        passed, known = self.passed(), self._read()
        if known and (known[-1][0] == commit or passed - known[-1][2] < _APART):
            return
        if len(known) >= _KEPT:
            known = known[: _KEPT // 2 : 2] + known[_KEPT // 2 :]  # what is long ago need not be known as closely
        with suppress(OSError):
            files.private_folder(self.seen.parent)
            files.write_json(self.seen, {"boot": processes.boot(), "seen": [*known, (commit, seq, passed)]})

    def sights(self) -> Sequence[tuple[str, int, timedelta]]:
        """Return where the branch was seen and how long ago each, the oldest first."""
        passed = self.passed()
        return [(commit, seq, timedelta(seconds=int(passed - at))) for commit, seq, at in self._read()]

    def _read(self) -> list[tuple[str, int, float]]:
        record, passed = files.read_json(self.seen), self.passed()
        try:
            if record["boot"] != processes.boot():
                return []
            found = [(str(commit), int(seq), float(at)) for commit, seq, at in record["seen"]]
        except (TypeError, KeyError, ValueError):
            return []
        return found if all(at <= passed for _, _, at in found) else []
