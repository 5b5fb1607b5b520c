"""The relay: what happens goes out to chats, what people say there comes in; by exactly one of all machines that run it.

Whoever holds the claim `relay:<name>` works, the others stand in line. What was sent is noted on this machine event by event,
and on the branch now and then, with a heartbeat: there the next machine finds how far the last one came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from threading import Event as Flag
from time import monotonic

from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.keeper import Keeper, Loss
from gitcoord.coordinator.watch import Watcher
from gitcoord.core import inbox
from gitcoord.core.leases import held_by
from gitcoord.core.messages import MessageSent, split_detail
from gitcoord.core.names import SUBJECT_LIMIT, Resource, is_session_name, show
from gitcoord.errors import Alarm, BadInput, GitcoordError, Held, NoSession, NotInTime
from gitcoord.git.repo import NULL
from gitcoord.log.outcomes import View
from gitcoord.log.stream import Happened, Stream
from gitcoord.relay.channel import Job, Way
from gitcoord.relay.filter import answer, line, reminder
from gitcoord.relay.incoming import heard
from gitcoord.relay.plan import Plan
from gitcoord.relay.progress import Before, RelayProgress, found, spelled
from gitcoord.relay.services.api import Busy, ChatMessage, Inlet, Parcel
from gitcoord.relay.settings import Book
from gitcoord.views.attention import UNANSWERED_AFTER, UNANSWERED_WITHIN

_MARGIN = 60.0  # seconds before the lease's end from which on nothing is sent any more: no delivery may outlive the lease
_TELL = (25, 60.0)  # events sent, or seconds passed since, until the branch is told how far this relay is
_LISTEN = 5.0  # seconds between two looks at what people say
_LOOK = 1.0  # seconds between two looks at the branch while a delivery is under way
_SCAN = 2000  # events that are looked at in one go
_PATIENCE = 5.0  # seconds that `once` waits for another try
_TRIES = 3  # times that `once` tries to deliver an event
_FOREVER = 10 * 365 * 86400.0  # seconds


class Relay:
    """One relay on this machine. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        coordinator: Coordinator,
        plan: Plan,
        book: Book,
        *,
        told: Callable[[str], None],
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.coordinator, self.plan, self.book, self.told, self.stop, self.clock = coordinator, plan, book, told, stop, clock
        self.resource = Resource("relay", plan.name)
        self.keeper = Keeper(coordinator, clock)
        self.ways: list[Way] = []
        self.brought = 0
        self._over = False
        self._once = False
        self._arrived = Flag()
        self._before = Before()
        self._ears: dict[str, Job[tuple[Sequence[ChatMessage], str]]] = {}
        self._next_poll: dict[str, float] = {}
        self._polled: set[str] = set()
        self._told_at = clock()
        self._untold = 0
        self._looked = 0.0
        self._messages: Stream | None = None
        self._watcher = Watcher(
            coordinator.log,
            coordinator.parts.outbox,
            coordinator.parts.submitter.sleep,
            coordinator.parts.seconds,
            coordinator.parts.submitter.clock,
        )

    # --- the claim -----------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Stands by until it is this machine's turn, works until the claim is lost, and stands by again; until `stop`."""
        self._sit()
        while not self.stop():
            try:
                self.keeper.take(
                    [self.resource], wait=_FOREVER, told=self.told, stop=self.stop, ttl_seconds=self.plan.ttl_seconds,
                    reason="relays events to chat",
                )  # fmt: skip
            except (KeyboardInterrupt, NotInTime):
                break
            self.told(f"relaying as {self.coordinator.actor.session}")
            self._work()
            if any(way.barred for way in self.ways):
                break
            if not self.stop():
                self.keeper = Keeper(self.coordinator, self.clock)
        with suppress(GitcoordError):  # a session that isn't ended now is gone on with the next time
            self.coordinator.sessions.end([], None)
        self._check_barred()

    def _check_barred(self) -> None:
        """Raises BadInput for a way whose address is not to be used, which trying again won't change."""
        for way in self.ways:
            if way.barred:
                raise BadInput(
                    f"{way.outlet.name} leads to a private address, and nothing was sent there",
                    hint="--allow-private, if it is meant: see docs/relay.md",
                )

    def once(self) -> str:
        """Sends what is new and brings what is new, and ends: `done`, `nothing`, or `elsewhere` where another relay works."""
        self._once = True
        self._load(self.coordinator.branch.view())
        said: dict[str, tuple[Sequence[ChatMessage], str]] = {}
        for inlet in self.plan.inlets:
            try:
                said[inlet.name] = inlet.poll(self._place(inlet.name))
            except Busy as error:
                self.told(f"warning: {inlet.name} can't be read: {error}")
        if not self._anything() and not any(found for found, _ in said.values()):
            for name, (_, place) in said.items():
                self.book.heard[name] = place
            for way in self.ways:
                self.book.sent[way.outlet.name] = (way.seq, way.asked)
            self.book.save()
            self._close()
            return "nothing"
        self._sit()
        try:
            self.keeper.take([self.resource], ttl_seconds=self.plan.ttl_seconds, reason="relays events to chat")
        except Held:
            self._close()
            return "elsewhere"
        self._work()
        self._check_barred()
        return "done"

    def _work(self) -> None:
        """Works while it holds the claim; then tells the branch how far it came, and gives the claim back."""
        self._over = False
        self._load(self.coordinator.branch.view(fresh=True))
        if not self._before.seq:
            self._tell_branch(always=True)  # where it began: if this machine dies, the next one must not begin later
        try:
            self.keeper.hold(self._step, self._lost, self.told)
        finally:
            self._close()
            mine = [one.entry for one in self.keeper.kept if one.before]
            if self.keeper.kept:
                self._tell_branch(last=True)
            self.keeper.finish(self._lost, self.told)
            if mine:
                self.coordinator.claims.give_back(mine)

    def _close(self) -> None:
        for inlet in self.plan.inlets:
            inlet.close()

    @property
    def sent(self) -> dict[str, int]:
        """How many events went out by each way, in this run."""
        return {way.outlet.name: way.sent for way in self.ways}

    def aside(self) -> str:
        """The newest of those that were set aside, in words."""
        return ", ".join(f"#{seq} to {name} ({why})" for name, seq, why in self.book.aside[-5:])

    def _lost(self, loss: Loss) -> None:
        self._over = True
        self.told(f"warning: {loss.message}; nothing more is sent from here")

    def _sit(self) -> None:
        """Takes the relay's own session: the one of the last time, or a new one. It never sits in the work tree itself."""
        coordinator, book = self.coordinator, self.book
        known = coordinator.branch.view().state.sessions.get(book.session)
        if known is None or not known.live or known.run_id != book.run:
            name = self.plan.name
            actor = coordinator.sessions.start_apart(f"relay-{name}", role="relay", work=f"relays to chat ({name})")
            book.note_session(actor.session, actor.run_id)
        coordinator.sessions.act_as(book.session, book.run)

    def _is_relay(self, session: str) -> bool:
        return re.fullmatch(rf"relay-{re.escape(self.plan.name)}(-[0-9a-z]+)?", session) is not None

    # --- how far it came -----------------------------------------------------------------------------------------

    def _load(self, view: View) -> None:
        """Finds out how far this relay came, here or elsewhere."""
        self._view = view
        earlier = RelayProgress.read(self.book.seen)
        seen = found(self.coordinator.branch, view, self.resource, mine=self.book.session, known=earlier)
        self.book.note_seen(seen.as_record())
        self._before = before = seen.before
        start = view.checked.seq if self.plan.since is None else self.plan.since
        done, self.ways = self.sent, []
        for outlet in self.plan.outlets:
            seq, asked = before.sent.get(outlet.name, (-1, -1))
            here = self.book.sent.get(outlet.name, (-1, -1))
            seq, asked = max(seq, here[0]), max(asked, here[1])
            if seq < 0:
                seq, asked = start, start
            passed = earlier.tip if earlier is not None and seq >= earlier.seq else NULL  # all up to there is dealt with
            self.ways.append(Way(outlet, Stream(self.coordinator.log, seq, passed), asked=asked, sent=done.get(outlet.name, 0)))
            self.book.sent[outlet.name] = (seq, asked)
        if self.plan.runner is not None:
            self.book.note_ran(self.book.ran or max(before.seq, 0) or start)
            self._messages = Stream(self.coordinator.log, self.book.ran)
        self.book.save()

    def _tell_branch(self, *, always: bool = False, last: bool = False) -> None:
        """Says on the branch how far it came: one commit for all that was sent since the last one."""
        if not (self._untold or always or last):
            return
        said = spelled({way.outlet.name: (way.seq, way.asked) for way in self.ways}, self.book.heard)
        try:
            self.keeper.settle()
            me = self.coordinator.actor.session
            if any(one.to == me for one in inbox.unread(self._view.state, me, self.coordinator.now())):
                mail = self.coordinator.messages.inbox()  # what is to the relay has been told outside
                self.coordinator.messages.shown(mail.found)
            self.coordinator.sessions.heartbeat(
                action="relayed" if last else "relaying", target=str(self.resource), next_action=said
            )
        except Alarm:
            raise
        except GitcoordError as error:
            self.told(f"warning: not noted on the branch: {error.message}")
            return
        self._untold = 0
        self._told_at = self.clock()

    # --- one step ------------------------------------------------------------------------------------------------

    def _step(self, seconds: float) -> bool:
        """Does what is due, then waits for at most that long; whether it is over."""
        if self._over or self.stop():
            return True
        self.keeper.settle()  # a renewal in the background uses the same clone
        if not self._is_held():
            return True
        for warning in self.coordinator.notices:
            self.told(f"warning: {warning}")
        self.coordinator.notices.clear()
        now = self.clock()
        may_send = self.keeper.left() > _MARGIN
        for way in self.ways:
            if way.collect(self.book, now, self.told):
                self._untold += 1
            if way.barred:
                return True
            if way.errand is None and way.parcel is None:
                self._next(way)
            if way.errand is None and way.parcel is not None and way.not_before <= now and may_send:
                way.launch(self.book, self._arrived)
        for inlet in self.plan.inlets:
            self._listen(inlet, now)
        self._run()
        if self._untold >= _TELL[0] or (self._untold and now - self._told_at >= _TELL[1]):
            self._tell_branch()
        if self._once and self._is_idle():
            return True
        self._rest(min(seconds, *self._due(now)))
        return False

    def _is_held(self) -> bool:
        """Whether the branch, as it was read last, says that the claim is still this relay's."""
        kept = {one.entry for one in self.keeper.kept}
        if self._view.checked.seq < max((one.fence for one in self.keeper.kept), default=0):
            return True  # a view from before the claim says nothing about it
        held = {one.entry for one in held_by(self._view.state, self.coordinator.actor.session)}
        if kept and kept <= held:
            return True
        self.told("warning: the claim is another's now; nothing more is sent from here")
        return False

    def _due(self, now: float) -> Iterator[float]:
        """Seconds until something is to be done."""
        for way in self.ways:
            if way.parcel is not None and way.errand is None:
                yield max(0.0, way.not_before - now)
            elif way.parcel is None and (way.tip != self._view.checked.tip):
                yield 0.0
        for name, due in self._next_poll.items():
            if name not in self._ears:
                yield max(0.0, due - now)
        yield 60.0

    def _rest(self, seconds: float) -> None:
        if any(way.errand for way in self.ways) or self._ears:
            self._arrived.wait(0.2)
            self._arrived.clear()
            if self.clock() - self._looked < _LOOK:
                return
            seconds = 0.01
        elif seconds <= 0:
            return
        self._looked = self.clock()
        for view in self._watcher.views(self._view, seconds, self.stop):
            self._view = view

    def _is_idle(self) -> bool:
        ways = all(
            way.errand is None and (self._gives_up(way) if way.parcel is not None else way.tip == self._view.checked.tip)
            for way in self.ways
        )
        heard = all(one.name in self._polled for one in self.plan.inlets) and not self._ears
        return ways and heard and (self.plan.runner is None or not self.plan.runner.busy())

    def _gives_up(self, way: Way) -> bool:
        """Whether `once` leaves it to the next time: whoever runs it doesn't wait long."""
        return way.failures >= _TRIES or (way.failures > 0 and way.not_before - self.clock() > _PATIENCE)

    # --- out -----------------------------------------------------------------------------------------------------

    def _anything(self) -> bool:
        for way in self.ways:
            while way.parcel is None and way.tip != self._view.checked.tip:
                self._next(way)
        return any(way.parcel is not None for way in self.ways)

    def _next(self, way: Way) -> None:
        """Takes up the next event that is for that way, if there is one."""
        for _ in range(_SCAN):
            happened = next(way.waiting, None)
            if happened is None:
                if way.tip == self._view.checked.tip:
                    self._remind(way)
                    return
                way.look(self._view)
                continue
            parcel = self._parcel(way, happened)
            if parcel is not None:
                way.take(parcel, doubt=self._doubtful(way, parcel, happened.committed_at))
                return

    def _doubtful(self, way: Way, parcel: Parcel, at: datetime | None) -> bool:
        """Whether it may have been sent: by this machine when it was cut short, or by another after what it last said."""
        until = self._before.may_have_sent_until
        return self.book.trying.get(way.outlet.name) == parcel.key or (until is not None and at is not None and at <= until)

    def _parcel(self, way: Way, happened: Happened) -> Parcel | None:
        event, entry = happened.event, happened.entry
        if event is None or self._is_relay(event.session):
            return None
        doubt = self.coordinator.speakers.doubt(event.seq, event.session)
        facts = {"seq": event.seq, "event": event.kind, "session": event.session, "at": entry.at.isoformat(), "id": event.id}
        if isinstance(event, MessageSent):
            if f"relay={self.plan.name}" in event.details:
                return None
            facts["type"] = event.type
            asked = self._view.state.messages.get(event.in_reply_to) if event.in_reply_to else None
            thread = way.outlet.thread_of(event.in_reply_to, asked.details if asked else {}) if event.in_reply_to else ""
            if thread:
                return Parcel(answer(event, doubt), event.id, event.seq, thread, facts)
            if self._is_relay(event.to):
                return Parcel(line(event, entry.subject, doubt), event.id, event.seq, "", facts)
        if way.outlet.name == self.plan.answers_only or not self.plan.choice.takes(event, entry.resources):
            return None
        return Parcel(line(event, entry.subject, doubt), event.id, event.seq, "", facts)

    def _remind(self, way: Way) -> None:
        """Takes up the next question that has waited too long; each is told once, in the order in which they were asked."""
        if not self.plan.choice.reminds or way.outlet.name == self.plan.answers_only:
            return
        state, now = self._view.state, self.coordinator.now()
        asked = [one for one in state.messages.waiting() if one.type == "question" and one.seq > way.asked]
        for one in sorted(asked, key=lambda one: one.seq):
            if now - one.timestamp < UNANSWERED_AFTER:
                return
            receiver = state.sessions.get(one.to)
            gone = one.status == "answered" or one.is_over(now)
            there = receiver.live if receiver is not None else not is_session_name(one.to)
            if not gone and there and now - one.timestamp <= UNANSWERED_WITHIN and self.plan.choice.reminds_of(one):
                parcel = Parcel(reminder(one), f"{one.id}.unanswered", one.seq)
                way.take(parcel, doubt=self._doubtful(way, parcel, one.timestamp + UNANSWERED_AFTER), is_reminder=True)
                return
            way.pass_question(one.seq)

    # --- in ------------------------------------------------------------------------------------------------------

    def _place(self, name: str) -> str:
        return self.book.heard.get(name) or self._before.heard.get(name, "")

    def _listen(self, inlet: Inlet, now: float) -> None:
        """Asks what people said, in the background, and brings it."""
        errand = self._ears.get(inlet.name)
        if errand is None:
            if now >= self._next_poll.get(inlet.name, 0.0) and not (self._once and inlet.name in self._polled):
                place = self._place(inlet.name)
                self._ears[inlet.name] = Job(lambda: inlet.poll(place), self._arrived)
                self._ears[inlet.name].start()
            return
        if not (errand.done or errand.hangs):
            return
        del self._ears[inlet.name]
        self._polled.add(inlet.name)
        self._next_poll[inlet.name] = now + _LISTEN
        if errand.value is None:
            self._next_poll[inlet.name] = now + max(
                _LISTEN, (errand.error.after or 30.0) if isinstance(errand.error, Busy) else 60.0
            )
            self.told(f"warning: {inlet.name} can't be read: {errand.error if isinstance(errand.error, Busy) else 'no answer'}")
            return
        said, place = errand.value
        for one in said:
            self._bring(one)
        if self.book.heard.get(inlet.name) != place:
            self.book.heard[inlet.name] = place  # only now: what is brought again has the same id, and happens once
            self.book.save()

    def _bring(self, said: ChatMessage) -> None:
        """Sends what somebody said, once, under an operation made of what the service calls it."""
        coordinator = self.coordinator
        message = heard(said, self._view.state, self.plan.name)
        for to, given in ((message.to, message.given), ("broadcast", {**message.given, "type": "note", "in_reply_to": None})):
            try:
                coordinator.messages.bring(to, message.subject or "(no words)", message.text, op=said.id, **given)
                self.brought += 1
                return
            except (NoSession, BadInput) as error:
                self.told(f"warning: not to {show(to, 80)}: {show(error.message, SUBJECT_LIMIT)}")

    def _run(self) -> None:
        """Runs the person's command for the next message that matches; that it ran is noted before, so it never runs twice."""
        runner, stream = self.plan.runner, self._messages
        if runner is None or stream is None or runner.busy() or self.keeper.left() <= _MARGIN:
            return
        for happened in stream.new(self._view):
            event, until = happened.event, self._before.may_have_sent_until
            if not isinstance(event, MessageSent):
                continue
            brought = f"relay={self.plan.name}" in event.details
            if not (self.plan.run_on.takes(event, ()) if self.plan.run_on is not None else brought):
                continue
            if until is not None and happened.committed_at is not None and happened.committed_at <= until:
                self.told(f"warning: event {event.seq} may have been acted on elsewhere; nothing is run for it here")
                continue
            self.book.note_ran(event.seq)
            self.book.save(durable=True)
            details = dict(split_detail(one) for one in event.details)
            runner.start({**happened.entry.data, "details": details, "id": event.id, "seq": event.seq, "from": event.session})
            return
