"""Ids sort by the time they were made, whatever a clock does, and no two processes ever make the same one."""

from __future__ import annotations

from gitcoord.machine.ids import new_id

AHEAD = "7ZZZZZZZZZ" + "0" * 16  # made by a clock that was far ahead


def test_ids_made_behind_one_of_a_clock_that_was_ahead_are_later_and_all_different() -> None:
    """Processes of one outbox see the same newest id at the same moment: who takes simply the next one takes another's."""
    made = [new_id(after=AHEAD) for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert all(one > AHEAD and len(one) == 26 for one in made)


def test_ids_in_a_row_sort_in_the_order_in_which_they_were_made() -> None:
    newest, made = new_id(), []
    for _ in range(2000):
        newest = new_id(after=newest)
        made.append(newest)
    assert made == sorted(made)
    assert len(set(made)) == len(made)
