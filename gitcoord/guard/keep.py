"""Keeps the lease cache as new as the clone's memory: whoever has read the branch notes what it says of files."""

from __future__ import annotations

from pathlib import Path

from gitcoord.coordinator.branch import Branch
from gitcoord.core.state import State
from gitcoord.guard import cache


def note(memory: Path, branch: Branch, good: str, state: State) -> None:
    """Note the leases on files in that state, which is the view of the commit `good`."""
    within = branch.acting.actor.namespace
    cache.note(memory, good, state.claims.values(), state.rules.grace, within, fold=branch.folds(state))


def follow(memory: Path, branch: Branch) -> None:
    """Note what this process has at hand of the branch, where somebody is guarded and what is noted is of an older view."""
    known = branch.parts.log.at_hand
    if known is not None and cache.is_kept(memory) and not cache.is_of(memory, known[0]):
        note(memory, branch, *known)
