"""A long check of the history by a process that nobody waits for; at most one of a clone. `connect` has it begun."""

from __future__ import annotations

import json
import os
import sys

from gitcoord.connection.connect import as_record, connect
from gitcoord.errors import GitcoordError, Unreachable


def go_to() -> None:
    """Check the history from its root up to a commit, for the process that reads what this prints. The program's arguments are the
    clone's place and the commit.
    """
    with connect(sys.argv[1], os.environ, heard=False) as found:
        print(json.dumps(as_record(found.coordinator.log.replay(sys.argv[2], lambda good: None))))
    sys.exit(0)


def go() -> None:
    """Check the history of the clone that the program's argument names, and who signed what in it, and end. Nobody reads what it
    says.
    """
    code = 0
    try:
        with connect(sys.argv[1], os.environ, heard=False) as found:
            log = found.coordinator.log
            try:
                log.refresh(found.coordinator.parts.seconds)
            except Unreachable:
                log.view()  # what was fetched here
            found.coordinator.speakers.table(everything=True)
    except GitcoordError as error:  # the next command meets it, too, and says it
        code = error.exit_code
    sys.exit(code)
