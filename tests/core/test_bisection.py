"""Bisection: the pair that is red together is named among any number of others, with few runs."""

from __future__ import annotations

from itertools import combinations
from math import ceil, log2

import pytest

from gitcoord.core.bisection import culprits


def runs_for(count: int, guilty: tuple[int, ...]) -> int:
    """Look for these among `count`; they must be found, and no group may be asked for twice. Return how many runs it took."""
    asked: list[tuple[int, ...]] = []

    def is_red(group: tuple[int, ...]) -> bool:
        assert list(group) == sorted(set(group))
        asked.append(group)
        return set(guilty) <= set(group)

    assert culprits(count, is_red) == guilty
    assert len(asked) == len(set(asked))
    assert () not in asked  # who asks has found both out already
    assert tuple(range(count)) not in asked
    return len(asked)


@pytest.mark.parametrize("count", range(1, 13))
def test_each_single_one_and_each_pair_is_named_with_few_runs(count: int) -> None:
    for guilty in ((number,) for number in range(count)):
        assert runs_for(count, guilty) <= ceil(log2(count)) + 1
    for guilty in combinations(range(count), 2):
        assert runs_for(count, guilty) <= 2 * ceil(log2(count)) + 2


def test_three_that_are_red_only_together_are_all_named() -> None:
    for guilty in combinations(range(8), 3):
        runs_for(8, guilty)
