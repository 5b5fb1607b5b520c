"""What is looked at of a long past: as little as the question needs, and the answer is that of the whole state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pure_branch import T0, Lines, Story, days, hours, listing, minutes

from gitcoord.core import inbox
from gitcoord.core.retention import sweep
from gitcoord.core.state import State
from gitcoord.views import board, tree


class Counted:
    """A tree whose looks are counted."""

    def __init__(self, state: State) -> None:
        self.files = {path: tree.render(record) for path, record in tree.all_files(state).items()}
        self._list = listing(self.files)
        self.facts: dict[str, str] = {}
        self.read: list[str] = []
        self.listed: list[str] = []
        self._at = state.seq, state.at

    def _reads(self, names: Sequence[str]) -> list[bytes | None]:
        self.read += names
        return [self.files.get(name) for name in names]

    def _lists(self, names: Sequence[str]) -> list[Lines]:
        self.listed += names
        return self._list(names)

    def load(self) -> State:
        """The state, and the counts begin anew."""
        state = tree.load("", self._lists, self._reads, self.facts, seq=self._at[0], at=self._at[1])
        self.read, self.listed = [], []
        return state


@pytest.fixture(scope="module")
def long() -> Counted:
    """Forty sessions that came and went, a thousand messages that were read, and one that was not."""
    story = Story.of("ann", "bob")
    for number in range(40):
        story.start(f"old-{number}", role="builder")
        for turn in range(25):
            story.send(f"old-{number}", ("bob", "broadcast", "role:reader")[turn % 3], f"{number} {turn}")
        story.wait(hours(3))
        story.take("bob")
        story.end(f"old-{number}")
    story.start("bob", succeeds="bob-1", role="reader")
    while story.take("bob"):  # one look takes no more than a reader can bear
        pass
    story.send("ann", "bob", "new")
    return Counted(story.state)


def test_unread_is_found_without_reading_or_listing_what_was_read(long: Counted) -> None:
    days_of_mail = ("messages/broadcast/", "messages/read/2025-11-15/", "messages/read/2025-11-16/")
    inbox.unread(long.load(), "bob", T0 + days(10))
    assert any(path.startswith(days_of_mail) for path in long.listed)  # the first time
    state = long.load()
    assert [one.subject for one in inbox.unread(state, "bob", T0 + days(10))] == ["new"]
    assert [path for path in long.read if path.startswith("messages/")] == [path for path in long.files if "/direct/bob/" in path]
    assert not any(path.startswith(days_of_mail) for path in long.listed)


def test_board_and_the_last_hour_read_neither_old_messages_nor_ended_sessions(long: Counted) -> None:
    expected = board.render(long.load())
    state = long.load()
    assert board.render(state) == expected
    assert not any(path.startswith(("messages/read/", "messages/broadcast/")) for path in long.read)
    ended = {path for path in long.read if path.startswith("sessions/old-")}
    assert len(ended) <= 10  # those of today


def test_what_is_too_young_to_leave_is_not_read_to_find_that_out() -> None:
    story = Story.of("ann", "bob")
    for number in range(90):
        story.send("ann", "broadcast", f"{number}")
        story.wait(minutes(10))
    story.wait(story.state.rules.retention - hours(10))
    story.beat("ann", "working")
    long = Counted(story.state)
    removed, _ = sweep(long.load(), "bob", story.now)
    assert 20 < len(removed) < 40
    assert len([path for path in long.read if path.startswith("messages/")]) == len(removed)


def test_facts_that_can_not_be_read_are_none(long: Counted) -> None:
    plain_ = Counted.load(long).sessions.signs()
    for bad in ("", "[]", "{", "[1, 2, 3]", '[null, "x", null]', '["2025-11-15T10:00:00Z"]', "[1, 1e400, null]"):
        long.facts = {path: bad for path in long.files if path.startswith("sessions/")}
        assert long.load().sessions.signs() == plain_
    long.facts = {}


def _subjects(found: Any) -> list[str]:
    return sorted(one.id for one in found)


steps = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["a", "b", "broadcast", "role:x", "repo:y"]),
              st.sampled_from(["note", "question", "notice"]), st.booleans()) | st.sampled_from("ab") | st.just(30.0),
    max_size=14,
)  # fmt: skip


OF_EACH_KIND = [
    ("b", "role:x", "note", False), ("b", "a", "note", False), "a", ("a", "repo:y", "question", False), "b", 30.0,
    ("b", "a", "note", True), ("a", "broadcast", "note", False), "b", ("b", "role:x", "note", False),
]  # fmt: skip


@example(OF_EACH_KIND)
@given(steps)
def test_stored_mail_answers_as_the_mail_in_memory_does(plan: list[Any]) -> None:
    story = Story.of()
    story.start("a", role="x")
    story.start("b", repo="y", capabilities=("z",))
    last = None
    for step in plan:
        if isinstance(step, float):
            story.wait(hours(step))
        elif isinstance(step, str):
            story.take(step)
        else:
            sender, to, kind, answers = step
            reply = last if answers and kind == "note" else None
            last = story.send(sender, to, "s", type=kind, expires_at=T0 + days(9), in_reply_to=reply).id
    tables = [Counted(story.state).load(), story.state]
    changed = [state.messages.with_changes({last: None} if last else {}) for state in tables]
    for stored, plain_ in zip(changed, [state.messages for state in tables], strict=True):
        assert set(plain_) - set(stored) == ({last} if last else set())
    for one, two in ((tables[0].messages, tables[1].messages), (changed[0], changed[1])):
        for to in (("a",), ("b", "broadcast"), ("role:x", "repo:y"), ("cap:z", "c")):
            assert _subjects(one.to(*to)) == _subjects(two.to(*to))
            for after in range(story.state.seq + 1):
                assert _subjects(one.coming(after, *to)) == _subjects(two.coming(after, *to))
        assert _subjects(one.waiting()) == _subjects(two.waiting())
        for seq in range(story.state.seq + 1):
            assert _subjects(one.numbered(seq)) == _subjects(two.numbered(seq))
        for day in (T0.date(), (T0 + days(2)).date(), date.max):
            assert sorted(one.said(first=day)) == sorted(two.said(first=day))
            assert sorted(one.said(last=day)) == sorted(two.said(last=day))
    for name, signs in tables[0].sessions.signs():
        one = story.state.sessions[name]
        assert (signs.live, signs.ended_at, signs.last_heartbeat, signs.host) == (
            one.live,
            one.ended_at,
            one.last_heartbeat,
            one.host,
        )
    assert set(tables[0].sessions) == set(tables[1].sessions)
    assert [one.session_id for one in tables[0].sessions.live()] == ["a", "b"]
