"""`gitcoord board`: print the status board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitcoord.cli import files
from gitcoord.cli.arguments import At, past_point
from gitcoord.cli.connect import answer, connection, looked_at, mark_unverified, options, others_words, out
from gitcoord.views.board import CHART
from gitcoord.views.briefing import UNVERIFIED


def board(
    at: At = None,
    from_history: Annotated[bool, typer.Option("--from-history", help="Rebuild it from the history alone.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it to a file.")] = None,
) -> None:
    """Print the status board."""
    at = past_point(at)
    with connection(unverified=at is None and not from_history) as found:
        text = found.coordinator.branch.board(at=at, from_history=from_history)
        if at is None and not from_history:
            text += found.coordinator.speakers.page()
        if output is None:
            mark_unverified(found)
        elif (last := found.coordinator.branch.last) is not None and last.unverified:
            options.mark_unverified()
            text = f"> {UNVERIFIED}\n\n{text}"
    if output is not None:
        answer({"output": str(output), "bytes": files.write(output, text)}, f"written: {output}")
    elif options.json:
        answer({"board": text})
    else:
        with others_words():
            out((text.partition(CHART)[0] if looked_at() else text).rstrip())
