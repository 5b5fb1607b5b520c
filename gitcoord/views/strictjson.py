"""JSON of a record, read exactly: what one Python reads, every Python reads, and no reader takes the half of it.

The grammar is that of RFC 8259, in UTF-8, with these bounds: no key twice in an object, no half of a surrogate pair, at most
`DEPTH` objects and lists in each other, and a number is kept as it is spelled unless it is a whole one of at most 16 digits.
"""

from __future__ import annotations

import re
from typing import Any

DEPTH = 32
_NUMBER_LIMIT = 64  # characters of a number that no field of the format has
_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"([^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*)"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,15}")
_ESCAPE = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.)")
_CHARS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile("|".join(_WORDS))
_SURROGATE = re.compile("[\ud800-\udfff]")


class Number(str):
    """A number that no field of the format can have, as it is spelled."""

    __slots__ = ()


class Object(dict[str, Any]):
    """An object; how each of its values is spelled can be had, too."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._places: dict[str, tuple[int, int]] = {}

    def put(self, key: str, value: Any, start: int, end: int) -> None:
        """Add a value that stands there in the text."""
        self[key] = value
        self._places[key] = (start, end)

    def spelled(self, key: str) -> str:
        """Return the text of a value."""
        start, end = self._places[key]
        return self._text[start:end]


def read(data: bytes) -> Any:
    """Return the value: an `Object`, a list, a string, a whole number, a `Number`, True, False or None. Raises ValueError."""
    text = data.decode("utf-8")
    value, end = _value(text, _skip(text, 0), 0)
    if _skip(text, end) != len(text):
        raise ValueError("something stands behind the value")
    return value


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found
    return found.end()


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    first = text[at : at + 1]
    if first == '"':
        return _string(text, at)
    if first in ("{", "["):
        if depth == DEPTH:
            raise ValueError("too deep")
        return _object(text, at, depth + 1) if first == "{" else _list(text, at, depth + 1)
    number = _NUMBER.match(text, at)
    if number:
        spelled = number[0]
        if len(spelled) > _NUMBER_LIMIT:
            raise ValueError("too long a number")
        return (int(spelled) if _WHOLE.fullmatch(spelled) else Number(spelled)), number.end()
    word = _WORD.match(text, at)
    if not word:
        raise ValueError("not JSON")
    return _WORDS[word[0]], word.end()


def _string(text: str, at: int) -> tuple[str, int]:
    found = _STRING.match(text, at)
    if not found:
        raise ValueError("not a string")
    value = _ESCAPE.sub(_char, found[1]) if "\\" in found[1] else found[1]
    if _SURROGATE.search(value):
        raise ValueError("half of a surrogate pair")
    return value, found.end()


def _char(found: re.Match[str]) -> str:
    if found[1]:
        return chr(0x10000 + ((int(found[1], 16) - 0xD800) << 10) + int(found[2], 16) - 0xDC00)
    return chr(int(found[3], 16)) if found[3] else _CHARS.get(found[4], found[4])


def _list(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    at = _skip(text, at + 1)
    if text.startswith("]", at):
        return values, at + 1
    while True:
        value, at = _value(text, at, depth)
        values.append(value)
        at = _skip(text, at)
        if text.startswith("]", at):
            return values, at + 1
        at = _comma(text, at)


def _object(text: str, at: int, depth: int) -> tuple[Object, int]:
    values = Object(text)
    at = _skip(text, at + 1)
    if text.startswith("}", at):
        return values, at + 1
    while True:
        key, at = _string(text, at)
        if key in values:
            raise ValueError("a key stands twice")
        at = _skip(text, at)
        if not text.startswith(":", at):
            raise ValueError("not JSON")
        start = _skip(text, at + 1)
        value, at = _value(text, start, depth)
        values.put(key, value, start, at)
        at = _skip(text, at)
        if text.startswith("}", at):
            return values, at + 1
        at = _comma(text, at)


def _comma(text: str, at: int) -> int:
    if not text.startswith(",", at):
        raise ValueError("not JSON")
    return _skip(text, at + 1)
