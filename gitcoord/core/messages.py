"""Messages: to one session, to a group or to all, each taken once per session by a committed mark *before* it is shown.

What a session has not taken, what is open and who has read what is told by `core/inbox`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from gitcoord.core import addresses, inbox, names
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.inbox import TO_ALL as TO_ALL
from gitcoord.core.records import Count, Detail, Id, Line, Message, Subject, Text, Word
from gitcoord.core.sessions import acting
from gitcoord.core.times import Instant, spell
from gitcoord.errors import BadInput, Looping, NoSession

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

TYPES = (
    "note", "finding", "work_started", "work_completed", "question", "answer", "release_request", "release_reply",
    "handoff", "alert", "notice",
)  # fmt: skip
SENT = tuple(kind for kind in TYPES if kind not in {"release_request", "release_reply", "handoff"})
"""The types that somebody may choose; the others are made by the request or the handoff that they tell of."""
AT_ONCE = 200  # messages one look takes: what a reader can bear; the rest stays unread
MARKS = 2 * AT_ONCE  # messages of a session that may wait for the word that they were shown
REDELIVER_AFTER = 120  # seconds after which a mark that nothing followed is offered again (protocol, section 9)


class SendMessage(Command):
    """Sends a message to a session, a group or all (`broadcast`)."""

    kind: ClassVar[str] = "message.send"
    deferrable: ClassVar[bool] = True

    to: Line
    subject: Subject
    message: Text = ""
    type: Line = "note"
    details: Annotated[tuple[Line, ...], Field(max_length=64)] = ()
    in_reply_to: Id | None = None
    priority: Line = "normal"
    expires_at: Instant | None = None


class TakeMessages(Command):
    """Marks the session's unread messages as its own to read; `again`: ids taken earlier and never shown.

    `shown`: ids taken earlier that were shown since; `thread`: only what was said in that thread; `limit`: at most so many (0:
    this only tells what was shown).
    """

    kind: ClassVar[str] = "message.take"

    sender: Line | None = None
    type: Line | None = None
    again: tuple[Id, ...] = ()
    shown: tuple[Id, ...] = ()
    thread: Id | None = None
    limit: Annotated[int, Field(ge=0, le=AT_ONCE)] = AT_ONCE


class MessageSent(Event):
    """A message is there."""

    kind: ClassVar[str] = "message.sent"
    needs_session: ClassVar[bool] = False
    talk: ClassVar[bool] = True
    text: ClassVar[str] = "message"
    trailers: ClassVar[dict[str, str]] = {"details": "Detail", "expires_at": "Expires"}

    to: Line
    subject: Subject
    message: Text | None = None
    type: Word = "note"
    details: Annotated[tuple[Detail, ...], Field(max_length=64)] = ()
    in_reply_to: Id | None = None
    thread: Id | None = None
    priority: Word = "normal"
    expires_at: Instant | None = None

    def headline(self) -> str:
        """The commit's subject."""
        return f"message: {self.session} to {self.to}: {self.subject}"

    def evolve(self, draft: Draft) -> None:
        """The message appears; the one that it answers is answered."""
        draft.put(
            "messages",
            self.id,
            Message(
                id=self.id, seq=self.seq, sender=self.session, to=self.to, timestamp=self.at, type=self.type,
                subject=self.subject, message=self.message or "", details=dict(split_detail(one) for one in self.details),
                in_reply_to=self.in_reply_to, thread=self.thread, priority=self.priority, expires_at=self.expires_at,
            ),
        )  # fmt: skip
        asked = draft.message(self.in_reply_to) if self.in_reply_to else None
        if asked is not None and self.type != "question" and self._was_asked(draft, asked):  # a counter-question answers nothing
            draft.put("messages", asked.id, asked.model_copy(update={"status": "answered"}))

    def _was_asked(self, draft: Draft, asked: Message) -> bool:
        """Whether the message was to the one that answers: to itself, or as one of many."""
        record = draft.session(self.session)
        if asked.to == self.session:
            return True
        return record is not None and asked.sender != self.session and addresses.reaches(asked.to, record)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """The sender is a session, and the receiver a session, a group or all. An old run's message harms nobody."""
        if self.session not in state.sessions:
            return f"{self.session} is not a session"
        if not addresses.is_receiver(self.to):
            return f"{self.to} is nobody"
        return None


class MessageRead(Event):
    """A session took messages; from here on they are its to show. `shown`: what it took before and has shown since."""

    kind: ClassVar[str] = "message.read"
    talk: ClassVar[bool] = True
    trailers: ClassVar[dict[str, str]] = {"messages": "Message", "shown": "Shown"}

    messages: Annotated[tuple[Id, ...], Field(max_length=AT_ONCE)] = ()
    shown: Annotated[tuple[Id, ...], Field(max_length=MARKS)] = ()
    read_seq: Count
    read_beyond: Annotated[tuple[Count, ...], Field(max_length=inbox.BEYOND)] = ()

    @property
    def makes(self) -> bool:
        """Nothing: it marks what is there."""
        return False

    def headline(self) -> str:
        """The commit's subject."""
        count = len(self.messages or self.shown)
        return f"read: {self.session} {'takes' if self.messages else 'has shown'} {count} message{'s' if count > 1 else ''}"

    def evolve(self, draft: Draft) -> None:
        """Direct ones are marked, those to a group by who takes them first; the session's cursor over the rest moves."""
        session = draft.session(self.session)
        if session is None:
            return
        for key in self.messages:
            message = draft.message(key)
            if message is None or message.to == TO_ALL or (message.to != self.session and message.read_at is not None):
                continue
            status = "read" if message.status == "pending" else message.status
            draft.put("messages", key, message.model_copy(update={"status": status, "read_at": self.at}))
        moved = {"read_seq": max(session.read_seq, self.read_seq), "read_beyond": self.read_beyond}
        draft.put("sessions", self.session, session.model_copy(update=moved))

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Own mail only, and the cursor doesn't go back."""
        if not self.messages and not self.shown:
            return "it reads nothing"
        session = state.sessions[self.session]
        for message in state.messages.some(key for key in self.messages if key in state.messages):
            if not addresses.reaches(message.to, session):
                return f"message {message.id} is for {message.to}"
        return None if state.sessions[self.session].read_seq <= self.read_seq < self.seq else "the cursor can't be there"


def parted(text: str) -> tuple[str, str]:
    """Return subject and text of what was said in one piece: its first line, made inert and cut, and the whole unless that is all.

    Raises BadInput where nothing was said.
    """
    whole = text.strip()
    first = next((line.strip() for line in whole.splitlines() if line.strip()), "")
    subject = names.show(first, names.SUBJECT_LIMIT)
    if not subject.strip():
        raise BadInput("a message needs words", hint='gitcoord send session-002 "Can I help?"')
    return subject, "" if subject == whole else text


def split_detail(entry: str) -> tuple[str, str]:
    """Key and value of `key=value`."""
    key, _, value = entry.partition("=")
    return key, value


def decide_send(state: State, command: SendMessage, clock: Clock) -> Event | None:
    """Sends. Raises NoSession when the sender or the receiver isn't known, BadInput for a reply to nothing."""
    if command.session not in state.sessions:
        raise NoSession(f"no session is called {command.session}", hint="gitcoord start")
    if command.to != TO_ALL and not addresses.is_group(command.to) and command.to not in state.sessions:
        raise NoSession(f"no session is called {names.show(command.to, 70)}", hint="gitcoord peers")
    receiver = state.sessions.get(command.to)
    if command.type == "question" and receiver is not None and not receiver.live:
        when = f" {spell(receiver.ended_at)}" if receiver.ended_at else ""
        notes = f"; it left: {names.show(receiver.handoff_notes, 400)}" if receiver.handoff_notes else ""
        raise NoSession(
            f"{command.to} has ended{when} and can't answer{notes}",
            hint="gitcoord peers",
            data={"handoff_notes": receiver.handoff_notes, "messages": []},
        )
    thread = None
    if command.in_reply_to is not None:
        asked = state.messages.get(command.in_reply_to)
        if asked is None:
            raise BadInput(f"no message {command.in_reply_to} is in reach to reply to", hint="gitcoord inbox --all")
        thread = asked.thread or asked.id
        _damp(state, command, asked)
    return MessageSent(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, to=command.to,
        subject=command.subject, message=command.message or None, type=command.type, details=command.details,
        in_reply_to=command.in_reply_to, thread=thread, priority=command.priority, expires_at=command.expires_at,
    )  # fmt: skip


def _damp(state: State, command: SendMessage, asked: Message) -> None:
    """Raises Looping when the two have answered each other's answers for too long."""
    limit = state.rules.settings.talk_limit
    if limit and inbox.answers_in_a_row(state, command.session, asked, limit + 1) > limit:
        raise Looping(
            f"{command.session} and {asked.sender} have answered each other {limit} times, and neither did anything else: "
            "this was not sent",
            hint="do some work first (a claim, a heartbeat, a commit), or ask a person; gitcoord inbox --all shows what was said",
        )


def decide_take(state: State, command: TakeMessages, clock: Clock) -> Event | None:
    """Takes what is unread (and what was taken but never shown); nothing unread: no event."""
    session = acting(state, command)
    everything = inbox.unread(state, command.session, clock.now)
    again = [
        one.id
        for one in state.messages.some([key for key in command.again if key in session.taken and key in state.messages])
        if addresses.reaches(one.to, session)  # it may have left the group meanwhile
    ][: command.limit]
    wanted = inbox.matching(everything, command.sender, command.type, command.thread)
    wanted = [one for one in wanted if one.id not in again][: command.limit - len(again)]
    keys = tuple(dict.fromkeys([*again, *(message.id for message in wanted)]))
    shown = tuple(key for key in command.shown if key in session.taken and key not in keys)[:MARKS]
    if not keys and (command.limit or not shown):
        return None
    chosen = set(keys)
    cursor, beyond = inbox.move(
        state, session, taken=wanted, left=[message for message in everything if message.id not in chosen], now=clock.now
    )
    return MessageRead(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, messages=keys,
        shown=shown, read_seq=cursor, read_beyond=beyond,
    )  # fmt: skip
