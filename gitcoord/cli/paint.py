"""Pieces of a terminal's lines in colours, by what they mean."""

from __future__ import annotations

from collections.abc import Sequence

from gitcoord.cli import colours
from gitcoord.views.cells import Line, Style

_MEANINGS: dict[Style, str] = {
    "plain": "", "soft": colours.OVER, "name": colours.HEADING, "claim": colours.HELD, "task": colours.TASK,
    "wait": colours.WAITING, "over": colours.OVER, "open": colours.WAITING, "handoff": colours.HANDED, "bad": colours.BLOCKED,
    "chosen": colours.CHOSEN,
}  # fmt: skip


def painted(lines: Sequence[Line]) -> list[str]:
    """Return the lines with their colours, where colours are shown."""
    return ["".join(colours.paint(piece, _MEANINGS[style]) for piece, style in line) for line in lines]
