"""The one walk over the branch's commits, for everybody who reads what happened: what counts, and why the rest doesn't.

The history has judged each commit; a commit counts if it is not among the bad ones. No event is judged again here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitcoord.core.events import Event
from gitcoord.git.objects import Commit, Objects
from gitcoord.git.repo import Oid
from gitcoord.log import wire

_AT_ONCE = 500  # commits read at a time

Names = Sequence[tuple[Oid, tuple[Oid, ...]]]
"""Commits by name, each with its parents."""


@dataclass(frozen=True)
class Entry:
    """One commit of the branch. `event` None: the commit is ignored, and `ignored` says why."""

    commit: Commit
    event: Event | None = None
    writer: str = ""
    ignored: str = ""

    @property
    def subject(self) -> str:
        """The first line of the commit's message."""
        return (self.commit.message or "").partition("\n")[0]


def read(objects: Objects, names: Names, bad: Mapping[Oid, str], *, newest_first: bool = False) -> Iterator[Entry]:
    """Yield those commits in their order, or from the end. `bad`: all bad commits among them, each with the reason."""
    starts = range(0, len(names), _AT_ONCE)
    for start in reversed(starts) if newest_first else starts:
        commits = objects.commits(names[start : start + _AT_ONCE])
        for commit in reversed(commits) if newest_first else commits:
            yield _entry(commit, bad.get(commit.oid))


def _entry(commit: Commit, wrong: str | None) -> Entry:
    try:
        if wrong is not None or commit.message is None:
            raise wire.Malformed(wrong or "its message can't be read")
        decoded = wire.decode(commit.message, at=commit.authored_at)
    except wire.Malformed as error:
        return Entry(commit, ignored=str(error))
    return Entry(commit, decoded.event, decoded.writer)
