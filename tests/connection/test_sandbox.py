"""A session whose commands run in an agent's sandbox: no network, git directory and home read-only, as Codex has it by default."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sandbox
from clones import PATIENCE, Ran, Seat, at_work, until
from gits import git
from remotes import Remote

pytestmark = pytest.mark.skipif(bool(sandbox.why_not()), reason=sandbox.why_not())


@dataclass
class Box:
    """A seat whose commands can run in a sandbox, and outside of it."""

    seat: Seat
    remote: Path

    def run(self, *args: str, **extra: str) -> Ran:
        """Runs the program inside."""
        who = ["--session", self.seat.session] if self.seat.session else []
        shut = [str(self.seat.path / ".git"), str(self.seat.outbox.parent)]
        words = sandbox.inside([sys.executable, "-m", "gitcoord", *who, *args], shut=shut, hidden=str(self.remote))
        done = subprocess.run(
            words, cwd=self.seat.path, env={**self.seat.env, **extra}, capture_output=True, text=True, timeout=PATIENCE, check=False
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert "bug" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def box(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> Box:
    """Ada's seat, boxed. Her session was started outside, as a hook does it."""
    (tmp_path / "tmp").mkdir()
    ada, _ = pair
    ada.extra["TMPDIR"] = str(tmp_path / "tmp")
    return Box(ada, file_remote.path)


def _spooled(box: Box) -> list[dict[str, Any]]:
    """The commands that wait in the spool of the sandbox, in order."""
    found = sorted(Path(box.seat.extra["TMPDIR"]).glob("gitcoord-*/*/outbox/*.json"))
    return [json.loads(path.read_text())["command"] for path in found]


def test_what_is_said_inside_is_sent_from_outside_in_order_and_with_its_own_times(box: Box, pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "a.py")
    begun = ada.ok("status")["seq"]
    for words in (["send", "ben", "one"], ["heartbeat", "testing"], ["release", "a.py"], ["send", "ben", "two"], ["end"]):
        ran = box.run(*words, "--json")
        assert (ran.code, ran.json["state"]) == (0, "queued"), (words, ran)
        assert "a hook or the MCP server sends them" in ran.err
    asked = _spooled(box)
    assert len(asked) == 5
    assert ben.ok("inbox", "--peek")["messages"] == []  # nothing is pretended
    assert [one["claimed_by"] for one in ben.ok("claims")["claims"]] == ["ada"]
    ada.ok("sync", "--if-due")  # as a hook calls it
    assert _spooled(box) == []
    told = [json.loads(line) for line in ben.run("log", "--since", str(begun), "--json").out.splitlines()]
    events = [one for one in told[0]["events"] if one["session"] == "ada"]
    assert [one["event"] for one in events] == [
        "message.sent", "heartbeat.recorded", "claim.released", "message.sent", "session.ended",
    ]  # fmt: skip
    assert [one["id"] for one in events] == [one["op"] for one in asked]
    assert [one["at"] for one in events] == [one["at"] for one in asked]
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["one", "two"]
    assert ben.ok("claims")["claims"] == []
    assert ben.ok("verify")["ok"]


def test_a_commit_outside_sends_what_waits_inside(box: Box, pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    assert ada.run("hooks", "install", "--git").code == 0
    assert box.run("send", "ben", "from inside").code == 0
    shim = Path(box.seat.extra["TMPDIR"]) / "bin"
    shim.mkdir()
    (shim / "gitcoord").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gitcoord "$@"\n')
    (shim / "gitcoord").chmod(0o755)
    git(ada.path, "commit", "--allow-empty", "-m", "more", env={**ada.env, "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}"})
    until(lambda: bool(ben.ok("inbox", "--peek")["messages"]), "nobody sent it")
    until(lambda: not at_work(ada), "a process stays")
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["from inside"]
    assert _spooled(box) == []


@pytest.mark.parametrize(
    "words", [["claim", "b.py"], ["claim", "b.py", "--wait", "--timeout", "5s"], ["run", "--claim", "b.py", "--", "true"]]
)
def test_a_claim_is_never_queued_and_points_to_the_tool_outside(box: Box, pair: tuple[Seat, Seat], words: list[str]) -> None:
    ran = box.run(*words)
    assert ran.code == 6
    assert 'hint: use the gitcoord MCP tool "claim"' in ran.err
    assert _spooled(box) == []
    box.seat.ok("sync")
    assert pair[1].ok("claims")["claims"] == []


def test_what_is_known_is_still_told(box: Box, pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.ok("claim", "b.py")
    ben.ok("send", "ada", "hello")
    ada.ok("status")
    status = box.run("status", "--cached", "--json")
    assert [one["resource_name"] for one in status.json["claims"]] == ["b.py"]
    assert [one["subject"] for one in box.run("inbox", "--peek", "--json").json["messages"]] == ["hello"]
    assert [one["claimed_by"] for one in box.run("claims", "--json").json["claims"]] == ["ben"]
    assert box.run("statusline").out.startswith("gitcoord: ada · ")
    assert "hello" in box.run("briefing").out
    taking = box.run("inbox")  # a message is taken on the branch or not at all
    assert taking.code == 6
    assert 'MCP tool "inbox"' in taking.err
    assert [one["subject"] for one in ada.ok("inbox")["messages"]] == ["hello"]


def test_that_the_branch_is_away_is_said_in_words_of_ours(box: Box) -> None:
    box.seat.ok("status")
    for words in (["status"], ["inbox", "--peek"], ["claims"], ["briefing"]):
        ran = box.run(*words)
        [warning] = ran.err.splitlines()
        assert ran.code == 0
        assert warning.startswith("warning: origin can't be reached from this sandbox; this is what was known "), words
    assert box.run("send", "ben", "from inside").code == 0
    ran = box.run("sync")
    assert "warning: origin can't be reached from this sandbox\n" in ran.err
    assert "fatal" not in ran.err
    ran = box.run("doctor")
    assert "! this is a sandbox without a way to the remote: origin can't be reached from this sandbox" in ran.out
    assert "fatal" not in ran.out + ran.err


def test_a_session_is_not_started_from_inside(box: Box) -> None:
    ran = box.run("start", "--new")
    assert ran.code == 6
    assert "MCP tool" in ran.err


def test_a_sandbox_that_says_so_is_told_of_the_tool_too(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    """macOS' sandbox may leave the git directory alone; the network is cut off."""
    ada, _ = pair
    file_remote.away()
    assert "MCP" not in ada.run("claim", "a.py").err
    ada.extra["CODEX_SANDBOX_NETWORK_DISABLED"] = "1"
    ran = ada.run("claim", "a.py")
    assert ran.code == 6
    assert 'MCP tool "claim"' in ran.err


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("foreign", [True, False])
def test_only_ones_own_spool_is_sent(box: Box, pair: tuple[Seat, Seat], foreign: bool) -> None:
    assert box.run("send", "ben", "from inside").code == 0
    [top] = Path(box.seat.extra["TMPDIR"]).glob("gitcoord-*")
    if foreign:
        os.chown(top, 12345, 12345)
    box.seat.ok("sync")
    assert len(pair[1].ok("inbox")["messages"]) == (0 if foreign else 1)
