"""Which lines a session has changed, spelled and compared: two changes collide where git makes a conflict of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitcoord.core import touches
from gitcoord.core.touches import Meeting, Span, Touch


def _meet(one: list[str], other: list[str]) -> list[Meeting]:
    return touches.meetings(list(map(Touch.parse, one)), list(map(Touch.parse, other)))


def _kinds(one: list[str], other: list[str]) -> dict[str, str]:
    return {meeting.path: meeting.kind for meeting in _meet(one, other)}


@pytest.mark.parametrize(
    "entry", ["src/api.py:12-40,88", "a:b.py:1,3-4=0f,9+=a3,?", "new.py:+", "old.py:-", "x:0+", "logo.png:*,?", "src/:*", "a:2,>"]
)
def test_an_entry_reads_back_as_it_is_spelled(entry: str) -> None:
    assert str(Touch.parse(entry)) == entry


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "a",
        "a:",
        ":1",
        "a:0",
        "a:1-1",
        "a:2-1",
        "a:1,2",
        "a:01",
        "a:1,1",
        "a:3,1",
        "a:?,+",
        "a:??",
        "a:x",
        "a\n:1",
        "a:1=0",
        "a:1=0F",
    ],
)
def test_what_is_spelled_otherwise_is_none(entry: str) -> None:
    assert not touches.is_touch(entry)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("12", "12", "likely"),
        ("12", "13", "likely"),  # no line is left between the two: git makes a conflict of that
        ("12", "14", "near"),
        ("12-40", "30+", "likely"),
        ("12+", "12+", "likely"),
        ("12+", "13", "likely"),
        ("12+", "12", "likely"),
        ("12+", "14", "near"),
        ("*", "3", "likely"),
        ("*", "*", "likely"),
        ("-", "3", "likely"),
        ("+", "+", "likely"),
        ("3,>", "3,>", "likely"),
        ("3,>", "9", "near"),
    ],
)
def test_two_changes_of_a_file_are_likely_to_collide_where_they_meet(one: str, other: str, kind: str) -> None:
    assert _kinds([f"a:{one}"], [f"a:{other}"]) == _kinds([f"a:{other}"], [f"a:{one}"]) == {"a": kind}


def test_the_same_change_of_both_is_no_quarrel() -> None:
    assert _kinds(["a:12=0f,40=11"], ["a:12=0f,60=12"]) == {"a": "near"}
    for other in ("a:12=0e", "a:12", "a:12-13=0f"):
        assert _kinds(["a:12=0f"], [other]) == {"a": "likely"}
    assert _kinds(["new:0+=0f,+"], ["new:0+=0f,+"]) == {"new": "near"}
    assert _meet(["new:0+=0f,+"], ["new:0+=0e,+"]) == _meet(["new:+"], ["new:+"]) == [Meeting("new", "likely")]


def test_what_both_deleted_or_moved_to_the_same_place_is_no_quarrel() -> None:
    assert _meet(["a:-"], ["a:-", "b:1"]) == []
    assert "likely" not in _kinds(["a:>", "b:<"], ["a:>", "b:<"]).values()
    assert _kinds(["a:>", "b:<"], ["a:>", "c:<"]) == {"a": "likely"}


def test_a_meeting_says_in_which_lines() -> None:
    assert _meet(["a:1,12-14,40"], ["a:13,60"]) == [Meeting("a", "likely", (Span(11, 3),))]


def test_all_files_of_a_folder_are_near_to_what_lies_in_it() -> None:
    assert _kinds(["src/:*"], ["src/a/b.py:1", "docs/x:1"]) == {"src/a/b.py": "near"}
    assert _kinds(["x:1"], ["./:*"]) == {"x": "near"}


def test_a_merge_of_git_agrees_about_each_pair_of_places(tmp_path: Path) -> None:
    # Changes that differ in every way: one line, several, put in, taken out, at both ends, touching and apart.
    lines = [f"{number}\n" for number in range(1, 13)]
    spans = [
        Span(0, 0),
        Span(0, 1),
        Span(1, 1),
        Span(1, 3),
        Span(2, 0),
        Span(2, 1),
        Span(4, 0),
        Span(5, 2),
        Span(11, 1),
        Span(12, 0),
    ]
    base = tmp_path / "base"
    base.write_text("".join(lines))

    def changed(span: Span, name: str) -> Path:
        path = tmp_path / f"{name}{span.at}-{span.gone}"
        path.write_text("".join([*lines[: span.at], f"{name}\n", *lines[span.end :]]))
        return path

    for mine in spans:
        for yours in spans:
            command = ["git", "merge-file", "-p", "-q", changed(mine, "ada"), base, changed(yours, "ben")]
            conflict = subprocess.run(command, capture_output=True, check=False).returncode != 0
            kind = _kinds([str(Touch("a", (mine,)))], [str(Touch("a", (yours,)))])["a"]
            assert (kind == "likely") == conflict, (mine, yours)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 9)), max_size=300), st.integers(0, 200))
def test_what_is_said_is_bounded_and_loses_no_file(places: list[tuple[int, int]], files: int) -> None:
    spans = touches.joined(Span(at, gone) for at, gone in places)
    every = [Touch(f"src/{'x' * (number % 40)}/{number}/file.py", spans or (Span(0, 1),)) for number in range(files)]
    kept = touches.bounded(every)
    assert touches.are_bounded(list(map(str, kept)))
    assert all(touches.is_touch(str(touch)) for touch in kept)
    assert all(
        any(touch.path == other.path or (other.folder and touches._is_below(touch.path, other.path)) for other in kept)
        for touch in every
    )


def test_a_file_with_many_places_is_named_with_fewer_of_them() -> None:
    path = "src/" + "long/" * 60 + "api.py"
    spans = tuple(Span(1_000_000 + 10 * number, 5, "0f") for number in range(200))
    (kept,) = touches.bounded([Touch(path, spans)])
    assert (kept.path, kept.spans[0].at, kept.spans[-1].end) == (path, spans[0].at, spans[-1].end)
    assert touches.is_touch(kept.entry)


def test_lines_are_carried_over_to_another_commit() -> None:
    changed = {
        "a": ("a", [(2, 0, 2, 3), (9, 4, 12, 1)]),
        "gone": ("", ()),
        "moved": ("there", [(0, 0, 0, 1)]),
        "logo": ("logo", None),
    }
    moved = touches.carried_over([Touch.parse(one) for one in ("a:1,5-6,11,20", "gone:1", "moved:1", "logo:4", "b:7")], changed)
    # What was put in right before a line belongs to its place: git would make a conflict of the two.
    # Three lines more behind the second one; of four behind the ninth only one is left, in whose place the eleventh was.
    assert list(map(str, moved)) == ["a:1,8-9,13,20", "there:1-2", "logo:*", "b:7"]
