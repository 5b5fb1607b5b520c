"""`land` with real remotes: one after the other, each on top of the last one, exactly what was tried, and nothing by force."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Seat, collect, snapshot, until
from gits import git
from remotes import Remote

SH = ["sh", "-c"]


def work(seat: Seat, branch: str, file: str) -> str:
    """Do some work on a branch of its own that nobody has pushed; return the commit."""
    seat.git("switch", "-q", "-C", branch, "origin/main")
    (seat.path / file).write_text(f"{branch}\n")
    seat.git("add", "--all")
    seat.git("commit", "-q", "-m", branch)
    return seat.git("rev-parse", "HEAD")


def main_of(remote: Remote, *words: str) -> list[str]:
    """What `git log` says of the remote's main branch, the newest first."""
    return git(remote.path, "log", *words, "main").splitlines()


def held(seat: Seat) -> list[str]:
    """What is held."""
    return [f"{one['resource_type']}:{one['resource_name']}" for one in seat.ok("claims")["claims"]]


def hook(remote: Remote, text: str) -> None:
    """Have the remote look at each push of main by this script; the coordination branch it lets pass."""
    place = remote.path / "hooks" / "update"
    place.write_text(f"#!/bin/sh\ntest $1 = refs/heads/main || exit 0\n{text}\n")
    place.chmod(0o755)


def test_two_at_once_land_one_after_the_other_and_the_second_is_tried_on_top_of_the_first(
    pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path
) -> None:
    ada, ben = pair
    first, second = work(ada, "a", "a.txt"), work(ben, "b", "b.txt")
    before = [snapshot(one.path) for one in pair]
    log = tmp_path / "log"
    command = [*SH, f"echo $(ls) >> {log}"]
    children = [seat.start("land", "--wait", "--json", "--", *command) for seat in pair]
    rans = collect(children)
    assert [ran.code for ran in rans] == [0, 0], rans
    assert [snapshot(one.path) for one in pair] == before
    root = main_of(file_remote, "--format=%H")[-1]
    ends = sorted((ran.json for ran in rans), key=lambda end: end["before"] != root)
    assert {end["outcome"] for end in ends} == {"landed"}
    assert ends[1]["before"] == ends[0]["now"]
    assert ends[0]["pushed"] == ends[0]["commit"]  # it had main behind it: no merge is made
    newest, *_ = main_of(file_remote, "--format=%H %P")
    assert newest == f"{ends[1]['pushed']} {ends[0]['pushed']} {ends[1]['commit']}"
    assert {ends[0]["commit"], ends[1]["commit"]} == {first, second}
    one, both = log.read_text().splitlines()
    assert one in ("README a.txt", "README b.txt")
    assert both == "README a.txt b.txt"
    assert held(ada) == []
    # Its newest commit is there: nothing happens.
    ran = ada.run("land", "--", "false")
    assert (ran.code, main_of(file_remote, "--format=%H %P")[0]) == (0, newest)
    assert "on main already" in ran.out


def test_main_that_moves_while_the_command_runs_is_tried_anew(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    ada, ben = pair
    work(ada, "a", "a.txt")
    other = work(ben, "b", "b.txt")
    count = tmp_path / "count"
    move = f"echo x >> {count}; test -e {tmp_path}/moved || git -C {ben.path} push -q origin b:main; touch {tmp_path}/moved"
    ran = ada.run("land", "--", *SH, move)
    assert ran.code == 0, ran
    assert count.read_text() == "x\n" * 2
    assert "main has moved meanwhile" in ran.err
    assert main_of(file_remote, "--format=%P")[0].split()[0] == other


def test_red_or_in_conflict_nothing_is_pushed_and_the_lane_is_free_before_anybody_is_blamed(
    pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path
) -> None:
    ada, ben = pair
    work(ada, "a", "a.txt")
    before = main_of(file_remote, "--format=%H")
    alone = f"test ! -e a.txt && ls {file_remote.path} >> {tmp_path}/base"
    ran = ada.run("land", "--json", "--", *SH, alone)
    assert ran.code == 1
    assert (ran.json["outcome"], ran.json["released"]) == ("red", ["land:main"])
    assert [one["branch"] for one in ran.json["trial"]["culprits"]] == ["a"]
    assert (tmp_path / "base").exists()
    told = [line.split("  ", 1)[1] for line in ben.run("log").out.splitlines()]
    assert [line.partition(":")[0].split()[-1] for line in told][-3:] == ["claim", "release", "trial"]
    again = ada.run("land", "--", *SH, alone)
    assert again.code == 1
    assert "not run again" in again.out
    work(ben, "b", "a.txt")
    ben.git("push", "-q", "origin", "b:main")
    ran = ada.run("land", "--", "true")
    assert ran.code == 1
    assert "a (ada) conflicts with main in a.txt: nothing was pushed" in ran.out
    assert main_of(file_remote, "--format=%H")[1:] == before
    assert held(ben) == []


def test_refused_by_the_remote_it_ends_with_7_and_the_lane_is_free(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    work(ada, "a", "a.txt")
    before = main_of(file_remote, "--format=%H")
    hook(file_remote, "echo 'main is protected'; exit 1")
    ran = ada.run("land", "--", "true")
    assert ran.code == 7
    assert "main is protected" in ran.err
    assert main_of(file_remote, "--format=%H") == before
    assert held(ben) == []


def test_what_has_landed_is_said_also_if_nobody_can_be_told(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    ada, _ = pair
    mine = work(ada, "a", "a.txt")
    place = file_remote.path / "hooks" / "update"
    place.write_text(f"#!/bin/sh\ntest $1 = refs/heads/main -o ! -e {tmp_path}/shut || exit 1\n")
    place.chmod(0o755)
    ran = ada.run("land", "--json", "--", *SH, f"touch {tmp_path}/shut")
    assert ran.code == 0, ran
    assert (ran.json["outcome"], ran.json["pushed"]) == ("landed", mine)
    assert main_of(file_remote, "--format=%H")[0] == mine
    assert "the others were not told" in ran.err
    assert "the lane was not given back" in ran.err


def test_own_command_lands_in_place_of_the_push(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    mine = work(ada, "a", "a.txt")
    ran = ada.run(
        "land", "--json", "--push", "git push -q origin HEAD:main && gitcoord --version > /dev/null; test -e a.txt", "--", "true"
    )
    assert ran.code == 0, ran
    assert (ran.json["outcome"], ran.json["pushed"], ran.json["now"]) == ("landed", None, mine)
    work(ada, "a2", "a2.txt")
    ran = ada.run("land", "--push", "exit 3")
    assert ran.code == 1
    assert f"the push command failed (exit 3); main is at {mine[:12]}" in ran.err
    ran = ada.run("land", "--push", "true", "--", "true")  # a merge button that takes its time
    assert (ran.code, "main is still at" in ran.out) == (0, True)
    assert held(ben) == []


def test_lane_that_another_has_ends_it_with_3_and_whoever_waits_is_next(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    work(ada, "a", "a.txt")
    mine = work(ben, "b", "b.txt")
    ada.ok("claim", "land:main")
    assert ben.run("land", "--", "true").code == 3
    assert ben.run("land", "--wait", "--timeout", "1s", "--", "true").code == 9
    waiting = ben.start("land", "--wait", "--", "true")
    until(lambda: [one["session_id"] for one in ada.ok("status")["waiting"]] == ["ben"], "ben never stood in line")
    ada.ok("release", "land:main")
    [ran] = collect([waiting])
    assert ran.code == 0, ran
    assert main_of(file_remote, "--format=%H")[0] == mine


@pytest.mark.parametrize("stage", ["waiting", "running"])
def test_cancelled_the_lane_is_free_and_nothing_was_pushed(
    pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path, stage: str
) -> None:
    ada, ben = pair
    work(ada, "a", "a.txt")
    before = main_of(file_remote, "--format=%H")
    reached: Callable[[], bool]
    if stage == "waiting":
        ben.ok("claim", "land:main")
        reached = lambda: [one["session_id"] for one in ben.ok("status")["waiting"]] == ["ada"]  # noqa: E731
    else:
        reached = (tmp_path / "running").exists
    child = ada.start("land", "--wait", "--", *SH, f"touch {tmp_path}/running; exec sleep 600")
    until(lambda: reached() or child.poll() is not None, "it never got there")
    os.kill(child.pid, signal.SIGTERM)
    [ran] = collect([child])
    assert ran.code == 143, ran
    assert held(ben) == (["land:main"] if stage == "waiting" else [])
    assert main_of(file_remote, "--format=%H") == before
