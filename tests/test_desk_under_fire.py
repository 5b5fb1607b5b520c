"""The desk under fire: kill -9 at every step of what the program does there, a disk that is full at every step, and the
company that a desk may have: stopped and vanished flushers, two clones, poison, programs of other versions.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import killer
import pytest
from gits import git
from killer import Mould
from remotes import Remote
from seats import Seat

BRANCH = "refs/heads/coordination"
KILLED = -signal.SIGKILL
MANY = 200  # steps; a command has some 25, and one that never ends must not hang the run


@pytest.fixture(scope="module")
def mould(sealed_process: Path) -> Iterator[Mould]:
    """Where the processes that die come from."""
    with killer.start() as child:
        yield Mould(child)
        assert child.stdin
        child.stdin.close()


def events(remote: Remote) -> list[tuple[str, str]]:
    """Every event on the branch: operation and kind, oldest first."""
    form = "%(trailers:key=Coord-Id,valueonly,separator=%x20)%x09%(trailers:key=Coord-Event,valueonly,separator=%x20)"
    return [tuple(line.split("\t")) for line in git(remote.path, "log", "--reverse", f"--format={form}", BRANCH).splitlines()]  # type: ignore[misc]


def times(remote: Remote, prefix: str) -> Counter[str]:
    """How often each operation whose id begins so is on the branch."""
    return Counter(op for op, _ in events(remote) if op.startswith(prefix))


def desk_of(seat: Seat) -> Path:
    """The folder of the seat's desk."""
    [path] = [path for path in seat.desk.iterdir() if path.is_dir()]
    return path


def left_on(desk: Path) -> list[str]:
    """What is under way or waits on the desk, half-written files included."""
    return sorted(
        str(path.relative_to(desk)) for name in ("outbox", "flights", "results", "queued") for path in (desk / name).iterdir()
    )


def settle(mould: Mould, seat: Seat) -> None:
    """Whatever was killed there is finished by others; results and files that nobody came for are an hour old by then."""
    desk = desk_of(seat)
    mould.ok(seat, "heartbeat", "settling")
    mould.ok(seat, "sync")
    for path in desk.glob("*/*"):
        os.utime(path, (1, 1))
    assert mould.ok(seat, "sync")["unsent"] == 0
    assert left_on(desk) == []
    assert mould.ok(seat, "verify")["ok"]


# --- kill -9 ---------------------------------------------------------------------------------------------------------


def test_a_claim_killed_at_any_step_and_run_again_has_one_effect(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote
) -> None:
    ada, ben = pair
    for step in range(1, MANY):
        words = ("claim", "droplet", f"r{step}", "--op", f"op-{step}")
        died = mould.run(ada, *words, kill_at=step)
        again = mould.ok(ada, *words)
        assert [one["resource_name"] for one in again["claims"]] == [f"r{step}"]
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert step > 15
    assert times(file_remote, "op-") == {f"op-{number}": 1 for number in range(1, step + 1)}
    held = {one["resource_name"]: one["claimed_by"] for one in mould.ok(ben, "claims")["claims"]}
    assert held == {f"r{number}": "ada" for number in range(1, step + 1)}
    settle(mould, ada)


def test_a_claim_whose_caller_died_lands_never_or_is_told_to_its_session(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote
) -> None:
    """Another session of the same desk comes by afterwards, with something else."""
    ada, _ = pair
    cat = Seat(ada.path, ada.desk, "cat")
    cat.ok("start", "cat", "--new")
    owner = Seat(ada.path, ada.desk, "ada")
    told, silent, never = [], [], []
    for step in range(1, MANY):
        died = mould.run(owner, "claim", "droplet", f"r{step}", "--op", f"op-{step}", kill_at=step)
        if died.code != KILLED:
            break
        unfinished = (desk_of(ada) / "outbox" / f"op-{step}.json").exists()
        before = times(file_remote, "op-")[f"op-{step}"]
        mould.ok(cat, "send", "ben", f"after {step}")
        after = times(file_remote, "op-")[f"op-{step}"]
        assert before == after, "a dead caller's claim was sent"
        noted = f"you hold droplet:r{step} " in mould.run(owner, "status").err
        assert not (noted and not after)
        if after and unfinished:
            assert noted, step
        (told if noted else silent if after else never).append(step)
    assert died.code == 0, died
    # Each of the three happens, in this order: it was not sent; it landed, and others found that; its process had found it.
    assert never
    assert told
    assert never + told + silent == sorted(never + told + silent)
    settle(mould, cat)


@pytest.mark.parametrize("away", [False, True], ids=["there", "away"])
def test_a_message_killed_at_any_step_arrives_once(mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote, away: bool) -> None:
    ada, ben = pair
    sure = []
    for step in range(1, MANY):
        words = ("send", "ben", f"note {step}", "--op", f"op-{step:03}")
        if away:
            file_remote.away()
        died = mould.run(ada, *words, kill_at=step)
        written = (desk_of(ada) / "outbox" / f"op-{step:03}.json").exists()
        if away:
            file_remote.back()
        if step % 2:  # every other one is not run again: what was written down goes out by itself
            # "queued" is the answer for some seconds after a try that found the remote away.
            assert mould.ok(ada, *words)["state"] in (("committed", "queued") if away else ("committed",))
            sure.append(f"op-{step:03}")
        elif written:
            sure.append(f"op-{step:03}")
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert step > 8
    settle(mould, ada)
    found = times(file_remote, "op-")
    assert set(found.values()) == {1}
    assert set(sure) <= set(found)
    subjects = Counter(one["subject"] for one in mould.ok(ben, "inbox")["messages"] if one["subject"].startswith("note"))
    assert subjects == {f"note {int(op[3:])}": 1 for op in found}


def test_a_release_killed_at_any_step_and_run_again_has_one_effect(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote
) -> None:
    ada, ben = pair
    for step in range(1, MANY):
        if step % 30 == 1:
            mould.ok(ada, "claim", "droplet", *[f"r{number}" for number in range(step, step + 30)])
        words = ("release", "droplet", f"r{step}", "--op", f"op-{step}")
        died = mould.run(ada, *words, kill_at=step)
        assert mould.ok(ada, *words)["state"] == "committed"
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert step > 15
    assert times(file_remote, "op-") == {f"op-{number}": 1 for number in range(1, step + 1)}
    held = {one["resource_name"] for one in mould.ok(ben, "claims")["claims"]}
    assert not held & {f"r{number}" for number in range(1, step + 1)}
    settle(mould, ada)


def test_the_spool_folded_by_a_process_killed_at_any_step_loses_nothing(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote
) -> None:
    ada, _ = pair
    run_id = json.loads((ada.path / ".git" / "gitcoord" / "sessions" / "ada.json").read_text())["run_id"]
    spool = desk_of(ada) / "spool" / "ada"
    spool.mkdir()
    names = set()
    for step in range(1, MANY):
        for number in (1, 2, 3):  # what three commits leave
            name = f"src/{step:03}-{number}.py"
            entry = {"at": "2026-01-01T00:00:00Z", "action": "committed", "target": name, "files": [name], "run_id": run_id}
            (spool / f"fold-{step:03}-{number}.json").write_text(json.dumps(entry))
            names.add(name)
        died = mould.run(ada, "sync", kill_at=step)
        mould.ok(ada, "sync")
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert step > 12
    said = git(file_remote.path, "log", "--format=%(trailers:key=Coord-File,valueonly)", BRANCH).split()
    assert names <= set(said)
    assert set(times(file_remote, "fold-").values()) == {1}
    assert list(spool.glob("*.json")) == []
    settle(mould, ada)


# --- a disk that is full -------------------------------------------------------------------------------------------

FULL = {
    "claim": (("claim", "droplet", "{}"), False),
    "send": (("send", "ben", "{}"), False),
    "send, remote away": (("send", "ben", "{}"), True),
    "release, remote away": (("release", "droplet", "{}"), True),
}


@pytest.mark.parametrize(("command", "away"), FULL.values(), ids=FULL)
def test_a_disk_that_is_full_from_any_step_on_loses_nothing_that_was_promised(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote, command: tuple[str, ...], away: bool
) -> None:
    ada, ben = pair
    mould.ok(ada, "claim", "droplet", *[f"r{number}" for number in range(60)] if command[0] == "release" else ["other"])
    for step in range(1, MANY):
        op = f"op-{step:03}"
        words = [*(word.format(f"r{step}") for word in command), "--op", op]
        if away:
            file_remote.away()
        ran = mould.run(ada, *words, "--json", full_from=step)
        rooms = sum(1 for label in mould.steps if label.startswith(("open ", "os.mkdir ")))
        if away:
            file_remote.back()
        if ran.code:  # said that it was not done, so it is run again when there is room; what was promised comes by itself
            assert ran.code == 1, ran
            assert ran.json["error"] == "not_written"
            assert "No space left" in ran.json["message"]
            mould.ok(ada, *words)
        if rooms < step:
            break
    assert step < MANY - 1
    assert step > (2 if away else 4)
    settle(mould, ada)
    assert times(file_remote, "op-") == {f"op-{number:03}": 1 for number in range(1, step + 1)}
    assert ben.ok("verify")["ok"]
