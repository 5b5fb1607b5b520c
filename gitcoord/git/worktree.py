"""A work tree that somebody asked for: the one place where gitcoord makes a branch and files of the user's.

Refuses: a branch that another work tree has, and a folder that is there already. Overwrites nothing.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass

from gitcoord.errors import BadInput, GitcoordError, Held
from gitcoord.git.repo import Repository

_SECONDS = 600.0  # that git may take to write all files of a large project


@dataclass(frozen=True)
class NewWorkTree:
    """A work tree that was made: where it lies, its branch, and whether that branch was made for it."""

    path: str
    branch: str
    is_new: bool


def add(repo: Repository, branch: str) -> NewWorkTree:
    """Make a work tree for the branch in a folder beside the clone, and the branch, if there is none, from where HEAD is.

    Raises Held where another work tree has the branch, BadInput for what can't be a branch.
    """
    if not repo.run("check-ref-format", "--branch", branch).ok or branch.startswith("-"):
        raise BadInput(f"{branch!r} can't be the name of a branch")
    trees = _trees(repo)
    taken = next((path for path, checked_out in trees.items() if checked_out == branch), None)
    if taken is not None:
        raise Held(f"the branch {branch} is checked out in {taken}", hint="gitcoord start --worktree")
    path = _beside(next(iter(trees)), branch)
    if os.path.lexists(path):
        raise BadInput(f"{path} is there already", hint="gitcoord start --worktree")
    words = ["worktree", "add", "--quiet"]
    is_new = not repo.local_branch(branch)
    if not is_new:
        words += [path, branch]
    else:
        theirs = next((f"{name}/{branch}" for name in repo.remotes if repo.oid_of(f"refs/remotes/{name}/{branch}")), "")
        if not theirs and not repo.head().commit:
            raise BadInput("nothing is committed here yet, so there is nothing to begin a branch from")
        words += ["--track" if theirs else "--no-track", "-b", branch, path, theirs or "HEAD"]
    done = repo.run(*words, seconds=_SECONDS)
    if not done.ok:
        raise GitcoordError(f"git made no work tree: {done.how}", hint="git worktree list")
    return NewWorkTree(os.path.realpath(path), branch, is_new)


def take_back(repo: Repository, made: NewWorkTree) -> None:
    """Take away a work tree that was just made, and its branch if that was. What somebody has put into it meanwhile stays."""
    with suppress(GitcoordError):
        if repo.run("worktree", "remove", made.path).ok and made.is_new:
            repo.run("branch", "--quiet", "-d", made.branch)


def free_name(repo: Repository, wish: str) -> str:
    """Return a name for a branch that is none yet, and whose folder isn't there: the wish, numbered if need be."""
    main = next(iter(_trees(repo)))
    names = (wish if number == 1 else f"{wish}-{number}" for number in range(1, 1000))
    return next(name for name in names if not repo.branch_commit(name) and not os.path.lexists(_beside(main, name)))


def _trees(repo: Repository) -> dict[str, str]:
    """The work trees, each with its branch; the main one (in a bare repository its folder) comes first."""
    trees, path = dict[str, str](), ""
    for line in repo.ask("worktree", "list", "--porcelain").split("\n"):
        key, _, value = line.partition(" ")
        if key == "worktree":
            path = value
            trees[path] = ""
        elif key == "branch":
            trees[path] = value.removeprefix("refs/heads/")
    return trees


def _beside(main: str, branch: str) -> str:
    folder = re.sub(r"[^A-Za-z0-9._-]+", "-", branch).strip(".-")
    root = main.removesuffix(os.sep + ".git").removesuffix(".git").rstrip(os.sep)
    return f"{root}-{folder or 'work'}"
