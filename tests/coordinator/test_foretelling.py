"""Who will collide, as two clones see it: before and after they push, on one base and on two; told once, nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from clones import Seat, snapshot
from gits import git

LINES = [f"line {number}\n" for number in range(1, 41)]


def _with(text: str, *numbers: int) -> str:
    return "".join(text if number in numbers else line for number, line in enumerate(LINES, 1))


def _write(seat: Seat, *numbers: int, name: str = "api.py") -> None:
    (seat.path / name).write_text(_with(f"{seat.session}\n", *numbers))


def _push(seat: Seat, branch: str) -> str:
    seat.git("add", "-A")
    seat.git("commit", "-q", "-m", branch)
    seat.git("push", "-q", "origin", f"HEAD:{branch}")
    return seat.git("rev-parse", "HEAD")


@pytest.fixture
def both(pair: tuple[Seat, Seat]) -> tuple[Seat, Seat]:
    """Two clones with a file of forty lines, each on a branch of its own."""
    ada, ben = pair
    (ada.path / "api.py").write_text("".join(LINES))
    (ada.path / "old.py").write_text("".join(LINES))
    _push(ada, "main")
    ben.git("pull", "-q", "origin", "main")
    for seat in both_of(pair):
        seat.git("switch", "-q", "-c", f"{seat.session}-work")
    return ada, ben


def both_of(pair: tuple[Seat, Seat]) -> tuple[Seat, Seat]:
    """The two, each acting as its session."""
    ada, ben = pair
    ada.session, ben.session = "ada", "ben"
    return ada, ben


def _look(seat: Seat, *words: str) -> list[tuple[str, str | None, list[tuple[str, str | None]]]]:
    ran = seat.run("conflicts", *words, "--json")
    found: list[dict[str, Any]] = ran.json["conflicts"]
    certain = [one for one in found if one["kind"] == "certain" and seat.session in one["sessions"]]
    assert ran.code == (3 if certain else 0)
    return [(one["kind"], one["with"], [(place["path"], place["lines"]) for place in one["files"]]) for one in found]


def _foretold(seat: Seat) -> list[str]:
    return seat.git("log", "--format=%s", "--grep=^foretold", "origin/coordination").splitlines()


def test_two_hear_of_it_before_either_has_pushed_and_for_certain_when_both_have(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    _write(ada, 12)
    _write(ben, 13)
    _write(ada, 3, name="old.py")
    _write(ben, 30, name="old.py")
    ada.ok("heartbeat", "building")
    ben.ok("heartbeat", "building")
    near = ("near", "ben", [("old.py", None)])
    before = [snapshot(seat.path) for seat in both]
    objects = [git(seat.path, "count-objects", "-v") for seat in both]
    assert _look(ada) == [("likely", "ben", [("api.py", "12-13")]), near]
    assert _look(ben)[0] == ("likely", "ada", [("api.py", "12-13")])
    assert _foretold(ben) == ["foretold: ada and ben are likely to collide in api.py"]
    assert ben.run("status").out.count("you are likely to conflict with ada in api.py:12-13") == 1
    commits = [_push(ada, "ada-work"), _push(ben, "ben-work")]
    ada.ok("heartbeat")
    ben.ok("heartbeat")
    assert [snapshot(seat.path)["refs"] for seat in both] != [one["refs"] for one in before]  # they pushed
    before, objects = [snapshot(seat.path) for seat in both], [git(seat.path, "count-objects", "-v") for seat in both]
    assert _look(ada) == [("certain", "ben", [("api.py", "12-13")]), near]
    assert _look(ben)[0] == ("certain", "ada", [("api.py", "12-13")])
    assert _foretold(ada)[0] == "foretold: ada and ben will collide in api.py"
    assert [snapshot(seat.path) for seat in both] == before
    told = ben.ok("status")["conflicts"]
    assert [(one["kind"], one["commits"], one["foretold_by"]) for one in told] == [("certain", commits, "ada")]
    # Only the objects of the coordination branch came into the repository, and none of the other's work.
    assert git(ben.path, "cat-file", "--batch-check", stdin=f"{commits[0]}\n").endswith("missing")
    assert objects
    assert ada.ok("verify")["ok"]


def test_it_is_over_once_one_has_merged_the_other(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    _write(ada, 12)
    _write(ben, 12)
    _push(ada, "ada-work")
    _push(ben, "ben-work")
    ada.ok("heartbeat")
    ben.ok("heartbeat")
    assert _look(ben)[0][0] == "certain"
    ben.git("fetch", "-q")
    ben.git("merge", "-q", "-s", "ours", "origin/ada-work")
    ben.git("push", "-q", "origin", "HEAD:ben-work")
    ben.ok("heartbeat")
    assert _look(ben) == [("near", "ada", [("api.py", "12")])]
    assert ben.ok("status")["conflicts"] == []


def test_lines_of_different_bases_are_compared_as_they_stand_now(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    _write(ben, 30)
    ben.ok("heartbeat", "building")  # counted from the old default branch
    ada.git("switch", "-q", "--detach", "origin/main")
    (ada.path / "api.py").write_text("a\nb\nc\n" + "".join(LINES))
    _push(ada, "main")
    ada.git("fetch", "-q")
    (ada.path / "api.py").write_text("a\nb\nc\n" + _with("ada\n", 30))
    ada.ok("heartbeat", "building")
    # In lines of the commit that both come from, whoever asks: ada's line 33 was the thirtieth there.
    assert _look(ada)[0] == ("likely", "ben", [("api.py", "30")])
    ada.ok("heartbeat")
    assert _look(ben)[0] == ("likely", "ada", [("api.py", "30")])
    (ada.path / "api.py").write_text("a\nb\nc\n" + _with("ada\n", 27))
    assert _look(ada)[0] == ("near", "ben", [("api.py", None)])


def test_a_file_that_is_changed_all_over_is_not_left_out(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    long = [f"line {number}\n" for number in range(1, 1001)]
    for seat in both:
        (seat.path / "api.py").write_text("".join(long))
        seat.git("add", "-A")
    _push(ada, "main")
    ben.git("reset", "-q", "--hard")
    ben.git("pull", "-q", "--rebase", "origin", "main")
    (ada.path / "api.py").write_text("".join("x\n" if number % 4 == 0 else line for number, line in enumerate(long)))
    (ben.path / "api.py").write_text("".join("y\n" if number == 500 else line for number, line in enumerate(long)))
    ada.ok("heartbeat", "building")
    assert _look(ben)[0][:2] == ("likely", "ada")


def test_the_default_branch_counts_too(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    _write(ben, 12)
    _push(ben, "main")
    _write(ada, 12)
    _push(ada, "ada-work")
    assert ("certain", None, [("api.py", "12")]) in _look(ada)
    assert "and the branch main conflict: git can't merge them in api.py:12" in ada.run("conflicts").out
    assert _foretold(ada) == ["foretold: ada and main will collide in api.py"]


def test_lines_that_are_not_committed_are_held_against_what_landed_meanwhile(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    _write(ada, 20)
    _write(ben, 21)
    _push(ben, "main")
    assert _look(ada) == [("likely", None, [("api.py", "20-21")])]
    assert "you and the branch main change the same lines: api.py:20-21, not committed yet" in ada.run("conflicts").out
    _write(ada, 30)
    assert _look(ada) == []


def test_what_is_staged_counts_alone_where_that_is_asked(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    _write(ben, 12)
    ben.ok("heartbeat", "building")
    _write(ada, 12)
    assert _look(ada, "--staged") == []
    ada.git("add", "api.py")
    assert _look(ada, "--staged") == [("likely", "ben", [("api.py", "12")])]


def test_with_an_older_git_the_lines_are_compared_all_the_same(both: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = both
    _write(ben, 12)
    ben.ok("heartbeat", "building")
    _write(ada, 12)
    old, real = tmp_path / "old" / "git", git(ada.path, "--exec-path") + "/git"
    old.parent.mkdir()
    old.write_text(f'#!/bin/sh\ncase "$*" in *version) echo git version 2.34.1 ;; *) exec {real} "$@" ;; esac\n')
    old.chmod(0o755)
    ada.extra["PATH"] = f"{old.parent}{os.pathsep}{os.environ['PATH']}"
    ran = ada.run("conflicts", "--json")
    assert [one["kind"] for one in ran.json["conflicts"]] == ["likely"]
    assert "git 2.34.1 can't merge without a work tree" in ran.json["unknown"][0]


def test_a_git_that_dies_gives_no_verdict_and_takes_none_back(both: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = both
    _write(ada, 12)
    _write(ben, 12)
    _push(ada, "ada-work")
    _push(ben, "ben-work")
    ada.ok("heartbeat")
    ben.ok("heartbeat")
    assert _look(ada)[0][0] == "certain"
    (ada.path / ".git/gitcoord/merges.json").unlink()
    dying, real = tmp_path / "dying" / "git", git(ada.path, "--exec-path") + "/git"
    dying.parent.mkdir()
    dying.write_text(f'#!/bin/sh\ncase "$*" in *merge-tree*) kill -9 $$ ;; *) exec {real} "$@" ;; esac\n')
    dying.chmod(0o755)
    ada.extra["PATH"] = f"{dying.parent}{os.pathsep}{os.environ['PATH']}"
    ran = ada.run("conflicts", "--json")
    assert [one["kind"] for one in ran.json["conflicts"]] == ["likely"]
    assert ran.json["unknown"][0].startswith("nothing is certain now: git merge-tree failed")
    assert ada.ok("status")["conflicts"][0]["kind"] == "certain"


def test_lines_are_not_told_where_that_is_not_wished(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    ben.ok("config", "touches", "false")
    _write(ben, 12)
    ben.ok("heartbeat", "building")
    beats = {one["session_id"]: one["heartbeat"] for one in ben.ok("status")["sessions"]}
    assert (beats["ben"]["base"], beats["ben"]["touches"]) == (None, [])
    _write(ada, 12)
    assert _look(ada) == []


def test_a_brief_has_both_changes_and_what_both_say_and_stays_small(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    ada.ok("claim", "api.py", "--reason", "rename parse()")
    ada.ok("send", "ben", "I rename parse()", "in all files; `rm -rf` is only a word here")
    _write(ada, 12)
    (ben.path / "api.py").write_text(_with("ben wrote this\n" * 400, 12))
    _push(ada, "ada-work")
    _push(ben, "ben-work")
    ada.ok("heartbeat", "building", "the parser")
    ben.ok("heartbeat", "testing")
    text = ada.ok("conflicts", "--brief", "ada", "ben")["brief"]
    assert len(text.encode()) <= 8192
    head, inside = text.split(" begin -----\n")
    assert "ada wrote" not in head
    said = ["ada: the parser", "ada holds file:api.py: rename parse()", "ada to ben: I rename parse()"]
    code = ["-line 12", "+ada", "+ben wrote this", "more lines"]
    for told in ("certain: ada and ben conflict: git can't merge them in api.py:12", *said, *code):
        assert told in inside, told
