"""Event ↔ commit message: a subject for people, the event's free text, and git trailers that hold all the rest.

Any allowed text comes back exactly as it went in. What a reader or a terminal must not meet raw (control characters,
hidden ones, blanks at the end of a line) is written as `\\u{1B}`; so is a backslash before `u{`, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from gitcoord.core.events import Event
from gitcoord.core.names import UNSAFE, show
from gitcoord.core.rules import EVENTS
from gitcoord.core.state import Draft, State
from gitcoord.core.times import read_instant, spell
from gitcoord.core.values import is_event_kind, read_switch, read_whole

SUBJECT_WIDTH = 72  # columns of a subject: what `git log --oneline` shows beside a name
_SKIP = "[skip ci]"
_TITLE = re.compile(r"Coord-[A-Za-z0-9-]+")
_ESCAPED = re.compile(r"\\u\{([0-9A-F]{0,6})\}")
_HEAD_FIELDS = {"id": "Id", "seq": "Seq", "session": "Session", "run_id": "Run"}
_NOT_TRAILERS = frozenset({"id", "seq", "session", "run_id", "at"})


class Malformed(ValueError):
    """The commit's message is no event of this format."""


class UnknownEvent(Event):
    """An event of a kind that this program doesn't know. Good only where it touches no record."""

    kind: ClassVar[str] = ""
    known: ClassVar[bool] = False
    named: str = ""

    def headline(self) -> str:
        """Never written by this program."""
        return self.named

    def evolve(self, draft: Draft) -> None:
        """Nothing that this program could know."""

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Valid: what it may touch is looked at in the tree."""
        return None


@dataclass(frozen=True)
class Decoded:
    """An event as read, and the version of the program that wrote it ("" when it doesn't say)."""

    event: Event
    writer: str


def _mark(match: re.Match[str]) -> str:
    return f"\\u{{{ord(match[0]):X}}}"


def escape_line(text: str) -> str:
    """One line that holds any text."""
    if not text:
        return "\\u{}"
    text = UNSAFE.sub(_mark, text.replace("\\u{", "\\u{5C}u{"))
    return re.sub(r"^ | $", _mark, text)


def escape_text(text: str) -> str:
    """The body of a commit that holds any text: its lines stay lines."""
    text = text.replace("\\u{", "\\u{5C}u{")
    text = UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else _mark(match), text)
    text = re.sub(r"[ ](?=\n|\Z)", _mark, text)  # blanks at the end of a line
    text = re.sub(r"\A\n+|\n+\Z", lambda match: "\\u{A}" * len(match[0]), text)  # empty lines at either end
    return re.sub(r"^\[(?=skip ci\]$)", _mark, text, flags=re.MULTILINE)


def unescape(text: str) -> str:
    """What `escape_line` or `escape_text` was given. Raises Malformed for a character that isn't one."""

    def char(match: re.Match[str]) -> str:
        if not match[1]:
            return ""
        code = int(match[1], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise Malformed("not a character")
        return chr(code)

    return _ESCAPED.sub(char, text) if "\\u{" in text else text


_READ: dict[type, Callable[[str], Any]] = {bool: read_switch, int: read_whole, datetime: read_instant, str: unescape}
"""How a trailer's value is read, by the type of its field; nothing is left to the library that holds the fields together."""


def _type_of(annotation: Any) -> type:
    """Return the plain type of a field, of one of several where it is repeated."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Annotated, tuple):
        return _type_of(arguments[0])
    if origin in (Union, UnionType):
        return _type_of(next(one for one in arguments if one is not type(None)))
    return type(arguments[0]) if origin is Literal else annotation


@lru_cache(maxsize=64)
def _fields(kind: type[Event]) -> dict[str, tuple[str, bool]]:
    """For each field that becomes a trailer: the trailer's name and whether it is repeated."""
    found = {}
    for name, info in kind.model_fields.items():
        if name in _NOT_TRAILERS or name == kind.text:
            continue
        title = kind.trailers.get(name) or name.replace("_", "-").title()
        found[name] = (f"Coord-{title}", get_origin(info.annotation) is tuple)
    return found


@lru_cache(maxsize=64)
def _plan(kind: type[Event]) -> list[tuple[str, str, bool, Callable[[str], Any]]]:
    """How an event of that kind is read: for each field its trailer, whether that is repeated, and what reads its value."""
    titles = {name: (f"Coord-{title}", False) for name, title in _HEAD_FIELDS.items()}
    if kind is not UnknownEvent:
        titles |= _fields(kind)
    reads = {name: _READ[_type_of(info.annotation)] for name, info in kind.model_fields.items()}
    return [(name, title, repeated, reads[name]) for name, (title, repeated) in titles.items()]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return spell(value)
    return escape_line(str(value))


def encode(event: Event, *, writer: str, skip_ci: bool, signs: int = 0) -> str:
    """The commit message of an event. `signs`: how many commits, this one and those right before it, its signature is for."""
    trailers = [f"Coord-Event: {event.kind}"]
    for name, title in _HEAD_FIELDS.items():
        value = getattr(event, name)
        if value != "":
            trailers.append(f"Coord-{title}: {_value(value)}")
    for name, (title, repeated) in _fields(type(event)).items():
        value = getattr(event, name)
        if repeated:
            trailers += [f"{title}: {_value(item)}" for item in value]
        elif value is not None and value != type(event).model_fields[name].default:
            trailers.append(f"{title}: {_value(value)}")
    trailers += [f"Coord-Signs: {signs}"] if signs > 1 else []
    trailers.append(f"Coord-Writer: {writer}")
    body = getattr(event, event.text) if event.text else None
    parts = [show(event.headline(), _width(event)).rstrip()]
    if body is not None:
        parts.append(escape_text(body) or "\\u{}")
    if skip_ci:
        parts.append(_SKIP)
    parts.append("\n".join(trailers))
    return "\n\n".join(parts) + "\n"


def _width(event: Event) -> int:
    # A claim's subject ends in what matters (until when, which fence), so it is cut only where it gets absurd.
    return 400 if event.kind.startswith("claim.") else SUBJECT_WIDTH


def decode(message: str, *, at: datetime | None) -> Decoded:
    """The event in a commit message; `at` is the commit's author date. Raises Malformed."""
    head, gap, last = message.rstrip("\n").rpartition("\n\n")
    if not gap or at is None:
        raise Malformed("it is no event of this branch")
    found: dict[str, list[str]] = {}
    for line in last.split("\n"):
        title, gap, value = line.partition(": ")
        if not (gap and _TITLE.fullmatch(title)):
            raise Malformed("it is no event of this branch")
        unescape(value)  # also in a trailer that this program doesn't know
        found.setdefault(title, []).append(value)
    kind = _one(found, "Coord-Event")
    if kind is None or not is_event_kind(kind):
        raise Malformed("it names no event")
    cls = EVENTS.get(kind, UnknownEvent)
    values: dict[str, Any] = {"at": at}
    if cls is UnknownEvent:
        values["named"] = kind
    elif cls.text:
        values[cls.text] = _body(head)
    for name, title, repeated, read in _plan(cls):
        if title in found:
            values[name] = _read(name, title, found[title], read, repeated=repeated)
    try:
        event = cls.model_validate(values, strict=True)
    except ValidationError as error:
        raise Malformed(_why(error)) from None
    return Decoded(event, show(_one(found, "Coord-Writer") or "", 64))


def _read(name: str, title: str, lines: list[str], read: Callable[[str], Any], *, repeated: bool) -> Any:
    if len(lines) != 1 and not repeated:
        raise Malformed(f"it has {len(lines)} {title} lines")
    try:
        return tuple(map(read, lines)) if repeated else read(lines[0])
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"its {name} is not valid: {error}") from None


def _why(error: ValidationError) -> str:
    """Return what is wrong in words of ours: those of the library are other ones with its next version."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "event"
    if first["type"] == "missing":
        return f"its {name} is missing"
    ours = first.get("ctx", {}).get("error")
    return f"its {name} is not valid" + (f": {ours}" if isinstance(ours, ValueError) else "")


def _one(found: Mapping[str, list[str]], title: str) -> str | None:
    values = found.get(title)
    if values is not None and len(values) != 1:
        raise Malformed(f"it has {len(values)} {title} lines")
    return values[0] if values else None


def _body(head: str) -> str | None:
    """The text between the subject and the trailers."""
    _, gap, rest = head.partition("\n\n")
    if not gap or rest == _SKIP:
        return None
    return unescape(rest.removesuffix(f"\n\n{_SKIP}"))


def unreadable(event: Event, message: str) -> str | None:
    """Return why the message wouldn't give the event back; None where it does."""
    try:
        again = decode(message, at=event.at).event
    except Malformed as error:
        return f"the event can't be read back: {error}"
    return None if again == event else "the event reads back as another one"
