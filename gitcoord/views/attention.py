"""What a person should look at: detected from the state, never a constant. A pure function of state and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitcoord.core.housekeeping import id_time
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.state import State

EXPIRES_SOON = timedelta(minutes=10)
UNANSWERED_AFTER = timedelta(minutes=15)
UNANSWERED_WITHIN = timedelta(days=2)  # an older unanswered message is history, not news
_PAIRS = 200  # overlaps looked at before the list is long enough


@dataclass(frozen=True)
class Item:
    """One thing to look at. `kind` is a stable word for programs, `text` one line for people."""

    kind: str
    text: str
    sessions: tuple[str, ...] = ()
    resource: str | None = None


def attention(state: State, now: datetime, bad: Iterable[tuple[str, str]] = ()) -> list[Item]:
    """Everything that needs somebody: bad commits, who waits or is blocked, overlapping work, silent holders, leases about
    to expire, unanswered messages. `bad`: commits (name, reason) behind which no good one stands yet.
    """
    return [
        *(Item("bad_commit", f"commit {oid[:12]} is ignored: {reason}; the next event mends it") for oid, reason in bad),
        *_waiting(state),
        *_overlaps(state, now),
        *_leases(state, now),
        *_unanswered(state, now),
    ]


def _waiting(state: State) -> list[Item]:
    found: list[Item] = []
    for name, session in sorted(state.sessions.items()):
        if not session.live:
            continue
        beat = state.heartbeats.get(name)
        if session.status == "waiting":
            found.append(Item("waiting", f"{name} waits for {_a(session.waiting_for or 'somebody')}", (name,)))
        if beat is not None and (beat.blocked_by or beat.action == "blocked"):
            found.append(Item("blocked", f"{name} is blocked by {beat.blocked_by or 'something'}", (name,)))
    return found


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _overlaps(state: State, now: datetime) -> list[Item]:
    """Files touched by two live sessions lately, with no claim of either that covers them."""
    touched: dict[str, list[str]] = {}
    for name, beat in sorted(state.heartbeats.items()):
        session = state.sessions.get(name)
        if session is None or not session.live or now - beat.timestamp > timedelta(hours=12):
            continue
        for path in beat.files_touched:
            touched.setdefault(path, []).append(name)
    found: list[Item] = []
    for path, names in sorted(touched.items()):
        if len(names) < 2 or len(found) >= _PAIRS:
            continue
        resource = Resource("file", path)
        covered = any(lease.claimed_by in names and overlaps(lease.resource, resource) for lease in state.claims.values())
        if not covered:
            text = f"{' and '.join(names)} touched {path}, and none of them claims it"
            found.append(Item("overlap", text, tuple(names), str(resource)))
    return found


def _leases(state: State, now: datetime) -> list[Item]:
    found = []
    for lease in sorted(state.claims.values(), key=lambda one: (one.resource, one.fence)):
        holder = state.sessions.get(lease.claimed_by)
        heard = max(lease.renewed_at, holder.last_heartbeat) if holder else lease.renewed_at
        who, what = lease.claimed_by, str(lease.resource)
        if lease.expires_at <= now:
            free = "free to take over" if now > lease.expires_at + state.rules.grace else "its grace is running"
            text = f"the claim of {who} on {what} expired {lease.expires_at:%Y-%m-%d %H:%M} UTC: {free}"
            found.append(Item("expired", text, (who,), what))
        elif now - heard >= state.rules.quiet_after:
            text = f"{who} holds {what} and was last heard {heard:%Y-%m-%d %H:%M} UTC"
            found.append(Item("silent_holder", text, (who,), what))
        elif lease.expires_at - now <= EXPIRES_SOON:
            text = f"the claim of {who} on {what} expires {lease.expires_at:%H:%M} UTC"
            found.append(Item("expires_soon", text, (who,), what))
    return found


def _unanswered(state: State, now: datetime) -> list[Item]:
    """Direct messages that nobody took, and questions that nobody answered."""
    found = []
    young = [key for key in state.messages if (id_time(key) or now) >= now - UNANSWERED_WITHIN]
    for message in sorted(state.messages.direct(young), key=lambda one: (one.seq, one.id)):
        if message.status == "answered":
            continue
        receiver = state.sessions.get(message.to)
        age = now - message.timestamp
        if receiver is None or not receiver.live or not UNANSWERED_AFTER <= age <= UNANSWERED_WITHIN:
            continue
        people = (message.sender, message.to)
        if message.type == "question":
            text = f"{message.to} has not answered {message.sender}: {message.subject}"
            found.append(Item("unanswered", text, people))
        elif message.read_at is None:
            text = f"{message.to} has not read {message.sender}: {message.subject}"
            found.append(Item("unread", text, people))
    return found
