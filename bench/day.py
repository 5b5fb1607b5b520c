"""D1: the seconds of processor that a day of ten coding agents costs, without gitcoord, with it, and with its warm process.

A part of that day is played and counted as often: each agent edits 600 times (a hook before and one after), commits 60 times (with
all git hooks) and runs 40 commands. All that it starts counts, in the background too, by the clock of a cgroup: so this needs
Linux, and the right to make one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.measure import Row
from bench.one_command import PROGRAM
from bench.places import GIT, Place
from gitcoord.warm import address, client

AGENTS, EDITS, COMMITS, COMMANDS = 10, 600, 60, 40
LINES = ("status", "inbox", "claim name:{}", "heartbeat write src/{}.py", "release name:{}", "check src/other.py")
_PATIENCE = 120.0  # seconds until what runs in the background has ended


class Clock:
    """The processor's time that the processes of a cgroup have used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seconds(self) -> float:
        """Return it in seconds."""
        with suppress(OSError):
            return int((self._folder / "cpuacct.usage").read_text()) / 1e9
        stat = dict(line.split() for line in (self._folder / "cpu.stat").read_text().splitlines())
        return int(stat["usage_usec"]) / 1e6

    def enter(self) -> None:
        """Have this process, and all that it starts, counted."""
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))

    def wait(self) -> None:
        """Wait until all that was started has ended."""
        end = time.monotonic() + _PATIENCE
        while (self._folder / "cgroup.procs").read_text().split():
            if time.monotonic() > end:
                raise RuntimeError("something goes on in the background")
            time.sleep(0.1)


@contextmanager
def clock(name: str) -> Iterator[Clock | None]:
    """A cgroup of our own; None where there can be none."""
    above = next((one for one in (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")) if one.is_dir()), None)
    folder = above / f"gitcoord-bench-{os.getpid()}-{name}" if above else None
    try:
        if folder is None:
            raise OSError
        folder.mkdir()
    except OSError:
        yield None
        return
    try:
        yield Clock(folder)
    finally:
        with suppress(OSError):
            folder.rmdir()


def run(place: Place, share: int) -> Iterator[Row]:
    """The rows of D1, of a `share`-th of the day; none where there can be no such clock."""
    found: dict[str, float] = {}
    for case in ("without", "cold", "warm"):
        with clock(case) as its:
            if its is None:
                return
            found[case] = _day(place, case, its, share)
    for case in ("warm", "cold"):
        more = (found[case] - found["without"]) * share
        ours, beside = f"{more:.0f} s more", f"{found['without'] * share:.0f} s of processor for git alone"
        yield Row(f"D1 a day of ten agents, {case}", ours, beside, more / share / found["without"], "", None, {"cpu_s": more})


def _day(place: Place, case: str, its: Clock, share: int) -> float:
    """Play it, and return the seconds of processor that it took. What comes before the first edit doesn't count."""
    remote = place.remote("file")
    agents = [Agent(place, place.clone(remote, f"{case}-{number}"), f"{case}-{number}") for number in range(AGENTS)]
    if case != "without":
        agents[0].gitcoord("init")
        for agent in agents:
            agent.gitcoord("hooks", "install", "--git", "--guard", "--trailers")
            agent.hook("SessionStart", source="startup")
    folder = tempfile.mkdtemp(prefix="warm-", dir="/tmp")  # a socket's path is short
    switch = folder if case == "warm" else "0"
    pid = os.fork()
    if not pid:
        code = 1
        try:
            its.enter()
            _play(agents, switch, share, quiet=case == "without")
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError(f"the day of {case} failed")
    its.wait()
    shutil.rmtree(folder, ignore_errors=True)
    return its.seconds()


def _play(agents: Sequence[Agent], switch: str, share: int, *, quiet: bool) -> None:
    environ = {**os.environ, address.SWITCH: switch}
    warm = os.path.isabs(switch)
    if warm:  # begun here: it serves only who is confined as it is
        client.start(environ)
        while not client.find(environ):
            time.sleep(0.01)
    for agent in agents:
        agent.env[address.SWITCH] = switch
    edits, commits, commands = (max(1, count // share) for count in (EDITS, COMMITS, COMMANDS))
    for number in range(edits):
        for agent in agents:
            agent.edit(number, quiet=quiet)
            if number % (edits // commits) == 0:
                agent.commit(number)
            if number < commands and not quiet:
                agent.gitcoord(*LINES[number % len(LINES)].format(agent.name).split())
    if warm:
        client.end(environ)


class Agent:
    """A coding agent in a clone of its own: its payloads are those of Claude Code."""

    def __init__(self, place: Place, clone: Path, name: str) -> None:
        self.name, self._clone = name, clone
        self.env = {**place.outbox(name), "PATH": f"{Path(PROGRAM[0]).parent}{os.pathsep}{place.env['PATH']}"}
        self.env |= {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": name, address.SWITCH: "0"}

    def _run(self, *words: str, stdin: str = "") -> None:
        done = subprocess.run(words, cwd=self._clone, env=self.env, input=stdin, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{words}: {done.returncode} {done.stderr[-500:]}")

    def gitcoord(self, *words: str) -> None:
        """Run a command."""
        self._run(*PROGRAM, *words)

    def hook(self, event: str, **more: object) -> None:
        """Call the hook as the agent does."""
        payload = {"session_id": self.name, "cwd": str(self._clone), "hook_event_name": event, **more}
        self._run(*PROGRAM, "hook", stdin=json.dumps(payload))

    def edit(self, number: int, *, quiet: bool) -> None:
        """Edit a file of one's own, with the hooks before and after it."""
        path = self._clone / f"{self.name}-{number % 5}.txt"
        call = {"tool_name": "Edit", "tool_input": {"file_path": str(path), "old_string": "", "new_string": "x"}}
        if not quiet:
            self.hook("PreToolUse", **call)
        path.write_text(f"{number}\n")
        if not quiet:
            self.hook("PostToolUse", **call, tool_response={"filePath": str(path)})

    def commit(self, number: int) -> None:
        """Commit all."""
        self._run(GIT, "add", "-A")
        self._run(GIT, "commit", "-q", "-m", f"number {number}")
