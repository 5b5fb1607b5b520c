"""What is known of objects by their names: a fact about what never changes, so that it need not be read again.

A file beside the clone's memory. Losing it costs one slower look; a fact that can't be read is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitcoord.machine import files

_KEPT = 20_000  # facts in the file; with more, only those stay that were used just now
_WORTH = 16  # new ones that are worth writing the file for


class Facts(MutableMapping[str, str]):
    """Facts by an object's name, read when the first one is asked for."""

    def __init__(self, path: Path, *, kept: int = _KEPT, worth: int = _WORTH) -> None:
        self._path = path
        self._kept, self._worth = kept, worth
        self._known: dict[str, str] | None = None
        self._used: set[str] = set()
        self._new = 0

    def _all(self) -> dict[str, str]:
        if self._known is None:
            self._known = {}
            with suppress(OSError):
                self._known = files.read(self._path, _texts) or {}
        return self._known

    def __getitem__(self, key: str) -> str:
        value = self._all()[key]
        self._used.add(key)
        return value

    def __setitem__(self, key: str, value: str) -> None:
        self._new += key not in self._all()
        self._all()[key] = value
        self._used.add(key)

    def __delitem__(self, key: str) -> None:
        del self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def keep(self) -> None:
        """Writes them down, if there are new ones and there is room."""
        if self._new < self._worth:
            return
        mine = self._all()

        def merge(known: dict[str, str] | None) -> dict[str, str]:
            both = {**(known or {}), **mine}
            return both if len(both) <= self._kept else {key: both[key] for key in self._used if key in both}

        with suppress(OSError):
            files.private_folder(self._path.parent)
            files.update(self._path, _texts, lambda known: files.sealed(merge(known)))
        self._new = 0


class SortedFacts(MutableMapping[str, str]):
    """Facts of several kinds, told apart by how their names begin and each kept in a file of its own: what is large, or changes
    often, is read and written only by who needs it. `kinds`: by the beginning of the name; "" for all others.
    """

    def __init__(self, kinds: Mapping[str, Facts]) -> None:
        self._kinds = kinds
        self._named = [(start, facts) for start, facts in kinds.items() if start]

    def _of(self, key: str) -> Facts:
        for start, facts in self._named:  # thousands are asked for at once
            if key.startswith(start):
                return facts
        return self._kinds[""]

    def __getitem__(self, key: str) -> str:
        return self._of(key)[key]

    def __setitem__(self, key: str, value: str) -> None:
        self._of(key)[key] = value

    def __delitem__(self, key: str) -> None:
        del self._of(key)[key]

    def __iter__(self) -> Iterator[str]:
        return (key for facts in self._kinds.values() for key in facts)

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))

    def keep(self) -> None:
        """Writes each kind down, if there is enough new of it."""
        for facts in self._kinds.values():
            facts.keep()


def _texts(value: Any) -> dict[str, str]:
    return {key: fact for key, fact in files.unsealed(value).items() if isinstance(fact, str)}
