"""Where the program begins: which places Python may still import from, and how little it loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from clones import Seat

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


WITHOUT_PLUGINS = """
import subprocess
import sys
from gitcoord import main
main._without_plugins()
from pydantic import BaseModel
class Model(BaseModel):
    x: int
Model(x=1)
print("importlib.metadata" in sys.modules)
from pydantic.plugin._loader import PYDANTIC_ENTRY_POINT_GROUP  # what only the real one has
print(PYDANTIC_ENTRY_POINT_GROUP, "importlib.metadata" in sys.modules)
"""


def test_pydantic_looks_for_no_plugins_and_a_newer_one_finds_all_that_it_wants_of_its_loader() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_PLUGINS], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "pydantic True"]


LOADED = """
import sys
from gitcoord.cli.app import main
main(sys.argv[1:])
print("loaded", *(name.rpartition(".")[2] for name in sys.modules if name.startswith("gitcoord.cli.commands.")))
"""


@pytest.mark.parametrize("words", [(), ("status",)], ids=["bare", "status"])
def test_a_command_loads_itself_and_no_other_one(pair: tuple[Seat, Seat], words: tuple[str, ...]) -> None:
    ada, _ = pair
    argv = [sys.executable, "-c", LOADED, *words]
    done = subprocess.run(argv, cwd=ada.path, env=ada.env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["loaded", "status"]
