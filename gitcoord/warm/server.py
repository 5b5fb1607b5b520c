"""The warm process: loads the program once, and forks for each command that asks. It holds no lock that a command needs, and no
state: it can be killed at any moment.

It ends after five idle minutes, when its installation has changed, and when its name is gone.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import marshal
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from gitcoord.machine import files, processes
from gitcoord.warm import address, confinement
from gitcoord.warm.client import exactly

_IDLE = 300.0  # seconds
_PATIENCE = 1.0  # seconds until a caller has said what it wants
_GO = 10.0  # seconds until a caller has said that it still wants it
_MOST = 1 << 26  # bytes of arguments and variables: the system allows some megabytes
_HANDLES = 5  # standard input, output, error; the caller's folder; a pipe that ends with the caller
_BACKLOG = 64


class _End(Exception):
    """Its time is over."""


def serve(load: Callable[[], None], run: Callable[[], int]) -> None:
    """Load the program, then fork for each command until nobody asks any more. `run`: carries out one command line, in a fork.

    Raises OSError where its folder can't be used.
    """
    path = address.socket_path(os.environ)
    mine = confinement.of("self")
    if not path or mine is None:
        return
    files.private_folder(Path(path).parent)
    with open(f"{path}.lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # there is one
        before = _installation()
        load()
        text = address.start_text(os.environ)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody collects the forks: each tells its own end
        gc.collect()
        gc.freeze()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(f"{path}.{os.getpid()}")
            door.listen(_BACKLOG)
            os.rename(f"{path}.{os.getpid()}", path)
            place = os.stat(path)

            def is_named() -> bool:
                try:
                    return os.path.samestat(os.stat(path), place)
                except OSError:
                    return False

            door.settimeout(_IDLE)
            with contextlib.suppress(_End, TimeoutError):
                while True:
                    line, _ = door.accept()
                    with line:
                        _answer(line, text, mine, before, is_named, (door.fileno(), lock.fileno()), run)
            if is_named():
                os.unlink(path)


def _installation() -> list[tuple[str, int, int]]:
    """Return what this program is loaded from, as it lies on the disk now: a changed one is another program."""
    package = Path(__file__).resolve().parents[1]
    libraries = {str(Path(place)) for place in sys.path if place.endswith("-packages")}
    return _seen([*sorted(libraries), *(str(found) for found in sorted(package.rglob("*.py")))])


def _seen(paths: Sequence[str]) -> list[tuple[str, int, int]]:
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            about = os.stat(path)
            found.append((path, about.st_mtime_ns, about.st_size))
    return found


def _answer(
    line: socket.socket,
    text: str,
    mine: tuple[object, ...],
    before: list[tuple[str, int, int]],
    is_named: Callable[[], bool],
    keep: Sequence[int],
    run: Callable[[], int],
) -> None:
    """Fork for one caller; or say no. Raises _End where this process is not what it should be any more."""
    pid, uid, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    its = confinement.of(pid)  # at once: the number is the caller's as long as it waits
    handles = array.array("i")
    try:
        line.settimeout(_PATIENCE)
        head, ancillary, _, _ = line.recvmsg(8, socket.CMSG_SPACE(_HANDLES * handles.itemsize), socket.MSG_CMSG_CLOEXEC)
        for _, _, data in ancillary:
            handles.frombytes(data[: len(data) - len(data) % handles.itemsize])
        # After the caller has spoken or gone: whoever ends this process connects, takes the name away, and goes.
        if not is_named() or _seen([path for path, _, _ in before]) != before:
            raise _End
        count = struct.unpack("=Q", head)[0]
        if uid != os.getuid() or its != mine or count > _MOST or len(handles) != _HANDLES:
            return
        asked = marshal.loads(exactly(line, count))  # noqa: S302  # of this user, who can run anything already
        if asked[0] == text and os.fork() == 0:
            for handle in keep:
                os.close(handle)
            _live(line, handles, asked[1:], run)
    except (OSError, EOFError, ValueError, struct.error, TypeError):
        return  # whoever asked has gone, or is none of ours: it begins by itself
    finally:
        for handle in handles:
            os.close(handle)


# --- a fork --------------------------------------------------------------------------------------------------------------


def _live(line: socket.socket, handles: Sequence[int], asked: Sequence[Any], run: Callable[[], int]) -> NoReturn:
    """A fork's whole life: it becomes what its caller would have been, and carries out the command."""
    code = 1
    try:
        os.setsid()
        line.settimeout(_GO)
        line.sendall(b"y" + os.getpid().to_bytes(4, sys.byteorder))
        if line.recv(1) != b"g":
            os._exit(0)
        line.settimeout(None)
        _end_with(handles[4])
        _become(handles, *asked)
        code = _run(run)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            line.sendall((code & 0xFF).to_bytes(4, sys.byteorder))
        os._exit(code & 0xFF)


def _end_with(handle: int) -> None:
    """Be killed by the kernel as soon as the caller has ended, as a process that is killed is."""
    fcntl.fcntl(handle, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(handle, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        os.read(handle, 1)  # it had ended before
        os._exit(0)


def _become(
    handles: Sequence[int], argv: list[str], environ: dict[bytes, bytes], umask: int, ignored: list[int], caller: int
) -> None:
    for number in (0, 1, 2):
        os.dup2(handles[number], number)
        os.close(handles[number])  # or a stream that the command closes would stay open
    os.fchdir(handles[3])
    os.umask(umask)
    os.environb.clear()
    os.environb.update(environ)
    time.tzset()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    processes.stand_for(caller)
    out, err = sys.stdout, sys.stderr
    sys.stdin = open(0, encoding=out.encoding, errors=out.errors, closefd=False)  # noqa: SIM115  # to its end
    sys.stdout = open(1, "w", encoding=out.encoding, errors=out.errors, closefd=False)  # noqa: SIM115  # to its end
    sys.stderr = open(2, "w", buffering=1, encoding=err.encoding, errors=err.errors, closefd=False)  # noqa: SIM115  # to its end
    sys.argv = argv


def _run(run: Callable[[], int]) -> int:
    """Carry the command out and end as Python ends a program."""
    try:
        code = run()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 0 if done.code is None else 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for what still runs
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    return code
