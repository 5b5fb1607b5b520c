"""Seats for tests: a clone with its own machine, from which the real program is run, in a process or in this one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

from forkserver import ForkServer
from gits import git
from remotes import Remote, living

from gitcoord.connection.connect import Connection, connect
from gitcoord.core.names import Resource
from gitcoord.warm import address

PROGRAM = [sys.executable, "-m", "gitcoord"]
_MAIN = "import sys; from gitcoord.main import main; sys.exit(main())"
FORK_SERVER: list[ForkServer] = []
"""What runs the program without paying for Python's start (`forkserver`); none: each run is started the plain way."""
PATIENCE = 120.0  # seconds: only a hang gets there


@dataclass(frozen=True)
class Ran:
    """A finished run of the program. What it waited for on a slow machine is nobody's answer: see `tests/cli/test_progress.py`."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "err", re.sub(r"^waiting for the (?:branch|push|check) .*\n", "", self.err, flags=re.MULTILINE))

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        """Moves it on."""
        self.now += timedelta(**span)


@dataclass
class Seat:
    """A clone on a machine. `session`: who sits there ("" lets the program find out)."""

    path: Path
    outbox: Path
    session: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    prelude: ClassVar[str] = ""
    """Python that the program runs before anything else."""

    @property
    def program(self) -> list[str]:
        """What starts the program there."""
        return [sys.executable, "-c", f"{self.prelude}\n{_MAIN}"] if self.prelude else PROGRAM

    @property
    def env(self) -> dict[str, str]:
        """The environment of the program there."""
        own = {address.SWITCH: "0"} if self.prelude else {}  # in a process of its own, or it would run in nobody's
        return {**os.environ, "GITCOORD_DESK": str(self.outbox), **own, **self.extra}

    def start(self, *args: str, stdin: int | None = subprocess.DEVNULL, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Starts the program and does not wait."""
        who = ["--session", self.session] if self.session else []
        pipes: dict[str, Any] = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        pipes |= {"cwd": cwd or self.path, "env": self.env, "text": True, "encoding": "utf-8", "errors": "surrogateescape"}
        forked = FORK_SERVER[0].start([*who, *args], prelude=self.prelude, **pipes) if FORK_SERVER else None
        return forked or subprocess.Popen([*self.program, *who, *args], **pipes)

    def run(self, *args: str, stdin: str | None = None, cwd: Path | None = None) -> Ran:
        """Runs the program to its end. A traceback in front of a user is a bug, whatever the test is about."""
        who = ["--session", self.session] if self.session else []
        given = {"cwd": cwd or self.path, "env": self.env, "stdin": stdin, "seconds": PATIENCE, "prelude": self.prelude}
        done = FORK_SERVER[0].run([*who, *args], **given) if FORK_SERVER else None
        if done is not None:
            code, out, err = done[0], _text(done[1]), _text(done[2])
        else:
            with self.start(*args, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, cwd=cwd) as child:
                out, err = child.communicate(stdin, timeout=PATIENCE)
            code = child.returncode
        assert "Traceback" not in err, err
        return Ran(code, out, err)

    def ok(self, *args: str, stdin: str | None = None) -> Any:
        """Runs the program with --json; it must succeed. The object."""
        ran = self.run(*args, "--json", stdin=stdin)
        assert ran.code == 0, (args, ran)
        return ran.json

    @contextmanager
    def here(
        self, now: Callable[[], datetime] | None = None, *, truth: Callable[[], datetime] | None = None, **more: Any
    ) -> Iterator[Connection]:
        """The same in this process, with a clock of the test's. `truth`: the remote's clock, if that one isn't right; `more`: what
        `connect` takes besides.
        """
        extra = more if now is None else {"now": now, "witness": truth or now, **more}
        with connect(str(self.path), self.env, session=self.session or None, **extra) as found:
            yield found

    def git(self, *args: str) -> str:
        """Plain git in the clone."""
        return git(self.path, *args)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")  # as `text=True` does it


def collect(children: list[subprocess.Popen[str]]) -> list[Ran]:
    """Waits for all."""
    found = []
    for child in children:
        with child:
            out, err = child.communicate(timeout=PATIENCE)
        assert "Traceback" not in err, err
        found.append(Ran(child.returncode, out, err))
    return found


def until(true: Callable[[], bool], otherwise: str) -> None:
    """Waits for it; only a hang gets to the end."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


def at_work(seat: Seat) -> set[int]:
    """The processes that work in that outbox: they all inherit its name, also those that left their parents."""
    mark = f"GITCOORD_DESK={seat.outbox}".encode()
    found = set()
    for pid in living().keys() - {os.getpid()}:
        try:
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(pid)
        except OSError:
            continue
    return found


def file(*paths: str) -> list[Resource]:
    """Files as resources."""
    return [Resource("file", path) for path in paths]


def snapshot(path: Path) -> dict[str, str]:
    """All that gitcoord must not touch in a repository: HEAD, index, branches, tags, stash, config, FETCH_HEAD, reflogs, files."""
    top = Path(git(path, "rev-parse", "--absolute-git-dir"))
    common = Path(git(path, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    found = {}
    for folder in {top, common}:
        for name in ("HEAD", "index", "config", "FETCH_HEAD", "ORIG_HEAD", "packed-refs", "shallow", "info/exclude", "logs/HEAD"):
            place = folder / name
            found[f"{folder.name}/{name}"] = place.read_bytes().hex() if place.exists() else "absent"
        for place in sorted((folder / "logs").rglob("*")):
            if place.is_file() and not place.match("logs/refs/remotes/*/coordination"):
                found[str(place)] = place.read_text()
        for place in sorted((folder / "hooks").rglob("*")):
            found[str(place)] = f"{place.stat().st_mode} {place.stat().st_mtime_ns}"
    refs = git(common, "for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    found["refs"] = "\n".join(ref for ref in refs if not re.search(r" refs/(remotes|gitcoord/last)/.*/coordination$", ref))
    if git(path, "rev-parse", "--is-bare-repository") == "false":
        found["status"] = git(path, "status", "--porcelain=v2", "--branch", "--ignored")
    return found


class Clone(Protocol):
    """`clone(remote, where)`: clones, keeps the remote's config in the clone, and sets user.email when given."""

    def __call__(self, remote: Remote, where: Path, *, email: str | None = None) -> Path: ...


class Seats(Protocol):
    """`seats(remote, "a", "b")`: a clone for each, on machines of their own (or with `machine`, all on one)."""

    def __call__(self, remote: Remote, *names: str, machine: str | None = None) -> list[Seat]: ...
