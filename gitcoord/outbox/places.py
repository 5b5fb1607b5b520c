"""The outboxes that a clone has used: its name for one changes with the machine's name, the e-mail, or the way to the remote,
and what waits in the earlier ones must still be sent.

A file for each, below our folder in the clone. Losing one loses the way to what waits there, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gitcoord.errors import GitcoordError
from gitcoord.machine import files
from gitcoord.machine.ids import digest
from gitcoord.outbox.store import FULL, Outbox, no_room

_FOLDER = "outboxes"


@dataclass(frozen=True)
class Earlier:
    """A outbox that the clone has used, and the branch that it was for, as the clone's memory of that branch is called."""

    path: Path
    branch: str


def remember(own: Path, path: Path, branch: str) -> None:
    """Note that the clone uses that outbox. `own`: our folder in the clone's git folder."""
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
    """Return the outboxes that the clone has used, but for that one."""
    found = (files.read(note, _earlier) for note in sorted((own / _FOLDER).glob("*.json")))
    return tuple(earlier for earlier in found if earlier is not None and earlier.path not in {path, own})


def _earlier(value: Any) -> Earlier:
    path = Path(value["path"])
    if not path.is_absolute():
        raise ValueError("an outbox is an absolute path")
    return Earlier(path, str(value["branch"]))


def temporary(environ: Mapping[str, str]) -> Path:
    """This user's own folder among the temporary ones; whoever uses it makes it with `files.private_folder`."""
    return Path(environ.get("TMPDIR") or tempfile.gettempdir()) / f"gitcoord-{os.getuid()}"


def count_left(path: Path) -> int:
    """How many commands wait in the outbox there; makes none, and looks at none of somebody else."""
    return sum(1 for _ in (path / "outbox").glob("*.json")) if left_at(path) == "waiting" else 0


def left_at(path: Path) -> Literal["", "spooled", "waiting"]:
    """Whether commands wait in the outbox there, or else heartbeats of hooks; makes none, and looks at none of somebody else."""
    with contextlib.suppress(OSError):
        if all(not one.is_symlink() and one.stat().st_uid == os.getuid() for one in (path, path.parent)):
            if next((path / "outbox").glob("*.json"), None) is not None:
                return "waiting"
            if next((path / "spool").glob("*/*.json"), None) is not None:
                return "spooled"
    return ""


def _opened(path: Path, error: OSError) -> Outbox:
    """The outbox there although its disk is full: enough for looking. Raises NotWritten when it never was made."""
    try:
        return Outbox(path)
    except OSError:
        raise no_room("the outbox", path, error) from error


def open_outbox(place: str, *, parts: Sequence[str], common_dir: str, environ: Mapping[str, str]) -> Outbox:
    """The outbox for that place: `machine`, `clone`, or a path. Where it can't be written: the clone's own folder, then a
    private spool under TMPDIR (agents' sandboxes). Raises GitcoordError when no place can be written.
    """
    home = environ.get("HOME") or os.path.expanduser("~")
    state = Path(environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state"))
    clone = files.own(common_dir)
    name = digest(parts)
    wanted = clone if place == "clone" else state / "gitcoord" / name if place == "machine" else Path(place).expanduser() / name
    spool = temporary(environ) / name
    problem: OSError | None = None
    for path in (wanted, clone, spool):
        try:
            if path is spool:
                files.private_folder(spool.parent)
            made = [level for level in (path, *path.parents) if not level.exists()]
            outbox = Outbox(files.private_folder(path), made)
            probe = path / f".probe-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
            return outbox
        except OSError as error:
            # A full disk is no reason to go elsewhere: what is kept there would lie forgotten once there is room here.
            if error.errno in FULL:
                return _opened(path, error)
            problem = error
    raise GitcoordError(f"no place to keep what waits: {problem}", hint="gitcoord config desk PATH")
