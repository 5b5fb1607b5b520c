"""Asking on a session's behalf: a command goes to the flusher, a receipt comes back. Who asks is started here, too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from pydantic import ValidationError

from gitcoord.coordinator.branch import Reader, Who
from gitcoord.core import clocks, leases, names, secrecy, sessions
from gitcoord.core.events import Caller, Command, Event, digest
from gitcoord.core.records import Session
from gitcoord.core.state import State
from gitcoord.errors import BadInput, GitcoordError, GitFault, Held, NoSession, NotInitialised, NotWritten, Unknown, Unreachable
from gitcoord.git.repo import Oid
from gitcoord.log.eventlog import PATIENCE, Done
from gitcoord.log.history import Checked
from gitcoord.machine import processes
from gitcoord.machine.identity import Binding
from gitcoord.outbox.submit import Queued, Result

Outcome = Literal["committed", "queued", "unchanged"]


@dataclass(frozen=True)
class Receipt:
    """What came of a writing command: its operation's id, its seq (0 while queued), and its event's commit."""

    state: Outcome
    id: str
    seq: int = 0
    commit: Oid = ""


_LANDS_WITHIN = 60.0
"""Seconds after which the push of a process that was killed lands no more (seen: seconds)."""
_TOOLS = {
    "claim.acquire": "claim", "claim.renew": "claim", "claim.request": "ask", "claim.respond": "send", "message.take": "inbox",
    "handoff.take": "handoff", "session.supersede": "handoff", "session.start": "heartbeat",
}  # fmt: skip
"""The tools of our server for agents that do what a command in a sandbox can't."""
_NOWHERE = "0" * 40  # no commit has this name: what was looked for "since" it has to be looked for from the root


@dataclass
class Asker(Reader):
    """One caller who may change the branch. `about_secrets`: what is done with what looks like one."""

    about_secrets: secrecy.Manner = "hide"
    landed: int = 0
    """The last event that this caller's commands made; 0 for none."""

    # --- writing -----------------------------------------------------------------------------------------------------

    def _ask(
        self, kind: type[Command], *, op: str = "", typed: Mapping[str, Any] | None = None, shared: bool = False, **fields: Any
    ) -> tuple[Receipt, Event | None]:
        """Submits a command on the session's behalf: the receipt, and the event that came of it (None: none needed).

        `op`: the id that the caller chose for this very command; the same request under it has one effect, another request is
        refused (BadInput). `typed`: what the caller asked for, where the command's fields also say what was found out since.
        `shared`: the id names something outside of the branch, so that it stands for the same whichever session asks.
        """
        clocks.check_date(self.now())
        if kind is not sessions.StartSession:
            self._take_up(can_wait=kind.deferrable)
        given = {"session": self.who.session, "run_id": self.who.run_id, "op": op or self.desk.next_id(), **fields}
        given, hidden = secrecy.cleared(given, self.about_secrets, branch=self.who.branch)
        self.warnings += [f"hidden before it was sent: what looks like a secret ({rule})" for rule in hidden]
        try:
            command = kind(at=self.now(), caller=self._caller(), **given)
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
            result: Result = self.flusher.submit(command, since=since)
        except (Unreachable, NotWritten) as error:
            raise (self._from_outside(command.kind) if self.boxed else error) from error
        if isinstance(result, Queued):
            return Receipt("queued", op), None
        self.landed = result.seq if result.event is not None else self.landed
        given_back = set(getattr(result.event, "released", ()))
        if given_back:  # what this command gave back is no loss
            self.identity.drop(command.session, given_back)
        self._after(result)
        state: Outcome = "committed" if result.event is not None else "unchanged"
        return Receipt(state, op, result.seq, result.commit), result.event

    def _asked_for(self, kind: type[Command], request: Mapping[str, Any], given: Mapping[str, Any]) -> str:
        """Return the digest of a request. A start is told apart by its run: there is no session yet."""
        if kind is sessions.StartSession:
            return digest("", kind.kind, {**request, "run_id": given["run_id"], "session": given["session"]})
        return digest(str(given["session"]), kind.kind, request)

    def _earlier(self, kind: type[Command], op: str, request: Mapping[str, Any]) -> tuple[Receipt, Event | None] | None:
        """Return what came of that request when it was made before under that id; None if it never was, or has no id. Raises
        BadInput where the id stands for something else.
        """
        if not op:
            return None
        asked = self._asked_for(kind, request, {"session": self.who.session})
        return self._done(names.parse_id(op), lambda event: event.asked == asked)[1]

    def _done(self, op: str, is_mine: Callable[[Event], bool]) -> tuple[Checked, tuple[Receipt, Event | None] | None]:
        """Return what is known of the branch, and what came of the operation in that. Raises Unknown where git can't tell: it may
        have been done before.
        """
        try:
            known = self.log.view().checked
            done = self.log.outcome(op, is_mine, known)
        except GitFault as error:
            raise Unknown(
                f"whether {op} was done before can't be told ({error.message})", hint="run the same command again"
            ) from error
        if isinstance(done, GitcoordError):
            raise done
        return known, None if done is None else (Receipt("committed", op, done.seq, done.commit), done.event)

    def _from_outside(self, kind: str) -> Unreachable:
        """That this can't be had from within a sandbox, and who stands outside of it."""
        tool = _TOOLS.get(kind)
        return Unreachable(
            "this sandbox has no way to the branch; nothing was sent",
            hint=f'use the gitcoord MCP tool "{tool}": its server stands outside' if tool else "run it outside of the sandbox",
        )

    def _caller(self) -> Caller:
        pid = os.getpid()
        return Caller(pid=pid, born=processes.born(pid), deadline=self.now() + timedelta(seconds=PATIENCE * self.seconds + 1))

    def _after(self, result: Done) -> None:
        """Looks what the answer's tip says of the session's leases: who was dispossessed learns it with any command."""
        self._view = None
        if result.held is not None and set(self.identity.held(self.who.session)) <= result.held.leases.keys():
            self._note_held(result.held.leases, result.held.seq)
            return
        try:
            known = self.log.view()
        except GitFault:  # the command is done; what else is new is told by the next one
            return
        # Another clone of this machine may have flushed for us: then this one's view is older than the answer.
        if known.checked.seq >= result.seq:
            self._note_losses(known.state)

    def _tell_regained(self, regained: Sequence[str], event: Event) -> None:
        """Says what a renewal or heartbeat took again: it was over, and has a new fence."""
        for entry in regained:
            fence, until, resource = leases.split_renewal(entry)
            text = leases.taken_again(resource, fence, until, event.seq)
            if text not in self.warnings:  # a look at the branch has found it, too
                self.warnings.append(text)

    def require_session(self) -> None:
        """Makes sure that somebody acts: under an agent a session is started by itself, and says so. Raises NoSession."""
        if self.who.session:
            return
        if self.who.agent:
            session, _ = self.start(None)
            self.warnings.append(f"started session {session}")
        elif self.who.human:
            with contextlib.suppress(Held):
                self.start(self.who.human)
            self.who = self._as(self.who.human, "")
        else:
            raise NoSession("no session is known in this work tree", hint="gitcoord start")

    def _as(self, session: str, run_id: str) -> Who:
        return Who(**{**self.who.__dict__, "session": session, "run_id": run_id})

    def start(
        self,
        name: str | None,
        *,
        new: bool = False,
        capabilities: Sequence[str] = (),
        role: str | None = None,
        work: str | None = None,
        again: bool = False,
        op: str = "",
    ) -> tuple[str, Receipt]:
        """Registers a session, or goes on with the one that sits here: its name and the receipt. `again`: as a new run of it, even
        where its process is there; `op`: the caller's own id for it. Raises Held when the name is active elsewhere.
        """  # fmt: skip
        self._take_up()
        given = self._described(capabilities, role, work)
        here = None if new else self._sitting_here(name)
        if here is not None:
            known = self._session_now(here.session)
            if known is not None and known.live and known.run_id == here.run_id:
                same = here.alive and (not self.who.agent or here.agent == self.who.agent)
                if same and not any((capabilities, role, work, again)):
                    self.who = self._as(here.session, here.run_id)
                    return here.session, Receipt("committed", "", here.seq)
                return self._begin(here.session, op=op, succeeds=here.run_id, **given)
        if name is not None:
            return self._begin(names.parse_session(name), op=op, **given)
        try:
            return self._begin(self._wish, op=op, generated=True, **given)
        except Unreachable:
            return self.start_later(**given)

    def start_later(self, **described: Any) -> tuple[str, Receipt]:
        """Registers a session under a name made unique here, without asking the remote: it is sent when that is back."""
        unique = f"{self._wish[:58].rstrip('.')}-{self.desk.next_id()[-4:].lower()}"
        return self._begin(unique, offline=True, **(described or self._described()))

    @property
    def _wish(self) -> str:
        """What a session without a name is called; it may be made of a branch's name."""
        return "session" if secrecy.find(self.who.wish) or secrecy.find(self.who.branch or "") else self.who.wish

    def _described(self, capabilities: Sequence[str] = (), role: str | None = None, work: str | None = None) -> dict[str, Any]:
        return {
            "capabilities": tuple(names.parse_line(one, "capability", 60) for one in capabilities),
            "role": names.parse_line(role, "role", 60) if role else None,
            "work": names.parse_line(work, "work") if work else None,
            "agent": self.who.agent_name, "repo": self.who.repo, "branch": self.who.branch, "host": self.who.host,
            "folds": self.who.folds,
        }  # fmt: skip

    def _sitting_here(self, name: str | None) -> Binding | None:
        """The session of this work tree that a `start` goes on with."""
        if name is not None:
            return self.identity.get(name)
        if self.who.agent:
            mine = self.identity.of_agent(self.who.agent)
            if mine is not None:
                return mine
            last = next(iter(self.identity.all()), None)
            return last if last is not None and not last.alive else None
        mine = self.identity.of_person()
        if mine is not None:
            return mine
        last = next(iter(self.identity.all()), None)
        return last if last is not None and not last.alive else None

    def _session_now(self, name: str) -> Session | None:
        """The session's record; a session whose start is still queued has none yet, so what was bound counts."""
        return self.view().state.sessions.get(name)

    def _begin(self, session: str, *, op: str = "", **given: Any) -> tuple[str, Receipt]:
        pid, born = self.who.owner
        # With an id of the caller's own, the same start here is the same run; in any other work tree it is another one.
        place = {"host": self.who.host, "place": str(self.identity.own), "op": op}
        run_id = digest("", sessions.StartSession.kind, place) if op else self.desk.next_id()
        binding = Binding(
            session=session,
            run_id=run_id,
            pid=pid,
            born=born,
            desk=str(self.desk.path),
            agent=self.who.agent,
            repo=self.who.namespace,
        )
        try:
            self.identity.intend(binding)
        except OSError as error:
            raise (self._from_outside(sessions.StartSession.kind) if self.boxed else error) from error
        try:
            typed = {key: given.get(key) for key in ("capabilities", "role", "work")}
            receipt, event = self._ask(sessions.StartSession, op=op, typed=typed, session=session, run_id=run_id, **given)
        except GitcoordError as error:
            if not isinstance(error, Unknown):
                self.identity.settle(run_id)
            raise
        name = event.session if event is not None else session
        run = event.run_id if event is not None else run_id
        self._bind(replace(binding, session=name, run_id=run, seq=receipt.seq), run_id)
        return name, receipt

    def _bind(self, binding: Binding, asked_for: str) -> None:
        self.identity.bind(binding)
        self.identity.settle(asked_for)
        self.who = self._as(binding.session, binding.run_id)

    def _take_up(self, *, can_wait: bool = False) -> None:
        """A start whose process was killed may have landed: then its run is the session's, and this work tree goes on with it.

        `can_wait`: what is asked for can be queued, so that a remote that was away just now is not waited for.
        """
        intended = [(binding, age) for binding, age in self.identity.intended() if binding.agent == self.who.agent]
        state = self.log.view().state if intended else None
        away = looked = False
        for binding, age in intended:
            mine = _of_run(state, binding.run_id)
            if mine is None and not looked:  # one look is enough for all of them
                looked, away = True, can_wait and self.flusher.is_away()
                if not away:
                    try:
                        state = self.look_again(self.seconds).state
                    except (Unreachable, NotInitialised):
                        away = True
                mine = _of_run(state, binding.run_id)
            if mine is None and away:
                continue
            if mine is None:
                if age > _LANDS_WITHIN:
                    self.identity.settle(binding.run_id)
            elif not self.who.named or mine.session_id == self.who.session:  # else whoever speaks for that one takes it up
                self._bind(replace(binding, session=mine.session_id, seq=mine.start_seq), binding.run_id)


def _of_run(state: State | None, run_id: str) -> Session | None:
    return next((one for one in state.sessions.live() if one.run_id == run_id), None) if state is not None else None
