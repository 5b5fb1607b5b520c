"""Messages, as a session uses them: send, read, ask and answer, listen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, NamedTuple

from gitcoord.asker import Asker, Receipt
from gitcoord.core import messages, names
from gitcoord.core.messages import Message
from gitcoord.core.sessions import Session
from gitcoord.errors import BadInput, NoSession, NotInTime
from gitcoord.log.eventlog import View
from gitcoord.watcher import Watcher


class Mail(NamedTuple):
    """Messages that were taken for the caller to show; which of them are shown again, and how many more are unread."""

    found: list[Message]
    again: frozenset[str] = frozenset()
    more: int = 0


@dataclass
class Talking(Asker):
    """One caller's messages."""

    def send(self, to: str, subject: str, text: str, **given: Any) -> Receipt:
        """Sends a message to a session, or to all."""
        self.require_session()
        to = to if to == messages.TO_ALL else names.parse_session(to)
        subject = names.parse_line(subject, "subject", names.SUBJECT_LIMIT)
        receipt, _ = self._ask(messages.SendMessage, to=to, subject=subject, message=names.parse_text(text, "message"), **given)
        return receipt

    def inbox(
        self,
        *,
        peek: bool = False,
        wait: float | None = None,
        limit: int = messages.AT_ONCE,
        sender: str | None = None,
        kind: str | None = None,
    ) -> Mail:
        """The unread messages, at most `limit`, taken by a committed mark before they are returned (unless `peek`).

        `wait`: seconds to wait for the first one. Raises NotInTime when none came.
        """
        view = self.view()
        mail = self._unread(view, peek=peek, limit=limit, sender=sender, kind=kind)
        if mail.found or wait is None:
            return mail
        for mail in self._later(view, wait, peek=peek, limit=limit, sender=sender, kind=kind):
            return mail
        raise NotInTime("no message came in time", hint="gitcoord inbox --wait, or gitcoord listen", data={"messages": []})

    def listen(self, seconds: float) -> Iterator[Mail]:
        """The unread messages, one at a time, as they come; ends after that many seconds."""
        view = self.view()
        while (mail := self._unread(view, limit=1)).found:
            yield mail
            view = self.view()
        yield from self._later(view, seconds, limit=1)

    def ask(self, to: str, question: str, *, seconds: float, reply_to: str | None = None) -> tuple[Receipt, Mail]:
        """Asks a session and waits for its answer, which may be a question. Raises NotInTime when none came: the question
        stays open, and NoSession with its last words when the session has ended.
        """
        first = (question.strip().splitlines() or [""])[0].strip()
        if not first:
            raise BadInput("a question needs words", hint='gitcoord ask session-002 "Which version?"')
        subject = names.show(first, names.SUBJECT_LIMIT)
        receipt = self.send(to, subject, "" if subject == question.strip() else question, type="question", in_reply_to=reply_to)
        if receipt.state == "queued":
            raise NotInTime(
                "the remote is away: the question is queued and goes out with the next command",
                hint="gitcoord inbox --wait",
                data={"messages": [], "id": receipt.id},
            )
        return receipt, self._answer(receipt.id, to, seconds)

    def _answer(self, said: str, to: str, seconds: float) -> Mail:
        """What comes next in the thread of what was said: who is asked back may be answered on either message."""
        view = self.log.view()
        if said not in view.state.messages:  # another clone of this machine sent it
            view = self.log.refresh(self.seconds)
        sent = view.state.messages.get(said)
        for mail in self._later(view, seconds, limit=1, thread=(sent.thread if sent else None) or said):
            return mail
        raise NotInTime(
            f"no answer from {to} yet; the question stays open",
            hint=f"gitcoord inbox --wait --from {to}" if to != messages.TO_ALL else "gitcoord inbox --wait",
            data={"messages": [], "id": said},
        )

    def reply(self, request: str | None, text: str, *, wait: float | None = None) -> tuple[Receipt, Mail]:
        """Answers a question (none named: the only open one). `wait`: seconds to wait for what comes back in turn. Raises
        BadInput where it isn't clear what is answered.
        """
        asked = self._asked(request)
        first = (text.strip().splitlines() or [""])[0].strip()
        if not first:
            raise BadInput("an answer needs words")
        subject = names.show(first, names.SUBJECT_LIMIT)
        body = "" if subject == text.strip() else text
        receipt = self.send(asked.sender, subject, body, type="answer", in_reply_to=asked.id)
        if wait is None or receipt.state == "queued":
            return receipt, Mail([])
        return receipt, self._answer(receipt.id, asked.sender, wait)

    def _asked(self, request: str | None) -> Message:
        state = self.view().state
        mine = state.messages.to(self.who.session)
        if request is not None:
            found = [one for one in mine if one.id == request]
            if not found:
                raise BadInput(f"{names.show(request, 60)} is no message to {self.who.session}", hint="gitcoord inbox --all")
            return found[0]
        open_ = sorted(messages.open_questions(mine, self.now()), key=lambda one: one.seq)
        if not open_:
            raise BadInput("nobody waits for an answer of yours", hint="gitcoord inbox --all")
        if len(open_) > 1:
            listed = "; ".join(f"#{one.seq} of {one.sender}: {names.show(one.subject, 60)}" for one in open_[:5])
            raise BadInput(f"{len(open_)} questions are open: {listed}", hint="gitcoord reply ID ANSWER")
        return open_[0]

    def _later(self, view: View, seconds: float, **which: Any) -> Iterator[Mail]:
        """What comes, each time something does."""
        watcher = Watcher(self.log, self.desk, self.rest or self.flusher.sleep, self.seconds, self.flusher.clock)
        for now in chain([view], watcher.views(view, seconds)):
            mail = self._unread(now, **which)
            if mail.found:
                yield mail

    def _unread(
        self,
        view: View,
        *,
        peek: bool = False,
        limit: int = messages.AT_ONCE,
        sender: str | None = None,
        kind: str | None = None,
        thread: str | None = None,
    ) -> Mail:
        """What is unread on that view, taken unless it is only looked at."""
        session = self.who.session
        known = view.state.sessions.get(session)
        if known is None:
            raise NoSession(f"no session is called {session}" if session else "no session is known here", hint="gitcoord start")
        unread = messages.matching(messages.unread(view.state, session, self.now()), sender, kind, thread)
        if peek:
            return Mail(unread[:limit], more=max(0, len(unread) - limit))
        again = [] if thread else self._never_shown(known)
        if not unread and not again:
            return Mail([])
        _receipt, event = self._ask(
            messages.TakeMessages, further=True, sender=sender, type=kind, again=tuple(again), thread=thread, limit=limit
        )
        if not isinstance(event, messages.MessageRead):
            return Mail([])
        state = view.state
        if any(key not in state.messages for key in event.messages):
            state = self.view(fresh=True).state
        found = [state.messages[key] for key in event.messages if key in state.messages]
        return Mail(found, frozenset(again) & {one.id for one in found}, max(0, len(unread) + len(again) - len(found)))

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

    def ask_on(self, to: str, question: str, *, seconds: float) -> tuple[Receipt, Mail]:
        """As `ask`; where the session asked just that, and has read no answer yet, it goes on waiting and asks no second time."""
        asked = self._open_question(to, question)
        if asked is None:
            return self.ask(to, question, seconds=seconds)
        return Receipt("committed", asked.id, asked.seq), self._answer(asked.id, to, seconds)

    def _open_question(self, to: str, question: str) -> Message | None:
        """The session's own newest question in those words that is open, or whose answer is unread."""
        if not self.who.session:
            return None
        state = self.log.view().state  # a question that this clone doesn't know yet wasn't asked from here
        words = question.strip()
        said = [one for one in state.messages.to(to) if one.sender == self.who.session and one.type == "question"]
        same = [one for one in said if words in (one.message.strip(), one.subject.strip())]
        open_ = messages.open_questions(same, self.now())
        threads = {one.thread for one in messages.unread(state, self.who.session, self.now())}
        return max(
            (one for one in same if one in open_ or (one.thread or one.id) in threads), key=lambda one: one.seq, default=None
        )
