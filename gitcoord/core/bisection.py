"""Which of many changes are red together, with few runs. Pure: it is told how to find out."""

from __future__ import annotations

from collections.abc import Callable


def culprits(count: int, is_red: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """Return the smallest group that was found to be red by itself, of `count` changes that are red together.

    `is_red` says it of some of them, given by number in rising order; it is asked for no group twice. All of them are known to be
    red, and none of them to be green. The first prefix that is red ends with a culprit; so does the first prefix that is red
    together with the culprits that are known, until these are red alone. That takes about 2 log2(count) + 1 runs for a pair.
    """
    known = {(): False, tuple(range(count)): True}

    def red(prefix: int, fixed: list[int]) -> bool:
        group = (*range(prefix), *sorted(fixed))
        if group not in known:
            known[group] = is_red(group)
        return known[group]

    fixed: list[int] = []
    high = count
    while not red(0, fixed):
        low = 1
        while low < high:  # the prefix of `high` is red
            middle = (low + high) // 2
            if red(middle, fixed):
                high = middle
            else:
                low = middle + 1
        fixed.append(low - 1)
        high = low - 1
    return tuple(sorted(fixed))
