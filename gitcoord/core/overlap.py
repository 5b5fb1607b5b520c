"""When do two resources overlap? A path covers all below it, a glob what it matches; other types need equal names.

Only `*`, `**` and `?` are special (`app/[id]/page.tsx` is a name). Two globs that *could* meet overlap: a claim that is
too wide costs a question, one that is too narrow costs somebody's work.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile
from typing import Generic, TypeVar
from unicodedata import ucd_3_2_0

from gitcoord.core.names import Resource

T = TypeVar("T")
_Place = tuple[str, ...]


def overlaps(one: Resource, other: Resource, *, fold: bool = False) -> bool:
    """Return True if the two can't be held apart; symmetric, and true of a resource and itself. `fold`: capital and small letters
    name one file.
    """
    if one.type != other.type:
        return False
    if one.name == other.name:
        return True
    return one.type == "file" and _paths_meet(spelled(one.name, fold=fold), spelled(other.name, fold=fold))


class Nearby(Generic[T]):
    """Things by the resources that they are about: who looks for what meets one resource need not go through all.

    Two files can meet only where one's folders, up to the first pattern, begin with the other's; other types need equal names.
    """

    def __init__(self, things: Iterable[tuple[Resource, T]], *, fold: bool = False) -> None:
        self._fold = fold
        self._at: dict[_Place, list[tuple[int, T]]] = {}
        self._below: dict[_Place, list[tuple[int, T]]] = {}
        for number, (resource, thing) in enumerate(things):
            place = self._place(resource)
            self._at.setdefault(place, []).append((number, thing))
            for depth in range(1, len(place)):
                self._below.setdefault(place[:depth], []).append((number, thing))

    def _place(self, resource: Resource) -> _Place:
        if resource.type != "file":
            return ("", str(resource))
        return ("file", *takewhile(lambda part: not _is_glob(part), parts(spelled(resource.name, fold=self._fold))))

    def to(self, resource: Resource) -> list[T]:
        """Return what may meet that resource, in the order in which it was given; all that does is among it."""
        place = self._place(resource)
        found = [
            *self._below.get(place, ()),
            *(one for depth in range(1, len(place) + 1) for one in self._at.get(place[:depth], ())),
        ]
        return [thing for _, thing in sorted(found, key=lambda one: one[0])]


def covers(resource: Resource, path: str, *, fold: bool = False) -> bool:
    """Return True if the resource says something about the file at that path: in a path `*` and `?` are letters like others."""
    # A letter that no name may have: only `*` and `?` of the resource match it. The name of that very file has them too.
    literal = path.replace("*", "\0").replace("?", "\0")
    if resource.type != "file":
        return False
    return resource.name == path or _paths_meet(spelled(resource.name, fold=fold), spelled(literal, fold=fold))


def within(inner: Resource, outer: Resource, *, fold: bool = False) -> bool:
    """Return True if all that `inner` covers lies in what `outer` covers, as far as their names tell."""
    if inner == outer:
        return True
    if inner.type != "file" or outer.type != "file":
        return False
    literal = spelled(inner.name, fold=fold).replace("*", "\0\0").replace("?", "\0")
    return _is_under(parts(literal), parts(spelled(outer.name, fold=fold)))


def _is_under(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    if not outer:
        return True
    if outer[0] == "**":
        return _is_under(inner, outer[1:]) or (bool(inner) and _is_under(inner[1:], outer))
    return bool(inner) and _segments_meet(inner[0], outer[0]) and _is_under(inner[1:], outer[1:])


@lru_cache(maxsize=8192)
def spelled(name: str, *, fold: bool) -> str:
    """Return the one spelling for all spellings of a file's name: composed, and (`fold`) in small letters.

    Every reader must say the same for ever, so both go by the tables of Unicode 3.2, which no Python changes; younger letters stay
    as they are. (How a letter that is in those tables folds never changes, by Unicode's own promise.)
    """
    if name.isascii():
        return name.lower() if fold else name
    text = ucd_3_2_0.normalize("NFC", name)
    if not fold:
        return text
    folded = "".join(char if ucd_3_2_0.category(char) == "Cn" else char.casefold() for char in text)
    return ucd_3_2_0.normalize("NFC", folded)


def parts(path: str) -> tuple[str, ...]:
    """Return the names between the slashes; none for the root."""
    return () if path in {".", ""} else tuple(part for part in path.split("/") if part not in {"", "."})


def _is_glob(path: str) -> bool:
    return "*" in path or "?" in path


def _paths_meet(one: str, other: str) -> bool:
    first, second = parts(one), parts(other)
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
