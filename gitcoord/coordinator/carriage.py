"""A session that may not push the branch puts what it says onto its work tree's own branch, until another session adopts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.core import carrying, secrecy
from gitcoord.core.events import Caller, Command
from gitcoord.core.sessions import EndSession
from gitcoord.errors import BadInput, GitcoordError, Refused, Unknown
from gitcoord.log import carrier
from gitcoord.log.outcomes import Done
from gitcoord.machine import processes

_LOOK_EVERY = 2.0  # seconds between two looks for the answer
_ROOM = 900_000  # characters of trailers in one commit: what a reader takes of a commit is at most 1 MiB


@dataclass(frozen=True)
class Carriage:
    """The caller's way to the branch where it may push only a branch of its own."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch

    def carries(self, session: str) -> bool:
        """Return True if what that session says rides on the branch that is checked out: all sessions agreed to it, the branch is
        one of those that may carry commands, and the session can't push ours, as far as is known.
        """
        carriers, outbox = self.parts.carriers, self.parts.outbox
        if carriers is None or not session or not carriers.branch:
            return False
        if session not in outbox.local_sessions() and outbox.start_of(session) is None:
            return False  # it pushes: nothing has to be read to know that
        settings = self.parts.log.view().state.rules.settings
        if not settings.carry or not carrying.may_carry(settings.carry_from, carriers.branch):
            return False
        known = self.parts.log.view().state.sessions.get(session)
        if known is None:
            return True
        return bool(known.carried) and carrying.Carrier.parse(known.carried or "").branch == carriers.branch

    def ride_all(self, *, only_ended: bool = False) -> None:
        """Put what waits of every session that rides on this branch into commits.

        - `only_ended`: only of those that have ended: a commit by itself could come in the way of one that the user is making.
        """
        waiting = self.parts.outbox.waiting()
        ended = {one.session for one in waiting if isinstance(one.command, EndSession)}
        for session in dict.fromkeys(one.session for one in waiting):
            if (session in ended or not only_ended) and self.carries(session):
                self.ride(session)

    def ride(self, session: str) -> str:
        """Put what waits of that session into empty commits on the branch, and push it; return where it rides, "" for nowhere."""
        carriers, outbox = self.parts.carriers, self.parts.outbox
        assert carriers is not None
        if carriers.is_busy():
            self.notices.add_new("nothing was put on your branch: git is in the middle of something")
            return ""
        riding = outbox.riding()
        there = {commit: carriers.holds(commit) for commit in {one[0] for one in riding.values()}}
        rides = {op for op, (commit, _) in riding.items() if there[commit]}
        waiting = [one for one in outbox.waiting() if one.session == session and one.op not in rides and one.command is not None]
        pending: list[tuple[str, str]] = []
        for one in waiting:
            try:
                assert one.command is not None
                pending.append((one.op, carrier.encode(one.command, carriers.branch)))
            except carrier.NotCarried as error:
                self.notices.add_new(f"not carried: {error}")
        settings, tip = self.parts.log.view().state.rules.settings, self.parts.log.known()
        while pending:
            count, size = 0, 0
            while count < min(len(pending), carrier.AT_ONCE) and (size := size + len(pending[count][1])) < _ROOM:
                count += 1
            part, pending = pending[:count], pending[count:]
            commit = carriers.add(carrier.message([line for _, line in part], skip_ci=settings.skip_ci))
            if not commit:
                self.notices.add_new("nothing was put on your branch: it has moved meanwhile")
                return ""
            outbox.note_riding([op for op, _ in part], commit, tip)
        if not self.parts.submitter.is_away() and (why := carriers.push(self.parts.seconds)):
            self.notices.add_new(f"{carriers.branch} could not be pushed, so others read it once it is: {why}")
        return f"it rides on {carriers.branch} until another session adopts it"

    def ask(self, kind: type[Command], **fields: Any) -> Done:
        """Ask for something on the branch, and wait for who adopts it. The same request while it is open is the same operation.

        Raises what the request was answered with; Unknown where no answer came in time.
        """
        session, outbox = self.acting.session, self.parts.outbox
        given = {"session": session, "run_id": self.acting.actor.run_id, "op": outbox.next_id(), **fields}
        given, hidden = secrecy.cleared(given, self.acting.actor.about_secrets, branch=self.acting.actor.branch)
        self.notices.add(*(f"hidden before it was sent: what looks like a secret ({rule})" for rule in hidden))
        now = self.parts.now()
        pid = os.getpid()
        try:
            command = kind(at=now, caller=Caller(pid=pid, born=processes.born(pid), deadline=now + carrying.STANDS), **given)
        except ValidationError as error:
            raise BadInput(error.errors()[0]["msg"]) from None
        for one in outbox.waiting():
            if one.session == session and isinstance(one.command, kind) and now - one.command.at > carrying.STANDS:
                outbox.drop(one.op)  # it was adopted too late, or never will be
            elif one.session == session and isinstance(one.command, kind) and one.command.wishes == command.wishes:
                command = one.command
        if outbox.is_waiting(command.handle):  # it was asked for before
            answer = self.parts.submitter.answer_of(command, self.parts.log.view())
            if isinstance(answer, GitcoordError):
                raise answer
            if answer is not None:
                return answer
        else:
            outbox.put(command)
        where = self.ride(session)
        if not where:
            outbox.drop(command.handle)
            raise Refused("it could not be put on your branch", hint="run the same command again")
        return self._wait_for(command, where)

    def _wait_for(self, command: Command, where: str) -> Done:
        submitter = self.parts.submitter
        end = submitter.clock() + self.parts.seconds
        while True:
            answer = submitter.answer_of(command, self.branch.look_again(max(1.0, end - submitter.clock())))
            if isinstance(answer, GitcoordError):
                raise answer
            if answer is not None:
                return answer
            if submitter.clock() + _LOOK_EVERY >= end:
                break
            self.parts.sleep(_LOOK_EVERY)
        raise Unknown(f"asked for: {where}; there is no answer yet", hint="run the same command again")
