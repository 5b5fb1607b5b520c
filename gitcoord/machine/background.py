"""What hooks leave to a process that nobody waits for: at most one in 15 seconds of a clone; what comes in between is made up for
by one more, once they are over.

Loads nearly nothing before there is something to begin.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False  # `typing`'s own, without loading it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

EVERY = 15.0
"""Seconds between two of them: as often as a clone looks at its remote by itself."""

_HANDLES = 1024  # what its caller may have open besides: it must keep nobody's pipes open
_STAMP = "synced"  # its time says when the last one began, or when the next one will


def begin(folder: Path, work_tree: str, environ: Mapping[str, str], *, now: bool = False, wait: float = 0.0) -> bool:
    """Have it done for the clone whose folder of ours that is; return False where one is about to begin that will do it. `now`: at
    once, whatever went before. `wait`: seconds that its end is waited for, at most, where it begins at once. `environ`: without
    what ties git to a repository.
    """
    from contextlib import suppress

    from gitcoord.machine import files, processes

    files.private_folder(folder)
    with files.locked(folder):
        pause = 0.0 if now else _pause(os.path.join(folder, _STAMP))
        if pause is None:
            return False
        files.touch(folder / _STAMP)
        if pause:
            with suppress(OSError):
                os.utime(folder / _STAMP, (time.time() + pause, time.time() + pause))
    program = processes.of_ours(*_words(work_tree)) if not pause else _later(work_tree, pause)
    processes.detach(program, {**environ, "GITCOORD_HOOK": "1"}, wait=0.0 if pause else wait)
    return True


def begin_apart(folder: str, work_tree: str, environ: Callable[[], Mapping[str, str]]) -> None:
    """The same, for who can't even wait for what `begin` loads: a process of its own begins it, if none is about to."""
    if _pause(os.path.join(folder, _STAMP)) is None or os.fork():
        return
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        os.closerange(3, _HANDLES)
        from pathlib import Path

        begin(Path(folder), work_tree, environ())
    finally:
        os._exit(0)


def _pause(stamp: str) -> float | None:
    """Return the seconds until the next one may begin; None if one that will begin then is waiting already."""
    try:
        since = time.time() - os.lstat(stamp).st_mtime
    except OSError:
        return 0.0
    if -EVERY <= since < 0:
        return None
    return EVERY - since if 0 <= since < EVERY else 0.0


def _words(work_tree: str) -> list[str]:
    return ["-C", work_tree, "sync", "--if-due", "--quiet"]


def _later(work_tree: str, wait: float) -> list[str]:
    first = "from gitcoord.machine.background import bide; bide()"
    from gitcoord.machine import processes

    return processes.of_ours(work_tree, f"{wait:.2f}", first=first)


def bide() -> None:
    """Wait until it may begin, in a process that came too early. Its arguments, the work tree and the seconds, become those of the
    program that goes on.
    """
    work_tree, wait = sys.argv[1:]
    time.sleep(min(EVERY, float(wait)))
    sys.argv[1:] = _words(work_tree)
