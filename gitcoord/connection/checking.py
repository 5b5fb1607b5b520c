"""A long check of the history by a process that nobody waits for; at most one of a clone. `connect` has it begun."""

from __future__ import annotations

import os
import sys

from gitcoord.connection.connect import connect
from gitcoord.errors import GitcoordError, Unreachable


def go() -> None:
    """Check the history of the clone that the program's argument names, and end. Nobody reads what it says."""
    code = 0
    try:
        with connect(sys.argv[1], os.environ, heard=False) as found:
            log = found.coordinator.log
            try:
                log.refresh(found.coordinator.parts.seconds)
            except Unreachable:
                log.view()  # what was fetched here
    except GitcoordError as error:  # the next command meets it, too, and says it
        code = error.exit_code
    sys.exit(code)
