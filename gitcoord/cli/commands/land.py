"""The command `land`: one after the other onto the default branch, each tried on its newest state."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from gitcoord.cli.arguments import patience, waiting_time
from gitcoord.cli.commands.trial import check_command, words
from gitcoord.cli.connect import answer, connection, here_and_root, options, say
from gitcoord.cli.run.child import Signals
from gitcoord.cli.run.series import Series
from gitcoord.coordinator.keeper import Farewell
from gitcoord.coordinator.lane import Landed, Lane
from gitcoord.coordinator.trials import Attempt
from gitcoord.errors import BadInput
from gitcoord.views import as_json

_RED = 1


def land(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="What must be green, after `--`.", show_default=False)
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stand in line until the lane is free.")] = False,
    timeout: Annotated[str | None, typer.Option(metavar="TIME", help="How long all of it may take, the wait included.")] = None,
    push: Annotated[
        str | None,
        typer.Option("--push", metavar="COMMAND", help="Your own way to land, run by a shell in place of the push: gh pr merge."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Run COMMAND even if these commits were tried with it already.")] = False,
) -> None:
    """Land the branch that is checked out: hold the lane, try it on the newest state, push exactly what was tried."""
    if command and not options.separated:
        raise BadInput("what to run comes after --", hint="gitcoord land -- make test")
    if again and not command:
        raise BadInput("--again is about a command", hint="gitcoord land --again -- make test")
    limit = (timeout, waiting_time(timeout)) if timeout else None
    if command:
        check_command(command)
    with Signals() as signals, connection(shows=False) as found:
        output = sys.stderr.fileno() if options.json else None
        series = Series(command or [], signals, below=here_and_root(found)[0], timeout=limit, output=output)
        lane = Lane(found.coordinator)

        def by_command() -> int:
            environ = {**os.environ, "GITCOORD_SESSION": found.coordinator.actor.session}
            return series.start(["/bin/sh", "-c", push or ""], options.path or None, environ, lane.keeper)

        attempt = Attempt(command or [], series.run, say, series.tick, again)
        asked: dict[str, Any] = {"wait": limit[1] if limit else patience(found.coordinator, None)} if wait else {}
        try:
            landed = lane.land(attempt, push=by_command if push else None, stop=lambda: bool(signals.came), op=options.op, **asked)
        except KeyboardInterrupt:
            if not signals.came:
                raise
            say("interrupted; a place in line is kept for some minutes")
            raise typer.Exit(128 + signals.came) from None
        _tell(landed)
    raise typer.Exit(0 if landed.end in ("landed", "there") else _RED)


def _tell(landed: Landed) -> None:
    onto = landed.onto
    lines = []
    if landed.end == "there":
        lines = [f"{landed.mine.commit[:12]} is on {onto} already: nothing was pushed"]
    elif landed.end == "conflict" and landed.conflict is not None:
        lines = [f"{landed.conflict.words(onto)}: nothing was pushed"]
    elif landed.end == "red" and landed.trial is not None:
        lines = [words(landed.trial, known=landed.known), "nothing was pushed"]
    else:
        if landed.trial is not None:
            lines = [words(landed.trial, known=landed.known)]
        lines += _pushed(landed)
    farewell = landed.farewell or Farewell()
    for one in farewell.released:
        say(f"released: {one.resource}")
    if farewell.error is not None:
        say(f"warning: the lane was not given back: {farewell.error.message}; it ends by itself")
    answer(_record(landed), *lines)


def _pushed(landed: Landed) -> list[str]:
    onto, mine = landed.onto, landed.mine
    if landed.pushed == mine.commit:
        return [f"landed: {onto} is at {mine.commit[:12]}, your commit (it was at {landed.before[:12]})"]
    if landed.pushed:
        merge = f"a merge of your {mine.commit[:12]} onto {landed.before[:12]}"
        return [f"landed: {onto} is at {landed.pushed[:12]}, {merge}; git pull brings it here"]
    if landed.now == landed.before:
        return [f"your command was green, and {onto} is still at {landed.now[:12]}: it may land it later"]
    return [f"landed by your command: {onto} is at {landed.now[:12]} (it was at {landed.before[:12]})"]


def _record(landed: Landed) -> dict[str, Any]:
    conflict = landed.conflict
    return {
        "outcome": landed.end, "onto": landed.onto, **as_json.incoming(str(landed.mine)), "before": landed.before,
        "now": landed.now, "pushed": landed.pushed or None,
        "trial": as_json.trial(landed.trial) if landed.trial is not None else None,
        "known": landed.known,
        "files": list(conflict.files) if conflict is not None else [],
        "released": [str(one.resource) for one in (landed.farewell or Farewell()).released],
    }  # fmt: skip
