"""`gitcoord respond`: answer a request."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

from gitcoord.cli.arguments import text_or_stdin
from gitcoord.cli.connect import answer, connection, options
from gitcoord.core.names import show
from gitcoord.errors import BadInput
from gitcoord.views import as_json

Answer = Literal["approve", "deny", "share"]


def respond(
    request: Annotated[str, typer.Argument(metavar="ID", help="The request, by its id or its seq.", show_default=False)],
    verdict: Annotated[str, typer.Argument(metavar="approve|deny|share", show_default=False)],
    message: Annotated[str | None, typer.Argument(help="A word with it; - reads standard input.")] = None,
) -> None:
    """Answer a request: give it up to the asker, keep it, or share it."""
    if verdict not in ("approve", "deny", "share"):
        raise BadInput(f"the answer is approve, deny or share, not {show(verdict, 40)!r}")
    with connection() as found:
        coordinator = found.coordinator
        key = coordinator.messages.id_of(request)
        text = text_or_stdin(message) if message else ""
        receipt, event = coordinator.claims.respond(key, cast(Answer, verdict), text, op=options.op)
        words = {
            "approve": f"{event.resource} is given up" + (f" and offered to {event.asker}" if event.offered else ""),
            "share": f"{event.resource} is held shared now" + (f" and offered to {event.asker}" if event.offered else ""),
            "deny": f"denied; {event.asker} is told",
        }[verdict]
        told = {"answer": verdict, "asker": event.asker, "offered": event.offered}
        answer({**as_json.receipt(receipt), **told}, words)
