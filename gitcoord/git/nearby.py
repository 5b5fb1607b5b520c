"""The repository that a folder lies in, found as git finds it but without starting git: for hooks, whose whole cost is a start.

Reads a few small files and believes none of them more than git would; where it can't tell, it says that there is none. Loads the
standard library only.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SMALL = 4096  # bytes of a file that names a folder
_REFS = 1 << 24  # bytes of packed refs that are looked through


@dataclass(frozen=True)
class Nearby:
    """A work tree: its own git folder, the one that all work trees of the repository share, and its root."""

    git_dir: str
    common_dir: str
    work_tree: str


def find(start: str) -> Nearby | None:
    """The work tree that the folder lies in; None outside of one."""
    if not os.path.isabs(start) or not os.path.isdir(start):
        return None
    here = os.path.realpath(start)
    while True:
        git_dir = _git_dir(os.path.join(here, ".git"))
        if git_dir:
            return Nearby(git_dir, common(git_dir), here)
        above = os.path.dirname(here)
        if above == here:
            return None
        here = above


def common(git_dir: str) -> str:
    """The git folder that the work tree of that one shares with the others."""
    named = _line(os.path.join(git_dir, "commondir"))
    return os.path.realpath(os.path.join(git_dir, named)) if named else git_dir


def git_dirs(common_dir: str) -> list[str]:
    """The git folders of all work trees of the repository, the main one's first."""
    linked = Path(common_dir, "worktrees")
    return [common_dir, *sorted(str(path.parent) for path in linked.glob("*/gitdir"))]


def work_tree(git_dir: str) -> str:
    """The root of the work tree that has this git folder; "" where that can't be told."""
    named = _line(os.path.join(git_dir, "gitdir"))
    if named:
        return os.path.realpath(os.path.dirname(named))
    return os.path.dirname(git_dir) if os.path.basename(git_dir) == ".git" else ""


def work_trees(near: Nearby) -> list[str]:
    """The roots of all work trees of the repository."""
    return sorted({near.work_tree, *map(work_tree, git_dirs(near.common_dir))} - {""})


def is_coordinated(common_dir: str, branch: str) -> bool:
    """Whether a remote's branch of that name was fetched here: then other clones of the project coordinate by it."""
    if next(Path(common_dir, "refs", "remotes").glob(f"*/{branch}"), None) is not None:
        return True
    with suppress(OSError), open(os.path.join(common_dir, "packed-refs"), "rb") as file:
        end = f"/{branch}".encode()
        return any(b" refs/remotes/" in line and line.rstrip().endswith(end) for line in file.read(_REFS).splitlines())
    return False


def _git_dir(place: str) -> str:
    """The git folder that `.git` is or names; "" when it is neither."""
    if os.path.isdir(place):
        found = os.path.realpath(place)
    else:
        prefix, _, named = _line(place).partition(": ")
        if prefix != "gitdir" or not named:
            return ""
        found = os.path.realpath(os.path.join(os.path.dirname(place), named))
    return found if os.path.exists(os.path.join(found, "HEAD")) else ""


def _line(path: str) -> str:
    """The one line of a small file; "" when there is none."""
    with suppress(OSError), open(path, "rb") as file:
        return file.read(_SMALL).decode("utf-8", "surrogateescape").rstrip("\r\n")
    return ""
