"""The branch is made short while others work, by processes that die at every step of it: nothing is lost, nobody fails."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import step_faults
from clones import Seat, Seats, collect
from gits import git
from remotes import Remote
from step_faults import Mould

KILLED = -signal.SIGKILL
MANY = 200  # steps; a compaction has some 40
BRANCH = "refs/heads/coordination"


@pytest.fixture(scope="module")
def mould(sealed_process: Path) -> Iterator[Mould]:
    """Where the processes that die come from."""
    with step_faults.start() as child:
        yield Mould(child)
        assert child.stdin
        child.stdin.close()


def record(remote: Remote) -> list[tuple[int, str, str]]:
    """Number, operation and kind of every event of the branch and of all archives that it stands on, oldest first."""
    form = "%(trailers:key=Coord-Seq,valueonly,separator=)%x09%(trailers:key=Coord-Id,valueonly,separator=)"
    form += "%x09%(trailers:key=Coord-Event,valueonly,separator=)%x09%(trailers:key=Coord-Closed,valueonly,separator=)"
    found: list[tuple[int, str, str]] = []
    tip = BRANCH
    while tip:
        lines = [line.split("\t") for line in git(remote.path, "log", "--reverse", f"--format={form}", tip).splitlines()]
        found[:0] = [(int(seq), op, kind) for seq, op, kind, _ in lines]
        tip = lines[0][3]
    return found


def whole(remote: Remote) -> Counter[str]:
    """How often each operation is in the record, in which no number may be missing or stand twice."""
    events = record(remote)
    assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
    return Counter(op for _, op, kind in events if kind != "epoch.closed")


def test_killed_at_any_step_it_is_done_once_or_not_at_all_and_nobody_waits_for_it(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats, request: pytest.FixtureRequest
) -> None:
    ada, ben = pair
    stride = 1 if request.config.getoption("--every-step") else 4
    (stale,) = seats(file_remote, "stale")
    stale.ok("status")
    mould.ok(ada, "claim", "a.py")
    fence = mould.ok(ben, "claim", "b.py")["claims"][0]["fence"]
    epochs = 1
    for step in range(1, MANY, stride):
        words = ("compact", "--op", f"short-{step}")
        died = mould.run(ada, *words, kill_at=step)
        mould.ok(ben, "send", "ada", f"at step {step}", "--op", f"sent-{step}")
        told = mould.ok(ada, *words)
        epochs += 1
        assert told["epoch"] == epochs
        new = mould.ok(ben, "claim", f"b-{step}.py")["claims"][0]["fence"]
        assert new > fence
        fence = new
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert step > 20
    done = whole(file_remote)
    assert {op: count for op, count in done.items() if op.startswith(("short-", "sent-"))} == {
        f"{name}-{number}": 1 for number in range(1, step + 1, stride) for name in ("short", "sent")
    }
    assert {one["resource_name"] for one in mould.ok(stale, "claims")["claims"]} >= {"a.py", "b.py", f"b-{step}.py"}
    for seat in (ada, ben, stale):
        assert mould.ok(seat, "verify")["ok"]


def test_another_session_finishes_what_a_killed_one_began(mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    died = mould.run(ada, "compact", kill_at=25)
    assert died.code == KILLED
    held = [one for one in mould.ok(ben, "claims")["claims"] if one["resource_type"] == "gitcoord"]
    if held:
        assert mould.run(ben, "compact").code == 3
        mould.ok(ben, "claim", "gitcoord:epoch", "--break", str(held[0]["fence"]))
    assert mould.ok(ben, "compact")["epoch"] >= 2
    assert mould.run(ada, "claim", "a.py").code == 0
    whole(file_remote)


def test_eight_sessions_work_through_it_and_none_fails(
    mould: Mould, file_remote: Remote, seats: Seats, request: pytest.FixtureRequest
) -> None:
    """Four machines with two clones each. The one that makes the branch short is killed at another step each time, while the others
    work; whoever is slow finds a new root when it pushes. In each epoch a clone stops following.
    """
    crowd = [seat for number in range(4) for seat in seats(file_remote, f"m{number}-a", f"m{number}-b", machine=f"m{number}")]
    crowd[0].ok("init")
    for seat in crowd:
        seat.ok("start", seat.path.name)
    steps = range(1, MANY) if request.config.getoption("--every-step") else (9, 23, MANY)
    fence, epochs, stopped = 0, 1, dict[int, tuple[Seat, int]]()
    for turn, step in enumerate(steps):
        running = [
            seat.start(*words, "--json")
            for seat in crowd[1:]
            for words in (
                ("send", "broadcast", "on", "--op", f"say-{turn}-{seat.path.name}"),
                ("claim", f"{seat.path.name}-{turn}.py"),
            )
        ]
        died = mould.run(crowd[0], "compact", "--op", f"short-{turn}", kill_at=step)
        running.append(crowd[0].start("compact", "--op", f"short-{turn}", "--json"))
        told = collect(running)
        assert [ran for ran in told if ran.code] == []
        fences = [ran.json["claims"][0]["fence"] for ran in told[1:-1:2]]
        assert min(fences) > fence
        assert told[-1].json["epoch"] == epochs + 1
        fence, epochs = max(fences), epochs + 1
        (stale,) = seats(file_remote, f"stale-{turn}")
        stale.ok("status")
        stopped[epochs] = stale, len(record(file_remote))
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert epochs > (12 if len(steps) > 3 else 3)
    done = whole(file_remote)
    assert {op: count for op, count in done.items() if op.startswith(("say-", "short-"))} == {
        f"say-{number}-{seat.path.name}": 1 for number in range(turn + 1) for seat in crowd[1:]
    } | {f"short-{number}": 1 for number in range(turn + 1)}
    assert len(crowd[-1].ok("status")["claims"]) == (turn + 1) * 7
    (fresh,) = seats(file_remote, "fresh")
    assert fresh.ok("verify", "--full")["ok"]
    for epoch, (stale, events) in stopped.items():
        assert f"(event {events})" in fresh.run("board", "--at", str(events)).out
        mould.ok(stale, "start", f"late-{epoch}")
        assert mould.ok(stale, "verify")["ok"]
    tip = git(file_remote.path, "rev-parse", BRANCH)
    stolen = git(file_remote.path, "commit-tree", f"{tip}^{{tree}}", "-m", git(file_remote.path, "log", "-1", "--format=%B", tip))
    git(file_remote.path, "update-ref", BRANCH, stolen)
    for seat in (*crowd, *(stale for stale, _ in stopped.values())):
        assert mould.run(seat, "status").code == 8


def test_what_landed_before_it_and_was_never_answered_is_not_sent_again(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote
) -> None:
    """ben's process dies right behind its push; then the branch is made short; then ben's machine sends what it still has."""
    ada, ben = pair
    mould.ok(ben, "send", "ada", "zero")
    steps = mould.steps.copy()
    push = max(number for number, label in enumerate(steps, 1) if label == "git push")
    died = mould.run(ben, "send", "ada", "one", "--op", "one", kill_at=push + 1)
    assert died.code == KILLED
    mould.ok(ada, "compact")
    mould.ok(ben, "sync")
    assert whole(file_remote)["one"] == 1
    assert [one["subject"] for one in mould.ok(ada, "inbox")["messages"]] == ["zero", "one"]


def test_a_host_that_forbids_it_is_left_as_it_was(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    before = git(file_remote.path, "rev-parse", BRANCH)
    git(file_remote.path, "config", "receive.denyNonFastForwards", "true")
    told = ada.run("compact", "--json")
    assert (told.code, told.json["error"]) == (7, "refused")
    assert "refs/gitcoord/archive" in told.json["hint"]
    assert git(file_remote.path, "for-each-ref", "refs/gitcoord/archive") == ""
    git(file_remote.path, "merge-base", "--is-ancestor", before, BRANCH)
    assert [one["resource_type"] for one in ben.ok("claims")["claims"]] == []
    git(file_remote.path, "config", "receive.denyNonFastForwards", "false")
    git(file_remote.path, "config", "receive.hideRefs", "refs/gitcoord")
    assert ada.run("compact").code == 7
    git(file_remote.path, "config", "--unset", "receive.hideRefs")
    assert ada.ok("compact")["epoch"] == 2
    assert ben.ok("send", "ada", "on")["state"] == "committed"
