"""A repository of our own with a work tree, in a folder that is thrown away: branches are merged there, as they would be on the way
to the default branch. It borrows the objects of the user's repository; what is fetched and merged lies in it alone.

Refuses: writing one byte into the user's repository.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from time import sleep

from gitcoord.errors import BadInput, GitcoordError, GitFault, Unreachable
from gitcoord.git import environment, hub, process
from gitcoord.git.answers import fault
from gitcoord.git.merges import AS_EVERYWHERE, LISTING, read_tips, refs_of
from gitcoord.git.process import Finished
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.git.repo import NO_LOG, NULL, Head, Oid, Repository
from gitcoord.git.tip import AWAY_HINT, Swap
from gitcoord.git.urls import push_url, unrewritten

_LONG = 3600.0  # seconds that git may take to write the files of a large project
_FETCHING = 600.0  # seconds that the remote may take to send what is new
_REF = "refs/trial/"
_CARRIED = (*hub.CREDENTIALS, "user.", "merge.", "filter.", "lfs.", "core.autocrlf", "core.eol", "core.symlinks",
            "core.filemode", "core.ignorecase", "core.longpaths")  # fmt: skip
"""What the user's repository says by itself of how it is reached, merged and written out."""
_PROMISED = ("promisor", "partialclonefilter")
_OURS = ("-c", "user.name=gitcoord", "-c", "user.email=gitcoord@localhost", "-c", "commit.gpgsign=false")
_MERGING = (*AS_EVERYWHERE, "-c", "merge.verifySignatures=false", "-c", "merge.ff=true", "-c", "rerere.enabled=false")


@dataclass(frozen=True)
class LandingGround:
    """Where the remote's branches are: its default one by name, and commits by branch; all of them are here."""

    default: str
    base: Oid
    branches: Mapping[str, Oid] = field(default_factory=dict)
    committed_at: Mapping[str, int] = field(default_factory=dict)
    """When the last commit of each branch was made, in seconds since 1970."""


@dataclass(frozen=True)
class Merged:
    """What came of a merge: the commit, or (NULL) the files in which the last of the branches conflicts with those before it."""

    commit: Oid
    conflicts: tuple[str, ...] = ()


class Scratch:
    """A repository of our own in `folder`. `remote`: the one that the branches come from; "": they are the user's own."""

    def __init__(self, user: Repository, remote: str, folder: str, tick: Callable[[], None], seconds: float) -> None:
        self._user = replace(user, tick=tick)
        self._remote, self._seconds = remote, seconds
        self.where = remote or "this repository"
        self.tree = os.path.join(folder, "tree")
        self._repo = self._made()
        self._merged: dict[tuple[Oid, ...], Merged] = {}

    # --- making it ---------------------------------------------------------------------------------------------------

    def _made(self) -> Repository:
        user, git_dir = self._user, os.path.join(self.tree, ".git")
        objects = os.path.join(user.common_dir, "objects")
        if "\n" in objects:
            raise BadInput("a repository whose path has a line break can't be borrowed from")
        words = ["init", "--quiet", "--template=", f"--object-format={user.hash_name}", "--", self.tree]
        done = process.run(user.argv(*words), env=environment.clean_environment(user.environ), cwd=os.path.dirname(self.tree))
        if not done.ok:
            raise fault(words, done)
        os.makedirs(os.path.join(git_dir, "objects", "info"), exist_ok=True)
        with open(os.path.join(git_dir, "objects", "info", "alternates"), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{objects}\n")
        with suppress(FileNotFoundError):
            shutil.copyfile(os.path.join(user.common_dir, "shallow"), os.path.join(git_dir, "shallow"))
        environ = {**user.environ, **environment.with_config(user.environ, self._settings())}
        made = replace(user, git_dir=git_dir, common_dir=git_dir, work_tree=self.tree, environ=environ, branch="")
        for key, value in self._promises():
            made.ask("config", "--local", key, value)
        return made

    def _settings(self) -> list[tuple[str, str]]:
        entries = self._user.ask("config", "--local", "--includes", "-z", "--list").split("\0")
        pairs = (entry.partition("\n") for entry in entries if entry)
        return [(key, value) for key, _, value in pairs if key.startswith(_CARRIED)]

    def _promises(self) -> list[tuple[str, str]]:
        """Return what lets git fetch the objects that a partial clone has left with its remote."""
        config = self._user.config
        found = []
        for name in self._user.remotes:
            if config.get(f"remote.{name}.promisor") != ["true"]:
                continue
            found += [(f"remote.{name}.url", push_url(self._user, name)), ("extensions.partialClone", name)]
            found += [(f"remote.{name}.{key}", config[f"remote.{name}.{key}"][-1]) for key in _PROMISED
                      if f"remote.{name}.{key}" in config]  # fmt: skip
        return found

    # --- what there is to merge ----------------------------------------------------------------------------------------

    def head(self) -> Head:
        """Return where the user's work tree stands."""
        return self._user.head()

    def look(self, branches: Iterable[str]) -> LandingGround:
        """Return where the default branch and these branches are, and bring their commits here; a branch that isn't there is left
        out. Raises Unreachable, and BadInput where nobody says which branch is the default one.
        """
        names = list(dict.fromkeys(branches))
        default, there = self._listed(names) if self._remote else self._own(names)
        if self._remote:
            there = self._fetched(default, [name for name in names if name in there])
        base = there[default]
        ahead = {name: oid for name, oid in there.items() if name != default}
        return LandingGround(default, base, ahead, self._times(ahead))

    def _own(self, names: list[str]) -> tuple[str, dict[str, Oid]]:
        usual = (self._user.setting("init.defaultbranch") or "main", "main", "master")
        default = next((name for name in usual if self._user.local_branch(name)), "")
        if not default:
            raise BadInput("there is no remote, and no branch called main or master to land on", hint="git branch --list")
        found = {name: self._user.local_branch(name) for name in (default, *names)}
        return default, {name: oid for name, oid in found.items() if oid}

    def _connect(self, *words: str, refs: Sequence[str]) -> Finished:
        """Run a git that connects to the remote. Raises Unreachable."""
        word, meaning = unrewritten(self._repo, push_url(self._user, self._remote))
        done = self._repo.run(*words, "--", word, *refs, seconds=max(self._seconds, _FETCHING), extra=meaning)
        if not done.ok:
            raise Unreachable(f"{self.where} can't be reached: {done.words or done.how}", hint=AWAY_HINT)
        return done

    def _listed(self, names: list[str]) -> tuple[str, dict[str, Oid]]:
        """Return the remote's default branch, and which of these branches it has."""
        refs = refs_of(names)
        tips = read_tips(self._connect(*LISTING, refs=refs).stdout, refs)
        if not tips.default:
            raise BadInput(f"{self.where} doesn't say which branch is its default one", hint=f"git remote show {self.where}")
        return tips.default, tips.branches

    def _fetched(self, default: str, names: list[str]) -> dict[str, Oid]:
        wanted = list(dict.fromkeys([default, *names]))
        words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"]
        words += ["--refmap=", *(["--unshallow"] if self._repo.boundary() else [])]
        refs = [f"+refs/heads/{name}:{_REF}{number}" for number, name in enumerate(wanted)]
        self._connect(*NO_LOG, *words, refs=refs)
        return {name: self._repo.oid_of(f"{_REF}{number}") for number, name in enumerate(wanted)}

    def _times(self, there: Mapping[str, Oid]) -> dict[str, int]:
        if not there:
            return {}
        listed = self._repo.ask("log", "--no-walk=unsorted", "--format=%H %ct", *dict.fromkeys(there.values()), "--")
        times = {line.partition(" ")[0]: int(line.partition(" ")[2]) for line in listed.splitlines()}
        return {name: times[oid] for name, oid in there.items()}

    def has(self, commit: Oid, tip: Oid) -> bool:
        """Return True if the tip has that commit behind it."""
        return self._repo.is_ancestor(commit, tip)

    def is_same(self, one: Oid, other: Oid) -> bool:
        """Return True if two commits have the same files."""
        trees = self._repo.ask("rev-parse", f"{one}^{{tree}}", f"{other}^{{tree}}").split()
        return len(set(trees)) == 1

    # --- merging -------------------------------------------------------------------------------------------------------

    def merge(self, base: Oid, commits: Sequence[Oid]) -> Merged:
        """Merge these commits onto the base, one after the other. What was merged before is not merged again."""
        done: tuple[Oid, ...] = (base,)
        made = Merged(base)
        for commit in commits:
            done = (*done, commit)
            if done not in self._merged:
                self._merged[done] = self._one(made.commit, commit, _OURS, "gitcoord trial")
            made = self._merged[done]
            if not made.commit:
                break
        return made

    def merge_to_land(self, base: Oid, commit: Oid, message: str) -> Merged:
        """Merge that commit onto the base as the user would: with the user's name, and signed if the user signs. A commit that
        has the base behind it is what lands itself.
        """
        return self._one(base, commit, (), message)

    def _one(self, base: Oid, commit: Oid, who: Sequence[str], message: str) -> Merged:
        self.check_out(base)
        words = ("merge", "--quiet", "--no-edit", "--no-verify", "--no-stat", "-m", message, commit)
        done = self._repo.run(*_MERGING, *who, *words, seconds=_LONG)
        if done.ok:
            return Merged(self._repo.oid_of("HEAD"))
        files = self._repo.ask("diff", "--name-only", "--diff-filter=U", "-z").split("\0")
        if not any(files):
            raise GitcoordError(f"git can't merge {commit[:12]}: {done.how}", hint="git status")
        return Merged(NULL, tuple(name for name in files if name))

    def check_out(self, commit: Oid) -> None:
        """Write the files of that commit, and nothing else: what a command has left there goes."""
        for words in (("reset", "--quiet", "--hard", commit), ("clean", "-ffdxq")):
            done = self._repo.run(*words, seconds=_LONG)
            if not done.ok:
                raise GitFault(f"git can't write the files of {commit[:12]}: {done.how}", hint="run the same command again")

    # --- landing -------------------------------------------------------------------------------------------------------

    def push(self, branch: str, expected: Oid, new: Oid) -> bool:
        """Move the remote's branch from exactly `expected` to `new`, which has that behind it; return False where it is elsewhere
        by now. Raises Refused, Unreachable, Unknown.
        """
        url = push_url(self._user, self._remote)
        with closing(RemoteTip(self._repo, self._remote, url, branch, sleep)) as tip:
            return tip.swap(expected, new, self._seconds) is Swap.WON
