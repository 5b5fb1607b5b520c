"""Messages: send, inbox, ask, reply, listen."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

from gitcoord.cli import announce, complete, output
from gitcoord.cli.arguments import patience, text_or_stdin
from gitcoord.cli.connect import PLAIN_LINES, answer, connection, options, others_words, ours, out, say
from gitcoord.connection.connect import utc_now
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.messages import Mail
from gitcoord.core.inbox import QUESTION
from gitcoord.core.messages import SENT, TO_ALL, Message
from gitcoord.core.names import is_session_name, parse_line, show, word
from gitcoord.core.times import parse_duration, parse_when, spell
from gitcoord.errors import BadInput, NotInTime
from gitcoord.views import as_json, quoting

ASK = 90.0  # seconds an `ask` waits by itself: what an agent's shell lets a command take
_WHO = "A session, role:NAME, cap:NAME, repo:NAME (whoever that is, also later), or broadcast for all."
_READERS = 20  # names in a line; --json has them all
_LINES = 400  # of the texts of all messages that are printed at once
_LETTERS = 4096  # of one message's text
_KEPT = 100  # messages that --all and --sent print
_DETAILS = 10  # of a message
FOREVER = 365 * 86400.0  # seconds: until somebody ends it


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
            "expires_at": parse_when(expires, now=utc_now(), ahead=True) if expires else None,
            "in_reply_to": found.coordinator.message_id(reply_to, any_receiver=True) if reply_to else None,
        }  # fmt: skip
        receipt = found.coordinator.send(who, None if message is None else subject, text, op=options.op, **given)
        to = "all" if who == TO_ALL else who
        if receipt.state != "queued" and (nobody := found.coordinator.nobody_there(who)):
            say(nobody)
        answer(as_json.receipt(receipt), f"sent to {to}" if receipt.state != "queued" else f"queued for {to}: the remote is away")


Timeout = Annotated[str | None, typer.Option(metavar="TIME", help="How long to wait: 90s, 30m.")]


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
    with connection() as found:
        boss = found.coordinator
        output.require()  # before anything is taken
        if not boss.who.session:
            boss.require_session()
        if everything or sent:
            every = boss.all_messages(sent=sent, sender=sender, kind=kind)
            mail = Mail(every if options.json else every[-_KEPT:])
            if len(every) > len(mail.found):
                say(f"{len(every) - len(mail.found)} earlier ones are not shown: --json has them all")
        else:
            seconds = patience(boss, timeout) if wait else None
            mail = boss.inbox(peek=peek or options.cached, wait=seconds, sender=sender, kind=kind)
        readers = {one.id: boss.read_by(one) for one in mail.found} if sent else None
        nothing = "no unread messages" if not everything and not sent else "no messages"
        if everything or sent or peek or options.cached:
            _show(mail, nothing=nothing, readers=readers)
        else:
            _deliver(boss, mail, nothing=nothing)


def _show_whole(which: str) -> None:
    with connection() as found:
        message = found.coordinator.one_message(which)
        answer({"messages": [as_json.message(message)], "more": 0})
        if not options.json:
            with others_words():
                _print(message, _Room(0, each=0), again=False, readers=None)


def _deliver(boss: Coordinator, mail: Mail, *, nothing: str = "", **told: Any) -> None:
    """Shows what was taken, and notes that it was shown. What could not be is given back: raises NotShown that says so."""
    _show(mail, nothing=nothing, **told)
    why = output.fault()
    if not why:
        boss.shown(mail.found)
    elif mail.found:
        boss.not_shown(mail.found)
        raise output.not_shown(why, f"; {len(mail.found)} message(s) come again, marked")
    else:
        output.require()


def _show(mail: Mail, *, nothing: str = "", readers: dict[str, tuple[str, ...]] | None = None, **told: Any) -> None:
    """`readers`: who has read each of them, when it is the sender who looks."""
    shown = [as_json.message(one, redelivered=one.id in mail.again) for one in mail.found]
    for one in shown if readers is not None else ():
        one["read_by"] = list((readers or {}).get(one["id"], ()))
    answer({**told, "messages": shown, "more": mail.more, **({"origin": quoting.RULE} if options.agent else {})})
    if not options.json:
        room = _Room(_LINES)
        with others_words() if mail.found else nullcontext():
            for note in mail.found:
                _print(note, room, again=note.id in mail.again, readers=None if readers is None else readers[note.id])
        if not mail.found and nothing:
            out(nothing)
        if mail.more:
            say(f"{mail.more} more are unread: gitcoord inbox")


def ask(
    who: Annotated[str, typer.Argument(help="Who is asked, as in send.", autocompletion=complete.sessions)],
    question: Annotated[str, typer.Argument(help="The question; - reads standard input.")],
    timeout: Timeout = None,
    reply_to: Annotated[str | None, typer.Option(help="The question that you answer by asking back, by its id or seq.")] = None,
) -> None:
    """Ask and wait for its answer (90 seconds if nothing else is said); the question stays open afterwards."""
    with connection() as found:
        boss = found.coordinator
        boss.require_session()
        seconds = parse_duration(timeout).total_seconds() if timeout else ASK
        back = boss.message_id(reply_to) if reply_to else None
        receipt, mail = boss.ask(who, text_or_stdin(question), seconds=seconds, reply_to=back, tell=say, op=options.op)
        _deliver(boss, mail, id=receipt.id, seq=receipt.seq)


def reply(
    words: Annotated[list[str], typer.Argument(metavar="[ID] ANSWER", show_default=False)],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for what comes back in turn.")] = False,
    timeout: Timeout = None,
) -> None:
    """Answer a message; without its id (or seq) the only open question, else the newest message without an answer."""
    if len(words) > 2:
        raise BadInput(f"{len(words)} words are too many: [ID] ANSWER", hint='gitcoord reply 42 "Yes, since version 2."')
    with connection() as found:
        boss = found.coordinator
        boss.require_session()
        asked = boss.message_id(words[0], any_receiver=True) if len(words) == 2 else None
        seconds = patience(boss, timeout) if wait or timeout else None
        receipt, mail = boss.reply(asked, text_or_stdin(words[-1]), wait=seconds, op=options.op, tell=say)
        told = as_json.receipt(receipt)
        if wait or timeout:
            _deliver(boss, mail, **told)
        else:
            answer(told, "answered" if receipt.state != "queued" else "queued: the remote is away")


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
        seconds = parse_duration(timeout).total_seconds() if timeout else FOREVER
        announce.follow(seconds, go_on=follow, wake=wake or "")
        return
    with connection() as found:
        boss = found.coordinator
        output.require()
        boss.require_session()
        heard = False
        for mail in boss.listen(patience(boss, timeout) if timeout or not follow else FOREVER):
            heard = True
            _deliver(boss, mail)
            if not follow:
                return
        if not heard:
            raise NotInTime("no message came in time", hint="gitcoord listen", data={"messages": []})


class _Room:
    """How many lines of texts are still printed; what is cut can be read with a command of its own."""

    def __init__(self, lines: int, *, each: int = PLAIN_LINES) -> None:
        self.lines, self.each = lines, each

    def text(self, message: Message) -> None:
        """Prints the text as far as there is room for it."""
        every = message.message.splitlines()
        lines = message.message[:_LETTERS].splitlines()[: min(self.each, self.lines)] if self.each else every
        for line in lines:
            out(f"  | {line}")
        self.lines -= len(lines)
        if lines != every:
            ours(f"  … {len(every)} lines, {len(message.message)} characters in all: gitcoord inbox {message.seq}")


def _print(message: Message, room: _Room, *, again: bool, readers: tuple[str, ...] | None) -> None:
    """A message for people; under what somebody has to answer, how. `readers`: it is the sender who looks."""
    alone = is_session_name(message.to)
    marks = [message.type] if message.type != "note" else []
    marks += ["to all"] if message.to == TO_ALL else [f"to {message.to}"] if readers is not None or not alone else []
    marks += [message.status] if readers is not None and (alone or message.status == "answered") else []
    marks += [f"at {spell(message.read_at)}"] if readers is not None and alone and message.read_at else []
    marks += [_person(message)] if "via" in message.details else []
    marks += ["shown again: it was taken, and perhaps never seen"] if again else []
    out(f"#{message.seq} {spell(message.timestamp)} {message.sender}" + (f" ({', '.join(marks)})" if marks else ""))
    out(f"  {message.subject}")
    room.text(message)
    details = list(message.details.items())
    for key, value in details[:_DETAILS] if room.each else details:
        out(f"  {key}: {value}")
    if room.each and len(details) > _DETAILS:
        ours(f"  … {len(details) - _DETAILS} more details: gitcoord inbox {message.seq}")
    if readers is not None:
        if not alone:
            out(f"  read by: {', '.join(readers[:_READERS]) or 'nobody yet'}{' …' if len(readers) > _READERS else ''}")
    elif message.asks and message.type == QUESTION:
        ours(f'  answer: gitcoord reply {message.seq} "…"')
    elif message.asks:
        ours(f"  answer: gitcoord respond {message.seq} approve|deny|share")


def _person(message: Message) -> str:
    """That words came from outside: nobody checked who wrote them."""
    return f"a person via {show(message.details['via'], 30)}, unverified"
