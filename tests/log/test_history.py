"""`history` on real branches: by path, type and name; what overlaps, what is bad, what is bounded; offline and in a fresh clone."""

from __future__ import annotations

from pathlib import Path

import pytest
from clones import Clock, Seat, Seats, file
from gits import git
from remotes import Remote

from gitcoord.core.names import Resource
from gitcoord.log.history import Bad, Checked


@pytest.fixture
def worn(earlier: tuple[Seat, Seat, Clock]) -> tuple[Seat, Seat, Clock]:
    """`src/a.py` has been held in turn: by ada, by ben who took it over, and `src` by ada since."""
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("src/a.py"), phase="BUILD", reason="the parser", ttl_seconds=1800)
        found.coordinator.claims.acquire(file("docs"))
    clock.move(minutes=15)
    with ada.here(clock) as found:
        found.coordinator.claims.renew(file("src/a.py"))
    clock.move(hours=1)
    with ben.here(clock) as found:
        found.coordinator.claims.acquire(file("src/a.py"))
    clock.move(minutes=10)
    with ben.here(clock) as found:
        found.coordinator.claims.release(file("src/a.py"), done="parses\nall of it", tests="pass", next_phase="REVIEW")
    clock.move(minutes=5)
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("src"), mode="shared", ttl_seconds=24 * 3600)
    return ada, ben, clock


def test_it_tells_who_held_it_when_and_how_it_ended(worn: tuple[Seat, Seat, Clock]) -> None:
    ada, _, _ = worn
    told = ada.ok("history", "src/a.py")
    assert (told["resource_type"], told["resource_name"], told["waits"]) == ("file", "src/a.py", [])
    first, second, third = told["leases"]
    assert (first["session"], first["phase"], first["reason"], first["mode"], first["renewals"]) == (
        "ada", "BUILD", "the parser", "exclusive", 1,
    )  # fmt: skip
    assert (first["how"], first["by"], first["why"], first["seconds"]) == ("taken_over", "ben", "expired", 45 * 60)
    assert (second["how"], second["done"], second["tests"], second["seconds"]) == ("released", "parses\nall of it", "pass", 600)
    assert (third["resource"], third["overlapping"], third["mode"], third["how"], third["ended_at"]) == (
        "file:src", True, "shared", None, None,
    )  # fmt: skip
    assert [one["overlapping"] for one in (first, second)] == [False, False]
    assert first["fence"] < second["fence"] < third["fence"]
    subjects = [ada.git("log", "-1", "--format=%s", commit) for commit in (*first["commits"], *second["commits"])]
    assert [one.partition(":")[0] for one in subjects] == ["claim", "claim", "claim", "release"]


def test_it_is_asked_for_by_path_by_type_and_name_and_by_both(worn: tuple[Seat, Seat, Clock]) -> None:
    ada, _, _ = worn
    ada.ok("claim", "droplet", "src")
    whole = ada.ok("history", "src/a.py")["leases"]
    assert ada.ok("history", "file:src/a.py")["leases"][:2] == whole[:2]
    assert ada.ok("history", "file", "src/a.py")["leases"][:2] == whole[:2]
    assert ada.ok("history", "nobody/ever.py")["leases"] == []
    assert [one["resource"] for one in ada.ok("history", "droplet", "src")["leases"]] == ["droplet:src"]
    assert ada.run("history", "file", "a", "b").code == 2
    assert ada.run("history").code == 2


def test_people_get_a_table_newest_last_and_bounded(worn: tuple[Seat, Seat, Clock]) -> None:
    ada, _, _ = worn
    lines = ada.run("history", "src/a.py").out.splitlines()
    assert lines[0] == "file:src/a.py"
    assert "taken over by ben: it had expired" in lines[2]
    assert "released: parses (tests pass, next REVIEW)" in lines[3]
    assert "file:src " in lines[4]
    assert "held for another 19 h 30 min" in lines[4]
    short = ada.ok("history", "src/a.py", "--limit", "1")
    assert ([one["resource"] for one in short["leases"]], short["earlier"]) == (["file:src"], 2)
    assert "2 earlier ones are not shown" in ada.run("history", "src/a.py", "-n", "1").out
    assert "1 earlier one is not shown" in ada.run("history", "src/a.py", "-n", "2").out


def test_a_fresh_clone_tells_the_same(worn: tuple[Seat, Seat, Clock], file_remote: Remote, seats: Seats) -> None:
    ada, _, _ = worn
    (fresh,) = seats(file_remote, "fresh")
    assert fresh.ok("history", "src/a.py")["leases"][:2] == ada.ok("history", "src/a.py")["leases"][:2]
    file_remote.away()
    assert fresh.ok("history", "src/a.py", "--cached")["leases"][:2] == ada.ok("history", "src/a.py")["leases"][:2]


def test_a_stolen_claim_is_no_part_of_it(worn: tuple[Seat, Seat, Clock], file_remote: Remote, tmp_path: Path) -> None:
    """Somebody pushes a grant by hand that the rules forbid."""
    ada, ben, _ = worn
    before = ada.ok("history", "src/a.py")["leases"]
    hand = tmp_path / "hand"
    git(tmp_path, "clone", "-q", "-b", "coordination", str(file_remote.path), str(hand))
    [grant] = [one for one in ada.ok("log", "--limit", "50")["events"] if one["subject"].startswith("claim: file src ")]
    said = git(hand, "log", "-1", "--format=%B", grant["commit"])
    seq = ada.ok("status")["seq"] + 1
    stolen = said.replace("by ada", "by ben").replace("Coord-Session: ada", "Coord-Session: ben")
    stolen = stolen.replace(f"Coord-Seq: {grant['seq']}", f"Coord-Seq: {seq}").replace("Coord-Id: ", "Coord-Id: X")
    stolen = "\n".join(line for line in stolen.splitlines() if not line.startswith("Coord-Run"))
    git(hand, "commit", "-q", "--allow-empty", "-m", stolen)
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    assert ada.ok("status")["attention"]
    assert "claim.acquired" in git(hand, "log", "-1", "--format=%B")
    leases = ada.ok("history", "src/a.py")["leases"]
    assert [one["fence"] for one in leases] == [one["fence"] for one in before]
    ben.ok("send", "broadcast", "mended")
    leases = ada.ok("history", "src/a.py")["leases"]
    assert [one["fence"] for one in leases] == [one["fence"] for one in before]
    with ada.here() as found:  # a clone that no longer knows which ones are bad finds out again
        coordinator = found.coordinator
        checked = coordinator.branch.view().checked
        assert len(checked.bad) == 1
        forgetful = Checked(checked.tip, checked.good, checked.seq, ())
        seen = [one.commit for one in coordinator.log.line(forgetful)]
        assert seen == [one.commit for one in coordinator.log.line(checked)]
        assert checked.bad[0].commit not in seen
        assert isinstance(checked.bad[0], Bad)


def test_how_ones_own_lease_ended(worn: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = worn
    with ben.here(clock) as found:
        coordinator = found.coordinator
        held, now = coordinator.branch.history(Resource("file", "src/a.py"))
        first, second, third = held.all(now)
        assert coordinator.branch.how_it_ended(second.resource, second.fence) == "released"
        assert coordinator.branch.how_it_ended(first.resource, first.fence) is None  # not ben's
        assert coordinator.branch.how_it_ended(third.resource, third.fence) is None
    with ada.here(clock) as found:
        assert found.coordinator.branch.how_it_ended(first.resource, first.fence) == "taken_over"
