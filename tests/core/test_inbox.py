"""Whose a message is: groups, notices, expiry, who has read it, what is open, and talk that goes round in circles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure_branch import T0, Story, days, hours, listing, minutes

from gitcoord.core import inbox
from gitcoord.core.addresses import reaches
from gitcoord.core.messages import MessageRead, MessageSent
from gitcoord.errors import BadInput, Looping, NoSession
from gitcoord.views import tree
from gitcoord.views.attention import attention


@pytest.fixture
def story() -> Story:
    """A branch with ann, who asks, and two reviewers, bob and eve."""
    story = Story.of("ann")
    for name in ("bob", "eve"):
        story.start(name, role="reviewer", capabilities=("rust", "sql"), repo="library")
    return story


def took(story: Story, session: str, **asked: object) -> list[str]:
    """The subjects of what one look takes."""
    event = story.take(session, **asked)
    return [] if event is None else [story.state.messages[key].subject for key in event.messages]


def status(story: Story, key: str) -> str:
    """How far that message is."""
    return story.state.messages[key].status


# --- groups ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["role:reviewer", "cap:rust", "cap:sql", "repo:library"])
def test_message_to_a_group_comes_once_to_each_of_its_sessions(story: Story, to: str) -> None:
    story.send("ann", to, "please look")
    for name in ("bob", "eve"):
        assert story.subjects(name) == ["please look"]
        assert took(story, name) == ["please look"]
        assert took(story, name) == []
    assert story.subjects("ann") == []


@pytest.mark.parametrize("to", ["role:builder", "role:Reviewer", "cap:rus", "repo:reviewer", "cap:reviewer", "role:rust"])
def test_message_to_another_group_is_not_theirs(story: Story, to: str) -> None:
    key = story.send("ann", to, "not you").id
    assert story.subjects("bob") == []
    assert story.problem(story.event(MessageRead, "bob", messages=(key,), read_seq=story.state.seq)) is not None


def test_sender_does_not_get_its_own_message_to_its_group(story: Story) -> None:
    story.send("bob", "role:reviewer", "mine")
    assert (story.subjects("bob"), story.subjects("eve")) == ([], ["mine"])


def test_who_joins_gets_what_nobody_of_the_group_has_taken(story: Story) -> None:
    story.send("ann", "role:builder", "before anybody")
    story.send("ann", "repo:shop", "before anybody there")
    story.start("new", role="builder", repo="shop")
    assert took(story, "new") == ["before anybody", "before anybody there"]
    assert took(story, "new") == []
    story.start("late", role="builder", repo="shop")
    assert story.subjects("late") == []


def test_who_goes_on_with_another_role_gets_what_waits_for_it(story: Story) -> None:
    story.send("ann", "broadcast", "to all")
    story.send("ann", "role:builder", "waits")
    assert took(story, "bob") == ["to all"]  # its cursor has passed the other one
    story.start("bob", succeeds="bob-1", role="builder")
    assert took(story, "bob") == ["waits"]
    assert took(story, "bob") == []


def test_first_taker_makes_it_read_and_the_others_still_get_it(story: Story) -> None:
    key = story.send("ann", "role:reviewer", "x").id
    assert status(story, key) == "pending"
    story.wait(minutes(1)).take("bob")
    assert (status(story, key), story.state.messages[key].read_at) == ("read", T0 + minutes(1))
    assert took(story.wait(minutes(1)), "eve") == ["x"]
    assert story.state.messages[key].read_at == T0 + minutes(1)


def test_whoever_of_the_group_answers_answers_it(story: Story) -> None:
    key = story.send("ann", "role:reviewer", "who knows?", type="question").id
    story.take("bob")
    story.send("eve", "ann", "I do", type="answer", in_reply_to=key)
    assert status(story, key) == "answered"


@pytest.mark.parametrize("who", ["ann", "zed"])
def test_who_is_not_asked_answers_nothing(story: Story, who: str) -> None:
    story.start("zed")
    key = story.send("ann", "role:reviewer", "who knows?", type="question").id
    story.send(who, "bob", "hm", type="answer", in_reply_to=key)
    assert status(story, key) == "pending"


def test_answered_question_to_a_group_goes_to_no_other(story: Story) -> None:
    key = story.send("ann", "role:reviewer", "who knows?", type="question").id
    story.send("ann", "role:reviewer", "a note")
    story.take("bob")
    story.send("bob", "ann", "I do", type="answer", in_reply_to=key)
    assert story.subjects("eve") == ["a note"]
    story.start("late", role="reviewer")
    assert story.subjects("late") == []


def test_counter_question_to_a_group_question_leaves_it_open(story: Story) -> None:
    key = story.send("ann", "cap:rust", "why?", type="question").id
    story.send("bob", "ann", "which one?", type="question", in_reply_to=key)
    assert status(story, key) == "pending"


def test_message_to_a_group_that_nobody_is_in_is_sent_all_the_same(story: Story) -> None:
    assert story.send("ann", "repo:nothing-yet", "hello").to == "repo:nothing-yet"
    with pytest.raises(NoSession):
        story.send("ann", "nobody", "hello")


@pytest.mark.parametrize("to", ["role:", "role:a b", "role:a/b", "cap:.x", "team:x", "role:x.lock", "role:" + "x" * 65])
def test_receiver_that_can_not_be_is_neither_sent_to_nor_valid(story: Story, to: str) -> None:
    with pytest.raises(NoSession):
        story.send("ann", to, "hello")
    assert story.problem(story.event(MessageSent, "ann", to=to, subject="x")) is not None


def test_cursor_stops_before_what_a_filter_leaves_of_a_group(story: Story) -> None:
    story.send("ann", "role:reviewer", "a note")
    story.send("ann", "broadcast", "a question", type="question")
    assert took(story, "bob", type="question") == ["a question"]
    assert took(story, "bob") == ["a note"]
    assert took(story, "bob") == []


def test_group_message_that_was_never_shown_is_given_again(story: Story) -> None:
    key = story.send("ann", "role:reviewer", "x").id
    story.take("bob")
    assert story.take("bob", again=(key,)).messages == (key,)


# --- expiry and notices ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["bob", "role:reviewer", "broadcast"])
def test_expired_message_is_neither_given_nor_open_nor_shown(story: Story, to: str) -> None:
    story.send("ann", to, "in time?", type="question", expires_at=T0 + hours(1))
    assert [one.subject for one in inbox.to_answer(story.state, "bob", story.now)] == ["in time?"]
    assert [one.kind for one in attention(story.state, story.now)] == ["unanswered"]
    story.wait(hours(1))
    assert story.subjects("bob") == []
    assert inbox.to_answer(story.state, "bob", story.now) == []
    assert [one.kind for one in attention(story.state, story.now)] == []
    story.start("late", role="reviewer")
    assert story.subjects("late") == []


def test_notice_comes_once_to_who_is_there_and_to_who_starts_later_while_it_is_pinned(story: Story) -> None:
    story.send("ann", "broadcast", "frozen", type="notice", expires_at=T0 + hours(4))
    story.send("ann", "broadcast", "no notice", expires_at=T0 + hours(4))
    story.send("ann", "broadcast", "without an end", type="notice")
    assert took(story, "bob") == ["frozen", "no notice", "without an end"]
    story.wait(hours(1)).start("late")
    for _ in range(3):
        story.send("ann", "broadcast", "more")
        assert took(story, "late") in (["frozen", "more"], ["more"])
    assert story.state.sessions["late"].read_beyond
    assert took(story, "late") == []
    story.wait(hours(3)).start("too-late")
    assert story.subjects("too-late") == []


def test_notice_of_long_ago_is_kept_until_it_ends(story: Story) -> None:
    key = story.send("ann", "broadcast", "frozen", type="notice", expires_at=T0 + days(30)).id
    old = story.send("ann", "broadcast", "old").id
    story.wait(days(20))
    for name in ("ann", "bob", "eve", "ann", "bob"):
        story.beat(name, "building")
    assert (key in story.state.messages, old in story.state.messages) == (True, False)
    assert [one.subject for one in inbox.notices(story.state, story.now)] == ["frozen"]
    story.wait(days(10))
    assert inbox.notices(story.state, story.now) == []


def test_what_nobody_of_a_group_took_waits_for_who_comes_and_what_was_read_leaves(story: Story) -> None:
    waits = story.send("ann", "repo:nobody", "waits").id
    read = story.send("ann", "role:reviewer", "read").id
    ends = story.send("ann", "repo:nobody", "ends", expires_at=T0 + days(1)).id
    answered = story.send("ann", "role:reviewer", "sure?", type="question").id
    story.send("eve", "ann", "yes", type="answer", in_reply_to=answered)
    story.take("bob")
    story.wait(days(20))
    for name in ("ann", "bob", "eve", "ann", "bob"):
        story.beat(name, "building")
    assert [key in story.state.messages for key in (waits, read, ends, answered)] == [True, False, False, False]
    story.start("at-last", repo="nobody")
    assert story.subjects("at-last") == ["waits"]


# --- who has read it ---------------------------------------------------------------------------------------------------


def test_who_has_read_a_message(story: Story) -> None:
    direct = story.send("ann", "bob", "direct").id
    group = story.send("ann", "role:reviewer", "group").id
    to_all = story.send("eve", "broadcast", "to all").id

    def readers(key: str) -> tuple[str, ...]:
        return inbox.read_by(story.state, story.state.messages[key])

    assert [readers(key) for key in (direct, group, to_all)] == [(), (), ()]
    story.take("bob")
    assert [readers(key) for key in (direct, group, to_all)] == [("bob",), ("bob",), ("bob",)]
    story.start("late", role="reviewer")
    story.send("ann", "broadcast", "later")
    for name in ("eve", "ann", "late"):
        story.take(name)
    assert [readers(key) for key in (direct, group, to_all)] == [("bob",), ("bob", "eve"), ("ann", "bob")]


def test_who_took_it_before_others_and_who_took_it_late_has_read_it(story: Story) -> None:
    story.send("ann", "broadcast", "a note")
    question = story.send("ann", "broadcast", "a question", type="question").id
    waits = story.send("ann", "role:builder", "waits").id
    story.take("bob", type="question")
    story.start("late", role="builder")
    story.take("late")
    assert inbox.read_by(story.state, story.state.messages[question]) == ("bob",)
    assert inbox.read_by(story.state, story.state.messages[waits]) == ("late",)


# --- what is open ------------------------------------------------------------------------------------------------------


def test_question_that_was_taken_and_not_answered_shows_and_the_asked_ones_own_comes_first(story: Story) -> None:
    story.send("ann", "eve", "to eve?", type="question")
    group = story.send("ann", "role:reviewer", "to the group?", type="question").id
    story.send("bob", "broadcast", "to all?", type="question")
    story.beat("ann", "blocked", blocked_by="the tests")
    story.take("eve")
    texts = [one.text for one in attention(story.state, story.now, me="eve")]
    assert texts == [
        "eve has not answered ann: to eve?",
        "nobody of role:reviewer has answered ann: to the group?",
        "nobody has answered bob: to all?",
        "ann is blocked by the tests",
    ]
    story.send("bob", "ann", "yes", type="answer", in_reply_to=group)
    assert [one.kind for one in attention(story.state, story.now)] == ["unanswered", "unanswered", "blocked"]


def test_question_to_all_is_answered_by_anyone_but_its_sender(story: Story) -> None:
    key = story.send("ann", "broadcast", "whose port is it?", type="question").id
    story.send("ann", "broadcast", "nobody?", type="answer", in_reply_to=key)
    assert status(story, key) == "pending"
    story.send("bob", "ann", "mine", type="answer", in_reply_to=key)
    assert status(story, key) == "answered"
    assert "whose port is it?" in story.subjects("eve")  # what is to all is for all


def test_reply_alone_thinks_of_questions_to_it_and_its_groups_before_those_to_all(story: Story) -> None:
    story.send("ann", "broadcast", "anybody?", type="question")
    assert [one.subject for one in inbox.to_answer(story.state, "bob", story.now)] == ["anybody?"]
    story.send("ann", "role:reviewer", "a reviewer?", type="question")
    story.send("ann", "role:builder", "a builder?", type="question")
    assert [one.subject for one in inbox.to_answer(story.state, "bob", story.now)] == ["a reviewer?"]
    assert inbox.to_answer(story.state, "ann", story.now) == []


# --- circles -----------------------------------------------------------------------------------------------------------


def chat(story: Story, turns: int, *names: str) -> str:
    """A question and so many replies, each to the one before: the last one's id."""
    first, second = names or ("ann", "bob")
    key: str = story.send(first, second, "?", type="question").id
    for turn in range(turns):
        sender, to = (second, first) if turn % 2 == 0 else (first, second)
        key = story.send(sender, to, f"{turn}", type="answer", in_reply_to=key).id
    return key


def test_two_that_only_answer_each_other_are_stopped(story: Story) -> None:
    story.setting("ann", "talk_limit", "4")
    key = chat(story, 5)  # one answer to the question, four answers to answers
    for kind in ("answer", "note", "question"):
        with pytest.raises(Looping, match="4 times"):
            story.send("ann", "bob", "and on", type=kind, in_reply_to=key)
    assert story.problem(story.event(MessageSent, "ann", to="bob", subject="and on", in_reply_to=key)) is None
    story.send("ann", "bob", "something new")
    story.send("eve", "bob", "a third one", in_reply_to=key)


@pytest.mark.parametrize("worker", ["ann", "bob"])
def test_work_of_either_begins_anew(story: Story, worker: str) -> None:
    story.setting("ann", "talk_limit", "2")
    key = chat(story, 3)
    story.beat(worker, "committed", folded=3)
    story.take(worker)
    with pytest.raises(Looping):
        story.send("ann", "bob", "and on", in_reply_to=key)
    story.beat(worker, "building")
    story.send("ann", "bob", "and on", in_reply_to=key)


def test_without_a_limit_nobody_is_stopped_and_a_limit_is_a_number(story: Story) -> None:
    story.setting("ann", "talk_limit", "0")
    chat(story, 40)
    for text in ("-1", "many", "1h", "1001", "1.5"):
        with pytest.raises(BadInput):
            story.setting("ann", "talk_limit", text)


def test_people_are_never_stopped(story: Story) -> None:
    story.setting("ann", "talk_limit", "2")
    story.start("human-kim")
    chat(story, 9, "ann", "human-kim")
    key: str | None = None
    for _ in range(9):
        said = story.send("eve", "ann", "a person says", type="question", in_reply_to=key, details=("via=slack", "author=Kim"))
        key = story.send("ann", "eve", "an answer", type="answer", in_reply_to=said.id).id


# --- the cursor against a simple model ---------------------------------------------------------------------------------


@dataclass
class Model:
    """Who is to get what, said simply: for each session the messages that it was there for, or that waited when it looked."""

    groups: dict[str, set[str]] = field(default_factory=dict)
    there: dict[str, set[str]] = field(default_factory=dict)  # sent while it was there, by session
    sent: list[tuple[str, str, str, bool]] = field(default_factory=list)  # id, sender, receiver, whether it is pinned
    got: dict[str, set[str]] = field(default_factory=dict)

    def start(self, name: str, *groups: str) -> None:
        """A session is there, or goes on in other groups."""
        self.groups[name] = {"broadcast", name, *groups}
        self.there.setdefault(name, set())
        self.got.setdefault(name, set())

    def send(self, key: str, sender: str, to: str, pinned: bool) -> None:
        """A message is sent: whoever is there may have it."""
        self.sent.append((key, sender, to, pinned))
        for name in self.groups:
            self.there[name].add(key)

    def unread(self, name: str) -> list[str]:
        """What that session is still to get, in order."""
        taken = set().union(*self.got.values())
        return [
            key
            for key, sender, to, pinned in self.sent
            if to in self.groups[name]
            and key not in self.got[name]
            and (to == name or sender != name)
            and (key in self.there[name] or pinned or to == name or (":" in to and key not in taken))
        ]


NAMES = ("ann", "bob", "eve")
TYPES = ("note", "question", "notice")
sends = st.tuples(
    st.just("send"), st.sampled_from(NAMES),
    st.sampled_from(["broadcast", "ann", "bob", "role:a", "role:b", "cap:c", "repo:shop"]), st.sampled_from(TYPES),
)  # fmt: skip
takes = st.tuples(
    st.just("take"), st.sampled_from(NAMES), st.sampled_from([None, *NAMES]), st.sampled_from([None, "note", "question"])
)
starts = st.tuples(st.just("start"), st.sampled_from(NAMES), st.sampled_from(["a", "b"]), st.booleans())


@given(st.lists(sends | takes | starts, max_size=30))
def test_unread_is_what_a_simple_model_says_after_any_order_of_sends_takes_and_starts(plan: list[tuple[Any, ...]]) -> None:
    """A group's member is one for good here: who changes its role is looked at above."""
    story, model = Story.of(), Model()
    for step in plan:
        what, name, *rest = step
        if what == "start" and name not in model.groups:
            role, can = rest
            given_ = {"role": role, "capabilities": ("c",) if can else (), "repo": "shop"}
            story.start(name, **given_)
            model.start(name, f"role:{role}", "repo:shop", *(["cap:c"] if can else []))
        elif what == "send" and name in model.groups and (":" in rest[0] or rest[0] == "broadcast" or rest[0] in model.groups):
            to, kind = rest
            end = T0 + hours(9) if kind == "notice" else None
            model.send(story.send(name, to, "x", type=kind, expires_at=end).id, name, to, pinned=end is not None)
        elif what == "take" and name in model.groups:
            event = story.take(name, sender=rest[0], type=rest[1])
            model.got[name] |= set(event.messages if event else ())
        files = {path: tree.render(record) for path, record in tree.all_files(story.state).items()}
        again = tree.load("", listing(files), lambda names, files=files: [files[one] for one in names], seq=story.state.seq, at=T0)
        for one in model.groups:
            expected = model.unread(one)
            assert [note.id for note in story.unread(one)] == expected
            assert [note.id for note in inbox.unread(again, one, story.now)] == expected


# --- the receivers of a session ----------------------------------------------------------------------------------------


def test_receivers_of_a_session_are_those_that_reach_it(story: Story) -> None:
    bob = story.state.sessions["bob"]
    assert inbox.receivers(bob) == ["bob", "broadcast", "cap:rust", "cap:sql", "role:reviewer", "repo:library"]
    assert all(reaches(to, bob) for to in inbox.receivers(bob))
    odd = bob.model_copy(update={"role": "a / b", "capabilities": ("", "x" * 70), "repo": None})
    assert inbox.receivers(odd) == ["bob", "broadcast"]
