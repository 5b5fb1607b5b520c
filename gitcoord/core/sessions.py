"""Sessions: who is there. A session goes through runs: each start, resume or succession gives a new `run_id`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from gitcoord.core import handoffs, lookalikes, names, records
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.leases import LeaseEntry
from gitcoord.core.records import CodeBranch, CommitId, Line, Lines, RunId, Session, Text
from gitcoord.core.times import spell, spell_span
from gitcoord.errors import Held, NoSession, NotHeld

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State
_NUMBERED = 10_000  # names tried before a generated one is given up: more than any branch can hold live


def standing(session: Session, now: datetime, quiet_after: timedelta) -> str:
    """Return how a session stands, in one word for every face: `quiet` if it is live and was not heard for so long that nobody
    should count on it, else its status.
    """
    return "quiet" if session.live and now - session.last_heartbeat >= quiet_after else session.status


def standing_and_way(session: Session, now: datetime, quiet_after: timedelta) -> str:
    """Return how a session stands, and that what it says is carried, where it may not push."""
    return standing(session, now, quiet_after) + (", carried" if session.carried else "")


class StartSession(Command):
    """Registers a session, or goes on with one as a new run. The new run is `run_id`.

    `generated`: `session` is only a wish, numbered when taken. `offline`: the name was made unique without the remote.
    `succeeds`: the run that this one follows.
    """

    kind: ClassVar[str] = "session.start"

    generated: bool = False
    offline: bool = False
    succeeds: str = ""
    capabilities: Lines = ()
    role: Line | None = None
    work: Line | None = None
    agent: Line | None = None
    repo: Line | None = None
    branch: CodeBranch | None = None
    host: Line | None = None
    folds: bool = False

    @property
    def can_wait(self) -> bool:
        """A start under a name made unique here may wait for the remote; a chosen name must be known to be free."""
        return self.offline

    def made(self, event: Event) -> bool:
        """Return True if that event came of this command: a start's session may have got another name, its run is its own."""
        return event.asked == self.asked and event.run_id == self.run_id


class EndSession(Command):
    """Releases all and closes the record. `to`: leaves a handoff for that session, group or anyone."""

    kind: ClassVar[str] = "session.end"
    deferrable: ClassVar[bool] = True

    done: Lines = ()
    notes: Text | None = None
    to: Line | None = None
    next: handoffs.Note | None = None
    blockers: handoffs.Note | None = None
    tests: Line | None = None
    branch: CodeBranch | None = None
    commit: CommitId | None = None


class SessionStarted(Event):
    """A session is there."""

    kind: ClassVar[str] = "session.started"
    needs_session: ClassVar[bool] = False
    trailers: ClassVar[dict[str, str]] = {"capabilities": "Capability"}

    capabilities: Lines = ()
    role: Line | None = None
    work: Line | None = None
    agent: Line | None = None
    repo: Line | None = None
    branch: CodeBranch | None = None
    host: Line | None = None
    folds: bool = False

    def headline(self) -> str:
        """The commit's subject."""
        return f"start: {self.session}" + (f", {self.work}" if self.work else "")

    def evolve(self, draft: Draft) -> None:
        """The record appears; what was sent to all before this start is not its mail."""
        if self.folds:
            draft.fold()
        draft.put(
            "sessions",
            self.session,
            Session(
                session_id=self.session, run_id=self.run_id, start_seq=self.seq, started_at=self.at,
                current_work=self.work, capabilities=self.capabilities, role=self.role, agent=self.agent,
                repo=self.repo, branch=self.branch, host=self.host, last_heartbeat=self.at, read_seq=self.seq,
            ),
        )  # fmt: skip
        draft.put("heartbeats", self.session, None)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Nobody live has that name."""
        known = state.sessions.get(self.session)
        return f"{self.session} is active already" if known and known.live else None


class SessionResumed(Event):
    """A session goes on as a new run, with its claims and its mail."""

    kind: ClassVar[str] = "session.resumed"
    needs_session: ClassVar[bool] = False
    trailers: ClassVar[dict[str, str]] = {"capabilities": "Capability"}

    succeeds: RunId
    capabilities: Lines = ()
    role: Line | None = None
    work: Line | None = None
    agent: Line | None = None
    branch: CodeBranch | None = None
    host: Line | None = None
    folds: bool = False

    def headline(self) -> str:
        """The commit's subject."""
        return f"resume: {self.session}" + (f", {self.work}" if self.work else "")

    def evolve(self, draft: Draft) -> None:
        """The record and the session's leases change to the new run."""
        if self.folds:
            draft.fold()
        old = draft.session(self.session)
        if old is None:
            return
        given: dict[str, Any] = {"role": self.role, "current_work": self.work, "agent": self.agent,
                                 "branch": self.branch, "host": self.host,
                                 "capabilities": self.capabilities or None}  # fmt: skip
        update = {key: value for key, value in given.items() if value is not None}
        update |= {"run_id": self.run_id, "status": "active", "waiting_for": None}
        draft.put("sessions", self.session, old.model_copy(update=update))
        for key, claim in draft.claims().items():
            if claim.claimed_by == self.session:
                draft.put("claims", key, claim.model_copy(update={"run_id": self.run_id}))
        for seq, place in draft.waiting().items():
            if place.session_id == self.session:
                draft.put("waiting", seq, place.model_copy(update={"run_id": self.run_id}))

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """The run that it follows is the current one."""
        known = state.sessions.get(self.session)
        if known is None or not known.live:
            return f"{self.session} is not active"
        return None if known.run_id == self.succeeds else f"{self.session} is another run by now"


class SessionEnded(Event):
    """A session is over; what it held is free. `to`: it left a handoff, with all that it held."""

    kind: ClassVar[str] = "session.ended"
    text: ClassVar[str] = "notes"
    trailers: ClassVar[dict[str, str]] = {"done": "Done", "released": "Released"}

    done: Lines = ()
    notes: Text | None = None
    released: tuple[LeaseEntry, ...] = ()
    to: Line | None = None
    next: handoffs.Note | None = None
    blockers: handoffs.Note | None = None
    tests: Line | None = None
    branch: CodeBranch | None = None
    commit: CommitId | None = None

    def headline(self) -> str:
        """The commit's subject."""
        if self.lapsed:
            return f"end: {self.session} (too late: {self.lapsed})"
        then = f", handoff to {self.to}" if self.to else ""
        return f"end: {self.session}{then}" + (f", {self.done[0]}" if self.done else "")

    def evolve(self, draft: Draft) -> None:
        """The record closes, its leases and its heartbeat go; what it hands over names them."""
        old = draft.session(self.session)
        if old is None:
            return
        draft.put(
            "sessions",
            self.session,
            old.model_copy(
                update={
                    "status": "completed",
                    "waiting_for": None,
                    "ended_at": self.at,
                    "total_duration": spell_span(self.at - old.started_at),
                    "work_completed": self.done,
                    "handoff_notes": self.notes,
                }
            ),
        )
        close(draft, self.session)
        if self.to is not None:
            handoffs.leave(
                draft,
                records.Handoff(
                    id=self.id, seq=self.seq, sender=self.session, to=self.to, timestamp=self.at,
                    resources=tuple(entry.partition(" ")[2] for entry in self.released[: handoffs.NAMED]), branch=self.branch,
                    commit=self.commit, done="\n".join(self.done) or None, next=self.next, blockers=self.blockers,
                    tests=self.tests, notes=self.notes,
                ),
            )  # fmt: skip

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """What it hands over is for somebody, and its own."""
        if self.to is None:
            return None
        if not handoffs.is_receiver(self.to):
            return f"{self.to} is nobody"
        held = {one.entry for one in state.claims.values() if one.claimed_by == self.session}
        return None if set(self.released) <= held else "it hands over what it doesn't hold"


def close(draft: Draft, session: str) -> None:
    """Takes an ended session's leases, places in line and heartbeat out of the state."""
    draft.put("heartbeats", session, None)
    for key, claim in draft.claims().items():
        if claim.claimed_by == session:
            draft.put("claims", key, None)
    for seq, place in draft.waiting().items():
        if place.session_id == session:
            draft.put("waiting", seq, None)


def run_problem(state: State, event: Event) -> str | None:
    """Why the event's session may not act: not there, ended, or another run by now."""
    known = state.sessions.get(event.session)
    if known is None:
        return f"{event.session} is not a session"
    if not known.live:
        return f"{event.session} has ended"
    if event.run_id and known.run_id != event.run_id:
        return f"{event.session} is another run by now"
    return None


def lapse(state: State, command: Command) -> str | None:
    """Why a late deferred command has no effect any more, or None."""
    known = state.sessions.get(command.session)
    if known is None:
        return "no such session"
    if not known.live:
        return f"the session ended {spell(known.ended_at)}" if known.ended_at else "the session has ended"
    if command.run_id and known.run_id != command.run_id:
        return "a newer run goes on"
    return None


def acting(state: State, command: Command) -> Session:
    """The record of the session that asks. Raises NoSession, or NotHeld when a newer run has taken its place."""
    known = state.sessions.get(command.session)
    if known is None:
        raise NoSession(f"no session is called {command.session}", hint="gitcoord start")
    if not known.live:
        when = f" {spell(known.ended_at)}" if known.ended_at else ""
        if known.superseded_by:
            raise NotHeld(
                f"{known.superseded_by} took the place of {command.session}{when}, after its long silence; it may not act any more",
                hint="gitcoord start",
                data={"superseded_by": known.superseded_by},
            )
        raise NoSession(f"session {command.session} has ended{when} ({known.status})", hint="gitcoord start")
    if command.run_id and known.run_id != command.run_id:
        raise NotHeld(
            f"{command.session} goes on elsewhere as a newer run; this one may not act any more",
            hint="gitcoord start --new",
        )
    return known


def decide_start(state: State, command: StartSession, clock: Clock) -> Event | None:
    """Starts or resumes. Raises Held when the name is active elsewhere, or looks like another session's."""
    name = command.session
    known = state.sessions.get(name)
    given: dict[str, Any] = {
        field: getattr(command, field) for field in ("capabilities", "role", "work", "agent", "branch", "host", "folds")
    }
    common: dict[str, Any] = {"id": command.op, "seq": state.seq + 1, "run_id": command.run_id, "at": command.at}
    if known and known.live and command.succeeds and known.run_id == command.succeeds:
        return SessionResumed(session=name, succeeds=command.succeeds, **given, **common)
    if command.generated:
        name = free_name(state, name)
    elif known and known.live:
        where = f" on {names.show(known.host, 60)}" if known.host else ""
        raise Held(
            f"the name {name} is taken: active{where}, last heard {spell(known.last_heartbeat)}",
            hint="gitcoord start (a free name is chosen), or give another name",
            data={"blocked_by": []},
        )
    elif known is None and (other := lookalikes.alike(name, state.sessions)):
        raise Held(
            f"the name {name} looks like {other}, which is another session: people would take one for the other",
            hint="gitcoord start (a free name is chosen), or give another name",
            data={"blocked_by": []},
        )
    return SessionStarted(session=name, repo=command.repo, **given, **common)


def free_name(state: State, wish: str) -> str:
    """The wish, or the wish with the first number that no session in the tree has, and that looks like none of theirs."""
    taken = {lookalikes.skeleton(name) for name in state.sessions}
    for number in range(1, _NUMBERED):
        name = f"{wish[: 63 - len(str(number))].rstrip('.')}-{number}" if number > 1 else wish
        if lookalikes.skeleton(name) not in taken:
            return name
    raise Held(f"every name like {wish} is taken", hint="gitcoord start NAME", data={"blocked_by": []})


def decide_end(state: State, command: EndSession, clock: Clock) -> Event | None:
    """Ends the session; a late one is recorded without effect."""
    late = lapse(state, command)
    # An end may have waited for days; for whom it was meant may be forgotten by now, what it says must not be.
    unknown = command.to is not None and names.is_session_name(command.to) and command.to not in state.sessions
    to = handoffs.ANYONE if unknown else command.to
    held = () if late else tuple(
        claim.entry for claim in state.claims.values() if claim.claimed_by == command.session
    )  # fmt: skip
    return SessionEnded(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        done=command.done, notes=command.notes, released=held, lapsed=late, to=to, next=command.next,
        blockers=command.blockers, tests=command.tests, branch=command.branch, commit=command.commit,
    )  # fmt: skip
