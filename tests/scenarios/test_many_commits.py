"""Many commits in several work trees at once: the hooks tell of every one, and the branch gets a handful of pushes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clones import Clock, Seat, Seats, at_work, until
from gits import git
from remotes import Remote

from gitcoord.githooks import folder

ROOT = Path(__file__).parents[2]


@pytest.mark.usually("30 in 3")
@pytest.mark.parametrize(("trees", "commits"), [(3, 10), (5, 20)], ids=["30 in 3", "100 in 5"])
def test_many_commits_are_a_handful_of_pushes_and_none_is_lost(
    trees: int, commits: int, file_remote: Remote, seats: Seats, tmp_path: Path
) -> None:
    """Sessions that started hours ago, so that each of them is due and the hooks push by themselves."""
    git(file_remote.path, "config", "core.logAllRefUpdates", "always")
    (first,) = seats(file_remote, "tree-0", machine="one")
    for number in range(1, trees):
        git(first.path, "worktree", "add", "-q", "-b", f"tree-{number}", str(tmp_path / f"tree-{number}"))
    program = tmp_path / "bin" / "gitcoord"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gitcoord "$@"\n')
    program.chmod(0o755)
    extra = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    clock = Clock()
    clock.move(hours=-2)
    every = [Seat(tmp_path / f"tree-{number}", first.outbox, extra=extra) for number in range(trees)]
    with first.here(clock) as found:
        found.coordinator.setup.init()
    for seat in every:
        with seat.here(clock) as found:
            found.coordinator.sessions.start(seat.path.name)
    folder.install(first.path / ".git" / "hooks", common_dir=first.path / ".git")
    before, begun = pushes(file_remote), first.git("rev-parse", "origin/coordination")

    with ThreadPoolExecutor(trees) as crowd:
        list(crowd.map(lambda seat: work(seat, commits), every))
    until(lambda: not at_work(first), "something of the hooks still runs")
    by_hooks = pushes(file_remote) - before
    first.ok("sync")

    assert 1 <= by_hooks <= pushes(file_remote) - before <= 4
    told = first.git("log", "--format=%(trailers:only,unfold)%x00", f"{begun}..origin/coordination").split("\0")
    beats = [[line.split(": ", 1) for line in entry.strip().splitlines()] for entry in told if "Coord-Folded" in entry]
    for seat in every:
        name = seat.path.name
        mine = [beat for beat in beats if ["Coord-Session", name] in beat]
        assert sum(int(value) for beat in mine for key, value in beat if key == "Coord-Folded") == commits
        files = {value for beat in mine for key, value in beat if key == "Coord-File"}
        assert files == {f"{name}-{number}.txt" for number in range(commits)}
        record = json.loads(first.git("show", f"origin/coordination:heartbeats/{name}.json"))
        assert (record["action"], record["target"]) == ("committed", f"number {commits - 1}")
        assert record["commit"] == seat.git("rev-parse", "HEAD")
        own = Path(seat.git("rev-parse", "--absolute-git-dir")) / "gitcoord"
        assert list(own.glob("event.*")) == []
        assert not (own / "hook.log").exists()
    assert first.ok("verify")["ok"]
    assert {one["session_id"] for one in first.ok("status")["sessions"]} == {seat.path.name for seat in every}
    board = first.git("show", "origin/coordination:STATUS_BOARD.md")
    assert all(seat.path.name in board for seat in every)


def work(seat: Seat, commits: int) -> None:
    """Commits, one after the other, as fast as git does it."""
    for number in range(commits):
        (seat.path / f"{seat.path.name}-{number}.txt").write_text("x")
        words = ["sh", "-c", f"git add --all && git commit -qm 'number {number}'"]
        subprocess.run(words, cwd=seat.path, env=seat.env, check=True, capture_output=True, timeout=60)


def pushes(remote: Remote) -> int:
    """How often the branch was moved where it lives."""
    return len((remote.path / "logs" / "refs" / "heads" / "coordination").read_text().splitlines())
