"""The mark that a process reads a session's messages by itself: then background work leaves them to it.

Standard library only.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gitcoord.machine import files, processes


def start(folder: Path) -> Path | None:
    """Note in the session's folder that this process reads its messages, and return the note. It stands until it is taken away, or
    the process is gone. None where there is no such folder: then nobody else takes them either.
    """
    if not folder.is_dir():
        return None
    path = folder / f"{os.getpid()}.reads"
    try:
        files.write_json(path, processes.born(os.getpid()))
    except OSError:
        return None
    return path


def go_on(mark: Path) -> None:
    """Give a sign that this process still reads, for whoever can't see it."""
    with suppress(OSError):
        os.utime(mark)


def is_read(folder: Path) -> bool:
    """Return True if a process waits for the session's messages right now."""
    for path in folder.glob("*.reads"):
        birth = files.read(path, _text)
        with suppress(OSError):
            if birth and path.stem.isdigit() and processes.is_there(int(path.stem), birth, path.stat().st_mtime):
                return True
    return False


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value
