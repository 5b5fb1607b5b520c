"""`gitcoord inbox`: read your unread messages."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import output
from gitcoord.cli.arguments import patience
from gitcoord.cli.connect import answer, connection, mark_unverified, options, others_words, say
from gitcoord.cli.mail import Room, Timeout, deliver, print_message, show_mail
from gitcoord.coordinator.unread import TakenMail
from gitcoord.core.names import word
from gitcoord.errors import BadInput
from gitcoord.views import as_json

_KEPT = 100  # messages that --all and --sent print


def inbox(
    which: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One message, whole, by its id or seq; takes nothing.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is kept, read ones too; takes nothing.")] = False,
    peek: Annotated[bool, typer.Option("--peek", help="Look without taking.")] = False,
    sent: Annotated[bool, typer.Option("--sent", help="What you sent, and who has read it.")] = False,
    sender: Annotated[str | None, typer.Option("--from", metavar="SESSION", help="Only from this one.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until there is one.")] = False,
    timeout: Timeout = None,
) -> None:
    """Read your unread messages; each is taken once, however many look."""
    if which is not None:
        if any((everything, peek, sent, sender, kind, wait)):
            raise BadInput("the ID alone names the message", hint=f"gitcoord inbox {word(which)}")
        _show_whole(which)
        return
    if timeout and not wait:
        raise BadInput("--timeout says how long to --wait", hint="gitcoord inbox --wait --timeout 90s")
    if wait and (everything or sent):
        raise BadInput("--wait is for what is unread", hint="gitcoord inbox --wait")
    with connection(unverified=(peek or everything or sent) and not wait) as found:
        coordinator = found.coordinator
        output.require()  # before anything is taken
        if not coordinator.actor.session:
            coordinator.sessions.ensure()
        if everything or sent:
            every = coordinator.messages.all(sent=sent, sender=sender, kind=kind)
            mail = TakenMail(every if options.json else every[-_KEPT:])
            if len(every) > len(mail.found):
                say(f"{len(every) - len(mail.found)} earlier ones are not shown: --json has them all")
        else:
            seconds = patience(coordinator, timeout) if wait else None
            mail = coordinator.messages.inbox(peek=peek or options.cached, wait=seconds, sender=sender, kind=kind)
        mark_unverified(found)
        readers = {one.id: coordinator.messages.read_by(one) for one in mail.found} if sent else None
        nothing = "no unread messages" if not everything and not sent else "no messages"
        if everything or sent or peek or options.cached:
            show_mail(coordinator, mail, nothing=nothing, readers=readers)
        else:
            deliver(coordinator, mail, nothing=nothing)


def _show_whole(which: str) -> None:
    with connection() as found:
        message = found.coordinator.messages.whole(which)
        says = found.coordinator.speakers
        answer({"messages": [{**as_json.message(message), **says.record(message.seq, message.sender)}], "more": 0})
        if not options.json:
            with others_words():
                print_message(message, Room(0, each=0), says.mark(message.seq, message.sender), again=False, readers=None)
