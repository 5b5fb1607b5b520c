"""`gitcoord start`: register a session, or go on with the one of this work tree."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from gitcoord.cli.connect import answer, connection, options
from gitcoord.cli.handoff_lines import tell_offered
from gitcoord.errors import NotInitialised
from gitcoord.views import as_json


def start(
    name: Annotated[str | None, typer.Argument(help="The session's name; none: the branch or folder, numbered if taken.")] = None,
    capability: Annotated[list[str] | None, typer.Option("--capability", help="What it can do; may be repeated.")] = None,
    role: Annotated[str | None, typer.Option(help="Its role, for example reviewer.")] = None,
    work: Annotated[str | None, typer.Option(help="What it is going to do.")] = None,
    new: Annotated[bool, typer.Option("--new", help="A new session, even where one sits already.")] = False,
) -> None:
    """Register a session, or go on with the one of this work tree."""
    with connection() as found:
        coordinator = found.coordinator
        session, receipt = coordinator.sessions.start(
            name, new=new, capabilities=capability or [], role=role, work=work, op=options.op
        )
        local = session in found.outbox.local_sessions()
        words = f"session {session}" + (f" ({'local' if local else 'queued'}: {receipt.why})" if receipt.state == "queued" else "")
        state = "local" if local else "queued" if receipt.state == "queued" else "committed"
        offers = []
        with suppress(NotInitialised):  # a first start that is still queued
            offers = coordinator.handoffs.offered()
        told = {"session_id": session, "run_id": coordinator.actor.run_id, "seq": receipt.seq or None, "state": state}
        answer({**told, "handoffs": [as_json.record(one) for one in offers]}, words)
        tell_offered(offers)
