"""A machine that does anything to the line, in any order, against a plain model of the rules: on real git, and on the rules alone.

The model (`Plain`) is dicts and lists and knows nothing of the program: what it says of each step must come true, and what it
holds afterwards must be what the branch holds. When a machine ends, everybody goes on asking until the line is empty, and
then every commit of the history is looked at once more.

`--hypothesis-profile=thorough` runs many more machines.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import hypothesis
import pytest
from checker import meet
from clones import Seat
from gits import git
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from pure_branch import Story
from remotes import RemoteFactory

from gitcoord.connection.connect import Connection, connect
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.core import claims, renewals, rules
from gitcoord.core.events import Command, Event
from gitcoord.core.names import Resource
from gitcoord.core.requests import AnswerRequest, RequestAnswered, RequestClaims
from gitcoord.core.state import State
from gitcoord.errors import BadInput, ClockSkew, GitcoordError, Held, NotHeld, NotInTime
from gitcoord.log.history import Good

GRACE, OFFER, OUTLIVES, AHEAD, HEAD_START, STALE = 60, 120, 600, 600, 10, 1800  # seconds, as the protocol has them
PLACES = {"ci:slot": 2}
NAMES = ("file:src", "file:src/a.py", "file:src/*.py", "file:docs", "ci:slot")
SESSIONS = ("ada", "ben", "cat", "dan")
BEFORE = timedelta(days=20)  # the remote's files are of today: who is late takes nothing from anybody
Rec = dict[str, Any]


class No(Exception):
    """What the model refuses, in one word."""


# --- the model -------------------------------------------------------------------------------------------------------


def capacity(what: str) -> int:
    """How many may have it at a time; 0: it has no places."""
    return PLACES.get(what, 0)


def mode_of(what: str, asked: str) -> str:
    """How it is held."""
    return "shared" if capacity(what) else asked


def clash(one: str, mode: str, other: str, other_mode: str) -> bool:
    """Whether they can be in each other's way."""
    if capacity(one) and capacity(other):
        return one == other
    return "exclusive" in (mode, other_mode) and meet(one, other)


def blockers(leases: Sequence[Rec], who: str, what: str, asked: str) -> list[Rec]:
    """The leases that keep the session from it."""
    mode = mode_of(what, asked)
    met = [one for one in leases if one["who"] != who and clash(one["what"], one["mode"], what, mode)]
    return met if len(met) >= max(1, capacity(what)) else []


class Plain:
    """Who holds what and who waits, in seconds since the beginning."""

    def __init__(self) -> None:
        self.seq = 0
        self.at = 0
        self.live: set[str] = set()
        self.heard: dict[str, int] = {}
        self.leases: list[Rec] = []
        self.line: list[Rec] = []
        self.asked: dict[str, Rec] = {}
        self.wrong = False
        """Whether the remote's clock contradicts who acts now."""
        self.wanted: set[tuple[str, int, str]] = set()
        """Leases, by holder, fence and name, that somebody has asked for, and that nobody has answered about."""

    # --- what every commit does --------------------------------------------------------------------------------------

    def date(self, now: int) -> int:
        """The date of a commit that is written then. A clock that the remote contradicts never goes back behind the newest."""
        return self.at if now < self.at and (self.wrong or self.at - now <= GRACE) else now

    def commit(self, who: str, now: int, *, keeps: bool = True) -> None:
        """One more event: a sign of life, by which the session keeps what it held before, and whoever fits now is served."""
        for one in self.leases if keeps and not self.wrong else ():
            mine = one["who"] == who and not one["offered"] and one.get("changed") != self.seq + 1
            if mine and self.date(now) < one["until"] < self.date(now) + one["ttl"] * 0.9:
                self.renewed(one, now, None)
        self.at = self.date(now)
        self.seq += 1
        if who in self.live:
            self.heard[who] = max(self.heard.get(who, 0), min(now, self.at))
        for place, what in self.fitting(self.at):
            self.leases = [one for one in self.leases if (one["who"], one["what"]) != (place["who"], what)]
            self.leases.append(
                {"who": place["who"], "what": what, "mode": mode_of(what, place["mode"]), "fence": self.seq, "ttl": place["ttl"],
                 "until": self.at + OFFER, "offered": True, "renewed": self.at, "asks": place["asks"]}
            )  # fmt: skip
            self.line = [one for one in self.line if one["seq"] != place["seq"]]

    def waiting(self, at: int) -> list[Rec]:
        """Who stands in line, in order."""
        return sorted((one for one in self.line if one["until"] > at and one["who"] in self.live), key=lambda one: one["seq"])

    def has(self, who: str, what: str, asked: str, at: int) -> list[Rec]:
        """The session's lease on that, if it is still good."""
        mine = [one for one in self.leases if (one["who"], one["what"]) == (who, what) and one["until"] > at]
        return [one for one in mine if one["mode"] == mode_of(what, asked)]

    def alone(self, who: str, what: str, at: int) -> bool:
        """Whether the session has that to itself: more than whoever wants to share it asks for."""
        return any((one["who"], one["what"], one["mode"]) == (who, what, "exclusive") and one["until"] > at for one in self.leases)

    def fitting(self, at: int) -> list[tuple[Rec, str]]:
        """Whom the line serves."""
        found: list[tuple[Rec, str]] = []
        held, unserved = list(self.leases), list[Rec]()
        for place in self.waiting(at):
            for option in [[one] for one in place["what"]] if place["any"] else [place["what"]]:
                needed = [
                    what
                    for what in option
                    if not self.has(place["who"], what, place["mode"], at) and not self.alone(place["who"], what, at)
                ]
                behind = any(self.stands_before(one, place["who"], option, place["mode"]) for one in unserved)
                if not behind and not any(blockers(held, place["who"], what, place["mode"]) for what in needed):
                    found += [(place, what) for what in needed]
                    held += [{"who": place["who"], "what": what, "mode": mode_of(what, place["mode"])} for what in needed]
                    break
            else:
                unserved.append(place)
        return found

    @staticmethod
    def stands_before(place: Rec, who: str, wanted: Sequence[str], asked: str) -> bool:
        """Whether that place comes first, if it is the earlier one."""
        return place["who"] != who and any(
            clash(one, mode_of(one, place["mode"]), other, mode_of(other, asked)) for one in place["what"] for other in wanted
        )

    def ahead(self, who: str, wanted: Sequence[str], asked: str, at: int, seq: float) -> list[Rec]:
        """Who comes first."""
        return [one for one in self.waiting(at) if one["seq"] < seq and self.stands_before(one, who, wanted, asked)]

    def served(self, who: str, held: set[str]) -> None:
        """The session's places for what it has now are over."""

        def is_served(place: Rec) -> bool:
            fits = {one["what"] for one in self.leases if one["who"] == who and one["what"] in held
                    and one["mode"] in ("exclusive", mode_of(one["what"], place["mode"]))}  # fmt: skip
            return place["who"] == who and (bool(fits & set(place["what"])) if place["any"] else set(place["what"]) <= fits)

        self.line = [one for one in self.line if not is_served(one)]

    # --- what sessions do --------------------------------------------------------------------------------------------

    def start(self, who: str, now: int) -> str:
        """A session begins, or goes on as a new run."""
        self.live.add(who)
        self.heard.setdefault(who, 0)
        self.commit(who, now, keeps=False)
        return "done"

    def end(self, who: str, now: int) -> str:
        """It ends; what it held is free."""
        self.leases = [one for one in self.leases if one["who"] != who]
        self.line = [one for one in self.line if one["who"] != who]
        self.live.discard(who)
        self.commit(who, now)
        return "done"

    def asks(self, who: str, now: int, *, wait: bool, **asked: Any) -> str:
        """Asks; who waits looks once more."""
        said = self.claim(who, now, wait=wait, **asked)
        if said == "waiting":
            probe = copy.deepcopy(self)
            try:
                changes = probe.claim(who, now, wait=wait, **asked) == "held" or probe.seq != self.seq
            except No:
                changes = True
            said = self.claim(who, now, wait=wait, **asked) if changes else said
        return said

    def claim(self, who: str, now: int, *, what: Sequence[str], mode: str, any_of: bool, ttl: int | None, wait: bool,
              stale: bool, breaks: int | None, asks: bool) -> str:  # fmt: skip
        """Asks once: `held`, `waiting`, or what refuses it."""
        if self.wrong:
            raise No("skew")
        at = self.date(now)
        if breaks is not None and not any(one["fence"] == breaks for name in what for one in self.in_the_way(who, name, mode)):
            raise No("not_held")
        asked = {"who": who, "what": list(what), "mode": mode, "any": any_of, "asks": asks}
        place = next((one for one in self.waiting(at) if _same(one, asked)), None)
        granted: list[str] = []
        renewed: list[Rec] = []
        taken: list[Rec] = []
        over: list[Rec] = []
        stuck = first = False
        offered = [one for one in what if any(lease["offered"] for lease in self.has(who, one, mode, at))]
        for name in [*offered, *(one for one in what if one not in offered)] if any_of else what:
            own = self.has(who, name, mode, at)
            if own:
                renewed += own
                if any_of:
                    break
                continue
            met = self.in_the_way(who, name, mode)
            full = bool(blockers(met, who, name, mode))
            here = [one for one in met if self.may_take(one, now, stale, breaks, full=full)]
            left = blockers([one for one in self.leases if one not in here], who, name, mode)
            before = self.ahead(who, [name], mode, at, place["seq"] if place else float("inf"))
            if any(one["fence"] == breaks for one in here):
                before = []
            stuck, first = stuck or bool(left), first or bool(before)
            over += [] if left else here
            if not left and not before:
                granted.append(name)
                taken += here
                if any_of:
                    break
        if (stuck or first) and not (any_of and (granted or renewed)):
            if not wait:
                raise No("blocked")
            return self.stand(asked, now, place, [] if stuck else over, ttl)
        for one in renewed:
            self.renewed(one, now, ttl)
        self.leases = [one for one in self.leases if one not in taken and not (one["who"] == who and one["what"] in granted)]
        self.leases += [
            {"who": who, "what": name, "mode": mode_of(name, mode), "fence": self.seq + 1, "ttl": ttl or 3600,
             "until": at + (ttl or 3600), "offered": False, "renewed": min(now, at), "asks": asks}
            for name in granted
        ]  # fmt: skip
        self.served(who, {*granted, *(one["what"] for one in renewed)})
        self.commit(who, now)
        return "held"

    def in_the_way(self, who: str, what: str, asked: str) -> list[Rec]:
        """What conflicts, expired or not."""
        mode = mode_of(what, asked)
        return [one for one in self.leases if one["who"] != who and clash(one["what"], one["mode"], what, mode)]

    def may_take(self, lease: Rec, now: int, stale: bool, breaks: int | None, *, full: bool) -> bool:
        """Whether the session may take it over."""
        if lease["fence"] == breaks:
            return True
        late = now >= lease["until"] if lease["offered"] else now > lease["until"] + GRACE
        silent = stale and now - max(lease["renewed"], self.heard[lease["who"]]) >= STALE
        return late or (silent and full)

    def stand(self, asked: Rec, now: int, place: Rec | None, over: list[Rec], ttl: int | None) -> str:
        """A place in line, kept or new; or it passes on what nobody before it took over."""
        at, who = self.date(now), asked["who"]
        if place is not None:
            number = 1 + len(self.ahead(who, place["what"], place["mode"], at, place["seq"]))
            late = [one for one in over if now > one["until"] + (0 if one["offered"] else GRACE)]
            ends = [one["until"] + (0 if one["offered"] else GRACE) for one in late]
            if ends and now > max(ends) + number * HEAD_START:
                self.leases = [one for one in self.leases if one not in late]
            elif place["until"] - at > OUTLIVES:
                return "waiting"
            else:
                place |= {"until": at + OUTLIVES + AHEAD}
            self.commit(who, now)
            return "waiting"
        newcomer = {**asked, "seq": self.seq + 1, "until": at + OUTLIVES + AHEAD, "ttl": ttl or 3600}
        if self.never_ends(newcomer, at):
            raise No("circle")
        self.line = [one for one in self.line if one["who"] != who or set(one["what"]) != set(asked["what"])]
        self.line.append(newcomer)
        self.commit(who, now)
        return "waiting"

    def never_ends(self, newcomer: Rec, at: int) -> bool:
        """Whether it would wait for ever, if everybody who doesn't wait frees what it holds, and whoever is served then, too."""
        places = [*self.waiting(at), newcomer]
        while True:
            stuck = {one["who"] for one in places}
            held = [one for one in self.leases if one["until"] > at and one["who"] in stuck]

            def is_stuck(place: Rec, held: list[Rec] = held, places: list[Rec] = places) -> bool:
                options = [[one] for one in place["what"]] if place["any"] else [place["what"]]
                earlier = [one for one in places if one["seq"] < place["seq"]]
                return all(
                    any(blockers(held, place["who"], name, place["mode"]) for name in option)
                    or any(self.stands_before(one, place["who"], option, place["mode"]) for one in earlier)
                    for option in options
                )

            left = [one for one in places if is_stuck(one)]
            if len(left) == len(places):
                return newcomer in left
            places = left

    def renewed(self, lease: Rec, now: int, ttl: int | None) -> None:
        """A lease goes on."""
        until = self.date(now) + (ttl or lease["ttl"])
        if until > lease["until"]:
            lease |= {"until": until, "renewed": max(min(now, self.date(now)), lease["renewed"]), "offered": False}

    def renew(self, who: str, now: int) -> str:
        """All that it holds goes on, and what is over and free begins anew."""
        if self.wrong and any(one["who"] == who for one in self.leases):
            raise No("skew")
        mine = [one for one in self.leases if one["who"] == who and one["until"] > self.date(now)]
        over = [one for one in self.leases if one["who"] == who and one not in mine and not one["offered"]]
        back = [one for one in over if self.is_free(one, now)]
        if over and not mine and not back:
            raise No("not_held")
        for one in mine:
            self.renewed(one, now, None)
        self.again(back, now)
        self.served(who, {one["what"] for one in (*mine, *back)})
        if mine or back:
            self.commit(who, now)
        return "done"

    def is_free(self, lease: Rec, now: int) -> bool:
        """Whether nobody has, waits for or asked for what that lease, which is over, was on."""
        who, what = lease["who"], lease["what"]
        held = blockers(self.leases, who, what, lease["mode"])
        first = self.ahead(who, [what], lease["mode"], self.date(now), float("inf"))
        return not held and not first and (who, lease["fence"], what) not in self.wanted

    def again(self, back: Sequence[Rec], now: int) -> None:
        """What was over begins anew, under a new fence."""
        for one in back:
            one |= {"fence": self.seq + 1, "until": self.date(now) + one["ttl"], "renewed": min(now, self.date(now))}

    def beat(self, who: str, now: int) -> str:
        """It says what it does; what is over and free begins anew."""
        at = self.date(now)
        back = [one for one in self.leases if one["who"] == who and one["until"] <= at and not one["offered"]]
        back = [one for one in back if not self.wrong and self.is_free(one, now)]
        self.again(back, now)
        if back:
            self.served(who, {one["what"] for one in back})
        self.commit(who, now)
        return "done"

    def release(self, who: str, now: int, what: str) -> str:
        """It gives that back, and its places for it."""
        mine = [one for one in self.leases if (one["who"], one["what"]) == (who, what)]
        places = [one for one in self.line if one["who"] == who and what in one["what"]]
        self.leases = [one for one in self.leases if one not in mine]
        self.line = [one for one in self.line if one not in places]
        if mine or places:
            self.commit(who, now)
        elif any(one["what"] == what for one in self.leases):
            raise No("not_held")
        return "done"

    def request(self, who: str, now: int, what: str) -> list[Rec]:
        """It asks whoever is in the way."""
        found = sorted(self.in_the_way(who, what, "exclusive"), key=lambda one: one["fence"])
        if not any(one["until"] + GRACE > self.date(now) for one in found):
            raise No("bad")
        self.commit(who, now)
        self.wanted |= {(one["who"], one["fence"], one["what"]) for one in found if one["asks"]}
        return [
            {"asker": who, "to": one["who"], "fence": one["fence"], "lease": one["what"], "what": what, "asks": one["asks"]}
            for one in found
        ]

    def respond(self, who: str, now: int, request: Rec, answer: str) -> str:
        """It gives it up to the asker, keeps it, or shares it."""
        at = self.date(now)
        named = (who, request["fence"], request["lease"])
        mine = [one for one in self.leases if (one["who"], one["fence"], one["what"]) == named and one["until"] > at]
        lease = mine[0] if mine else None
        if answer != "deny" and lease is None:
            raise No("not_held")
        if answer == "share" and capacity(request["lease"]):
            raise No("bad")
        asker, what = request["asker"], request["what"]
        if lease is not None and answer != "deny":
            self.leases.remove(lease)
            if answer == "share":
                self.leases.append({**lease, "mode": "shared", "changed": self.seq + 1})
            mode = "shared" if answer == "share" else mode_of(what, "exclusive")
            if asker in self.live and not blockers(self.leases, asker, what, mode):
                until = min(now, at) + OFFER
                self.leases = [one for one in self.leases if (one["who"], one["what"]) != (asker, what)]
                self.leases.append({"who": asker, "what": what, "mode": mode, "fence": self.seq + 1, "ttl": 3600, "until": until,
                                    "offered": True, "renewed": min(now, at), "asks": True})  # fmt: skip
                self.served(asker, {what})
        self.wanted.discard(named)
        self.commit(who, now)
        return "done"


def _same(place: Rec, asked: Rec) -> bool:
    return (place["who"], set(place["what"]), place["mode"], place["any"]) == (
        asked["who"], set(asked["what"]), asked["mode"], asked["any"]
    )  # fmt: skip


# --- the worlds ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Who does something, at which second by its own clock, and which second it really is."""

    who: str
    now: int
    true: int

    @property
    def wrong(self) -> bool:
        """Whether the remote's clock contradicts it."""
        return abs(self.now - self.true) > GRACE


Moment = tuple[Event, State, State, datetime]
"""An event, the states before and after it, and the date of its commit."""


class World(Protocol):
    """Where it really happens."""

    begin: datetime

    def start(self, step: Step) -> None: ...
    def crash(self, step: Step) -> None: ...
    def end(self, step: Step) -> None: ...
    def claim(self, step: Step, what: Sequence[str], asked: Rec) -> None: ...
    def renew(self, step: Step) -> None: ...
    def beat(self, step: Step) -> None: ...
    def release(self, step: Step, what: str) -> None: ...
    def request(self, step: Step, what: str) -> str: ...
    def respond(self, step: Step, request: str, answer: Any) -> None: ...
    def old_run(self, step: Step, what: str) -> None: ...
    def state(self, step: Step) -> State: ...
    def history(self) -> list[Moment]: ...
    def close(self) -> None: ...


class OnPaper:
    """The rules alone: no git, no machine."""

    def __init__(self) -> None:
        self.story = Story.of("zoe")
        self.begin = self.story.now
        self.story.setting("zoe", "capacity.ci", "2")
        self.story.end("zoe")

    def _at(self, step: Step) -> None:
        self.story.now = self.begin + timedelta(seconds=step.now)
        self.story.remote = self.begin + timedelta(seconds=step.true)

    def _ask(self, step: Step, kind: type[Command], **given: Any) -> Event | None:
        self._at(step)
        return self.story.ask(self.story.command(kind, step.who, **given))

    def start(self, step: Step) -> None:
        """A new session, or a new run of one that is there."""
        self._at(step)
        self.story.start(step.who, succeeds=self.story.runs.get(step.who, ""))

    def crash(self, step: Step) -> None:
        """Nothing is left of its process."""

    def end(self, step: Step) -> None:
        """The session ends."""
        self._at(step)
        self.story.end(step.who)

    def claim(self, step: Step, what: Sequence[str], asked: Rec) -> None:
        """Asks; who waits looks once more. Raises NotInTime without a lease."""
        self._at(step)
        for _ in range(2 if asked["wait"] else 1):
            command = self.story.command(claims.AcquireClaims, step.who, resources=tuple(what), **asked)
            if not claims.would_change(self.story.state, command, self.story.clock()):
                break
            if isinstance(self.story.ask(command), claims.ClaimAcquired | renewals.ClaimRenewed):
                return
        raise NotInTime("it has a place")

    def renew(self, step: Step) -> None:
        """All that it holds."""
        self._ask(step, renewals.RenewClaims)

    def beat(self, step: Step) -> None:
        """A heartbeat."""
        self._at(step)
        self.story.beat(step.who, "working")

    def release(self, step: Step, what: str) -> None:
        """By the fence that it knows."""
        self._at(step)
        done = self.story.release(step.who, what)
        if done is None and any(str(one.resource) == what for one in self.story.state.claims.values()):
            raise NotHeld("another's")

    def request(self, step: Step, what: str) -> str:
        """Asks the holders; the operation."""
        done = self._ask(step, RequestClaims, resource=what)
        assert done is not None
        return done.id

    def respond(self, step: Step, request: str, answer: Any) -> None:
        """Answers."""
        self._ask(step, AnswerRequest, request=request, answer=answer)

    def old_run(self, step: Step, what: str) -> None:
        """What an earlier run still sends: a release of what the session holds, and a claim."""
        self._at(step)
        now, self.story.runs[step.who] = self.story.runs[step.who], f"{step.who}-0"
        try:
            with pytest.raises(NotHeld):
                self.story.claim(step.who, what)
            self.story.release(step.who, what)
        finally:
            self.story.runs[step.who] = now

    def state(self, step: Step) -> State:
        """The branch."""
        return self.story.state

    def history(self) -> list[Moment]:
        """All that happened."""
        found, state = [], State()
        for one in self.story.past:
            after = rules.evolve(state, one.event, one.committed_at)
            found.append((one.event, state, after, one.committed_at))
            state = after
        return found

    def close(self) -> None:
        """Nothing to do."""


class OnGit:
    """Real git: four sessions in two clones, on two machines, and a remote. Their clocks are set by the test."""

    def __init__(self, remotes: RemoteFactory, folder: Path) -> None:
        self.begin = datetime.now(UTC).replace(microsecond=0) - BEFORE
        self.remote = remotes.make("file")
        self.stack = ExitStack()
        self.times = dict.fromkeys((*SESSIONS, "zoe"), self.begin)
        self.true = self.begin
        self.seats: dict[str, Seat] = {}
        self.at: dict[str, Connection] = {}
        self.old: dict[str, Connection] = {}
        for number in (1, 2):
            git(folder, "clone", "-q", self.remote.url, f"clone-{number}")
        for number, name in enumerate((*SESSIONS, "zoe")):
            self.seats[name] = Seat(folder / f"clone-{1 + number // 2 % 2}", folder / f"machine-{1 + number // 2 % 2}", name)
            self._connect(name)
        coordinator = self.at["zoe"].coordinator
        coordinator.setup.init()
        coordinator.sessions.start("zoe")
        coordinator.setup.set_shared("capacity.ci", "2")
        coordinator.sessions.end([], None)

    def _connect(self, name: str) -> None:
        seat = self.seats[name]
        found = self.stack.enter_context(
            connect(str(seat.path), seat.env, session=name, now=lambda: self.times[name], sleep=lambda seconds: None)
        )
        # A remote whose clock the test sets.
        found.tip.witness = found.tip.at_hand = lambda: self.true  # type: ignore[method-assign]
        self.at[name] = found

    def _coordinator(self, step: Step) -> Coordinator:
        self.times[step.who] = self.begin + timedelta(seconds=step.now)
        self.true = self.begin + timedelta(seconds=step.true)
        self.at[step.who].coordinator.notices.clear()
        return self.at[step.who].coordinator

    def start(self, step: Step) -> None:
        """A new session, or the one that sat there, whose process is gone, as a new run."""
        self._coordinator(step).sessions.start(step.who)

    def crash(self, step: Step) -> None:
        """The process that the session was started from is gone."""
        self._coordinator(step)
        identity = self.at[step.who].coordinator.parts.identity
        binding = identity.get(step.who)
        assert binding is not None
        identity.bind(replace(binding, born="long ago"))
        self.old[step.who] = self.at[step.who]
        self._connect(step.who)

    def end(self, step: Step) -> None:
        """The session ends."""
        self._coordinator(step).sessions.end([], None)

    def claim(self, step: Step, what: Sequence[str], asked: Rec) -> None:
        """Asks; who waits doesn't wait for longer than one look."""
        rest = {key: value for key, value in asked.items() if key != "wait"}
        wait = 0.0 if asked["wait"] else None
        self._coordinator(step).claims.acquire([Resource.read(one) for one in what], wait=wait, **rest)

    def renew(self, step: Step) -> None:
        """All that it holds."""
        try:
            self._coordinator(step).claims.renew([])
        except NotHeld as error:
            if "holds nothing any more" not in error.message:  # what it was seen to hold is gone, and it is told so
                raise

    def beat(self, step: Step) -> None:
        """A heartbeat."""
        self._coordinator(step).sessions.heartbeat(action="working")

    def release(self, step: Step, what: str) -> None:
        """By the fence that it knows: it looks first."""
        coordinator = self._coordinator(step)
        coordinator.branch.view()
        coordinator.claims.release([Resource.read(what)])

    def request(self, step: Step, what: str) -> str:
        """Asks the holders; the operation."""
        return self._coordinator(step).claims.request(Resource.read(what), "")[0].id

    def respond(self, step: Step, request: str, answer: Any) -> None:
        """Answers."""
        self._coordinator(step).claims.respond(request, answer, "")

    def old_run(self, step: Step, what: str) -> None:
        """What the process of an earlier run still sends, where there is one."""
        self._coordinator(step)
        coordinator = self.old[step.who].coordinator
        with pytest.raises(NotHeld):
            coordinator.claims.acquire([Resource.read(what)])
        with suppress(NotHeld):
            coordinator.claims.release([Resource.read(what)])

    def state(self, step: Step) -> State:
        """The branch as who acted last knows it: it was at the tip."""
        return self.at[step.who].coordinator.log.view().state

    def history(self) -> list[Moment]:
        """Every commit, replayed; it verifies, tree by tree."""
        coordinator = self.at[SESSIONS[0]].coordinator
        verdict = coordinator.branch.verify(full=True)
        assert (verdict.problems, verdict.commits) == ((), verdict.events)
        seen: list[Good] = []
        coordinator.log.replay(verdict.tip, seen.append)
        states = [State(), *(one.state for one in seen)]
        return [(one.event, before, one.state, one.committed_at) for one, before in zip(seen, states, strict=False)]

    def close(self) -> None:
        """Closes the clones."""
        self.stack.close()


# --- the machine -----------------------------------------------------------------------------------------------------


who = st.sampled_from(SESSIONS)
what = st.sampled_from(NAMES)
some = st.one_of(what.map(lambda one: [one]), st.lists(what, min_size=1, max_size=2, unique=True))
modes = st.sampled_from(["exclusive", "exclusive", "shared"])
numbers = st.integers(0, 10**6)


class LineMachine(RuleBasedStateMachine):
    """Does anything to the line; `make` gives the world."""

    make: ClassVar[Callable[[], World]] = OnPaper

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make()
        self.model = Plain()
        self.model.seq = 4
        self.now = 0
        self.off = dict.fromkeys(SESSIONS, 0)
        self.away: set[str] = set()
        self.old: set[str] = set()
        self.asked: dict[str, Rec] = {}

    # --- one step ----------------------------------------------------------------------------------------------------

    def step(self, name: str) -> Step:
        """The session, at this moment."""
        return Step(name, self.now + self.off[name], self.now)

    def compare(self, step: Step, expected: Callable[[], Any], really: Callable[[], Any]) -> str:
        """Lets it happen in the model and in the world; both must say the same and hold the same. What they said."""
        self.model.wrong = step.wrong
        try:
            said = expected() or "done"
        except No as no:
            said = str(no)
        try:
            really()
            found = "held" if said == "held" else "done"
        except GitcoordError as error:
            found = _word(error)
            if found == "bug":
                raise
        assert found == said, step
        state = self.world.state(step)
        self.model.line = [one for one in self.model.line if one["until"] > self.model.at or one["seq"] in state.waiting]
        assert self.shown(state) == self.model_shown()
        return said

    def shown(self, state: State) -> Rec:
        """What the branch holds, as plain values."""

        def second(when: datetime) -> int:
            return int((when - self.world.begin).total_seconds())

        for lease in state.claims.values():
            assert lease.run_id == state.sessions[lease.claimed_by].run_id
        leases = [
            (one.claimed_by, str(one.resource), one.mode, one.fence, second(one.expires_at), one.offered_until is not None,
             one.ttl_seconds, one.allow_coordination)
            for one in state.claims.values()
        ]  # fmt: skip
        line = [
            (one.seq, one.session_id, tuple(one.resources), one.mode, one.any_of, second(one.until), one.ttl_seconds)
            for one in state.waiting.values()
            if one.until > state.at
        ]
        return {"seq": state.seq, "at": second(state.at), "leases": sorted(leases), "line": sorted(line)}

    def model_shown(self) -> Rec:
        """What the model holds."""
        keys = ("who", "what", "mode", "fence", "until", "offered", "ttl", "asks")
        leases = [tuple(one[key] for key in keys) for one in self.model.leases]
        line = [
            (one["seq"], one["who"], tuple(one["what"]), one["mode"], one["any"], one["until"], one["ttl"])
            for one in self.model.waiting(self.model.at)
        ]
        return {"seq": self.model.seq, "at": self.model.at, "leases": sorted(leases), "line": sorted(line)}

    # --- what can happen ---------------------------------------------------------------------------------------------

    def acts(self, name: str) -> bool:
        """Whether the session can do anything now."""
        return name in self.model.live and name not in self.away

    def asks(self, name: str, wanted: Sequence[str], *, mode: str, any_of: bool, ttl: int | None, wait: bool, stale: bool = False,
             breaks: int | None = None, asks: bool = True) -> str:  # fmt: skip
        """The session claims."""
        step = self.step(name)
        asked = {"mode": mode, "any_of": any_of, "ttl_seconds": ttl, "wait": wait, "if_stale": stale, "breaks": breaks,
                 "allow_coordination": asks}  # fmt: skip

        def expected() -> str:
            return self.model.asks(
                name, step.now, what=wanted, mode=mode, any_of=any_of, ttl=ttl, wait=wait, stale=stale,
                breaks=breaks, asks=asks,
            )  # fmt: skip

        return self.compare(step, expected, lambda: self.world.claim(step, wanted, asked))

    def again(self, place: Rec) -> str:
        """Whoever has that place asks again, by the same words."""
        rest = {"mode": place["mode"], "any_of": place["any"], "ttl": place["ttl"], "asks": place["asks"]}
        return self.asks(place["who"], place["what"], wait=True, **rest)

    def gives_back(self, name: str, wanted: str) -> str:
        """The session releases."""
        step = self.step(name)
        return self.compare(step, lambda: self.model.release(name, step.now, wanted), lambda: self.world.release(step, wanted))

    @initialize()
    def all_are_there(self) -> None:
        """Four sessions."""
        for name in SESSIONS:
            step = self.step(name)
            self.begins(step)

    def begins(self, step: Step) -> None:
        """The session starts."""
        self.compare(step, lambda: self.model.start(step.who, step.now), lambda: self.world.start(step))

    @rule(seconds=st.sampled_from([1, 5, 15, 30, 61, 125, 200, 310, 605, 1000, 1900]))
    def time_goes_by(self, seconds: int) -> None:
        """For all."""
        self.now += seconds

    @rule(who=who, seconds=st.sampled_from([0, 0, 45, -45, 150, -150]))
    def clock_is_set(self, who: str, seconds: int) -> None:
        """A machine's clock is right, wrong within the grace, or wrong beyond it."""
        self.off[who] = seconds

    @rule(who=who, what=some, mode=modes, any_of=st.booleans(), ttl=st.sampled_from([None, 300, 900]), asks=st.booleans())
    def claim(self, who: str, what: list[str], mode: str, any_of: bool, ttl: int | None, asks: bool) -> None:
        """Now or never."""
        if self.acts(who):
            self.asks(who, what, mode=mode, any_of=any_of, ttl=ttl, wait=False, asks=asks)

    @rule(who=who, what=some, mode=modes, any_of=st.sampled_from([False, False, True]), ttl=st.sampled_from([None, 300]))
    def wait(self, who: str, what: list[str], mode: str, any_of: bool, ttl: int | None) -> None:
        """Stands in line."""
        if self.acts(who):
            self.asks(who, what, mode=mode, any_of=any_of, ttl=ttl, wait=True)

    @rule(who=who, number=numbers, mode=modes)
    def wait_for_what_is_held(self, who: str, number: int, mode: str) -> None:
        """Stands in line where somebody is in the way."""
        held = [one["what"] for one in self.model.leases if one["who"] != who]
        if self.acts(who) and held:
            self.asks(who, [held[number % len(held)]], mode=mode, any_of=False, ttl=None, wait=True)

    @rule(number=numbers)
    def hand_over(self, number: int) -> None:
        """A holder gives back something."""
        held = [one for one in self.model.leases if self.acts(one["who"])]
        if held:
            one = held[number % len(held)]
            self.gives_back(one["who"], one["what"])

    @rule(number=numbers)
    def ask_again(self, number: int) -> None:
        """One of those who stand in line looks."""
        places = [one for one in self.model.line if self.acts(one["who"])]
        if places:
            self.again(places[number % len(places)])

    @rule(number=numbers)
    def take_up(self, number: int) -> None:
        """One of those who were offered something asks for it."""
        offers = [one for one in self.model.leases if one["offered"] and self.acts(one["who"])]
        if offers:
            one = offers[number % len(offers)]
            self.asks(one["who"], [one["what"]], mode=one["mode"], any_of=False, ttl=one["ttl"], wait=True)

    @rule(number=numbers)
    def sign_of_life_without_taking_it_up(self, number: int) -> None:
        """One of those who were offered something does something else: that is no answer."""
        offers = [one for one in self.model.leases if one["offered"] and self.acts(one["who"])]
        if offers:
            self.beats(offers[number % len(offers)]["who"])

    @rule(who=who, what=what, wait=st.booleans())
    def take_from_the_silent(self, who: str, what: str, wait: bool) -> None:
        """`--if-stale`."""
        if self.acts(who):
            self.asks(who, [what], mode="exclusive", any_of=False, ttl=None, wait=wait, stale=True)

    @rule(who=who, number=numbers, off=st.sampled_from([0, 0, 0, 1]))
    def break_by_fence(self, who: str, number: int, off: int) -> None:
        """The right fence, or nearly."""
        if self.acts(who) and self.model.leases:
            lease = self.model.leases[number % len(self.model.leases)]
            self.asks(
                who, [lease["what"]], mode="exclusive", any_of=False, ttl=None, wait=False, breaks=lease["fence"] + off
            )  # fmt: skip

    @rule(who=who)
    def renew(self, who: str) -> None:
        """All of its own."""
        if self.acts(who):
            step = self.step(who)
            self.compare(step, lambda: self.model.renew(who, step.now), lambda: self.world.renew(step))

    @rule(who=who)
    def heartbeat(self, who: str) -> None:
        """A sign of life."""
        if self.acts(who):
            self.beats(who)

    def beats(self, name: str) -> None:
        """The session says what it does."""
        step = self.step(name)
        self.compare(step, lambda: self.model.beat(name, step.now), lambda: self.world.beat(step))

    @rule(who=who, what=what, number=numbers)
    def release(self, who: str, what: str, number: int) -> None:
        """Something of its own, if it has anything."""
        if self.acts(who):
            mine = sorted({one["what"] for one in self.model.leases if one["who"] == who})
            self.gives_back(who, mine[number % len(mine)] if mine else what)

    @rule(who=who, what=what)
    def request(self, who: str, what: str) -> None:
        """Asks the holders."""
        if not self.acts(who):
            return
        step = self.step(who)
        found: list[Any] = []
        self.compare(
            step,
            lambda: found.extend(self.model.request(who, step.now, what)),
            lambda: found.append(self.world.request(step, what)),
        )
        if found:
            sent = self.world.state(step).messages  # one for each holder; leases of one fence may come in any order
            for key in (f"{found[-1]}.{2 * index}" for index in range(len(found) - 1)):
                fence, _, lease = sent[key].details["lease"].partition(" ")
                (one,) = [one for one in found[:-1] if (one["to"], one["fence"], one["lease"]) == (sent[key].to, int(fence), lease)]
                if one["asks"]:
                    self.asked[key] = one

    @rule(number=numbers, answer=st.sampled_from(["approve", "approve", "deny", "share"]))
    def respond(self, number: int, answer: Literal["approve", "deny", "share"]) -> None:
        """One of those who were asked answers."""
        asked = [(key, one) for key, one in self.asked.items() if self.acts(one["to"])]
        if asked:
            key, one = asked[number % len(asked)]
            step = self.step(one["to"])
            said = self.compare(
                step, lambda: self.model.respond(one["to"], step.now, one, answer), lambda: self.world.respond(step, key, answer)
            )  # fmt: skip
            if said == "done":
                del self.asked[key]

    @rule(who=who)
    def end(self, who: str) -> None:
        """Goes home."""
        if self.acts(who):
            step = self.step(who)
            self.compare(step, lambda: self.model.end(who, step.now), lambda: self.world.end(step))

    @rule(who=who)
    def crash(self, who: str) -> None:
        """Its process is gone."""
        if self.acts(who):
            self.away.add(who)
            self.old.add(who)
            self.world.crash(self.step(who))

    @rule(who=who)
    def start(self, who: str) -> None:
        """Comes back: as a new run of the one that crashed, or anew after an end."""
        if not self.acts(who):
            self.away.discard(who)
            self.begins(self.step(who))

    @rule(who=who, what=what)
    def old_run_sends(self, who: str, what: str) -> None:
        """What a process that everybody took for dead still sends has no effect."""
        if self.acts(who) and who in self.old:
            step = self.step(who)
            self.compare(step, lambda: self.model.commit("", step.now), lambda: self.world.old_run(step, what))

    # --- the end -----------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Nobody starves, and every commit is as it should be."""
        try:
            if self.model.live:
                self.nobody_starves()
            check(self.world.history())
        finally:
            self.world.close()

    def nobody_starves(self) -> None:
        """Time goes on, all clocks are right, everybody who is there asks now and then and gives back what it has: whoever has
        a place and asks gets it. Who crashed does nothing. In which order is for `check` to say.
        """
        self.off = dict.fromkeys(SESSIONS, 0)
        self.now += 181  # whoever wrote with a wrong clock: that is past now
        waiting = [one for one in self.model.waiting(self.now) if self.acts(one["who"])]
        got: list[int] = []
        for _ in range(60):
            for lease in list(self.model.leases):
                if self.acts(lease["who"]) and not lease["offered"] and lease in self.model.leases:
                    self.gives_back(lease["who"], lease["what"])
                    left = [one["seq"] for one in waiting if one["who"] == lease["who"] and lease["what"] in one["what"]]
                    waiting = [one for one in waiting if one["seq"] in got or one["seq"] not in left]  # it left the line as well
            for place in reversed(waiting):  # the last one asks first: order must not come from who is quick
                if place["seq"] not in got and self.again(place) == "held":
                    got.append(place["seq"])
            self.now += 120
            if len(got) == len(waiting):
                break
        assert sorted(got) == [one["seq"] for one in waiting]


def _word(error: GitcoordError) -> str:
    if isinstance(error, Held):
        return "circle" if error.data.get("reason") == "deadlock" else "blocked"
    kinds = {NotInTime: "waiting", ClockSkew: "skew", NotHeld: "not_held", BadInput: "bad"}
    return kinds.get(type(error), error.name)


def check(history: Sequence[Moment]) -> None:
    """Looks at every commit: nobody holds what excludes another's, fences only grow, no place was passed."""
    newest: dict[str, int] = {}
    for event, before, after, at in history:
        live = [one for one in after.claims.values() if one.expires_at > at]
        for one in live:
            for other in live:
                if one.claimed_by != other.claimed_by:
                    assert not clash(str(one.resource), one.mode, str(other.resource), other.mode) or capacity(str(one.resource)), (
                        event
                    )
        known = {(one.claimed_by, one.fence, str(one.resource)) for one in before.claims.values()}
        new = [one for one in after.claims.values() if (one.claimed_by, one.fence, str(one.resource)) not in known]
        for one in new:
            what = str(one.resource)
            assert one.fence == event.seq > newest.get(what, 0), event
            places = [other for other in after.claims.values() if str(other.resource) == what]
            assert not capacity(what) or len(places) <= capacity(what), event
            broke = any(entry.split(" ")[2] == "broken" for entry in getattr(event, "taken", ()))
            if not broke and not (isinstance(event, RequestAnswered) and one.claimed_by == event.asker):
                mine = [
                    seq for seq, place in before.waiting.items() if place.session_id == one.claimed_by and what in place.resources
                ]
                for seq, place in after.waiting.items():  # those who still stand there
                    passed = place.until > at and after.sessions[place.session_id].live and seq < min(mine, default=event.seq)
                    record = {"who": place.session_id, "what": place.resources, "mode": place.mode}
                    assert not (passed and Plain.stands_before(record, one.claimed_by, [what], one.mode)), event
        newest |= {str(one.resource): one.fence for one in new}


# A machine that fails is long, and making it shorter takes minutes: that is for whoever wants it (`thorough`).
usual = hypothesis.settings()
short = usual.max_examples > 1000
phases = tuple(one for one in hypothesis.Phase if short or one not in {hypothesis.Phase.shrink, hypothesis.Phase.explain})
steps = hypothesis.settings(usual, stateful_step_count=40, phases=phases)


def test_the_rules_do_to_the_line_what_the_model_says() -> None:
    run_state_machine_as_test(LineMachine, settings=hypothesis.settings(steps, max_examples=4 * usual.max_examples))


def test_real_git_does_to_the_line_what_the_model_says(remotes: RemoteFactory, tmp_path: Path) -> None:
    folders = itertools.count()

    def make() -> World:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        return OnGit(remotes, folder)

    machine = type("OnGitMachine", (LineMachine,), {"make": staticmethod(make)})
    few = max(2, usual.max_examples // 12)
    run_state_machine_as_test(machine, settings=hypothesis.settings(steps, max_examples=few, stateful_step_count=25))
