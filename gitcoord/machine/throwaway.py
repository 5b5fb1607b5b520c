"""Folders that are thrown away: made in the folder for temporary files, taken away at the end. What a killed process left there is
taken away by the next one.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitcoord.machine import processes

_OWNER = "owner"  # the file that says which process works there
_UNKNOWN = 86400.0  # seconds that a folder stays whose process can't be looked for from here


@contextmanager
def folder(kind: str) -> Iterator[Path]:
    """Yield a new folder for this user alone, and take it away at the end, whatever was put there."""
    sweep(kind)
    made = Path(tempfile.mkdtemp(prefix=_prefix(kind)))
    try:
        (made / _OWNER).write_text(f"{os.getpid()} {processes.born(os.getpid())}\n", encoding="utf-8")
        yield made
    finally:
        remove(made)


def sweep(kind: str) -> None:
    """Take away the folders of that kind whose process is gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_prefix(kind)}*"):
        with suppress(OSError, ValueError):
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            owner = path / _OWNER
            pid, _, born = (owner.read_text(encoding="utf-8") if owner.exists() else "").strip().partition(" ")
            is_there = processes.alive(int(pid), born) if pid else None  # without a name it may just be made
            if is_there is False or (is_there is None and time.time() - status.st_mtime > _UNKNOWN):
                remove(path)


def remove(path: Path) -> None:
    """Take a folder away with all that is in it, also what its owner made unwritable."""
    for here, folders, _ in os.walk(path):
        for name in folders:
            with suppress(OSError):
                below = os.path.join(here, name)
                if not os.path.islink(below):
                    os.chmod(below, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def _prefix(kind: str) -> str:
    return f"gitcoord-{kind}-{os.geteuid()}-"
