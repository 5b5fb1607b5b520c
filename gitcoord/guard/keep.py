"""Keeps what the guard goes by and what it did: the lease cache, as new as the clone's memory, and what was stopped."""

from __future__ import annotations

from pathlib import Path

from gitcoord.coordinator.branch import Branch
from gitcoord.core.state import State
from gitcoord.guard import cache, words
from gitcoord.guard.check import GuardAnswer


def note(memory: Path, branch: Branch, good: str, state: State) -> None:
    """Note the leases on files in that state, which is the view of the commit `good`."""
    within = branch.acting.actor.namespace
    cache.note(memory, good, state.claims.values(), state.rules.grace, within, fold=branch.folds(state))


def follow(memory: Path, branch: Branch) -> None:
    """Note what this process has at hand of the branch, where somebody is guarded and what is noted is of an older view."""
    known = branch.parts.log.at_hand
    if known is not None and cache.is_kept(memory) and not cache.is_of(memory, known[0]):
        note(memory, branch, *known)


def stopped(branch: Branch, said: GuardAnswer, asked: str) -> None:
    """Note on this machine what the guard stopped, and why, for the session that may ask later. `asked`: what was about to happen,
    as `log --refused` shows it (`guard.commit`, `guard.push`, `guard.edit`).
    """
    actor = branch.acting.actor
    paths = [f"file:{path}" for one in said.hindrances for path in one.paths] + [str(one.resource) for one in said.over]
    named = list(dict.fromkeys(paths))[: words.SHOWN]
    branch.parts.outbox.note_denied(branch.parts.now(), actor.session or actor.human or "", asked, named, words.refusal(said))
