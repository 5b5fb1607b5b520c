"""Folders that are thrown away, also those that a killed process left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitcoord.machine import processes, throwaway


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_folder_goes_with_all_that_is_in_it_also_what_was_made_unwritable(temporary: Path) -> None:
    with throwaway.folder("trial") as made:
        (made / "deep" / "er").mkdir(parents=True)
        (made / "deep" / "er" / "file").write_text("x")
        (made / "out").symlink_to(temporary)
        (made / "deep" / "er").chmod(0o500)
        (made / "deep").chmod(0)
    assert list(temporary.iterdir()) == []


def test_only_what_a_process_left_that_is_gone_is_swept(temporary: Path) -> None:
    here = f"gitcoord-trial-{os.geteuid()}-"
    me = os.getpid()
    owners = {"gone": f"{me} {processes.born(me)}0", "here": f"{me} {processes.born(me)}", "elsewhere": f"{me} other:9"}
    for name, owner in owners.items():
        (temporary / f"{here}{name}").mkdir()
        (temporary / f"{here}{name}" / "owner").write_text(owner)
    (temporary / f"{here}just-made").mkdir()
    (temporary / f"{here}no-folder").write_text("")
    (temporary / "gitcoord-run-x").mkdir()
    throwaway.sweep("trial")
    left = {path.name.removeprefix(here) for path in temporary.iterdir()}
    assert left == {"here", "elsewhere", "just-made", "no-folder", "gitcoord-run-x"}
