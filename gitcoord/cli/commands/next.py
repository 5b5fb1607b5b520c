"""`gitcoord next`: take the first task that is ready, with its files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitcoord.cli import moments
from gitcoord.cli.arguments import patience, seconds
from gitcoord.cli.connect import answer, connection, options, others_words, out, say, tell
from gitcoord.core.tables import outline
from gitcoord.errors import BadInput, GitcoordError
from gitcoord.views import as_json, worksheet


def next(  # the command is called so
    peek: Annotated[bool, typer.Option("--peek", help="Only show which one it would be.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until one is ready.")] = False,
    timeout: Annotated[str | None, typer.Option(metavar="TIME", help="How long to wait: 90s, 30m, or until 15:00.")] = None,
    role: Annotated[str, typer.Option(metavar="R", help="As if you had that role.", show_default=False)] = "",
    no_files: Annotated[bool, typer.Option("--no-files", help="Without its files, whoever holds them.")] = False,
    ttl: Annotated[str | None, typer.Option(help="How long the lease lasts without a heartbeat: 30m, 1h, …")] = None,
) -> None:
    """Take the first task that is ready, with its files, in one step; exit 9 and the reasons if there is none."""
    if timeout and not wait:
        raise BadInput("--timeout says how long to --wait", hint="gitcoord next --wait --timeout 90s")
    if peek and wait:
        raise BadInput("--peek takes nothing, so there is nothing to wait for", hint="gitcoord next --wait")
    with connection() as found:
        coordinator = found.coordinator
        try:
            if peek:
                standing = coordinator.tasks.peek(role=role, files=not no_files)
                task, _, needs = coordinator.tasks.find(str(standing.task.seq), fresh=False)
                answer({"outcome": "ready", "task": as_json.task(task, standing, needs), "claims": []})
                if not options.json and not options.quiet:
                    with others_words():
                        for line in worksheet.lines(task, needs, standing, when=moments.moment):
                            out(line)
                return
            taken = coordinator.tasks.next(
                role=role, files=not no_files, ttl_seconds=seconds(ttl), told=say, op=options.op,
                wait=patience(coordinator, timeout) if wait else None,
            )  # fmt: skip
        except GitcoordError as error:
            outcome = {5: "unknown"}.get(error.exit_code, "nothing")
            raise typer.Exit(tell(error, outcome=outcome, task=None, claims=[], why=[])) from error
        standing = coordinator.tasks.look(coordinator.branch.last_view().state).standing(outline(taken.task))
        told: dict[str, Any] = {
            **as_json.receipt(taken.receipt), "outcome": "held", "task": as_json.task(taken.task, standing, taken.needs),
            "claims": [as_json.short_claim(one) for one in taken.leases],
        }  # fmt: skip
        answer(told)
        if options.json or options.quiet:
            return
        with others_words():
            for line in worksheet.lines(taken.task, taken.needs, when=moments.moment):
                out(line)
        for one in taken.leases:
            out(f"held: {one.resource} {moments.until(one.expires_at)} (fence {one.fence})")
        out(f"when it is done: gitcoord task done {taken.task.seq}")
