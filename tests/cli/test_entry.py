"""Where the program begins: which places Python may still import from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gitcoord.main import _leave_the_checkout


@pytest.mark.parametrize("place", ["/", "plain", "checkout"])
def test_python_imports_from_anywhere_but_the_checkout_and_the_folder_one_stands_in(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, below, library = tmp_path / place, tmp_path / place / "src", tmp_path / "library"
    if place == "checkout":
        (here / ".git").mkdir(parents=True)
    if place != "/":
        below.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(here if place != "checkout" else below)
    monkeypatch.setattr(sys, "path", ["", ".", str(library), *([] if place == "/" else [str(here), str(below)])])
    _leave_the_checkout()
    assert sys.path == [str(library)]
