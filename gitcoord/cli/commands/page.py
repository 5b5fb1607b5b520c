"""`gitcoord page`: write what happened, and what is, as one HTML file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gitcoord import __version__
from gitcoord.cli import files
from gitcoord.cli.arguments import when
from gitcoord.cli.connect import answer, connection, here_and_root, say
from gitcoord.connection.connect import Connection
from gitcoord.coordinator import past
from gitcoord.page.assets import assets
from gitcoord.views import page as page_view


def page(
    output: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it.")] = Path("gitcoord.html"),
    since: Annotated[str | None, typer.Option(metavar="T", help="Only what happened since: 2h, yesterday, or a time.")] = None,
) -> None:
    """Write one HTML file with all that happened: lanes, claims, waits, messages, tasks, and any moment of the past."""
    start = when(since, ahead=False) if since is not None else None
    with connection() as found:
        write_page(found, output, start)


def title(found: Connection) -> str:
    """Return what the page is called: by the folder of the repository."""
    _, root = here_and_root(found)
    return f"{Path(root).name}: coordination" if root else "coordination"


def write_page(found: Connection, output: Path, since: datetime | None) -> None:
    """Write the page to that file, and say so."""
    picture, needs = past.picture(found.coordinator.branch, since=since)
    text, shown = page_view.bounded(picture, assets(), needs, title=title(found), version=__version__)
    size = files.write(output, text)
    record = {"output": str(output), "bytes": size, "events": len(shown.steps), "total": picture.total, "first": shown.first}
    answer(record, f"written: {output} ({size // 1000} KB)")
    if len(shown.steps) < len(picture.steps):
        say(f"note: it has the newest {len(shown.steps)} of {picture.total} events, as many as a page of 500 KB holds")
