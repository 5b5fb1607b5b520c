"""The lane: who lands on a branch holds `land:<branch>`, one after the other. What lands was tried on the newest state there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.keeper import Farewell, Keeper, Loss
from gitcoord.coordinator.parts import TrialGround
from gitcoord.coordinator.trials import Attempt, Conflict, Runs, Tried
from gitcoord.core import landing
from gitcoord.core.events import Receipt
from gitcoord.core.landing import Incoming
from gitcoord.core.records import Trial
from gitcoord.errors import BadInput, GitcoordError, NotHeld

_TTL = 900  # seconds: long enough to merge a large project, and no longer than others can bear to wait behind a dead machine

End = Literal["landed", "there", "red", "conflict"]
"""How it ended: it landed; it was there already; the command was red; it conflicts with the branch."""


@dataclass(frozen=True)
class Landed:
    """What came of it. `before` and `now`: where the branch was, and where it is; `pushed`: what this caller has put there (""
    where the user's own command did that).
    """

    end: End
    mine: Incoming
    onto: str
    before: str
    now: str
    pushed: str = ""
    trial: Trial | None = None
    known: bool = False
    receipt: Receipt | None = None
    conflict: Conflict | None = None
    farewell: Farewell | None = None


class _LaneTurn(NamedTuple):
    """How far it came while the lane was held. `code`: the command's exit code, `runs`: None where nothing was run."""

    landed: Landed
    code: int = 0
    runs: Runs | None = None


class Lane:
    """One caller's way onto the default branch. `keeper`: keeps the lane while it is needed."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._trials = coordinator.trials
        self.keeper = Keeper(coordinator)

    def land(
        self, attempt: Attempt, *, push: Callable[[], int] | None = None, **asked: Any
    ) -> Landed:  # fmt: skip
        """Hold the lane, try the caller's commit on the newest state of the default branch, and push exactly what was tried. If the
        branch moves meanwhile, begin again with its newest state. The lane is given up at the end, however it ends.

        - `attempt`: without words nothing is run: what can be merged lands.
        - `push`: the user's own way to land, in place of a push; it returns its exit code.
        - `asked`: how the lane is claimed: see `Claims.acquire`. Raises Held where another session has it.
        """
        self._trials.sessions.ensure()
        with self._trials.ground(attempt.tick) as ground:
            head = ground.head()
            if not head.commit or not head.branch:
                raise BadInput("what lands is the branch that is checked out, and none is", hint="git switch BRANCH")
            standing = ground.look(())
            mine = Incoming(head.commit, self._trials.acting.session, head.branch)
            if ground.has(mine.commit, standing.base):
                return Landed("there", mine, standing.default, standing.base, standing.base)
            if push is None and self._coordinator.parts.carriers is None:
                raise BadInput("there is no remote to push to", hint="gitcoord land --help")
            lane = landing.lane(standing.default, self._trials.repo)
            self.keeper.take([lane], told=attempt.told, ttl_seconds=self._ttl(), **asked)
            losses: list[Loss] = []
            try:
                course = self._on_the_newest(ground, attempt, mine, push)
            finally:
                farewell = self.keeper.finish(losses.append, attempt.told)
            return self._recorded(ground, attempt, course, farewell)

    def _on_the_newest(self, ground: TrialGround, attempt: Attempt, mine: Incoming, push: Callable[[], int] | None) -> _LaneTurn:
        while True:
            attempt.tick()
            standing = ground.look(())
            base, onto = standing.base, standing.default
            here = Landed("there", mine, onto, base, base)
            if ground.has(mine.commit, base):
                return _LaneTurn(here)
            merged = ground.merge_to_land(base, mine.commit, f"Merge branch '{mine.branch}'")
            if not merged.commit:
                return _LaneTurn(replace(here, end="conflict", conflict=Conflict(mine, None, merged.conflicts)))
            runs, code = None, 0
            if attempt.words:
                known = self._trials.known(base, [mine.commit], attempt)
                here = replace(here, trial=known, known=known is not None)
                runs = Runs(ground, base, attempt, self.keeper) if known is None else None
                code = runs.at(merged.commit, mine.words) if runs is not None else known.exit_code if known is not None else 0
            self._check_held(attempt)
            if code:
                return _LaneTurn(replace(here, end="red"), code, runs)
            if push is not None:
                if ground.look(()).base == base:
                    return _LaneTurn(self._pushed_by(push, ground, replace(here, end="landed")), 0, runs)
            elif ground.push(onto, base, merged.commit):
                return _LaneTurn(replace(here, end="landed", now=merged.commit, pushed=merged.commit), 0, runs)
            attempt.told(f"{onto} has moved meanwhile: again, on its newest state")

    def _ttl(self) -> int:
        """Return for how long the lane is held if this process dies."""
        return min(_TTL, self._coordinator.branch.last_view().state.rules.settings.max_ttl)

    def _check_held(self, attempt: Attempt) -> None:
        """Make sure that the lane is held still. Raises NotHeld."""
        lost = [loss.message for loss in self.keeper.look(attempt.told)]
        if lost or self.keeper.lost:
            raise NotHeld(
                lost[0] if lost else "the lane was lost while the command ran: nothing was pushed", hint="gitcoord land --wait"
            )

    def _pushed_by(self, push: Callable[[], int], ground: TrialGround, landed: Landed) -> Landed:
        code = push()
        now = ground.look(()).base
        if code:
            raise GitcoordError(
                f"the push command failed (exit {code}); {landed.onto} is at {now[:12]}", hint="gitcoord land --help"
            )
        return replace(landed, now=now)

    def _recorded(self, ground: TrialGround, attempt: Attempt, course: _LaneTurn, farewell: Farewell) -> Landed:
        """Return what came of it, after the branch was told: with others on their way, and the lane free for them."""
        done, runs = course.landed, course.runs
        trial, receipt = done.trial, None
        if runs is not None:
            alone = Runs(ground, done.before, attempt, before=runs.count)  # the lane is another's by now
            base_code = alone.on(()) if course.code else 0
            culprits = (str(done.mine),) if course.code and not base_code else ()
            receipt, trial = self._trials.record(
                Tried(done.onto, done.before), [done.mine], attempt.words, exit_code=course.code, base_exit=base_code,
                seconds=runs.seconds, runs=alone.count, culprits=culprits,
            )  # fmt: skip
        return replace(done, trial=trial, receipt=receipt, farewell=farewell)
