"""A branch in the small: commands are decided, judged and evolved on the pure rules. No git, no processes, no clock.

A story has one time for all, `now`, that only the test moves. What is decided is judged as every reader judges it, so a
test that uses a story also tests that admission never gives an event that validity refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from gitcoord.core import rules
from gitcoord.core.branch import BranchOpened, ChangeSetting
from gitcoord.core.claims import AcquireClaims
from gitcoord.core.clocks import date_of
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.handover import OfferHandoff, TakeHandoff
from gitcoord.core.heartbeats import RecordHeartbeat
from gitcoord.core.inbox import unread
from gitcoord.core.leases import held_by
from gitcoord.core.messages import SendMessage, TakeMessages
from gitcoord.core.records import Claim, Message
from gitcoord.core.releases import ReleaseClaims
from gitcoord.core.renewals import RenewClaims
from gitcoord.core.sessions import EndSession, StartSession
from gitcoord.core.state import TABLES, State
from gitcoord.core.succession import SupersedeSession

T0 = datetime(2025, 11, 15, 10, 0, tzinfo=UTC)
"""When every story begins."""

COMMIT = "0d2fc0c1ab4f6a7ab9a1bcf4b1e0d0f6f0a3a9f5"
"""A commit of code that a story may name."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def hours(count: float) -> timedelta:
    """That many hours."""
    return timedelta(hours=count)


def minutes(count: float) -> timedelta:
    """That many minutes."""
    return timedelta(minutes=count)


def seconds(count: float) -> timedelta:
    """That many seconds."""
    return timedelta(seconds=count)


def days(count: float) -> timedelta:
    """That many days."""
    return timedelta(days=count)


def ulid(when: datetime, number: int) -> str:
    """The ULID of that time whose random part is `number`."""
    value = (max(0, int(when.timestamp() * 1000)) << 80) | number
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def stamp(state: State, now: datetime) -> datetime:
    """A commit's date (protocol, section 5): the time of writing, never before the parent's, unless the parent's is further
    ahead of the clock than the grace.
    """
    if now < state.at <= now + state.rules.grace:
        return state.at
    return now.replace(microsecond=0)


def resource(name: str) -> str:
    """`src/api.py` is a file; `droplet:x` says its type itself."""
    return name if ":" in name else f"file:{name}"


@dataclass(frozen=True)
class Happened:
    """An event and the date of its commit."""

    event: Event
    committed_at: datetime


@dataclass
class Story:
    """A branch with sessions on it. Each session's run is called `<name>-1`, then `<name>-2`."""

    now: datetime = T0
    state: State = field(default_factory=State)
    past: list[Happened] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    remote: datetime | None = None
    """The remote's clock, where `now` is not the right time."""
    _ops: int = 0

    @classmethod
    def of(cls, *sessions: str, now: datetime = T0) -> Story:
        """An open branch on which those sessions are active."""
        story = cls(now=now)
        story.happen(BranchOpened(id=story.op(), seq=1, session="gitcoord-init", at=now))
        for session in sessions:
            story.start(session)
        return story

    # --- time and names ----------------------------------------------------------------------------------------------

    def wait(self, span: timedelta) -> Story:
        """Time goes by."""
        self.now += span
        return self

    def op(self) -> str:
        """A new operation id."""
        self._ops += 1
        return ulid(self.now, self._ops)

    # --- asking ------------------------------------------------------------------------------------------------------

    def clock(self, now: datetime | None = None, witness: Callable[[], datetime | None] | None = None) -> Clock:
        """The clock of who asks: the story's, if it isn't said, and something vouches for that one alone."""
        asked, truth, remote = now or self.now, self.now, self.remote
        if remote is not None:
            return Clock(now=asked, witness=lambda: remote, at_hand=lambda: remote)
        return Clock(now=asked, witness=witness or (lambda: None), vouched=lambda: abs(asked - truth) <= minutes(1))

    def decide(self, command: Command, clock: Clock | None = None) -> Event | None:
        """What the command would make happen; nothing happens."""
        return rules.decide(self.state, command, clock or self.clock())

    def ask(
        self, command: Command, *, now: datetime | None = None, witness: Callable[[], datetime | None] | None = None
    ) -> Event | None:
        """Carries the command out with that clock."""
        clock = self.clock(now, witness)
        event = self.decide(command, clock)
        if event is not None:
            self.happen(event, date_of(self.state, clock))
        return event

    def happen(self, event: Event, committed_at: datetime | None = None) -> Event:
        """The event's commit lands: it must be valid."""
        committed_at = committed_at or stamp(self.state, self.now)
        wrong = self.problem(event, committed_at)
        assert wrong is None, f"{event!r} is not valid: {wrong}"
        self.state = rules.evolve(self.state, event, committed_at)
        self.past.append(Happened(event, committed_at))
        return event

    def problem(self, event: Event, committed_at: datetime | None = None) -> str | None:
        """Why the event, committed then, would not be valid."""
        return rules.problem(self.state, event, committed_at or stamp(self.state, self.now))

    def event(self, kind: type[Event], session: str, **given: Any) -> Any:
        """An event as somebody could write it by hand: the next seq, the session's run, the time now."""
        common = {"id": self.op(), "seq": self.state.seq + 1, "at": self.now, "run_id": self.runs.get(session, "")}
        return kind(session=session, **{**common, **given})

    def command(self, kind: type[Command], session: str, **given: Any) -> Any:
        """A command of the session's run, asked now."""
        return kind(session=session, **{"op": self.op(), "run_id": self.runs.get(session, ""), "at": self.now, **given})

    # --- what sessions do --------------------------------------------------------------------------------------------

    def start(self, session: str, **given: Any) -> Any:
        """A session starts, or goes on as a new run (`succeeds`)."""
        number = int(self.runs.get(session, f"{session}-0").rpartition("-")[2]) + 1
        run = f"{session}-{number}"
        event = self.ask(StartSession(op=self.op(), session=session, run_id=run, at=self.now, **given))
        assert event is not None
        self.runs[event.session] = run
        return event

    def end(self, session: str, **given: Any) -> Any:
        """A session ends."""
        return self.ask(self.command(EndSession, session, **given))

    def claim(
        self, session: str, *names: str, now: datetime | None = None,
        witness: Callable[[], datetime | None] | None = None, **given: Any,
    ) -> Any:  # fmt: skip
        """A session asks for leases."""
        wanted = tuple(resource(name) for name in names)
        return self.ask(self.command(AcquireClaims, session, resources=wanted, **given), now=now, witness=witness)

    def renew(self, session: str, *names: str, **given: Any) -> Any:
        """A session asks to hold on."""
        return self.ask(self.command(RenewClaims, session, resources=tuple(map(resource, names)), **given))

    def release(self, session: str, *names: str, fence: int | None = None, **given: Any) -> Any:
        """A session gives leases back, under the fences it holds them by (or that fence)."""
        fences = {str(one.resource): one.fence for one in held_by(self.state, session)}
        leases = tuple(f"{fences.get(resource(name), 0) if fence is None else fence} {resource(name)}" for name in names)
        return self.ask(self.command(ReleaseClaims, session, leases=leases, **given))

    def beat(self, session: str, action: str | None = None, **given: Any) -> Any:
        """A session says what it does."""
        return self.ask(self.command(RecordHeartbeat, session, action=action, **given))

    def send(self, session: str, to: str, subject: str, **given: Any) -> Any:
        """A session writes a message."""
        return self.ask(self.command(SendMessage, session, to=to, subject=subject, **given))

    def take(self, session: str, **given: Any) -> Any:
        """A session takes its unread messages."""
        return self.ask(self.command(TakeMessages, session, **given))

    def handoff(self, session: str, to: str = "anyone", *names: str, **given: Any) -> Any:
        """A session offers work, with those of its leases (none named: all)."""
        named = {"leases": tuple(f"0 {resource(name)}" for name in names)} if names else {}
        return self.ask(self.command(OfferHandoff, session, to=to, **named, **given))

    def accept(self, session: str, handoff: Any, **given: Any) -> Any:
        """A session takes a handoff, by its event or its id."""
        named = handoff if isinstance(handoff, str) else handoff.id
        return self.ask(self.command(TakeHandoff, session, handoff=named), **given)

    def supersede(self, session: str, previous: str, **given: Any) -> Any:
        """A session takes the place of a silent one."""
        return self.ask(self.command(SupersedeSession, session, previous=previous), **given)

    def setting(self, session: str, key: str, value: str) -> Any:
        """A session changes a shared setting."""
        return self.ask(self.command(ChangeSetting, session, key=key, value=value))

    # --- looking -----------------------------------------------------------------------------------------------------

    def lease(self, name: str, session: str = "") -> Claim | None:
        """The lease on that resource (`session`: that holder's)."""
        found = [
            one for one in self.state.claims.values() if str(one.resource) == resource(name) and session in ("", one.claimed_by)
        ]
        assert len(found) <= 1
        return found[0] if found else None

    def holds(self, session: str) -> set[str]:
        """What the session holds."""
        return {str(one.resource) for one in held_by(self.state, session)}

    def unread(self, session: str) -> list[Message]:
        """What the session has not taken yet."""
        return unread(self.state, session, self.now)

    def subjects(self, session: str) -> list[str]:
        """The subjects of what it has not taken yet."""
        return [one.subject for one in self.unread(session)]


def plain(state: State) -> dict[str, Any]:
    """The state as plain values: two are equal if they mean the same, however their tables are kept."""
    tables = {name: dict(getattr(state, name).items()) for name in TABLES}
    return {"seq": state.seq, "at": state.at, "branch": state.branch, **tables}


class Line(NamedTuple):
    """One line of a folder."""

    name: str
    oid: str
    folder: bool


class Lines(list[Line]):
    """What lies in a folder."""

    def last_name(self) -> str:
        """The last file's name."""
        return self[-1].name if self and not self[-1].folder else ""


def listing(files: Iterable[str]) -> Callable[[Sequence[str]], list[Lines]]:
    """Lists the folders that hold those files: each folder and file stands under its own path; the root is ""."""
    below: dict[str, dict[str, Line]] = {"": {}}
    for path in files:
        parts = path.split("/")
        for depth in range(len(parts)):
            where, here = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
            below.setdefault(where, {})[parts[depth]] = Line(parts[depth], here, depth + 1 < len(parts))
    return lambda names: [Lines(sorted(below[name].values())) for name in names]
