"""Runs of the program that don't pay for Python's start: a process that has loaded gitcoord once, and forks for each run.

What runs is the same program in a process of its own, with its own environment, folder, arguments and pipes; its end is its own.
Only the loading is done beforehand. A run whose environment would change how Python itself starts is started the plain way, and
so is one while another is waited for. `--plain-starts` has all of them started so.

What /proc says of such a process (its command line, its environment) is the server's, not the run's.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import inspect
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "TYPER_", "_")
"""Variables (by their beginnings) that are looked at while Python or a library is loaded."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_PIPE = 60_000  # bytes that a pipe takes at once


class ForkServer:
    """The test's side. `busy` runs are somebody else's matter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._env = {name: value for name, value in os.environ.items() if name.startswith(_AT_START)}
        mine, its = socket.socketpair()
        self._line = mine
        self._child = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(its.fileno())], pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, cwd="/"
        )
        its.close()

    def run(
        self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str | None, seconds: float, prelude: str = ""
    ) -> tuple[int, bytes, bytes] | None:
        """A run to its end: exit code, output, errors; None where it has to be started the plain way. `prelude`: Python that it
        runs first.
        """
        data = (stdin or "").encode("utf-8", "surrogateescape")
        at_start = {name: value for name, value in env.items() if name.startswith(_AT_START)}
        if at_start != self._env or len(data) > _PIPE or not self._lock.acquire(blocking=False):
            return None
        try:
            asked = json.dumps(["run", list(args), str(cwd), dict(env), prelude]).encode()
            return self._run(asked, None if stdin is None else data, seconds)
        finally:
            self._lock.release()

    def start(
        self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], prelude: str = "", **pipes: Any
    ) -> subprocess.Popen[str] | None:
        """Start a run and don't wait for it; return a child of this process, None where it has to be started the plain way."""
        at_start = {name: value for name, value in env.items() if name.startswith(_AT_START)}
        if at_start != self._env or not self._lock.acquire(blocking=False):
            return None
        try:
            return _Forked(self._line, args, prelude, cwd=cwd, env=env, **pipes)
        finally:
            self._lock.release()

    def _run(self, asked: bytes, data: bytes | None, seconds: float) -> tuple[int, bytes, bytes]:
        out, its_out = os.pipe()
        err, its_err = os.pipe()
        if data is None:
            its_in = os.open(os.devnull, os.O_RDONLY)
        else:
            its_in, into = os.pipe()
            os.write(into, data)
            os.close(into)
        given = array.array("i", [its_in, its_out, its_err])
        _ask(self._line, asked, given)
        for handle in given:
            os.close(handle)
        said: dict[int, bytes] = {out: b"", err: b""}
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as waits:
            for handle in (out, err):
                waits.register(handle, selectors.EVENT_READ)
            while waits.get_map():
                left = end - time.monotonic()
                if left <= 0:
                    self.close()
                    raise TimeoutError("a run of the program hangs, or something that it started keeps its output")
                for key, _ in waits.select(left):
                    handle = key.fd
                    chunk = os.read(handle, 1 << 16)
                    said[handle] += chunk
                    if not chunk:
                        waits.unregister(handle)
        os.close(out)
        os.close(err)
        return int.from_bytes(_exactly(self._line, 4), signed=True), said[out], said[err]

    def close(self) -> None:
        """Ends it."""
        self._line.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(5)
        self._child.kill()
        self._child.wait()


class _Forked(subprocess.Popen[str]):
    """A run that was forked by the server and is a child of the test's process nevertheless."""

    def __init__(self, line: socket.socket, args: Sequence[str], prelude: str, **given: Any) -> None:
        self._line = line
        self._prelude = prelude
        super().__init__(list(args), **given)

    def _execute_child(self, *given: Any) -> None:  # as `Popen` calls it: its words and pipes
        names = inspect.signature(subprocess.Popen._execute_child).parameters  # type: ignore[attr-defined]
        known = dict(zip(list(names)[1:], given, strict=True))
        pipes = [known[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        ends = array.array("i", [pipes[0], pipes[3], pipes[5]])
        asked = json.dumps(["start", known["args"], str(known["cwd"]), dict(known["env"]), self._prelude]).encode()
        libc = ctypes.CDLL(None, use_errno=True)
        # The server forks twice, and the one between ends: the kernel gives its child to the nearest ancestor that asks for such.
        libc.prctl(_SUBREAPER, 1, 0, 0, 0)
        try:
            _ask(self._line, asked, ends)
            self.pid = int.from_bytes(_exactly(self._line, 4))
        finally:
            libc.prctl(_SUBREAPER, 0, 0, 0, 0)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _ask(line: socket.socket, asked: bytes, handles: array.array[int]) -> None:
    line.sendmsg([len(asked).to_bytes(8)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
    line.sendall(asked)


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = line.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


# --- its side ----------------------------------------------------------------------------------------------------------


def _be(args: list[str], cwd: str, env: dict[str, str], prelude: str, handles: Sequence[int]) -> int:
    """The forked process's whole life."""
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    out, err = sys.stdout, sys.stderr
    sys.stdin = sys.__stdin__ = open(0, encoding=out.encoding, errors=out.errors, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding=out.encoding, errors=out.errors, closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, encoding=err.encoding, errors=err.errors, closefd=False)  # noqa: SIM115
    sys.argv = ["gitcoord", *args]
    exec(prelude, {})  # the tests' own
    from gitcoord.main import by_itself

    try:
        code = by_itself()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve(line: socket.socket) -> None:
    """Forks for each run that is asked for, until nobody can ask any more."""
    from gitcoord.main import load

    load()
    while True:
        head, ancillary, _, _ = line.recvmsg(8, socket.CMSG_SPACE(3 * 4))
        if not head:
            return
        handles = array.array("i")
        for _, _, data in ancillary:
            handles.frombytes(data)
        how, args, cwd, env, prelude = json.loads(_exactly(line, int.from_bytes(head)))
        named, its_name = os.pipe()
        goes, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            if how == "start" and (inner := os.fork()) != 0:
                os.write(its_name, inner.to_bytes(4))
                os._exit(0)
            for handle in (named, its_name, go):
                os.close(handle)
            if how == "start":
                os.read(goes, 1)  # until the process between has ended: whoever ends with its parent must not take that one for it
            os.close(goes)
            _live(line, args, cwd, env, prelude, handles)
        for handle in handles:
            os.close(handle)
        os.close(its_name)
        os.close(goes)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(go)
        # A child's name is told once its parent has ended: only then the kernel has given it to who asks.
        line.sendall(code.to_bytes(4, signed=True) if how == "run" else os.read(named, 4))
        os.close(named)


def _live(line: socket.socket, args: list[str], cwd: str, env: dict[str, str], prelude: str, handles: Sequence[int]) -> NoReturn:
    code = 71
    try:
        line.close()
        code = _be(args, cwd, env, prelude, handles)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code & 0xFF)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as its_line:
        serve(its_line)
