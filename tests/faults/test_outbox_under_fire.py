"""The outbox under fire: kill -9 at every step of what the program does there, a disk that is full at every step, and the
company that an outbox may have: stopped and vanished flushers, two clones, poison, programs of other versions.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import step_faults
from clones import PATIENCE, Seat, Seats, collect
from gits import git
from remotes import Remote
from step_faults import Mould

from gitcoord.core.claims import AcquireClaims
from gitcoord.core.events import Caller
from gitcoord.machine import processes

BRANCH = "refs/heads/coordination"
KILLED = -signal.SIGKILL
MANY = 200  # steps; a command has some 25, and one that never ends must not hang the run


@pytest.fixture(scope="module")
def mould(sealed_process: Path) -> Iterator[Mould]:
    """Where the processes that die come from."""
    with step_faults.start() as child:
        yield Mould(child)
        assert child.stdin
        child.stdin.close()


@pytest.fixture
def stride(request: pytest.FixtureRequest) -> int:
    """How many steps further the next kill is: every step where it is asked for, every other one in what two tests share."""
    return 1 if request.config.getoption("--every-step") else 2


def events(remote: Remote) -> list[tuple[str, str]]:
    """Every event on the branch: operation and kind, oldest first."""
    form = "%(trailers:key=Coord-Id,valueonly,separator=%x20)%x09%(trailers:key=Coord-Event,valueonly,separator=%x20)"
    return [tuple(line.split("\t")) for line in git(remote.path, "log", "--reverse", f"--format={form}", BRANCH).splitlines()]  # type: ignore[misc]


def times(remote: Remote, prefix: str) -> Counter[str]:
    """How often each operation whose id begins so is on the branch."""
    return Counter(op for op, _ in events(remote) if op.startswith(prefix))


def outbox_of(seat: Seat) -> Path:
    """The folder of the seat's outbox."""
    [path] = [path for path in seat.outbox.iterdir() if path.is_dir()]
    return path


def left_on(outbox: Path) -> list[str]:
    """What is under way or waits in the outbox, half-written files included."""
    return sorted(
        str(path.relative_to(outbox)) for name in ("outbox", "pushes", "results", "queued") for path in (outbox / name).iterdir()
    )


def settle(mould: Mould, seat: Seat) -> None:
    """Whatever was killed there is finished by others; results and files that nobody came for are an hour old by then."""
    outbox = outbox_of(seat)
    mould.ok(seat, "heartbeat", "settling")
    mould.ok(seat, "sync")
    for path in outbox.glob("*/*"):
        os.utime(path, (1, 1))
    assert mould.ok(seat, "sync")["unsent"] == 0
    assert left_on(outbox) == []
    assert mould.ok(seat, "verify")["ok"]


# --- kill -9 ---------------------------------------------------------------------------------------------------------


def test_a_claim_killed_at_any_step_and_run_again_has_one_effect(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote, stride: int
) -> None:
    ada, ben = pair
    for step in range(1, MANY, stride):
        words = ("claim", "droplet", f"r{step}", "--op", f"op-{step}")
        died = mould.run(ada, *words, kill_at=step)
        again = mould.ok(ada, *words)
        assert [one["resource_name"] for one in again["claims"]] == [f"r{step}"]
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert step > 15
    assert times(file_remote, "op-") == {f"op-{number}": 1 for number in range(1, step + 1, stride)}
    held = {one["resource_name"]: one["claimed_by"] for one in mould.ok(ben, "claims")["claims"]}
    assert held == {f"r{number}": "ada" for number in range(1, step + 1, stride)}
    settle(mould, ada)


def test_a_claim_whose_caller_died_lands_never_or_is_told_to_its_session(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote
) -> None:
    """Another session of the same outbox comes by afterwards, with something else."""
    ada, _ = pair
    cat = Seat(ada.path, ada.outbox, "cat")
    cat.ok("start", "cat", "--new")
    owner = Seat(ada.path, ada.outbox, "ada")
    told, silent, never = [], [], []
    for step in range(1, MANY):
        died = mould.run(owner, "claim", "droplet", f"r{step}", "--op", f"op-{step}", kill_at=step)
        if died.code != KILLED:
            break
        unfinished = (outbox_of(ada) / "outbox" / f"op-{step}.json").exists()
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
        written = (outbox_of(ada) / "outbox" / f"op-{step:03}.json").exists()
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
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote, stride: int
) -> None:
    ada, ben = pair
    for step in range(1, MANY, stride):
        if step % 30 == 1:
            mould.ok(ada, "claim", "droplet", *[f"r{number}" for number in range(step, step + 30)])
        words = ("release", "droplet", f"r{step}", "--op", f"op-{step}")
        died = mould.run(ada, *words, kill_at=step)
        assert mould.ok(ada, *words)["state"] == "committed"
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert step > 15
    assert times(file_remote, "op-") == {f"op-{number}": 1 for number in range(1, step + 1, stride)}
    held = {one["resource_name"] for one in mould.ok(ben, "claims")["claims"]}
    assert not held & {f"r{number}" for number in range(1, step + 1, stride)}
    settle(mould, ada)


def test_the_spool_folded_by_a_process_killed_at_any_step_loses_nothing(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote, stride: int
) -> None:
    ada, _ = pair
    run_id = json.loads((ada.path / ".git" / "gitcoord" / "sessions" / "ada.json").read_text())["run_id"]
    spool = outbox_of(ada) / "spool" / "ada"
    spool.mkdir()
    names = set()
    for step in range(1, MANY, stride):
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


# --- company -------------------------------------------------------------------------------------------------------


class Gate:
    """Holds the next push on the remote's side, until it is opened."""

    def __init__(self, remote: Remote) -> None:
        self.folder = remote.path
        hook = remote.path / "hooks" / "pre-receive"
        wait = f"while [ ! -e '{self.folder}/go' ]; do sleep 0.05; done"
        hook.write_text(f"#!/bin/sh\nif mkdir '{self.folder}/first' 2>/dev/null; then {wait}; fi\n")
        hook.chmod(0o755)

    def wait_for(self, child: subprocess.Popen[str]) -> None:
        """Until that process's push stands at the gate."""
        until(lambda: (self.folder / "first").exists() or child.poll() is not None)
        assert child.poll() is None

    def open(self) -> None:
        """Lets it through."""
        (self.folder / "go").touch()


def until(true: Callable[[], bool]) -> None:
    """Waits for a condition."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        select.select([], [], [], 0.02)


def killed(child: subprocess.Popen[str]) -> None:
    """Kills a process and sees it gone."""
    child.kill()
    child.communicate()


def test_a_push_that_lands_after_its_process_was_killed_is_told(mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    """git goes on without the program that started it. Whoever looks meanwhile can't say that nothing happened."""
    ada, _ = pair
    cat = Seat(ada.path, ada.outbox, "cat")
    cat.ok("start", "cat", "--new")
    owner = Seat(ada.path, ada.outbox, "ada")
    gate = Gate(file_remote)
    try:
        child = owner.start("claim", "droplet", "late", "--op", "op-late")
        gate.wait_for(child)
        killed(child)
        mould.run(cat, "sync")
        assert not times(file_remote, "op-")
    finally:
        gate.open()
    until(lambda: bool(times(file_remote, "op-")))
    mould.ok(cat, "send", "ben", "something else")
    assert "you hold droplet:late " in mould.run(owner, "status").err
    settle(mould, cat)


def test_a_claim_that_waits_for_another_s_flush_and_is_killed_then_is_told(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote
) -> None:
    """It was alive when the flusher took it, and is dead when the answer comes."""
    ada, _ = pair
    cat = Seat(ada.path, ada.outbox, "cat")
    cat.ok("start", "cat", "--new")
    owner = Seat(ada.path, ada.outbox, "ada")
    with owner.here() as found:
        outbox = found.outbox
        asking = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True)
        try:
            caller = Caller(
                pid=asking.pid, born=processes.born(asking.pid), deadline=found.coordinator.now() + timedelta(minutes=5)
            )
            outbox.put(
                AcquireClaims(op="op-waits", session="ada", at=found.coordinator.now(), caller=caller, resources=("droplet:waits",))
            )
            gate = Gate(file_remote)
            child = cat.start("send", "ben", "carries both")
            gate.wait_for(child)
        finally:
            killed(asking)
            (file_remote.path / "go").touch()
    [ran] = collect([child])
    assert ran.code == 0, ran
    assert times(file_remote, "op-") == {"op-waits": 1}
    assert "you hold droplet:waits " in mould.run(owner, "status").err


def test_a_claim_past_its_deadline_is_a_ghost_and_is_never_sent(pair: tuple[Seat, Seat], mould: Mould) -> None:
    """Its process lives, but has given up: whoever waits that long was told so."""
    ada, _ = pair
    with ada.here() as found:
        now = found.coordinator.now()
        caller = Caller(pid=os.getpid(), born=processes.born(os.getpid()), deadline=now - timedelta(seconds=1))
        found.outbox.put(AcquireClaims(op="op-ghost", session="ada", at=now, caller=caller, resources=("droplet:ghost",)))
    assert mould.ok(ada, "heartbeat", "building")["state"] == "committed"
    assert mould.ok(ada, "claims")["claims"] == []
    settle(mould, ada)


def test_a_flusher_whose_clone_is_deleted_meanwhile_takes_nothing_along(mould: Mould, seats: Seats, file_remote: Remote) -> None:
    """Two clones of one machine share an outbox; one of them goes away in the middle of its push."""
    ada, ben = seats(file_remote, "ada", "ben", machine="one")
    for seat in (ada, ben):
        mould.run(seat, "init")
        mould.ok(seat, "start", seat.path.name)
    gate = Gate(file_remote)
    child = ada.start("send", "ben", "from a clone that goes", "--op", "op-gone")
    try:
        gate.wait_for(child)
        os.kill(child.pid, signal.SIGSTOP)
        shutil.rmtree(ada.path)
    finally:
        gate.open()
        os.kill(child.pid, signal.SIGCONT)
    out, err = child.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    assert child.returncode in (0, 1, 5), (out, err)
    assert mould.ok(ben, "send", "broadcast", "still here")["state"] == "committed"
    settle(mould, ben)
    assert times(file_remote, "op-") == {"op-gone": 1}


def test_two_clones_with_other_credentials_or_names_have_two_outboxes(mould: Mould, seats: Seats, file_remote: Remote) -> None:
    """What one of them may send must not go out under the other's name."""
    ada, ben, cat = seats(file_remote, "ada", "ben", "cat", machine="one")
    ben.git("config", "user.email", "ben@example.org")
    cat.git("config", "credential.helper", "store --file=/nowhere")
    for seat in (ada, ben, cat):
        mould.run(seat, "init")
        mould.ok(seat, "start", seat.path.name)
    assert len([path for path in ada.outbox.iterdir() if path.is_dir()]) == 3
    file_remote.away()
    assert mould.ok(ben, "send", "ada", "mine to send", "--op", "op-ben")["state"] == "queued"
    file_remote.back()
    assert mould.ok(ada, "sync")["unsent"] == 0
    assert not times(file_remote, "op-")
    assert mould.ok(ben, "sync")["unsent"] == 0
    emails = git(file_remote.path, "log", "--format=%ae", "--grep=^Coord-Id: op-ben$", BRANCH)
    assert emails == "ben@example.org"


# --- a disk that is full -------------------------------------------------------------------------------------------

FULL = {
    "claim": (("claim", "droplet", "{}"), False),
    "send": (("send", "ben", "{}"), False),
    "send, remote away": (("send", "ben", "{}"), True),
    "release, remote away": (("release", "droplet", "{}"), True),
}


@pytest.mark.parametrize(("command", "away"), FULL.values(), ids=FULL)
def test_a_disk_that_is_full_from_any_step_on_loses_nothing_that_was_promised(
    mould: Mould, pair: tuple[Seat, Seat], file_remote: Remote, command: tuple[str, ...], away: bool, stride: int
) -> None:
    ada, ben = pair
    mould.ok(ada, "claim", "droplet", *[f"r{number}" for number in range(60)] if command[0] == "release" else ["other"])
    for step in range(1, MANY, stride):
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
    assert times(file_remote, "op-") == {f"op-{number:03}": 1 for number in range(1, step + 1, stride)}
    assert ben.ok("verify")["ok"]


ROOMS = """set -e
mount -t tmpfs -o size={size} tmpfs "$1"
shift
exec "$@"
"""


def _may_mount() -> bool:
    done = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return done.returncode == 0


ON_A_FULL_DISK = """
cd "$CLONE"
say() { "$PYTHON" -m gitcoord --session ada "$@" --json || echo "exit $?"; }
say send ben first
dd if=/dev/zero of="$GITCOORD_DESK/ballast" bs=4096 2>/dev/null
say send ben full
say claim droplet full
say status > /dev/null
rm "$GITCOORD_DESK/ballast"
say send ben last
say claim droplet last
"""


@pytest.mark.skipif(shutil.which("unshare") is None or not _may_mount(), reason="may not mount a file system here")
def test_a_disk_that_is_really_full(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    place = ada.path.parent / "small"
    place.mkdir()
    command = ["unshare", "-rm", "sh", "-c", ROOMS.format(size="1m"), "sh", str(place), "sh", "-c", ON_A_FULL_DISK]
    env = {**ada.env, "GITCOORD_DESK": str(place), "CLONE": str(ada.path), "PYTHON": sys.executable}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert done.stdout.count("exit ") == done.stdout.count("exit 1\n") == 2, done.stdout
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["first", "last"]
    assert [one["resource_name"] for one in ben.ok("claims")["claims"]] == ["last"]
    assert ben.ok("verify")["ok"]


@pytest.mark.skipif(shutil.which("unshare") is None or not _may_mount(), reason="may not mount a file system here")
def test_an_outbox_on_a_read_only_place_falls_back(pair: tuple[Seat, Seat]) -> None:
    """Root can write where modes forbid it; what is mounted read-only nobody can write."""
    ada, ben = pair
    place = ada.path.parent / "shut"
    place.mkdir()
    command = ["unshare", "-rm", "sh", "-c", ROOMS.format(size="1m,ro"), "sh", str(place)]
    command += [sys.executable, "-m", "gitcoord", "--session", "ada", "send", "ben", "hello"]
    env = {**ada.env, "GITCOORD_DESK": str(place)}
    done = subprocess.run(command, cwd=ada.path, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["hello"]


def test_a_start_killed_at_any_step_and_run_again_is_one_session(
    mould: Mould, file_remote: Remote, seats: Seats, stride: int
) -> None:
    """Its new run may have landed before it could be noted here: who comes again is that run, and nobody is locked out."""
    (ada,) = seats(file_remote, "ada")
    mould.ok(ada, "init")
    begun = set()
    for step in range(1, MANY, 4 * stride - 3):  # the window between the push and the note here is wider
        words = ("start", "--work", f"step {step}")
        died = mould.run(ada, *words, kill_at=step)
        if begun:  # the session is there, and its new run may be, too
            assert mould.ok(ada, "heartbeat", "working")["state"] == "committed"
        again = mould.ok(ada, *words)
        begun.add(again["session_id"])
        assert mould.ok(ada, "claim", "droplet", f"r{step}")["outcome"] == "held"
        if died.code != KILLED:
            break
    assert died.code == 0, died
    assert step > 10
    assert len(begun) == 1
    assert [one["session_id"] for one in mould.ok(ada, "status")["sessions"]] == list(begun)


def test_a_first_start_killed_at_any_step_and_run_again_is_one_session(
    mould: Mould, file_remote: Remote, seats: Seats, stride: int
) -> None:
    (first,) = seats(file_remote, "first")
    mould.ok(first, "init")
    for step in range(1, MANY, 3 * stride - 2):
        (ada,) = seats(file_remote, f"ada{step}")
        died = mould.run(ada, "start", f"s{step}", kill_at=step)
        assert mould.ok(ada, "start", f"s{step}")["session_id"] == f"s{step}"
        assert mould.ok(ada, "heartbeat", "working")["state"] == "committed"
        if died.code != KILLED:
            break
    assert died.code == 0
    assert step > 10


BRANCH_HERE = "refs/remotes/origin/coordination"


def test_a_start_that_was_killed_is_taken_up_once_the_remote_is_back(mould: Mould, file_remote: Remote, seats: Seats) -> None:
    """However long it was away: only a look at the branch says that the start did not land."""
    (ada,) = seats(file_remote, "ada")
    mould.ok(ada, "init")
    first = mould.ok(ada, "start", "ada")
    folder = ada.path / ".git" / "gitcoord"
    bound = (folder / "sessions" / "ada.json").read_bytes()
    before, known = ada.git("rev-parse", BRANCH_HERE), {path: path.read_bytes() for path in folder.glob("checked-*.json")}
    mould.ok(ada, "start", "--work", "more")
    newer = json.loads((folder / "sessions" / "ada.json").read_bytes())
    assert newer["run_id"] != first["run_id"]
    # As its death between the push and the note here leaves it, two minutes ago.
    (folder / "sessions" / "ada.json").write_bytes(bound)
    note = folder / "starting" / f"{newer['run_id']}.json"
    note.write_text(json.dumps({"pid": 1, "born": "gone", "binding": newer}))
    os.utime(note, (time.time() - 120,) * 2)
    git(ada.path, "update-ref", BRANCH_HERE, before)
    for path, data in known.items():
        path.write_bytes(data)
    file_remote.away()
    mould.run(ada, "send", "broadcast", "is anybody there?")
    file_remote.back()
    assert mould.ok(ada, "claim", "droplet", "x")["outcome"] == "held"
    assert json.loads((folder / "sessions" / "ada.json").read_bytes())["run_id"] == newer["run_id"]
    assert list((folder / "starting").iterdir()) == []


def test_who_said_which_session_it_is_never_goes_on_as_another(mould: Mould, file_remote: Remote, seats: Seats) -> None:
    """Two of one work tree, told apart by name: the start of one was killed after it had landed, and the other acts next."""
    (ada,) = seats(file_remote, "ada")
    mould.ok(ada, "init")
    mould.ok(ada, "start", "ben")
    mould.ok(ada, "start", "ada", "--new")
    folder = ada.path / ".git" / "gitcoord"
    bound = (folder / "sessions" / "ben.json").read_bytes()
    ada.session = "ben"
    mould.ok(ada, "start", "ben", "--work", "more")
    newer = json.loads((folder / "sessions" / "ben.json").read_bytes())
    (folder / "sessions" / "ben.json").write_bytes(bound)
    note = folder / "starting" / f"{newer['run_id']}.json"
    note.write_text(json.dumps({"pid": 1, "born": "gone", "binding": newer}))
    os.utime(note, (time.time() - 120,) * 2)
    ada.session = "ada"
    assert mould.ok(ada, "claim", "droplet", "x")["claims"][0]["claimed_by"] == "ada"
    ada.session = "ben"
    assert mould.ok(ada, "claim", "droplet", "y")["claims"][0]["claimed_by"] == "ben"
    assert json.loads((folder / "sessions" / "ben.json").read_bytes())["run_id"] == newer["run_id"]
    assert list((folder / "starting").iterdir()) == []
