"""STATUS_BOARD.md: a pure function of the state at a commit. Absolute times only, so that it says the same everywhere.

Bounded: so many rows a section, so many characters a cell. Everything in it that a session wrote is made inert: it can't be
markup, a link, a mention or an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from gitcoord.core.housekeeping import id_time
from gitcoord.core.leases import Claim
from gitcoord.core.messages import TO_ALL, Message
from gitcoord.core.names import show
from gitcoord.core.sessions import Session
from gitcoord.core.state import State
from gitcoord.views.attention import attention

ROWS = 20  # rows a section: a board that fits a screen or two, and a file that stays below 64 KB for ever
CELL = 120  # bytes of anybody's text, escapes included
_ESCAPED = frozenset("\\`*_{}[]()#!|~^$")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SCHEMES = ("mailto", "xmpp")  # those that need no "//" behind them
_JOINER = "\u2060"  # has no width and breaks what a host would make of "@name", "www." or "scheme://"


def inert(text: str, limit: int = CELL) -> str:
    """Text from a session as plain characters of a Markdown cell, at most `limit` bytes long."""
    text = show(" ".join(text.split()), limit)
    parts: list[str] = []
    size = 0
    for index, char in enumerate(text):
        part = "\\" + char if char in _ESCAPED else _ENTITIES.get(char, char)
        if char == "@" or (char == ":" and (text[index + 1 : index + 3] == "//" or text[:index].lower().endswith(_SCHEMES))):
            part += _JOINER
        elif char == "." and text[max(0, index - 3) : index].lower() == "www":
            part = _JOINER + part
        size += len(part.encode())
        if size > limit - 3:
            return "".join(parts) + "…"
        parts.append(part)
    return "".join(parts)


def _clock(when: datetime, now: datetime) -> str:
    return f"{when:%H:%M} UTC" if when.date() == now.date() else f"{when:%Y-%m-%d %H:%M} UTC"


def _bounded(lines: Sequence[str], what: str, rows: int = ROWS) -> list[str]:
    if not lines:
        return ["- none"]
    kept = list(lines[:rows])
    if len(lines) > rows:
        kept.append(f"- … and {len(lines) - rows} more {what}")
    return kept


def render(state: State) -> str:
    """The board of that state, at the time of its newest commit."""
    now = state.at
    live = sorted((one for one in state.sessions.values() if one.live), key=lambda one: (one.start_seq, one.session_id))
    parts = [
        "# Multi-Session Status Board",
        "",
        f"**Last Updated:** {now:%Y-%m-%d %H:%M:%S} UTC (event {state.seq})  ",
        f"**Active Sessions:** {len(live)}",
        "",
        "## ⚠️ Coordination Needed",
        "",
        *_bounded([f"- {inert(item.text, 240)}" for item in attention(state, now)], "things", 30),
        "",
        "## 🟢 Active Sessions",
        "",
    ]
    for session in live[:ROWS]:
        parts += _session(state, session, now)
    if not live:
        parts += ["- none", ""]
    if len(live) > ROWS:
        parts += [f"… and {len(live) - ROWS} more sessions", ""]
    claims = sorted(state.claims.values(), key=lambda one: (one.resource, one.fence, one.claimed_by))
    parts += ["## 🔒 Active Claims", "", *_bounded([_claim(claim, now) for claim in claims], "claims"), ""]
    offers = sorted((one for one in state.handoffs.values() if one.status == "open"), key=lambda one: one.seq)
    ready = []
    for offer in offers:
        what = ", ".join(inert(name, 60) for name in offer.resources[:3])
        then = f" for **{inert(offer.next)}**" if offer.next else ""
        last = [f"left by {offer.sender} at {_clock(offer.timestamp, now)}"]
        last += [f"last phase {inert(offer.phase)}"] if offer.phase else []
        last += [f"tests {offer.tests}"] if offer.tests else []
        last += [f"for {inert(offer.to, 70)}"] if offer.to != "anyone" else []
        ready.append(f"- {what}{then} ({', '.join(last)})")
    parts += ["## 📦 Ready To Pick Up", "", *_bounded(ready, "offers"), ""]
    recent = sorted(recent_messages(state, now), key=lambda one: (-one.seq, one.id))
    notes = [
        f"- **{one.timestamp:%H:%M}** {one.sender} → {'all' if one.to == TO_ALL else one.to}: {inert(one.subject)}"
        for one in recent
    ]
    parts += ["## 📬 Recent Messages (Last Hour)", "", *_bounded(notes, "messages"), ""]
    today = [one for one in state.sessions.values() if one.ended_at is not None and one.ended_at.date() == now.date()]
    over = []
    for one in sorted(today, key=lambda one: (one.ended_at or now, one.session_id), reverse=True):
        done = "; ".join(inert(text) for text in one.work_completed[:2]) or one.status
        over.append(f"- {one.session_id} at {one.ended_at:%H:%M} UTC after {one.total_duration or '?'}: {done}")
    parts += ["## 🏁 Ended Today", "", *_bounded(over, "sessions"), ""]
    ignored = [f"- commit {one.commit[:12]} (before event {one.seq}): {inert(one.reason)}" for one in state.rules.ignored]
    if ignored:
        parts += ["## 🚫 Ignored Commits", "", *ignored, ""]
    parts += ["---", "", "Generated by every event; edits are ignored. All times are UTC."]
    return "\n".join(parts) + "\n"


def _session(state: State, session: Session, now: datetime) -> list[str]:
    beat = state.heartbeats.get(session.session_id)
    status = session.status if not session.waiting_for else f"{session.status} for {inert(session.waiting_for)}"
    if beat is not None and beat.action and session.status == "active":
        status = inert(beat.action, 60)
    heard = session.last_heartbeat
    rows: list[tuple[str, str | None]] = [
        ("Status", status),
        ("Working On", _text(session.current_work)),
        ("Phase", _text(session.phase)),
        ("Progress", inert(session.progress, 40) if session.progress else None),
        ("Blocked By", _text(beat.blocked_by) if beat else None),
        ("Last Update", f"{_clock(heard, now)}, fresh until {_clock(heard + state.rules.quiet_after, now)}"),
        ("Next", _text(beat.next_action) if beat else None),
        ("Est. Complete", _clock(beat.estimated_completion, now) if beat and beat.estimated_completion else None),
        ("Where", _where(session)),
    ]
    lines = [f"### {session.session_id} (Started: {_clock(session.started_at, now)})", ""]
    lines += [f"- **{label}:** {value}" for label, value in rows if value]
    return [*lines, ""]


def _text(value: str | None) -> str | None:
    return inert(value) if value else None


def _where(session: Session) -> str | None:
    parts = [part for part in (session.agent, session.branch and f"on branch {session.branch}", session.role) if part]
    return inert(", ".join(parts)) if parts else None


def _claim(claim: Claim, now: datetime) -> str:
    extra = [f"fence {claim.fence}"]
    extra += ["shared"] if claim.mode == "shared" else []
    extra += [inert(claim.phase, 60)] if claim.phase else []
    over = "expired" if claim.expires_at <= now else "expires"
    return (
        f"- **{claim.resource_type}/{inert(claim.resource_name)}**: {claim.claimed_by} "
        f"({over} {_clock(claim.expires_at, now)}, {', '.join(extra)})"
    )


def recent_messages(state: State, now: datetime, within: timedelta = timedelta(hours=1)) -> list[Message]:
    """The messages of that long before `now`; an id tells its age, so that old ones need not be read."""
    young = [key for key in state.messages if (id_time(key) or now) >= now - within - timedelta(hours=1)]
    found: Iterable[Message] = (state.messages[key] for key in young)
    return [one for one in found if one.timestamp >= now - within]
