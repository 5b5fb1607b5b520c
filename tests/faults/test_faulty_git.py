"""A git that dies, stalls, answers short or lies costs an answer, never the truth: no good commit turns bad by it, nothing is held
twice, and nothing is remembered from it.
"""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from clones import Seat, at_work, snapshot
from faulty_git import KINDS, STALLING, FaultyGit
from gits import git

from gitcoord.git import process

FAULTS = {1, 5, 6}
"""Exit codes of a command that says that it could not look, or doesn't know yet."""


@pytest.fixture
def faulty(tmp_path: Path) -> FaultyGit:
    """A git in a folder of its own."""
    return FaultyGit(tmp_path / "faulty").make()


def held_on(seat: Seat) -> set[str]:
    """What the branch holds, by plain git at the remote."""
    remote = git(seat.path, "remote", "get-url", "origin")
    return set(git(Path(remote), "ls-tree", "-r", "--name-only", "coordination", "claims/").splitlines())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in STALLING])
def test_whichever_call_of_git_fails_what_is_said_is_true(
    kind: str, pair: tuple[Seat, Seat], faulty: FaultyGit, pytestconfig: pytest.Config
) -> None:
    ada, ben = pair
    before = snapshot(ben.path)
    step = 1 if pytestconfig.getoption("--every-step") else 3  # the kinds together spoil each call then
    for number in itertools.count(1 + list(KINDS).index(kind) % step, step):
        claim = f"claims/file-r{number}.py.claim"
        ran = replace(ada, extra=faulty.at(number, kind)).run("claim", f"r{number}.py", "--json")
        used = len(faulty.calls())
        assert ran.code in {0, *FAULTS}, ran
        assert ran.code != 0 or claim in held_on(ada), ran
        ada.ok("claim", f"r{number}.py")  # with a git that works it is held, whatever happened before
        # Ben has never seen that commit: he reads and judges it with a git that fails.
        ran = replace(ben, extra=faulty.at(number, kind)).run("claim", f"r{number}.py", "--json")
        assert ran.code in {3, *FAULTS}, ran
        status = replace(ben, extra=faulty.at(number, kind, size=0)).run("status", "--json", "--all")
        assert status.code in {0, *FAULTS}, status
        if status.code == 0 and status.json["fetched"]:
            assert f"r{number}.py" in status.out, status
            assert not status.json.get("bad"), status
        used = max(used, len(faulty.calls()))
        if used < number:
            break
    assert number > 5
    for seat in pair:
        memory = next((seat.path / ".git" / "gitcoord").glob("checked-*.json"))
        assert json.loads(memory.read_bytes())["bad"] == []
        assert seat.run("verify").code == 0
    assert snapshot(ben.path) == before


def test_a_request_under_an_id_that_has_landed_is_not_told_as_failed_by_a_git_that_stalls(
    pair: tuple[Seat, Seat], faulty: FaultyGit
) -> None:
    ada, _ = pair
    said = ("send", "ben", "hello", "--op", "seven", "--json")
    ada.ok(*said[:-1])
    ran = replace(ada, extra=faulty.at(1, "stalls")).run(*said)  # it can't even say which repository this is
    assert ran.code == 5, ran


@pytest.mark.parametrize("kind", STALLING)
def test_a_git_that_stalls_costs_the_deadline_and_does_not_live_on(kind: str, pair: tuple[Seat, Seat], faulty: FaultyGit) -> None:
    ada, _ = pair
    ada.git("config", "gitcoord.deadline", "1")
    ada.ok("status")  # what is new is read
    replace(ada, extra=faulty.at(0, kind)).run("status")
    [number] = [number for number, call in enumerate(faulty.calls(), 1) if call.endswith("cat-file --batch-command")]
    ran = replace(ada, extra=faulty.at(number, kind, size=70)).run("status", "--json")
    assert ran.code == 1, ran
    assert ran.json["error"] == "git_fault"
    assert not at_work(ada)
    assert ada.ok("status")


def test_a_git_gets_its_whole_input_however_late_it_reads_it(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    data = os.urandom(1 << 20)
    words = ["sh", "-c", f"until [ -e '{ready}' ]; do sleep 0.01; done; exec cat"]
    done = process.run(words, env=os.environ, cwd="/", stdin=data, tick=ready.touch)  # the first tick comes after half a second
    assert done.ok
    assert done.stdout == data
