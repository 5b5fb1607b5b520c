"""Giving leases back, and places in line: what was finished is told to all, what comes next is ready to pick up."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gitcoord.core import handoffs, leases, names, queue, records
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.leases import LeaseEntry, LeaseRef, held_by
from gitcoord.core.records import Claim, CodeBranch, CommitId, Line, Lines, ResourceText, Text
from gitcoord.core.sessions import lapse

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State


class ReleaseClaims(Command):
    """Gives leases back, and places in line for the same.

    `leases`: resource and fence as known when it was asked, so that a late one frees nothing new.
    """

    kind: ClassVar[str] = "claim.release"
    deferrable: ClassVar[bool] = True

    leases: Annotated[tuple[LeaseEntry, ...], Field(max_length=4096)]
    done: Text | None = None
    tests: Literal["pass", "fail"] | None = None
    next_phase: Line | None = None
    to: Line | None = None
    branch: CodeBranch | None = None
    commit: CommitId | None = None


class ClaimReleased(Event):
    """Leases were given back; what was finished is broadcast, what comes next is ready to pick up."""

    kind: ClassVar[str] = "claim.released"
    text: ClassVar[str] = "done"
    trailers: ClassVar[dict[str, str]] = {"next_phase": "Next-Phase", "released": "Released", "files": "File", "left": "Left"}

    released: tuple[LeaseEntry, ...] = ()
    done: Text | None = None
    tests: Literal["pass", "fail"] | None = None
    phase: Line | None = None
    next_phase: Line | None = None
    to: Line | None = None
    branch: CodeBranch | None = None
    commit: CommitId | None = None
    files: Lines = ()
    left: Annotated[tuple[ResourceText, ...], Field(max_length=64)] = ()

    def headline(self) -> str:
        """The commit's subject."""
        if self.lapsed:
            return f"release: {self.session} (too late: {self.lapsed})"
        if not self.released and self.left:
            return f"leave: {self.session} no longer waits for {' '.join(self.left[0].split(':', 1))}"
        if not self.released:
            return f"release: {self.session} held none of it"
        fence, resource = LeaseRef.parse(self.released[0])
        more = f" and {len(self.released) - 1} more" if len(self.released) > 1 else ""
        then = f", ready for {self.next_phase}" if self.next_phase else ""
        return f"release: {resource.type} {resource.name}{more} by {self.session} (fence {fence}){then}"

    def evolve(self, draft: Draft) -> None:
        """The leases go; `done` makes a broadcast, a next phase an open handoff."""
        if self.left:
            queue.leave(draft, self.session, map(names.resource_of, self.left))
        freed = []
        for entry in self.released:
            fence, resource = LeaseRef.parse(entry)
            leases.drop(draft, self.session, fence, resource)
            freed.append(resource)
        if not freed:
            return
        label = ", ".join(resource.name for resource in freed[:3]) + (" …" if len(freed) > 3 else "")
        if self.done is not None:
            details = {"resource": ", ".join(str(resource) for resource in freed[:64])}
            given = {"phase_completed": self.phase, "next_phase": self.next_phase,
                     "files_modified": ", ".join(self.files) or None, "branch": self.branch, "commit": self.commit,
                     "tests_passing": {"pass": "true", "fail": "false"}.get(self.tests or "")}  # fmt: skip
            details |= {key: value for key, value in given.items() if value}
            subject = names.show(f"{label}: {names.first_line(self.done) or 'done'}", names.SUBJECT_LIMIT)
            note = records.Message(
                id=f"{self.id}.0", seq=self.seq, sender=self.session, to="broadcast", timestamp=self.at,
                type="work_completed", subject=subject, message=self.done, details=details,
            )  # fmt: skip
            draft.put("messages", note.id, note)
        if self.next_phase or self.to:
            offer = records.Handoff(
                id=self.id, seq=self.seq, sender=self.session, to=self.to or "anyone", timestamp=self.at,
                resources=tuple(map(str, freed[: handoffs.NAMED])), phase=self.phase, next=self.next_phase,
                done=self.done, tests=self.tests, branch=self.branch, commit=self.commit, files=self.files,
                by_claim=True,
            )  # fmt: skip
            draft.put("handoffs", offer.id, offer)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Own leases, by their fences."""
        for entry in self.released:
            fence, resource = LeaseRef.parse(entry)
            if leases.find(state.claims.get, self.session, fence, resource) is None:
                return f"{self.session} doesn't hold {resource} with fence {fence}"
        if self.to is not None and not handoffs.is_receiver(self.to):
            return f"{self.to} is nobody"
        return None


def decide_release(state: State, command: ReleaseClaims, clock: Clock) -> Event | None:
    """Frees what is still the session's under the fences it knew; a lease that has a new owner is left alone.

    Fence 0 stands for "whatever I hold"; nothing held, no event. A fence that is over is recorded, without effect.
    """
    if command.to is not None:
        handoffs.parse_receiver(command.to)
    late = lapse(state, command)
    freed: list[Claim] = []
    for entry in () if late else command.leases:
        fence, resource = LeaseRef.parse(entry)
        freed += [lease for lease in held_by(state, command.session) if lease.resource == resource and fence in (0, lease.fence)]
    asked = {LeaseRef.parse(entry).resource for entry in command.leases}
    places = () if late else [one for one in state.waiting.values() if one.session_id == command.session]
    left = tuple(dict.fromkeys(str(one) for place in places for one in place.wanted if one in asked))[:64]
    if not freed and not late and not left:
        if not any(LeaseRef.parse(entry).fence for entry in command.leases):
            return None
        late = "the lease is over"  # it named a fence: what came too late is recorded, without effect
    beat = state.heartbeats.get(command.session)
    phases = [lease.phase for lease in freed if lease.phase]
    files = beat.files_touched if beat else ()
    return ClaimReleased(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        released=tuple(lease.entry for lease in freed), done=command.done, tests=command.tests,
        phase=phases[0] if phases else None, next_phase=command.next_phase, to=command.to, branch=command.branch,
        commit=command.commit, files=files if command.done is not None or command.next_phase else (), lapsed=late, left=left,
    )  # fmt: skip
