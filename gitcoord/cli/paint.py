"""Pieces of a terminal's lines in colours, by what they mean. `NO_COLOR` is rich's to keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitcoord.views.cells import Line, Style

if TYPE_CHECKING:
    from rich.text import Text

_COLOURS: dict[Style, str] = {
    "plain": "", "soft": "dim", "name": "bold", "claim": "bold blue", "task": "cyan", "wait": "yellow", "over": "dim",
    "open": "yellow",
    "handoff": "magenta", "bad": "bold red", "chosen": "reverse",
}  # fmt: skip


def text(lines: Sequence[Line]) -> Text:
    """Return the lines as rich has them; nothing in them is markup."""
    from rich.text import Text

    whole = Text(no_wrap=True, overflow="crop", end="")
    for number, line in enumerate(lines):
        whole.append("\n" if number else "")
        for piece, style in line:
            whole.append(piece, _COLOURS[style])
    return whole


def show(lines: Sequence[Line]) -> None:
    """Print the lines."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    for line in lines:
        console.print(text([line]), no_wrap=True, overflow="crop", crop=True, end="\n")
