"""Sessions, as their caller uses them: start, go on, say what is done, take a silent session's place, end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gitcoord.coordinator.actor import Acting, Actor
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.commands import REFUSED, Commands, granted, without_code, words_of
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.core import handoffs, inbox, names, secrecy, sessions, succession
from gitcoord.core.events import Command, Receipt, digest
from gitcoord.core.heartbeats import HeartbeatRecorded, RecordHeartbeat
from gitcoord.core.records import Claim, Handoff, Message, Session
from gitcoord.core.state import State
from gitcoord.errors import GitcoordError, Held, NoSession, NotInitialised, Refused, Unknown, Unreachable
from gitcoord.machine import agents
from gitcoord.machine.identity import Binding

_WISH = 56  # characters of a name that is made: there must be room for what tells two of them apart
_LANDS_WITHIN = 60.0
"""Seconds after which the push of a process that was killed lands no more (seen: seconds)."""


@dataclass(frozen=True)
class Superseded:
    """What taking a session's place gave: the receipt, the leases, its open handoffs (from it and to it), its open questions."""

    receipt: Receipt
    claims: tuple[Claim, ...]
    handoffs: tuple[Handoff, ...]
    questions: tuple[Message, ...]


@dataclass(frozen=True)
class Sessions:
    """The caller's sessions. It alone changes who acts (`acting`)."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands

    # --- who acts ----------------------------------------------------------------------------------------------------

    def ensure(self) -> Actor:
        """Make sure that a session acts, and return the actor: under an agent a session is started by itself, and a notice says so.
        Raises NoSession.
        """
        if not self.acting.session:
            self._take_up()
        actor = self.acting.actor
        if actor.session:
            return actor
        if actor.agent:
            session, _ = self.start(None)
            self.notices.add(f"started session {session}")
        elif actor.human:
            with contextlib.suppress(Held):
                self.start(actor.human)
            self.acting.go_on_as(actor.human, "")
        else:
            raise NoSession("no session is known in this work tree", hint="gitcoord start")
        return self.acting.actor

    def current(self, kind: type[Command]) -> Actor:
        """Return the actor that gives a command of that kind now: where a start was cut short but has landed, its session. What can
        be queued does not wait for a remote that was away just now.
        """
        self._take_up(can_wait=kind.deferrable)
        return self.acting.actor

    def act_as(self, session: str, run_id: str) -> Actor:
        """Act as that run of that session from here on; return the actor."""
        return self.acting.go_on_as(session, run_id)

    def act_as_newest_run(self) -> None:
        """Act as the run of the session that works here now: it may have gone on as a newer run, by another command typed here."""
        binding = self.parts.identity.get(self.acting.session)
        if binding is not None and binding.run_id != self.acting.actor.run_id:
            self.act_as(self.acting.session, binding.run_id)

    def start_apart(self, wish: str, *, role: str, work: str) -> Actor:
        """Start a session named after `wish` that never sits in this work tree, and act as it from here on; return the actor."""
        self.acting.become(
            replace(self.acting.actor, session="", run_id="", agent={}, agent_name=None, human="", wish=wish)
        )  # fmt: skip
        session, _ = self.start(None, new=True, role=role, work=work)
        self.parts.identity.unbind(session)  # the session of this work tree is another one
        return self.acting.actor

    def whoami(self) -> tuple[Session | None, Binding | None]:
        """Return the caller's session, by what this clone knows, and what this work tree notes of it."""
        if not self.acting.session:
            return None, None
        try:
            known = self.branch.view(fresh=False).state.sessions.get(self.acting.session)
        except NotInitialised:
            known = None
        return known, self.parts.identity.get(self.acting.session)

    # --- starting ----------------------------------------------------------------------------------------------------

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
        """Register a session, or go on with the one of this work tree; return its name and the receipt. Raises Held if the name is
        active elsewhere.

        - `new`: never go on with one of this work tree.
        - `again`: go on as a new run, even where the session's process is there.
        - `op`: the caller's own id for the start.
        """  # fmt: skip
        self._take_up()
        given = self._described(capabilities, role, work)
        here = None if new else self._sitting_here(name)
        if here is not None and self._stays_local(here.session):
            pid, born = self.acting.actor.owner
            self._bind(replace(here, pid=pid, born=born, agent=self.acting.actor.agent), here.run_id)
            return here.session, Receipt("queued", "", why=REFUSED)
        if here is not None:
            known = self._session_now(here.session)
            if known is not None and known.live and known.run_id == here.run_id:
                same = here.alive and (not self.acting.actor.agent or here.agent == self.acting.actor.agent)
                if same and not any((capabilities, role, work, again)):
                    self.acting.go_on_as(here.session, here.run_id)
                    return here.session, Receipt("committed", "", here.seq)
                return self._begin(here.session, op=op, succeeds=here.run_id, **given)
        try:
            if name is not None:
                return self._begin(names.parse_session(name), op=op, **given)
            return self._begin(self._wish, op=op, generated=True, **given)
        except Unreachable:
            if name is not None:
                raise
            return self.start_later(**given)
        except Refused:  # the session works all the same, seen by nobody: it reads what others do
            return self.start_later(name, local=True, **given)

    def _stays_local(self, session: str) -> bool:
        """Return True if nobody sees that session, since the remote refuses its start; the remote is asked once more."""
        if session not in self.parts.outbox.local_sessions():
            return False
        self.parts.submitter.flush(anew=True)
        return session in self.parts.outbox.local_sessions()

    def start_later(self, name: str | None = None, *, local: bool = False, **described: Any) -> tuple[str, Receipt]:
        """Register a session under a name made unique here, without asking the remote: it is sent when the remote is back.

        - `name`: the name that the caller chose, in place of one that is made; whether it is free shows when it is sent.
        - `local`: the remote refuses it.
        """
        unique = name or f"{self._wish[:58].rstrip('.')}-{self.parts.outbox.next_id()[-4:].lower()}"
        if local:
            self.parts.outbox.note_local(unique)
        return self._begin(unique, offline=True, **(described or self._described()))

    @property
    def _wish(self) -> str:
        """Return what a session without a name is called: by its branch or folder, if that is no secret, and an agent's also by
        what the agent is called, so that others know who is who.
        """
        actor = self.acting.actor
        wish = "session" if secrecy.find(actor.wish) or secrecy.find(actor.branch or "") else actor.wish
        agent = agents.short_name(actor.agent_name) if actor.agent else ""
        return f"{agent}-{wish}"[:_WISH].rstrip("-._") if agent and not wish.startswith(f"{agent}-") else wish

    def _described(self, capabilities: Sequence[str] = (), role: str | None = None, work: str | None = None) -> dict[str, Any]:
        actor = self.acting.actor
        return {
            "capabilities": tuple(names.parse_line(one, "capability", 60) for one in capabilities),
            "role": names.parse_line(role, "role", 60) if role else None,
            "work": names.parse_line(work, "work") if work else None,
            "agent": actor.agent_name, "repo": actor.repo, "branch": actor.branch, "host": actor.host, "folds": actor.folds,
        }  # fmt: skip

    def _sitting_here(self, name: str | None) -> Binding | None:
        """Return the session of this work tree that a `start` goes on with; None for none."""
        if name is not None:
            return self.parts.identity.get(name)
        if self.acting.actor.agent:
            mine = self.parts.identity.of_agent(self.acting.actor.agent)
            if mine is not None:
                return mine
            last = next(iter(self.parts.identity.all()), None)
            return last if last is not None and not last.alive else None
        mine = self.parts.identity.of_person()
        if mine is not None:
            return mine
        last = next(iter(self.parts.identity.all()), None)
        return last if last is not None and not last.alive else None

    def _session_now(self, name: str) -> Session | None:
        """Return the session's record; None for a session whose start is still queued."""
        return self.branch.view().state.sessions.get(name)

    def _begin(self, session: str, *, op: str = "", **given: Any) -> tuple[str, Receipt]:
        actor = self.acting.actor
        pid, born = actor.owner
        # With an id of the caller's own, the same start here is the same run; in any other work tree it is another one.
        place = {"host": actor.host, "place": str(self.parts.identity.own), "op": op}
        run_id = digest("", sessions.StartSession.kind, place) if op else self.parts.outbox.next_id()
        binding = Binding(
            session=session,
            run_id=run_id,
            pid=pid,
            born=born,
            outbox=str(self.parts.outbox.path),
            agent=actor.agent,
            repo=actor.namespace,
        )
        try:
            self.parts.identity.intend(binding)
        except OSError as error:
            raise (self.commands.from_outside(sessions.StartSession.kind) if self.parts.boxed else error) from error
        try:
            typed = {key: given.get(key) for key in ("capabilities", "role", "work")}
            receipt, event = self.commands.submit(
                sessions.StartSession, actor, op=op, typed=typed, session=session, run_id=run_id, **given
            )
        except GitcoordError as error:
            if not isinstance(error, Unknown):
                self.parts.identity.settle(run_id)
            raise
        name = event.session if event is not None else session
        run = event.run_id if event is not None else run_id
        self._bind(replace(binding, session=name, run_id=run, seq=receipt.seq), run_id)
        return name, receipt

    def _bind(self, binding: Binding, asked_for: str) -> None:
        self.parts.identity.bind(binding)
        self.parts.identity.settle(asked_for)
        self.acting.go_on_as(binding.session, binding.run_id)

    def _take_up(self, *, can_wait: bool = False) -> None:
        """Take up a start whose process was killed and which has landed: its run is the session's, and this work tree goes on with
        it.

        `can_wait`: what is asked for can be queued, so that a remote that was away just now is not waited for.
        """
        agent = self.acting.actor.agent
        intended = [(binding, age) for binding, age in self.parts.identity.intended() if binding.agent == agent]
        state = self.parts.log.view().state if intended else None
        away = looked = False
        for binding, age in intended:
            mine = _of_run(state, binding.run_id)
            if mine is None and not looked:  # one look is enough for all of them
                looked, away = True, can_wait and self.parts.submitter.is_away()
                if not away:
                    try:
                        state = self.branch.look_again(self.parts.seconds).state
                    except (Unreachable, NotInitialised):
                        away = True
                mine = _of_run(state, binding.run_id)
            if mine is None and away:
                continue
            if mine is None:
                if age > _LANDS_WITHIN:
                    self.parts.identity.settle(binding.run_id)
            elif (
                not self.acting.actor.named or mine.session_id == self.acting.session
            ):  # else the one that speaks for it takes it up
                self._bind(replace(binding, session=mine.session_id, seq=mine.start_seq), binding.run_id)

    # --- going on, and ending ----------------------------------------------------------------------------------------

    def heartbeat(self, *, op: str = "", **said: Any) -> Receipt:
        """Say what the session is doing. `op`: the caller's own id for the heartbeat."""
        self.ensure()
        lines: dict[str, Any] = {
            key: names.parse_line(value, key.replace("_", " ")) if isinstance(value, str) else value for key, value in said.items()
        }
        receipt, event = self.commands.submit(
            RecordHeartbeat,
            self.current(RecordHeartbeat),
            op=op,
            typed=lines,
            **{**lines, **self._place(), "branch": self.acting.actor.branch or None},
        )
        if event is not None and event.lapsed:
            self.notices.add(f"this heartbeat has no effect: {event.lapsed}")
        if isinstance(event, HeartbeatRecorded):
            self.commands.tell_regained(event.regained, event)
        return receipt

    def _place(self) -> dict[str, Any]:
        """Return where the caller's work stands and which lines it has changed, as a heartbeat says it; nothing where git can't
        tell.
        """
        from gitcoord.coordinator.touched import Touched  # here: only a heartbeat needs it

        with contextlib.suppress(GitcoordError):
            own = Touched(self.parts, self.acting).own()
            return {} if own is None else own.said
        return {}

    def take_place(self, previous: str, *, op: str = "") -> Superseded:
        """Take the place of a silent session. `op`: the caller's own id for it. Raises Held while that session counts as alive."""
        self.ensure()
        receipt, event = self.commands.submit(
            succession.SupersedeSession, self.current(succession.SupersedeSession), op=op, previous=names.parse_session(previous)
        )
        state = self.branch.state_at(receipt.seq)
        open_ = [one for one in state.handoffs.values() if one.status == "open" and previous in (one.sender, one.to)]
        asked = inbox.open_questions(state.messages.coming(state.seq, previous), self.parts.now())
        return Superseded(
            receipt,
            granted(event),
            tuple(sorted(open_, key=lambda one: one.seq)),
            tuple(sorted(asked, key=lambda one: one.seq)),
        )

    def end(self, done: Sequence[str], notes: str | None, *, to: str | None = None, op: str = "", **said: str | None) -> Receipt:
        """Release all and end the session.

        - `to`: leave a handoff for that session, group or anyone, in the same commit.
        - `op`: the caller's own id for the end.
        """
        self.ensure()
        given = words_of(said)
        if to is not None:
            given["to"] = handoffs.parse_receiver(to)
            self.branch.check_receiver(given["to"])
        receipt, event = self.commands.submit(
            sessions.EndSession,
            self.current(sessions.EndSession),
            op=op,
            typed={**without_code(given), "done": list(done), "notes": notes},
            done=tuple(names.parse_line(one, "done") for one in done),
            notes=names.parse_text(notes, "notes") if notes else None,
            **given,
        )
        if event is not None and event.lapsed:
            self.notices.add(f"this has no effect: {event.lapsed}")
        self.parts.identity.forget(self.acting.session)
        self.parts.identity.unbind(self.acting.session)
        return receipt


def _of_run(state: State | None, run_id: str) -> Session | None:
    return next((one for one in state.sessions.live() if one.run_id == run_id), None) if state is not None else None
