"""Files: whole or not at all, and for this user alone."""

from __future__ import annotations

import stat
from pathlib import Path

from gitcoord.local import files


def test_every_folder_that_is_made_is_private(tmp_path: Path) -> None:
    files.private_folder(tmp_path / "state" / "gitcoord" / "desk")
    made = [tmp_path / "state", tmp_path / "state" / "gitcoord", tmp_path / "state" / "gitcoord" / "desk"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700] * 3


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    files.private_folder(tmp_path / "state" / "gitcoord")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755
