"""Sends what waits on this user's outboxes: the server stands outside of the sandbox in which its agent's commands may run.

It looks at files only, and at the remote only when something waits.
"""

from __future__ import annotations

from pathlib import Path

from gitcoord.connection.collect import Connect, collect
from gitcoord.connection.connect import Connection
from gitcoord.errors import GitcoordError
from gitcoord.outbox.places import left_at

EVERY = 15.0  # seconds between two looks


class Errand:
    """What one server sends for others."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._outboxes: tuple[Path, ...] = ()

    def learn(self, found: Connection) -> None:
        """Notes where commands of that branch may wait."""
        self._outboxes = (found.outbox.path, *found.elsewhere)

    def begin(self) -> None:
        """Finds out where to look; nothing where no repository is."""
        try:
            with self._connect(None) as found:
                self.learn(found)
        except GitcoordError:
            return

    def is_due(self) -> bool:
        """Whether something waits."""
        return any(left_at(path) for path in self._outboxes)

    def run(self) -> None:
        """Sends it, as far as that goes now: what can't be sent stays where it is."""
        collect(self._outboxes, self._connect)
