"""Is that process still there? A pid alone is not enough: it is used again; so its birth counts too, and where its number means it.

A number means a process only in one PID namespace of one machine since one boot. Elsewhere (in a container, on another machine that
shares the folder) nobody can tell whether the process is there, and whoever can't tell takes it for alive.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

GONE_AFTER = 1800.0
"""Seconds without a sign after which a process counts as gone of which nobody here can tell."""

_LEVELS = 30  # processes between an agent and what it starts: a few shells
_SHELLS = frozenset(
    {"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox", "env", "timeout", "git", "gitcoord", "git-coord"}
)
_PROFILE = 5.0  # seconds that a login shell may take to read its profile
_HIGH = 8  # processes that are climbed over


_HIDDEN = "?"  # the start of a process that is there and that this one may not look at


def born(pid: int) -> str:
    """Return when and where the process was born, as no later process with the same pid can have it; "" when it is gone."""
    start = _start(pid)
    return f"{_where()}:{start}" if start else ""


def alive(pid: int, birth: str) -> bool | None:
    """Return True if the very process that was born then is there, False if it is gone; None where that can't be told from here."""
    where, colon, start = birth.partition(":")
    if not colon:
        return False  # it was gone when it was noted
    if where != _where():
        return None
    now = _start(pid)
    if now == "":
        return False
    return None if _HIDDEN in {now, start} else now == start


def is_there(pid: int, birth: str, seen: float) -> bool:
    """Return True if the process is there, as far as that can be told. Where it can't, it counts as there for half an hour after
    the last sign of it (`seen`: seconds since 1970).
    """
    told = alive(pid, birth)
    return time.time() - seen < GONE_AFTER if told is None else told


def _start(pid: int) -> str:
    """The start of the process with this number here: "" when there is none, `_HIDDEN` when that is all that can be told."""
    if pid <= 0:
        return ""
    if _sees_its_own():
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            return "" if stat[0] in {b"Z", b"X"} else stat[19].decode()  # field 22: start time in ticks since the boot
        except (OSError, IndexError):
            pass  # gone, or hidden from this user
    elif not os.path.exists("/proc/self"):
        import subprocess

        done = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5)
        return done.stdout.strip()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return _HIDDEN


def _sees_its_own() -> bool:
    """True if /proc is that of this process's own PID namespace: a container may have been given another's."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


@functools.cache
def _where() -> str:
    """Where numbers of processes mean what they mean here: this machine since its boot, and the PID namespace."""
    try:
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        space = ""
    return f"{boot()}.{space}" if boot() and space else f"host.{os.uname().nodename.replace(':', '-')}"


def boot() -> str:
    """Return what names this boot of the machine; "" where the system doesn't tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:13]
    except OSError:
        return ""


def of_ours(*words: str, first: str = "") -> list[str]:
    """Return the command line that runs this very program on those words: Python takes nothing from its variables, from the folder
    that it is started in, or from a checkout. `first`: Python that is run before.
    """
    import sys

    place = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    then, main = f"; {first}" if first else "", "from gitcoord.main import main; sys.exit(main())"
    return [sys.executable, "-E", "-P", "-c", f"import sys; sys.path.append({place!r}){then}; {main}", *words]


def detach(argv: Sequence[str], env: Mapping[str, str], *, wait: float = 0.0) -> None:
    """Starts a process that nobody waits for and that keeps nobody's pipes open; not in the work tree: its files are no modules
    of ours. It is no part of what a `run` has started. `wait`: seconds that its end is waited for all the same, at most.
    """
    import subprocess  # here: a hook that starts nothing doesn't pay for it

    child = subprocess.Popen(
        list(argv), env={**env, "GITCOORD_RUNS": ""}, cwd="/", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    if wait:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(wait)
    child.returncode = 0  # it outlives this process on purpose; without this Python may warn about it


@contextlib.contextmanager
def asked(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[Callable[[], bytes]]:
    """Start a process, not in the work tree, that ends with the context; what is yielded waits for its end and returns what it has
    printed.
    """
    import subprocess

    null = subprocess.DEVNULL
    with subprocess.Popen(list(argv), env=dict(env), cwd="/", stdin=null, stdout=subprocess.PIPE, stderr=null) as child:
        try:
            yield lambda: child.communicate()[0]
        finally:
            child.kill()


_caller = 0


def stand_for(caller: int) -> None:
    """Note whom this process works for, where that isn't its parent: it was forked by another than who called the program."""
    global _caller
    _caller = caller


def _called_by() -> int:
    return _caller or os.getppid()


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
    pid = _called_by()
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
    pid = _called_by()
    return pid, born(pid)


def login_shell_finds(program: str, environ: Mapping[str, str]) -> bool | None:
    """Return True if the user's login shell, with what its profile does to PATH, finds the program; None if it doesn't tell.

    A profile that takes longer than five seconds tells nothing; what it started ends with its shell.
    """
    import signal
    import subprocess  # here, as above

    words = [environ.get("SHELL") or "/bin/sh", "-lc", f"command -v {program}"]
    null = subprocess.DEVNULL
    try:
        shell = subprocess.Popen(words, env=dict(environ), cwd="/", stdin=null, stdout=null, stderr=null, start_new_session=True)
    except OSError:
        return None
    try:
        return shell.wait(_PROFILE) == 0
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        return None
