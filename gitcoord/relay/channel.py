"""One way out of a relay: its events in order, one at a time, each tried until it came, was refused, or is left open.

What talks with a service runs in a thread of its own, so that a service that hangs holds up nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import Generic, TypeVar

from gitcoord.log.outcomes import View
from gitcoord.log.stream import Happened, Stream
from gitcoord.relay.filter import AGAIN
from gitcoord.relay.services.api import Delivery, Outlet, Parcel
from gitcoord.relay.settings import Book

REFUSALS = 3  # times that a service refuses an event until it is set aside
_HUNG = 90.0  # seconds after which a delivery isn't waited for any longer
_BACKOFF = (1.0, 300.0)  # seconds until the next try, at first and at most
_SHUT = 60.0  # seconds, at least, until a service that takes nothing from us is tried again

Value = TypeVar("Value")


class Job(Thread, Generic[Value]):
    """Something that may take long. `value` is what came of it once `done`; `since` when it was begun, by the monotonic clock."""

    def __init__(self, work: Callable[[], Value], arrived: Flag) -> None:
        super().__init__(name="errand", daemon=True)
        self._work = work
        self._arrived = arrived
        self.value: Value | None = None
        self.error: Exception | None = None
        self.done = False
        self.since = monotonic()

    def run(self) -> None:
        """Does it; whoever asks for the outcome deals with the error."""
        try:
            self.value = self._work()
        except Exception as error:
            self.error = error
        self.done = True
        self._arrived.set()

    @property
    def hangs(self) -> bool:
        """Whether it has taken so long that it isn't worth waiting for."""
        return not self.done and monotonic() - self.since > _HUNG


@dataclass
class Way:
    """One outlet, how far it has come, and what is on its way."""

    outlet: Outlet
    stream: Stream
    asked: int = 0  # the last question that was looked at
    errand: Job[Delivery] | None = None
    parcel: Parcel | None = None
    is_reminder: bool = False
    doubt: bool = False  # whether an earlier try may have come
    not_before: float = 0.0
    failures: int = 0
    refusals: int = 0
    sent: int = 0  # in this run
    why: str = ""  # the last failure, told once
    barred: bool = False  # it leads to where we may not connect, and nothing was ever sent by it: it is set wrongly
    tip: str = ""
    waiting: Iterator[Happened] = field(default_factory=lambda: iter(()))

    @property
    def seq(self) -> int:
        """The last event that is dealt with, or that isn't for this way."""
        return self.parcel.seq - 1 if self.parcel is not None and not self.is_reminder else self.stream.after

    def look(self, view: View) -> None:
        """Go on with what is new on that view."""
        self.waiting = self.stream.new(view)
        self.tip = view.checked.tip

    def pass_question(self, seq: int) -> None:
        """Note that nobody is to be reminded of the question with that number."""
        self.asked = seq

    def take(self, parcel: Parcel, *, doubt: bool, is_reminder: bool = False) -> None:
        """Takes up the next one."""
        self.parcel, self.doubt, self.is_reminder = parcel, doubt, is_reminder
        self.failures = self.refusals = 0
        self.not_before = 0.0

    def launch(self, book: Book, arrived: Flag) -> None:
        """Sends it off. That it is tried is noted before: who finds the note later knows that it may have come."""
        assert self.parcel is not None
        book.trying[self.outlet.name] = self.parcel.key
        book.save(durable=True)
        text = (AGAIN if self.doubt else "") + self.parcel.text
        parcel, outlet = replace(self.parcel, text=text, again=self.doubt), self.outlet
        self.errand = Job(lambda: outlet.send(parcel), arrived)
        self.errand.start()

    def collect(self, book: Book, now: float, told: Callable[[str], None]) -> bool:
        """Takes what came of it, if that is known; whether this one is done with."""
        errand, parcel = self.errand, self.parcel
        if errand is None or parcel is None or not (errand.done or errand.hangs):
            return False
        self.errand = None
        delivery = errand.value if errand.done else Delivery("open", "no answer in time")
        if delivery is None:  # a fault of ours in the thread: it may have come
            delivery = Delivery("open", f"it failed ({type(errand.error).__name__})")
        if delivery.end == "refused":
            self.refusals += 1
        if delivery.end == "sent" or self.refusals >= REFUSALS:
            if delivery.end == "sent":
                self.sent += 1
                if self.why:
                    told(f"{self.outlet.name} takes events again")
                    self.why = ""
            else:
                book.aside.append((self.outlet.name, parcel.seq, delivery.why))
                told(f"warning: {self.outlet.name} refuses event {parcel.seq} ({delivery.why}); it is set aside")
            self._done(book)
            return True
        self.doubt |= delivery.end == "open"
        if delivery.end != "open" and not self.doubt:
            book.trying.pop(self.outlet.name, None)  # it surely didn't come
            book.save()
        self.failures += 1
        if delivery.why != self.why:
            told(f"warning: {self.outlet.name}: {delivery.why}; it is tried again")
            self.why = delivery.why
        wait = min(_BACKOFF[1], _BACKOFF[0] * 2 ** min(self.failures - 1, 10)) * (0.75 + secrets.randbelow(50) / 100)
        wait = max(wait, _SHUT) if delivery.end in {"shut", "barred"} else wait
        self.barred = delivery.end == "barred" and not self.sent
        self.not_before = now + max(wait, delivery.after or 0.0)
        return False

    def _done(self, book: Book) -> None:
        assert self.parcel is not None
        if self.is_reminder:
            self.asked = self.parcel.seq
        self.parcel = None
        self.doubt = False
        book.trying.pop(self.outlet.name, None)
        book.sent[self.outlet.name] = (self.seq, self.asked)
        book.save()
