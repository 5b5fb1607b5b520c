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

from gitcoord.cli import output
from gitcoord.cli.progress import Progress
from gitcoord.connection.connect import Connection, connect
from gitcoord.core import secrecy
from gitcoord.core.names import hint_from_root, parse_id, show, show_text
from gitcoord.errors import BadInput, GitcoordError, mask
from gitcoord.guard import keep
from gitcoord.views import quoting
from gitcoord.views.briefing import UNVERIFIED

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

_FLAGS = {"--json": "json", "--cached": "cached", "--quiet": "quiet", "--allow-secret": "allow_secret"}
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
    """Words for people, on stderr."""
    if not options.quiet or text.startswith(("error:", "hint:")):
        text = show(mask(text), 2000)
        if options.progress is None or not options.progress.print(text):
            print(text, file=sys.stderr)


def out(text: str) -> None:
    """A line of the answer, on stdout, made inert."""
    text = show_text(text)
    print(text.replace(options.nonce, "") if options.nonce else text)


def quote(lines: Sequence[str]) -> None:
    """Lines with others' words, on stderr; between marks for an agent."""
    if options.agent and lines and not options.quiet:
        print(quoting.quoted((show(line, 400) for line in lines), secrets.token_hex(16)), end="", file=sys.stderr)
    else:
        for line in lines:
            say(line)


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
    """Whether a person looks at the output."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def earlier(count: int, who: str = "", *, more: bool = False) -> str:
    """Return the line that says how many earlier ones are not shown. `who`: which ones; `more`: there may be more."""
    what = f"one{who} is" if count == 1 and not more else f"ones{who} are"
    return f"{count}{' or more' if more else ''} earlier {what} not shown (--limit)"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """A table: rich where somebody looks, plain columns elsewhere, at most 40 lines then."""
    clean = [[show(cell, 100) for cell in row] for row in rows]
    if looked_at() and not options.nonce:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        grid = Table(title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for header in headers:
            grid.add_column(header, overflow="fold")
        for row in clean:
            grid.add_row(*(Text(cell) for cell in row))
        Console().print(grid)
        return
    if title:
        out(title)
    widths = [max(len(header), *(len(row[column]) for row in clean), 1) for column, header in enumerate(headers)] if clean else []
    if clean:
        out("  ".join(header.ljust(width) for header, width in zip(headers, widths, strict=True)).rstrip())
    for row in clean[: PLAIN_LINES - 2]:
        out("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(clean) > PLAIN_LINES - 2:
        out(f"… and {len(clean) - PLAIN_LINES + 2} more (--json has them all)")
    if not clean:
        out("none")


def tell(error: GitcoordError, **extra: Any) -> int:
    """Tells an error: one object with `--json`, and for people the message and the hint. Its exit code."""
    if options.json:
        print(json.dumps({**extra, **error.as_record(), "hint": error.hint and _as_typed_here(error.hint)}, ensure_ascii=True))
    message, quoted = _parted(error) if options.agent else (error.message, [])
    say(f"error: {message}")
    quote(quoted)
    if error.hint:
        say(f"hint: {_as_typed_here(error.hint)}")
    return error.exit_code


def _parted(error: GitcoordError) -> tuple[str, list[str]]:
    """The message without what others wrote in it, and their words."""
    said = [(str(one["claimed_by"]), str(one.get("phase") or one.get("why") or "")) for one in error.data.get("blocked_by") or ()]
    said += [("its last words", str(error.data.get("handoff_notes") or ""))]
    message, quoted = error.message, []
    for who, words in said:
        if words:
            quoted.append(f"{who}: {words}")
            for limit in (80, 400):  # as it stands in the message
                message = message.replace(f": {show(words, limit)}", "", 1)
    return message, quoted


def _as_typed_here(hint: str) -> str:
    """A hint as it can be pasted where the caller stands: it names files from the root."""
    return hint_from_root(hint) if options.below else hint
