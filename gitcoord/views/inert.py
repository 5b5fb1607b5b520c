"""Text that sessions wrote, as plain characters of a page: it can't be markup, a link, a mention or an image."""

from __future__ import annotations

import re
from functools import lru_cache

from gitcoord.core.names import show, unblank

CELL = 120  # bytes of anybody's text, escapes included
_ESCAPED = frozenset("\\`*_{}[]()#!~^$")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}  # an escaped bar ends a table's cell for some readers
_SCHEME = re.compile(r"(?i:mailto|xmpp)\Z", re.ASCII)  # those that need no "//" behind them
_WWW = re.compile(r"(?i:www)\Z", re.ASCII)
_JOINER = "\u2060"  # has no width and breaks what a host would make of "@name", "www." or "scheme://"


@lru_cache(maxsize=4096)  # the same texts stand on one board after the other
def inert(text: str, limit: int = CELL) -> str:
    """Return a session's text as plain characters of a Markdown cell, at most `limit` bytes long."""
    text = show(unblank(text), limit)
    parts: list[str] = []
    size = 0
    for index, char in enumerate(text):
        part = "\\" + char if char in _ESCAPED else _ENTITIES.get(char, char)
        if char == "@" or (char == ":" and (text[index + 1 : index + 3] == "//" or _SCHEME.search(text[:index]))):
            part += _JOINER
        elif char == "." and _WWW.search(text[:index]):
            part = _JOINER + part
        size += len(part.encode())
        if size > limit - 3:
            return "".join(parts) + "…"
        parts.append(part)
    return "".join(parts)
