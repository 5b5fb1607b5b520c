"""A process shows on standard error what it waits for, once that takes a second: something that moves on a terminal, else a plain
line and then one every five seconds.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from gitcoord.log.outcomes import Advance

if TYPE_CHECKING:
    from rich.console import Console

_AFTER = 1.0  # seconds of a command that nobody wonders about
_AT_LEAST = 0.5  # seconds that one wait takes before it is worth a word
_EVERY = 5.0  # seconds between two plain lines


class _Wait:
    """One thing that is waited for. `told`: it was said in words of its own, so that no plain line is needed."""

    def __init__(self, what: str, *, told: bool) -> None:
        self.what, self.told = what, told
        self.done = self.total = 0

    def advance(self, done: int, total: int) -> None:
        """Notes how far it is."""
        self.done, self.total = done, total

    @property
    def how_far(self) -> str:
        """The same in words; "" where that isn't known."""
        return f"{self.done} of {self.total} events" if self.total else ""


class Progress:
    """Shows the innermost of what is waited for, from a thread of its own that runs only meanwhile."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say`: prints one line for people."""
        self._say = say
        self._since, self._said = monotonic(), 0.0
        self._waits: list[_Wait] = []
        self._console: Console | None = None

    @contextmanager
    def during(self, what: str, *, told: bool = False) -> Iterator[Advance]:
        """Show that this process waits for that, until the end of the context. `told`: plain lines say so already."""
        wait = _Wait(what, told=told)
        self._waits.append(wait)
        if len(self._waits) > 1:
            try:
                yield wait.advance
            finally:
                self._waits.remove(wait)
            return
        over = threading.Event()
        shower = threading.Thread(target=self._show, args=(over,), daemon=True)
        shower.start()
        try:
            yield wait.advance
        finally:
            over.set()
            shower.join()
            self._waits.remove(wait)

    def print(self, text: str) -> bool:
        """Print a line beside what moves; return False where nothing does."""
        console = self._console
        if console is None:
            return False
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return True

    def _show(self, over: threading.Event) -> None:
        if over.wait(max(_AT_LEAST, self._since + _AFTER - monotonic())):
            return
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._draw(over)
            return
        while True:
            wait = self._waits[-1]
            if not wait.told and monotonic() - self._said >= _EVERY:
                self._said = monotonic()
                self._say(f"waiting for {wait.what}" + (f": {wait.how_far}" if wait.how_far else ""))
            if over.wait(0.5):
                return

    def _draw(self, over: threading.Event) -> None:
        """A bar that moves; it is gone at the end."""
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bars

        console = Console(file=sys.stderr)
        text = TextColumn("waiting for {task.description}", markup=False)
        with Bars(SpinnerColumn(), text, BarColumn(20), TextColumn("{task.fields[how]}"), console=console, transient=True) as bars:
            task = bars.add_task("", total=None, how="")
            self._console = console
            try:
                while not over.wait(0.1):
                    wait = self._waits[-1]
                    bars.update(task, description=wait.what, completed=wait.done, total=wait.total or None, how=wait.how_far)
            finally:
                self._console = None
