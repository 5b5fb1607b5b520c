"""The main job, end to end, through the real program, on each kind of remote: two clones, two machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clones import Seat, Seats, snapshot
from gits import attempt, git
from remotes import Remote

from gitcoord.views.tree import BOARD


def _play(ada: Seat, ben: Seat, ref: str) -> None:
    assert ada.ok("init")["branch"] == ref
    first = ada.ok("start", "session-001", "--work", "landing page", "--capability", "build")
    assert first["session_id"] == "session-001"
    assert first["state"] == "committed"
    assert ben.ok("start", "session-002")["seq"] == first["seq"] + 1

    held = ada.ok("claim", "src", "--phase", "BUILD", "--ttl", "30m", "--reason", 'it says "quote" and\nmore')
    assert held["outcome"] == "held"
    lease = held["claims"][0]
    assert (lease["resource_type"], lease["resource_name"], lease["claimed_by"]) == ("file", "src", "session-001")
    assert lease["fence"] == held["seq"]

    refused = ben.run("claim", "src/api.py", "--json")
    assert refused.code == 3
    assert refused.json["outcome"] == "blocked"
    blocker = refused.json["blocked_by"][0]
    assert (blocker["claimed_by"], blocker["fence"], blocker["expires_at"]) == ("session-001", lease["fence"], lease["expires_at"])
    assert refused.json["hint"].startswith("gitcoord ")
    told = ben.run("claim", "src/api.py")
    assert "session-001" in told.err
    assert lease["expires_at"] in told.err
    assert "hint: gitcoord request file:src/api.py " in told.err

    assert ben.ok("send", "session-001", "May I?", "I need src/api.py\nsoon")["state"] == "committed"
    mail = ada.ok("inbox")["messages"]
    assert [(one["from"], one["subject"], one["message"]) for one in mail] == [("session-002", "May I?", "I need src/api.py\nsoon")]
    assert ada.ok("inbox")["messages"] == []

    assert ada.ok("release", "src", "--done", "endpoints", "--tests", "pass", "--next", "PRODUCTION")["state"] == "committed"
    taken = ben.ok("claim", "src/api.py")
    assert taken["claims"][0]["fence"] > lease["fence"]
    assert [one["type"] for one in ben.ok("inbox")["messages"]] == ["work_completed"]
    assert ben.run("check", "src/api.py").code == 0
    assert ada.run("check", "src/api.py").code == 3
    assert ada.run("release", "src/api.py").code == 4

    status = ada.ok("status")
    assert {one["session_id"] for one in status["sessions"]} == {"session-001", "session-002"}
    assert [one["claimed_by"] for one in status["claims"]] == ["session-002"]
    assert ada.ok("end", "--notes", "all yours")["state"] == "committed"
    assert ben.ok("end")["state"] == "committed"
    assert ben.ok("status")["claims"] == []
    for seat in (ada, ben):
        verdict = seat.ok("verify")
        assert verdict["ok"] is True
        assert verdict["problems"] == []
        assert verdict["commits"] == verdict["events"]


@pytest.mark.usually("file", "ssh")
def test_two_clones_of_each_kind_of_remote_do_the_whole_job(remote: Remote, seats: Seats) -> None:
    ada, ben = seats(remote, "ada", "ben")
    (ada.path / "untracked.txt").write_text("mine")
    ada.git("config", "core.logAllRefUpdates", "true")
    before = [snapshot(seat.path) for seat in (ada, ben)]
    _play(ada, ben, "origin/coordination")
    assert [snapshot(seat.path) for seat in (ada, ben)] == before
    for seat in (ada, ben):
        fsck = attempt(seat.path, "fsck", "--strict")
        assert fsck.code == 0, fsck
        assert "error" not in fsck.err
        kept = git(seat.path, "for-each-ref", "--format=%(refname)", "refs/gitcoord/")
        assert kept.split() == ["refs/gitcoord/last/origin/coordination"]  # the last tip that was accepted, and nothing else
    assert attempt(remote.path, "fsck", "--strict").code == 0

    # The user's own work goes on: commits, and `git push --all`.
    (ada.path / "code.py").write_text("x = 1\n")
    ada.git("add", "code.py")
    ada.git("commit", "-q", "-m", "code")
    ada.git("push", "--all", "origin")
    ben.git("pull", "-q", "--ff-only")
    assert (ben.path / "code.py").exists()


def test_one_repository_without_a_remote_does_it_too(tmp_path: Path) -> None:
    home = tmp_path / "repo"
    git(tmp_path, "init", "-q", str(home))
    git(home, "commit", "-q", "--allow-empty", "-m", "first")
    git(home, "worktree", "add", "-q", str(tmp_path / "other"), "-b", "side")
    ada, ben = Seat(home, tmp_path / "outbox"), Seat(tmp_path / "other", tmp_path / "outbox")
    _play(ada, ben, "coordination")
    assert git(home, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_plain_git_reads_the_record(file_remote: Remote, seats: Seats) -> None:
    ada, ben = seats(file_remote, "ada", "ben")
    _play(ada, ben, "origin/coordination")
    log = ada.git("log", "--format=%an|%s", "--reverse", "origin/coordination").splitlines()
    assert log[1] == "session-001|start: session-001, landing page"
    assert log[3].startswith("session-001|claim: file src by session-001 until ")
    assert ada.git(
        "log", "--format=%(trailers:key=Coord-Resource,valueonly)", "--grep=^Coord-Session: session-002$", "origin/coordination"
    )
    claims = ada.git("log", "--format=%s", "origin/coordination", "--", "claims/").splitlines()
    assert [line.partition(":")[0] for line in claims] == ["end", "claim", "release", "claim"]
    board = ada.git("show", f"origin/coordination:{BOARD}")
    assert "Coordination Needed" in board
    record = json.loads(ada.git("show", "origin/coordination:sessions/session-001.json"))
    assert record["status"] == "completed"
    assert record["handoff_notes"] == "all yours"


@pytest.mark.parametrize("spelling", [("status", "--json"), ("--json", "status"), ("--json",)])
def test_global_options_stand_before_and_after_the_command(pair: tuple[Seat, Seat], spelling: tuple[str, ...]) -> None:
    ran = pair[0].run(*spelling)
    assert ran.code == 0
    assert {one["session_id"] for one in ran.json["sessions"]} == {"ada", "ben"}


def test_a_command_works_from_a_subfolder_and_with_c(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    (ada.path / "deep" / "er").mkdir(parents=True)
    inside = ada.run("claim", "x.py", "--json", cwd=ada.path / "deep" / "er")
    assert inside.json["claims"][0]["resource_name"] == "deep/er/x.py"
    outside = ada.run("claim", "y.py", "-C", str(ada.path / "deep"), "--json", cwd=tmp_path)
    assert outside.json["claims"][0]["resource_name"] == "deep/y.py"
