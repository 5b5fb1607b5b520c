"""`run` with real processes: what passes through, what it ends with, and that nothing goes on without the lease."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clones import PATIENCE, PROGRAM, Ran, Seat, until
from remotes import Remote
from workload import FAKETIME, UNDER_FAKETIME

PY = [sys.executable, "-c"]
RUN = [*PROGRAM, "run", "--claim", "slot:x", "--"]


def alive(pid: int) -> bool:
    """Whether the process is there and not only waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def holders(seat: Seat) -> dict[str, str]:
    """Who holds what."""
    return {f"{one['resource_type']}:{one['resource_name']}": one["claimed_by"] for one in seat.ok("claims")["claims"]}


def report(ran: Ran) -> Any:
    """The object that --json leaves as the last line on standard error."""
    return json.loads(ran.err.splitlines()[-1])


@dataclass
class Running:
    """A `run` under way, whose command has written its pid to a file."""

    child: subprocess.Popen[str]
    command: int

    def end(self) -> Ran:
        """Waits for its end."""
        out, err = self.child.communicate(timeout=PATIENCE)
        assert "Traceback" not in err, err
        return Ran(self.child.returncode, out, err)


WAITS = (
    "import os, sys, time; open(sys.argv[1] + '.new', 'w').write(str(os.getpid())); os.rename(sys.argv[1] + '.new', sys.argv[1])"
)
AND_THE_REMOTE = (
    "from datetime import UTC, datetime; from gitcoord.git.remote_tip import RemoteTip; "
    "RemoteTip.at_hand = lambda tip: datetime.now(UTC);"
    f"{UNDER_FAKETIME}"
)
LASTS = f"{WAITS}\nwhile True: time.sleep(60)"


def begin(
    seat: Seat,
    note: Path,
    *words: str,
    script: str = LASTS,
    env: dict[str, str] | None = None,
    agreed: bool = False,
    inherits: bool = False,
) -> Running:
    """Starts `run` with a command in Python, and waits until that is there. `env`: of `run` alone; `agreed`: the remote tells the
    time that this sets; `inherits`: it has what this process has set for signals.
    """
    if env is None and not inherits:
        child = seat.start("run", *words, "--", *PY, script, str(note))
    else:
        given = env or {}
        program = [sys.executable, "-c", AND_THE_REMOTE if agreed else UNDER_FAKETIME] if given else PROGRAM
        unset = ["env", *(f"--unset={name}" for name in given)] if given else []
        child = subprocess.Popen(
            [*program, "run", *words, "--", *unset, *PY, script, str(note)], cwd=seat.path, env={**seat.env, **given}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    until(lambda: note.exists() or child.poll() is not None, "the command never began")
    assert note.exists(), child.communicate()
    return Running(child, int(note.read_text()))


# --- what passes through -----------------------------------------------------------------------------------------------


def test_the_three_streams_the_arguments_and_the_code_are_the_commands_own(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    script = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read() * 2); print(sys.argv[1:], file=sys.stderr); sys.exit(7)"
    words = ["--json", "-C", "/nowhere", "--", "-x", "", "ü \n$HOME"]
    with subprocess.Popen(
        [*RUN, *PY, script, *words], cwd=ada.path, env=ada.env,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        out, err = child.communicate(b"\x00\xff\n" * 50_000, timeout=PATIENCE)
    assert child.returncode == 7
    assert out == b"\x00\xff\n" * 100_000
    assert repr(words) in err.decode()
    assert holders(ben) == {}


def test_the_command_knows_its_fences_and_acts_as_the_session(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    before = ada.ok("claim", "slot:old")["claims"][0]["fence"]
    show = "from os import environ as e; print(e['GITCOORD_SESSION'], e['GITCOORD_FENCE'], e['GITCOORD_FENCES'].split('\\n'))"
    ran = ada.run("run", "--claim", "slot:x", "--claim", "src/a.py", "--json", "--", *PY, show)
    [fence] = {one["fence"] for one in report(ran)["claims"]}
    assert ran.out == f"ada {fence} ['{fence} slot:x', '{fence} file:src/a.py']\n"
    ran = ada.run("run", "--claim", "slot:old", "--claim", "slot:x", "--", *PY, show)
    told = re.fullmatch(r"ada (\d+) \['(\d+) slot:old', '(\d+) slot:x'\]\n", ran.out)
    assert told
    assert int(told[1]) == int(told[2]) == before < int(told[3])
    assert "it was yours before and stays yours" in ran.err
    assert holders(ben) == {"slot:old": "ada"}
    # Inside, gitcoord is the same session without being told so, also from another folder.
    inner = f"{sys.executable} -m gitcoord claims --mine --json"
    ran = ada.run("run", "--claim", "slot:x", "--", "sh", "-c", inner)
    assert {one["resource_name"] for one in ran.json["claims"]} == {"old", "x"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sh", "-c", "exit 0"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "exit 255"], 255),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["sh", "-c", "kill -INT $$"], 130),
        (["no-such-command"], 127),
        (["./no/such/file"], 127),
        (["/"], 126),
        (["./README"], 126),
        (["./odd"], 126),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_exit_code_is_the_commands(lookers: tuple[Seat, Seat], words: list[str], code: int) -> None:
    ada, ben = lookers
    odd = ada.path / "odd"  # may be run, and can't be
    odd.write_bytes(b"\x7fELF")
    odd.chmod(0o755)
    tip = ben.ok("status")["tip"]
    assert ada.run("run", "--claim", "slot:x", "--", *words).code == code
    assert holders(ben) == {}
    if code in (126, 127) and words != ["./odd"]:
        assert ben.ok("status")["tip"] == tip  # known before anything was claimed


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--claim", "slot:x", "true"),
        ("run", "--", "true"),
        ("run", "--claim", "slot:x", "--"),
        ("run", "--claim", "slot:x"),
        ("run", "--claim", "slot:x", "--ttl", "10s", "--", "true"),
        ("run", "--claim", "Slot\n:x", "--", "true"),
        ("run", "--claim", "slot:x", "--kill-after", "soon", "--", "true"),
    ],
    ids=" ".join,
)
def test_what_is_not_clear_is_exit_2_and_claims_nothing(lookers: tuple[Seat, Seat], words: tuple[str, ...]) -> None:
    ada, ben = lookers
    tip = ben.ok("status")["tip"]
    ran = ada.run(*words)
    assert ran.code == 2, ran
    assert "error:" in ran.err
    assert ben.ok("status")["tip"] == tip


def test_it_runs_where_dash_c_says(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    (ada.path / "deep").mkdir()
    ran = ada.run("-C", str(ada.path / "deep"), "run", "--claim", "x", "--json", "--", "pwd", cwd=tmp_path)
    assert ran.out.strip() == str(ada.path / "deep")
    assert [one["resource_name"] for one in report(ran)["claims"]] == ["deep/x"]


def test_held_by_another_it_answers_as_claim_does_and_starts_nothing(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    ben.ok("claim", "slot:x")
    ran = ada.run("run", "--claim", "slot:y", "--claim", "slot:x", "--json", "--", "touch", str(tmp_path / "began"))
    assert ran.code == 3
    asked = ada.run("claim", "slot:y", "slot:x", "--json").json
    assert {key: ran.json[key] for key in asked} == asked
    assert ran.json["started"] is False
    assert not (tmp_path / "began").exists()
    assert holders(ben) == {"slot:x": "ben"}


def in_line(seat: Seat) -> list[str]:
    """Who waits."""
    return [one["session_id"] for one in seat.ok("claims")["waiting"]]


def test_it_waits_in_line_and_what_was_offered_goes_back_at_the_end(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    ada.ok("claim", "slot", "x")
    out = tmp_path / "fences"
    waiting = ben.start(
        "run", "--claim", "slot:x", "--wait", "--timeout", "100s", "--", "sh", "-c", f"echo $GITCOORD_FENCE > {out}"
    )
    until(lambda: in_line(ada) == ["ben"], "it never stood in line")
    released = ada.ok("release", "slot", "x")
    _, err = waiting.communicate(timeout=PATIENCE)
    assert (waiting.returncode, "Traceback" in err) == (0, False), err
    assert out.read_text().strip() == str(released["seq"])  # the release granted it
    assert holders(ada) == {}


def test_a_wait_that_takes_too_long_starts_nothing_and_keeps_the_place(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    ada.ok("claim", "slot", "x")
    mark = tmp_path / "mark"
    ran = ben.run("run", "--claim", "slot:x", "--wait", "--timeout", "0s", "--json", "--", "touch", str(mark))
    assert (ran.code, ran.json["outcome"], ran.json["place"], ran.json["started"]) == (9, "waiting", 1, False)
    assert not mark.exists()
    assert in_line(ada) == ["ben"]


def test_a_signal_ends_the_waiting(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    ada.ok("claim", "slot", "x")
    mark = tmp_path / "mark"
    waiting = ben.start("run", "--claim", "slot:x", "--wait", "--", "touch", str(mark))
    until(lambda: in_line(ada) == ["ben"], "it never stood in line")
    waiting.send_signal(signal.SIGTERM)
    _, err = waiting.communicate(timeout=PATIENCE)
    assert (waiting.returncode, "Traceback" in err) == (128 + signal.SIGTERM, False), err
    assert not mark.exists()
    assert holders(ada) == {"slot:x": "ada"}


def test_without_the_remote_nothing_is_started(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    ada, _ = pair
    file_remote.away()
    assert ada.run("run", "--claim", "slot:x", "--", "touch", str(tmp_path / "began")).code == 6
    assert not (tmp_path / "began").exists()


def test_shared_runs_go_on_beside_each_other(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    inner = [*PROGRAM, "--session", "ben", "-C", str(ben.path), "run", "--claim", "slot:x", "--shared", "--"]
    assert ada.run("run", "--claim", "slot:x", "--shared", "--", *inner, "true").code == 0
    assert ada.run("run", "--claim", "slot:x", "--", *inner, "true").code == 3


def test_the_release_waits_when_the_remote_has_gone_away(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    away = f"import os; os.rename({str(file_remote.path)!r}, {str(file_remote.path) + '.gone'!r})"
    ran = ada.run("run", "--claim", "slot:x", "--json", "--", *PY, away)
    assert (ran.code, report(ran)["state"]) == (0, "queued")
    assert "(queued: the remote is away)" in ran.err
    os.rename(f"{file_remote.path}.gone", file_remote.path)
    assert holders(ben) == {"slot:x": "ada"}
    ada.ok("sync")
    assert holders(ben) == {}


def test_the_report_stands_at_the_end_of_standard_error(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    ran = ada.run("run", "--claim", "slot:x", "--json", "--", "sh", "-c", "echo out; echo err >&2; exit 5")
    assert ran.out == "out\n"
    told = report(ran)
    assert (told["outcome"], told["started"], told["exit_code"], told["command_exit_code"]) == ("done", True, 5, 5)
    assert [one["resource_name"] for one in told["released"]] == ["x"]


# --- signals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda one: one.name)
def test_a_signal_ends_the_command_and_gives_the_lease_back(
    pair: tuple[Seat, Seat], tmp_path: Path, number: signal.Signals
) -> None:
    ada, ben = pair
    quiet = f"import resource, signal\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nsignal.signal(2, signal.SIG_DFL)\n{LASTS}"
    running = begin(ada, tmp_path / "pid", "--claim", "slot:x", script=quiet)
    assert holders(ben) == {"slot:x": "ada"}
    running.child.send_signal(number)
    assert running.end().code == 128 + number
    assert not alive(running.command)
    assert holders(ben) == {}


def test_a_command_that_handles_a_signal_decides_itself(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    script = f"import signal, sys\nfor one in (15, 10): signal.signal(one, lambda number, _: sys.exit(number + 20))\n{LASTS}"
    for number in (signal.SIGTERM, signal.SIGUSR1):
        running = begin(ada, tmp_path / number.name, "--claim", "slot:x", script=script)
        running.child.send_signal(number)
        assert running.end().code == number + 20


def test_an_ignored_hangup_stays_ignored(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        running = begin(ada, tmp_path / "pid", "--claim", "slot:x", inherits=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    running.child.send_signal(signal.SIGHUP)
    os.kill(running.command, signal.SIGHUP)
    assert holders(ben) == {"slot:x": "ada"}
    assert running.child.poll() is None
    running.child.send_signal(signal.SIGTERM)
    assert running.end().code == 143


def test_what_the_command_leaves_behind_ends_with_it(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    note = tmp_path / "pid"
    script = (
        f"import subprocess, sys, time, os\nsubprocess.Popen([sys.executable, '-c', {LASTS!r}, sys.argv[1]])\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    )
    ran = ada.run("run", "--claim", "slot:x", "--", *PY, script, str(note))
    assert ran.code == 0
    assert "left processes behind" in ran.err
    assert not alive(int(note.read_text()))
    assert holders(ben) == {}


@pytest.mark.parametrize(
    "ignores", ["", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"], ids=["", "TERM ignored"]
)
def test_kill_9_takes_the_command_along_and_leaves_the_lease_to_its_end(
    pair: tuple[Seat, Seat], tmp_path: Path, ignores: str
) -> None:
    ada, ben = pair
    running = begin(ada, tmp_path / "pid", "--claim", "slot:x", "--kill-after", "1s", script=ignores + LASTS)
    running.child.kill()
    running.child.communicate(timeout=PATIENCE)
    until(lambda: not alive(running.command), "the command outlived its run")
    assert holders(ben) == {"slot:x": "ada"}
    assert ben.run("claim", "slot:x").code == 3


def test_a_signal_before_the_command_began_gives_the_lease_back(
    pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path
) -> None:
    ada, ben = pair
    gate, began = tmp_path / "gate", tmp_path / "began"
    hook = file_remote.path / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\ntouch {began}\nwhile [ ! -e {gate} ]; do sleep 0.05; done\n")
    hook.chmod(0o755)
    child = ada.start("run", "--claim", "slot:x", "--", "touch", str(tmp_path / "ran"))
    until(began.exists, "the push never began")
    child.send_signal(signal.SIGTERM)
    gate.touch()
    child.communicate(timeout=PATIENCE)
    assert child.returncode == 143
    assert not (tmp_path / "ran").exists()
    assert holders(ben) == {}


# --- the lease is lost -----------------------------------------------------------------------------------------------------


@dataclass
class Fake:
    """The time of day as some processes see it: ahead of the real one by what stands in a file."""

    place: Path

    @property
    def env(self) -> dict[str, str]:
        """For a process."""
        return {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.place), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip

    def set(self, seconds: int) -> None:
        """Moves it."""
        new = self.place.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.place)


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A clock for `run` alone."""
    if FAKETIME is None:
        pytest.skip("there is no libfaketime on this machine")
    found = Fake(tmp_path / "time")
    found.set(0)
    return found


STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{LASTS}"


@pytest.mark.usually("TERM ignored")
@pytest.mark.parametrize("script", [LASTS, STUBBORN], ids=["", "TERM ignored"])
def test_when_the_lease_is_lost_the_command_is_stopped(pair: tuple[Seat, Seat], tmp_path: Path, fake: Fake, script: str) -> None:
    ada, ben = pair
    words = ("--claim", "slot:x", "--ttl", "5m", "--kill-after", "1s", "--json")
    running = begin(ada, tmp_path / "pid", *words, script=script, env=fake.env)
    fence = ada.ok("claims")["claims"][0]["fence"]
    ben.ok("claim", "slot:x", "--break", str(fence))
    fake.set(110)  # a third of it is over: it renews
    ran = running.end()
    assert ran.code == 4
    assert not alive(running.command)
    assert f"you no longer hold slot:x (fence {fence})" in ran.err
    assert "ben holds slot:x now" in ran.err
    told = report(ran)
    assert (told["outcome"], told["exit_code"], told["command_exit_code"]) == ("lost", 4, 143 if script is LASTS else 137)
    assert [one["claimed_by"] for one in told["held_by"]] == ["ben"]
    assert holders(ben) == {"slot:x": "ben"}


ASIDE = """
import os, subprocess, sys
for number, way in enumerate((["setsid"], ["setsid", "env", "-i"], ["nohup", "setsid"])):
    subprocess.Popen([*way, sys.executable, "-c", '''{lasts}''', sys.argv[1] + str(number)], stderr=subprocess.DEVNULL)
if os.fork() == 0:  # a daemon: its parents are gone, and its environment is empty
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, "-c", '''{lasts}''', sys.argv[1] + "3"], dict())
    os._exit(0)
os.wait()
import time
while not all(os.path.exists(sys.argv[1] + str(number)) for number in range(4)): time.sleep(0.01)
"""


def test_what_left_the_command_ends_with_the_lease_and_nothing_else_does(
    pair: tuple[Seat, Seat], tmp_path: Path, fake: Fake
) -> None:
    ada, ben = pair
    script = ASIDE.format(lasts=LASTS) + LASTS
    running = begin(ada, tmp_path / "pid", "--claim", "slot:x", "--ttl", "5m", "--kill-after", "1s", script=script, env=fake.env)
    aside = [int((tmp_path / f"pid{number}").read_text()) for number in range(4)]
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    assert all(map(alive, aside))
    ben.ok("claim", "slot:x", "--break", str(ada.ok("claims")["claims"][0]["fence"]))
    fake.set(110)
    assert running.end().code == 4
    assert not any(map(alive, aside))
    assert other.poll() is None
    other.kill()
    other.wait()


@pytest.mark.parametrize("how", ["kill -9", "ends"])
def test_what_left_the_command_is_ended_by_the_reaper_and_named_at_a_good_end(
    pair: tuple[Seat, Seat], tmp_path: Path, how: str
) -> None:
    ada, _ = pair
    script = f"import subprocess, sys\nwords = ['setsid', sys.executable, '-c', {LASTS!r}, sys.argv[1] + '0']\n"
    script += f"subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n{WAITS}\n"
    script += "while not os.path.exists(sys.argv[1] + '0'): time.sleep(0.01)\n" + ("" if how == "ends" else "time.sleep(1000)")
    running = begin(ada, tmp_path / "pid", "--claim", "slot:x", "--kill-after", "1s", script=script)
    until((tmp_path / "pid0").exists, "it never began")
    aside = int((tmp_path / "pid0").read_text())
    if how == "ends":
        assert f"(pid {aside})" in running.end().err
        assert alive(aside)
        os.kill(aside, signal.SIGKILL)
        return
    running.child.kill()
    running.child.communicate(timeout=PATIENCE)
    until(lambda: not alive(aside), "it outlived its run")


@pytest.mark.usually("9-9")
@pytest.mark.parametrize(("own", "code"), [(0, 4), (9, 9)])
def test_with_keep_going_the_command_goes_on_and_success_is_still_exit_4(
    pair: tuple[Seat, Seat], tmp_path: Path, fake: Fake, own: int, code: int
) -> None:
    ada, ben = pair
    script = f"{WAITS}\nwhile not os.path.exists(sys.argv[1] + '.go'): time.sleep(0.02)\nsys.exit({own})"
    running = begin(ada, tmp_path / "pid", "--claim", "slot:x", "--ttl", "5m", "--keep-going", script=script, env=fake.env)
    ben.ok("claim", "slot:x", "--break", str(ada.ok("claims")["claims"][0]["fence"]))
    fake.set(110)
    assert running.child.stderr
    told = ""
    while "you no longer hold" not in told:
        told = running.child.stderr.readline()
        assert told, "it never said so"
    assert alive(running.command)
    (tmp_path / "pid.go").touch()
    assert running.end().code == code
    assert holders(ben) == {"slot:x": "ben"}


def test_stopped_past_its_end_and_taken_over_it_stops_the_command_first_thing(
    pair: tuple[Seat, Seat], tmp_path: Path, fake: Fake
) -> None:
    ada, ben = pair
    running = begin(ada, tmp_path / "pid", "--claim", "slot:x", "--ttl", "5m", env=fake.env)
    running.child.send_signal(signal.SIGSTOP)
    fence = ada.ok("claims")["claims"][0]["fence"]
    taken = ben.ok("claim", "slot:x", "--break", str(fence))
    fake.set(400)  # what passes while it is stopped
    assert alive(running.command)
    tip = ben.ok("status")["tip"]
    running.child.send_signal(signal.SIGCONT)
    ran = running.end()
    assert ran.code == 4
    assert not alive(running.command)
    assert re.search(rf"ben holds slot:x now, for another \d+ \w+ \(fence {taken['seq']}\)", ran.err)
    assert ben.ok("status")["tip"] == tip  # it changed nothing
    assert ada.run("check", "slot:x", "--fence", str(fence)).code == 4


def test_while_the_remote_is_away_the_command_runs_to_the_end_of_the_lease(
    pair: tuple[Seat, Seat], tmp_path: Path, fake: Fake, file_remote: Remote
) -> None:
    ada, ben = pair
    running = begin(ada, tmp_path / "pid", "--claim", "slot:x", "--ttl", "5m", env=fake.env)
    file_remote.away()
    fake.set(110)
    assert running.child.stderr
    told = ""
    while "not renewed" not in told:
        told = running.child.stderr.readline()
        assert told, "it never said so"
    assert alive(running.command)
    fake.set(301)
    assert running.end().code == 4
    assert not alive(running.command)
    file_remote.back()
    ada.ok("sync")
    assert holders(ben) == {}


def test_it_is_renewed_as_long_as_the_command_runs(pair: tuple[Seat, Seat], tmp_path: Path, fake: Fake) -> None:
    ada, ben = pair
    running = begin(ada, tmp_path / "pid", "--claim", "slot:x", "--claim", "slot:y", "--ttl", "5m", env=fake.env, agreed=True)

    def renewals() -> list[str]:
        return [one["subject"] for one in ben.ok("log", "--limit", "100")["events"] if one["event"] == "claim.renewed"]

    fake.set(110)
    until(lambda: len(renewals()) == 1, "it never renewed")
    assert "slot x and 1 more" in renewals()[0]
    running.child.send_signal(signal.SIGTERM)
    assert running.end().code == 143
    assert holders(ben) == {}


# --- the terminal ----------------------------------------------------------------------------------------------------------


class Screen:
    """A program on a terminal of its own. Leaving it hangs up."""

    def __init__(self, words: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.execvpe(words[0], words, env)
            finally:
                os._exit(99)
        self.seen = ""

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)

    def type(self, text: str) -> None:
        """What a person types."""
        os.write(self.handle, text.encode())

    def see(self, text: str) -> None:
        """Waits until it stands there, after what was seen before."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < end, (text, self.seen)
            if select.select([self.handle], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.handle, 4096).decode(errors="replace")
                except OSError:
                    raise AssertionError((text, self.seen)) from None
        self.seen = self.seen.partition(text)[2]

    def end(self) -> int:
        """Its exit code."""
        while True:  # drain, or it can't end
            try:
                if not os.read(self.handle, 4096):
                    break
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def test_on_a_terminal_the_command_reads_it_and_ctrl_c_ends_it(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with Screen([*RUN, "sh", "-c", "echo ready; read line; echo got $line; exec cat"], cwd=ada.path, env=ada.env) as screen:
        screen.see("ready")
        screen.type("hello\n")
        screen.see("got hello")
        assert holders(ben) == {"slot:x": "ada"}
        screen.type("\x03")
        screen.see("released: slot:x")
        assert screen.end() == 130
        assert holders(ben) == {}


def test_a_command_that_takes_ctrl_c_for_itself_goes_on(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    # os.write: a handler that prints may meet a print that is under way.
    script = "import os, signal; signal.signal(2, lambda *_: os.write(1, b'not yet')); print('ready', flush=True); input()"
    with Screen([*RUN, *PY, script], cwd=ada.path, env=ada.env) as screen:
        screen.see("ready")
        screen.type("\x03")
        screen.see("not yet")
        assert holders(ben) == {"slot:x": "ada"}
        screen.type("\n")
        assert screen.end() == 0
        assert holders(ben) == {}


def test_a_script_has_its_terminal_back_after_it(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    script = f"{' '.join(RUN)} true; read line; echo got $line"
    with Screen(["sh", "-c", script], cwd=ada.path, env=ada.env) as screen:
        screen.see("released: slot:x")
        screen.type("mine\n")
        screen.see("got mine")
        assert screen.end() == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
def test_a_shell_stops_it_puts_it_in_front_again_and_has_its_terminal_back(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    env = {**ada.env, "PS1": "ask> ", "PROG": " ".join(RUN)}
    with Screen(["bash", "--norc", "--noprofile", "-i"], cwd=ada.path, env=env) as screen:
        screen.see("ask> ")
        screen.type("$PROG sh -c 'echo rea''dy; while read line; do echo got $line; done'\n")
        screen.see("ready")
        screen.type("\x1a")
        screen.see("Stopped")
        screen.see("ask> ")
        screen.type("echo shell $((1+1))\n")
        screen.see("shell 2")
        screen.type("fg\n")
        screen.see("PROG")
        screen.type("again\n")
        screen.see("got again")
        screen.type("\x04")
        screen.see("released: slot:x")
        screen.see("ask> ")
        screen.type("echo code $?\n")
        screen.see("code 0")
        screen.type("set -b\n")  # it says at once what a job does
        screen.type("$PROG sh -c 'read line; echo got $line' &\n")
        screen.see("Stopped")  # it wants the terminal, from the background
        screen.type("fg\n")
        screen.see("PROG")
        screen.type("more\n")
        screen.see("got more")
        screen.see("released: slot:x")
        screen.type("exit\n")
        assert screen.end() == 0
        assert holders(ben) == {}
