"""Looking whether something waits in an outbox, without making one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitcoord.outbox.places import left_at
from gitcoord.outbox.store import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """An empty outbox."""
    path = tmp_path / "outboxes" / "one"
    path.mkdir(parents=True)
    Outbox(path)
    return path


def test_what_waits_is_seen_and_spooled_heartbeats_come_second(outbox: Path) -> None:
    assert left_at(outbox) == ""
    (outbox / "spool" / "ada").mkdir()
    (outbox / "spool" / "ada" / "1.json").write_text("{}")
    assert left_at(outbox) == "spooled"
    (outbox / "outbox" / "1.json").write_text("{}")
    assert left_at(outbox) == "waiting"


def test_looking_makes_no_outbox(tmp_path: Path) -> None:
    assert left_at(tmp_path / "outboxes" / "one") == ""
    assert list(tmp_path.iterdir()) == []


def test_an_outbox_that_may_be_anothers_is_passed_over(outbox: Path, tmp_path: Path) -> None:
    (outbox / "outbox" / "1.json").write_text("{}")
    assert left_at(outbox) == "waiting"
    linked = tmp_path / "linked"
    linked.symlink_to(outbox)
    assert left_at(linked) == ""
    parent = tmp_path / "parent"
    parent.symlink_to(outbox.parent)
    assert left_at(parent / "one") == ""
