"""`gitcoord take`: take a handoff, or a silent session's place."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitcoord.cli import complete, moments
from gitcoord.cli.connect import answer, connection, options, others_words, out, say
from gitcoord.cli.handoff_lines import show_handoff
from gitcoord.connection.connect import Connection
from gitcoord.core import leases
from gitcoord.core.names import show
from gitcoord.errors import BadInput
from gitcoord.views import as_json


def take(
    which: Annotated[str | None, typer.Argument(metavar="[ID]", help="Its id or seq; none: the only one for you.")] = None,
    previous: Annotated[
        str | None,
        typer.Option("--from", metavar="SESSION", help="Take the place of a session that has been silent for long.",
                     autocompletion=complete.sessions),
    ] = None,
) -> None:  # fmt: skip
    """Take a handoff, or a silent session's place: the claims are yours from then on; your work tree is not touched."""
    if which is not None and previous is not None:
        raise BadInput("one or the other: a handoff's ID, or --from SESSION", hint="gitcoord handoffs")
    with connection() as found:
        if previous is not None:
            _take_place(found, previous)
            return
        taken = found.coordinator.handoffs.take(which, op=options.op)
        state = found.coordinator.branch.view(fresh=False).state
        told = {**as_json.receipt(taken.receipt), "handoff": as_json.record(taken.handoff)}
        blocked = [leases.describe(state, one, found.coordinator.branch.time_now()) for one in taken.missed]
        answer({**told, "claims": [as_json.short_claim(one) for one in taken.claims], "blocked_by": blocked})
        if not options.json and not options.quiet:
            out(f"taken: handoff {taken.handoff.seq} of {taken.handoff.sender}")
            with others_words():
                show_handoff(taken.handoff)
            for one in taken.claims:
                out(f"held: {one.resource} {moments.until(one.expires_at)} (fence {one.fence})")
        for lease in taken.missed:
            say(f"note: {lease.resource} is not yours: {lease.claimed_by} holds it {moments.until(lease.expires_at)}")


def _take_place(found: Connection, previous: str) -> None:
    came = found.coordinator.sessions.take_place(previous, op=options.op)
    over = came.receipt.state == "unchanged"
    lines = [f"{previous} had ended already; it holds nothing" if over else f"you took the place of {previous}"]
    lines += [f"held: {one.resource} {moments.until(one.expires_at)} (fence {one.fence})" for one in came.claims]
    theirs = [f"open handoff #{one.seq}: {as_json.offer_line(one)}" for one in came.handoffs]
    theirs += [f"open question #{one.seq} of {one.sender} to {previous}: {show(one.subject, 120)}" for one in came.questions]
    told: dict[str, Any] = {
        **as_json.receipt(came.receipt), "previous": previous, "claims": [as_json.short_claim(one) for one in came.claims],
        "handoffs": [as_json.record(one) for one in came.handoffs], "questions": [as_json.message(one) for one in came.questions],
    }  # fmt: skip
    answer(told, *lines)
    if theirs and not options.json and not options.quiet:
        with others_words():
            for line in theirs:
                out(line)
