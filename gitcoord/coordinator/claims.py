"""Leases, as a session uses them: acquire (or wait), renew, give back, ask the holder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from gitcoord.coordinator.commands import Asker, Receipt
from gitcoord.coordinator.watch import Watcher
from gitcoord.core import claims, clocks, handoffs, names, queue, releases, renewals, requests
from gitcoord.core.events import Event
from gitcoord.core.leases import held_by, split_lease, split_renewal
from gitcoord.core.names import Resource
from gitcoord.core.records import Claim
from gitcoord.core.state import State
from gitcoord.core.term import is_over
from gitcoord.errors import NotHeld, NotInTime, Unknown, Unreachable


@dataclass(frozen=True)
class Leases:
    """What a claim or renewal gave: the leases, the receipt, what was taken over, and which of them had been offered."""

    claims: tuple[Claim, ...]
    receipt: Receipt
    taken: tuple[str, ...] = ()
    collected: tuple[str, ...] = ()


@dataclass
class Claiming(Asker):
    """One caller's leases."""

    def acquire(
        self,
        resources: Sequence[Resource],
        *,
        wait: float | None = None,
        told: Callable[[str], None] = lambda text: None,
        stop: Callable[[], bool] = lambda: False,
        op: str = "",
        **asked: Any,
    ) -> Leases:
        """Acquires leases, or renews what is held already. Raises Held with every lease in the way.

        `wait`: seconds to stand in line where it isn't free; who waits is `told` what for whenever that changes. Raises NotInTime
        when they are over: the place in line stays for a while, and the same call goes on waiting. `stop` says whether to give
        up at once. Raises KeyboardInterrupt then. `op`: the caller's own id for the claim, not for the steps of a wait. Raises
        NotHeld where that was granted long ago and is over.
        """
        self.require_session()
        if asked.get("phase"):
            asked["phase"] = names.parse_line(asked["phase"], "phase")
        if asked.get("reason"):
            asked["reason"] = names.parse_text(asked["reason"], "reason")
        asked = {"mode": "exclusive", "any_of": False, **asked}
        asked |= {"resources": tuple(map(str, resources)), "wait": wait is not None, "folds": self.who.folds}
        end = self.flusher.clock() + (wait or 0.0)
        receipt, event = self._ask(claims.AcquireClaims, op=op, **asked)
        if wait is None or isinstance(event, claims.ClaimAcquired | renewals.ClaimRenewed):
            return self._leases(receipt, event, resources, again=bool(op))
        last = ""
        view = self.log.view()
        if view.checked.seq < receipt.seq:
            view = self.log.refresh(self.seconds)
        watcher = Watcher(self.log, self.desk, self.rest or self.flusher.sleep, self.seconds, self.flusher.clock)
        for now in chain([view], watcher.views(view, end - self.flusher.clock(), stop)):
            self._view = view = now
            step = self._next_step(view.state, asked)
            if step:
                # The place is kept: a remote that is away, or an answer that didn't come in time, ends no wait.
                with contextlib.suppress(Unreachable, Unknown, NotInTime):
                    receipt, event = self._ask(claims.AcquireClaims, **asked)
                    if isinstance(event, claims.ClaimAcquired | renewals.ClaimRenewed):
                        return self._leases(receipt, event, resources)
                continue
            line = queue.tell(view.state, self.who.session, resources, asked["mode"], self.time_of(view), any_of=asked["any_of"])
            if line != last:
                told(line)
                last = line
        if stop():
            raise KeyboardInterrupt
        raise queue.still(view.state, self.who.session, resources, asked["mode"], self.time_of(view), any_of=asked["any_of"])

    def _next_step(self, state: State, asked: dict[str, Any]) -> bool:
        """Whether asking again would change anything: what is waited for is there, or the place wants to be kept."""
        command = claims.AcquireClaims(
            op=self.desk.next_id(), session=self.who.session, run_id=self.who.run_id, at=self.now(), **asked
        )
        return claims.would_change(state, command, self.log.clock())

    def request(self, resource: Resource, text: str, *, op: str = "") -> tuple[Receipt, tuple[str, ...], tuple[str, ...]]:
        """Asks whoever holds it to give it up: the receipt, who was asked, and who takes no requests. `op`: the caller's own id for
        it. Raises BadInput.
        """
        self.require_session()
        receipt, event = self._ask(
            requests.RequestClaims, op=op, resource=str(resource), message=names.parse_text(text, "message") or None
        )
        assert isinstance(event, requests.ClaimRequested)
        asked = [requests.split_asked(entry) for entry in event.holders]
        return receipt, tuple(one[1] for one in asked if one[2] == "held"), tuple(one[1] for one in asked if one[2] == "denied")

    def respond(
        self, request: str, answer: requests.Answer, text: str, *, op: str = ""
    ) -> tuple[Receipt, requests.RequestAnswered]:  # fmt: skip
        """Answers a request (its id, or its seq). `op`: the caller's own id for it. Raises BadInput, NotHeld."""
        self.require_session()
        receipt, event = self._ask(
            requests.AnswerRequest, op=op, request=request, answer=answer, message=names.parse_text(text, "message") or None
        )
        assert isinstance(event, requests.RequestAnswered)
        return receipt, event

    def renew(
        self, resources: Sequence[Resource], ttl_seconds: int | None = None, *, again: bool = True, op: str = ""
    ) -> Leases:  # fmt: skip
        """Renews those leases, or all of the session's. `again`: what is over by now, and nobody's, is taken again under a new
        fence; `op`: the caller's own id for it. Raises NotHeld for what is over for good.
        """
        self.require_session()
        had = self.identity.held(self.who.session)
        receipt, event = self._ask(
            renewals.RenewClaims, op=op, resources=tuple(map(str, resources)), ttl_seconds=ttl_seconds, again=again
        )
        if event is None and had:
            lost = ", ".join(str(split_lease(entry)[1]) for entry in had[:3])
            raise NotHeld(f"{self.who.session} holds nothing any more: {lost} is lost", hint="gitcoord claims")
        if isinstance(event, renewals.ClaimRenewed):
            self._tell_regained(event.regained, event)
        return self._leases(receipt, event, resources, again=bool(op))

    def _leases(self, receipt: Receipt, event: Event | None, wanted: Sequence[Resource] = (), *, again: bool = False) -> Leases:
        """The leases that an event granted or renewed, read from what it says: no further look at the branch is needed. `wanted`:
        only these, for others that are renewed on the way are no answer; `again`: it may have been asked for before, so what it
        gave may be over. Raises NotHeld then.
        """
        found: list[Claim] = []
        taken: tuple[str, ...] = ()
        if isinstance(event, claims.ClaimAcquired):
            taken = event.taken
            for text in event.resources:
                resource = Resource.read(text)
                found.append(
                    Claim(
                        claimed_by=event.session, run_id=event.run_id, claimed_at=event.at, resource_type=resource.type,
                        resource_name=resource.name, repo=resource.repo, mode=event.mode, phase=event.phase, reason=event.reason,
                        ttl_seconds=event.ttl_seconds, renewed_at=event.at, expires_at=event.expires_at, fence=event.seq,
                        estimated_duration=event.estimated_duration, allow_coordination=event.allow_coordination,
                    )
                )  # fmt: skip
        renewed = event.renewed if isinstance(event, claims.ClaimAcquired | renewals.ClaimRenewed) else ()
        ends = [split_renewal(entry) for entry in renewed]
        if isinstance(event, renewals.ClaimRenewed):
            ends += [(event.seq, *split_renewal(entry)[1:]) for entry in event.regained]
        for fence, until, resource in ends:
            if wanted and resource not in wanted:
                continue
            found.append(
                Claim(
                    claimed_by=self.who.session, run_id=self.who.run_id, claimed_at=until, resource_type=resource.type,
                    resource_name=resource.name, repo=resource.repo, ttl_seconds=0, renewed_at=self.now(), expires_at=until,
                    fence=fence,
                )
            )  # fmt: skip
        if again:
            found = self._still(receipt, found)
        start = event.at.timestamp() if event is not None else 0.0
        known = {lease.entry: lease.expires_at.timestamp() for lease in found}
        self.identity.add(self.who.session, {entry: (end, int(end - start)) for entry, end in known.items()}, receipt.seq)
        collected = event.collected if isinstance(event, claims.ClaimAcquired | renewals.ClaimRenewed) else ()
        return Leases(tuple(found), receipt, taken, collected)

    def _still(self, receipt: Receipt, given: list[Claim]) -> list[Claim]:
        """Return those leases as they are now. Raises NotHeld if one of them is over, or another's."""
        state = self.log.view().state
        if state.seq < receipt.seq:  # another clone of this machine sent it
            return given
        own = {
            lease.resource: lease for lease in held_by(state, self.who.session)
        }  # the newest: a later claim may have replaced it
        now = clocks.shown_at(state, self.log.clock(), ask=False)[0]
        for lease in given:
            known = own.get(lease.resource)
            if known is None or is_over(known, now):
                raise NotHeld(
                    f"this operation was carried out before (event {receipt.seq}), and what it gave is over: "
                    f"{lease.resource} (fence {lease.fence})",
                    hint=f"gitcoord claim {names.word(str(lease.resource))}, with another --op or none",
                )
        return [own[lease.resource] for lease in given]

    def release(
        self, resources: Sequence[Resource] | None, *, op: str = "", **told: Any
    ) -> tuple[Receipt, tuple[str, ...]]:  # fmt: skip
        """Gives leases back (None: all): the receipt and what was freed. Nothing held by anybody: fine. `op`: the caller's own id
        for it. Raises NotHeld for what another session holds.
        """
        self.require_session()
        if told.get("done") is not None:
            told["done"] = names.parse_text(told["done"], "done")
        if told.get("next_phase"):
            told["next_phase"] = names.parse_line(told["next_phase"], "next phase")
        told["to"] = handoffs.parse_receiver(told["to"]) if told.get("to") else None
        asked = {key: value for key, value in told.items() if key not in ("branch", "commit")}
        typed = {**asked, "resources": None if resources is None else sorted(map(str, resources))}
        if (done := self._earlier(releases.ReleaseClaims, op, typed)) is not None:
            return done[0], done[1].released if isinstance(done[1], releases.ClaimReleased) else ()
        mine = self._fences()
        if resources is None:
            leases = tuple(f"{fence} {resource}" for resource, fence in mine.items())
            state = self.log.view().state if leases else self.view().state
            leases = leases or tuple(f"{one.fence} {one.resource}" for one in held_by(state, self.who.session))
            places = [place for place in state.waiting.values() if place.session_id == self.who.session]
            leases += tuple(dict.fromkeys(f"0 {resource}" for place in places for resource in place.wanted if resource not in mine))
            if not leases:
                return Receipt("unchanged", ""), ()
        else:
            leases = tuple(f"{mine.get(resource, 0)} {resource}" for resource in resources)
        receipt, event = self._ask(releases.ReleaseClaims, op=op, typed=typed, leases=leases, **told)
        released = event.released if isinstance(event, releases.ClaimReleased) else ()
        given_up = leases if receipt.state == "queued" else released
        freed = {str(split_lease(entry)[1]) for entry in given_up}
        if isinstance(event, releases.ClaimReleased):
            freed |= set(event.left)
        self.identity.drop(self.who.session, [entry for entry in given_up if not entry.startswith("0 ")])
        if receipt.state == "queued":
            return receipt, tuple(leases)
        for resource in resources or ():
            if str(resource) not in freed:
                others = [lease for lease in self.view().state.claims.values() if lease.resource == resource]
                if others:
                    raise NotHeld(
                        f"{resource} is held by {others[0].claimed_by} (fence {others[0].fence}), not by {self.who.session}; "
                        "nothing of it was released",
                        hint="gitcoord claims",
                    )
        return receipt, tuple(released)

    def give_back(self, entries: Sequence[str]) -> tuple[Receipt, tuple[str, ...]]:
        """Gives exactly those leases (`42 file:a`) back: the receipt and what was freed. One that is over by then is left alone."""
        receipt, event = self._ask(releases.ReleaseClaims, leases=tuple(entries))
        freed = tuple(entries) if receipt.state == "queued" else getattr(event, "released", ())
        self.identity.drop(self.who.session, entries)
        return receipt, freed

    def _fences(self) -> dict[Resource, int]:
        """The fences that this work tree knows of: a late release must free exactly these."""
        found = {}
        for entry in self.identity.held(self.who.session):
            with contextlib.suppress(ValueError):
                fence, resource = split_lease(entry)
                found[resource] = fence
        return found
