"""Sends what waits in all outboxes of one branch: an agent's sandbox can't write to its user's own, nor reach the remote; and a
clone has another one since its machine's name, its e-mail or its way to the remote changed.

Looks at files only, and at the remote only when something waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from gitcoord.connection.connect import Connection
from gitcoord.errors import GitcoordError
from gitcoord.outbox.places import left_at

Connect = Callable[[Path | None], AbstractContextManager[Connection]]
"""Connects with that outbox; None: with one's own."""


def collect(outboxes: Iterable[Path], connect: Connect, *, all_of_it: bool = False) -> list[GitcoordError]:
    """Sends what waits on these, as far as that goes now; what stood in the way. What can't be sent stays where it is.

    `all_of_it`: also heartbeats that are not due yet.
    """
    errors: list[GitcoordError] = []
    for path in outboxes:
        left = left_at(path)
        if not left:
            continue
        try:
            with connect(path) as found:
                # Nobody hears what it would tell: that is for the session's next command.
                unheard = found.coordinator.acting_as(replace(found.coordinator.actor, heard=False))
                errors += unheard.branch.sync(if_due=left == "spooled" and not all_of_it)[0]
        except GitcoordError as error:
            errors.append(error)
        except OSError:
            continue
    return errors
