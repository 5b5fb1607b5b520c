"""P9: what a fresh clone fetches of a branch that was made short twelve times in a year, right after that and a month later."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from long_branch import Sparing, Writer, work
from remotes import Remote

from bench.measure import Row
from bench.places import GIT, Place
from gitcoord.connection.connect import connect

EPOCHS = 12
SESSIONS = 8
YEAR = timedelta(days=365)
BRANCH = "refs/heads/coordination"


@dataclass
class Year:
    """A branch that eight sessions fill in a year of the story's own time, and one that makes it short each month."""

    remote: Remote
    story: Sparing
    writer: Writer
    names: list[str]
    seat: Path
    env: dict[str, str]
    step: timedelta

    @classmethod
    def begin(cls, place: Place, events: int) -> Year:
        """Return a year of so many events, at its first day."""
        remote = place.remote("file")
        story = Sparing.of(now=datetime.now(UTC).replace(microsecond=0) - YEAR - timedelta(minutes=5))
        year = cls(
            remote, story, Writer(remote.path, place.env, boards=False), [f"now-{number}" for number in range(SESSIONS)],
            place.clone(remote, "keeper"), place.outbox("keeper"), YEAR / events,
        )  # fmt: skip
        year.writer.add(story)
        for name in year.names:
            story.start(name)
            year.writer.add(story)
        year.writer.flush(story.state)
        return year

    def now(self) -> datetime:
        """Return the story's time, in whole seconds."""
        return self.story.now.replace(microsecond=0)

    def fill(self, turns: int, do: Callable[[int], None] | None = None) -> None:
        """Write a month of so many events. `do`: makes the event of that turn; without, the sessions work."""
        for turn in range(turns):
            self.story.wait(self.step)
            if do is None:
                self.work(turn)
            else:
                do(turn)
            self.writer.add(self.story)
        self.writer.flush(self.story.state)

    def work(self, turn: int) -> None:
        """Make a session do one thing."""
        work(self.story, self.names[turn % SESSIONS], turn // SESSIONS)

    def compact(self, month: int) -> float:
        """Make the branch short, by the program; return the seconds that it took."""
        with connect(str(self.seat), self.env, now=self.now, witness=self.now) as found:
            found.coordinator.parts.log.refresh(600.0)  # a month at once: that takes longer than a command waits
            found.coordinator.sessions.start(f"keeper-{month}")
            begun = time.perf_counter()
            found.coordinator.epochs.compact()
            taken = time.perf_counter() - begun
            view = found.coordinator.branch.view()
        self.story.state = view.state
        self.writer.go_on(view.checked.tip, view.state)
        return taken


def run(place: Place, events: int) -> Iterator[Row]:
    """Write a year of so many events, compact it each month, and measure a fetch of the branch by a clone that has nothing."""
    year, slowest = Year.begin(place, events), 0.0
    remote = year.remote
    for month in range(EPOCHS + 1):
        year.fill(events // (EPOCHS + 1))
        if month == EPOCHS:
            break
        slowest = max(slowest, year.compact(month))
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
