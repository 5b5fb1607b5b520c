"""The command `relay`: what happens goes to a chat, what people say there comes in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitcoord.cli.connect import answer, connection, say
from gitcoord.connection.connect import Connection
from gitcoord.core.names import counted
from gitcoord.errors import BadInput

if TYPE_CHECKING:
    from gitcoord.relay.plan import Plan, Typed
    from gitcoord.relay.reaction import Reaction
    from gitcoord.relay.relay import Relay


class _Stop:
    """Whether somebody wants this to end; a second time it ends at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def note(self, number: int, frame: FrameType | None) -> None:
        """Takes the signal."""
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    stop = _Stop()
    before = {number: signal.signal(number, stop.note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def relay(
    name: Annotated[str, typer.Option(help="Which relay: those of one name work one at a time, on all machines.")] = "chat",
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="WHERE", help="A name from [urls] of your relay.toml, slack:CHANNEL, env:VARIABLE, a plain webhook."),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(metavar="FILTER", help="What to tell: default, claim.*, alert, session:ada, resource:file:src, !notice, …"),
    ] = None,
    source: Annotated[str | None, typer.Option("--from", metavar="slack:CHANNEL", help="Bring what people say there.")] = None,
    file: Annotated[
        Path | None, typer.Option("--from-file", metavar="FILE", help="Bring the lines that are appended to it.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Send and bring what is new, and end.")] = False,
    since: Annotated[int | None, typer.Option(metavar="SEQ", help="Begin behind this event, where no relay worked yet.")] = None,
    command: Annotated[
        str | None, typer.Option("--exec", metavar="COMMAND", help="Run this for each message from outside, given on its stdin.")
    ] = None,
    command_on: Annotated[
        list[str] | None, typer.Option("--exec-on", metavar="FILTER", help="Run it for the messages that match this instead.")
    ] = None,
    command_timeout: Annotated[
        str | None, typer.Option("--exec-timeout", metavar="TIME", help="How long it may take; 30m.")
    ] = None,
    ttl: Annotated[str | None, typer.Option(metavar="TIME", help="When another takes over if this machine dies; 15m.")] = None,
    allow_private: Annotated[bool, typer.Option("--allow-private", help="Connect to private addresses, too.")] = False,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Connect without encryption, too.")] = False,
) -> None:
    """Relay what happens to a chat, and what people say there to the sessions; one of all machines does it at a time."""
    if (command_on or command_timeout) and not command:
        raise BadInput("--exec-on and --exec-timeout say more about --exec", hint="gitcoord relay --exec COMMAND")
    from gitcoord.relay.plan import Typed  # here: no other command pays for loading what talks HTTP

    typed = Typed(
        name=name, to=to or (), events=events or (), source=source, file=file, command=command, command_on=command_on or (),
        command_timeout=command_timeout, ttl=ttl, since=since, allow_private=allow_private, allow_http=allow_http,
    )  # fmt: skip
    answer(*_relay(typed, once=once))


def go_once(name: str) -> None:
    """Lets the relay of that name, as the person's settings have it, send and bring what is new; prints nothing of it."""
    from gitcoord.relay.plan import Typed

    _relay(Typed(name=name), once=True)


def _relay(typed: Typed, *, once: bool) -> tuple[dict[str, Any], str]:
    """Relays; what came of it, as an object and in words."""
    from gitcoord.relay.plan import make_plan
    from gitcoord.relay.reaction import Reaction
    from gitcoord.relay.settings import only_one

    reactions: list[Reaction] = []
    # What people say outside can't be asked back: a secret in it is hidden.
    with _stoppable() as stop, connection(about_secrets="hide", shows=False) as found:
        folder = found.outbox.path / "relay"

        def reaction(words: str, seconds: float) -> Reaction:
            log = folder / f"{typed.name}.log"
            reactions.append(Reaction(words, seconds, folder=found.repo.work_tree or os.getcwd(), log=log, environ=os.environ))
            return reactions[-1]

        plan = make_plan(typed, os.environ, found.repo.work_tree, reaction)
        lock = only_one(folder, plan.name)
        if lock is None and not once:
            say("another relay of this name works on this machine; standing by")
        while lock is None and not once and not stop():
            time.sleep(1.0)
            lock = only_one(folder, plan.name)
        if lock is None:
            return _report("elsewhere", None), "another relay works: nothing to do here"
        try:
            return _work(found, plan, folder, stop, once=once)
        finally:
            for one in reactions:
                one.close()
            lock.release()


def _work(found: Connection, plan: Plan, folder: Path, stop: _Stop, *, once: bool) -> tuple[dict[str, Any], str]:
    from gitcoord.relay.relay import Relay
    from gitcoord.relay.settings import Book

    relay = Relay(found.coordinator, plan, Book.open(folder, plan.name), told=say, stop=stop)
    if relay.book.aside:
        say(f"warning: refused and set aside: {counted(len(relay.book.aside), 'event')}: {relay.aside()}")
    if once:
        outcome = relay.once()
    else:
        relay.work()
        outcome = "stopped"
    report = _report(outcome, relay)
    sent = ", ".join(f"{count} to {name}" for name, count in report["sent"].items()) or "nothing"
    words = {"nothing": "nothing new", "elsewhere": "another relay works: nothing to do here"}
    return report, words.get(outcome, f"sent: {sent}; brought: {report['brought']}")


def _report(outcome: str, relay: Relay | None) -> dict[str, Any]:
    if relay is None:
        return {"outcome": outcome, "sent": {}, "brought": 0, "aside": []}
    aside = [{"to": to, "seq": seq, "why": why} for to, seq, why in relay.book.aside]
    return {"outcome": outcome, "sent": dict(relay.sent), "brought": relay.brought, "aside": aside}
