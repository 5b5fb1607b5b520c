"""The log as a stream: every event once, in order, from a given place on, and then as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.records import Event
from gitcoord.git.objects import Commit
from gitcoord.git.repo import NULL, Oid
from gitcoord.log.eventlog import EventLog, View
from gitcoord.log.history import Checked, History
from gitcoord.log.wire import Malformed, decode
from gitcoord.reader import LogEntry, Reader, entry_of
from gitcoord.watcher import Watcher

_AT_ONCE = 500  # commits read at a time
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
        line = self._line(view) if any(len(parents) > 1 for _, parents in names) else None
        ignored = {one.commit: one.reason for one in view.checked.bad}
        for start in range(0, len(names), _AT_ONCE):
            for commit in self.log.objects.commits(names[start : start + _AT_ONCE]):
                happened = self._read(commit, ignored.get(commit.oid) or _beside(commit.oid, line))
                if happened is not None:
                    yield happened
        self._tip = view.checked.tip

    def _line(self, view: View) -> frozenset[Oid]:
        history = History(self.log.objects, self.log.projection)
        history.check(view.checked.tip, Checked())
        return frozenset(history.line)

    def _read(self, commit: Commit, wrong: str | None) -> Happened | None:
        try:
            if wrong or commit.message is None:
                raise Malformed(wrong or "its message can't be read")
            event = decode(commit.message, at=commit.authored_at).event
            if event.seq > self.after + 1:
                raise Malformed("it is not the next event")
        except Malformed as error:
            if self._seen < self.after:  # it stands before what was asked for
                return None
            subject = (commit.message or "").partition("\n")[0]
            at = commit.authored_at or commit.committed_at or self.log.now()
            return Happened(LogEntry(commit.oid, at, 0, commit.author, "", subject, str(error)), None, commit.committed_at)
        self._seen = event.seq
        if event.seq <= self.after:
            return None
        self.after = event.seq
        subject = (commit.message or "").partition("\n")[0]
        return Happened(entry_of(commit.oid, event, subject), event, commit.committed_at)


def _beside(commit: Oid, line: frozenset[Oid] | None) -> str | None:
    return "it is not on the line that counts" if line is not None and commit not in line else None


def follow(
    boss: Reader,
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
        yield from boss.entries(session=session, resource=resource, since=None, limit=newest)
        view = boss.view(fresh=False)
        stream = Stream(boss.log, view.checked.seq, view.checked.tip)
    else:
        view = boss.view()
        stream = Stream(boss.log, after or 0)
    watcher = Watcher(boss.log, boss.desk, boss.flusher.sleep, boss.seconds, boss.flusher.clock)
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
