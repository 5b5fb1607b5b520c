"""Which commit each line of a file comes from, and what those commits say of themselves. Nothing is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gitcoord.errors import BadInput
from gitcoord.git.repo import Oid, Repository

_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) [0-9]+ ([0-9]+)(?: [0-9]+)?")
_LATEST = 1 << 33  # seconds: what a date can hold


@dataclass(frozen=True)
class Blamed:
    """Lines `first` to `last` come from that commit; "": they are not committed yet."""

    first: int
    last: int
    commit: Oid


@dataclass(frozen=True)
class CommitWords:
    """What a commit says: when its change was made, by whom, its subject, and the values of the trailers that were asked for."""

    commit: Oid
    made_at: datetime
    author: str
    subject: str
    trailers: tuple[tuple[str, ...], ...]


def blamed(repo: Repository, path: str, lines: tuple[int, int] | None = None) -> list[Blamed]:
    """Return the commits of a file's lines as they are in the work tree. `path`: from the root; `lines`: of these alone. Raises
    BadInput where git has no such file, or no such line.
    """
    asked = ["-L", f"{lines[0]},{lines[1]}"] if lines is not None else []
    words = ["blame", "--porcelain", "--no-textconv", *asked, "--", path]
    done = repo.run(*words)
    if not done.ok and done.ended_itself:
        raise BadInput(f"git can't blame {path}: {done.words or done.how}", hint="git ls-files")
    found: list[Blamed] = []
    for number, commit in sorted(repo.reading(*words, parse=_lines)):
        if found and found[-1].commit == commit and found[-1].last == number - 1:
            found[-1] = Blamed(found[-1].first, number, commit)
        else:
            found.append(Blamed(number, number, commit))
    return found


def _lines(data: bytes) -> list[tuple[int, Oid]]:
    """Return each line with its commit. Raises ValueError if the answer isn't whole."""
    if data and not data.endswith(b"\n"):
        raise ValueError("it ends in the middle")
    found, heads = [], True  # behind the head of a line come words about its commit, then the line itself behind a tab
    for line in data.split(b"\n")[:-1]:
        head = _LINE.fullmatch(line) if heads else None
        if head is not None:
            commit = head[1].decode()
            found.append((int(head[2]), commit if commit.strip("0") else ""))
        heads = line.startswith(b"\t")
    return found


def words_of(repo: Repository, commits: Iterable[Oid], *trailers: str) -> dict[Oid, CommitWords]:
    """Return what those commits say, with the values of these trailers."""
    wanted = sorted(set(commits) - {""})
    if not wanted:
        return {}
    each = "%x01".join(f"%(trailers:key={name},valueonly,unfold,separator=%x02)" for name in trailers)
    words = ["log", "-z", "--no-walk=unsorted", "--no-patch", "--no-mailmap", "--no-decorate", "--encoding=UTF-8", "--stdin"]
    words.append(f"--format=%H%x01%at%x01%an%x01%s%x01{each}")

    def parse(data: bytes) -> dict[Oid, CommitWords]:
        found = {}
        for record in data.decode("utf-8", "replace").split("\0"):
            if record:
                commit, stamp, author, subject, *values = record.split("\x01")
                when = datetime.fromtimestamp(min(int(stamp), _LATEST), UTC)
                said = tuple(tuple(filter(None, value.split("\x02"))) for value in values)
                found[commit] = CommitWords(commit, when, author, subject, said)
        if found.keys() != set(wanted):
            raise ValueError("some are missing")
        return found

    return repo.reading(*words, stdin="".join(f"{oid}\n" for oid in wanted).encode(), parse=parse)
