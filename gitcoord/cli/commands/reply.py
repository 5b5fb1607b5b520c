"""`gitcoord reply`: answer a message."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli.arguments import patience, text_or_stdin
from gitcoord.cli.connect import answer, connection, options, say
from gitcoord.cli.mail import Timeout, deliver
from gitcoord.errors import BadInput
from gitcoord.views import as_json


def reply(
    words: Annotated[list[str], typer.Argument(metavar="[ID] ANSWER", show_default=False)],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for what comes back in turn.")] = False,
    timeout: Timeout = None,
) -> None:
    """Answer a message; without its id (or seq) the only open question, else the newest message without an answer."""
    if len(words) > 2:
        raise BadInput(f"{len(words)} words are too many: [ID] ANSWER", hint='gitcoord reply 42 "Yes, since version 2."')
    with connection() as found:
        coordinator = found.coordinator
        coordinator.sessions.ensure()
        asked = coordinator.messages.id_of(words[0], any_receiver=True) if len(words) == 2 else None
        seconds = patience(coordinator, timeout) if wait or timeout else None
        receipt, mail = coordinator.messages.reply(asked, text_or_stdin(words[-1]), wait=seconds, op=options.op, tell=say)
        told = as_json.receipt(receipt)
        if wait or timeout:
            deliver(coordinator, mail, **told)
        else:
            answer(told, "answered" if receipt.state != "queued" else f"queued: {receipt.why}")
