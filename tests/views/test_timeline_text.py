"""The lanes in letters: they fit the terminal, and nothing that a session wrote moves or hides anything in them."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone

import pytest
from hostile import hostile_story
from pure_branch import T0, Story, minutes
from workdays import picture_of, workday

from gitcoord.core.names import UNSAFE
from gitcoord.views.timeline_text import Clock, text, ticks

CLOCK = Clock(lambda when: when.astimezone(UTC))


def plain(story: Story, width: int = 80) -> list[str]:
    """The lines without their colours."""
    return ["".join(piece for piece, _ in line) for line in text(picture_of(story), CLOCK, width=width)]


@pytest.mark.parametrize("width", [80, 120])
def test_each_line_fits(width: int) -> None:
    for story in (workday(8, events=250), hostile_story(), Story.of()):
        lines = plain(story, width)
        assert max(map(len, lines)) <= width
        assert not any(UNSAFE.search(line) for line in lines)


def test_a_claim_stands_in_its_sessions_lane_where_it_was_held() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "src/api.py", ttl_seconds=7200)
    story.wait(minutes(60)).release("ann", "src/api.py")
    story.claim("bob", "docs", ttl_seconds=7200)
    story.wait(minutes(60)).send("ann", "bob", "may I?", type="question")
    lines = plain(story)
    ann = next(at for at, line in enumerate(lines) if line.startswith("ann"))
    bob = next(at for at, line in enumerate(lines) if line.startswith("bob"))
    held, kept = lines[ann + 1].partition("[")[2], lines[bob + 1].partition("[")[2]
    assert (held[:11], held[-1]) == ("src/api.py=", "]")
    assert len(lines[ann + 1]) == pytest.approx(15 + 65 / 2, abs=2), "it ended in the middle"
    assert (kept[:5], kept[-1]) == ("docs=", ">"), "it goes on"
    assert lines[ann].endswith("?")


@pytest.mark.parametrize("width", [80, 97, 120])
def test_no_claim_covers_the_end_of_another(width: int) -> None:
    rows = [line[15:] for line in plain(workday(8, events=400), width)[1:-1]]
    assert sum(row.count("[") for row in rows) > 40
    assert [row for row in rows if re.search(r"[\[(][^\])>]*[\[(]", row)] == []


def test_the_axis_has_round_times_of_the_readers_zone() -> None:
    clock = Clock(lambda when: when.astimezone(timezone(timedelta(hours=5, minutes=30))))
    found = ticks(T0, T0 + timedelta(hours=6), clock, 6)
    assert [word for _, word in found] == ["16:00", "17:00", "18:00", "19:00", "20:00", "21:00"]
    assert found[0][0] == pytest.approx(0.5 / 6)
