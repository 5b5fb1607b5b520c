"""What hooks leave to a process that nobody waits for: at most one in 15 seconds of a clone; what comes in between is made up for
by one more, once they are over.

Loads the standard library only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gitcoord.machine import files, processes

EVERY = 15.0
"""Seconds between two of them: as often as a clone looks at its remote by itself."""

_STAMP = "synced"  # its time says when the last one began, or when the next one will


def begin(folder: Path, work_tree: str, environ: Mapping[str, str], *, now: bool = False, wait: float = 0.0) -> bool:
    """Have it done for the clone whose folder of ours that is; return False where one is about to begin that will do it. `now`: at
    once, whatever went before. `wait`: seconds that its end is waited for, at most, where it begins at once. `environ`: without
    what ties git to a repository.
    """
    files.private_folder(folder)
    with files.locked(folder):
        pause = 0.0 if now else _pause(folder / _STAMP)
        if pause is None:
            return False
        files.touch(folder / _STAMP)
        if pause:
            with suppress(OSError):
                os.utime(folder / _STAMP, (time.time() + pause, time.time() + pause))
    program = processes.of_ours(*_words(work_tree)) if not pause else _later(work_tree, pause)
    processes.detach(program, {**environ, "GITCOORD_HOOK": "1"}, wait=0.0 if pause else wait)
    return True


def _pause(stamp: Path) -> float | None:
    """Return the seconds until the next one may begin; None if one that will begin then is waiting already."""
    with suppress(OSError):
        since = time.time() - os.lstat(stamp).st_mtime
        if -EVERY <= since < 0:
            return None
        if 0 <= since < EVERY:
            return EVERY - since
    return 0.0


def _words(work_tree: str) -> list[str]:
    return ["-C", work_tree, "sync", "--if-due", "--quiet"]


def _later(work_tree: str, wait: float) -> list[str]:
    first = "from gitcoord.machine.background import bide; bide()"
    return processes.of_ours(work_tree, f"{wait:.2f}", first=first)


def bide() -> None:
    """Wait until it may begin, in a process that came too early. Its arguments, the work tree and the seconds, become those of the
    program that goes on.
    """
    work_tree, wait = sys.argv[1:]
    time.sleep(min(EVERY, float(wait)))
    sys.argv[1:] = _words(work_tree)
