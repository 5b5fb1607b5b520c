"""Tasks: added, changed, closed, reopened; keys and numbers; parts; lines of phases; circles; who may close one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import PlanStory, new_task
from pure_branch import COMMIT, days, hours, minutes
from strategies import cards

from gitcoord.core import task_cards
from gitcoord.core.records import TaskCounts
from gitcoord.core.task_cards import Card, read_card
from gitcoord.core.task_commands import AddTasks, CloseTask
from gitcoord.core.tasks import TaskAdded, TaskChanged, TaskClosed, TaskReopened
from gitcoord.errors import BadInput, Held, NotHeld


@pytest.fixture
def story() -> PlanStory:
    """A branch with two sessions."""
    return PlanStory.of("ann", "bob")  # type: ignore[return-value]


def test_tasks_are_numbered_from_one_and_many_come_at_once(story: PlanStory) -> None:
    story.add("ann", "first")
    event = story.add_many("bob", new_task("second", key="k:2"), new_task("third", needs=("=k:2",), files=("src/a.py",)))
    assert [(seq, task.title, task.needs) for seq, task in story.state.tasks.items()] == [
        (1, "first", ()),
        (2, "second", ()),
        (3, "third", (2,)),
    ]
    assert story.task(3).id == f"{event.id}.1"
    assert story.state.rules.tasks == TaskCounts(added=3)


def test_key_stands_for_one_task_for_ever(story: PlanStory) -> None:
    story.add("ann", "once", key="github:org/repo#17")
    story.close("ann", 1)
    assert story.add("bob", "twice", key="github:org/repo#17") is None
    beats_after(story, days(20))
    assert 1 not in story.state.tasks
    assert story.add("bob", "thrice", key="github:org/repo#17") is None
    again = story.event(TaskAdded, "bob", first=2, cards=(task_cards.spelled({"title": "forged", "key": "github:org/repo#17"}),))
    assert "stands for a task already" in str(story.problem(again))


def beats_after(story: PlanStory, span: object) -> None:
    """So much later, both sessions are heard, and each of them sweeps."""
    story.wait(span)  # type: ignore[arg-type]
    for _ in range(2):
        for session in ("ann", "bob"):
            story.beat(session, "here")


def test_closed_task_leaves_the_tree_and_counts_on(story: PlanStory) -> None:
    story.add("ann", "over")
    story.add("ann", "needs what is over", needs=(1,))
    story.close("ann", 1)
    beats_after(story, days(13))
    assert 1 in story.state.tasks
    beats_after(story, days(2))
    assert 1 not in story.state.tasks
    assert story.ready("ann") == [2]
    assert story.state.rules.tasks == TaskCounts(added=2, done=1)
    with pytest.raises(BadInput, match="left the tree"):
        story.reopen("ann", 1)


# --- circles -----------------------------------------------------------------------------------------------------------


def test_circle_of_needs_is_refused_and_named(story: PlanStory) -> None:
    story.add("ann", "a")
    story.add("ann", "b", needs=(1,))
    story.add("ann", "c", needs=(2,))
    with pytest.raises(BadInput, match="#1 waits for #3, #3 waits for #2, #2 waits for #1"):
        story.edit("ann", 1, needs=["3"])
    forged = story.event(TaskChanged, "bob", task=1, change=task_cards.spelled({"needs": [3]}))
    assert "#1 waits for #3" in str(story.problem(forged))
    both = tuple(task_cards.spelled({"title": "x", "needs": [other]}) for other in (5, 4))
    assert "#4 waits for #5, #5 waits for #4" in str(story.problem(story.event(TaskAdded, "bob", first=4, cards=both)))


def test_circle_through_a_larger_task_is_refused(story: PlanStory) -> None:
    story.add("ann", "epic")
    story.add("ann", "before the epic")
    story.edit("ann", 1, needs=["2"])
    with pytest.raises(BadInput, match="for ever"):
        story.add("ann", "part that must come before", parent=1, key="p") and story.edit("ann", 2, needs=["3"])
    with pytest.raises(BadInput, match="for ever"):
        story.edit("ann", 2, needs=["1"])


def test_circle_that_reopening_would_close_is_refused(story: PlanStory) -> None:
    story.add("ann", "a")
    story.add("ann", "b", needs=(1,))
    story.close("ann", 1)
    story.close("ann", 2)
    story.reopen("ann", 1)
    story.edit("ann", 1, needs=["2"])
    with pytest.raises(BadInput, match="for ever"):
        story.reopen("bob", 2)
    assert "for ever" in str(story.problem(story.event(TaskReopened, "bob", task=2)))


# --- parts -------------------------------------------------------------------------------------------------------------


def test_larger_task_is_done_with_its_last_part_and_opens_again_with_one(story: PlanStory) -> None:
    story.add("ann", "epic")
    story.add("ann", "half", parent=1)
    story.add("ann", "other half", parent=1)
    story.add("ann", "after the epic", needs=(1,))
    with pytest.raises(BadInput, match="2 open parts"):
        story.close("ann", 1)
    assert "open parts" in str(story.problem(story.event(TaskClosed, "ann", task=1)))
    assert story.ready("ann") == [2, 3]
    story.close("ann", 2)
    story.close("bob", 3, "dropped")
    assert (story.task(1).status, story.task(1).done_by) == ("done", "bob")
    assert story.state.rules.tasks == TaskCounts(added=4, done=2, dropped=1)
    assert story.ready("ann") == [4]
    story.reopen("ann", 2)
    assert (story.task(1).status, story.task(1).parts) == ("open", 1)
    assert story.ready("ann") == [2]


def test_part_waits_for_what_the_larger_task_needs(story: PlanStory) -> None:
    story.add("ann", "first")
    story.add("ann", "epic", needs=(1,))
    story.add("ann", "part", parent=2)
    assert story.ready("ann") == [1]
    story.close("ann", 1)
    assert story.ready("ann") == [3]


# --- lines of phases ---------------------------------------------------------------------------------------------------


def test_task_goes_through_its_line_of_phases(story: PlanStory) -> None:
    story.start("carl", role="coder")
    story.start("ada", role="architect")
    story.add("ann", "login", phases=("SPECS@role:architect", "BUILD@role:coder", "PRODUCTION"))
    assert (story.ready("ada"), story.ready("carl")) == ([1], [])
    story.next("ada")
    story.close("ada", 1, note="see docs/spec.md", commit=COMMIT)
    task = story.task(1)
    assert (task.status, task.phase, task.to, task.phases) == ("open", "BUILD", "role:coder", ("PRODUCTION",))
    assert task.result is not None
    assert (task.result.commit, task.note, task.done_by) == (COMMIT, "see docs/spec.md", "ada")
    assert story.holds("ada") == set()
    assert (story.ready("ada"), story.ready("carl")) == ([], [1])
    story.close("carl", 1)
    assert (story.task(1).phase, story.ready("ada")) == ("PRODUCTION", [1])
    story.close("bob", 1)
    assert (story.task(1).status, story.state.rules.tasks.done) == ("done", 1)


def test_another_phase_or_worker_than_the_line_says_can_be_named(story: PlanStory) -> None:
    story.add("ann", "x", phases=("SPECS", "BUILD", "REVIEW@role:reviewer", "SHIP"))
    story.close("ann", 1, next_phase="REVIEW")
    assert (story.task(1).phase, story.task(1).to, story.task(1).phases) == ("REVIEW", "role:reviewer", ("SHIP",))
    story.close("ann", 1, next_phase="FIX", to="bob")
    assert (story.task(1).phase, story.task(1).to, story.task(1).phases) == ("FIX", "bob", ("SHIP",))


# --- who closes --------------------------------------------------------------------------------------------------------


def test_only_the_holder_closes_a_task(story: PlanStory) -> None:
    story.add("ann", "x")
    story.claim("ann", "task:1")
    for status in ("done", "dropped"):
        with pytest.raises(NotHeld, match="only who holds a task"):
            story.close("bob", 1, status)
        assert "ann holds" in str(story.problem(story.event(TaskClosed, "bob", task=1, status=status)))
    story.close("ann", 1)
    assert (story.task(1).done_by, story.holds("ann")) == ("ann", set())
    assert story.close("ann", 1) is None
    with pytest.raises(NotHeld, match="was done by ann"):
        story.close("bob", 1)


def test_anybody_closes_what_nobody_holds_any_more(story: PlanStory) -> None:
    story.add("ann", "x")
    story.claim("ann", "task:1", ttl_seconds=300)
    story.wait(minutes(6))
    story.close("bob", 1)
    assert story.task(1).done_by == "bob"
    assert story.state.claims == {}


def test_closing_frees_the_files_of_the_task_and_no_others(story: PlanStory) -> None:
    story.add("ann", "x", files=("src/a.py", "src/b.py"))
    story.add("ann", "y", files=("src/b.py",))
    story.next("ann")
    story.claim("ann", "task:2", "src/other.py")
    story.close("ann", 1)
    assert story.holds("ann") == {"task:2", "file:src/b.py", "file:src/other.py"}


def test_closed_task_can_be_claimed_by_nobody_and_nobody_waits_for_it(story: PlanStory) -> None:
    story.add("ann", "x")
    story.claim("ann", "task:1")
    story.claim("bob", "task:1", wait=True)
    story.close("ann", 1)
    assert story.state.waiting == {}
    assert story.holds("bob") == set()
    with pytest.raises(Held, match="was done by ann"):
        story.claim("bob", "task:1", wait=True)
    with pytest.raises(BadInput, match="no task 9"):
        story.claim("bob", "task:9")


def test_whoever_waits_in_line_for_a_task_gets_its_next_phase(story: PlanStory) -> None:
    story.add("ann", "x", phases=("A", "B"))
    story.claim("ann", "task:1")
    story.claim("bob", "task:1", wait=True)
    story.close("ann", 1)
    lease = story.lease("task:1")
    assert lease is not None
    assert (lease.claimed_by, lease.offered_until is not None) == ("bob", True)


def test_what_is_said_too_late_has_no_effect_but_new_tasks_come(story: PlanStory) -> None:
    story.add("ann", "x")
    late = story.command(CloseTask, "ann", task="1")
    found = story.command(AddTasks, "ann", tasks=(new_task("found meanwhile"),))
    story.start("ann", succeeds="ann-1")
    event = story.ask(late)
    assert event is not None
    assert event.lapsed == "a newer run goes on"
    assert story.task(1).is_open
    story.ask(found)
    assert story.task(2).title == "found meanwhile"


# --- what a card may be ------------------------------------------------------------------------------------------------


@given(cards)
def test_card_reads_back_as_it_was_written(text: str) -> None:
    card = read_card(text)
    assert read_card(task_cards.spelled(card.model_dump(mode="json", by_alias=True, exclude_defaults=True))) == card


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"title":"a" }', '{"title":"a","title":"b"}', '{"title":"\\u0061"}', '{"title":"a","priority":5}',
        '{"title":"a","priority":true}', '{"title":"a","priority":2.0}', '{"title":"a","needs":["1"]}', '{"title":"a","needs":[0]}',
        '{"title":"a","needs":[[1]]}', '{"title":"a","x":{"y":1}}', '{"title":"a","for":"broadcast"}', '{"title":"a","to":"ann"}',
        '{"title":"a","needs":[' + "9" * 20 + "]}", '{"title":"a","priority":NaN}', '{"title":"' + "x" * 201 + '"}',
        '{"title":"a","files":["nothing"]}', '{"title":"\\ud800"}', "{" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="card"):
        read_card(text)


def test_field_of_a_later_version_is_passed_over() -> None:
    assert read_card('{"title":"a","later":["x"]}') == Card(title="a")


def test_too_much_text_for_one_commit_is_parted(story: PlanStory) -> None:
    large = [new_task(f"t{number}", body="\x01" * 60_000) for number in range(5)]
    groups = task_cards.parted(large)
    assert [card for group in groups for card in group] == large
    assert len(groups) > 1
    for group in groups:
        story.add_many("ann", *group)
    assert len(story.state.tasks) == 5
    with pytest.raises(BadInput, match="too much"):
        story.add_many("ann", *large)
    assert len(json.dumps(large[0].body)) < 400_000


@given(st.lists(st.integers(1, 700), min_size=1, max_size=3))
def test_parts_hold_no_more_tasks_than_an_event(sizes: list[int]) -> None:
    every = [new_task("x")] * sum(sizes)
    groups = task_cards.parted(every)
    assert sum(map(len, groups)) == len(every)
    assert max(map(len, groups)) <= task_cards.AT_ONCE


def test_lease_on_a_task_is_an_ordinary_one(story: PlanStory) -> None:
    story.add("ann", "x")
    story.claim("ann", "task:1", ttl_seconds=300)
    story.wait(hours(1))
    story.claim("bob", "task:1")
    lease = story.lease("task:1")
    assert lease is not None
    assert lease.claimed_by == "bob"
    assert [one.subject for one in story.unread("ann")] == ["bob took over what you held"]
