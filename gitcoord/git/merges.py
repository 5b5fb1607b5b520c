"""Which commits can't be merged, asked of git without a work tree, in a bare repository of our own beside the user's.

It borrows the user's objects and gives nothing back: what a merge writes and what is fetched for it lies here. It has no remote, so
nothing is fetched on the way: where an object is missing, it can't be told. Deleting it costs one fetch.

The facts that all of this rests on: `merge-tree --stdin` says 0 for a conflict and 1 for none, ends with 0 for both, ends for good
at the first pair that it can't merge, and may name no file of a conflict (a folder that was moved in two ways).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

from gitcoord.errors import Damaged, GitcoordError, GitFault, Unreachable
from gitcoord.git import environment, process
from gitcoord.git.answers import fault
from gitcoord.git.edits import default_branch
from gitcoord.git.environment import with_config
from gitcoord.git.hub import CREDENTIALS
from gitcoord.git.hunks import OFFLINE, FileChange, between, merge_base
from gitcoord.git.repo import NO_LOG, NULL, OID, Oid, Repository
from gitcoord.git.tip import AWAY_HINT
from gitcoord.git.urls import push_url, unrewritten

NEEDED = (2, 39)
"""The git that can merge many pairs in one process without a work tree."""

Outcome = Literal["clean", "conflict", "unknown"]

_HERE = "refs/gitcoord/merging/"
_CONFLICT, _CLEAN = b"0", b"1"
_LOOSE = 40  # files in one of 256 folders of objects: about 10,000 in all, then everything is thrown away
_PACKS = 60
_ATTRIBUTES = 1 << 16  # bytes of a .gitattributes that are read
_DRIVER = re.compile(r"(?<=\s)merge=(?!(?:text|binary|union)(?:\s|$))(\S+)")
_UNSURE = "gitcoord-merge"
AS_EVERYWHERE = (
    "-c", "merge.renames=true", "-c", "merge.directoryRenames=conflict", "-c", "diff.renames=true",
    "-c", "merge.conflictStyle=merge", "-c", "merge.renormalize=false",
)  # fmt: skip
"""A merge's own settings, as they are where nobody sets any: it is the same for everybody who merges these two."""


class Pair(NamedTuple):
    """Two commits that somebody may merge."""

    first: Oid
    second: Oid


@dataclass(frozen=True)
class Clash:
    """A file that two commits can't both have, and where, in lines of their merge base: (first, last) each, with last < first for
    what stands between two lines. `driver`: a program of the user's merges it, so git alone can't tell.
    """

    path: str
    lines: tuple[tuple[int, int], ...] = ()
    driver: str = ""


@dataclass(frozen=True)
class MergeVerdict:
    """What git says of a pair. `why`: why it can't tell."""

    outcome: Outcome
    files: tuple[Clash, ...] = ()
    why: str = ""


class Tips(NamedTuple):
    """Where branches of a remote are, by name, and its default branch with its commit ("" and NULL: nowhere)."""

    branches: dict[str, Oid]
    default: str
    default_commit: Oid


LISTING = ("ls-remote", "--symref")
"""How git is asked where branches of a remote are; `refs_of` says which, `read_tips` reads the answer."""


def refs_of(names: Iterable[str]) -> list[str]:
    """Return what is asked for: those branches, and which one is the default."""
    return ["HEAD", *sorted({f"refs/heads/{name}" for name in names})]


def read_tips(listed: bytes, refs: Sequence[str]) -> Tips:
    """Return what git's list says of those refs."""
    found: dict[str, Oid] = {}
    default = ""
    for line in listed.decode("utf-8", "replace").splitlines():
        left, _, ref = line.partition("\t")
        if left.startswith("ref: ") and ref == "HEAD":
            default = environment.branch_of(left.removeprefix("ref: "))
        elif OID.fullmatch(left):
            found[ref] = left
    head = found.pop("HEAD", NULL)
    wanted = {ref.removeprefix("refs/heads/"): oid for ref, oid in found.items() if ref in refs}
    return Tips(wanted, default, head)


class Merges:
    """A repository of our own, in which pairs of the user's commits are merged and thrown away."""

    def __init__(self, repo: Repository, remote: str, folder: str) -> None:
        """`remote`: where branches are fetched from, "" for nowhere; `folder`: where our repository lies."""
        self._repo = repo
        self._remote = remote
        self._folder = folder
        self._sides: dict[tuple[Oid, Oid], dict[str, FileChange]] = {}

    # --- whether it can be done --------------------------------------------------------------------------------------------

    @cached_property
    def lack(self) -> str:
        """Return why nothing can be merged here; "" where all is well."""
        version = self._version()
        match = re.match(r"(\d+)\.(\d+)", version)
        if match is None:
            raise GitFault("git doesn't say which version it is", hint="git version")
        if (int(match[1]), int(match[2])) < NEEDED:
            return f"git {version} can't merge without a work tree: 2.39 or newer can"
        return "" if os.access(self._repo.common_dir, os.W_OK) else "the git folder can't be written"

    def _version(self) -> str:
        """Return git's version; of the same program it is asked once."""
        program, path = os.stat(self._repo.git), os.path.join(self._folder, "version")
        mark = f"{self._repo.git} {program.st_mtime_ns} {program.st_size} "
        with suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
            noted = file.read(4096)
            if noted.startswith(mark):
                return noted.removeprefix(mark)
        version = self._repo.version()
        if os.path.exists(os.path.join(self._folder, "HEAD")):
            _write(path, mark + version)
        return version

    @cached_property
    def home(self) -> Repository:
        """Return our repository, made or renewed if need be. Raises GitcoordError."""
        if self.lack:
            raise GitcoordError(self.lack, hint="install a newer git")
        made = replace(self._repo, git_dir=self._folder, common_dir=self._folder, work_tree="", branch="")
        made.__dict__["config"] = self._repo.config  # how the user reaches the remote; ours says nothing of its own
        if self._is_full():
            shutil.rmtree(self._folder, ignore_errors=True)
        if not os.path.exists(os.path.join(self._folder, "HEAD")):
            self._make(made)
        self._borrow()
        return made

    def _is_full(self) -> bool:
        with suppress(OSError):
            if len(os.listdir(os.path.join(self._folder, "objects", "17"))) > _LOOSE:
                return True
        with suppress(OSError):
            return len(os.listdir(os.path.join(self._folder, "objects", "pack"))) > 2 * _PACKS
        return False

    def _make(self, made: Repository) -> None:
        os.makedirs(os.path.dirname(self._folder), mode=0o700, exist_ok=True)
        aside = tempfile.mkdtemp(prefix=".merges-", dir=os.path.dirname(self._folder))
        try:
            env = {**environment.clean_environment(made.environ), "GIT_DIR": aside}
            words = ["init", "--quiet", "--bare", f"--object-format={self._repo.hash_name}", "--template="]
            done = process.run([made.git, *process.ALWAYS, *words], env=env, cwd=aside, idle=made.seconds)
            if not done.ok:
                raise GitFault(f"git can't make a repository here: {done.how}", hint="run the same command again")
            with suppress(OSError):
                os.rename(aside, self._folder)  # whole or not at all: others may be making it, too
            if not os.path.exists(os.path.join(self._folder, "HEAD")):
                raise GitFault("git made no repository here", hint="run the same command again")
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _borrow(self) -> None:
        """Have our repository see the user's objects, up to where a fetch with a depth stopped."""
        objects = os.path.join(self._repo.common_dir, "objects")
        _write(os.path.join(self._folder, "objects", "info", "alternates"), f"{objects}\n")
        cut = "".join(f"{oid}\n" for oid in sorted(self._repo.boundary()))
        if cut or os.path.exists(os.path.join(self._folder, "shallow")):
            _write(os.path.join(self._folder, "shallow"), cut)

    # --- where the branches are ------------------------------------------------------------------------------------------------

    def known(self, names: Iterable[str]) -> Tips:
        """Return where those branches were when they were fetched last, and the default branch as this clone has it; without a
        remote where they are.
        """
        asked = sorted(set(names))
        places = [f"refs/heads/{name}" if not self._remote else f"refs/remotes/{self._remote}/{name}" for name in asked]
        theirs = self._commits(self._repo, places)
        ours = self._commits(self.home, [f"{_HERE}{name}" for name in asked])
        found = {name: mine or other for name, mine, other in zip(asked, ours, theirs, strict=True)}
        default, commit = default_branch(self._repo, self._remote)
        return Tips({name: oid for name, oid in found.items() if oid}, default, commit)

    def _commits(self, repo: Repository, names: Sequence[str]) -> list[Oid]:
        """The commits that those names stand for; NULL for one that stands for none."""

        def parse(data: bytes) -> list[Oid]:
            lines = data.decode("utf-8", "replace").split("\n")
            words = [line.split(" ") for line in lines[:-1]]
            if len(words) != len(names):
                raise ValueError("some are missing")
            return [word[0] if len(word) == 3 and word[1] == "commit" and OID.fullmatch(word[0]) else NULL for word in words]

        feed = "".join(f"{name}^{{commit}}\n" for name in names).encode("utf-8", "surrogateescape")
        return repo.reading("cat-file", "--batch-check", stdin=feed, parse=parse) if names else []

    def tips(self, names: Iterable[str], seconds: float) -> Tips:
        """Return where those branches of the remote are now. Raises Unreachable."""
        if not self._remote:
            return self.known(names)
        refs = refs_of(names)
        done = self._connect(*LISTING, refs=refs, seconds=seconds)
        if not done.ok:
            raise Unreachable(f"{self._remote} can't be reached: {done.words or 'no answer'}", hint=AWAY_HINT)
        return read_tips(done.stdout, refs)

    def fetch(self, names: Iterable[str], seconds: float) -> None:
        """Have these branches of the remote here. Raises Unreachable."""
        if not self._remote:
            return
        words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"]
        wanted = [f"+refs/heads/{name}:{_HERE}{name}" for name in sorted(names)]
        done = self._connect(*NO_LOG, *words, "--refmap=", refs=wanted, seconds=seconds)
        if not done.ok:
            raise Unreachable(f"{self._remote} can't be reached: {done.words or 'no answer'}", hint=AWAY_HINT)

    def _connect(self, *words: str, refs: Sequence[str], seconds: float) -> process.Finished:
        """Run a git that connects to the remote, in our repository and with the way to the remote that the user has set."""
        word, meaning = unrewritten(self._repo, push_url(self._repo, self._remote))
        home = self.home
        env = {**self._repo.environment, **meaning}
        env = {name: value for name, value in env.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
        own = [(key, value) for key, values in self._repo.config.items() if key.startswith(CREDENTIALS) for value in values]
        env |= with_config(env, own)
        return home.run(*words, "--", word, *refs, seconds=seconds, extra=env)

    def absent(self, commits: Iterable[Oid]) -> frozenset[Oid]:
        """Return those of the commits that are not here."""
        asked = sorted({oid for oid in commits if oid})
        if not asked:
            return frozenset()

        def parse(data: bytes) -> frozenset[Oid]:
            lines = data.decode("ascii", "replace").split("\n")
            there = [line.removeprefix(f"{oid} commit ").isdigit() for oid, line in zip(asked, lines[:-1], strict=True)]
            for oid, line, here in zip(asked, lines, there, strict=False):
                if not here and line not in (f"{oid} missing", f"{oid}^{{commit}} missing"):
                    raise ValueError(line)
            return frozenset(oid for oid, here in zip(asked, there, strict=True) if not here)

        feed = "".join(f"{oid}^{{commit}}\n" for oid in asked).encode()
        return self.home.reading("cat-file", "--batch-check", stdin=feed, parse=parse)

    def is_behind(self, commit: Oid, tip: Oid) -> bool:
        """Return True if the tip has the commit behind it; False for a commit that isn't here."""
        with suppress(Damaged):
            return self.home.is_ancestor(commit, tip)
        return False

    def changed(self, old: Oid, new: Oid) -> list[FileChange]:
        """Return what differs from one commit to the other. Raises GitFault."""
        return between(self.home, old, new)

    def diff(self, old: Oid, new: Oid, path: str, limit: int) -> str:
        """Return what differs in that file, as a patch without its head; at most so many bytes of it. Raises GitFault."""
        words = ("diff-tree", "-r", "-p", "-M", "--no-color", "--no-ext-diff", "--no-textconv", old, new, "--", path)
        done = self.home.run("--literal-pathspecs", *words, extra=OFFLINE)
        if not done.ok:
            raise fault(("diff-tree",), done)
        text = done.stdout[: 2 * limit].decode("utf-8", "replace")
        at = text.find("\n@@ ")
        return text[at + 1 :][:limit] if at >= 0 else ""

    def base(self, first: Oid, second: Oid) -> Oid:
        """Return the newest commit behind both; NULL where there is none here."""
        return merge_base(self.home, first, second)

    # --- merging -----------------------------------------------------------------------------------------------------------

    def judge(self, pairs: Sequence[Pair]) -> dict[Pair, MergeVerdict]:
        """Return for each pair whether git can merge it. Raises GitFault where git dies or answers short: that is no verdict."""
        found: dict[Pair, MergeVerdict] = {}
        commits = {oid for pair in pairs for oid in pair}
        absent = self.absent(commits)
        found |= {pair: MergeVerdict("unknown", why="a commit is not here") for pair in pairs if not absent.isdisjoint(pair)}
        left = [pair for pair in pairs if pair not in found]
        rules = self._attributes({oid for pair in left for oid in pair})
        for text in dict.fromkeys(rules[pair.first] for pair in left):
            group = [pair for pair in left if rules[pair.first] == text]
            found |= self._together(group, text)
        return {pair: self._with_lines(pair, found[pair]) for pair in pairs}

    def _together(self, pairs: Sequence[Pair], attributes: str) -> dict[Pair, MergeVerdict]:
        """Judge pairs whose branches have the same rules for merging; one after the other where git gives up on one of them."""
        merged = self._merge(pairs, attributes)
        if merged is None and len(pairs) > 1:
            middle = len(pairs) // 2
            return self._together(pairs[:middle], attributes) | self._together(pairs[middle:], attributes)
        if merged is None:
            return {pairs[0]: MergeVerdict("unknown", why=self._why_not(pairs[0]))}
        drivers = self._drivers({path for one in merged for path in (*one.files, *one.merged)}, attributes)
        return {pair: _verdict(one, drivers) for pair, one in zip(pairs, merged, strict=True)}

    def _merge(self, pairs: Sequence[Pair], attributes: str) -> list[_Merged] | None:
        """Return what git's merges came to; None where git itself says that it can't merge one of them. Raises GitFault."""
        rules = [*AS_EVERYWHERE, "-c", f"core.attributesFile={self._rules_file(attributes)}"]
        talk = "--messages" if _UNSURE in attributes else "--no-messages"
        feed = "".join(f"{one} {two}\n" for one, two in pairs).encode()
        words = (*rules, "merge-tree", "--write-tree", "--stdin", "-z", "--name-only", talk)
        for _ in range(2):
            done = self.home.run(*words, stdin=feed, extra=OFFLINE)
            if done.ok:
                with suppress(ValueError):
                    return _merges(done.stdout, len(pairs), messages=talk == "--messages")
            elif done.returncode > 0 and done.words:
                return None
        raise fault(("merge-tree",), done)

    def _why_not(self, pair: Pair) -> str:
        if merge_base(self.home, *pair) == NULL:
            return "a fetch with a depth cut off where they come from" if self._repo.boundary() else "they have nothing in common"
        return "an object is missing here"

    def _with_lines(self, pair: Pair, verdict: MergeVerdict) -> MergeVerdict:
        """Add to a conflict where it is, in lines of the merge base."""
        if verdict.outcome != "conflict" or not verdict.files:
            return verdict
        try:
            base = merge_base(self.home, *pair)
            sides = [self._by_name(base, commit) for commit in pair] if base else []
        except GitFault:  # it is a conflict all the same
            return verdict
        files = []
        for clash in verdict.files:
            one, two = (side.get(clash.path) for side in sides) if sides else (None, None)
            files.append(clash if one is None or two is None else replace(clash, lines=_meeting(one, two)))
        return replace(verdict, files=tuple(files))

    def _by_name(self, base: Oid, commit: Oid) -> dict[str, FileChange]:
        if (base, commit) not in self._sides:
            changes = between(self.home, base, commit)
            self._sides[base, commit] = {name: change for change in changes for name in (change.to, change.path) if name}
        return self._sides[base, commit]

    # --- rules for merging that a branch brings along ------------------------------------------------------------------------

    def _attributes(self, commits: Iterable[Oid]) -> dict[Oid, str]:
        """Return what the topmost .gitattributes of each commit says of merging; a program that it names is not to be run."""
        asked = sorted(commits)
        if not asked:
            return {}
        feed = "".join(f"{oid}:.gitattributes\n" for oid in asked).encode()
        texts = self.home.reading("cat-file", "--batch", stdin=feed, parse=lambda data: _blobs(data, len(asked)))
        return dict(zip(asked, map(_about_merging, texts), strict=True))

    def _rules_file(self, text: str) -> str:
        if not text:
            return os.devnull
        path = os.path.join(self._folder, f"attributes-{hashlib.sha256(text.encode()).hexdigest()[:16]}")
        _write(path, text)
        return path

    def _drivers(self, paths: Iterable[str], attributes: str) -> dict[str, str]:
        """Return the programs that merge some of these files, by path."""
        asked = sorted(paths)
        if _UNSURE not in attributes or not asked:
            return {}

        def parse(data: bytes) -> list[str]:
            tokens = data.decode("utf-8", "surrogateescape").split("\0")
            if len(tokens) != 3 * len(asked) + 1:
                raise ValueError("some are missing")
            return tokens[2::3]

        feed = "".join(f"{path}\0" for path in asked).encode("utf-8", "surrogateescape")
        words = ("-c", f"core.attributesFile={self._rules_file(attributes)}", "check-attr", "-z", "--stdin", _UNSURE)
        values = self.home.reading(*words, stdin=feed, parse=parse)
        return {path: value for path, value in zip(asked, values, strict=True) if value not in ("unspecified", "unset", "set")}


class _Merged(NamedTuple):
    """One answer of merge-tree: whether it is a conflict, the files that it names, and those that it merged line by line."""

    conflict: bool
    files: tuple[str, ...]
    merged: tuple[str, ...]


def _verdict(one: _Merged, drivers: Mapping[str, str]) -> MergeVerdict:
    """A merge is clean if git says so, whatever files it names; one that a program of the user's has a part in can't be told."""
    unsure = tuple(Clash(path, driver=drivers[path]) for path in dict.fromkeys((*one.files, *one.merged)) if path in drivers)
    sure = tuple(Clash(path) for path in one.files if path not in drivers)
    if one.conflict and (sure or not unsure):
        return MergeVerdict("conflict", (*sure, *unsure))
    if unsure:
        return MergeVerdict("unknown", unsure, f"{unsure[0].path} is merged by a program ({unsure[0].driver}): git can't tell here")
    return MergeVerdict("clean")


def _merges(data: bytes, count: int, *, messages: bool) -> list[_Merged]:
    """The answers of `merge-tree --stdin -z`. Raises ValueError for what isn't a whole answer to so many questions."""
    if data and not data.endswith(b"\0"):
        raise ValueError("it ends in the middle")
    rest = iter(data.split(b"\0")[:-1])
    found = []
    for status in rest:
        if status not in (_CONFLICT, _CLEAN) or not OID.fullmatch(next(rest, b"").decode("ascii", "replace")):
            raise ValueError("no status and tree")
        files = []
        while name := _next(rest):
            files.append(name.decode("utf-8", "surrogateescape"))
        merged: list[str] = []
        if messages:
            while number := _next(rest):
                paths = [_next(rest).decode("utf-8", "surrogateescape") for _ in range(int(number))]
                kind, _ = _next(rest), _next(rest)
                merged += paths if kind == b"Auto-merging" else []
        found.append(_Merged(status == _CONFLICT, tuple(dict.fromkeys(files)), tuple(merged)))
    if len(found) != count:
        raise ValueError(f"{len(found)} answers to {count} questions")
    return found


def _next(rest: Iterable[bytes]) -> bytes:
    """The next token. Raises ValueError where there is none."""
    for token in rest:
        return token
    raise ValueError("it ends in the middle")


def _blobs(data: bytes, count: int) -> list[str]:
    """The contents that `cat-file --batch` gives; "" for what isn't there. Raises ValueError."""
    found = []
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        head = re.fullmatch(rb"[0-9a-f]+ (\w+) (\d+)", data[at:end])
        at = end + 1
        size = int(head[2]) if head else -1
        body = data[at : at + size] if size >= 0 else b""
        if head and data[at + size : at + size + 1] != b"\n":
            raise ValueError("it ends in the middle")
        found.append(body[:_ATTRIBUTES].decode("utf-8", "replace") if head and head[1] == b"blob" else "")
        at += size + 1 if head else 0
    if len(found) != count:
        raise ValueError("some are missing")
    return found


def _about_merging(text: str) -> str:
    """The lines of a .gitattributes that matter to a merge. A program is not named in such a way that git would run it."""
    lines = [line for line in text.splitlines() if re.search(r"\s[-!]?(?:merge|binary)\b|^\[attr\]", line)]
    if not any(re.search(r"\bmerge|\bbinary", line) for line in lines):
        return ""
    return "".join(_DRIVER.sub(_UNSURE + r"=\1", line) + "\n" for line in lines)


def _meeting(one: FileChange, two: FileChange) -> tuple[tuple[int, int], ...]:
    """Where two changes of a file meet, as ranges of its old lines."""
    found: list[tuple[int, int]] = []
    for mine in one.hunks or ():
        for theirs in two.hunks or ():
            if mine.at <= theirs.at + theirs.gone and theirs.at <= mine.at + mine.gone:
                found.append((min(mine.at, theirs.at) + 1, max(mine.at + mine.gone, theirs.at + theirs.gone)))
    return tuple(sorted(set(found)))


def _write(path: str, text: str) -> None:
    """Have a file hold that text; one that does is left alone."""
    with suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
        if file.read() == text:
            return
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    aside = f"{path}.{os.getpid()}"
    with open(aside, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(aside, path)
