"""`gitcoord listen`: wait for the next message and show it."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import announce, output
from gitcoord.cli.arguments import patience, waiting_time
from gitcoord.cli.connect import connection
from gitcoord.cli.mail import Timeout, deliver
from gitcoord.errors import NotInTime

FOREVER = 365 * 86400.0  # seconds: until somebody ends it


def listen(
    timeout: Timeout = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, one message after the other; with --json a line each.")] = False,
    announcing: Annotated[
        bool, typer.Option("--announce", help="Only say that a message is there: a line with its sender and subject; take none.")
    ] = False,
    wake: Annotated[
        str | None, typer.Option(metavar="AGENT", help="Tell that agent's own program instead that a message is there: codex.")
    ] = None,
) -> None:
    """Wait for the next message and show it; each is taken once, however many listen."""
    if announcing or wake:
        seconds = waiting_time(timeout) if timeout else FOREVER
        announce.follow(seconds, go_on=follow, wake=wake or "")
        return
    with connection(shows=False) as found:
        coordinator = found.coordinator
        output.require()
        coordinator.sessions.ensure()
        heard = False
        for mail in coordinator.messages.listen(patience(coordinator, timeout) if timeout or not follow else FOREVER):
            heard = True
            deliver(coordinator, mail)
            if not follow:
                return
        if not heard:
            raise NotInTime("no message came in time", hint="gitcoord listen", data={"messages": []})
