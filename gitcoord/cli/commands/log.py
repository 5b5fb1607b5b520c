"""`gitcoord log`: show what happened, oldest first."""

from __future__ import annotations

import json
import os
import re
from typing import Annotated, Any

import typer

from gitcoord.cli import output
from gitcoord.cli.arguments import resource, when
from gitcoord.cli.connect import PLAIN_LINES, answer, connection, earlier, looked_at, options, others_words, out, say
from gitcoord.coordinator import watch
from gitcoord.core.names import parse_session, show
from gitcoord.core.times import spell
from gitcoord.log.entries import LogEntry


def log(
    what: Annotated[str | None, typer.Option("--resource", metavar="TYPE:NAME", help="Only about this.")] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help="Not older than this: 2h, or a time; or after event 42.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many of the newest.")] = PLAIN_LINES,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come; with --since from there on.")] = False,
) -> None:
    """Show what happened, oldest first; with --session SESSION only what that one did."""
    number = since is not None and re.fullmatch(r"#?\d{1,9}", since, re.ASCII)
    after = int(since.lstrip("#")) if since is not None and number else None
    start = when(since, ahead=False) if since and not number else None
    # Here the global option means "of this session".
    who = parse_session(options.session) if options.session else None
    with connection(shows=not follow) as found:
        coordinator = found.coordinator
        wanted = resource(found, what) if what else None
        if follow:
            with others_words():
                for one in watch.follow(coordinator.branch, after=after, since=start, session=who, resource=wanted, newest=limit):
                    for warning in coordinator.notices:
                        say(f"warning: {warning}")
                    coordinator.notices.clear()
                    _print_entry(one)
            return
        entries, left, all_counted = coordinator.branch.counted(session=who, resource=wanted, since=start, after=after, limit=limit)
        if options.json:
            answer({"events": [_entry(one) for one in entries], "earlier": left})
            return
        if who is not None and not entries and who not in coordinator.branch.view(fresh=False).state.sessions:
            say(f"no session is called {who}: gitcoord peers")
        if left:
            out(earlier(left, more=not all_counted))
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
