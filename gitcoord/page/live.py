"""The branch as the served page needs it: a thread looks at it again and again, and keeps the newest picture, packed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.watch import looks
from gitcoord.views import page
from gitcoord.views.timeline import Timeline

_ROOM = 400_000  # bytes of what is sent at each change


@dataclass
class Live:
    """The newest picture of a branch. Only its own thread looks at the branch."""

    branch: Branch
    title: str
    version: str
    me: str = ""
    data: str = ""
    """The packed picture; "" before the first."""
    turn: int = 0
    """How often it has changed."""
    failed: Exception | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _first: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look; return once there is a picture. Raises what stood in the way."""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        self._first.wait()
        if self.failed is not None:
            raise self.failed

    def leave(self) -> None:
        """Look no more; a look that goes on is waited for."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        fold = Timeline()
        try:
            for view, new in looks(self.branch, newest=None, stop=self._over.is_set):
                if not new and self.data:
                    continue
                for one in new:
                    if one.event is not None and one.committed_at is not None:
                        fold.see(one.event, one.committed_at)
                status = self.branch.status_of(view)
                picture = fold.picture(status.as_of, status.state.rules.settings.quiet_after)
                self.data, _ = page.fitted(picture, status.attention, _ROOM, title=self.title, version=self.version, me=self.me)
                self.turn += 1
                self._first.set()
        except Exception as error:  # it is raised where the server runs
            self.failed = error
        finally:
            self._first.set()
