"""Which commits can't be merged: as git's own merge has it, and without a trace in the user's repository."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from clones import snapshot
from faulty_git import FaultyGit
from gits import attempt, git

from gitcoord.errors import GitcoordError, GitFault
from gitcoord.git import merges
from gitcoord.git.merges import Merges, Pair
from gitcoord.git.repo import Repository

LINES = [f"line {number}\n" for number in range(1, 41)]
TREE = "1" * 40


def _commit(path: Path, branch: str, change: dict[str, str | bytes | None], start: str = "main") -> str:
    """A branch from `start` with these files changed (None: deleted)."""
    git(path, "checkout", "-q", "-B", branch, start)
    for name, content in change.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            place.unlink()
        else:
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", branch)
    return git(path, "rev-parse", "HEAD")


def _with(number: int, text: str) -> str:
    return "".join(text if index == number else line for index, line in enumerate(LINES, 1))


@pytest.fixture
def repo(bare: Path, tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    git(tmp_path, "clone", "-q", str(bare), str(path))
    _commit(path, "main", {"api.py": "".join(LINES), "old.py": "".join(LINES), "logo": b"\0one", "d/a": "a\n", "d/b": "b\n"})
    git(path, "push", "-q", "origin", "main")
    return path


@pytest.fixture
def ours(repo: Path, tmp_path: Path) -> Merges:
    return _merges(repo, tmp_path / "own" / "merges.git")


def _merges(repo: Path, folder: Path) -> Merges:
    return Merges(Repository.find(str(repo), os.environ), "origin", str(folder))


def _outcomes(ours: Merges, *pairs: tuple[str, str]) -> list[str]:
    found = ours.judge([Pair(*pair) for pair in pairs])
    return [found[Pair(*pair)].outcome for pair in pairs]


def _everything(path: Path) -> dict[str, str]:
    """All of the repository, its objects, refs and reflogs included."""
    top, seen = path / ".git", snapshot(path)  # the snapshot has what is in the index; to make it, git reads that anew
    files = [place for place in sorted(top.rglob("*")) if place.is_file() and place.name != "index"]
    return {str(place.relative_to(top)): str(place.stat().st_mtime_ns) for place in files} | seen


def test_every_pair_is_judged_as_git_merges_it(repo: Path, ours: Merges) -> None:
    commits = [
        _commit(repo, "ada", {"api.py": _with(12, "ada\n")}),
        _commit(repo, "same-line", {"api.py": _with(12, "ben\n")}),
        _commit(repo, "same-change", {"api.py": _with(12, "ada\n")}),
        _commit(repo, "next-line", {"api.py": _with(13, "cleo\n")}),
        _commit(repo, "far-line", {"api.py": _with(30, "dan\n")}),
        _commit(repo, "deleted", {"api.py": None, "old.py": None}),
        _commit(repo, "moved", {"api.py": None, "new.py": _with(25, "moved\n")}),
        _commit(repo, "moved-elsewhere", {"api.py": None, "other.py": "".join(LINES)}),
        _commit(repo, "binary", {"logo": b"\0two"}),
        _commit(repo, "other-binary", {"logo": b"\0three", "x": "1\n"}),
        _commit(repo, "also-added", {"x": "2\n"}),
    ]
    pairs = list(combinations(commits, 2))
    found = ours.judge([Pair(*pair) for pair in pairs])
    expected = {}
    for one, two in pairs:
        git(repo, "checkout", "-q", "--detach", one)
        merge = attempt(repo, "merge", "-q", "--no-commit", "--no-ff", two)
        left = git(repo, "diff", "--name-only", "--diff-filter=U")
        expected[one, two] = ("conflict" if merge.code else "clean", set(left.split()))
        git(repo, "reset", "-q", "--hard")
    assert {pair: (found[Pair(*pair)].outcome, {clash.path for clash in found[Pair(*pair)].files}) for pair in pairs} == expected
    assert {outcome for outcome, _ in expected.values()} == {"conflict", "clean"}


def test_a_conflict_says_where_it_is_in_lines_of_the_merge_base(repo: Path, ours: Merges) -> None:
    one = _commit(repo, "one", {"api.py": "new first line\n" + _with(12, "ada\n"), "logo": b"\0two"})
    two = _commit(repo, "two", {"api.py": _with(13, "ben\n"), "logo": b"\0three"})
    found = ours.judge([Pair(one, two)])[Pair(one, two)]
    assert [(clash.path, clash.lines) for clash in found.files] == [("api.py", ((12, 13),)), ("logo", ())]


def test_a_conflict_is_none_because_git_ends_with_0(repo: Path, ours: Merges) -> None:
    one = _commit(repo, "one", {"api.py": _with(12, "ada\n")})
    two = _commit(repo, "two", {"api.py": _with(12, "ben\n")})
    done = attempt(repo, "merge-tree", "--write-tree", "--stdin", "-z", "--name-only", stdin=f"{one} {two}\n")
    assert (done.code, done.out[:2]) == (0, "0\0")  # the fact: it ends with 0, and says 0 for a conflict
    assert _outcomes(ours, (one, two), (one, one)) == ["conflict", "clean"]


def test_a_conflict_that_names_no_file_is_one() -> None:
    named, unnamed, clean = merges._merges(
        f"0\0{TREE}\0a\0\0".encode() + f"0\0{TREE}\0\0".encode() + f"1\0{TREE}\0\0".encode(), 3, messages=False
    )
    assert [merges._verdict(one, {}).outcome for one in (named, unnamed, clean)] == ["conflict", "conflict", "clean"]


@pytest.mark.parametrize(
    "answer", ["", f"0\0{TREE}\0a", f"0\0{TREE}\0a\0", f"2\0{TREE}\0\0", "1\0nothing\0\0", f"1\0{TREE}\0\0" * 3]
)
def test_half_an_answer_is_none(answer: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        merges._merges(answer.encode(), 2, messages=False)


def test_nothing_is_left_in_the_user_s_repository(repo: Path, ours: Merges, tmp_path: Path) -> None:
    one = _commit(repo, "one", {"api.py": _with(12, "ada\n")})
    git(tmp_path, "clone", "-q", str(repo), str(tmp_path / "other"))
    two = _commit(tmp_path / "other", "two", {"api.py": _with(12, "ben\n")}, start="origin/main")
    git(tmp_path / "other", "push", "-q", git(repo, "remote", "get-url", "origin"), "two")
    before = _everything(repo)
    tips = ours.tips(["two", "nowhere"], 20.0)
    assert (tips.branches, tips.default) == ({"two": two}, "main")
    ours.fetch(list(tips.branches), 20.0)
    assert _outcomes(ours, (one, two)) == ["conflict"]
    assert ours.changed(one, two)
    assert _everything(repo) == before


def test_what_is_not_here_can_not_be_told_and_is_not_fetched(repo: Path, tmp_path: Path) -> None:
    one = _commit(repo, "one", {"api.py": _with(12, "ada\n")})
    two = _commit(repo, "two", {"api.py": _with(12, "ben\n")})
    git(repo, "push", "-q", "origin", "one", "two")
    url = f"file://{git(repo, 'remote', 'get-url', 'origin')}"
    git(Path(url.removeprefix("file://")), "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", url, str(tmp_path / "partial"))
    git(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", url, str(tmp_path / "shallow"))
    for name, why in (("partial", "an object is missing here"), ("shallow", "a fetch with a depth cut off")):
        before = _everything(tmp_path / name)
        found = _merges(tmp_path / name, tmp_path / f"{name}.git").judge([Pair(one, two), Pair(one, "9" * 40)])
        assert [verdict.outcome for verdict in found.values()] == ["unknown", "unknown"]
        assert found[Pair(one, two)].why.startswith(why)
        assert _everything(tmp_path / name) == before


def test_one_pair_that_git_gives_up_on_spoils_no_other(repo: Path, ours: Merges) -> None:
    one = _commit(repo, "one", {"api.py": _with(12, "ada\n")})
    two = _commit(repo, "two", {"api.py": _with(12, "ben\n")})
    git(repo, "checkout", "-q", "--orphan", "strange")
    git(repo, "commit", "-q", "-m", "strange")
    strange = git(repo, "rev-parse", "HEAD")
    assert _outcomes(ours, (one, strange), (one, two)) == ["unknown", "conflict"]


def test_a_program_that_merges_is_named_and_not_run(repo: Path, ours: Merges, tmp_path: Path) -> None:
    rules = "*.lock merge=locks\nCHANGES merge=union\nlogo -merge\n"
    base = {".gitattributes": rules, "a.lock": "1\n", "CHANGES": "1\n", "far.lock": "".join(LINES)}
    _commit(repo, "base", base)
    for scope in ("--global", "--local"):
        git(repo, "config", scope, "merge.locks.driver", f"touch {tmp_path}/ran")
    one = _commit(repo, "one", {"a.lock": "2\n", "CHANGES": "2\n"}, start="base")
    two = _commit(repo, "two", {"a.lock": "3\n"}, start="base")
    three = _commit(repo, "three", {"CHANGES": "3\n"}, start="base")
    four = _commit(repo, "four", {"far.lock": _with(1, "x\n")}, start="base")
    five = _commit(repo, "five", {"far.lock": _with(40, "x\n")}, start="base")
    assert _outcomes(ours, (one, two), (one, three), (four, five), (one, four)) == ["unknown", "clean", "unknown", "clean"]
    why = ours.judge([Pair(one, two)])[Pair(one, two)].why
    assert why == "a.lock is merged by a program (locks): git can't tell here"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["killed", "fails", "short", "garbled"])
def test_a_git_that_dies_or_answers_short_gives_no_verdict(
    repo: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = _commit(repo, "one", {"api.py": _with(12, "ada\n")})
    two = _commit(repo, "two", {"api.py": _with(12, "ben\n")})
    faulty = FaultyGit(tmp_path / "faulty").make()
    pairs = [Pair(one, two), Pair(one, one)]
    _merges(repo, tmp_path / "merges.git").judge(pairs)
    told = list[tuple[str, ...]]()
    for number in range(1, 14):
        for name, value in faulty.at(number, kind).items():
            monkeypatch.setenv(name, value)
        with suppress(GitFault):
            told.append(tuple(verdict.outcome for verdict in _merges(repo, tmp_path / "merges.git").judge(pairs).values()))
    assert faulty.spoilt()
    assert set(told) == {("conflict", "clean")}


def test_an_older_git_is_named(repo: Path, tmp_path: Path) -> None:
    old = tmp_path / "git"
    real = Repository.find(str(repo), os.environ).git
    old.write_text(f'#!/bin/sh\ncase "$*" in *version) echo git version 2.34.1 ;; *) exec {real} "$@" ;; esac\n')
    old.chmod(0o755)
    found = Merges(replace(Repository.find(str(repo), os.environ), git=str(old)), "origin", str(tmp_path / "own.git"))
    assert found.lack.startswith("git 2.34.1 can't merge without a work tree")
    with pytest.raises(GitcoordError, match=r"2\.39"):
        found.judge([Pair("1" * 40, "2" * 40)])
