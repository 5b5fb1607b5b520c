"""Looking: status, board, log, history, verify."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from gitcoord.cli import output
from gitcoord.cli.arguments import resource, resources
from gitcoord.cli.connect import PLAIN_LINES, answer, connection, looked_at, options, others_words, out, say, table
from gitcoord.connection.connect import Connection, utc_now
from gitcoord.coordinator.branch import LogEntry, Status
from gitcoord.core import inbox, leases, queue
from gitcoord.core.names import parse_session, show, word
from gitcoord.core.sessions import standing
from gitcoord.core.times import parse_when, spell, spell_span
from gitcoord.errors import BadInput
from gitcoord.log import stream
from gitcoord.views import as_json
from gitcoord.views.board import recent_messages


def status(
    everything: Annotated[bool, typer.Option("--all", help="Ended sessions and older messages too.")] = False,
    repo: Annotated[str | None, typer.Option(metavar="NAME", help="Only what concerns that repository of a hub.")] = None,
) -> None:
    """Show who does what now: yours first."""
    with connection() as found:
        now = found.coordinator.status(repo=repo)
        if options.json:
            answer(_status(now, everything=everything))
        else:
            with others_words():
                _print_status(found, now, everything=everything, own=repo is None)


def _status(now: Status, *, everything: bool) -> dict[str, Any]:
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
            }
            for one in sorted(sessions, key=lambda one: (one.start_seq, one.session_id))
        ],
        "claims": [as_json.claim(one) for one in leases.live(state, now.as_of)],
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
        "handoffs": [as_json.record(one) for one in state.handoffs.values() if everything or one.status == "open"],
        "messages": [as_json.message(one) for one in notes],
        "notices": [as_json.message(one) for one in inbox.notices(state, now.as_of)],
        "attention": [asdict(item) for item in now.attention],
    }


def _print_status(found: Connection, now: Status, *, everything: bool, own: bool) -> None:
    state, me = now.state, found.coordinator.who.session
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
            out(f"  unread #{note.seq} from {note.sender}: {show(note.subject, 100)}")
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
    rows = [
        [
            one.session_id + (" *" if one.session_id == me else ""), *([one.repo or ""] if found.settings.hub else []),
            standing(one, now.as_of, state.rules.quiet_after),
            one.current_work or "", one.phase or "", one.progress or "", spell(one.last_heartbeat),
        ]
        for one in sorted(
            state.sessions.values() if everything else state.sessions.live(), key=lambda one: (one.start_seq, one.session_id)
        )
    ]  # fmt: skip
    table(
        ["SESSION", *(["REPOSITORY"] if found.settings.hub else []), "STATUS", "WORK", "PHASE", "PROGRESS", "LAST HEARD"],
        rows,
        title="sessions",
    )
    out("")
    held = [
        [str(one.resource), one.claimed_by, spell(one.expires_at), str(one.fence), one.phase or one.reason or ""]
        for one in leases.live(state, now.as_of)
    ]
    table(["CLAIM", "HOLDER", "UNTIL", "FENCE", "FOR"], held, title="claims")
    ready = [one for one in state.handoffs.values() if one.status == "open"]
    if ready:
        out("")
        out("ready to pick up:")
        for offer in sorted(ready, key=lambda one: one.seq)[:10]:
            out(f"  {as_json.offer_line(offer)}")


def board(
    at: Annotated[str | None, typer.Option(metavar="WHEN", help="An earlier board: an event's seq, a commit, or a time.")] = None,
    from_history: Annotated[bool, typer.Option("--from-history", help="Rebuild it from the history alone.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it to a file.")] = None,
) -> None:
    """Print the status board."""
    if at is not None and not re.fullmatch(r"\d{1,9}|[0-9a-f]{7,64}", at):
        at = parse_when(at, now=utc_now(), ahead=False).isoformat()
    with connection() as found:
        text = found.coordinator.board(at=at, from_history=from_history)
    if output is not None:
        try:
            output.write_bytes(text.encode())
        except OSError as error:
            raise BadInput(f"{output} can't be written: {error.strerror}") from None
        answer({"output": str(output), "bytes": len(text.encode())}, f"written: {output}")
    elif options.json:
        answer({"board": text})
    else:
        with others_words():
            out(text.removesuffix("\n"))


def log(
    what: Annotated[str | None, typer.Option("--resource", metavar="TYPE:NAME", help="Only about this.")] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help="Not older than this: 2h, or a time; or after event 42.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many of the newest.")] = PLAIN_LINES,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come; with --since from there on.")] = False,
) -> None:
    """Show what happened, oldest first; with --session SESSION only what that one did."""
    number = since is not None and re.fullmatch(r"#?\d{1,9}", since, re.ASCII)
    after = int(since.lstrip("#")) if since is not None and number else None
    start = parse_when(since, now=utc_now(), ahead=False) if since and not number else None
    # Here the global option means "of this session".
    who = parse_session(options.session) if options.session else None
    with connection() as found:
        boss = found.coordinator
        wanted = resource(found, what) if what else None
        if follow:
            with others_words():
                for one in stream.follow(boss, after=after, since=start, session=who, resource=wanted, newest=limit):
                    for warning in boss.warnings:
                        say(f"warning: {warning}")
                    boss.warnings.clear()
                    _print_entry(one)
            return
        entries, left, all_counted = boss.counted(session=who, resource=wanted, since=start, after=after, limit=limit)
        if options.json:
            answer({"events": [_entry(one) for one in entries], "earlier": left})
            return
        if who is not None and not entries and who not in boss.view(fresh=False).state.sessions:
            say(f"no session is called {who}: gitcoord peers")
        if left:
            out(f"{left}{'' if all_counted else ' or more'} earlier ones are not shown (--limit)")
        with others_words():
            for one in entries:
                _print_entry(one)


def _entry(one: LogEntry) -> dict[str, Any]:
    return {
        "commit": one.commit, "at": spell(one.at), "seq": one.seq or None, "session": one.session, "event": one.kind or None,
        "subject": one.subject, "ignored": one.ignored, "resources": list(one.resources),
        "id": one.id or None, "data": dict(one.data),
    }  # fmt: skip


def _print_entry(one: LogEntry) -> None:
    if options.json:
        print(json.dumps(_entry(one)))
        output.require()  # whoever follows through a pipe wants it now; where nobody does, this ends
        return
    number = f"#{one.seq}" if one.seq else "ignored"
    tail = f"  [{one.ignored}]" if one.ignored else ""
    line = f"{one.commit[:9]} {spell(one.at)} {number:>7} {show(one.session, 40)}  {show(one.subject, 200)}{tail}"
    width = os.get_terminal_size().columns if looked_at() else 0
    out(line[:width] if width > 40 else line)
    output.require()


def history(
    names: Annotated[list[str], typer.Argument(metavar="[TYPE] NAME", help="One thing: a path, TYPE NAME or TYPE:NAME.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many of the newest.")] = PLAIN_LINES,
) -> None:
    """Show who held it when, how it ended and who waited, from the history alone; what overlaps it is marked."""
    with connection() as found:
        wanted = resources(found, names)
        if len(wanted) != 1:
            raise BadInput(f"one thing at a time, not {len(wanted)}", hint=f"gitcoord history {word(str(wanted[0]))}")
        held, now = found.coordinator.history(wanted[0])
    every, waits = held.all(now), held.all_waits(now)
    shown = every[-limit:]
    if options.json:
        answer(
            {
                "resource_type": wanted[0].type, "resource_name": wanted[0].name, "as_of": spell(now),
                "earlier": len(every) - len(shown),
                "leases": [as_json.holding(one, now, wanted[0]) for one in shown],
                "waits": [as_json.wait(one) for one in waits[-limit:]],
            }
        )  # fmt: skip
        return
    if len(every) > len(shown):
        out(f"{len(every) - len(shown)} earlier ones are not shown (--limit)")
    rows = [
        [
            str(one.resource) if one.resource != wanted[0] else "it", one.session, one.mode, spell(one.granted_at),
            spell(one.ended_at) if one.ended_at else f"held until {spell(one.expires_at)}",
            spell_span(timedelta(seconds=one.seconds(now))), str(one.renewals), str(one.fence), as_json.ending(one),
        ]
        for one in shown
    ]  # fmt: skip
    with others_words():
        table(["WHAT", "HOLDER", "MODE", "FROM", "UNTIL", "HELD FOR", "RENEWED", "FENCE", "ENDED"], rows, title=f"{wanted[0]}")
        for lease in shown:
            for session, seq in lease.touched:
                out(f"{session} committed {lease.resource} while {lease.session} held it (event {seq})")
        if waits:
            out("")
            if len(waits) > limit:
                out(f"{len(waits) - limit} earlier ones who waited are not shown (--limit)")
            lines = [
                [one.session, spell(one.since), spell(one.until) if one.until else "waits still", one.how or ""]
                for one in waits[-limit:]
            ]
            table(["WAITED", "FROM", "UNTIL", "ENDED"], lines)


def verify(
    full: Annotated[bool, typer.Option("--full", help="Compare the tree and the board of every commit.")] = False,
) -> None:
    """Replay the whole history; show that history, trees and boards agree, and name each commit that doesn't."""
    with connection() as found:
        verdict = found.coordinator.verify(full=full)
        problems = [{"commit": one.commit, "reason": one.reason, "effect": one.effect} for one in verdict.problems]
        lines = [f"{one.commit[:12]}: {one.reason} ({one.effect})" for one in verdict.problems]
        word = "ok" if verdict.ok else "not ok"
        lines.append(f"{word}: {verdict.commits} commits, {verdict.events} events, {len(problems)} ignored or differing")
        answer(
            {"commits": verdict.commits, "events": verdict.events, "ok": verdict.ok, "problems": problems, "tip": verdict.tip},
            *lines,
        )
        if not verdict.ok:
            raise typer.Exit(1)
