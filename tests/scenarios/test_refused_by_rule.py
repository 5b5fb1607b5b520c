"""A remote that refuses the branch by rule: the session works all the same, reads what others do, and is never shown as seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from clones import Seat, Seats
from gits import git
from remotes import Remote, RemoteFactory

ONLY = """#!/bin/sh
case "$1" in {pattern}) exit 0;; esac
echo "only {pattern} may be pushed here" >&2
exit 1
"""


def allow_only(remote: Remote, pattern: str) -> Path:
    """Make the remote's host take pushes of those branches alone; the hook, whose removal allows all again."""
    hook = remote.path / "hooks" / "update"
    hook.write_text(ONLY.format(pattern=f"refs/heads/{pattern}"))
    hook.chmod(0o755)
    return hook


@pytest.fixture
def refused(pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats) -> tuple[Seat, Seat, Path]:
    """`ada`, who may push, a clone of somebody who may not, and the hook that refuses it."""
    [cloud] = seats(file_remote, "cloud")
    hook = file_remote.path / "hooks" / "pre-receive"
    hook.write_text('#!/bin/sh\necho "protected branch: no" >&2\nexit 1\n')
    hook.chmod(0o755)
    return pair[0], cloud, hook


def test_a_refused_session_works_seen_by_nobody_and_says_so_each_time(refused: tuple[Seat, Seat, Path]) -> None:
    ada, cloud, hook = refused
    ran = cloud.run("start", "--json")
    assert (ran.code, ran.json["state"], ran.json["seq"]) == (0, "local", None)
    name = ran.json["session_id"]
    assert ran.err.count("nobody sees this session") == 1
    assert "protected branch: no" in ran.err
    assert cloud.ok("start")["session_id"] == name  # the same one, not another

    said = cloud.run("send", "ada", "hello", "--json")
    assert (said.code, said.json["state"]) == (0, "queued")
    claimed = cloud.run("claim", "src/x.py", "--json")
    assert (claimed.code, claimed.json["outcome"], claimed.json["claims"]) == (7, "failed", [])
    for words in (["status"], ["briefing"], ["inbox", "--peek"], ["whoami"]):
        ran = cloud.run(*words)
        assert ran.code == 0, (words, ran)
        assert ran.err.count("nobody sees this session") == 1, (words, ran)
    assert cloud.run("guard", "README").code == 0
    assert cloud.ok("whoami")["state"] == "local"
    examined = cloud.run("doctor")
    assert examined.code == 1
    assert "refuses what this machine pushes" in examined.out
    assert "protected branch: no" in examined.out
    shown = json.loads(cloud.run("statusline", "--json").out)
    assert shown["local"] is True
    assert name not in {one["session_id"] for one in ada.ok("status", "--all")["sessions"]}

    hook.unlink()
    assert cloud.ok("sync")["unsent"] == 0
    assert [one["subject"] for one in ada.ok("inbox")["messages"]] == ["hello"]
    again = cloud.run("claim", "src/x.py", "--json")
    assert (again.json["outcome"], again.json["claims"][0]["claimed_by"]) == ("held", name)
    assert "nobody sees" not in again.err
    assert cloud.ok("whoami")["state"] == "committed"
    assert cloud.run("statusline", "--json").json["local"] is False


def test_what_is_said_to_all_is_heard_by_a_session_that_nobody_sees(refused: tuple[Seat, Seat, Path]) -> None:
    ada, cloud, hook = refused
    cloud.ok("start")
    hook.rename(hook.with_name("put-away"))
    ada.ok("send", "broadcast", "the tests are red")
    hook.with_name("put-away").rename(hook)
    for words in (["inbox", "--peek"], ["inbox"]):
        assert [one["subject"] for one in cloud.ok(*words)["messages"]] == ["the tests are red"]
    assert cloud.ok("inbox")["messages"] == []  # this machine has shown it, though nobody sees that it was read


def test_a_network_that_is_away_is_no_rule(pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats) -> None:
    [cloud] = seats(file_remote, "cloud")
    cloud.ok("status")
    file_remote.away()
    ran = cloud.run("start", "--json")
    file_remote.back()
    assert (ran.code, ran.json["state"]) == (0, "queued")
    assert "nobody sees" not in ran.err
    assert cloud.ok("sync")["unsent"] == 0


def test_an_agent_that_nobody_sees_hears_by_its_hooks_once(refused: tuple[Seat, Seat, Path]) -> None:
    ada, cloud, hook = refused
    agent = "11111111-2222-3333-4444-555555555555"
    seat = replace(cloud, extra={"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": agent})

    def call(event: str, **more: str) -> str:
        payload = {"hook_event_name": event, "session_id": agent, "cwd": str(seat.path), "transcript_path": "/x", **more}
        ran = seat.run("hook", "--agent", "claude", stdin=json.dumps(payload))
        assert ran.code == 0
        return ran.out

    assert "nobody sees it" in call("SessionStart", source="startup")
    hook.rename(hook.with_name("put-away"))
    ada.ok("send", "broadcast", "the tests are red", "--type", "alert")
    hook.with_name("put-away").rename(hook)
    seat.run("sync", "--if-due")
    told = [call("UserPromptSubmit", prompt="go on") for _ in range(2)]
    assert ["the tests are red" in one for one in told] == [True, False]
    seat.run("sync", "--if-due")
    assert "the tests are red" not in call("UserPromptSubmit", prompt="go on")


@pytest.mark.servers
def test_a_server_that_lets_nobody_push_is_a_rule_too(remotes: RemoteFactory, seats: Seats) -> None:
    if (reason := remotes.available("http")) is not None:
        pytest.skip(reason)
    remote = remotes.make("http")
    ada, cloud = seats(remote, "ada", "cloud")
    ada.ok("init")
    git(remote.path, "config", "http.receivepack", "false")  # 403 for a push
    assert cloud.ok("start")["state"] == "local"
    assert "403" in cloud.run("status").err


def test_a_rule_is_told_though_others_go_on_meanwhile(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    """Each time the hook refuses ben, the branch goes on by one event of ada's: no race of ben's is lost, and none is to be won."""
    ada, ben = pair
    here = git(file_remote.path, "rev-parse", "coordination")
    for number in range(8):
        ada.ok("send", "broadcast", f"still at work {number}")
    git(file_remote.path, "update-ref", "refs/ahead", "coordination")
    git(file_remote.path, "update-ref", "refs/heads/coordination", here)
    count = tmp_path / "count"
    hook = file_remote.path / "hooks" / "pre-receive"
    hook.write_text(
        "#!/bin/sh\n"
        f'echo >>"{count}"\n'
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
        "git update-ref refs/heads/coordination $(git rev-list --reverse coordination..refs/ahead | head -n 1)\n"
        'echo "not you" >&2\nexit 1\n'
    )
    hook.chmod(0o755)
    ran = ben.run("claim", "src/x.py", "--json")
    assert (ran.code, ran.json["error"]) == (7, "refused")
    assert "remote: not you" in ran.json["message"]
    assert len(count.read_text()) == 3
