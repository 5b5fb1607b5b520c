"""Messages: to one or to all, each taken once, all of them, in the order of their seq."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure_branch import T0, Story, hours, minutes
from pydantic import ValidationError

from gitcoord.core import rules
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.inbox import matching
from gitcoord.core.messages import AT_ONCE, MessageRead, MessageSent, SendMessage, TakeMessages
from gitcoord.core.releases import ClaimReleased
from gitcoord.errors import BadInput, NoSession


@pytest.fixture
def story() -> Story:
    """A branch with three sessions, at ten o'clock."""
    return Story.of("ann", "bob", "eve")


def taken(story: Story, session: str, **asked: object) -> list[str]:
    """The subjects of what one look gives, in the order it gives them."""
    event = story.take(session, **asked)
    return [] if event is None else [story.state.messages[key].subject for key in event.messages]


# --- sending -----------------------------------------------------------------------------------------------------------


def test_direct_message_reaches_its_receiver_alone(story: Story) -> None:
    event = story.send("ann", "bob", "hello", message="two\nlines", type="finding", priority="high", details=("k=v", "a=b=c"))
    (note,) = story.unread("bob")
    assert (note.id, note.seq, note.sender, note.to, note.timestamp) == (event.id, event.seq, "ann", "bob", T0)
    assert (note.subject, note.message, note.type, note.priority, note.status) == (
        "hello",
        "two\nlines",
        "finding",
        "high",
        "pending",
    )
    assert note.details == {"k": "v", "a": "b=c"}
    assert story.unread("ann") == story.unread("eve") == []


def test_broadcast_reaches_all_but_its_sender(story: Story) -> None:
    story.send("ann", "broadcast", "hello")
    assert story.subjects("bob") == story.subjects("eve") == ["hello"]
    assert story.subjects("ann") == []


def test_message_to_nobody_is_refused(story: Story) -> None:
    with pytest.raises(NoSession):
        story.send("ann", "nobody", "hello")
    with pytest.raises(NoSession):
        story.send("nobody", "ann", "hello")


def test_message_of_an_older_run_still_arrives(story: Story) -> None:
    late = story.command(SendMessage, "ann", to="bob", subject="sent offline")
    story.start("ann", succeeds="ann-1")
    heard = story.state.sessions["ann"]
    story.wait(hours(1)).ask(late)
    (note,) = story.unread("bob")
    assert (note.subject, note.timestamp) == ("sent offline", T0)
    assert story.state.sessions["ann"] == heard  # no sign of life of the newer run


@pytest.mark.parametrize("to", ["role:a/b", "role:", "team:x", "Bob", "", "human", "a b", "../x"])
def test_message_to_what_is_no_receiver_is_not_valid(story: Story, to: str) -> None:
    assert story.problem(story.event(MessageSent, "ann", to=to, subject="x")) is not None


@pytest.mark.parametrize("to", ["role:builder", "cap:C", "repo:my.lib", "all", "nobody-yet", "broadcast"])
def test_message_to_what_can_be_a_receiver_is_valid(story: Story, to: str) -> None:
    assert story.problem(story.event(MessageSent, "ann", to=to, subject="x")) is None


@pytest.mark.parametrize("subject", ["two\nlines", "\x1b[2J", "nul\x00", "tab\t", "x" * 201], ids=lambda text: ascii(text[:9]))
def test_subject_of_more_than_a_line_is_neither_asked_nor_valid(story: Story, subject: str) -> None:
    for kind in (story.command, story.event):
        with pytest.raises(ValidationError):
            kind(SendMessage if kind == story.command else MessageSent, "ann", to="bob", subject=subject)
    assert story.problem(story.event(MessageSent, "ann", to="bob", subject="x" * 200)) is None


def test_message_under_the_id_of_anothers_message_is_neither_decided_nor_valid(story: Story) -> None:
    """Own records only: the file of a message that is there is never rewritten by a second sending."""
    first = story.send("ann", "bob", "the plan")
    assert story.problem(story.event(MessageSent, "eve", to="bob", subject="forged", id=first.id)) is not None
    assert story.problem(story.event(MessageSent, "eve", to="bob", subject="another")) is None
    with pytest.raises(BadInput):
        story.send("eve", "bob", "forged", op=first.id)


def test_what_an_event_makes_never_takes_the_place_of_anothers_record(story: Story) -> None:
    """A release makes a message and an offer, a takeover an alert: under ids that nothing has yet."""
    story.claim("ann", "droplet:x")
    made = story.release("ann", "droplet:x", done="the truth", next_phase="P").id
    fence = story.claim("ann", "a").seq
    entry = f"{story.claim('eve', 'droplet:y').seq} droplet:y"
    forged = [
        story.event(ClaimReleased, "eve", id=made, released=(entry,), done="a lie"),
        story.event(ClaimReleased, "eve", id=made, released=(entry,), next_phase="Q"),
        story.event(
            ClaimAcquired, "eve", id=made, resources=("file:a",), taken=(f"{fence} ann broken file:a",), ttl_seconds=300,
            expires_at=T0 + minutes(5),
        ),
    ]  # fmt: skip
    before = dict(story.state.messages.items()), dict(story.state.handoffs.items())
    for event in forged:
        if story.problem(event) is None:
            after = rules.evolve(story.state, event, T0)
            assert {key: after.messages.get(key) for key in before[0]} == before[0]
            assert {key: after.handoffs.get(key) for key in before[1]} == before[1]


# --- unread ------------------------------------------------------------------------------------------------------------


def test_what_was_sent_to_all_before_the_start_is_not_ones_mail(story: Story) -> None:
    story.send("ann", "broadcast", "before")
    story.start("new")
    story.send("ann", "broadcast", "after")
    assert story.subjects("new") == ["after"]


def test_own_broadcasts_are_never_in_the_own_inbox(story: Story) -> None:
    for number in range(3):
        story.send("ann", "broadcast", f"ann {number}")
        story.send("bob", "broadcast", f"bob {number}")
    assert story.subjects("ann") == ["bob 0", "bob 1", "bob 2"]
    assert taken(story, "ann") == ["bob 0", "bob 1", "bob 2"]
    assert story.subjects("ann") == []


def test_order_goes_by_seq_not_by_time(story: Story) -> None:
    """A message that waited offline for an hour is news: it comes after what was read meanwhile."""
    late = story.command(SendMessage, "ann", to="broadcast", subject="written first, sent last")
    story.wait(minutes(30)).send("eve", "broadcast", "written last, sent first")
    assert taken(story, "bob") == ["written last, sent first"]
    story.wait(minutes(30)).ask(late)
    assert taken(story, "bob") == ["written first, sent last"]
    story.ask(story.command(SendMessage, "ann", to="bob", subject="one", at=T0 + hours(9)))
    story.ask(story.command(SendMessage, "ann", to="broadcast", subject="two", at=T0))
    assert taken(story, "bob") == ["one", "two"]


def test_two_messages_of_one_second_are_two(story: Story) -> None:
    for subject in ("one", "two", "three"):
        story.send("ann", "bob", subject)
    assert story.subjects("bob") == ["one", "two", "three"]
    assert len({one.id for one in story.unread("bob")}) == 3


@pytest.mark.parametrize("count", [6, 50, AT_ONCE])
def test_all_unread_messages_are_taken_not_the_newest_five(story: Story, count: int) -> None:
    for number in range(count):
        story.send("ann", "bob" if number % 2 else "broadcast", f"{number}")
    assert taken(story, "bob") == [str(number) for number in range(count)]
    assert taken(story, "bob") == []


def test_more_than_a_reader_can_bear_comes_in_several_looks(story: Story) -> None:
    count = AT_ONCE + 5
    for number in range(count):
        story.send("ann", "bob" if number % 2 else "broadcast", f"{number}")
    first, second = taken(story, "bob"), taken(story, "bob")
    assert (len(first), len(second)) == (AT_ONCE, 5)
    assert first + second == [str(number) for number in range(count)]


def test_expired_message_is_not_unread(story: Story) -> None:
    story.send("ann", "bob", "soon over", expires_at=T0 + hours(1))
    story.send("ann", "broadcast", "soon over too", expires_at=T0 + hours(1))
    story.send("ann", "bob", "for ever")
    assert story.subjects("bob") == ["soon over", "soon over too", "for ever"]
    story.wait(hours(1))
    assert story.subjects("bob") == ["for ever"]


# --- taking ------------------------------------------------------------------------------------------------------------


def test_each_message_is_taken_once(story: Story) -> None:
    story.send("ann", "bob", "direct")
    story.send("ann", "broadcast", "to all")
    twin = story.command(TakeMessages, "bob")
    assert taken(story, "bob") == ["direct", "to all"]
    assert story.ask(twin) is None
    assert taken(story, "eve") == ["to all"]


def test_taking_marks_the_record(story: Story) -> None:
    story.send("ann", "bob", "direct")
    event = story.wait(minutes(3)).take("bob")
    (key,) = event.messages
    note, session = story.state.messages[key], story.state.sessions["bob"]
    assert (note.status, note.read_at) == ("read", T0 + minutes(3))
    assert (session.taken, session.taken_at) == ((key,), (T0 + minutes(3),))


def test_looking_into_an_empty_box_is_no_event(story: Story) -> None:
    assert story.take("bob") is None


def test_filter_takes_only_what_matches(story: Story) -> None:
    story.send("ann", "broadcast", "a note")
    story.send("eve", "broadcast", "a question", type="question")
    story.send("ann", "bob", "a direct question", type="question")
    assert taken(story, "bob", sender="eve", type="note") == []
    assert taken(story, "bob", type="question") == ["a question", "a direct question"]
    assert taken(story, "bob", sender="ann") == ["a note"]
    assert taken(story, "bob") == []


def test_cursor_stops_at_the_first_broadcast_that_stays_unread(story: Story) -> None:
    seqs = [story.send("ann", "broadcast", f"{number}", type="question" if number % 2 else "note").seq for number in range(6)]
    story.take("bob", type="question")
    session = story.state.sessions["bob"]
    assert session.read_seq == seqs[0] - 1
    assert session.read_beyond == (seqs[1], seqs[3], seqs[5])
    assert story.subjects("bob") == ["0", "2", "4"]
    story.take("bob")
    session = story.state.sessions["bob"]
    assert session.read_seq >= seqs[5]
    assert session.read_beyond == ()


def test_message_that_comes_after_a_filtered_look_is_unread(story: Story) -> None:
    story.send("ann", "broadcast", "note")
    story.send("ann", "broadcast", "question", type="question")
    story.take("bob", type="question")
    story.send("ann", "broadcast", "news")
    assert story.subjects("bob") == ["note", "news"]


def test_what_was_taken_but_never_shown_is_given_again(story: Story) -> None:
    story.send("ann", "bob", "lost on the way")
    key = story.take("bob").messages[0]
    story.send("ann", "bob", "new")
    again = story.take("bob", again=(key,))
    assert [story.state.messages[one].subject for one in again.messages] == ["lost on the way", "new"]


def test_only_ones_own_last_taking_is_given_again(story: Story) -> None:
    story.send("ann", "bob", "shown long ago")
    key = story.take("bob").messages[0]
    story.beat("bob", "building")  # something followed: it was shown
    assert story.take("bob", again=(key,)) is None
    assert story.take("eve", again=(key,)) is None
    assert story.take("bob", again=("01JD0000000000000000000000",)) is None


def test_giving_again_loses_nothing_of_what_is_new(story: Story) -> None:
    """One look has a limit; what didn't fit beside the repeated ones stays unread."""
    story.send("ann", "bob", "lost on the way")
    key = story.take("bob").messages[0]
    for number in range(AT_ONCE):
        story.send("ann", "broadcast", f"{number}")
    first = [story.state.messages[one].subject for one in story.take("bob", again=(key,)).messages]
    rest = taken(story, "bob")
    assert [*first, *rest] == ["lost on the way", *(str(number) for number in range(AT_ONCE))]


def test_taking_anothers_mail_is_not_valid(story: Story) -> None:
    key = story.send("ann", "bob", "for bob").id
    open_key = story.send("ann", "broadcast", "for all").id
    seq = story.state.seq
    assert story.problem(story.event(MessageRead, "eve", messages=(key,), read_seq=seq)) == f"message {key} is for bob"
    assert story.problem(story.event(MessageRead, "bob", messages=(key,), read_seq=seq)) is None
    assert story.problem(story.event(MessageRead, "eve", messages=(open_key,), read_seq=seq)) is None


def test_cursor_neither_goes_back_nor_beyond_the_present(story: Story) -> None:
    key = story.send("ann", "bob", "x").id
    begun = story.state.sessions["bob"].read_seq
    for cursor, valid in ((begun - 1, False), (begun, True), (story.state.seq, True), (story.state.seq + 1, False)):
        event = story.event(MessageRead, "bob", messages=(key,), read_seq=cursor)
        assert (story.problem(event) is None) is valid


def test_old_run_takes_nothing(story: Story) -> None:
    key = story.send("ann", "bob", "x").id
    event = story.event(MessageRead, "bob", messages=(key,), read_seq=story.state.seq, run_id="bob-0")
    assert story.problem(event) is not None


# --- answering ---------------------------------------------------------------------------------------------------------


def test_reply_marks_the_question_as_answered(story: Story) -> None:
    question = story.send("ann", "bob", "ready?", type="question").id
    story.take("bob")
    assert story.state.messages[question].status == "read"
    answer = story.send("bob", "ann", "yes", type="answer", in_reply_to=question)
    assert story.state.messages[question].status == "answered"
    assert (answer.in_reply_to, answer.thread) == (question, question)


def test_replies_share_the_thread_of_the_first(story: Story) -> None:
    first = story.send("ann", "bob", "1").id
    second = story.send("bob", "ann", "2", in_reply_to=first).id
    assert story.send("ann", "bob", "3", in_reply_to=second).thread == first


def test_reply_by_somebody_else_does_not_mark(story: Story) -> None:
    question = story.send("ann", "bob", "ready?").id
    story.send("eve", "ann", "I think so", in_reply_to=question)
    assert story.state.messages[question].status == "pending"


def test_answer_before_reading_stays_answered_when_read(story: Story) -> None:
    question = story.send("ann", "bob", "ready?").id
    story.send("bob", "ann", "yes", in_reply_to=question)
    assert taken(story, "bob") == ["ready?"]
    assert story.state.messages[question].status == "answered"


def test_reply_to_nothing_is_bad_input(story: Story) -> None:
    with pytest.raises(BadInput):
        story.send("ann", "bob", "x", in_reply_to="01JD0000000000000000000000")


# --- ids of any length -------------------------------------------------------------------------------------------------


def test_message_that_a_release_makes_can_be_taken_and_answered_whatever_the_operations_id(story: Story) -> None:
    """An id may be as long as the format allows; nobody's inbox may break on what is derived from it."""
    lengths = 0
    for length in range(1, 129):
        story.claim("ann", "a")
        try:
            story.release("ann", "a", done="done", op="x" * length)
        except ValidationError:
            break
        (note,) = story.unread("bob")
        assert taken(story, "bob") == [note.subject]
        story.send("bob", "ann", "thanks", in_reply_to=note.id)
        lengths = length
    assert lengths >= 64


def test_message_that_a_takeover_makes_can_be_taken_whatever_the_operations_id(story: Story) -> None:
    lengths = 0
    for length in range(1, 129):
        fence = story.claim("ann", "a").seq
        try:
            story.claim("bob", "a", breaks=fence, op="x" * length)
        except ValidationError:
            break
        assert len(taken(story, "ann")) == 1
        story.release("bob", "a")
        lengths = length
    assert lengths >= 64


# --- nothing is lost, nothing comes twice ------------------------------------------------------------------------------


steps = st.lists(
    st.tuples(st.just("send"), st.sampled_from("ab"), st.sampled_from(["broadcast", "r"]), st.sampled_from(["note", "question"]))
    | st.tuples(st.just("take"), st.sampled_from([None, "a", "b"]), st.sampled_from([None, "note", "question"]), st.none()),
    max_size=30,
)


@given(steps)
def test_however_one_filters_everything_is_taken_exactly_once_and_in_order(plan: list[tuple[str, str, str, str]]) -> None:
    story = Story.of("a", "b", "r")
    sent: list[str] = []
    seen: list[str] = []
    for what, one, two, kind in plan:
        if what == "send":
            sent.append(story.send(one, two, f"{len(sent)}", type=kind).id)
        else:
            before = [note.id for note in matching(story.unread("r"), one, two)]
            event = story.take("r", sender=one, type=two)
            got = list(event.messages) if event else []
            assert got == before
            seen += got
    event = story.take("r")
    seen += event.messages if event else ()
    assert sorted(seen) == sorted(sent)
    assert len(seen) == len(set(seen))
    assert story.unread("r") == []


# --- marks: taken, and perhaps never shown -----------------------------------------------------------------------------


def test_a_second_listeners_take_does_not_hide_that_the_first_one_never_showed_its_own(story: Story) -> None:
    first, second = (story.send("ann", "bob", text).id for text in ("one", "two"))
    story.take("bob", limit=1)
    story.wait(minutes(1)).take("bob", limit=1)
    bob = story.state.sessions["bob"]
    assert (bob.taken, bob.taken_at) == ((first, second), (T0, T0 + minutes(1)))
    assert story.take("bob", again=(first,), shown=(second,)).messages == (first,)
    bob = story.state.sessions["bob"]
    assert (bob.taken, bob.taken_at) == ((first,), (T0 + minutes(1),))


def test_what_was_shown_can_be_told_without_taking(story: Story) -> None:
    key = story.send("ann", "bob", "one").id
    story.take("bob")
    story.send("ann", "bob", "two")
    event = story.take("bob", shown=(key,), limit=0)
    assert (event.messages, event.shown) == ((), (key,))
    assert story.state.sessions["bob"].taken == ()
    assert story.subjects("bob") == ["two"]
    assert story.take("bob", shown=(key,), limit=0) is None
    assert story.problem(story.event(MessageRead, "bob", read_seq=story.state.sessions["bob"].read_seq)) is not None


def test_automatic_heartbeat_proves_nothing_about_what_was_shown(story: Story) -> None:
    key = story.send("ann", "bob", "one").id
    story.take("bob")
    story.beat("bob", "committed", folded=2)
    assert story.state.sessions["bob"].taken == (key,)
    story.send("bob", "ann", "thanks")
    assert story.state.sessions["bob"].taken == ()
