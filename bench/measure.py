"""Taking turns: what is compared runs alternately, so that a machine that gets slower does so for all of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Row:
    """One line of the table. `reached` None: a figure without a goal."""

    what: str
    ours: str
    beside: str
    ratio: float
    goal: str
    reached: bool | None
    more: dict[str, Any] = field(default_factory=dict)


def at_most(what: str, ours: str, beside: str, ratio: float, limit: float, **figures: float) -> Row:
    """A line whose ratio should not exceed a limit."""
    return Row(what, ours, beside, ratio, f"≤ {limit:g}", ratio <= limit, figures)


def turns(cases: Mapping[str, Callable[[int], object]], rounds: int, warm: int = 2) -> dict[str, list[float]]:
    """Seconds of each case in each round; the first `warm` rounds don't count. A case is given the round's number."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + warm):
        for name, case in cases.items():
            start = time.perf_counter()
            case(number)
            if number >= warm:
                taken[name].append(time.perf_counter() - start)
    return taken


def middle(times: list[float]) -> float:
    """The median, in seconds."""
    return statistics.median(times)


def percentile(times: list[float], share: float) -> float:
    """The value that `share` of the sorted times don't exceed (nearest rank)."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ms(seconds: float) -> str:
    """Milliseconds for people."""
    return f"{seconds * 1000:.0f} ms"
