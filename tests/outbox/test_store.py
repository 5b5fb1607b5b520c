"""Looking whether something waits on a desk, without making one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitcoord.outbox.places import left_at
from gitcoord.outbox.store import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An empty desk."""
    path = tmp_path / "desks" / "one"
    path.mkdir(parents=True)
    Desk(path)
    return path


def test_what_waits_is_seen_and_spooled_heartbeats_come_second(desk: Path) -> None:
    assert left_at(desk) == ""
    (desk / "spool" / "ada").mkdir()
    (desk / "spool" / "ada" / "1.json").write_text("{}")
    assert left_at(desk) == "spooled"
    (desk / "outbox" / "1.json").write_text("{}")
    assert left_at(desk) == "waiting"


def test_looking_makes_no_desk(tmp_path: Path) -> None:
    assert left_at(tmp_path / "desks" / "one") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_desk_that_may_be_anothers_is_passed_over(desk: Path, tmp_path: Path) -> None:
    (desk / "outbox" / "1.json").write_text("{}")
    assert left_at(desk) == "waiting"
    linked = tmp_path / "linked"
    linked.symlink_to(desk)
    assert left_at(linked) == ""
    parent = tmp_path / "parent"
    parent.symlink_to(desk.parent)
    assert left_at(parent / "one") == ""
