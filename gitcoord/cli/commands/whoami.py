"""`gitcoord whoami`: say which session this is."""

from __future__ import annotations

from gitcoord.cli import moments
from gitcoord.cli.connect import answer, connection
from gitcoord.errors import NoSession


def whoami() -> None:
    """Say which session this is."""
    with connection() as found:
        coordinator = found.coordinator
        session, binding = coordinator.sessions.whoami()
        if not coordinator.actor.session:
            raise NoSession("no session is known in this work tree", hint="gitcoord start")
        name = coordinator.actor.session
        run = session.run_id if session else binding.run_id if binding else ""
        seq = session.start_seq if session else None
        state = "committed" if session else "local" if name in found.outbox.local_sessions() else "queued"
        lines = [name]
        if session is not None:
            lines.append(
                f"  {session.status}, started {moments.moment(session.started_at)}"
                + (f", {session.current_work}" if session.current_work else "")
            )
        answer(
            {"session_id": name, "run_id": run, "seq": seq, "state": state, "status": session.status if session else None}, *lines
        )
