"""The three kinds of value that go round: commands (asked), events (happened), records (the state after them).

All are frozen and parsed once at the border. A record keeps fields it doesn't know, so that an older program rewrites a
newer one's record without loss. A command does not: a program must not flush what it can't fully read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gitcoord.core import names
from gitcoord.core.times import Instant

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State


def _checked(test: Callable[[str], bool], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not test(value):
            raise ValueError(f"not {what}")
        return value

    return AfterValidator(check)


SessionName = Annotated[str, _checked(names.is_session_name, "a session name")]
ResourceType = Annotated[str, _checked(names.is_resource_type, "a resource type")]
ResourceText = Annotated[str, AfterValidator(lambda value: str(names.Resource.read(value)))]
Line = Annotated[str, _checked(names.is_line, "one line")]
Lines = Annotated[tuple[Line, ...], Field(max_length=64)]
Subject = Annotated[str, _checked(lambda value: names.is_line(value, names.SUBJECT_LIMIT), "one line of at most 200 characters")]
Text = Annotated[str, Field(max_length=names.TEXT_LIMIT)]
Id = Annotated[str, _checked(names.is_id, "an id")]
OperationId = Annotated[str, _checked(lambda value: names.is_id(value) and len(value) <= names.OWN_ID, "an operation's id")]
RunId = Annotated[str, _checked(lambda value: not value or names.is_id(value), "a run")]
Count = Annotated[int, Field(ge=0, le=2**53)]


class Record(BaseModel):
    """A file on the branch: JSON, its fields in the order of the class, unknown ones kept behind them."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True, populate_by_name=True)


class Caller(BaseModel):
    """The process that waits for an answer: its id, when it was born (boot included), and how long it waits."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    pid: int
    born: str
    deadline: Instant


class Command(BaseModel):
    """What a session asks for: data, so that any process of the desk can carry it out.

    `op` is the operation's unique id, `at` the time of asking, `run_id` the run that asks ("" when it isn't known).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: ClassVar[str]
    deferrable: ClassVar[bool] = False

    op: OperationId
    session: SessionName
    run_id: RunId = ""
    at: Instant
    caller: Caller | None = None

    @property
    def can_wait(self) -> bool:
        """Whether the answer may be `queued` while the remote is away."""
        return self.deferrable


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
    talk: ClassVar[bool] = False
    """Whether it is only talk: sending and reading are no work."""

    id: OperationId
    seq: Count
    session: SessionName
    run_id: RunId = ""
    at: Instant
    lapsed: Line | None = None
    removed: Annotated[tuple[Line, ...], Field(max_length=64)] = ()
    abandoned: Annotated[tuple[SessionName, ...], Field(max_length=64)] = ()
    ignored: Annotated[tuple[Line, ...], Field(max_length=8)] = ()
    granted: Annotated[tuple[Annotated[str, Field(max_length=1024)], ...], Field(max_length=64)] = ()

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


def _no_witness() -> datetime | None:
    return None


@dataclass(frozen=True)
class Clock:
    """The time as admission sees it: this machine's clock, and on demand another machine's (None: nobody to ask)."""

    now: datetime
    witness: Callable[[], datetime | None] = field(default=_no_witness)
