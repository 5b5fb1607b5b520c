"""Which files of a repository a path means, for every guard: by the name given, and where it leads through symbolic links.

Loads the standard library only.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from gitcoord.core.guard import Target
from gitcoord.core.names import file_in


@dataclass(frozen=True)
class Ground:
    """Where files lie: the roots of a repository's work trees, the git folders that are no files of it, and what the names of its
    files begin with, where several repositories share the branch.
    """

    trees: tuple[str, ...]
    folders: tuple[str, ...] = ()
    within: str = ""


def plain(path: str, within: str) -> str:
    """The path, relative to the root, as claims spell it."""
    return file_in(within, unicodedata.normalize("NFC", path))


def targets(ground: Ground, paths: Sequence[str], here: str) -> list[Target]:
    """The files that writing to those paths (absolute, or relative to `here`) would change."""
    trees = sorted(ground.trees, key=len, reverse=True)  # a linked work tree may lie inside of another
    found: dict[str, Target] = {}
    for path in paths:
        given = os.path.join(here, path)
        folder, name = os.path.split(given.rstrip("/") or "/")
        real = os.path.realpath(given)
        named = real if name in {"", ".", ".."} else os.path.join(os.path.realpath(folder), name)
        for one in dict.fromkeys((named, real)):
            inside = _inside(one, trees)
            if inside is not None and not any(_is_below(one, folder) for folder in ground.folders):
                name = plain(inside, ground.within)
                found.setdefault(name, Target(name, new=not os.path.lexists(one)))
    return list(found.values())


def _inside(path: str, trees: Sequence[str]) -> str | None:
    """The path relative to the work tree that it lies in; None outside of all."""
    return next((os.path.relpath(path, tree).replace(os.sep, "/") for tree in trees if _is_below(path, tree)), None)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
