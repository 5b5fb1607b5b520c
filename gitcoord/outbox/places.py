"""The desks that a clone has used: its name for one changes with the machine's name, the e-mail, or the way to the remote, and what
waits on the earlier ones must still be sent.

A file for each, below our folder in the clone. Losing one loses the way to what waits there, and nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitcoord.machine import files
from gitcoord.outbox.store import digest

_FOLDER = "desks"


@dataclass(frozen=True)
class Earlier:
    """A desk that the clone has used, and the branch that it was for, as the clone's memory of that branch is called."""

    path: Path
    branch: str


def remember(own: Path, path: Path, branch: str) -> None:
    """Note that the clone uses that desk. `own`: our folder in the clone's git folder."""
    note = own / _FOLDER / f"{digest([str(path)])}.json"
    if not note.exists():
        with suppress(OSError):  # in a sandbox that can only read
            files.private_folder(own)
            files.private_folder(note.parent)
            files.write_json(note, {"path": str(path), "branch": branch})


def forget(own: Path, path: Path) -> None:
    """Take that note back, and our folder, if nothing else is in it."""
    with suppress(OSError):
        (own / _FOLDER / f"{digest([str(path)])}.json").unlink(missing_ok=True)
        (own / _FOLDER).rmdir()
        own.rmdir()


def others(own: Path, path: Path) -> tuple[Earlier, ...]:
    """Return the desks that the clone has used, but for that one."""
    found = (files.read(note, _earlier) for note in sorted((own / _FOLDER).glob("*.json")))
    return tuple(earlier for earlier in found if earlier is not None and earlier.path not in {path, own})


def _earlier(value: Any) -> Earlier:
    path = Path(value["path"])
    if not path.is_absolute():
        raise ValueError("a desk is an absolute path")
    return Earlier(path, str(value["branch"]))
