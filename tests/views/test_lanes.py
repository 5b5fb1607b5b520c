"""A picture in lanes: nothing overlaps, and nothing is left out without being counted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from pure_branch import Story, minutes
from workdays import picture_of, workday

from gitcoord.views.lanes import ROWS, arrows, lanes


@pytest.mark.parametrize("seed", [1, 2])
def test_spans_of_a_row_never_overlap_and_all_are_drawn_or_counted(seed: int) -> None:
    picture = picture_of(workday(6, events=250, seed=seed))
    found = lanes(picture, narrowest=1 / 64)
    assert {lane.session for lane in found} == {stay.session for stay in picture.stays}
    for lane in found:
        assert lane.rows <= ROWS
        for row in range(lane.rows):
            spans = sorted((span.begin, span.end) for span in lane.spans if span.row == row)
            assert all(before[1] <= after[0] for before, after in pairwise(spans))
        claims = {(bar.began[0], bar.ended, bar.until) for bar in picture.bars if bar.session == lane.session}
        waits = [wait for wait in picture.waits if wait.session == lane.session]
        assert len(lane.spans) + lane.left <= len(claims) + len(waits)
        assert bool(lane.spans) == bool(claims or waits)


def test_a_claim_on_many_files_is_one_span() -> None:
    story = Story.of("ann")
    story.claim("ann", "a", "b", "c")
    (lane,) = lanes(picture_of(story.wait(minutes(30))), narrowest=0.01)
    assert [(span.label, span.live) for span in lane.spans] == [("a +2", True)]


def test_who_waits_and_who_has_ended_is_said() -> None:
    story = Story.of("ann", "bob", "cat")
    story.claim("ann", "a")
    story.claim("bob", "a", wait=True)
    story.wait(minutes(1)).end("cat", done=("the form",))
    found = lanes(picture_of(story), narrowest=0.01)
    assert {lane.session: (lane.state, lane.about) for lane in found} == {
        "ann": ("working", ""), "bob": ("waiting", ""), "cat": ("ended", "the form"),
    }  # fmt: skip
    assert found[-1].session == "cat"


def test_messages_and_handoffs_lead_from_lane_to_lane() -> None:
    story = Story.of("ann", "bob")
    story.send("ann", "bob", "may I?", type="question")
    story.send("ann", "broadcast", "to all")
    story.accept("bob", story.handoff("ann", "bob", next="the rest"))
    picture = picture_of(story)
    shown = lanes(picture, narrowest=0.01)
    ann, bob = ([lane.session for lane in shown].index(name) for name in ("ann", "bob"))
    found = [(one.kind, one.source, one.target, one.open) for one in arrows(picture, shown)]
    assert found == [("message", ann, bob, True), ("handoff", ann, bob, False)]
