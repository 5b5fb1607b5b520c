"""Unread messages: looked at, or taken by a committed mark before they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.core import inbox, messages
from gitcoord.core.names import counted
from gitcoord.core.records import Message, Session
from gitcoord.core.sessions import StartSession
from gitcoord.core.state import State
from gitcoord.errors import GitFault, NoSession, Unreachable
from gitcoord.log.outcomes import View

_LOOKS = 4  # at what was taken: in this clone, then where the branch lives; a machine under load may miss a deadline or two
_LOOKED_BACK = 2000  # events before now in which messages to all are looked for
_TELL_AFTER = 45  # seconds after which a machine says that it has shown something: before another one would show it again


class Marks(NamedTuple):
    """Messages that were taken: those that were never shown, those shown on this machine, and whether the others should know."""

    never_shown: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    to_tell: bool = False


class TakenMail(NamedTuple):
    """Messages that were taken for the caller to show; which of them are shown again, and how many more are unread."""

    found: list[Message]
    again: frozenset[str] = frozenset()
    more: int = 0


@dataclass(frozen=True)
class Unread:
    """The caller's unread messages."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands
    sessions: Sessions

    def look(
        self,
        view: View,
        *,
        peek: bool = False,
        limit: int = messages.AT_ONCE,
        sender: str | None = None,
        kind: str | None = None,
        thread: str | None = None,
        waiting: bool = False,
        in_hand: frozenset[str] = frozenset(),
    ) -> TakenMail:
        """Return what is unread on that view, at most `limit` messages, taken unless the caller only looks at it (`peek`).

        - `thread`: only messages of that thread.
        - `waiting`: the caller goes on looking.
        - `in_hand`: messages that were taken and lie ready to be shown by another process.
        """
        session = self.acting.session
        known = view.state.sessions.get(session)
        if session in self.parts.outbox.local_sessions():
            return self._look_only(view.state, in_hand, peek=peek, limit=limit, sender=sender, kind=kind, thread=thread)
        if known is None:
            if (
                session and view.read_at is None and not self.acting.actor.cached
            ):  # it may have started since: an old view can't say no
                raise Unreachable(
                    f"{self.parts.log.tip.where} was not reached, and what was known before has no session {session}",
                    hint="try again",
                )
            raise NoSession(f"no session is called {session}" if session else "no session is known here", hint="gitcoord start")
        unread = inbox.matching(inbox.unread(view.state, session, self.parts.now()), sender, kind, thread)
        if peek:
            return TakenMail(unread[:limit], more=max(0, len(unread) - limit))
        marks = self._marks(known, in_hand)
        again = [] if thread else marks.never_shown
        if not unread and not again:
            if marks.to_tell and waiting:
                self.commands.submit(
                    messages.TakeMessages, self.sessions.current(messages.TakeMessages), shown=marks.shown, limit=0
                )
            return TakenMail([])
        _receipt, event = self.commands.submit(
            messages.TakeMessages,
            self.sessions.current(messages.TakeMessages),
            sender=sender,
            type=kind,
            again=again,
            shown=marks.shown,
            thread=thread,
            limit=limit,
        )
        if not isinstance(event, messages.MessageRead):
            return TakenMail([])
        found = self._texts(event.messages, view.state)
        return TakenMail(found, frozenset(again) & {one.id for one in found}, max(0, len(unread) + len(again) - len(found)))

    def _look_only(
        self,
        state: State,
        in_hand: frozenset[str],
        *,
        peek: bool,
        limit: int,
        sender: str | None,
        kind: str | None,
        thread: str | None,
    ) -> TakenMail:
        """Return what is unread of a session that can take nothing; unless it peeks, only what this machine hasn't shown it."""
        session, now = self.acting.session, self.parts.now()
        start = self.parts.outbox.start_of(session)
        found = _for_local(state, start, now) if start is not None and session not in state.sessions else []
        found = found or inbox.unread(state, session, now)
        shown = set() if peek else self.parts.outbox.shown(session) | in_hand
        unread = [one for one in inbox.matching(found, sender, kind, thread) if one.id not in shown]
        return TakenMail(unread[:limit], more=max(0, len(unread) - limit))

    def _texts(self, taken: Sequence[str], state: State) -> list[Message]:
        """Return the messages that were taken. They are on the branch by now; what can't be read after several looks comes again
        with the next look, marked: it was never shown.
        """
        for look in range(_LOOKS):
            if all(key in state.messages for key in taken):
                break
            # What this process sent itself is known here; what another clone of this machine sent must be fetched.
            with suppress(GitFault):  # they are taken: those that can't be read now come again
                state = (self.parts.log.view() if look == 0 else self.branch.view(fresh=True)).state
        found = [state.messages[key] for key in taken if key in state.messages]
        if len(found) < len(taken):
            self.parts.outbox.give_back(self.acting.session, [key for key in taken if key not in state.messages])
            self.notices.add(
                f"taken, and not to be read now: {counted(len(taken) - len(found), 'message')}; they come again, marked"
            )
        return found

    def _marks(self, session: Session, in_hand: frozenset[str]) -> Marks:
        """Return what became of the messages that were taken lately, as far as this machine knows."""
        if not session.taken:
            return Marks()
        here, back = self.parts.outbox.shown(session.session_id), self.parts.outbox.given_back(session.session_id)
        old, shown, late = [], [], False
        for key, at in zip(session.taken, session.taken_at, strict=False):
            age = self.parts.now() - at
            if key in here:
                shown.append(key)
                late = late or age >= timedelta(seconds=_TELL_AFTER)
            elif key in in_hand:
                continue
            elif key in back or age >= timedelta(seconds=messages.REDELIVER_AFTER):
                old.append(key)
        return Marks(tuple(old), tuple(shown), late)


def _for_local(state: State, start: StartSession, now: datetime) -> list[Message]:
    """Return what was said to all and to the groups of a session that nobody sees, since it started."""
    session = Session(
        session_id=start.session, run_id=start.run_id, start_seq=state.seq + 1, started_at=start.at, last_heartbeat=start.at,
        capabilities=start.capabilities, role=start.role, repo=start.repo, read_seq=0,
    )  # fmt: skip
    coming = state.messages.coming(max(0, state.seq - _LOOKED_BACK), *inbox.receivers(session))
    found = [one for one in coming if inbox.is_unread(one, session, now) and (one.pinned or one.timestamp >= start.at)]
    return sorted(found, key=lambda one: (one.seq, one.id))
