"""Which lines of which files differ, as git sees it when it merges: names and numbers only, never what stands in the lines."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from gitcoord.git.answers import fault
from gitcoord.git.repo import NULL, OID, Oid, Repository

_T = TypeVar("_T")

# As the merge itself compares: by histogram, and without moving a change to a place that reads better.
_AS_MERGED = ("--diff-algorithm=histogram", "--no-indent-heuristic", "-M", "-l2000")
_PLAIN = (
    "--no-color", "--no-relative", "--no-ext-diff", "--no-textconv", "--submodule=short", "--ignore-submodules=dirty",
    "-O/dev/null",
)  # fmt: skip
_WITH_PATCH = "MRT"  # the statuses of files that are on both sides
_MODULE = b"160000"
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
"""What the environment of a git needs that shall connect to nowhere: in a partial clone it else fetches what it lacks."""


class Hunk(NamedTuple):
    """A place where two files differ: behind `at` lines of the old one, `gone` lines of it are `new` lines of the new one, which
    stand behind `to` lines there. `check`: a byte by which the same new lines are known, and others almost always told apart.
    """

    at: int
    gone: int
    to: int
    new: int
    check: int = -1


@dataclass(frozen=True)
class FileChange:
    """A file that differs: its old path, and git's letter for how (A, D, M, R, T, U).

    - `to`: its new path, where it was moved.
    - `blob`: of a new file, what it holds; "" where that isn't an object yet.
    - `hunks`: where it differs; None where lines tell nothing: a binary file, a submodule, a link that was a file.
    """

    path: str
    status: str
    to: str = ""
    hunks: tuple[Hunk, ...] | None = ()
    blob: Oid = NULL


class _Entry(NamedTuple):
    """An entry of git's raw format."""

    path: str
    status: str
    to: str
    module: bool
    blob: Oid


def between(repo: Repository, old: Oid, new: Oid) -> list[FileChange]:
    """Return what differs from one commit to the other. Raises GitFault where git can't tell."""
    return compared(repo, ("diff-tree", "-r"), (old, new))


def compared(
    repo: Repository, command: Sequence[str], sides: Sequence[str], *, extra: Mapping[str, str] | None = None
) -> list[FileChange]:
    """Return what that git command finds between the two sides; nothing is fetched for it. Raises GitFault where git can't tell."""
    env = {**(extra or {}), **OFFLINE}
    entries = _asked(repo, (*command, *_AS_MERGED, *_PLAIN, "--raw", "-z", "--no-abbrev", *sides, "--"), env, _entries)
    both = [entry for entry in entries if entry.status in _WITH_PATCH]
    hunks: list[tuple[Hunk, ...] | None] = []
    if both:
        words = (*command, *_AS_MERGED, *_PLAIN, "-U0", "--inter-hunk-context=0", f"--diff-filter={_WITH_PATCH}", *sides, "--")
        hunks = _asked(repo, words, env, lambda data: _patches(data, both))
    rest = iter(hunks)
    found = []
    for entry in entries:
        where = next(rest) if entry.status in _WITH_PATCH else None if entry.module else ()
        found.append(FileChange(entry.path, entry.status, entry.to, where, entry.blob))
    return found


def merge_base(repo: Repository, first: Oid, second: Oid) -> Oid:
    """Return the newest commit that both have behind them; NULL where there is none here. Raises GitFault."""
    for last in (False, True):
        done = repo.run("merge-base", first, second, extra=OFFLINE)
        text = done.stdout.decode("ascii", "replace").strip()
        if done.ok and OID.fullmatch(text):
            return text
        if last and done.ended_itself and done.returncode == 1 and not text:
            return NULL
    raise fault(("merge-base",), done)


def _asked(repo: Repository, words: Sequence[str], extra: Mapping[str, str], parse: Callable[[bytes], _T]) -> _T:
    """Run a git that only reads; return what `parse` makes of its answer, which raises ValueError for one that isn't whole."""
    for _ in range(2):
        done = repo.run(*words, extra=extra)
        if done.ok:
            try:
                return parse(done.stdout)
            except ValueError:
                continue
    raise fault(words[:1], done)


def _entries(data: bytes) -> list[_Entry]:
    """The entries of git's raw format (-z). Raises ValueError if the last one isn't whole."""
    *tokens, end = data.split(b"\0")
    found = []
    rest = iter(tokens)
    for token in rest:
        words = token.split(b" ")
        if len(words) != 5 or not words[0].startswith(b":") or end:
            raise ValueError(token)
        status = words[4][:1].decode("ascii")
        path = _path(next(rest, None))
        to = _path(next(rest, None)) if status in "RC" else ""
        blob = words[3].decode("ascii", "replace") if status == "A" and words[3].strip(b"0") else NULL
        found.append(_Entry(path, status, to, _MODULE in (words[0][1:], words[1]), blob))
    return found


def _path(token: bytes | None) -> str:
    if not token:
        raise ValueError("a name is missing")
    return token.decode("utf-8", "surrogateescape")


def _patches(data: bytes, entries: Sequence[_Entry]) -> list[tuple[Hunk, ...] | None]:
    """The hunks of each of those files; None for one without lines. Raises ValueError where there are more or fewer patches."""
    patches = re.split(rb"^diff --git ", data, flags=re.MULTILINE)
    if patches[0].strip() or (data and not data.endswith(b"\n")):
        raise ValueError("it begins or ends in the middle")
    rest = iter(patches[1:])
    found: list[tuple[Hunk, ...] | None] = []
    for entry in entries:
        patch = next(rest, None)
        if patch is None:
            raise ValueError(f"the patch of {entry.path} is missing")
        if entry.status == "T":  # as a deletion and a new file
            next(rest, None)
        whole = entry.module or entry.status == "T" or re.search(rb"^(?:Binary files |GIT binary patch)", patch, re.MULTILINE)
        found.append(None if whole else _hunks(patch))
    if next(rest, None) is not None:
        raise ValueError("there are more patches than files")
    return found


def _hunks(patch: bytes) -> tuple[Hunk, ...]:
    found: list[Hunk] = []
    check = 0
    for line in patch.split(b"\n"):
        match = _HUNK.match(line)
        if match:
            at, gone, to, new = int(match[1]), int(match[2] or b"1"), int(match[3]), int(match[4] or b"1")
            check = 0
            found.append(Hunk(at - bool(gone), gone, to - bool(new), new, check))
        elif found and line.startswith((b"+", b"\\")):
            check = zlib.crc32(line + b"\n", check)
            found[-1] = found[-1]._replace(check=check & 0xFF)
    return tuple(found)
