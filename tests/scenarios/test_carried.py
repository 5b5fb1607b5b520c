"""Sessions that may push a branch of their own only: what they say is carried by it, and adopted once by somebody who may push."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clones import Seat, Seats, file
from gits import attempt, git
from remotes import Remote

from gitcoord.core.events import Command
from gitcoord.core.messages import SendMessage
from gitcoord.core.sessions import StartSession
from gitcoord.log import carrier

RULE = """#!/bin/sh
case "$GITCOORD_TEST_MAY:$1" in :*|*:refs/heads/$GITCOORD_TEST_MAY) exit 0;; esac
echo "only $GITCOORD_TEST_MAY may be pushed" >&2
exit 1
"""
"""The host's rule. Who may push what is known by who pushes: here, by a variable."""


@pytest.fixture
def ada(pair: tuple[Seat, Seat], file_remote: Remote) -> Seat:
    """Somebody who may push all, on a branch whose sessions agreed to carry."""
    hook = file_remote.path / "hooks" / "update"
    hook.write_text(RULE)
    hook.chmod(0o755)
    pair[0].ok("config", "--shared", "carry", "true")
    return pair[0]


def cloud_of(seats: Seats, remote: Remote, branch: str, may: str) -> Seat:
    """A clone of an agent in a cloud, on its own branch, that may push only what `may` says."""
    [seat] = seats(remote, branch.replace("/", "-"))
    seat.git("checkout", "-q", "-b", branch)
    return replace(seat, extra={"GITCOORD_TEST_MAY": may})


@pytest.fixture
def cloud(ada: Seat, file_remote: Remote, seats: Seats) -> Seat:
    """An agent that may push below `claude/` only."""
    return cloud_of(seats, file_remote, "claude/fix", "claude/*")


class Left(Exception):
    """The agent doesn't wait for the answer."""


def ask_and_leave(seat: Seat, name: str) -> None:
    """Claim that, and go when there is no answer at once."""

    def go(_: float) -> None:
        raise Left

    with seat.here(rest=go) as found, pytest.raises(Left):
        found.coordinator.claims.acquire(file(name))


def test_a_carried_session_speaks_claims_hears_and_ends(ada: Seat, cloud: Seat) -> None:
    started = cloud.run("start", "--work", "the fix", "--json")
    assert (started.code, started.json["state"]) == (0, "local")
    assert "nobody sees this session yet" in started.err
    name = started.json["session_id"]
    head = cloud.git("rev-parse", "HEAD^{tree}")
    cloud.ok("send", "ada", "hello")
    ask_and_leave(cloud, "README")
    assert ada.ok("sync")["adopted"] == 3
    assert ada.ok("sync")["adopted"] == 0
    claimed = cloud.run("claim", "README", "--json")
    assert (claimed.json["outcome"], claimed.json["claims"][0]["claimed_by"]) == ("held", name)
    assert "nobody sees" not in claimed.err
    assert [one["subject"] for one in ada.ok("inbox")["messages"]] == ["hello"]
    [peer] = [one for one in ada.ok("peers")["sessions"] if one["session_id"] == name]
    assert peer["carried"] == f"ada claude/fix@{cloud.git('rev-parse', 'HEAD').strip()}"
    assert cloud.git("rev-parse", "HEAD^{tree}") == head
    assert cloud.git("log", "-1", "--format=%s").strip() == "coord: 1 event [skip ci]"
    assert cloud.git("status", "--porcelain") == ""

    ada.ok("claim", "b")
    ask_and_leave(cloud, "b")
    ada.ok("sync")
    refused = cloud.run("claim", "b", "--json")
    assert (refused.code, refused.json["outcome"]) == (3, "blocked")
    assert "held by ada" in refused.json["message"]
    ada.ok("send", name, "a question")
    assert [one["subject"] for one in cloud.ok("inbox")["messages"]] == ["a question"]
    assert cloud.ok("inbox")["messages"] == []
    renewed = cloud.run("renew", "README", "--json")
    assert (renewed.code, "can't be carried" in renewed.json["message"]) == (7, True)
    cloud.ok("end", "--done", "the fix")
    assert ada.ok("sync")["adopted"] >= 1
    [over] = [one for one in ada.ok("status", "--all")["sessions"] if one["session_id"] == name]
    assert (over["status"], over["work_completed"]) == ("completed", ["the fix"])
    assert ada.ok("verify")["problems"] == []
    kinds = [one["event"] for one in ada.ok("log", "--session", name)["events"]]
    assert kinds.count("claim.acquired") == kinds.count("session.started") == kinds.count("session.ended") == 1


def _put(seat: Seat, branch: str, text: str) -> None:
    """Push a commit with that message on that branch."""
    commit = git(seat.path, "commit-tree", "HEAD^{tree}", "-p", "HEAD", stdin=text).strip()
    git(seat.path, "push", "--quiet", "origin", f"+{commit}:refs/heads/{branch}")


def test_forged_carriers_are_refused_and_named_and_lose_nobody_else_s_events(
    ada: Seat, cloud: Seat, file_remote: Remote, seats: Seats
) -> None:
    name = cloud.ok("start")["session_id"]
    assert ada.ok("sync")["adopted"] == 1
    [mallory] = seats(file_remote, "mallory")
    with cloud.here() as found:
        run, at, ids = found.coordinator.actor.run_id, found.coordinator.now(), found.outbox.next_id

        def said(session: str, run_id: str, **more: Any) -> Command:
            return SendMessage(op=ids(), session=session, run_id=run_id, at=at, to="ada", subject="forged", **more)

        with ada.here() as other:
            adas = other.coordinator.actor.run_id
        good = said("eve", "01EVE").model_copy(update={"subject": "good"})
        start = StartSession(op=ids(), session="eve", run_id="01EVE", at=at, offline=True)
        start = start.model_copy(update={"op": "0" + start.op[1:]})  # before the message
        forged = {
            "claude/copy": [carrier.encode(said(name, run), "claude/fix")],
            "claude/steal": [carrier.encode(said(name, run), "claude/steal")],
            "claude/real": [carrier.encode(said("ada", adas), "claude/real")],
            "claude/none": [carrier.encode(said("nobody", "01N"), "claude/none")],
            "claude/taken": [carrier.encode(start.model_copy(update={"session": "ada", "op": ids()}), "claude/taken")],
            "claude/first": [carrier.encode(start.model_copy(update={"session": "late", "op": ids()}), "claude/other")],
            "claude/bytes": ["Coord-Carry: 1.!!!"],
            "claude/many": ["Coord-Carry: 1.e30"] * 65,
            "main-2": [carrier.encode(said("ada", adas), "main-2")],
            "claude/good": [carrier.encode(start, "claude/good"), "Coord-Carry: 1.e30", carrier.encode(good, "claude/good")],
        }
    for branch, lines in forged.items():
        _put(mallory, branch, carrier.message(lines, skip_ci=False))
    cloud.ok("send", "ada", "honest")
    ran = ada.run("sync", "--json")
    assert ran.json["adopted"] == 3, ran
    for branch in forged.keys() - {"main-2"}:
        assert f"not adopted: {branch}@" in ran.err, (branch, ran.err)
    assert "main-2" not in ran.err
    assert sorted(one["subject"] for one in ada.ok("inbox")["messages"]) == ["good", "honest"]

    _put(mallory, "claude/fix", carrier.message([carrier.encode(said(name, run), "claude/fix")], skip_ci=False))
    ran = ada.run("sync", "--json")
    assert ran.json["adopted"] == 0
    assert "not adopted: claude/fix: it was rewritten" in ran.err
    assert "claude/fix: it was rewritten" in ada.run("doctor").out
    assert ada.ok("verify")["problems"] == []


def test_nothing_may_be_pushed_and_the_network_is_cut_it_waits_for_who_pushes_the_branch(
    ada: Seat, pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats
) -> None:
    shut = cloud_of(seats, file_remote, "codex/shut", "nothing")
    ran = shut.run("start", "--json")
    assert ran.json["state"] == "local"
    assert "could not be pushed" in ran.err
    cut = cloud_of(seats, file_remote, "copilot/cut", "copilot/*")
    cut.ok("status")
    file_remote.away()
    assert cut.ok("start")["state"] == "queued"
    assert cut.ok("send", "ada", "from afar")["state"] == "queued"
    file_remote.back()
    for seat in (shut, cut):  # as their makers' machines do it, outside of the agent's box
        git(seat.path, "push", "--quiet", "origin", "HEAD")
    assert ada.ok("sync")["adopted"] == 3
    ran = pair[1].run("sync", "--json")  # looks through the same commits for the first time, and has nothing to say of them
    assert (ran.json["adopted"], "not adopted" in ran.err) == (0, False), ran
    assert [one["subject"] for one in ada.ok("inbox")["messages"]] == ["from afar"]
    again = replace(cut, extra={})  # its own outbox could send it now: it is there already
    assert again.ok("sync")["unsent"] == 0
    assert ada.ok("inbox")["messages"] == []
    assert ada.ok("verify")["problems"] == []


def test_what_another_has_adopted_does_not_say_that_the_remote_takes_a_push(ada: Seat, cloud: Seat) -> None:
    name = cloud.ok("start")["session_id"]
    ada.ok("sync")
    cloud.run("sync")  # it asks anew, and its start is there: pushed by another
    for place in sorted(cloud.outbox.rglob("state.json")):
        assert "refused_since" in place.read_text()
    shutil.rmtree(cloud.outbox)  # a new machine, with nothing but the clone
    said = cloud.run("send", "ada", "still here", "--json")
    assert (said.code, said.json["state"]) == (0, "queued")
    assert ada.ok("sync")["adopted"] == 1
    assert [(one["from"], one["subject"]) for one in ada.ok("inbox")["messages"]] == [(name, "still here")]


def test_git_s_hooks_work_for_a_carried_session_as_for_any_other(ada: Seat, cloud: Seat) -> None:
    """Its commits say whose they are and under which carried lease; what another holds is kept from it; its chain goes on."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where the hooks find the program
    cloud = replace(cloud, extra={**cloud.extra, "PATH": path})
    cloud.ok("hooks", "install", "--git", "--guard", "--trailers")
    cloud.git("config", "gitcoord.guard", "block")
    (cloud.path / "b").write_text("here\n")
    cloud.git("add", "b")
    cloud.git("commit", "-q", "-m", "b")
    name = cloud.ok("start")["session_id"]
    ask_and_leave(cloud, "README")
    ada.ok("claim", "b")
    assert ada.ok("sync")["adopted"] == 2
    lease = cloud.ok("claim", "README")["claims"][0]
    (cloud.path / "README").write_text("changed\n")
    cloud.git("add", "README")
    cloud.git("commit", "-q", "-m", "the fix")
    assert cloud.git("log", "-1", "--format=%B").split() == [
        "the", "fix", "Coord-Session:", name, "Coord-Fence:", str(lease["fence"]), "file:README",
    ]  # fmt: skip
    (cloud.path / "b").write_text("changed\n")
    cloud.git("add", "b")
    refused = attempt(cloud.path, "commit", "-q", "-m", "held", env=cloud.env)
    assert (refused.code, "b is held by ada" in refused.err) == (1, True)
    cloud.ok("send", "ada", "committed")  # it rides behind the user's own commit
    assert ada.ok("sync")["adopted"] >= 1
    assert [one["subject"] for one in ada.ok("inbox")["messages"]] == ["committed"]
    assert ada.ok("verify")["problems"] == []
