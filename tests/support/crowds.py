"""States with many of everything, for what has to stay small."""

from __future__ import annotations

from typing import Any

from pure_branch import T0, hours, ulid

from gitcoord.core.records import BranchRecord, Claim, Handoff, Heartbeat, Ignored, Message, Session
from gitcoord.core.state import State
from gitcoord.core.tables import Mail, Roll, Table


def crowd(count: int, line: str) -> State:
    """So many sessions, leases, messages, offers and ended sessions, that line in every field."""
    sessions, beats, claims, messages, handoffs = {}, {}, {}, {}, {}
    for number in range(count):
        name = f"session-{number:05d}"
        given: dict[str, Any] = {"session_id": name, "start_seq": number, "started_at": T0, "last_heartbeat": T0}
        sessions[name] = Session(
            **given, current_work=line, phase=line, progress=line, agent=line[:60], branch=line, role=line[:60], status="waiting",
            waiting_for=line[:60],
        )  # fmt: skip
        beats[name] = Heartbeat(
            session_id=name,
            timestamp=T0,
            action=line,
            next_action=line,
            blocked_by=line,
            estimated_completion=T0,
            files_touched=("same",),
        )
        sessions[f"over-{number}"] = Session(
            **{**given, "session_id": f"over-{number}"},
            status="completed",
            ended_at=T0,
            work_completed=(line,) * 9,
            total_duration="1 hour",
        )
        lease = Claim(
            claimed_by=name, claimed_at=T0, resource_type="droplet", resource_name=f"{number}{line}"[:500], phase=line, reason=line,
            ttl_seconds=3600, renewed_at=T0, expires_at=T0 + hours(1), fence=number + 1,
        )  # fmt: skip
        claims[lease.key] = lease
        note = Message(id=ulid(T0, number), seq=number, sender=name, to="broadcast", timestamp=T0, subject=line[:200], message=line)
        messages[note.id] = note
        question = Message(
            id=ulid(T0 - hours(1), number),
            seq=number,
            sender=name,
            to=name,
            timestamp=T0 - hours(1),
            subject=line[:200],
            type="question",
        )
        messages[question.id] = question
        handoffs[note.id] = Handoff(
            id=note.id,
            seq=number,
            sender=name,
            to=line,
            timestamp=T0,
            resources=(f"droplet:{line}",) * 9,
            phase=line,
            next=line,
            tests="pass" if number % 2 else line,
            blockers=line,
            branch=line,
            by_claim=bool(number % 2),
        )
    ignored = tuple(Ignored(commit=line or "ab" * 20, reason=line, seq=number) for number in range(5))
    return State(
        seq=count, at=T0, branch=BranchRecord(opened_at=T0, ignored=ignored), sessions=Roll(sessions), heartbeats=Table(beats),
        claims=Table(claims), messages=Mail(messages), handoffs=Table(handoffs),
    )  # fmt: skip
