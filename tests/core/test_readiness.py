"""When a task is ready: against the same rule said slowly, at every step of any story; in which order; why not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import PlanStory, new_task, ready_slowly
from pure_branch import listing, minutes, plain

from gitcoord.core.readiness import Look, Survey, is_blocked, summary
from gitcoord.core.state import State
from gitcoord.errors import BadInput, Held, NotHeld, NothingReady
from gitcoord.views import tree


@pytest.fixture
def story() -> PlanStory:
    """A branch with two sessions."""
    return PlanStory.of("ann", "bob")  # type: ignore[return-value]


def test_most_urgent_comes_first_then_what_most_wait_for_then_the_oldest(story: PlanStory) -> None:
    story.add("ann", "old")
    story.add("ann", "young")
    story.add("ann", "many wait for it")
    story.add("ann", "in between", needs=(3,), priority=0)
    story.add("ann", "urgent", priority=1)
    assert story.ready("ann") == [5, 3, 1, 2]
    story.claim("bob", "task:2")
    story.claim("ann", "task:1")
    assert story.ready("ann") == [1, 5, 3]


def test_task_is_for_whom_it_says(story: PlanStory) -> None:
    story.start("rita", role="reviewer", capabilities=("rust",))
    for to in ("role:reviewer", "cap:rust", "rita", "bob", None):
        story.add("ann", f"for {to}", to=to)
    assert story.ready("rita") == [1, 2, 3, 5]
    assert story.ready("bob") == [4, 5]
    look = Look(story.state, story.state.sessions["bob"], story.now, role="reviewer")
    assert [one.task.seq for one in look.ready()] == [1, 4, 5]
    story.end("rita")
    assert story.ready("bob") == [3, 4, 5]  # what was for one that has ended is for anyone


def test_held_file_keeps_a_task_from_all_but_its_holder(story: PlanStory) -> None:
    story.add("ann", "x", files=("src",))
    story.claim("bob", "src/a.py")
    assert (story.ready("ann"), story.ready("bob")) == ([], [1])
    look = Look(story.state, story.state.sessions["ann"], story.now)
    assert look.standings()[0].why() == "bob holds file:src/a.py"
    story.wait(minutes(61))
    assert story.ready("ann") == [1]


def test_handed_task_is_the_receivers_next_one(story: PlanStory) -> None:
    story.add("ann", "urgent", priority=0)
    story.add("ann", "x", files=("a.py",), to="ann")
    story.claim("ann", "task:2", "a.py")
    story.handoff("ann", "bob", "task:2", "a.py", next="go on")
    assert story.ready("bob") == [2, 1]
    event = story.next("bob")
    assert event.kind == "handoff.taken"
    assert story.holds("bob") == {"task:2", "file:a.py"}
    assert story.holds("ann") == set()


# --- next --------------------------------------------------------------------------------------------------------------


def test_next_takes_the_task_and_its_files_in_one_event(story: PlanStory) -> None:
    story.add("ann", "x", files=("a.py", "b.py"))
    event = story.next("ann")
    assert event.resources == ("task:1", "file:a.py", "file:b.py")
    assert story.holds("ann") == {"task:1", "file:a.py", "file:b.py"}
    assert story.next("ann").kind == "claim.renewed"  # what it holds is its next one


def test_next_passes_over_what_is_ready_but_for_its_files_and_names_it(story: PlanStory) -> None:
    story.add("ann", "x", files=("a.py",), priority=0)
    story.add("ann", "y")
    story.claim("bob", "a.py")
    assert story.next("ann").resources == ("task:2",)
    story.close("ann", 2)
    with pytest.raises(NothingReady, match=r"1 ready but for files\): #1 bob holds file:a.py") as refused:
        story.next("ann")
    assert refused.value.data["why"][0]["holders"] == ["bob"]
    assert story.next("ann", files=False).resources == ("task:1",)


def test_nothing_ready_says_what_is_blocked_by_what_and_held_by_whom(story: PlanStory) -> None:
    with pytest.raises(NothingReady, match="no open task"):
        story.next("ann")
    story.add("ann", "x")
    story.add("ann", "y", needs=(1,))
    story.add("ann", "z", to="role:reviewer")
    story.claim("bob", "task:1")
    with pytest.raises(NothingReady, match="1 in work, 1 for others, 1 blocked") as refused:
        story.next("ann")
    assert [(one["seq"], one["held_by"], one["blocked_by"]) for one in refused.value.data["why"]] == [
        (3, None, []),
        (1, "bob", []),
        (2, None, [1]),
    ]


def test_dead_workers_task_is_taken_over_when_its_lease_is_over(story: PlanStory) -> None:
    story.add("ann", "x", files=("a.py",))
    story.next("ann", ttl_seconds=300)
    story.wait(minutes(5))
    with pytest.raises(NothingReady, match="can be taken from"):  # its grace runs
        story.next("bob")
    story.wait(minutes(2))
    event = story.next("bob")
    assert [entry.split()[1:] for entry in event.taken] == [["ann", "expired", "task:1"], ["ann", "expired", "file:a.py"]]


def test_who_waits_in_line_for_a_file_comes_before_the_next_task(story: PlanStory) -> None:
    story.start("carl")
    story.add("ann", "x", files=("a.py",))
    story.claim("ann", "a.py")
    story.claim("carl", "b.py")
    story.claim("bob", "a.py", "b.py", wait=True)
    story.release("ann", "a.py")  # bob can't be served yet
    with pytest.raises(NothingReady, match="bob waits in line"):
        story.next("ann")


# --- the model ---------------------------------------------------------------------------------------------------------

_picks = st.integers(0, 30)
_steps = st.lists(
    st.tuples(st.sampled_from(("add", "add", "edit", "close", "drop", "reopen", "claim", "wait")), _picks, _picks, _picks),
    min_size=8,
    max_size=40,
)


def _play(story: PlanStory, what: str, one: int, other: int, third: int) -> None:
    """One step, at whatever those numbers hit on; what is refused changes nothing."""
    count = story.state.rules.tasks.added
    session = ("ann", "bob")[third % 2]
    seq = one % count + 1 if count else 1
    some = [number % count + 1 for number in (one, other)[: third % 3]] if count else []
    if what == "add":
        parent = other % count + 1 if count and third % 4 == 0 else None
        story.add_many(session, *[new_task("t", needs=some, parent=parent, priority=third % 5)] * (1 + third % 2))
    elif what == "edit":
        given = (
            {"parent": str(other % count + 1) if count and third % 2 else None} if third % 3 else {"needs": list(map(str, some))}
        )
        story.edit(session, seq, **given)
    elif what in ("close", "drop"):
        story.close(session, seq, "done" if what == "close" else "dropped")
    elif what == "reopen":
        story.reopen(session, seq)
    elif what == "claim":
        story.claim(session, f"task:{seq}", ttl_seconds=600)
    else:
        story.wait(minutes(third))


def stored(state: State) -> State:
    """The same state, read from its files."""
    files = {path: tree.render(record) for path, record in tree.all_files(state).items()}
    return tree.load("", listing(files), lambda oids: [files.get(oid) for oid in oids], {}, seq=state.seq, at=state.at)


@given(_steps)
def test_what_is_ready_is_so_at_every_event(steps: list[tuple[str, int, int, int]]) -> None:
    story = PlanStory.of("ann", "bob")
    for step in steps:
        with suppress(BadInput, Held, NotHeld):
            _play(story, *step)  # type: ignore[arg-type]
        state = story.state
        for session in ("ann", "bob"):
            look = Look(state, state.sessions[session], story.now)
            ready = look.ready()
            assert {one.task.seq for one in ready} == ready_slowly(state, session, story.now)
            ranks = [look.survey.rank(one.task) for one in ready if not one.mine]
            assert ranks == sorted(ranks)
        tasks = state.tasks
        survey = Survey(tasks.open())
        assert survey.circle(tasks.open()) == ()
        for seq, task in tasks.open().items():
            assert task.parts == sum(one.parent == seq for one in tasks.open().values())
            assert is_blocked(tasks, tasks[seq]) == bool(survey.blocked_by(task))
            assert survey.waiters(seq) == len(_all_waiters(survey, seq))
        counts = state.rules.tasks
        assert counts.open == len(tasks.open())
        assert counts.done == sum(task.status == "done" for task in tasks.values())
    again = stored(story.state)
    assert plain(again) == plain(replace(story.state, touched={}))
    assert again.tasks.open() == story.state.tasks.open()
    assert summary(again.tasks) == summary(story.state.tasks) == summary(again.tasks)


def _all_waiters(survey: Survey, seq: int) -> set[int]:
    found: set[int] = set()
    todo = [seq]
    while todo:
        at = todo.pop()
        for other, task in survey.tasks.items():
            if at in survey.blocked_by(task) and other not in found:
                found.add(other)
                todo.append(other)
    return found
