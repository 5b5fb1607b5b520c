"""Runs of the program that don't pay for Python's start: a process that has loaded gitcoord once, and forks for each run.

What runs is the same program in a process of its own, with its own environment, folder, arguments and pipes; its end is its own.
Only the loading is done beforehand. A run whose environment would change how Python itself starts is started the plain way, and
so is one while another is under way. `--plain-starts` has all of them started so.
"""

from __future__ import annotations

import array
import contextlib
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

_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "TYPER_", "_")
"""Variables (by their beginnings) that are looked at while Python or a library is loaded."""
_PIPE = 60_000  # bytes that a pipe takes at once


class Press:
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
        self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str | None, seconds: float
    ) -> tuple[int, bytes, bytes] | None:
        """A run to its end: exit code, output, errors; None where it has to be started the plain way."""
        data = (stdin or "").encode("utf-8", "surrogateescape")
        at_start = {name: value for name, value in env.items() if name.startswith(_AT_START)}
        if at_start != self._env or len(data) > _PIPE or not self._lock.acquire(blocking=False):
            return None
        try:
            return self._run(json.dumps([list(args), str(cwd), dict(env)]).encode(), None if stdin is None else data, seconds)
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
        self._line.sendmsg([len(asked).to_bytes(8)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)])
        self._line.sendall(asked)
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


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = line.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


# --- its side ----------------------------------------------------------------------------------------------------------


def _be(args: list[str], cwd: str, env: dict[str, str], handles: Sequence[int]) -> int:
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
    from gitcoord.main import main

    try:
        code = main()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def load_program() -> None:
    """Load all that a run of the program may load, once: what is forked from here pays for none of it."""
    from gitcoord.cli.app import program
    from gitcoord.setup.doctor import examine

    assert program().registered_commands  # with every command's module
    assert examine


def serve(line: socket.socket) -> None:
    """Forks for each run that is asked for, until nobody can ask any more."""
    load_program()
    while True:
        head, ancillary, _, _ = line.recvmsg(8, socket.CMSG_SPACE(3 * 4))
        if not head:
            return
        handles = array.array("i")
        for _, _, data in ancillary:
            handles.frombytes(data)
        args, cwd, env = json.loads(_exactly(line, int.from_bytes(head)))
        pid = os.fork()
        if pid == 0:
            code = 71
            try:
                line.close()
                code = _be(args, cwd, env, handles)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code & 0xFF)
        for handle in handles:
            os.close(handle)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        line.sendall(code.to_bytes(4, signed=True))


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as its_line:
        serve(its_line)
