"""One method a use case: hands a command to the flusher, and returns records, never events. Looking is the reader's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import ValidationError

from gitcoord.core import branch, claims, messages, names, sessions
from gitcoord.core.heartbeats import RecordHeartbeat
from gitcoord.core.leases import Claim, held_by, split_lease, split_renewal
from gitcoord.core.messages import Message
from gitcoord.core.names import Resource
from gitcoord.core.records import Caller, Command, Event
from gitcoord.core.sessions import Session
from gitcoord.errors import Alarm, BadInput, GitcoordError, Held, NoSession, NotHeld, NotInitialised, Unknown, Unreachable
from gitcoord.flusher import Queued, Result
from gitcoord.git.repo import Oid
from gitcoord.local import processes
from gitcoord.local.identity import Binding
from gitcoord.log.eventlog import PATIENCE, Done, View
from gitcoord.reader import Reader, Who

Outcome = Literal["committed", "queued", "unchanged"]


@dataclass(frozen=True)
class Receipt:
    """What came of a writing command: its operation's id, its seq (0 while queued), and its event's commit."""

    state: Outcome
    id: str
    seq: int = 0
    commit: Oid = ""


@dataclass(frozen=True)
class Leases:
    """What a claim or renewal gave: the leases, and the receipt."""

    claims: tuple[Claim, ...]
    receipt: Receipt
    taken: tuple[str, ...] = ()


_NOWHERE = "0" * 40  # no commit has this name: what was looked for "since" it has to be looked for from the root


@dataclass
class Coordinator(Reader):
    """One caller's way to the branch."""

    # --- writing -----------------------------------------------------------------------------------------------------

    def _ask(self, kind: type[Command], **fields: Any) -> tuple[Receipt, Event | None]:
        """Submits a command on the session's behalf: the receipt, and the event that came of it (None: none needed)."""
        op = names.parse_id(self.op) if self.op else self.desk.next_id()
        given = {"session": self.who.session, "run_id": self.who.run_id, **fields}
        try:
            command = kind(op=op, at=self.now(), caller=self._caller(), **given)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        since = ""
        if self.op:
            known = self.log.view().checked
            done = self.log.find(op, known)
            if done is not None:
                return Receipt("committed", op, done.seq, done.commit), done.event
            since = known.tip or _NOWHERE
        result: Result = self.flusher.submit(command, since=since)
        if isinstance(result, Queued):
            return Receipt("queued", op), None
        given_back = set(getattr(result.event, "released", ()))
        if given_back:  # what this command gave back is no loss
            left = [entry for entry in self.identity.held(command.session) if entry not in given_back]
            self.identity.hold(command.session, left)
        self._after(result)
        state: Outcome = "committed" if result.event is not None else "unchanged"
        return Receipt(state, op, result.seq, result.commit), result.event

    def _caller(self) -> Caller:
        pid = os.getpid()
        return Caller(pid=pid, born=processes.born(pid), deadline=self.now() + timedelta(seconds=PATIENCE * self.seconds + 1))

    def _after(self, result: Done) -> None:
        """Looks what the answer's tip says of the session's leases: who was dispossessed learns it with any command."""
        self._view = None
        if result.held is not None and set(self.identity.held(self.who.session)) <= set(result.held):
            self._note_held(result.held)
            return
        known = self.log.view()
        # Another clone of this machine may have flushed for us: then this one's view is older than the answer.
        if known.checked.seq >= result.seq:
            self._note_losses(known.state)

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

    def init(self) -> Receipt:
        """Makes the branch, or finds it there."""
        who = self.who.session or self.who.human or "gitcoord-init"
        receipt, _ = self._ask(branch.OpenBranch, session=who, run_id="")
        return receipt

    def start(
        self,
        name: str | None,
        *,
        new: bool = False,
        capabilities: Sequence[str] = (),
        role: str | None = None,
        work: str | None = None,
    ) -> tuple[str, Receipt]:
        """Registers a session, or goes on with the one that sits here: its name and the receipt. Raises Held when the name
        is active elsewhere.
        """  # fmt: skip
        given: dict[str, Any] = {
            "capabilities": tuple(names.parse_line(one, "capability", 60) for one in capabilities),
            "role": names.parse_line(role, "role", 60) if role else None,
            "work": names.parse_line(work, "work") if work else None,
            "agent": self.who.agent_name, "repo": self.who.repo, "branch": self.who.branch, "host": self.who.host,
        }  # fmt: skip
        here = None if new else self._sitting_here(name)
        if here is not None:
            known = self._session_now(here.session)
            if known is not None and known.live and known.run_id == here.run_id:
                if here.alive and (not self.who.agent or here.agent == self.who.agent) and not any((capabilities, role, work)):
                    self.who = self._as(here.session, here.run_id)
                    return here.session, Receipt("committed", "", here.seq)
                return self._begin(here.session, succeeds=here.run_id, **given)
        if name is not None:
            return self._begin(names.parse_session(name), **given)
        try:
            return self._begin(self.who.wish, generated=True, **given)
        except Unreachable:
            unique = f"{self.who.wish[:58].rstrip('.')}-{self.desk.next_id()[-4:].lower()}"
            return self._begin(unique, offline=True, **given)

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

    def _begin(self, session: str, **given: Any) -> tuple[str, Receipt]:
        run_id = self.desk.next_id()
        receipt, event = self._ask(sessions.StartSession, session=session, run_id=run_id, **given)
        name = event.session if event is not None else session
        run = event.run_id if event is not None else run_id
        pid, born = self.who.owner
        self.identity.bind(
            Binding(
                session=name,
                run_id=run,
                pid=pid,
                born=born,
                desk=str(self.desk.path),
                agent=self.who.agent,
                seq=receipt.seq,
            )
        )
        self.who = self._as(name, run)
        return name, receipt

    def heartbeat(self, **said: Any) -> Receipt:
        """Says what the session is doing."""
        self.require_session()
        lines = {
            key: names.parse_line(value, key.replace("_", " ")) if isinstance(value, str) else value for key, value in said.items()
        }
        receipt, event = self._ask(RecordHeartbeat, branch=self.who.branch or None, **lines)
        if event is not None and event.lapsed:
            self.warnings.append(f"this heartbeat has no effect: {event.lapsed}")
        return receipt

    def acquire(self, resources: Sequence[Resource], **asked: Any) -> Leases:
        """Acquires leases, or renews what is held already. Raises Held with every lease in the way."""
        self.require_session()
        if asked.get("phase"):
            asked["phase"] = names.parse_line(asked["phase"], "phase")
        if asked.get("reason"):
            asked["reason"] = names.parse_text(asked["reason"], "reason")
        receipt, event = self._ask(claims.AcquireClaims, resources=tuple(map(str, resources)), **asked)
        return self._leases(receipt, event, resources)

    def renew(self, resources: Sequence[Resource], ttl_seconds: int | None = None) -> Leases:
        """Renews those leases, or all of the session's."""
        self.require_session()
        receipt, event = self._ask(claims.RenewClaims, resources=tuple(map(str, resources)), ttl_seconds=ttl_seconds)
        return self._leases(receipt, event, resources)

    def _leases(self, receipt: Receipt, event: Event | None, wanted: Sequence[Resource]) -> Leases:
        """The leases that an event granted or renewed, read from what it says: no further look at the branch is needed."""
        found: list[Claim] = []
        taken: tuple[str, ...] = ()
        if isinstance(event, claims.ClaimAcquired):
            taken = event.taken
            for text in event.resources:
                resource = Resource.read(text)
                found.append(
                    Claim(
                        claimed_by=event.session, run_id=event.run_id, claimed_at=event.at, resource_type=resource.type,
                        resource_name=resource.name, mode=event.mode, phase=event.phase, reason=event.reason,
                        ttl_seconds=event.ttl_seconds, renewed_at=event.at, expires_at=event.expires_at, fence=event.seq,
                        estimated_duration=event.estimated_duration, allow_coordination=event.allow_coordination,
                    )
                )  # fmt: skip
        renewed = event.renewed if isinstance(event, claims.ClaimAcquired | claims.ClaimRenewed) else ()
        for entry in renewed:
            fence, until, resource = split_renewal(entry)
            found.append(
                Claim(
                    claimed_by=self.who.session, run_id=self.who.run_id, claimed_at=until, resource_type=resource.type,
                    resource_name=resource.name, ttl_seconds=0, renewed_at=self.now(), expires_at=until, fence=fence,
                )
            )  # fmt: skip
        held = {*self.identity.held(self.who.session), *(f"{lease.fence} {lease.resource}" for lease in found)}
        self.identity.hold(self.who.session, sorted(held))
        return Leases(tuple(found), receipt, taken)

    def release(self, resources: Sequence[Resource] | None, **told: Any) -> tuple[Receipt, tuple[str, ...]]:
        """Gives leases back (None: all): the receipt and what was freed. Nothing held by anybody: fine. Raises NotHeld for
        what another session holds.
        """
        self.require_session()
        if told.get("done") is not None:
            told["done"] = names.parse_text(told["done"], "done")
        for key in ("next_phase", "to"):
            if told.get(key):
                told[key] = names.parse_line(told[key], key)
        mine = self._fences()
        if resources is None:
            leases = tuple(f"{fence} {resource}" for resource, fence in mine.items())
            if not leases:
                leases = tuple(f"{one.fence} {one.resource}" for one in held_by(self.view().state, self.who.session))
            if not leases:
                return Receipt("unchanged", ""), ()
        else:
            leases = tuple(f"{mine.get(resource, 0)} {resource}" for resource in resources)
        receipt, event = self._ask(claims.ReleaseClaims, leases=leases, **told)
        released = event.released if isinstance(event, claims.ClaimReleased) else ()
        given_up = leases if receipt.state == "queued" else released
        freed = {str(split_lease(entry)[1]) for entry in given_up}
        left = [entry for entry in self.identity.held(self.who.session) if str(split_lease(entry)[1]) not in freed]
        self.identity.hold(self.who.session, left)
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
        receipt, event = self._ask(claims.ReleaseClaims, leases=tuple(entries))
        freed = tuple(entries) if receipt.state == "queued" else getattr(event, "released", ())
        left = [entry for entry in self.identity.held(self.who.session) if entry not in entries]
        self.identity.hold(self.who.session, left)
        return receipt, freed

    def _fences(self) -> dict[Resource, int]:
        """The fences that this work tree knows of: a late release must free exactly these."""
        found = {}
        for entry in self.identity.held(self.who.session):
            with contextlib.suppress(ValueError):
                fence, resource = split_lease(entry)
                found[resource] = fence
        return found

    def send(self, to: str, subject: str, text: str, **given: Any) -> Receipt:
        """Sends a message to a session, or to all."""
        self.require_session()
        to = to if to == messages.TO_ALL else names.parse_session(to)
        subject = names.parse_line(subject, "subject", names.SUBJECT_LIMIT)
        receipt, _ = self._ask(messages.SendMessage, to=to, subject=subject, message=names.parse_text(text, "message"), **given)
        return receipt

    def inbox(
        self, *, peek: bool = False, sender: str | None = None, kind: str | None = None
    ) -> tuple[list[Message], set[str], int]:
        """The unread messages (taken by a committed mark before they are returned, unless `peek`), those of them that are
        shown again, and how many more there are.
        """
        view = self.view()
        session = self.who.session
        known = view.state.sessions.get(session)
        if known is None:
            raise NoSession(f"no session is called {session}" if session else "no session is known here", hint="gitcoord start")
        unread = messages.matching(messages.unread(view.state, session, self.now()), sender, kind)
        if peek:
            return unread, set(), 0
        again = self._never_shown(known)
        if not unread and not again:
            return [], set(), 0
        _receipt, event = self._ask(messages.TakeMessages, sender=sender, type=kind, again=tuple(again))
        if not isinstance(event, messages.MessageRead):
            return [], set(), 0
        state = view.state
        if any(key not in state.messages for key in event.messages):
            state = self.view(fresh=True).state
        found = [state.messages[key] for key in event.messages if key in state.messages]
        return found, set(again) & {one.id for one in found}, max(0, len(unread) + len(again) - len(found))

    def _never_shown(self, session: Session) -> list[str]:
        """Messages that were taken, and then nothing came of it: neither shown here nor followed by any event."""
        if not session.taken or session.taken_at is None:
            return []
        if self.now() - session.taken_at < timedelta(seconds=messages.REDELIVER_AFTER):
            return []
        shown = self.desk.shown(session.session_id)
        return [key for key in session.taken if key not in shown]

    def shown(self, found: Iterable[Message]) -> None:
        """Notes that these were shown on this machine."""
        keys = [one.id for one in found]
        if keys:
            self.desk.show(self.who.session, keys)

    def end(self, done: Sequence[str], notes: str | None) -> Receipt:
        """Releases all and ends the session."""
        self.require_session()
        receipt, event = self._ask(
            sessions.EndSession,
            done=tuple(names.parse_line(one, "done") for one in done),
            notes=names.parse_text(notes, "notes") if notes else None,
        )
        if event is not None and event.lapsed:
            self.warnings.append(f"this has no effect: {event.lapsed}")
        self.identity.hold(self.who.session, [])
        self.identity.unbind(self.who.session)
        return receipt

    def set_shared(self, key: str, value: str) -> Receipt:
        """Changes a shared setting."""
        branch.setting_value(key, value)
        self.require_session()
        receipt, _ = self._ask(branch.ChangeSetting, key=key, value=value)
        return receipt

    def sync(self, *, if_due: bool = False) -> tuple[list[GitcoordError], View | None]:
        """Sends what waits and reads the branch. `if_due`: only when an automatic heartbeat is due."""
        if if_due and not self._is_due():
            return [], None
        errors = self.flusher.flush()
        try:
            return errors, self.view(fresh=True)
        except (Unreachable, Unknown, Alarm) as error:
            return [*errors, error], None

    def _is_due(self) -> bool:
        """Whether some spooled session has been silent for its share of the budget, or one of its leases wants renewing."""
        try:
            state = self._known().state
        except NotInitialised:
            return False
        now = self.now()
        settings = state.rules.settings
        heard = sum(1 for one in state.sessions.values() if now - one.last_heartbeat < timedelta(hours=1))
        share = timedelta(seconds=max(settings.heartbeat_every, settings.heartbeat_share * heard))
        for name in self.desk.spooled():
            session = state.sessions.get(name)
            if session is None or now - session.last_heartbeat >= share:
                return True
            for lease in held_by(state, name):
                if timedelta(0) < lease.expires_at - now < timedelta(seconds=lease.ttl_seconds) / 2:
                    return True
        return False
