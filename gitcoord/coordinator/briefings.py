"""Briefing a session: what it should know from the branch, once in full and then what is new; what it saw is kept per work tree."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.parts import Parts
from gitcoord.coordinator.speakers import Speakers
from gitcoord.core.names import Resource, file_in, is_resource_name
from gitcoord.git import changes
from gitcoord.git.repo import Repository
from gitcoord.views import briefing
from gitcoord.views.briefing import BriefedUpTo, Briefing


def touched(repo: Repository) -> list[str]:
    """Return the files that this work tree's branch changes, committed or not."""
    return changes.of_branch(repo, briefing.NEAR)


@dataclass(frozen=True)
class Briefings:
    """The caller's briefings."""

    parts: Parts
    acting: Acting
    branch: Branch
    speakers: Speakers

    def brief(self, files: Iterable[str], *, everything: bool = False, limit: int = 0) -> Briefing:
        """Return what the session should know; the second time only what is new.

        - `files`: what the session works on.
        - `everything`: also what the session was told before.
        - `limit`: bytes, 0 for the usual ones.
        """
        view = self.branch.view()
        self.branch.glance(view)
        seen = None if everything or not self.acting.session else self._seen()
        names = (file_in(self.acting.actor.namespace, path) for path in files)
        near = [Resource("file", name) for name in names if is_resource_name(name)]
        return briefing.brief(
            view.state,
            self.acting.session,
            self.branch.time_of(view),
            nonce=secrets.token_hex(16),
            near=near,
            seen=seen,
            read_at=view.read_at,
            unverified=view.unverified,
            limit=limit,
            says=self.speakers.mark,
        )

    def note_shown(self, told: Briefing) -> None:
        """Note that the session was shown that briefing. Call it afterwards: better told twice than never."""
        last = self.branch.last
        if self.acting.session and not (last is not None and last.unverified):
            noted = {"seq": told.seen.seq, "run_id": told.seen.run_id, "live": sorted(told.seen.live)}
            self.parts.identity.note_briefed(self.acting.session, noted)

    def _seen(self) -> BriefedUpTo | None:
        record = self.parts.identity.briefed(self.acting.session)
        try:
            return BriefedUpTo(int(record["seq"]), str(record["run_id"]), frozenset(map(str, record["live"])))
        except (TypeError, KeyError, ValueError):
            return None
