"""Is that process still there? A pid alone is not enough: it is used again; so its birth (and the boot) counts too."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_LEVELS = 30  # processes between an agent and what it starts: a few shells
_SHELLS = frozenset(
    {"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox", "env", "timeout", "git", "gitcoord", "git-coord"}
)
_HIGH = 8  # processes that are climbed over


def born(pid: int) -> str:
    """When the process was born, in a form that no later process with the same pid can have; "" when it is gone."""
    if pid <= 0:
        return ""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        if stat[0] in {b"Z", b"X"}:
            return ""
        return f"{_boot()}:{stat[19].decode()}"  # field 22 of the line: start time in ticks since the boot
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return ""
    import subprocess

    done = subprocess.run(  # where there is no /proc
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    return done.stdout.strip()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13]
    except OSError:
        return ""


def alive(pid: int, birth: str) -> bool:
    """Whether the very process that was born then is still there."""
    return bool(birth) and born(pid) == birth


def detach(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Starts a process that nobody waits for and that keeps nobody's pipes open; not in the work tree: its files are no modules
    of ours.
    """
    import subprocess  # here: a hook that starts nothing doesn't pay for it

    child = subprocess.Popen(
        list(argv), env=dict(env), cwd="/", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    child.returncode = 0  # it outlives this process on purpose; without this Python may warn about it


def ancestors() -> list[tuple[int, str]]:
    """The processes that this one comes from, the nearest first, each with its birth; where there is no /proc only the nearest."""
    found = [parent()]
    while len(found) < _LEVELS and found[-1][0] > 1:
        above = _name_and_parent(found[-1][0])[1]
        if not above:
            break
        found.append((above, born(above)))
    return found


def above_shells() -> tuple[int, str]:
    """The nearest process above this one that is no shell: its pid and birth. An agent may run each command in a shell of its own,
    which is gone before the next one; the agent itself is there.
    """
    pid = os.getppid()
    for _ in range(_HIGH):
        name, above = _name_and_parent(pid)
        if name not in _SHELLS or above <= 1:
            break
        pid = above
    return pid, born(pid)


def _name_and_parent(pid: int) -> tuple[str, int]:
    try:
        head, _, tail = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
        return head.partition(b"(")[2].decode("utf-8", "replace"), int(tail.split()[1])
    except (OSError, ValueError, IndexError):
        return "", 0


def parent() -> tuple[int, str]:
    """The process that called this program: its pid and birth."""
    pid = os.getppid()
    return pid, born(pid)
