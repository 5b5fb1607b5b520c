"""`gitcoord ask`: ask and wait for its answer (90 seconds if nothing else is said)."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import complete
from gitcoord.cli.arguments import text_or_stdin, waiting_time
from gitcoord.cli.connect import connection, options, say
from gitcoord.cli.mail import Timeout, deliver

ASK = 90.0  # seconds an `ask` waits by itself: what an agent's shell lets a command take


def ask(
    who: Annotated[str, typer.Argument(help="Who is asked, as in send.", autocompletion=complete.sessions)],
    question: Annotated[str, typer.Argument(help="The question; - reads standard input.")],
    timeout: Timeout = None,
    reply_to: Annotated[str | None, typer.Option(help="The question that you answer by asking back, by its id or seq.")] = None,
) -> None:
    """Ask and wait for its answer (90 seconds if nothing else is said); the question stays open afterwards."""
    with connection() as found:
        coordinator = found.coordinator
        coordinator.sessions.ensure()
        seconds = waiting_time(timeout) if timeout else ASK
        back = coordinator.messages.id_of(reply_to) if reply_to else None
        receipt, mail = coordinator.messages.ask(
            who, text_or_stdin(question), seconds=seconds, reply_to=back, tell=say, op=options.op
        )
        deliver(coordinator, mail, id=receipt.id, seq=receipt.seq)
