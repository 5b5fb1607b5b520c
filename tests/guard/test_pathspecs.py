"""The leases as git's pathspecs: git names each staged file that a lease covers, and of a plain name no other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from gits import git

from gitcoord.core.names import Resource
from gitcoord.core.overlap import covers
from gitcoord.guard import pathspecs

STAGED = [
    "src/api.py", "src/api.pyx", "src/API.py", "src/deep/x.py", "srcs", "a/b/c/d", "a/b.py", "a/B/c", "app/[id]/page", "app/i/page",
    "app/d/page", "b\\c/d", "top", "TOP", "*", "what?", "with space", "!x/y", "^/z", ":(top)q", "-n", "\"q", "'q", "$(x)", "lib",
    "x/[!a]/b", "x/b/b",
]  # fmt: skip
"""Names in printable ASCII; `lib` is a submodule."""
PLAIN = [
    "src/api.py", "src", "./src//deep/", "a/b", "a/b/c/d/e", "app/[id]", "app/[id]/page", "b\\c", "b\\c/d/e", "lib/in/it", "top",
    "with space", "!x/y/z", "^/z/w", ":(top)q", "-n", "'q", "$(x)", "x/[!a]/b/c", "nowhere",
]  # fmt: skip
WIDE = ["src/*.py", "a/**/d", "a/b/?", "app/*/page", "src/naïve", "src/../top", "a/b*/c", "lib/*"]
ASKED = ["*.py", "**", "?", ".", "", "naïve/x", "../x", "*/b"]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which all of those are staged."""
    top = tmp_path_factory.mktemp("staged")
    git(top, "init", "-q")
    git(top, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "first")
    blob = git(top, "hash-object", "-w", "--stdin", stdin="x")
    lines = [f"160000 {git(top, 'rev-parse', 'HEAD')}\tlib" if name == "lib" else f"100644 {blob}\t{name}" for name in STAGED]
    git(top, "update-index", "-z", "--add", "--index-info", stdin="".join(f"{line}\0" for line in lines))
    return top


def named(top: Path, specs: list[str]) -> set[str]:
    """What git names of the staged files."""
    words = ["git", "diff-index", "--cached", "--name-only", "-z", "--ignore-submodules=none", "HEAD", "--", *specs]
    done = subprocess.run(words, cwd=top, capture_output=True, text=True, check=True)
    return {*done.stdout.split("\0")} - {""}


def covered(name: str, *, fold: bool) -> set[str]:
    """What a lease of that name covers by the guard's rule."""
    return {path for path in STAGED if covers(Resource("file", name), path, fold=fold)}


@pytest.mark.parametrize("fold", [False, True])
def test_git_names_what_a_plain_lease_covers_and_nothing_else(staged: Path, fold: bool) -> None:
    for name in PLAIN:
        assert named(staged, pathspecs.of_name(name, fold=fold)) == covered(name, fold=fold), name


@pytest.mark.parametrize("fold", [False, True])
def test_of_a_pattern_git_names_at_least_what_it_covers(staged: Path, fold: bool) -> None:
    for name in WIDE:
        assert named(staged, pathspecs.of_name(name, fold=fold)) >= covered(name, fold=fold), name


def test_a_lease_that_may_be_anywhere_is_asked_about() -> None:
    assert {name: pathspecs.of_name(name, fold=False) for name in ASKED} == {name: ["ask"] for name in ASKED}


def names(parts: str, most: int) -> Iterator[str]:
    """All paths of so many of these parts."""
    for depth in range(1, most + 1):
        yield from map("/".join, product(parts.split(), repeat=depth))


def test_every_small_lease_is_held_to_the_rule(tmp_path: Path) -> None:
    paths = [f"{number}/{path}" for number in "ab" for path in names("a b", 2)]
    git(tmp_path, "init", "-q")
    git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "first")
    blob = git(tmp_path, "hash-object", "-w", "--stdin", stdin="x")
    git(
        tmp_path,
        "update-index",
        "--add",
        "--index-info",
        stdin="".join(f"100644 {blob}\t{path}\n" for path in paths if "/a/" not in path),
    )
    there = named(tmp_path, ["."])
    for name in names("a b * ** a?", 2):
        specs = pathspecs.of_name(name, fold=False)
        wanted = {path for path in there if covers(Resource("file", name), path)}
        assert specs == ["ask"] or named(tmp_path, specs) >= wanted, name


@dataclass(frozen=True)
class Lease:
    """A lease for the lines."""

    claimed_by: str
    resource: Resource
    expires_at: datetime
    mode: str = "exclusive"
    fence: int = 1


def test_each_holder_has_its_lines_and_what_was_over_long_ago_has_none() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    late = now + timedelta(hours=1)
    leases = [
        Lease("ada", Resource("file", "a/b"), late), Lease("ben", Resource("file", "c"), late),
        Lease("ada", Resource("file", "d*"), late), Lease("ada", Resource("slot", "e"), late),
        Lease("cleo", Resource("file", "f"), now - timedelta(minutes=2)),
        Lease("cleo", Resource("file", "g"), now - timedelta(hours=2)),
    ]  # fmt: skip
    given = {"now": now, "grace": timedelta(seconds=60)}
    assert pathspecs.lines(leases, repo="", fold=False, **given) == [
        "@ada", ":(top,literal)a/b", ":(top,glob)\\a", "ask", "@ben", ":(top,literal)c", "@cleo", ":(top,literal)f",
    ]  # fmt: skip
    assert pathspecs.lines(leases[1:2], repo="", fold=True, **given) == ["@ben", ":(top,literal,icase)c"]
    assert pathspecs.lines(leases[1:2], repo="library", fold=False, **given) == ["@ben", "ask"]
    many = [Lease("ada", Resource("file", f"folder/{number:0200}"), late) for number in range(100)]
    assert pathspecs.lines(many, repo="", fold=False, **given) == ["@", "ask"]
