"""What a session asks for (commands) and what happened (events), and the clock by which it is decided."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from gitcoord.core.entries import RenewalEntry
from gitcoord.core.records import Asked, Count, IgnoredEntry, Line, OperationId, RunId, SessionName
from gitcoord.core.state import Draft, State
from gitcoord.core.times import Instant


class Caller(BaseModel):
    """The process that waits for an answer: its id, when it was born (boot included), and how long it waits."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    pid: int
    born: str
    deadline: Instant


class Command(BaseModel):
    """A command says what a session asks for. It is data, so that any process of the outbox can carry it out.

    `op` is the operation's id, `at` the time of asking, `run_id` the run that asks ("" when it isn't known). `asked`: where the
    caller chose the id, the digest of what it asks for; such an id may have been used for something else. `carried`: which session
    adopts it, and from where (`core/carrying`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: ClassVar[str]
    deferrable: ClassVar[bool] = False

    op: OperationId
    session: SessionName
    run_id: RunId = ""
    at: Instant
    caller: Caller | None = None
    asked: Asked = ""
    carried: Line | None = None

    @property
    def can_wait(self) -> bool:
        """Whether the answer may be `queued` while the remote is away."""
        return self.deferrable

    @property
    def wishes(self) -> dict[str, Any]:
        """What is asked for: the fields of its kind that aren't as they are when nobody says anything."""
        return self.model_dump(exclude=set(Command.model_fields), exclude_defaults=True)

    @property
    def handle(self) -> str:
        """The name of the command on a machine: no two requests share one, even where their callers chose the same id."""
        return f"{self.op}~{self.asked[:16]}" if self.asked else self.op

    def made(self, event: Event) -> bool:
        """Return True if that event, which has this operation's id, came of this very command."""
        return event.asked == self.asked and (bool(self.asked) or event.session == self.session)


class Event(BaseModel):
    """What happened: one commit. It holds everything that replaying it needs, all effects included.

    `text` names the field that is the commit's body; `trailers` the trailer of a field whose name doesn't give it. An event
    that isn't `known` (of a newer program) changes nothing.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    kind: ClassVar[str]
    known: ClassVar[bool] = True
    text: ClassVar[str] = ""
    trailers: ClassVar[dict[str, str]] = {}
    needs_session: ClassVar[bool] = True
    """Whether only a live session may say it, in its present run. Not so a few kinds, which have rules of their own."""
    talk: ClassVar[bool] = False
    """Whether it is only talk: sending and reading are no work."""
    sign: ClassVar[bool] = True
    """Whether it is a sign of life of its session."""

    id: OperationId
    seq: Count
    session: SessionName
    run_id: RunId = ""
    at: Instant
    asked: Asked = ""
    carried: Line | None = None
    lapsed: Line | None = None
    removed: Annotated[tuple[Line, ...], Field(max_length=64)] = ()
    abandoned: Annotated[tuple[SessionName, ...], Field(max_length=64)] = ()
    ignored: Annotated[tuple[IgnoredEntry, ...], Field(max_length=8)] = ()
    granted: Annotated[tuple[Annotated[str, Field(max_length=1024)], ...], Field(max_length=64)] = ()
    renewed: Annotated[tuple[RenewalEntry, ...], Field(max_length=64)] = ()

    def headline(self) -> str:
        """The commit's subject, for people."""
        raise NotImplementedError

    @property
    def is_work(self) -> bool:
        """Whether its session did something beside talking and being alive."""
        return not self.talk

    @property
    def makes(self) -> bool:
        """Whether it may make messages or handoffs, under its own id."""
        return True

    def evolve(self, draft: Draft) -> None:
        """Puts what happened into the draft. Total: it takes any event on any state."""
        raise NotImplementedError

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Why the event is not valid on that state, or None. Pure: no clock, no local knowledge."""
        raise NotImplementedError


def digest(session: str, kind: str, request: Mapping[str, Any]) -> str:
    """Return the digest of a request: who asks for what. Times don't count, for `--expires 4h` is another instant each time it is
    run; nor does what is empty.
    """
    plain = {key: value for key, value in request.items() if value and not isinstance(value, datetime)}
    text = json.dumps([session, kind, plain], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _no_witness() -> datetime | None:
    return None


@dataclass(frozen=True)
class Clock:
    """The time as admission sees it: this machine's clock, and what is known of that clock (see `clocks`).

    `witness`: another machine's time (None: nobody to ask), `at_hand`: the same where asking costs nothing; `vouched`: whether
    something vouches for this clock without being asked; `agree`: notes that something did; `observed`: how long this machine has
    itself seen what a state says stay as it is; `host`: which machine this is.
    """

    now: datetime
    witness: Callable[[], datetime | None] = field(default=_no_witness)
    at_hand: Callable[[], datetime | None] = field(default=_no_witness)
    vouched: Callable[[], bool] = field(default=lambda: False)
    agree: Callable[[], None] = field(default=lambda: None)
    observed: Callable[[State, Callable[[State], object]], timedelta] = field(default=lambda state, mark: timedelta(0))
    host: str | None = None


Landing = Literal["committed", "queued", "unchanged"]
"""How far a command got."""


@dataclass(frozen=True)
class Receipt:
    """A writing command gives back this: its operation's id, its seq (0 while queued), its event's commit, and why it is queued."""

    state: Landing
    id: str
    seq: int = 0
    commit: str = ""
    why: str = "the remote is away"
