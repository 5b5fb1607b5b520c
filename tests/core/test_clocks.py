"""Whose time counts: a contradicted clock grants and takes nothing, and where nobody can tell, only what was observed counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pure_branch import T0, Story, days, hours, minutes, seconds

from gitcoord.core import clocks
from gitcoord.core.claims import AcquireClaims, ClaimAcquired
from gitcoord.core.events import Clock
from gitcoord.core.handover import TakeHandoff
from gitcoord.core.heartbeats import HeartbeatRecorded, RecordHeartbeat
from gitcoord.core.renewals import RenewClaims
from gitcoord.core.state import State
from gitcoord.core.succession import SupersedeSession
from gitcoord.errors import ClockSkew, Held


@pytest.fixture
def story() -> Story:
    """Two sessions on two machines, heard just now."""
    story = Story.of()
    story.start("ann", host="one")
    story.start("bob", host="two")
    story.claim("bob", "mine")
    return story


def at(shift: timedelta, story: Story, **known: Any) -> Clock:
    """bob's clock, wrong by that much."""
    return replace(Clock(now=story.now + shift, host="two"), **known)


WRONG = [-days(365), -minutes(90), -seconds(61), minutes(35), days(36500)]


@pytest.mark.parametrize("shift", WRONG, ids=str)
@pytest.mark.parametrize("how", ["claim", "again", "wait", "break", "renew", "take", "heartbeat", "supersede"])
def test_contradicted_clock_grants_nothing_and_takes_nothing(story: Story, how: str, shift: timedelta) -> None:
    """By the remote, where the newest commit is old."""
    fence = story.claim("ann", "a").seq
    offer = story.handoff("ann", "bob")
    story.wait(minutes(40))
    wanted: dict[str, Any] = {
        "claim": (AcquireClaims, {"resources": ("file:new",)}),
        "again": (AcquireClaims, {"resources": ("file:mine",)}),
        "wait": (AcquireClaims, {"resources": ("file:a",), "wait": True}),
        "break": (AcquireClaims, {"resources": ("file:a",), "breaks": fence}),
        "renew": (RenewClaims, {}),
        "take": (TakeHandoff, {"handoff": offer.id}),
        "supersede": (SupersedeSession, {"previous": "ann"}),
    }
    truth = story.now
    clock = at(shift, story, witness=lambda: truth, at_hand=lambda: truth)
    if how == "heartbeat":
        beat = story.decide(story.command(RecordHeartbeat, "bob", at=clock.now), clock)
        assert beat is not None
        assert beat.renewed == ()  # type: ignore[attr-defined]  # it is a heartbeat
        return
    kind, given = wanted[how]
    with pytest.raises((ClockSkew, Held) if how == "supersede" and shift < timedelta(0) else ClockSkew) as refused:
        story.decide(story.command(kind, "bob", **given), clock)
    if isinstance(refused.value, ClockSkew) and clocks.is_date(clock.now):
        assert refused.value.exit_code == 9
        for time in (clock.now, truth):
            assert f"{time:%Y-%m-%dT%H:%M:%SZ}" in refused.value.message


def test_a_contradicted_clock_does_not_get_right_by_writing(story: Story) -> None:
    story.wait(hours(2)).beat("ann", "building")
    behind = at(-days(1), story)
    assert clocks.date_of(story.state, behind) == story.state.at
    beat = story.decide(story.command(RecordHeartbeat, "bob", at=behind.now), behind)
    assert beat is not None
    story.happen(beat, story.state.at)
    with pytest.raises(ClockSkew):
        story.decide(story.command(AcquireClaims, "bob", resources=("file:new",)), behind)


@pytest.mark.parametrize("how", ["vouched", "witness", "supported"])
def test_one_commit_from_a_clock_far_ahead_keeps_nobody_from_anything(story: Story, how: str) -> None:
    """Who is vouched for goes on in the present: claims, renews, and takes what is over."""
    story.start("eve", host="three")
    story.claim("ann", "a", ttl_seconds=300)
    story.happen(story.event(HeartbeatRecorded, "eve", at=story.now + days(36500)), story.now + days(36500))
    assert story.state.at > story.now + days(36000)
    now = story.wait(hours(2)).now
    if how == "supported":
        story.happen(story.event(HeartbeatRecorded, "ann"), story.state.at)
    known: dict[str, dict[str, Any]] = {"vouched": {"vouched": lambda: True}, "witness": {"witness": lambda: now}, "supported": {}}
    clock = at(timedelta(0), story, **known[how])
    event: Any = story.decide(story.command(AcquireClaims, "bob", resources=("file:new",)), clock)
    assert event.expires_at == now + hours(1)
    assert clocks.shown_at(story.state, clock, ask=True) == (now, "")
    with pytest.raises(ClockSkew):  # nobody says which of the two is right
        story.decide(story.command(AcquireClaims, "bob", resources=("file:new",)), Clock(now=now))


def seen_for(span: timedelta) -> Callable[[State, Callable[[State], object]], timedelta]:
    """What a machine has observed that looked at the branch that long ago, and at the same state."""
    return lambda state, mark: span


@pytest.mark.parametrize(("stale", "needed"), [(False, minutes(61)), (True, minutes(30))])
def test_where_nobody_tells_the_time_only_observed_silence_takes_over(story: Story, stale: bool, needed: timedelta) -> None:
    story.claim("ann", "a")
    ask = story.command(AcquireClaims, "bob", resources=("file:a",), if_stale=stale)
    late = minutes(35) if stale else hours(3)
    for span in (timedelta(0), needed - seconds(1)):
        with pytest.raises(clocks.Unconfirmed, match="no sign of life for") as refused:
            story.decide(ask, at(late, story, observed=seen_for(span)))
        assert refused.value.exit_code == 9
        assert "--wait" in refused.value.hint
    queued = story.decide(ask.model_copy(update={"wait": True}), at(late, story))
    assert queued is not None
    assert queued.kind == "claim.queued"
    taken: Any = story.decide(ask, at(late, story, observed=seen_for(needed)))
    assert taken.taken == (f"{story.state.seq} ann {'stale' if stale else 'expired'} file:a",)


@pytest.mark.parametrize(("heard", "trusted"), [("two", False), ("three", True)])
def test_an_event_of_another_machine_of_this_minute_confirms_the_clock(story: Story, heard: str, trusted: bool) -> None:
    story.claim("ann", "a", ttl_seconds=300)
    story.wait(hours(2)).start("eve", host=heard)
    noted: list[None] = []
    clock = at(seconds(50), story, agree=lambda: noted.append(None))
    ask = story.command(AcquireClaims, "bob", resources=("file:a",))
    if trusted:
        assert story.decide(ask, clock) is not None
        assert noted
    else:
        with pytest.raises(clocks.Unconfirmed):
            story.decide(ask, clock)


def test_a_lease_of_a_clock_far_ahead_is_over_for_who_saw_its_holder_silent_for_its_length(story: Story) -> None:
    far = story.now + days(36500)
    ask = story.command(AcquireClaims, "ann", resources=("file:a",), at=far)
    story.happen(story.decide(ask, Clock(now=far, vouched=lambda: True)), far)  # type: ignore[arg-type]  # it is free
    story.wait(hours(1))
    ask = story.command(AcquireClaims, "bob", resources=("file:a",))
    known: dict[str, Any] = {"vouched": lambda: True}
    with pytest.raises(Held):
        story.decide(ask, at(timedelta(0), story, **known, observed=seen_for(minutes(60))))
    event: Any = story.decide(ask, at(timedelta(0), story, **known, observed=seen_for(minutes(61))))
    assert event.taken[0].split()[2] == "ahead"
    assert event.expires_at == story.now + hours(1)
    assert story.problem(event, story.now) is None
    forged = event.model_copy(update={"taken": (event.taken[0].replace("ahead", "expired"),)})
    assert "is not expired" in (story.problem(forged, story.now) or "")


def test_a_lease_of_today_is_never_called_far_ahead(story: Story) -> None:
    fence = story.claim("ann", "a", ttl_seconds=86400).seq
    event = story.event(
        ClaimAcquired, "bob", resources=("file:a",), ttl_seconds=3600, expires_at=story.now + hours(1),
        taken=(f"{fence} ann ahead file:a",),
    )  # fmt: skip
    assert story.problem(event)


@pytest.mark.parametrize(
    ("shift", "known", "shown", "words"),
    [
        (timedelta(0), {}, timedelta(0), ""),
        (-minutes(90), {}, timedelta(0), "behind the newest commit's"),
        (minutes(35), {"at_hand": timedelta(0)}, timedelta(0), "ahead of the remote's"),
        (days(36500), {"witness": timedelta(0)}, timedelta(0), "ahead of the remote's"),
        (days(1), {"witness": days(1)}, days(1), ""),
        (days(1), {}, days(1), "nobody confirms"),
        (days(1), {"vouched": True}, days(1), ""),
    ],
)
def test_what_is_over_is_told_by_no_clock_that_is_contradicted(
    story: Story, shift: timedelta, known: dict[str, Any], shown: timedelta, words: str
) -> None:
    def clock_of(value: Any) -> Callable[[], Any]:
        return (lambda: value) if isinstance(value, bool) else (lambda: story.now + value)

    clock = at(shift, story, **{key: clock_of(value) for key, value in known.items()})
    when, said = clocks.shown_at(story.state, clock, ask=True)
    assert when == story.now + shown
    assert words in said
    assert bool(words) == bool(said)


def test_no_year_is_too_odd_for_a_clear_word() -> None:
    for year in (1970, 1999, 2150, 9999):
        with pytest.raises(ClockSkew, match=str(year)):
            clocks.check_date(T0.replace(year=year))
