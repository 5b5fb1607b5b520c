"""Planning for many: the tree, the longest way, what can be done at once; and a worksheet that stays small."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from plans import PlanStory, new_task
from strategies import texts

from gitcoord.core.names import resource_of
from gitcoord.core.overlap import overlaps
from gitcoord.core.readiness import Look, Survey
from gitcoord.views import board, briefing, task_tree, worksheet


def plan() -> PlanStory:
    """An epic with three parts, of which the last one waits for both others, and something after all of it."""
    story = PlanStory.of("ann", "bob")
    assert isinstance(story, PlanStory)
    story.add("ann", "epic")
    story.add("ann", "server", parent=1, files=("src/a.py",))
    story.add("ann", "form", parent=1, files=("src",))
    story.add("ann", "tests", parent=1, needs=(2, 3))
    story.add("ann", "release", needs=(1,))
    story.add("ann", "notes", files=("docs",))
    return story


def test_parts_stand_below_their_task_and_the_longest_way_is_marked() -> None:
    story = plan()
    story.claim("bob", "task:6")
    look = Look(story.state, story.state.sessions["ann"], story.now)
    assert task_tree.critical(look.survey) == (2, 4, 1, 5)
    assert task_tree.lines(look) == [
        "* #1 epic (3 open parts)",
        "*   #2 server (ready)",
        "    #3 form (ready)",
        "*   #4 tests (waits, after #2, #3)",
        "* #5 release (waits, after #1)",
        "  #6 notes (bob works on it until 2025-11-15T11:00:00Z)",
    ]


def test_no_two_of_a_wave_touch_one_file() -> None:
    story = plan()
    found = task_tree.wave(Look(story.state, None, story.now), 5, story.state.rules.settings)
    assert [one.task.seq for one in found.chosen] == [2, 6]
    assert [(one.task.seq, other) for one, other in found.left] == [(3, 2)]
    assert [one.task.seq for one in task_tree.wave(Look(story.state, None, story.now), 1, story.state.rules.settings).chosen] == [2]


@given(st.lists(st.lists(st.sampled_from(("a", "a/b", "a/*.py", "c", "c/d")), max_size=2), max_size=8), st.integers(1, 8))
def test_waves_of_any_plan_share_nothing_and_leave_nobody_idle(files: list[list[str]], workers: int) -> None:
    story = PlanStory.of("ann")
    assert isinstance(story, PlanStory)
    if files:
        story.add_many("ann", *(new_task(f"t{number}", files=tuple(some)) for number, some in enumerate(files)))
    found = task_tree.wave(Look(story.state, None, story.now), workers, story.state.rules.settings)
    touched = [(one.task.seq, resource_of(text)) for one in found.chosen for text in one.task.files]
    assert not any(overlaps(one, other) for seq, one in touched for also, other in touched if also != seq)
    assert len(found.chosen) == workers or len(found.chosen) + len(found.left) == len(files)


def test_longest_way_of_no_task_is_none() -> None:
    assert task_tree.critical(Survey({})) == ()


@given(texts, st.lists(texts, max_size=12))
def test_worksheet_stays_below_its_limit(body: str, notes: list[str]) -> None:
    story = PlanStory.of("ann")
    assert isinstance(story, PlanStory)
    for note in notes:
        seq = story.add("ann", "before " * 20).first
        story.close("ann", seq, note=note)
    needs = range(1, len(notes) + 1)
    story.add("ann", "x" * 200, body=body * 200, needs=needs, files=tuple(f"{'long' * 20}/{number}" for number in range(60)))
    task = story.task(len(notes) + 1)
    text = "\n".join(worksheet.lines(task, story.state.tasks.some(task.needs)))
    assert len(text.encode()) <= worksheet.LIMIT
    assert f"#{task.seq}" in text


def test_board_has_the_sums_and_what_is_in_work_and_ready() -> None:
    story = plan()
    assert "Tasks" not in board.render(PlanStory.of("ann").state)
    story.claim("bob", "task:2", "src/a.py")
    story.close("ann", 6)
    text = board.render(story.state)
    assert "**Tasks:** 1 of 6 done, 1 in work, 1 ready, 3 blocked" in text
    section = text[text.index("## 📦 Ready To Pick Up") : text.index("## 📬")]
    assert section.splitlines()[1:-1] == ["- **\\#3** form"]
    assert "| task:2 | bob | 11:00 | " in text
    assert " | server |" in text
    story.edit("ann", 3, **{"for": "role:coder"})
    assert "- **\\#3** form, for role:coder" in board.render(story.state)


def test_briefing_names_what_is_ready() -> None:
    story = plan()
    told = briefing.brief(story.state, "ann", story.now, nonce="0" * 32)
    assert "Ready for you" in told.text
    assert "- #2 server" in told.text
    assert told.counts["tasks"] == 3
