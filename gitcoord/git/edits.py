"""What a work tree has changed since it left the default branch, committed or not, line by line.

git is asked with an index of our own, a copy: to be asked, it may want to write the one that it is given. Nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from gitcoord.git.hunks import FileChange, compared, merge_base
from gitcoord.git.repo import NULL, OID, Oid, Repository

_UNTRACKED = 2000  # new files that are looked at: where there are more, somebody forgot to ignore them
_DEFAULTS = ("HEAD", "main", "master")


@dataclass(frozen=True)
class Edits:
    """What a work tree has changed: since which commit, where it stands, in which files, and which of these are not committed."""

    base: Oid
    commit: Oid
    changes: tuple[FileChange, ...]
    uncommitted: frozenset[str]


def default_branch(repo: Repository, remote: str) -> tuple[str, Oid]:
    """Return the default branch and where it is, as far as this clone knows; without a remote the branch that is called so. Both
    are "" where there is none.
    """
    place, commit, _ = _standing(repo, remote)
    if place.endswith("/HEAD"):
        done = repo.run("symbolic-ref", "-q", place)
        place = done.stdout.decode("utf-8", "replace").strip() if done.ok else place
    return place.removeprefix("refs/heads/").removeprefix(f"refs/remotes/{remote}/"), commit


def _standing(repo: Repository, remote: str) -> tuple[str, Oid, Oid]:
    """The ref of the default branch and its commit, "" and NULL where there is none, and the work tree's own commit."""
    remotes = [remote] if remote else repo.remotes
    places = [f"refs/remotes/{name}/{branch}" for name in remotes for branch in _DEFAULTS]
    if not remotes:
        own = repo.setting("init.defaultbranch")
        places = [f"refs/heads/{branch}" for branch in (*([own] if own else []), *_DEFAULTS[1:])]

    def parse(data: bytes) -> list[str]:
        lines = data.decode("utf-8", "replace").splitlines()
        if len(lines) != len(places) + 1 or not data.endswith(b"\n"):
            raise ValueError("some are missing")
        return lines

    feed = "".join(f"{place}^{{commit}}\n" for place in ("HEAD", *places)).encode()
    words = [line.split(" ")[0] for line in repo.reading("cat-file", "--batch-check", stdin=feed, parse=parse)]
    head, *found = (word if OID.fullmatch(word) else NULL for word in words)
    return *next(((place, oid) for place, oid in zip(places, found, strict=True) if oid), ("", NULL)), head


def look(repo: Repository, remote: str, *, staged: bool = False) -> Edits | None:
    """Return what this work tree has changed; None where that can't be told: there is no work tree, nothing is committed, or the
    commit that it began from isn't here. `staged`: of what is not committed, only what a commit would take now. Raises GitFault.
    """
    _, default, commit = _standing(repo, remote) if repo.work_tree else ("", NULL, NULL)
    base = NULL if not (default and commit) else commit if commit == default else merge_base(repo, commit, default)
    if not base:
        return None
    with tempfile.TemporaryDirectory(prefix="gitcoord-") as folder:
        index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
        try:
            shutil.copyfile(os.path.join(repo.git_dir, "index"), index["GIT_INDEX_FILE"])
        except FileNotFoundError:
            return None
        command = ("diff", "--cached") if staged else ("diff",)
        changes = compared(repo, command, (base,), extra=index)
        open_ = changes if commit == base else compared(repo, command, (commit,), extra=index)
    new = () if staged else _untracked(repo)
    known = {change.to or change.path for change in changes}
    added = [FileChange(path, "A") for path in new if path not in known]
    uncommitted = frozenset(path for change in (*open_, *added) for path in (change.path, change.to) if path)
    return Edits(base, commit, (*changes, *added), uncommitted)


def _untracked(repo: Repository) -> Sequence[str]:
    """The new files of the work tree that git would add."""

    def parse(data: bytes) -> list[str]:
        if data and not data.endswith(b"\0"):
            raise ValueError("it ends in the middle")
        return data.decode("utf-8", "surrogateescape").split("\0")[:-1]

    found = repo.reading("ls-files", "--others", "--exclude-standard", "-z", parse=parse)
    return [path for path in found if not path.endswith("/")] if len(found) <= _UNTRACKED else []
