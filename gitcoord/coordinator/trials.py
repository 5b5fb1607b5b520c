"""Trying what is about to land, before it lands. The command is run by whoever asks for the trial; here is what it is run on, what
its answers mean, and how the branch hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.parts import Notices, Parts, TrialGround
from gitcoord.coordinator.sessions import Sessions
from gitcoord.core import bisection, landing, trials
from gitcoord.core.events import Receipt
from gitcoord.core.landing import AT_ONCE, Candidate, Incoming
from gitcoord.core.names import show
from gitcoord.core.records import Trial
from gitcoord.core.state import State
from gitcoord.errors import BadInput, GitcoordError, NoSession
from gitcoord.machine import throwaway

if TYPE_CHECKING:
    from gitcoord.git.scratch import LandingGround


class KeepsLane(Protocol):
    """What goes on while a command runs: see `Keeper.hold`."""

    def hold(self, wait: Callable[[float], bool], lost: Callable[[Any], None], told: Callable[[str], None]) -> None:
        """Keep what is held until `wait` says that the command is over; `lost` hears of what is held no more."""
        ...


@dataclass(frozen=True)
class Attempt:
    """What somebody asks to be tried: the command, and how it is run in a folder, while something is held or nothing is (it returns
    the exit code).

    - `told`: hears what is done, line by line.
    - `tick`: is called while git works; what it raises ends the trial.
    - `again`: the command is run even if the branch knows what came of it.
    """

    words: Sequence[str]
    run: Callable[[str, KeepsLane | None], int]
    told: Callable[[str], None]
    tick: Callable[[], None]
    again: bool = False


@dataclass(frozen=True)
class Conflict:
    """A branch that can't be merged: with which one it conflicts (None: the default branch), and in which files."""

    branch: Incoming
    other: Incoming | None
    files: tuple[str, ...]

    def words(self, onto: str) -> str:
        """Return it in a line for people."""
        others = f" and {len(self.files) - 3} more" if len(self.files) > 3 else ""
        return (
            f"{self.branch.words} conflicts with {self.other.words if self.other else onto} "
            f"in {', '.join(show(name, 100) for name in self.files[:3])}{others}"
        )


@dataclass(frozen=True)
class Tried:
    """What came of a trial.

    - `not_pushed`, `on_default`: branches that the remote doesn't have; sessions that have named no branch but the default one.
    - `trial`: the record; None where nothing was run. `known`: the branch had it already.
    - `receipt`: how far telling the branch got; None where it wasn't told now.
    """

    onto: str
    base: str
    conflicts: tuple[Conflict, ...] = ()
    not_pushed: tuple[str, ...] = ()
    on_default: tuple[str, ...] = ()
    trial: Trial | None = None
    known: bool = False
    receipt: Receipt | None = None


@dataclass(frozen=True)
class Trials:
    """Trials, as the caller holds them."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands
    sessions: Sessions

    @contextmanager
    def ground(self, tick: Callable[[], None]) -> Iterator[TrialGround]:
        """Yield a place where branches can be merged, and take it away at the end."""
        if self.parts.ground is None:
            raise BadInput("branches can't be merged from here")
        with throwaway.folder("trial") as folder:
            yield self.parts.ground(str(folder), tick)

    def hold(self, attempt: Attempt, only: Sequence[str] = ()) -> Tried:
        """Merge the branches that are about to land, run the command there, and find out which of them are red together.

        `only`: only the caller's branch and those of these sessions. Raises NoSession.
        """
        self.sessions.ensure()
        state = self.branch.view().state
        for name in only:
            if name not in state.sessions:
                raise NoSession(f"no session is called {show(name, 70)}", hint="gitcoord peers")
        with self.ground(attempt.tick) as ground:
            standing, lined, missing = self._line_up(state, ground, only)
            there = landing.on_branch(state, standing.default, repo=self.repo, only=only)
            on_default = [name for name in there if name != self.acting.session]
            incoming, conflicts = self._mergeable(ground, standing, lined, attempt.told)
            tried = Tried(standing.default, standing.base, tuple(conflicts), tuple(missing), tuple(on_default))
            if not incoming:
                return tried
            return self._try(ground, tried, incoming, attempt)

    # --- who is about to land ------------------------------------------------------------------------------------------

    @property
    def repo(self) -> str:
        """Return this repository's name where several share the branch; else ""."""
        return self.acting.actor.namespace

    def _line_up(
        self, state: State, ground: TrialGround, only: Sequence[str]
    ) -> tuple[LandingGround, list[Incoming], list[str]]:  # fmt: skip
        """Return where the branches are, those that are about to land in their order, and those that were not pushed. Of the
        caller's own branch what is committed counts, whether or not it was pushed.
        """
        me, head = self.acting.session, ground.head()
        found = landing.candidates(state, self.branch.time_now(), repo=self.repo, only=only)
        if head.branch and head.commit:  # what is checked out here is the caller's own, whatever its record says
            mine = next((one for one in found if one.branch == head.branch), Candidate(head.branch, me, landing.AT_WORK))
            found = [*(one for one in found if one.branch != head.branch), mine._replace(session=me)]
        standing = ground.look(one.branch for one in found)
        commits, times = dict(standing.branches), dict(standing.committed_at)
        found = [one for one in found if one.branch != standing.default]
        pushed = commits.get(head.branch)
        if head.branch != standing.default and head.commit and not (pushed and ground.has(head.commit, pushed)):
            commits[head.branch] = head.commit
            times[head.branch] = int(self.branch.time_now().timestamp())
        live = {session.session_id for session in state.sessions.live()}  # what has ended may have landed, and be gone
        missing = [one.branch for one in found if one.branch not in commits and one.session in live]
        lined = [Incoming(commits[one.branch], one.session, one.branch) for one in landing.in_turn(found, times)]
        return standing, [one for one in lined if not ground.has(one.commit, standing.base)][:AT_ONCE], missing

    def _mergeable(
        self, ground: TrialGround, standing: LandingGround, lined: Sequence[Incoming], told: Callable[[str], None]
    ) -> tuple[list[Incoming], list[Conflict]]:
        """Return the branches that can be merged in their order and change anything, and those that conflict."""
        incoming, conflicts = list[Incoming](), list[Conflict]()
        here = standing.base
        for one in lined:
            merged = ground.merge(standing.base, [*(before.commit for before in incoming), one.commit])
            if merged.commit:
                if merged.commit != here and not ground.is_same(here, merged.commit):  # it may have landed as another commit
                    incoming.append(one)
                    here = merged.commit
                continue
            conflict = self._conflict(ground, standing.base, incoming, one, merged.conflicts)
            told(f"left out: {conflict.words(standing.default)}")
            conflicts.append(conflict)
        return incoming, conflicts

    def _conflict(
        self, ground: TrialGround, base: str, before: Sequence[Incoming], one: Incoming, files: tuple[str, ...]
    ) -> Conflict:
        """Return with which of them the branch conflicts: the default branch, or else the first of those before it."""
        alone = ground.merge(base, [one.commit])
        if not alone.commit:
            return Conflict(one, None, alone.conflicts)
        pairs = ((other, ground.merge(base, [other.commit, one.commit])) for other in before)
        found = next(((other, pair.conflicts) for other, pair in pairs if not pair.commit), None)
        return Conflict(one, found[0], found[1]) if found else Conflict(one, before[-1], files)

    # --- trying it -----------------------------------------------------------------------------------------------------

    def _try(self, ground: TrialGround, tried: Tried, incoming: Sequence[Incoming], attempt: Attempt) -> Tried:
        known = self.known(tried.base, [one.commit for one in incoming], attempt)
        if known is not None:
            return replace(tried, trial=known, known=True)
        told, onto = attempt.told, tried.onto
        told(f"trying on {onto} ({tried.base[:12]}), in this order: {', '.join(one.words for one in incoming)}")
        runs = Runs(ground, tried.base, attempt)
        code = runs.on(incoming)
        base_code = runs.on(()) if code else 0
        culprits: list[Incoming] = []
        if base_code:
            told(f"{onto} itself is red: no branch is to blame for that")
        elif code:
            guilty = bisection.culprits(len(incoming), lambda group: bool(runs.on([incoming[number] for number in group])))
            culprits = [incoming[number] for number in guilty]
        receipt, trial = self.record(
            tried, incoming, attempt.words, exit_code=code, base_exit=base_code, seconds=runs.seconds, runs=runs.count,
            culprits=tuple(map(str, culprits[: trials.TOGETHER])),
        )  # fmt: skip
        return replace(tried, trial=trial, receipt=receipt)

    def record(
        self, tried: Tried, incoming: Sequence[Incoming], words: Sequence[str], **came: Any
    ) -> tuple[Receipt | None, Trial]:  # fmt: skip
        """Tell the branch what came of a trial of these branches with that command; return the receipt and the record. Where the
        branch can't be told, a notice says so: what came of the trial is known all the same.
        """
        said: dict[str, Any] = {
            "repo": self.repo or None, "onto": tried.onto, "base": tried.base, "incoming": tuple(map(str, incoming)),
            "left_out": tuple(str(one.branch) for one in tried.conflicts), "program": program(words),
            "digest": trials.digest(self.branch.last_view().state, words), **came,
        }  # fmt: skip
        trial = Trial(id="untold", seq=0, session_id=self.acting.session, timestamp=self.parts.now(), **said)
        try:
            self.sessions.act_as_newest_run()
            receipt, event = self.commands.submit(trials.RecordTrial, self.sessions.current(trials.RecordTrial), **said)
        except GitcoordError as error:
            self.notices.add(f"the others were not told what came of it: {error.message}")
            return None, trial
        if event is not None and event.lapsed:
            self.notices.add(f"the others were not told what came of it: {event.lapsed}")
        return receipt, trial.model_copy(update={"id": receipt.id, "seq": receipt.seq})

    def known(self, base: str, commits: Sequence[str], attempt: Attempt) -> Trial | None:
        """Return the trial of exactly these commits with that command, if the branch has one and it isn't to be run again."""
        if attempt.again:
            return None
        state = self.branch.last_view().state
        return trials.done_before(state, base, commits, trials.digest(state, attempt.words))


def program(words: Sequence[str]) -> str:
    """Return the name of a command, as it is recorded: not where it lies, and none of its arguments."""
    return show(words[0].rstrip("/").rpartition("/")[2], 60) or "command"


class Runs:
    """The runs of one trial: each group of branches is merged, and the command is run on exactly that."""

    def __init__(
        self, ground: TrialGround, base: str, attempt: Attempt, holding: KeepsLane | None = None, *, before: int = 0
    ) -> None:  # fmt: skip
        """`before`: how often the command was run already."""
        self._ground, self._base, self._attempt, self._holding = ground, base, attempt, holding
        self.count = before
        self._begun = monotonic()

    @property
    def seconds(self) -> int:
        """Return the seconds since the first of them began."""
        return int(monotonic() - self._begun)

    def on(self, group: Sequence[Incoming]) -> int:
        """Run the command on these branches; return its exit code. What can't be merged without the others is not red."""
        self._attempt.tick()
        merged = self._ground.merge(self._base, [one.commit for one in group])
        if not merged.commit:
            return 0
        return self.at(merged.commit, ", ".join(one.words for one in group) or "the default branch alone")

    def at(self, commit: str, names: str) -> int:
        """Run the command on that commit; return its exit code. `names`: what it is, for people."""
        self._ground.check_out(commit)
        self.count += 1
        code = self._attempt.run(self._ground.tree, self._holding)
        self._attempt.told(f"run {self.count}: {'red (exit ' + str(code) + ')' if code else 'green'} with {names}")
        return code
