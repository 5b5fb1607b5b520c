"""The log as a stream: every event once, in order, from a given place on, and then as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gitcoord.core.events import Event
from gitcoord.git.repo import NULL, Oid
from gitcoord.log.entries import CommitEntry, LogEntry, entry_of
from gitcoord.log.eventlog import EventLog
from gitcoord.log.outcomes import View


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
        for entry in self._entries(view):
            happened = self._read(entry)
            if happened is not None:
                yield happened
        self._tip = view.checked.tip

    def _entries(self, view: View) -> Iterator[CommitEntry]:
        """Yield the commits since the last view; at first those from the event `after` on, or earlier ones, too."""
        checked = view.checked
        if self._tip and self.log.objects.is_here(self._tip):
            return self.log.entries_since(self._tip, checked)
        self._seen = 0 if self.after == 0 else -1
        if self.after < checked.before:
            return self.log.all_entries(checked)
        # As many commits as there are events before it stand before an event, at least: this begins with `after` or earlier.
        names = (self.log.objects.range(checked.tip) or [])[max(0, self.after - checked.before - 1) :]
        return self.log.entries(checked, names)

    def _read(self, entry: CommitEntry) -> Happened | None:
        if entry.event is None:
            if self._seen < self.after:  # it stands before what was asked for
                return None
            return Happened(entry_of(entry, self.log.now()), None, entry.commit.committed_at)
        self._seen = entry.event.seq
        if entry.event.seq <= self.after:
            return None
        self.after = entry.event.seq
        return Happened(entry_of(entry, self.log.now()), entry.event, entry.commit.committed_at)
