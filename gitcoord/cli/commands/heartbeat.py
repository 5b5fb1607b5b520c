"""`gitcoord heartbeat`: say what you are doing."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli.arguments import resource, when
from gitcoord.cli.connect import answer, connection, options
from gitcoord.views import as_json


def heartbeat(
    action: Annotated[str | None, typer.Argument(help="What you do: building, testing, blocked, waiting, idle, …")] = None,
    target: Annotated[str | None, typer.Argument(help="To what; for `waiting`: person, claim or answer.")] = None,
    phase: Annotated[str | None, typer.Argument(help="The phase of the work.")] = None,
    progress: Annotated[str | None, typer.Option(help="How far, for example 30%.")] = None,
    next_action: Annotated[str | None, typer.Option("--next", help="What comes next.")] = None,
    eta: Annotated[str | None, typer.Option(help="When it will be done: 30m, 4h, or a time.")] = None,
    file: Annotated[list[str] | None, typer.Option("--file", help="A file you touch; may be repeated.")] = None,
    blocked_by: Annotated[str | None, typer.Option(help="What blocks you.")] = None,
) -> None:
    """Say what you are doing; renews what you hold when it is due."""
    with connection() as found:
        files = [resource(found, f"file:{path}").name for path in file or []]
        receipt = found.coordinator.sessions.heartbeat(
            op=options.op, action=action, target=target, phase=phase, progress=progress, next_action=next_action,
            blocked_by=blocked_by, files_touched=tuple(files), estimated_completion=when(eta, ahead=True) if eta else None,
        )  # fmt: skip
        answer(as_json.receipt(receipt), f"heartbeat {receipt.state}")
