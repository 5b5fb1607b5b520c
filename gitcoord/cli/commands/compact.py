"""`gitcoord compact`: make the branch short."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli.connect import answer, connection, options
from gitcoord.core.times import parse_duration


def compact(
    before: Annotated[
        str | None, typer.Option("--before", metavar="TIME", help="Leave out what was over before that: 30d (the default).")
    ] = None,
) -> None:
    """Make the branch short: its history becomes an archive, and it goes on from one commit. Everybody who works goes on, too."""
    kept = None if before is None else parse_duration(before)
    with connection() as found:
        done = found.coordinator.epochs.compact(kept, op=options.op)
        answer(
            {
                "state": "committed", "epoch": done.epoch, "seq": done.seq, "commit": done.root, "events": done.events,
                "archive": done.archive,
            },
            f"epoch {done.epoch} begins with event {done.seq}; {done.events} events are in the archive {done.archive}",
        )  # fmt: skip
