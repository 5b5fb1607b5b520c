"""What is known of objects by their names, and which messages were shown: small files that may be lost, cut or shared."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from gitcoord.machine import files
from gitcoord.machine.facts import Facts
from gitcoord.outbox.store import Outbox


def noted(path: Path, count: int, *, prefix: str = "oid") -> Facts:
    """So many facts, written down."""
    facts = Facts(path)
    facts.update({f"{prefix}-{number}": str(number) for number in range(count)})
    facts.keep()
    return facts


def test_facts_come_back(tmp_path: Path) -> None:
    noted(tmp_path / "deep" / "facts.json", 40)
    again = Facts(tmp_path / "deep" / "facts.json")
    assert (again["oid-7"], again.get("oid-40"), len(again)) == ("7", None, 40)


def test_a_handful_is_not_worth_a_file(tmp_path: Path) -> None:
    noted(tmp_path / "facts.json", 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": 1, "b": {"c": 2}}', "[" * 100_000])
def test_file_that_can_not_be_read_holds_no_facts(tmp_path: Path, text: str) -> None:
    (tmp_path / "facts.json").write_text(text)
    assert dict(Facts(tmp_path / "facts.json")) == {}
    noted(tmp_path / "facts.json", 20)
    assert len(Facts(tmp_path / "facts.json")) == 20


def test_with_too_many_only_those_stay_that_are_used(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(files.sealed({f"old-{number}": "x" for number in range(20_000)})))
    facts = Facts(path)
    assert facts["old-5"] == "x"
    facts.update({f"new-{number}": "y" for number in range(20)})
    facts.keep()
    assert set(Facts(path)) == {"old-5", *(f"new-{number}" for number in range(20))}


def test_listeners_that_note_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    threads = [
        threading.Thread(target=lambda name=name: [Outbox(tmp_path).show("ann", [f"{name}-{number}"]) for number in range(50)])
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outbox.shown("ann") == {f"{name}-{number}" for name in "abcd" for number in range(50)}
    assert outbox.shown("bob") == set()


def test_list_of_what_was_shown_stays_short_and_keeps_the_newest(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for start in range(0, 9000, 500):
        outbox.show("ann", [f"{number:026}" for number in range(start, start + 500)])
    assert (tmp_path / "shown" / "ann.ids").stat().st_size < 1 << 18
    assert {f"{number:026}" for number in range(8500, 9000)} <= outbox.shown("ann")
