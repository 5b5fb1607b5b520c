"""Ends a command whose `gitcoord run` was killed: a process of its own, which notices because a pipe closes.

Run as a file: arguments are the command's process group and the seconds between TERM and KILL. It loads next to nothing,
since it stands by for as long as the command runs. A word on standard input says that the command is over.
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


def main(group: int, patience: float) -> None:
    """Waits for the end of the pipe, then ends the group."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    if os.read(0, 1):
        return
    ask_to_end(group)
    end = time.monotonic() + patience
    while time.monotonic() < end and is_there(group):
        time.sleep(0.05)
    send(group, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
