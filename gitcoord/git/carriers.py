"""The work tree's own branch, on which commits without a change can be put, and the remote's branches like it, as they are read.

This is the one place that writes on a branch of the user's: only where all sessions agreed to it, only a commit with the tree of
the one below it, and only if the branch is still there. Nothing is forced.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from gitcoord.errors import Damaged, GitFault, Unreachable
from gitcoord.git.objects import COMMIT_LIMIT, Objects
from gitcoord.git.process import Finished
from gitcoord.git.repo import NO_LOG, NULL, OID, Oid, Repository, own_ref
from gitcoord.git.tip import AWAY_HINT
from gitcoord.git.urls import push_url, unrewritten

_BUSY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "index.lock")
"""What lies in the git directory while the user is in the middle of something."""

_ROOM = 64 << 20  # bytes of one branch's commits that are read at once

_WHO = ("-c", "user.name=gitcoord", "-c", "user.email=gitcoord@localhost")


class Heads(NamedTuple):
    """The remote's branches that may carry something, by name, and where its default branch is (NULL: nowhere)."""

    default: Oid
    branches: dict[str, Oid]


class Carriers:
    """The branches of one repository and its remote that may carry something."""

    def __init__(self, repo: Repository, remote: str) -> None:
        self._repo = repo
        self.where = remote

    @cached_property
    def _way(self) -> tuple[str, dict[str, str]]:
        """The remote among git's arguments, and what git's environment needs for that. Raises BadInput."""
        return unrewritten(self._repo, push_url(self._repo, self.where))

    def _connect(self, *words: str, refs: Sequence[str], seconds: float) -> Finished:
        """Run a git that connects to the remote."""
        word, meaning = self._way
        return self._repo.run(*words, "--", word, *refs, seconds=seconds, extra=meaning)

    @property
    def branch(self) -> str:
        """Return the branch that is checked out; "" for none."""
        return self._repo.branch

    def is_busy(self) -> bool:
        """Return True if a commit on the branch would come in the way of what the user is doing."""
        return any(os.path.exists(os.path.join(self._repo.git_dir, name)) for name in _BUSY)

    def holds(self, commit: Oid) -> bool:
        """Return True if the branch that is checked out has that commit."""
        return self.is_behind(commit, self._ref)

    def is_behind(self, commit: Oid, tip: Oid) -> bool:
        """Return True if the tip has the commit behind it; False for a commit that isn't here."""
        with suppress(Damaged):
            return self._repo.is_ancestor(commit, tip)
        return False

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self._repo.branch}"

    def add(self, message: str) -> Oid:
        """Put a commit that changes nothing on the branch that is checked out; return it, or NULL where the branch has moved."""
        old = self._repo.oid_of(self._ref)
        if not old:
            return NULL
        words = ("commit-tree", f"{old}^{{tree}}", "-p", old)
        done = self._repo.run(*words, stdin=message.encode())
        if not done.ok:  # nobody has said yet who commits here
            done = self._repo.run(*_WHO, *words, stdin=message.encode())
        new = done.stdout.decode("ascii", "replace").strip()
        if not done.ok or not OID.fullmatch(new):
            raise GitFault(f"git can't write a commit: {done.how}", hint="run the same command again")
        moved = self._repo.run("update-ref", "-m", "gitcoord: carry", self._ref, new, old)
        return new if moved.ok else NULL

    def push(self, seconds: float) -> str:
        """Push the branch that is checked out, unforced; return why it isn't there, "" once it is."""
        words = ("push", "--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")
        done = self._connect(*words, refs=[f"{self._ref}:{self._ref}"], seconds=seconds)
        return "" if done.ok else done.words if done.in_time else f"no answer in {seconds:.0f} s"

    # --- as others read them -------------------------------------------------------------------------------------------

    def heads(self, prefixes: Sequence[str], seconds: float) -> Heads:
        """Return the remote's branches whose names begin with one of these. Raises Unreachable."""
        done = self._connect("ls-remote", refs=["HEAD", *(f"refs/heads/{one}*" for one in prefixes)], seconds=seconds)
        if not done.ok:
            raise Unreachable(f"{self.where} can't be reached: {done.words or 'no answer'}", hint=AWAY_HINT)
        found: dict[str, Oid] = {}
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            oid, _, ref = line.partition("\t")
            if OID.fullmatch(oid):
                found[ref] = oid
        default = found.pop("HEAD", NULL)
        names = {ref.removeprefix("refs/heads/"): oid for ref, oid in found.items() if ref.startswith("refs/heads/")}
        return Heads(default, {name: oid for name, oid in names.items() if name.startswith(tuple(prefixes))})

    def fetch(self, names: Sequence[str], seconds: float) -> tuple[str, Heads]:
        """Fetch these branches of the remote and its default branch; return the beginning of the refs that keep them while they are
        read, and where they are. Raises Unreachable.
        """
        keep = own_ref("fetch")
        words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"]
        wanted = [f"+HEAD:{keep}-head", *(f"+refs/heads/{name}:{keep}-{number}" for number, name in enumerate(names))]
        done = self._connect(*NO_LOG, *words, "--refmap=", refs=wanted, seconds=seconds)
        if not done.ok:
            self.drop(keep)
            raise Unreachable(f"{self.where} can't be reached: {done.words or 'no answer'}", hint=AWAY_HINT)
        tips = {name: self._repo.oid_of(f"{keep}-{number}") for number, name in enumerate(names)}
        return keep, Heads(self._repo.oid_of(f"{keep}-head"), {name: oid for name, oid in tips.items() if oid})

    def drop(self, keep: str) -> None:
        """Let go of what was fetched."""
        listed = self._repo.ask("for-each-ref", "--format=%(refname)", f"{keep}-*").split()
        if listed:
            self._repo.drop_refs(listed)

    def newer(self, tip: Oid, than: Oid, limit: int) -> frozenset[Oid] | None:
        """Return the commits behind the tip that are not behind that other commit; None where the tip doesn't descend from it."""
        if not self.is_behind(than, tip):
            return None
        return frozenset(self._repo.ask("rev-list", f"--max-count={limit}", tip, f"^{than}", "--").split())

    def commits(self, tip: Oid, without: Sequence[Oid], limit: int) -> list[tuple[Oid, str | None]]:
        """Return the commits behind the tip and behind none of the others, the oldest first, at most one more than `limit`, each
        with its message (None: it is too large, or all of them together are).
        """
        words = ["rev-list", "--topo-order", f"--max-count={limit + 1}", tip, *(f"^{oid}" for oid in without if oid), "--"]
        listed = self._repo.ask(*words).split()[::-1]
        with Objects(self._repo) as objects:
            room, small = _ROOM, list[Oid]()
            for oid, (_, size) in zip(listed, objects.sizes(listed), strict=True):
                room -= size
                if size <= COMMIT_LIMIT and room >= 0:
                    small.append(oid)
            found = dict(zip(small, map(_message, objects.contents(small)), strict=True))
        return [(oid, found.get(oid)) for oid in listed]


def _message(data: bytes | None) -> str:
    return (data or b"").partition(b"\n\n")[2].decode("utf-8", "replace")
