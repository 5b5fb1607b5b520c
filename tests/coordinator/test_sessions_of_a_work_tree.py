"""Who sits in a work tree: the same session again, a dead one's successor, two agents side by side, a person beside an agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clones import PROGRAM, Seat, Seats
from gits import git
from remotes import Remote

from gitcoord.machine import processes
from gitcoord.machine.identity import Identity


@pytest.fixture
def ada(file_remote: Remote, seats: Seats) -> Seat:
    """A clone with the branch made."""
    (seat,) = seats(file_remote, "ada")
    seat.ok("init")
    return seat


HOST = """
import subprocess, sys
for line in sys.stdin:
    done = subprocess.run([*{program!r}, *line.split()], capture_output=True, text=True)
    print(done.stdout.strip(), flush=True)
"""


class Host:
    """A process that a session lives in, as a shell or an agent: commands are its children."""

    def __init__(self, seat: Seat) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", HOST.format(program=PROGRAM)], cwd=seat.path, env=seat.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def say(self, line: str) -> str:
        """Runs a command as the host's child; its one line of output."""
        assert self.child.stdin
        assert self.child.stdout
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def kill(self) -> None:
        """kill -9."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream:
                stream.close()


def test_starting_again_from_the_same_process_is_the_same_session_and_run(ada: Seat) -> None:
    host = Host(ada)
    first, again = host.say("start --json"), host.say("start --json")
    host.kill()
    assert first == again


def test_a_killed_session_goes_on_with_claims_and_mail(ada: Seat, file_remote: Remote, seats: Seats) -> None:
    (ben,) = seats(file_remote, "ben")
    ben.ok("start", "ben")
    host = Host(ada)
    host.say("start ada --json")
    host.say("claim x --json")
    host.kill()
    ben.ok("send", "ada", "are you there?")
    assert ben.run("claim", "x").code == 3
    old = ada.ok("whoami")
    new = ada.ok("start")
    assert new["session_id"] == "ada"
    assert new["run_id"] != old["run_id"]
    [lease] = ada.ok("claims", "--mine")["claims"]
    assert lease["run_id"] == new["run_id"]
    assert ada.ok("renew", "x")["claims"][0]["fence"] == lease["fence"]
    assert [one["subject"] for one in ada.ok("inbox")["messages"]] == ["are you there?"]


def test_what_the_old_run_still_sends_has_no_effect_on_the_new_one(ada: Seat) -> None:
    first = Host(ada)
    first.say("start ada --json")
    first.say("claim x --json")
    with ada.here() as old:
        first.kill()
        ada.ok("start")
        before = ada.ok("status")["sessions"]
        assert old.coordinator.claims.release(None)[1] == ()
        old.coordinator.sessions.end([], None)
    after = ada.ok("status")
    assert [one["claimed_by"] for one in after["claims"]] == ["ada"]
    assert after["sessions"] == before


def test_a_name_active_elsewhere_is_refused(ada: Seat, file_remote: Remote, seats: Seats) -> None:
    (ben,) = seats(file_remote, "ben")
    ada.ok("start", "worker")
    refused = ben.run("start", "worker", "--json")
    assert refused.code == 3
    assert "gitcoord start" in refused.json["hint"]
    assert ben.ok("start")["session_id"] == "main"
    ada.ok("end")
    assert ben.ok("start", "worker", "--new")["session_id"] == "worker"


def test_names_without_asking_are_the_branch_numbered_when_taken(ada: Seat, file_remote: Remote, seats: Seats) -> None:
    ben, eve = seats(file_remote, "ben", "eve")
    eve.git("switch", "-q", "-c", "feature/Login Page".replace(" ", "-"))
    assert [seat.ok("start")["session_id"] for seat in (ada, ben, eve)] == ["main", "main-2", "feature-login-page"]


def test_two_agents_in_one_work_tree_are_two_sessions(ada: Seat) -> None:
    one = Seat(ada.path, ada.outbox, extra={"CLAUDE_CODE_SESSION_ID": "aaa", "CLAUDE_PID": str(os.getpid())})
    two = Seat(ada.path, ada.outbox, extra={"CODEX_THREAD_ID": "bbb"})
    inner = Seat(ada.path, ada.outbox, extra={**one.extra, "CODEX_THREAD_ID": "ccc"})
    names = [seat.ok("start")["session_id"] for seat in (one, two, inner)]
    assert len(set(names)) == 3
    assert [seat.ok("whoami")["session_id"] for seat in (one, two, inner)] == names
    assert one.ok("claim", "x")["outcome"] == "held"
    assert two.run("claim", "x").code == 3
    assert one.ok("start")["session_id"] == names[0]


def test_under_an_agent_writing_starts_a_session_and_says_so(ada: Seat) -> None:
    agent = Seat(ada.path, ada.outbox, extra={"CODEX_THREAD_ID": "t-1"})
    ran = agent.run("claim", "x", "--json")
    assert ran.code == 0
    assert "started session codex-main" in ran.err
    assert ran.json["claims"][0]["claimed_by"] == "codex-main"


def test_a_person_beside_an_agent_writes_as_themselves(ada: Seat) -> None:
    agent = Seat(ada.path, ada.outbox, extra={"CODEX_THREAD_ID": "t-1"})
    agent.ok("start", "bot")
    person = Seat(ada.path, ada.outbox, extra={"USER": "Grace"})
    person.ok("send", "bot", "please stop")
    assert [one["from"] for one in agent.ok("inbox")["messages"]] == ["human-grace"]
    assert ada.ok("status")["claims"] == []


def test_a_person_without_a_session_is_told_to_start(ada: Seat) -> None:
    ran = ada.run("claim", "x", "--json")
    assert ran.code == 2
    assert ran.json["hint"] == "gitcoord start"


def test_linked_work_trees_are_different_seats(ada: Seat, tmp_path: Path) -> None:
    git(ada.path, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = Seat(tmp_path / "side", ada.outbox)
    assert ada.ok("start")["session_id"] == "main"
    assert side.ok("start")["session_id"] == "side"
    assert ada.ok("claim", "x")["outcome"] == "held"
    assert side.run("claim", "x").code == 3


def test_an_agent_in_a_container_does_not_become_the_one_outside(ada: Seat) -> None:
    """Its process can't be seen from there: it counts as alive, until nothing was heard of it for half an hour."""
    outside = Seat(ada.path, ada.outbox, extra={"CODEX_THREAD_ID": "t-1"})
    assert outside.ok("start")["session_id"] == "codex-main"
    outside.ok("claim", "x")
    binding = ada.path / ".git" / "gitcoord" / "sessions" / "codex-main.json"
    noted = json.loads(binding.read_text())
    binding.write_text(json.dumps({**noted, "born": f"elsewhere:{noted['born']}"}))
    inside = Seat(ada.path, ada.outbox, extra={"CODEX_THREAD_ID": "t-2"})
    assert inside.ok("start")["session_id"] == "codex-main-2"
    assert inside.run("claim", "x").code == 3
    inside.ok("end")
    for path in (ada.path / ".git" / "gitcoord").rglob("codex-main.json"):
        os.utime(path, (0, 0))
    assert Seat(ada.path, ada.outbox, extra={"CODEX_THREAD_ID": "t-3"}).ok("start")["session_id"] == "codex-main"


@pytest.mark.parametrize("words", [("claim", "x"), ("end",)])
def test_a_persons_start_that_landed_and_was_killed_is_taken_up_by_whatever_comes_next(
    words: tuple[str, ...], ada: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Identity, "bind", dies)
        patch.setattr(processes, "born", lambda _: "gone")  # the process that notes it will be no more
        with ada.here() as found, pytest.raises(KeyboardInterrupt):
            found.coordinator.sessions.start("ada")
    if words[0] == "end":
        assert ada.run(*words).out == "session ada ended\n"
    else:
        assert ada.ok(*words)["outcome"] == "held"
        assert [one["claimed_by"] for one in ada.ok("claims", "--mine")["claims"]] == ["ada"]


def test_of_an_agent_it_is_shown_which_it_is_and_on_which_machine(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.git("config", "gitcoord.host", "big-one")
    agent = Seat(ada.path, ada.outbox, extra={"CODEX_THREAD_ID": "t-1"})
    name = agent.ok("start")["session_id"]
    agent.ok("claim", "a.py")
    who = f"{name} (codex on big-one)"
    sessions, _, claims = ben.run("status").out.partition("claims\n")
    [row] = [line for line in sessions.splitlines() if line.startswith(name)]
    assert row.split()[2:6] == ["a.py", "main", "codex", "big-one"]  # what it holds, its branch, which agent, where
    for words in (claims, ben.run("claims").out, ben.run("claim", "a.py").err, ben.run("release", "a.py").err):
        assert who in words
    [record] = [one for one in ben.ok("status")["sessions"] if one["session_id"] == name]
    assert (record["agent"], record["host"]) == ("codex", "big-one")
