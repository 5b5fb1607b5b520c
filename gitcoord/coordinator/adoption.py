"""Adopting what sessions say that may not push the branch: each command once, in order, for the session that the branch started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.parts import CarrierBranches, Parts
from gitcoord.core import carrying, names
from gitcoord.core.carrying import Carrier
from gitcoord.core.events import Command
from gitcoord.core.records import Session
from gitcoord.core.sessions import StartSession
from gitcoord.errors import Alarm, BadInput, GitcoordError, GitFault, NotInTime, NotWritten, Unknown, Unreachable
from gitcoord.git.carriers import Heads
from gitcoord.git.repo import NULL, Oid
from gitcoord.log import carrier
from gitcoord.log.outcomes import Done, View

LIMIT = 1000  # commits of one branch that are looked through at once
BRANCHES = 256  # branches that are looked at
SESSIONS = 16  # live sessions that one branch may carry
_ALONE = 16  # branches that are fetched one by one, where all together can't be
_AT_ONCE = 256  # commands that are sent together
_PASSING = (Unreachable, Unknown, NotInTime, NotWritten, GitFault, Alarm)  # these say nothing about the command


@dataclass(frozen=True)
class Adopted:
    """One look tells by this how many commands it adopted, and what it refused: each by its place and with the reason."""

    count: int = 0
    refused: tuple[str, ...] = ()


@dataclass
class _Found:
    """One look gathers here what the branches carry that is new: commands in order, and what is refused.

    `starting`: the branch of each session that starts with them; `newer`: by session, the commits after the last one that was
    adopted; `over`: sessions that ended long ago; `unfetched`: branches that could not be had.
    """

    commands: list[Command] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    starting: dict[str, str] = field(default_factory=dict)
    newer: dict[str, frozenset[Oid] | None] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    unfetched: list[str] = field(default_factory=list)

    def refuse(self, place: str, why: str) -> None:
        """Note once that something there is refused."""
        text = f"{names.show(place, 160)}: {names.show(why, 200)}"
        if text not in self.refused:
            self.refused.append(text)


@dataclass(frozen=True)
class Adoption:
    """Adopts on the caller's behalf. Any number of callers may do so at once."""

    parts: Parts
    acting: Acting
    branch: Branch

    def adopt(self, view: View) -> Adopted:
        """Adopt what the remote's branches carry that is new on that view. Raises Unreachable."""
        carriers, outbox = self.parts.carriers, self.parts.outbox
        settings = view.state.rules.settings
        if carriers is None or not settings.carry or outbox.refusal() is not None:
            return Adopted()
        noted, refused = outbox.adopted()
        heads = carriers.heads(carrying.prefixes(settings.carry_from), self.parts.seconds)
        changed = sorted(name for name, oid in heads.branches.items() if noted.get(name) != oid)[:BRANCHES]
        if not changed:
            return Adopted()
        found = _Found()
        looked: dict[str, Oid] = {}
        for keep, tips in self._together(carriers, changed, found):
            try:
                self._look_through(found, carriers, view, tips, heads, noted)
            finally:
                carriers.drop(keep)
            looked |= tips.branches
        if looked:  # the others could be had: these wait until they move, and keep nobody else waiting
            looked |= {name: heads.branches[name] for name in found.unfetched}
        count, passing = self._carry_out(found, view)
        kept = {name: oid for name, oid in noted.items() if name in heads.branches}
        outbox.note_adopted(kept if passing else {**kept, **looked}, [*refused, *found.refused])
        return Adopted(count, tuple(found.refused))

    def _together(self, carriers: CarrierBranches, changed: list[str], found: _Found) -> Iterator[tuple[str, Heads]]:
        """Yield what was fetched: all branches together, or where that takes too long or fails, each that can be, alone."""
        try:
            together = carriers.fetch(changed, self.parts.seconds)
        except Unreachable:
            if len(changed) == 1:
                raise
        else:
            yield together
            return
        for name in changed[:_ALONE]:
            try:
                fetched = carriers.fetch([name], self.parts.seconds / _ALONE)
            except Unreachable as error:
                found.refuse(name, f"it could not be fetched: {error.message}")
                found.unfetched.append(name)
                continue
            yield fetched

    def try_adopt(self, view: View | None, errors: list[GitcoordError]) -> Adopted:
        """The same where there is a view; what stands in the way is added to the errors."""
        try:
            return self.adopt(view) if view is not None and view.read_at is not None else Adopted()
        except (*_PASSING, BadInput) as error:
            errors.append(error)
            return Adopted()

    def _carry_out(self, found: _Found, view: View) -> tuple[int, bool]:
        """Carry them out; return how many are on the branch now, and True if something stood in the way that may pass."""
        count, passing = 0, False
        for start in range(0, len(found.commands), _AT_ONCE):
            part = found.commands[start : start + _AT_ONCE]
            outcomes = self.parts.submitter.carry_out(part, since=view.checked.tip, seconds=self.parts.seconds)
            for command in part:
                outcome = outcomes.get(command.handle)
                count += isinstance(outcome, Done)
                if outcome is None or isinstance(outcome, _PASSING):
                    passing = True
                elif isinstance(outcome, GitcoordError):
                    found.refuse(str(command.carried), outcome.message)
            if passing:
                break
        self.branch.forget()
        return count, passing

    # --- what is new -----------------------------------------------------------------------------------------------------

    def _look_through(
        self, found: _Found, carriers: CarrierBranches, view: View, tips: Heads, heads: Heads, noted: Mapping[str, Oid]
    ) -> None:
        """Find what these branches carry that is new. `noted`: up to where each was looked through before."""
        for name, tip in tips.branches.items():
            before = noted.get(name, NULL)
            known = [before] if before and carriers.is_behind(before, tip) else []
            commits = carriers.commits(tip, [tips.default, *known], LIMIT)
            if len(commits) > LIMIT:
                found.refuse(name, f"it has more than {LIMIT} commits beside the default branch")
                continue
            for oid, message in commits:
                place = f"{name}@{oid[:12]}"
                if message is None:
                    found.refuse(place, "its message is too large")
                lines = carrier.decode(message)
                for number, line in enumerate(lines):
                    if isinstance(line, carrier.NotCarried):
                        found.refuse(place, str(line))
                    elif line.branch != name:
                        other = tips.branches.get(line.branch) or heads.branches.get(line.branch, NULL)
                        if not other or not carriers.is_behind(oid, other):
                            found.refuse(place, f"it was written for {line.branch}")
                    else:
                        first = [one.command.op for one in lines[:number] if isinstance(one, carrier.Carried)]
                        self._take(found, carriers, view, (name, tip, oid), line.command, first)

    def _take(
        self, found: _Found, carriers: CarrierBranches, view: View, at: tuple[str, Oid, Oid], command: Command, before: list[str]
    ) -> None:
        """Take a command if it is new, and the branch's own; `before`: what the same commit carries before it."""
        name, _, oid = at
        place, me = f"{name}@{oid[:12]}", command.session
        known = view.state.sessions.get(me)
        if me in found.over:
            return
        if known is None or found.starting.get(me) == name:
            if not isinstance(command, StartSession) and me not in found.starting:
                found.refuse(place, f"no session {me} was started from this branch")
                return
            if isinstance(command, StartSession) and self._is_over(view, command):
                found.over.add(me)
                return
            if isinstance(command, StartSession) and self._count(view, found, name) >= SESSIONS:
                found.refuse(place, f"{SESSIONS} sessions that were started from this branch are live already")
                return
            found.starting.setdefault(me, name)
        elif not self._is_new(found, carriers, view, known, at, command, before):
            return
        mark = str(Carrier(self._adopter, name, oid))
        found.commands.append(command.model_copy(update={"carried": mark}))

    def _count(self, view: View, found: _Found, name: str) -> int:
        """Return how many live sessions that branch carries."""
        live = [one for one in view.state.sessions.live() if one.carried and Carrier.parse(one.carried).branch == name]
        return len(live) + sum(branch == name for branch in found.starting.values())

    def _is_over(self, view: View, start: StartSession) -> bool:
        """Return True if a session that the tree doesn't know was adopted long ago: history keeps it, the tree doesn't."""
        return bool(self.parts.log.find(start.op, view.checked))

    def _is_new(
        self, found: _Found, carriers: CarrierBranches, view: View, known: Session, at: tuple[str, Oid, Oid], command: Command,
        before: list[str],
    ) -> bool:  # fmt: skip
        """Return True if a command of a known session was not adopted yet; else say why it is refused, if it is."""
        name, tip, oid = at
        place, me = f"{name}@{oid[:12]}", known.session_id
        carried = Carrier.parse(known.carried) if known.carried else None
        if carried is None or carried.branch != name:
            if not self.parts.log.find(command.op, view.checked):
                where = f"is carried from {carried.branch}" if carried else "pushes by itself"
                found.refuse(place, f"{me} {where}")
            return False
        if me not in found.newer:
            found.newer[me] = carriers.newer(tip, carried.commit, 4 * LIMIT)
        newer = found.newer[me]
        if newer is None:
            found.refuse(name, f"it was rewritten: what was adopted for {me} is no longer there")
            return False
        if oid == carried.commit:
            return known.carried_op in before
        return oid in newer

    @property
    def _adopter(self) -> str:
        actor = self.acting.actor
        return actor.session or actor.human or "gitcoord-sync"
