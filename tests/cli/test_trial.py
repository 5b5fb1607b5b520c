"""`trial` with real branches and real commands: who is named, what stays untouched, and that nothing is left when it ends early."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from clones import Seat, collect, snapshot, until

SH = ["sh", "-c"]
NOT_BOTH = "test ! -e a.txt -o ! -e b.txt"


def work(seat: Seat, branch: str, file: str, text: str = "x\n", *, push: bool = True) -> str:
    """Do some work on a branch of its own, and say so; return the commit."""
    seat.git("switch", "-q", "-C", branch, "origin/main")
    (seat.path / file).write_text(text)
    seat.git("add", "--all")
    seat.git("commit", "-q", "-m", branch)
    if push:
        seat.git("push", "-q", "origin", branch)
    with seat.here() as found:
        found.coordinator.sessions.heartbeat(action="building", branch=branch)
    return seat.git("rev-parse", "HEAD")


@pytest.fixture
def temporary(tmp_path: Path, pair: tuple[Seat, Seat]) -> Path:
    """The folder for temporary files of both seats."""
    place = tmp_path / "temporary"
    place.mkdir()
    for seat in pair:
        seat.extra["TMPDIR"] = str(place)
    return place


@pytest.fixture
def both(pair: tuple[Seat, Seat], temporary: Path) -> tuple[Seat, Seat]:
    """Ada and ben, each with a file that goes well with everything but with the other's."""
    ada, ben = pair
    work(ada, "a", "a.txt")
    work(ben, "b", "b.txt")
    return ada, ben


def branches(found: list[dict[str, Any]]) -> list[str]:
    """The names of the branches."""
    return [one["branch"] for one in found]


def test_pair_is_named_to_both_and_nobody_runs_the_same_again(both: tuple[Seat, Seat], tmp_path: Path, temporary: Path) -> None:
    ada, ben = both
    before = [snapshot(one.path) for one in both]
    count = f"echo ran >> {tmp_path}/runs; echo said; {NOT_BOTH}"
    ran = ada.run("trial", "--json", "--", *SH, count)
    assert ran.code == 1
    assert ran.json["outcome"] == "red"
    assert branches(ran.json["culprits"]) == ["a", "b"]
    runs = (tmp_path / "runs").read_text().count("ran")
    assert ran.json["runs"] == runs
    assert ran.err.count("said") == runs  # standard output is the answer's
    again = ben.run("trial", "--", *SH, count)
    assert again.code == 1
    assert "a (ada) and b (ben) are red together on main (sh, exit 1)" in again.out
    assert "not run again" in again.out
    assert (tmp_path / "runs").read_text().count("ran") == runs
    assert ben.run("trial", "--again", "--", *SH, count).code == 1
    assert (tmp_path / "runs").read_text().count("ran") == 2 * runs
    assert ben.run("trial", "--json", "--", *SH, "exit 0").json["outcome"] == "green"
    [note] = ben.ok("inbox")["messages"]
    assert note["type"] == "alert"
    assert "a (ada) and b (ben) are red together" in note["subject"]
    assert [one["kind"] for one in ada.ok("status")["attention"]] == ["red"]
    assert "are red together" in ada.run("board").out
    assert ada.run("log").out.count("trial: ") == 3
    assert [snapshot(one.path) for one in both] == before
    assert list(temporary.iterdir()) == []
    assert ada.ok("verify")["ok"]


def test_command_is_alone_with_the_merged_files_and_its_arguments_stay_here(both: tuple[Seat, Seat]) -> None:
    ada, _ = both
    (ada.path / "not-committed.txt").write_text("x")
    show = (
        "import json, os, subprocess, sys;"
        "top = subprocess.check_output(['git', 'rev-parse', '--show-toplevel'], text=True).strip();"
        "print(json.dumps([os.getcwd(), sorted(os.listdir()), top, sys.stdin.read(), dict(os.environ)]))"
    )
    names = {"GIT_DIR": str(ada.path / ".git"), "GIT_INDEX_FILE": "x", "CLAUDE_CODE_SESSION_ID": "abc", "KEPT": "1"}
    seat = Seat(ada.path, ada.outbox, session="ada", extra={**ada.extra, **names})
    ran = seat.run("trial", "--", sys.executable, "-c", show, "hunter2-is-a-secret", stdin="nothing of this")
    assert ran.code == 0, ran
    folder, files, top, stdin, environ = json.loads(ran.out.splitlines()[0])
    assert files == [".git", "README", "a.txt", "b.txt"]
    assert (os.path.realpath(folder), stdin) == (os.path.realpath(top), "")
    assert environ["KEPT"] == "1"
    assert environ["PWD"] == folder
    assert [name for name in environ if name.startswith("GIT_") or name in {"GITCOORD_SESSION", *names} - {"KEPT"}] == []
    ada.git("fetch", "-q", "origin", "coordination")
    assert "hunter2" not in ada.git("log", "-p", "origin/coordination")
    assert "Coord-Command: python" in ada.git("log", "origin/coordination")


def test_branch_that_conflicts_is_named_with_the_other_and_left_out(both: tuple[Seat, Seat]) -> None:
    ada, ben = both
    work(ada, "a", "README", "one\n", push=False)
    ada.git("push", "-q", "--force", "origin", "a")
    work(ben, "b", "README", "two\n", push=False)  # not pushed, and its own: it counts all the same
    ran = ben.run("trial", "--json", "--", "true")
    assert ran.code == 0
    assert branches(ran.json["incoming"]) == ["a"]
    [conflict] = ran.json["conflicts"]
    assert (conflict["branch"], conflict["with"]["branch"], conflict["files"]) == ("b", "a", ["README"])
    assert branches(ran.json["left_out"]) == ["b"]
    ran = ada.run("trial", "--with", "ben", "--", "true")  # what ben has pushed goes well with it
    assert ran.code == 0
    assert "2 branches" in ran.out


def test_red_default_branch_is_said_first_and_nobody_is_blamed(both: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = both
    ran = ada.run("trial", "--json", "--", *SH, "exit 5")
    assert ran.code == 1
    assert (ran.json["outcome"], ran.json["base_exit"], ran.json["culprits"], ran.json["runs"]) == ("base_red", 5, [], 2)
    ran = ada.run("trial", "--", *SH, f"setsid sleep 600 & echo $! >> {tmp_path}/pids; exit 5")
    assert "main itself is red" in ran.out
    assert [pid for pid in (tmp_path / "pids").read_text().split() if alive(int(pid))] == []


def test_with_nothing_about_to_land_nothing_is_run(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    ran = ada.run("trial", "--json", "--", *SH, f"touch {tmp_path}/ran")
    assert (ran.code, ran.json["outcome"], ran.json["on_default"]) == (0, "nothing", ["ben"])
    assert "on main itself as far as is known, so not tried: ben" in ran.err
    assert not (tmp_path / "ran").exists()
    work(ben, "b", "b.txt", push=False)
    assert ada.run("trial", "--json", "--", "true").json["not_pushed"] == ["b"]
    ben.ok("end")  # whose branch may have landed, and be gone
    assert ada.run("trial", "--json", "--", "true").json["not_pushed"] == []
    assert ada.run("trial", "--", "no-such-command").code == 127
    assert ada.run("trial", "true").code == 2
    assert ada.run("trial", "--with", "nobody", "--", "true").code == 2


# --- an early end ------------------------------------------------------------------------------------------------------

LASTS = (
    "import os, signal, subprocess, sys, time; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "below = subprocess.Popen(['sleep', '600'], start_new_session=True);"
    "open('left-behind', 'w').write('x'); open(sys.argv[1] + '.new', 'w').write(f'{os.getpid()} {below.pid}');"
    "os.rename(sys.argv[1] + '.new', sys.argv[1]); time.sleep(600)"
)


def alive(pid: int) -> bool:
    """Whether the process is there and not only waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def begin(seat: Seat, note: Path, *words: str) -> tuple[Any, list[int]]:
    """Start a trial whose command lasts; return it, and the command's processes."""
    child = seat.start("trial", *words, "--", sys.executable, "-c", LASTS, str(note))
    until(lambda: note.exists() or child.poll() is not None, "the command never began")
    return child, [int(pid) for pid in note.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelled_it_ends_all_processes_and_leaves_nothing(
    both: tuple[Seat, Seat], tmp_path: Path, temporary: Path, number: signal.Signals
) -> None:
    ada, _ = both
    before = snapshot(ada.path)
    child, pids = begin(ada, tmp_path / "note")
    assert list(temporary.iterdir()) != []
    os.kill(child.pid, number)
    [ran] = collect([child])
    assert ran.code == 128 + number
    assert [pid for pid in pids if alive(pid)] == []
    assert list(temporary.iterdir()) == []
    assert snapshot(ada.path) == before
    assert "trial: " not in ada.run("log").out


def test_killed_its_command_ends_too_and_the_next_one_sweeps(both: tuple[Seat, Seat], tmp_path: Path, temporary: Path) -> None:
    ada, ben = both
    child, pids = begin(ada, tmp_path / "note")
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    until(lambda: not any(map(alive, pids)), "the command goes on")
    assert len(list(temporary.iterdir())) == 1
    assert ben.run("trial", "--", "true").code == 0
    assert list(temporary.iterdir()) == []


def test_time_that_is_over_ends_it_with_all_it_started(both: tuple[Seat, Seat], tmp_path: Path, temporary: Path) -> None:
    ada, _ = both
    child, pids = begin(ada, tmp_path / "note", "--timeout", "3s")
    [ran] = collect([child])
    assert ran.code == 9
    assert [pid for pid in pids if alive(pid)] == []
    assert list(temporary.iterdir()) == []
