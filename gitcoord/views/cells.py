"""Lines of a terminal as pieces with a meaning each; and how many columns a text takes there, since some letters take two."""

from __future__ import annotations

import unicodedata
from typing import Literal

from gitcoord.core.names import show, unblank

Style = Literal["plain", "soft", "name", "claim", "task", "wait", "over", "open", "handoff", "bad", "chosen"]
"""What a piece means; its colour is a face's business."""

Piece = tuple[str, Style]
Line = list[Piece]


def width_of(char: str) -> int:
    """Return how many columns a letter takes: two for a wide one, none for one that stands above another."""
    if char.isascii():
        return 1
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def width(text: str) -> int:
    """Return how many columns a text takes."""
    return len(text) if text.isascii() else sum(map(width_of, text))


def cut(text: str, columns: int) -> str:
    """Return anybody's text as one plain line that takes at most so many columns."""
    text = show(unblank(text), max(1, columns) * 2)
    if width(text) <= columns:
        return text
    taken, kept = 0, []
    for char in text:
        taken += width_of(char)
        if taken > columns - 1:
            break
        kept.append(char)
    return "".join(kept) + "…" if columns > 0 else ""


def fit(text: str, columns: int) -> str:
    """Return it cut, and filled up with blanks to just so many columns."""
    short = cut(text, columns)
    return short + " " * max(0, columns - width(short))
