"""Places in line on the pure rules: who is next, what is offered, what is refused for ever."""

from __future__ import annotations

import pytest
from pure_branch import Story, minutes, seconds

from gitcoord.core import leases, queue
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.queue import ClaimQueued, LinePassed
from gitcoord.core.renewals import ClaimRenewed
from gitcoord.core.state import Draft
from gitcoord.errors import BadInput, Held


def waits(story: Story, session: str, *names: str, **given: object) -> object:
    """The session asks and is ready to wait a minute and a half."""
    return story.claim(session, *names, wait=True, **given)


def holders(story: Story) -> dict[str, list[str]]:
    """Who holds or is offered what."""
    found: dict[str, list[str]] = {}
    for lease in story.state.claims.values():
        found.setdefault(str(lease.resource), []).append(lease.claimed_by)
    return {name: sorted(who) for name, who in found.items()}


def in_line(story: Story) -> list[str]:
    """Who stands in line, first one first."""
    return [place.session_id for place in queue.line(story.state, story.now)]


@pytest.fixture
def story() -> Story:
    """Ann holds file a; bob and cy wait for it, in that order."""
    found = Story.of("ann", "bob", "cy", "dee", "eve")
    found.claim("ann", "a")
    waits(found, "bob", "a")
    waits(found, "cy", "a")
    return found


def test_free_resource_is_held_at_once_by_who_would_wait() -> None:
    story = Story.of("ann")
    assert isinstance(waits(story, "ann", "a"), ClaimAcquired)
    assert in_line(story) == []


def test_release_offers_to_the_first_in_the_same_commit(story: Story) -> None:
    event = story.release("ann", "a")
    assert holders(story) == {"file:a": ["bob"]}
    (lease,) = leases.held_by(story.state, "bob")
    assert (lease.fence, lease.offered_until, lease.expires_at) == (event.seq, story.now + minutes(2), story.now + minutes(2))
    assert in_line(story) == ["cy"]


def test_collected_offer_is_a_full_lease_under_the_same_fence(story: Story) -> None:
    fence = story.release("ann", "a").seq
    assert isinstance(waits(story, "bob", "a"), ClaimRenewed)
    (lease,) = leases.held_by(story.state, "bob")
    assert (lease.fence, lease.offered_until, lease.expires_at) == (fence, None, story.now + minutes(60))


def test_offer_is_made_with_what_was_asked_for() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "a")
    waits(story, "bob", "a", ttl_seconds=7200, phase="BUILD", reason="the page", allow_coordination=False)
    story.release("ann", "a")
    (lease,) = leases.held_by(story.state, "bob")
    assert (lease.ttl_seconds, lease.phase, lease.reason, lease.allow_coordination) == (7200, "BUILD", "the page", False)


@pytest.mark.parametrize("how", ["end", "release", "abandon"])
def test_whatever_frees_it_serves_the_line(story: Story, how: str) -> None:
    if how == "end":
        story.end("ann")
    elif how == "release":
        story.release("ann", "a")
    else:
        for name in ("bob", "cy", "dee", "eve"):
            story.beat(name, "working")
        story.wait(minutes(60 * 24 * 15))
        # cy and bob asked again lately; ann has been silent for longer than the retention
        for name in ("bob", "cy", "dee"):
            story.beat(name, "working")
        waits(story, "bob", "a")
    assert "bob" in holders(story)["file:a"]


def test_uncollected_offer_passes_on_to_the_next_when_it_asks(story: Story) -> None:
    story.release("ann", "a")
    story.wait(minutes(2) + seconds(1))
    assert isinstance(waits(story, "cy", "a"), ClaimAcquired)
    assert holders(story) == {"file:a": ["cy"]}


def test_who_stands_behind_passes_it_on_for_who_no_longer_asks(story: Story) -> None:
    waits(story, "dee", "a")
    story.release("ann", "a")  # offered to bob, who doesn't come
    story.wait(minutes(2) + seconds(1))
    assert waits(story, "dee", "a") is None  # cy has its head start
    story.wait(seconds(30))
    assert isinstance(waits(story, "dee", "a"), LinePassed)
    assert holders(story) == {"file:a": ["cy"]}
    story.wait(minutes(2) + seconds(1))
    assert isinstance(waits(story, "dee", "a"), ClaimAcquired)


def test_expired_lease_goes_to_the_head_of_the_line_only(story: Story) -> None:
    story.wait(minutes(9))
    for name in ("bob", "cy"):
        waits(story, name, "a")
    for _ in range(11):
        story.wait(minutes(5))
        for name in ("bob", "cy"):
            waits(story, name, "a")
        if holders(story) != {"file:a": ["ann"]}:
            break
    assert holders(story) == {"file:a": ["bob"]}


def test_ended_and_late_ones_are_skipped(story: Story) -> None:
    waits(story, "dee", "a")
    story.end("bob")
    story.wait(minutes(11))
    waits(story, "dee", "a")
    story.wait(minutes(11))  # cy's place has run out by now
    event = story.release("ann", "a")
    assert event.granted == (f"{event.granted[0].split()[0]} dee file:a",)


def test_who_has_ended_is_offered_nothing_even_where_a_place_was_left(story: Story) -> None:
    (seq, place), *_ = sorted(story.state.waiting.items())
    story.end("bob")
    draft = Draft(story.state)
    draft.put("waiting", seq, place)
    story.state = draft.state(seq=story.state.seq, at=story.state.at)
    assert [entry.split()[1] for entry in story.release("ann", "a").granted] == ["cy"]
    assert holders(story) == {"file:a": ["cy"]}


def test_place_outlives_its_poller_by_ten_minutes_and_no_more(story: Story) -> None:
    place = story.state.waiting[min(story.state.waiting)]
    assert minutes(10) <= place.until - story.now <= minutes(20)


def test_place_outlives_its_last_poller_by_ten_minutes_however_often_it_asked(story: Story) -> None:
    for _ in range(30):
        waits(story, "bob", "a")
        place = story.state.waiting[min(story.state.waiting)]
        assert minutes(10) <= place.until - story.now <= minutes(20)
        story.wait(seconds(45))


def test_asking_again_keeps_the_place_and_makes_no_commit(story: Story) -> None:
    seq = story.state.seq
    for _ in range(5):
        assert waits(story, "bob", "a") is None
        story.wait(seconds(20))
    assert story.state.seq == seq
    assert in_line(story) == ["bob", "cy"]


def test_place_that_is_kept_for_long_is_prolonged_now_and_then(story: Story) -> None:
    asked = 0
    events = 0
    while asked < 180:  # three hours of an agent that asks once a minute
        story.wait(minutes(1))
        story.renew("ann") if asked % 20 == 0 else None
        events += isinstance(waits(story, "bob", "a"), ClaimQueued)
        asked += 1
    assert in_line(story) == ["bob"]
    assert events <= 36  # one in five minutes


def test_late_place_is_a_new_place_at_the_end(story: Story) -> None:
    story.wait(minutes(11))
    waits(story, "cy", "a")
    story.wait(minutes(11))
    assert isinstance(waits(story, "bob", "a"), ClaimQueued)
    assert in_line(story) == ["cy", "bob"]
    assert sum(place.session_id == "bob" for place in story.state.waiting.values()) == 1


def test_newcomer_stands_behind_even_where_nothing_is_held(story: Story) -> None:
    story.wait(minutes(2))
    story.release("ann", "a")
    with pytest.raises(Held, match="bob"):
        story.claim("eve", "a")
    story.wait(minutes(2) + seconds(1))  # bob didn't come: the lease is over, cy is next
    with pytest.raises(Held, match="cy"):
        story.claim("eve", "a")


@pytest.mark.parametrize("name", ["src", "src/", "src/**", "src/a/b.py", "src/*/b.py"])
def test_overlapping_newcomer_stands_behind(name: str) -> None:
    story = Story.of("ann", "bob", "eve")
    story.claim("ann", "src/a")
    waits(story, "bob", "src/a")
    waits(story, "eve", name)
    event = story.release("ann", "src/a")
    assert [entry.split()[1] for entry in event.granted] == ["bob"]
    waits(story, "bob", "src/a")
    event = story.release("bob", "src/a")
    assert [entry.split()[1] for entry in event.granted] == ["eve"]


def test_five_shared_waiters_are_granted_at_once_and_the_exclusive_one_after_them() -> None:
    names = [f"reader-{n}" for n in range(5)]
    story = Story.of("ann", "writer", "late", *names)
    story.claim("ann", "a")
    for name in names:
        waits(story, name, "a", mode="shared")
    waits(story, "writer", "a")
    waits(story, "late", "a", mode="shared")
    event = story.release("ann", "a")
    assert sorted(entry.split()[1] for entry in event.granted) == names
    for name in names:
        waits(story, name, "a", mode="shared")
        last = story.release(name, "a")
    assert [entry.split()[1] for entry in last.granted] == ["writer"]


def test_shared_newcomer_does_not_starve_an_exclusive_waiter() -> None:
    story = Story.of("ann", "writer", "reader")
    story.claim("ann", "a", mode="shared")
    waits(story, "writer", "a")
    with pytest.raises(Held, match="writer waits"):
        story.claim("reader", "a", mode="shared")


def test_semaphore_has_as_many_holders_as_places_each_with_its_fence() -> None:
    story = Story.of("a", "b", "c", "d", "e")
    story.setting("a", "capacity.ci", "3")
    fences = [story.claim(name, "ci:slot").seq for name in "abc"]
    assert len(set(fences)) == 3
    with pytest.raises(Held):
        story.claim("d", "ci:slot")
    waits(story, "d", "ci:slot")
    waits(story, "e", "ci:slot")
    event = story.release("b", "ci:slot")
    assert [entry.split()[1] for entry in event.granted] == ["d"]
    assert holders(story) == {"ci:slot": ["a", "c", "d"]}


def test_more_places_serve_the_line_in_the_commit_that_makes_them() -> None:
    story = Story.of("a", "b", "c", "d")
    story.setting("a", "capacity.ci", "1")
    story.claim("a", "ci:slot")
    for name in "bcd":
        waits(story, name, "ci:slot")
    event = story.setting("a", "capacity.ci", "3")
    assert [entry.split()[1] for entry in event.granted] == ["b", "c"]


def test_more_places_leave_the_holder_its_own() -> None:
    """What is offered by the commit that makes the places is one of them: it doesn't take the file of the holder's lease."""
    story = Story.of("a", "b", "c")
    story.claim("a", "ci:slot")
    waits(story, "b", "ci:slot")
    event = story.setting("c", "capacity.ci", "2")
    assert [entry.split()[1] for entry in event.granted] == ["b"]
    assert holders(story) == {"ci:slot": ["a", "b"]}


def test_fewer_places_take_nothing_from_anybody() -> None:
    story = Story.of("a", "b", "c")
    story.setting("a", "capacity.ci", "2")
    for name in "ab":
        story.claim(name, "ci:slot")
    story.setting("a", "capacity.ci", "1")
    assert holders(story) == {"ci:slot": ["a", "b"]}
    story.release("a", "ci:slot")
    with pytest.raises(Held):
        story.claim("c", "ci:slot")


def test_named_capacity_is_of_that_one_only() -> None:
    story = Story.of("a", "b")
    story.setting("a", "capacity.ci:slot", "2")
    for name in "ab":
        story.claim(name, "ci:slot")
    story.claim("a", "ci:other")
    with pytest.raises(Held):
        story.claim("b", "ci:other")


@pytest.mark.parametrize(
    ("key", "value"),
    [("capacity.file", "3"), ("capacity.", "3"), ("capacity.ci", "x"), ("capacity.ci", "-1"), ("capacity.ci", "1001")],
)
def test_capacity_that_makes_no_sense_is_refused(key: str, value: str) -> None:
    with pytest.raises(BadInput):
        Story.of("a").setting("a", key, value)


def test_all_or_none_waits_for_all() -> None:
    story = Story.of("ann", "bob", "cy")
    story.claim("ann", "a")
    story.claim("bob", "b")
    waits(story, "cy", "a", "b")
    assert not story.release("ann", "a").granted
    assert [entry.split()[2] for entry in story.release("bob", "b").granted] == ["file:a", "file:b"]


def test_what_a_waiter_holds_already_is_not_made_an_offer_of() -> None:
    story = Story.of("ann", "bob")
    fence = story.claim("bob", "a").seq
    story.claim("ann", "b")
    waits(story, "bob", "a", "b")
    assert [entry.split()[1:] for entry in story.release("ann", "b").granted] == [["bob", "file:b"]]
    lease = story.lease("a")
    assert lease is not None
    assert (lease.fence, lease.offered_until) == (fence, None)
    assert isinstance(waits(story, "bob", "a", "b"), ClaimRenewed)


def test_any_takes_what_it_was_offered_and_not_the_next_that_is_free() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "a", "b")
    waits(story, "bob", "a", "b", any_of=True)
    story.release("ann", "b")
    story.release("ann", "a")
    waits(story, "bob", "a", "b", any_of=True)
    assert holders(story) == {"file:b": ["bob"]}


def test_renewing_a_shared_lease_keeps_the_place_of_who_waits_to_be_alone() -> None:
    story = Story.of("ann", "bob")
    for name in ("ann", "bob"):
        story.claim(name, "a", mode="shared")
    waits(story, "bob", "a")
    story.renew("bob")
    assert in_line(story) == ["bob"]
    story.release("ann", "a")
    waits(story, "bob", "a")
    lease = story.lease("a")
    assert lease is not None
    assert (lease.claimed_by, lease.mode) == ("bob", "exclusive")


def test_shared_offer_is_no_answer_to_who_asks_to_be_alone() -> None:
    story = Story.of("ann", "bob", "cy")
    story.claim("ann", "a")
    for name in ("bob", "cy"):
        waits(story, name, "a", mode="shared")
    story.release("ann", "a")
    with pytest.raises(Held, match="cy"):
        story.claim("bob", "a")


def test_silent_holder_of_one_place_loses_it_only_when_no_other_is_free() -> None:
    story = Story.of("a", "b", "c")
    story.setting("a", "capacity.ci", "2")
    story.claim("a", "ci:slot", ttl_seconds=7200)
    story.wait(minutes(31))
    assert not story.claim("b", "ci:slot", if_stale=True).taken
    assert len(story.claim("c", "ci:slot", if_stale=True).taken) == 1
    assert holders(story) == {"ci:slot": ["b", "c"]}


def test_any_of_several_is_the_first_that_comes_free() -> None:
    story = Story.of("ann", "bob", "cy")
    story.claim("ann", "a")
    story.claim("bob", "b")
    waits(story, "cy", "a", "b", any_of=True)
    event = story.release("bob", "b")
    assert [entry.split()[1:] for entry in event.granted] == [["cy", "file:b"]]
    assert in_line(story) == []


def test_circle_of_two_is_refused_when_it_closes_and_named() -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "a")
    story.claim("bob", "b")
    waits(story, "ann", "b")
    with pytest.raises(Held) as refused:
        waits(story, "bob", "a")
    assert refused.value.data["cycle"] == ["bob waits for file:a, held by ann", "ann waits for file:b, held by bob"]
    assert in_line(story) == ["ann"]


def test_circle_of_three_and_through_the_line() -> None:
    story = Story.of("ann", "bob", "cy")
    for name, what in (("ann", "a"), ("bob", "b"), ("cy", "c")):
        story.claim(name, what)
    waits(story, "ann", "b")
    waits(story, "bob", "c")
    with pytest.raises(Held, match="never end"):
        waits(story, "cy", "a")
    story = Story.of("ann", "bob", "cy")
    story.claim("ann", "src/x")
    waits(story, "bob", "src")
    with pytest.raises(Held, match="behind bob"):
        waits(story, "ann", "src/y")  # free, but behind bob, who waits for ann


def test_no_circle_where_a_place_or_another_choice_is_left() -> None:
    story = Story.of("ann", "bob", "cy")
    story.setting("ann", "capacity.ci", "2")
    story.claim("ann", "ci:slot", "a")
    story.claim("cy", "ci:slot")
    story.claim("bob", "b")
    waits(story, "ann", "b")
    assert isinstance(waits(story, "bob", "ci:slot"), ClaimQueued)  # cy's place comes free some day
    story = Story.of("ann", "bob", "cy")
    story.claim("ann", "a")
    story.claim("bob", "b")
    story.claim("cy", "c")
    waits(story, "ann", "b")
    assert isinstance(waits(story, "bob", "a", "c", any_of=True), ClaimQueued)


def test_waiting_session_shows_it_and_goes_on_when_served(story: Story) -> None:
    assert (story.state.sessions["bob"].status, story.state.sessions["bob"].waiting_for) == ("waiting", "claim")
    story.release("ann", "a")
    assert (story.state.sessions["bob"].status, story.state.sessions["bob"].waiting_for) == ("active", None)


def test_release_of_what_is_waited_for_leaves_the_line(story: Story) -> None:
    story.release("bob", "a")
    assert in_line(story) == ["cy"]
    assert holders(story) == {"file:a": ["ann"]}


def test_heartbeat_does_not_collect_an_offer(story: Story) -> None:
    story.release("ann", "a")
    story.wait(minutes(1.5))
    story.beat("bob", "working")
    (lease,) = leases.held_by(story.state, "bob")
    assert lease.offered_until is not None


def test_new_run_goes_on_waiting(story: Story) -> None:
    story.start("bob", succeeds="bob-1")
    assert in_line(story) == ["bob", "cy"]
    story.release("ann", "a")
    assert leases.held_by(story.state, "bob")[0].run_id == "bob-2"


def test_nobody_is_granted_out_of_turn(story: Story) -> None:
    (_, first), (_, second) = sorted(story.state.waiting.items())
    event = story.decide(story.command(type_of_release(), "ann", leases=(f"{held(story, 'ann')} file:a",)))
    assert event is not None
    forged = event.model_copy(update={"granted": (f"{second.seq} cy file:a",)})
    assert "next in line" in (story.problem(forged) or "")
    assert story.problem(event.model_copy(update={"granted": (f"{first.seq} bob file:a",)})) is None
    assert story.problem(event.model_copy(update={"granted": ()})) is None  # an older program's: the next event makes it good


def test_line_is_kept_by_every_reader_and_not_by_the_writer_alone(story: Story) -> None:
    story.happen(story.event(type_of_released(), "ann", released=(f"{held(story, 'ann')} file:a",)))
    jumped = story.event(ClaimAcquired, "eve", resources=("file:a",), ttl_seconds=3600, expires_at=story.now + minutes(60))
    assert "comes first" in (story.problem(jumped) or "")
    assert story.beat("dee", "working").granted  # whoever comes next serves the line


def type_of_release() -> type:
    """The command that gives leases back."""
    from gitcoord.core.releases import ReleaseClaims

    return ReleaseClaims


def type_of_released() -> type:
    """The event of it."""
    from gitcoord.core.releases import ClaimReleased

    return ClaimReleased


def held(story: Story, session: str) -> int:
    """The fence of the session's only lease."""
    (lease,) = leases.held_by(story.state, session)
    return lease.fence
