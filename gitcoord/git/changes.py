"""What a commit or a push is about to change, asked of git without touching the index: paths, and what is new among them.

A rename is its old name gone and its new name there, so both count. Of a merge only what differs from every parent does: the rest
was brought by others and is theirs already.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gitcoord.errors import GitcoordError, GitFault
from gitcoord.git.repo import Oid, Repository

COMMITS = 1000  # newest commits of a push that are looked at: the first push of a long history must not take minutes

_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Changed:
    """A path that changes. `added`: it isn't there before."""

    path: str
    added: bool


@dataclass(frozen=True)
class Pushed:
    """A commit that no remote has yet: its date, what it changes, and the values of the trailer that was asked for."""

    commit: Oid
    committed_at: datetime
    changes: tuple[Changed, ...]
    trailers: tuple[str, ...]


@dataclass(frozen=True)
class Update:
    """A line that git gives to a pre-push hook: what is pushed, and where to. Oids of zeros stand for nothing."""

    local_ref: str
    local: Oid
    remote_ref: str
    remote: Oid


def updates(text: str) -> list[Update]:
    """The lines of a pre-push hook's standard input; others are passed over."""
    found = []
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) == 4 and _OID.fullmatch(words[1]) and _OID.fullmatch(words[3]):
            found.append(Update(*words))
    return found


def branch_ref(name: str) -> str:
    """The full name of a branch."""
    return f"refs/heads/{name}"


def staged(repo: Repository, index: str = "") -> list[Changed]:
    """What a commit would change now. `index`: the index file that it would use, "" for the usual one."""
    extra = {"GIT_INDEX_FILE": index} if index else {}
    parents = [repo.oid_of("HEAD^{commit}") or _empty_tree(repo), *_merged(repo)]
    found: dict[str, bool] | None = None
    for parent in parents:
        words = ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules=none", parent, "--"]
        done = repo.run(*words, extra=extra)
        if not done.ok or not _is_whole(done.stdout):
            raise GitcoordError(f"git can't tell what is staged: {done.how}", hint="git status")
        if not done.stdout and not repo.run("diff-index", "--cached", "--quiet", *words[6:], extra=extra).ok:
            raise GitFault("git told nothing of what is staged, and something is", hint="git status")
        changes = {path: status == "A" for _, status, path in _entries(done.stdout)}
        found = changes if found is None else {path: added and changes[path] for path, added in found.items() if path in changes}
    return [Changed(path, added) for path, added in (found or {}).items()]


def dirty(repo: Repository, paths: Sequence[str]) -> set[str]:
    """Those of the paths that are not as in the newest commit: changed, staged, or new."""
    words = ["status", "--porcelain=v1", "--branch", "-z", "--untracked-files=all", "--no-renames", "--ignored=no", "--"]
    done = repo.run("--literal-pathspecs", *words, *paths)
    if not done.ok or not done.stdout.startswith(b"## ") or not _is_whole(done.stdout):  # the branch is told even of a clean tree
        raise GitcoordError(f"git can't tell what is changed: {done.how}", hint="git status")
    entries = done.stdout.decode("utf-8", "surrogateescape").split("\0")[1:]
    return {entry[3:] for entry in entries if len(entry) > 3}


def of_branch(repo: Repository, limit: int) -> list[str]:
    """The paths, at most so many, in which the work tree differs from where its branch left the remote's, committed or not."""
    places = [*(f"refs/remotes/{remote}/{name}" for remote in repo.remotes for name in ("HEAD", "main", "master")), "@{upstream}"]
    for place in places:
        base = repo.run("merge-base", "HEAD", place)
        if base.ok and repo.work_tree:
            done = repo.run(
                "diff-index", "--name-only", "-z", "--no-renames", "--ignore-submodules", base.stdout.decode().strip(), "--"
            )
            names = done.stdout.decode("utf-8", "surrogateescape").split("\0") if done.ok else []
            return [name for name in names if name][:limit]
    return []


def _empty_tree(repo: Repository) -> Oid:
    return repo.ask("hash-object", "-t", "tree", "--stdin").strip()


def _merged(repo: Repository) -> list[Oid]:
    """The other parents of the commit that would be made: those of a merge under way."""
    try:
        with open(os.path.join(repo.git_dir, "MERGE_HEAD"), encoding="ascii", errors="replace") as file:
            return [line for line in file.read(1 << 16).split() if _OID.fullmatch(line)]
    except OSError:
        return []


def pushed(repo: Repository, lines: Sequence[Update] | None, *, trailer: str) -> tuple[list[Pushed], bool]:
    """The commits of these updates that no remote has, the oldest first, and whether there are more than were looked at.

    None: of the current branch, as `git push` would send it. What a remote has already was looked at when it went there.
    """
    wanted, known = _ends(repo, lines)
    if not wanted:
        return [], False
    words = [
        "log", "-z", f"--max-count={COMMITS + 1}", "--topo-order",
        f"--format=%H %ct%n%(trailers:key={trailer},valueonly,unfold,separator=%x0A)",
        "--no-patch", "--no-mailmap", "--no-decorate", "--encoding=UTF-8", "--stdin", "--not", "--remotes",
    ]  # fmt: skip
    text = repo.reading(*words, stdin="".join(f"{one}\n" for one in [*wanted, *(f"^{oid}" for oid in known)]).encode(), parse=_text)
    records = [record for record in text.split("\0") if record]
    said = {}
    for record in records[:COMMITS]:
        head, *trailers = record.split("\n")
        oid, _, stamp = head.partition(" ")
        said[oid] = (datetime.fromtimestamp(min(int(stamp), 1 << 33), UTC), tuple(filter(None, trailers)))
    changes = _changes(repo, list(said))
    found = [Pushed(oid, said[oid][0], tuple(changes.get(oid, ())), said[oid][1]) for oid in reversed(said)]
    return found, len(records) > COMMITS


def _ends(repo: Repository, lines: Sequence[Update] | None) -> tuple[list[Oid], list[Oid]]:
    """The commits to begin at, and those that are on the other side already."""
    if lines is None:
        head = repo.oid_of("HEAD^{commit}")
        done = repo.run("rev-parse", "-q", "--verify", "@{upstream}^{commit}")
        return [head] if head else [], [done.stdout.decode().strip()] if done.ok else []
    oids = [one.local for one in lines] + [one.remote for one in lines]
    # Tags are peeled; what is no commit, or isn't here (the remote went on), answers otherwise and falls out.

    def parse(data: bytes) -> list[str]:
        lines = data.decode("utf-8", "surrogateescape").splitlines()
        if len(lines) != len(oids) or not data.endswith(b"\n"):
            raise ValueError("some are missing")
        return lines

    asked = "".join(f"{oid}^{{commit}}\n" for oid in oids).encode()
    answers = repo.reading("cat-file", "--batch-check", stdin=asked, parse=parse) if oids else []
    found = [words[0] if len(words) == 3 and words[1] == "commit" else "" for words in (line.split(" ") for line in answers)]
    return [oid for oid in found[: len(lines)] if oid], [oid for oid in found[len(lines) :] if oid]


def _changes(repo: Repository, commits: Sequence[Oid]) -> dict[Oid, list[Changed]]:
    """What each commit changes; of a merge what it has otherwise than every parent."""
    words = ["diff-tree", "--stdin", "-r", "-c", "-z", "--raw", "--root", "--no-renames", "--no-abbrev", "--always"]
    done = repo.run(*words, "--ignore-submodules=none", stdin="".join(f"{oid}\n" for oid in commits).encode())
    if not done.ok or not _is_whole(done.stdout):
        raise GitcoordError(f"git can't tell what the commits change: {done.how}", hint="git log")
    found: dict[Oid, list[Changed]] = {}
    for commit, status, path in _entries(done.stdout):
        found.setdefault(commit, []).append(Changed(path, set(status) == {"A"}))
    return found


def _is_whole(listed: bytes) -> bool:
    """True if a list of git's (-z) doesn't end in the middle of an entry."""
    return not listed or listed.endswith(b"\0")


def _text(data: bytes) -> str:
    """The text of such a list. Raises ValueError if it isn't whole."""
    if not _is_whole(data):
        raise ValueError("it ends in the middle")
    return data.decode("utf-8", "surrogateescape")


def _entries(raw: bytes) -> Iterator[tuple[Oid, str, str]]:
    """The entries of git's raw format: the commit that they were printed below ("" if none), the status letters, the path."""
    commit = ""
    tokens = iter(raw.split(b"\0"))
    for token in tokens:
        if token.startswith(b":"):  # a name always follows such a token, so no name is taken for one
            yield commit, token.rpartition(b" ")[2].decode("ascii"), next(tokens, b"").decode("utf-8", "surrogateescape")
        elif token:
            commit = token.decode("ascii", "replace").strip()
