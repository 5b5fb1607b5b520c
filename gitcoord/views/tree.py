"""The tree on the branch: the only file that spells a path there, both ways (state → files, files → state).

JSON in UTF-8, two-space indent, the fields in the order of the record, a newline at the end. Characters that could hide
or reorder text on a host's page are escaped inside the JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from gitcoord.core.messages import TO_ALL
from gitcoord.core.names import UNSAFE
from gitcoord.core.records import (
    BranchRecord,
    Claim,
    Foretold,
    Handoff,
    Heartbeat,
    Message,
    Record,
    Session,
    Task,
    TaskKey,
    Ticket,
    Trial,
)
from gitcoord.core.state import TABLES, State
from gitcoord.core.tables import Mail, Roll, Table, TaskTable
from gitcoord.errors import Doubtful
from gitcoord.views import strictjson
from gitcoord.views.lazy import (
    Facts,
    Listing,
    Reading,
    StoredKeys,
    StoredMessages,
    StoredSessions,
    StoredTasks,
    hundred,
    key_digest,
    with_heartbeat,
)

BOARD = "STATUS_BOARD.md"
README = "README.md"
SETTINGS = "gitcoord.json"
_Model = TypeVar("_Model", bound=BaseModel)

UNKNOWN_LIMIT = 16 * 1024
"""Bytes that all fields of a record together may have which the format doesn't name."""

_NAME_LIMIT = 200  # bytes of an encoded name in a path; longer ones are a prefix and a hash, the record has the name

_RAW = re.compile(f"(?!\n){UNSAFE.pattern}")  # JSON is laid out with newlines

_KINDS: dict[str, type[Record]] = {
    "sessions": Session, "heartbeats": Heartbeat, "claims": Claim, "waiting": Ticket,
    "messages": Message, "handoffs": Handoff, "branch": BranchRecord, "tasks": Task,
    "task_keys": TaskKey, "trials": Trial, "conflicts": Foretold,
}  # fmt: skip
_EAGER = ("heartbeats", "claims", "waiting", "handoffs", "trials", "conflicts")
_ROOTS = {*_EAGER, "messages", "sessions", "tasks"}

README_TEXT = """\
# coordination

This branch is where sessions of work on this repository coordinate: people and coding agents, on any machine that can
push here. It shares no history with the code and is never checked out. It is written by **gitcoord**; each commit is one event,
the files are the state after it. Please don't edit it by hand: an edit is ignored and mended by the next event.

Readable with git alone:

    git fetch origin coordination
    git show origin/coordination:STATUS_BOARD.md
    git log --format='%h %ad %s' --date=iso origin/coordination
    git log --grep='^Coord-Session: session-001$' origin/coordination
    git log --format='%h %s  %(trailers:key=Coord-Resource,valueonly,separator=%x20)' origin/coordination -- claims/

| here | what |
| --- | --- |
| STATUS_BOARD.md | who does what now, who holds what, what needs attention |
| sessions/ | a record of each session |
| heartbeats/ | the newest sign of life of each session; the earlier ones are the history |
| claims/ | who holds what, until when |
| waiting/ | who waits for what, in order |
| messages/ | what waits: direct/, role/, cap/, repo/ by receiver; to all by day: broadcast/; what was read, by day: read/ |
| handoffs/ | work that is ready to pick up |
| tasks/ | what there is to do: open/ by number; what is done or dropped, by day: closed/; whose ids elsewhere are known: keys/ |
| trials/ | the newest trials: branches that were merged before they landed, and what a command said to that |
| conflicts/ | who will collide with whom, and in which lines, as far as it was foretold |
| gitcoord.json | the format and the shared settings |
"""


HUB_TEXT = """\
# A hub

Sessions of work in several repositories coordinate here, with **gitcoord**. What they say and hold is on the branch
`coordination`: begin with its `STATUS_BOARD.md`.
"""


@lru_cache(maxsize=4096)
def encode_name(name: str) -> str:
    """A name as one path component: percent-encoded one-to-one, or a prefix and a hash where that gets too long."""
    encoded = "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "._-") else f"%{byte:02X}"
        for byte in name.encode("utf-8", "surrogatepass")
    )
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    if len(encoded) <= _NAME_LIMIT:
        return encoded
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return re.sub(r"%.?$", "", encoded[:150]) + "~" + digest


def path_of(table: str, record: Any) -> str:
    """Where a record stands on the branch."""
    if isinstance(record, Session | Heartbeat):  # nearly all that changes
        return f"{table}/{record.session_id}.json"
    if isinstance(record, Foretold):
        return f"conflicts/{record.key}.json"
    if isinstance(record, BranchRecord):
        return SETTINGS
    if isinstance(record, Claim):
        what = record.resource
        folder = f"claims/{what.repo}" if what.repo else "claims"
        place = f"{folder}/{what.type}-{encode_name(what.path)}"
        return f"{place}.claim" if record.mode == "exclusive" else f"{place}.d/{record.claimed_by}.claim"
    if isinstance(record, Message):
        return _message_path(record)
    if isinstance(record, Handoff):
        return f"handoffs/{record.id}.json"
    if isinstance(record, Ticket):
        return f"waiting/{record.seq}.json"
    if isinstance(record, Trial):
        return f"trials/{record.seq}.json"
    if isinstance(record, Task):
        return _task_path(record)
    digest = key_digest(record.key)
    return f"tasks/keys/{digest[:2]}/{digest}.json"


def _task_path(record: Task) -> str:
    """An open task lies among the hundred of its number, so that it is found by that; one that is over under its last day."""
    if record.is_open or record.done_at is None:
        return f"tasks/open/{hundred(record.seq)}/{record.seq}.json"
    return f"tasks/closed/{record.done_at:%Y-%m-%d}/{record.seq}.json"


def _message_path(record: Message) -> str:
    """What waits lies under its receiver; what is past under its day, with its seq, so that nobody has to read it to pass it."""
    if record.waits:
        return f"messages/{'/'.join(_folder_of(record.to))}/{record.id}.json"
    day, name = f"{record.timestamp:%Y-%m-%d}", f"{record.seq:010}-{record.id}.json"  # so the last name is the newest
    if record.to == TO_ALL:
        return f"messages/broadcast/{day}/{name}"
    return f"messages/read/{day}/{encode_name(record.to)}/{name}"


def _folder_of(receiver: str) -> tuple[str, ...]:
    """The folders, from `messages` on, where what waits for that receiver lies."""
    if receiver == TO_ALL:
        return ("broadcast",)
    kind, colon, name = receiver.partition(":")
    return (kind, name) if colon else ("direct", receiver)


def table_of(path: str) -> str | None:
    """The table that a path belongs to; None for a file that is no record (the board, the README, anything else)."""
    if path == SETTINGS:
        return "branch"
    root, _, rest = path.partition("/")
    if root == "tasks" and rest.startswith("keys/"):
        return "task_keys"
    return root if root in _ROOTS else None


def belongs(name: str) -> bool:
    """Return True if a name at the top of the tree is one of the branch's own."""
    return name in _ROOTS or name in (SETTINGS, BOARD, README)


def render(record: Record) -> bytes:
    """A record's file: JSON as it stands on the branch. Fields of a newer program stand there as they were spelled."""
    text = record.model_dump_json(indent=2, by_alias=True)
    if _has_unknown(record):
        mark = hashlib.sha256(text.encode()).hexdigest()  # no text holds its own digest
        spelled: list[str] = []
        text = _marked(record, mark, spelled).model_dump_json(indent=2, by_alias=True)
        text = re.sub(f'"{mark}([0-9]+)"', lambda found: spelled[int(found[1])], text)
    elif text.isascii() and "\x7f" not in text:
        return f"{text}\n".encode()  # of ASCII only that one can stand raw in what was just laid out
    # Within JSON only strings can hold these, and there an escape means the same.
    return (_RAW.sub(lambda found: _escape(found[0]), text) + "\n").encode()


def _escape(char: str) -> str:
    return json.dumps(char)[1:-1]


def parse(table: str, data: bytes) -> Record | None:
    """Return the record in a file; None when it is none, or when a field of the format is spelled in another way than ours."""
    try:
        values = strictjson.read(data)
    except ValueError:
        return None
    record = _read(table, data) if isinstance(values, strictjson.Object) else None
    return record if record is not None and _is_spelled(record, values) and _unknown_size(record) <= UNKNOWN_LIMIT else None


def _read(table: str, data: bytes) -> Record | None:
    """Return the record in a file that a good commit brought, so that somebody has read it strictly before."""
    try:
        record = _KINDS[table].model_validate_json(data) if table in _KINDS else None
        return _as_spelled(record, strictjson.read(data)) if record is not None and _has_unknown(record) else record
    except (ValidationError, ValueError, RecursionError):
        return None


def _parsed(table: str, data: bytes) -> Record:
    """Return the record in a file of a tree that nobody has checked. Raises Doubtful."""
    record = parse(table, data)
    if record is None:
        raise Doubtful
    return record


class _Spelled(str):
    """The JSON of a field that this program doesn't know: carried on as it is, never parsed and never laid out anew."""

    __slots__ = ()


@cache
def _models(kind: type[BaseModel]) -> tuple[str, ...]:
    """The fields of such a record that can hold further models."""
    return tuple(name for name, info in kind.model_fields.items() if _holds_models(info.annotation))


def _holds_models(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_holds_models, get_args(annotation)))


def _parts(model: BaseModel) -> Iterator[tuple[str, tuple[BaseModel, ...]]]:
    """The fields that hold further models, by name."""
    for name in _models(type(model)):
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield name, (value,)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield name, value


def _has_unknown(model: BaseModel) -> bool:
    return bool(model.model_extra) or any(_has_unknown(part) for _, parts in _parts(model) for part in parts)


def _rebuilt(model: _Model, change: Callable[[str, tuple[BaseModel, ...]], Sequence[BaseModel]], unknown: Any) -> _Model:
    """The model with its parts changed and with those values for its unknown fields."""
    update = dict(unknown)
    for name, parts in _parts(model):
        changed = tuple(change(name, parts))
        update[name] = changed if isinstance(getattr(model, name), tuple) else changed[0]
    return model.model_copy(update=update)


def _as_spelled(model: _Model, values: strictjson.Object) -> _Model:
    """The model with each field that it doesn't know as the text says it."""

    def change(name: str, parts: tuple[BaseModel, ...]) -> list[BaseModel]:
        given = values.get(name)
        below = given if isinstance(given, list) else [given]
        return [
            _as_spelled(part, one) if isinstance(one, strictjson.Object) else part for part, one in zip(parts, below, strict=True)
        ]

    return _rebuilt(model, change, {key: _Spelled(values.spelled(key)) for key in model.model_extra or ()})


def _marked(model: _Model, mark: str, spelled: list[str]) -> _Model:
    """The model with a mark in the place of each field that is carried on as text; the texts are added to `spelled`."""
    unknown = {}
    for key, value in (model.model_extra or {}).items():
        if isinstance(value, _Spelled):
            unknown[key] = f"{mark}{len(spelled)}"
            spelled.append(str(value))
    return _rebuilt(model, lambda _, parts: [_marked(part, mark, spelled) for part in parts], unknown)


def _unknown_size(model: BaseModel) -> int:
    """Bytes of all unknown fields of a record, as they are written: so carrying them on never makes more of them."""
    texts = [part for item in (model.model_extra or {}).items() for part in (json.dumps(item[0], ensure_ascii=False), str(item[1]))]
    own = sum(len(_RAW.sub(lambda found: _escape(found[0]), text).encode()) for text in texts)
    return own + sum(_unknown_size(part) for _, parts in _parts(model) for part in parts)


def _is_spelled(record: BaseModel, values: Any) -> bool:
    """True if each field of the format is there once, under its own key, with the very value that we would write; what has a
    default may be left out. Fields of others may stand beside them.
    """
    if not isinstance(values, dict):
        return False
    spelled = record.model_dump(mode="json", by_alias=True)
    for name, info in type(record).model_fields.items():
        key, value = info.alias or name, getattr(record, name)
        if key not in values:
            if info.is_required() or value != info.get_default(call_default_factory=True):
                return False
        elif not _is_same(value, spelled[key], values[key]):
            return False
        if key != name and name in values:
            return False
    return True


def _is_same(value: Any, spelled: Any, given: Any) -> bool:
    if isinstance(value, BaseModel):
        return _is_spelled(value, given)
    if isinstance(value, tuple):
        pairs = zip(value, spelled, given, strict=True) if isinstance(given, list) and len(given) == len(value) else None
        return pairs is not None and all(_is_same(*three) for three in pairs)
    if isinstance(given, strictjson.Object):
        given = dict(given)
    return type(spelled) is type(given) and bool(spelled == given)


def same_meaning(one: Record, other: Record) -> bool:
    """Whether two records agree in every field of the format; fields that the format doesn't name don't count."""
    return type(one) is type(other) and _named(one) == _named(other)


def _named(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {key: _named(getattr(value, key)) for key in type(value).model_fields}
    return [_named(item) for item in value] if isinstance(value, tuple) else value


def changes(before: State, after: State) -> dict[str, Record | None]:
    """What the last event changed, by path; None: the file goes."""
    found: dict[str, Record | None] = {}
    for table, keys in after.touched.items():
        if table == "branch":
            found[SETTINGS] = after.branch
            continue
        old_table: Mapping[Any, Record] = getattr(before, table)
        new_table: Mapping[Any, Record] = getattr(after, table)
        for key in keys:
            old, new = old_table.get(key), new_table.get(key)
            if isinstance(old, Session) and isinstance(new, Session) and new == with_heartbeat(old, after.heartbeats.get(key)):
                continue  # its heartbeat's file says all of that
            here = None if new is None else path_of(table, new)
            if old is not None and (before_it := path_of(table, old)) != here:
                found.setdefault(before_it, None)
            if here is not None:
                found[here] = new
    return found


def completed(record: Record, state: State) -> Record:
    """Return a record of a tree with what another record there says of it: a session's, with its newest heartbeat."""
    return with_heartbeat(record, state.heartbeats.get(record.session_id)) if isinstance(record, Session) else record


def all_files(state: State) -> dict[str, Record]:
    """Every record of the state, by path."""
    found: dict[str, Record] = {SETTINGS: state.branch} if state.branch else {}
    for table in TABLES:
        for record in getattr(state, table).values():
            found[path_of(table, record)] = record
    return found


def load(root: str, listing: Listing, read: Reading, facts: Facts | None = None, *, seq: int, at: Any, wary: bool = False) -> State:
    """The state in a good tree. `root`: the tree's object; `listing` gives the entries of folders, `read` the bytes of files.

    Messages are listed, and sessions read, when somebody asks. `facts`: what is known of objects by their names. `wary`: nobody has
    checked this tree; a record that no good commit can have brought raises Doubtful, whenever it is come upon.
    """
    facts = {} if facts is None else facts
    parsed = _parsed if wary else _read
    top = {entry.name: entry for entry in listing([root])[0]}
    eager = [(SETTINGS, top[SETTINGS].oid)] if SETTINGS in top else []
    eager += _below([(name, top[name].oid) for name in _EAGER if name in top and top[name].folder], listing)
    # Each table holds records of its own kind: parse() saw to it.
    tables: dict[str, dict[Any, Any]] = {name: {} for name in _KINDS}
    for (path, _), data in zip(eager, read([oid for _, oid in eager]), strict=True):
        table = table_of(path)
        assert table is not None
        record = parsed(table, data or b"")
        if record is not None:
            tables[table][_key(record)] = record
    mail, sessions, plan = top.get("messages"), top.get("sessions"), top.get("tasks")
    people = {entry.name.removesuffix(".json"): entry.oid for entry in listing([sessions.oid])[0]} if sessions else {}
    return State(
        seq=seq,
        at=at,
        branch=tables["branch"].get(""),
        sessions=Roll(StoredSessions(people, read, lambda data: parsed("sessions", data), facts, tables["heartbeats"])),
        heartbeats=Table(tables["heartbeats"]),
        claims=Table(tables["claims"]),
        waiting=Table(tables["waiting"]),
        messages=Mail(StoredMessages(mail.oid, listing, read, lambda data: parsed("messages", data), facts) if mail else {}),
        handoffs=Table(tables["handoffs"]),
        tasks=TaskTable(StoredTasks(plan.oid, listing, read, lambda data: parsed("tasks", data), facts) if plan else {}),
        trials=Table(tables["trials"]),
        conflicts=Table(tables["conflicts"]),
        task_keys=Table(StoredKeys(plan.oid, listing, read, lambda data: parsed("task_keys", data)) if plan else {}),
    )


def is_sound(root: str, listing: Listing, read: Reading) -> bool:
    """Return True if a tree that nobody has checked holds nothing but records, each spelled as strictly as a new one and standing
    where it belongs, and pages for people. It is read as a whole.
    """
    top = listing([root])[0]
    files = [(entry.name, entry.oid) for entry in top if not entry.folder and entry.name not in (BOARD, README)]
    files += _below([(entry.name, entry.oid) for entry in top if entry.folder], listing)
    if not all(belongs(entry.name) and entry.folder is (entry.name in _ROOTS) for entry in top):
        return False
    for (path, _), data in zip(files, read([oid for _, oid in files]), strict=True):
        table = table_of(path)
        record = parse(table, data) if table is not None and data is not None else None
        if table is None or record is None or path_of(table, record) != path:
            return False
    return True


def _below(folders: list[tuple[str, str]], listing: Listing) -> list[tuple[str, str]]:
    """Path and object of every file below those folders, a level at a time."""
    files: list[tuple[str, str]] = []
    while folders:
        deeper: list[tuple[str, str]] = []
        for (path, _), entries in zip(folders, listing([oid for _, oid in folders]), strict=True):
            for entry in entries:
                (deeper if entry.folder else files).append((f"{path}/{entry.name}", entry.oid))
        folders = deeper
    return files


def _key(record: Record) -> Any:
    if isinstance(record, Claim | Foretold):
        return record.key
    if isinstance(record, Session | Heartbeat):
        return record.session_id
    if isinstance(record, Message | Handoff):
        return record.id
    if isinstance(record, Ticket | Task | Trial):
        return record.seq
    if isinstance(record, TaskKey):
        return record.key
    return ""


def replaced(state: State, records: Mapping[str, Record]) -> State:
    """The state with records as the tree has them (a newer program's extra fields included)."""
    tables: dict[str, dict[Any, Record]] = {}
    for path, record in records.items():
        table = table_of(path)
        assert table is not None
        tables.setdefault(table, {})[_key(record)] = record
    fields: dict[str, Any] = {
        table: getattr(state, table).with_changes(found) for table, found in tables.items() if table != "branch"
    }
    if "branch" in tables:
        fields["branch"] = tables["branch"][""]
    return State(**{**state.__dict__, **fields})
