"""Y1: a year of events under eight sessions, made short each month: what it costs, and whether all who knew any part of it follow.

Asked for only: a million events take most of an hour. A clone checks each epoch, and stops following there; at the end some of them
follow again.
"""

from __future__ import annotations

import re
import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from plans import new_task

from bench.epochs import EPOCHS, Year, fetched
from bench.measure import Row, middle
from bench.one_command import PROGRAM
from bench.places import Place
from gitcoord.core.task_commands import AddTasks, CloseTask

_TASK = 40  # events between two tasks that are added, and done twenty events later


def run(place: Place, events: int) -> Iterator[Row]:
    """The rows of Y1."""
    year, started = Year.begin(place, events), time.perf_counter()
    story, remote = year.story, year.remote
    stopped: list[tuple[Path, dict[str, str], datetime, int]] = []
    compactions, checks, wrong = list[float](), list[float](), list[str]()

    def do(turn: int) -> None:
        if turn % _TASK == 0:
            story.ask(story.command(AddTasks, year.names[0], tasks=(new_task(f"task {turn}"),)))
        elif turn % _TASK == _TASK // 2:
            oldest = min(story.state.tasks.open(), default=0)
            story.ask(story.command(CloseTask, year.names[0], task=str(oldest), status="done"))
        else:
            year.work(turn)

    for month in range(EPOCHS + 1):
        year.fill(events // (EPOCHS + 1), do)
        clone, own = place.clone(remote, f"stale-{month}"), place.outbox(f"stale-{month}")
        begun = time.perf_counter()
        wrong += [] if _said(clone, own, "verify")[0] == 0 else [f"verify in epoch {month + 1}"]
        checks.append(time.perf_counter() - begun)
        stopped.append((clone, own, year.now(), story.state.seq))
        if month < EPOCHS:
            compactions.append(year.compact(month))
    took, memory = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    what = f"Y1 {events:,} events: the longest of {EPOCHS} compactions, the check of its month included"
    yield Row(what, _span(compactions), f"{took:.0f} s to write the year", 0.0, "", None, {"compactions_s": compactions})
    what = "Y1 `verify` of each epoch, by a clone that knew nothing"
    yield Row(what, f"{_span(checks)}, {memory:.0f} MB", "", 0.0, "all ok", not wrong, {"checks_s": checks, "mb": memory})
    size, seconds = fetched(place, remote.path)
    what = "Y1 a fresh clone's fetch of the branch at the year's end"
    yield Row(what, f"{size / 1e6:.1f} MB, {seconds:.1f} s", "", size / 5e6, "", None, {"bytes": size, "s": seconds})
    yield _following(stopped)
    fresh, own = place.clone(remote, "fresh"), place.outbox("fresh")
    seen, missed = list[float](), list[str]()
    for _, _, at, seq in stopped:
        for when in (str(seq), at.strftime("%Y-%m-%dT%H:%M:%SZ")):
            begun = time.perf_counter()
            code, text = _said(fresh, own, "board", "--at", when)
            seen.append(time.perf_counter() - begun)
            found = re.search(r"\(event ([0-9]+)\)", text)
            # The keeper's own events follow in the same second.
            missed += [] if code == 0 and found and 0 <= int(found[1]) - seq <= 4 * (when != str(seq)) else [when]
    what = "Y1 `board --at` two moments of each month; the first fetches the archives"
    shown = f"{seen[0]:.1f} s, then {_span(seen[1:])}"
    yield Row(what, shown, "", middle(seen), "every month", not missed, {"seen_s": seen, "missed": missed})


def _following(stopped: Sequence[tuple[Path, dict[str, str], datetime, int]]) -> Row:
    """What it takes clones that stopped in the first, a middle and the last epoch but one."""
    followed, wrong = list[float](), list[str]()
    for clone, own, _, _ in (stopped[0], stopped[EPOCHS // 2], stopped[EPOCHS - 1]):
        begun = time.perf_counter()
        wrong += [] if _said(clone, own, "status")[0] == 0 else [f"status in {clone.name}"]
        followed.append(time.perf_counter() - begun)
        wrong += [] if _said(clone, own, "start", f"again-{clone.name}")[0] == 0 else [f"start in {clone.name}"]
    shown = ", ".join(f"{one:.1f} s" for one in followed)
    what = f"Y1 a clone that stopped {EPOCHS}, {EPOCHS // 2} and 1 epochs ago follows"
    return Row(what, shown, "", 0.0, "all follow", not wrong, {"followed_s": followed, "wrong": wrong})


def _span(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.1f} to {max(seconds):.1f} s"


def _said(clone: Path, env: dict[str, str], *words: str) -> tuple[int, str]:
    done = subprocess.run([*PROGRAM, *words], cwd=clone, env=env, capture_output=True, text=True, timeout=3600, check=False)
    return done.returncode, done.stdout + ("" if done.returncode == 0 else done.stderr)
