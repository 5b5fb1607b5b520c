"""What leaves the tree, never the history: at most 64 records a commit, each named in the event.

A wrong clock can't wipe anything: what counts is the *earlier* of the writer's time and the newest sign of life of some
other session. With no other session in the tree nothing is old.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from gitcoord.core import messages, records
from gitcoord.core.addresses import is_group
from gitcoord.core.sessions import close
from gitcoord.core.times import EARLIEST, LATEST
from gitcoord.core.values import is_whole

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

AT_ONCE = 64
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}(\.[0-9]+)?", re.ASCII)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _prefix(when: datetime) -> str:
    """How the ULIDs of that millisecond begin: ten characters, in the order of time."""
    value = int(when.timestamp() * 1000)
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(45, -1, -5))


_FIRST, _LAST = _prefix(EARLIEST), _prefix(LATEST)


def not_made_before(keys: Iterable[str], when: datetime) -> list[str]:
    """The other ids: younger ones, and those that don't tell."""
    limit = _prefix(max(when, EARLIEST))
    return [key for key in keys if not (_FIRST <= key < limit) or not _ULID.fullmatch(key)]


def not_made_since(keys: Iterable[str], when: datetime) -> list[str]:
    """The ids that were made before that instant, and those that don't tell."""
    limit = _prefix(max(when, EARLIEST))
    return [key for key in keys if not (limit <= key < _LAST) or not _ULID.fullmatch(key)]


def agreed_now(state: State, writer: str, at: datetime, host: str | None = None) -> datetime | None:
    """The earlier of `at` and the newest sign of life of another session; None when there is no other.

    Sessions of one machine have one clock: while the tree knows other machines, only those count. `host` is the writer's
    machine where its record doesn't say (it only begins, or goes on elsewhere).
    """
    own = state.sessions.get(writer)
    host = host or (own.host if own else None)
    others = [signs for name, signs in state.sessions.signs() if name != writer]
    elsewhere = [one for one in others if host is None or one.host is None or one.host != host]
    heard = [one.last_heartbeat for one in elsewhere or others]
    return min(at, max(heard)) if heard else None


def _message_is_over(state: State, message: records.Message, before: datetime) -> bool:
    if message.pinned and not message.is_over(before):
        return False
    if message.to == messages.TO_ALL:
        return message.timestamp < before
    if is_group(message.to):
        # Read, it is like one to all. Nobody has: it waits for who comes, unless it was said until when.
        return message.is_over(before) if message.status == "pending" else message.timestamp < before
    if message.read_at is not None:
        return message.read_at < before
    if message.expires_at is not None and message.expires_at < before:
        return True
    receiver = state.sessions.get(message.to)
    return receiver is None or (receiver.ended_at is not None and receiver.ended_at < before)


def _is_over(state: State, entry: str, before: datetime) -> bool:
    """Whether the record may leave: it was over before that instant."""
    table, _, key = entry.partition(" ")
    if table == "heartbeat":
        session = state.sessions.get(key)
        return key in state.heartbeats and (session is None or not session.live)
    if table == "session":
        session = state.sessions.get(key)
        return session is not None and session.ended_at is not None and session.ended_at < before
    if table == "message":
        message = state.messages.get(key)
        return message is not None and _message_is_over(state, message, before)
    if table == "waiting":
        place = state.waiting.get(int(key)) if is_whole(key) else None
        return place is not None and place.until < before + state.rules.retention
    if table == "handoff":
        offer = state.handoffs.get(key)
        return offer is not None and offer.status != "open" and (offer.taken_at or offer.timestamp) < before
    if table == "task":
        task = state.tasks.get(int(key)) if is_whole(key) else None
        return task is not None and not task.is_open and task.done_at is not None and task.done_at < before
    return False


def sweep(state: State, writer: str, now: datetime, host: str | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What this commit takes along: the records to remove (`message 01J…`) and the sessions to end as abandoned."""
    agreed = agreed_now(state, writer, now, host)
    if agreed is None:
        return (), ()
    before = agreed - state.rules.retention
    candidates = [f"heartbeat {key}" for key in state.heartbeats if key not in state.sessions]
    candidates += [
        f"session {key}"
        for key, signs in state.sessions.signs()
        if signs.ended_at is not None and signs.ended_at < before and not signs.live and key != writer
    ]
    candidates += [f"handoff {key}" for key, offer in state.handoffs.items() if offer.status != "open"]
    candidates += [f"waiting {key}" for key, place in state.waiting.items() if place.until < agreed]
    candidates += [f"task {task.seq}" for task in state.tasks.closed(before.date())]
    removed = [entry for entry in candidates if _is_over(state, entry, before)]
    # A ULID tells when its message was made: what is young (nearly all) need not be read. What a clock made that ran ahead stays
    # longer.
    old = not_made_since(state.messages.said(last=before.date()), before)
    for start in range(0, len(old), AT_ONCE):
        if len(removed) >= AT_ONCE:
            break
        read = state.messages.some(old[start : start + AT_ONCE])
        removed += [f"message {one.id}" for one in read if _message_is_over(state, one, before)]
    removed = removed[:AT_ONCE]
    silent = [name for name, signs in state.sessions.signs() if name != writer and signs.live and signs.last_heartbeat < before]
    return tuple(removed), tuple(silent[: AT_ONCE - len(removed)])


def everything_over(state: State, before: datetime) -> tuple[str, ...]:
    """Return all records that were over before that instant, however many (`message 01J…`): none that was made since."""
    entries = [f"heartbeat {key}" for key in state.heartbeats if key not in state.sessions]
    entries += [f"session {key}" for key, signs in state.sessions.signs() if signs.ended_at is not None and signs.ended_at < before]
    entries += [f"handoff {key}" for key in state.handoffs]
    entries += [f"waiting {key}" for key in state.waiting]
    entries += [f"task {task.seq}" for task in state.tasks.closed(before.date())]
    said = state.messages.some(state.messages.said(last=before.date()))
    messages_over = [f"message {one.id}" for one in said if one.timestamp < before and _message_is_over(state, one, before)]
    return (*(entry for entry in entries if _is_over(state, entry, before)), *messages_over)


def sweep_problem(
    state: State,
    writer: str,
    removed: tuple[str, ...],
    abandoned: tuple[str, ...],
    committed_at: datetime,
    host: str | None = None,
) -> str | None:
    """Why the event may not take those along, or None."""
    if not removed and not abandoned:
        return None
    agreed = agreed_now(state, writer, committed_at, host)
    if agreed is None:
        return "nothing can be old without another session's time"
    before = agreed - state.rules.retention
    for entry in removed:
        if not _is_over(state, entry, before):
            return f"{entry} is not over"
    for name in abandoned:
        session = state.sessions.get(name)
        if session is None or not session.live or name == writer or session.last_heartbeat >= before:
            return f"{name} is not abandoned"
    return None


def apply(draft: Draft, removed: tuple[str, ...], abandoned: tuple[str, ...], at: datetime) -> None:
    """Takes the named records out of the state and ends the silent sessions."""
    tables = {"heartbeat": "heartbeats", "session": "sessions", "message": "messages", "handoff": "handoffs"}
    for entry in removed:
        table, _, key = entry.partition(" ")
        if table in tables:
            draft.put(tables[table], key, None)
        elif table in ("waiting", "task") and is_whole(key):
            draft.put("waiting" if table == "waiting" else "tasks", int(key), None)
    for name in abandoned:
        session = draft.session(name)
        if session is not None:
            draft.put("sessions", name, session.model_copy(update={"status": "abandoned", "ended_at": at}))
            close(draft, name)
