"""`gitcoord status`: show who does what now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitcoord.cli import colours, moments
from gitcoord.cli.arguments import At, past_point
from gitcoord.cli.connect import (
    answer,
    connection,
    left_out,
    looked_at,
    mark_unverified,
    options,
    others_words,
    out,
    table,
    wrapped,
)
from gitcoord.connection.connect import Connection
from gitcoord.coordinator.branch import Status
from gitcoord.coordinator.speakers import Speakers
from gitcoord.core import inbox, leases, queue, readiness, trials
from gitcoord.core.names import counted, show
from gitcoord.core.records import Claim, Session
from gitcoord.core.sessions import standing, standing_and_way
from gitcoord.core.times import spell
from gitcoord.views import as_json, needs, speakers
from gitcoord.views.board import recent_messages

_NAMED = 10  # lines of a list
_OVER = 3  # leases that are over: they are in nobody's way
_HELD = 3  # leases that a session's row names
_TIMED = {"waiting", "silent_holder"}  # kinds whose text has a time
_COLUMNS = [
    "SESSION", "REPOSITORY", "STATUS", "WORK", "PHASE", "PROGRESS", "TASK", "HOLDS", "BRANCH", "AGENT", "MACHINE", "HEARD", "SINCE",
    "SIGNED",
]  # fmt: skip
_GLANCE = ["SESSION", "REPOSITORY", "STATUS", "DOES", "HEARD"]  # in a terminal the rest stands below
_PRESSING = {"blocked", "conflict", "look_alike", "red", "trespass"}


def status(
    everything: Annotated[bool, typer.Option("--all", help="Ended sessions and older messages too.")] = False,
    repo: Annotated[str | None, typer.Option(metavar="NAME", help="Only what concerns that repository of a hub.")] = None,
    at: At = None,
) -> None:
    """Show who does what now: yours first."""
    point = past_point(at)
    with connection(unverified=point is None) as found:
        now = found.coordinator.speakers.status(repo=repo, at=point)
        mark_unverified(found)
        if options.json:
            answer(_status(found.coordinator.speakers, now, everything=everything))
        else:
            with others_words():
                _print_status(found, now, everything=everything, own=repo is None and point is None, past=point is not None)


def _status(says: Speakers, now: Status, *, everything: bool) -> dict[str, Any]:
    state = now.state
    notes = sorted(state.messages.values() if everything else recent_messages(state, now.as_of), key=lambda one: (one.seq, one.id))
    sessions = list(state.sessions.values() if everything else state.sessions.live())
    return {
        "as_of": spell(now.as_of),
        "tip": now.tip,
        "seq": now.seq,
        "fetched": now.read_at is not None,
        "sessions": [
            {
                **as_json.record(one),
                "quiet": standing(one, now.as_of, state.rules.quiet_after) == "quiet",
                "heartbeat": as_json.record(state.heartbeats[one.session_id]) if one.session_id in state.heartbeats else None,
                **speakers.record(says.of_session(one)),
            }
            for one in sorted(sessions, key=lambda one: (one.start_seq, one.session_id))
        ],
        "claims": [{**as_json.claim(one), **says.record(one.fence, one.claimed_by)} for one in leases.live(state, now.as_of)],
        "over": [as_json.claim(one) for one in leases.over(state, now.as_of)],
        "waiting": [
            *(
                {**as_json.record(one), "waiting_for": "claim", "place": queue.number(state, one, now.as_of)}
                for one in queue.line(state, now.as_of)
            ),
            *(
                {"session_id": one.session_id, "waiting_for": one.waiting_for}
                for one in sessions
                if one.live and one.status == "waiting" and one.waiting_for != "claim"
            ),
        ],
        "tasks": as_json.sums(readiness.overview(state, now.as_of)),
        "trials": [as_json.trial(one) for one in trials.newest(state)],
        "conflicts": [as_json.record(one) for one in sorted(state.conflicts.values(), key=lambda one: one.seq)],
        "handoffs": [as_json.record(one) for one in state.handoffs.values() if everything or one.status == "open"],
        "messages": [{**as_json.message(one), **says.record(one.seq, one.sender)} for one in notes],
        "notices": [{**as_json.message(one), **says.record(one.seq, one.sender)} for one in inbox.notices(state, now.as_of)],
        "attention": [as_json.item(one) for one in now.attention],
    }


def _print_status(found: Connection, now: Status, *, everything: bool, own: bool, past: bool) -> None:
    state, me = now.state, found.coordinator.actor.session
    moments.as_of(now.as_of)
    if past:
        out(f"as of {spell(now.as_of)} (event {now.seq})")
    elif now.read_at is None:
        out(f"as known {moments.moment(state.at)} (event {now.seq})")
    if me and own:
        _print_own(now, me, found.coordinator.speakers)
    pinned = [note for note in inbox.notices(state, now.as_of) if note.expires_at]
    if pinned:
        out("notices:", colours.HEADING)
        for note in pinned[:_NAMED]:
            out(f"  {show(note.subject, 120)} ({note.sender}, {moments.until(note.expires_at)})" if note.expires_at else "")
        left_out(len(pinned) - _NAMED, "notices")
        out("")
    _print_attention(now)
    if looked_at() and not state.sessions and not state.claims:
        out("nobody is here yet: gitcoord start NAME begins a session")
        return
    _print_sessions(found, now, everything=everything)
    out("")
    _print_claims(now, me, found.coordinator.speakers)
    if state.rules.tasks.added:
        every = readiness.overview(state, now.as_of)
        out("")
        out(f"tasks: {every.words()}")
        for task in every.first[:3]:
            wrapped(f"  ready: #{task.seq} {show(task.title, 100)}" + (f" (for {task.to})" if task.to else ""))
        if every.ready > 3:
            out(f"  … and {every.ready - 3} more: gitcoord tasks --ready")
    tried = trials.newest(state)
    if tried:
        out("")
        for trial in tried[:3]:
            wrapped(f"trial: {show(trials.verdict(trial), 160)} ({trial.session_id}, {moments.moment(trial.timestamp)})")
        left_out(len(tried) - 3, "trials")
    ready = [one for one in state.handoffs.values() if one.status == "open"]
    if ready:
        out("")
        out("ready to pick up:", colours.HEADING)
        for offer in sorted(ready, key=lambda one: one.seq)[:_NAMED]:
            wrapped(f"  {as_json.offer_line(offer)}")
        left_out(len(ready) - _NAMED, "that are ready")


def _print_own(now: Status, me: str, says: Speakers) -> None:
    """Print what the session that asks holds, waits for and has not read."""
    state = now.state
    known = state.sessions.get(me)
    mine = sorted((one for one in leases.live(state, now.as_of) if one.claimed_by == me), key=lambda one: one.fence)
    unread = inbox.unread(state, me, now.as_of)
    work = f": {known.current_work}" if known and known.current_work else ""
    out(f"you are {me}{show(work, 100)}, with {counted(len(mine), 'claim')} and {counted(len(unread), 'unread message')}")
    for one in mine[:_NAMED]:
        what = "are offered" if one.offered_until else "hold"
        out(f"  {what} {one.resource} {moments.until(one.expires_at)} (fence {one.fence})", colours.MINE)
    left_out(len(mine) - _NAMED, "that you hold")
    for place in queue.line(state, now.as_of):
        if place.session_id == me:
            line = queue.tell(state, me, place.wanted, place.mode, now.as_of, any_of=place.any_of)
            out(f"  {moments.in_words(line)}", colours.WAITING)
    for note in unread[:5]:
        who = speakers.marked(note.sender, says.mark(note.seq, note.sender))
        wrapped(f"  unread #{note.seq} from {who}: {show(note.subject, 100)}")
    if len(unread) > 5:
        out(f"  … and {len(unread) - 5} more: gitcoord inbox")
    out("")


def _print_attention(now: Status) -> None:
    """Print what needs somebody, in the order of the board. What is over or about to run out stands under the claims."""
    items, rest = needs.chosen(needs.ordered(now.attention), _NAMED)
    if not items:
        return
    out("needs attention:", colours.HEADING)
    for item in items:
        text = moments.in_words(item.text) if item.kind in _TIMED else item.text  # the others quote what sessions wrote
        since = f" ({moments.moment(item.since)})" if item.since is not None else ""
        wrapped(f"  {show(text, 160)}{since}", colours.BLOCKED if item.kind in _PRESSING else "")
    if rest:
        wrapped(f"  … {rest} (--json has them all)")
    out("")


def _print_sessions(found: Connection, now: Status, *, everything: bool) -> None:
    """Print who is there, in the order in which they came: what each does and holds, where, and since when."""
    state, me = now.state, found.coordinator.actor.session
    sessions = state.sessions.values() if everything else state.sessions.live()
    says = found.coordinator.speakers
    every = [_Row(now, one, says) for one in sorted(sessions, key=lambda one: (one.start_seq, one.session_id))]
    columns = _COLUMNS
    if looked_at():
        columns = _GLANCE
    elif options.agent:  # what each holds follows below, and an agent pays for each letter
        columns = [header for header in _COLUMNS if header not in {"TASK", "HOLDS", "BRANCH", "SINCE"}]
    absent = set() if found.settings.hub else {"REPOSITORY"}
    absent |= set() if any(row.signed for row in every) else {"SIGNED"}
    headers = [header for header in columns if header not in absent]
    table(
        headers, [[row.cell(header, me) for header in headers] for row in every], title="sessions",
        firm=["SESSION", "STATUS", "HEARD"],
        meanings=[colours.MINE if row.session.session_id == me else row.meaning for row in every],
        below=[row.below for row in every],
    )  # fmt: skip


class _Row:
    """A session as status shows it."""

    def __init__(self, now: Status, session: Session, says: Speakers) -> None:
        self.session = session
        self.signed = speakers.mark(session.session_id, says.of_session(session))
        beat = now.state.heartbeats.get(session.session_id)
        held = [one for one in leases.live(now.state, now.as_of) if one.claimed_by == session.session_id]
        numbers = [number for one in held if (number := readiness.number(one.resource)) is not None]
        named = [one.resource.name if one.resource.type == "file" else str(one.resource) for one in held]
        self.task = f"#{numbers[0]}" if numbers else ""
        self.holds = ", ".join(named[:_HELD]) + (f" and {len(named) - _HELD} more" if len(named) > _HELD else "")
        self.stands = standing_and_way(session, now.as_of, now.state.rules.quiet_after)
        self.blocked = session.live and beat is not None and (beat.action == "blocked" or bool(beat.blocked_by))
        self.blocked_by = (beat.blocked_by if beat is not None else None) or "something"

    def cell(self, header: str, me: str) -> str:
        """Return what stands in that column. `me`: the session that asks."""
        one = self.session
        does = f"blocked by {self.blocked_by}" if self.blocked else ""
        texts = {
            "SESSION": one.session_id + (" *" if one.session_id == me else ""), "REPOSITORY": one.repo, "STATUS": self.stands,
            "DOES": ", ".join(filter(None, [does, one.current_work, one.phase, one.progress])), "WORK": one.current_work,
            "PHASE": one.phase, "PROGRESS": one.progress, "TASK": self.task, "HOLDS": self.holds, "BRANCH": one.branch,
            "AGENT": one.agent, "MACHINE": one.host, "HEARD": moments.moment(one.last_heartbeat),
            "SINCE": moments.moment(one.started_at), "SIGNED": self.signed,
        }  # fmt: skip
        return texts[header] or ""

    @property
    def below(self) -> str:
        """Return the line that stands under it in a terminal; what it holds comes last, since that may be long."""
        one = self.session
        where = f"{one.agent} on {one.host}" if one.agent and one.host else one.agent or (f"on {one.host}" if one.host else "")
        parts = [self.signed, f"started {moments.moment(one.started_at)}", where, f"branch {one.branch}" if one.branch else ""]
        parts += [f"task {self.task}" if self.task else "", f"holds {self.holds}" if self.holds else ""]
        return " · ".join(filter(None, parts))

    @property
    def meaning(self) -> str:
        """Return the meaning that the row's colour shows."""
        if self.blocked:
            return colours.BLOCKED
        return colours.of_standing(self.stands)


def _print_claims(now: Status, me: str, says: Speakers) -> None:
    """Print who holds what, and what is over."""
    state = now.state
    live, over = leases.live(state, now.as_of), leases.over(state, now.as_of)

    def holder(one: Claim) -> str:
        name = one.claimed_by if looked_at() else leases.holder(state, one)
        return speakers.marked(name, says.mark(one.fence, one.claimed_by))

    held = [
        [
            str(one.resource),
            holder(one),
            moments.moment(one.expires_at),
            str(one.fence),
            leases.purpose(one),
        ]
        for one in live
    ]
    table(
        ["CLAIM", "HOLDER", "ENDS", "FENCE", "FOR"], held, title="claims", firm=["ENDS", "FENCE"],
        meanings=[colours.MINE if one.claimed_by == me else "" for one in live],
    )  # fmt: skip
    over = sorted(over, key=lambda one: (one.claimed_by != me, -one.fence))
    for one in over[:_OVER]:
        whose = "yours" if one.claimed_by == me else f"that of {one.claimed_by}"
        free = "" if leases.is_over(one, now.as_of, state.rules.grace) else "; its grace is running"
        wrapped(f"over: {one.resource}, {whose}, expired {moments.moment(one.expires_at)} (fence {one.fence}){free}", colours.OVER)
    left_out(len(over) - _OVER, "that are over")
