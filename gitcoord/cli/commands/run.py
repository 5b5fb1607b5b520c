"""The command `run`: holds something while a command runs. Standard output is the command's from its start on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from gitcoord.cli import complete, moments
from gitcoord.cli.arguments import patience, refuse_doubtful, resource
from gitcoord.cli.connect import connection, options, say, tell
from gitcoord.cli.run.child import Child, ProcessMarks, Signals, missing
from gitcoord.connection.connect import Connection
from gitcoord.coordinator.keeper import Farewell, Keeper, Kept, Loss
from gitcoord.core.names import Resource, show
from gitcoord.core.times import parse_duration
from gitcoord.errors import BadInput, GitcoordError
from gitcoord.views import as_json

_LOST = 4  # the exit code where the lease was lost: that of NotHeld
_NAMED = 5  # processes that are named
_EMPTY: dict[str, Any] = {"claims": [], "blocked_by": [], "place": None, "commit": None, "seq": None, "started": False}


@dataclass
class _Course:
    """What came of it. `code`: the command's own exit code, None if it never started; `instead`: the code in its place."""

    keep_going: bool
    kept: tuple[Kept, ...] = ()
    code: int | None = None
    instead: int | None = None
    child: Child | None = None
    losses: list[Loss] = field(default_factory=list)

    def lost(self, loss: Loss) -> None:
        """Tells it, and ends the command."""
        self.losses.append(loss)
        say(f"error: {loss.message}")
        if self.child is not None and self.child.code is None and not self.keep_going:
            say("error: the command is stopped: what it works on may be another's")
            self.child.stop(all_of_it=True)
            self.instead = _LOST

    def hold(self, kept: tuple[Kept, ...]) -> None:
        """Note what is held while the command runs."""
        self.kept = kept

    def begin(self, child: Child) -> None:
        """Note the command that was started."""
        self.child = child

    def end(self, child: Child) -> None:
        """Note how the command ended."""
        self.code = child.code

    def end_with(self, code: int) -> None:
        """Note the exit code in place of the command's own."""
        self.instead = code

    @property
    def exit_code(self) -> int:
        """The command's own; 4 if it was stopped for a lease that was lost, or ended well although one was."""
        if self.instead is not None:
            return self.instead
        return _LOST if self.losses and not self.code else self.code or 0


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command, after `--`.", show_default=False)],
    claim: Annotated[
        list[str],
        typer.Option("--claim", metavar="TYPE:NAME", help="What to hold; may be repeated.", autocompletion=complete.claims),
    ],
    ttl: Annotated[str | None, typer.Option(help="How long the lease lasts if this machine dies: 15m, 1h, …")] = None,
    phase: Annotated[str | None, typer.Option(help="The phase of the work, for example BUILD.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in a sentence.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Others may hold it shared too.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stand in line until it is free.")] = False,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long to wait: 90s, 30m, until 15:00; the place stays longer.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Only say it if the lease is lost; the command goes on.")
    ] = False,
    kill_after: Annotated[str, typer.Option("--kill-after", help="How long it has to end before it is killed.")] = "10s",
) -> None:
    """Hold something while a command runs: claim, run, renew, release. The exit code is the command's."""
    if not options.separated:
        raise BadInput("what to run comes after --", hint="gitcoord run --claim slot:staging -- make deploy")
    if timeout and not wait:
        raise BadInput("--timeout says how long to --wait", hint="gitcoord run … --wait --timeout 90s -- COMMAND")
    kill_seconds = parse_duration(kill_after).total_seconds()
    folder = os.path.abspath(options.path) if options.path else None
    absent = missing(command, folder, os.environ)
    if absent is not None:
        raise typer.Exit(_cannot_run(*absent))
    asked: dict[str, Any] = {
        "mode": "shared" if shared else "exclusive", "phase": phase, "reason": reason,
        "ttl_seconds": int(parse_duration(ttl).total_seconds()) if ttl else None,
    }  # fmt: skip
    course = _Course(keep_going)
    marks = ProcessMarks()
    with Signals() as signals, connection(shows=False) as found:
        keeper = Keeper(found.coordinator)
        try:
            asked |= {"wait": patience(found.coordinator, timeout)} if wait else {}
            course.hold(
                keeper.take(
                    [_named(found, text) for text in claim],
                    told=say,
                    stop=lambda: wait and bool(signals.ending),
                    op=options.op,
                    **asked,
                )
            )
        except GitcoordError as error:
            outcome = {3: "blocked", 5: "unknown"}.get(error.exit_code, "failed")
            raise typer.Exit(tell(error, outcome=outcome, **_EMPTY)) from error
        except KeyboardInterrupt:
            if not signals.ending:
                raise
            say("interrupted; a place in line is kept for some minutes")
            raise typer.Exit(128 + signals.ending) from None
        try:
            _carry_out(course, keeper, found, command, folder, signals, marks, kill_seconds)
        finally:
            farewell = keeper.finish(course.lost, say)
            _tell_end(course, farewell)
    if options.json:
        print(json.dumps(_report(course, farewell), ensure_ascii=True), file=sys.stderr)
    raise typer.Exit(course.exit_code)


def _carry_out(
    course: _Course,
    keeper: Keeper,
    found: Connection,
    command: Sequence[str],
    where: str | None,
    signals: Signals,
    marks: ProcessMarks,
    kill_after: float,
) -> None:
    """Starts the command, and keeps the leases until it is over."""
    for one in course.kept:
        stays = "; it was yours before and stays yours" if one.before else ""
        say(f"held: {one.resource} {moments.until(one.expires_at)} (fence {one.fence}){stays}")
    for loss in keeper.look(say):  # an operation asked for again may have been granted long ago
        course.lost(loss)
    signals.settle()
    if signals.ending or course.losses:
        course.end_with(128 + signals.ending if signals.ending else _LOST)
        return
    try:
        environ = _environ(course.kept, found)
        child = Child(command, folder=where, environ=environ, signals=signals, marks=marks, kill_after=kill_after)
        course.begin(child)
    except OSError as error:
        course.end_with(127 if isinstance(error, FileNotFoundError) else 126)
        say(f"error: {command[0]} can't be run: {error.strerror}")
        return
    try:
        keeper.hold(child.wait, course.lost, say)
    finally:
        child.close()
        course.end(child)
    if child.left_behind:
        say("warning: the command left processes behind; they were ended")
    if alive := child.strays():
        names = ", ".join(f"{show(name, 20)} (pid {pid})" for pid, name in list(alive.items())[:_NAMED])
        more = f" and {len(alive) - _NAMED} more" if len(alive) > _NAMED else ""
        what = "error: it could not be ended" if course.losses else "warning: left behind, and goes on"
        say(f"{what}: {names}{more}")


def _named(found: Connection, text: str) -> Resource:
    refuse_doubtful(found, [text], command="gitcoord run --claim")
    return resource(found, text)


def _environ(kept: Sequence[Kept], found: Connection) -> dict[str, str]:
    """The command's environment: it acts as this session, and knows the fences of what is held for it."""
    return {
        **os.environ,
        "GITCOORD_SESSION": found.coordinator.actor.session,
        "GITCOORD_FENCE": str(kept[0].fence),
        "GITCOORD_FENCES": "\n".join(one.entry for one in kept),
    }


def _cannot_run(code: int, message: str) -> int:
    """Tells that the command can't be run, before anything was claimed. The code is the one that shells give."""
    if options.json:
        name = "not_found" if code == 127 else "not_executable"
        print(json.dumps({"outcome": "failed", **_EMPTY, "error": name, "exit_code": code, "message": message, "hint": ""}))
    say(f"error: {message}; nothing was claimed")
    return code


def _tell_end(course: _Course, farewell: Farewell) -> None:
    queued = " (queued: the remote is away)" if farewell.state == "queued" else ""
    for one in farewell.released:
        say(f"released: {one.resource}{queued}")
    if farewell.error is not None:
        say(f"warning: not given back: {farewell.error.message}; it ends by itself")
    for holder in farewell.holders:
        say(f"{holder.claimed_by} holds {holder.resource} now, {moments.until(holder.expires_at)} (fence {holder.fence})")
    if course.losses and course.exit_code == _LOST:
        say("hint: gitcoord claims")


def _report(course: _Course, farewell: Farewell) -> dict[str, Any]:
    lost = [one for loss in course.losses for one in loss.leases]
    return {
        "outcome": "lost" if lost else "done" if course.code is not None else "failed",
        "started": course.child is not None, "exit_code": course.exit_code, "command_exit_code": course.code,
        "claims": [_lease(one) for one in course.kept], "lost": [_lease(one) for one in lost],
        "held_by": [as_json.short_claim(one) for one in farewell.holders],
        "released": [_lease(one) for one in farewell.released], "state": farewell.state,
    }  # fmt: skip


def _lease(one: Kept) -> dict[str, Any]:
    return {
        "resource_type": one.resource.type, "resource_name": one.resource.name, "fence": one.fence, "held_before": one.before,
    }  # fmt: skip
