"""From command to answer: write it down, then flush it, or wait for whoever flushes.

One process of an outbox at a time takes everything that waits and sends it in one chain and one push; the others get their
results from it. The lock is for speed alone: what is correct rests on the swap, on unique operation ids, and on the notes
about pushes under way.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

from gitcoord.core.carrying import CarryAnswered, error_of
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Command
from gitcoord.core.rules import EVENTS
from gitcoord.errors import Alarm, GitcoordError, GitFault, NotInTime, NotWritten, Refused, Unknown, Unreachable
from gitcoord.git.repo import Oid
from gitcoord.log.eventlog import PATIENCE, EventLog
from gitcoord.log.outcomes import Done, Outcome, SessionHoldings, View, used
from gitcoord.outbox.batch import Batch, caller_is_gone, fold_spool
from gitcoord.outbox.store import STALLED_AFTER, Outbox
from gitcoord.outbox.stored import WaitingCommand

_LOOK = 0.01  # seconds between two looks for a result: one small system call
_TRY = (0.01, 0.08)  # seconds between two tries to get the lock, at first and later
_GATHER = 0.05  # seconds a submitter waits for others to put their commands down, when there were others the last time
_AWAY_PATIENCE = 10.0  # seconds after a failed try in which deferrable commands don't try again
_REFUSED_PATIENCE = 300.0  # seconds after a refused start in which the remote isn't asked again by itself
_LEAVES_IT = (GitFault, Unreachable, Unknown, NotInTime, NotWritten)  # a command that can wait stays in the outbox after these


@dataclass(frozen=True)
class Queued:
    """The command is safe in the outbox and goes out when the remote can be reached."""

    op: str


Result = Done | Queued


class _Life:
    """Tells for how long the pulse of whoever sends has been still."""

    def __init__(self, pulse: Callable[[], float], clock: Callable[[], float]) -> None:
        self._pulse, self._clock = pulse, clock
        self._last, self._since = pulse(), clock()

    def silence(self) -> float:
        """Return the seconds since it was seen to move; 0.0 where it has moved since the last look."""
        now = self._pulse()
        if now != self._last:
            self._last, self._since = now, self._clock()
            return 0.0
        return max(self._clock() - self._since, 1e-9)


@dataclass
class Submitter:
    """Carries out the commands of this process, and sends what waits in its outbox. `seconds`: how long it waits for an answer."""

    outbox: Outbox
    log: EventLog
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    seconds: float
    clock: Callable[[], float] = monotonic
    wall: Callable[[], float] = field(default=lambda: 0.0)

    @property
    def batch(self) -> Batch:
        """Return what sends one batch, by the same outbox and clocks."""
        return Batch(self.outbox, self.log, self.now, self.seconds, self.clock, self.wall)

    def submit(self, command: Command, *, since: Oid = "") -> Result:
        """Carries the command out, or has it carried out. Raises what refuses it; deferrable ones come back queued.

        `since`: the tip up to which the history was searched for the operation, if it may have been asked for before.
        """
        end = self.clock() + self.seconds
        if command.asked:
            self._check_id(command)
        self.outbox.drop_result(command.handle)  # an answer that an earlier process asked for and never read
        self.outbox.put(command, since=since)
        if command.can_wait and self.is_away():
            return self._queued(command)
        if command.session in self.outbox.local_sessions() and not self._takes_again(end):
            if command.can_wait:
                return self._queued(command)
            self.outbox.drop(command.handle)
            raise self._refused_by_rule(command)
        try:
            outcome = self._carry_out(command, end) or self._given_up(command, self._late())
        except GitFault as error:
            outcome = self._given_up(command, error)
        if isinstance(outcome, Done):
            return outcome
        stays = not isinstance(outcome, Alarm | Refused)
        stays = stays or (isinstance(outcome, Refused) and command.session in self.outbox.local_sessions())
        if command.can_wait and self.outbox.is_waiting(command.handle) and stays:
            return self._queued(command)
        if command.can_wait and isinstance(outcome, _LEAVES_IT):
            return self._taken_meanwhile(command, outcome)
        raise outcome

    def _taken_meanwhile(self, command: Command, outcome: GitcoordError) -> Done:
        """Return what another process made of the command, which took it after this one had failed. Raises that one's finding, or
        Unknown where it left none: this one's own failure says nothing about the command any more.
        """
        found = self.outbox.result(command.handle, _outcome)
        if found is None:
            raise Unknown(f"another process has taken it to send it; {outcome.message}", hint="run the same command again")
        if isinstance(found, GitcoordError):
            raise found
        return found

    def _check_id(self, command: Command) -> None:
        """Make sure that the id which the caller chose waits on this outbox for nothing else. Raises BadInput."""
        for one in self.outbox.waiting():
            if one.command is not None and one.command.op == command.op and one.command.handle != command.handle:
                raise used(
                    command.op, f"{one.command.session} asked for something else ({one.command.kind}), which waits to be sent"
                )

    def _queued(self, command: Command) -> Result:
        self.outbox.mark_queued(command.handle)
        outcome = self.outbox.result(command.handle, _outcome)  # whoever flushes may have been faster than the mark
        if outcome is None:
            return Queued(command.handle)
        if isinstance(outcome, GitcoordError):
            raise outcome
        return outcome

    def flush(self, seconds: float | None = None, *, anew: bool = False) -> list[GitcoordError]:
        """Sends what waits, on nobody's behalf; what stood in the way. `anew`: also a start that the remote has just refused."""
        end = self.clock() + (self.seconds if seconds is None else seconds)
        with self.outbox.lock(min(1.0, end - self.clock())) as had:
            if not had:
                return []
            fold_spool(self.outbox)
            errors = self._ask_again(end) if anew or not self._refused_lately() else []
            outcomes = self.batch.send(None, end)
            self.outbox.sweep()
        return [*errors, *(outcome for outcome in outcomes.values() if isinstance(outcome, GitcoordError))]

    # --- a remote that refuses by rule ---------------------------------------------------------------------------------

    def _refused_by_rule(self, command: Command) -> Refused:
        """Return the error that the remote refuses what is pushed, so that the command can't be had."""
        known = self.outbox.refusal()
        words = known.words if known else "the remote refuses it"
        if (session := self.log.view().state.sessions.get(command.session)) is not None and session.carried:
            return Refused(f"this session may not push, and {command.kind} can't be carried: {words}", hint="gitcoord doctor")
        return Refused(f"nobody sees this session, so it can hold nothing: {words}", hint="gitcoord doctor says what would help")

    def sendable(self) -> bool:
        """Return True if anything waits that the remote is not known to refuse, or that it may take by now."""
        waiting = self.outbox.waiting()
        if not waiting or self.outbox.refusal() is None or not self._refused_lately():
            return bool(waiting)
        local = self.outbox.local_sessions()
        return any(one.session not in local for one in waiting)

    def _refused_lately(self) -> bool:
        known = self.outbox.refusal()
        return known is not None and known.age < _REFUSED_PATIENCE

    def _takes_again(self, end: float) -> bool:
        """Return True if the remote takes what is pushed again; it is asked only now and then."""
        if self._refused_lately():
            return False
        with self.outbox.lock(max(0.0, end - self.clock())) as had:
            if had:
                self._ask_again(end)
        return self.outbox.refusal() is None

    def _ask_again(self, end: float) -> list[GitcoordError]:
        """Send the first command that the remote refused, alone; return what stood in the way. Once it lands, the rest follows."""
        local = self.outbox.local_sessions()
        first = next((one.command for one in self.outbox.waiting() if one.session in local and one.command is not None), None)
        if first is None:
            return []
        outcome = self.batch.send(first, end, alone=True).get(first.handle)
        return [outcome] if isinstance(outcome, GitcoordError) else []

    def unsent(self) -> list[WaitingCommand]:
        """What waits to be sent. A claim whose caller is gone never will be: it only stays until its push can't land any more."""
        return [one for one in self.outbox.waiting() if one.command is None or not caller_is_gone(one.command, self.now())]

    # --- carried commands ----------------------------------------------------------------------------------------------

    def carry_out(self, commands: Sequence[Command], *, since: Oid, seconds: float) -> dict[str, Outcome]:
        """Carry out what sessions elsewhere ask for, in order; return what came of each, by its handle. Nobody waits for it here:
        what a process leaves behind when it is killed goes out with the next command of this machine.

        - `since`: the tip on which none of them had landed.
        """
        end = self.clock() + seconds
        for command in commands:
            self.outbox.put(command, since=since)
        found: dict[str, Outcome] = {}
        while self.clock() < end and len(found) < len(commands):
            with self.outbox.lock(0.0) as had:
                if had:
                    found |= self.batch.send(None, end)
            for command in commands:  # another process may have sent it, or left it to the next
                outcome = self.outbox.result(command.handle, _outcome)
                if outcome is not None:
                    found.setdefault(command.handle, outcome)
            if had:
                break
            self.sleep(_TRY[1])
        return {command.handle: found[command.handle] for command in commands if command.handle in found}

    def answer_of(self, command: Command, view: View) -> Outcome | None:
        """Return what a command that rides on a branch was answered with by that view, and take it out; None if it wasn't yet."""
        known = self.outbox.riding().get(command.handle)
        if known is None:
            return None
        self.log.landed_since(known[1], view.checked)
        outcome = self.log.outcome(command.op, command.made, view.checked)
        if isinstance(outcome, Done):
            self.outbox.drop(command.handle)
            answered = outcome.event
            return (error_of(answered) if isinstance(answered, CarryAnswered) else None) or outcome
        return outcome

    def settle_carried(self, view: View) -> None:
        """Take out of the outbox what rode on a branch and was adopted by that view. What nobody waits for is told by a note."""
        if not self.outbox.riding():
            return
        for one in self.outbox.waiting():
            outcome = self.answer_of(one.command, view) if one.command is not None else None
            if isinstance(outcome, GitcoordError) and outcome.exit_code in {2, 3, 4, 9}:
                self.outbox.leave_note(one.session, f"refused when it was adopted: {outcome.message}")
            elif isinstance(outcome, Done) and isinstance(outcome.event, ClaimAcquired):
                what = ", ".join(outcome.event.resources)
                self.outbox.leave_note(one.session, f"you hold {what} (fence {outcome.seq}): the claim was adopted")

    # --- one command -------------------------------------------------------------------------------------------------

    def _carry_out(self, command: Command, end: float) -> Outcome | None:
        sender, past = self._life(), None
        give_up = end + (PATIENCE - 1) * self.seconds
        pause, longest = _TRY
        may_be_free = True
        while True:
            outcome = self.outbox.result(command.handle, _outcome) if self.outbox.has_result(command.handle) else None
            if outcome is not None:
                # It may be the answer to an earlier run of the same operation, taken out before this one was written down.
                self.outbox.drop(command.handle)
                return outcome
            left = end - self.clock()
            if left <= 0:
                return None
            with self.outbox.lock(0.0) if may_be_free else nullcontext(False) as had:
                if had:
                    outcome = self.outbox.result(command.handle, _outcome)
                    if outcome is not None:
                        return outcome
                    if not self.outbox.is_waiting(command.handle):
                        return self._find(command, end)
                    self._gather()
                    fold_spool(self.outbox)
                    return self.batch.send(command, self._fresh(end)).get(command.handle)
            if sender.silence() == 0.0:
                end, past = min(give_up, self.clock() + self.seconds), None  # somebody is at work for us
            elif sender.silence() > STALLED_AFTER and self.outbox.is_waiting(command.handle):
                # Whoever holds the lock shows no life: go without it, with nothing but one's own. All who wait see that at the same
                # moment: so one goes after the other.
                past = past or self._life(past=True)
                with self.outbox.lock(0.0, past=True) as had:
                    if had or past.silence() > STALLED_AFTER:
                        return self.batch.send(command, end, alone=True).get(command.handle)
                if past.silence() == 0.0:
                    end = min(give_up, self.clock() + self.seconds)
            may_be_free = self._listen(command.handle, min(pause, left) * (0.75 + secrets.randbelow(50) / 100))
            pause = min(1.5 * pause, longest)

    def _life(self, *, past: bool = False) -> _Life:
        return _Life(partial(self.outbox.last_pulse, past=past), self.clock)

    def _listen(self, op: str, seconds: float) -> bool:
        """Waits that long, or until the result is there, or nobody has the lock any more; return True if the lock may be free."""
        until = self.clock() + seconds
        with self.outbox.lock_seen() as is_locked:
            while (left := until - self.clock()) > 0:
                self.sleep(min(_LOOK, left))
                if self.outbox.has_result(op) or not is_locked():
                    break
            return not is_locked()

    def _find(self, command: Command, end: float) -> Outcome | None:
        """What came of a command that another process took, and for whose answer there was no room: the history knows."""
        try:
            view = self.log.refresh(max(1.0, end - self.clock()))
            return self.log.outcome(command.op, command.made, view.checked)
        except GitcoordError as error:
            return Unknown(f"it may have landed; {error.message}", hint="run the same command again")

    def _fresh(self, end: float) -> float:
        """The deadline of a flush that begins now: waiting for one's turn at the outbox was no waiting for the remote."""
        return max(end, self.clock() + self.seconds / 2)

    def _late(self) -> NotInTime:
        return NotInTime(f"no answer within {self.seconds:.0f} s; nothing was sent", hint="run the same command again")

    def _given_up(self, command: Command, why: GitcoordError) -> Outcome:
        """Return what to say of a command that this process gives up: what another process made of it, Unknown where one is about
        to send it, else why it is given up.
        """
        if not command.can_wait:
            self.outbox.drop(command.handle)  # before the look at the notes: whoever flushes notes, and then looks whether it waits
        under_way = any(command.handle in push.ops for push in self.outbox.pushes())
        outcome = self.outbox.result(command.handle, _outcome)  # the answer is left before the note goes
        if outcome is not None:
            return outcome
        if not under_way:
            return why
        if not command.can_wait:
            with suppress(NotWritten):
                self.outbox.put(command)  # if that submitter dies, the next one finds out what came of it, and tells the session
        return Unknown("the change is under way and its outcome isn't known yet", hint="run the same command again")

    def is_away(self) -> bool:
        """Whether the remote could not be reached a moment ago."""
        tried = self.outbox.state().get("tried_at")
        return isinstance(tried, int | float) and 0 <= self.wall() - tried < _AWAY_PATIENCE

    def _gather(self) -> None:
        state = self.outbox.state()
        rest = float(state.get("cool_until", 0.0)) - self.wall()
        if 0 < rest < STALLED_AFTER:  # a winner among contending machines lets the others have their turn
            self.sleep(rest)
        if state.get("crowd", 0) > 1:
            self.sleep(_GATHER)


def _outcome(record: dict[str, Any]) -> Outcome:
    if "error" in record:
        return GitcoordError.from_record(dict(record["error"]))
    kind = EVENTS.get(str(record.get("kind")))
    event = kind.model_validate(record["event"]) if kind else None
    held = record.get("held")
    leases = {} if held is None else {str(entry): (float(until), int(ttl)) for entry, (until, ttl) in held["leases"].items()}
    return Done(
        event, str(record["commit"]), int(record["seq"]), None if held is None else SessionHoldings(int(held["seq"]), leases)
    )
