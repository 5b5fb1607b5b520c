"""P9: what a fresh clone fetches of a branch that was made short twelve times in a year, right after that and a month later."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from long_branch import Sparing, Writer, work

from bench.measure import Row
from bench.places import GIT, Place
from gitcoord.connection.connect import connect

EPOCHS = 12
SESSIONS = 8
YEAR = timedelta(days=365)
BRANCH = "refs/heads/coordination"


def run(place: Place, events: int) -> Iterator[Row]:
    """Write a year of so many events, compact it each month, and measure a fetch of the branch by a clone that has nothing."""
    remote, step = place.remote("file"), YEAR / events
    story = Sparing.of(now=datetime.now(UTC).replace(microsecond=0) - YEAR - timedelta(minutes=5))
    writer = Writer(remote.path, place.env, boards=False)
    writer.add(story)
    names = [f"now-{number}" for number in range(SESSIONS)]
    for name in names:
        story.start(name)
        writer.add(story)
    writer.flush(story.state)
    seat, env = place.clone(remote, "keeper"), place.outbox("keeper")
    slowest = 0.0

    def now() -> datetime:
        return story.now.replace(microsecond=0)

    for month in range(EPOCHS + 1):
        for turn in range(events // (EPOCHS + 1)):
            story.wait(step)
            work(story, names[turn % SESSIONS], turn // SESSIONS)
            writer.add(story)
        writer.flush(story.state)
        if month == EPOCHS:
            break
        with connect(str(seat), env, now=now, witness=now) as found:
            found.coordinator.sessions.start(f"keeper-{month}")
            begun = time.perf_counter()
            found.coordinator.epochs.compact()
            slowest = max(slowest, time.perf_counter() - begun)
            view = found.coordinator.branch.view()
        story.state = view.state
        writer.go_on(view.checked.tip, view.state)
        if month == EPOCHS - 1:
            yield _fetched(place, remote.path, f"P9: {events:,} events, right after the twelfth compaction", compaction=slowest)
    # Where commits came one push at a time git looks for the deltas itself. A fetch would take over those of fast-import's pack, in
    # which most objects of one kind are hardly packed.
    place.git(remote.path, "repack", "-adfq")
    yield _fetched(place, remote.path, f"P9: {events:,} events, a month after the twelfth compaction")


def _fetched(place: Place, bare: Path, what: str, **more: float) -> Row:
    size, seconds = fetched(place, bare)
    reached = size <= 5_000_000 and seconds <= 3 if more else None
    shown = f"{size / 1e6:.1f} MB, {seconds:.1f} s"
    return Row(what, shown, "", size / 5_000_000, "5 MB, 3 s" if more else "", reached, {"bytes": size, **more})


def fetched(place: Place, bare: Path) -> tuple[int, float]:
    """Fetch the branch into a repository that has nothing; return the bytes of the pack, and the seconds."""
    clone = place.folder / f"fresh-{time.monotonic_ns()}"
    place.git(place.folder, "init", "-q", str(clone))
    begun = time.perf_counter()
    words = ("-c", "fetch.unpackLimit=1", "fetch", "-q", f"file://{bare}", BRANCH)
    subprocess.run([GIT, *words], cwd=clone, env=place.env, check=True)
    seconds = time.perf_counter() - begun
    return sum(path.stat().st_size for path in (clone / ".git" / "objects" / "pack").glob("*.pack")), seconds
