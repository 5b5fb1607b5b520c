"""One table says what each colour means, for all that a command prints. Standard library only.

There are colours only where a person looks: in a terminal, without `NO_COLOR`. No meaning is told by a colour alone.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

MINE, WAITING, OVER, BLOCKED, ERROR, HINT, HEADING = "mine", "waiting", "over", "blocked", "error", "hint", "heading"
HELD, TASK, HANDED, CHOSEN = "held", "task", "handed", "chosen"
_CODES = {
    MINE: "32", WAITING: "33", OVER: "2", BLOCKED: "31", ERROR: "31", HINT: "36", HEADING: "1", HELD: "1;34", TASK: "36",
    HANDED: "35", CHOSEN: "7",
}  # fmt: skip


_STANDINGS = {"waiting": WAITING, "quiet": OVER, "ended": OVER}


def of_standing(words: str) -> str:
    """Return what the colour of a session says that stands so."""
    return _STANDINGS.get(words.partition(",")[0], "")


@dataclass
class _Reader:
    agent: bool = False

    def is_now(self, *, agent: bool) -> None:
        """Note who reads from here on."""
        self.agent = agent


_reader = _Reader()


def read_by(*, agent: bool) -> None:
    """Note whether a coding agent reads the answer: it gets no colours."""
    _reader.is_now(agent=agent)


def looked_at(stream: str = "stdout") -> bool:
    """Return True if a terminal shows that stream."""
    return bool(getattr(sys, stream).isatty()) and os.environ.get("TERM") != "dumb"


def shown(stream: str = "stdout") -> bool:
    """Return True if what is printed to that stream may have colours."""
    return looked_at(stream) and not os.environ.get("NO_COLOR") and not _reader.agent


def paint(text: str, meaning: str, stream: str = "stdout") -> str:
    """Return the text in the colour of its meaning, where colours are shown and there is one. The text must be inert already."""
    code = _CODES.get(meaning)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text and shown(stream) else text
