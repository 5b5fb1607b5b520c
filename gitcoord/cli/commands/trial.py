"""The command `trial`: merges what is about to land, and runs a command there."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

from gitcoord.cli import complete, moments
from gitcoord.cli.arguments import waiting_time
from gitcoord.cli.connect import answer, connection, here_and_root, options, say
from gitcoord.cli.run.child import Signals, missing
from gitcoord.cli.run.series import Series
from gitcoord.coordinator.trials import Attempt, Tried
from gitcoord.core import trials
from gitcoord.errors import BadInput
from gitcoord.views import as_json

_NAMED = 5  # sessions that are named in a line
_RED = 1  # the exit code for what is red, and for what can't be merged at all


def trial(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command, after `--`.", show_default=False)],
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="SESSION",
            autocompletion=complete.sessions,
            help="Only your branch and this session's; may be repeated.",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Run it even if these commits were tried with it already.")] = False,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long all of it may take: 90s, 30m, or until 15:00.")
    ] = None,
) -> None:
    """Merge the branches that are about to land, run a command there, and name those that are red together."""
    if not options.separated:
        raise BadInput("what to run comes after --", hint="gitcoord trial -- make test")
    limit = (timeout, waiting_time(timeout)) if timeout else None
    check_command(command)
    with Signals() as signals, connection(shows=False) as found:
        series = Series(
            command, signals, below=here_and_root(found)[0], timeout=limit, output=sys.stderr.fileno() if options.json else None
        )
        attempt = Attempt(command, series.run, say, series.tick, again)
        tried = found.coordinator.trials.hold(attempt, only or ())
        _tell(tried)
    raise typer.Exit(_exit_code(tried))


def check_command(command: list[str]) -> None:
    """Make sure that a command that is looked up is there. Ends the program with the code that shells give."""
    absent = missing(command, None, os.environ) if "/" not in command[0] else None
    if absent is not None:
        code, message = absent
        if options.json:
            name = "not_found" if code == 127 else "not_executable"
            print(json.dumps({"error": name, "exit_code": code, "message": message, "hint": ""}))
        say(f"error: {message}; nothing was tried")
        raise typer.Exit(code)


def _exit_code(tried: Tried) -> int:
    if tried.trial is None:
        return _RED if tried.conflicts else 0
    return 0 if tried.trial.green else _RED


def _tell(tried: Tried) -> None:
    lines = []
    if tried.not_pushed:
        say(f"not pushed yet, so not tried: {', '.join(tried.not_pushed)}")
    if tried.on_default:
        more = f" and {len(tried.on_default) - _NAMED} more" if len(tried.on_default) > _NAMED else ""
        who = ", ".join(tried.on_default[:_NAMED])
        say(f"on {tried.onto} itself as far as is known, so not tried: {who}{more} (a heartbeat says which branch it is)")
    if tried.trial is None:
        lines = ["nothing that can be merged is about to land" if tried.conflicts else f"nothing is about to land on {tried.onto}"]
    else:
        lines = [words(tried.trial, known=tried.known)]
        if tried.receipt is not None and tried.receipt.state == "queued":
            lines.append(f"not told to the others yet (queued: {tried.receipt.why})")
    lines += [one.words(tried.onto) for one in tried.conflicts]
    answer(_record(tried), *lines)


def words(trial: Any, *, known: bool) -> str:
    """Return what came of a trial, in a line for people. `known`: it wasn't run now."""
    runs = f"{trial.runs} run{'s' if trial.runs != 1 else ''}, {trial.seconds} s"
    by = f"; tried {moments.moment(trial.timestamp)} by {trial.session_id}, not run again (--again)" if known else f"; {runs}"
    return f"{trials.verdict(trial)}{by}"


def _record(tried: Tried) -> dict[str, Any]:
    conflicts = [
        {
            **as_json.incoming(str(one.branch)), "with": as_json.incoming(str(one.other)) if one.other else None,
            "files": list(one.files),
        }
        for one in tried.conflicts
    ]  # fmt: skip
    common = {
        "onto": tried.onto,
        "base": tried.base,
        "conflicts": conflicts,
        "not_pushed": list(tried.not_pushed),
        "on_default": list(tried.on_default),
    }
    if tried.trial is None:
        return {"outcome": "conflict" if tried.conflicts else "nothing", **common, "incoming": [], "culprits": [], "known": False}
    told = as_json.receipt(tried.receipt) if tried.receipt is not None else {"state": "unchanged", "commit": None}
    shown = as_json.trial(tried.trial)
    return {**shown, **common, "known": tried.known, "state": told["state"], "commit": told["commit"]}
