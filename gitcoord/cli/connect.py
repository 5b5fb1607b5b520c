"""What every command shares: the global options (before and after the command), the connection, what is printed where."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from gitcoord.cli import colours, moments, output, tables
from gitcoord.cli.progress import Progress
from gitcoord.connection.connect import Connection, connect
from gitcoord.core import secrecy
from gitcoord.core.names import hint_from_root, parse_id, show, show_text
from gitcoord.core.times import read_instant
from gitcoord.errors import BadInput, GitcoordError, Held, mask
from gitcoord.guard import keep
from gitcoord.views import quoting
from gitcoord.views.briefing import UNVERIFIED

_QUOTED = 5  # lines of what others wrote under a refusal
PLAIN_LINES = 40  # lines of a list when nobody looks at it: agents read it, and pay for every line


@dataclass
class Globals:
    """The options that may stand anywhere on the command line."""

    path: str = ""
    session: str = ""
    json: bool = False
    cached: bool = False
    op: str = ""
    quiet: bool = False
    utc: bool = False
    allow_secret: bool = False
    agent: bool = False
    """Whether a coding agent reads what is printed."""
    nonce: str = ""
    """What the marks around others' words are made of, while such words are printed to an agent."""
    behind: list[str] = field(default_factory=list)
    """Lines of ours that follow behind the marks."""
    separated: bool = False
    """Whether `--` stood on the line: what follows it is not this program's."""
    serve: Callable[..., int] | None = None
    """What serves agents: another face, handed in by whoever starts the program."""
    glance: Callable[..., int] | None = None
    """What shows a session's lot in a line: another face, too."""
    unverified: bool = False
    """True where this run shows what comes of a history that is not checked yet."""
    checked: bool = False
    """True where this run waits for the check of the history, whatever it is asked for."""
    progress: Progress | None = None
    """It shows what this run waits for."""
    below: bool = False
    """Whether the caller stands in a folder below the root: a path from the root needs `:/` in front there."""

    def set(self, name: str, value: str | bool) -> None:
        """Set the option of that name, as it was typed."""
        setattr(self, name, value)

    def note_separator(self) -> None:
        """Note that `--` stood on the line."""
        self.separated = True

    def speak_for(self, session: str) -> None:
        """Speak for that session, as if it had been named."""
        self.session = session

    def note_reader(self, found: Connection) -> None:
        """Note who reads what is printed, and where the caller stands."""
        self.agent = bool(found.coordinator.actor.agent)
        self.below = bool(here_and_root(found)[0])
        absolute = self.utc or self.json or self.agent
        moments.read_by(None if absolute else found.coordinator.branch.parts.now)
        colours.read_by(agent=self.agent)

    def show_waits(self, progress: Progress) -> Progress | None:
        """Let it show what is waited for, where that is read by a person; return it then."""
        self.progress = None if self.json or self.quiet or os.environ.get("GITCOORD_HOOK") else progress
        return self.progress

    def mark_unverified(self) -> None:
        """Note that what is shown is not checked yet."""
        self.unverified = True

    def wait_for_check(self) -> None:
        """Show only what is checked, from here on."""
        self.checked, self.unverified = True, False

    def mark(self, nonce: str) -> None:
        """Note what the marks around others' words are made of from here on; "" where they have ended."""
        self.nonce = nonce

    def hand_in(self, serve: Callable[..., int] | None, glance: Callable[..., int] | None) -> None:
        """Note the other faces."""
        self.serve, self.glance = serve, glance


options = Globals()
"""The options of this run of the program."""

_FLAGS = {"--json": "json", "--cached": "cached", "--quiet": "quiet", "--utc": "utc", "--allow-secret": "allow_secret"}
_VALUES = {"-C": "path", "--session": "session", "--op": "op"}


def take_globals(argv: Sequence[str]) -> list[str]:
    """Takes the global options out of the arguments, wherever they stand before `--`; the rest. Raises BadInput."""
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            options.note_separator()
            return [*rest, word, *words]
        if word in _FLAGS:
            options.set(_FLAGS[word], True)
        elif name in _VALUES and (equals or word == name):
            if not equals:
                following = next(words, None)
                if following is None:
                    raise BadInput(f"{name} needs a value", hint="gitcoord --help")
                value = following
            if name == "-C" and options.path:
                value = os.path.join(options.path, value)
            options.set(_VALUES[name], value)
        else:
            rest.append(word)
    return rest


@contextmanager
def connection(
    *, heard: bool = True, about_secrets: secrecy.Manner | None = None, unverified: bool = False, shows: bool = True
) -> Iterator[Connection]:
    """The connection to the branch of the repository that the caller stands in; its warnings are told at the end.

    - `heard`: False leaves the session's warnings for its next command.
    - `shows`: False where what is waited for is not shown: the command goes on in the background of something else.
    - `unverified`: the command may show what is not checked yet, and calls `mark_unverified` before it does.
    - `about_secrets`: what is done with what looks like a secret; None: as the options have it.
    """
    start = os.path.abspath(options.path or ".") if options.path else _here()
    if options.op:
        parse_id(options.op)
    manner = about_secrets or ("allow" if options.allow_secret else "refuse")
    with connect(
        start, os.environ, session=options.session or None, cached=options.cached, heard=heard and not options.quiet,
        about_secrets=manner, unverified=unverified and not options.checked,
        waits=options.show_waits(Progress(say)) if shows else None,
    ) as found:  # fmt: skip
        options.note_reader(found)
        found.note_warmth()
        try:
            yield found
            keep.follow(found.memory.path, found.coordinator.branch)
        finally:
            _warn(found)
            for warning in found.left_behind():
                say(f"warning: {warning}")


def _warn(found: Connection) -> None:
    """Tell the warnings; what is told once and could not be told now is left for the session's next command."""
    coordinator = found.coordinator
    with suppress(GitcoordError):
        coordinator.branch.remind()
    for warning in coordinator.notices:
        say(f"warning: {warning}")
    if coordinator.notices and coordinator.actor.session and output.fault("stderr"):
        for warning in coordinator.notices:
            found.outbox.leave_note(coordinator.actor.session, warning)


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise BadInput("this folder is gone", hint="cd into a repository") from None


def here_and_root(found: Connection) -> tuple[str, str]:
    """Where the caller stands below the root ("" at the root), and the root, both as POSIX paths."""
    return found.below(os.path.realpath(options.path or "."))


# --- printing ----------------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Words for people, on stderr. A hint stays as it is: it is pasted."""
    if not options.quiet or text.startswith(("error:", "hint:")):
        kind = colours.ERROR if text.startswith("error:") else colours.HINT if text.startswith("hint:") else ""
        text = show(mask(text if kind == colours.HINT else moments.in_words(text)), 2000)
        text = colours.paint(text, kind, "stderr")
        if options.progress is None or not options.progress.print(text):
            print(text, file=sys.stderr)


def out(text: str, meaning: str = "") -> None:
    """A line of the answer, on stdout, made inert. `meaning`: what its colour says, see `colours`."""
    text = show_text(text)
    print(colours.paint(text.replace(options.nonce, "") if options.nonce else text, meaning))


def wrapped(text: str, meaning: str = "") -> None:
    """A line of the answer that is broken between words where a terminal is too narrow for it."""
    for line in tables.broken(show_text(text), tables.terminal_width()) if looked_at() else [text]:
        out(line, meaning)


def quote(lines: Sequence[str]) -> None:
    """Lines with others' words, on stderr; between marks for an agent."""
    if options.agent and lines and not options.quiet:
        print(quoting.quoted((show(line, 400) for line in lines), secrets.token_hex(16)), end="", file=sys.stderr)
    else:
        for line in lines:
            for part in tables.broken(line, tables.terminal_width()) if colours.looked_at("stderr") else [line]:
                say(part)


@contextmanager
def others_words() -> Iterator[None]:
    """What is printed within was written by other sessions: an agent gets it between marks that nobody can guess."""
    if not options.agent or options.json or options.quiet or options.nonce:
        yield
        return
    nonce = secrets.token_hex(16)
    print(quoting.begin(nonce), end="")
    options.mark(nonce)
    try:
        yield
    finally:
        options.mark("")
        print(quoting.end(nonce), end="")
        for line in options.behind:
            out(line)
        options.behind.clear()


def ours(text: str) -> None:
    """A line of ours under what others wrote; where that stands between marks, it follows behind them."""
    if options.nonce:
        options.behind.append(text.strip())
    else:
        out(text)


def mark_unverified(found: Connection) -> None:
    """Make the answer say that the history is not checked yet, if that is so: with a key in JSON, else with its first line."""
    last = found.coordinator.branch.last
    if last is None or not last.unverified:
        return
    options.mark_unverified()
    if not (options.json or options.quiet):
        out(UNVERIFIED)


def answer(record: Mapping[str, Any], *lines: str) -> None:
    """The answer of a command: one JSON object, or lines for people."""
    if options.json:
        print(json.dumps({**record, "unverified": True} if options.unverified else record, ensure_ascii=True))
    elif not options.quiet:
        for line in lines:
            out(line)


def looked_at() -> bool:
    """Return True if a person looks at the answer: it may be cut to what fits."""
    return colours.looked_at() and not options.agent


def earlier(count: int, who: str = "", *, more: bool = False) -> str:
    """Return the line that says how many earlier ones are not shown. `who`: which ones; `more`: there may be more."""
    what = f"one{who} is" if count == 1 and not more else f"ones{who} are"
    return f"{count}{' or more' if more else ''} earlier {what} not shown (--limit)"


def beginning(seq: int, how: str = "") -> str:
    """Return the line that says where the record begins as far as it is here. `how`: the command that fetches what was before."""
    return f"the record here begins with event {seq}; " + (
        f"what was before: {how}" if how else "the archive of what was before is gone"
    )


def left_out(count: int, which: str) -> None:
    """Say how many more there are than were shown, if there are; `which`: of what."""
    if count > 0:
        out(f"… and {count} more {which} (--json has them all)")


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    firm: Sequence[str] = (),
    meanings: Sequence[str] = (),
    below: Sequence[str] = (),
) -> None:
    """A table: as wide as the terminal where somebody looks; elsewhere nothing is cut, and at most 40 lines are shown.

    - `firm`: headers of columns that give way last.
    - `meanings`: of each row, what its colour says.
    - `below`: of each row, what stands under it where somebody looks.
    """
    limit = 100 if options.agent else 1000  # each row is as wide as the widest one, and agents pay for that
    clean = [[show(cell, limit) for cell in row] for row in rows]
    if title:
        out(title, colours.HEADING)
    if not clean:
        out("none")
        return
    room = tables.terminal_width() if looked_at() else None
    shown = len(clean) if room else PLAIN_LINES - 2
    first, *lines = tables.laid_out(headers, clean, room=room, firm=firm)
    out(first, colours.HEADING)
    for number, line in enumerate(lines[:shown]):
        out(line, meanings[number] if meanings else "")
        if room and below and below[number]:
            out(f"  {tables.shorten(show(below[number], 400), room - 2)}", colours.OVER)
    if len(clean) > shown:
        out(f"… and {len(clean) - shown} more (--json has them all)")


def tell(error: GitcoordError, **extra: Any) -> int:
    """Tells an error: one object with `--json`, and for people the message and the hint. Its exit code."""
    if options.json:
        print(json.dumps({**extra, **error.as_record(), "hint": error.hint and _as_typed_here(error.hint)}, ensure_ascii=True))
    message, quoted = _parted(error)
    say(f"error: {message}")
    quote(quoted)
    if error.hint:
        _hint(error)
    return error.exit_code


def _hint(error: GitcoordError) -> None:
    """Print the next step. A person gets one, as it can be pasted, and hears where the others stand; an agent gets all of them."""
    hint = _as_typed_here(error.hint)
    first, *more = hint.split(" | or ")
    if not more or options.agent:
        say(f"hint: {hint}")
        return
    say(f"hint: {first[first.index('gitcoord ') :] if 'gitcoord ' in first else first}")
    if isinstance(error, Held):
        say("more ways: gitcoord help refused")
    else:
        for other in more:
            say(f"or: {other}")


def _parted(error: GitcoordError) -> tuple[str, list[str]]:
    """Return the message without what others wrote in it, and their words: of those in the way why they hold it, what they were
    doing last, and when that was.
    """
    others = [
        (
            str(one["claimed_by"]),
            [
                f"phase {one['phase']}" if one.get("phase") else "", f"why: {one['why']}" if one.get("why") else "",
                f"last: {one['doing']}, {moments.moment(read_instant(one['last_heard']))}" if one.get("doing") else "",
            ],
        )
        for one in error.data.get("blocked_by") or ()
    ]  # fmt: skip
    others.append(("its last words", [str(error.data.get("handoff_notes") or "")]))
    quoted: list[str] = []
    for who, words in others:
        said = list(filter(None, words))
        if said and len(quoted) < _QUOTED:
            quoted.append(f"{'' if options.agent else '  '}{who}: {'; '.join(said)}")
    return _without(error.message, error), quoted


def _without(message: str, error: GitcoordError) -> str:
    """Return the message without the words of others that stand at its end, after a colon."""
    blocked = error.data.get("blocked_by") or ()
    words = [str(one.get("phase") or one.get("why") or "") for one in blocked] + [str(error.data.get("handoff_notes") or "")]
    for text in filter(None, words):
        for limit in (80, 400):  # as it stands there
            message = message.replace(f": {show(text, limit)}", "", 1)
    return message


def _as_typed_here(hint: str) -> str:
    """A hint as it can be pasted where the caller stands: it names files from the root."""
    return hint_from_root(hint) if options.below else hint
