"""Messages as commands print them."""

from __future__ import annotations

from clones import Seat


def test_what_the_subject_says_already_is_not_said_twice(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "a.py")
    ada.ok("release", "a.py", "--done", "the parser works")
    ada.ok("send", "ben", "in short", "in long: all of it")
    told = ben.run("inbox").out
    assert told.count("the parser works") == 1
    assert "  | in long: all of it" in told
