"""Ends a command whose `gitcoord run` was killed: a process of its own, which notices because a pipe closes.

Run as a file: arguments are the command's process group, the seconds between TERM and KILL, and the mark of its processes. It
loads next to nothing, since it stands by for as long as the command runs. A word on standard input says that the command is over.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress


def is_there(group: int) -> bool:
    """Whether a process of the group still lives; one that only waits to be collected doesn't count, where /proc tells."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return True
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                state, _, pgrp = file.read().rpartition(b")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(pgrp) == group and state not in {b"Z", b"X"}:
            return True
    return not pids


def send(group: int, number: int) -> None:
    """Sends the group a signal, if it is there."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def ask_to_end(group: int) -> None:
    """TERM; and CONT, since what is stopped hears nothing."""
    send(group, signal.SIGTERM)
    send(group, signal.SIGCONT)


MARKS = "GITCOORD_RUNS"
"""The variable that marks what a `run` has started: all their marks, the outermost first, with colons around them."""


def strays(group: int, mark: str, *, owner: int = 0, own: str = "", helpers: frozenset[int] = frozenset()) -> dict[int, str]:
    """Return what the command has started outside of its group and still lives: names by pid. Known by the mark in its
    environment, or because it comes from the command or from one that has it. `owner`: the process that started the command and
    inherits what loses its parent; its own children have the mark `own`, and `helpers` have none. Where there is no /proc: none.
    """
    about: dict[int, tuple[int, int, str]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        with suppress(OSError, ValueError, IndexError):
            if name.isdigit():
                with open(f"/proc/{name}/stat", "rb") as file:
                    head, _, tail = file.read().rpartition(b")")
                now, parent, pgrp = tail.split()[:3]
                if now not in {b"Z", b"X"}:
                    about[int(name)] = int(parent), int(pgrp), head.partition(b"(")[2].decode("utf-8", "replace")
    found = {group}
    for pid, (above, _, _) in about.items():
        marks = _marks(pid)
        if f":{mark}:" in marks or (owner and above == owner and f":{own}:" not in marks):
            found.add(pid)
    found -= {owner, os.getpid(), *helpers}
    while more := {pid for pid, (above, _, _) in about.items() if above in found} - found - {owner, os.getpid(), *helpers}:
        found |= more
    return {pid: about[pid][2] for pid in sorted(found) if pid in about and about[pid][1] != group}


def _marks(pid: int) -> str:
    """Return the marks in the environment that a process was started with; "" where that can't be read."""
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            if entry.startswith(f"{MARKS}=".encode()):
                return entry.partition(b"=")[2].decode("utf-8", "replace")
    return ""


def send_each(found: dict[int, str], number: int) -> None:
    """Send each of them a signal: by a handle that was opened before it was looked at once more, so that no other gets it."""
    for pid, name in found.items():
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                with open(f"/proc/{pid}/stat", "rb") as file:
                    if file.read().rpartition(b")")[0].partition(b"(")[2].decode("utf-8", "replace") == name:
                        signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


def main(group: int, patience: float, mark: str) -> None:
    """Waits for the end of the pipe, then ends the group, and what left it."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    if os.read(0, 1):
        return
    ask_to_end(group)
    send_each(strays(group, mark), signal.SIGTERM)
    end = time.monotonic() + patience
    while time.monotonic() < end and (is_there(group) or strays(group, mark)):
        time.sleep(0.05)
    send(group, signal.SIGKILL)
    send_each(strays(group, mark), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
