"""When do two resources overlap? A path covers all below it, a glob what it matches; other types need equal names.

Only `*`, `**` and `?` are special (`app/[id]/page.tsx` is a name). Two globs that *could* meet overlap: a claim that is
too wide costs a question, one that is too narrow costs somebody's work.
"""

from __future__ import annotations

from functools import lru_cache

from gitcoord.core.names import Resource


def overlaps(one: Resource, other: Resource) -> bool:
    """Whether the two can't be held apart; symmetric, and true of a resource and itself."""
    if one.type != other.type:
        return False
    if one.name == other.name:
        return True
    return one.type == "file" and _paths_meet(one.name, other.name)


def covers(resource: Resource, path: str) -> bool:
    """Whether the resource says something about the file at that very path: in a path `*` and `?` are letters like others."""
    # A letter that no name may have: only `*` and `?` of the resource match it. The name of that very file has them too.
    literal = path.replace("*", "\0").replace("?", "\0")
    return resource.type == "file" and (resource.name == path or _paths_meet(resource.name, literal))


def _parts(path: str) -> tuple[str, ...]:
    return () if path in {".", ""} else tuple(part for part in path.split("/") if part not in {"", "."})


def _is_glob(path: str) -> bool:
    return "*" in path or "?" in path


def _paths_meet(one: str, other: str) -> bool:
    first, second = _parts(one), _parts(other)
    if not _is_glob(one) and not _is_glob(other):
        shorter = min(len(first), len(second))
        return first[:shorter] == second[:shorter]
    return _meet(first, second)


@lru_cache(maxsize=4096)
def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether some path is covered by both. An exhausted side covers everything below: a path covers its tree."""
    if not one or not other:
        return True
    if one[0] == "**":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "**":
        return _meet(one, other[1:]) or _meet(one[1:], other)
    return _segments_meet(one[0], other[0]) and _meet(one[1:], other[1:])


@lru_cache(maxsize=4096)
def _segments_meet(one: str, other: str) -> bool:
    """Whether some name matches both segments, each a name or a pattern of `*` and `?`. Linear in the product."""
    width = len(other)
    # row[j]: one[i:] and other[j:] can meet; filled from the ends backwards
    below = [all(char == "*" for char in other[j:]) for j in range(width + 1)]
    for i in range(len(one) - 1, -1, -1):
        row = [False] * (width + 1)
        row[width] = one[i] == "*" and below[width]
        for j in range(width - 1, -1, -1):
            if one[i] == "*" or other[j] == "*":
                row[j] = below[j] or row[j + 1] or below[j + 1]
                if one[i] != "*":  # only the other side is a star: it eats this character or nothing
                    row[j] = below[j] or row[j + 1]
                elif other[j] != "*":
                    row[j] = row[j + 1] or below[j]
            else:
                row[j] = (one[i] == other[j] or "?" in (one[i], other[j])) and below[j + 1]
        below = row
    return below[0]
