"""A check of the history that takes long is gone on with where it was ended."""

from __future__ import annotations

import pytest
from clones import Seats
from gits import git
from remotes import Remote

from gitcoord.log.history import Checked, Good, History
from gitcoord.log.longcheck import LongCheck
from gitcoord.log.outcomes import Begun, Unseen


class Killed(Exception):
    """The process that checks is ended here."""


def test_a_check_that_was_ended_goes_on_where_it_was(long_remote: Remote, seats: Seats) -> None:
    (ada,) = seats(long_remote, "ada")
    tip = git(long_remote.path, "rev-parse", "coordination").strip()
    seen: list[int] = []

    def see(good: Good) -> None:
        seen.append(good.event.seq)
        if good.event.seq == 1500 and len(seen) == 1500:
            raise Killed

    with ada.here() as found:
        log = found.coordinator.log
        check = LongCheck(log.objects, found.memory, Unseen(), lambda: None, None)
        with pytest.raises(Killed):
            check.check(History(log.objects, log.projection), tip, Checked(), see)
        begun = found.memory.begun()
        assert begun is not None
        assert (begun.done, begun.total, begun.checked.seq, found.memory.load().seq) == (1000, 1700, 1000, 0)
        seen.clear()
        checked, start = check.check(History(log.objects, log.projection), tip, Checked(), see)
        assert (seen[0], seen[-1], start.seq, checked.seq) == (1001, 1700, 1000, 1700)
        assert (found.memory.load(), found.memory.begun()) == (checked, None)


def test_what_was_begun_on_another_branch_counts_for_nothing(long_remote: Remote, seats: Seats) -> None:
    (ada,) = seats(long_remote, "ada")
    tip = git(long_remote.path, "rev-parse", "coordination~40").strip()
    newer = git(long_remote.path, "rev-parse", "coordination~20").strip()
    with ada.here() as found:
        log = found.coordinator.log
        found.memory.note_begun(Begun(Checked(newer, newer, 1680), 1680, 1700))
        check = LongCheck(log.objects, found.memory, Unseen(), lambda: None, None)
        checked, start = check.check(History(log.objects, log.projection), tip, Checked(), lambda good: None)
        assert (start.seq, checked.seq) == (0, 1660)
