"""Records as they lie in a tree: listed, read and parsed when somebody asks, so that a long past costs nothing.

`tree` says where they lie; here is how little of it has to be looked at. What waits is under its receiver, so all of that is
few; what is past is under its day, and its file's name begins with its seq, so that a cursor passes it unread.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, Protocol

from gitcoord.core.addresses import TO_ALL
from gitcoord.core.readiness import as_outline
from gitcoord.core.records import ENDED, Heartbeat, Message, Record, Session, Task, TaskKey
from gitcoord.core.tables import ALWAYS, Backlog, Days, Outline, Register, Shelf, Signs
from gitcoord.core.times import read_instant


class FolderEntry(Protocol):
    """One line of a folder."""

    @property
    def name(self) -> str:
        """Its name there."""

    @property
    def oid(self) -> str:
        """Its object."""

    @property
    def folder(self) -> bool:
        """Whether it is a folder; else it is a plain file."""


class LazyFolder(Protocol):
    """What lies in a folder, by name."""

    def __iter__(self) -> Iterator[Any]:
        """Its entries."""

    def last_name(self) -> str:
        """The last file's name where that is known without going through all; else ""."""


_NUMBERED = re.compile(r"([0-9]{10,16})-", re.ASCII)
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)

Facts = MutableMapping[str, str]
Listing = Callable[[Sequence[str]], Sequence[LazyFolder]]
Reading = Callable[[Sequence[str]], list[bytes | None]]
Parsing = Callable[[bytes], Record | None]


class StoredSessions(Register):
    """The sessions of a tree: the object of each, by name. Of one that has ended the facts are kept: its record changes no more.
    `heartbeats`: the newest of each live one, which tell more than its record where they are newer.
    """

    def __init__(
        self, files: Mapping[str, str], read: Reading, parse: Parsing, facts: Facts, heartbeats: Mapping[str, Heartbeat]
    ) -> None:
        self._files = files
        self._heartbeats = heartbeats
        self._read = read
        self._parse = parse
        self._facts = facts
        self._data: dict[str, bytes] = {}
        self._known: dict[str, Session] = {}
        self._signs: dict[str, Signs] | None = None

    def signs(self) -> Mapping[str, Signs]:
        """What counts of each: of the ended ones from what is known, of the others their JSON is read; nothing is parsed."""
        if self._signs is None:
            found = {name: _recalled(self._facts.get(oid)) for name, oid in self._files.items()}
            missing = [name for name, signs in found.items() if signs is None]
            for name, data in zip(missing, self._read([self._files[name] for name in missing]) if missing else (), strict=True):
                self._data[name] = data or b""
                signs = found[name] = _signs(json.loads(self._data[name]), self._heartbeats.get(name))
                if not signs.live:
                    told = [signs.ended_at and int(signs.ended_at.timestamp()), int(signs.last_heartbeat.timestamp()), signs.host]
                    self._facts[self._files[name]] = json.dumps(told)
            self._signs = {name: signs for name, signs in found.items() if signs is not None}
        return self._signs

    def __getitem__(self, key: str) -> Session:
        if key not in self._known:
            data = self._data[key] if key in self._data else self._read([self._files[key]])[0]
            record = self._parse(data or b"")
            if not isinstance(record, Session):
                raise KeyError(key)
            self._known[key] = with_heartbeat(record, self._heartbeats.get(key))
        return self._known[key]

    def __contains__(self, key: object) -> bool:
        return key in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def items(self) -> Any:
        """All of them, read at once."""
        self.fetch(list(self._files))
        return super().items()

    def fetch(self, keys: Sequence[str]) -> None:
        """Reads those records at once."""
        missing = [key for key in keys if key not in self._known and key not in self._data]
        if missing:
            read = self._read([self._files[key] for key in missing])
            self._data |= {key: data or b"" for key, data in zip(missing, read, strict=True)}


def with_heartbeat(session: Session, beat: Heartbeat | None) -> Session:
    """Return the session with what its newest heartbeat says of it, where its record is older: when it was heard, what it did."""
    if beat is None:
        return session
    heard, worked = max(session.last_heartbeat, beat.timestamp), max(session.worked_seq, beat.worked_seq)
    if (heard, worked) == (session.last_heartbeat, session.worked_seq):
        return session
    return session.model_copy(update={"last_heartbeat": heard, "worked_seq": worked})


def _signs(record: Mapping[str, Any], beat: Heartbeat | None) -> Signs:
    ended, heard = record.get("ended_at"), read_instant(record["last_heartbeat"])
    return Signs(
        record.get("status", "active") not in ENDED, read_instant(ended) if ended else None,
        heard if beat is None else max(heard, beat.timestamp), record.get("host"),
    )  # fmt: skip


def _recalled(fact: str | None) -> Signs | None:
    """The signs of an ended session as they were noted; None where they weren't, or can't be read. Instants are noted as seconds
    since 1970: a thousand of them are read in a millisecond.
    """
    if fact is None:
        return None
    try:
        ended, heard, host = json.loads(fact)
        if not isinstance(host, str | None):
            return None
        over = None if ended is None else datetime.fromtimestamp(ended, UTC)
        return Signs(False, over, datetime.fromtimestamp(heard, UTC), host)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


class _Past(NamedTuple):
    """A folder of one day: what was sent to one receiver then and waits no more. `room`: the receiver as a folder is called."""

    day: date
    room: str
    oid: str


class StoredMessages(Shelf):
    """The messages of a tree. `root`: its folder of messages."""

    def __init__(self, root: str, listing: Listing, read: Reading, parse: Parsing, facts: Facts) -> None:
        self._root = root
        self._facts = facts
        self._listing = listing
        self._read = read
        self._parse = parse
        self._listed: dict[str, LazyFolder] = {}
        self._places: dict[str, str] = {}  # the object of each message that was listed, by its id
        self._complete = False
        self._known: dict[str, Message] = {}

    def waiting(self, receivers: Collection[str] | None) -> list[str]:
        """The ids of those that wait."""
        found = []
        for entry in self._open(receivers):
            if not entry.folder:
                key = entry.name.removesuffix(".json")  # whatever it looks like: an id may begin with digits and a dash
                self._places[key] = entry.oid
                found.append(key)
        return found

    def _open(self, receivers: Collection[str] | None) -> list[FolderEntry]:
        """What lies right below those receivers."""
        kinds = {entry.name: entry.oid for entry in self._entries([self._root])[0] if entry.folder and entry.name != "read"}
        found: list[FolderEntry] = []
        if "broadcast" in kinds and (receivers is None or TO_ALL in receivers):
            found += self._entries([kinds["broadcast"]])[0]
        wanted = None if receivers is None else {_spot(one) for one in receivers}
        rooms = [kind for kind in kinds if kind != "broadcast" and (wanted is None or any(kind == spot[0] for spot in wanted))]
        oids: list[str] = []
        for kind, entries in zip(rooms, self._entries([kinds[kind] for kind in rooms]), strict=True):
            oids += [one.oid for one in entries if one.folder and (wanted is None or (kind, one.name) in wanted)]
        return found + [entry for entries in self._entries(oids) for entry in entries]

    def past(self, receivers: Collection[str] | None, *, after: int = -1, upto: int = 2**53, days: Days = ALWAYS) -> list[str]:
        """The ids of those that wait no more; their names alone are looked at."""
        rooms = None if receivers is None else {one.replace(":", "%3A") for one in receivers}  # all else in them stays as it is
        folders = [one for one in self._days(days) if rooms is None or one.room in rooms]
        if after >= 0:
            folders = self._newer(folders, after)
        found = []
        for entries in self._entries([one.oid for one in folders]):
            for entry in entries:
                seq, key = self._place(entry.name, entry.oid)
                if after < seq <= upto:
                    found.append(key)
        return found

    def _newer(self, folders: list[_Past], after: int) -> list[_Past]:
        """Those in which something may have a higher seq: names begin with it, so the last one is the newest."""
        unknown = [one.oid for one in folders if one.oid not in self._facts]
        for oid, entries in zip(unknown, self._entries(unknown), strict=True):
            self._facts[oid] = entries.last_name()
        return [one for one in folders if not (last := self._facts[one.oid]) or _number(last) > after]

    def _days(self, days: Days) -> list[_Past]:
        top = {entry.name: entry.oid for entry in self._entries([self._root])[0] if entry.folder}
        kinds = [name for name in ("broadcast", "read") if name in top]
        found: list[_Past] = []
        for kind, entries in zip(kinds, self._entries([top[name] for name in kinds]), strict=True):
            chosen = [(day, one.oid) for one in entries if one.folder and days[0] <= (day := _day(one.name)) <= days[1]]
            if kind == "broadcast":
                found += [_Past(day, TO_ALL, oid) for day, oid in chosen]
                continue
            for (day, _), below in zip(chosen, self._entries([oid for _, oid in chosen]), strict=True):
                found += [_Past(day, one.name, one.oid) for one in below if one.folder]
        return found

    def _entries(self, oids: Sequence[str]) -> list[LazyFolder]:
        """What lies in those folders, each listed once."""
        missing = [oid for oid in dict.fromkeys(oids) if oid not in self._listed]
        if missing:
            self._listed |= zip(missing, self._listing(missing), strict=True)
        return [self._listed[oid] for oid in oids]

    def _place(self, name: str, oid: str) -> tuple[int, str]:
        """Return seq and id of a file of the past, whose place is noted."""
        _, _, key = name.removesuffix(".json").partition("-")
        self._places[key] = oid
        return _number(name), key

    def _complete_list(self) -> dict[str, str]:
        if not self._complete:
            self.waiting(None)
            self.past(None)
            self._complete = True
        return self._places

    def fetch(self, keys: Sequence[str]) -> None:
        """Reads those messages at once."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._known]
        if any(key not in self._places for key in missing):
            self._complete_list()
        for key, data in zip(missing, self._read([self._places[key] for key in missing]) if missing else (), strict=True):
            record = self._parse(data or b"")
            if not isinstance(record, Message):
                raise KeyError(key)
            self._known[key] = record

    def __getitem__(self, key: str) -> Message:
        if key not in self._known:
            self.fetch([key])
        return self._known[key]

    def __contains__(self, key: object) -> bool:
        return key in self._places or key in self._complete_list()

    def __iter__(self) -> Iterator[str]:
        return iter(self._complete_list())

    def __len__(self) -> int:
        return len(self._complete_list())

    def items(self) -> Any:
        """All of them, read at once."""
        self.fetch(list(self._complete_list()))
        return super().items()


def _number(name: str) -> int:
    """The seq that a file's name begins with; 0 where it doesn't."""
    found = _NUMBERED.match(name)
    return int(found[1]) if found else 0


def _spot(receiver: str) -> tuple[str, str]:
    kind, colon, name = receiver.partition(":")
    return (kind, name) if colon else ("direct", receiver)


def _day(name: str) -> date:
    found = _DAY.fullmatch(name)
    try:
        return date(*map(int, found.groups())) if found else date.min
    except ValueError:
        return date.min


# --- tasks ---------------------------------------------------------------------------------------------------------------

OUTLINES, SUMMARY = "tasks:", "plan:"
"""What the facts about a folder of tasks, and about all open ones, begin with: they are kept apart from all other facts."""


def hundred(seq: int) -> str:
    """Return the folder of a task's number: one for each hundred, so that a change of one writes few lines anew."""
    return f"{seq // 100:04}"


def key_digest(key: str) -> str:
    """Return how the file of a task's key is called."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _Folders:
    """The folders below one of a tree, each listed once."""

    def __init__(self, root: str, listing: Listing) -> None:
        self._root, self._listing = root, listing
        self._listed: dict[str, LazyFolder] = {}

    def entries(self, oids: Sequence[str]) -> list[LazyFolder]:
        """Return what lies in those folders."""
        missing = [oid for oid in dict.fromkeys(oids) if oid not in self._listed]
        if missing:
            self._listed |= zip(missing, self._listing(missing), strict=True)
        return [self._listed[oid] for oid in oids]

    def below(self, *path: str) -> dict[str, str]:
        """Return the objects right below that path, by name."""
        oid = self._root
        for name in path:
            oid = next((one.oid for one in self.entries([oid])[0] if one.folder and one.name == name), "")
            if not oid:
                return {}
        return {one.name: one.oid for one in self.entries([oid])[0]}

    def oid(self, name: str) -> str:
        """Return the object of the folder of that name right below; "" where there is none."""
        return next((one.oid for one in self.entries([self._root])[0] if one.folder and one.name == name), "")


class StoredTasks(Backlog):
    """The tasks of a tree. Of the open ones the outlines are kept for each folder: only a folder that changed is read again."""

    def __init__(self, root: str, listing: Listing, read: Reading, parse: Parsing, facts: Facts) -> None:
        self._folders = _Folders(root, listing)
        self._read, self._parse, self._facts = read, parse, facts
        self._known: dict[int, Task] = {}
        self._past: dict[int, str] | None = None
        self._outlines: dict[int, Outline] | None = None

    def outlines(self) -> Mapping[int, Outline]:
        """Return the outlines of the open tasks, by number."""
        if self._outlines is None:
            folders = list(self._folders.below("open").values())
            missing = [oid for oid in folders if f"{OUTLINES}{oid}" not in self._facts]
            files = [[one.oid for one in entries if not one.folder] for entries in self._folders.entries(missing)]
            data = iter(self._read([oid for group in files for oid in group]) if missing else ())
            for oid, group in zip(missing, files, strict=True):
                self._facts[f"{OUTLINES}{oid}"] = json.dumps([_row(json.loads(next(data) or b"")) for _ in group])
            rows = (row for oid in folders for row in json.loads(self._facts[f"{OUTLINES}{oid}"]))
            self._outlines = {row[0]: as_outline(row) for row in rows}
        return self._outlines

    def recall(self) -> str | None:
        """Return what was noted of all open tasks together."""
        return self._facts.get(f"{SUMMARY}{self._folders.oid('open')}")

    def note(self, text: str) -> None:
        """Notes that of all open tasks."""
        self._facts[f"{SUMMARY}{self._folders.oid('open')}"] = text

    def closed(self, last: date) -> list[int]:
        """Return the numbers of those that were closed on that day or before it."""
        days = {name: oid for name, oid in self._folders.below("closed").items() if _day(name) <= last}
        found: dict[int, str] = {}
        for entries in self._folders.entries(list(days.values())):
            found |= {seq: one.oid for one in entries if (seq := _seq(one.name))}
        self._past = {**(self._past or {}), **found} if last != date.max else found
        return list(found)

    def _place(self, seq: int) -> str:
        """Return the object of a task; "" where there is none."""
        here = self._folders.below("open", hundred(seq)).get(f"{seq}.json", "")
        if here:
            return here
        if self._past is None or seq not in self._past:
            self.closed(date.max)
        return (self._past or {}).get(seq, "")

    def __getitem__(self, key: int) -> Task:
        if key not in self._known:
            self.fetch([key])
        return self._known[key]

    def __contains__(self, key: object) -> bool:
        return key in self._known or (isinstance(key, int) and bool(self._place(key)))

    def _all(self) -> list[int]:
        folders = self._folders.entries(list(self._folders.below("open").values()))
        return [seq for entries in folders for one in entries if (seq := _seq(one.name))] + self.closed(date.max)

    def __iter__(self) -> Iterator[int]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> Any:
        """All of them, read at once."""
        self.fetch(self._all())
        return super().items()

    def fetch(self, keys: Sequence[int]) -> None:
        """Reads those tasks at once; what isn't there is left out."""
        places = {key: oid for key in keys if key not in self._known and (oid := self._place(key))}
        for key, data in zip(places, self._read(list(places.values())) if places else (), strict=True):
            record = self._parse(data or b"")
            if isinstance(record, Task):
                self._known[key] = record


def _seq(name: str) -> int:
    number = name.removesuffix(".json")
    return int(number) if number.isascii() and number.isdigit() else 0


def _row(task: Mapping[str, Any]) -> Outline:
    """Return the outline of a task from the JSON of its file; what has its default may be left out there."""
    return Outline(
        task["seq"], task["title"], task.get("priority", 2), task.get("needs", ()), task.get("files", ()), task.get("for"),
        task.get("phase"), task.get("phases", ()), task.get("parent"), task.get("parts", 0), task.get("key"), task["id"],
    )  # fmt: skip


class StoredKeys(Mapping[str, TaskKey]):
    """The keys of tasks in a tree. One is found by its own digest, so that it doesn't matter how many there are."""

    def __init__(self, root: str, listing: Listing, read: Reading, parse: Parsing) -> None:
        self._folders = _Folders(root, listing)
        self._read, self._parse = read, parse

    def __getitem__(self, key: str) -> TaskKey:
        digest = key_digest(key)
        oid = self._folders.below("keys", digest[:2]).get(f"{digest}.json", "")
        record = self._parse(self._read([oid])[0] or b"") if oid else None
        if not isinstance(record, TaskKey) or record.key != key:
            raise KeyError(key)
        return record

    def _all(self) -> dict[str, TaskKey]:
        folders = self._folders.entries(list(self._folders.below("keys").values()))
        data = self._read([one.oid for entries in folders for one in entries])
        records = [self._parse(one or b"") for one in data]
        return {one.key: one for one in records if isinstance(one, TaskKey)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
