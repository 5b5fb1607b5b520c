"""Who is meant by a receiver."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitcoord.core.addresses import is_receiver, parse_receiver, reaches
from gitcoord.core.records import Session
from gitcoord.errors import BadInput

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ADA = Session(
    session_id="ada", started_at=NOW, last_heartbeat=NOW, role="reviewer", capabilities=("rust", "sql"), repo="library"
)  # fmt: skip


@pytest.mark.parametrize("to", ["ada", "broadcast", "role:reviewer", "cap:rust", "cap:sql", "repo:library"])
def test_a_session_is_reached_by_its_name_its_groups_and_what_is_for_all(to: str) -> None:
    assert parse_receiver(to) == to
    assert is_receiver(to)
    assert reaches(to, ADA)


_NOBODY = ["role:", "role:a b", "cap:../x", "repo:a/b", "team:x", "role:x.lock", "cap:" + "x" * 65, "role:\u202e", ""]


@pytest.mark.parametrize("to", ["ben", "role:Reviewer", "role:rust", "cap:reviewer", "repo:lib", "cap:go"])
def test_others_are_not(to: str) -> None:
    assert not reaches(to, ADA)


@pytest.mark.parametrize(
    "to", ["role:", "role:a b", "cap:../x", "repo:a/b", "team:x", "role:x.lock", "cap:" + "x" * 65, "role:\u202e", ""]
)
def test_what_names_nobody_is_refused_with_a_reason(to: str) -> None:
    assert not is_receiver(to)
    with pytest.raises(BadInput):
        parse_receiver(to)
