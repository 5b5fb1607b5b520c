"""Runs the program in processes that die, or find the disk full, at a chosen step: the N-th time that they touch the outbox.

Run as a program it is a mould: it loads gitcoord once and makes of itself one process for each line on stdin, so that a
run costs what the command costs and not what Python costs. Each is a process of its own, and its end is a real SIGKILL.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitcoord.main import load

if TYPE_CHECKING:
    from clones import Ran, Seat

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {"os.rename": True, "os.remove": True, "os.rmdir": True, "os.mkdir": False}
"""What changes a folder, and whether its path must be there for that: taking away what isn't there is no step."""
_GIT_WRITES = {"fast-import", "fetch", "push", "update-ref"}
_NO_STATE = {"lock", "lock-past", "pulse", "pulse-past"}  # files whose content means nothing


def _label(event: str, args: tuple[Any, ...], places: tuple[str, ...]) -> str:
    """The step in words; "" for what leaves nothing behind, so that dying before it is dying before the next one."""
    if event == "subprocess.Popen":
        words = [word for word in args[1] if word in _GIT_WRITES]
        return f"git {words[0]}" if words else ""
    path = args[0] if args else None
    if not isinstance(path, str | os.PathLike):
        return ""
    name = os.fspath(path)
    if not isinstance(name, str) or not name.startswith(places) or os.path.basename(name) in _NO_STATE:
        return ""
    known = _CHANGES.get(event)
    writes = event == "open" and bool((args[2] or 0) & _WRITING)
    if not writes and (known is None or os.path.lexists(name) is not known):
        return ""
    return f"{event} {os.path.basename(os.path.dirname(name))}/{os.path.basename(name)}"


def _hook(
    places: tuple[str, ...], kill_at: int, full_from: int, full_to: int, seen: list[str]
) -> Callable[[str, tuple[Any, ...]], None]:
    """Notes the steps in `seen`; kills before the one, or lets those in the range that need room find none."""
    busy = rooms = 0

    def look(event: str, args: tuple[Any, ...]) -> None:
        nonlocal busy, rooms
        if busy:  # looking at a path is an event of its own
            return
        busy = 1
        step = _label(event, args, places)
        if step:
            seen.append(step)
            if len(seen) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        full = False
        if step and event in {"open", "os.mkdir"} and not os.path.lexists(args[0]):  # what is there needs no new room
            rooms += 1
            full = full_from > 0 and full_from <= rooms < full_to
        busy = 0
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(args[0]))

    return look


def _be(asked: dict[str, Any], out: int, err: int, steps: int) -> int:
    """The child's whole life; at its end, if it gets there, it writes down its steps."""
    from gitcoord.main import by_itself

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the mould's own stdin is not for it
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = ["gitcoord", *asked["args"]]
    seen: list[str] = []
    sys.addaudithook(_hook(tuple(asked["places"]), asked["kill_at"], asked["full_from"], asked["full_to"], seen))
    code = by_itself()
    sys.stdout.flush()
    os.write(steps, "\n".join(seen).encode())
    return code


def serve() -> None:
    """One line in: what to run, where, and when it ends. One line out: how it ended."""
    load()
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as steps:
            pid = os.fork()
            if pid == 0:
                code = 71
                try:
                    code = _be(json.loads(line), out.fileno(), err.fileno(), steps.fileno())
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            said = [stream.read().decode("utf-8", "replace") for stream in (out, err, steps) if stream.seek(0) == 0]
        print(json.dumps([code, *said]), flush=True)


@dataclass
class Mould:
    """The test's side of it."""

    child: subprocess.Popen[str]
    steps: list[str] = field(default_factory=list)
    """The steps of the last run; none if it was killed."""

    def run(self, seat: Seat, *args: str, kill_at: int = 0, full_from: int = 0, full_to: int = 1 << 30) -> Ran:
        """A run of the program at that seat. `kill_at`: the step before which it dies; `full_from`, `full_to`: which of its
        new files and folders in the outbox find no room. A traceback is a bug, whatever happens to the disk.
        """
        from clones import Ran

        who = ["--session", seat.session] if seat.session else []
        asked = {
            "args": [*who, *args], "cwd": str(seat.path), "env": seat.env, "kill_at": kill_at,
            "full_from": full_from, "full_to": full_to, "places": [str(seat.outbox), str(seat.path / ".git" / "gitcoord")],
        }  # fmt: skip
        assert self.child.stdin
        assert self.child.stdout
        self.child.stdin.write(json.dumps(asked) + "\n")
        self.child.stdin.flush()
        code, out, err, steps = json.loads(self.child.stdout.readline())
        ran, self.steps = Ran(code, out, err), steps.splitlines()
        assert "Traceback" not in ran.err, ran.err
        return ran

    def ok(self, seat: Seat, *args: str) -> Any:
        """A run that nothing happens to; it must succeed. The object that it answers."""
        ran = self.run(seat, *args, "--json")
        assert ran.code == 0, (args, ran)
        return ran.json


def start() -> subprocess.Popen[str]:
    """Starts a mould; closing its stdin ends it."""
    return subprocess.Popen([sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    serve()
