"""Who speaks, as a server sees it: by what the server trusts, and by whose each session's name is on the branch as it is."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitcoord.core.names import show
from gitcoord.core.trust import BAD, UNREAD, Trust, judge
from gitcoord.git.objects import Commit, Objects
from gitcoord.git.repo import NULL, Oid, Repository
from gitcoord.git.signing import Signing
from gitcoord.log.history import Checked, Good, History
from gitcoord.log.origins import OriginTable
from gitcoord.machine import files
from gitcoord.machine.trusted import TrustFiles, trust_folder
from gitcoord.policy.rules import Policy
from gitcoord.views.projection import TreeProjection

_AT_ONCE = 1000  # commits read at a time
_SECONDS = 10.0  # that a program which checks one signature may take


@dataclass(frozen=True)
class Speakers:
    """Judges who speaks in the new events of a push. `path`: where whose the names are is kept, so that no push pays for that."""

    repo: Repository
    objects: Objects
    policy: Policy
    path: Path

    def objection(self, known: Checked, events: Sequence[Good]) -> str:
        """Return why the server doesn't take those events, which follow on what is known; "" if it does."""
        if not (self.policy.signed or self.policy.ownkey) or not events:
            return ""
        table = self.table(known) if self.policy.ownkey else OriginTable.beginning_after(known.seq)
        table.extend(((self.objects.newest(good.commit), True) for good in events), events[-1].commit, self._check)
        trust = self._trust()
        for good in events:
            if why := self._judge(table, trust, good):
                return f"event {good.event.seq} of {good.event.session} ({good.event.kind}): {why}"
        return ""

    def _judge(self, table: OriginTable, trust: Trust, good: Good) -> str:
        found = table.of(good.event.seq)
        if found is None:
            return "who said it can't be told"
        speaker = found.origin.adopter or good.event.session
        session = good.state.sessions.get(speaker)
        role = (session.role or "") if session is not None else ""
        owner = table.owner(speaker, good.event.seq)
        verdict = judge(speaker, found.origin, owner, trust, found.at, role=role, covered=found.covered)
        if self.policy.signed and verdict.word != "verified":
            said = {"unsigned": "it is not signed", "unread": "nothing here can check its signature"}.get(verdict.word, verdict.why)
            return show(said or f"it is signed by a key that this server doesn't trust ({verdict.by})", 200)
        if not self.policy.ownkey:
            return ""
        if verdict.is_doubtful:
            by = f"{speaker} belongs to {owner.email or owner.key}, and it was pushed by {verdict.pushed_by}"
            return show(verdict.why or by, 300)
        if verdict.word == "unsigned" and owner.key not in ("", BAD, UNREAD):
            return f"{speaker} signs what it says, and this is not signed"
        return ""

    def table(self, known: Checked) -> OriginTable:
        """Return whose the names are on the branch as far as it is known; what was gone through is kept for the next push."""
        table = self._kept()
        names = self.objects.range(known.tip, table.tip) if known.tip else []
        if table.tip != known.tip and (names is None or not names or (table.tip and names[0][1] != (table.tip,))):
            table, names = OriginTable(), self.objects.range(known.tip)
        if not names:
            return table
        bad: Collection[Oid] = {one.commit for one in known.bad}
        if table.tip == NULL:  # which of all are good isn't remembered
            checked = History(self.objects, TreeProjection()).check(known.tip, Checked())
            bad = {one.commit for one in checked.bad}
        commits = ((commit, commit.oid not in bad) for commit in self._commits(names))
        table.extend(commits, known.tip, self._check)
        with suppress(OSError):
            files.write(self.path, table.dump(), keep_mode=True)
        return table

    def _commits(self, names: Sequence[tuple[Oid, tuple[Oid, ...]]]) -> Iterator[Commit]:
        for start in range(0, len(names), _AT_ONCE):
            yield from self.objects.commits(names[start : start + _AT_ONCE])

    def _kept(self) -> OriginTable:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return OriginTable.load(files.read_bytes(self.path) or b"")
        return OriginTable()

    def _trust(self) -> Trust:
        folder = Path(os.path.expanduser(self.policy.trust)) if self.policy.trust else trust_folder(self.repo.environ)
        return TrustFiles(folder).read()

    def _check(self, commit: Oid, seq: int) -> str:
        return Signing(self.repo, self.repo, alone=True).check(commit, _SECONDS)
