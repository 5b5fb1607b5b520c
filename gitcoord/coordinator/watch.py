"""Looking at the branch again and again, for those who wait for something on it; cheap for everybody else.

Where this machine itself has moved the branch it is seen at once, from a file of the outbox. The remote is asked at most once a
second, less often while nothing happens, and by one process of a machine for all of them: each look is one small fetch of
exactly this ref.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from gitcoord.coordinator.branch import Branch
from gitcoord.errors import Unreachable
from gitcoord.log.entries import EntryFilter, LogEntry
from gitcoord.log.eventlog import EventLog
from gitcoord.log.outcomes import View
from gitcoord.log.stream import Happened, Stream
from gitcoord.outbox.store import Outbox

_FIRST = 1.0  # seconds between two looks at the remote, while something happens
_SLOWER = 1.25  # by how much that grows with each look that finds nothing
_LONGEST = 5.0  # seconds that a hand-over by another machine may go unnoticed
_STEP = 0.2  # seconds between two looks at the outbox: one small system call
_AWAY = 10.0  # seconds between two looks while the remote can't be reached


_FOREVER = 10 * 365 * 86400.0  # seconds: until somebody ends it


@dataclass
class Watcher:
    """One caller's patient look at the branch. `first`, `longest`: seconds between two looks at the remote, while something happens
    and while nothing does.
    """

    log: EventLog
    outbox: Outbox
    sleep: Callable[[float], None]
    seconds: float
    clock: Callable[[], float] = monotonic
    first: float = _FIRST
    longest: float = _LONGEST

    def views(self, view: View, seconds: float, stop: Callable[[], bool] = lambda: False) -> Iterator[View]:
        """The branch whenever it may have changed, and after each look: what waits may also be due by the clock alone. Ends
        after that many seconds, or when `stop` says so; `view` is what is known already.
        """
        end = self.clock() + seconds
        interval, acted_on = self.first, 0
        while (left := end - self.clock()) > 0 and not stop():
            moved = self._pause(max(view.checked.seq, acted_on), min(interval, left), stop)
            if stop():
                return
            before = view.checked.seq
            try:
                if moved:
                    acted_on = self.outbox.reached()
                view = self._here() if moved else self._look(view, interval)
            except Unreachable:
                interval = _AWAY
                continue
            interval = self.first if view.checked.seq > before else min(self.longest, interval * _SLOWER)
            yield view

    def _pause(self, known: int, seconds: float, stop: Callable[[], bool]) -> bool:
        """Waits that long, or until a process of this machine has seen more of the branch; whether one has."""
        until = self.clock() + seconds * (0.85 + secrets.randbelow(30) / 100)
        while (left := until - self.clock()) > 0 and not stop():
            if self.outbox.reached() > known:
                return True
            self.sleep(min(_STEP, left))
        return False

    def _here(self) -> View:
        """What another process has seen, from this clone where that was the one."""
        known = self.log.view()
        return known if known.checked.seq >= self.outbox.reached() else self._fetched()

    def _look(self, view: View, interval: float) -> View:
        """The remote's branch, unless another process of this machine looked a moment ago and found nothing new."""
        since = self.outbox.since_look()
        if since is not None and since < 0.8 * interval and self.outbox.reached() <= view.checked.seq:
            return view
        return self._fetched()

    def _fetched(self) -> View:
        self.outbox.note_look()
        view = self.log.refresh(self.seconds)
        self.outbox.note_seq(view.checked.seq)
        return view


def follow(branch: Branch, *, after: int | None = None, newest: int = 0, **asked: Any) -> Iterator[LogEntry]:
    """The events that match: those after the event `after`, or since that time, or the `newest` so many; then each as it comes.
    `asked`: what must fit, by the fields of `EntryFilter`.

    A remote that is away ends nothing: what happened meanwhile comes later. Raises Rewritten.
    """
    wanted = EntryFilter(**asked)
    if after is None and wanted.since is None:
        yield from branch.entries(limit=newest, **asked)
        view = branch.view(fresh=False)
        stream = Stream(branch.parts.log, view.checked.seq, view.checked.tip)
    else:
        view = branch.view()
        stream = Stream(branch.parts.log, after or 0)
    views = _patient(branch).views(view, _FOREVER)
    while True:
        for one in stream.new(view):
            if wanted.fits(one.entry):
                yield one.entry
        view = next(views)


def looks(branch: Branch, *, newest: int | None, stop: Callable[[], bool]) -> Iterator[tuple[View, list[Happened]]]:
    """Yield the branch with its newest events, at most so many (None: all); then again after each look, with what is new. Ends when
    `stop` says so. A remote that is away ends nothing.
    """
    view = branch.view()
    stream = Stream(branch.parts.log, 0 if newest is None else max(0, view.checked.seq - newest))
    yield view, list(stream.new(view))
    for later in _patient(branch).views(view, _FOREVER, stop):
        branch.remember(later)
        yield later, list(stream.new(later))


def _patient(branch: Branch) -> Watcher:
    parts = branch.parts
    return Watcher(parts.log, parts.outbox, parts.submitter.sleep, parts.seconds, parts.submitter.clock)
