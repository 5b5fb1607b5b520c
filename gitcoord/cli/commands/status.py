"""`gitcoord status`: show who does what now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitcoord.cli.connect import answer, connection, mark_unverified, options, others_words, out, table
from gitcoord.connection.connect import Connection
from gitcoord.coordinator.branch import Status
from gitcoord.coordinator.speakers import Speakers
from gitcoord.core import inbox, leases, queue, readiness, trials
from gitcoord.core.names import show
from gitcoord.core.records import Claim
from gitcoord.core.sessions import standing, standing_and_way
from gitcoord.core.times import spell
from gitcoord.views import as_json, speakers
from gitcoord.views.board import recent_messages


def status(
    everything: Annotated[bool, typer.Option("--all", help="Ended sessions and older messages too.")] = False,
    repo: Annotated[str | None, typer.Option(metavar="NAME", help="Only what concerns that repository of a hub.")] = None,
) -> None:
    """Show who does what now: yours first."""
    with connection(unverified=True) as found:
        now = found.coordinator.speakers.status(repo=repo)
        mark_unverified(found)
        if options.json:
            answer(_status(found.coordinator.speakers, now, everything=everything))
        else:
            with others_words():
                _print_status(found, now, everything=everything, own=repo is None)


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


def _print_status(found: Connection, now: Status, *, everything: bool, own: bool) -> None:
    state, me, says = now.state, found.coordinator.actor.session, found.coordinator.speakers
    if now.read_at is None:
        out(f"as known at {spell(state.at)} (event {now.seq})")
    if me and own:
        known = state.sessions.get(me)
        mine = [one for one in leases.live(state, now.as_of) if one.claimed_by == me]
        unread = inbox.unread(state, me, now.as_of)
        work = f": {known.current_work}" if known and known.current_work else ""
        out(f"you are {me}{show(work, 100)}, with {len(mine)} claim(s) and {len(unread)} unread message(s)")
        for one in sorted(mine, key=lambda one: one.fence)[:10]:
            what = "are offered" if one.offered_until else "hold"
            out(f"  {what} {one.resource} until {spell(one.expires_at)} (fence {one.fence})")
        for place in queue.line(state, now.as_of):
            if place.session_id == me:
                out(f"  {queue.tell(state, me, place.wanted, place.mode, now.as_of, any_of=place.any_of)}")
        for note in unread[:5]:
            who = speakers.marked(note.sender, says.mark(note.seq, note.sender))
            out(f"  unread #{note.seq} from {who}: {show(note.subject, 100)}")
        out("")
    pinned = inbox.notices(state, now.as_of)
    if pinned:
        out("notices:")
        for note in pinned[:10]:
            out(f"  {show(note.subject, 120)} ({note.sender}, until {spell(note.expires_at)})" if note.expires_at else "")
        out("")
    if now.attention:
        out("needs attention:")
        for item in now.attention[:10]:
            out(f"  {show(item.text, 160)}")
        if len(now.attention) > 10:
            out(f"  … and {len(now.attention) - 10} more")
        out("")
    shown = sorted(
        state.sessions.values() if everything else state.sessions.live(), key=lambda one: (one.start_seq, one.session_id)
    )
    agents = any(one.agent for one in shown)  # people know each other by their sessions' names
    origins = {one.session_id: speakers.mark(one.session_id, says.of_session(one)) for one in shown}
    signed = any(origins.values())
    rows = [
        [
            one.session_id + (" *" if one.session_id == me else ""), *([one.repo or ""] if found.settings.hub else []),
            standing_and_way(one, now.as_of, state.rules.quiet_after),
            one.current_work or "", one.phase or "", one.progress or "",
            *([one.agent or "", one.host or ""] if agents else []), spell(one.last_heartbeat),
            *([origins[one.session_id]] if signed else []),
        ]
        for one in shown
    ]  # fmt: skip
    table(
        [
            "SESSION", *(["REPOSITORY"] if found.settings.hub else []), "STATUS", "WORK", "PHASE", "PROGRESS",
            *(["AGENT", "MACHINE"] if agents else []), "LAST HEARD",
            *(["SIGNED"] if signed else []),
        ],
        rows,
        title="sessions",
    )  # fmt: skip
    out("")

    def holder(one: Claim) -> str:
        return speakers.marked(leases.holder(state, one), says.mark(one.fence, one.claimed_by))

    held = [
        [str(one.resource), holder(one), spell(one.expires_at), str(one.fence), one.phase or one.reason or ""]
        for one in leases.live(state, now.as_of)
    ]
    table(["CLAIM", "HOLDER", "UNTIL", "FENCE", "FOR"], held, title="claims")
    if state.rules.tasks.added:
        every = readiness.overview(state, now.as_of)
        out("")
        out(f"tasks: {every.words()}")
        for task in every.first[:3]:
            out(f"  ready: #{task.seq} {show(task.title, 100)}" + (f" (for {task.to})" if task.to else ""))
    tried = trials.newest(state)
    if tried:
        out("")
        for trial in tried[:3]:
            out(f"trial: {show(trials.verdict(trial), 160)} ({trial.session_id}, {spell(trial.timestamp)})")
    ready = [one for one in state.handoffs.values() if one.status == "open"]
    if ready:
        out("")
        out("ready to pick up:")
        for offer in sorted(ready, key=lambda one: one.seq)[:10]:
            out(f"  {as_json.offer_line(offer)}")
