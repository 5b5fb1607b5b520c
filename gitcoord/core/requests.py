"""Asking the holder: a request for what it holds, and its answer. Approved, it is offered to the asker in the same commit."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gitcoord.core import clocks, leases, names, queue, records
from gitcoord.core.entries import entry
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.leases import LeaseEntry, LeaseRef
from gitcoord.core.names import Resource
from gitcoord.core.records import Claim, Id, ResourceText, SessionName, Text
from gitcoord.core.sessions import acting
from gitcoord.errors import BadInput, NotHeld

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State


def split_asked(entry: str) -> tuple[int, str, str, Resource]:
    """Fence, holder, `held` or `denied`, and resource of an entry of `holders`. Raises ValueError."""
    lease, holder, how, resource = leases.split(entry, 4)
    if how not in {"held", "denied"} or not names.is_session_name(holder):
        raise ValueError("not a lease, its holder and how it is asked")
    fence, found = LeaseRef.parse(f"{lease} {resource}")
    return fence, holder, how, found


AskedEntry = Annotated[str, Field(max_length=1024), entry(split_asked)]
"""`42 session-002 held file:a`; `denied` where the holder takes no requests."""

Answer = Literal["approve", "deny", "share"]
REQUEST, REPLY = "release_request", "release_reply"
_SAID = {"approve": "approved", "deny": "denied", "share": "shared"}
_AT_ONCE = 16  # holders asked by one request


class RequestClaims(Command):
    """Asks whoever holds the resource to give it up."""

    kind: ClassVar[str] = "claim.request"

    resource: ResourceText
    message: Text | None = None


class AnswerRequest(Command):
    """Answers a request for a lease of one's own."""

    kind: ClassVar[str] = "claim.respond"

    request: Id
    answer: Answer
    message: Text | None = None


class ClaimRequested(Event):
    """The holders of a resource were asked for it. Those who take no requests have denied it by that."""

    kind: ClassVar[str] = "claim.requested"
    text: ClassVar[str] = "message"

    resource: ResourceText
    holders: Annotated[tuple[AskedEntry, ...], Field(min_length=1, max_length=_AT_ONCE)]
    message: Text | None = None

    def headline(self) -> str:
        """The commit's subject."""
        who = ", ".join(dict.fromkeys(split_asked(entry)[1] for entry in self.holders))
        return f"request: {self.session} asks {who} for {' '.join(self.resource.split(':', 1))}"

    def evolve(self, draft: Draft) -> None:
        """Each holder gets a message; who takes no requests has answered."""
        for index, one in enumerate(self.holders):
            fence, holder, how, held = split_asked(one)
            denied = how == "denied"
            asked = records.Message(
                id=f"{self.id}.{2 * index}", seq=self.seq, sender=self.session, to=holder, timestamp=self.at, type=REQUEST,
                subject=names.show(f"{self.session} asks for {self.resource}", names.SUBJECT_LIMIT), message=self.message or "",
                details={"resource": self.resource, "lease": str(LeaseRef(fence, held))},
                status="answered" if denied else "pending",
            )  # fmt: skip
            draft.put("messages", asked.id, asked)
            if denied:
                reply = records.Message(
                    id=f"{self.id}.{2 * index + 1}", seq=self.seq, sender=holder, to=self.session, timestamp=self.at, type=REPLY,
                    subject=names.show(f"denied: {held}", names.SUBJECT_LIMIT), in_reply_to=asked.id, thread=asked.id,
                    message=f"{holder} takes no requests for it.", details={"answer": "deny"},
                )  # fmt: skip
                draft.put("messages", reply.id, reply)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Those asked hold it; only who takes no requests denies by itself."""
        for one in self.holders:
            fence, holder, how, resource = split_asked(one)
            lease = leases.find(state.claims.get, holder, fence, resource)
            if lease is None or holder == self.session:
                return f"{holder} doesn't hold {resource} with fence {fence}"
            if how != _attitude(lease):
                return f"{holder} was not asked as its lease says"
        return None


class RequestAnswered(Event):
    """A holder answered. Approved: the lease went and is offered to the asker; shared: both may hold it."""

    kind: ClassVar[str] = "claim.responded"
    text: ClassVar[str] = "message"

    request: Id
    answer: Answer
    asker: SessionName
    resource: ResourceText
    lease: LeaseEntry
    offered: bool = False
    message: Text | None = None

    @property
    def released(self) -> tuple[str, ...]:
        """The lease that its holder gave up."""
        return (self.lease,) if self.answer == "approve" else ()

    def headline(self) -> str:
        """The commit's subject."""
        what = " ".join(self.resource.split(":", 1))
        then = f", offered to {self.asker}" if self.offered else f" to {self.asker}"
        return f"{self.answer}: {what} by {self.session}{then} (fence {LeaseRef.parse(self.lease).fence})"

    def evolve(self, draft: Draft) -> None:
        """The request is answered; what was given goes over."""
        asked = draft.message(self.request)
        if asked is not None:
            draft.put("messages", asked.id, asked.model_copy(update={"status": "answered"}))
        fence, held = LeaseRef.parse(self.lease)
        lease = leases.find(draft.claim, self.session, fence, held)
        if lease is not None and self.answer != "deny":
            draft.put("claims", lease.key, None)
            if self.answer == "share":
                shared = lease.model_copy(update={"mode": "shared"})
                draft.put("claims", shared.key, shared)
        known = draft.session(self.asker)
        if self.offered and known is not None and known.live:
            wanted = names.resource_of(self.resource)
            offer = Claim(
                claimed_by=self.asker, run_id=known.run_id, claimed_at=self.at, resource_type=wanted.type,
                resource_name=wanted.name, repo=wanted.repo,
                mode="shared" if self.answer == "share" else leases.mode_of(draft.rules, wanted, "exclusive"),
                ttl_seconds=draft.rules.default_ttl, renewed_at=self.at, expires_at=self.at + queue.OFFER, fence=self.seq,
                offered_until=self.at + queue.OFFER,
            )  # fmt: skip
            leases.drop_own(draft, self.asker, wanted)
            draft.put("claims", offer.key, offer)
            queue.served(draft, self.asker, [wanted])
        by = f"{self.at + queue.OFFER:%H:%M:%S} UTC"
        said = {
            ("deny", False): f"{self.session} keeps it.",
            ("approve", True): f"It is offered to you until {by}: claim it.",
            ("share", True): f"{self.session} holds it shared now, and it is offered to you until {by}: claim it shared.",
        }.get((self.answer, self.offered), "It was given up, but others are still in the way.")
        text = "\n\n".join(part for part in (self.message, said) if part)
        reply = records.Message(
            id=self.id, seq=self.seq, sender=self.session, to=self.asker, timestamp=self.at, type=REPLY, in_reply_to=self.request,
            subject=names.show(f"{_SAID[self.answer]}: {self.resource}", names.SUBJECT_LIMIT),
            thread=(asked.thread or asked.id) if asked else None, message=text, details={"answer": self.answer},
        )  # fmt: skip
        draft.put("messages", reply.id, reply)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """An open request to this session, for a lease of its own; what is offered is free then."""
        asked = state.messages.get(self.request)
        if asked is None or asked.type != REQUEST or asked.to != self.session or asked.status == "answered":
            return f"{self.request} is no open request to {self.session}"
        if asked.sender != self.asker or asked.details.get("resource") != self.resource:
            return "it was not asked for that"
        fence, held = LeaseRef.parse(self.lease)
        lease = leases.find(state.claims.get, self.session, fence, held)
        if self.answer != "deny" and lease is None:
            return f"{self.session} doesn't hold {held} with fence {fence}"
        if self.offered and not _can_offer(state, self.asker, names.resource_of(self.resource), lease, self.answer):
            return f"{self.resource} can't be offered to {self.asker}"
        return None


def _attitude(lease: Claim) -> str:
    return "held" if lease.allow_coordination else "denied"


def _can_offer(state: State, asker: str, wanted: Resource, given: Claim | None, answer: Answer) -> bool:
    """Whether nothing else is in the asker's way once the lease is given up or shared."""
    known = state.sessions.get(asker)
    if answer == "deny" or given is None or known is None or not known.live:
        return False
    left = [lease for lease in state.claims.values() if lease.key != given.key]
    if answer == "share":
        left.append(given.model_copy(update={"mode": "shared"}))
    return not leases.blocking(state.rules.settings, left, wanted, "shared" if answer == "share" else "exclusive", asker)


def decide_request(state: State, command: RequestClaims, clock: Clock) -> Event | None:
    """Asks every holder. Raises BadInput where nobody is in the way."""
    acting(state, command)
    wanted = Resource.read(command.resource)
    now = clocks.date_of(state, clock)
    found = leases.in_the_way(state, wanted, "exclusive", command.session)
    found = sorted((one for one in found if not leases.holder_gone(state, one)), key=lambda one: one.fence)[:_AT_ONCE]
    if all(leases.is_over(one, now, state.rules.grace) for one in found):
        raise BadInput(f"nobody is in the way of {names.show(str(wanted), 80)}", hint=f"gitcoord claim {names.word(str(wanted))}")
    return ClaimRequested(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        resource=command.resource,
        holders=tuple(f"{one.fence} {one.claimed_by} {_attitude(one)} {one.resource}" for one in found),
        message=command.message or None,
    )  # fmt: skip


def decide_answer(state: State, command: AnswerRequest, clock: Clock) -> Event | None:
    """Answers. Raises BadInput for what is no open request to this session, NotHeld where the lease is over."""
    acting(state, command)
    asked = state.messages.get(command.request)
    if asked is None or asked.type != REQUEST or asked.to != command.session:
        raise BadInput(
            f"{names.show(command.request, 60)} is no request to {command.session}",
            hint="gitcoord inbox --all --type release_request",
        )
    if asked.status == "answered":
        raise BadInput(f"the request of {asked.sender} was answered already", hint="gitcoord inbox --all --sent")
    wanted = Resource.read(asked.details.get("resource", ""))
    fence, held = LeaseRef.parse(asked.details.get("lease", ""))
    lease = leases.find(state.claims.get, command.session, fence, held)
    if lease is not None and leases.is_over(lease, clocks.date_of(state, clock)):
        lease = None
    if lease is None and command.answer != "deny":
        raise NotHeld(f"you no longer hold {held} (fence {fence}): there is nothing to give", hint="gitcoord claims --mine")
    if command.answer == "share" and lease is not None and state.rules.settings.capacity(held):
        raise BadInput(
            f"{held} has places; it can't be shared further", hint=f"gitcoord respond {command.request} approve, or deny"
        )
    return RequestAnswered(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, request=asked.id,
        answer=command.answer, asker=asked.sender, resource=str(wanted), lease=str(LeaseRef(fence, held)),
        offered=_can_offer(state, asked.sender, wanted, lease, command.answer), message=command.message or None,
    )  # fmt: skip
