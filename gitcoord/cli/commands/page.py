"""`gitcoord page`: write what happened, and what is, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitcoord import __version__
from gitcoord.cli.arguments import when
from gitcoord.cli.connect import answer, connection, here_and_root, say
from gitcoord.coordinator import past
from gitcoord.errors import BadInput
from gitcoord.page.assets import assets
from gitcoord.views import page as page_view


def page(
    output: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it.")] = Path("gitcoord.html"),
    since: Annotated[str | None, typer.Option(metavar="T", help="Only what happened since: 2h, yesterday, or a time.")] = None,
) -> None:
    """Write one HTML file with all that happened: lanes, claims, waits, messages, tasks, and any moment of the past."""
    start = when(since, ahead=False) if since is not None else None
    with connection() as found:
        picture, needs = past.picture(found.coordinator.branch, since=start)
        _, root = here_and_root(found)
    title = f"{Path(root).name}: coordination" if root else "coordination"
    text, shown = page_view.bounded(picture, assets(), needs, title=title, version=__version__)
    try:
        output.write_bytes(text.encode())
    except OSError as error:
        raise BadInput(f"{output} can't be written: {error.strerror}") from None
    size = len(text.encode())
    record = {"output": str(output), "bytes": size, "events": len(shown.steps), "total": picture.total, "first": shown.first}
    answer(record, f"written: {output} ({size // 1000} KB)")
    if len(shown.steps) < len(picture.steps):
        say(f"note: it has the newest {len(shown.steps)} of {picture.total} events, as many as a page of 500 KB holds")
