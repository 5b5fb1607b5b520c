"""What needs somebody: every kind of item is found where it is, and only there."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pure_branch import T0, Story, days, hours, minutes, seconds

from gitcoord.core.state import Draft, State
from gitcoord.views.attention import Item, attention


@pytest.fixture
def story() -> Story:
    """A branch with three sessions, at ten o'clock."""
    return Story.of("ann", "bob", "eve")


def found(story: Story, now: datetime | None = None) -> list[Item]:
    """What needs somebody now."""
    return attention(story.state, now or story.now)


def kinds(story: Story, now: datetime | None = None) -> list[str]:
    """The kinds of it."""
    return [item.kind for item in found(story, now)]


def test_quiet_branch_needs_nobody(story: Story) -> None:
    story.beat("ann", "building", files_touched=("a.py",))
    story.claim("ann", "a.py")
    story.send("ann", "broadcast", "hello")
    assert found(story) == []
    assert attention(State(), T0) == []


# --- bad commits -------------------------------------------------------------------------------------------------------


def test_bad_commit_is_named_with_its_reason(story: Story) -> None:
    (item,) = attention(story.state, T0, [("abcdef0123456789" * 2, "it changes what its event doesn't")])
    assert item.kind == "bad_commit"
    assert "abcdef012345" in item.text
    assert "it changes what its event doesn't" in item.text


# --- waiting and blocked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "words"), [("person", "a person"), ("claim", "a claim"), ("answer", "an answer")])
def test_waiting_session_is_named_with_what_it_waits_for(story: Story, target: str, words: str) -> None:
    story.beat("ann", "waiting", target=target)
    (item,) = found(story)
    assert (item.kind, item.sessions) == ("waiting", ("ann",))
    assert item.text == f"ann waits for {words}"


def test_session_that_goes_on_waits_no_more(story: Story) -> None:
    story.beat("ann", "waiting", target="person")
    story.beat("ann", "building")
    assert found(story) == []


def test_ended_session_waits_for_nothing(story: Story) -> None:
    story.beat("ann", "waiting", target="person")
    story.end("ann")
    assert found(story) == []


def test_blocked_session_is_named_with_what_blocks_it(story: Story) -> None:
    story.beat("ann", "blocked", blocked_by="the deploy key")
    (item,) = found(story)
    assert (item.kind, item.sessions) == ("blocked", ("ann",))
    assert item.text == "ann is blocked by the deploy key"


def test_blocked_by_alone_is_enough_and_a_new_action_ends_it(story: Story) -> None:
    story.beat("ann", "building", blocked_by="a review")
    assert kinds(story) == ["blocked"]
    story.beat("ann", "testing")
    assert kinds(story) == []


# --- overlapping work --------------------------------------------------------------------------------------------------


def test_file_that_two_touched_and_nobody_claims_is_named(story: Story) -> None:
    story.beat("ann", "editing", files_touched=("src/api.py", "a.py"))
    story.beat("bob", "editing", files_touched=("src/api.py", "b.py"))
    (item,) = found(story)
    assert (item.kind, item.sessions, item.resource) == ("overlap", ("ann", "bob"), "file:src/api.py")


@pytest.mark.parametrize("name", ["src/api.py", "src", "src/*.py"])
def test_file_that_one_of_them_claims_is_no_overlap(story: Story, name: str) -> None:
    story.claim("ann", name)
    story.beat("ann", "editing", files_touched=("src/api.py",))
    story.beat("bob", "editing", files_touched=("src/api.py",))
    assert "overlap" not in kinds(story)


def test_claim_of_a_third_does_not_settle_it(story: Story) -> None:
    story.claim("eve", "src/api.py")
    story.beat("ann", "editing", files_touched=("src/api.py",))
    story.beat("bob", "editing", files_touched=("src/api.py",))
    assert "overlap" in kinds(story)


def test_files_of_one_session_or_different_files_are_no_overlap(story: Story) -> None:
    story.beat("ann", "editing", files_touched=("src/api.py",))
    story.beat("bob", "editing", files_touched=("src/app.py",))
    assert found(story) == []


@pytest.mark.parametrize(("age", "news"), [(hours(11), True), (hours(13), False)])
def test_file_touched_long_ago_is_no_news(story: Story, age: timedelta, news: bool) -> None:
    story.beat("ann", "editing", files_touched=("src/api.py",))
    story.wait(age).beat("bob", "editing", files_touched=("src/api.py",))
    assert ("overlap" in kinds(story)) is news


def test_ended_session_overlaps_with_nobody(story: Story) -> None:
    story.beat("ann", "editing", files_touched=("src/api.py",))
    story.beat("bob", "editing", files_touched=("src/api.py",))
    story.end("ann")
    assert found(story) == []


# --- leases ------------------------------------------------------------------------------------------------------------


def test_expired_lease_is_free_to_take_over(story: Story) -> None:
    story.claim("ann", "a")
    story.wait(hours(1) + minutes(2))
    (item,) = found(story)
    assert (item.kind, item.sessions, item.resource) == ("expired", ("ann",), "file:a")
    assert "free to take over" in item.text
    assert story.claim("bob", "a") is not None


def test_lease_within_the_grace_is_not_said_to_be_free(story: Story) -> None:
    """Whoever is told so and claims it is refused."""
    story.claim("ann", "a")
    story.wait(hours(1) + seconds(30))
    assert not any("free to take over" in item.text for item in found(story))


@pytest.mark.parametrize(("left", "soon"), [(minutes(11), False), (minutes(10), True), (minutes(1), True)])
def test_lease_about_to_expire_is_named(story: Story, left: timedelta, soon: bool) -> None:
    story.claim("ann", "a")
    story.wait(hours(1) - left)
    draft = Draft(story.state)  # it says something without renewing, as an older program does
    draft.put("sessions", "ann", story.state.sessions["ann"].model_copy(update={"last_heartbeat": story.now}))
    story.state = draft.state(seq=story.state.seq, at=story.now)
    assert kinds(story) == (["expires_soon"] if soon else [])


@pytest.mark.parametrize(("silent", "named"), [(minutes(14), False), (minutes(15), True), (minutes(40), True)])
def test_silent_holder_is_named(story: Story, silent: timedelta, named: bool) -> None:
    story.claim("ann", "a", ttl_seconds=14400)
    story.wait(silent)
    assert kinds(story) == (["silent_holder"] if named else [])


def test_holder_that_is_heard_is_not_silent(story: Story) -> None:
    story.claim("ann", "a", ttl_seconds=14400)
    story.wait(minutes(14)).send("ann", "broadcast", "still here")
    story.wait(minutes(14))
    assert found(story) == []


def test_silence_without_a_lease_needs_nobody(story: Story) -> None:
    story.wait(days(3))
    assert found(story) == []


# --- mail --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "named"), [(minutes(14), False), (minutes(15), True), (days(2), True), (days(2) + seconds(1), False)]
)
def test_direct_message_that_nobody_took_is_named(story: Story, age: timedelta, named: bool) -> None:
    story.send("ann", "bob", "are you there?")
    story.wait(age)
    assert kinds(story) == (["unread"] if named else [])


@pytest.mark.parametrize(("age", "named"), [(minutes(14), False), (minutes(15), True), (days(2), True), (days(3), False)])
def test_age_of_a_message_is_its_own_not_its_ids(story: Story, age: timedelta, named: bool) -> None:
    story.send("ann", "bob", "are you there?", op="deploy-42")
    story.wait(age)
    assert kinds(story) == (["unread"] if named else [])


def test_taken_message_is_no_news(story: Story) -> None:
    story.send("ann", "bob", "are you there?")
    story.take("bob")
    story.wait(minutes(30))
    assert found(story) == []


def test_question_is_named_until_it_is_answered(story: Story) -> None:
    key = story.send("ann", "bob", "ready?", type="question").id
    story.wait(minutes(20))
    assert kinds(story) == ["unanswered"]
    story.take("bob")
    (item,) = found(story)
    assert (item.kind, item.sessions) == ("unanswered", ("ann", "bob"))
    assert "ready?" in item.text
    story.send("bob", "ann", "yes", in_reply_to=key)
    assert "unanswered" not in kinds(story)


def test_broadcast_and_mail_to_the_ended_are_no_news(story: Story) -> None:
    story.send("ann", "broadcast", "all")
    story.send("ann", "eve", "gone")
    story.end("eve")
    story.wait(minutes(30))
    assert found(story) == []


@pytest.mark.parametrize("op", ["deploy-42", "0000000000-deploy-finished-2025", "00a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3"])
def test_message_under_a_callers_own_id_counts_like_any_other(story: Story, op: str) -> None:
    story.send("ann", "bob", "are you there?", op=op)
    story.wait(minutes(30))
    assert kinds(story) == ["unread"]


# --- order -------------------------------------------------------------------------------------------------------------


def test_same_state_and_time_give_the_same_list(story: Story) -> None:
    story.beat("bob", "blocked", blocked_by="x")
    story.beat("ann", "waiting", target="person")
    story.claim("eve", "a", "b")
    story.wait(hours(2))
    assert found(story) == found(story)
    assert [(item.kind, item.sessions) for item in found(story)] == [
        ("waiting", ("ann",)), ("blocked", ("bob",)), ("expired", ("eve",)),
    ]  # fmt: skip


def test_what_is_over_hides_no_question(story: Story) -> None:
    """Thirty claims that are over are a line, the claims of a silent holder another, and both stand behind people."""
    story.claim("eve", *(f"file{number}" for number in range(30)))
    story.claim("bob", *(f"other{number}" for number in range(30)), ttl_seconds=14400)
    story.wait(hours(2)).send("ann", "bob", "Which version?", type="question")
    items = found(story)
    assert [(item.kind, item.sessions) for item in items] == [
        ("unanswered", ("ann", "bob")), ("silent_holder", ("bob",)), ("expired", ("eve",)),
    ]  # fmt: skip
    assert "30 claims of eve have expired, free to take over: file:file0, file:file1, file:file10 and 27 more" in items[-1].text
