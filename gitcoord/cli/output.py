"""Standard output and standard error, which may carry nothing: closed, full, broken off, or without the letters for it.

What they can't spell is escaped. What can't be written raises nothing in the middle of a command, since what has landed on the
branch has landed, whoever can read that: it is noted, and whoever needs to know asks here. Standard library only.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from gitcoord.errors import NotShown

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_CLOSED = errno.EBADF


class _Wire(io.RawIOBase):
    """A descriptor that is written to. `fault`: the number of the first error, 0 before; what comes after it is dropped."""

    def __init__(self, number: int, fault: int = 0) -> None:
        self._number = number
        self.fault = fault

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._number

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return True for a terminal."""
        return not self.fault and os.isatty(self._number)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what goes at once; after a fault all counts as written."""
        while not self.fault:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # whoever shares it has made it so
                select.select([], [self._number], [])
            except OSError as error:
                self.fault = error.errno or errno.EIO
        return memoryview(data).nbytes

    def look(self) -> int:
        """Return the fault, also one that can be seen without writing: whoever read it has gone."""
        if not self.fault:
            with suppress(OSError, ValueError):
                poll = select.poll()
                poll.register(self._number, 0)
                if any(seen & (select.POLLERR | select.POLLNVAL) for _, seen in poll.poll(0)):
                    self.fault = errno.EPIPE
        return self.fault


class ReaderLeft(Exception):
    """Whoever read the output through a pipe has read enough, and whoever prints may end."""


_wires: dict[str, _Wire] = {}


def install() -> None:
    """Make both streams of this process safe to print to."""
    absent = {name for name in ("stdout", "stderr") if getattr(sys, name) is None}
    _fill_up()
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if name not in absent and not isinstance(stream, io.TextIOWrapper):
            continue  # somebody's own
        if name not in absent:
            stream.flush()
        _wires[name] = wire = _Wire(number, _CLOSED if name in absent else 0)
        safe = io.TextIOWrapper(
            io.BufferedWriter(wire), encoding=getattr(stream, "encoding", "utf-8"), errors="backslashreplace", newline="\n",
            line_buffering=name == "stderr" or wire.isatty(), write_through=getattr(stream, "write_through", False),
        )  # fmt: skip
        setattr(sys, name, safe)


def _fill_up() -> None:
    """Open what is closed of the first three descriptors on nothing: else the next file that is opened gets what is printed."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            return
        os.set_inheritable(number, True)


def fault(name: str = "stdout") -> str:
    """Return why that stream carries nothing, in the system's words; "" while it does."""
    with suppress(OSError, ValueError):
        getattr(sys, name).flush()
    wire = _wires.get(name)
    number = wire.look() if wire is not None else 0
    return "it is closed" if number == _CLOSED else os.strerror(number) if number else ""


def reader_left() -> bool:
    """Return True if standard output is a pipe that nobody reads any more."""
    return bool(fault()) and _wires["stdout"].fault == errno.EPIPE


def require() -> None:
    """Return once all that was printed is out. Raises NotShown, or ReaderLeft."""
    why = fault()
    if reader_left():
        raise ReaderLeft
    if why:
        raise not_shown(why)


def not_shown(why: str, more: str = "") -> NotShown:
    """Return the error that says so."""
    return NotShown(f"the answer could not be written to standard output: {why}{more}", hint="run it again where it can be read")
