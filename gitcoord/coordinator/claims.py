"""Leases, as a session uses them: acquire (or wait), renew, give back, ask the holder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch, Status
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.coordinator.watch import Watcher
from gitcoord.core import (
    claims,
    clocks,
    handoffs,
    leases,
    names,
    queue,
    readiness,
    records,
    releases,
    renewals,
    requests,
    task_commands,
    tasks,
)
from gitcoord.core.events import Event, Receipt
from gitcoord.core.leases import LeaseRef, RenewedLease, held_by, holder
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps, within
from gitcoord.core.records import Claim, Ticket
from gitcoord.core.state import State
from gitcoord.core.term import is_over
from gitcoord.core.times import spell
from gitcoord.errors import BadInput, GitcoordError, Held, NotHeld, NotInTime, Unknown, Unreachable
from gitcoord.log.outcomes import View


@dataclass(frozen=True)
class Leases:
    """What a claim or renewal gave: the leases, the receipt, what was taken over, and which of them had been offered."""

    claims: tuple[Claim, ...]
    receipt: Receipt
    taken: tuple[str, ...] = ()
    collected: tuple[str, ...] = ()


class Released(NamedTuple):
    """A release gives back a receipt, the leases that were freed (`42 file:a`), and what the session no longer waits for."""

    receipt: Receipt
    freed: tuple[str, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claims:
    """The caller's leases."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands
    sessions: Sessions

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
        """Acquire leases, or renew what is held already. Raises Held with every lease in the way.

        `wait`: seconds to stand in line where it isn't free; who waits is `told` what for whenever that changes. Raises NotInTime
        when they are over: the place in line stays for a while, and the same call goes on waiting. `stop` says whether to give
        up at once. Raises KeyboardInterrupt then. `op`: the caller's own id for the claim, not for the steps of a wait. Raises
        NotHeld where that was granted long ago and is over.
        """
        self.sessions.ensure()
        if asked.get("phase"):
            asked["phase"] = names.parse_line(asked["phase"], "phase")
        if asked.get("reason"):
            asked["reason"] = names.parse_text(asked["reason"], "reason")
        asked = {"mode": "exclusive", "any_of": False, **asked}
        asked |= {"resources": tuple(map(str, resources)), "wait": wait is not None, "folds": self.acting.actor.folds}
        if self.commands.carriage.carries(self.acting.session):
            return self._ask_to_carry(resources, asked)
        end = self.parts.submitter.clock() + (wait or 0.0)
        receipt, event = self.commands.submit(claims.AcquireClaims, self.sessions.current(claims.AcquireClaims), op=op, **asked)
        if wait is None or isinstance(event, claims.ClaimAcquired | renewals.ClaimRenewed):
            return self._leases(receipt, event, resources, again=bool(op))
        view = self.parts.log.view()
        if view.checked.seq < receipt.seq:
            view = self.parts.log.refresh(self.parts.seconds)
        with self.parts.log.waits.during("your turn", told=True):
            return self._stand_in_line(resources, asked, view, end, told, stop)

    def _stand_in_line(
        self,
        resources: Sequence[Resource],
        asked: dict[str, Any],
        view: View,
        end: float,
        told: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> Leases:
        """Wait until what is asked for is free for the session, and take it. Raises NotInTime, KeyboardInterrupt."""
        last = ""
        watcher = Watcher(self.parts.log, self.parts.outbox, self.parts.sleep, self.parts.seconds, self.parts.submitter.clock)
        for now in chain([view], watcher.views(view, end - self.parts.submitter.clock(), stop)):
            view = now
            self.branch.remember(view)
            step = self._next_step(view.state, asked)
            if step:
                # The place is kept: a remote that is away, or an answer that didn't come in time, ends no wait.
                with contextlib.suppress(Unreachable, Unknown, NotInTime):
                    receipt, event = self.commands.submit(
                        claims.AcquireClaims, self.sessions.current(claims.AcquireClaims), **asked
                    )
                    if isinstance(event, claims.ClaimAcquired | renewals.ClaimRenewed):
                        return self._leases(receipt, event, resources)
                continue
            line = queue.tell(
                view.state, self.acting.session, resources, asked["mode"], self.branch.time_of(view), any_of=asked["any_of"]
            )
            if line != last:
                told(line)
                last = line
        if stop():
            raise KeyboardInterrupt
        raise queue.still(
            view.state, self.acting.session, resources, asked["mode"], self.branch.time_of(view), any_of=asked["any_of"]
        )

    def _ask_to_carry(self, resources: Sequence[Resource], asked: dict[str, Any]) -> Leases:
        """Ask for the leases on the work tree's own branch, and wait for its adoption. Raises Held, Unknown."""
        if asked["wait"]:
            raise BadInput("a session that may not push can't stand in line", hint="gitcoord claim, without --wait, now and then")
        state = self.branch.look_again(self.parts.seconds).state
        mine = {lease.resource: lease for lease in leases.held_now(state, self.acting.session, self.branch.time_now())}
        if not asked["any_of"] and all(one in mine for one in resources):
            return Leases(tuple(mine[one] for one in resources), Receipt("unchanged", "", state.seq))
        done = self.commands.carriage.ask(claims.AcquireClaims, **asked)
        return self._leases(Receipt("committed", done.event.id if done.event else "", done.seq, done.commit), done.event, resources)

    def _next_step(self, state: State, asked: dict[str, Any]) -> bool:
        """Return True if the same claim would change anything now: what is waited for is free, or the ticket is to be kept."""
        command = claims.AcquireClaims(
            op=self.parts.outbox.next_id(),
            session=self.acting.session,
            run_id=self.acting.actor.run_id,
            at=self.parts.now(),
            **asked,
        )
        return claims.would_change(state, command, self.parts.log.clock())

    def request(self, resource: Resource, text: str, *, op: str = "") -> tuple[Receipt, tuple[str, ...], tuple[str, ...]]:
        """Ask the holders of that to give it up; return the receipt, who was asked, and who takes no requests. Raises BadInput.

        - `op`: the caller's own id for the request.
        """
        self.sessions.ensure()
        receipt, event = self.commands.submit(
            requests.RequestClaims,
            self.sessions.current(requests.RequestClaims),
            op=op,
            resource=str(resource),
            message=names.parse_text(text, "message") or None,
        )
        assert isinstance(event, requests.ClaimRequested)
        asked = [requests.split_asked(entry) for entry in event.holders]
        return receipt, tuple(one[1] for one in asked if one[2] == "held"), tuple(one[1] for one in asked if one[2] == "denied")

    def respond(
        self, request: str, answer: requests.Answer, text: str, *, op: str = ""
    ) -> tuple[Receipt, requests.RequestAnswered]:  # fmt: skip
        """Answer a request (its id, or its seq). `op`: the caller's own id for the answer. Raises BadInput, NotHeld."""
        self.sessions.ensure()
        receipt, event = self.commands.submit(
            requests.AnswerRequest,
            self.sessions.current(requests.AnswerRequest),
            op=op,
            request=request,
            answer=answer,
            message=names.parse_text(text, "message") or None,
        )
        assert isinstance(event, requests.RequestAnswered)
        return receipt, event

    def renew(
        self, resources: Sequence[Resource], ttl_seconds: int | None = None, *, again: bool = True, op: str = ""
    ) -> Leases:  # fmt: skip
        """Renew those leases, or all of the session's. Raises NotHeld for a lease that is over for good.

        - `again`: a lease that is over, and nobody's, is taken again under a new fence.
        - `op`: the caller's own id for the renewal.
        """
        self.sessions.ensure()
        had = self.parts.identity.held(self.acting.session)
        receipt, event = self.commands.submit(
            renewals.RenewClaims,
            self.sessions.current(renewals.RenewClaims),
            op=op,
            resources=tuple(map(str, resources)),
            ttl_seconds=ttl_seconds,
            again=again,
        )
        if event is None and had:
            lost = ", ".join(str(LeaseRef.parse(entry).resource) for entry in had[:3])
            raise NotHeld(f"{self.acting.session} holds nothing any more: {lost} is lost", hint="gitcoord claims")
        if isinstance(event, renewals.ClaimRenewed):
            self.commands.tell_regained(event.regained, event)
        return self._leases(receipt, event, resources, again=bool(op))

    def given(self, receipt: Receipt, event: Event | None, wanted: Sequence[Resource], *, again: bool = False) -> tuple[Claim, ...]:
        """Return the leases on these that an event granted or renewed, and note them in this work tree. Raises NotHeld for an
        operation that was carried out before (`again`), where one of them is over.
        """
        return self._leases(receipt, event, wanted, again=again).claims

    def _leases(self, receipt: Receipt, event: Event | None, wanted: Sequence[Resource] = (), *, again: bool = False) -> Leases:
        """Return the leases that an event granted or renewed, read from the event: no further look at the branch is needed.

        - `wanted`: only leases on these; others are renewed on the way and are no answer.
        - `again`: the operation may have been carried out before, so what it gave may be over. Raises NotHeld then.
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
        ends = [RenewedLease.parse(entry) for entry in renewed]
        if isinstance(event, renewals.ClaimRenewed):
            ends += [RenewedLease.parse(entry)._replace(fence=event.seq) for entry in event.regained]
        for fence, until, resource in ends:
            if wanted and resource not in wanted:
                continue
            found.append(
                Claim(
                    claimed_by=self.acting.session, run_id=self.acting.actor.run_id, claimed_at=until, resource_type=resource.type,
                    resource_name=resource.name, repo=resource.repo, ttl_seconds=0, renewed_at=self.parts.now(), expires_at=until,
                    fence=fence,
                )
            )  # fmt: skip
        if again:
            found = self._still(receipt, found)
        start = event.at.timestamp() if event is not None else 0.0
        known = {lease.entry: lease.expires_at.timestamp() for lease in found}
        self.parts.identity.add(self.acting.session, {entry: (end, int(end - start)) for entry, end in known.items()}, receipt.seq)
        collected = event.collected if isinstance(event, claims.ClaimAcquired | renewals.ClaimRenewed) else ()
        return Leases(tuple(found), receipt, taken, collected)

    def _still(self, receipt: Receipt, given: list[Claim]) -> list[Claim]:
        """Return those leases as they are now. Raises NotHeld if one of them is over, or another's."""
        state = self.parts.log.view().state
        if state.seq < receipt.seq:  # another clone of this machine sent it
            return given
        own = {
            lease.resource: lease for lease in held_by(state, self.acting.session)
        }  # the newest: a later claim may have replaced it
        now = clocks.shown_at(state, self.parts.log.clock(), ask=False)[0]
        for lease in given:
            known = own.get(lease.resource)
            if known is None or is_over(known, now):
                raise NotHeld(
                    f"this operation was carried out before (event {receipt.seq}), and what it gave is over: "
                    f"{lease.resource} (fence {lease.fence})",
                    hint=f"gitcoord claim {names.word(str(lease.resource))}, with another --op or none",
                )
        return [own[lease.resource] for lease in given]

    def release(self, resources: Sequence[Resource] | None, *, op: str = "", **told: Any) -> Released:
        """Give leases back (None: all), and the tickets for the same. What nobody holds is no error. Raises NotHeld for what
        another session holds, where there was no ticket for it.

        - `op`: the caller's own id for the release.
        - `told`: what the session says with it: `done`, `tests`, `next_phase`, `to`, `branch`, `commit`.
        """
        self.sessions.ensure()
        if told.get("done") is not None:
            told["done"] = names.parse_text(told["done"], "done")
        if told.get("next_phase"):
            told["next_phase"] = names.parse_line(told["next_phase"], "next phase")
        told["to"] = handoffs.parse_receiver(told["to"]) if told.get("to") else None
        asked = {key: value for key, value in told.items() if key not in ("branch", "commit")}
        typed = {**asked, "resources": None if resources is None else sorted(map(str, resources))}
        if (done := self.commands.earlier(releases.ReleaseClaims, self.acting.actor, op, typed)) is not None:
            return Released(done[0], *_released(done[1]))
        mine = self._fences()
        if told.get("next_phase") or told["to"]:
            passed = self._pass_on(mine, resources, told, op)
            if passed is not None:
                return passed
        if resources is None:
            leases = tuple(str(LeaseRef(fence, resource)) for resource, fence in mine.items())
            state = self.parts.log.view().state if leases else self.branch.view().state
            leases = leases or tuple(one.entry for one in held_by(state, self.acting.session))
            places = [place for place in state.waiting.values() if place.session_id == self.acting.session]
            leases += tuple(
                dict.fromkeys(str(LeaseRef(0, resource)) for place in places for resource in place.wanted if resource not in mine)
            )
            if not leases:
                return Released(Receipt("unchanged", ""), ())
        else:
            leases = tuple(f"{mine.get(resource, 0)} {resource}" for resource in resources)
        receipt, event = self.commands.submit(
            releases.ReleaseClaims, self.sessions.current(releases.ReleaseClaims), op=op, typed=typed, leases=leases, **told
        )
        released, left = _released(event)
        given_up = leases if receipt.state == "queued" else released
        freed = {str(LeaseRef.parse(entry).resource) for entry in given_up} | set(left)
        self.parts.identity.drop(self.acting.session, [entry for entry in given_up if not entry.startswith("0 ")])
        if receipt.state == "queued":
            return Released(receipt, tuple(leases))
        for resource in resources or ():
            if str(resource) not in freed:
                state = self.branch.view().state
                others = [lease for lease in state.claims.values() if lease.resource == resource]
                if others:
                    self.commands.warn_of([(others[0].fence, others[0].claimed_by)])
                    raise NotHeld(
                        f"{resource} is held by {holder(state, others[0])} (fence {others[0].fence}), "
                        f"not by {self.acting.session}; nothing of it was released",
                        hint="gitcoord claims",
                    )
        return Released(receipt, released, left)

    def _pass_on(
        self, mine: dict[Resource, int], resources: Sequence[Resource] | None, told: dict[str, Any], op: str
    ) -> Released | None:
        """Give back what stands for open tasks as a step in the line of their phases, and all else with the first of them. Return
        None where no task is among it.
        """
        known = self.parts.log.view().state.tasks
        wanted = list(mine) if resources is None else list(resources)
        among = [seq for one in wanted if (seq := readiness.number(one)) is not None and (task := known.get(seq)) and task.is_open]
        if not among:
            return None
        also = [str(LeaseRef(mine.get(one, 0), one)) for one in wanted if readiness.number(one) not in among]
        freed: list[str] = []
        receipt = Receipt("unchanged", "")
        for number, seq in enumerate(among):
            given: dict[str, Any] = {key: told.get(key) for key in ("next_phase", "to", "tests", "branch", "commit")}
            receipt, event = self.commands.submit(
                task_commands.CloseTask, self.sessions.current(task_commands.CloseTask), op=op if number == 0 else "",
                task=str(seq), fence=mine.get(readiness.resource(seq), 0), note=told.get("done"),
                also=tuple(also) if number == 0 else (), **given,
            )  # fmt: skip
            freed += event.released if isinstance(event, tasks.TaskClosed) else ()
        return Released(receipt, tuple(freed))

    def give_back(self, entries: Sequence[str]) -> tuple[Receipt, tuple[str, ...]]:
        """Give exactly those leases (`42 file:a`) back; return the receipt and what was freed. One that is over is left alone."""
        receipt, event = self.commands.submit(
            releases.ReleaseClaims, self.sessions.current(releases.ReleaseClaims), leases=tuple(entries)
        )
        freed = tuple(entries) if receipt.state == "queued" else getattr(event, "released", ())
        self.parts.identity.drop(self.acting.session, entries)
        return receipt, freed

    def _fences(self) -> dict[Resource, int]:
        """Return the fences that this work tree knows of: a late release must free exactly these."""
        found = {}
        for entry in self.parts.identity.held(self.acting.session):
            with contextlib.suppress(ValueError):
                fence, resource = LeaseRef.parse(entry)
                found[resource] = fence
        return found

    # --- looking -----------------------------------------------------------------------------------------------------

    def check(self, resources: Sequence[Resource], fence: int | None) -> tuple[Claim, ...]:
        """Return the session's own leases on them. Raises Held when another holds one, NotHeld when the session's own lease is
        over, or the fence is an old one.
        """
        view = self.branch.view()
        state, now = view.state, self.branch.time_of(view, tell=True)
        mine: list[Claim] = []
        for resource in resources:
            fold = self.branch.folds(state)
            had = [lease for lease in leases.held_by(state, self.acting.session) if overlaps(lease.resource, resource, fold=fold)]
            own = [lease for lease in had if not is_over(lease, now)]
            if fence is not None and not any(lease.fence == fence for lease in own):
                raise NotHeld(
                    f"the lease on {resource} with fence {fence} is over", hint=f"gitcoord claim {names.word(str(resource))}"
                )
            others = self._in_the_way(state, resource, own, now)
            if others:
                refusal = Held(
                    leases.words(state, others[0], now),
                    hint=leases.ways_out(others[0], [resource]),
                    data={"blocked_by": [leases.describe(state, lease, now) for lease in others]},
                )
                self.commands.name_doubtful(refusal)
                raise refusal
            over = [lease for lease in had if lease.offered_until is None]
            if over and not own:
                text = f"your lease on {over[0].resource} ended {spell(over[0].expires_at)} (fence {over[0].fence})"
                raise NotHeld(f"{text}; nobody has taken it", hint=f"gitcoord renew {names.word(str(over[0].resource))}")
            mine += own
        return tuple(mine)

    def _in_the_way(self, state: State, resource: Resource, own: Sequence[Claim], now: datetime) -> list[Claim]:
        """Return the leases of others for which a claim of it would be refused; `own`: what the session has of it already."""
        state = state.folding() if self.branch.folds(state) else state
        settings = state.rules.settings
        has = [lease for lease in own if not is_over(lease, now) and within(resource, lease.resource, fold=settings.ignorecase)]
        if has and settings.capacity(resource):
            return []
        live = [lease for lease in state.claims.values() if not is_over(lease, now, state.rules.grace)]
        mode: records.Mode = "shared" if has and all(lease.mode == "shared" for lease in has) else "exclusive"
        return leases.blocking(settings, live, resource, mode, self.acting.session)

    def knows_type_of(self, meant: Resource) -> bool:
        """Return True if somebody has, awaits or shares something of that resource's type. The remote is asked only where its name
        looks like no file's.
        """
        if meant.type in _types(self.parts.log.view().state):
            return True
        if names.is_like_file(meant.name):
            return False
        with contextlib.suppress(GitcoordError):  # whoever needs the remote asks it next, and says what is wrong
            return meant.type in _types(self.branch.view().state)
        return False

    def leases(self, *, mine: bool, overlapping: Resource | None, at: Status | None = None) -> list[Claim]:
        """Return the leases that are not over. `mine`: only the session's; `at`: by that picture of the past."""
        state = at.state if at is not None else self.branch.view().state
        return self._leases_that(lambda lease, now: not is_over(lease, now), state, mine, overlapping, at)

    def over(self, *, mine: bool, overlapping: Resource | None, at: Status | None = None) -> list[Claim]:
        """Return the leases that are over and that nobody has taken or given back, by the view that was read last."""
        return self._leases_that(is_over, at.state if at is not None else self.branch.last_view().state, mine, overlapping, at)

    def _leases_that(
        self, counts: Callable[[Claim, datetime], bool], state: State, mine: bool, overlapping: Resource | None, at: Status | None
    ) -> list[Claim]:  # fmt: skip
        now = at.as_of if at is not None else self.branch.time_now()
        found = [
            lease
            for lease in state.claims.values()
            if counts(lease, now)
            and (not mine or lease.claimed_by == self.acting.session)
            and (overlapping is None or overlaps(lease.resource, overlapping, fold=self.branch.folds(state)))
        ]
        return sorted(found, key=lambda one: (one.resource, one.fence, one.claimed_by))

    def places(self, *, mine: bool, overlapping: Resource | None, at: Status | None = None) -> list[tuple[int, Ticket]]:
        """Return the tickets of those who wait, in order, each with its number in the line."""
        if at is not None:
            state, now = at.state, at.as_of
        else:
            view = self.branch.view(fresh=False)
            state, now = view.state, self.branch.time_of(view)
        return [
            (queue.number(state, place, now), place)
            for place in queue.line(state, now)
            if (not mine or place.session_id == self.acting.session)
            and (overlapping is None or any(overlaps(one, overlapping) for one in place.wanted))
        ]


def _types(state: State) -> set[str]:
    """Return the types of what somebody has, awaits or shares, but for files."""
    types = {lease.resource_type for lease in state.claims.values()}
    types |= {one.type for place in state.waiting.values() for one in place.wanted}
    return (types | {name.partition(":")[0] for name in state.rules.settings.capacities}) - {"file"}


def _released(event: Event | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the leases that an event freed, and what its session no longer waits for."""
    return (event.released, event.left) if isinstance(event, releases.ClaimReleased) else ((), ())
