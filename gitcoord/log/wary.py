"""Reads a tree that nobody has checked, up to a bound for all of it together."""

from __future__ import annotations

from collections.abc import Sequence

from gitcoord.errors import Doubtful
from gitcoord.git.objects import BLOB_LIMIT, Objects, TreeLines
from gitcoord.git.repo import Oid

_FOLDER_LIMIT = 4 << 20  # bytes of one folder
_BYTES = 64 << 20  # of all that one look reads
_OBJECTS = 100_000
UNFIT = (Doubtful, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading records raises where they aren't what a good commit brings."""


class WaryReader:
    """Reads objects that nobody has looked at before, up to a bound for all of them together. Raises Doubtful beyond it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._bytes, self._count = _BYTES, _OBJECTS

    def _take(self, oids: Sequence[Oid], kinds: set[str], limit: int) -> None:
        """Makes sure that these objects may be read."""
        self._count -= len(oids)
        if self._count < 0:
            raise Doubtful
        for kind, size in self._objects.sizes(oids):
            self._bytes -= size
            if kind not in kinds or size > limit or self._bytes < 0:
                raise Doubtful

    def folders(self, oids: Sequence[Oid]) -> list[TreeLines]:
        """What lies right in each of those trees."""
        self._take(oids, {"tree"}, _FOLDER_LIMIT)
        return self._objects.folders(oids)

    def contents(self, oids: Sequence[Oid]) -> list[bytes | None]:
        """The bytes of each of those files."""
        self._take(oids, {"blob"}, BLOB_LIMIT)
        return self._objects.contents(oids)
