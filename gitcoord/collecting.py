"""Sends what waits on all desks of one branch: an agent's sandbox can't write to its user's own, nor reach the remote.

Looks at files only, and at the remote only when something waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from gitcoord.bootstrap import Connection
from gitcoord.errors import GitcoordError
from gitcoord.local.desk import left_at

Connect = Callable[[str], AbstractContextManager[Connection]]
"""Connects with the desk that GITCOORD_DESK would name; "": with one's own."""


def collect(desks: Mapping[str, Path], connect: Connect) -> list[GitcoordError]:
    """Sends what waits on these, as far as that goes now; what stood in the way. What can't be sent stays where it is."""
    errors: list[GitcoordError] = []
    for place, path in desks.items():
        left = left_at(path)
        if not left:
            continue
        try:
            with connect(place) as found:
                found.coordinator.heard = False  # nobody hears what it would tell: that is for the session's next command
                errors += found.coordinator.sync(if_due=left == "spooled")[0]
        except GitcoordError as error:
            errors.append(error)
        except OSError:
            continue
    return errors
