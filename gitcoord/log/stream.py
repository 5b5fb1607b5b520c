"""The log as a stream: every event once, in order, from a given place on, and then as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gitcoord.coordinator.branch import Branch, LogEntry, entry_of
from gitcoord.coordinator.watch import Watcher
from gitcoord.core.events import Event
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.git.repo import NULL, Oid
from gitcoord.log.entries import Entry
from gitcoord.log.eventlog import EventLog, View

_FOREVER = 10 * 365 * 86400.0  # seconds: until somebody ends it


@dataclass(frozen=True)
class Happened:
    """One commit of the branch. `event` None: it is ignored, the entry says why."""

    entry: LogEntry
    event: Event | None
    committed_at: datetime | None


@dataclass
class Stream:
    """What happened after the event `after`; each call of `new` goes on where the last one ended.

    Events are counted: the next good one has the next number. So nothing is skipped or given twice, whatever else lies between.
    """

    log: EventLog
    after: int = 0
    _tip: Oid = NULL
    _seen: int = field(default=-1, init=False)  # the last good event that was passed; -1: none yet

    def new(self, view: View) -> Iterator[Happened]:
        """What is new on that view, oldest first. A view that is older than the last one has nothing new."""
        if view.checked.tip == self._tip:
            return
        names = self.log.objects.range(view.checked.tip, self._tip)
        if names is None or not self._tip:
            # As many commits as there are events before it stand before an event, at least: this begins with `after` or earlier.
            names = (self.log.objects.range(view.checked.tip) or [])[max(0, self.after - 1) :]
            self._seen = 0 if self.after == 0 else -1
        if not names:
            return
        for entry in self.log.entries(view.checked, names):
            happened = self._read(entry)
            if happened is not None:
                yield happened
        self._tip = view.checked.tip

    def _read(self, entry: Entry) -> Happened | None:
        if entry.event is None:
            if self._seen < self.after:  # it stands before what was asked for
                return None
            return Happened(entry_of(entry, self.log.now()), None, entry.commit.committed_at)
        self._seen = entry.event.seq
        if entry.event.seq <= self.after:
            return None
        self.after = entry.event.seq
        return Happened(entry_of(entry, self.log.now()), entry.event, entry.commit.committed_at)


def follow(
    branch: Branch,
    *,
    after: int | None = None,
    since: datetime | None = None,
    session: str | None = None,
    resource: Resource | None = None,
    newest: int = 0,
) -> Iterator[LogEntry]:
    """The events that match: those after the event `after`, or since that time, or the `newest` so many; then each as it comes.

    A remote that is away ends nothing: what happened meanwhile comes later. Raises Rewritten.
    """
    if after is None and since is None:
        yield from branch.entries(session=session, resource=resource, since=None, limit=newest)
        view = branch.view(fresh=False)
        stream = Stream(branch.parts.log, view.checked.seq, view.checked.tip)
    else:
        view = branch.view()
        stream = Stream(branch.parts.log, after or 0)
    watcher = Watcher(
        branch.parts.log, branch.parts.desk, branch.parts.submitter.sleep, branch.parts.seconds, branch.parts.submitter.clock
    )
    views = watcher.views(view, _FOREVER)
    while True:
        for one in stream.new(view):
            entry = one.entry
            if since is not None and entry.at < since:
                continue
            if session is not None and entry.session != session:
                continue
            if resource is not None and not any(overlaps(Resource.read(name), resource) for name in entry.resources):
                continue
            yield entry
        view = next(views)
