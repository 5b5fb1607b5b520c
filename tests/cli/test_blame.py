"""`gitcoord blame` in a clone: the commits of its lines, and whose they are."""

from __future__ import annotations

from pathlib import Path

from clones import Seat
from gits import git
from remotes import Remote


def test_lines_are_told_with_the_session_its_claim_and_how_that_is_known(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("task", "add", "the endpoints")
    ada.ok("claim", "task:1", "api.py", "--phase", "BUILD")
    (ada.path / "api.py").write_text("one\ntwo\n")
    ada.git("add", "api.py")
    ada.git("commit", "-q", "-m", "Endpoints", "--trailer", "Coord-Session: ada")
    (ada.path / "api.py").write_text("one\ntwo\nthree\n")
    told = ada.ok("blame", "api.py")
    assert (told["path"], told["held_by"]) == ("api.py", ["ada"])
    made, new = told["lines"]
    assert (made["first"], made["last"], made["session"], made["by"], made["task"]) == (1, 2, "ada", "trailers", 1)
    assert made["claim"]["phase"] == "BUILD"
    assert (new["first"], new["last"], new["commit"], new["session"]) == (3, 3, None, None)
    page = ada.run("blame", "api.py:2").out
    assert "file:api.py (fence " in page
    assert "its commit says so" in page
    assert "three" not in page
    assert ben.run("blame", "api.py").code == 2
    assert ada.run("blame", "api.py:3-2").code == 2
    assert ada.run("blame", "slot:ci").code == 2


def test_a_line_of_an_earlier_epoch_is_told_also_in_a_clone_that_begins_with_this_one(
    pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path
) -> None:
    ada, _ = pair
    ada.ok("claim", "api.py", "--phase", "BUILD")
    (ada.path / "api.py").write_text("one\n")
    ada.git("add", "api.py")
    ada.git("commit", "-q", "-m", "Endpoints")
    ada.git("push", "-q", "origin", "HEAD")
    ada.ok("release", "api.py")
    ada.ok("compact")
    git(tmp_path, "clone", "-q", "--no-local", str(file_remote.path), "fresh")
    for seat in (ada, Seat(tmp_path / "fresh", tmp_path / "outbox")):
        [line] = seat.ok("blame", "api.py")["lines"]
        assert (line["session"], line["claim"]["phase"]) == ("ada", "BUILD")
    [archive] = git(file_remote.path, "for-each-ref", "--format=%(refname)", "refs/gitcoord/archive").splitlines()
    git(file_remote.path, "update-ref", "-d", archive)
    git(tmp_path, "clone", "-q", "--no-local", str(file_remote.path), "late")
    told = Seat(tmp_path / "late", tmp_path / "late-outbox").run("blame", "api.py")
    assert "the archive of what was before is gone" in told.err
