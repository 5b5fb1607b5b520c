"""`gitcoord start`: register a session, or go on with the one of this work tree."""

from __future__ import annotations

from contextlib import suppress
from shlex import quote
from typing import Annotated

import typer

from gitcoord.cli.connect import answer, connection, options
from gitcoord.cli.handoff_lines import tell_offered
from gitcoord.errors import GitcoordError, NotInitialised
from gitcoord.git.worktree import NewWorkTree, take_back
from gitcoord.setup import worktree as own_work_tree
from gitcoord.views import as_json


def start(
    name: Annotated[
        str | None,
        typer.Argument(help="The session's name; none: the branch or folder, numbered if taken. With --worktree: the branch."),
    ] = None,
    capability: Annotated[list[str] | None, typer.Option("--capability", help="What it can do; may be repeated.")] = None,
    role: Annotated[str | None, typer.Option(help="Its role, for example reviewer.")] = None,
    work: Annotated[str | None, typer.Option(help="What it is going to do.")] = None,
    new: Annotated[bool, typer.Option("--new", help="A new session, even where one sits already.")] = False,
    worktree: Annotated[
        bool, typer.Option("--worktree", help="In a new work tree with a branch of its own, beside the clone.")
    ] = False,
) -> None:
    """Register a session, or go on with the one of this work tree."""
    if not worktree:
        _start(name, capability or [], role, work, new=new)
        return
    with connection() as found:
        repo, made = found.repo, own_work_tree.make(found, name)
        options.set("path", made.path)
    try:
        _start(None, capability or [], role, work, new=new, made=made)
    except GitcoordError:
        take_back(repo, made)
        raise


def _start(
    name: str | None, capabilities: list[str], role: str | None, work: str | None, *, new: bool, made: NewWorkTree | None = None
) -> None:
    with connection() as found:
        coordinator = found.coordinator
        session, receipt = coordinator.sessions.start(name, new=new, capabilities=capabilities, role=role, work=work, op=options.op)
        local = session in found.outbox.local_sessions()
        words = f"session {session}" + (f" ({'local' if local else 'queued'}: {receipt.why})" if receipt.state == "queued" else "")
        state = "local" if local else "queued" if receipt.state == "queued" else "committed"
        offers = []
        with suppress(NotInitialised):  # a first start that is still queued
            offers = coordinator.handoffs.offered()
        told = {"session_id": session, "run_id": coordinator.actor.run_id, "seq": receipt.seq or None, "state": state}
        where: dict[str, str] = {}
        lines = []
        if made is not None:
            where = {"worktree": made.path, "branch": made.branch}
            lines = [
                f"work tree {made.path} on the {'new ' if made.is_new else ''}branch {made.branch}",
                f"next: cd {quote(made.path)}",
            ]
        answer({**told, **where, "handoffs": [as_json.record(one) for one in offers]}, words, *lines)
        tell_offered(offers)
