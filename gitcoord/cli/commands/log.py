"""`gitcoord log`: show what happened, oldest first."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Annotated, Any

import typer

from gitcoord.cli import colours, moments, output, tables
from gitcoord.cli.arguments import resource, when
from gitcoord.cli.connect import PLAIN_LINES, answer, beginning, connection, earlier, looked_at, options, others_words, out, say
from gitcoord.connection.connect import Connection
from gitcoord.coordinator import watch
from gitcoord.coordinator.speakers import Speakers
from gitcoord.core.names import parse_session, show
from gitcoord.core.rules import EVENTS
from gitcoord.core.times import spell
from gitcoord.errors import BadInput, NoSession
from gitcoord.log.entries import EntryFilter, LogEntry
from gitcoord.outbox import denials
from gitcoord.outbox.denials import Denial
from gitcoord.views.speakers import marked

_WIDE = 100  # letters of a terminal in which a commit's name has room


def log(
    what: Annotated[str | None, typer.Option("--resource", metavar="TYPE:NAME", help="Only about this.")] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help="Not older than this: 2h, or a time; or after event 42.")] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Not newer than this.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="KIND", help="Only these: claim.released; claim: all of claims.")
    ] = None,
    words: Annotated[
        str | None, typer.Option("--grep", metavar="TEXT", help="Only what holds this text, capital or small.")
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only what this session did, or was refused.")] = False,
    refused: Annotated[bool, typer.Option("--refused", help="What was refused on this machine, and why.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many of the newest.")] = PLAIN_LINES,
    everything: Annotated[bool, typer.Option("--all", help="Fetch the archives of earlier epochs, too.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come; with --since from there on.")] = False,
) -> None:
    """Show what happened, oldest first; with --session SESSION only what that one did."""
    number = since is not None and re.fullmatch(r"#?\d{1,9}", since, re.ASCII)
    after = int(since.lstrip("#")) if since is not None and number else None
    start = when(since, ahead=False) if since and not number else None
    # Here the global option means "of this session".
    who = parse_session(options.session) if options.session else None
    if not refused:
        _check_kind(kind)
    asked: dict[str, Any] = {
        "session": who,
        "since": start,
        "until": when(until, ahead=False) if until else None,
        "kind": kind,
        "words": words,
    }
    with connection(shows=not follow) as found:
        coordinator = found.coordinator
        asked["resource"] = resource(found, what) if what else None
        if mine:
            asked["session"] = who = coordinator.actor.session or who
            if who is None:
                raise NoSession("no session sits here whose log this could be", hint="gitcoord log --session NAME")
        if refused:
            _print_refused(found, EntryFilter(**asked), limit)
            return
        if follow:
            with others_words():
                for one in watch.follow(coordinator.branch, after=after, newest=limit, **asked):
                    for warning in coordinator.notices:
                        say(f"warning: {warning}")
                    coordinator.notices.clear()
                    _print_entry(one, coordinator.speakers, follows=True)
            return
        entries, left, all_counted = coordinator.branch.counted(after=after, limit=limit, fetch=everything, **asked)
        began = coordinator.branch.beginning()
        if options.json:
            answer({"events": [_entry(one, coordinator.speakers) for one in entries], "earlier": left, "began": began})
            return
        if who is not None and not entries and who not in coordinator.branch.view(fresh=False).state.sessions:
            say(f"no session is called {who}: gitcoord peers")
        if left:
            out(earlier(left, more=not all_counted))
        elif began > 1 and (after or 0) < began:
            say(beginning(began, "gitcoord log --all" if not everything else ""))
        with others_words():
            for one in entries:
                _print_entry(one, coordinator.speakers, follows=False)


def _print_refused(found: Connection, wanted: EntryFilter, limit: int) -> None:
    """Print what was refused on this machine."""
    kept = [one for one in denials.noted(found.outbox.path) if wanted.fits(_as_entry(one))]
    shown = kept[-limit:]
    if options.json:
        rows = [{**asdict(one), "at": spell(one.at), "resources": list(one.resources)} for one in shown]
        answer({"refused": rows, "earlier": len(kept) - len(shown)})
        return
    if len(kept) > len(shown):
        out(earlier(len(kept) - len(shown)))
    with others_words():
        for one in shown:
            what = f" {', '.join(one.resources[:3])}" if one.resources else ""
            words = moments.in_words(show(one.message, 300))
            out(f"{moments.moment(one.at)} {show(one.session, 40)}  {one.asked}{show(what, 120)}: {words}")
            if one.hint:
                out(f"    hint: {show(one.hint if options.agent else one.hint.partition(' | or ')[0], 300)}")
    if not shown:
        out("nothing was refused here")


def _as_entry(one: Denial) -> LogEntry:
    """Return a refusal as an entry, so that the same options choose it."""
    return LogEntry("", one.at, 0, one.session, one.asked, one.message, None, one.resources)


def _check_kind(kind: str | None) -> None:
    """Raise BadInput for a kind of event that there is not."""
    if kind is not None and not any(known == kind or known.startswith(f"{kind}.") for known in EVENTS):
        kinds = ", ".join(dict.fromkeys(known.partition(".")[0] for known in EVENTS))
        raise BadInput(f"there is no kind of event {show(kind, 80)!r}", hint=f"kinds: {kinds}; and as --json says them")


def _entry(one: LogEntry, says: Speakers) -> dict[str, Any]:
    return {
        "commit": one.commit, "at": spell(one.at), "seq": one.seq or None, "session": one.session, "event": one.kind or None,
        "subject": one.subject, "ignored": one.ignored, "resources": list(one.resources),
        "id": one.id or None, "data": dict(one.data), **says.record(one.seq, one.session),
    }  # fmt: skip


def _print_entry(one: LogEntry, says: Speakers, *, follows: bool) -> None:
    if options.json:
        print(json.dumps(_entry(one, says)))
        output.require()  # whoever follows through a pipe wants it now; where nobody does, this ends
        return
    number = f"#{one.seq}" if one.seq else "ignored"
    tail = f"  [{one.ignored}]" if one.ignored else ""
    who = marked(show(one.session, 40), says.mark(one.seq, one.session))
    at = spell(one.at) if follows else moments.moment(one.at)  # what a line says stays true while others follow
    line = f"{one.commit[:9]} {at:>14} {number:>7} {who}  {show(one.subject, 200)}{tail}"
    width = tables.terminal_width() if looked_at() else 0
    if width and width < _WIDE and one.seq:  # the number names it as well as the commit does
        line = line[10:]
    out(tables.shorten(line, width) if width else line, colours.OVER if one.ignored else "")
    output.require()
