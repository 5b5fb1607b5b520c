"""Many at once: on one clone, on many clones of one machine, on many machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from clones import Clone, Seat, collect
from remotes import Remote


@pytest.fixture
def sessions(pytestconfig: pytest.Config) -> int:
    """How many: thirty-two where there is time."""
    return 32 if pytestconfig.getoption("--long") or pytestconfig.getoption("--race-rounds") > 1 else 8


@pytest.fixture(params=["one clone", "clones of one machine", "machines"])
def crowd(request: pytest.FixtureRequest, file_remote: Remote, clone: Clone, tmp_path: Path, sessions: int) -> list[Seat]:
    """As many seats, everybody started."""
    names = [f"s-{number:02}" for number in range(sessions)]
    if request.param == "one clone":
        path = clone(file_remote, tmp_path / "clone")
        found = [Seat(path, tmp_path / "outbox", name) for name in names]
    else:
        machines = 1 if request.param == "clones of one machine" else sessions  # the more machines, the more lost races
        found = [
            Seat(clone(file_remote, tmp_path / name), tmp_path / f"outbox-{number % machines}", name)
            for number, name in enumerate(names)
        ]
    Seat(found[0].path, found[0].outbox).ok("init")
    started = collect([Seat(seat.path, seat.outbox).start("start", seat.session) for seat in found])
    assert [ran.code for ran in started] == [0] * sessions, started
    return found


def test_one_resource_has_one_holder_and_many_have_as_many(crowd: list[Seat], sessions: int, pytestconfig: pytest.Config) -> None:
    for number in range(pytestconfig.getoption("--race-rounds")):
        # The same words in the same second, several resources at once: still one winner, who has them all.
        ran = collect([seat.start("claim", "droplet", f"one-{number}", f"two-{number}", "--json") for seat in crowd])
        assert sorted(one.code for one in ran) == [0] + [3] * (sessions - 1), ran
        winner = next(one for one in ran if one.code == 0).json["claims"][0]
        for one in ran:
            if one.code == 3:
                named = one.json["blocked_by"][0]
                assert (named["claimed_by"], named["fence"]) == (winner["claimed_by"], winner["fence"])
        ran = collect([seat.start("claim", "droplet", f"r-{number}-{seat.session}", "--json") for seat in crowd])
        assert [one.code for one in ran] == [0] * sessions, ran
        assert {one.json["claims"][0]["claimed_by"] for one in ran} == {seat.session for seat in crowd}
        assert len({one.json["claims"][0]["fence"] for one in ran}) == sessions
        # All given back at once, the winner's two with it: the next round starts from nothing held.
        ran = collect([seat.start("release", "--all", "--json") for seat in crowd])
        assert [one.code for one in ran] == [0] * sessions, ran
        assert crowd[0].ok("claims")["claims"] == []
    verdict = crowd[0].ok("verify")
    assert verdict["ok"] is True
    assert verdict["problems"] == []


def test_racing_inits_end_with_one_root(file_remote: Remote, clone: Clone, tmp_path: Path) -> None:
    found = [Seat(clone(file_remote, tmp_path / f"c{n}"), tmp_path / f"outbox{n}") for n in range(8)]
    ran = collect([seat.start("init") for seat in found])
    assert [one.code for one in ran] == [0] * 8, ran
    assert found[0].ok("verify")["commits"] == 1
