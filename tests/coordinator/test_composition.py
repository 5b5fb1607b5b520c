"""A coordinator that acts as another: the same branch and notices, another caller."""

from __future__ import annotations

from dataclasses import replace

from clones import Seat, file


def test_a_copy_acts_as_another_and_tells_what_it_did_to_the_same_run(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    with ada.here() as found:
        mine = found.coordinator
        copy = mine.acting_as(replace(mine.actor, agent_name="other", heard=False))
        copy.notices.add("something happened")
        fence = copy.claims.acquire(file("x")).claims[0].fence
        assert list(mine.notices) == ["something happened"]
        assert mine.notices.landed == fence
        assert (mine.actor.agent_name, mine.actor.heard) == (None, True)


def test_what_a_copy_starts_does_not_change_who_the_first_one_acts_for(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    with ada.here() as found:
        mine = found.coordinator
        copy = mine.acting_as(mine.actor)
        apart = copy.sessions.start_apart("apart", role="relay", work="elsewhere")
        assert copy.actor == apart
        assert (apart.session, mine.actor.session) == ("apart", "ada")
        assert [one.session for one in mine.parts.identity.all()] == ["ada"]
