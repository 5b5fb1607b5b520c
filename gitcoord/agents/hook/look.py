"""One look at the remote of a clone that has never seen the branch, when an agent starts in it. Loads the whole program.

Without it the agent is silent in such a clone for ever: nothing else would fetch the branch.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gitcoord.connection.connect import connect
from gitcoord.errors import GitcoordError
from gitcoord.git.discovery import WorkTree
from gitcoord.machine import files, whereabouts

_SECONDS = 2.0  # that the look may take
_AGAIN = 600.0  # seconds until it is asked again about the same clone: hooks may be installed for all of a person's clones
_KEPT = 200  # clones of which it is noted


def fetch(near: WorkTree, environ: Mapping[str, str]) -> bool:
    """Return True if the remote has the branch and it was fetched. Writes nothing into a clone whose remote has none."""
    asked = Path(whereabouts.state(environ), "asked", hashlib.sha256(os.fsencode(near.common_dir)).hexdigest()[:32] + ".json")
    with suppress(OSError, GitcoordError):
        files.private_folder(asked.parent)
        if not files.take_turn(asked, _AGAIN):
            return False
        files.keep_newest(asked.parent, _KEPT)
        with connect(near.work_tree, environ, cached=True, heard=False, seconds=_SECONDS) as found:
            found.coordinator.branch.look_again(_SECONDS)
            asked.unlink(missing_ok=True)
            return True
    return False
