"""Freezes what differs from run to run in one Python process of a recorded session.

`record_session` copies this file into the virtual environment that the session runs in, where a `.pth` file imports it before any
other module. It reads four variables; without the first it changes nothing:

    RECORD_COMMAND  the number of the recorded command that this process belongs to
    RECORD_NOW      the wall clock, in seconds since 1970 (libfaketime shows the same time to all programs)
    RECORD_TRUE     the clock of the file systems: the same, but where a command has a wrong clock of its own
    RECORD_PLACE    the folder of the recording
    RECORD_HOST     the name of the machine

It must not import `random`, `secrets` or `socket`: what they take from here must be replaced before they are loaded.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import time
from typing import Any

SINCE_BOOT = 1_000_000.0
"""The seconds since the boot at the beginning of 2025: the uptime moves along with the frozen clock."""
_BEGINNING = 1_735_689_600  # 2025-01-01
_REAL = 1_751_328_000  # 2025-07-01: a file that is newer was written just now, since the frozen clock never gets there
_LONG = 2.0  # seconds: a longer sleep is cut short, since the frozen clock doesn't move meanwhile
_SLOWER = 5  # times slower than real: the clock by which the program counts its deadlines
_COUNTS: dict[tuple[str, int], int] = {}
_NAME: list[str] = []


def _process() -> str:
    """Return the name of this process, the same in each run: its command's number, its arguments, and how many came before it with
    the same ones.
    """
    if not _NAME:
        import hashlib

        command = os.environ["RECORD_COMMAND"]
        words = hashlib.sha256("\0".join(sys.argv[1:]).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        for turn in range(10_000):
            try:
                path = os.path.join(os.environ["RECORD_PLACE"], "turns", f"{command}-{words}-{turn}")
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                continue
            _NAME.append(f"{command}-{words}-{turn}")
            break
    return _NAME[0]


def urandom(size: int) -> bytes:
    """Return bytes that depend on the process, on the size, on how many of that size were asked for, and on whether `random` asks
    (on behalf of `secrets`). So a call more of one kind leaves the others as they are.
    """
    import hashlib

    lane = "random" if sys._getframe(1).f_globals.get("__name__") == "random" else "os"
    count = _COUNTS[lane, size] = _COUNTS.get((lane, size), 0) + 1
    return hashlib.shake_256(f"{_process()} {lane} {size} {count}".encode()).digest(size)


def _freeze() -> None:
    passed = float(os.environ["RECORD_NOW"]) - _BEGINNING + SINCE_BOOT
    files = {
        "/proc/uptime": f"{passed:.2f} {passed:.2f}\n",
        "/proc/sys/kernel/random/boot_id": "01234567-89ab-cdef-0123-456789abcdef\n",
    }
    real_open = builtins.open

    def open_(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        text = None if isinstance(file, int) else files.get(os.fsdecode(file))
        if text is None:
            return real_open(file, mode, *args, **kwargs)
        return io.BytesIO(text.encode()) if "b" in mode else io.StringIO(text)

    builtins.open = io.open = open_

    true, place = int(os.environ["RECORD_TRUE"]), os.environ["RECORD_PLACE"]

    def inside(path: Any) -> Any:
        return os.fsencode(place) if isinstance(path, bytes) else place

    try:
        chat = os.stat(os.path.join(place, "tmp", "chat.txt"))  # the relay writes down which file it reads, by its number
    except OSError:
        chat = None

    def frozen(look: Any) -> Any:
        def status(*args: Any, **kwargs: Any) -> os.stat_result:
            real = look(*args, **kwargs)
            outside = not isinstance(args[0], int) and os.path.isabs(args[0]) and not os.fspath(args[0]).startswith(inside(args[0]))
            if real.st_mtime < _REAL or outside:
                return real  # type: ignore[no-any-return]
            more = {name: getattr(real, name) for name in ("st_blksize", "st_blocks", "st_rdev")}
            for name in ("st_atime", "st_mtime", "st_ctime"):
                more |= {name: float(true), f"{name}_ns": true * 10**9}
            numbers = (
                (4711, 42) if chat and (real.st_ino, real.st_dev) == (chat.st_ino, chat.st_dev) else (real.st_ino, real.st_dev)
            )
            return os.stat_result((real.st_mode, *numbers, *real[3:7], true, true, true), more)

        for group in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            if look in group:
                group.add(status)
        return status

    os.stat, os.lstat, os.fstat = frozen(os.stat), frozen(os.lstat), frozen(os.fstat)

    def sleep(seconds: float) -> None:
        """Sleep by `select`: libfaketime doesn't know the call that Python's own takes."""
        import select

        select.select([], [], [], max(0.0, seconds if seconds < _LONG else 0.05))

    time.sleep = sleep  # type: ignore[assignment]

    if "--timeout" not in sys.argv and sys.argv[1:2] != ["mcp"]:  # a slow machine mustn't run into a deadline that nobody means
        real_monotonic, begun = time.monotonic, time.monotonic()
        time.monotonic = lambda: begun + (real_monotonic() - begun) / _SLOWER

    host, real_uname = os.environ["RECORD_HOST"], os.uname
    os.uname = lambda: os.uname_result((real_uname()[0], host, *real_uname()[2:]))
    import _socket

    _socket.gethostname = lambda: host
    os.urandom = urandom


def _wait_for_turn() -> None:
    """Have what works in the background begin when the recorded command is over, one process after the other: else it would depend
    on the machine's load what it finds done.
    """
    detached = os.environ.get("GITCOORD_HOOK") and os.getsid(0) == os.getpid()
    if not detached and "GITCOORD_HEAD" not in os.environ:  # the latter: begun by a git hook
        return
    import fcntl

    turns = os.path.join(os.environ["RECORD_PLACE"], "turns")
    while not os.path.exists(os.path.join(turns, f"over-{os.environ['RECORD_COMMAND']}")):
        time.sleep(0.01)
    handle = os.open(os.path.join(turns, "background"), os.O_CREAT | os.O_WRONLY)  # inherited by nobody, held to the end
    fcntl.flock(handle, fcntl.LOCK_EX)


if "RECORD_COMMAND" in os.environ:
    _freeze()
    _wait_for_turn()
