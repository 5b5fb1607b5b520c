"""The state: tables that are never changed in place, and drafts that know what really changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure_branch import T0, Story, days

from gitcoord.core.state import Draft, State
from gitcoord.core.tables import Mail, Table

changes = st.dictionaries(st.integers(0, 9), st.none() | st.integers(), max_size=6)


class Lazy(Mapping[int, int]):
    """A base that is no plain dictionary: it must never be folded into one."""

    def __init__(self, values: dict[int, int]) -> None:
        self._values = values

    def __getitem__(self, key: int) -> int:
        return self._values[key]

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@given(st.dictionaries(st.integers(0, 9), st.integers()), st.lists(changes, max_size=8), st.booleans())
def test_table_is_a_dictionary_with_the_changes(base: dict[int, int], steps: list[dict[int, int | None]], lazy: bool) -> None:
    table: Table[int, int] = Table(Lazy(base) if lazy else base)
    model = dict(base)
    for step in steps:
        before, was = dict(table.items()), len(table)
        after = table.with_changes(step)
        assert (dict(table.items()), len(table)) == (before, was)  # the old one stays as it was
        table = after
        for key, value in step.items():
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        assert dict(table.items()) == model == {key: table[key] for key in table}
        assert sorted(table.values()) == sorted(model.values())
        assert len(table) == len(model)
        for key in range(10):
            assert (key in table) is (key in model)
            assert table.get(key) == model.get(key)


def test_absent_record_is_a_key_error() -> None:
    table: Table[str, int] = Table({"a": 1}).with_changes({"a": None})
    with pytest.raises(KeyError):
        table["a"]
    with pytest.raises(KeyError):
        table["b"]
    assert Table({"a": 1})["a"] == 1


def test_long_run_of_changes_is_folded_in() -> None:
    table: Table[int, int] = Table({})
    for number in range(1000):
        table = table.with_changes({number: number, number - 5: None})
    assert sorted(table) == list(range(995, 1000))
    assert len(table._over) < 200


def test_change_that_changes_nothing_touches_nothing() -> None:
    story = Story.of("ann")
    session = story.state.sessions["ann"]
    draft = Draft(story.state)
    draft.put("sessions", "ann", session.model_copy())
    draft.put("claims", ("file", "a", ""), None)
    after = draft.state(seq=9, at=T0)
    assert after.touched == {}
    assert (after.seq, after.at) == (9, T0)


def test_draft_names_what_it_changed_and_leaves_the_state_before_alone() -> None:
    story = Story.of("ann", "bob")
    before = story.state
    draft = Draft(before)
    draft.put("sessions", "ann", None)
    draft.put("sessions", "bob", before.sessions["bob"].model_copy(update={"role": "tester"}))
    assert draft.session("ann") is None
    after = draft.state(seq=9, at=T0)
    assert after.touched == {"sessions": frozenset({"ann", "bob"})}
    assert (set(before.sessions), set(after.sessions)) == ({"ann", "bob"}, {"bob"})
    assert after.sessions["bob"].role == "tester"


def test_messages_at_hand_are_found_by_their_days_and_all_that_wait() -> None:
    story = Story.of("ann", "bob")
    keys = []
    for number in range(4):  # a day after the other
        keys.append(story.send("ann", "broadcast", f"day {number}").id)
        story.wait(days(1))
    waits = story.send("ann", "bob", "unread").id
    second, third = ((T0 + days(number)).date() for number in (1, 2))
    whole = Mail(dict(story.state.messages))
    assert sorted(whole.said(second, third)) == sorted([keys[1], keys[2], waits])
    newer = whole.with_changes({keys[1]: None, keys[2]: whole[keys[2]]})
    assert sorted(newer.said(second, third)) == sorted([keys[2], waits])


def test_rules_of_a_branch_that_is_not_open_are_the_defaults() -> None:
    assert State().rules.settings.default_ttl == 3600
