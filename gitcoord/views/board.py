"""STATUS_BOARD.md: a pure function of the state at a commit. Absolute times only, so that it says the same everywhere.

Bounded: so many rows a section, so many characters a cell. Everything in it that a session wrote is made inert: it can't be
markup, a link, a mention or an image.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TypeVar

from gitcoord.core import leases, trials
from gitcoord.core.handoffs import ANYONE
from gitcoord.core.inbox import notices
from gitcoord.core.messages import TO_ALL
from gitcoord.core.names import show, unblank
from gitcoord.core.readiness import overview
from gitcoord.core.records import Claim, Handoff, Message, Session, Task, Trial
from gitcoord.core.retention import not_made_before
from gitcoord.core.sessions import standing
from gitcoord.core.state import State
from gitcoord.core.tables import Outline
from gitcoord.views.attention import attention

T = TypeVar("T")

ROWS = 20  # rows a section: a board that fits a screen or two, and a file that stays below 64 KB for ever
CELL = 120  # bytes of anybody's text, escapes included
_ESCAPED = frozenset("\\`*_{}[]()#!|~^$")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SCHEME = re.compile(r"(?i:mailto|xmpp)\Z", re.ASCII)  # those that need no "//" behind them
_WWW = re.compile(r"(?i:www)\Z", re.ASCII)
_JOINER = "\u2060"  # has no width and breaks what a host would make of "@name", "www." or "scheme://"


@lru_cache(maxsize=4096)  # the same texts stand on one board after the other
def inert(text: str, limit: int = CELL) -> str:
    """Text from a session as plain characters of a Markdown cell, at most `limit` bytes long."""
    text = show(unblank(text), limit)
    parts: list[str] = []
    size = 0
    for index, char in enumerate(text):
        part = "\\" + char if char in _ESCAPED else _ENTITIES.get(char, char)
        if char == "@" or (char == ":" and (text[index + 1 : index + 3] == "//" or _SCHEME.search(text[:index]))):
            part += _JOINER
        elif char == "." and _WWW.search(text[:index]):
            part = _JOINER + part
        size += len(part.encode())
        if size > limit - 3:
            return "".join(parts) + "…"
        parts.append(part)
    return "".join(parts)


def _clock(when: datetime, now: datetime) -> str:
    return f"{when:%H:%M} UTC" if when.date() == now.date() else f"{when:%Y-%m-%d %H:%M} UTC"


def _bounded(records: Sequence[T], line: Callable[[T], str], what: str, rows: int = ROWS) -> list[str]:
    """A line for each of the first records, and how many more there are. Only what is shown is laid out."""
    if not records:
        return ["- none"]
    kept = [line(record) for record in records[:rows]]
    if len(records) > rows:
        kept.append(f"- … and {len(records) - rows} more {what}")
    return kept


def render(state: State) -> str:
    """The board of that state, at the time of its newest commit."""
    now = state.at
    everybody = sorted(state.sessions.live(), key=lambda one: (one.start_seq, one.session_id))
    live = [one for one in everybody if standing(one, now, state.rules.quiet_after) != "quiet"]
    quiet = [one for one in everybody if one not in live]
    parts = [
        "# Multi-Session Status Board",
        "",
        f"**Last Updated:** {now:%Y-%m-%d %H:%M:%S} UTC (event {state.seq})  ",
        f"**Active Sessions:** {len(live)}" + (f" ({len(quiet)} quiet)" if quiet else ""),
        "",
        "## ⚠️ Coordination Needed",
        "",
        *_bounded(attention(state, now), lambda item: f"- {inert(item.text, 240)}", "things", 30),
        "",
        "## 🟢 Active Sessions",
        "",
    ]
    several = len({one.repo for one in everybody}) > 1
    for session in live[:ROWS]:
        parts += _session(state, session, now, several=several)
    if not live:
        parts += ["- none", ""]
    if len(live) > ROWS:
        parts += [f"… and {len(live) - ROWS} more sessions", ""]
    if quiet:
        parts += ["## 💤 Quiet Sessions", "", *_bounded(quiet, partial(_quiet, now), "sessions"), ""]
    claims = leases.live(state, now)
    parts += ["## 🔒 Active Claims", "", *_bounded(claims, partial(_claim, now), "claims"), ""]
    if state.rules.tasks.added:
        parts += ["## 📋 Tasks", "", *_tasks(state, now), ""]
    offers = sorted((one for one in state.handoffs.values() if one.status == "open"), key=lambda one: one.seq)
    parts += ["## 📦 Ready To Pick Up", "", *_bounded(offers, partial(_offer, now), "offers"), ""]
    tried = trials.newest(state)
    if tried:
        parts += ["## 🧪 Trials", "", *_bounded(tried, partial(_trial, now), "trials", 5), ""]
    pinned = notices(state, now)
    if pinned:
        parts += ["## 📌 Notices", "", *_bounded(pinned, partial(_notice, now), "notices"), ""]
    recent = sorted(recent_messages(state, now), key=lambda one: (-one.seq, one.id))
    parts += ["## 📬 Recent Messages (Last Hour)", "", *_bounded(recent, _message, "messages"), ""]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = [one for one in state.sessions.ended(midnight) if one.ended_at is not None and one.ended_at.date() == now.date()]
    over = sorted(today, key=lambda one: (one.ended_at or now, one.session_id), reverse=True)
    parts += ["## 🏁 Ended Today", "", *_bounded(over, _ended, "sessions"), ""]
    ignored = [f"- commit {inert(one.commit[:12])} (before event {one.seq}): {inert(one.reason)}" for one in state.rules.ignored]
    if ignored:
        parts += ["## 🚫 Ignored Commits", "", *ignored, ""]
    parts += ["---", "", "Generated by every event; edits are ignored. All times are UTC."]
    return "\n".join(parts) + "\n"


def _carried(session: Session) -> str | None:
    """Return by whom and from where what the session says was adopted last; None for one that pushes by itself."""
    adopter, _, place = (session.carried or "").partition(" ")
    branch, _, commit = place.rpartition("@")
    return f"by {inert(adopter)} from {inert(branch, 80)}@{inert(commit[:12])}" if adopter else None


def _session(state: State, session: Session, now: datetime, *, several: bool) -> list[str]:
    beat = state.heartbeats.get(session.session_id)
    status = inert(session.status) if not session.waiting_for else f"{session.status} for {inert(session.waiting_for)}"
    if beat is not None and beat.action and session.status == "active":
        status = inert(beat.action, 60)
    heard = session.last_heartbeat
    rows: list[tuple[str, str | None]] = [
        ("Status", status),
        ("Working On", _text(session.current_work)),
        ("Phase", _text(session.phase)),
        ("Progress", inert(session.progress, 40) if session.progress else None),
        ("Blocked By", _text(beat.blocked_by) if beat else None),
        ("Carried", _carried(session)),
        ("Last Update", f"{_clock(heard, now)}, fresh until {_clock(heard + state.rules.quiet_after, now)}"),
        ("Next", _text(beat.next_action) if beat else None),
        ("Est. Complete", _clock(beat.estimated_completion, now) if beat and beat.estimated_completion else None),
        ("Repository", _text(session.repo) if several else None),
        ("Where", _where(session)),
    ]
    lines = [f"### {session.session_id} (Started: {_clock(session.started_at, now)})", ""]
    lines += [f"- **{label}:** {value}" for label, value in rows if value]
    return [*lines, ""]


def _quiet(now: datetime, session: Session) -> str:
    work = f": {inert(session.current_work)}" if session.current_work else ""
    return f"- **{session.session_id}**, last heard {_clock(session.last_heartbeat, now)}{work}"


def _text(value: str | None) -> str | None:
    return inert(value) if value else None


def _where(session: Session) -> str | None:
    # A machine is named where it tells one agent from another.
    agent = f"{session.agent} on {session.host}" if session.agent and session.host else session.agent
    parts = [part for part in (agent, session.branch and f"on branch {session.branch}", session.role) if part]
    return inert(", ".join(parts)) if parts else None


def _claim(now: datetime, claim: Claim) -> str:
    extra = [f"fence {claim.fence}"]
    extra += ["shared"] if claim.mode == "shared" else []
    extra += [inert(claim.phase, 60)] if claim.phase else []
    return f"- **{inert(str(claim.resource))}**: {claim.claimed_by} (expires {_clock(claim.expires_at, now)}, {', '.join(extra)})"


def _tasks(state: State, now: datetime) -> list[str]:
    """The sums, then the tasks in work, then those that are ready, as many as the board has room for."""
    every = overview(state, now)
    rows = [f"**{every.words()}**", ""]
    for task, lease in every.work[:ROWS]:
        until = f"{lease.claimed_by} until {_clock(lease.expires_at, now)}"
        rows.append(f"- {_task(task)}: in work, {until}")
    if len(every.work) > ROWS:
        rows.append(f"- … and {len(every.work) - ROWS} more in work")
    for ready in every.first[:ROWS]:
        to = f", for {inert(ready.to, 70)}" if ready.to else ""
        rows.append(f"- {_task(ready)}: ready{to}")
    if every.ready > ROWS:
        rows.append(f"- … and {every.ready - ROWS} more ready")
    return rows if len(rows) > 2 else rows[:1]


def _task(task: Task | Outline) -> str:
    phase = f" ({inert(task.phase, 60)})" if task.phase else ""
    return f"**\\#{task.seq}** {inert(task.title)}{phase}"


def _offer(now: datetime, offer: Handoff) -> str:
    if not offer.by_claim:
        extra = [f"for {inert(offer.to, 70)}"] if offer.to != ANYONE else []
        extra += [f"handoff {offer.seq} of {offer.sender} at {_clock(offer.timestamp, now)}"]
        extra += [f"blocked by {inert(offer.blockers)}"] if offer.blockers else []
        extra += [f"tests {inert(offer.tests, 60)}"] if offer.tests else []
        extra += [f"branch {inert(offer.branch, 60)}"] if offer.branch else []
        extra += [f"with {_few(offer.resources)}"] if offer.resources else []
        return f"- **{inert(offer.about)}** ({', '.join(extra)})"
    what = ", ".join(inert(name, 60) for name in offer.resources[:3])
    then = f" for **{inert(offer.next)}**" if offer.next else ""
    last = [f"left by {offer.sender} at {_clock(offer.timestamp, now)}"]
    last += [f"last phase {inert(offer.phase)}"] if offer.phase else []
    last += [f"tests {inert(offer.tests, 60)}"] if offer.tests else []
    last += [f"files {_few(offer.files)}"] if offer.files else []
    last += [f"for {inert(offer.to, 70)}"] if offer.to != "anyone" else []
    return f"- {what}{then} ({', '.join(last)})"


def _few(files: tuple[str, ...]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(inert(name, 60) for name in files[:3]) + more


def _message(one: Message) -> str:
    return f"- **{one.timestamp:%H:%M}** {one.sender} → {'all' if one.to == TO_ALL else inert(one.to)}: {inert(one.subject)}"


def _trial(now: datetime, trial: Trial) -> str:
    return f"- {inert(trials.verdict(trial), 240)} (by {trial.session_id} at {_clock(trial.timestamp, now)})"


def _notice(now: datetime, one: Message) -> str:
    assert one.expires_at is not None
    return f"- {inert(one.subject)} ({one.sender}, until {_clock(one.expires_at, now)})"


def _ended(one: Session) -> str:
    done = "; ".join(inert(text) for text in one.work_completed[:2]) or inert(one.status)
    return f"- {one.session_id} at {one.ended_at:%H:%M} UTC after {inert(one.total_duration or '?')}: {done}"


def recent_messages(state: State, now: datetime, within: timedelta = timedelta(hours=1)) -> list[Message]:
    """The messages of that long before `now`; an id tells its age, so that old ones need not be read."""
    first = now - within - timedelta(hours=1)
    young = not_made_before(state.messages.said(first=first.date()), first)
    return [one for one in state.messages.some(young) if one.timestamp >= now - within]
