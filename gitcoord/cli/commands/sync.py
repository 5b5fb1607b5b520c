"""`gitcoord sync`: send what waits, and read the branch."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from gitcoord.agents import background
from gitcoord.cli import moments
from gitcoord.cli.connect import answer, connection, options, say
from gitcoord.connection.collect import collect
from gitcoord.connection.connect import Connection, connect
from gitcoord.core.times import spell
from gitcoord.guard import cache, keep


def sync(
    if_due: Annotated[bool, typer.Option("--if-due", help="Only when an automatic heartbeat is due; hooks call it so.")] = False,
) -> None:
    """Send what waits, and read the branch."""
    with connection() as found:
        agents = False
        if if_due:
            errors, view, agents = background.look_after(found.coordinator, found.repo, found.settings)
        else:
            errors, view = found.coordinator.branch.sync()
        found.coordinator.carriage.ride_all(only_ended=if_due)
        carried = found.coordinator.adoption.try_adopt(view, errors)
        errors += collect(found.elsewhere, _at_outbox, all_of_it=not if_due)
        if if_due and view is not None:
            from gitcoord.setup.doctor import tidy

            tidy(found)
        # Where somebody is guarded here, the next one has a short way.
        if view is not None and (agents or cache.is_kept(found.memory.path)):
            keep.note(found.memory.path, found.coordinator.branch, view.checked.good, view.state)
        left = len(found.coordinator.parts.submitter.unsent())
        record = {
            "unsent": left,
            "tip": view.checked.tip if view else None,
            "seq": view.checked.seq if view else None,
            "as_of": spell(view.state.at) if view else None,
            "adopted": carried.count,
        }
        words = (
            f"event {view.checked.seq}, {moments.moment(view.state.at)}"
            if view
            else "nothing is due"
            if if_due and not errors
            else "not reached"
        )
        words += f", {carried.count} adopted" if carried.count else ""
        answer(record, words + (f", {left} unsent" if left else ""))
        for place in carried.refused:
            say(f"warning: not adopted: {place}")
        for message in dict.fromkeys(error.message for error in errors):
            say(f"warning: {message}")
        if errors and view is None and not if_due:
            raise typer.Exit(errors[-1].exit_code)
    if if_due and found.settings.relay:
        from gitcoord.cli.commands import relay  # here: nobody else pays for loading what talks HTTP

        relay.go_once(found.settings.relay)


def _at_outbox(path: Path | None) -> AbstractContextManager[Connection]:
    """The same connection with another outbox; on nobody's behalf."""
    return connect(os.path.abspath(options.path or "."), os.environ, at=path)
