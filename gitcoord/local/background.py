"""What hooks leave to a process that nobody waits for: at most one in 15 seconds of a clone.

Loads the standard library only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gitcoord.local import files, processes

EVERY = 15.0
"""Seconds between two of them: as often as a clone looks at its remote by itself."""

_STAMP = "synced"


def begin(folder: Path, work_tree: str, environ: Mapping[str, str], *, now: bool = False) -> bool:
    """Starts it for the clone whose folder of ours that is, unless one was started just now (`now`: even so); whether it did.
    `environ`: without what ties git to a repository.
    """
    stamp = folder / _STAMP
    if not now:
        with suppress(OSError):
            if 0 <= time.time() - stamp.stat().st_mtime < EVERY:
                return False
    files.private_folder(folder)
    stamp.touch(mode=0o600)
    # -P, and not in the work tree: its files are no modules of ours.
    program = [sys.executable, "-P", "-m", "gitcoord", "-C", work_tree, "sync", "--if-due", "--quiet"]
    processes.detach(program, {**environ, "GITCOORD_HOOK": "1"})
    return True
