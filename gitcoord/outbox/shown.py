"""Which messages this machine has shown to a session, and which it could not: lists of ids in the outbox that are only added to.

Loads the standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gitcoord.machine import files

_BYTES = 1 << 17  # how long the list of what was shown to a session gets: some thousand messages


def known(outbox: Path, session: str) -> set[str]:
    """The ids of messages that were shown to the session."""
    with suppress(OSError):
        return set((files.read_bytes(_list(outbox, session)) or b"").decode("ascii", "replace").split())
    return set()


def note(outbox: Path, session: str, keys: Sequence[str]) -> None:
    """Notes that those messages were shown. Without room for that they are shown once more at worst."""
    _add(_list(outbox, session), keys)


def given_back(outbox: Path, session: str) -> set[str]:
    """Return the ids of messages that were taken here and could not be shown: they come again at once."""
    with suppress(OSError, UnicodeDecodeError):
        return set(_back(outbox, session).read_text(encoding="ascii").split())
    return set()


def give_back(outbox: Path, session: str, keys: Sequence[str]) -> None:
    """Note that those messages could not be shown. Without room for that they come again as others do, after two minutes."""
    _add(_back(outbox, session), keys)


def _add(path: Path, keys: Sequence[str]) -> None:
    with suppress(OSError):
        files.append(path, "".join(f"{key}\n" for key in keys).encode("ascii", "replace"), limit=_BYTES)


def _list(outbox: Path, session: str) -> Path:
    return outbox / "shown" / f"{session}.ids"


def _back(outbox: Path, session: str) -> Path:
    return outbox / "shown" / f"{session}.back"
