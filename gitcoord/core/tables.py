"""Tables of records, never changed in place: what lies on the branch by its keys, and how much of it is read. `log/` may fill one
lazily from the tree.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Generic, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from gitcoord.core.records import (
        Message,
        Session,
        Task,
    )

K = TypeVar("K")
V = TypeVar("V")

Days = tuple[date, date]
"""The first and the last of some days."""

ALWAYS: Days = (date.min, date.max)


class Table(Mapping[K, V], Generic[K, V]):
    """A mapping that is never changed: `with_changes` gives a new one that shares all the rest."""

    __slots__ = ("_base", "_over", "_size")

    def __init__(self, base: Mapping[K, V], over: Mapping[K, V | None] | None = None) -> None:
        self._base = base
        self._over: Mapping[K, V | None] = over or {}
        self._size: int | None = None

    def with_changes(self, changes: Mapping[K, V | None]) -> Self:
        """The table with the changes; None takes a record out."""
        if not changes:
            return self
        over = {**self._over, **changes}
        # A plain base is folded in before the overlay grows long; a lazy one is left alone (folding would load it all).
        plain = self._plain()
        if plain is not None and len(over) > 64 + len(plain) // 4:
            merged = {**plain, **over}
            return type(self)({key: value for key, value in merged.items() if value is not None})
        return type(self)(self._base, over)

    def _plain(self) -> dict[K, V] | None:
        return self._base if isinstance(self._base, dict) else None

    def __getitem__(self, key: K) -> V:
        if key in self._over:
            value = self._over[key]
            if value is None:
                raise KeyError(key)
            return value
        return self._base[key]

    def __contains__(self, key: object) -> bool:
        if key in self._over:
            return self._over[key] is not None  # type: ignore[index]  # found above, so it is a K
        return key in self._base

    def __iter__(self) -> Iterator[K]:
        for key in self._base:
            if key not in self._over:
                yield key
        for key, value in self._over.items():
            if value is not None:
                yield key

    def items(self) -> list[tuple[K, V]]:  # type: ignore[override]  # a list: a lazy base reads all of it at once
        """All keys and records."""
        found = [(key, value) for key, value in self._base.items() if key not in self._over]
        return found + [(key, value) for key, value in self._over.items() if value is not None]

    def values(self) -> list[V]:  # type: ignore[override]  # the same
        """All records."""
        return [value for _, value in self.items()]

    def __len__(self) -> int:
        if self._size is None:
            self._size = sum(1 for _ in self)
        return self._size


@dataclass(frozen=True)
class Signs:
    """Holds what all others go by of a session, under the names that its record has for it."""

    live: bool
    ended_at: datetime | None
    last_heartbeat: datetime
    host: str | None


class Register(Mapping[str, "Session"]):
    """Sessions that lie in a tree: most have ended, so their records are parsed when somebody asks."""

    @abstractmethod
    def signs(self) -> Mapping[str, Signs]:
        """Return what counts of each of them."""

    @abstractmethod
    def fetch(self, keys: Sequence[str]) -> None:
        """Reads those records at once, so that asking for each costs nothing."""


class Roll(Table[str, "Session"]):
    """The sessions of a state. Nearly all of a long past have ended: looking at what counts of them parses none."""

    __slots__ = ()

    def signs(self) -> list[tuple[str, Signs | Session]]:
        """Return what counts of each: the record itself where it is at hand."""
        base = self._base
        known: Iterable[tuple[str, Signs | Session]] = base.signs().items() if isinstance(base, Register) else base.items()
        found = [(key, signs) for key, signs in known if key not in self._over]
        return found + [(key, one) for key, one in self._over.items() if one is not None]

    def live(self) -> list[Session]:
        """Those that have not ended."""
        return self._records([key for key, signs in self.signs() if signs.live])

    def ended(self, since: datetime) -> list[Session]:
        """Those that ended at that instant or after it."""
        return self._records([key for key, signs in self.signs() if signs.ended_at is not None and signs.ended_at >= since])

    def _records(self, keys: list[str]) -> list[Session]:
        if isinstance(self._base, Register):
            self._base.fetch([key for key in keys if key not in self._over])
        return [self[key] for key in keys]


class Shelf(Mapping[str, "Message"]):
    """Messages that lie in a tree: what of them is listed, and what is read, is what somebody asks for."""

    @abstractmethod
    def waiting(self, receivers: Collection[str] | None) -> list[str]:
        """The ids of those that wait, to these receivers (None: to anybody)."""

    @abstractmethod
    def past(self, receivers: Collection[str] | None, *, after: int = -1, upto: int = 2**53, days: Days = ALWAYS) -> list[str]:
        """The ids of those that wait no more, to these receivers (None: to anybody): with a seq above `after`, but not above
        `upto`, and said on these days.
        """

    @abstractmethod
    def fetch(self, keys: Sequence[str]) -> None:
        """Reads those messages at once, so that asking for each costs nothing."""


class Heap(Shelf):
    """Messages that are all at hand. Those that wait and those that are past are told apart once, when somebody asks."""

    def __init__(self, records: dict[str, Message]) -> None:
        self.records = records
        self._sorted: tuple[list[Message], list[tuple[date, Message]]] | None = None

    def _parts(self) -> tuple[list[Message], list[tuple[date, Message]]]:
        if self._sorted is None:
            self._sorted = [], []
            for one in self.records.values():
                if one.waits:
                    self._sorted[0].append(one)
                else:
                    self._sorted[1].append((one.timestamp.date(), one))
        return self._sorted

    def waiting(self, receivers: Collection[str] | None) -> list[str]:
        """The ids of those that wait, to these receivers (None: to anybody)."""
        return [one.id for one in self._parts()[0] if receivers is None or one.to in receivers]

    def past(self, receivers: Collection[str] | None, *, after: int = -1, upto: int = 2**53, days: Days = ALWAYS) -> list[str]:
        """The ids of those that wait no more."""
        first, last = days
        return [
            one.id
            for day, one in self._parts()[1]
            if first <= day <= last and after < one.seq <= upto and (receivers is None or one.to in receivers)
        ]

    def fetch(self, keys: Sequence[str]) -> None:
        """They are at hand."""

    def __getitem__(self, key: str) -> Message:
        return self.records[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


class Mail(Table[str, "Message"]):
    """The messages of a state. On a long shelf only what is asked for is listed and read."""

    __slots__ = ("_shelf",)

    def __init__(self, base: Mapping[str, Message], over: Mapping[str, Message | None] | None = None) -> None:
        self._shelf = base if isinstance(base, Shelf) else Heap(dict(base))
        super().__init__(self._shelf, over)

    def _plain(self) -> dict[str, Message] | None:
        return self._shelf.records if isinstance(self._shelf, Heap) else None

    def to(self, *receivers: str) -> list[Message]:
        """All to any of these receivers."""
        keys = [*self._shelf.waiting(receivers), *self._shelf.past(receivers)]
        return self._read(keys, lambda one: one.to in receivers)

    def coming(self, after: int, *receivers: str) -> list[Message]:
        """Those to any of these receivers that wait, or have a higher seq."""
        keys = [*self._shelf.waiting(receivers), *self._shelf.past(receivers, after=after)]
        return self._read(keys, lambda one: one.to in receivers and (one.waits or one.seq > after))

    def numbered(self, seq: int) -> list[Message]:
        """Those that the event with that seq made."""
        keys = [*self._shelf.waiting(None), *self._shelf.past(None, after=seq - 1, upto=seq)]
        return self._read(keys, lambda one: one.seq == seq)

    def waiting(self, choose: Callable[[Iterable[str]], Iterable[str]] = iter) -> list[Message]:
        """Those that wait, to anybody. `choose`: which of those ids are worth a look."""
        keys = choose(self._shelf.waiting(None))
        new = set(choose(self._over))
        return self._read(keys, lambda one: one.waits and (one.id not in self._over or one.id in new))

    def said(self, first: date = date.min, last: date = date.max) -> list[str]:
        """The ids of those that were said on one of these days, and of all that wait."""
        known = (*self._shelf.waiting(None), *self._shelf.past(None, days=(first, last)))
        new = (one for one in self._over.values() if one is not None)
        return [key for key in known if key not in self._over] + [
            one.id for one in new if one.waits or first <= one.timestamp.date() <= last
        ]

    def some(self, keys: Iterable[str]) -> list[Message]:
        """Those with these ids, read at once."""
        wanted = list(keys)
        self._shelf.fetch([key for key in wanted if key not in self._over])
        return [self[key] for key in wanted]

    def _read(self, keys: Iterable[str], fits: Callable[[Message], bool]) -> list[Message]:
        kept = self.some(key for key in keys if key not in self._over)
        return [one for one in (*kept, *self._over.values()) if one is not None and fits(one)]


class Outline(NamedTuple):
    """Holds what says when an open task can be done, by whom, and what it is called: all but its texts."""

    seq: int
    title: str
    priority: int
    needs: tuple[int, ...]
    files: tuple[str, ...]
    to: str | None
    phase: str | None
    phases: tuple[str, ...]
    parent: int | None
    parts: int
    key: str | None
    id: str


def outline(task: Task) -> Outline:
    """Return the outline of a task."""
    return Outline(
        task.seq, task.title, task.priority, task.needs, task.files, task.to, task.phase, task.phases, task.parent, task.parts,
        task.key, task.id,
    )  # fmt: skip


class Backlog(Mapping[int, "Task"]):
    """Tasks that lie in a tree: those that are done are not looked at, and of the open ones outlines are kept."""

    @abstractmethod
    def outlines(self) -> Mapping[int, Outline]:
        """Return the outlines of the open tasks, by number."""

    @abstractmethod
    def closed(self, last: date) -> list[int]:
        """Return the numbers of those that were closed on that day or before it."""

    @abstractmethod
    def fetch(self, keys: Sequence[int]) -> None:
        """Reads those tasks at once, so that asking for each costs nothing."""

    @abstractmethod
    def recall(self) -> str | None:
        """Return what was noted of all open tasks together; None where nothing was."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Notes that of all open tasks, for whoever reads the same ones."""


class TaskTable(Table[int, "Task"]):
    """The tasks of a state, by number. What nobody asks for is not read."""

    __slots__ = ("_noted", "_opened")

    def __init__(self, base: Mapping[int, Task], over: Mapping[int, Task | None] | None = None) -> None:
        super().__init__(base, over)
        self._opened: dict[int, Outline] | None = None
        self._noted: str | None = None

    def open(self) -> Mapping[int, Outline]:
        """Return the outlines of the open tasks, by number."""
        if self._opened is None:
            base = self._base
            if isinstance(base, Backlog):
                found = dict(base.outlines())
            else:
                found = {seq: outline(task) for seq, task in base.items() if task.status == "open"}
            for seq, task in self._over.items():
                found.pop(seq, None)
                if task is not None and task.status == "open":
                    found[seq] = outline(task)
            self._opened = found
        return self._opened

    def closed(self, last: date = date.max) -> list[Task]:
        """Return those that were closed on that day or before it."""
        base = self._base
        if isinstance(base, Backlog):
            keys = [key for key in base.closed(last) if key not in self._over]
            base.fetch(keys)
            kept = [base[key] for key in keys]
        else:
            kept = [task for key, task in base.items() if key not in self._over]
        every = [*kept, *(task for task in self._over.values() if task is not None)]
        return [task for task in every if task.done_at is not None and task.status != "open" and task.done_at.date() <= last]

    def some(self, keys: Iterable[int]) -> list[Task]:
        """Return those with these numbers, read at once; what isn't there is left out."""
        wanted = list(keys)
        if isinstance(self._base, Backlog):
            self._base.fetch([key for key in wanted if key not in self._over])
        return [task for task in map(self.get, wanted) if task is not None]

    def recall(self) -> str | None:
        """Return what was noted of these open tasks before; None where nothing was."""
        if self._noted is None and isinstance(self._base, Backlog) and not self._over:
            self._noted = self._base.recall()
        return self._noted

    def note(self, text: str) -> None:
        """Notes that of these open tasks, for the next process that reads them."""
        self._noted = text
        if isinstance(self._base, Backlog) and not self._over:
            self._base.note(text)
