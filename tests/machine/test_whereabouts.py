"""Where agents' sessions are, by their own ids: noted, found, forgotten; never a path that somebody else chose."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitcoord.machine import whereabouts


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user's environment."""
    return {"HOME": str(tmp_path)}


def test_a_session_is_found_where_it_was_noted_until_it_is_forgotten(environ: dict[str, str]) -> None:
    assert whereabouts.find("id-1", environ) == ""
    whereabouts.note("id-1", "/home/me/project", environ)
    whereabouts.note("id-1", "/home/me/other", environ)
    assert whereabouts.find("id-1", environ) == "/home/me/other"
    whereabouts.forget("id-1", environ)
    whereabouts.forget("id-1", environ)
    assert whereabouts.find("id-1", environ) == ""


def test_what_is_no_file_name_is_nowhere(environ: dict[str, str], tmp_path: Path) -> None:
    for odd in ("", "../escape", "a/b", ".hidden", "x" * 300, "nul\0"):
        whereabouts.note(odd, "/somewhere", environ)
        assert whereabouts.find(odd, environ) == ""
        whereabouts.forget(odd, environ)
    assert not list(tmp_path.iterdir())


def test_old_ones_go(environ: dict[str, str]) -> None:
    whereabouts.note("old", "/a", environ)
    os.utime(whereabouts.place("old", environ), (1, 1))
    whereabouts.note("new", "/b", environ)
    assert (whereabouts.find("old", environ), whereabouts.find("new", environ)) == ("", "/b")
