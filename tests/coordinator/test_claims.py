"""Claims through the whole engine: modes, several at once, expiry, take-over, fences, overlap, operation ids."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from clones import Clock, Seat, Seats, file
from remotes import Remote

from gitcoord.core.names import Resource
from gitcoord.errors import ClockSkew, Held, NotHeld
from gitcoord.outbox import spool


def test_shared_leases_live_together_and_exclusive_ones_do_not(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    assert ada.ok("claim", "docs", "--shared")["outcome"] == "held"
    assert ben.ok("claim", "docs", "--shared")["outcome"] == "held"
    assert ben.run("claim", "docs").code == 3
    assert len(ada.ok("claims")["claims"]) == 2
    ada.ok("release", "docs")
    assert ben.ok("claim", "docs")["outcome"] == "held"
    assert [one["mode"] for one in ada.ok("claims")["claims"]] == ["exclusive"]
    assert ada.run("claim", "docs", "--shared").code == 3


def test_several_are_all_or_none_in_one_commit(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.ok("claim", "b")
    tip = ben.ok("status")["tip"]
    assert ada.run("claim", "file", "a", "b", "c").code == 3
    assert ben.ok("status")["tip"] == tip
    held = ada.ok("claim", "file", "a", "c", "d/*.py")
    assert len(held["claims"]) == 3
    assert {one["fence"] for one in held["claims"]} == {held["seq"]}


def test_any_gives_the_first_free_one(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.ok("claim", "port", "8080")
    assert [one["resource_name"] for one in ada.ok("claim", "port", "8080", "8081", "8082", "--any")["claims"]] == ["8081"]
    assert ben.run("claim", "port", "8081", "--any").code == 3


def test_claiming_again_renews_under_the_same_fence(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, _, clock = earlier
    with ada.here(clock) as found:
        first = found.coordinator.claims.acquire(file("x")).claims[0]
    clock.move(minutes=40)
    with ada.here(clock) as found:
        again = found.coordinator.claims.acquire(file("x")).claims[0]
    assert (again.fence, again.expires_at) == (first.fence, first.expires_at + timedelta(minutes=40))


def test_a_heartbeat_renews_what_is_due(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, _, clock = earlier
    with ada.here(clock) as found:
        first = found.coordinator.claims.acquire(file("x")).claims[0]
    for minutes, expected in ((5, 0), (20, 25)):
        clock.move(minutes=minutes)
        with ada.here(clock) as found:
            found.coordinator.sessions.heartbeat(action="building")
            [lease] = found.coordinator.claims.leases(mine=True, overlapping=None)
        assert lease.expires_at == first.expires_at + timedelta(minutes=expected)


def test_a_lease_of_which_a_third_has_passed_is_renewed_by_itself(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, _, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.setup.set_shared("heartbeat_every", "24h")  # no heartbeat is due for its own sake
        [given] = found.coordinator.claims.acquire(file("x"), ttl_seconds=3600).claims
    for minutes, renewed in ((19, False), (2, True)):
        clock.move(minutes=minutes)
        with ada.here(clock) as found:
            binding = found.coordinator.parts.identity.get("ada")
            assert binding is not None
            spool.heartbeat(binding, {"at": spool.stamp(found.coordinator.now().timestamp()), "action": "edited", "target": "x"})
            found.coordinator.branch.sync(if_due=True)
            [lease] = found.coordinator.claims.leases(mine=True, overlapping=None)
            assert (lease.expires_at > given.expires_at) is renewed


def test_the_grace_is_waited_for_before_a_take_over(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        lease = found.coordinator.claims.acquire(file("x")).claims[0]
    clock.now = lease.expires_at + timedelta(seconds=59)
    with ben.here(clock) as found, pytest.raises(Held):
        found.coordinator.claims.acquire(file("x"))
    clock.move(seconds=2)
    with ben.here(clock) as found:
        assert found.coordinator.claims.acquire(file("x")).taken


def test_a_silent_holder_is_replaced_only_when_asked_and_late_enough(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("x"), ttl_seconds=4 * 3600)
    clock.move(minutes=29)
    with ben.here(clock) as found, pytest.raises(Held):
        found.coordinator.claims.acquire(file("x"), if_stale=True)
    clock.move(minutes=2)
    with ben.here(clock) as found, pytest.raises(Held):
        found.coordinator.claims.acquire(file("x"))
    with ben.here(clock) as found:
        assert found.coordinator.claims.acquire(file("x"), if_stale=True).taken[0].split()[2] == "stale"


def test_breaking_needs_the_very_fence(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    fence = ada.ok("claim", "x")["claims"][0]["fence"]
    assert ben.run("claim", "x", "--break", str(fence + 1)).code == 4
    assert ben.run("claim", "x", "--break", str(fence)).code == 0
    ran = ada.run("status")
    assert f"you no longer hold file:x (fence {fence}): ben holds it now" in ran.err
    assert ada.run("check", "x", "--fence", str(fence)).code == 4
    assert ada.run("renew", "x").code == 4


def test_an_ended_session_holds_nothing(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "x")
    ada.ok("end")
    assert ben.ok("claim", "x")["outcome"] == "held"


def test_a_clock_that_is_wrong_may_not_take_over(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("x"))
    ahead = Clock(clock.now + timedelta(days=400))
    with ben.here(ahead, truth=clock) as found, pytest.raises(ClockSkew):
        found.coordinator.claims.acquire(file("x"))
    with ben.here(clock) as found, pytest.raises(Held):
        found.coordinator.claims.acquire(file("x"))


def test_where_nobody_tells_the_time_a_live_session_keeps_its_place(earlier: tuple[Seat, Seat, Clock]) -> None:
    """As over ssh. ben's clock is two hours ahead; what he has seen himself, by the seconds since his boot, is what counts."""
    ada, ben, clock = earlier
    wrong, passed = Clock(clock.now + timedelta(hours=2)), [1000.0]

    def try_it() -> tuple[str, ...]:
        with ben.here(wrong, truth=lambda: None) as found:  # type: ignore[arg-type,return-value]  # nobody tells the time
            found.coordinator.log.keeper = replace(found.coordinator.log.keeper, passed=lambda: passed[0])  # type: ignore[type-var]
            return found.coordinator.claims.acquire(file("x")).taken

    def pass_time(minutes: int) -> None:
        passed[0] += 60 * minutes
        clock.move(minutes=minutes)
        wrong.move(minutes=minutes)

    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("x"))
    with pytest.raises(ClockSkew, match="nobody confirms"):
        try_it()
    pass_time(55)
    with ada.here(clock) as found:
        found.coordinator.claims.renew(file("x"))
    for minutes in (10, 55):
        pass_time(minutes)
        with pytest.raises(ClockSkew, match="it has itself seen no sign of life"):
            try_it()
    pass_time(5)
    with pytest.raises(ClockSkew):
        try_it()
    pass_time(1)
    assert try_it()[0].split()[2] == "expired"


def test_nothing_is_shown_by_a_clock_that_is_contradicted(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("x"))
    for wrong in (Clock(clock.now + timedelta(days=36500)), Clock(clock.now - timedelta(days=1))):
        with ben.here(wrong, truth=clock) as found:
            coordinator = found.coordinator
            now = coordinator.branch.status()
            assert now.as_of == clock.now
            assert [item for item in now.attention if item.kind == "expired"] == []
            with pytest.raises(Held):
                coordinator.claims.check(file("x"), None)
            assert "this goes by the remote's" in " ".join(coordinator.notices)
            with pytest.raises(ClockSkew):
                coordinator.claims.acquire(file("free"))
            coordinator.sessions.heartbeat(action="building")


def test_the_same_operation_id_has_one_effect(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    first = ada.ok("--op", "deploy-1", "send", "ben", "once")
    again = ada.ok("--op", "deploy-1", "send", "ben", "once")
    assert (again["seq"], again["commit"]) == (first["seq"], first["commit"])
    assert len(ben.ok("inbox")["messages"]) == 1
    claimed = ada.ok("--op", "claim-1", "claim", "x")
    assert ada.ok("--op", "claim-1", "claim", "x")["claims"] == claimed["claims"]


@pytest.mark.parametrize(
    ("mine", "theirs", "conflict"),
    [
        ("src", "src/deep/a.py", True),
        ("src/", "src", True),
        ("src/a.py", "src/b.py", False),
        ("src/*.py", "src/b.py", True),
        ("src/*.py", "src/deep/b.py", False),
        ("**/b.py", "src/deep/b.py", True),
        ("src/*.py", "src/*.js", False),
        ("app/[id]/page.tsx", "app/i/page.tsx", False),
        (".", "anything/at/all", True),
    ],
)
def test_paths_overlap_as_a_reader_expects(pair: tuple[Seat, Seat], mine: str, theirs: str, conflict: bool) -> None:
    ada, ben = pair
    assert ada.run("claim", mine).code == 0
    assert ben.run("claim", theirs).code == (3 if conflict else 0)


def test_spellings_of_one_file_have_one_holder_and_check_says_what_a_claim_would(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.git("config", "core.ignorecase", "true")  # one of the two is enough
    ada.ok("claim", "src/api.py")
    for wanted in ("src/API.py", "SRC", "Src/*.PY", "src/**"):
        assert ben.run("check", wanted).code == 3
        assert ben.run("claim", wanted).code == 3
    ben.ok("claim", "Docs/Read.me")
    for wanted in ("docs/read.me", "DOCS", "docs/*.ME"):
        assert ada.run("check", wanted).code == 3
        assert ada.run("claim", wanted).code == 3
    (ben.path / "SRC").mkdir()
    (ben.path / "SRC/Api.py").write_text("x")
    ben.git("config", "gitcoord.guard", "block")
    ben.git("add", "SRC/Api.py")
    for words in (("guard", "SRC/Api.py"), ("guard", "--staged"), ("guard", "--staged")):  # at last by the short way
        assert "is held by" in ben.run(*words).err
    assert ben.run("guard", "SRC/Api.py").code == 3


def test_check_says_of_a_folder_what_a_claim_would(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "file", "src/a.py", "lib")
    ben.ok("claim", "src/b.py")
    ada.ok("config", "--shared", "capacity.ci", "2")
    ben.ok("claim", "ci:slot")
    for wanted, code in [("src", 3), ("src/*.py", 3), (".", 3), ("src/a.py", 0), ("lib", 0), ("lib/x.py", 0), ("src/c.py", 0),
                         ("ci:slot", 0)]:  # fmt: skip
        assert ada.run("check", wanted).code == code, wanted
        assert ada.run("claim", wanted).code == code, wanted
    ada.ok("release", "--all")
    for seat in (ada, ben):
        seat.ok("claim", "docs", "--shared")
    assert ada.run("check", "docs").code == 0


def test_a_holder_hears_of_another_s_commit_everywhere(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "src")
    with ben.here() as found:
        binding = found.coordinator.parts.identity.get("ben")
        assert binding is not None
        entry = {"action": "committed", "target": "mend it", "files": ["src/a.py"], "commit": "0d2f" * 10}
        spool.heartbeat(binding, {"at": spool.stamp(), **entry})
    ben.ok("send", "broadcast", "it rides along")
    board = ada.run("board").out
    assert "ben committed src/a" in board.split("## ⚠️ Coordination Needed")[1].strip().splitlines()[0]
    assert "ben committed src/a.py" in ada.run("status").out
    assert [one["event"] for one in ada.ok("log", "--resource", "src/a.py")["events"]][-1] == "heartbeat.recorded"
    assert "ben committed file:src while ada held it" in ada.run("history", "src").out
    assert "ben committed src/a.py" in ada.run("inbox").out
    assert "- none" in ada.run("board").out.split("## ⚠️ Coordination Needed")[1].strip().splitlines()[0]


def test_what_was_hardly_meant_is_said_or_asked_about(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    for name in ("src", "tests"):
        (ada.path / name).mkdir()
    for words, told in [
        (("claim", "src", "tests"), "the files: file src tests | of the type src: src:tests"),
        (("check", "src", "tests"), "src:tests"),
        (("claim", "the landing page"), "gitcoord claim 'task:the landing page'"),
        (("config", "remote", "nope"), "no remote called 'nope'"),
        (("config", "hub", ""), "can't be empty"),
        (("config", "desk", ""), "absolute path"),
        (("config", "desk", "here/there"), "absolute path"),
        (("config", "host", ""), "can't be empty"),
    ]:
        ran = ada.run(*words)
        assert (ran.code, told in ran.err) == (2, True), ran
    assert ada.ok("claims")["claims"] == []
    assert "there is no nosuchfile.py here" in ada.run("claim", "nosuchfile.py").err
    assert "there is no" not in ada.run("claim", "src").err
    assert "there is no" not in ada.run("claim", "file", "new/*.py").err
    assert ada.run("claim", "file", "the landing page").code == 0
    assert "file:notmine is nobody's" in ada.run("release", "notmine").out
    both = ada.run("release", "file", "src", "notmine")
    assert ("released: file:src" in both.out, "file:notmine was not held" in both.err) == (True, True)
    assert "no session is called nobody" in ada.run("log", "--session", "nobody").err
    cut = ada.run("log", "--limit", "3")
    assert f"{len(ada.ok('log', '--limit', '99')['events']) - 3} earlier ones are not shown" in cut.out
    assert "1 earlier one is not shown" in ada.run("log", "--limit", str(len(ada.ok("log")["events"]) - 1)).out
    for outbox in (str(tmp_path / "outbox"), "~/outbox", "clone", "machine"):
        ada.ok("config", "desk", outbox)


def test_the_board_spells_a_name_as_commands_take_it_and_they_take_what_it_spelled(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "deploy", "staging")
    assert "| deploy:staging | ada |" in ada.run("board").out
    for name in ("deploy:staging", "deploy/staging"):
        assert ben.run("check", name).code == 3
        assert ben.run("claim", name).code == 3
    assert ben.run("check", "deploy/other").code == 0
    (ben.path / "deploy").mkdir()
    assert ben.run("check", "deploy/staging").code == 0  # here it is a folder: a file is meant


def test_other_types_need_equal_names(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "droplet", "church-guidance")
    assert ben.run("claim", "droplet", "church").code == 0
    assert ben.run("claim", "droplet:church-guidance").code == 3
    with ben.here() as found:
        assert found.coordinator.claims.acquire([Resource("deploy", "church-guidance")]).claims


def test_a_loss_is_told_where_the_session_acts_on_it(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        fence = found.coordinator.claims.acquire(file("x")).claims[0].fence
    clock.move(hours=2)
    with ben.here(clock) as found:
        found.coordinator.claims.acquire(file("x"))
    for act in (
        lambda coordinator: coordinator.claims.release(file("x")),
        lambda coordinator: coordinator.claims.renew(file("x")),
        lambda coordinator: coordinator.claims.check(file("x"), fence),
    ):
        with ada.here(clock) as found, pytest.raises(NotHeld):
            act(found.coordinator)
    with ben.here(clock) as found:
        assert [one.claimed_by for one in found.coordinator.claims.leases(mine=False, overlapping=None)] == ["ben"]


@pytest.mark.parametrize("words", [("heartbeat", "building"), ("send", "broadcast", "hello"), ("claim", "other"), ("inbox",)])
def test_the_dispossessed_learn_it_with_any_command_and_once(pair: tuple[Seat, Seat], words: tuple[str, ...]) -> None:
    ada, ben = pair
    fence = ada.ok("claim", "x")["claims"][0]["fence"]
    ben.ok("claim", "x", "--break", str(fence))
    assert f"you no longer hold file:x (fence {fence}): ben holds it now" in ada.run(*words).err
    assert "no longer" not in ada.run(*words).err


def test_what_was_given_back_is_no_loss(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    ada.ok("claim", "file", "x", "y")
    assert "no longer" not in ada.run("release", "x").err
    assert "no longer" not in ada.run("end").err


def test_a_claim_that_landed_for_a_dead_caller_is_told(pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object) -> None:
        raise Killed

    ada, _ = pair
    ada.ok("sync")
    with monkeypatch.context() as patch:
        patch.setattr("gitcoord.outbox.store.Outbox.answer", die)
        with ada.here() as found:
            patch.setattr("gitcoord.machine.processes.born", lambda pid: "long ago")
            with pytest.raises(Killed):
                found.coordinator.claims.acquire(file("x"))
    assert "the claim landed after its command was gone" in ada.run("sync").err
    assert "landed" not in ada.run("status").err


def test_settings_of_all_are_shared(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("config", "--shared", "max_ttl", "2h")
    assert ben.ok("config", "--shared", "max_ttl")["value"] == 7200
    assert ben.run("config", "--shared", "skip_ci").out == "true\n"  # as it is typed
    assert "autoclaim = false\n" in ben.run("config").out
    assert ben.run("claim", "x", "--ttl", "3h").code == 2


def test_work_that_is_ready_is_picked_up_by_claiming_it(pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats) -> None:
    ada, ben = pair
    ada.ok("claim", "droplet", "dashboard", "--phase", "SPECS")
    ada.ok("heartbeat", "planning", "dashboard", "SPECS", "--file", "README.md")
    ada.ok("release", "droplet", "dashboard", "--done", "SPECS complete\n4-6 hours estimated", "--tests", "pass", "--next", "BUILD")
    [offer] = ben.ok("status")["handoffs"]
    assert (offer["next"], offer["phase"], offer["tests"], offer["files"]) == ("BUILD", "SPECS", "pass", ["README.md"])
    [told] = ben.ok("inbox")["messages"]
    assert (told["type"], told["details"]["tests_passing"], told["details"]["next_phase"]) == ("work_completed", "true", "BUILD")
    assert told["details"]["phase_completed"] == "SPECS"
    assert "Ready To Pick Up" in ben.run("board").out
    ben.ok("claim", "droplet", "dashboard", "--phase", "BUILD")
    assert ben.ok("status")["handoffs"] == []
