"""`gitcoord peers`: list the other sessions that are there."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import moments
from gitcoord.cli.connect import answer, connection, options, others_words, table
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
        rows = [
            [
                one.session_id, standing_and_way(one, now, quiet), one.current_work or "", one.role or "",
                ", ".join(one.capabilities),
                one.repo or "", one.agent or "", one.host or "", moments.moment(one.last_heartbeat),
            ]
            for one in others
        ]  # fmt: skip
        with others_words():
            table(["SESSION", "STATUS", "WORK", "ROLE", "CAN", "REPO", "AGENT", "MACHINE", "HEARD"], rows, firm=["HEARD"])
