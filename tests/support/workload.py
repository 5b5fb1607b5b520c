"""A storm over one branch: many sessions at once, killed, stopped, cut off and misled about the time, from a seed.

    python tests/support/workload.py --remote file --seed 1 --operations 500 --record DIR
    python tests/support/checker.py DIR                     judges the record again

The remote is a real one (`remotes.py`). Each operation is a process of its own, forked from one that has loaded gitcoord
already, so that ten thousand of them can be paid for; a few run the real program, under a clock of their own (libfaketime)
where that is installed. A killed process leaves its git children as they are: a push may land after its owner's death.

The plan (who does what, which share of the usual time passes before the kill, whose clock is wrong by how much) comes from
the seed alone. What the machine makes of it does not: two runs of one seed are two storms of the same kind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from checker import Report, check_record
from clones import Seat
from environment import seal
from faulty_git import KINDS as FAULTS
from faulty_git import FaultyGit
from gits import git
from remotes import KINDS, Remote, RemoteFactory

from gitcoord.connection.connect import Connection, utc_now
from gitcoord.core.leases import LeaseRef
from gitcoord.core.names import Resource
from gitcoord.errors import GitcoordError, GitFault, Held, Unknown

MARK = "WORKLOAD_STORM"  # by this variable every process of a storm is found, however its parents ended
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
# libfaketime 0.9.10 spoils the one system call that Python's sleep is made of (EINVAL); with a faked monotonic clock it
# hangs others. So the program under it sleeps by select.
UNDER_FAKETIME = (
    "import select, sys, time; time.sleep = lambda seconds: select.select([], [], [], seconds);"
    "from gitcoord.main import main; sys.exit(main())"
)
DRAINS = 10  # looks into every inbox after the storm: with 200 messages a look, one that isn't empty then never will be
FOR_STORMS = tuple(kind for kind in FAULTS if kind != "garbled")  # a storm's git dies, stalls or answers short; it doesn't lie
HANGS_AFTER = 240.0  # seconds: no operation may take as long, whatever the machine does
NAMES = (
    "file:src", "file:src/api.py", "file:src/*.py", "file:docs/**/*.md", "file:docs/guide/start.md", "file:lib/one.py",
    "file:lib/two.py", "slot:staging", "slot:db", "droplet:dashboard",
)  # fmt: skip
KINDS_OF_CALLS = {"claim": 34, "renew": 8, "release": 18, "heartbeat": 14, "send": 13, "inbox": 12, "end": 1}
SKEWS = (-2 * 86400, -7200, -600, -90, -20, 20, 90, 600, 7200, 2 * 86400)  # seconds, from less than the grace to days


@dataclass(frozen=True)
class Config:
    """What a storm is like. `pace`: seconds that the storm's clock moves on with each operation, so that leases run out.
    `faulty_git`: one in so many calls of git dies, stalls or answers short (`faulty_git.py`); 0: none.
    """

    remote: str = "file"
    seed: int = 1
    operations: int = 500
    minutes: float = 0.0
    outboxes: int = 3
    clones: int = 2
    sessions: int = 2
    at_once: int = 8
    kill: float = 0.4
    stop: float = 0.05
    skew: float = 0.1
    cut: float = 0.01
    program: float = 0.02
    pace: float = 6.0
    faulty_git: int = 0

    def command(self, record: Path) -> str:
        """The command line that makes the same storm again."""
        words = [f"--{name.replace('_', '-')} {value}" for name, value in asdict(self).items() if value != getattr(Config, name)]
        return " ".join(["python tests/support/workload.py", *words, f"--record {record}"])

    @property
    def places(self) -> list[tuple[str, str, str]]:
        """Every session with its clone and its outbox."""
        return [
            (f"s-{outbox}-{clone}-{number}", f"c-{outbox}-{clone}", f"d-{outbox}")
            for outbox in range(self.outboxes)
            for clone in range(self.clones)
            for number in range(self.sessions)
        ]

    @property
    def span(self) -> float:
        """Seconds by which the storm's clock starts in the past: what runs out in it is over for the remote's clock, too."""
        return self.pace * self.operations if not self.minutes else 6 * 3600.0


# --- the plan --------------------------------------------------------------------------------------------------------


def plan(config: Config) -> Iterator[dict[str, Any]]:
    """The calls of the storm, one after the other, without end if it is told in minutes."""
    dice = random.Random(config.seed)
    sessions = [session for session, _, _ in config.places]
    starts: dict[int, str] = {}
    number = 0
    while config.minutes or number < config.operations:
        number += 1
        session = dice.choice(sessions)
        kind = dice.choices(list(KINDS_OF_CALLS), KINDS_OF_CALLS.values())[0]
        if number in starts:
            session, kind = starts[number], "start"
        if kind == "end":
            starts[number + dice.randint(3, 12)] = session
        call = {"n": number, "session": session, "kind": kind, "wanted": [], **_details(dice, kind, session, sessions, number)}
        own = kind in {"claim", "send", "release"} and dice.random() < 0.12
        call |= {
            "kill": round(dice.uniform(0.0, 1.0), 3) if dice.random() < config.kill else None,
            "group": dice.random() < 0.3,
            "stop": [round(dice.uniform(0.0, 1.0), 3), round(dice.uniform(0.2, 6.0), 1)] if dice.random() < config.stop else None,
            "skew": dice.choice(SKEWS) if dice.random() < config.skew else 0,
            "cut": round(dice.uniform(0.1, 1.5), 2) if dice.random() < config.cut else None,
            "how": "program" if kind in {"claim", "send", "heartbeat"} and dice.random() < config.program else "fork",
            "op": f"op-{config.seed}-{number:06}" if own else "",
            "twice": own,
        }
        yield call


def _details(dice: random.Random, kind: str, session: str, sessions: Sequence[str], number: int) -> dict[str, Any]:
    names = dice.sample(NAMES, dice.choice((1, 1, 1, 2, 3)))
    if kind == "claim":
        mode = dice.choice(("exclusive", "exclusive", "exclusive", "shared"))
        return {"wanted": names, "mode": mode, "any": dice.random() < 0.1, "ttl": dice.choice((300, 300, 900, 3600))}
    if kind in {"renew", "release"}:
        return {"wanted": names[:1] if dice.random() < 0.5 else []}
    if kind == "send":
        to = dice.choice(["broadcast", *(one for one in sessions if one != session)])
        return {"to": to, "subject": f"message {number}"}
    return {}


# --- one operation, in a process of its own --------------------------------------------------------------------------


def tell(handle: int, **found: Any) -> None:
    """Says something to the storm, as one line."""
    data = memoryview(json.dumps(found).encode() + b"\n")
    while data:
        data = data[os.write(handle, data) :]


def act(seat: Seat, call: dict[str, Any], shift: float, handle: int) -> None:
    """Carries one call out and tells what was answered, as a caller would have seen it."""
    try:
        right = shift - call.get("skew", 0)
        with seat.here(lambda: utc_now() + timedelta(seconds=shift), truth=lambda: utc_now() + timedelta(seconds=right)) as found:
            next_id = found.outbox.next_id

            def noted() -> str:
                made = next_id()
                tell(handle, op=made)  # who is killed must be found on the branch by it
                return made

            found.outbox.next_id = noted  # type: ignore[method-assign]
            answered = _ask(found, call, handle)
    except Held as error:
        holders = [
            [f"{one['resource_type']}:{one['resource_name']}", one["claimed_by"], one["fence"]] for one in error.data["blocked_by"]
        ]
        answered = {"answer": "refused", "error": error.name, "words": error.message, "holders": holders}
    except GitcoordError as error:
        # As the program has it: under an id that the caller chose, a dying git says nothing of an earlier run.
        open_ = isinstance(error, Unknown) or (isinstance(error, GitFault) and (call["op"] or "").startswith("op-"))
        answered = {"answer": "unknown" if open_ else "refused", "error": error.name, "words": error.message}
    except Exception as error:  # what no caller should ever see
        answered = {"answer": "crashed", "error": f"{type(error).__name__}: {error}"}
    tell(handle, end=time.monotonic(), **answered)


def _ask(found: Connection, call: dict[str, Any], handle: int) -> dict[str, Any]:
    coordinator, kind, op = found.coordinator, call["kind"], call["op"]
    wanted = [Resource.read(text) for text in call["wanted"]]
    if kind == "inbox":
        messages, again, _more = coordinator.messages.inbox()
        coordinator.messages.shown(messages)
        return {"answer": "done", "messages": [one.id for one in messages], "again": sorted(again)}
    if kind == "sync":
        errors, view = (
            coordinator.branch.sync()
        )  # the errors may be those of others, whose callers are dead: what counts is what is left
        left = len(found.outbox.waiting()) + len(found.outbox.refused())
        return {"answer": "done" if view else "refused", "unsent": left, "words": "; ".join(one.message for one in errors)}
    extra: dict[str, Any] = {}
    if kind == "claim":
        leases = coordinator.claims.acquire(wanted, mode=call["mode"], any_of=call["any"], ttl_seconds=call["ttl"], op=op)
        receipt, extra["held"] = leases.receipt, [[str(one.resource), one.fence] for one in leases.claims]
    elif kind == "renew":
        leases = coordinator.claims.renew(wanted, op=op)
        receipt, extra["held"] = leases.receipt, [[str(one.resource), one.fence] for one in leases.claims]
    elif kind == "release":
        receipt, freed, _ = coordinator.claims.release(wanted or None, op=op)
        entries = [LeaseRef.parse(entry) for entry in freed]
        extra["fences"] = [[str(resource), fence] for fence, resource in entries]
    elif kind == "heartbeat":
        receipt = coordinator.sessions.heartbeat(action="building", target=f"step {call['n']}", op=op)
    elif kind == "send":
        receipt = coordinator.messages.send(call["to"], call["subject"], "", op=op)
    elif kind == "start":
        _, receipt = coordinator.sessions.start(call["session"], op=op)
    elif kind == "end":
        receipt = coordinator.sessions.end([], None, op=op)
    else:
        assert kind == "init", kind
        receipt = coordinator.setup.init(op=op)
    answer = {"committed": "done"}.get(receipt.state, receipt.state)
    return {"answer": answer, "op": receipt.id, "seq": receipt.seq or None, "commit": receipt.commit or None, **extra}


def program_words(call: dict[str, Any]) -> list[str]:
    """The same call as a command line of the real program."""
    words = [sys.executable, "-c", UNDER_FAKETIME, "--session", call["session"], "--op", call["op"], "--json"]
    if call["kind"] == "claim":
        flags = [*(["--shared"] if call["mode"] == "shared" else []), *(["--any"] if call["any"] else [])]
        return [*words, "claim", *flags, "--ttl", f"{call['ttl']}s", *call["wanted"]]
    if call["kind"] == "send":
        return [*words, "send", call["to"], call["subject"]]
    return [*words, "heartbeat", "building", f"step {call['n']}"]


def read_program(call: dict[str, Any], out: bytes, code: int) -> dict[str, Any] | None:
    """What the real program answered; None when it was ended before it could."""
    try:
        said = json.loads(out)
    except ValueError:
        return {"answer": "crashed", "error": f"exit {code}: {out[-300:]!r}"} if code >= 0 else None
    if "error" in said:  # not by the exit code: it may have been killed after it had answered
        blocked = said.get("blocked_by") or []
        holders = [[f"{one['resource_type']}:{one['resource_name']}", one["claimed_by"], one["fence"]] for one in blocked]
        answer = {Unknown.name: "unknown", "bug": "crashed"}.get(said["error"], "refused")
        return {"answer": answer, "error": said["error"], "words": said["message"], "holders": holders}
    state = said.get("state", "committed")
    held = [[f"{one['resource_type']}:{one['resource_name']}", one["fence"]] for one in said.get("claims", ())]
    return {"answer": {"committed": "done"}.get(state, state), "seq": said["seq"], "commit": said["commit"], "held": held}


# --- the storm -------------------------------------------------------------------------------------------------------


class Running:
    """A call under way."""

    def __init__(self, call: dict[str, Any], pid: int, handle: int, begin: float) -> None:
        self.call, self.pid, self.handle, self.begin = call, pid, handle, begin
        self.door = os.pidfd_open(pid)
        self.out = b""
        self.killed = False


class Storm:
    """Runs calls, many at once, and writes down what came of them. One thread: what it forks is whole."""

    def __init__(self, config: Config, work: Path, record: Path) -> None:
        self.config, self.work, self.record = config, work, record
        self.seats = {name: Seat(work / clone, work / "outboxes" / outbox, name) for name, clone, outbox in config.places}
        self.book = (record / "calls.jsonl").open("a", encoding="utf-8", buffering=1)
        self.errors = os.open(record / "stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.selector = selectors.DefaultSelector()
        self.selector.register(0, selectors.EVENT_READ, None)  # ends with whoever started the storm
        self.running: dict[int, Running] = {}
        self.timers: list[tuple[float, int, str, Running | None]] = []
        self.usual = {"fork": 0.3, "program": 1.5}
        self.again: deque[dict[str, Any]] = deque()
        self.clock = 0
        self.ticket = 0
        self.faked: list[int] = []

    def run(self, calls: Iterator[dict[str, Any]], *, at_once: int, until: float | None = None) -> list[dict[str, Any]]:
        """Carries the calls out, at most so many at a time; what came of each."""
        done: list[dict[str, Any]] = []
        left = True
        while left or self.running or self.again or self.timers:
            while left and len(self.running) < at_once:
                call = self.again.popleft() if self.again else next(calls, None)
                left = call is not None and (until is None or time.monotonic() < until)
                if call is not None:
                    self._begin(call)
            if not left and self.again and len(self.running) < at_once:
                self._begin(self.again.popleft())
            self._wait(done)
        return done

    def shift(self, skew: float) -> float:
        """What an operation adds to the machine's clock."""
        return min(0.0, self.clock * self.config.pace - self.config.span) + skew

    # --- one call ----------------------------------------------------------------------------------------------------

    def _begin(self, call: dict[str, Any]) -> None:
        self.clock = max(self.clock, call["n"])
        if call.get("how") == "program" and FAKETIME is None:
            call["how"] = "fork"
        if call.get("how") == "program" and not call["op"]:
            call["op"] = f"op-{self.config.seed}-{call['n']:06}"
        shift = self.shift(call.get("skew", 0))
        call["at"] = (utc_now() + timedelta(seconds=shift)).isoformat()
        ours, theirs = os.pipe()
        begin = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._child(call, shift, theirs)
        os.close(theirs)
        os.set_blocking(ours, False)
        one = Running(call, pid, ours, begin)
        self.running[pid] = one
        if call.get("how") == "program":
            self.faked.append(pid)
        self.selector.register(one.door, selectors.EVENT_READ, one)
        usual = self.usual[call.get("how", "fork")]
        if call.get("kill") is not None:
            self._at(begin + call["kill"] * usual, "kill", one)
        if call.get("stop"):
            share, seconds = call["stop"]
            self._at(begin + share * usual, "stop", one)
            self._at(begin + share * usual + seconds, "go on", one)
        self._at(begin + HANGS_AFTER, "hangs", one)
        if call.get("cut"):
            print("away", flush=True)
            self._at(begin + call["cut"], "back", None)

    def _child(self, call: dict[str, Any], shift: float, handle: int) -> None:
        """The forked process: it does one thing, and none of the storm's own ends with it."""
        code = 70
        try:
            os.setpgid(0, 0)
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 0)
            os.dup2(handle if call.get("how") == "program" else nothing, 1)
            os.dup2(self.errors, 2)
            seat = self.seats[call["session"]]
            if call.get("how") == "program":
                fake = {
                    "LD_PRELOAD": str(FAKETIME),
                    "FAKETIME": f"{shift:+.0f}",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "NO_FAKE_STAT": "1",
                }
                os.chdir(seat.path)
                os.execve(sys.executable, program_words(call), {**seat.env, **fake})
            act(seat, call, shift, handle)
            code = 0
        finally:
            os._exit(code)

    def _end(self, one: Running, status: int, done: list[dict[str, Any]]) -> None:
        end = time.monotonic()
        self._read(one)
        self.selector.unregister(one.door)
        os.close(one.door)
        os.close(one.handle)
        del self.running[one.pid]
        # One that was never stopped or killed says how long an operation takes here: the next kills go by it.
        how, lasted = one.call.get("how", "fork"), end - one.begin
        self.timers = [timer for timer in self.timers if timer[3] is not one]
        found: dict[str, Any] = {"op": one.call["op"] or None}
        if how == "program":
            found |= read_program(one.call, one.out, os.waitstatus_to_exitcode(status)) or {"answer": "killed"}
            found["end"] = end
        else:
            for line in one.out.split(b"\n")[:-1]:
                found |= {key: value for key, value in json.loads(line).items() if value is not None or key != "op"}
            if "answer" not in found:
                found["answer"] = "killed" if one.killed else "crashed"
                found["error"] = f"status {status}"
        if one.call.get("hung"):
            found |= {"answer": "hung", "error": f"no end after {HANGS_AFTER} s"}
        if found["answer"] in {"done", "refused", "unchanged"} and not one.call.get("stop"):
            self.usual[how] = 0.9 * self.usual[how] + 0.1 * lasted
        if one.call.get("twice") and found["answer"] in {"killed", "unknown"}:
            self.again.append({**one.call, "twice": False, "kill": None, "stop": None, "skew": 0, "cut": None, "how": "fork"})
        written = {"begin": one.begin, **one.call, **found}
        self.book.write(json.dumps({key: value for key, value in written.items() if value is not None}) + "\n")
        done.append(written)

    def _read(self, one: Running) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(one.handle, 65536):
                one.out += data

    # --- time --------------------------------------------------------------------------------------------------------

    def _at(self, when: float, what: str, one: Running | None) -> None:
        self.ticket += 1
        self.timers.append((when, self.ticket, what, one))
        self.timers.sort(key=lambda timer: timer[:2])

    def _wait(self, done: list[dict[str, Any]]) -> None:
        pause = max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else 1.0
        if not self.running and not self.timers:
            return
        for key, _ in self.selector.select(min(pause, 0.5)):
            one = key.data
            if one is None:
                raise SystemExit("whoever started the storm is gone")
            pid, status = os.waitpid(one.pid, os.WNOHANG)
            if pid:
                self._end(one, status, done)
        for one in self.running.values():
            self._read(one)  # a full pipe would hold it up
        while self.timers and self.timers[0][0] <= time.monotonic():
            _, _, what, one = self.timers.pop(0)
            if one is None:
                print("back", flush=True)
                continue
            group = what == "kill" and one.call.get("group")
            number = {"stop": signal.SIGSTOP, "go on": signal.SIGCONT}.get(what, signal.SIGKILL)
            one.killed |= what == "kill"
            if what == "hangs":
                one.call["hung"] = True
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(one.pid, number)

    def orphans(self) -> list[int]:
        """Processes of this storm that are left although their operation has ended: git's, whose owner was killed."""
        mark = f"{MARK}={os.environ[MARK]}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(entry.name) != os.getpid() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found


def faulty(config: Config, work: Path) -> FaultyGit:
    """The storm's git: at first it is like any other."""
    return FaultyGit(work / "faulty-git", config.faulty_git, config.seed, FOR_STORMS)


def storm(config: Config, work: Path, record: Path) -> None:
    """The storm itself, in its own process; nothing that it started outlives it."""
    one = Storm(config, work, record)
    try:
        _storm(one, config)
    finally:
        for pid in [*one.running, *one.orphans()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in one.faked:  # what libfaketime leaves behind of a killed process
            for path in Path("/dev/shm").glob(f"*faketime_*_{pid}"):
                path.unlink(missing_ok=True)


def _storm(one: Storm, config: Config) -> None:
    """The sessions begin, the plan is carried out, then all must work again."""

    def calm(kind: str, sessions: Sequence[str], **extra: Any) -> Iterator[dict[str, Any]]:
        return ({"n": one.clock, "session": name, "kind": kind, "wanted": [], "op": "", "calm": True, **extra} for name in sessions)

    sessions = [session for session, _, _ in config.places]
    one.run(calm("init", sessions[:1]), at_once=1)
    one.run(calm("start", sessions), at_once=config.at_once)
    faults = faulty(config, one.work)
    begin = time.monotonic()
    if config.faulty_git:
        faults.on()
    one.run(plan(config), at_once=config.at_once, until=begin + config.minutes * 60 if config.minutes else None)
    faults.off()
    took = time.monotonic() - begin
    give_up = time.monotonic() + 60
    while one.orphans() and time.monotonic() < give_up:
        one.selector.select(0.05)
    one.clock = max(one.clock, int(config.span / config.pace) + 1)
    first_of_outbox = {outbox: session for session, _, outbox in config.places}
    one.run(calm("sync", list(first_of_outbox.values()), after=True), at_once=1)
    one.run(calm("heartbeat", sessions, after=True), at_once=config.at_once)
    live = sessions
    for _ in range(DRAINS):
        found = one.run(calm("inbox", live, after=True), at_once=config.at_once)
        live = [call["session"] for call in found if call["answer"] == "done" and call["messages"]]
    one.run(calm("sync", list(first_of_outbox.values()), after=True), at_once=1)
    print(f"took {took}", flush=True)


# --- around it -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """A storm that is over."""

    config: Config
    record: Path
    report: Report
    seconds: float

    def summary(self) -> str:
        """One line for people."""
        count = self.report.counts["operations"]
        return (
            f"{self.config.remote} seed {self.config.seed}: {self.report.summary()}, "
            f"{self.seconds:.1f} seconds, {count / max(self.seconds, 0.001):.1f} op/s"
        )

    def words(self) -> str:
        """The summary, and if something is wrong: what, where the record is, and how to make the storm again."""
        lines = [self.summary()]
        for name, entries in self.report.violations.items():
            lines += [f"{name}: {entry}" for entry in entries[:20]]
        if not self.report.ok:
            lines += [f"record: {self.record} (python tests/support/checker.py {self.record})", self.config.command(self.record)]
        return "\n".join(lines)


def run(config: Config, remote: Remote, work: Path, record: Path) -> Result:
    """Makes the clones on that remote, lets the storm go over them, and judges it. The process must be sealed."""
    record.mkdir(parents=True, exist_ok=True)
    for name in ("calls.jsonl", "stderr.txt"):
        (record / name).unlink(missing_ok=True)
    (record / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    work.mkdir(parents=True, exist_ok=True)
    for clone, outbox in dict.fromkeys((clone, outbox) for _, clone, outbox in config.places):
        settings = [
            "-c",
            f"gitcoord.host={outbox}",
            *(("-c", "gitcoord.deadline=8") if config.faulty_git else ()),
        ]  # stalls cost it
        git(work, "clone", "--quiet", *remote.flags, *settings, remote.url, str(work / clone))
    words = [sys.executable, __file__, "--inside", str(work), "--record", str(record)]
    seconds = 0.0
    env = {**os.environ, MARK: secrets.token_hex(8)}
    if config.faulty_git:
        env["PATH"] = faulty(config, work).make().path
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                if line == "away\n":
                    remote.away()
                elif line == "back\n":
                    remote.back()
                elif line.startswith("took "):
                    seconds = float(line.split()[1])
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise RuntimeError(f"the storm itself failed ({child.returncode}): {record}/stderr.txt; {config.command(record)}")
    name, clone, outbox = config.places[0]
    with Seat(work / clone, work / "outboxes" / outbox, name).start("verify", "--json") as child:  # a long history takes its time
        out, err = child.communicate()
    with (record / "stderr.txt").open("a", encoding="utf-8") as errors:
        errors.write(err)
    (record / "verify.json").write_text(out, encoding="utf-8")
    (record / "remembered.json").write_text(json.dumps(_remembered(work)) + "\n", encoding="utf-8")
    if config.faulty_git:
        (record / "spoilt.txt").write_text("\n".join(faulty(config, work).spoilt()) + "\n", encoding="utf-8")
    git(remote.path, "bundle", "create", "--quiet", str(record.resolve() / "branch.bundle"), "refs/heads/coordination")
    return Result(config, record, check_record(record), seconds)


def _remembered(work: Path) -> list[list[str]]:
    """Which commits the clones take for bad: the clone's file, the commit, and why."""
    found = []
    for path in sorted(work.glob("c-*/.git/gitcoord/**/checked-*.json")):
        found += [[str(path.relative_to(work)), str(bad[0]), str(bad[1])] for bad in json.loads(path.read_bytes())["bad"]]
    return found


def main(argv: Sequence[str]) -> int:
    """One storm from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Config()).items():
        given: dict[str, Any] = {"choices": KINDS} if name == "remote" else {}
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, **given)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    found = vars(parser.parse_args(argv))
    record, inside = found.pop("record"), found.pop("inside")
    if inside is not None:
        storm(Config(**json.loads((record / "config.json").read_text())), inside, record)
        return 0
    config = Config(**found)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="gitcoord-storm-", dir=memory if os.access(memory, os.W_OK) else None) as place:
        clean = seal(os.environ, Path(place) / "home")
        os.environ.clear()
        os.environ.update(clean)
        factory = RemoteFactory(Path(place) / "remotes")
        try:
            reason = factory.available(config.remote)
            if reason is not None:
                print(reason, file=sys.stderr)
                return 2
            result = run(config, factory.make(config.remote), Path(place) / "work", record)
        finally:
            factory.close()
            shutil.rmtree(Path(place) / "work", ignore_errors=True)
    print(result.words())
    return 0 if result.report.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
