"""Carried commands: what a session says that may not push the branch, adopted from a branch of its own by another session.

The session's record names the branch that carries it, and the newest of its commits and operations that was adopted. So every
reader sees what was adopted, and from where, and nobody adopts anything twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from gitcoord.core import claims, handover, heartbeats, messages, names, releases, sessions, task_commands, trials
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.names import LINE_LIMIT, show
from gitcoord.core.records import Count, Line
from gitcoord.core.values import is_oid
from gitcoord.errors import BadInput, GitcoordError, Held, NoSession, NotHeld, NotInTime

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

STANDS = timedelta(minutes=10)
"""An adopter refuses a carried claim that is older: a lease for a session that has given up would only be in others' way."""

CARRIED: tuple[type[Command], ...] = (
    sessions.StartSession,
    sessions.EndSession,
    heartbeats.RecordHeartbeat,
    messages.SendMessage,
    releases.ReleaseClaims,
    handover.OfferHandoff,
    task_commands.AddTasks,
    task_commands.ChangeTask,
    task_commands.CloseTask,
    task_commands.ReopenTask,
    trials.RecordTrial,
    claims.AcquireClaims,
)
"""What may be carried: what can wait, and claims."""

_ERRORS: tuple[type[GitcoordError], ...] = (BadInput, Held, NotHeld, NotInTime)


class Carrier(NamedTuple):
    """Names who adopted a command, and where it stood: `ada claude/fix@<commit>`."""

    adopter: str
    branch: str
    commit: str

    @classmethod
    def parse(cls, text: str) -> Carrier:
        """Read it. Raises ValueError."""
        adopter, _, place = text.partition(" ")
        branch, _, commit = place.rpartition("@")
        if not names.is_session_name(adopter) or names.branch_or_none(branch) != branch or not is_oid(commit):
            raise ValueError("not an adopter, a branch and a commit")
        return cls(adopter, branch, commit)

    def __str__(self) -> str:
        return f"{self.adopter} {self.branch}@{self.commit}"


class CarryAnswered(Event):
    """A carried command made no event of its own: it is refused, or there was nothing to do. `lapsed` says why.

    `exit_code`: what the command would have ended with.
    """

    kind: ClassVar[str] = "carry.answered"
    trailers: ClassVar[dict[str, str]] = {"command": "Command", "exit_code": "Exit"}

    command: Line
    exit_code: Count = 0

    def headline(self) -> str:
        """The commit's subject."""
        return f"answer: {self.command} of {self.session}: {self.lapsed}"

    def evolve(self, draft: Draft) -> None:
        """Nothing; what was adopted is noted for every carried event."""

    def problem(self, state: State, committed_at: object) -> str | None:
        """Valid only with the reason, and then nobody asks."""
        return "it says no reason"


def answer(state: State, command: Command, error: GitcoordError | None) -> CarryAnswered:
    """Return the event that answers a carried command that makes no other. `error`: what refuses it, if anything does."""
    return CarryAnswered(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, command=command.kind,
        exit_code=error.exit_code if error is not None else 0,
        lapsed=show(error.message if error is not None else "there was nothing to do", LINE_LIMIT),
    )  # fmt: skip


def error_of(event: CarryAnswered) -> GitcoordError | None:
    """Return the error that a carried command was answered with; None where there was nothing to do."""
    kind = next((one for one in _ERRORS if one.exit_code == event.exit_code), GitcoordError)
    return kind(event.lapsed or "it was refused", data={"blocked_by": []}) if event.exit_code else None


def check(state: State, command: Command) -> None:
    """Make sure that this branch may speak for that session. Raises BadInput, NoSession, NotHeld: a forged carrier."""
    carrier = Carrier.parse(command.carried or "")
    if not isinstance(command, CARRIED):
        raise BadInput(f"{command.kind} can't be carried")
    if isinstance(command, sessions.StartSession):
        if not command.offline or command.generated or command.succeeds:
            raise BadInput("only a new session under a name of its own can be carried")
        return
    known = state.sessions.get(command.session)
    if known is None:
        raise NoSession(f"no session {command.session} was started from {carrier.branch}")
    if known.carried is None:
        raise NotHeld(f"{command.session} pushes by itself: nothing is carried for it")
    if (branch := Carrier.parse(known.carried).branch) != carrier.branch:
        raise NotHeld(f"{command.session} is carried from {branch}, not from {carrier.branch}")


def is_answered(state: State, command: Command) -> bool:
    """Return True if a carried command that makes no event is answered on the branch: its session is there, in that run."""
    known = state.sessions.get(command.session)
    own = known is not None and known.live and known.carried is not None and known.run_id == command.run_id
    return own and not isinstance(command, sessions.StartSession)


def admit(command: Command, clock: Clock) -> None:
    """Make sure that a claim still has a session that waits for it, and asks for what it can use. Raises NotInTime, BadInput."""
    if isinstance(command, claims.AcquireClaims):
        if clock.now - command.at > STANDS:
            raise NotInTime("the claim was adopted too late: ask again")
        if command.wait or command.breaks is not None:
            raise BadInput("a carried claim can't stand in line, nor break a lease")


def problem(state: State, event: Event) -> str | None:
    """Return why what an event says of its carrier isn't so, or None. Pure."""
    if event.carried is None:
        return "it answers nothing that was carried" if isinstance(event, CarryAnswered) else None
    try:
        carrier = Carrier.parse(event.carried)
    except ValueError as error:
        return str(error)
    if isinstance(event, CarryAnswered) and event.lapsed is None:
        return "it says no reason"
    known = state.sessions.get(event.session)
    if isinstance(event, sessions.SessionStarted):
        return None
    if known is None or known.carried is None:
        return f"{event.session} is not carried"
    branch = Carrier.parse(known.carried).branch
    return None if branch == carrier.branch else f"{event.session} is carried from {branch}"


def apply(draft: Draft, event: Event) -> None:
    """Note in the session's record what was adopted. A session that says something by itself is carried no more."""
    session = draft.session(event.session)
    if session is None or (event.run_id and event.run_id != session.run_id):
        return
    if event.carried is not None:
        draft.put("sessions", event.session, session.model_copy(update={"carried": event.carried, "carried_op": event.id}))
    elif session.carried is not None and event.lapsed is None:
        draft.put("sessions", event.session, session.model_copy(update={"carried": None, "carried_op": None}))


def prefixes(patterns: str) -> Sequence[str]:
    """Return what the names of the branches begin with that may carry commands: `claude/*` is `claude/`."""
    return [one.removesuffix("*") for one in patterns.split()]


def may_carry(patterns: str, branch: str | None) -> bool:
    """Return True if that branch may carry commands."""
    return bool(branch) and any(branch.startswith(one) and branch != one for one in prefixes(patterns) if branch)
