"""`gitcoord claim`: hold a file, a folder, a glob or anything named."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitcoord.cli import moments
from gitcoord.cli.arguments import Names, missing, patience, refuse_doubtful, resources, seconds
from gitcoord.cli.commands.claims import claims
from gitcoord.cli.connect import answer, connection, options, say, tell
from gitcoord.errors import BadInput, GitcoordError
from gitcoord.views import as_json


def claim(
    names: Names = None,
    ttl: Annotated[str | None, typer.Option(help="How long the lease lasts without a heartbeat: 30m, 1h, …")] = None,
    estimate: Annotated[str | None, typer.Option(help="How long the work will take, for people to read.")] = None,
    phase: Annotated[str | None, typer.Option(help="The phase of the work, for example BUILD.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in a sentence.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Others may hold it shared too.")] = False,
    any_of: Annotated[bool, typer.Option("--any", help="The first free one of several.")] = False,
    no_coordination: Annotated[bool, typer.Option("--no-coordination", help="Don't ask me to give it up.")] = False,
    if_stale: Annotated[bool, typer.Option("--if-stale", help="Take over from a holder that has been silent for long.")] = False,
    breaks: Annotated[
        int | None, typer.Option("--break", metavar="FENCE", help="Take it from its holder; name the lease's fence.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stand in line until it is free.")] = False,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long to wait: 90s, 30m, until 15:00; the place stays longer.")
    ] = None,
) -> None:
    """Hold a file, a folder, a glob or anything named; what you hold already is renewed. Bare: list."""
    if not names:
        claims()
        return
    if timeout and not wait:
        raise BadInput("--timeout says how long to --wait", hint="gitcoord claim … --wait --timeout 90s")
    with connection() as found:
        coordinator = found.coordinator
        refuse_doubtful(found, names)
        wanted = resources(found, names)
        asked: dict[str, Any] = {
            "mode": "shared" if shared else "exclusive", "any_of": any_of, "ttl_seconds": seconds(ttl), "phase": phase,
            "reason": reason, "estimated_duration": estimate, "allow_coordination": not no_coordination, "if_stale": if_stale,
            "breaks": breaks,
        }  # fmt: skip
        try:
            held = coordinator.claims.acquire(
                wanted, wait=patience(coordinator, timeout) if wait else None, told=say, op=options.op, **asked
            )
        except GitcoordError as error:
            outcome = {3: "blocked", 5: "unknown"}.get(error.exit_code, "failed")
            code = tell(error, outcome=outcome, claims=[], blocked_by=[], place=None, commit=None, seq=None)
            raise typer.Exit(code) from error
        except KeyboardInterrupt:
            if wait:
                say("your place in line is kept for some minutes; give it up with: gitcoord release, and the same names")
            raise
        for entry in held.taken:
            fence, holder, why, what = entry.split(" ", 3)
            say(f"took {what} over from {holder} (fence {fence}, {why})")
        if any(one.type == "task" for one in wanted):
            for text in coordinator.tasks.blocked_among(wanted):
                say(f"warning: {text}")
        for name in missing(found, wanted):
            say(f"warning: there is no {name} here: it is held as the name of a file to come")
        lines = [f"held: {one.resource} {moments.until(one.expires_at)} (fence {one.fence})" for one in held.claims]
        answer(
            {
                "outcome": "held", "claims": [as_json.short_claim(one) for one in held.claims], "blocked_by": [], "place": None,
                "commit": held.receipt.commit, "seq": held.receipt.seq, "id": held.receipt.id,
            },
            *lines,
        )  # fmt: skip
