"""`gitcoord send`: send a message to a session, to whoever has a role, a capability or works in a repository, or to all."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitcoord.cli import complete
from gitcoord.cli.arguments import text_or_stdin, when
from gitcoord.cli.connect import answer, connection, options, say
from gitcoord.core.messages import SENT, TO_ALL
from gitcoord.core.names import parse_line
from gitcoord.errors import BadInput
from gitcoord.views import as_json

_WHO = "A session, role:NAME, cap:NAME, repo:NAME (whoever that is, also later), or broadcast for all."


def send(
    who: Annotated[str, typer.Argument(help=_WHO, autocompletion=complete.sessions)],
    subject: Annotated[str, typer.Argument(help="One line; alone it may be a whole text: its first line is the subject.")],
    message: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    kind: Annotated[str, typer.Option("--type", help=f"One of: {', '.join(SENT)}.")] = "note",
    detail: Annotated[list[str] | None, typer.Option("--detail", metavar="K=V", help="A detail; may be repeated.")] = None,
    reply_to: Annotated[str | None, typer.Option(metavar="ID", help="The message that this answers (its id or seq).")] = None,
    expires: Annotated[str | None, typer.Option(help="When it is of no use any more: 2h, or a time.")] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Mark it as urgent.")] = False,
) -> None:
    """Send a message to a session, to whoever has a role, a capability or works in a repository, or to all."""
    details = tuple(parse_line(entry, "detail") for entry in detail or [])
    for entry in details:
        if not entry.partition("=")[0].strip() or "=" not in entry:
            raise BadInput(f"--detail is KEY=VALUE, not {entry[:60]!r}")
    text = text_or_stdin(subject if message is None else message)
    with connection() as found:
        given: dict[str, Any] = {
            "type": kind, "details": details, "priority": "urgent" if urgent else "normal",
            "expires_at": when(expires, ahead=True) if expires else None,
            "in_reply_to": found.coordinator.messages.id_of(reply_to, any_receiver=True) if reply_to else None,
        }  # fmt: skip
        receipt = found.coordinator.messages.send(who, None if message is None else subject, text, op=options.op, **given)
        to = "all" if who == TO_ALL else who
        if receipt.state != "queued" and (nobody := found.coordinator.messages.nobody_there(who)):
            say(nobody)
        answer(as_json.receipt(receipt), f"sent to {to}" if receipt.state != "queued" else f"queued for {to}: {receipt.why}")
