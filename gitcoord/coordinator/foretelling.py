"""Who will collide: pushed commits that git can't merge, lines of two sessions that meet, files that both change.

Nothing is written but what is found, and that once for a pair of commits. Where git can't tell, or an object isn't here, that is
said and nothing is concluded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.parts import Merging, Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.coordinator.touched import Touched, spell_path, touches_of
from gitcoord.core import touches
from gitcoord.core.foretold import AT_ONCE, ForetellConflict, key_of
from gitcoord.core.names import file_in
from gitcoord.core.records import Heartbeat, Session
from gitcoord.core.state import State
from gitcoord.core.touches import Kind, Span, Touch
from gitcoord.errors import GitcoordError, GitFault, Unreachable
from gitcoord.git.merges import Clash, MergeVerdict, Pair
from gitcoord.git.repo import NULL, Oid
from gitcoord.log.outcomes import View
from gitcoord.machine.ids import digest

_PUSHED = 50  # sessions that a push is held against
_PATCH = 8192  # bytes of what one session changed in a file
_TOLD = 8  # pairs that one look writes down
_SHARED = frozenset({"certain", "likely"})
_Changed = dict[str, tuple[str, Sequence[touches.HunkLike] | None]]
"""What differs between two commits, by file: its new name ("" where it is gone), and its places (None: lines say nothing)."""
_Between = Callable[[str, str], _Changed | None]
_Spell = Callable[[str], str]


@dataclass(frozen=True)
class Place:
    """A file in which two collide, and where: as `12-40,88`, in lines of the commit that both come from ("": lines say nothing)."""

    path: str
    lines: str = ""


@dataclass(frozen=True)
class Collision:
    """Two sessions that collide, or one and the default branch (`branch`).

    - `commits`: where they stand; `since`: since when the other changes the first of these files, as far as it said so;
      `uncommitted`: a part of it is not committed yet.
    """

    kind: Kind
    sessions: tuple[str, ...]
    files: tuple[Place, ...]
    commits: tuple[str, ...]
    branch: str = ""
    since: datetime | None = None
    uncommitted: bool = False

    def concerns(self, session: str) -> bool:
        """Return True if it is about that session."""
        return session in self.sessions

    def partner(self, session: str) -> str:
        """Return the other session; "" for the default branch."""
        return next((name for name in self.sessions if name != session), "")


@dataclass(frozen=True)
class Looked:
    """What a look found; what could not be told, and why; and `clear`, the pairs of which all was looked at and nothing found."""

    collisions: tuple[Collision, ...] = ()
    unknown: tuple[str, ...] = ()
    clear: frozenset[tuple[str, ...]] = frozenset()


@dataclass(frozen=True)
class _Side:
    """A session as it is compared: where its work stands, as far as it is here, and which lines it changed since which commit."""

    name: str
    branch: str
    commit: Oid = NULL
    base: str = ""
    told: str = ""  # the commit of which the lines are told
    touches: tuple[Touch, ...] = ()
    since: dict[str, datetime] = field(default_factory=dict)

    @property
    def is_all_committed(self) -> bool:
        return self.told == self.commit and all(touch.committed for touch in self.touches)


@dataclass(frozen=True)
class Foretelling:
    """Looks who will collide, and tells them."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands
    sessions: Sessions

    # --- looking -----------------------------------------------------------------------------------------------------------

    def look(self, view: View, *, only: str = "", everyone: bool = False, online: bool = True, staged: bool = False) -> Looked:
        """Return who collides with the caller.

        - `only`: with that session alone; `everyone`: all pairs, whether they concern the caller or not.
        - `online`: the remote is asked where the branches are; else what was fetched before counts.
        - `staged`: of what the caller has not committed, only what a commit would take now.
        """
        me = self.acting.session
        sides = self._sides(view.state, staged=staged)
        unknown: list[str] = []
        merging = self.parts.merger() if self.parts.merger is not None else None
        if merging is not None and merging.lack:
            unknown.append(f"nothing is certain here: {merging.lack}")
            merging = None
        if self.parts.merger is None:
            unknown.append("nothing is certain here: a sandbox may not write where it would be found out")
        default, default_commit = "", NULL
        if merging is not None:
            try:
                sides, default, default_commit, away = self._placed(merging, sides, online=online)
                unknown += away
            except GitFault as fault:
                unknown.append(f"nothing is certain now: {fault.message}")
                merging = None
        pairs = [
            (one, two)
            for number, one in enumerate(sides)
            for two in sides[number + 1 :]
            if everyone or (me in (one.name, two.name) and (not only or only in (one.name, two.name)))
        ]
        alone = [side for side in sides if side.commit and default_commit and (everyone or (side.name == me and not only))]
        found: list[Collision] = []
        clear: set[tuple[str, ...]] = set()
        asked = [Pair(one.commit, two.commit) for one, two in pairs] + [Pair(one.commit, default_commit) for one in alone]
        verdicts: dict[Pair, MergeVerdict] = {}
        try:
            verdicts = self._verdicts(merging, asked)
        except GitFault as fault:  # that is no verdict, neither this way nor that
            unknown.append(f"nothing is certain now: {fault.message}")
        bases: dict[tuple[str, str], _Changed | None] = {}
        for one, two in pairs:
            verdict = verdicts.get(_sorted(one.commit, two.commit))
            collisions, is_whole = self._of_pair(one, two, verdict, partial(self._between, merging, bases))
            found += collisions
            if verdict is not None and verdict.outcome == "unknown":
                unknown.append(f"{one.name} and {two.name}: {verdict.why}")
            if is_whole and not any(collision.kind in _SHARED for collision in collisions):
                clear.add(tuple(sorted((one.name, two.name))))
        for side in alone:
            verdict = verdicts.get(_sorted(side.commit, default_commit))
            if verdict is not None and verdict.outcome == "conflict":
                found.append(
                    Collision("certain", (side.name,), _places(verdict, self._spell), (side.commit, default_commit), default)
                )
                continue
            settled = verdict is not None and verdict.outcome == "clean"
            ahead = [] if settled and side.is_all_committed else self._ahead(merging, side, default, default_commit)
            found += ahead
            if settled and not ahead:
                clear.add((side.name,))
        order = {"certain": 0, "likely": 1, "near": 2}
        found.sort(key=lambda one: (order[one.kind], me not in one.sessions, one.sessions))
        return Looked(tuple(found), tuple(dict.fromkeys(unknown)), frozenset(clear))

    def before_push(self, view: View, commits: Iterable[Oid]) -> list[Collision]:
        """Return with whom these commits of the caller collide for certain, by what is known and here: nobody is asked. Raises
        GitcoordError.
        """
        merging = self.parts.merger() if self.parts.merger is not None else None
        if merging is None or merging.lack:
            return []
        here = {binding.session for binding in self.parts.identity.all()} | {self.acting.session}
        sides = [
            _side(session, view.state.heartbeats.get(session.session_id))
            for session in view.state.sessions.live()
            if session.session_id not in here and session.repo in (None, self.acting.actor.repo)
        ]
        placed, _, _, _ = self._placed(merging, sides, online=False)
        placed = [side for side in placed if side.commit][:_PUSHED]
        pairs = [(side, commit) for side in placed for commit in commits if commit]
        verdicts = self._verdicts(merging, [Pair(side.commit, commit) for side, commit in pairs])
        me = self.acting.session or "you"
        return [
            Collision("certain", (me, side.name), _places(verdict, self._spell), (commit, side.commit))
            for side, commit in pairs
            if (verdict := verdicts.get(_sorted(side.commit, commit))) is not None and verdict.outcome == "conflict"
        ]

    def _sides(self, state: State, *, staged: bool) -> list[_Side]:
        """The live sessions of this repository that say where they stand. Those that sit in the caller's work tree are left out:
        what is changed there can't be told apart.
        """
        me = self.acting.session
        here = {binding.session for binding in self.parts.identity.all()} - {me}
        found = []
        for session in state.sessions.live():
            if session.session_id in here or session.repo not in (None, self.acting.actor.repo):
                continue
            side = _side(session, state.heartbeats.get(session.session_id))
            found.append(self._as_now(side, staged=staged) if session.session_id == me else side)
        return sorted(found, key=lambda one: one.name)

    def _as_now(self, side: _Side, *, staged: bool) -> _Side:
        with suppress(GitFault):
            changed = Touched(self.parts, self.acting).own(staged=staged)
            if changed is not None:
                branch = self.acting.actor.branch or side.branch
                return replace(
                    side, commit=changed.commit, told=changed.commit, base=changed.base, touches=changed.touches, branch=branch
                )
        return side

    def _placed(self, merging: Merging, sides: list[_Side], *, online: bool) -> tuple[list[_Side], str, Oid, list[str]]:
        """The sides with the commits that are here, the default branch and its commit, and what could not be had."""
        away: list[str] = []
        names = [side.branch for side in sides if side.branch]
        said = [side.told for side in sides]
        try:
            if not online:
                raise Unreachable("nobody is asked")
            tips, default, default_commit = merging.tips(names, self.parts.seconds)
            wanted = {**tips, **({default: default_commit} if default else {})}
            absent = merging.absent([*said, *wanted.values()])
            missing = [name for name, oid in wanted.items() if oid in absent]
            if missing:
                merging.fetch(missing, self.parts.seconds)
                absent = merging.absent([*said, *wanted.values()])
        except Unreachable as error:
            away += [f"{error.message}; the branches are as they were seen last"] if online else []
            tips, default, default_commit = merging.known(names)
            absent = merging.absent([*said, *tips.values()])
        placed = []
        for side in sides:
            tip = tips.get(side.branch, NULL) if side.branch != default else NULL
            tip = NULL if tip in absent else tip
            told = NULL if side.told in absent else side.told
            if tip and told and tip != told and merging.is_behind(told, tip):
                told = tip  # somebody pushed on, and it was not said
            placed.append(replace(side, commit=told or tip))
        return placed, default, default_commit, away

    def _verdicts(self, merging: Merging | None, pairs: Iterable[Pair]) -> dict[Pair, MergeVerdict]:
        """What git says of these pairs; a pair that it has judged before is not asked for again."""
        wanted = list(dict.fromkeys(_sorted(*pair) for pair in pairs if pair.first and pair.second and pair.first != pair.second))
        found: dict[Pair, MergeVerdict] = {}
        if merging is None:
            return found
        for pair in wanted:
            noted = self.parts.verdicts.get(" ".join(pair))
            if noted is not None and (verdict := _recalled(noted)) is not None:
                found[pair] = verdict
        fresh = merging.judge([pair for pair in wanted if pair not in found])
        for pair, verdict in fresh.items():
            if verdict.outcome != "unknown":  # what is missing may come
                self.parts.verdicts[" ".join(pair)] = _noted(verdict)
        return found | fresh

    def _of_pair(self, one: _Side, two: _Side, verdict: MergeVerdict | None, between: _Between) -> tuple[list[Collision], bool]:
        """What two sessions collide in, and whether all was looked at: what git says of their commits, then their lines."""
        commits = one.commit or one.told, two.commit or two.told
        found = []
        certain: tuple[Place, ...] = ()
        if verdict is not None and verdict.outcome == "conflict":
            certain = _places(verdict, self._spell)
            found.append(self._collision("certain", one, two, certain, commits))
        meetings = self._meetings(one, two, between)
        if meetings is None:
            return found, False
        known = {place.path for place in certain}
        # Two commits that git merges, and nothing beside them: whatever their lines look like.
        settled = verdict is not None and verdict.outcome == "clean" and one.is_all_committed and two.is_all_committed
        for kind in ("likely", "near"):
            places = tuple(
                Place(meeting.path, touches.spelled(meeting.spans))
                for meeting in meetings
                if meeting.path not in known and ("near" if settled else meeting.kind) == kind
            )
            if places:
                found.append(self._collision("likely" if kind == "likely" else "near", one, two, places, commits))
        told = all(side.base or not side.told for side in (one, two))
        same = one.commit == two.commit and bool(one.commit)
        return found, told and (same or (verdict is not None and verdict.outcome != "unknown"))

    def _ahead(self, merging: Merging | None, side: _Side, default: str, commit: Oid) -> list[Collision]:
        """Where the lines of that session meet what landed on the default branch since it left that."""
        if merging is None or not side.touches or side.base == commit or not side.base:
            return []
        with suppress(GitFault):
            if merging.absent([side.base]):
                return []
            landed = [touch for change in merging.changed(side.base, commit) for touch in touches_of(change)]
            meetings = touches.meetings(side.touches, touches.each_named(landed, self._spell))
            places = tuple(Place(one.path, touches.spelled(one.spans)) for one in meetings if one.kind == "likely")
            if places:
                paths = {place.path for place in places}
                is_open = any(touch.path in paths and not touch.committed for touch in side.touches)
                where = (side.commit or side.told, commit)
                return [Collision("likely", (side.name,), places, where, default, uncommitted=is_open)]
        return []

    def _collision(self, kind: Kind, one: _Side, two: _Side, places: tuple[Place, ...], commits: tuple[str, str]) -> Collision:
        other = one if two.name == self.acting.session else two
        paths = {place.path for place in places}
        open_ = any(touch.path in paths and not touch.committed for side in (one, two) for touch in side.touches)
        since = next((other.since[place.path] for place in places if place.path in other.since), None)
        return Collision(kind, (one.name, two.name), places, commits, since=since, uncommitted=open_)

    def _meetings(self, one: _Side, two: _Side, between: _Between) -> list[touches.Meeting] | None:
        """The files that both change; None where their lines can't be compared and their files can't either."""
        if not one.touches or not two.touches:
            return []
        if one.base == two.base:
            return touches.meetings(one.touches, two.touches)
        for older, newer in ((one, two), (two, one)):
            changed = between(newer.base, older.base)
            if changed is not None:
                return touches.meetings(older.touches, touches.carried_over(newer.touches, changed))
        files = {touch.path for touch in one.touches} & {touch.path for touch in two.touches}
        return [touches.Meeting(path, "near") for path in sorted(files)]

    def _between(
        self, merging: Merging | None, known: dict[tuple[str, str], _Changed | None], start: str, end: str
    ) -> _Changed | None:  # fmt: skip
        """What differs from one base to the other, by file; None where one isn't here, or where the other is the newer one."""
        if (start, end) not in known:
            known[start, end] = None
            with suppress(GitFault):
                if merging is not None and not merging.absent([start, end]) and merging.base(start, end) != start:
                    known[start, end] = {
                        self._spell(change.path): (
                            "" if change.status == "D" else self._spell(change.to or change.path),
                            None if change.hunks is None else list(change.hunks),
                        )
                        for change in merging.changed(start, end)
                        if change.status != "A"
                    }
        return known[start, end]

    def _spell(self, path: str) -> str:
        return spell_path(self.acting.actor, path)

    def changes(self, found: Sequence[Collision]) -> dict[tuple[str, str], str]:
        """Return, by session and file, what each has committed in the files in which two sessions collide, as far as it is here."""
        merging = self.parts.merger() if self.parts.merger is not None else None
        told: dict[tuple[str, str], str] = {}
        for one in found if merging is not None and not merging.lack else ():
            if one.kind not in _SHARED or len(one.sessions) != 2 or not all(one.commits) or merging is None:
                continue
            with suppress(GitcoordError):
                if merging.absent(one.commits) or not (base := merging.base(*one.commits)):
                    continue
                for place in one.files[:AT_ONCE]:
                    for name, commit in zip(one.sessions, one.commits, strict=True):
                        own = place.path.removeprefix(file_in(self.acting.actor.namespace, ""))
                        told[name, place.path] = merging.diff(base, commit, own, _PATCH)
        return told

    # --- telling -----------------------------------------------------------------------------------------------------------

    def tell(self, view: View, looked: Looked) -> int:
        """Write down what concerns the caller and is not written yet, and take back what is over; return how many events that made.

        The same for a pair of commits is one event, whoever looks.
        """
        me, state, made = self.acting.session, view.state, 0
        for collision in looked.collisions:
            if made >= _TOLD or collision.kind not in _SHARED or not collision.concerns(me) or not all(collision.commits):
                continue
            between = tuple(sorted(collision.sessions))
            commits = collision.commits if between == collision.sessions else collision.commits[::-1]
            known = state.conflicts.get(key_of(between))
            if known is not None and known.commits == commits and known.kind in (collision.kind, "certain"):
                continue
            lines = tuple(_entry(place) for place in collision.files[:AT_ONCE])
            lines = tuple(line for line in lines if touches.is_touch(line))
            # A default branch goes on all day: there the same files are the same news.
            mark = [collision.kind, *between, commits[0], *(lines if collision.branch else commits[1:])]
            made += self._say(
                mark, between=between, verdict=collision.kind, commits=commits, lines=lines, branch=collision.branch or None
            )
        for record in state.conflicts.values():
            if made < _TOLD and me in record.sessions and record.sessions in looked.clear:
                made += self._say(["none", record.id], between=record.sessions, verdict="none")
        return made

    def _say(self, mark: list[str], **said: object) -> int:
        op = f"foretold-{digest(mark)[:24]}"
        if self.parts.verdicts.get(op):
            return 0
        with suppress(GitcoordError):
            outcome = self.commands.submit(ForetellConflict, self.acting.actor, op=op, shared=True, typed={"mark": mark}, **said)
            self.parts.verdicts[op] = "told"
            return int(outcome.receipt.state == "committed")
        return 0


def _side(session: Session, beat: Heartbeat | None) -> _Side:
    if beat is None:
        return _Side(session.session_id, session.branch or "")
    return _Side(
        session.session_id, session.branch or "", base=beat.base or "", told=beat.commit or "",
        touches=tuple(touched.touch for touched in beat.touches), since={touched.path: touched.since for touched in beat.touches},
    )  # fmt: skip


def _sorted(one: Oid, two: Oid) -> Pair:
    return Pair(*sorted((one, two)))


def _places(verdict: MergeVerdict, spell: _Spell) -> tuple[Place, ...]:
    return tuple(
        Place(spell(clash.path), touches.spelled(touches.joined(Span(first - 1, last - first + 1) for first, last in clash.lines)))
        for clash in verdict.files
        if not clash.driver
    )


def _entry(place: Place) -> str:
    return f"{place.path}:{place.lines or touches.WHOLE}"


def _noted(verdict: MergeVerdict) -> str:
    return json.dumps([verdict.outcome, [[clash.path, clash.lines, clash.driver] for clash in verdict.files]])


def _recalled(noted: str) -> MergeVerdict | None:
    try:
        outcome, files = json.loads(noted)
        clashes = tuple(Clash(str(path), tuple((int(a), int(b)) for a, b in lines), str(driver)) for path, lines, driver in files)
    except (TypeError, ValueError):
        return None
    return MergeVerdict(outcome, clashes) if outcome in ("clean", "conflict") else None
