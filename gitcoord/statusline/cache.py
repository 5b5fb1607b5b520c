"""What is to be seen of a session at a glance, as last known: a small file in the git directory of its work tree.

Found and read without git, since a prompt can wait for no other process. Losing it costs one look at the branch. Loads the
standard library only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gitcoord.machine import files


@dataclass(frozen=True)
class SeenRun:
    """What was noted of one run of a session. `waiting`: the sessions that wait for it; `read_at`: when the branch had been read
    where it lives, in seconds since 1970 (0: never); `ids`: the unread messages, as far as there was room.
    """

    run_id: str
    waiting: tuple[str, ...]
    unread: int
    questions: int
    read_at: float
    ids: tuple[str, ...] = ()


def note(place: Path, session: str, seen: Mapping[str, Any]) -> None:
    """Notes it for that session of the work tree. Where nothing can be written, what was noted before stays."""
    with suppress(OSError):
        folder = files.private_folder(files.own(place) / "glance")
        files.write_json(folder / f"{session}.json", dict(seen))


def told(place: Path, session: str, keys: Collection[str]) -> None:
    """Note that those messages were shown to the session: it has that many fewer to read."""
    seen = read(place, session)
    if seen is not None and not set(keys).isdisjoint(seen.ids):
        left = tuple(key for key in seen.ids if key not in keys)
        note(place, session, asdict(replace(seen, ids=left, unread=max(0, seen.unread - len(seen.ids) + len(left)))))


def read(place: Path, session: str) -> SeenRun | None:
    """What was noted last of that session; None when nothing was."""
    return files.read(files.own(place) / "glance" / f"{session}.json", _seen)


def _seen(value: Any) -> SeenRun:
    return SeenRun(
        str(value["run_id"]),
        tuple(files.texts(value["waiting"])),
        int(value["unread"]),
        int(value["questions"]),
        float(value["read_at"]),
        tuple(files.texts(value.get("ids", []))),
    )
