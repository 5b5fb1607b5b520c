"""Trees compared along the paths that are expected to change, and nowhere else: what else a tree holds costs nothing.

A tree of a few kilobytes can stand for a hundred million paths. So nobody lists what a commit changes: where a folder is what the
expected changes make of the last one, its name says so, and it isn't even read; where it is not, it is read if it can't be larger
than that, and anything in it that was not expected ends the comparison.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from operator import lt

from gitcoord.git.objects import Objects
from gitcoord.git.repo import Oid

ROOT_LIMIT = 1 << 16  # bytes of a commit's topmost folder: it holds a dozen names
_PLAIN, _FOLDER = b"100644 ", b"40000 "

Wanted = dict[str, "Oid | Wanted | None"]
"""What is expected in a folder, by name: a file's blob, None where it goes, or what is expected in a folder below."""


class Strange(Exception):
    """A tree has something else than was expected. `words`: what is wrong, with `{}` for the path that it is about."""

    def __init__(self, words: str, path: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.path = path


class Folder:
    """What lies right in one folder: its lines as git writes them, in git's order. Never changed in place."""

    __slots__ = ("_ends", "_keys", "below", "data")

    def __init__(self, data: bytes = b"", keys: list[bytes] | None = None, ends: list[int] | None = None) -> None:
        self.data = data
        """The tree object."""
        self._keys = keys or []  # what git sorts by: the names, those of folders with a slash behind
        self._ends = ends or []  # where each line ends; like the names it is shared by folders that differ in objects only
        self.below: dict[str, Folder] = {}
        """The folders in it that were looked at."""

    @staticmethod
    def parse(data: bytes, width: int) -> Folder:
        """The folder in a tree object. Raises Strange for one that git would not write."""
        lines = _LINE[width].findall(data)
        keys = [name + b"/" if mode == b"40000" else name for _, mode, name in lines]
        ends = [*accumulate(len(line) for line, _, _ in lines)]
        if (ends[-1] if ends else 0) != len(data) or not all(map(lt, keys, islice(keys, 1, None))):
            raise Strange("it has a folder that git would not write")
        return Folder(data, keys, ends)

    def _find(self, key: bytes) -> int:
        """The number of the line with that key; -1 where there is none."""
        at = bisect_left(self._keys, key)
        return at if at < len(self._keys) and self._keys[at] == key else -1

    def _line(self, at: int) -> bytes:
        return self.data[self._ends[at - 1] if at else 0 : self._ends[at]]

    def line(self, name: str) -> bytes | None:
        """The line of that name; None where there is none."""
        raw = name.encode()
        at = self._find(raw)
        if at < 0:
            at = self._find(raw + b"/")
        return None if at < 0 else self._line(at)

    def names(self) -> list[str]:
        """All names in it."""
        return [key.removesuffix(b"/").decode("utf-8", "surrogateescape") for key in self._keys]

    def changed(self, lines: Mapping[str, bytes | None], below: Mapping[str, Folder]) -> Folder:
        """The folder with those lines in the place of what had their names (None: nothing)."""
        new = Folder(self.data, self._keys, self._ends)
        new.below = {name: folder for name, folder in self.below.items() if name not in lines} | dict(below)
        for name, line in lines.items():
            raw = name.encode()
            key = None if line is None else raw + b"/" if line.startswith(_FOLDER) else raw
            for there in (raw, raw + b"/"):
                at = new._find(there)
                if at >= 0 and (there != key or line is None or len(line) != len(new._line(at))):
                    new._put(at, at + 1, [], b"")
            if key is None or line is None:
                continue
            at = new._find(key)
            if at >= 0:
                new.data = new.data[: new._ends[at] - len(line)] + line + new.data[new._ends[at] :]
            else:
                at = bisect_left(new._keys, key)
                new._put(at, at, [key], line)
        return new

    def _put(self, start: int, stop: int, keys: list[bytes], line: bytes) -> None:
        """Puts a line, or none, in the place of those lines, in a folder that is being made."""
        first, last = (self._ends[start - 1] if start else 0), (self._ends[stop - 1] if stop else 0)
        more = first + len(line) - last
        self.data = self.data[:first] + line + self.data[last:]
        self._keys = self._keys[:start] + keys + self._keys[stop:]
        self._ends = self._ends[:start] + [first + len(line)] * len(keys) + [end + more for end in self._ends[stop:]]

    def difference(self, other: Folder) -> str:
        """The first name at which two folders differ."""
        pairs = [(key, folder._line(at)) for folder in (self, other) for at, key in enumerate(folder._keys)]
        count = Counter(line for _, line in pairs)
        return min(key for key, line in pairs if count[line] == 1).decode("utf-8", "backslashreplace")


_LINE = {width: re.compile(rb"(([1-7][0-7]{4,5}) ([^\0/]+)\0.{%d})" % width, re.DOTALL) for width in (20, 32)}


@dataclass(frozen=True)
class Compared:
    """What a comparison found where all was as expected: the files that stand there, where they are others than expected, and those
    whose content nobody foretold.
    """

    root: Folder
    differing: dict[str, Oid] = field(default_factory=dict)
    pages: dict[str, Oid] = field(default_factory=dict)


class Trees:
    """Compares the trees of commits."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def roots(self, trees: Sequence[Oid]) -> list[Folder | None]:
        """Those trees, which are the topmost folders of commits; None for one that is too large, or that git would not write."""
        found: list[Folder | None] = []
        for data in self._objects.read(trees, ROOT_LIMIT):
            try:
                found.append(None if data is None else Folder.parse(data, self._objects.width))
            except Strange:
                found.append(None)
        return found

    def plain(self, root: Folder, names: Collection[str]) -> list[Oid]:
        """The blobs of those names in that folder, as far as they are plain files."""
        lines = [root.line(name) for name in names]
        return [self._oid(line) for line in lines if line is not None and line.startswith(_PLAIN)]

    def compare(
        self, old: Folder, new: Folder, expected: Mapping[str, Oid | None], pages: Collection[str], may_go: Callable[[str], bool]
    ) -> Compared:
        """Compare two topmost folders. `expected`: the blob of each path that changes; `pages`: files at the top with any content;
        `may_go`: whether a name at the top may be taken away. Raises Strange.
        """
        compared = Compared(new)
        lines: dict[str, bytes | None] = {name: None for name in old.names() if may_go(name) and new.line(name) is None}
        for name in pages:
            line = new.line(name)
            if line is None and old.line(name) is not None:
                raise Strange("it takes {} away", name)
            if line is not None and line != old.line(name):
                if not line.startswith(_PLAIN):
                    raise Strange("{} is not a plain file", name)
                lines[name] = line
            if line is not None:
                compared.pages[name] = self._oid(line)
        root = self._look(old, new, _nested(expected), "", lines, compared)
        return Compared(root, compared.differing, compared.pages)

    def _look(
        self, old: Folder, new: Folder, wanted: Wanted, path: str, lines: dict[str, bytes | None], compared: Compared
    ) -> Folder:
        """The new folder, if it is the old one but for what is wanted; `lines`: what else may differ, and how it stands now."""
        below: dict[str, Folder] = {}
        for name, what in sorted(wanted.items()):
            here, line = path + name, new.line(name)
            lines[name] = line
            if isinstance(what, dict):
                before = self._below(old, name)
                if line is None:
                    self._look(before, Folder(), what, f"{here}/", {}, compared)
                elif not line.startswith(_FOLDER):
                    raise Strange("{} is not a folder", here)
                else:
                    below[name] = self._reach(before, self._oid(line), what, f"{here}/", compared)
            elif what is None:
                if line is not None:
                    raise Strange("it keeps {} against its event", here)
            elif line is None:
                raise Strange("it takes away {} against its event", here)
            elif not line.startswith(_PLAIN):
                raise Strange("{} is not a plain file", here)
            elif self._oid(line) != what:
                compared.differing[here] = self._oid(line)
        found = old.changed(lines, below)
        if found.data != new.data:
            raise Strange("it changes {}, which its event doesn't", path + found.difference(new))
        return found

    def _reach(self, old: Folder, oid: Oid, wanted: Wanted, path: str, compared: Compared) -> Folder:
        """The folder of that name, not read where it is what the old one becomes."""
        expected = self._become(old, wanted)
        if self._objects.tree_oid(expected.data) == oid:
            return expected
        limit = len(old.data) + _room(wanted, self._objects.width)
        data = self._objects.read([oid], limit)[0]
        if not data:
            raise Strange("it changes {}, which its event doesn't", path)
        return self._look(old, Folder.parse(data, self._objects.width), wanted, path, {}, compared)

    def _become(self, old: Folder, wanted: Wanted) -> Folder:
        """What the folder becomes, if every file is exactly as expected."""
        lines: dict[str, bytes | None] = {}
        below: dict[str, Folder] = {}
        for name, what in wanted.items():
            if isinstance(what, dict):
                folder = self._become(self._below(old, name), what)
                data = folder.data
                if data:
                    below[name] = folder
                lines[name] = _FOLDER + name.encode() + b"\0" + bytes.fromhex(self._objects.tree_oid(data)) if data else None
            else:
                lines[name] = None if what is None else _PLAIN + name.encode() + b"\0" + bytes.fromhex(what)
        return old.changed(lines, below)

    def _below(self, folder: Folder, name: str) -> Folder:
        """The folder of that name in a good tree; an empty one where there is none."""
        if name not in folder.below:
            line = folder.line(name)
            if line is None or not line.startswith(_FOLDER):
                return Folder()
            data = self._objects.contents([self._oid(line)])[0]
            folder.below[name] = Folder.parse(data or b"", self._objects.width)
        return folder.below[name]

    def _oid(self, line: bytes) -> Oid:
        return line[-self._objects.width :].hex()


def _nested(expected: Mapping[str, Oid | None]) -> Wanted:
    found: Wanted = {}
    for path, oid in expected.items():
        *folders, name = path.split("/")
        here = found
        for folder in folders:
            below = here.setdefault(folder, {})
            assert isinstance(below, dict)
            here = below
        here[name] = oid
    return found


def _room(wanted: Iterable[str], width: int) -> int:
    """By how many bytes a folder can grow with those names."""
    return sum(len(_PLAIN) + len(name.encode()) + 1 + width for name in wanted)
