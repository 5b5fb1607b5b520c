"""`gitcoord watch`: the branch live, in the terminal."""

from __future__ import annotations

import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from time import monotonic

from gitcoord.cli import paint
from gitcoord.cli.commands.page import project
from gitcoord.cli.connect import connection, looked_at, options
from gitcoord.cli.keyboard import Keyboard
from gitcoord.connection.connect import Connection, utc_now
from gitcoord.coordinator.watch import looks
from gitcoord.errors import BadInput
from gitcoord.views.watch import Cursor, Happening, Scene, frame, pressed, scene

_KEPT = 2000  # events
_EVERY = 1.0  # seconds between two pictures in which only ages have changed
_STEP = 0.2  # seconds within which what is new is shown


def watch() -> None:
    """Show live who does what: sessions, claims, tasks, messages, the log; a session's day beside them. `q` ends it."""
    if not looked_at() or sys.stdin is None or not sys.stdin.isatty() or options.json:
        raise BadInput("watch draws on a terminal", hint="each event as it comes: gitcoord log --follow")
    with connection(shows=False) as found:
        eye = _Eye(found)
        eye.start()
        try:
            _show(eye)
        finally:
            eye.leave()
    if eye.failed is not None:
        raise eye.failed


@dataclass
class _Eye:
    """Looks at the branch from a thread of its own, and leaves the newest scene."""

    found: Connection
    newest: Scene | None = None
    failed: Exception | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Look no more; a look that goes on is waited for."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        branch, name = self.found.coordinator.branch, project(self.found)
        events: deque[Happening] = deque(maxlen=_KEPT)
        try:
            for view, new in looks(branch, newest=_KEPT, stop=self._over.is_set):
                events.extend(Happening(one.entry.seq, one.entry.at, one.entry.session, one.entry.subject) for one in new)
                status = branch.status_of(view)
                asked = view.read_at or branch.parts.now()
                self.newest = scene(status.state, status.as_of, status.attention, tuple(events), title=name, asked=asked)
        except Exception as error:  # it is raised where the person sees it
            self.failed = error


def _show(eye: _Eye) -> None:
    """Draw until the person ends it: at each key, at each change, and once a second."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, cursor = Console(highlight=False, markup=False, emoji=False), Cursor()
    shown: Scene | None = None
    drawn = 0.0
    with Keyboard(sys.stdin.fileno()) as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        while not cursor.quit and eye.failed is None:
            keys = keyboard.keys(_STEP)
            for key in keys:
                cursor = pressed(cursor, key, eye.newest) if eye.newest is not None else Cursor(quit=key == "q")
            if eye.newest is not None and (keys or eye.newest is not shown or monotonic() - drawn >= _EVERY):
                shown, drawn = eye.newest, monotonic()
                width, height = console.size
                lines = paint.painted(frame(shown, cursor, utc_now(), width, height))
                live.update(Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop", end=""), refresh=True)
