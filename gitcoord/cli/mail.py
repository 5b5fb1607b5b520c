"""Messages as commands show and deliver them: what was taken is shown, or given back."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

from gitcoord.cli import moments, output
from gitcoord.cli.connect import PLAIN_LINES, answer, options, others_words, ours, out, say
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.unread import TakenMail
from gitcoord.core.messages import TO_ALL
from gitcoord.core.names import counted, is_session_name, show
from gitcoord.core.records import QUESTION, Message
from gitcoord.views import as_json, quoting

READERS = 20  # names in a line; --json has them all
LINES = 400  # of the texts of all messages that are printed at once
LETTERS = 4096  # of one message's text
DETAILS = 10  # of a message


Timeout = Annotated[str | None, typer.Option(metavar="TIME", help="How long to wait: 90s, 30m, or until 15:00.")]


def deliver(coordinator: Coordinator, mail: TakenMail, *, nothing: str = "", **told: Any) -> None:
    """Shows what was taken, and notes that it was shown. What could not be is given back: raises NotShown that says so."""
    show_mail(coordinator, mail, nothing=nothing, **told)
    why = output.fault()
    if not why:
        coordinator.messages.shown(mail.found)
    elif mail.found:
        coordinator.messages.not_shown(mail.found)
        raise output.not_shown(why, f"; to come again, marked: {counted(len(mail.found), 'message')}")
    else:
        output.require()


def show_mail(
    coordinator: Coordinator,
    mail: TakenMail,
    *,
    nothing: str = "",
    readers: dict[str, tuple[str, ...]] | None = None,
    **told: Any,
) -> None:
    """`readers`: who has read each of them, when it is the sender who looks."""
    says = coordinator.speakers
    shown = [{**as_json.message(one, redelivered=one.id in mail.again), **says.record(one.seq, one.sender)} for one in mail.found]
    for one in shown if readers is not None else ():
        one["read_by"] = list((readers or {}).get(one["id"], ()))
    answer({**told, "messages": shown, "more": mail.more, **({"origin": quoting.RULE} if options.agent else {})})
    if not options.json:
        room = Room(LINES)
        with others_words() if mail.found else nullcontext():
            for note in mail.found:
                read_by = None if readers is None else readers[note.id]
                print_message(note, room, says.mark(note.seq, note.sender), again=note.id in mail.again, readers=read_by)
        if not mail.found and nothing:
            out(nothing)
        if mail.more:
            say(f"{mail.more} more are unread: gitcoord inbox")


class Room:
    """How many lines of texts are still printed; what is cut can be read with a command of its own."""

    def __init__(self, lines: int, *, each: int = PLAIN_LINES) -> None:
        self.lines, self.each = lines, each

    def text(self, message: Message) -> None:
        """Prints the text as far as there is room for it."""
        every = message.message.splitlines()
        if len(every) == 1 and message.subject.endswith(every[0].strip()):  # the subject has said it
            return
        lines = message.message[:LETTERS].splitlines()[: min(self.each, self.lines)] if self.each else every
        for line in lines:
            out(f"  | {line}")
        self.lines -= len(lines)
        if lines != every:
            ours(f"  … {len(every)} lines, {len(message.message)} characters in all: gitcoord inbox {message.seq}")


def print_message(message: Message, room: Room, origin: str, *, again: bool, readers: tuple[str, ...] | None) -> None:
    """A message for people; under what somebody has to answer, how. `origin`: what is said of who really sent it; `readers`: it is
    the sender who looks.
    """
    alone = is_session_name(message.to)
    marks = [message.type] if message.type != "note" else []
    marks += ["to all"] if message.to == TO_ALL else [f"to {message.to}"] if readers is not None or not alone else []
    marks += [message.status] if readers is not None and (alone or message.status == "answered") else []
    marks += [moments.moment(message.read_at)] if readers is not None and alone and message.read_at else []
    marks += [origin] if origin else []
    marks += [person(message)] if "via" in message.details else []
    marks += ["shown again: it was taken, and perhaps never seen"] if again else []
    out(f"#{message.seq} {moments.moment(message.timestamp)} {message.sender}" + (f" ({', '.join(marks)})" if marks else ""))
    out(f"  {message.subject}")
    room.text(message)
    details = list(message.details.items())
    for key, value in details[:DETAILS] if room.each else details:
        out(f"  {key}: {value}")
    if room.each and len(details) > DETAILS:
        ours(f"  … {len(details) - DETAILS} more details: gitcoord inbox {message.seq}")
    if readers is not None:
        if not alone:
            out(f"  read by: {', '.join(readers[:READERS]) or 'nobody yet'}{' …' if len(readers) > READERS else ''}")
    elif message.asks and message.type == QUESTION:
        ours(f'  answer: gitcoord reply {message.seq} "…"')
    elif message.asks:
        ours(f"  answer: gitcoord respond {message.seq} approve|deny|share")


def person(message: Message) -> str:
    """That words came from outside: nobody checked who wrote them."""
    return f"a person via {show(message.details['via'], 30)}, unverified"
