"""Shell completion: names from the local view only, never from the network, and never an error."""

from __future__ import annotations

import os
from collections.abc import Callable

from gitcoord.connection.connect import connect
from gitcoord.core.state import State
from gitcoord.errors import GitcoordError


def _names(pick: Callable[[State], list[str]], incomplete: str) -> list[str]:
    try:
        with connect(os.getcwd(), os.environ, cached=True) as found:
            return [name for name in pick(found.coordinator.branch.view(fresh=False).state) if name.startswith(incomplete)]
    except (GitcoordError, OSError):
        return []


def sessions(incomplete: str) -> list[str]:
    """Live sessions, and everybody."""
    return _names(lambda state: ["broadcast", *(one.session_id for one in state.sessions.live())], incomplete)


def claims(incomplete: str) -> list[str]:
    """What is held."""
    return _names(lambda state: [str(one.resource) for one in state.claims.values()], incomplete)
