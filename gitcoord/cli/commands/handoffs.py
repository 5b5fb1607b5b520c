"""`gitcoord handoffs`: list what is handed over."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from gitcoord.cli import moments
from gitcoord.cli.connect import answer, connection, options, others_words, out, wrapped
from gitcoord.views import as_json


def handoffs(
    everything: Annotated[bool, typer.Option("--all", help="Taken ones too.")] = False,
) -> None:
    """List what is handed over: open ones, those for you first."""
    with connection() as found:
        every = found.coordinator.handoffs.listed(everything=everything)
        if options.json:
            answer({"handoffs": [{**as_json.record(one.handoff), "for_me": one.for_me, "mine": one.mine} for one in every]})
            return
        with others_words() if every else nullcontext():
            for one in every:
                mark = "yours" if one.mine else "you may take it" if one.for_me else ""
                taken = f"taken by {one.handoff.taken_by}" if one.handoff.status != "open" else mark
                wrapped(
                    f"#{one.handoff.seq} {moments.moment(one.handoff.timestamp)} {as_json.offer_line(one.handoff)}"
                    + (f" [{taken}]" if taken else "")
                )
        if not every:
            out("no handoffs")
