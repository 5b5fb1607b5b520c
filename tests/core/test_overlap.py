"""Overlap: symmetric, reflexive, a path covers its tree, a glob what it matches, brackets are plain; never slow."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from itertools import product
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitcoord.core import overlap
from gitcoord.core.names import Resource
from gitcoord.core.overlap import Nearby, covers, overlaps, spelled, within


def meet(one: str, other: str) -> bool:
    """Whether two file names overlap, asked both ways."""
    answer = overlaps(Resource("file", one), Resource("file", other))
    assert overlaps(Resource("file", other), Resource("file", one)) is answer
    return answer


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # of two repositories that share a branch
        ("app//src/api.py", "library//src/api.py", False),
        ("app//src", "app//src/api.py", True),
        ("app//.", "app//src/api.py", True),
        ("app//.", "library//src/api.py", False),
        ("app//**", "library//src/api.py", False),
        ("app//*.py", "app//api.py", True),
        # names
        ("src/api.py", "src/api.py", True),
        ("src/api.py", "src/app.py", False),
        ("src", "src/api.py", True),
        ("src", "src/deep/er/api.py", True),
        ("src/", "src", True),
        ("src", "srcs/api.py", False),
        ("src/a", "src/ab", False),
        ("a/b", "b/a", False),
        (".", "anything/at/all", True),
        (".", ".", True),
        # a glob against a name
        ("src/*.py", "src/api.py", True),
        ("src/*.py", "src/api.js", False),
        ("src/*.py", "lib/api.py", False),
        ("src/*.py", "src", True),
        ("*.py", "src/api.py", False),
        ("src/?.py", "src/a.py", True),
        ("src/?.py", "src/ab.py", False),
        ("src/*", "src/deep/api.py", True),
        ("src/**", "src/deep/api.py", True),
        ("src/**", "lib/api.py", False),
        ("src/**/api.py", "src/api.py", True),
        ("src/**/api.py", "src/a/b/api.py", True),
        ("src/**/api.py", "lib/a/api.py", False),
        ("**", "anything", True),
        # two globs
        ("*.py", "api.*", True),
        ("*.py", "*.js", False),
        ("src/*.py", "src/a*", True),
        ("src/a*", "src/b*", False),
        ("a*b", "b*a", False),
        ("a/*/c", "a/b/*", True),
        ("a/*/c", "b/*/c", False),
        ("a/**/z", "a/b/**", True),
        ("?", "??", False),
        ("?*", "??", True),
        # brackets and the rest are plain
        ("app/[id]/page.tsx", "app/[id]/page.tsx", True),
        ("app/[id]/page.tsx", "app/i/page.tsx", False),
        ("app/[id]/page.tsx", "app/*/page.tsx", True),
        ("a{b,c}", "ab", False),
        ("a!b", "ab", False),
        ("a\\*", "a\\b", True),
        ("A", "a", False),
    ],
)
def test_files_overlap(one: str, other: str, expected: bool) -> None:
    assert meet(one, other) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("droplet:a", "droplet:a", True), ("droplet:a", "droplet:a/b", False), ("droplet:a*", "droplet:ab", False),
     ("droplet:*", "droplet:*", True), ("droplet:a", "file:a", False), ("droplet:**", "file:**", False)],
)  # fmt: skip
def test_other_types_overlap_by_equal_names_only(one: str, other: str, expected: bool) -> None:
    first, second = Resource.read(one), Resource.read(other)
    assert overlaps(first, second) is expected
    assert overlaps(second, first) is expected


names = st.text(st.sampled_from("ab*?/.[\U0001f642"), min_size=1, max_size=12)


@given(st.sampled_from(["file", "droplet"]), names)
def test_everything_overlaps_itself(kind: str, name: str) -> None:
    assert overlaps(Resource(kind, name), Resource(kind, name))


@given(names, names)
def test_overlap_is_symmetric(one: str, other: str) -> None:
    meet(one, other)


plain = st.lists(st.text(st.sampled_from("ab[]."), min_size=1, max_size=3).filter(lambda part: part != "."), min_size=1, max_size=4)


@given(plain, plain)
def test_path_covers_exactly_what_lies_below_it(parts: list[str], more: list[str]) -> None:
    path = "/".join(parts)
    assert meet(path, "/".join([*parts, *more]))
    assert not meet(path, "/".join([*parts[:-1], parts[-1] + "x", *more]))


# --- by brute force ----------------------------------------------------------------------------------------------------


def test_one_segment_agrees_with_fnmatch_on_every_short_name() -> None:
    """Two patterns of up to three characters have a common name, if they have one, of at most six."""
    universe = ["".join(chars) for size in range(1, 7) for chars in product("ab", repeat=size)]
    patterns = ["".join(chars) for size in range(1, 4) for chars in product("ab*?", repeat=size)]
    covered = {
        pattern: sum(1 << place for place, name in enumerate(universe) if fnmatchcase(name, pattern)) for pattern in patterns
    }
    wrong = [
        (one, other)
        for one in patterns
        for other in patterns
        if overlaps(Resource("file", one), Resource("file", other)) != (one == other or bool(covered[one] & covered[other]))
    ]
    assert wrong == []


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[size:]) for size in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])


def _covers(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """A path is covered by what names or matches it, or one of the folders that it lies in."""
    return any(_matches(pattern, path[:size]) for size in range(len(path) + 1))


def test_paths_agree_with_brute_force_on_every_short_path() -> None:
    universe = [path for size in range(1, 7) for path in product("ab", repeat=size)]
    patterns = [parts for size in range(1, 4) for parts in product(("a", "b", "*", "**"), repeat=size)]
    covered = {parts: sum(1 << place for place, path in enumerate(universe) if _covers(parts, path)) for parts in patterns}
    resources = {parts: Resource("file", "/".join(parts)) for parts in patterns}
    wrong = [
        (one, other)
        for one in patterns
        for other in patterns
        if overlaps(resources[one], resources[other]) != bool(covered[one] & covered[other])
    ]
    assert wrong == []


# --- size --------------------------------------------------------------------------------------------------------------


def _calls(one: str, other: str) -> int:
    """How many Python functions the question runs; counted, not timed."""
    count = 0

    def look(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_filename == overlap.__file__:
            count += 1

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        overlaps(Resource("file", one), Resource("file", other))
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("**/" * 169 + "x", "a/" * 255 + "y"),
        ("**/" * 128 + "x", "**/a/" * 102 + "y"),
        ("a/" * 255 + "x", "a/" * 255 + "*"),
        ("*/" * 255 + "x", "?/" * 255 + "y"),
        ("a/**/" * 100 + "x", "a/**/b/" * 70 + "y"),
        ("*a" * 255, "*b" * 255),
        ("*" * 511 + "a", "a" * 511 + "b"),
        ("*?" * 255 + "a", "?*" * 255 + "b"),
    ],
    ids=["stars against a deep path", "stars against stars", "a deep path", "deep globs that don't meet", "mixed",
         "many stars in one name", "only stars", "stars and question marks"],
)  # fmt: skip
def test_longest_names_are_compared_in_bounded_steps(one: str, other: str) -> None:
    assert max(len(one), len(other)) <= 512
    # The product of the two lengths is what a table of all pairs of places costs; without one it would be exponential.
    assert _calls(one, other) <= len(one) * len(other)


def test_deepest_path_meets_itself_and_its_neighbour_does_not() -> None:
    deep = "/".join(["a"] * 256)
    assert meet(deep, deep)
    assert meet("/".join(["?"] * 256), deep)
    assert not meet("/".join(["?"] * 255 + ["b"]), deep)


# --- spellings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "folded", "plain"),
    [
        ("src/api.py", "src/API.py", True, False),
        ("SRC", "src/api.py", True, False),
        ("Src/*.PY", "src/api.py", True, False),
        ("caf\u00e9.md", "cafe\u0301.md", True, True),
        ("CAFE\u0301/x", "caf\u00e9", True, False),
        ("\u212b", "\u00e5", True, False),  # the sign of the unit is the letter, composed
        ("\u212b", "\u00c5", True, True),
        ("ΣΑΣ", "σας", True, False),
        ("straße", "STRASSE", True, False),
        ("\ua7d0.c", "\ua7d1.c", False, False),  # younger than the tables: letters of Unicode 14
        ("\u1e9e", "ss", False, False),  # and of 5.1
        ("a", "b", False, False),
    ],
)
def test_spellings_of_one_name(one: str, other: str, folded: bool, plain: bool) -> None:
    for fold, expected in ((True, folded), (False, plain)):
        assert overlaps(Resource("file", one), Resource("file", other), fold=fold) is expected
        assert overlaps(Resource("file", other), Resource("file", one), fold=fold) is expected
        if not set(one) & {"*"}:
            assert covers(Resource("file", one), other, fold=fold) is expected
    assert not overlaps(Resource("slot", "A"), Resource("slot", "a"), fold=True)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.booleans())
def test_one_spelling_is_spelled_as_itself(name: str, fold: bool) -> None:
    once = spelled(name, fold=fold)
    assert spelled(once, fold=fold) == once


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("src", "src/a.py", False), ("src/a.py", "src", True), ("src/a.py", "src/*.py", True), ("src/d/a.py", "src/*", True),
        ("src/d/a.py", "src/**/*.py", True), ("src", "src/**", True), ("src/*.py", "src", True), ("src/*.py", "src/a.py", False),
        ("src/*", "src/?", False), ("a", ".", True), (".", "a", False), ("a/b", "**/b", True), ("a", "a/**/b", False),
    ],
)  # fmt: skip
def test_within_is_all_of_it(inner: str, outer: str, expected: bool) -> None:
    assert within(Resource("file", inner), Resource("file", outer)) is expected


# --- many at once ------------------------------------------------------------------------------------------------------

_NAMES = st.lists(st.sampled_from(("a", "A", "b", "é", "**", "*", "a?", "a*b", ".", "src")), max_size=4).map("/".join)
_THINGS = st.builds(Resource, st.sampled_from(("file", "file", "file", "ci")), _NAMES.map(lambda name: name or "."))


@given(st.lists(_THINGS, max_size=12), _THINGS, st.booleans())
def test_what_is_near_is_all_that_meets(things: list[Resource], wanted: Resource, fold: bool) -> None:
    near = Nearby([(one, number) for number, one in enumerate(things)], fold=fold).to(wanted)
    assert near == sorted(set(near))
    assert {number for number, one in enumerate(things) if overlaps(one, wanted, fold=fold)} <= set(near)


def test_what_is_elsewhere_is_not_even_looked_at() -> None:
    """A first look at many events of many leases would take minutes, if each were held against all."""
    things = Nearby((Resource("file", f"src/m{folder}/f{number}.py"), number) for folder in range(60) for number in range(64))
    assert things.to(Resource("file", "src/m7/f7.py")) == [7]
    assert things.to(Resource("file", "src/new.py")) == []
    assert len(things.to(Resource("file", "src/m7/*.py"))) == 64
