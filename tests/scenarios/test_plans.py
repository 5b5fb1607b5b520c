"""A plan worked off by scripted workers, some of whom die: everything once, in an order that the needs allow, in little more time
than an ideal scheduler takes. `python -m bench --only T1` plays the large ones.
"""

from __future__ import annotations

import pytest
from plan_play import Job, Worker, alone, bound, check, crew, ideal, one_lock, plan, play


@pytest.mark.parametrize("count", [1, 4])
def test_plan_is_worked_off_once_and_in_order_though_workers_die(count: int) -> None:
    jobs, workers = plan(3, 80, sharing=0.2), crew(count, count, dying=0.25, within=120.0)
    story, told = play(jobs, workers)
    check(story, jobs, told)
    assert sum(bool(one.dies) for one in workers) == (count > 1)
    assert bound(jobs, workers) <= told.minutes
    assert ideal(jobs, workers) >= 0.75 * told.minutes
    assert told.minutes < one_lock(jobs, workers) or count == 1
    assert told.minutes <= alone(jobs, workers, 1).minutes + 1


def test_ideal_time_of_a_small_plan_is_known() -> None:
    jobs = [Job(1, 10.0), Job(2, 20.0), Job(3, 5.0, (1,)), Job(4, 10.0, (1, 2), ("x",)), Job(5, 10.0, (), ("x",))]
    two = [Worker("a", 1.0), Worker("b", 1.0)]
    assert ideal(jobs, two) == 30.0
    assert ideal(jobs, two[:1]) == 55.0
    assert ideal(jobs, [Worker("a", 1.0), Worker("b", 1.0, dies=5.0)]) == 55.0
    assert one_lock(jobs, two) == 55.0
