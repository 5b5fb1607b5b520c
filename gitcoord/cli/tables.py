"""A table laid out: in a terminal it fits the width, one line a row; elsewhere nothing is cut.

Where it is too wide, columns that hold nothing go first; then the widest column gives way, with `…`. A path gives way in its
middle, so that its name stays; a column named as firm (times, numbers) gives way only where nothing else is left.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Callable, Collection, Sequence

_GAP = 2  # blanks between two columns
_LEAST = 6  # letters that a column keeps
_TIE = "\u00a0"  # stands for a blank at which no line is broken
_SPAN = re.compile(r"\b(?:in )?\d+ (?:s|min|h|d|days?)\b(?: \d+ (?:s|min|h)\b)?(?: ago\b)?")


def terminal_width() -> int:
    """Return how many letters a line of the terminal takes."""
    return max(40, shutil.get_terminal_size().columns)


def laid_out(headers: Sequence[str], rows: Sequence[Sequence[str]], *, room: int | None, firm: Collection[str] = ()) -> list[str]:
    """Return the lines of a table, the headers first. `room`: letters that a line may have, None: any."""
    if room is None:
        return _lines(headers, rows, [max(map(len, column)) for column in zip(headers, *rows, strict=True)], len, _whole)
    from rich.cells import cell_len

    kept = [number for number in range(len(headers)) if any(row[number] for row in rows)]
    headers, rows = [headers[number] for number in kept], [[row[number] for number in kept] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    _narrow(widths, [header in firm for header in headers], room - _GAP * (len(widths) - 1))
    return _lines(headers, rows, widths, cell_len, shorten)


def _narrow(widths: list[int], firm: list[bool], room: int) -> None:
    """Take letters from the widest column, one after the other, until the columns fit."""
    while sum(widths) > room:
        soft = [number for number in range(len(widths)) if not firm[number]]
        able = [number for number in soft if widths[number] > _LEAST] or [number for number in soft if widths[number] > 1]
        able = able or [number for number, width in enumerate(widths) if width > 1]
        if not able:
            return
        widths[max(able, key=lambda number: widths[number])] -= 1


def _lines(
    headers: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], length: Callable[[str], int],
    cut: Callable[[str, int], str],
) -> list[str]:  # fmt: skip
    lines = []
    for row in (headers, *rows):
        cells = [cut(cell, width) for cell, width in zip(row, widths, strict=True)]
        padded = [cell + " " * (width - length(cell)) for cell, width in zip(cells, widths, strict=True)]
        lines.append((" " * _GAP).join(padded).rstrip())
    return lines


def _whole(text: str, width: int) -> str:
    return text


def shorten(text: str, width: int) -> str:
    """Return the text in so many letters at most: with `…` at its end, or in the middle of a path."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    last = text.rpartition("/")[2]
    if "/" in text and " " not in text and len(last) < width:
        room = width - 2 - cell_len(last)  # for what stands before `…/`
        head = _first(text, room) if room > 0 else ""
        whole, slash, _ = head.rpartition("/")
        return f"{whole + slash if slash else head}…/{last}" if room >= 0 else f"…{last}"
    return _first(text, width - 1).rstrip() + "…" if width > 1 else "…"


def broken(text: str, width: int) -> list[str]:
    """Return the line as lines of that width, broken between words only and within no time, with what follows set in."""
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    whole = _SPAN.sub(lambda match: match[0].replace(" ", _TIE), text)
    lines = textwrap.wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_TIE, " ") for line in lines] or [text]


def _first(text: str, width: int) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(text, width) if width > 0 else ""
