"""The branch as the tree at its tip shows it, before anybody here has checked the history: a first look. It may be a lie.

What is read is bounded like all that is new: sizes are asked for first, and records are read as strictly as those of a new commit.
A tree that holds what no good commit can have brought is not shown at all.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime
from typing import NamedTuple

from gitcoord.core.state import State
from gitcoord.errors import Damaged
from gitcoord.git.objects import Objects
from gitcoord.git.repo import Oid
from gitcoord.log import wire
from gitcoord.log.history import Projection
from gitcoord.log.wary import UNFIT as UNFIT
from gitcoord.log.wary import WaryReader

_FAR_BACK = 100  # commits that are read to find one that says it is an event


class Said(NamedTuple):
    """What the newest commit that says it is an event says of itself. Nobody has checked it."""

    commit: Oid
    tree: Oid
    seq: int
    at: datetime


def newest(objects: Objects, tip: Oid, *, back: int = _FAR_BACK) -> Said | None:
    """Return what the tip says of itself, or the nearest of so many commits, itself included, that says anything; None where none
    does.
    """
    oid = tip
    for _ in range(back):
        try:
            commit = objects.newest(oid)
        except Damaged:  # a fetch with a depth stopped before it
            break
        if commit.message is not None and commit.committed_at is not None:
            try:
                return Said(oid, commit.tree, wire.decode(commit.message, at=commit.authored_at).event.seq, commit.committed_at)
            except wire.Malformed:
                pass
        if not commit.parents:
            break
        oid = commit.parents[0]
    return None


def state(objects: Objects, projection: Projection, facts: MutableMapping[str, str], said: Said) -> State | None:
    """Return the state that the tree of that commit shows; None where it can't be what a good commit made. What is read later on
    raises Doubtful.
    """
    reader = WaryReader(objects)
    try:
        found = projection.load(said.tree, reader.folders, reader.contents, facts, seq=said.seq, at=said.at, wary=True)
        found.sessions.live()
        found.tasks.open()
    except UNFIT:
        return None
    return found
