"""`gitcoord end`: release all and end the session."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli.commands import handoff
from gitcoord.cli.connect import answer, connection, options, say
from gitcoord.core.names import counted
from gitcoord.errors import BadInput
from gitcoord.setup import worktree
from gitcoord.views import as_json


def end(
    done: Annotated[list[str] | None, typer.Option("--done", help="What was finished; may be repeated.")] = None,
    notes: Annotated[str | None, typer.Option(help="What the next one should know.")] = None,
    to: Annotated[
        str | None, typer.Option("--handoff", metavar="WHO", help="Leave a handoff: for a session, a group, or anyone.")
    ] = None,
    following: Annotated[str | None, handoff.NEXT] = None,
    blockers: Annotated[str | None, handoff.BLOCKERS] = None,
    tests: Annotated[str | None, handoff.TESTS] = None,
    branch: Annotated[str | None, handoff.BRANCH] = None,
) -> None:
    """Release all and end the session; with --handoff what you held is left for somebody to take."""
    if to is None and any((following, blockers, tests, branch)):
        raise BadInput("--next, --blockers, --tests and --branch are for --handoff", hint="gitcoord end --handoff anyone")
    with connection() as found:
        coordinator = found.coordinator
        name = coordinator.sessions.ensure().session
        held = coordinator.parts.identity.held(name)
        said = {"next": following, "blockers": blockers, "tests": tests} if to is not None else {}
        where = handoff.code(found, branch) if to is not None else {}
        receipt = coordinator.sessions.end(done or [], notes, to=to, op=options.op, **said, **where)
        left = f", handoff {receipt.seq or ''} left for {to}" if to is not None else ""
        answer(
            as_json.receipt(receipt),
            f"session {name} ended" + left + (f" (queued: {receipt.why})" if receipt.state == "queued" else ""),
        )
        if worktree.made_here(found.repo):
            say(f"note: the work tree {found.repo.work_tree} stays, with its branch {found.repo.branch}")
        if held and to is None:
            free = counted(len(held), "claim")
            say(f"note: free now: {free}; to leave work to somebody: gitcoord end --handoff, or gitcoord handoff")
