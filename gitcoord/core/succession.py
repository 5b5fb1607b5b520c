"""Superseding: a session takes another's place that has been silent for long, with its leases, in one commit.

What somebody waits in line for goes to the line, as it would after an expiry; all the rest the silent one held goes over.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from gitcoord.core import clocks, handover, leases, names
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.handover import Leases
from gitcoord.core.leases import LeaseRef
from gitcoord.core.records import Claim, Count, RunId, Session, SessionName
from gitcoord.core.sessions import acting, close
from gitcoord.core.times import Instant, spell, spell_span
from gitcoord.errors import BadInput, Held, NoSession

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State


class SupersedeSession(Command):
    """Takes the place of a silent session."""

    kind: ClassVar[str] = "session.supersede"

    previous: SessionName


class SessionSuperseded(Event):
    """A silent session is over; what it held and nobody waits for is another's now."""

    kind: ClassVar[str] = "session.superseded"
    trailers: ClassVar[dict[str, str]] = {"ttl_seconds": "Ttl", "expires_at": "Expires"}

    previous: SessionName
    previous_run: RunId = ""
    moved: Leases = ()
    ttl_seconds: Count = 0
    expires_at: Instant | None = None
    witnessed: bool | None = None

    @property
    def resources(self) -> tuple[str, ...]:
        """What goes over."""
        return tuple(str(LeaseRef.parse(entry).resource) for entry in self.moved)

    def headline(self) -> str:
        """The commit's subject."""
        what = f" with {' '.join(self.resources[0].split(':', 1))}" if self.moved else ""
        more = f" and {len(self.moved) - 1} more" if len(self.moved) > 1 else ""
        return f"supersede: {self.session} takes the place of {self.previous}{what}{more}"

    def evolve(self, draft: Draft) -> None:
        """The leases go over, the silent one's record closes."""
        handover.move(draft, self, self.previous, self.moved, self.resources, self.ttl_seconds, self.expires_at)
        old = draft.session(self.previous)
        if old is None or not old.live or self.previous == self.session:
            return
        ended = {
            "status": "abandoned", "waiting_for": None, "ended_at": self.at, "superseded_by": self.session,
            "total_duration": spell_span(self.at - old.started_at),
        }  # fmt: skip
        draft.put("sessions", self.previous, old.model_copy(update=ended))
        close(draft, self.previous)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """The other was silent for long enough by this commit's own date."""
        old = state.sessions.get(self.previous)
        if old is None or not old.live or self.previous == self.session:
            return f"{self.previous} is not another's live session"
        if old.run_id != self.previous_run:
            return f"{self.previous} is another run by now"
        if old.last_heartbeat + state.rules.takeover_after > committed_at:
            return f"{self.previous} was not silent for long enough"
        return handover.move_problem(
            state, self, self.previous, self.moved, self.resources, self.ttl_seconds, self.expires_at, committed_at, ends=True
        )


def decide_supersede(state: State, command: SupersedeSession, clock: Clock) -> Event | None:
    """Takes its place; nothing where it has ended already. Raises Held while it counts as alive, ClockSkew, NoSession, BadInput."""
    acting(state, command)
    old = state.sessions.get(command.previous)
    if old is None:
        raise NoSession(f"no session is called {command.previous}", hint="gitcoord peers")
    if command.previous == command.session:
        raise BadInput("a session can't take its own place", hint="gitcoord handoffs")
    if not old.live:
        return None
    alive_until = old.last_heartbeat + state.rules.takeover_after
    if clock.now < alive_until:
        raise Held(
            f"{old.session_id} was last heard {spell(old.last_heartbeat)} and counts as alive until {spell(alive_until)}",
            hint=f"gitcoord ask {old.session_id} {names.word('May I go on with your work?')}",
            data={"outcome": "blocked", "blocked_by": [], "last_heard": spell(old.last_heartbeat), "until": spell(alive_until)},
        )
    doubt = clocks.judge(
        state, clock, f"{old.session_id} is gone", mark=lambda then: leases.heard(then, command.previous),
        needed=state.rules.takeover_after, hint=f"gitcoord ask {old.session_id} {names.word('May I go on with your work?')}",
    )  # fmt: skip
    if doubt is not None:
        raise doubt
    now = clocks.date_of(state, clock)
    moving = _moving(state, old, command.session, now)
    ttl = leases.lease_seconds(state, None)
    return SessionSuperseded(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        previous=old.session_id, previous_run=old.run_id, moved=tuple(one.entry for one in moving),
        ttl_seconds=ttl if moving else 0, expires_at=now + timedelta(seconds=ttl) if moving else None,
        witnessed=clock.witness() is not None,
    )  # fmt: skip


def _moving(state: State, old: Session, session: str, now: datetime) -> list[Claim]:
    candidates = [
        one
        for one in leases.held_by(state, old.session_id)
        if one.offered_until is None and not handover.others_come_first(state, one.resource, one.mode, session, now, old.session_id)
    ]
    return handover.fitting(state, candidates, session, without=(old.session_id,))[: leases.AT_ONCE]
