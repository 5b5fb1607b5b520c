"""Keeping leases while something runs: renewed in time, lost in time, given back exactly; by clocks that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from clones import Clock, Seat, file
from remotes import Remote

from gitcoord.coordinator.claims import Claims
from gitcoord.coordinator.keeper import Farewell, Keeper, Loss
from gitcoord.errors import BadInput, Held

TTL = 300  # seconds: the shortest lease there is


@dataclass
class Watch:
    """A keeper at work, with both clocks in the test's hand."""

    keeper: Keeper
    wall: Clock
    ticks: float = 1000.0
    losses: list[Loss] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def clock(self) -> float:
        """The monotonic clock."""
        return self.ticks

    def move(self, seconds: float) -> None:
        """Both clocks go on."""
        self.wall.move(seconds=seconds)
        self.ticks += seconds

    def hold(self, *steps: Callable[[], object]) -> None:
        """Holds until all the steps are done: one each time that the keeper waits, and has no answer to wait for."""
        left = iter(steps)

        def wait(seconds: float) -> bool:
            self.waited.append(seconds)
            if self.keeper._renewal is not None:
                self.keeper.settle()
                return False
            step = next(left, None)
            if step is None:
                return True
            step()
            return False

        self.keeper.hold(wait, self.losses.append, self.told.append)

    def finish(self) -> Farewell:
        """The end."""
        return self.keeper.finish(self.losses.append, self.told.append)

    @property
    def lost(self) -> list[str]:
        """What was told as lost."""
        return [str(lease.resource) for loss in self.losses for lease in loss.leases]


@pytest.fixture
def office(earlier: tuple[Seat, Seat, Clock]) -> Iterator[tuple[Watch, Seat, Seat]]:
    """Ada keeps `x` and `y`; beside her, ben."""
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        watch = Watch(Keeper(found.coordinator), clock)
        watch.keeper._clock = watch.clock
        watch.keeper.take(file("x", "y"), ttl_seconds=TTL)
        yield watch, ada, ben


def log(seat: Seat, clock: Clock) -> list[str]:
    """The subjects of all events, as the remote has them."""
    with seat.here(clock) as found:
        found.coordinator.branch.view(fresh=True)
        return [one.subject for one in found.coordinator.branch.entries(session=None, resource=None, since=None, limit=1000)]


def held(seat: Seat, clock: Clock) -> dict[str, tuple[str, int]]:
    """Who holds what, under which fence."""
    with seat.here(clock) as found:
        return {
            str(one.resource): (one.claimed_by, one.fence) for one in found.coordinator.claims.leases(mine=False, overlapping=None)
        }


def take(seat: Seat, clock: Clock, *names: str, **asked: object) -> int:
    """Somebody else claims; the fence."""
    with seat.here(clock) as found:
        return found.coordinator.claims.acquire(file(*names), **asked).claims[0].fence


def test_all_are_renewed_in_one_commit_at_a_third_of_the_time(office: tuple[Watch, Seat, Seat]) -> None:
    watch, _, ben = office
    before = len(log(ben, watch.wall))
    first = [one.expires_at for one in watch.keeper.kept]
    watch.hold(lambda: watch.move(TTL / 3 - 1))
    assert len(log(ben, watch.wall)) == before  # not a second earlier
    watch.hold(lambda: watch.move(1))
    assert [one.expires_at for one in watch.keeper.kept] == [one + timedelta(seconds=TTL / 3) for one in first]
    [renewed] = log(ben, watch.wall)[before:]
    assert renewed.startswith("renew: file x and 1 more by ada")
    for _ in range(10):  # far past the end of the first lease
        watch.hold(lambda: watch.move(TTL / 3))
    assert watch.losses == []
    assert len(log(ben, watch.wall)) == before + 11
    assert max(watch.waited) <= 5
    assert watch.finish().state == "committed"
    assert held(ben, watch.wall) == {}


def test_what_was_held_before_is_renewed_and_stays(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    fence = take(ada, clock, "x", ttl_seconds=TTL)
    clock.move(seconds=60)
    with ada.here(clock) as found:
        watch = Watch(Keeper(found.coordinator), clock)
        watch.keeper._clock = watch.clock
        kept = watch.keeper.take(file("x", "y"), ttl_seconds=TTL)
        assert [(str(one.resource), one.before) for one in kept] == [("file:x", True), ("file:y", False)]
        assert kept[0].fence == fence < kept[1].fence
        watch.hold(lambda: watch.move(TTL / 3), lambda: watch.move(TTL / 3))
        assert [str(one.resource) for one in watch.finish().released] == ["file:y"]
    assert held(ben, clock) == {"file:x": ("ada", fence)}
    assert watch.losses == []


def test_what_is_held_in_the_other_mode_is_not_replaced(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    fence = take(ada, clock, "x")
    with ada.here(clock) as found, pytest.raises(BadInput, match=f"exclusive .fence {fence}"):
        Keeper(found.coordinator).take(file("x"), mode="shared")
    assert held(ben, clock) == {"file:x": ("ada", fence)}


def test_a_refusal_takes_nothing(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    take(ben, clock, "y")
    with ada.here(clock) as found, pytest.raises(Held):
        Keeper(found.coordinator).take(file("x", "y"))
    assert set(held(ben, clock)) == {"file:y"}


def test_a_lease_that_was_broken_is_told_with_its_new_holder_and_the_other_one_is_kept(office: tuple[Watch, Seat, Seat]) -> None:
    watch, _, ben = office
    mine = watch.keeper.kept[0].fence
    fence = take(ben, watch.wall, "x", breaks=mine)
    watch.hold(lambda: watch.move(TTL / 3))
    assert watch.lost == ["file:x"]
    assert f"you no longer hold file:x (fence {mine}): file:x is held by ben" in watch.losses[0].message
    watch.hold(lambda: watch.move(TTL / 3), lambda: watch.move(TTL / 3), lambda: watch.move(TTL / 3), lambda: watch.move(TTL / 3))
    assert watch.lost == ["file:x"]
    farewell = watch.finish()
    assert [str(one.resource) for one in farewell.released] == ["file:y"]
    assert [(one.claimed_by, one.fence) for one in farewell.holders] == [("ben", fence)]
    assert held(ben, watch.wall) == {"file:x": ("ben", fence)}


def test_whoever_was_stopped_past_the_end_finds_out_first_and_changes_nothing(office: tuple[Watch, Seat, Seat]) -> None:
    watch, _, ben = office
    watch.move(TTL + 61)
    fence = take(ben, watch.wall, "x", "y")
    before = log(ben, watch.wall)
    watch.waited.clear()
    watch.hold()
    assert watch.lost == ["file:x", "file:y"]
    assert "ended" in watch.losses[0].message
    assert watch.keeper._renewal is None
    farewell = watch.finish()
    assert {one.claimed_by for one in farewell.holders} == {"ben"}
    assert (farewell.released, farewell.state) == ((), "unchanged")
    assert log(ben, watch.wall) == before
    assert held(ben, watch.wall) == {"file:x": ("ben", fence), "file:y": ("ben", fence)}
    assert any("ben holds it now" in warning for warning in watch.keeper.coordinator.notices)


def test_an_expired_lease_that_nobody_took_is_given_back_too(office: tuple[Watch, Seat, Seat]) -> None:
    watch, _, ben = office
    watch.move(TTL + 1)
    watch.hold()
    assert watch.lost == ["file:x", "file:y"]
    assert len(watch.finish().released) == 2
    assert held(ben, watch.wall) == {}


@pytest.mark.parametrize(("wall", "ticks"), [(TTL, 1.0), (-3600.0, float(TTL))], ids=["it slept", "the clock was set back"])
def test_a_lease_ends_by_the_clock_that_gets_there_first(office: tuple[Watch, Seat, Seat], wall: float, ticks: float) -> None:
    watch, _, _ = office
    watch.wall.move(seconds=wall - 1)
    watch.ticks += ticks - 1
    assert watch.keeper.look(watch.told.append) == []
    watch.wall.move(seconds=1)
    watch.ticks += 1
    [loss] = watch.keeper.look(watch.told.append)
    assert len(loss.leases) == 2


def test_it_is_held_to_its_end_while_the_remote_is_away_and_not_longer(
    office: tuple[Watch, Seat, Seat], file_remote: Remote
) -> None:
    watch, ada, ben = office
    ends = watch.keeper.kept[0].expires_at
    file_remote.away()
    while watch.wall.now < ends - timedelta(seconds=1):
        watch.hold(lambda: watch.move(min(10, (ends - watch.wall.now).total_seconds() - 1)))
    assert watch.losses == []
    assert len(watch.told) == 1  # said once, not at every try
    assert "not renewed" in watch.told[0]
    watch.hold(lambda: watch.move(1))
    assert watch.lost == ["file:x", "file:y"]
    assert "could not be renewed" in watch.losses[0].message
    farewell = watch.finish()
    assert farewell.state == "queued"
    file_remote.back()
    watch.move(61)
    fence = take(ben, watch.wall, "x")
    with ada.here(watch.wall) as found:
        assert found.coordinator.branch.sync()[0] == []
    assert held(ben, watch.wall) == {"file:x": ("ben", fence)}


def test_it_goes_on_when_the_remote_was_away_for_a_while(office: tuple[Watch, Seat, Seat], file_remote: Remote) -> None:
    watch, _, ben = office
    file_remote.away()
    watch.hold(lambda: watch.move(TTL / 3), lambda: watch.move(TTL / 3))
    file_remote.back()
    watch.hold(lambda: watch.move(60))
    watch.hold(lambda: watch.move(TTL / 3), lambda: watch.move(TTL / 3))
    assert watch.losses == []
    assert watch.told[-1] == "renewed again"
    assert watch.finish().state == "committed"
    assert held(ben, watch.wall) == {}


def test_a_renewal_that_hangs_does_not_hold_up_the_look_at_the_clock(
    office: tuple[Watch, Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, _, _ = office
    answer = threading.Event()
    renew = Claims.renew
    monkeypatch.setattr(Claims, "renew", lambda *args, **given: (answer.wait(), renew(*args, **given))[1])
    steps = iter([lambda: watch.move(TTL / 3), lambda: None, lambda: watch.move(TTL * 2 / 3)])

    def wait(seconds: float) -> bool:
        watch.waited.append(seconds)
        step = next(steps, None)
        if step is not None:
            step()
        return step is None

    watch.keeper.hold(wait, watch.losses.append, watch.told.append)
    assert watch.lost == ["file:x", "file:y"]  # while it still hangs
    assert watch.keeper._renewal is not None
    answer.set()
    watch.finish()
    assert watch.lost == ["file:x", "file:y"]  # and once


def test_giving_it_back_oneself_while_it_runs_is_no_loss(office: tuple[Watch, Seat, Seat]) -> None:
    watch, ada, ben = office
    with ada.here(watch.wall) as found:
        found.coordinator.claims.release(file("x"), done="built", tests="pass")
    take(ben, watch.wall, "x")
    before = len(log(ben, watch.wall))
    assert [str(one.resource) for one in watch.finish().released] == ["file:y"]
    assert watch.losses == []
    assert len(log(ben, watch.wall)) == before + 1


def test_ending_the_session_while_it_runs_is_told_when_it_is_renewed(office: tuple[Watch, Seat, Seat]) -> None:
    watch, ada, ben = office
    with ada.here(watch.wall) as found:
        found.coordinator.sessions.end([], None)
    watch.hold(lambda: watch.move(TTL / 3))
    assert "has ended" in watch.losses[0].message
    assert held(ben, watch.wall) == {}


def test_a_take_over_that_no_renewal_has_seen_is_found_at_the_end(office: tuple[Watch, Seat, Seat]) -> None:
    watch, _, ben = office
    fence = take(ben, watch.wall, "x", breaks=watch.keeper.kept[0].fence)
    farewell = watch.finish()
    assert watch.lost == ["file:x"]
    assert [str(one.resource) for one in farewell.released] == ["file:y"]
    assert [one.fence for one in farewell.holders] == [fence]


def test_the_session_may_go_on_as_a_newer_run_meanwhile(office: tuple[Watch, Seat, Seat]) -> None:
    watch, ada, ben = office
    with ada.here(watch.wall) as found:
        found.coordinator.sessions.start("ada", work="something else")
        assert found.coordinator.actor.run_id != watch.keeper.coordinator.actor.run_id
    watch.hold(lambda: watch.move(TTL / 3), lambda: watch.move(TTL / 3))
    assert watch.losses == []
    assert len(watch.finish().released) == 2
    assert held(ben, watch.wall) == {}


def test_a_lease_claimed_anew_in_between_is_not_taken_for_the_old_one(office: tuple[Watch, Seat, Seat]) -> None:
    watch, ada, ben = office
    with ada.here(watch.wall) as found:
        found.coordinator.claims.release(file("x"))
    with ben.here(watch.wall) as found:  # somebody was in there
        found.coordinator.claims.acquire(file("x"))
        found.coordinator.claims.release(file("x"))
    fence = take(ada, watch.wall, "x")
    watch.hold(lambda: watch.move(TTL / 3))
    assert watch.lost == ["file:x"]
    watch.finish()
    assert held(ben, watch.wall) == {"file:x": ("ada", fence)}
