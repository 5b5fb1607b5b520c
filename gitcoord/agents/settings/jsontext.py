"""A JSON text that somebody else wrote, changed in places: all that isn't meant stays as it is, byte for byte.

Takes only what every reader takes: no comments, no trailing commas, no key twice in an object that is to be changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Path = tuple[str | int, ...]
"""The keys of objects, and places in lists, that lead from the outermost object to a value."""

_BLANK = re.compile(r"[ \t\r\n]*")
_INDENTED = re.compile(r"\n([ \t]+)[\"\[{]")
_DECODER = json.JSONDecoder()


class NotPlain(ValueError):
    """The text isn't plain JSON, or has something else where an object or a list is needed; says what and where."""


@dataclass(frozen=True)
class _Value:
    """Where a value stands; for a member of an object also its key, with where that begins."""

    start: int
    end: int
    key: str = ""
    first: int = 0

    def __post_init__(self) -> None:
        if not self.first:
            object.__setattr__(self, "first", self.start)


def load(text: str) -> Any:
    """The value of the whole text. Raises NotPlain."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise NotPlain(f"{error.msg}, line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise NotPlain("nested too deep") from None


def get(text: str, path: Path) -> Any:
    """The value at that path; None when there is none. Raises NotPlain where a value on the way is no object (or list)."""
    found = load(text)
    for done, key in enumerate(path):
        if isinstance(key, int):
            inner = _is(found, list, path[:done])
            found = inner[key] if key < len(inner) else None
        else:
            found = _is(found, dict, path[:done]).get(key)
        if found is None:
            return None
    return found


def elements(text: str, path: Path) -> Sequence[Any]:
    """The list at that path; none where there is no list."""
    found = look(text, path)
    return found if isinstance(found, list) else ()


def look(text: str, path: Path) -> Any:
    """The value at that path; None also where something else is in the way."""
    try:
        return get(text, path)
    except NotPlain:
        return None


def put(text: str, path: Path, value: Any) -> tuple[str, list[Path]]:
    """The text with a member that isn't there yet, and the paths of all objects that had to be made for it. Raises NotPlain."""
    text, made = _reach(text, path[:-1], {})
    where = _at(text, path[:-1])
    return _insert(text, where, f"{json.dumps(path[-1])}: ", value), [*made, path]


def append(text: str, path: Path, value: Any) -> tuple[str, list[Path]]:
    """The text with one more element in the list at that path, and the paths of all that had to be made for it. Raises NotPlain."""
    text, made = _reach(text, path, [])
    return _insert(text, _at(text, path), "", value), made


def replace(text: str, path: Path, which: int, value: Any) -> str:
    """The text with another value as that element of the list at that path, laid out as it would be in a list of lines."""
    child = _children(text, _at(text, path))[which]
    line = text.rfind("\n", 0, child.first) + 1
    if text[line : child.first].strip():
        said = json.dumps(value, ensure_ascii=False)
    else:
        newline: Literal["\r\n", "\n"] = "\r\n" if "\r\n" in text else "\n"
        said = _laid_out(value, text[line : child.first], _unit(text), newline)
    return text[: child.start] + said + text[child.end :]


def drop(text: str, path: Path, which: str | int) -> str:
    """The text without that member of the object, or element of the list, at that path."""
    where = _at(text, path)
    children = _children(text, where)
    place = which if isinstance(which, int) else [child.key for child in children].index(which)
    child = children[place]
    if len(children) == 1:
        return text[: where.start + 1] + text[where.end - 1 :]
    if place:
        return text[: children[place - 1].end] + text[child.end :]
    return text[: child.first] + text[children[1].first :]


def _reach(text: str, path: Path, last: Any) -> tuple[str, list[Path]]:
    """Makes what is missing on the way: objects, and `last` (an empty one) at its end."""
    made = []
    _is(load(text), dict, ())
    for length in range(1, len(path) + 1):
        here: Any = last if length == len(path) else {}
        found = get(text, path[:length])
        if found is None:
            if path[length - 1] in get(text, path[: length - 1]):  # a null isn't ours to replace
                raise NotPlain(f"{_spelt(path[:length])} is null")
            text = _insert(text, _at(text, path[: length - 1]), f"{json.dumps(path[length - 1])}: ", here)
            made.append(path[:length])
        else:
            _is(found, type(here), path[:length])
    return text, made


def _is(value: Any, kind: type, path: Path) -> Any:
    if not isinstance(value, kind):
        raise NotPlain(f"{_spelt(path)} is no {'list' if kind is list else 'object'}")
    return value


def _spelt(path: Path) -> str:
    return ".".join(map(str, path)) or "the whole"


def _at(text: str, path: Path) -> _Value:
    """Where the value at that path stands. Raises NotPlain for a key that an object on the way has twice."""
    start = _skip(text, 0)
    found = _Value(start, _DECODER.raw_decode(text, start)[1])
    for done, key in enumerate(path):
        children = _children(text, found)
        members = children[key : key + 1] if isinstance(key, int) else [child for child in children if child.key == key]
        if len(members) != 1:
            raise NotPlain(f"{_spelt(path[: done + 1])} is there {len(members)} times")
        found = members[0]
    return found


def _children(text: str, where: _Value) -> list[_Value]:
    """The members of an object, the elements of a list."""
    found = []
    at = _skip(text, where.start + 1)
    while at < where.end - 1:
        key, first = "", at
        if text[where.start] == "{":
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # behind the colon
        end = _DECODER.raw_decode(text, at)[1]
        found.append(_Value(at, end, key, first))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _insert(text: str, where: _Value, key: str, value: Any) -> str:
    """Behind the last child of an object or a list, laid out as the others are."""
    children = _children(text, where)
    newline: Literal["\r\n", "\n"] = "\r\n" if "\r\n" in text else "\n"
    unit = _unit(text)
    if children and "\n" not in text[where.start : children[0].first]:
        return f"{text[: children[-1].end]}, {key}{json.dumps(value, ensure_ascii=False)}{text[children[-1].end :]}"
    if children:
        line = text.rfind("\n", 0, children[0].first) + 1
        indent = text[line : children[0].first]
        said = key + _laid_out(value, indent, unit, newline)
        return f"{text[: children[-1].end]},{newline}{indent}{said}{text[children[-1].end :]}"
    line = text.rfind("\n", 0, where.start) + 1
    blank = re.match(r"[ \t]*", text[line:])
    outer = blank[0] if blank else ""
    indent = outer + unit
    said = f"{newline}{indent}{key}{_laid_out(value, indent, unit, newline)}{newline}{outer}"
    return text[: where.start + 1] + said + text[where.end - 1 :]


def _unit(text: str) -> str:
    """One step of indentation, as the text has it."""
    match = _INDENTED.search(text)
    return match[1] if match else "  "


def _laid_out(value: Any, indent: str, unit: str, newline: str) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", newline + indent)
