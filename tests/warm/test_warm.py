"""The warm process: what it carries out is what the command by itself would have done, whatever happens to it."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from clones import PROGRAM, Ran, Seat, until
from remotes import family, living
from warmth import warm_process, why_none

import gitcoord.cli
from gitcoord.machine.identity import Identity
from gitcoord.warm import address, client

pytestmark = pytest.mark.skipif(bool(why_none()), reason=why_none())


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A warm process of these tests' own: others are killed."""
    with warm_process() as found:
        yield found


def cold(seat: Seat) -> Seat:
    """The same seat, whose commands begin by themselves."""
    return replace(seat, extra={**seat.extra, address.SWITCH: "0"})


def warm(seat: Seat, folder: Path) -> Seat:
    """The same seat, whose commands begin in forks."""
    return replace(seat, extra={**seat.extra, address.SWITCH: str(folder)})


def begin(seat: Seat, *words: str, program: list[str] = PROGRAM, **more: object) -> subprocess.Popen[str]:
    """Start the program as a shell does, and don't wait."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    return subprocess.Popen([*program, *words], cwd=seat.path, env=seat.env, **pipes)  # type: ignore[call-overload, no-any-return]


def ran(child: subprocess.Popen[str]) -> Ran:
    """What came of it."""
    with child:
        out, err = child.communicate(timeout=120)
    return Ran(child.returncode, out, err)


def server(seat: Seat) -> int:
    """The pid of the warm process for that seat."""
    return client.find(seat.env)


def forks(seat: Seat) -> set[int]:
    """The commands that it carries out now."""
    above = server(seat)
    return {pid for pid, parent in living().items() if parent == above}


WORDS = [
    ["status"],
    ["whoami", "--json"],
    ["claim", "src/api.py", "--reason", "a reason"],
    ["release", "src/api.py"],
    ["nonsense"],
    ["claim", "--help"],
    ["-C", "/", "status"],
    ["guard", "--staged"],
    ["hook"],
]


def lasting(text: str) -> list[str]:
    """Its words; times, which go on between two commands, and numbers are left out."""
    found = re.sub(r"[0-9]+ (s|min|h|days?|(second|minute)s?)\b|[0-9]+|just now|\bago\b", "", text).split()
    return [word for word in found if word.isalpha()]


def test_a_fork_answers_as_the_command_by_itself_does(pair: tuple[Seat, Seat], folder: Path) -> None:
    ada, _ = pair
    assert server(warm(ada, folder))
    for words in WORDS:
        ada.run("release", "src/api.py")
        mine = ran(begin(warm(ada, folder), *words))
        ada.run("release", "src/api.py")
        alone = ran(begin(cold(ada), *words))
        assert mine.code == alone.code, words
        for said, expected in ((mine.out, alone.out), (mine.err, alone.err)):
            assert lasting(said) == lasting(expected), words


def test_a_command_is_who_its_caller_is(pair: tuple[Seat, Seat], folder: Path) -> None:
    """Its process, its variables, its folder and its streams are the caller's, not the warm process's."""
    ada, _ = pair
    script = '"$@"; printf %s "$?"'  # one more shell between
    for seat in (cold(ada), warm(ada, folder)):
        shell = ["/bin/sh", "-c", script, "sh", *PROGRAM]
        one = ran(begin(seat, "whoami", "--json", program=shell))
        assert one.out.endswith("}\n0"), one
        assert '"session_id": "ada"' in one.out
    (ada.path / "src").mkdir()
    below = subprocess.run(
        [*PROGRAM, "claim", "x.py"], cwd=ada.path / "src", env=warm(ada, folder).env, capture_output=True, text=True
    )
    assert "file:src/x.py" in below.stdout
    shut = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM]
    closed, alone = (ran(begin(seat, "status", program=shut)) for seat in (warm(ada, folder), cold(ada)))
    assert (closed.code, closed.err) == (alone.code, alone.err) != (0, "")


@pytest.fixture
def held(pair: tuple[Seat, Seat], folder: Path) -> tuple[Seat, Seat]:
    """Ben holds what Ada is about to wait for; her seat is a warm one."""
    ada, ben = pair
    ben.ok("claim", "src/api.py")
    return warm(ada, folder), ben


def waits(ada: Seat) -> subprocess.Popen[str]:
    """A command of hers that waits, seen at work in a fork."""
    assert server(ada)
    before = forks(ada)
    child = begin(ada, "claim", "src/api.py", "--wait")
    until(lambda: bool(forks(ada) - before), "no fork began")
    until(lambda: "src/api.py" in ada.run("status").out and bool(ada.ok("claims")["waiting"]), "it never stood in line")
    return child


def as_shells_say(code: int) -> int:
    """The exit code as a shell shows it: whether Python dies of an interrupt or ends with 130 depends on what it was doing."""
    return 128 - code if code < 0 else code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_as_it_ends_a_command(held: tuple[Seat, Seat], number: int) -> None:
    ada, _ = held
    child = waits(ada)
    child.send_signal(number)
    code = ran(child).code
    other = begin(cold(ada), "claim", "src/api.py", "--wait")
    until(lambda: bool(family(other.pid) - {other.pid}), "it never asked git")
    other.send_signal(number)
    assert as_shells_say(code) == as_shells_say(ran(other).code)
    until(lambda: not forks(ada), "the fork outlived its caller")


def test_a_fork_ends_with_a_caller_that_is_killed(held: tuple[Seat, Seat]) -> None:
    ada, _ = held
    child = waits(ada)
    child.kill()
    ran(child)
    until(lambda: not forks(ada), "the fork outlived its caller")


def test_a_fork_that_is_killed_is_a_command_that_is_killed(held: tuple[Seat, Seat]) -> None:
    ada, _ = held
    child = waits(ada)
    for pid in forks(ada):
        os.kill(pid, signal.SIGKILL)
    assert ran(child).code == -signal.SIGKILL


def test_killed_at_any_moment_it_costs_no_command_its_answer(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with warm_process() as folder:
        seat = warm(ada, folder)
        for number in range(5):
            child = begin(seat, "claim", f"f{number}", "--json")
            if number % 3:
                time.sleep(0.004 * number)  # any moment will do: what is looked at is what comes after
            if pid := server(seat):
                os.kill(pid, signal.SIGKILL)
                until(lambda pid=pid: pid not in living(), "it lives")
            done = ran(child)
            assert (done.code, '"outcome": "held"' in done.out) == (0, True), done
            Path(address.socket_path(seat.env)).unlink(missing_ok=True)
            client.start(seat.env)
            until(lambda: bool(server(seat)), "it never came up again")
    with ben.here() as found:
        held = [lease.resource.path for lease in found.coordinator.branch.view(fresh=True).state.claims.values()]
    assert sorted(held) == sorted(f"f{number}" for number in range(5))


def test_a_changed_installation_is_another_program(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    package = Path(address.__file__).parents[1]
    shutil.copytree(package, tmp_path / "lib" / "gitcoord", ignore=shutil.ignore_patterns("__pycache__"))
    main = f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r}); from gitcoord.main import main, keep_warm; "
    program = [sys.executable, "-c", main + "sys.exit(main())"]
    sockets = Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp"))  # a socket's path is short
    seat = warm(ada, sockets)
    keeper = subprocess.Popen([sys.executable, "-c", main + "keep_warm()"], env=seat.env, cwd="/", start_new_session=True)
    until(lambda: bool(list(sockets.glob("*.sock"))), "it never came up")
    assert ran(begin(seat, "--version", program=program)).out == "gitcoord 0.1.0\n"
    init = tmp_path / "lib" / "gitcoord" / "__init__.py"
    init.write_text(init.read_text().replace('"0.1.0"', '"0.1.7"'))
    assert ran(begin(seat, "--version", program=program)).out == "gitcoord 0.1.7\n"
    assert keeper.wait(60) == 0
    assert not list(sockets.glob("*.sock"))
    shutil.rmtree(sockets)


def probe(seat: Seat, first: str = "", words: tuple[str, ...] = ("gitcoord", "status"), socket: str = "") -> str:
    """What a process that ran `first` hears: whether it would be served. `socket`: where it asks, whatever it should."""
    there = f"address.socket_path = lambda environ: {socket!r}; " if socket else ""
    code = (
        f"{first}import os; from gitcoord.warm import address, client; {there}print(client.is_served({list(words)!r}, os.environ))"
    )
    done = ran(begin(seat, program=[sys.executable, "-c", code]))
    assert done.err == ""
    return done.out.strip()


CONFINED = [
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)); ",
    "import ctypes; assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0; ",  # PR_SET_NO_NEW_PRIVS
    "import os; os.nice(1); ",
]


@pytest.mark.parametrize("first", CONFINED)
def test_who_is_confined_otherwise_is_not_served(pair: tuple[Seat, Seat], folder: Path, first: str) -> None:
    """A sandbox's command must not be carried out outside of it, wherever it asks; and it keeps nobody else from being served."""
    seat = warm(pair[0], folder)
    socket = address.socket_path(seat.env)
    assert (probe(seat), probe(seat, socket=socket)) == ("True", "True")
    assert (probe(seat, first), probe(seat, first, socket=socket)) == ("False", "False")
    where = f"{first}import os; from gitcoord.warm import address; print(address.socket_path(os.environ))"
    assert ran(begin(seat, program=[sys.executable, "-c", where])).out.strip() not in {"", socket}  # it may have one of its own


@pytest.mark.parametrize(
    "extra", [{"PYTHONPATH": "/x"}, {"CI": "true"}, {address.SWITCH: "0"}], ids=lambda extra: next(iter(extra))
)
def test_a_variable_that_says_no_is_heard(pair: tuple[Seat, Seat], folder: Path, extra: dict[str, str]) -> None:
    seat = warm(pair[0], folder)
    assert probe(replace(seat, extra={**seat.extra, **extra})) == "False"


@pytest.mark.parametrize(
    "line",
    ["run --claim slot:x true", "--session ada -C . --op 1 run -- true", "task done 1 --proof true", "task done 1 --proof=true"],
)
def test_a_command_that_has_children_of_its_caller_s_begins_by_itself(pair: tuple[Seat, Seat], folder: Path, line: str) -> None:
    assert probe(warm(pair[0], folder), words=("gitcoord", *line.split())) == "False"


def test_a_session_belongs_to_who_started_the_caller(pair: tuple[Seat, Seat], folder: Path) -> None:
    ada, _ = pair
    assert ran(begin(warm(ada, folder), "start", "cleo", "--new")).code == 0
    found = [one for one in Identity(ada.path / ".git").all() if one.session == "cleo"]
    assert [one.pid for one in found] == [os.getpid()]


def test_a_socket_that_nobody_answers_or_another_listens_at_costs_nothing(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    with warm_process() as folder:
        seat = warm(ada, folder)
        pid, path = server(seat), Path(address.socket_path(seat.env))
        os.kill(pid, signal.SIGKILL)
        until(lambda: not server(seat), "it answers")
        assert path.exists()
        assert ran(begin(seat, "whoami")).code == 0  # nobody there
        path.unlink()
        path.write_text("no socket")
        assert ran(begin(seat, "whoami")).code == 0
        path.unlink()
        path.mkdir()
        assert ran(begin(seat, "whoami")).code == 0


def test_the_second_command_starts_it_and_the_setting_ends_it(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    home = Path(os.environ["HOME"]) / f"warm-{os.getpid()}"
    seat = replace(ada, extra={**ada.extra, address.SWITCH: "", "XDG_STATE_HOME": str(home)})
    if not address.socket_path(seat.env):
        pytest.skip("this place's name is too long for a socket")
    try:
        for _ in range(3):  # the first notes that this clone may; then the first and the second
            assert not server(seat)
            assert ran(begin(seat, "whoami")).code == 0
        until(lambda: bool(server(seat)), "it was not started")
        assert "a warm process (pid" in ran(begin(seat, "doctor")).out
        os.kill(server(seat), signal.SIGKILL)  # as a machine that goes down: its name stays
        until(lambda: not server(seat), "it answers")
        for _ in range(2):
            assert ran(begin(seat, "whoami")).code == 0
        until(lambda: bool(server(seat)), "it never came again")
        client.end(seat.env)
        Path(f"{address.socket_path(seat.env)}.wish").unlink()
        assert ran(begin(seat, "start", "cleo")).code == 0
        until(lambda: bool(server(seat)), "a session was started, and more commands will follow")
        pid = server(seat)
        assert ran(begin(seat, "config", "warm", "false")).code == 0
        until(lambda: pid not in living(), "it goes on")
        for _ in range(3):
            assert ran(begin(seat, "whoami")).code == 0
        assert not server(seat)
        assert "it is switched off" in ran(begin(seat, "doctor")).out
    finally:
        client.end(seat.env)


DAILY = (
    "whoami|status|claim a|renew a|check a|inbox|send broadcast hello|heartbeat write|claims|tasks|task add t|next|release --all|"
    "handoffs|log|board|briefing|sync"
)
NEW_IN_FORKS = f"""
import os, sys
from gitcoord import main
main.load()
before, told = set(sys.modules), os.dup(1)
null = os.open(os.devnull, os.O_RDWR)
for line in {DAILY!r}.split("|"):
    if os.fork():
        os.wait()
        continue
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    sys.argv = ["gitcoord", *line.split()]
    try:
        code = main.by_itself()
    except SystemExit as end:
        code = end.code
    os.write(told, f"{{line}}: {{code}} {{sorted(set(sys.modules) - before)}}\\n".encode())
    os._exit(0)
"""


def test_a_fork_has_nothing_left_to_load(pair: tuple[Seat, Seat]) -> None:
    """What isn't loaded beforehand is loaded in every fork anew: a claim took three times as long."""
    ada, _ = pair
    done = subprocess.run([sys.executable, "-c", NEW_IN_FORKS], cwd=ada.path, env=cold(ada).env, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == DAILY.split("|"), done.stderr
    assert [line for line in lines if not line.endswith(": 0 []")] == []


CHOICES = (
    "whoami", "status", "inbox", "check src/api.py", "claims", "claim {}.py", "claim taken.py", "renew {}.py", "release {}.py",
    "heartbeat write {}", "log --limit 1", "send broadcast {}", "tasks", "nonsense", "claim", "board", "peers",
    "history file {}.py", "release nobody.py",
)  # fmt: skip


def said(one: Ran, name: str) -> tuple[int, list[str]]:
    """Its exit code and its words; names of this run's own, numbers and times left out."""
    return one.code, lasting((one.out + one.err).replace(name, ""))


def test_killed_at_any_moment_it_changes_no_answer(pair: tuple[Seat, Seat], pytestconfig: pytest.Config) -> None:
    """The warm process dies and comes again all the time; each command answers, and does, what one that begins by itself does."""
    if not (count := pytestconfig.getoption("--warm-kills")):
        pytest.skip("a storm: --warm-kills COMMANDS")
    ada, ben = pair
    ben.ok("claim", "taken.py", "--ttl", "1d")  # on a busy machine two thousand commands take more than an hour
    dice, over, killed = random.Random(1624), threading.Event(), [0]
    with warm_process() as folder:
        seat = warm(ada, folder)

        def kill() -> None:
            moments = random.Random(1625)
            while not over.wait(moments.random() * 0.4):
                if pid := server(seat):
                    os.kill(pid, signal.SIGKILL)
                    killed[0] += 1
                    client.start(seat.env)
                    while not server(seat) and not over.wait(0.01):
                        pass

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for number in range(count):
                line = dice.choice(CHOICES)
                answers = []
                for start, name in ((seat, f"w{number}"), (cold(ada), f"c{number}")):
                    if line in {"renew {}.py", "release {}.py", "history file {}.py"}:  # there is something to do
                        cold(ada).ok("claim", f"{name}.py")
                    answers.append(said(ran(begin(start, *line.format(name).split())), name))
                assert answers[0] == answers[1], line
        finally:
            over.set()
            killer.join()
    assert killed[0] > count // 50
    assert ada.run("verify").code == 0


def test_commands_that_start_another_program_begin_by_themselves() -> None:
    files = (Path(gitcoord.cli.__file__).parent / "commands").glob("*.py")
    owners = {path.stem for path in files if "gitcoord.cli.run" in path.read_text(encoding="utf-8")}
    assert "run" in owners
    assert owners <= client.COLD
