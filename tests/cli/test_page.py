"""`page` as a file: where it goes."""

from __future__ import annotations

from pathlib import Path

from clones import Seat
from gits import git


def test_a_page_goes_into_the_clones_git_folder_and_not_into_the_work_tree(pair: tuple[Seat, Seat]) -> None:
    ada = pair[0]
    below = ada.path / "src"
    below.mkdir()
    answer = ada.run("page", "--json", cwd=below).json
    page = Path(answer["output"])
    assert page.is_absolute()
    assert page.read_bytes().startswith(b"<!doctype html>")
    assert page.stat().st_size == answer["bytes"]
    assert page.is_relative_to(ada.path / ".git")
    assert page.parent.stat().st_mode & 0o077 == 0, "it has every message: it is for this user alone"
    assert list(below.iterdir()) == []
    assert git(ada.path, "status", "--porcelain", "--ignored") == ""
    assert ada.run("page", "--json", "--output", "own.html", cwd=below).json["output"] == "own.html"
    assert (below / "own.html").is_file()
