"""The user's repository: found, asked through one door, never written to but for our own refs.

Refuses: the user's index, work tree, HEAD, branches and configuration.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from gitcoord.errors import BadInput, Damaged, GitcoordError, GitFault
from gitcoord.git import environment, process
from gitcoord.git.answers import fault, in_bare, is_named_bare, no_repository
from gitcoord.git.process import Finished

_T = TypeVar("_T")

OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
Oid = str
"""A commit's, tree's or blob's name in hex, of whatever hash the repository has."""
_OWN = "refs/gitcoord/"  # where our own refs are
_PASSING = ("fetch", "chain", "sending")
"""Those that stand only while something goes on: what is being fetched; what is written and not pushed yet."""
_SHORTLY = 10.0  # seconds that git may take to say where it is and how it is set, before anybody knows the deadline
_IN_USE = 300.0  # seconds in which a living process may still have one of them: that is a few deadlines long
_LEFT_AFTER = 3600.0  # seconds after which one of them was left behind by a killed process
NULL: Oid = ""
"""Nothing there: an absent ref, "must not exist" in a swap."""


NO_LOG = ("-c", "core.logAllRefUpdates=false")
"""No reflog for refs of our own, whatever the user has set."""

_PLACES = ("rev-parse", "--path-format=absolute", "--is-bare-repository", "--git-dir", "--git-common-dir", "--show-toplevel")
_SETTINGS = ("config", "-z", "--list", "--includes")


def kept_ref(remote: str, branch: str) -> str:
    """The ref of ours that holds the last tip of the branch that this clone accepted, whatever is pruned or rewritten later."""
    return f"{_OWN}last/{remote or 'here'}/{branch}"


def own_ref(kind: str) -> str:
    """A new ref of ours of a passing kind. Its name begins with the time: by it others see when nobody needs it any more."""
    return f"{_OWN}{kind}/{int(time.time()):x}-{secrets.token_hex(6)}"


def _age(name: str) -> float:
    """Return the seconds since such a ref was made, as its name says; 0.0 where it doesn't say it."""
    try:
        return time.time() - int(name.partition("-")[0], 16)
    except ValueError:
        return 0.0


def oid_lines(data: bytes) -> list[Oid]:
    """Names of objects, one a line. Raises ValueError for anything else, and for half a line."""
    *lines, end = data.decode("ascii").split("\n")
    if end or not all(map(OID.fullmatch, lines)):
        raise ValueError(data)
    return lines


def _named(data: bytes, name: str) -> Oid:
    """What `cat-file --batch-check` says of a name; NULL where it says that there is none. Raises ValueError for anything else."""
    if data == f"{name} missing\n".encode():
        return NULL
    found = re.fullmatch(rb"([0-9a-f]{40}|[0-9a-f]{64}) (?:commit|tree|blob|tag) \d+\n", data)
    if found is None:
        raise ValueError(data)
    return found[1].decode()


def _places(start: str, argv: list[str], env: Mapping[str, str]) -> list[str]:
    """Return what git answers about the repository of that folder, as `_PLACES` asks. Raises NoRepository, GitFault."""
    for last in (False, True):
        done = process.run(argv, env=env, cwd=start, idle=_SHORTLY)
        lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")
        # All but the work tree is there in a bare repository, and in a .git; then git's last word is a complaint.
        whole = lines.pop() == "" and lines and lines[0] in {"true", "false"} and all(map(os.path.isabs, lines[1:]))
        if whole and len(lines) == (4 if done.ok else 3) and done.ended_itself:
            return lines
        if done.ended_itself and not done.ok and done.words:
            raise no_repository(start, done)
        if last or not done.in_time:
            break
    raise GitFault(f"git can't tell which repository {start!r} lies in: {done.how}", hint="git status")


@dataclass(frozen=True)
class Head:
    """Where the work tree stands: its branch ("" when detached) and commit ("" when unborn)."""

    branch: str
    commit: Oid


@dataclass(frozen=True)
class Repository:
    """One work tree (or bare repository). All paths absolute; `work_tree` is "" in a bare one, `branch` when detached."""

    git_dir: str
    common_dir: str
    work_tree: str
    environ: Mapping[str, str] = field(repr=False)
    branch: str = ""
    git: str = field(default_factory=environment.program)
    tick: Callable[[], None] | None = None
    ssh_options: str = ""
    seconds: float = process.PATIENCE
    """How long a git that asks nobody else may show no life."""
    received: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The variables that say where the objects of a push lie that this repository has not accepted yet."""
    _meanwhile: list[tuple[str, process.GitChild]] = field(default_factory=list, compare=False, repr=False)
    """The gits that still move refs, with what each was told: every other git waits for them, of a copy of this repository, too."""

    @classmethod
    def find(cls, start: str, environ: Mapping[str, str], *, hooked: bool = False) -> Repository:
        """The repository that `start` lies in. Raises NoRepository when there is none. `hooked`: git's own variables say which
        one is meant, as they do in a hook.
        """
        if not os.path.isdir(start):
            raise BadInput(f"{start!r} is not a folder")
        git = environment.program(start)
        named = ("GIT_DIR", "GIT_WORK_TREE") if hooked else ("GIT_DIR",) if is_named_bare(start, environ) else ()
        meant = {name: environ[name] for name in named if name in environ}
        env = {**environment.clean_environment(environ), **meant}
        settings = process.GitChild([git, *process.ALWAYS, *_SETTINGS], env=env, cwd=start)  # it reads while another one looks
        try:
            places = _places(start, [git, *process.ALWAYS, *_PLACES], env)
            if places[0] == "true" and not meant and os.path.basename(os.path.realpath(places[1])) != ".git":
                raise in_bare(start)  # git before 2.38 knows no `safe.bareRepository`
            git_dir, common = os.path.realpath(places[1]), os.path.realpath(places[2])
            tree = os.path.realpath(places[3]) if len(places) == 4 else ""
            if not tree and places[0] == "false" and git_dir.endswith("/.git"):
                tree = git_dir.removesuffix("/.git")  # asked from inside of .git, where git itself sees no work tree
            tree = os.path.realpath(tree) if tree else ""
            with open(os.path.join(git_dir, "HEAD"), encoding="utf-8", errors="surrogateescape") as head:
                ref = head.read(4096).strip()
            branch = environment.branch_of(ref.removeprefix("ref: ")) if ref.startswith("ref: ") else ""
            repo = cls(git_dir=git_dir, common_dir=common, work_tree=tree, environ=environ, branch=branch, git=git)
            repo.__dict__["config"] = repo._settings(settings)
        finally:
            settings.close()
        # With the reftable backend HEAD is a dummy file that only git itself can read.
        return repo._changed(branch=repo.head().branch) if branch == ".invalid" else repo

    def _changed(self, **fields: Any) -> Repository:
        """The same repository with other fields; what its configuration says is read once."""
        other = replace(self, **fields)
        if "config" in self.__dict__:
            other.__dict__["config"] = self.config
        return other

    @property
    def cwd(self) -> str:
        """Where git runs: the root of the work tree, or the bare repository."""
        return self.work_tree or self.git_dir

    def working(self, tick: Callable[[], None], ssh_options: str = "", seconds: float = process.PATIENCE) -> Repository:
        """The same repository, its door calling `tick` while it waits, and giving those options to ssh; a git that asks nobody
        else may be silent for `seconds`.
        """
        return self._changed(tick=tick, ssh_options=ssh_options, seconds=seconds)

    def receiving(self) -> Repository:
        """The same repository with the objects of the push about which its hook is asked: git keeps them apart until they are
        accepted.
        """
        names = environment.QUARANTINE
        return self._changed(received={name: self.environ[name] for name in names if name in self.environ})

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of our git children, with GIT_DIR pinned: nothing else can say which repository is meant."""
        return {**environment.clean_environment(self.environ, self.config, self.ssh_options), **self._pins()}

    @property
    def protocols(self) -> list[str]:
        """The protocols that we and the user's own settings allow."""
        return environment.protocols(self.environ, self.config)

    def _pins(self) -> dict[str, str]:
        pins = {**self.received, "GIT_DIR": self.git_dir}
        if self.work_tree:
            pins["GIT_WORK_TREE"] = self.work_tree
        return pins

    def argv(self, *words: str) -> list[str]:
        """The full argument list of a git child."""
        return [self.git, *process.ALWAYS, *words]

    def begin(self, *words: str) -> process.GitChild:
        """Start a git whose input is known later: it loads meanwhile. `run` takes it to its end; whoever has it closes it."""
        return process.GitChild(self.argv(*words), env=self.environment, cwd=self.cwd, asked=True)

    def run(
        self,
        *words: str,
        stdin: bytes = b"",
        seconds: float | None = None,
        extra: Mapping[str, str] | None = None,
        begun: process.GitChild | None = None,
    ) -> Finished:
        """Runs git; the caller looks at what it returned. `begun`: what `begin` gave for these words.

        Without `seconds` it is a git that asks nobody else: whatever ended it, it was not its own decision and says nothing. So
        one that was killed is run once more, and then, as for one that stalls, GitFault is raised.
        """
        self.settle()
        env = {**self.environment, **extra} if extra else self.environment
        for last in (False, True):
            done = process.run(
                self.argv(*words), env=env, cwd=self.cwd, stdin=stdin, seconds=seconds, idle=self.seconds, tick=self.tick,
                begun=begun,
            )  # fmt: skip
            begun = None
            if seconds is not None or done.ended_itself:
                return done
            if last or not done.in_time:
                break
        raise fault(words, done)

    def ask(self, *words: str, stdin: bytes = b"") -> str:
        """Runs a local git that must succeed; its output as text. Raises GitFault with git's words."""
        done = self.run(*words, stdin=stdin)
        if not done.ok:
            raise fault(words, done)
        return done.stdout.decode("utf-8", "surrogateescape")

    def reading(self, *words: str, parse: Callable[[bytes], _T], stdin: bytes = b"") -> _T:
        """Runs a local git that must succeed; what `parse` makes of its output. It raises ValueError for one that isn't whole.

        What is no whole answer is asked for once more, then GitFault is raised; Damaged where git itself says that it can't.
        """
        for last in (False, True):
            done = self.run(*words, stdin=stdin)
            try:
                if done.ok:
                    return parse(done.stdout)
            except ValueError:
                if last:
                    raise GitFault(f"git {words[0]} gave no whole answer", hint="run the same command again") from None
        if done.returncode and done.words:
            raise Damaged(f"git {words[0]} failed: {done.words}", hint="git fsck, then gitcoord doctor")
        raise fault(words, done)

    def oid_of(self, name: str) -> Oid:
        """What that name stands for; NULL where there is nothing of that name. Raises GitFault."""
        # Silence is no answer: also that there is nothing must be told.
        found = self.reading("cat-file", "--batch-check", stdin=f"{name}\n".encode(), parse=lambda data: _named(data, name))
        if found:
            return found
        done = self.run("rev-parse", "-q", "--verify", name)  # a ref is there, too, if its object is not
        text = done.stdout.decode("ascii", "replace").strip()
        return text if done.ok and OID.fullmatch(text) else NULL

    def has_all(self, new: Oid, known: Oid) -> bool:
        """True if every object is here that `new` has and `known` (or NULL) hasn't. Raises GitFault."""
        for last in (False, True):
            done = self.run("rev-list", "--objects", "--quiet", new, *([f"^{known}"] if known else []), "--")
            if done.ok or last or done.returncode > 1:
                break
        if done.ok or done.returncode > 1:
            return done.ok
        raise fault(("rev-list",), done)

    def is_ancestor(self, commit: Oid, tip: Oid) -> bool:
        """True if the tip has the commit behind it, or is it. Raises GitFault."""
        for last in (False, True):
            done = self.run("merge-base", commit, tip)
            text = done.stdout.decode("ascii", "replace")
            if done.ok and text.endswith("\n") and OID.fullmatch(text[:-1]):
                return text[:-1] == commit
            if last and done.returncode == 1 and not text:
                # Told twice that they have nothing in common. git says the same where it can't read a commit between the two:
                # only a walk that reaches every commit shows which it is.
                walk = self.run("rev-list", "--count", commit, tip, "--")
                if walk.ok and walk.stdout.strip().isdigit():
                    return False
                done = walk
        if done.returncode > 1:
            raise Damaged(f"git can't compare commits: {done.how}", hint="git fsck, then gitcoord doctor")
        raise fault(("merge-base",), done)

    @cached_property
    def config(self) -> dict[str, list[str]]:
        """git's configuration as this repository sees it: every value of a key, the last one winning."""
        return self._settings()

    def _settings(self, begun: process.GitChild | None = None) -> dict[str, list[str]]:
        """The same. `begun`: a git that was started to list it, in this repository. Raises GitFault."""
        env = {**environment.clean_environment(self.environ), **self._pins()}
        last = process.ALWAYS[-1].lower().replace("=", "\n") + "\0"  # what we say ourselves comes last: by it the list is whole
        for child in (begun, None):
            idle = min(_SHORTLY, self.seconds)
            done = process.run(self.argv(*_SETTINGS), env=env, cwd=self.cwd, idle=idle, begun=child)
            if not done.in_time or (done.ok and done.stdout.endswith(last.encode())):
                break
        if not done.ok or not done.stdout.endswith(last.encode()):
            raise GitFault(f"git can't read its configuration: {done.how}", hint="git config --list")
        found: dict[str, list[str]] = {}
        for entry in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
            if entry:
                key, _, value = entry.partition("\n")
                found.setdefault(key, []).append(value)
        return found

    def setting(self, key: str) -> str | None:
        """The winning value of a configuration key (in small letters), or None."""
        values = self.config.get(key)
        return values[-1] if values else None

    @cached_property
    def hash_name(self) -> str:
        """The repository's hash: sha1 or sha256."""
        return self.setting("extensions.objectformat") or "sha1"

    @property
    def remotes(self) -> list[str]:
        """The names of the remotes that have a URL."""
        names = [key[len("remote.") : -len(".url")] for key in self.config if key.startswith("remote.") and key.endswith(".url")]
        return sorted(names)

    @property
    def email(self) -> str:
        """The user's e-mail for commits, "" when git has none."""
        # Not GIT_AUTHOR_EMAIL: `git commit` exports it to its hooks, even where it is another's (--author).
        return self.environ.get("GIT_COMMITTER_EMAIL") or self.setting("user.email") or ""

    def head(self) -> Head:
        """Where HEAD points."""
        branch = self.run("symbolic-ref", "-q", "--short", "HEAD")
        if not branch.ok and (branch.returncode != 1 or branch.stdout):
            raise fault(("symbolic-ref",), branch)
        return Head(branch.stdout.decode("utf-8", "replace").strip(), self.oid_of("HEAD^{commit}"))

    def work_trees(self) -> list[str]:
        """The roots of all work trees of this repository; this one is among them."""
        lines = self.ask("worktree", "list", "--porcelain").split("\n")
        others = {os.path.realpath(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")}
        return sorted({self.work_tree, *others} - {"", self.common_dir})

    def boundary(self) -> frozenset[Oid]:
        """The commits below which nothing was fetched (`--depth`): git shows them without their parents. Usually none."""
        try:
            with open(os.path.join(self.common_dir, "shallow"), encoding="ascii", errors="replace") as file:
                return frozenset(file.read().split())
        except OSError:
            return frozenset()

    def is_cut(self, *asked: str) -> bool:
        """Return True if a fetch with a depth stopped among those commits (as `rev-list` takes them): then what git shows there
        without parents has some.
        """
        cut = self.boundary()
        return bool(cut) and not cut.isdisjoint(self.reading("rev-list", "--max-parents=0", *asked, "--", parse=oid_lines))

    def first_commit(self) -> Oid:
        """Return the commit with which the checked out history began; NULL where nothing is committed or a
        fetch with a depth cut it off. Raises GitFault.
        """
        if self.oid_of("HEAD") == NULL or self.is_cut("HEAD"):
            return NULL
        roots = self.reading("rev-list", "--first-parent", "--max-parents=0", "HEAD", "--", parse=oid_lines)
        return roots[0] if roots else NULL

    def subject(self, commit: Oid) -> str:
        """The subject line of a commit."""
        done = self.run("show", "-s", "--format=%s", commit)
        return done.stdout.decode("utf-8", "replace").strip() if done.ok else ""

    def local_branch(self, name: str) -> Oid:
        """The commit of a branch of this repository; NULL when there is none."""
        return self.oid_of(f"refs/heads/{name}")

    def branch_commit(self, name: str) -> Oid:
        """The commit of a branch of the user's, here or as it was last fetched; "" when there is none."""
        remotes = (f"refs/remotes/{remote}/{name}" for remote in self.remotes)
        for ref in (f"refs/heads/{name}", *remotes):
            if found := self.oid_of(f"{ref}^{{commit}}"):
                return found
        return ""

    def is_on_a_remote(self, commit: Oid) -> bool:
        """Whether a remote has the commit, as far as is known here."""
        done = self.run("rev-list", "--max-count=1", commit, "--not", "--remotes", "--")
        return done.ok and not done.stdout.strip()

    def drop_local_branch(self, name: str, old: Oid) -> None:
        """Takes a branch of ours away, unless anybody moved it meanwhile."""
        self.ask("update-ref", "-d", f"refs/heads/{name}", old)

    def keep(self, ref: str, commit: Oid) -> None:
        """Moves a ref of our own to that commit, if there is room for it."""
        with suppress(GitFault):
            self.run(*NO_LOG, "update-ref", ref, commit)

    def has_whole(self, commit: Oid, seconds: float) -> bool:
        """Return True if the commit and every object behind it are in this repository."""
        return not self.is_missing(commit) and self.run("rev-list", "--objects", "--quiet", commit, "--", seconds=seconds).ok

    def is_missing(self, commit: Oid) -> bool:
        """Return True if that commit isn't in this repository."""
        return not self.oid_of(f"{commit}^{{commit}}")

    def set_aside(self, commit: Oid) -> str:
        """Keeps a commit under a ref of our own; the ref's name."""
        ref = f"{_OWN}before/{commit[:12]}"
        self.ask("update-ref", ref, commit)
        return ref

    def own_refs(self, *, kept: bool) -> list[str]:
        """The refs of ours in this repository; without `kept` only those that a killed process left behind."""
        places = [_OWN] if kept else [f"{_OWN}{kind}/" for kind in _PASSING]
        listed = self.ask("for-each-ref", "--format=%(refname)", *places).split()
        return listed if kept else [ref for ref in listed if _age(ref.rpartition("/")[2]) > _IN_USE]

    def left_refs(self) -> list[str]:
        """Those of our passing refs that a killed process left behind long ago, as far as they are seen without asking git."""
        found = []
        for kind in _PASSING:
            with suppress(OSError):
                names = os.listdir(os.path.join(self.common_dir, _OWN, kind))
                found += [f"{_OWN}{kind}/{name}" for name in names if _age(name) > _LEFT_AFTER]
        return found

    def drop_refs(self, refs: Sequence[str]) -> None:
        """Takes refs of ours away, and the folders that they leave empty."""
        self.run("update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in refs).encode())
        for folder, _, _ in os.walk(os.path.join(self.common_dir, _OWN), topdown=False):
            with suppress(OSError):
                os.rmdir(folder)

    def update_refs_meanwhile(self, feed: str) -> None:
        """Does the same while this process goes on, until it next asks git for anything."""
        self.settle()
        child = self.begin("update-ref", "--stdin")
        child.send_all(feed.encode())
        self._meanwhile.append((feed, child))

    def settle(self) -> None:
        """Waits until the refs stand where `update_refs_meanwhile` was told to put them. What git can't do now stays to be done."""
        while self._meanwhile:
            feed, child = self._meanwhile.pop()
            with suppress(GitFault):
                self.update_refs(feed, child)

    def update_refs(self, feed: str, begun: process.GitChild | None = None) -> None:
        """Changes refs, one after the other, as far as they are where the feed says: what can't be changed stays. `begun`: an
        `update-ref --stdin` that was told that already.
        """
        for child in (begun, None):
            done = self.run("update-ref", "--stdin", stdin=b"" if child else feed.encode(), begun=child)
            if done.words or (done.ok and done.stdout.count(b"commit: ok\n") == feed.count("commit\n")):
                return  # it says that it did it, or why it can't

    def hooks_dir(self) -> str:
        """The folder that git takes this work tree's hooks from."""
        done = process.run(
            [self.git, "rev-parse", "--git-path", "hooks"],
            env={**environment.clean_environment(self.environ), **self._pins()},
            cwd=self.cwd,
        )
        if not done.ok or not done.stdout.endswith(b"\n"):
            raise fault(("rev-parse",), done)
        return os.path.normpath(os.path.join(self.cwd, done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")))

    def set_config(self, key: str, value: str | None) -> None:
        """Sets (None: unsets) one of our own settings, because the user asked for exactly that."""
        if not key.startswith("gitcoord."):
            raise GitcoordError(f"{key} is not gitcoord's to set")
        if value is None:
            self.run("config", "--local", "--unset-all", key)
        else:
            self.ask("config", "--local", "--replace-all", key, value)
        self.__dict__.pop("config", None)

    def set_hook(self, name: str, event: str, command: str | None) -> None:
        """Sets (None: takes away) one of our own hooks in this clone's configuration, where git 2.54 and newer look for some."""
        section = f"hook.{name}"
        if not name.startswith("gitcoord-"):
            raise GitcoordError(f"{section} is not gitcoord's to set")
        if command is None:
            self.run("config", "--local", "--remove-section", section)
        else:
            self.ask("config", "--local", "--replace-all", f"{section}.command", command)
            self.ask("config", "--local", "--replace-all", f"{section}.event", event)
        self.__dict__.pop("config", None)

    def disk_usage(self, commit: Oid, seconds: float) -> int | None:
        """Bytes that all objects behind the commit take in this repository; None when they can't be counted in that time."""
        done = self.run("rev-list", "--disk-usage", "--objects", commit, seconds=seconds)
        return int(done.stdout) if done.ok and done.stdout.strip().isdigit() else None

    def files_at_head(self, paths: Sequence[str]) -> list[str]:
        """Which files there are in the user's HEAD at or below those paths."""
        done = self.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD", "--", *paths)
        return [name for name in done.stdout.decode("utf-8", "surrogateescape").split("\0") if name] if done.ok else []

    def ignores(self, path: str) -> bool:
        """Whether git takes no notice of that file of the work tree while it is untracked."""
        return self.run("check-ignore", "-q", "--", path).ok

    def version(self) -> str:
        """git's version, as it says it."""
        return self.ask("version").strip().removeprefix("git version ")
