"""Judges a storm: what the calls were told, against what stands on the branch. Knows the format, not the program.

    python tests/support/checker.py DIR

`DIR` is a record as `workload.py` leaves it: `calls.jsonl` (a call a line), `branch.bundle` (the branch itself) and
`verify.json` (which commits are good; this is the one thing taken from gitcoord). The chain is the order of everything, so
one walk over it and one over the calls suffice.

A call has these fields; those that don't apply are left out:

    op, session, kind, wanted, mode     the operation's id, who asked, what for
    begin, end                          by one clock that all calls share and that never goes back
    answer                              done, unchanged, queued, refused, unknown, killed (no answer came), crashed or hung
    error                               the name of the error, when refused or unknown
    at, skew                            the asker's clock, and by how many seconds it was set wrong
    seq, commit                         as answered; of `unchanged` the event that the answer rests on
    held                                leases it was told to hold: [resource, fence]
    holders                             leases it was told to be in the way: [resource, holder, fence]
    fences                              of a queued release: [resource, fence] that it names (0: whatever is held)
    subject, to                         of a message; every subject of a storm is another one
    messages, again                     ids that an inbox showed; those of them that were marked as shown again
    calm                                asked before or after the storm: it is not counted
    after, unsent                       asked after the storm, when all must work; what was left in the outbox by then
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from gits import git

CLASSES = (
    "lost", "false_held", "false_lost", "order", "fences", "messages", "wedged", "invalid", "bad_by_fault", "crashed", "hung",
)  # fmt: skip
"""What can be wrong. The last four: the branch does not verify; a clone remembers a good commit as bad; the program ended in a way
that it never should; it didn't end.
"""

REDELIVER_AFTER = timedelta(seconds=120)
TAKEOVER_AFTER = timedelta(seconds=1800)
MARGIN = timedelta(minutes=10)  # by which the clocks of one storm may move between a question and its answer
FOR_EVER = 1 << 60
NEVER = datetime.min.replace(tzinfo=UTC)
DEFINITE = frozenset({"refused", "unchanged"})


# --- the branch, read by plain git -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """A commit of the branch, as its message tells."""

    oid: str
    seq: int
    id: str
    kind: str
    session: str
    run: str
    said: datetime
    committed: datetime
    trailers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def all(self, name: str) -> Sequence[str]:
        """The values of a trailer that may be repeated."""
        return self.trailers.get(name, ())

    def one(self, name: str) -> str:
        """The value of a trailer; "" when it isn't there."""
        return next(iter(self.all(name)), "")

    @property
    def at(self) -> datetime:
        """When it was asked; what it says of that counts only up to its commit's date."""
        return min(self.said, self.committed)

    @property
    def lapsed(self) -> bool:
        """Whether it came too late and has no effect."""
        return "Lapsed" in self.trailers


def _unescape(text: str) -> str:
    return re.sub(r"\\u\{([0-9A-F]{0,6})\}", lambda match: chr(int(match[1], 16)) if match[1] else "", text)


def read_event(oid: str, message: str, at: datetime, committed: datetime) -> Event | None:
    """The event in a commit's message; None when it has none."""
    trailers: dict[str, list[str]] = {}
    for line in message.rstrip("\n").rpartition("\n\n")[2].split("\n"):
        match = re.fullmatch(r"Coord-([A-Za-z0-9-]+): (.*)", line)
        if match is None:
            return None
        trailers.setdefault(match[1], []).append(_unescape(match[2]))
    try:
        seq = int(trailers["Seq"][0])
        return Event(
            oid, seq, trailers["Id"][0], trailers["Event"][0], trailers["Session"][0], trailers.get("Run", [""])[0],
            at, committed, trailers,
        )  # fmt: skip
    except (KeyError, ValueError):
        return None


def read_branch(repo: Path, ref: str = "refs/heads/coordination") -> tuple[list[Event], list[str]]:
    """The events of the branch from the root on, and what in it is no event."""
    events, strange = [], []
    text = git(repo, "log", "--first-parent", "--reverse", "-z", "--format=%H%n%P%n%at %ct%n%B", ref)
    for entry in text.split("\0"):
        if not entry:
            continue
        oid, parents, times, message = entry.split("\n", 3)
        at, committed = (datetime.fromtimestamp(int(second), UTC) for second in times.split())
        event = read_event(oid, message, at, committed)
        if event is None or " " in parents:
            strange.append(f"{oid[:12]} is {'a merge' if ' ' in parents else 'no event'}")
        else:
            events.append(event)
    return events, strange


# --- when do two resources meet? -------------------------------------------------------------------------------------


def meet(one: str, other: str) -> bool:
    """Whether two resources (`file:src/*.py`) have something in common."""
    if one == other:
        return True
    if not (one.startswith("file:") and other.startswith("file:")):
        return False
    return _paths(_parts(one), _parts(other))


def _parts(resource: str) -> list[str]:
    path = resource.removeprefix("file:")
    return [] if path == "." else path.split("/")


def _paths(one: list[str], other: list[str]) -> bool:
    if not one or not other:
        return True  # a path covers all that is below it
    if "**" in (one[0], other[0]):
        wild, plain = (one, other) if one[0] == "**" else (other, one)
        return _paths(wild[1:], plain) or _paths(wild, plain[1:])
    return _names(one[0], other[0]) and _paths(one[1:], other[1:])


def _names(one: str, other: str) -> bool:
    if not one or not other:
        return not (one + other).strip("*")
    if "*" in (one[0], other[0]):
        wild, plain = (one, other) if one[0] == "*" else (other, one)
        return _names(wild[1:], plain) or _names(wild, plain[1:])
    return ("?" in (one[0], other[0]) or one[0] == other[0]) and _names(one[1:], other[1:])


# --- the small model -------------------------------------------------------------------------------------------------


@dataclass
class Tenure:
    """One session's lease from the event that granted it to the one that ended it."""

    resource: str
    session: str
    mode: str
    fence: int
    expires: datetime
    renewed: datetime
    until: int = FOR_EVER
    """The seq of the event that ended it."""
    ends: list[tuple[int, datetime]] = field(default_factory=list)
    """Its end as each event left it."""

    def end_at(self, seq: int) -> datetime:
        """When it was to end, as of that event."""
        return self.ends[bisect_right(self.ends, seq, key=lambda entry: entry[0]) - 1][1]

    def conflicts(self, resource: str, mode: str) -> bool:
        """Whether it can't stand beside such a lease."""
        return "exclusive" in (self.mode, mode) and meet(self.resource, resource)


@dataclass
class Life:
    """A session's life: at which events it began, changed its run, and ended."""

    start: int = 0
    run: str = ""
    live: bool = False
    heard: datetime = NEVER
    changes: list[tuple[int, bool]] = field(default_factory=list)
    """The events that began, changed or ended it, and whether it lived after each."""
    taken: dict[str, int] = field(default_factory=dict)
    marks: dict[str, datetime] = field(default_factory=dict)
    """What it took, and when, as long as nothing says that it was shown: only that may be taken once more."""


@dataclass
class Sent:
    """A message that somebody sent."""

    event: Event
    to: str


@dataclass
class Report:
    """What was found."""

    violations: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in CLASSES})
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.violations.values())

    def add(self, name: str, words: str) -> None:
        """Notes a violation."""
        self.violations[name].append(words)

    def summary(self) -> str:
        """Both counts and violations, in one line."""
        found = [f"{name} {count}" for name, count in self.counts.items()]
        wrong = [f"{name.replace('_', ' ')} {len(entries)}" for name, entries in self.violations.items()]
        return ", ".join([*found, *wrong])


class Model:
    """What the branch says, event by event: who holds what, who lives, who took which message."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.by_id: dict[str, Event] = {}
        self.tenures: dict[tuple[str, str, int], Tenure] = {}
        self.of: dict[tuple[str, str], list[Tenure]] = {}
        self.held: list[Tenure] = []
        self.lives: dict[str, Life] = {}
        self.sent: dict[str, Sent] = {}
        self.subjects: dict[str, str] = {}
        self.newest_fence: dict[str, int] = {}
        self.last = 0

    def walk(self, events: Iterable[Event]) -> None:
        """Takes the events in."""
        for event in events:
            if event.seq != self.last + 1:
                self.report.add("order", f"seq {event.seq} of {event.oid[:12]} follows on {self.last}")
            self.last = event.seq
            if event.id in self.by_id:
                kind = "messages" if event.kind == "message.sent" else "order"
                self.report.add(kind, f"operation {event.id} stands twice: seq {self.by_id[event.id].seq} and {event.seq}")
            self.by_id.setdefault(event.id, event)
            if event.kind == "message.sent":
                self._send(event)
            if not event.lapsed:
                self._take_in(event)
            for name in event.all("Abandoned"):
                self._end(name, event)

    def _take_in(self, event: Event) -> None:
        life = self.lives.setdefault(event.session, Life())
        if event.kind == "session.started":
            life.start, life.live = event.seq, True
        if event.kind in {"session.started", "session.resumed"}:
            life.run = event.run
            life.changes.append((event.seq, True))
        elif event.kind == "claim.acquired":
            self._grant(event)
        elif event.kind == "claim.released":
            for entry in event.all("Released"):
                fence, _, resource = entry.partition(" ")
                self._drop(event, int(fence), resource)
        elif event.kind == "message.read":
            self._read(event, life)
        elif event.kind == "session.ended":
            self._end(event.session, event)
        for entry in event.all("Renewed"):
            self._renew(event, entry)
        for entry in event.all("Regained"):
            self._regain(event, entry)
        life.heard = max(life.heard, event.at)
        if event.run in ("", life.run):  # an old run's message is no sign of life of this one
            if event.kind == "message.read":
                life.marks = {key: at for key, at in life.marks.items() if key not in event.all("Shown")}
                life.marks |= dict.fromkeys(event.all("Message"), event.at)
            elif event.kind != "heartbeat.recorded" or not event.one("Folded"):
                life.marks = {}

    # --- leases ------------------------------------------------------------------------------------------------------

    def _grant(self, event: Event) -> None:
        for entry in event.all("Taken"):
            fence, holder, why, resource = entry.split(" ", 3)
            lease = self.tenures.get((holder, resource, int(fence)))
            if lease is None or lease.until != FOR_EVER:
                self.report.add("fences", f"seq {event.seq} takes {entry!r} over, which isn't held")
                continue
            if not self._may_take(lease, why, event):
                self.report.add("false_held", f"seq {event.seq} takes {resource} from {holder}, whose lease is not {why}")
            self._close(lease, event.seq)
        mode = event.one("Mode") or "exclusive"
        expires = _instant(event.one("Expires"))
        for resource in event.all("Resource"):
            for lease in list(self.held):
                if lease.session == event.session and lease.resource == resource:
                    self._close(lease, event.seq)
                elif lease.session != event.session and lease.conflicts(resource, mode):
                    state = "live" if lease.expires > event.committed else "not taken over"
                    self.report.add(
                        "false_held",
                        f"seq {event.seq} gives {resource} to {event.session} beside {lease.session}'s {lease.resource} "
                        f"(fence {lease.fence}, {state})",
                    )
            if event.seq <= self.newest_fence.get(resource, 0):
                self.report.add("fences", f"{resource} has fence {event.seq} after {self.newest_fence[resource]}")
            self.newest_fence[resource] = max(event.seq, self.newest_fence.get(resource, 0))
            lease = Tenure(resource, event.session, mode, event.seq, expires, event.at, ends=[(event.seq, expires)])
            self.tenures[event.session, resource, event.seq] = lease
            self.of.setdefault((event.session, resource), []).append(lease)
            self.held.append(lease)

    def _may_take(self, lease: Tenure, why: str, event: Event) -> bool:
        holder = self.lives.get(lease.session, Life())
        if why == "expired":
            return lease.expires <= event.committed
        if why == "ended":
            return not holder.live
        if why == "stale":
            return max(lease.renewed, holder.heard) + TAKEOVER_AFTER <= event.committed
        return why == "broken"

    def _close(self, lease: Tenure, seq: int) -> None:
        lease.until = seq
        self.held.remove(lease)

    def _drop(self, event: Event, fence: int, resource: str) -> None:
        lease = self.tenures.get((event.session, resource, fence))
        if lease is None or lease.until != FOR_EVER:
            self.report.add("fences", f"seq {event.seq} frees {resource} under fence {fence}, which {event.session} doesn't hold")
        else:
            self._close(lease, event.seq)

    def _renew(self, event: Event, entry: str) -> None:
        fence, until, resource = entry.split(" ", 2)
        lease = self.tenures.get((event.session, resource, int(fence)))
        if lease is None or lease.until != FOR_EVER:
            self.report.add("fences", f"seq {event.seq} renews {resource} under fence {fence}, which {event.session} doesn't hold")
        elif lease.expires <= event.committed:
            self.report.add("false_held", f"seq {event.seq} renews {resource} for {event.session}, whose lease was over")
        else:
            lease.expires, lease.renewed = max(lease.expires, _instant(until)), max(lease.renewed, event.at)
            lease.ends.append((event.seq, lease.expires))

    def _regain(self, event: Event, entry: str) -> None:
        fence, until, resource = entry.split(" ", 2)
        lease = self.tenures.get((event.session, resource, int(fence)))
        if lease is None or lease.until != FOR_EVER:
            self.report.add("fences", f"seq {event.seq} takes {resource} again, which {event.session} had not under fence {fence}")
            return
        if lease.expires > event.committed:
            self.report.add("false_held", f"seq {event.seq} takes {resource} again for {event.session}, whose lease was not over")
        self._close(lease, event.seq)
        for other in self.held:
            if other.session != event.session and other.conflicts(resource, lease.mode):
                self.report.add("false_held", f"seq {event.seq} takes {resource} again beside {other.session}'s {other.resource}")
        new = Tenure(resource, event.session, lease.mode, event.seq, _instant(until), event.at, ends=[(event.seq, _instant(until))])
        self.tenures[event.session, resource, event.seq] = new
        self.of.setdefault((event.session, resource), []).append(new)
        self.held.append(new)
        self.newest_fence[resource] = max(event.seq, self.newest_fence.get(resource, 0))

    def _end(self, session: str, event: Event) -> None:
        life = self.lives.setdefault(session, Life())
        life.live = False
        life.changes.append((event.seq, False))
        for lease in [one for one in self.held if one.session == session]:
            self._close(lease, event.seq)

    # --- messages ----------------------------------------------------------------------------------------------------

    def _send(self, event: Event) -> None:
        subject = event.one("Subject")
        if subject in self.subjects and self.subjects[subject] != event.id:
            self.report.add("messages", f"{subject!r} was sent twice: {self.subjects[subject]} and {event.id}")
        self.subjects.setdefault(subject, event.id)
        self.sent.setdefault(event.id, Sent(event, event.one("To")))

    def _read(self, event: Event, life: Life) -> None:
        for key in event.all("Message"):
            found = self.sent.get(key)
            made_along_the_way = key.rpartition(".")[0] in self.by_id
            if found is None and not made_along_the_way:
                self.report.add("messages", f"seq {event.seq} takes {key}, which nobody sent")
            elif found is not None and (
                found.to not in (event.session, "broadcast") or (found.to == "broadcast" and found.event.session == event.session)
            ):
                self.report.add("messages", f"seq {event.seq} takes {key}, which is not {event.session}'s to take")
            if key in life.taken and event.said - life.marks.get(key, event.said) < REDELIVER_AFTER:
                self.report.add("messages", f"{event.session} takes {key} twice: seq {life.taken[key]} and {event.seq}")
            life.taken.setdefault(key, event.seq)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.max.replace(tzinfo=UTC)


# --- the calls -------------------------------------------------------------------------------------------------------


class Span:
    """Which positions of the chain a call may have seen: after all that was answered before it began, and before all that
    began after it had ended.
    """

    def __init__(self, calls: Sequence[Mapping[str, Any]], model: Model) -> None:
        seen = sorted(
            (call["end"], seq) for call in calls if (seq := _seen(call, model)) is not None and call.get("end") is not None
        )
        self._ends = [end for end, _ in seen]
        self._most = list(accumulate((seq for _, seq in seen), max))
        first: dict[str, float] = {}
        for call in calls:
            if call.get("op") in model.by_id:
                first[call["op"]] = min(call["begin"], first.get(call["op"], call["begin"]))
        self.first = first
        began = sorted((begin, model.by_id[op].seq) for op, begin in first.items())
        self._begins = [begin for begin, _ in began]
        self._least = list(accumulate((seq for _, seq in reversed(began)), min))[::-1]
        self._last = model.last

    def low(self, begin: float) -> int:
        """The newest event that was there for sure at that moment."""
        index = bisect_left(self._ends, begin)
        return self._most[index - 1] if index else 0

    def high(self, end: float | None) -> int:
        """The newest event that may have been there at that moment."""
        index = len(self._begins) if end is None else bisect_right(self._begins, end)
        return self._least[index] - 1 if index < len(self._least) else self._last


def _seen(call: Mapping[str, Any], model: Model) -> int | None:
    if call["answer"] == "done" and call.get("op") in model.by_id:
        return model.by_id[call["op"]].seq
    return call.get("seq") if call["answer"] == "unchanged" else None


def check(
    calls: Sequence[Mapping[str, Any]],
    events: Sequence[Event],
    verified: Mapping[str, Any],
    strange: Sequence[str] = (),
    remembered: Sequence[Sequence[str]] = (),
) -> Report:
    """Judges the calls against the branch. `verified`: what `gitcoord verify --json` said of it; `strange`: what is no event;
    `remembered`: which commits the clones take for bad (where that is noted, the commit, why).
    """
    report = Report()
    bad = {str(one["commit"]) for one in verified.get("problems", ())}
    for words in strange:
        report.add("invalid", words)
    if not verified.get("ok"):
        report.add("invalid", f"the branch does not verify: {verified.get('problems')}")
    for one in verified.get("problems", ()):
        report.add("invalid", f"{one['commit'][:12]}: {one['reason']}")
    for place, commit, reason in remembered:
        if commit not in bad:
            report.add("bad_by_fault", f"{place}: {commit[:12]}: {reason}")
    model = Model(report)
    model.walk(event for event in events if event.oid not in bad)
    span = Span(calls, model)
    skew = timedelta(seconds=max((abs(call.get("skew", 0)) for call in calls), default=0))
    given: dict[tuple[str, str], float] = {}
    again: dict[str, set[str]] = {}
    for call in calls:
        again.setdefault(call["session"], set()).update(call.get("again") or ())
    for call in sorted(calls, key=lambda one: one["begin"]):
        _judge(call, model, span, report, skew)
        if call["kind"] == "inbox" and call["answer"] == "done":
            _judge_inbox(call, model, span, report, given, again.get(call["session"], set()))
    _judge_order(span, model, report)
    _count(calls, model, report)
    return report


def _name(call: Mapping[str, Any]) -> str:
    return f"call {call.get('n', '?')} ({call['session']}: {call['kind']} {call.get('op') or '-'}, {call['answer']})"


def _judge(call: Mapping[str, Any], model: Model, span: Span, report: Report, skew: timedelta) -> None:
    name, answer = _name(call), call["answer"]
    event = model.by_id.get(call.get("op") or "")
    if answer in {"crashed", "hung"}:
        report.add(answer, f"{name}: {call.get('error')}")
    over = call.get("error") == "no_session" and not model.lives.get(call["session"], Life()).live
    if call.get("after") and not over and (answer not in {"done", "unchanged"} or call.get("unsent")):
        report.add("wedged", f"{name}: {call.get('error') or ''} {call.get('unsent', 0)} unsent")
    if event is not None and event.session != call["session"]:
        report.add("lost", f"{name}: its operation is {event.session}'s")
    if answer == "done" and call.get("op"):
        _judge_done(call, event, model, report)
    if answer == "queued" and event is None and any(fence for _, fence in call.get("fences", [("", 1)])):
        report.add("lost", f"{name}: it never came")  # a release of nothing makes no event
    if answer in DEFINITE:
        if event is not None and not event.lapsed:
            report.add("false_lost", f"{name}: {call.get('error', 'nothing to do')}, but it stands as seq {event.seq}")
        if answer == "unchanged" and call.get("seq") is not None and call["seq"] < span.low(call["begin"]):
            report.add("order", f"{name}: it looked at seq {call['seq']} after seq {span.low(call['begin'])} was answered")
    if answer == "refused":
        _judge_refusal(call, model, span, report, skew)


def _judge_done(call: Mapping[str, Any], event: Event | None, model: Model, report: Report) -> None:
    name = _name(call)
    kind = "false_held" if call.get("held") else "lost"
    if event is None:
        if call["kind"] != "inbox" or call.get("messages"):  # a look at an empty box may have meant to take
            report.add(kind, f"{name}: it is not on the branch")
        return
    if call.get("seq") not in (None, event.seq) or call.get("commit") not in (None, "", event.oid):
        report.add(kind, f"{name}: it was told seq {call.get('seq')} {call.get('commit')}, but stands as {event.seq} {event.oid}")
    for resource, fence in call.get("held", ()):
        lease = model.tenures.get((call["session"], resource, fence))
        if lease is None or not lease.fence <= event.seq < lease.until:
            report.add("false_held", f"{name}: {resource} with fence {fence} isn't its by then")


def _judge_refusal(call: Mapping[str, Any], model: Model, span: Span, report: Report, skew: timedelta) -> None:
    name = _name(call)
    low, high = span.low(call["begin"]), span.high(call.get("end"))
    mode = call.get("mode", "exclusive")
    if call.get("error") == "held" and call["kind"] == "claim" and not call.get("holders"):
        report.add("false_lost", f"{name}: held, but by nobody")
    for resource, holder, fence in call.get("holders", ()):
        lease = model.tenures.get((holder, resource, fence))
        if lease is None or lease.fence > high or lease.until <= low:
            report.add("false_lost", f"{name}: {holder} did not hold {resource} (fence {fence}) between seq {low} and {high}")
        elif holder == call["session"] or not any(lease.conflicts(one, mode) for one in call["wanted"]):
            report.add("false_lost", f"{name}: {holder}'s {resource} is not in its way")
    life = model.lives.get(call["session"], Life())
    position = bisect_right(life.changes, (low, True))
    if position == 0 or bisect_right(life.changes, (high, True)) != position or not life.changes[position - 1][1]:
        return  # it began, ended or changed its run about then
    if call.get("error") == "no_session":
        report.add("false_lost", f"{name}: the session lived from seq {life.changes[position - 1][0]} on")
    if call.get("error") == "not_held" and call["kind"] == "renew":
        late = datetime.fromisoformat(call["at"]) + skew * 2 + MARGIN
        for lease in (one for resource in call["wanted"] for one in model.of.get((call["session"], resource), ())):
            if lease.fence <= low and lease.until > high and lease.end_at(low) > late:
                report.add("false_lost", f"{name}: it held {lease.resource} (fence {lease.fence}) all the time")


def _judge_inbox(
    call: Mapping[str, Any], model: Model, span: Span, report: Report, given: dict[tuple[str, str], float], again: set[str]
) -> None:
    name, shown = _name(call), call.get("messages", [])
    event = model.by_id.get(call.get("op") or "")
    taken = list(event.all("Message")) if event is not None and event.kind == "message.read" else []
    unread = set(taken) - set(shown)  # taken, and not to be read at that moment: such a message comes again, and is marked
    if not unread <= again or sorted([*shown, *unread]) != sorted(taken):
        report.add("messages", f"{name}: it was shown {shown}, and took {taken}")
    for key in shown:
        before = given.get((call["session"], key))
        if before is not None and (key not in call.get("again", ()) or before < call["begin"]):
            report.add("messages", f"{name}: {key} was shown to {call['session']} before")
        given[call["session"], key] = call["end"]
    if call.get("after") and not shown:
        life = model.lives.get(call["session"], Life())
        for key, sent in model.sent.items():
            if sent.event.seq > span.low(call["begin"]) or key in life.taken or not life.live:
                continue
            to_all = sent.to == "broadcast" and sent.event.session != call["session"] and sent.event.seq > life.start
            if sent.to == call["session"] or to_all:
                report.add("messages", f"{name}: {key} ({sent.event.one('Subject')}) was never given to it")


def _judge_order(span: Span, model: Model, report: Report) -> None:
    for op, begin in span.first.items():
        seq, low = model.by_id[op].seq, span.low(begin)
        if seq <= low and op in model.by_id:
            report.add("order", f"operation {op} stands at seq {seq}, but seq {low} was answered before it was asked")


def _count(calls: Sequence[Mapping[str, Any]], model: Model, report: Report) -> None:
    storm = [call for call in calls if not call.get("calm")]
    report.counts["operations"] = len(storm)
    for answer in ("done", "unchanged", "refused", "queued", "unknown", "killed"):
        report.counts[answer] = sum(1 for call in storm if call["answer"] == answer)
    landed = sum(1 for call in storm if call["answer"] == "killed" and call.get("op") in model.by_id)
    report.counts["landed though killed"] = landed
    report.counts["taken over"] = sum(len(event.all("Taken")) for event in model.by_id.values())
    report.counts["events"] = model.last


# --- a record on disk ------------------------------------------------------------------------------------------------


def check_record(folder: Path) -> Report:
    """Judges the record in the folder, writes the verdict beside it, and returns it."""
    lines = (folder / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory(prefix="gitcoord-check-") as place:
        repo = Path(place)
        git(repo, "init", "--quiet", "--bare", ".")
        git(repo, "fetch", "--quiet", str((folder / "branch.bundle").resolve()), "+refs/heads/*:refs/heads/*")
        events, strange = read_branch(repo)
    remembered = folder / "remembered.json"
    report = check(
        [json.loads(line) for line in lines], events, json.loads((folder / "verify.json").read_text()), strange,
        json.loads(remembered.read_text()) if remembered.exists() else (),
    )  # fmt: skip
    verdict = {"ok": report.ok, "counts": report.counts, "violations": report.violations}
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
    return report


def main(argv: Sequence[str]) -> int:
    """Judges a record again."""
    if len(argv) != 1:
        print("usage: python tests/support/checker.py DIR", file=sys.stderr)
        return 2
    report = check_record(Path(argv[0]))
    print(report.summary())
    for name, entries in report.violations.items():
        for entry in entries:
            print(f"{name}: {entry}")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
