"""`gitcoord report`: who did what, to paste."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli.arguments import when
from gitcoord.cli.connect import answer, connection, options, others_words, out
from gitcoord.core.names import parse_session
from gitcoord.errors import BadInput
from gitcoord.views import as_json
from gitcoord.views.report import markdown


def report(
    today: Annotated[bool, typer.Option("--today", help="What was done since midnight; so it is without --since.")] = False,
    since: Annotated[str | None, typer.Option(metavar="T", help="What was done since then: 2h, yesterday 9:00.")] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="What was done until then.")] = None,
) -> None:
    """Show who did what, as Markdown to paste; with --session SESSION only what that one did."""
    if today and since:
        raise BadInput("--today and --since exclude each other", hint="gitcoord report --since 'yesterday 9:00'")
    begin = when(since or "today", ahead=False)
    end = when(until, ahead=False) if until else None
    who = parse_session(options.session) if options.session else ""
    with connection() as found:
        told = found.coordinator.branch.report(begin, end, who)
    if options.json:
        answer(as_json.report(told))
        return
    with others_words():
        out(markdown(told).removesuffix("\n"))
