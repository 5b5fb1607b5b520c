"""What is to be seen of a session at a glance, as last known: a small file in the git directory of its work tree.

Found and read without git, since a prompt can wait for no other process. Losing it costs one look at the branch. Loads the
standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitcoord.local import files

_POINTER = 4096  # bytes of a `.git` file that are read: it holds one path
_LEVELS = 100  # folders above that are looked into


@dataclass(frozen=True)
class Seen:
    """What was noted of one run of a session. `waiting`: the sessions that wait for it; `read_at`: when the branch had been read
    where it lives, in seconds since 1970 (0: never).
    """

    run_id: str
    waiting: tuple[str, ...]
    unread: int
    questions: int
    read_at: float


def git_dir(start: str) -> Path | None:
    """The git directory of the work tree that the folder lies in; None where there is none."""
    here = os.path.abspath(start)
    for _ in range(_LEVELS):
        path = os.path.join(here, ".git")
        if os.path.isdir(path):
            return Path(path)
        if os.path.isfile(path):  # a linked work tree, or a submodule
            with suppress(OSError), open(path, "rb") as file:
                kind, _, target = file.read(_POINTER).partition(b"gitdir: ")
                if not kind and target:
                    found = os.path.join(here, os.fsdecode(target.rstrip(b"\r\n")))
                    return Path(os.path.realpath(found)) if os.path.isdir(found) else None
            return None
        above = os.path.dirname(here)
        if above == here:
            return None
        here = above
    return None


def note(place: Path, session: str, seen: Mapping[str, Any]) -> None:
    """Notes it for that session of the work tree. Where nothing can be written, what was noted before stays."""
    with suppress(OSError):
        folder = files.private_folder(place / "gitcoord" / "glance")
        files.write_json(folder / f"{session}.json", dict(seen))


def read(place: Path, session: str) -> Seen | None:
    """What was noted last of that session; None when nothing was."""
    return files.read(place / "gitcoord" / "glance" / f"{session}.json", _seen)


def _seen(value: Any) -> Seen:
    return Seen(
        str(value["run_id"]),
        tuple(files.texts(value["waiting"])),
        int(value["unread"]),
        int(value["questions"]),
        float(value["read_at"]),
    )
