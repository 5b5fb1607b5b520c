"""`gitcoord peers`: list the other sessions that are there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from gitcoord.cli import colours, moments
from gitcoord.cli.connect import answer, connection, looked_at, options, others_words, table
from gitcoord.core.records import Session
from gitcoord.core.sessions import standing, standing_and_way
from gitcoord.views import as_json


def peers(
    capability: Annotated[str | None, typer.Option(help="Only those who can do this.")] = None,
    role: Annotated[str | None, typer.Option(help="Only those with this role.")] = None,
) -> None:
    """List the other sessions that are there."""
    with connection() as found:
        coordinator = found.coordinator
        state = coordinator.branch.view().state
        others = [
            one
            for one in sorted(state.sessions.live(), key=lambda one: one.start_seq)
            if one.session_id != coordinator.actor.session
            and (capability is None or capability in one.capabilities)
            and role in (None, one.role)
        ]
        now, quiet = coordinator.branch.time_now(), state.rules.quiet_after
        stands = {one.session_id: standing(one, now, quiet) for one in others}
        if options.json:
            answer({"sessions": [{**as_json.record(one), "quiet": stands[one.session_id] == "quiet"} for one in others]})
            return
        moments.as_of(now)
        with others_words():
            if looked_at():
                rows = [[one.session_id, *_says(one, now, quiet), moments.moment(one.last_heartbeat)] for one in others]
                headers = ["SESSION", "STATUS", "WORK", "ROLE", "CAN", "HEARD"]
            else:
                rows = [
                    [
                        one.session_id, *_says(one, now, quiet), one.repo or "", one.agent or "", one.host or "",
                        moments.moment(one.last_heartbeat),
                    ]
                    for one in others
                ]  # fmt: skip
                headers = ["SESSION", "STATUS", "WORK", "ROLE", "CAN", "REPO", "AGENT", "MACHINE", "HEARD"]
            table(
                headers, rows, firm=["SESSION", "STATUS", "HEARD"],
                meanings=[colours.of_standing(standing_and_way(one, now, quiet)) for one in others],
                below=[_where(one) for one in others],
            )  # fmt: skip


def _says(one: Session, now: datetime, quiet: timedelta) -> list[str]:
    return [standing_and_way(one, now, quiet), one.current_work or "", one.role or "", ", ".join(one.capabilities)]


def _where(one: Session) -> str:
    """Return where the session sits, for the line below it."""
    parts = [one.agent or "", f"on {one.host}" if one.host else "", f"in {one.repo}" if one.repo else ""]
    return " ".join([*filter(None, parts), f"· started {moments.moment(one.started_at)}"])
