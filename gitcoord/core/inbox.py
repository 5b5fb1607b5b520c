"""Whose a message is: what a session has not taken, what is open, who has read it, and when talking goes round in circles.

A message to all or to a group is one record. Each session's cursor (`read_seq`, `read_beyond`) says which of them it took.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gitcoord.core import addresses
from gitcoord.core.records import ASKING, NOTICE, QUESTION

if TYPE_CHECKING:
    from gitcoord.core.records import Message, Session
    from gitcoord.core.state import State

TO_ALL = addresses.TO_ALL
_MADE = frozenset({"release_request", "release_reply", "handoff"})  # told by what they come from
_PRESSING = ASKING | {NOTICE, "alert"}
_EARLY = 64  # messages from before its start that a session is known to have taken, beside those that are still pinned
BEYOND = 16_384  # messages that a session has taken beyond one that it left: what its record can hold
_PERSON = "human-"


def receivers(session: Session) -> list[str]:
    """Everything that is for the session too: itself, all, and its groups."""
    found = [session.session_id, TO_ALL, *(f"cap:{one}" for one in session.capabilities)]
    found += [f"{kind}:{name}" for kind, name in (("role", session.role), ("repo", session.repo)) if name]
    return [one for one in dict.fromkeys(found) if addresses.is_receiver(one)]


def is_unread(message: Message, session: Session, now: datetime) -> bool:
    """Whether that session is still to be given the message.

    One to a group or to all is for each of its sessions that was there when it was sent: its cursor has not passed it. A pinned
    notice is for those too that start later, and what nobody of a group has taken yet for whoever joins it.
    """
    if message.is_over(now) or not addresses.reaches(message.to, session):
        return False
    if message.to == session.session_id:
        return message.read_at is None
    if message.sender == session.session_id or message.seq in session.read_beyond:
        return False
    if addresses.is_group(message.to):
        if message.type == QUESTION and message.status == "answered":
            return False
        if message.status == "pending":
            return True
    return message.seq > session.read_seq or (message.pinned and message.seq < session.start_seq)


def unread(state: State, session: str, now: datetime) -> list[Message]:
    """What the session hasn't taken yet, in order."""
    record = state.sessions.get(session)
    if record is None:
        return []
    found = [
        one for one in state.messages.coming(record.read_seq, *receivers(record)) if is_unread(one, record, now)
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.seq, one.id))


def move(
    state: State, session: Session, *, taken: Sequence[Message], left: Sequence[Message], now: datetime
) -> tuple[int, tuple[int, ...]]:
    """The session's cursor once it took those and left these: up to the first that stays unread, and what it took beyond.

    What it took of the time before its start is kept there too, as long as it could be given it again.
    """
    shared = [one for one in taken if one.to != session.session_id]
    ahead = [one.seq for one in left if one.to != session.session_id and one.seq > session.read_seq]
    cursor = max(session.read_seq, min(ahead, default=state.seq + 1) - 1)
    seen = {*session.read_beyond, *(one.seq for one in shared)}
    early = sorted(seq for seq in seen if seq < session.start_seq)
    pinned = {one.seq for one in state.messages.coming(state.seq, TO_ALL, *receivers(session)) if one.pinned} if early else set()
    kept = [seq for seq in early if seq in pinned] + [seq for seq in early if seq not in pinned][-_EARLY:]
    return cursor, tuple(sorted({*kept, *(seq for seq in seen if seq > cursor)}))[-BEYOND:]


def presses(message: Message) -> bool:
    """Whether a session should hear of it at once: it is to this one or its groups, or asks, warns or is pinned; what all are told
    of the work of others can wait for the next look.
    """
    return message.to != TO_ALL or message.type in _PRESSING or message.priority == "urgent"


def matching(found: Iterable[Message], sender: str | None, kind: str | None, thread: str | None = None) -> list[Message]:
    """Those from that sender, of that type, in that thread; None: any."""
    return [one for one in found if sender in (None, one.sender) and kind in (None, one.type) and thread in (None, one.thread)]


def open_questions(found: Iterable[Message], now: datetime) -> list[Message]:
    """Those that still wait for an answer."""
    return [one for one in found if one.type == QUESTION and one.asks and not one.is_over(now)]


def to_answer(state: State, session: str, now: datetime) -> list[Message]:
    """The open questions that the session could answer, the oldest first: those to it and its groups; if there are none, those
    that were put to all since it started.
    """
    record = state.sessions.get(session)
    if record is None:
        return []
    found = open_questions(state.messages.coming(state.seq, *receivers(record)), now)
    found = sorted((one for one in found if one.sender != session), key=lambda one: (one.seq, one.id))
    near = [one for one in found if one.to != TO_ALL]
    return near or [one for one in found if one.seq > record.start_seq]


def newest_unanswered(state: State, session: str) -> Message | None:
    """Return the newest message to the session or one of its groups, not to all, that nobody it is for has answered; None: there is
    none. Requests are answered otherwise.
    """
    record = state.sessions.get(session)
    names = [to for to in receivers(record) if to != TO_ALL] if record is not None else []
    found = (one for one in state.messages.to(*names) if one.sender != session and one.status != "answered")
    return max((one for one in found if one.type not in _MADE), key=lambda one: (one.seq, one.id), default=None)


def notices(state: State, now: datetime) -> list[Message]:
    """The notices to all that are pinned, the newest first."""
    found = [one for one in state.messages.coming(state.seq, TO_ALL) if one.pinned and not one.is_over(now)]
    return sorted(found, key=lambda one: (-one.seq, one.id))


def read_by(state: State, message: Message) -> tuple[str, ...]:
    """The sessions that have taken it, by name: the receiver, or those whose cursor has passed it."""
    if message.to == TO_ALL or addresses.is_group(message.to):
        if message.to != TO_ALL and message.read_at is None:
            return ()
        return tuple(sorted(name for name, one in state.sessions.items() if _has_passed(message, one)))
    return (message.to,) if message.read_at is not None else ()


def _has_passed(message: Message, session: Session) -> bool:
    if message.sender == session.session_id or not addresses.reaches(message.to, session):
        return False
    return message.seq in session.read_beyond or session.start_seq < message.seq <= session.read_seq


def members(state: State, to: str, *, but: str = "") -> list[str]:
    """The live sessions that a receiver names, without one of them."""
    return sorted(one.session_id for one in state.sessions.live() if one.session_id != but and addresses.reaches(to, one))


def answers_in_a_row(state: State, session: str, asked: Message, limit: int) -> int:
    """How many answers to answers there are, if the session replies to that one: only of these two, and since either of them
    last worked. No more than `limit` are counted. A person counts as nobody: talking with one is no circle.
    """
    other = asked.sender
    if session == other or any(name.startswith(_PERSON) for name in (session, other)):
        return 0
    worked = max((known.worked_seq for name in (session, other) if (known := state.sessions.get(name))), default=0)
    count, one, sender = 0, asked, other
    while one.in_reply_to is not None and one.sender == sender and one.seq > worked and "via" not in one.details and count < limit:
        count += 1
        before = state.messages.get(one.in_reply_to)
        sender = session if sender == other else other
        if before is None:
            break
        one = before
    return count
