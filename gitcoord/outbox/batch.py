"""One batch: what waits in the outbox goes out in one chain and one push; what came of each is left for who asked.

Correctness rests on the swap, on unique operation ids, and on the notes about pushes under way, never on a lock.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gitcoord.core import clocks, secrecy
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Command
from gitcoord.core.heartbeats import FILES_LIMIT, RecordHeartbeat
from gitcoord.core.leases import holding
from gitcoord.core.names import LINE_LIMIT, branch_or_none, is_session_name, show
from gitcoord.core.sessions import StartSession
from gitcoord.core.times import read_instant
from gitcoord.core.touches import are_bounded, is_touch
from gitcoord.core.trespasses import committed
from gitcoord.core.values import oid_or_none
from gitcoord.errors import Alarm, GitcoordError, GitFault, NotInTime, NotWritten, Refused, Unknown, Unreachable
from gitcoord.git.repo import Oid
from gitcoord.log.eventlog import EventLog
from gitcoord.log.outcomes import Done, Outcome, SessionHoldings
from gitcoord.machine import processes
from gitcoord.outbox.store import Outbox
from gitcoord.outbox.stored import Push, WaitingCommand

_REST = 2.0  # seconds that a winner rests at most
_SHORTEST = 0.01  # seconds: a shorter rest is none


@dataclass
class _PushNotes:
    """Keeps the outbox's notes about the pushes of one batch."""

    outbox: Outbox
    names: list[str] = field(default_factory=list)

    def sending(self, base: Oid, commits: dict[str, Oid]) -> frozenset[str]:
        """Notes the push before it happens: a process that dies from here on leaves it for the next. Those whose caller has
        taken them back are not waiting any more. (It takes back, then looks for the note; here it is the other way round.)
        """
        self.names.append(self.outbox.note_push(base, list(commits)))
        self.outbox.pulse()
        return frozenset(op for op in commits if not self.outbox.is_waiting(op))

    def at_work(self) -> None:
        """Shows those who wait that this process is alive."""
        self.outbox.pulse()

    def lost(self) -> None:
        """Takes the newest note away: that push can't land any more."""
        self.outbox.land(self.names.pop())

    def settled(self) -> None:
        """Takes all notes away. Only after the answers are written and the outbox is emptied: until then a landed
        command must be findable, or it would be sent again.
        """
        while self.names:
            self.lost()


@dataclass(frozen=True)
class Batch:
    """One batch of an outbox: all that waits there, in one chain of commits and one push."""

    outbox: Outbox
    log: EventLog
    now: Callable[[], datetime]
    seconds: float
    clock: Callable[[], float]
    wall: Callable[[], float]

    def send(self, own: Command | None, end: float, *, alone: bool = False) -> dict[str, Outcome]:
        """Send what waits until `end`, and leave each answer for the process that asked; return the outcomes by handle.

        - `own`: the command of this process, if it has one.
        - `alone`: send nothing but that one.
        """
        # Read in this order: a command that still waits, and that another process has sent, is then in a note or has landed
        # after this tip. (It is noted, sent, taken out of the outbox, and then the note goes.)
        since = self.log.known()
        pushes = self.outbox.pushes()
        handle = own.handle if own is not None else ""
        local = self.outbox.local_sessions()  # the remote refuses them: they would only keep others from being sent
        waiting = [one for one in self.outbox.waiting() if one.op == handle or (not alone and one.session not in local)]
        batch = self._legible(waiting)
        if not batch:
            return {}
        # Asked for once more: its first run may have landed after that one's last look, and before this flush began.
        again = [one.since for one in waiting if one.since and one.since != since]
        self.outbox.pulse()
        notes = _PushNotes(self.outbox)
        gone = {
            command.handle: frozenset(push.base for push in pushes if command.handle in push.ops)
            for command in batch
            if (own is None or command.handle != own.handle) and caller_is_gone(command, self.now())
        }
        begun = self.clock()
        outcomes = self._transact(batch, own, gone, pushes, since, again, notes, end, alone=alone)
        taken = self.clock() - begun
        done = any(isinstance(outcome, Done) for outcome in outcomes.values())
        open_ = {op for op, outcome in outcomes.items() if isinstance(outcome, Unknown) and op not in gone}
        reached = done or not (open_ or any(isinstance(outcome, Unreachable | GitFault) for outcome in outcomes.values()))
        mentioned = {op for push in pushes for op in push.ops}
        self._note_rule(batch, outcomes)
        untold = False
        for command in batch:
            notes.at_work()
            outcome = outcomes.get(command.handle)
            mine = own is not None and command.handle == own.handle
            unheard = not mine and (command.handle in gone or caller_is_gone(command, self.now()))
            # The note comes first: a process that dies between note and answer, or has no room, leaves the command for the next.
            if unheard and isinstance(outcome, Done) and not self._tell_holder(command, outcome):
                untold = True
            elif outcome is not None:
                outcomes[command.handle] = self._settle(command, outcome, command.handle in mentioned, mine=mine)
                if mine and alone and not isinstance(outcome, Done):
                    outcomes[command.handle] = self._under_way(command, notes, outcomes[command.handle])
        if not untold and not any(isinstance(outcome, Unknown) for op, outcome in outcomes.items() if op not in gone):
            notes.settled()
        self._tidy_pushes(pushes)
        self._note(len(batch), reached=reached, seconds=taken)
        return outcomes

    def _transact(
        self,
        batch: list[Command],
        own: Command | None,
        gone: Mapping[str, frozenset[Oid]],
        pushes: Sequence[Push],
        since: Oid,
        again: Sequence[Oid],
        notes: _PushNotes,
        end: float,
        *,
        alone: bool,
    ) -> dict[str, Outcome]:
        """What came of each: of all in one chain, or, where the remote refuses the chain, of one's own alone. What comes while
        a race is lost joins the batch.
        """
        by_op = {command.handle: command for command in batch}
        sent_on = [*again, *(push.base for push in pushes if push.ops & by_op.keys())]

        def send(commands: Sequence[Command], more: Callable[[], Sequence[Command]] = tuple) -> dict[str, Outcome]:
            return self.log.transact(
                commands, notes=notes, seconds=end - self.clock(), since=since, sent_on=sent_on, look_only=gone,
                at_least=self.outbox.reached(), more=more,
            )  # fmt: skip

        def more() -> list[Command]:
            # The notes first: what waits and is in none of them now can only have been sent after the tip that was just read.
            sent = {op for push in self.outbox.pushes() for op in push.ops}
            waiting = [one for one in self.outbox.waiting() if not one.since]
            found = [one.command for one in waiting if one.command is not None]
            found = [one for one in found if one.handle not in by_op and one.handle not in sent]
            local = self.outbox.local_sessions()
            found = [one for one in found if one.session not in local and not caller_is_gone(one, self.now())]
            batch.extend(found)
            by_op.update((one.handle, one) for one in found)
            return found

        outcomes = send(batch, tuple if alone else more)
        refused = [op for op, outcome in outcomes.items() if isinstance(outcome, Refused)]
        if refused and len(batch) > 1:
            # A refused chain is no verdict on its members: try one's own alone, leave the others to their owners.
            singly = [own] if own is not None else [by_op[op] for op in refused if by_op[op].can_wait][:3]
            for op in refused:
                del outcomes[op]
            for command in singly:
                outcomes |= send([command])
        # What was built on the tip as it still is may land yet; once the branch has moved on, it can't.
        tip = self.log.known()
        for push in pushes:
            if push.base == tip and push.age <= self.seconds:
                for op in push.ops & outcomes.keys() - gone.keys():
                    if not isinstance(outcomes[op], Done | Unknown | Alarm):
                        outcomes[op] = Unknown(
                            "it was sent before, and that push may still land", hint="run the same command again"
                        )
        return outcomes

    def _tell_holder(self, command: Command, outcome: Done) -> bool:
        """Notes for the session that it holds what nobody waits for any more, if it does; False when there is no room."""
        if not isinstance(outcome.event, ClaimAcquired):
            return True
        what = ", ".join(outcome.event.resources)
        text = f"you hold {what} (fence {outcome.seq}): the claim landed after its command was gone"
        return self.outbox.leave_note(command.session, text)

    def _settle(self, command: Command, outcome: Outcome, was_sent: bool, *, mine: bool) -> Outcome:
        """Leaves the answer for who waits, or the command for the next flush."""
        if isinstance(outcome, Done):
            with suppress(GitFault):  # it has landed: what else is to be said of it must not make a failure of that
                outcome = replace(outcome, held=self._held(command))
            self.outbox.answer(command.handle, _record(outcome))
        elif isinstance(outcome, Refused) and command.can_wait and command.session in self.outbox.local_sessions():
            pass  # it waits until the remote takes what is pushed
        elif isinstance(outcome, Refused) and command.can_wait:
            self.outbox.refuse(command.handle, outcome.message)
        elif isinstance(outcome, Unreachable | Unknown | Alarm | NotInTime | NotWritten | Refused | GitFault):
            if isinstance(outcome, Unreachable | GitFault) and was_sent:
                outcome = Unknown(f"it was sent before and may have landed; {outcome.message}", hint="run the same command again")
            if not command.can_wait and not isinstance(outcome, Unknown):
                self.outbox.answer(command.handle, {"error": outcome.as_record()})
        elif self.outbox.is_queued(command.handle) or (command.can_wait and not mine and not _waits(command, self.now())):
            self.outbox.set_aside(command.handle, outcome.message)  # nobody waits for this answer, and it must not get lost
        else:
            self.outbox.answer(command.handle, {"error": outcome.as_record()})
        if mine:
            self.outbox.drop_result(command.handle)  # one's own finding needs no file
        return outcome

    def _held(self, command: Command) -> SessionHoldings | None:
        """Return what the session holds after the batch. Raises GitFault."""
        state = self.log.newest
        if state is None:
            return None
        return SessionHoldings(state.seq, holding(state, command.session, clocks.shown_at(state, self.log.clock(), ask=False)[0]))

    def _under_way(self, command: Command, notes: _PushNotes, outcome: Outcome) -> Outcome:
        """Return the outcome of a command that this process sent past the one that holds the lock: Unknown where that one, which
        was only slow, has noted it for a push by now. (It notes, then looks whether the command waits; here it is taken out first.)
        """
        if command.can_wait or not any(command.handle in push.ops for push in self.outbox.pushes() if push.name not in notes.names):
            return outcome
        words = outcome.message if isinstance(outcome, GitcoordError) else ""
        return Unknown(f"another process is sending it; {words}", hint="run the same command again")

    def _tidy_pushes(self, pushes: Sequence[Push]) -> None:
        """Forgets old pushes of which nothing waits any more."""
        left = {waiting.op for waiting in self.outbox.waiting()}
        for push in pushes:
            if not push.ops & left:
                self.outbox.land(push.name)

    def _note(self, crowd: int, *, reached: bool, seconds: float) -> None:
        self.outbox.note_reach(reached=reached, now=self.now(), seq=self.log.newest.seq if self.log.newest else 0)
        state = self.outbox.state()
        rest = self._rest(float(state.get("rest", 0.0)), seconds)
        if rest or state.get("rest") or state.get("crowd", 1) != crowd:
            until = self.wall() + rest * (0.5 + secrets.randbelow(50) / 100) if rest else None
            self.outbox.update(crowd=crowd, rest=rest or None, cool_until=until)

    def _note_rule(self, batch: Sequence[Command], outcomes: Mapping[str, Outcome]) -> None:
        """Note whether the remote takes what is pushed. A start that it refuses says that it takes nothing: there is nothing in a
        start that it could mind. What it refuses else may be the one thing that it minds. What was carried was pushed by another.
        """
        done = [outcome.event for outcome in outcomes.values() if isinstance(outcome, Done)]
        if any(event is not None and event.carried is None for event in done):
            self.outbox.forget_refusal()
            return
        refused = [command for command in batch if isinstance(outcomes.get(command.handle), Refused)]
        local = self.outbox.local_sessions()
        if refused:  # also where this outbox has forgotten that they are carried
            sessions = self.log.view().state.sessions
            lost = {one.session for one in refused if (known := sessions.get(one.session)) is not None and known.carried}
            for session in lost - local:
                self.outbox.note_local(session)
            local |= lost
        for command in batch:
            outcome = outcomes.get(command.handle)
            if isinstance(outcome, Refused) and (isinstance(command, StartSession) or command.session in local):
                self.outbox.note_refusal(outcome.message, self.now())
                if isinstance(command, StartSession) and command.can_wait:
                    self.outbox.note_local(command.session)

    def _rest(self, before: float, seconds: float) -> float:
        """How long this machine's next flush waits before it begins, for the other machines to have their turn.

        A loser tries again at once, but it has to fetch first: who has just won would win for ever. So a winner rests for as
        long as one of its own tries took, for each race that it had lost before; half as long after each that it didn't lose.
        """
        lost = self.log.contention
        rest = lost * seconds / (lost + 1) if lost else before / 2
        return min(_REST, rest) if rest > _SHORTEST else 0.0

    def _legible(self, waiting: Sequence[WaitingCommand]) -> list[Command]:
        """Return the commands to send. One that this program can't read is left to the process that waits for it, which can; where
        nobody does it is set aside, and named: it must not keep what its session says after it.
        """
        batch = []
        for one in waiting:
            if one.command is not None:
                batch.append(one.command)
            elif not self._is_waited_for(one):
                self.outbox.set_aside(one.op, "this program can't read it: a newer one wrote it, or something changed it")
        return batch

    def _is_waited_for(self, one: WaitingCommand) -> bool:
        caller = one.caller
        return caller is not None and self.now() <= caller.deadline and processes.alive(caller.pid, caller.born) is not False


def caller_is_gone(command: Command, now: datetime) -> bool:
    """Return True if nobody waits for the answer any more: then a lease must not be taken on the caller's behalf."""
    caller = command.caller
    if command.can_wait or caller is None:
        return False
    return now > caller.deadline or not _waits(command, now)


def _waits(command: Command, now: datetime) -> bool:
    """Return True if the process that asked is still there. Where that can't be told, its deadline says it."""
    caller = command.caller
    if caller is None:
        return True
    told = processes.alive(caller.pid, caller.born)
    return now <= caller.deadline if told is None else told


# --- automatic heartbeats --------------------------------------------------------------------------------------------------


def fold_spool(outbox: Outbox) -> None:
    """Make one command a session of what its hooks wrote. The files go after it is written down: a second heartbeat is harmless, a
    lost one is not.
    """
    for session, entries in outbox.spooled().items():
        # The newest file's own id: it sorts where it happened, and folding the same files twice is one operation.
        command = fold(session, [record for _, record in entries], entries[-1][0].stem)
        # If it waits already, whoever wrote it down was killed before all files were gone: it holds more than is left.
        if command is not None and not outbox.is_waiting(command.handle):
            try:
                outbox.put(command)
            except NotWritten:
                continue  # no room: it waits in the spool
        for path, _ in entries:
            Path(path).unlink(missing_ok=True)


def fold(session: str, entries: Sequence[dict[str, Any]], op: str) -> RecordHeartbeat | None:
    """One heartbeat for many: the newest action, all files. None when the entries can't be used."""
    usable = []
    for entry in entries:
        try:
            usable.append((read_instant(entry["at"]), entry))
        except (KeyError, ValueError):
            continue
    if not usable or not is_session_name(session):
        return None
    usable.sort(key=lambda pair: pair[0])
    entries = [entry for _, entry in usable]
    last = next((entry for entry in reversed(entries) if entry.get("action")), entries[-1])
    place = next((entry for entry in reversed(entries) if entry.get("commit")), last)
    lines: dict[str, Any] = next((entry for entry in reversed(entries) if entry.get("base")), {})
    files: dict[str, None] = {}
    commits: list[str] = []
    for at, entry in reversed(usable):
        names = entry.get("files")
        shown = [show(secrecy.hide(str(name)), LINE_LIMIT) for name in names] if isinstance(names, list) else []
        files |= dict.fromkeys(shown)
        commits += [committed(at, name) for name in shown if entry.get("action") == "committed" and len(name) < LINE_LIMIT - 30]

    def line(key: str) -> str | None:
        value = last.get(key)
        return show(secrecy.hide(str(value)), LINE_LIMIT) if value else None

    on = next((entry for entry in reversed(entries) if "branch" in entry), last)  # what was changed is said without it
    branch = str(on.get("branch") or "")
    try:
        return RecordHeartbeat(
            op=op, session=session, run_id=str(last.get("run_id", "")), at=usable[-1][0], action=line("action"),
            target=line("target"), files_touched=tuple(files)[:FILES_LIMIT],
            branch=branch_or_none(branch) if not secrecy.find(branch) else None, commit=oid_or_none(str(place.get("commit") or "")),
            folded=len(usable), committed=tuple(commits[:FILES_LIMIT]), base=oid_or_none(str(lines.get("base") or "")),
            touches=_touches(lines.get("touches")),
        )  # fmt: skip
    except ValidationError:
        return None


def _touches(entries: object) -> tuple[str, ...]:
    """What a hook noted of lines, as far as an event may say it. What looks like a secret in a file's name is hidden."""
    kept = [secrecy.hide(str(entry)) for entry in entries] if isinstance(entries, list) else []
    kept = [entry for entry in kept if is_touch(entry)]
    return tuple(kept) if are_bounded(kept) else ()


def _record(outcome: Done) -> dict[str, Any]:
    event = outcome.event
    return {
        "commit": outcome.commit,
        "seq": outcome.seq,
        "kind": event.kind if event else "",
        "event": event.model_dump(mode="json") if event else None,
        "held": {"seq": outcome.held.seq, "leases": dict(outcome.held.leases)} if outcome.held else None,
    }
