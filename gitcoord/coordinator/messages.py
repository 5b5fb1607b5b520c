"""Messages, as a session uses them: send, read, ask and answer, listen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, NamedTuple

from gitcoord.agents.mailbox import Tray
from gitcoord.coordinator.commands import Asker, Receipt
from gitcoord.coordinator.watch import Watcher
from gitcoord.core import addresses, inbox, messages, names, secrecy
from gitcoord.core.records import Message, Session
from gitcoord.core.state import State
from gitcoord.errors import BadInput, GitFault, NoSession, NotInTime, Unreachable
from gitcoord.log.eventlog import View
from gitcoord.statusline import note as status_note

_LOOKS = 4  # at what was taken: in this clone, then where the branch lives; a machine under load may miss a deadline or two
_CALM = 15.0  # seconds between two looks at the remote of who only announces: all day long, one process a machine for all of them
_TELL_AFTER = 45  # seconds after which a machine says that it has shown something: before another one would show it again


class Marks(NamedTuple):
    """Messages that were taken: those that were never shown, those shown on this machine, and whether the others should know."""

    never_shown: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    to_tell: bool = False


class Mail(NamedTuple):
    """Messages that were taken for the caller to show; which of them are shown again, and how many more are unread."""

    found: list[Message]
    again: frozenset[str] = frozenset()
    more: int = 0


@dataclass
class Talking(Asker):
    """One caller's messages. `in_hand`: those that were taken and lie ready to be shown by another process."""

    in_hand: frozenset[str] = frozenset()

    def send(self, to: str, subject: str | None, text: str, *, op: str = "", **given: Any) -> Receipt:
        """Sends a message to a session, to a group, or to all. `subject` None: the text's first line; `op`: the caller's own id for
        it. Raises BadInput.
        """
        self.require_session()
        return self._send(to, subject, text, op=op, **given)

    def bring(self, to: str, subject: str, text: str, *, op: str, **given: Any) -> Receipt:
        """Sends what somebody said elsewhere, once: `op` is made of what that place calls it. To whom it goes may be seen otherwise
        the next time, and by another session that relays; it is the same message all the same.
        """
        self.require_session()
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
        receipt, _ = self._ask(
            messages.SendMessage, op=op, typed=typed, shared=shared, to=to, subject=subject, message=message, **given
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

    def collect(self, view: View, in_hand: Collection[str], *, limit: int) -> Mail:
        """The unread messages on that view, at most `limit`, taken to be shown later. `in_hand`: those that were taken so before
        and still wait for that.
        """
        self.in_hand = frozenset(in_hand)
        return self._unread(view, limit=limit)

    def listen(self, seconds: float) -> Iterator[Mail]:
        """The unread messages, one at a time, as they come; ends after that many seconds. While it goes on, listeners on other
        machines are told what was shown here.
        """
        view = self.view()
        while (mail := self._unread(view, limit=1)).found:
            yield mail
            view = self.view()
        yield from self._later(view, seconds, limit=1)

    def announced(
        self, seconds: float, *, between: float, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Message]]:  # fmt: skip
        """The unread messages that the session should hear of at once, as they come: each once, and none is taken. `between`:
        seconds that pass between two times at least. Ends after `seconds`, or when `stop` says so. Raises NoSession.
        """
        told: set[str] = set()
        last: float | None = None
        clock = self.flusher.clock
        view = self.view()
        watcher = Watcher(self.log, self.desk, self.rest or self.flusher.sleep, self.seconds, clock, _CALM, _CALM)
        for now in chain([view], watcher.views(view, seconds, stop)):
            session = now.state.sessions.get(self.who.session)
            if session is None or not session.live:
                raise NoSession(f"{self.who.session} is over", hint="gitcoord start")
            if last is not None and clock() - last < between:
                continue
            unread = inbox.unread(now.state, session.session_id, self.now())
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
    ) -> tuple[Receipt, Mail]:
        """Asks and waits for the answer, which may be a question. Raises NotInTime when none came: the question stays open, and
        NoSession with its last words when the session has ended. `tell` is told, before the wait, if nobody is there to answer;
        `op`: the caller's own id for the question.
        """
        receipt = self.send(to, None, question, op=op, type="question", in_reply_to=reply_to)
        if receipt.state == "queued":
            raise NotInTime(
                "the remote is away: the question is queued and goes out with the next command",
                hint="gitcoord inbox --peek" if self.boxed else "gitcoord inbox --wait",
                data={"messages": [], "id": receipt.id},
            )
        if tell is not None and (nobody := self.nobody_there(to)):
            tell(nobody)
        return receipt, self._answer(receipt.id, to, seconds)

    def nobody_there(self, to: str) -> str:
        """That a group has no session yet, by the view that was read last; "" where somebody is there, or for one session."""
        if not addresses.is_group(to) or inbox.members(self.log.view().state, to, but=self.who.session):
            return ""
        return f"nobody is there yet for {to}; it waits for whoever comes"

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
    ) -> tuple[Receipt, Mail]:
        """Answers a message (none named: the only open question, else the newest message that has no answer yet). `wait`: seconds
        to wait for what comes back in turn; `op`: the caller's own id for the answer; `tell` is told what is answered, where it was
        not named. Raises BadInput where it isn't clear what is answered.
        """
        self.require_session()
        said = {"answers": request or "", "text": text}
        if (done := self._earlier(messages.SendMessage, op, said)) is not None and isinstance(done[1], messages.MessageSent):
            return done[0], Mail([]) if wait is None else self._answer(done[0].id, done[1].to, wait)
        asked = self._asked(request)
        if tell is not None and request is None:
            tell(f"this answers #{asked.seq} of {asked.sender}")
        receipt = self._send(asked.sender, None, text, op=op, typed=said, type="answer", in_reply_to=asked.id)
        if wait is None or receipt.state == "queued":
            return receipt, Mail([])
        return receipt, self._answer(receipt.id, asked.sender, wait)

    def _asked(self, request: str | None) -> Message:
        state, me = self.view().state, self.who.session
        if request is not None:
            asked = state.messages.get(request)
            if asked is None or asked.sender == me:
                raise BadInput(f"{names.show(request, 60)} is no message of another session", hint="gitcoord inbox --all")
            return asked
        open_ = inbox.to_answer(state, me, self.now())
        if not open_:
            newest = inbox.newest_unanswered(state, me)
            if newest is None:
                raise BadInput("there is no message to answer", hint="gitcoord inbox --all")
            return newest
        if len(open_) > 1:
            listed = "; ".join(f"#{one.seq} of {one.sender}: {names.show(one.subject, 60)}" for one in open_[:5])
            raise BadInput(f"{len(open_)} questions are open: {listed}", hint="gitcoord reply ID ANSWER")
        return open_[0]

    def message_id(self, text: str, *, any_receiver: bool = False) -> str:
        """A message's id, given by itself or by its seq; by its seq only one that the session can read. Raises BadInput."""
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            return text
        for fresh in (False, None):  # what was seen here was read here, nearly always
            state = self.view(fresh=fresh).state
            known = state.sessions.get(self.who.session)
            found = [
                one
                for one in state.messages.numbered(int(text))
                if any_receiver or one.to == self.who.session or (known is not None and addresses.reaches(one.to, known))
            ]
            if found:
                return min(found, key=lambda one: (one.sender == self.who.session, one.id)).id
        raise BadInput(f"no message {text} is in reach", hint="gitcoord inbox --all")

    def all_messages(self, *, sent: bool, sender: str | None, kind: str | None) -> list[Message]:
        """Every message in the tree to the session (`sent`: from it), oldest first."""
        state, me = self.view().state, self.who.session
        known = state.sessions.get(me)
        to = inbox.receivers(known) if known is not None else [me, messages.TO_ALL]
        mine = [
            one
            for one in (state.messages.values() if sent else state.messages.to(*to))
            if (one.sender == me if sent else one.sender != me)
        ]
        return sorted(inbox.matching(mine, sender, kind), key=lambda one: (one.seq, one.id))

    def one_message(self, text: str) -> Message:
        """Return that message, given by its id or seq, whoever it is for: all on the branch can be read by all. Raises BadInput."""
        key = self.message_id(text, any_receiver=True)
        found = self.log.view().state.messages.get(key) or self.view().state.messages.get(key)
        if found is None:
            raise BadInput(f"no message {names.show(text, 60)} is in reach", hint="gitcoord inbox --all")
        return found

    def read_by(self, note: Message) -> tuple[str, ...]:
        """The sessions that have taken that message, by the view that was read last."""
        return inbox.read_by((self._view or self.log.view()).state, note)

    def _later(self, view: View, seconds: float, **which: Any) -> Iterator[Mail]:
        """What comes, each time something does."""
        watcher = Watcher(self.log, self.desk, self.rest or self.flusher.sleep, self.seconds, self.flusher.clock)
        mine = Tray.of(self.identity.own, self.who.session).start_reading()  # the background leaves them to who waits for them
        try:
            for now in chain([view], watcher.views(view, seconds)):
                if mine is not None:
                    Tray.go_on_reading(mine)
                mail = self._unread(now, waiting=True, **which)
                if mail.found:
                    yield mail
        finally:
            if mine is not None:
                mine.unlink(missing_ok=True)

    def _unread(
        self,
        view: View,
        *,
        peek: bool = False,
        limit: int = messages.AT_ONCE,
        sender: str | None = None,
        kind: str | None = None,
        thread: str | None = None,
        waiting: bool = False,
    ) -> Mail:
        """What is unread on that view, taken unless it is only looked at. `waiting`: the caller goes on looking."""
        session = self.who.session
        known = view.state.sessions.get(session)
        if known is None:
            if session and view.read_at is None and not self.cached:  # it may have started since: an old view can't say no
                raise Unreachable(
                    f"{self.log.tip.where} was not reached, and what was known before has no session {session}", hint="try again"
                )
            raise NoSession(f"no session is called {session}" if session else "no session is known here", hint="gitcoord start")
        unread = inbox.matching(inbox.unread(view.state, session, self.now()), sender, kind, thread)
        if peek:
            return Mail(unread[:limit], more=max(0, len(unread) - limit))
        marks = self._marks(known)
        again = [] if thread else marks.never_shown
        if not unread and not again:
            if marks.to_tell and waiting:
                self._ask(messages.TakeMessages, shown=marks.shown, limit=0)
            return Mail([])
        _receipt, event = self._ask(
            messages.TakeMessages,
            sender=sender,
            type=kind,
            again=again,
            shown=marks.shown,
            thread=thread,
            limit=limit,
        )
        if not isinstance(event, messages.MessageRead):
            return Mail([])
        found = self._texts(event.messages, view.state)
        return Mail(found, frozenset(again) & {one.id for one in found}, max(0, len(unread) + len(again) - len(found)))

    def _texts(self, taken: Sequence[str], state: State) -> list[Message]:
        """The messages that were taken. They are on the branch by now; what can't be read after several looks comes again with the
        next look, marked: it was never shown.
        """
        for look in range(_LOOKS):
            if all(key in state.messages for key in taken):
                break
            # What this process sent itself is known here; what another clone of this machine sent must be fetched.
            with suppress(GitFault):  # they are taken: those that can't be read now come again
                state = (self.log.view() if look == 0 else self.view(fresh=True)).state
        found = [state.messages[key] for key in taken if key in state.messages]
        if len(found) < len(taken):
            self.desk.give_back(self.who.session, [key for key in taken if key not in state.messages])
            self.warnings.append(f"{len(taken) - len(found)} message(s) were taken and can't be read now; they come again, marked")
        return found

    def _marks(self, session: Session) -> Marks:
        """What became of the messages that were taken lately, as far as this machine knows."""
        if not session.taken:
            return Marks()
        here, back = self.desk.shown(session.session_id), self.desk.given_back(session.session_id)
        old, shown, late = [], [], False
        for key, at in zip(session.taken, session.taken_at, strict=False):
            age = self.now() - at
            if key in here:
                shown.append(key)
                late = late or age >= timedelta(seconds=_TELL_AFTER)
            elif key in self.in_hand:
                continue
            elif key in back or age >= timedelta(seconds=messages.REDELIVER_AFTER):
                old.append(key)
        return Marks(tuple(old), tuple(shown), late)

    def shown(self, found: Iterable[Message]) -> None:
        """Notes that these were shown on this machine."""
        keys = [one.id for one in found]
        if keys:
            self.desk.show(self.who.session, keys)
            self.glance()

    def glance(self) -> None:
        """Note what is to be seen of the session at a glance, now that messages were taken."""
        view = self.log.view()
        status_note.note(self.identity, view.state, self.time_of(view), self.now())

    def not_shown(self, found: Iterable[Message]) -> None:
        """Notes that these were taken and could not be shown here: they come again at once, marked."""
        keys = [one.id for one in found]
        if keys:
            self.desk.give_back(self.who.session, keys)

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
        words = {question.strip(), secrecy.hide(question).strip()}
        said = [one for one in state.messages.to(to) if one.sender == self.who.session and one.type == "question"]
        same = [one for one in said if words & {one.message.strip(), one.subject.strip()}]
        open_ = inbox.open_questions(same, self.now())
        threads = {one.thread for one in inbox.unread(state, self.who.session, self.now())}
        return max(
            (one for one in same if one in open_ or (one.thread or one.id) in threads), key=lambda one: one.seq, default=None
        )
