"""The one walk over the branch's commits, for everybody who reads what happened: what counts, and why the rest doesn't.

The history has judged each commit; a commit counts if it is not among the bad ones. No event is judged again here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitcoord.core import leases, queue, readiness, requests, tasks, trespasses
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Event
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.renewals import ClaimRenewed
from gitcoord.git.objects import Commit, Objects
from gitcoord.git.repo import Oid
from gitcoord.log import wire

_AT_ONCE = 500  # commits read at a time

Names = Sequence[tuple[Oid, tuple[Oid, ...]]]
"""Commits by name, each with its parents."""


@dataclass(frozen=True)
class CommitEntry:
    """One commit of the branch. `event` None: the commit is ignored, and `ignored` says why."""

    commit: Commit
    event: Event | None = None
    writer: str = ""
    ignored: str = ""

    @property
    def subject(self) -> str:
        """The first line of the commit's message."""
        return (self.commit.message or "").partition("\n")[0]


def read(objects: Objects, names: Names, bad: Mapping[Oid, str], *, newest_first: bool = False) -> Iterator[CommitEntry]:
    """Yield those commits in their order, or from the end. `bad`: all bad commits among them, each with the reason."""
    starts = range(0, len(names), _AT_ONCE)
    for start in reversed(starts) if newest_first else starts:
        commits = objects.commits(names[start : start + _AT_ONCE])
        for commit in reversed(commits) if newest_first else commits:
            yield _entry(commit, bad.get(commit.oid))


def _entry(commit: Commit, wrong: str | None) -> CommitEntry:
    try:
        if wrong is not None or commit.message is None:
            raise wire.Malformed(wrong or "its message can't be read")
        decoded = wire.decode(commit.message, at=commit.authored_at)
    except wire.Malformed as error:
        return CommitEntry(commit, ignored=str(error))
    return CommitEntry(commit, decoded.event, decoded.writer)


@dataclass(frozen=True)
class LogEntry:
    """One event of the history, for reading."""

    commit: Oid
    at: datetime
    seq: int
    session: str
    kind: str
    subject: str
    ignored: str | None = None
    resources: tuple[str, ...] = ()
    id: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EntryFilter:
    """Which events somebody asks for; what is None is not asked.

    - `session`: whose; `resource`: about what; `since`, `until`: from when to when.
    - `kind`: `claim.released`, or `claim` for all that begin so.
    - `words`: a text that the event holds, capital or small.
    """

    session: str | None = None
    resource: Resource | None = None
    since: datetime | None = None
    until: datetime | None = None
    kind: str | None = None
    words: str | None = None

    def fits(self, entry: LogEntry) -> bool:
        """Return True if the event is one of those."""
        if (self.since is not None and entry.at < self.since) or (self.until is not None and entry.at > self.until):
            return False
        if self.session is not None and entry.session != self.session:
            return False
        if self.kind is not None and entry.kind != self.kind and not entry.kind.startswith(f"{self.kind}."):
            return False
        wanted = self.resource
        if wanted is not None and not any(overlaps(Resource.read(text), wanted) for text in entry.resources):
            return False
        sought = self.words.casefold() if self.words is not None else ""
        return any(sought in text.casefold() for text in (entry.subject, entry.ignored or "", *_texts(entry.data)))


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a value of JSON."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _texts(part)


def entry_of(entry: CommitEntry, now: datetime) -> LogEntry:
    """Return a commit as the log tells it; `data` has what this kind of event says, by the names of its fields. `now` stands for a
    date that can't be read.
    """
    commit, event = entry.commit, entry.event
    if event is None:
        at = commit.authored_at or commit.committed_at or now
        return LogEntry(commit.oid, at, 0, commit.author, "", entry.subject, ignored=entry.ignored)
    data = event.model_dump(mode="json", exclude_defaults=True, exclude={"id", "seq", "session", "at"})
    about = _resources(event)
    return LogEntry(commit.oid, event.at, event.seq, event.session, event.kind, entry.subject, None, about, event.id, data)


_RENEWING = ClaimAcquired | ClaimRenewed | HeartbeatRecorded
"""The events that are about what they renew; any other may renew something on its way."""


def _resources(event: Event) -> tuple[str, ...]:
    """What an event is about, for a reader who asks for one resource."""
    found = [*getattr(event, "resources", ()), *getattr(event, "left", ())]
    if isinstance(event, requests.ClaimRequested | requests.RequestAnswered):
        found.append(event.resource)
    if isinstance(event, tasks.TaskAdded):
        found += [str(readiness.resource(seq)) for seq in event.numbers()]
    elif isinstance(event, tasks.TaskChanged | tasks.TaskClosed | tasks.TaskReopened):
        found.append(str(readiness.resource(event.task)))
    for key, split in (
        ("released", leases.LeaseRef.parse),
        *((("renewed", leases.RenewedLease.parse),) if isinstance(event, _RENEWING) else ()),
        ("regained", leases.RenewedLease.parse),
        ("leases", leases.LeaseRef.parse),
        ("taken", leases.TakenLease.parse),
        ("touched", trespasses.split_touched),
        ("granted", queue.split_granted),
    ):
        for entry in getattr(event, key, ()):
            with contextlib.suppress(ValueError):
                found.append(str(split(entry)[-1]))
    return tuple(dict.fromkeys(found))
