"""What a server has checked is remembered: for all who may push, the newest only, and losing it harms nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gitcoord.log.history import Checked
from gitcoord.policy.memory import Memory


def known(number: int) -> Checked:
    """What is known of a tip."""
    return Checked(f"{number:040x}", f"{number:040x}", number)


def memory(folder: Path, mode: int = 0o644) -> Memory:
    """The memory of a repository in that folder."""
    (folder / "HEAD").touch()
    (folder / "HEAD").chmod(mode)
    return Memory.of(str(folder), "refs/heads/coordination")


def test_a_tip_is_found_or_else_the_newest_behind_it(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    assert kept.nearest(known(1).tip, lambda tip: True) == Checked()
    kept.note(Checked(), known(1), known(2), known(3))
    assert kept.nearest(known(2).tip, lambda tip: False) == known(2)
    assert kept.nearest(known(9).tip, lambda tip: tip < known(3).tip) == known(2)
    assert kept.nearest(known(9).tip, lambda tip: False) == Checked()


def test_only_the_newest_are_kept_and_what_is_used_again_is_new(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    kept.note(known(1), known(2))
    for number in range(10, 100):
        kept.note(known(1), known(number))
    assert kept.nearest(known(1).tip, lambda tip: False) == known(1)
    assert kept.nearest(known(2).tip, lambda tip: False) == Checked()
    assert len(kept.path.read_bytes()) < 10_000


def test_in_a_shared_repository_all_may_note(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o2775)
    kept = memory(tmp_path, 0o664)
    kept.note(known(1))
    kept.note(known(2))
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o664
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) & 0o777 == 0o775


def test_what_is_damaged_is_nothing(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    kept.note(known(1))
    kept.path.write_text(kept.path.read_text().replace("1", "2", 1))
    assert kept.nearest(known(1).tip, lambda tip: True) == Checked()
