"""`gitcoord timeline`: show who held and awaited what when, as lanes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gitcoord.cli import files, paint
from gitcoord.cli.arguments import when
from gitcoord.cli.commands.page import title, write_page
from gitcoord.cli.connect import PLAIN_LINES, answer, connection, looked_at, options, others_words, out
from gitcoord.coordinator import past
from gitcoord.errors import BadInput
from gitcoord.views import as_json, timeline_svg, timeline_text
from gitcoord.views.cells import Line
from gitcoord.views.timeline_text import Clock


def timeline(
    since: Annotated[str | None, typer.Option(metavar="T", help="Only what happened since: 2h, yesterday, or a time.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as an SVG picture.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as one HTML page, as `page` does.")] = None,
) -> None:
    """Show the sessions as lanes: who held and awaited what when, asked, answered and handed over."""
    if svg is not None and html is not None:
        raise BadInput("one file at a time: --svg or --html")
    start = when(since, ahead=False) if since is not None else None
    with connection() as found:
        if html is not None:
            write_page(found, html, start)
            return
        picture, _ = past.picture(found.coordinator.branch, since=start)
        name = title(found)
    clock = Clock((lambda when: when.astimezone(UTC)) if options.utc or options.agent else datetime.astimezone)
    if svg is not None:
        size = files.write(svg, timeline_svg.svg(picture, clock, title=name))
        answer({"output": str(svg), "bytes": size}, f"written: {svg} ({size // 1000} KB)")
    elif options.json:
        answer(as_json.picture(picture))
    else:
        _show(timeline_text.text(picture, clock, width=_width(), most=40 if looked_at() else 12))


def _width() -> int:
    return max(60, os.get_terminal_size().columns) if looked_at() else 100


def _show(lines: list[Line]) -> None:
    if looked_at() and not options.nonce and not options.agent:
        for painted in paint.painted(lines):
            print(painted)
        return
    with others_words():
        for line in lines[: PLAIN_LINES - 1]:
            out("".join(piece for piece, _ in line))
        if len(lines) >= PLAIN_LINES:
            out(f"… and {len(lines) - PLAIN_LINES + 1} more lines (--json has all)")
