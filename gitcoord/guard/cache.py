"""What is held of the files, as last seen: a short list beside the clone's memory, for hooks that can't wait for the branch to be
read, and the same as a text for hooks that can't even wait for Python. Losing them costs the next guard a look at the branch.

A hook that is a shell script can't compare what the memory and the text say of the commit whose view they are. So the text names
a second name (a hard link) of the memory file that it belongs to. The memory is always written anew: if the two names don't lead to
one file any more, the text is of another view.

Loads the standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gitcoord.core.guard import GuardedLease
from gitcoord.core.names import Resource
from gitcoord.guard import pathspecs
from gitcoord.machine import files, processes

STALE_AFTER = 60.0
"""Seconds after which a view is looked after again, in the background (design of the guard: allow at once, learn soon)."""

_MEMORY = "checked-"  # how the clone's memory is called, and this list beside it
_LIST = "held-"
_SAME = "view-"  # how its second name begins
_FIRST = "gitcoord leases 1"  # begins the text: what a newer program writes in another way has another number
_LAST = "end"
_STAMP = "looked"


@dataclass(frozen=True)
class CachedLease:
    """A lease on files, as noted."""

    claimed_by: str
    mode: str
    fence: int
    expires_at: datetime
    resource: Resource


@dataclass(frozen=True)
class LeaseCache:
    """The leases on files in the newest view of a clone, how far clocks may differ, when the branch was last read, and what the
    names of this clone's files begin with; `good`: the commit of that view; `fold`: capital and small letters name one file.
    """

    leases: tuple[CachedLease, ...]
    grace: timedelta
    read_at: float
    repo: str = ""
    good: str = ""
    fold: bool = False


def note(memory: Path, good: str, leases: Iterable[GuardedLease], grace: timedelta, repo: str, *, fold: bool = False) -> None:
    """Notes the leases on files in the view of that commit. `memory`: the file of the clone's memory; `repo`: see `LeaseCache`."""
    leases = list(leases)
    rows = [
        [one.claimed_by, one.mode, one.fence, one.expires_at.timestamp(), one.resource.name]
        for one in leases
        if one.resource.type == "file"
    ]
    with suppress(OSError):
        files.write_json(
            _beside(memory),
            files.sealed({"good": good, "grace": grace.total_seconds(), "repo": repo, "fold": fold, "leases": rows}),
        )
        _note_text(memory, good, pathspecs.lines(leases, now=datetime.now(UTC), grace=grace, repo=repo, fold=fold))


def _note_text(memory: Path, good: str, lines: Iterable[str]) -> None:
    """Note the lines for shell scripts, if the memory is of that commit's view. Raises OSError, also where a file can have only one
    name: then there is no text.
    """
    prefix = memory.stem.replace(_MEMORY, _SAME, 1)
    same, text = memory.with_name(f"{prefix}-{good[:16]}"), _text(memory)
    aside = memory.with_name(f".{same.name}.{os.urandom(6).hex()}")
    os.link(memory, aside)
    try:
        # A branch that was never read where it lives is always looked at.
        if files.read(aside, _good) != good or not aside.stat().st_mtime:
            return
        os.replace(aside, same)
    finally:
        aside.unlink(missing_ok=True)  # it stays where both names led to one file already
    data = "\n".join([f"{_FIRST} {same.name}", *lines, _LAST, ""]).encode("ascii")
    if files.read_bytes(text) != data:
        files.write(text, data)
    for other in memory.parent.glob(f"{prefix}-*"):
        if other != same:
            other.unlink(missing_ok=True)


def renew_text(folder: Path, seen: LeaseCache) -> None:
    """Note the text anew where it isn't of the view that was read: an older program has left none, and one may have been lost."""
    with suppress(OSError):
        [memory] = folder.glob(f"{_MEMORY}*.json")
        first = (files.read_bytes(_text(memory)) or b"").partition(b"\n")[0].decode("utf-8", "replace")
        same = memory.with_name(first.rpartition(" ")[2]) if first.startswith(f"{_FIRST} {_SAME}") else None
        if same is None or not same.exists() or not same.samefile(memory):
            note(memory, seen.good, seen.leases, seen.grace, seen.repo, fold=seen.fold)


def is_kept(memory: Path) -> bool:
    """Whether there is such a list: somebody here is guarded."""
    return _beside(memory).exists()


def is_of(memory: Path, good: str) -> bool:
    """Return True if the list is of that commit's view."""
    with suppress(OSError):
        noted = files.read(_beside(memory), _lease_cache)
        return noted is not None and noted.good == good
    return False


def read(folder: Path) -> LeaseCache | None:
    """What was noted last, if it is of the very view that the clone remembers; else None."""
    memories = list(folder.glob(f"{_MEMORY}*.json"))
    if len(memories) != 1:  # of two remotes or branches only the settings can tell which counts
        return None
    with suppress(OSError):
        good = files.read(memories[0], _good)
        noted = files.read(_beside(memories[0]), _lease_cache)
        if good and noted is not None and noted.good == good:
            return replace(noted, read_at=memories[0].stat().st_mtime)
    return None


def _good(remembered: Any) -> str:
    return str(files.unsealed(remembered)["good"])


def _lease_cache(noted: Any) -> LeaseCache:
    value = files.unsealed(noted)
    leases = tuple(
        CachedLease(str(who), str(mode), int(fence), datetime.fromtimestamp(until, UTC), Resource("file", str(name)))
        for who, mode, fence, until, name in value["leases"]
    )
    return LeaseCache(leases, timedelta(seconds=value["grace"]), 0.0, str(value["repo"]), str(value["good"]), value["fold"] is True)


def take_turn(folder: Path) -> bool:
    """Whether it is time to look after the branch in the background; at most one process a minute is told so."""
    with suppress(OSError):
        return files.take_turn(files.private_folder(folder) / _STAMP, STALE_AFTER)
    return False


def refreshing(work_tree: str) -> list[str]:
    """The program that looks after the branch in the background."""
    return processes.of_ours("-C", work_tree, "sync", "--quiet")


def _text(memory: Path) -> Path:
    return _beside(memory).with_suffix(".txt")


def _beside(memory: Path) -> Path:
    return memory.with_name(memory.name.replace(_MEMORY, _LIST, 1))
