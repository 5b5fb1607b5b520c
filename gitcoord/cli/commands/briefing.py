"""`gitcoord briefing`: say what a starting session should know, in 4 KB at most."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import output
from gitcoord.cli.connect import answer, connection, mark_unverified, options, out
from gitcoord.coordinator.briefings import touched
from gitcoord.core.times import spell


def briefing(
    everything: Annotated[bool, typer.Option("--all", help="Everything again, not only what is new.")] = False,
) -> None:
    """Say what a starting session should know, in 4 KB at most; again: only what is new. Takes no message."""
    with connection(unverified=True) as found:
        coordinator = found.coordinator
        told = coordinator.briefings.brief(touched(found.repo), everything=everything)
        if options.json:
            mark_unverified(found)  # else the text itself says so
            read_at, me = found.memory.read_at(), coordinator.actor.session
            record = {
                "session_id": me or None, "seq": told.seen.seq, "read_at": spell(read_at) if read_at else None,
                "new": bool(told.text), "counts": told.counts, "text": told.text,
            }  # fmt: skip
            answer(record)
        elif told.text:
            out(told.text.removesuffix("\n"))
        output.require()
        coordinator.briefings.note_shown(told)
