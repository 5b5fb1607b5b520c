"""Claims and leases: who gets what, until when; what renews, frees, takes over; and what no reader believes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pure_branch import T0, Story, days, hours, minutes, seconds
from pydantic import ValidationError

from gitcoord.core import claims
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.events import Event
from gitcoord.core.heartbeats import HeartbeatRecorded, RecordHeartbeat
from gitcoord.core.leases import RenewedLease, held_by
from gitcoord.core.releases import ClaimReleased, ReleaseClaims
from gitcoord.core.renewals import ClaimRenewed
from gitcoord.core.requests import RequestClaims
from gitcoord.core.sessions import EndSession
from gitcoord.core.state import State
from gitcoord.errors import BadInput, ClockSkew, Held, NoSession, NotHeld

GRACE = seconds(60)  # protocol, section 7
HOUR = hours(1)  # the default ttl


@pytest.fixture
def story() -> Story:
    """A branch with three sessions, at ten o'clock."""
    return Story.of("ann", "bob", "eve")


# --- granting ----------------------------------------------------------------------------------------------------------


def test_free_resource_is_granted_for_an_hour(story: Story) -> None:
    event = story.claim("ann", "src/api.py", phase="BUILD", reason="the form", estimated_duration="4 hours")
    lease = story.lease("src/api.py")
    assert lease is not None
    assert (lease.claimed_by, lease.run_id, lease.mode) == ("ann", "ann-1", "exclusive")
    assert (lease.phase, lease.reason, lease.estimated_duration) == ("BUILD", "the form", "4 hours")
    assert lease.claimed_at == lease.renewed_at == T0
    assert lease.expires_at == T0 + HOUR
    assert lease.ttl_seconds == 3600
    assert lease.fence == event.seq == story.state.seq
    assert event.taken == ()


def test_held_resource_is_refused_with_who_and_until_when(story: Story) -> None:
    fence = story.claim("ann", "src/api.py", phase="BUILD").seq
    with pytest.raises(Held) as refused:
        story.claim("bob", "src/api.py")
    assert refused.value.exit_code == 3
    for words in ("file:src/api.py", "ann", "2025-11-15T11:00:00Z", f"fence {fence}", "BUILD"):
        assert words in refused.value.message
    assert "--break" not in refused.value.hint
    assert [one["claimed_by"] for one in refused.value.data["blocked_by"]] == ["ann"]
    assert story.holds("bob") == set()


@pytest.mark.parametrize("first", ["lease", "asker"])
@pytest.mark.parametrize(("held", "wanted"), [("src/api.py", "src/API.py"), ("src/api.py", "SRC/*.py"), ("Straße/ä", "strasse/Ä")])
def test_where_a_repository_folds_one_file_has_one_holder(story: Story, held: str, wanted: str, first: str) -> None:
    story.claim("ann", held, folds=first == "lease")
    with pytest.raises(Held):
        story.claim("bob", wanted, folds=first == "asker")
    assert story.claim("bob", wanted, folds=first == "asker", wait=True).kind == "claim.queued"
    assert story.state.rules.settings.ignorecase
    forged = _grant(story, "bob", wanted, folds=first == "asker")
    assert "holds" in (story.problem(forged) or "")


def test_different_resources_are_granted_side_by_side(story: Story) -> None:
    story.claim("ann", "src/api.py")
    story.claim("bob", "src/app.py")
    assert (story.holds("ann"), story.holds("bob")) == ({"file:src/api.py"}, {"file:src/app.py"})


@pytest.mark.parametrize("wanted", ["src", "src/api.py", "src/*.py", "src/**", "."])
def test_overlapping_resource_is_refused(story: Story, wanted: str) -> None:
    story.claim("ann", "src/api.py")
    with pytest.raises(Held):
        story.claim("bob", wanted)


@pytest.mark.parametrize(
    ("first", "second", "granted"),
    [("shared", "shared", True), ("shared", "exclusive", False), ("exclusive", "shared", False), ("exclusive", "exclusive", False)],
)
def test_shared_conflicts_only_with_exclusive(story: Story, first: str, second: str, granted: bool) -> None:
    story.claim("ann", "droplet:x", mode=first)
    if granted:
        story.claim("bob", "droplet:x", mode=second)
        assert story.holds("ann") == story.holds("bob") == {"droplet:x"}
    else:
        with pytest.raises(Held):
            story.claim("bob", "droplet:x", mode=second)
        assert story.holds("bob") == set()


def test_exclusive_claim_names_every_shared_holder_in_the_way(story: Story) -> None:
    story.claim("ann", "droplet:x", mode="shared")
    story.claim("bob", "droplet:x", mode="shared")
    with pytest.raises(Held) as refused:
        story.claim("eve", "droplet:x")
    assert {one["claimed_by"] for one in refused.value.data["blocked_by"]} == {"ann", "bob"}


def test_several_resources_are_granted_in_one_event_under_one_fence(story: Story) -> None:
    event = story.claim("ann", "a", "b", "droplet:c")
    assert story.holds("ann") == {"file:a", "file:b", "droplet:c"}
    assert {one.fence for one in held_by(story.state, "ann")} == {event.seq}


def test_several_resources_are_granted_all_or_none(story: Story) -> None:
    story.claim("ann", "b")
    story.claim("eve", "c")
    before = story.state
    with pytest.raises(Held) as refused:
        story.claim("bob", "a", "b", "c")
    assert {one["resource_name"] for one in refused.value.data["blocked_by"]} == {"b", "c"}
    assert story.state is before


def test_any_of_grants_the_first_that_is_free(story: Story) -> None:
    story.claim("ann", "a")
    story.claim("bob", "a", "b", "c", any_of=True)
    assert story.holds("bob") == {"file:b"}


def test_any_of_prefers_what_comes_first(story: Story) -> None:
    story.claim("bob", "a", "b", any_of=True)
    assert story.holds("bob") == {"file:a"}


def test_any_of_refuses_when_none_is_free(story: Story) -> None:
    story.claim("ann", "a", "b")
    with pytest.raises(Held):
        story.claim("bob", "a", "b", any_of=True)


def test_any_of_is_content_with_what_the_session_holds(story: Story) -> None:
    story.claim("bob", "b")
    story.claim("bob", "b", "a", any_of=True)
    assert story.holds("bob") == {"file:b"}


def test_same_resource_named_twice_is_one(story: Story) -> None:
    assert story.claim("ann", "a", "a").resources == ("file:a",)


@pytest.mark.parametrize("kind", ["acquire", "renew"])
def test_unknown_session_gets_no_lease(story: Story, kind: str) -> None:
    with pytest.raises(NoSession) as refused:
        (story.claim if kind == "acquire" else story.renew)("nobody", "a")
    assert refused.value.hint == "gitcoord start"


def test_ended_session_gets_no_lease(story: Story) -> None:
    story.end("ann")
    with pytest.raises(NoSession, match="has ended"):
        story.claim("ann", "a")


def test_old_run_gets_no_lease(story: Story) -> None:
    old = story.command(claims.AcquireClaims, "ann", resources=("file:a",))
    story.start("ann", succeeds="ann-1")
    with pytest.raises(NotHeld, match="newer run"):
        story.ask(old)
    assert story.claim("ann", "a") is not None


# --- how long ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [300, 301, 3600, 86400])
def test_ttl_between_five_minutes_and_the_longest_is_granted(story: Story, ttl: int) -> None:
    story.claim("ann", "a", ttl_seconds=ttl)
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at == T0 + seconds(ttl)


@pytest.mark.parametrize("ttl", [-1, 0, 1, 299, 86401, 10**12, 10**30])
def test_ttl_out_of_bounds_is_bad_input(story: Story, ttl: int) -> None:
    with pytest.raises(BadInput):
        story.claim("ann", "a", ttl_seconds=ttl)
    story.claim("ann", "b")
    with pytest.raises(BadInput):
        story.renew("ann", "b", ttl_seconds=ttl)


def test_ttl_follows_the_shared_settings(story: Story) -> None:
    story.setting("ann", "max_ttl", "2h")
    story.setting("ann", "default_ttl", "30m")
    story.claim("ann", "a")
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at == T0 + minutes(30)
    with pytest.raises(BadInput):
        story.claim("ann", "b", ttl_seconds=7201)


def test_default_ttl_longer_than_the_longest_still_grants(story: Story) -> None:
    story.setting("ann", "max_ttl", "2h")
    try:
        story.setting("ann", "default_ttl", "4h")
    except BadInput:
        return  # refusing the setting is as good
    story.claim("ann", "a")
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at <= T0 + hours(2)


def test_expiry_counts_from_the_newest_commit_when_that_is_ahead(story: Story) -> None:
    story.happen(story.event(HeartbeatRecorded, "eve", action="x"), T0 + seconds(40))
    story.claim("ann", "a")  # at ten o'clock by ann's own clock
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at == T0 + seconds(40) + HOUR


def test_expiry_counts_from_the_own_clock_when_that_is_ahead(story: Story) -> None:
    story.wait(minutes(5)).claim("ann", "a", now=T0 + minutes(5) + timedelta(microseconds=700000))
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at == T0 + minutes(5) + HOUR


def test_commit_from_a_clock_far_ahead_stops_nobody_from_claiming(story: Story) -> None:
    """One machine two days ahead wrote last. Readers and writers with right clocks go on."""
    story.happen(story.event(HeartbeatRecorded, "eve", action="x", at=T0 + days(2)), T0 + days(2))
    story.claim("ann", "a")
    assert story.holds("ann") == {"file:a"}


def test_commit_from_a_clock_far_ahead_stops_nobody_from_renewing(story: Story) -> None:
    story.claim("ann", "a", ttl_seconds=86400)
    story.happen(story.event(HeartbeatRecorded, "eve", action="x", at=T0 + hours(23)), T0 + hours(23))
    story.wait(hours(1)).renew("ann")
    assert story.holds("ann") == {"file:a"}


@pytest.mark.parametrize("ahead", [days(2), days(3650)])
def test_commit_from_a_clock_far_ahead_makes_nobodys_lease_long(story: Story, ahead: timedelta) -> None:
    """A date further ahead than the grace is no date to count from: others would wait for that lease's end for years."""
    story.happen(story.event(HeartbeatRecorded, "eve", action="x"), T0 + ahead)
    story.claim("ann", "a")
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at <= T0 + HOUR + GRACE


@pytest.mark.parametrize("ahead", [seconds(30), hours(2), days(2)])
def test_commit_from_a_clock_far_ahead_tells_nobody_that_a_live_lease_is_over(story: Story, ahead: timedelta) -> None:
    fence = story.claim("ann", "a").seq
    story.wait(minutes(40)).happen(story.event(HeartbeatRecorded, "eve", action="x"), T0 + minutes(40) + ahead)
    story.renew("ann", "a")
    lease = story.lease("a")
    assert lease is not None
    assert lease.fence == fence
    assert T0 + minutes(100) <= lease.expires_at <= T0 + minutes(100) + GRACE


# --- the own lease -----------------------------------------------------------------------------------------------------


def test_claiming_the_own_resource_renews_it(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    event = story.wait(minutes(10)).claim("ann", "a")
    lease = story.lease("a")
    assert isinstance(event, ClaimRenewed)
    assert lease is not None
    assert lease.fence == fence
    assert lease.expires_at == T0 + minutes(10) + HOUR


def test_claiming_old_and_new_renews_the_one_and_grants_the_other(story: Story) -> None:
    first = story.claim("ann", "a").seq
    second = story.wait(minutes(10)).claim("ann", "a", "b").seq
    assert {str(one.resource): one.fence for one in held_by(story.state, "ann")} == {"file:a": first, "file:b": second}
    assert {one.expires_at for one in held_by(story.state, "ann")} == {T0 + minutes(10) + HOUR}


def test_own_expired_lease_is_granted_anew_under_a_new_fence(story: Story) -> None:
    first = story.claim("ann", "a").seq
    second = story.wait(HOUR).claim("ann", "a")
    assert isinstance(second, ClaimAcquired)
    assert second.seq > first
    assert [one.fence for one in held_by(story.state, "ann")] == [second.seq]


def test_changing_the_mode_is_a_new_lease_in_place_of_the_old(story: Story) -> None:
    first = story.claim("ann", "a").seq
    second = story.claim("ann", "a", mode="shared").seq
    assert [(one.mode, one.fence) for one in held_by(story.state, "ann")] == [("shared", second)]
    third = story.claim("ann", "a").seq
    assert [(one.mode, one.fence) for one in held_by(story.state, "ann")] == [("exclusive", third)]
    assert first < second < third


def test_wider_claim_of_the_own_is_granted(story: Story) -> None:
    story.claim("ann", "src/api.py")
    story.claim("ann", "src")
    assert story.holds("ann") == {"file:src/api.py", "file:src"}


# --- renewing ----------------------------------------------------------------------------------------------------------


def test_renewal_keeps_the_fence_and_moves_the_expiry(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    story.wait(minutes(50)).renew("ann", "a")
    lease = story.lease("a")
    assert lease is not None
    assert (lease.fence, lease.expires_at) == (fence, T0 + minutes(50) + HOUR)
    assert (lease.claimed_at, lease.renewed_at) == (T0, T0 + minutes(50))


def test_renewal_never_shortens(story: Story) -> None:
    fence = story.claim("ann", "a", ttl_seconds=14400).seq
    event = story.wait(minutes(1)).renew("ann", "a", ttl_seconds=300)
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at == T0 + hours(4)
    assert event.renewed == (f"{fence} 2025-11-15T14:00:00Z file:a",)


def test_renewal_written_by_hand_never_shortens_either(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    story.happen(story.event(ClaimRenewed, "ann", renewed=(f"{fence} 2025-11-15T10:30:00Z file:a",)))
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at == T0 + HOUR


def test_renewal_of_all_takes_what_is_over_again_under_a_new_fence(story: Story) -> None:
    story.claim("ann", "a", ttl_seconds=300)
    kept = story.claim("ann", "b").seq
    event = story.wait(minutes(10)).renew("ann")
    assert {one.resource_name: (one.expires_at, one.fence) for one in held_by(story.state, "ann")} == {
        "a": (T0 + minutes(15), event.seq),
        "b": (T0 + minutes(10) + HOUR, kept),
    }


def test_renewal_of_nothing_is_no_event(story: Story) -> None:
    assert story.renew("ann") is None


@pytest.mark.parametrize(("late", "over"), [(-seconds(1), False), (seconds(0), True), (seconds(1), True), (hours(30), True)])
@pytest.mark.parametrize("how", ["renew", "beat"])
def test_what_is_over_and_nobodys_is_taken_again_under_a_new_fence(story: Story, how: str, late: timedelta, over: bool) -> None:
    fence = story.claim("ann", "a", phase="BUILD").seq
    story.wait(HOUR + late)
    event = story.renew("ann", "a") if how == "renew" else story.beat("ann", "building")
    lease = story.lease("a", "ann")
    assert lease is not None
    assert (lease.fence, lease.expires_at, lease.phase) == (event.seq if over else fence, story.now + HOUR, "BUILD")
    assert (len(event.renewed), len(event.regained)) == ((0, 1) if over else (1, 0))


def _taken(story: Story) -> None:
    story.wait(minutes(2)).claim("bob", "a")


def _taken_above(story: Story) -> None:
    story.wait(minutes(2)).claim("bob", "*")


def _waited_for(story: Story) -> None:
    story.claim("bob", "a", wait=True)


def _asked_for(story: Story) -> None:
    story.ask(story.command(RequestClaims, "bob", resource="file:a"))


@pytest.mark.parametrize("meanwhile", [_taken, _taken_above, _waited_for, _asked_for])
def test_what_another_took_or_wants_is_not_taken_again(story: Story, meanwhile: Callable[[Story], None]) -> None:
    fence = story.claim("ann", "a").seq
    story.wait(HOUR)
    meanwhile(story)
    assert story.beat("ann", "building").regained == ()
    assert story.lease("a", "ann") is None or story.lease("a", "ann").fence == fence  # type: ignore[union-attr]
    with pytest.raises(NotHeld):
        story.renew("ann", "a")
    if meanwhile is not _asked_for:  # who was asked may still claim it as anybody
        stolen = story.event(HeartbeatRecorded, "ann", regained=(f"{fence} 2025-11-15T12:00:00Z file:a",))
        assert story.problem(stolen) is not None


def test_no_reader_takes_a_forged_return(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    entry = f"{fence} 2025-11-15T12:00:00Z file:a"
    assert "not over" in (story.problem(story.event(HeartbeatRecorded, "ann", regained=(entry,))) or "")
    story.wait(HOUR)
    assert story.problem(story.event(HeartbeatRecorded, "ann", regained=(entry,))) is None
    assert "didn't hold" in (story.problem(story.event(HeartbeatRecorded, "bob", regained=(entry,))) or "")
    for wrong in (
        f"{fence + 1} 2025-11-15T12:00:00Z file:a",
        f"{fence} 2025-11-15T11:00:00Z file:a",
        f"{fence} 2025-11-17T11:00:00Z file:a",
    ):
        assert story.problem(story.event(ClaimRenewed, "ann", regained=(wrong,))) is not None
    assert story.problem(story.event(ClaimRenewed, "ann")) == "it renews nothing"


def test_any_sign_of_life_renews_what_is_older_than_a_tenth(story: Story) -> None:
    for name in ("a", "b", "c", "d"):
        story.claim("ann", name)
    for after, act in (
        (minutes(5), lambda: story.send("ann", "bob", "hi")),
        (minutes(7), lambda: story.send("ann", "bob", "hi")),
        (minutes(7), lambda: story.claim("ann", "new")),
        (minutes(7), lambda: story.release("ann", "d")),
        (minutes(50), lambda: story.take("ann")),
    ):
        before = {one.resource_name: one.expires_at for one in held_by(story.state, "ann")}
        story.wait(after)
        event = act()
        kept = {name: one.expires_at for one in held_by(story.state, "ann") if (name := one.resource_name) in before}
        if event is not None:
            assert set(kept.values()) == ({story.now + HOUR} if after > minutes(6) else set(before.values())), event
            assert len({RenewedLease.parse(one).resource for one in event.renewed}) == len(event.renewed) <= 64


def test_renewal_of_anothers_lease_is_refused(story: Story) -> None:
    story.claim("ann", "a")
    with pytest.raises(NotHeld, match="held by ann"):
        story.renew("bob", "a")
    with pytest.raises(NotHeld, match="nobody does"):
        story.renew("bob", "b")


def test_lease_stays_renewable_when_the_longest_ttl_shrinks(story: Story) -> None:
    story.claim("ann", "a", ttl_seconds=14400)
    story.setting("bob", "max_ttl", "1h")
    story.wait(hours(3))
    story.renew("ann")
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at == T0 + hours(4)


def test_heartbeat_goes_on_when_the_longest_ttl_shrinks(story: Story) -> None:
    story.claim("ann", "a", ttl_seconds=14400)
    story.setting("bob", "max_ttl", "1h")
    assert story.wait(hours(3)).beat("ann", "building") is not None


@pytest.mark.parametrize(
    ("after", "renews"),
    [(minutes(5), False), (minutes(6), False), (minutes(6) + seconds(1), True), (minutes(29), True), (minutes(59), True)],
)
def test_heartbeat_renews_past_a_tenth_of_the_ttl(story: Story, after: timedelta, renews: bool) -> None:
    fence = story.claim("ann", "a").seq
    story.wait(after).beat("ann", "building")
    lease = story.lease("a")
    assert lease is not None
    assert lease.fence == fence
    assert lease.expires_at == (T0 + after + HOUR if renews else T0 + HOUR)


def test_heartbeat_renews_by_each_leases_own_ttl(story: Story) -> None:
    story.claim("ann", "a", ttl_seconds=300)
    story.claim("ann", "b", ttl_seconds=14400)
    story.wait(minutes(4)).beat("ann", "building")
    assert {one.resource_name: one.expires_at for one in held_by(story.state, "ann")} == {
        "a": T0 + minutes(9),
        "b": T0 + hours(4),
    }


def test_late_heartbeat_renews_from_the_time_it_was_said(story: Story) -> None:
    """Said at 10:35, sent at 10:55 by somebody else's flush: the silence since then earns no time."""
    story.claim("ann", "a")
    beat = story.wait(minutes(35)).command(RecordHeartbeat, "ann", action="building")
    story.wait(minutes(20)).ask(beat)
    lease = story.lease("a")
    assert lease is not None
    assert lease.expires_at == T0 + minutes(35) + HOUR


# --- giving back -------------------------------------------------------------------------------------------------------


def test_release_frees(story: Story) -> None:
    fence = story.claim("ann", "a", "b").seq
    event = story.release("ann", "a")
    assert event.released == (f"{fence} file:a",)
    assert story.holds("ann") == {"file:b"}
    assert story.claim("bob", "a") is not None


def test_old_fence_releases_nothing(story: Story) -> None:
    old = story.claim("ann", "a").seq
    story.release("ann", "a")
    new = story.claim("ann", "a").seq
    assert story.release("ann", "a", fence=old).lapsed  # recorded, without effect
    assert story.holds("ann") == {"file:a"}
    assert story.release("ann", "a", fence=new) is not None
    assert story.holds("ann") == set()


def test_release_by_another_frees_nothing(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    assert story.release("bob", "a", fence=fence).lapsed
    assert story.release("bob", "a", fence=0) is None
    assert story.holds("ann") == {"file:a"}


def test_mondays_release_does_not_free_wednesdays_claim(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    queued = story.command(ReleaseClaims, "ann", leases=(f"{fence} file:a",))
    story.wait(days(1)).claim("bob", "a")
    event = story.wait(days(1)).ask(queued)
    assert event is not None
    assert event.lapsed
    assert event.at == T0
    assert story.holds("bob") == {"file:a"}


def test_release_of_what_was_taken_over_frees_nothing(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    story.wait(HOUR + minutes(2)).claim("bob", "a")
    assert story.release("ann", "a", fence=fence).lapsed
    assert story.holds("bob") == {"file:a"}


def test_release_without_a_known_fence_frees_what_the_session_holds(story: Story) -> None:
    story.claim("ann", "a")
    story.release("ann", "a", fence=0)
    assert story.holds("ann") == set()


def test_release_of_one_shared_lease_leaves_the_others(story: Story) -> None:
    story.claim("ann", "a", mode="shared")
    story.claim("bob", "a", mode="shared")
    story.release("ann", "a")
    assert (story.holds("ann"), story.holds("bob")) == (set(), {"file:a"})


def test_done_work_is_broadcast_once_with_what_is_known_of_it(story: Story) -> None:
    story.claim("ann", "droplet:x", phase="BUILD")
    story.beat("ann", "building", files_touched=("src/a.py", "src/b.py"))
    story.release("ann", "droplet:x", done="The form works\nand is tested", tests="pass", next_phase="PRODUCTION")
    (note,) = story.unread("bob")
    assert (note.sender, note.to, note.type) == ("ann", "broadcast", "work_completed")
    assert "The form works" in note.subject
    assert note.message == "The form works\nand is tested"
    assert note.details == {
        "resource": "droplet:x", "phase_completed": "BUILD", "next_phase": "PRODUCTION",
        "files_modified": "src/a.py, src/b.py", "tests_passing": "true",
    }  # fmt: skip


def test_plain_release_tells_nobody(story: Story) -> None:
    story.claim("ann", "a")
    story.release("ann", "a")
    assert story.unread("bob") == []
    assert not story.state.handoffs


def test_release_with_a_next_phase_leaves_an_offer_that_the_next_claim_takes(story: Story) -> None:
    story.claim("ann", "droplet:x", phase="BUILD")
    story.release("ann", "droplet:x", next_phase="PRODUCTION")
    (offer,) = story.state.handoffs.values()
    assert (offer.sender, offer.to, offer.status, offer.next, offer.phase) == ("ann", "anyone", "open", "PRODUCTION", "BUILD")
    story.claim("bob", "droplet:other")
    assert story.state.handoffs[offer.id].status == "open"
    story.claim("bob", "droplet:x")
    taken = story.state.handoffs[offer.id]
    assert (taken.status, taken.taken_by) == ("taken", "bob")


# --- what comes late from an older run ---------------------------------------------------------------------------------


def _late_commands(story: Story, fence: int) -> dict[str, Any]:
    return {
        "release": story.command(ReleaseClaims, "ann", leases=(f"{fence} file:a",)),
        "heartbeat": story.command(RecordHeartbeat, "ann", action="old news"),
        "end": story.command(EndSession, "ann", done=("all of it",)),
    }


@pytest.mark.parametrize("which", ["release", "heartbeat", "end"])
def test_what_an_older_run_still_sends_is_recorded_without_effect(story: Story, which: str) -> None:
    fence = story.claim("ann", "a").seq
    late = _late_commands(story, fence)[which]
    story.start("ann", succeeds="ann-1")
    session, lease = story.state.sessions["ann"], story.lease("a")
    event = story.wait(minutes(40)).ask(late)
    assert event is not None
    assert event.lapsed == "a newer run goes on"
    assert story.state.seq == event.seq
    assert story.state.sessions["ann"] == session
    assert story.lease("a") == lease
    assert "ann" not in story.state.heartbeats


@pytest.mark.parametrize("which", ["release", "heartbeat", "end"])
def test_the_same_from_the_current_run_has_its_effect(story: Story, which: str) -> None:
    fence = story.claim("ann", "a").seq
    event = story.wait(minutes(40)).ask(_late_commands(story, fence)[which])
    assert event is not None
    assert event.lapsed is None
    assert story.state.sessions["ann"].live is (which != "end")
    assert (story.holds("ann") == set()) is (which != "heartbeat")


@pytest.mark.parametrize("which", ["release", "heartbeat", "end"])
def test_what_comes_after_the_end_is_recorded_without_effect(story: Story, which: str) -> None:
    fence = story.claim("ann", "a").seq
    late = _late_commands(story, fence)[which]
    story.end("ann")
    session = story.state.sessions["ann"]
    event = story.ask(late)
    assert event is not None
    assert event.lapsed
    assert story.state.sessions["ann"] == session


# --- taking over -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "free"),
    [(seconds(-1), False), (seconds(0), False), (seconds(1), False), (GRACE, False), (GRACE + seconds(1), True), (hours(5), True)],
)
def test_expired_lease_is_taken_over_only_after_the_grace(story: Story, after: timedelta, free: bool) -> None:
    fence = story.claim("ann", "a").seq
    story.wait(HOUR + after)
    if not free:
        with pytest.raises(Held):
            story.claim("bob", "a")
        return
    event = story.claim("bob", "a")
    assert event.taken == (f"{fence} ann expired file:a",)
    assert (story.holds("ann"), story.holds("bob")) == (set(), {"file:a"})
    assert event.seq > fence


def test_grant_takes_every_expired_lease_that_is_in_its_way(story: Story) -> None:
    story.claim("ann", "src/a", "src/b", "lib")
    story.claim("eve", "src/c", mode="shared")
    story.wait(HOUR + minutes(2)).claim("bob", "src")
    assert story.holds("bob") == {"file:src"}
    assert (story.holds("ann"), story.holds("eve")) == ({"file:lib"}, set())


def test_taking_over_is_all_or_none_too(story: Story) -> None:
    story.claim("ann", "a", ttl_seconds=300)
    story.claim("eve", "b", ttl_seconds=86400)
    story.wait(HOUR)
    with pytest.raises(Held) as refused:
        story.claim("bob", "a", "b")
    assert [one["claimed_by"] for one in refused.value.data["blocked_by"]] == ["eve"]
    assert story.holds("ann") == {"file:a"}


def test_ended_holder_holds_nothing(story: Story) -> None:
    story.claim("ann", "a")
    story.end("ann")
    assert story.claim("bob", "a").taken == ()


def test_lease_of_a_holder_that_is_gone_is_taken_at_once(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    gone = story.state.sessions.with_changes({"ann": None})
    story.state = State(**{**story.state.__dict__, "sessions": gone})
    assert story.claim("bob", "a").taken == (f"{fence} ann ended file:a",)
    assert story.holds("bob") == {"file:a"}


@pytest.mark.parametrize(("silent", "free"), [(minutes(29), False), (minutes(30), True), (minutes(59), True)])
def test_silent_holder_is_taken_over_only_when_asked_and_after_thirty_minutes(story: Story, silent: timedelta, free: bool) -> None:
    fence = story.claim("ann", "a", ttl_seconds=14400).seq
    story.wait(silent)
    with pytest.raises(Held):
        story.claim("bob", "a")
    if not free:
        with pytest.raises(Held):
            story.claim("bob", "a", if_stale=True)
    else:
        assert story.claim("bob", "a", if_stale=True).taken == (f"{fence} ann stale file:a",)


@pytest.mark.parametrize("sign", ["heartbeat", "message", "renewal"])
def test_any_event_of_the_holder_is_a_sign_of_life(story: Story, sign: str) -> None:
    story.claim("ann", "a", ttl_seconds=14400)
    story.wait(minutes(20))
    {
        "heartbeat": lambda: story.beat("ann", "building"),
        "message": lambda: story.send("ann", "broadcast", "hello"),
        "renewal": lambda: story.renew("ann"),
    }[sign]()
    story.wait(minutes(20))
    with pytest.raises(Held):
        story.claim("bob", "a", if_stale=True)
    assert story.wait(minutes(10)).claim("bob", "a", if_stale=True) is not None


def test_takeover_after_is_a_setting_of_its_own(story: Story) -> None:
    story.setting("ann", "takeover_after", "2h")
    story.claim("ann", "a", ttl_seconds=86400)
    story.wait(minutes(90))
    with pytest.raises(Held):
        story.claim("bob", "a", if_stale=True)
    assert story.wait(minutes(30)).claim("bob", "a", if_stale=True) is not None


def test_break_must_name_the_fence_that_it_breaks(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    for wrong in (0, fence - 1, fence + 1):
        with pytest.raises(NotHeld):
            story.claim("bob", "a", breaks=wrong)
    assert story.holds("ann") == {"file:a"}
    assert story.claim("bob", "a", breaks=fence).taken == (f"{fence} ann broken file:a",)


def test_break_breaks_no_other_lease(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    story.claim("eve", "b")
    with pytest.raises(Held) as refused:
        story.claim("bob", "a", "b", breaks=fence)
    assert [one["claimed_by"] for one in refused.value.data["blocked_by"]] == ["eve"]


def test_break_of_a_lease_that_is_not_in_the_way_is_refused(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    with pytest.raises(NotHeld):
        story.claim("bob", "b", breaks=fence)
    assert story.holds("ann") == {"file:a"}


@pytest.mark.parametrize("why", ["expired", "stale", "broken"])
def test_previous_holder_is_told_by_a_message(story: Story, why: str) -> None:
    fence = story.claim("ann", "a", "b").seq
    story.wait(HOUR + minutes(2) if why == "expired" else minutes(40))
    story.claim("bob", "a", "b", if_stale=why == "stale", breaks=fence if why == "broken" else None)
    (note,) = story.unread("ann")
    assert (note.type, note.sender, note.to) == ("alert", "bob", "ann")
    assert "file:a" in note.message
    assert "file:b" in note.message
    assert f"fence {fence}" in note.message
    assert story.unread("eve") == []


def test_every_previous_holder_gets_a_message_of_its_own(story: Story) -> None:
    story.claim("ann", "droplet:x", mode="shared")
    story.claim("eve", "droplet:x", mode="shared")
    story.wait(HOUR + minutes(2)).claim("bob", "droplet:x")
    assert [one.to for one in story.unread("ann")] == ["ann"]
    assert [one.to for one in story.unread("eve")] == ["eve"]


def test_old_holder_can_neither_renew_nor_release_nor_keep(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    story.wait(HOUR + minutes(2)).claim("bob", "a")
    with pytest.raises(NotHeld):
        story.renew("ann", "a")
    assert story.beat("ann", "still here").renewed == ()
    assert story.release("ann", "a", fence=fence).released == ()
    with pytest.raises(Held):
        story.claim("ann", "a")
    assert story.holds("bob") == {"file:a"}


# --- clocks ------------------------------------------------------------------------------------------------------------


def _expired(story: Story) -> Story:
    """ann's lease ended at eleven; somebody wrote at noon; it is noon."""
    story.claim("ann", "a")
    story.wait(hours(2)).send("eve", "broadcast", "noon")
    return story


@pytest.mark.parametrize(
    ("behind", "trusted"), [(seconds(0), True), (seconds(60), True), (seconds(61), False), (minutes(50), False)]
)
def test_clock_behind_the_branch_takes_nothing_over(story: Story, behind: timedelta, trusted: bool) -> None:
    _expired(story)
    if trusted:
        assert story.claim("bob", "a", now=story.now - behind) is not None
    else:
        with pytest.raises(ClockSkew) as refused:
            story.claim("bob", "a", now=story.now - behind)
        assert refused.value.exit_code == 9
        assert story.holds("ann") == {"file:a"}


@pytest.mark.parametrize(("ahead", "trusted"), [(seconds(0), True), (seconds(60), True), (seconds(61), False), (days(3650), False)])
def test_clock_ahead_of_a_witness_takes_nothing_over(story: Story, ahead: timedelta, trusted: bool) -> None:
    _expired(story)
    truth = story.now
    if trusted:
        assert story.claim("bob", "a", now=truth + ahead, witness=lambda: truth).witnessed is True
    else:
        with pytest.raises(ClockSkew):
            story.claim("bob", "a", now=truth + ahead, witness=lambda: truth)
        assert story.holds("ann") == {"file:a"}


def test_takeover_without_a_witness_says_so(story: Story) -> None:
    assert _expired(story).claim("bob", "a").witnessed is False


@pytest.mark.parametrize("why", ["expired", "stale"])
def test_doubtful_clock_judges_neither_expiry_nor_silence(story: Story, why: str) -> None:
    story.claim("ann", "a", ttl_seconds=300 if why == "expired" else 86400)
    truth = story.wait(minutes(2)).now
    with pytest.raises(ClockSkew):
        story.claim("bob", "a", if_stale=True, now=truth + hours(2), witness=lambda: truth)


def _counting(answer: datetime | None) -> tuple[list[None], Callable[[], datetime | None]]:
    asked: list[None] = []

    def witness() -> datetime | None:
        asked.append(None)
        return answer

    return asked, witness


def test_witness_is_asked_only_where_a_clock_decides(story: Story) -> None:
    asked, witness = _counting(T0)
    fence = story.claim("ann", "a", witness=witness).seq
    assert story.claim("bob", "b", witness=witness).witnessed is None
    assert story.claim("bob", "a", breaks=fence, witness=witness).witnessed is None
    assert asked == []
    story.wait(days(4)).claim("ann", "a", witness=_counting(story.now)[1])
    asked, witness = _counting(story.now + days(1))
    story.wait(days(1)).claim("bob", "a", witness=witness)
    assert asked


# --- validity: what no reader believes ---------------------------------------------------------------------------------


def _grant(story: Story, session: str, *names: str, **given: Any) -> ClaimAcquired:
    """A grant as somebody could write it by hand."""
    wanted = tuple(f"file:{name}" for name in names)
    given = {"ttl_seconds": 3600, "expires_at": story.now + HOUR, **given}
    event = story.event(ClaimAcquired, session, resources=wanted, **given)
    assert isinstance(event, ClaimAcquired)
    return event


def refused(story: Story, kind: type[Event], session: str, **given: Any) -> bool:
    """Whether such an event can't even be read, or isn't valid."""
    try:
        event = story.event(kind, session, **given)
    except ValidationError:
        return True
    return story.problem(event) is not None


def test_grant_of_what_is_free_is_valid(story: Story) -> None:
    story.claim("ann", "b")
    assert story.problem(_grant(story, "bob", "a")) is None


@pytest.mark.parametrize("wanted", ["a", "a/b", "*", "."])
def test_stolen_lease_is_not_valid(story: Story, wanted: str) -> None:
    story.claim("ann", "a")
    assert story.problem(_grant(story, "bob", wanted)) == "ann holds file:a"


def test_grant_beside_an_expired_lease_must_name_it(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    story.wait(HOUR + minutes(2))
    assert story.problem(_grant(story, "bob", "a")) is not None
    assert story.problem(_grant(story, "bob", "a", taken=(f"{fence} ann expired file:a",))) is None


@pytest.mark.parametrize(("early", "valid"), [(seconds(1), False), (minutes(59), False), (seconds(0), True), (seconds(-1), True)])
def test_takeover_before_expiry_by_the_commits_own_date_is_not_valid(story: Story, early: timedelta, valid: bool) -> None:
    fence = story.claim("ann", "a").seq
    event = _grant(story, "bob", "a", taken=(f"{fence} ann expired file:a",), expires_at=T0 + HOUR)
    problem = story.problem(event, T0 + HOUR - early)
    assert problem == (None if valid else "the lease of ann on file:a is not expired")


@pytest.mark.parametrize(("silent", "valid"), [(minutes(29), False), (minutes(30), True)])
def test_takeover_of_a_holder_that_was_heard_is_not_valid(story: Story, silent: timedelta, valid: bool) -> None:
    fence = story.claim("ann", "a").seq
    event = _grant(story, "bob", "a", taken=(f"{fence} ann stale file:a",))
    assert (story.problem(event, T0 + silent) is None) is valid


def test_takeover_of_a_live_holder_as_ended_is_not_valid(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    assert story.problem(_grant(story, "bob", "a", taken=(f"{fence} ann ended file:a",))) is not None


@pytest.mark.parametrize(
    "entry",
    ["{other} ann broken file:a", "{fence} eve broken file:a", "{fence} ann broken file:b", "{fence} ann broken droplet:a",
     "{fence} ann because file:a", "{fence} ann broken", "ann broken file:a", "-1 ann broken file:a", "", "x",
     "{fence}  ann broken file:a", "\u0661 ann broken file:a"],
    ids=ascii,
)  # fmt: skip
def test_takeover_of_a_lease_that_is_not_there_is_not_valid(story: Story, entry: str) -> None:
    fence = story.claim("ann", "a").seq
    grant = {"resources": ("file:a",), "ttl_seconds": 3600, "expires_at": T0 + HOUR}
    assert refused(story, ClaimAcquired, "bob", **grant, taken=(entry.format(fence=fence, other=fence + 1),))
    assert not refused(story, ClaimAcquired, "bob", **grant, taken=(f"{fence} ann broken file:a",))


def test_grant_takes_only_what_it_overlaps(story: Story) -> None:
    """Own records only: a grant of one thing is no reason to take another's lease on something else."""
    fence = story.claim("ann", "a").seq
    assert story.problem(_grant(story, "bob", "b", taken=(f"{fence} ann broken file:a",))) is not None


@pytest.mark.parametrize(
    ("until", "valid"),
    [(hours(1), True), (hours(24), True), (hours(24) + GRACE, True), (hours(24) + GRACE + seconds(1), False), (days(3650), False)],
)
def test_lease_longer_than_the_branch_allows_is_not_valid(story: Story, until: timedelta, valid: bool) -> None:
    assert (story.problem(_grant(story, "bob", "a", expires_at=T0 + until), T0) is None) is valid


@pytest.mark.parametrize(("ttl", "valid"), [(86400, True), (86401, False), (2**53, False)])
def test_ttl_longer_than_the_branch_allows_is_not_valid(story: Story, ttl: int, valid: bool) -> None:
    """A heartbeat renews by this number: a huge one would make the holder's next heartbeat impossible."""
    assert (story.problem(_grant(story, "bob", "a", ttl_seconds=ttl)) is None) is valid


@pytest.mark.parametrize("year", [1, 999, 1970, 1999, 2000, 2199, 2200, 9999])
def test_commit_of_any_date_is_judged(story: Story, year: int) -> None:
    """A hand-made commit may bear any date; the rule must answer, not fail."""
    fence = story.claim("ann", "a").seq
    for when in (T0.replace(year=year, month=1, day=1, hour=0), T0.replace(year=year, month=12, day=31, hour=23, minute=59)):
        story.problem(_grant(story, "bob", "b"), when)
        story.problem(_grant(story, "bob", "a", taken=(f"{fence} ann stale file:a",)), when)
        story.problem(story.event(ClaimRenewed, "ann", renewed=(f"{fence} 2025-11-15T12:00:00Z file:a",)), when)
        story.problem(story.event(ClaimReleased, "ann", released=(f"{fence} file:a",), removed=("message x",)), when)


@pytest.mark.parametrize("year", [1970, 1999, 2200, 9999])
def test_commit_of_an_impossible_date_is_not_valid(story: Story, year: int) -> None:
    assert story.problem(_grant(story, "bob", "a"), T0.replace(year=year)) is not None
    assert story.problem(_grant(story, "bob", "a"), T0) is None


@pytest.mark.parametrize("ahead", [days(2), days(3650), datetime(2149, 12, 31, 23, 59, 59, tzinfo=UTC) - T0])
def test_after_a_commit_from_the_far_future_claims_go_on(story: Story, ahead: timedelta) -> None:
    story.happen(story.event(HeartbeatRecorded, "eve", action="x"), T0 + ahead)
    story.claim("ann", "a")
    story.wait(minutes(50)).beat("ann", "building")
    story.renew("ann")
    assert story.holds("ann") == {"file:a"}


def _renewal(story: Story, session: str, entry: str) -> ClaimRenewed:
    event = story.event(ClaimRenewed, session, renewed=(entry,))
    assert isinstance(event, ClaimRenewed)
    return event


def test_renewal_of_the_own_live_lease_is_valid(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    assert story.problem(_renewal(story, "ann", f"{fence} 2025-11-15T12:00:00Z file:a")) is None


def test_renewal_of_anothers_lease_is_not_valid(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    assert story.problem(_renewal(story, "bob", f"{fence} 2025-11-15T12:00:00Z file:a")) is not None


@pytest.mark.parametrize("off", [-1, 1, 100])
def test_forged_fence_is_not_valid(story: Story, off: int) -> None:
    fence = story.claim("ann", "a").seq
    assert story.problem(_renewal(story, "ann", f"{fence + off} 2025-11-15T12:00:00Z file:a")) is not None
    assert story.problem(story.event(ClaimReleased, "ann", released=(f"{fence + off} file:a",))) is not None
    assert story.problem(story.event(ClaimReleased, "ann", released=(f"{fence} file:a",))) is None


def test_renewal_of_an_expired_lease_is_not_valid(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    event = _renewal(story, "ann", f"{fence} 2025-11-15T12:30:00Z file:a")
    assert story.problem(event, T0 + HOUR - seconds(1)) is None
    assert story.problem(event, T0 + HOUR) == "the lease on file:a had expired"


@pytest.mark.parametrize(
    ("until", "valid"), [("2025-11-16T10:01:00Z", True), ("2025-11-16T10:01:01Z", False), ("9999-12-31T23:59:59Z", False)]
)
def test_renewal_beyond_what_the_branch_allows_is_not_valid(story: Story, until: str, valid: bool) -> None:
    fence = story.claim("ann", "a").seq
    assert refused(story, ClaimRenewed, "ann", renewed=(f"{fence} {until} file:a",)) is not valid


@pytest.mark.parametrize(
    "entry", ["", "x", "1", "1 2025-11-15T12:00:00Z", "1 soon file:a", "x 2025-11-15T12:00:00Z file:a", "1 2025-11-15T12:00:00Z a"]
)
def test_malformed_renewal_is_not_valid(story: Story, entry: str) -> None:
    assert refused(story, ClaimRenewed, "ann", renewed=(entry,))
    assert refused(story, HeartbeatRecorded, "ann", renewed=(entry,))


def test_heartbeat_renews_only_its_own(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    entry = f"{fence} 2025-11-15T12:00:00Z file:a"
    assert story.problem(story.event(HeartbeatRecorded, "bob", renewed=(entry,))) is not None
    assert story.problem(story.event(HeartbeatRecorded, "ann", renewed=(entry,))) is None


@pytest.mark.parametrize("entry", ["{fence} file:b", "x file:a", "", "{fence}", "{fence} a"])
def test_release_of_what_is_not_held_is_not_valid(story: Story, entry: str) -> None:
    fence = story.claim("ann", "a").seq
    assert refused(story, ClaimReleased, "ann", released=(entry.format(fence=fence),))
    assert not refused(story, ClaimReleased, "ann", released=(f"{fence} file:a",))


def test_release_of_anothers_lease_is_not_valid(story: Story) -> None:
    fence = story.claim("ann", "a").seq
    assert story.problem(story.event(ClaimReleased, "bob", released=(f"{fence} file:a",))) is not None


@pytest.mark.parametrize("off", [-1, 1, 5])
def test_event_with_a_wrong_seq_is_not_valid(story: Story, off: int) -> None:
    right = story.state.seq + 1
    assert story.problem(_grant(story, "bob", "a", seq=right)) is None
    assert story.problem(_grant(story, "bob", "a", seq=right + off)) == f"its seq is {right + off}, the next one is {right}"


@pytest.mark.parametrize("who", ["nobody", "ended", "older run"])
def test_only_a_live_sessions_current_run_grants_renews_and_releases(story: Story, who: str) -> None:
    fence = story.claim("ann", "a").seq
    story.end("eve")
    session = {"nobody": "nobody", "ended": "eve", "older run": "ann"}[who]
    run = {"run_id": "ann-0"} if who == "older run" else {}
    assert story.problem(_grant(story, session, "b", **run)) is not None
    assert story.problem(story.event(ClaimRenewed, session, renewed=(f"{fence} 2025-11-15T12:00:00Z file:a",), **run)) is not None
    assert story.problem(story.event(ClaimReleased, session, released=(f"{fence} file:a",), **run)) is not None


# --- long names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [400, 480, 495, 512])
def test_lease_on_the_longest_name_can_be_renewed_released_and_taken_over(story: Story, length: int) -> None:
    name = "droplet:" + "n" * length
    story.claim("ann", name)
    story.wait(minutes(40)).beat("ann", "building")
    story.renew("ann", name)
    story.wait(hours(2)).claim("bob", name)
    story.release("bob", name)
    assert story.state.claims == {}
