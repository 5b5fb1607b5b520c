"""Writing on the branch: a command is submitted for a caller, and its outcome comes back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from gitcoord.coordinator.actor import Actor
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.carriage import Carriage
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.core import branch as rules
from gitcoord.core import clocks, handoffs, handover, leases, names, secrecy, sessions, succession
from gitcoord.core.events import Caller, Command, Event, Landing, Receipt, digest
from gitcoord.core.records import Claim
from gitcoord.errors import BadInput, GitcoordError, GitFault, Held, NotHeld, NotInTime, NotWritten, Unknown, Unreachable
from gitcoord.git.repo import NULL, Oid
from gitcoord.log.eventlog import PATIENCE
from gitcoord.log.history import Checked
from gitcoord.log.outcomes import Done
from gitcoord.machine import processes
from gitcoord.outbox.submit import Queued, Result


class Outcome(NamedTuple):
    """What came of a command: its receipt, and the event that it made (None: none was needed, or it is queued)."""

    receipt: Receipt
    event: Event | None


_TOOLS = {
    "claim.acquire": "claim", "claim.renew": "claim", "claim.request": "ask", "claim.respond": "send", "message.take": "inbox",
    "handoff.take": "handoff", "session.supersede": "handoff", "session.start": "heartbeat", "task.next": "next",
}  # fmt: skip
"""The tools of our server for agents that do what a command in a sandbox can't."""
REFUSED = "nobody sees it: the remote refuses it"
"""Why what a session says waits, where the remote refuses by rule what is pushed."""
_NOWHERE = "0" * 40  # no commit has this name: what was looked for "since" it has to be looked for from the root


@dataclass(frozen=True)
class Commands:
    """The only way to write on the branch."""

    parts: Parts
    notices: Notices
    branch: Branch
    carriage: Carriage

    def submit(
        self,
        kind: type[Command],
        caller: Actor,
        *,
        op: str = "",
        typed: Mapping[str, Any] | None = None,
        shared: bool = False,
        **fields: Any,
    ) -> Outcome:
        """Submit a command for that caller, and return what came of it.

        - `op`: the id that the caller chose for this very command; the same request under it has one effect, another request is
          refused (BadInput).
        - `typed`: what the caller asked for, where the command's fields also say what was found out since.
        - `shared`: the id names something outside of the branch, so that it stands for the same whichever session asks.
        - `fields`: the command's own fields; `session` and `run_id` among them replace those of the caller.
        """
        clocks.check_date(self.parts.now())
        self.parts.log.ensure()
        if kind not in (rules.OpenBranch, rules.JoinHub):
            self._check_name(caller, can_wait=kind.deferrable)
        given = {"session": caller.session, "run_id": caller.run_id, "op": op or self.parts.outbox.next_id(), **fields}
        given, hidden = secrecy.cleared(given, caller.about_secrets, branch=caller.branch)
        self.notices.add(*(f"hidden before it was sent: what looks like a secret ({rule})" for rule in hidden))
        try:
            command = kind(at=self.parts.now(), caller=self._waiting(), **given)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        since = ""
        if op:
            names.parse_id(op)
            asker = {**given, "session": ""} if shared else given
            asked = self._asked_for(kind, command.wishes if typed is None else typed, asker)
            command = command.model_copy(update={"asked": asked})
            known, done = self._done(op, command.made)
            if done is not None:
                return done
            since = known.tip or _NOWHERE
        op = command.op
        try:
            result: Result = self.parts.submitter.submit(command, since=since)
        except (Unreachable, NotWritten) as error:
            raise (self.from_outside(command.kind) if self.parts.boxed else error) from error
        except (Held, NotHeld) as error:
            self.name_doubtful(error)
            self._note_denied(command, error)
            raise
        if isinstance(result, Queued):
            rides = self.carriage.ride(command.session) if self.carriage.carries(command.session) else ""
            return Outcome(Receipt("queued", op, why=rides) if rides else self._queued(command), None)
        if result.event is not None:
            self.notices.note_landed(result.seq)
        given_back = set(getattr(result.event, "released", ()))
        if given_back:  # what this command gave back is no loss
            self.parts.identity.drop(command.session, given_back)
        if unsigned := self.parts.log.unsigned:
            self.notices.add_new(f"not signed: {unsigned}")
        self._after(result, caller)
        state: Landing = "committed" if result.event is not None else "unchanged"
        return Outcome(Receipt(state, op, result.seq, result.commit), result.event)

    def name_doubtful(self, error: GitcoordError) -> None:
        """Have the session warned where what is in its way may be somebody else's, who only used the holder's name."""
        blocked_by = error.data.get("blocked_by") or ()
        self.warn_of([(int(one["fence"]), str(one["claimed_by"])) for one in blocked_by if one.get("fence")])

    def warn_of(self, held: Sequence[tuple[int, str]]) -> None:
        """Have the session warned of each of those leases (its fence and its holder) that somebody else may have claimed."""
        from gitcoord.coordinator.speakers import Speakers  # here: nobody else pays for loading it

        for line in Speakers(self.parts, self.branch).doubts(held) if held else ():
            self.notices.add_new(line)

    def _note_denied(self, command: Command, error: GitcoordError) -> None:
        """Keep the refusal of that command."""
        wishes = command.wishes
        named = [*map(str, wishes.get("resources") or ()), *(str(one).partition(" ")[2] for one in wishes.get("leases") or ())]
        found = tuple(named) or tuple(str(wishes[key]) for key in ("resource", "task") if wishes.get(key))
        self.parts.outbox.note_denied(command.at, command.session, command.kind, found, error)

    def _queued(self, command: Command) -> Receipt:
        """Return the receipt of what waits in the outbox, with the reason."""
        if command.session in self.parts.outbox.local_sessions():
            return Receipt("queued", command.op, why=REFUSED)
        return Receipt("queued", command.op)

    def join(self, caller: Actor) -> Receipt:
        """Enter the name of this repository on the hub, if several share the branch and its first commit can be told. Raises
        BadInput where the name stands for another repository.
        """
        root = NULL if self.parts.beginning is None else self.parts.beginning.first_commit()
        if root == NULL:
            return Receipt("unchanged", "")
        session = caller.session or caller.human or "gitcoord-init"
        own = (known,) if (known := self._known_beginning(caller)) else ()
        return self.submit(rules.JoinHub, caller, session=session, run_id="", repo=caller.repo, root=root, own=own).receipt

    def _check_name(self, caller: Actor, *, can_wait: bool) -> None:
        """Make sure that the name of this repository stands for it on the hub, however the clone came there. Raises BadInput where
        it stands for another one.

        - `can_wait`: what is asked for can be queued, so a remote that is away is no reason against it.
        """
        if self.parts.beginning is None or self._known_beginning(caller) or (can_wait and self.parts.submitter.is_away()):
            return
        landed = self.notices.landed
        try:
            self.branch.look_again(self.parts.seconds)  # the repository may have joined since
            if not self._known_beginning(caller):
                self.join(caller)
        except (Unreachable, Unknown, NotInTime):
            if not can_wait:
                raise
        finally:
            self.notices.note_landed(landed)  # what comes now has not landed yet

    def _known_beginning(self, caller: Actor) -> Oid:
        """Return the commit for which the name stands on the hub, as far as this clone knows, if the repository has that commit;
        NULL if not.
        """
        known = self.parts.log.view().state.rules.repositories.get(caller.repo, NULL)
        return NULL if not known or self.parts.beginning is None or self.parts.beginning.is_missing(known) else known

    def _asked_for(self, kind: type[Command], request: Mapping[str, Any], given: Mapping[str, Any]) -> str:
        """Return the digest of a request. A start is told apart by its run: there is no session yet."""
        if kind is sessions.StartSession:
            return digest("", kind.kind, {**request, "run_id": given["run_id"], "session": given["session"]})
        return digest(str(given["session"]), kind.kind, request)

    def earlier(self, kind: type[Command], caller: Actor, op: str, request: Mapping[str, Any]) -> Outcome | None:
        """Return what came of that request when it was made before under that id; None if it never was, or has no id. Raises
        BadInput where the id stands for something else.
        """
        if not op:
            return None
        asked = self._asked_for(kind, request, {"session": caller.session})
        return self._done(names.parse_id(op), lambda event: event.asked == asked)[1]

    def _done(self, op: str, is_mine: Callable[[Event], bool]) -> tuple[Checked, Outcome | None]:
        """Return what is known of the branch, and what came of the operation in that. Raises Unknown where git can't tell: it may
        have been done before.
        """
        try:
            known = self.parts.log.view().checked
            done = self.parts.log.outcome(op, is_mine, known)
        except GitFault as error:
            raise Unknown(
                f"whether {op} was done before can't be told ({error.message})", hint="run the same command again"
            ) from error
        if isinstance(done, GitcoordError):
            raise done
        return known, None if done is None else Outcome(Receipt("committed", op, done.seq, done.commit), done.event)

    def from_outside(self, kind: str) -> Unreachable:
        """Return the error that this can't be had from within a sandbox; its hint says who stands outside of it."""
        tool = _TOOLS.get(kind)
        return Unreachable(
            "this sandbox has no way to the branch; nothing was sent",
            hint=f'use the gitcoord MCP tool "{tool}": its server stands outside' if tool else "run it outside of the sandbox",
        )

    def _waiting(self) -> Caller:
        """Return this process as the one that waits for the answer."""
        pid = os.getpid()
        deadline = self.parts.now() + timedelta(seconds=PATIENCE * self.parts.seconds + 1)
        return Caller(pid=pid, born=processes.born(pid), deadline=deadline)

    def _after(self, result: Done, caller: Actor) -> None:
        """Look what the answer's tip says of the caller's leases: a session that lost one learns it with any command."""
        self.branch.forget()
        if result.held is not None and set(self.parts.identity.held(caller.session)) <= result.held.leases.keys():
            self.branch.note_held(result.held.leases, result.held.seq)
            return
        try:
            known = self.parts.log.view()
        except GitFault:  # the command is done; what else is new is told by the next one
            return
        # Another clone of this machine may have flushed for us: then this one's view is older than the answer.
        if known.checked.seq >= result.seq:
            self.branch.note_losses(known.state)

    def tell_regained(self, regained: Sequence[str], event: Event) -> None:
        """Tell the session what a renewal or heartbeat took again: it was over, and has a new fence."""
        for entry in regained:
            fence, until, resource = leases.RenewedLease.parse(entry)
            self.notices.add_new(leases.taken_again(resource, fence, until, event.seq))  # a look at the branch may have told it


def granted(event: Event | None) -> tuple[Claim, ...]:
    """Return the leases that came with a taken handoff or a taken place, read from the event."""
    if not isinstance(event, handover.HandoffTaken | succession.SessionSuperseded) or event.expires_at is None:
        return ()
    return tuple(
        Claim(
            claimed_by=event.session, run_id=event.run_id, claimed_at=event.at, resource_type=resource.type,
            resource_name=resource.name, repo=resource.repo, ttl_seconds=event.ttl_seconds, renewed_at=event.at,
            expires_at=event.expires_at, fence=event.seq,
        )
        for resource in map(names.resource_of, event.resources)
    )  # fmt: skip


def words_of(said: dict[str, str | None]) -> dict[str, Any]:
    """Return what was typed, as a command carries it. Raises BadInput."""
    found: dict[str, Any] = {}
    for key, value in said.items():
        if key in ("done", "next", "blockers"):
            found[key] = handoffs.parse_note(value, key)
        elif key == "notes":
            found[key] = names.parse_text(value, key) if value else None
        else:
            found[key] = names.parse_line(value, key) if value else None
    return found


def without_code(given: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked for without where the code stands: that moves on between two runs of one command."""
    return {key: value for key, value in given.items() if key not in ("branch", "commit")}
