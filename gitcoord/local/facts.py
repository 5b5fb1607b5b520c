"""What is known of objects by their names: a fact about what never changes, so that it need not be read again.

A file beside the clone's memory. Losing it costs one slower look; a fact that can't be read is none.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path

from gitcoord.local import files

_KEPT = 20_000  # facts in the file; with more, only those stay that were used just now
_WORTH = 16  # new ones that are worth writing the file for


class Facts(MutableMapping[str, str]):
    """Facts by an object's name, read when the first one is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] | None = None
        self._used: set[str] = set()
        self._new = 0

    def _all(self) -> dict[str, str]:
        if self._known is None:
            found = None
            with suppress(OSError, RecursionError):
                found = files.read_json(self._path)
            entries = found.items() if isinstance(found, dict) else ()
            self._known = {key: value for key, value in entries if isinstance(value, str)}
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
        if self._new < _WORTH:
            return
        known = self._all()
        if len(known) > _KEPT:
            known = {key: known[key] for key in self._used if key in known}
        with suppress(OSError):
            files.private_folder(self._path.parent)
            files.write_json(self._path, known)
        self._new = 0
