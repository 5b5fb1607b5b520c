"""`gitcoord blame` in a clone: the commits of its lines, and whose they are."""

from __future__ import annotations

from clones import Seat


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
