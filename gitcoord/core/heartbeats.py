"""Heartbeats: what a session is doing. Spoken ones are typed; automatic ones are folded from what hooks saw.

Any heartbeat takes again what is over and in nobody's hands, in the same commit, under a new fence.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from gitcoord.core import renewals, trespasses
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.names import LINE_LIMIT
from gitcoord.core.records import CodeBranch, CommitId, Count, Heartbeat, Line, TouchedFile, Touches
from gitcoord.core.sessions import lapse
from gitcoord.core.times import Instant
from gitcoord.core.touches import Touch

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

FILES_LIMIT = 50  # files named by one heartbeat; a commit that touches more is described by its first ones and a count
_STATES = frozenset({"blocked", "waiting", "idle"})  # how a session is, not what it works on
WAITS_FOR = frozenset({"person", "claim", "answer"})


_SAID = (
    "action",
    "target",
    "phase",
    "progress",
    "next_action",
    "estimated_completion",
    "branch",
    "commit",
    "blocked_by",
)


class RecordHeartbeat(Command):
    """Says what the session is doing. `folded`: how many automatic ones this stands for (0: it was typed)."""

    kind: ClassVar[str] = "heartbeat.record"
    deferrable: ClassVar[bool] = True

    action: Line | None = None
    target: Line | None = None
    phase: Line | None = None
    files_touched: tuple[Line, ...] = ()
    progress: Line | None = None
    next_action: Line | None = None
    estimated_completion: Instant | None = None
    branch: CodeBranch | None = None
    commit: CommitId | None = None
    blocked_by: Line | None = None
    folded: int = 0
    base: CommitId | None = None
    touches: Touches = ()
    committed: tuple[Line, ...] = ()  # which files were committed when: see `trespasses`


class HeartbeatRecorded(Event):
    """A session said what it does; what was over and is nobody's is its own again."""

    kind: ClassVar[str] = "heartbeat.recorded"
    trailers: ClassVar[dict[str, str]] = {
        "files_touched": "File",
        "next_action": "Next",
        "estimated_completion": "Eta",
        "touches": "Lines",
    }

    action: Line | None = None
    target: Line | None = None
    phase: Line | None = None
    files_touched: Annotated[tuple[Line, ...], Field(max_length=FILES_LIMIT)] = ()
    progress: Line | None = None
    next_action: Line | None = None
    estimated_completion: Instant | None = None
    branch: CodeBranch | None = None
    commit: CommitId | None = None
    blocked_by: Line | None = None
    folded: Count = 0
    touched: Annotated[tuple[trespasses.TouchedEntry, ...], Field(max_length=trespasses.AT_ONCE)] = ()
    regained: renewals.Regained = ()
    base: CommitId | None = None
    touches: Touches = ()

    @property
    def is_work(self) -> bool:
        """One that somebody typed; the automatic ones only say that the session is alive."""
        return self.folded == 0

    @property
    def makes(self) -> bool:
        """A message to each whose file was committed."""
        return bool(self.touched)

    def headline(self) -> str:
        """The commit's subject."""
        if self.lapsed:
            return f"heartbeat: {self.session} (too late: {self.lapsed})"
        said = " ".join(part for part in (self.action, self.target) if part) or "alive"
        extra = ", ".join(part for part in (self.phase, self.progress) if part)
        blocked = f", blocked by {self.blocked_by}" if self.blocked_by else ""
        return f"heartbeat: {self.session} {said}" + (f" ({extra})" if extra else "") + blocked

    def evolve(self, draft: Draft) -> None:
        """The newest heartbeat and what the session's record shows of it. What isn't said stays as before."""
        session = draft.session(self.session)
        if session is None:
            return
        old = draft.heartbeat(self.session)
        said: dict[str, Any] = {name: getattr(self, name) for name in _SAID if getattr(self, name) is not None}
        if self.action is not None:
            said["blocked_by"] = self.blocked_by  # a new action is no longer blocked by the old thing
        if self.files_touched:
            said["files_touched"] = self.files_touched
        if self.base is not None:
            since = {touched.path: touched.since for touched in old.touches} if old is not None else {}
            said["base"] = self.base
            said["touches"] = tuple(
                TouchedFile(path=touch.path, lines=touch.lines, since=since.get(touch.path, self.at))
                for touch in map(Touch.parse, self.touches)
            )
        if self.is_work:
            said["worked_seq"] = self.seq
        said["timestamp"] = self.at if old is None else max(old.timestamp, self.at)
        fresh = Heartbeat(session_id=self.session, timestamp=self.at)
        draft.put("heartbeats", self.session, (old or fresh).model_copy(update=said))
        update: dict[str, Any] = {}
        if self.action is not None:
            waits = self.action == "waiting" and self.target in WAITS_FOR
            update["status"] = "waiting" if waits else "idle" if self.action == "idle" else "active"
            update["waiting_for"] = self.target if waits else None
            if self.folded == 0 and not waits and (self.target or self.action not in _STATES):
                update["current_work"] = self.target or self.action
        update |= {name: getattr(self, name) for name in ("phase", "progress", "branch") if getattr(self, name) is not None}
        draft.put("sessions", self.session, session.model_copy(update=update))
        renewals.regain(draft, self, self.regained)
        trespasses.tell(
            draft, self.touched, self.files_touched, id=self.id, seq=self.seq, session=self.session, at=self.at, commit=self.commit
        )

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """What it takes again is its own, and free; it names only leases on what was committed, and lines of a commit."""
        if self.touches and self.base is None:
            return "it names lines, and not the commit whose lines they are"
        wrong = renewals.regain_problem(state, self.session, self.regained, committed_at)
        return wrong or trespasses.problem(state, self.session, self.touched, self.files_touched)


def decide_heartbeat(state: State, command: RecordHeartbeat, clock: Clock) -> Event | None:
    """Records the heartbeat; a late one is recorded without effect."""
    said = {name: getattr(command, name) for name in _SAID}
    files = tuple(name[:LINE_LIMIT] for name in command.files_touched[:FILES_LIMIT])
    late = lapse(state, command)
    if late and command.folded:
        return None  # nobody said it, and it has no effect: not worth a commit
    regained = () if late else renewals.regained_by(state, command.session, command.at, clock)
    named = [entry for entry in command.committed if trespasses.split_committed(entry)[1] in files]
    touched = () if late else trespasses.touched(state, command.session, named)
    return HeartbeatRecorded(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        files_touched=files, folded=command.folded, regained=regained, lapsed=late, touched=touched, base=command.base,
        touches=command.touches if command.base is not None else (), **said,
    )  # fmt: skip
