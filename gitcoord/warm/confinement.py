"""The kernel says what a process may do: two that differ in it can't stand in for each other. A process carries out no command from
a sandbox that it is not in itself, and none of another user's.
"""

from __future__ import annotations

import os

_OF_STATUS = (
    "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
    "Speculation_Store_Bypass", "Cpus_allowed_list",
)  # fmt: skip
_SPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_FILES = ("limits", "cgroup", "attr/current", "oom_score_adj")


def of(pid: int | str) -> tuple[object, ...] | None:
    """Return all that confines the process, to compare; None where it can't be seen whole."""
    about = f"/proc/{pid}"
    try:
        with open(f"{about}/status", "rb") as file:
            lines = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
        spaces = [os.readlink(f"{about}/ns/{name}") for name in _SPACES]
        root = os.stat(f"{about}/root")
        niceness = os.getpriority(os.PRIO_PROCESS, 0 if pid == "self" else int(pid))
    except (OSError, ValueError):
        return None
    texts = []
    for name in _FILES:
        try:
            with open(f"{about}/{name}", "rb") as file:
                texts.append(file.read(1 << 16))
        except OSError:
            texts.append(b"")  # a kernel without it
    status = [lines.get(name.encode()) for name in _OF_STATUS]
    return (*status, *spaces, (root.st_dev, root.st_ino), niceness, *texts)


def is_loose(pid: int | str = "self") -> bool:
    """Return True for a process that is in no sandbox, as far as the system tells: it may still gain what its programs give it."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return b"\nNoNewPrivs:\t0\n" in file.read()
    except OSError:
        return False
