"""Calls of an agent: one after the other, who waits lets others in, and who gives up waits no more."""

from __future__ import annotations

import os

import anyio
import pytest
from agents import play

from gitcoord.errors import BadInput, NotInTime
from gitcoord.mcp.calls import Calls, Patience

STEPS = 1000  # of a wait: far more than it takes, and not for ever


def test_calls_are_carried_out_one_after_the_other() -> None:
    inside: list[str] = []
    most: list[int] = []

    async def story() -> None:
        calls = Calls()

        def work(name: str) -> None:
            inside.append(name)
            for _ in range(STEPS):
                most.append(len(inside))
                os.sched_yield()
            inside.remove(name)

        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(calls.run, lambda patience, name=name: work(name))

    play(story)
    assert len(most) == 3 * STEPS
    assert max(most) == 1


def test_who_waits_lets_others_in() -> None:
    done: list[str] = []

    async def story() -> None:
        calls = Calls()

        def wait(patience: Patience) -> None:
            for _ in range(STEPS):
                if done:
                    break
                patience.rest(0.01)
            done.append("waited")

        async with anyio.create_task_group() as group:
            group.start_soon(calls.run, wait)
            await anyio.sleep(0)
            await calls.run(lambda patience: done.append("quick"))

    play(story)
    assert done == ["quick", "waited"]


def test_who_gives_up_waits_no_more_and_the_turn_is_free() -> None:
    seen: list[str] = []

    async def story() -> None:
        calls = Calls()
        begun = anyio.Event()

        def wait(patience: Patience) -> None:
            anyio.from_thread.run_sync(begun.set)
            for _ in range(STEPS):
                patience.rest(0.01)
            seen.append("went on")

        async with anyio.create_task_group() as group:
            group.start_soon(calls.run, wait)
            await begun.wait()
            group.cancel_scope.cancel()
        assert await calls.run(lambda patience: "free") == "free"

    play(story)
    assert seen == []


def test_the_end_waits_for_what_is_under_way_and_lets_nothing_in() -> None:
    seen: list[str] = []

    async def story() -> None:
        calls = Calls()
        begun = anyio.Event()

        def work(patience: Patience) -> None:
            anyio.from_thread.run_sync(begun.set)
            patience.gone.wait(60)
            seen.append("finished")  # it was not waiting for others: what is under way is finished

        def wait(patience: Patience) -> None:
            seen.append("let in")

        async def refused(which: object) -> None:
            with pytest.raises(NotInTime):
                await calls.run(which)  # type: ignore[arg-type]

        async with anyio.create_task_group() as group:
            group.start_soon(calls.run, work)
            await begun.wait()
            group.start_soon(refused, wait)
            await anyio.sleep(0)
            await calls.stop()
            assert seen == ["finished"]
            await refused(wait)

    play(story)
    assert seen == ["finished"]


def test_who_asks_is_told_that_a_long_call_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitcoord.mcp.calls.PULSE", 0.01)
    ticks: list[int] = []

    async def story() -> None:
        async def tick() -> None:
            ticks.append(1)

        def wait(patience: Patience) -> None:
            for _ in range(STEPS):
                if len(ticks) > 2:
                    return
                patience.rest(0.01)

        await Calls().run(wait, tick)
        before = len(ticks)
        await Calls().run(lambda patience: None, tick)
        assert before > 2

    play(story)


def test_what_a_call_raises_comes_back() -> None:
    async def story() -> None:
        def work(patience: Patience) -> None:
            raise BadInput("no")

        with pytest.raises(BadInput):
            await Calls().run(work)

    play(story)
