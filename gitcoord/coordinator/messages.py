"""Messages, as a session uses them: send, read, ask and answer, listen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.coordinator.unread import TakenMail, Unread
from gitcoord.coordinator.watch import Watcher
from gitcoord.core import addresses, inbox, messages, names, secrecy
from gitcoord.core.events import Receipt
from gitcoord.core.records import Message
from gitcoord.errors import BadInput, NoSession, NotInTime
from gitcoord.log.outcomes import View
from gitcoord.outbox import reading
from gitcoord.statusline import note as status_note

_CALM = 15.0  # seconds between two looks at the remote of who only announces: all day long, one process a machine for all of them


@dataclass(frozen=True)
class Messages:
    """The caller's messages."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands
    sessions: Sessions
    unread: Unread

    def send(self, to: str, subject: str | None, text: str, *, op: str = "", **given: Any) -> Receipt:
        """Send a message to a session, to a group, or to all. Raises BadInput.

        - `subject`: None for the text's first line.
        - `op`: the caller's own id for the message.
        """
        self.sessions.ensure()
        return self._send(to, subject, text, op=op, **given)

    def bring(self, to: str, subject: str, text: str, *, op: str, **given: Any) -> Receipt:
        """Send what a person wrote in a chat, once. `op` is made of what the chat calls it: so it is the same message also if
        another session relays it, or sends it to another receiver.
        """
        self.sessions.ensure()
        return self._send(to, subject, text, op=op, typed={}, shared=True, **given)

    def _send(
        self,
        to: str,
        subject: str | None,
        text: str,
        *,
        op: str = "",
        typed: Mapping[str, Any] | None = None,
        shared: bool = False,
        **given: Any,
    ) -> Receipt:
        to = addresses.parse_receiver(to)
        if given.get("type", messages.SENT[0]) not in messages.SENT:
            kinds = ", ".join(messages.SENT)
            raise BadInput(f"{names.show(str(given['type']), 40)!r} is no type of message to send", hint=f"one of: {kinds}")
        if not (subject or "").strip():
            subject, text = messages.parted(text)
        subject = names.parse_line(subject or "", "subject", names.SUBJECT_LIMIT)
        message = names.parse_text(text, "message")
        receipt, _ = self.commands.submit(
            messages.SendMessage,
            self.sessions.current(messages.SendMessage),
            op=op,
            typed=typed,
            shared=shared,
            to=to,
            subject=subject,
            message=message,
            **given,
        )
        return receipt

    def inbox(
        self,
        *,
        peek: bool = False,
        wait: float | None = None,
        limit: int = messages.AT_ONCE,
        sender: str | None = None,
        kind: str | None = None,
    ) -> TakenMail:
        """Return the unread messages, at most `limit`, taken by a committed mark before they are returned (unless `peek`).

        `wait`: seconds to wait for the first one. Raises NotInTime when none came.
        """
        view = self.branch.view()
        mail = self.unread.look(view, peek=peek, limit=limit, sender=sender, kind=kind)
        if mail.found or wait is None:
            return mail
        for mail in self._later(view, wait, peek=peek, limit=limit, sender=sender, kind=kind):
            return mail
        raise NotInTime("no message came in time", hint="gitcoord inbox --wait, or gitcoord listen", data={"messages": []})

    def collect(self, view: View, in_hand: Collection[str], *, limit: int) -> TakenMail:
        """Take the unread messages on that view, at most `limit`, to be shown later. `in_hand`: those that were taken before and
        still wait to be shown.
        """
        return self.unread.look(view, limit=limit, in_hand=frozenset(in_hand))

    def listen(self, seconds: float) -> Iterator[TakenMail]:
        """Yield the unread messages, one at a time, as they come, for that many seconds. While it goes on, listeners on other
        machines are told what was shown here.
        """
        view = self.branch.view()
        while (mail := self.unread.look(view, limit=1)).found:
            yield mail
            view = self.branch.view()
        yield from self._later(view, seconds, limit=1)

    def announced(
        self, seconds: float, *, between: float, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Message]]:  # fmt: skip
        """Yield the unread messages that the session should hear of at once, as they come: each once, and none is taken. Ends after
        `seconds`, or when `stop` returns True. Raises NoSession.

        - `between`: seconds that pass between two times at least.
        """
        told: set[str] = set()
        last: float | None = None
        clock = self.parts.submitter.clock
        view = self.branch.view()
        watcher = Watcher(self.parts.log, self.parts.outbox, self.parts.sleep, self.parts.seconds, clock, _CALM, _CALM)
        for now in chain([view], watcher.views(view, seconds, stop)):
            session = now.state.sessions.get(self.acting.session)
            if session is None or not session.live:
                raise NoSession(f"{self.acting.session} is over", hint="gitcoord start")
            if last is not None and clock() - last < between:
                continue
            unread = inbox.unread(now.state, session.session_id, self.parts.now())
            new = [one for one in unread if inbox.presses(one) and one.id not in told]
            told = {one.id for one in unread if one.id in told} | {one.id for one in new}
            if new:
                last = clock()
                yield new

    def ask(
        self,
        to: str,
        question: str,
        *,
        seconds: float,
        reply_to: str | None = None,
        tell: Callable[[str], None] | None = None,
        op: str = "",
    ) -> tuple[Receipt, TakenMail]:
        """Ask, and wait for the answer, which may be a question. Raises NotInTime if none came (the question stays open), and
        NoSession with its last words if the receiver has ended.

        - `tell`: is called before the wait if nobody is there to answer.
        - `op`: the caller's own id for the question.
        """
        receipt = self.send(to, None, question, op=op, type="question", in_reply_to=reply_to)
        if receipt.state == "queued":
            raise NotInTime(
                f"{receipt.why}: the question is queued and goes out once it can be sent",
                hint="gitcoord inbox --peek" if self.parts.boxed else "gitcoord inbox --wait",
                data={"messages": [], "id": receipt.id},
            )
        if tell is not None and (nobody := self.nobody_there(to)):
            tell(nobody)
        return receipt, self._answer(receipt.id, to, seconds)

    def nobody_there(self, to: str) -> str:
        """Return the words that a group has no session yet, by the newest view; "" if it has one, or for one session."""
        if not addresses.is_group(to) or inbox.members(self.parts.log.view().state, to, but=self.acting.session):
            return ""
        return f"nobody is there yet for {to}; it waits for whoever comes"

    def _answer(self, said: str, to: str, seconds: float) -> TakenMail:
        """Wait for what comes next in the thread of that message, and return it. Raises NotInTime."""
        view = self.parts.log.view()
        if said not in view.state.messages:  # another clone of this machine sent it
            view = self.parts.log.refresh(self.parts.seconds)
        sent = view.state.messages.get(said)
        for mail in self._later(view, seconds, limit=1, thread=(sent.thread if sent else None) or said):
            return mail
        raise NotInTime(
            f"no answer from {to} yet; the question stays open",
            hint=f"gitcoord inbox --wait --from {to}" if names.is_session_name(to) else "gitcoord inbox --wait",
            data={"messages": [], "id": said},
        )

    def reply(
        self,
        request: str | None,
        text: str,
        *,
        wait: float | None = None,
        op: str = "",
        tell: Callable[[str], None] | None = None,
    ) -> tuple[Receipt, TakenMail]:
        """Answer a message (None: the only open question, else the newest message that has no answer yet). Raises BadInput if it
        isn't clear which one is meant.

        - `wait`: seconds to wait for what comes back in turn.
        - `op`: the caller's own id for the answer.
        - `tell`: is called with what is answered, where that was not named.
        """
        self.sessions.ensure()
        said = {"answers": request or "", "text": text}
        if (done := self.commands.earlier(messages.SendMessage, self.acting.actor, op, said)) is not None and isinstance(
            done[1], messages.MessageSent
        ):
            return done[0], TakenMail([]) if wait is None else self._answer(done[0].id, done[1].to, wait)
        asked = self._asked(request)
        if tell is not None and request is None:
            tell(f"this answers #{asked.seq} of {asked.sender}")
        receipt = self._send(asked.sender, None, text, op=op, typed=said, type="answer", in_reply_to=asked.id)
        if wait is None or receipt.state == "queued":
            return receipt, TakenMail([])
        return receipt, self._answer(receipt.id, asked.sender, wait)

    def _asked(self, request: str | None) -> Message:
        state, me = self.branch.view().state, self.acting.session
        if request is not None:
            asked = state.messages.get(request)
            if asked is None or asked.sender == me:
                raise BadInput(f"{names.show(request, 60)} is no message of another session", hint="gitcoord inbox --all")
            return asked
        open_ = inbox.to_answer(state, me, self.parts.now())
        if not open_:
            newest = inbox.newest_unanswered(state, me)
            if newest is None:
                raise BadInput("there is no message to answer", hint="gitcoord inbox --all")
            return newest
        if len(open_) > 1:
            listed = "; ".join(f"#{one.seq} of {one.sender}: {names.show(one.subject, 60)}" for one in open_[:5])
            raise BadInput(f"{len(open_)} questions are open: {listed}", hint="gitcoord reply ID ANSWER")
        return open_[0]

    def id_of(self, text: str, *, any_receiver: bool = False) -> str:
        """Return a message's id, given by itself or by its seq; by its seq only one that the session can read. Raises BadInput."""
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            return text
        for fresh in (False, None):  # what was seen here was read here, nearly always
            state = self.branch.view(fresh=fresh).state
            known = state.sessions.get(self.acting.session)
            found = [
                one
                for one in state.messages.numbered(int(text))
                if any_receiver or one.to == self.acting.session or (known is not None and addresses.reaches(one.to, known))
            ]
            if found:
                return min(found, key=lambda one: (one.sender == self.acting.session, one.id)).id
        raise BadInput(f"no message {text} is in reach", hint="gitcoord inbox --all")

    def all(self, *, sent: bool, sender: str | None, kind: str | None) -> list[Message]:
        """Return every message in the tree to the session (`sent`: from it), oldest first."""
        state, me = self.branch.view().state, self.acting.session
        known = state.sessions.get(me)
        to = inbox.receivers(known) if known is not None else [me, messages.TO_ALL]
        mine = [
            one
            for one in (state.messages.values() if sent else state.messages.to(*to))
            if (one.sender == me if sent else one.sender != me)
        ]
        return sorted(inbox.matching(mine, sender, kind), key=lambda one: (one.seq, one.id))

    def whole(self, text: str) -> Message:
        """Return that message, given by its id or seq, whoever it is for: all on the branch can be read by all. Raises BadInput."""
        key = self.id_of(text, any_receiver=True)
        found = self.parts.log.view().state.messages.get(key) or self.branch.view().state.messages.get(key)
        if found is None:
            raise BadInput(f"no message {names.show(text, 60)} is in reach", hint="gitcoord inbox --all")
        return found

    def read_by(self, note: Message) -> tuple[str, ...]:
        """Return the sessions that have taken that message, by the view that was read last."""
        return inbox.read_by(self.branch.last_view().state, note)

    def _later(self, view: View, seconds: float, **which: Any) -> Iterator[TakenMail]:
        """Yield what is unread, each time something comes, for that many seconds."""
        watcher = Watcher(self.parts.log, self.parts.outbox, self.parts.sleep, self.parts.seconds, self.parts.submitter.clock)
        mark = reading.start(self.parts.identity.mailbox(self.acting.session))  # the background leaves them to who waits for them
        try:
            for now in chain([view], watcher.views(view, seconds)):
                if mark is not None:
                    reading.go_on(mark)
                mail = self.unread.look(now, waiting=True, **which)
                if mail.found:
                    yield mail
        finally:
            if mark is not None:
                mark.unlink(missing_ok=True)

    def shown(self, found: Iterable[Message]) -> None:
        """Note that these were shown on this machine."""
        keys = [one.id for one in found]
        if keys:
            self.parts.outbox.show(self.acting.session, keys)
            self.glance()

    def glance(self) -> None:
        """Note what a status line shows of the session, now that messages were taken."""
        view = self.parts.log.view()
        status_note.note(self.parts.identity, view.state, self.branch.time_of(view), self.parts.now())

    def not_shown(self, found: Iterable[Message]) -> None:
        """Note that these were taken and could not be shown here: they come again at once, marked."""
        keys = [one.id for one in found]
        if keys:
            self.parts.outbox.give_back(self.acting.session, keys)

    def ask_on(self, to: str, question: str, *, seconds: float) -> tuple[Receipt, TakenMail]:
        """Ask as `ask` does; if the session asked just that before, and has read no answer yet, only go on waiting."""
        asked = self._open_question(to, question)
        if asked is None:
            return self.ask(to, question, seconds=seconds)
        return Receipt("committed", asked.id, asked.seq), self._answer(asked.id, to, seconds)

    def _open_question(self, to: str, question: str) -> Message | None:
        """Return the session's own newest question in those words that is open, or whose answer is unread; None for none."""
        if not self.acting.session:
            return None
        state = self.parts.log.view().state  # a question that this clone doesn't know yet wasn't asked from here
        words = {question.strip(), secrecy.hide(question).strip()}
        said = [one for one in state.messages.to(to) if one.sender == self.acting.session and one.type == "question"]
        same = [one for one in said if words & {one.message.strip(), one.subject.strip()}]
        open_ = inbox.open_questions(same, self.parts.now())
        threads = {one.thread for one in inbox.unread(state, self.acting.session, self.parts.now())}
        return max(
            (one for one in same if one in open_ or (one.thread or one.id) in threads), key=lambda one: one.seq, default=None
        )
