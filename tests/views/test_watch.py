"""The screen of `watch`: it fills the terminal and no more, whatever sessions wrote; and what each key does."""

from __future__ import annotations

from datetime import datetime

import pytest
from hostile import hostile_story
from pure_branch import Story, minutes
from workdays import workday

from gitcoord.core.names import UNSAFE
from gitcoord.views.attention import attention
from gitcoord.views.cells import width
from gitcoord.views.watch import TABS, Cursor, Happening, Scene, frame, pressed, scene


def seen(story: Story) -> Scene:
    """What would be shown of that story."""
    events = [Happening(one.event.seq, one.committed_at, one.event.session, one.event.headline()) for one in story.past]
    return scene(story.state, story.now, attention(story.state, story.now), events, title="shop", asked=story.now)


def drawn(shown: Scene, cursor: Cursor, now: datetime, columns: int = 120, rows: int = 30) -> list[str]:
    """The screen without its colours."""
    return ["".join(piece for piece, _ in line) for line in frame(shown, cursor, now, columns, rows)]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (30, 10), (200, 12)])
def test_the_screen_is_filled_and_nothing_leaves_it(size: tuple[int, int]) -> None:
    for story in (workday(8, events=200), hostile_story(), Story.of()):
        shown = seen(story)
        for tab in TABS:
            for session in ("", "ada", "eve-3"):
                lines = drawn(shown, Cursor(tab, 3, session), story.now, *size)
                assert len(lines) == size[1]
                assert max(map(width, lines)) <= size[0]
                assert not any(UNSAFE.search(line) for line in lines)


def test_who_does_what_is_shown() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "src/api.py", ttl_seconds=3600)
    story.claim("bob", "src/api.py", wait=True)
    story.beat("ann", "building", target="the form")
    story.send("ann", "bob", "may I?", type="question")
    shown = seen(story.wait(minutes(5)))
    sessions = "\n".join(drawn(shown, Cursor(), story.now))
    top = sessions.splitlines()
    assert top[0].startswith("shop: 1 waiting · 1 unanswered")
    assert " ".join(top[1].split()) == "1 sessions 2 2 claims 2 3 tasks 0 4 messages 1 5 log 7"
    assert "bob has not answered ann: may I?" in sessions
    ann, bob = (next(line for line in sessions.splitlines() if line.startswith(name)) for name in ("ann ", "bob "))
    assert ann.split() == ["ann", "active", "building", "the", "form", "src/api.py", "5", "min"]
    assert bob.split()[:4] == ["bob", "waiting", "for", "src/api.py"]
    assert any(
        line.startswith("src/api.py") and line.rstrip().endswith("in 55 min") for line in drawn(shown, Cursor("claims"), story.now)
    )


def test_a_remote_that_is_away_is_said_by_the_age_of_what_is_shown() -> None:
    story = Story.of("ann")
    assert "asked 3 min ago" in drawn(seen(story), Cursor(), story.now + minutes(3))[0]


def test_keys_choose_tables_rows_and_a_sessions_day() -> None:
    shown = seen(workday(8, events=200))
    second = shown.tables["sessions"][1].session
    cursor = pressed(Cursor(), "down", shown)
    assert cursor == Cursor("sessions", 1)
    opened = pressed(cursor, "enter", shown)
    assert opened.session == second
    assert pressed(opened, "j", shown).session == shown.tables["sessions"][2].session, "the day goes with the row"
    assert pressed(opened, "enter", shown).session == pressed(opened, "escape", shown).session == ""
    assert [pressed(cursor, key, shown).tab for key in ("c", "3", "m", "l", "tab", "left")] == [
        "claims", "tasks", "messages", "log", "claims", "log",
    ]  # fmt: skip
    assert pressed(Cursor("log"), "end", shown).row == len(shown.events) - 1
    assert pressed(cursor, "q", shown).quit
    assert pressed(cursor, "?", shown) == cursor


def test_a_sessions_day_has_its_own_events_the_newest_first() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "a")
    story.wait(minutes(2)).claim("bob", "b")
    story.wait(minutes(2)).release("ann", "a")
    day = [line.partition("│")[2].strip() for line in drawn(seen(story), Cursor(session="ann"), story.now) if "│" in line]
    events = [line for line in day if "claim:" in line or "release:" in line]
    assert [line.split()[:3] for line in events] == [["0", "s", "release:"], ["4", "min", "claim:"]]


def test_eighty_columns_show_how_to_leave_and_all_sums() -> None:
    story = workday(8, events=200)
    screen = drawn(seen(story), Cursor(), story.now, 80, 24)
    assert screen[-1].rstrip().endswith("q: quit")
    assert "tasks done" in screen[0]
    assert "…" not in screen[0]


def test_an_empty_table_says_what_would_stand_there() -> None:
    story = Story.of()
    shown = seen(story)
    assert "gitcoord start" in "\n".join(drawn(shown, Cursor(), story.now))
    for tab in TABS[1:4]:
        assert any(line.startswith("no") for line in drawn(shown, Cursor(tab), story.now)), tab


def test_columns_are_as_wide_as_what_stands_in_them() -> None:
    story = Story.of("ann")
    story.beat("ann", "writing tests for", target="src/web/refunds/form.tsx")
    row = next(line for line in drawn(seen(story), Cursor(), story.now, 80, 24) if line.startswith("ann "))
    assert "writing tests for src/web/refunds/form.tsx" in row, "nothing is held, so that column gives its place"
