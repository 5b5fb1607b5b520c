"""git's objects: commits, trees and blobs read in bulk, a chain of commits written by one process. No index, no checkout."""

from __future__ import annotations

import hashlib
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, overload

from gitcoord.errors import GitcoordError, NotWritten
from gitcoord.git.repo import NULL, Oid, Repository

COMMIT_LIMIT = 1 << 20  # bytes of a commit object: a message text is at most 64 KB, escapes and trailers included
BLOB_LIMIT = 4 << 20  # bytes of a record: larger ones are never inflated
_LINES = {width: re.compile(rb"([0-7]+) ([^\0]+)\0(.{%d})" % width, re.DOTALL) for width in (20, 32)}
_USED_MODES = (b"40000", b"100644")  # links, programs and submodules are no records
_AT_ONCE = 400  # names written to a reading child before its answers are read: they fit into one pipe buffer


@dataclass(frozen=True)
class Entry:
    """One file of a tree: its path, mode and blob."""

    path: str
    mode: str
    oid: Oid


@dataclass(frozen=True)
class Commit:
    """A commit as read. `message` None: too large, or not UTF-8, or not to be read as it is."""

    oid: Oid
    parents: tuple[Oid, ...]
    author: str = ""
    authored_at: datetime | None = None
    committed_at: datetime | None = None
    message: str | None = None


@dataclass(frozen=True)
class NewCommit:
    """A commit to write: its message, who and when, and what it changes (None: the path goes)."""

    message: str
    name: str
    email: str
    authored_at: datetime
    committed_at: datetime
    changes: Mapping[str, bytes | None]


class Line(NamedTuple):
    """One line of a folder: its name there, its object, and whether it is a folder or a plain file."""

    name: str
    oid: Oid
    folder: bool


class Lines(Sequence[Line]):
    """What lies right in one folder, in git's order: by the bytes of the names. Parsed when it is gone through; the last line can
    be had without.
    """

    def __init__(self, data: bytes, width: int) -> None:
        self._data = data
        self._width = width  # bytes of an object's name
        self._parsed: list[Line] | None = None

    def _all(self) -> list[Line]:
        if self._parsed is None:
            lines = _LINES[self._width].findall(self._data)
            self._parsed = [
                Line(name.decode("utf-8", "surrogateescape"), oid.hex(), mode == b"40000")
                for mode, name, oid in lines
                if mode in _USED_MODES
            ]
        return self._parsed

    def last_name(self) -> str:
        """The name of the last plain file, if that is the last line and has no blank in its name; else ""."""
        _, mode, name = self._data[: -self._width - 1].rpartition(b"100644 ")
        return name.decode("utf-8", "surrogateescape") if mode and b"\0" not in name else ""

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | Sequence[Line]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Line]:
        return iter(self._all())


class Objects:
    """Reads and writes objects of one repository. A context manager: it keeps one reading child. `complete` fetches what a fetch
    with a depth left out of a commit's history.
    """

    def __init__(self, repo: Repository, complete: Callable[[Oid], None] | None = None) -> None:
        self._repo = repo
        self._complete = complete
        self._batch: subprocess.Popen[bytes] | None = None
        self._check: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the reading children."""
        for child in (self._batch, self._check):
            if child is not None:
                for stream in (child.stdin, child.stdout):
                    if stream:
                        stream.close()
                child.wait()
        self._batch = self._check = None

    def _reader(self, mode: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._repo.argv("cat-file", mode), env=self._repo.environment, cwd=self._repo.cwd,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def blob_oid(self, data: bytes) -> Oid:
        """The name that git gives to a blob of those bytes."""
        digest = hashlib.new(self._repo.hash_name, usedforsecurity=False)
        digest.update(b"blob %d\0" % len(data))
        digest.update(data)
        return digest.hexdigest()

    def sizes(self, oids: Sequence[Oid]) -> list[tuple[str, int] | None]:
        """Type and size in bytes of each object, without inflating it; None for one that isn't there."""
        if self._check is None:
            self._check = self._reader("--batch-check=%(objecttype) %(objectsize)")
        found: list[tuple[str, int] | None] = []
        for start in range(0, len(oids), _AT_ONCE):
            part = oids[start : start + _AT_ONCE]
            assert self._check.stdin
            assert self._check.stdout
            self._check.stdin.write("".join(f"{oid}\n" for oid in part).encode())
            self._check.stdin.flush()
            for _ in part:
                words = self._check.stdout.readline().split()
                found.append(None if len(words) != 2 or words[1] == b"missing" else (words[0].decode(), int(words[1])))
        return found

    def read(self, oids: Sequence[Oid], limit: int) -> list[bytes | None]:
        """The contents of each object of at most `limit` bytes; None for a larger or a missing one."""
        wanted = [oid if size is not None and size[1] <= limit else None for oid, size in zip(oids, self.sizes(oids), strict=True)]
        return self.contents(wanted)

    def contents(self, oids: Sequence[Oid | None]) -> list[bytes | None]:
        """The contents of objects whose size was looked at before; None for a missing one."""
        if self._batch is None:
            self._batch = self._reader("--batch")
        found: list[bytes | None] = []
        for start in range(0, len(oids), _AT_ONCE):
            part = oids[start : start + _AT_ONCE]
            assert self._batch.stdin
            assert self._batch.stdout
            self._batch.stdin.write("".join(f"{oid}\n" for oid in part if oid is not None).encode())
            self._batch.stdin.flush()
            for oid in part:
                if oid is None:
                    found.append(None)
                    continue
                header = self._batch.stdout.readline().split()
                if len(header) == 2 and header[1] == b"missing":
                    found.append(None)
                    continue
                if len(header) != 3:
                    raise GitcoordError(f"object {oid} can't be read", hint="git fsck, then gitcoord doctor")
                found.append(self._batch.stdout.read(int(header[2])))
                self._batch.stdout.read(1)
        return found

    def tree(self, commit: Oid) -> list[Entry]:
        """Every file of a commit's tree."""
        entries = []
        for line in self._repo.ask("ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
            if line:
                meta, _, path = line.partition("\t")
                mode, _, oid = meta.split(" ")
                entries.append(Entry(path, mode, oid))
        return entries

    def folders(self, names: Sequence[Oid]) -> list[Lines]:
        """What lies right in each of those trees (a commit stands for its own): folders and plain files, by name.

        The reading child gives them as they are: no process, and nothing below is looked at.
        """
        found = []
        for data in self.contents([f"{name}^{{tree}}" for name in names]):
            if data is None:
                raise GitcoordError("a folder of the branch can't be read", hint="git fsck, then gitcoord doctor")
            found.append(Lines(data, 32 if self._repo.hash_name == "sha256" else 20))
        return found

    def range(self, tip: Oid, known: Oid = NULL) -> list[tuple[Oid, tuple[Oid, ...]]] | None:
        """The commits that `tip` has and `known` hasn't, parents before children, each with its parents.

        None when `known` isn't in the repository any more. What a fetch with a depth left out is fetched first: where that one
        stopped is no root.
        """
        if known and self.sizes([known])[0] is None:
            return None
        asked = [tip, *([f"^{known}"] if known else [])]
        if self._complete and self._repo.is_cut(*asked):
            self._complete(tip)
        return self._names(*asked)

    def saying(self, tip: Oid, line: str) -> list[tuple[Oid, tuple[Oid, ...]]]:
        """The commits of `tip` whose message holds that text, the oldest first, each with its parents. git does the reading."""
        if self._complete and self._repo.is_cut(tip):
            self._complete(tip)
        return self._names("--fixed-strings", f"--grep={line}", tip)

    def _names(self, *asked: str) -> list[tuple[Oid, tuple[Oid, ...]]]:
        listed = self._repo.ask("rev-list", "--topo-order", "--reverse", "--parents", *asked, "--").splitlines()
        return [(words[0], tuple(words[1:])) for words in (line.split() for line in listed)]

    def commits(self, names: Sequence[tuple[Oid, tuple[Oid, ...]]]) -> list[Commit]:
        """The commits, parsed. What can't be read as plain UTF-8 of a bearable size comes without a message."""
        raw = self.read([oid for oid, _ in names], COMMIT_LIMIT)
        return [_parse(oid, parents, data) for (oid, parents), data in zip(names, raw, strict=True)]

    def date(self, commit: Oid) -> datetime | None:
        """The committer date of a commit that was read before; None when it isn't in this clone any more."""
        return _parse(commit, (), self.contents([commit])[0]).committed_at

    def diffs(self, pairs: Sequence[tuple[Oid, Oid]]) -> Iterator[dict[str, Entry | None]]:
        """For each (older commit, newer commit): the paths that differ, with the newer's entry (None: gone).

        An older one of NULL stands for the empty tree; then the newer must be a root.
        """
        asked = "".join(f"{new} {old}\n" if old else f"{new}\n" for old, new in pairs)
        done = self._repo.run(
            "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--root", "--always",
            stdin=asked.encode(),
        )  # fmt: skip
        if not done.ok:
            raise GitcoordError(f"git can't compare commits: {done.words}", hint="git fsck, then gitcoord doctor")
        changes: dict[str, Entry | None] | None = None
        tokens = iter(done.stdout.split(b"\0"))
        for token in tokens:
            if token.startswith(b":"):
                _, mode, _, oid, status = token[1:].decode("ascii").split(" ")
                path = next(tokens).decode("utf-8", "surrogateescape")
                assert changes is not None
                changes[path] = None if status == "D" else Entry(path, mode, oid)
            elif token:
                if changes is not None:
                    yield changes
                changes = {}
        if changes is not None:
            yield changes

    def write_chain(self, base: Oid, tree_of: Oid, commits: Sequence[NewCommit]) -> list[Oid]:
        """Writes the commits one behind the other on `base` (NULL: the first is a root) and returns their names.

        The first starts from the tree of `tree_of`, which is `base` unless bad commits lie between. One process writes
        the whole chain; the ref that fast-import needs is never created (its branch is reset to nothing before the end).
        """
        ref = f"refs/gitcoord/chain/{secrets.token_hex(8)}"
        feed = bytearray(b"feature done\n")
        tree = self._repo.ask("rev-parse", "--verify", f"{tree_of}^{{tree}}").strip() if tree_of and tree_of != base else ""
        for mark, commit in enumerate(commits, 1):
            message = commit.message.encode()
            feed += f"commit {ref}\nmark :{mark}\n".encode()
            feed += _ident("author", commit.name, commit.email, commit.authored_at)
            feed += _ident("committer", commit.name, commit.email, commit.committed_at)
            feed += b"data %d\n%b\n" % (len(message), message)
            if mark == 1 and base:
                feed += f"from {base}\n".encode()
                if tree:
                    feed += f'M 040000 {tree} ""\n'.encode()
            for path, data in commit.changes.items():
                quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
                if data is None:
                    feed += f"D {quoted}\n".encode()
                else:
                    feed += f"M 100644 inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n"
            feed += b"\n"
        feed += b"".join(b"get-mark :%d\n" % mark for mark in range(1, len(commits) + 1))
        zeros = "0" * (64 if self._repo.hash_name == "sha256" else 40)
        feed += f"reset {ref}\nfrom {zeros}\n\ndone\n".encode()
        done = self._repo.run("fast-import", "--quiet", "--done", "--date-format=raw", stdin=bytes(feed))
        oids = done.stdout.decode("ascii", "replace").split()
        if not done.ok or len(oids) != len(commits):
            raise NotWritten(f"git could not write: {done.words}", hint="is the disk full? gitcoord doctor")
        return oids


def _ident(role: str, name: str, email: str, when: datetime) -> bytes:
    safe = "".join(char for char in email if char.isprintable() and char not in "<>\n")
    return f"{role} {name} <{safe}> {int(when.timestamp())} +0000\n".encode()


def _parse(oid: Oid, parents: tuple[Oid, ...], data: bytes | None) -> Commit:
    if data is None:
        return Commit(oid, parents)
    head, _, body = data.partition(b"\n\n")
    author, authored_at, committed_at, plain = "", None, None, True
    for line in head.split(b"\n"):
        word, _, rest = line.partition(b" ")
        if word == b"author":
            author, authored_at = _who(rest)
        elif word == b"committer":
            _, committed_at = _who(rest)
        elif word == b"encoding":
            plain = False
    try:
        message = body.decode("utf-8") if plain and b"\0" not in body else None
    except UnicodeDecodeError:
        message = None
    return Commit(oid, parents, author, authored_at, committed_at, message)


def _who(rest: bytes) -> tuple[str, datetime | None]:
    name, _, tail = rest.decode("utf-8", "replace").rpartition("<")
    try:
        return name.strip(), datetime.fromtimestamp(int(tail.rpartition(">")[2].split()[0]), UTC)
    except (ValueError, IndexError, OverflowError, OSError):
        return name.strip(), None
