"""Messages: send and inbox."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gitcoord.bootstrap import utc_now
from gitcoord.core.messages import TO_ALL, TYPES, Message
from gitcoord.core.names import SUBJECT_LIMIT, parse_line
from gitcoord.core.times import parse_when, spell
from gitcoord.errors import BadInput
from gitcoord.faces.cli import complete, records
from gitcoord.faces.cli.arguments import text_or_stdin
from gitcoord.faces.cli.context import answer, connection, options, out, say


def send(
    who: Annotated[str, typer.Argument(help="A session, or broadcast for all.", autocompletion=complete.sessions)],
    subject: Annotated[str, typer.Argument(help="One line; alone it may be a whole text: its first line is the subject.")],
    message: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    kind: Annotated[str, typer.Option("--type", help=f"One of: {', '.join(TYPES)}.")] = "note",
    detail: Annotated[list[str] | None, typer.Option("--detail", metavar="K=V", help="A detail; may be repeated.")] = None,
    reply_to: Annotated[str | None, typer.Option(metavar="ID", help="The message that this answers (its id or seq).")] = None,
    expires: Annotated[str | None, typer.Option(help="When it is of no use any more: 2h, or a time.")] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Mark it as urgent.")] = False,
) -> None:
    """Send a message to a session, or to all."""
    if kind not in TYPES:
        raise BadInput(f"{kind!r} is not a message type", hint=f"one of: {', '.join(TYPES)}")
    details = tuple(parse_line(entry, "detail") for entry in detail or [])
    for entry in details:
        if not entry.partition("=")[0].strip() or "=" not in entry:
            raise BadInput(f"--detail is KEY=VALUE, not {entry[:60]!r}")
    if message is None:
        whole = text_or_stdin(subject)
        first = whole.strip().splitlines()[0].strip() if whole.strip() else ""
        short = first if len(first) <= SUBJECT_LIMIT else first[: SUBJECT_LIMIT - 1] + "…"
        subject, text = short, ("" if whole.strip() == short else whole)
    else:
        text = text_or_stdin(message)
    if not subject.strip():
        raise BadInput("a message needs a subject", hint='gitcoord send session-002 "Can I help?"')
    with connection() as found:
        given: dict[str, Any] = {
            "type": kind, "details": details, "priority": "urgent" if urgent else "normal",
            "expires_at": parse_when(expires, now=utc_now(), ahead=True) if expires else None,
            "in_reply_to": message_id(found.coordinator.view(fresh=False).state.messages.values(), reply_to) if reply_to else None,
        }  # fmt: skip
        receipt = found.coordinator.send(who, subject, text, **given)
        to = "all" if who == TO_ALL else who
        answer(records.receipt(receipt), f"sent to {to}" if receipt.state != "queued" else f"queued for {to}: the remote is away")


def message_id(found: Any, text: str) -> str:
    """A message's id, given by itself or by its seq."""
    if text.isascii() and text.isdigit() and len(text) < 12:
        for one in found:
            if one.seq == int(text):
                return str(one.id)
        raise BadInput(f"no message {text} is in reach", hint="gitcoord inbox --all")
    return text


def inbox(
    everything: Annotated[bool, typer.Option("--all", help="All that is kept, read ones too; takes nothing.")] = False,
    peek: Annotated[bool, typer.Option("--peek", help="Look without taking.")] = False,
    sent: Annotated[bool, typer.Option("--sent", help="What you sent, and whether it was read.")] = False,
    sender: Annotated[str | None, typer.Option("--from", metavar="SESSION", help="Only from this one.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
) -> None:
    """Read your unread messages; each is taken once, however many look."""
    with connection() as found:
        boss = found.coordinator
        if not boss.who.session:
            boss.require_session()
        again: set[str] = set()
        more = 0
        if everything or sent:
            messages = boss.all_messages(sent=sent, sender=sender, kind=kind)
        else:
            messages, again, more = boss.inbox(peek=peek or options.cached, sender=sender, kind=kind)
        answer({"messages": [records.message(one, redelivered=one.id in again) for one in messages], "more": more})
        if not options.json:
            for one in messages:
                _print(one, again=one.id in again, sent=sent)
            if not messages:
                out("no unread messages" if not everything and not sent else "no messages")
            if more:
                say(f"{more} more are unread: gitcoord inbox")
        if not (everything or sent or peek or options.cached):
            boss.shown(messages)


def _print(message: Message, *, again: bool, sent: bool) -> None:
    marks = [message.type] if message.type != "note" else []
    marks += ["to all"] if message.to == TO_ALL else [f"to {message.to}"] if sent else []
    marks += [message.status] if sent and message.to != TO_ALL else []
    marks += ["shown again: it was taken, and perhaps never seen"] if again else []
    out(f"#{message.seq} {spell(message.timestamp)} {message.sender}" + (f" ({', '.join(marks)})" if marks else ""))
    out(f"  {message.subject}")
    for line in message.message.splitlines():
        out(f"  | {line}")
    for key, value in message.details.items():
        out(f"  {key}: {value}")
