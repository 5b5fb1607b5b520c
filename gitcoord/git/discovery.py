"""The repository that a folder lies in, found as git finds it but without starting git: for hooks, whose whole cost is a start.

The only finder beside git itself. Reads a few small files and believes none of them more than git would; where it can't tell, it
asks git, or says that there is none. Loads the standard library only.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitcoord.git import environment

_SECONDS = 5.0  # a git call of ours takes 2 ms; after this long something is wrong with the repository
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SMALL = 4096  # bytes of a file that names a folder
_REFS = 1 << 24  # bytes of packed refs that are looked through


@dataclass(frozen=True)
class WorkTree:
    """A work tree: its own git folder, the one that all work trees of the repository share, and its root."""

    git_dir: str
    common_dir: str
    work_tree: str


def find(start: str) -> WorkTree | None:
    """Return the work tree that the folder lies in, as git finds it; None outside of one, and where git itself would refuse.

    Whoever owns the folder and its `.git` decides what is in there. If that is not this user, git is asked: it knows which folders
    of others are trusted (`safe.directory`).
    """
    if not os.path.isabs(start) or not os.path.isdir(start):
        return None
    here = os.path.realpath(start)
    device, ceilings = os.stat(here).st_dev, _ceilings()
    while True:
        dot = os.path.join(here, ".git")
        kind, git_dir = _git_dir(dot)
        if git_dir:
            near = WorkTree(git_dir, common(git_dir), here)
            owned = [here, git_dir, *([dot] if kind == "file" else [])]
            return near if all(map(_is_mine, owned)) or _is_trusted(here) else None
        if kind == "file" or is_git_dir(here):
            return None  # git stops here, too: at a file that is no pointer, in a bare repository, inside of a `.git`
        above = os.path.dirname(here)
        if above == here or above in ceilings or _is_other_device(above, device):
            return None
        here = above


def _ceilings() -> set[str]:
    """The folders above which git doesn't look."""
    named = os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    return {os.path.realpath(folder) for folder in named if os.path.isabs(folder)}


def _is_other_device(folder: str, device: int) -> bool:
    across = os.environ.get("GIT_DISCOVERY_ACROSS_FILESYSTEM", "").lower() in {"1", "true", "yes", "on"}
    try:
        return not across and os.stat(folder).st_dev != device
    except OSError:
        return True


def _is_mine(path: str) -> bool:
    """True if that is this user's own, by git's rule: under sudo also that of the user who called it."""
    try:
        owner = os.lstat(path).st_uid
    except OSError:
        return False
    if owner == os.geteuid():
        return True
    sudo = os.environ.get("SUDO_UID", "")
    return os.geteuid() == 0 and sudo.isascii() and sudo.isdigit() and owner == int(sudo)


def _is_trusted(folder: str) -> bool:
    """True if git takes that folder's repository although it is another user's."""
    return _ask(folder, "rev-parse", "--git-dir") is not None


def _ask(folder: str, *words: str) -> bytes | None:
    """The output of a git that only reads; None when it fails."""
    from gitcoord.errors import GitcoordError  # here: nearly no hook has to ask
    from gitcoord.git import process

    try:
        argv = [environment.program(folder), *process.ALWAYS, *words]
        done = process.run(argv, env=environment.clean_environment(os.environ), cwd=folder, seconds=_SECONDS)
    except (GitcoordError, OSError):
        return None
    return done.stdout if done.ok else None


def is_git_dir(folder: str) -> bool:
    """True if git would take that folder for a git folder."""
    head = _line(os.path.join(folder, "HEAD"))
    if not (head.startswith("ref:") or _OID.fullmatch(head) or os.path.islink(os.path.join(folder, "HEAD"))):
        return False
    shared = common(folder)
    return os.path.isdir(os.path.join(shared, "objects")) and os.path.isdir(os.path.join(shared, "refs"))


def common(git_dir: str) -> str:
    """The git folder that the work tree of that one shares with the others."""
    named = _line(os.path.join(git_dir, "commondir"))
    return os.path.realpath(os.path.join(git_dir, named)) if named else git_dir


def git_dirs(common_dir: str) -> list[str]:
    """The git folders of all work trees of the repository, the main one's first."""
    linked = Path(common_dir, "worktrees")
    return [common_dir, *sorted(str(path.parent) for path in linked.glob("*/gitdir"))]


def work_tree(git_dir: str) -> str:
    """The root of the work tree that has this git folder; "" where that can't be told."""
    named = _line(os.path.join(git_dir, "gitdir"))
    if named:
        return os.path.realpath(os.path.dirname(named))
    return os.path.dirname(git_dir) if os.path.basename(git_dir) == ".git" else ""


def work_trees(near: WorkTree) -> list[str]:
    """The roots of all work trees of the repository."""
    return sorted({near.work_tree, *map(work_tree, git_dirs(near.common_dir))} - {""})


def is_coordinated(common_dir: str, branch: str) -> bool:
    """True if a remote's branch of that name was fetched here: then other clones of the project coordinate by it."""
    refs = os.path.join(common_dir, "refs")
    if os.path.isfile(os.path.join(refs, "heads")):  # another way of keeping refs: only git can tell
        listed = _ask(common_dir, f"--git-dir={common_dir}", "for-each-ref", "--format=%(refname)", f"refs/remotes/*/{branch}")
        return bool(listed and listed.strip())
    if next(Path(refs, "remotes").glob(f"*/{branch}"), None) is not None:
        return True
    with suppress(OSError), open(os.path.join(common_dir, "packed-refs"), "rb") as file:
        end = f"/{branch}".encode()
        return any(b" refs/remotes/" in line and line.rstrip().endswith(end) for line in file.read(_REFS).splitlines())
    return False


def has_remote(common_dir: str) -> bool:
    """Return True if the repository's own configuration names a remote."""
    with suppress(OSError), open(os.path.join(common_dir, "config"), "rb") as file:
        return b"[remote " in file.read(_REFS)
    return False


def _git_dir(place: str) -> tuple[str, str]:
    """What `.git` is ("folder", "file", "" for neither), and the git folder that it is or names; "" where it is none."""
    if os.path.isdir(place):
        found = os.path.realpath(place)
        return "folder", found if is_git_dir(found) else ""
    if not os.path.isfile(place):
        return "", ""
    prefix, _, named = _line(place).partition(": ")
    found = os.path.realpath(os.path.join(os.path.dirname(place), named)) if prefix == "gitdir" and named else ""
    return "file", found if found and is_git_dir(found) else ""


def _line(path: str) -> str:
    """The one line of a small file; "" when there is none. Never waits: what is no file holds no line."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                return os.read(handle, _SMALL).decode("utf-8", "surrogateescape").rstrip("\r\n")
        finally:
            os.close(handle)
    return ""
