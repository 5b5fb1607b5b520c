"""One method a use case: hands a command to the flusher, and returns records, never events. Looking is the reader's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gitcoord.asker import Receipt
from gitcoord.claiming import Claiming
from gitcoord.core import branch, messages, names, sessions
from gitcoord.core.heartbeats import RecordHeartbeat
from gitcoord.core.leases import held_by
from gitcoord.core.messages import Message
from gitcoord.core.sessions import Session
from gitcoord.errors import Alarm, GitcoordError, NoSession, NotInitialised, Unknown, Unreachable
from gitcoord.log.eventlog import View


@dataclass
class Coordinator(Claiming):
    """One caller's way to the branch."""

    def init(self) -> Receipt:
        """Makes the branch, or finds it there."""
        who = self.who.session or self.who.human or "gitcoord-init"
        receipt, _ = self._ask(branch.OpenBranch, session=who, run_id="")
        return receipt

    def heartbeat(self, **said: Any) -> Receipt:
        """Says what the session is doing."""
        self.require_session()
        lines: dict[str, Any] = {
            key: names.parse_line(value, key.replace("_", " ")) if isinstance(value, str) else value for key, value in said.items()
        }
        receipt, event = self._ask(RecordHeartbeat, **{**lines, "branch": self.who.branch or None})
        if event is not None and event.lapsed:
            self.warnings.append(f"this heartbeat has no effect: {event.lapsed}")
        return receipt

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
