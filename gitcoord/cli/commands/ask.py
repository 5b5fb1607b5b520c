"""Asking the holder: request, and respond."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

from gitcoord.cli import complete
from gitcoord.cli.arguments import resources, text_or_stdin
from gitcoord.cli.connect import answer, connection, options
from gitcoord.connection.connect import Connection
from gitcoord.core.names import Resource, is_resource_type, show
from gitcoord.errors import BadInput, Held
from gitcoord.views import as_json

Answer = Literal["approve", "deny", "share"]


def _split(found: Connection, words: list[str]) -> tuple[Resource, str]:
    """What is asked for, and the message behind it."""
    takes = 2 if len(words) > 1 and is_resource_type(words[0]) else 1
    if len(words) > takes + 1:
        raise BadInput(f"{len(words)} words are too many: TYPE NAME [MESSAGE]", hint='gitcoord request file src/api.py "May I?"')
    return resources(found, words[:takes])[0], text_or_stdin(words[takes]) if len(words) > takes else ""


def request(
    names: Annotated[
        list[str], typer.Argument(metavar="[TYPE] NAME [MESSAGE]", show_default=False, autocompletion=complete.claims)
    ],
) -> None:
    """Ask whoever holds it to give it up; the answer comes as a message, and with it an offer."""
    with connection() as found:
        wanted, text = _split(found, names)
        receipt, asked, denied = found.coordinator.request(wanted, text, op=options.op)
        told = {**as_json.receipt(receipt), "asked": list(asked), "denied": list(denied)}
        if not asked:
            raise Held(
                f"{', '.join(denied)} takes no requests for {show(str(wanted), 80)}",
                hint="wait for it: gitcoord claim with --wait",
                data=told,
            )
        lines = [f"asked {name} for {wanted}; the answer comes to your inbox" for name in asked]
        answer(told, *lines, *(f"{name} takes no requests for it" for name in denied))


def respond(
    request: Annotated[str, typer.Argument(metavar="ID", help="The request, by its id or its seq.", show_default=False)],
    verdict: Annotated[str, typer.Argument(metavar="approve|deny|share", show_default=False)],
    message: Annotated[str | None, typer.Argument(help="A word with it; - reads standard input.")] = None,
) -> None:
    """Answer a request: give it up to the asker, keep it, or share it."""
    if verdict not in ("approve", "deny", "share"):
        raise BadInput(f"the answer is approve, deny or share, not {show(verdict, 40)!r}")
    with connection() as found:
        boss = found.coordinator
        key = boss.message_id(request)
        text = text_or_stdin(message) if message else ""
        receipt, event = boss.respond(key, cast(Answer, verdict), text, op=options.op)
        words = {
            "approve": f"{event.resource} is given up" + (f" and offered to {event.asker}" if event.offered else ""),
            "share": f"{event.resource} is held shared now" + (f" and offered to {event.asker}" if event.offered else ""),
            "deny": f"denied; {event.asker} is told",
        }[verdict]
        told = {"answer": verdict, "asker": event.asker, "offered": event.offered}
        answer({**as_json.receipt(receipt), **told}, words)
