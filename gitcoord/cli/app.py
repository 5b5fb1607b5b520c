"""The program: its commands, and the one place where an error becomes words and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated

import typer
from pydantic import BaseModel

from gitcoord import __version__
from gitcoord.cli import help as help_of
from gitcoord.cli import output
from gitcoord.cli.connect import options, out, say, take_globals, tell
from gitcoord.core.names import show
from gitcoord.errors import BadInput, Doubtful, GitcoordError, GitFault, NotWritten, Unknown
from gitcoord.machine import reports

DAILY = "Every day"
LOOK = "Look"
KEEP = "Set up and keep"


def _root(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        print(f"gitcoord {__version__}")
        raise typer.Exit


COMMANDS: dict[str, tuple[str, ...]] = {
    DAILY: (
        "start", "status", "briefing", "heartbeat", "claim", "renew", "release", "check", "run", "request", "respond", "send",
        "inbox", "ask", "reply", "listen", "handoff", "take", "tasks", "next", "trial", "land", "end",
    ),
    LOOK: (
        "conflicts", "claims", "handoffs", "peers", "whoami", "board", "page", "timeline", "watch", "report", "log", "history",
        "blame", "verify", "statusline",
    ),
    KEEP: ("install", "uninstall", "init", "sync", "config", "compact", "guard", "doctor", "mcp", "relay", "demo"),
}  # fmt: skip
"""Every command, as help shows them. Each is the function of its name in the module of its name in `cli/commands`."""


GROUPS = {"task": DAILY, "hooks": KEEP, "trust": KEEP, "serve-policy": KEEP}
"""Commands that are groups of others, and under what help shows them: each is the `app` of the module of its name."""


_NAMES = frozenset(name for names in COMMANDS.values() for name in names) | set(GROUPS)

_ONLY_ANSWER = frozenset(COMMANDS[LOOK]) - {"statusline"} | {
    "", "status", "briefing", "inbox", "listen", "tasks", "doctor", "--help", "-h",
}  # fmt: skip
"""Commands that are for nothing but their answer."""


def program(asked: str = "") -> typer.Typer:
    """The program; with the name of a command only as much of it as that one needs: preparing all of them takes 10 ms."""
    app = typer.Typer(
        name="gitcoord",
        help="Coding sessions coordinate through the git remote they already share. Bare `gitcoord` is `status`.",
        epilog="Anywhere on the line: -C PATH, --session ID, --json, --cached, --op ID, --quiet, --utc, --allow-secret. "
        "Every command: gitcoord help --all. More of one: gitcoord help COMMAND.",
        invoke_without_command=True,
        no_args_is_help=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    panel_of = {name: panel for panel, names in COMMANDS.items() for name in names}
    one = asked in panel_of or asked in GROUPS
    for name in panel_of:
        if not one or name == asked:
            app.command(rich_help_panel=panel_of[name])(command(name))
    for name, panel in GROUPS.items():
        if not one or name == asked:
            group = importlib.import_module(f"gitcoord.cli.commands.{name.partition('-')[2] or name}")
            app.add_typer(group.app, name=name, rich_help_panel=panel)
    return app


@cache
def built(asked: str = "") -> Callable[..., object]:
    """Return what carries out a command line of that command, as `program` makes it. A process builds it once: whoever forks from
    one that has it pays nothing.
    """
    built_command: Callable[..., object] = typer.main.get_command(program(asked))
    return built_command


_LATER = (
    "gitcoord.coordinator.adoption",
    "gitcoord.coordinator.handoffs",
    "gitcoord.coordinator.messages",
    "gitcoord.coordinator.verify",
    "gitcoord.views.holdings",
    "email.utils",
    "filelock",
    "typer._click.decorators",
)
"""Commands load these when they come to need them."""


def load_all() -> None:
    """Load every command and all that one needs, and build what pydantic and typer build of a class or a parameter when it is first
    used: a process that is forked from this one would do all that anew, each time.
    """
    for name in _LATER:
        importlib.import_module(name)
    for name in ("", *GROUPS, *_NAMES):
        _prepare(built(name))
    for model in _below(BaseModel):
        if model.__module__.startswith("gitcoord."):
            model.model_rebuild()


def _prepare(command: object) -> None:
    for parameter in getattr(command, "params", ()):
        getattr(parameter, "get_runtime_param", lambda: None)()
    for one in getattr(command, "commands", {}).values():
        _prepare(one)


def _below(base: type[BaseModel]) -> list[type[BaseModel]]:
    """Return all classes that were made of that one."""
    return [found for one in base.__subclasses__() for found in (one, *_below(one))]


def command(name: str) -> Callable[..., object]:
    """Return the function that carries out that command. Its module is loaded now: nobody pays for the other commands."""
    found: Callable[..., object] = getattr(importlib.import_module(f"gitcoord.cli.commands.{name}"), name)
    return found


def main(argv: Sequence[str], serve: Callable[..., int] | None = None, glance: Callable[..., int] | None = None) -> int:
    """Runs one command line; its exit code. `serve`, `glance`: other faces, for the commands `mcp` and `statusline`."""
    options.hand_in(serve, glance)
    rest: list[str] = []
    try:
        return _shown(_run(argv, rest), rest[0] if rest else "")
    except output.ReaderLeft:
        return 0


def _shown(code: int, command: str) -> int:
    """The exit code: what came of the command on the branch. Only where the answer is all that it was for, an answer that could
    not be printed is a failure; a pipe whose reader has read enough is none.
    """
    why = output.fault()
    if not why or code:
        return code
    if command not in _ONLY_ANSWER:
        say(f"note: done; the answer could not be written to standard output: {why}")
        return code
    return code if output.reader_left() else tell(output.not_shown(why))


def _run(argv: Sequence[str], rest: list[str]) -> int:
    try:
        rest += take_globals(argv) or ["status"]
        if rest[:1] == ["help"]:
            told = help_of.words(rest[1:], dict.fromkeys(_NAMES))
            if isinstance(told, str):
                out(told)
                return 0
            rest[:] = told
        asked = rest[0] if rest and rest[0] in _NAMES else ""
        if rest and rest[0] in {"--help", "-h"}:
            _show_daily(everything="--all" in rest)
            del rest[1:]
        try:
            result = built(asked)(args=list(rest), prog_name="gitcoord", standalone_mode=False)
        except Doubtful:  # what the tip shows is no branch of ours: only what is checked can be shown
            options.wait_for_check()
            result = built(asked)(args=list(rest), prog_name="gitcoord", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except GitFault as error:
        return tell(_unknown(error) if options.op else error)
    except GitcoordError as error:
        return tell(error)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return 130
    except output.ReaderLeft:
        raise
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM}:
            return tell(NotWritten(f"{error.strerror}: {error.filename or 'on this machine'}", hint="see whose it is: ls -ld"))
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
            return _bug(error)
        return tell(
            NotWritten(f"{error.strerror}: {error.filename or 'on this machine'}", hint="free some space, then run it again")
        )
    except Exception as error:  # the last line of defence: a traceback never reaches a user
        if hasattr(error, "format_message") and getattr(error, "exit_code", None) == 2:
            if rest and rest[0] not in _NAMES and not rest[0].startswith("-"):
                return tell(help_of.unknown(rest[0]))
            where = getattr(getattr(error, "ctx", None), "command_path", "gitcoord")
            return tell(BadInput(str(error.format_message()), hint=f"{where} --help"))
        code = _bug(error)
        return 0 if rest[:1] == ["guard"] else code  # a bug of ours must not keep anybody from committing (guarantee G11)


def _show_daily(*, everything: bool) -> None:
    """Have the help of the program itself show the daily commands alone, or all of them."""
    for name, one in getattr(built(""), "commands", {}).items():
        one.hidden = not everything and name not in help_of.DAILY


def _unknown(error: GitFault) -> Unknown:
    """Return what is said of a failure under an id that the caller chose: an earlier run under that id may have landed."""
    return Unknown(f"whether {options.op} was done before can't be told ({error.message})", hint="run the same command again")


def _bug(error: Exception) -> int:
    """Anything else is a bug: a report file, and exit 70."""
    path = reports.write(error, os.environ, __version__, str(options))
    if options.json:
        print('{"error": "bug", "exit_code": 70, "message": "a bug in gitcoord", "hint": "see the report file"}')
    say(f"error: a bug in gitcoord: {show(repr(error), 300)}")
    say(f"hint: the report is {path or 'no place to write a report'}")
    return 70
