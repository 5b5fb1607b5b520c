"""Keys as somebody presses them, without waiting for the end of a line."""

from __future__ import annotations

import os
import select
import termios
import tty
from types import TracebackType

_NAMES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left",
    "\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left",
    "\x1b[H": "home", "\x1b[F": "end", "\x1b[1~": "home", "\x1b[4~": "end", "\x1b[5~": "pageup", "\x1b[6~": "pagedown",
    "\x1b": "escape", "\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace", "\x03": "ctrl-c",
}  # fmt: skip
_LONGEST = max(map(len, _NAMES))


def decode(data: bytes) -> list[str]:
    """Return the keys in what a terminal sent: a letter as it is, any other by its name; what is not known is left out."""
    text, keys = data.decode("utf-8", "ignore"), list[str]()
    while text:
        size = next((size for size in range(min(_LONGEST, len(text)), 0, -1) if text[:size] in _NAMES), 0)
        if size and text[:size] != "\x1b":
            keys.append(_NAMES[text[:size]])
        elif size and (len(text) == 1 or text[1] not in "[O"):
            keys.append("escape")
        elif size:  # a sequence that is not known: up to its last letter
            size = next((at + 1 for at in range(2, len(text)) if text[at].isalpha() or text[at] == "~"), len(text))
        elif text[0].isprintable():
            keys.append(text[0])
        text = text[max(1, size) :]
    return keys


class Keyboard:
    """A terminal that hands over each key at once; at the end it is as it was."""

    def __init__(self, number: int) -> None:
        """`number`: the terminal's descriptor."""
        self._number = number

    def __enter__(self) -> Keyboard:
        self._before = termios.tcgetattr(self._number)
        tty.setcbreak(self._number)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        termios.tcsetattr(self._number, termios.TCSADRAIN, self._before)

    def keys(self, seconds: float) -> list[str]:
        """Return what is pressed within that time, as soon as something is; `q` where the terminal has gone."""
        if not select.select([self._number], [], [], seconds)[0]:
            return []
        data = os.read(self._number, 1024)
        return decode(data) if data else ["q"]
