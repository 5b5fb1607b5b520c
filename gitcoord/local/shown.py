"""Which messages this machine has shown to a session: a list of ids on the desk that is only added to.

Loads the standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gitcoord.local import files

_BYTES, _KEPT = 1 << 17, 1000  # how long the list of what was shown to a session gets, and what is kept of it then


def known(desk: Path, session: str) -> set[str]:
    """The ids of messages that were shown to the session."""
    with suppress(OSError, UnicodeDecodeError):
        return set(_list(desk, session).read_text(encoding="ascii").split())
    return set()


def note(desk: Path, session: str, keys: Sequence[str]) -> None:
    """Notes that those messages were shown. Without room for that they are shown once more at worst.

    Lines are added to the end, each at once: several listeners do so at the same time, and none takes another's away.
    """
    path = _list(desk, session)
    with suppress(OSError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, "".join(f"{key}\n" for key in keys).encode("ascii", "replace"))
            long = os.fstat(handle).st_size > _BYTES
        finally:
            os.close(handle)
        if long:
            lines = path.read_text(encoding="ascii", errors="replace").split()
            files.write(path, "".join(f"{key}\n" for key in lines[-_KEPT:]).encode())


def _list(desk: Path, session: str) -> Path:
    return desk / "shown" / f"{session}.ids"
