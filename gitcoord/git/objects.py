"""git's objects: commits, trees and blobs read in bulk, a chain of commits written by one process. No index, no checkout."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from itertools import takewhile
from types import TracebackType
from typing import Any, NamedTuple, TypeVar, overload

from gitcoord.errors import Damaged, GitcoordError, GitFault, NotWritten
from gitcoord.git.process import Conversation, GitChild
from gitcoord.git.repo import NULL, OID, Oid, Repository, oid_lines, own_ref

_T = TypeVar("_T")

COMMIT_LIMIT = 1 << 20  # bytes of a commit object: a message text is at most 64 KB, escapes and trailers included
BLOB_LIMIT = 2 << 20  # bytes of a record: no event can make a larger one, so larger ones are never inflated
_LINES = {width: re.compile(rb"([0-7]+) ([^\0]+)\0(.{%d})" % width, re.DOTALL) for width in (20, 32)}
_WHO = re.compile(rb"(.*)<([^<>]*)> (0|[1-9][0-9]{0,10}) [+-][0-9]{4}", re.DOTALL)
_DATE = rb"(0|[1-9][0-9]{0,10}) [+-][0-9]{4}"
_HEAD = re.compile(
    rb"tree ([0-9a-f]+)(?:\nparent [0-9a-f]+)*\nauthor ([^\n]*)<[^<>\n]*> %b\ncommitter [^\n]*<([^<>\n]*)> %b" % (_DATE, _DATE)
)  # the head of a commit in which nothing else stands
_SIGNATURES = (b"gpgsig ", b"gpgsig-sha256 ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_USED_MODES = (b"40000", b"100644")  # links, programs and submodules are no records
_AT_ONCE = 400  # names that a reading child is given at a time: what it answers is taken whole, or asked for again
_TYPES = frozenset({"blob", "tree", "commit", "tag"})
_DAMAGED = "git fsck, then gitcoord doctor"


@dataclass(frozen=True)
class TreeFile:
    """One file of a tree: its path, mode and blob."""

    path: str
    mode: str
    oid: Oid


@dataclass(frozen=True)
class Commit:
    """A commit as read. `message` None: too large, or not UTF-8, or not to be read as it is. `email`: of its committer, who pushed
    it, as far as it says so itself; `signature`: as it stands there, b"" for none; `payload`: what is signed.
    """

    oid: Oid
    parents: tuple[Oid, ...]
    author: str = ""
    authored_at: datetime | None = None
    committed_at: datetime | None = None
    message: str | None = None
    tree: Oid = NULL
    email: str = ""
    signature: bytes = b""
    payload: bytes = b""


@dataclass(frozen=True)
class NewCommit:
    """A commit to write: its message, who and when, and what it changes (None: the path goes)."""

    message: str
    name: str
    email: str
    authored_at: datetime
    committed_at: datetime
    changes: Mapping[str, bytes | None]


class TreeLine(NamedTuple):
    """One line of a folder: its name there, its object, and whether it is a folder or a plain file."""

    name: str
    oid: Oid
    folder: bool


class TreeLines(Sequence[TreeLine]):
    """What lies right in one folder, in git's order: by the bytes of the names. Parsed when it is gone through; the last line can
    be had without.
    """

    def __init__(self, data: bytes, width: int) -> None:
        self._data = data
        self._width = width  # bytes of an object's name
        self._parsed: list[TreeLine] | None = None

    def _all(self) -> list[TreeLine]:
        if self._parsed is None:
            lines = _LINES[self._width].findall(self._data)
            self._parsed = [
                TreeLine(name.decode("utf-8", "surrogateescape"), oid.hex(), mode == b"40000")
                for mode, name, oid in lines
                if mode in _USED_MODES
            ]
        return self._parsed

    def last_name(self) -> str:
        """The name of the last plain file, if that is the last line and has no blank in its name; else ""."""
        _, mode, name = self._data[: -self._width - 1].rpartition(b"100644 ")
        return name.decode("utf-8", "surrogateescape") if mode and b"\0" not in name else ""

    @overload
    def __getitem__(self, index: int) -> TreeLine: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TreeLine]: ...
    def __getitem__(self, index: int | slice) -> TreeLine | Sequence[TreeLine]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[TreeLine]:
        return iter(self._all())


class Objects:
    """Reads and writes objects of one repository. A context manager: it keeps its reading children. `complete` fetches what a fetch
    with a depth left out of a commit's history; `mend` fetches again what is missing or damaged here.

    What is read is believed only if its bytes give its name, and a list only if it is whole. All else is a fault, asked for once
    more and then raised as GitFault: never an object that isn't there, never one that is empty.
    """

    def __init__(
        self, repo: Repository, complete: Callable[[Oid], None] | None = None, mend: Callable[[], None] | None = None
    ) -> None:
        self._repo = repo
        self._complete = complete
        self._mend = mend
        self._readers: dict[str, Conversation] = {}
        self._is_joint = True  # one child gives contents and sizes; git before 2.36 needs two
        self._writer: GitChild | None = None

    @cached_property
    def _hash(self) -> Callable[[bytes], Any]:
        """The repository's hash."""
        return partial(getattr(hashlib, self._repo.hash_name), usedforsecurity=False)

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the children."""
        self._close_readers()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.hang_up()
            writer.close()

    def _close_readers(self) -> None:
        while self._readers:
            self._readers.popitem()[1].close()

    def begin(self) -> None:
        """Start the child that reads, before anybody asks it: it loads meanwhile."""
        self._reader("contents")

    def begin_writing(self) -> None:
        """The same for the next chain that is written."""
        if self._writer is None:
            self._writer = self._repo.begin(*_WRITES)

    def _reader(self, asked: str) -> Conversation:
        """Return the child that is asked for "contents", or for "info": type and size."""
        kind = "" if self._is_joint else asked
        if kind not in self._readers:
            repo = self._repo
            self._readers[kind] = Conversation(
                repo.argv("cat-file", _READS[kind]), env=repo.environment, cwd=repo.cwd, idle=repo.seconds, tick=repo.tick
            )
        return self._readers[kind]

    def _answers(self, asked: str, names: Sequence[str], answer: Callable[[Conversation, str], _T]) -> list[_T]:
        """What a reading child of that kind answers for each name. One that fails is asked again, by a child of its own."""
        found: list[_T] = []
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            for number in range(3):
                try:
                    found += self._ask(asked, part, answer)
                    break
                except GitFault as fault:
                    self._close_readers()
                    self._is_joint = False
                    if number and isinstance(fault, Damaged):
                        self._mended(fault)
                    elif number or fault.stalled:
                        raise
        return found

    def _mended(self, fault: GitFault) -> None:
        """Has what may be damaged fetched again, once; raises the fault where that can't be done."""
        mend, self._mend = self._mend, None
        if mend is None:
            raise fault
        try:
            mend()
        except (GitcoordError, OSError):
            raise fault from None
        self.close()  # they know the old packs only

    def _reading(self, *words: str, parse: Callable[[bytes], _T], stdin: bytes = b"") -> _T:
        try:
            return self._repo.reading(*words, parse=parse, stdin=stdin)
        except GitFault as fault:
            if fault.stalled:
                raise
            self._mended(fault)
            return self._repo.reading(*words, parse=parse, stdin=stdin)

    def _ask(self, asked: str, names: Sequence[str], answer: Callable[[Conversation, str], _T]) -> list[_T]:
        child = self._reader(asked)
        word = f"{asked} " if self._is_joint else ""
        child.send("".join(f"{word}{name}\n" for name in names).encode())
        found = [answer(child, name) for name in names]
        if child.has_more():
            raise GitFault("git answered more than it was asked", hint="run the same command again")
        return found

    @property
    def width(self) -> int:
        """Bytes of an object's name."""
        return 32 if self._repo.hash_name == "sha256" else 20

    def blob_oid(self, data: bytes) -> Oid:
        """The name that git gives to a blob of those bytes."""
        return self._oid(b"blob", data)

    def tree_oid(self, data: bytes) -> Oid:
        """The name that git gives to a tree of those bytes."""
        return self._oid(b"tree", data)

    def _oid(self, kind: bytes, data: bytes) -> Oid:
        return str(self._hash(b"%b %d\0%b" % (kind, len(data), data)).hexdigest())

    def is_here(self, oid: Oid) -> bool:
        """True if the object is in this repository."""
        return self._answers("info", [oid], _size_if_here)[0] is not None

    def sizes(self, oids: Sequence[Oid]) -> list[tuple[str, int]]:
        """Type and size in bytes of each object, without inflating it. Raises Damaged for one that isn't there."""
        return self._answers("info", oids, _size)

    def read(self, oids: Sequence[Oid], limit: int) -> list[bytes | None]:
        """The contents of each object of at most `limit` bytes; None for a larger one. Raises Damaged for one that isn't there."""
        sizes = self.sizes(oids)
        large = [(oid, size) for oid, size in zip(oids, sizes, strict=True) if size[1] > limit]
        if large:  # it can't be seen by its bytes: another child must say so, too
            self.close()
            if self.sizes([oid for oid, _ in large]) != [size for _, size in large]:
                raise GitFault(f"git told two sizes of object {large[0][0]}", hint="run the same command again")
        return self.contents([oid if size <= limit else None for oid, (_, size) in zip(oids, sizes, strict=True)])

    def contents(self, oids: Sequence[Oid | None]) -> list[bytes | None]:
        """The contents of objects whose size was looked at before; None for None. Raises Damaged for one that isn't there."""
        read = iter(self._answers("contents", [oid for oid in oids if oid is not None], self._content))
        return [None if oid is None else next(read)[2] for oid in oids]

    def _content(self, child: Conversation, name: str) -> tuple[Oid, str, bytes]:
        """Name, type and bytes of an object, as the child gives it. Raises Damaged if the bytes don't give that name."""
        oid, kind, size = _header(child, name)
        data = child.take(size + 1)
        if data[-1:] != b"\n":
            raise GitFault(f"git gave object {oid} with another size", hint="run the same command again")
        data = data[:-1]
        if self._oid(kind.encode(), data) != oid:
            raise Damaged(f"object {oid} of the branch is damaged in this clone", hint=_DAMAGED)
        return oid, kind, data

    def tree(self, commit: Oid) -> list[TreeFile]:
        """Every file of a commit's tree. Only for a good commit: any other may have more files than can be listed."""
        found: list[TreeFile] = []
        level = [("", commit)]
        while level:
            below: list[tuple[str, Oid]] = []
            for (prefix, _), data in zip(level, self._trees([oid for _, oid in level]), strict=True):
                for mode, name, oid in _LINES[self.width].findall(data):
                    path = prefix + name.decode("utf-8", "surrogateescape")
                    if mode == b"40000":
                        below.append((f"{path}/", oid.hex()))
                    else:
                        found.append(TreeFile(path, mode.decode(), oid.hex()))
            level = below
        return sorted(found, key=lambda entry: entry.path)

    def _trees(self, names: Sequence[Oid]) -> list[bytes]:
        """The bytes of each of those trees; a commit stands for its own."""
        found = self._answers("contents", names, self._content)
        own = {oid: data[5:].partition(b"\n")[0].decode("ascii") for oid, kind, data in found if kind == "commit"}
        below = dict(zip(own, self._answers("contents", list(own.values()), self._content), strict=True)) if own else {}
        trees = [below[oid] if kind == "commit" else (oid, kind, data) for oid, kind, data in found]
        if strange := [oid for oid, kind, _ in trees if kind != "tree"]:
            raise GitFault(f"object {strange[0]} is no folder", hint=_DAMAGED)
        return [data for _, _, data in trees]

    def folders(self, names: Sequence[Oid]) -> list[TreeLines]:
        """What lies right in each of those trees (a commit stands for its own): folders and plain files, by name.

        The reading child gives them as they are: no process, and nothing below is looked at.
        """
        return [TreeLines(data, self.width) for data in self._trees(names)]

    def range(self, tip: Oid, known: Oid = NULL) -> list[tuple[Oid, tuple[Oid, ...]]] | None:
        """The commits that `tip` has and `known` hasn't, parents before children, each with its parents.

        None when `known` isn't in the repository any more. What a fetch with a depth left out is fetched first: where that one
        stopped is no root.
        """
        if known and not self.is_here(known):
            return None
        if self._complete and self._repo.is_cut(tip, *([f"^{known}"] if known else [])):
            self._complete(tip)
        words = ["rev-list", "--topo-order", "--reverse", "--parents", tip, *([f"^{known}"] if known else []), "--"]

        def parse(data: bytes) -> list[tuple[Oid, tuple[Oid, ...]]]:
            names = _commits(data)
            if not (names and names[-1][0] == tip) and not (known and not names and self._repo.is_ancestor(tip, known)):
                raise ValueError("the tip is not the last one")
            seen: set[Oid] = set()
            for oid, parents in names:
                if not known and not seen.issuperset(parents):
                    raise ValueError("a parent is missing")
                seen.add(oid)
            return names

        return self._reading(*words, parse=parse)

    def roots(self, tip: Oid) -> list[Oid]:
        """The commits without a parent behind that tip. What a fetch with a depth left out is fetched first."""
        if self._complete and self._repo.is_cut(tip):
            self._complete(tip)
        return self._reading("rev-list", "--max-parents=0", tip, "--", parse=oid_lines)

    def has_more_than(self, count: int, tip: Oid, known: Oid = NULL) -> bool:
        """Return True if the tip has more than so many commits that `known` hasn't, as far as they are here; also where some of
        its history isn't.
        """
        new = [tip, *([f"^{known}"] if known and self.is_here(known) else [])]
        listed = self._reading("rev-list", f"--max-count={count + 1}", *new, "--", parse=lambda data: data.count(b"\n"))
        return listed > count or self._repo.is_cut(*new)

    def is_behind(self, commit: Oid, tip: Oid) -> bool:
        """True if the tip has the commit behind it, or is it."""
        return self._repo.is_ancestor(commit, tip)

    def saying(self, tip: Oid, line: str) -> list[tuple[Oid, tuple[Oid, ...]]]:
        """The commits of `tip` whose message holds that text, the oldest first, each with its parents. git does the reading.

        A root may be among them that doesn't hold it: git lists the roots last, and by one of them the list is seen to be whole.
        """
        if self._complete and self._repo.is_cut(tip):
            self._complete(tip)
        words = ["rev-list", "--topo-order", "--parents", "--fixed-strings", f"--grep={line}", *_ROOTS, tip, "--"]

        def parse(data: bytes) -> list[tuple[Oid, tuple[Oid, ...]]]:
            names = _commits(data)
            if all(parents for _, parents in names):
                raise ValueError("no root is among them")
            return names[::-1]

        return self._reading(*words, parse=parse)

    def commits(self, names: Sequence[tuple[Oid, tuple[Oid, ...]]], *, again: bool = False) -> list[Commit]:
        """The commits, parsed. What can't be read as plain UTF-8 of a bearable size comes without a message. `again`: all of them
        were read before, and were of a bearable size.
        """
        oids = [oid for oid, _ in names]
        raw = self.contents(oids) if again else self.read(oids, COMMIT_LIMIT)
        for (oid, parents), data in zip(names, raw, strict=True):
            if data is not None and parents != _parents(data):
                raise GitFault(f"git names other parents of commit {oid[:12]} than it has", hint=_DAMAGED)
        return [_parse(oid, parents, data) for (oid, parents), data in zip(names, raw, strict=True)]

    def newest(self, oid: Oid) -> Commit:
        """A commit that was not read before, as `commits` gives it. Raises Damaged for one that isn't there."""
        data = self.read([oid], COMMIT_LIMIT)[0]
        return _parse(oid, () if data is None else _parents(data), data)

    def commit(self, oid: Oid) -> Commit:
        """A commit that was read before. Raises Damaged when it isn't in this clone any more."""
        data = self.contents([oid])[0] or b""
        return _parse(oid, _parents(data), data)

    def let_go(self, refs: Sequence[str]) -> None:
        """Take refs of ours away on which something hangs that was written; where git fails, they are swept away later."""
        with suppress(GitFault):
            self._repo.drop_refs(refs)

    def write_chain(self, base: Oid, tree_of: Oid, commits: Sequence[NewCommit], *, keep: str = "") -> list[Oid]:
        """Writes the commits one behind the other on `base` (NULL: the first is a root) and returns their names.

        The first starts from the tree of `tree_of`, which is `base` unless bad commits lie between. One process writes
        the whole chain. `keep`: the ref that is left at its end, so that no garbage collection takes it away; without, the ref that
        fast-import needs is never created (its branch is reset to nothing before the end).
        """
        ref = keep or own_ref("chain")
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
            if mark == 1 and tree:
                feed += f'M 040000 {tree} ""\n'.encode()
            for path, data in commit.changes.items():
                quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
                if data is None:
                    feed += f"D {quoted}\n".encode()
                else:
                    feed += f"M 100644 inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n"
            feed += b"\n"
        feed += b"".join(b"get-mark :%d\n" % mark for mark in range(1, len(commits) + 1))
        if not keep:
            zeros = "0" * (64 if self._repo.hash_name == "sha256" else 40)
            feed += f"reset {ref}\nfrom {zeros}\n\n".encode()
        feed += b"done\n"
        for _ in range(2):  # a second time gives the same commits
            begun, self._writer = self._writer, None
            done = self._repo.run(*_WRITES, stdin=bytes(feed), begun=begun)
            oids = done.stdout.decode("ascii", "replace").split()
            if done.ok and len(oids) == len(commits) and all(map(OID.fullmatch, oids)):
                return oids
            if done.returncode and done.words:
                try:  # what it builds on may be damaged
                    self._mended(Damaged(done.words))
                except Damaged:
                    break
        raise NotWritten(f"git could not write: {done.how}", hint="is the disk full? gitcoord doctor")


_READS = {"": "--batch-command", "contents": "--batch", "info": "--batch-check"}
_WRITES = ("-c", "core.logAllRefUpdates=false", "fast-import", "--quiet", "--force", "--date-format=raw")
"""Without `--done`, which the input itself asks for: so one that is never told anything ends without complaint."""
_ROOTS = ("--grep=Coord-Event: branch.opened", "--grep=Coord-Event: epoch.opened")


def _header(child: Conversation, name: str) -> tuple[Oid, str, int]:
    """Name, type and size of an object, as a reading child says them. Raises Damaged for one that isn't there."""
    found = _size_if_here(child, name)
    if found is None:
        raise Damaged(f"object {name} of the branch is missing or damaged in this clone", hint=_DAMAGED)
    return (name, *found)


def _size(child: Conversation, name: str) -> tuple[str, int]:
    return _header(child, name)[1:]


def _size_if_here(child: Conversation, name: str) -> tuple[str, int] | None:
    """Type and size of an object; None for one that isn't there, as the child says itself."""
    line = child.line().decode("ascii", "replace")
    oid, _, rest = line.partition(" ")
    kind, _, size = rest.partition(" ")
    if oid == name and kind in _TYPES and size.isdecimal():
        return kind, int(size)
    if line == f"{name} missing":
        return None
    raise GitFault(f"git answered {line[:80]!r} when it was asked for object {name}", hint="run the same command again")


def _parents(commit: bytes) -> tuple[Oid, ...]:
    """The parents that stand in a commit, as git reads them: right behind its tree."""
    lines = takewhile(lambda line: line.startswith(b"parent "), commit.partition(b"\n\n")[0].split(b"\n")[1:])
    return tuple([line[7:].decode("latin-1") for line in lines])


def _commits(data: bytes) -> list[tuple[Oid, tuple[Oid, ...]]]:
    """Commits with their parents, one a line. Raises ValueError for anything else, and for half a line."""
    *lines, end = data.decode("ascii").split("\n")
    names = [line.split(" ") for line in lines]
    if end or not all(OID.fullmatch(word) for words in names for word in words):
        raise ValueError("no list of commits")
    return [(words[0], tuple(words[1:])) for words in names]


def _ident(role: str, name: str, email: str, when: datetime) -> bytes:
    safe = "".join(char for char in email if char.isprintable() and char not in "<>\n")
    return f"{role} {name} <{safe}> {int(when.timestamp())} +0000\n".encode()


def _parse(oid: Oid, parents: tuple[Oid, ...], data: bytes | None) -> Commit:
    if data is None:
        return Commit(oid, parents)
    head, _, body = data.partition(b"\n\n")
    usual = _HEAD.fullmatch(head)
    authored_at: datetime | None
    committed_at: datetime | None
    if usual is not None:
        plain, tree, author = True, usual[1].decode("ascii"), usual[2].decode("utf-8", "replace").strip()
        authored_at, committed_at, email = _date(usual[3]), _date(usual[5]), usual[4]
        signature = payload = b""
    else:
        lines = head.split(b"\n")
        author, _, authored_at = _who(lines, b"author ")
        _, email, committed_at = _who(lines, b"committer ")
        signature, payload = _signed(lines, body)
        plain = not any(line.startswith(b"encoding ") for line in lines)
        tree = lines[0].removeprefix(b"tree ").decode("ascii", "replace")
    try:
        message = body.decode("utf-8") if plain and b"\0" not in body else None
    except UnicodeDecodeError:
        message = None
    address = email.decode("utf-8", "replace")
    return Commit(oid, parents, author, authored_at, committed_at, message, tree, address, signature, payload)


def _signed(lines: Sequence[bytes], body: bytes) -> tuple[bytes, bytes]:
    """Return the signature of a commit, and what it signs: all else of the commit, as git takes it; two times b"" for none."""
    kept, signature, inside = [], [], False
    for line in lines:
        if line.startswith(_SIGNATURES):
            inside = True
            signature.append(line.partition(b" ")[2])
        elif inside and line.startswith(b" "):
            signature.append(line[1:])
        else:
            inside = False
            kept.append(line)
    return (b"\n".join(signature), b"\n".join(kept) + b"\n\n" + body) if signature else (b"", b"")


def _who(lines: Sequence[bytes], role: bytes) -> tuple[str, bytes, datetime | None]:
    """Return the name, the e-mail address and the date of the commit's one line of that role; no date where git itself would write
    it otherwise.
    """
    found = [line[len(role) :] for line in lines if line.startswith(role)]
    match = _WHO.fullmatch(found[0]) if len(found) == 1 else None
    if match is None:
        return "", b"", None
    name = match[1].decode("utf-8", "replace").strip()
    return name, match[2], _date(match[3])


def _date(spelled: bytes) -> datetime:
    return _EPOCH + timedelta(seconds=int(spelled))
