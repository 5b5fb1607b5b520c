"""Who did what: what each session's part of a report says, what a span leaves out, and that pasting it runs nothing."""

from __future__ import annotations

import re

import pytest
from plans import PlanStory
from pure_branch import COMMIT, T0, Story, hours, minutes

from gitcoord.views.holdings import HistoryStep
from gitcoord.views.report import Report, markdown, report, totals


def told(story: Story, session: str = "") -> Report:
    """The report of all that happened in the story."""
    steps = [HistoryStep(f"{number:040x}", one.event, one.committed_at) for number, one in enumerate(story.past)]
    return report(steps, story.state, T0, story.now, session)


@pytest.fixture
def day() -> PlanStory:
    """Ann builds, closes a task and hands over; bob waits for her file, asks her, and takes over."""
    story = PlanStory.of("ann", "bob")
    assert isinstance(story, PlanStory)
    story.add("ann", "the intake form")
    story.claim("ann", "task:1", "src/api.py")
    story.claim("bob", "src/api.py", wait=True)
    story.send("bob", "ann", "how long?", type="question")
    story.wait(minutes(10)).beat(
        "ann", "committed", target="Greet the world", commit=COMMIT, folded=1, files_touched=("src/api.py",)
    )
    story.close("ann", 1)
    story.release("ann", "src/api.py", done="endpoints work", tests="pass")
    story.wait(minutes(1)).claim("bob", "src/api.py")
    story.handoff("ann", "bob", next="error messages")
    story.end("ann", done=("the landing page",))
    return story


def test_each_session_has_what_it_did(day: PlanStory) -> None:
    ann, bob = told(day).sessions
    assert (ann.session, ann.standing, ann.ended) == ("ann", "completed", T0 + minutes(11))
    assert ann.done == ["endpoints work (tests pass)", "the landing page"]
    assert [(one.seq, one.title, one.status) for one in ann.tasks] == [(1, "the intake form", "done")]
    assert ann.commits == {COMMIT: "Greet the world"}
    assert list(ann.files) == ["src/api.py"]
    assert ann.gave == ["to bob: error messages"]
    assert bob.questions == 1
    (wait,) = bob.waits
    assert ((wait.until or T0) - wait.since) == minutes(10)
    assert {str(lease.resource) for lease in ann.holdings} == {"task:1", "file:src/api.py"}
    assert totals(told(day)) | {"claims": 0} == {
        "sessions": 2, "tasks": 1, "commits": 1, "files": 1, "claims": 0, "waits": 1, "handoffs": 0, "questions": 1,
    }  # fmt: skip


def test_report_of_one_session_names_no_other(day: PlanStory) -> None:
    text = markdown(told(day, "bob"))
    assert "## bob" in text
    assert "## ann" not in text
    assert "waited for" in text


def test_page_says_what_was_done_and_by_whom(day: PlanStory) -> None:
    text = markdown(told(day))
    assert text.startswith("# Work from 2025-11-15 10:00 to 2025-11-15 10:11 UTC\n\n**2 sessions, 1 task, 1 commit, 1 file, ")
    ann = text.partition("## ann")[2].partition("## ")[0]
    for line in (
        "(started 10:00, ended 10:11)", "- **done** (2): endpoints work \\(tests pass\\); the landing page",
        "- **tasks** (1): \\#1 the intake form", f"- **commits** (1): {COMMIT[:9]} Greet the world",
        "- **files** (1): src/api.py", "- **handed over** (1): to bob: error messages", "- **held**: 2 claims, ",
    ):  # fmt: skip
        assert line in ann, line


def test_what_began_before_the_span_is_left_out_and_breaks_nothing(day: PlanStory) -> None:
    steps = [HistoryStep(f"{number:040x}", one.event, one.committed_at) for number, one in enumerate(day.past)]
    late = [step for step in steps if step.committed_at > T0]
    ann, bob = report(late, day.state, T0 + minutes(5), day.now).sessions
    assert (ann.started, ann.holdings, bob.waits) == (None, [], [])
    assert ann.done == ["endpoints work (tests pass)", "the landing page"]


def test_long_lists_are_cut_and_counted() -> None:
    story = Story.of("ann")
    story.beat("ann", files_touched=tuple(f"src/{number}.py" for number in range(9)))
    assert "- **files** (9): src/0.py, src/1.py, src/2.py, src/3.py, src/4.py, and 4 more" in markdown(told(story))


@pytest.mark.parametrize("words", ["@everyone", "# x", "<script>", "[a](javascript:x)", "www.evil.example", "|", "- x", "`rm`"])
def test_pasting_it_mentions_links_and_draws_nothing(words: str) -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "a", f"droplet:{words}")
    story.claim("bob", f"droplet:{words}", wait=True)
    story.beat("ann", "committed", target=words, commit=COMMIT, folded=1, files_touched=(words,))
    story.release("ann", "a", done=words)
    story.handoff("ann", "bob", next=words)
    story.wait(hours(1)).end("ann", done=(words,))
    text = markdown(told(story))
    assert "<" not in text
    assert not re.search(r"@[\w-]|(?i:www)\.\w|\]\(|(?<!\\)`", text)
    assert [line for line in text.splitlines() if line and not line.startswith(("# Work", "**", "## ann", "## bob", "- **"))] == []
