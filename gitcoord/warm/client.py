"""The command's side: hands itself to the warm process and is its face from then on. Any doubt, and the command runs by itself.

Standard library only, and little of it: this is what a command costs before it begins.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` without what makes enumerations of it
import _socket
import marshal
import os
import struct
import sys
import time

from gitcoord.warm import address

TYPE_CHECKING = False  # `typing`'s own, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLD = frozenset(
    {
        "run", "trial", "land", "mcp", "relay", "listen", "watch", "demo", "statusline", "install", "uninstall", "doctor", "config",
        "serve-policy",
    }
)  # fmt: skip
"""Commands that begin by themselves: they own a terminal or children, stay for long, change the installation or look at it."""
_COLD_OPTIONS = ("--follow", "--proof", "--serve")
"""Options that make of another command one that stays, or one that has children."""

_PATIENCE = 1.0  # seconds until a warm process has answered: it forks in one thousandth
_AGAIN = 120.0  # seconds: whoever runs two commands within them will run more
_FORWARDED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT)


def hand_over(argv: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """Have the command carried out by a fork of the warm process; return its exit code, None where it has to run by itself."""
    try:
        fork = _asked(argv, environ)
    except Exception:  # any doubt: it begins by itself
        return None
    if fork is None:
        return None
    line, pid, mine, ignored = fork
    try:
        return _follow(line, pid, ignored)
    finally:
        os.close(mine)
        line.close()


def _asked(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[_socket.socket, int, int, Sequence[int]] | None:
    """Return the line to a fork that has not begun yet, its pid, what ends it together with this process, and the signals that it
    ignores; None where there is none.
    """
    for number in (0, 1, 2):
        os.fstat(number)  # one that is closed means something to the program
    if not _may(argv, environ):
        return None
    path = address.socket_path(environ)
    line = _connect(path) if path and os.path.lexists(path) else None
    if line is None:
        return None
    given: list[int] = []
    mine = pid = 0
    try:
        if _signal.pthread_sigmask(_signal.SIG_BLOCK, ()):
            return None  # somebody has planned something
        given.append(os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        its, mine = os.pipe()  # this end closes when this process ends, however it does: then the fork ends, too
        given.append(its)
        ignored = [number for number in (*_FORWARDED, _signal.SIGTSTP) if _signal.getsignal(number) == _signal.SIG_IGN]
        umask = os.umask(0o077)
        os.umask(umask)
        what = (address.start_text(environ), list(argv), dict(os.environb), umask, ignored, os.getppid())
        asked = marshal.dumps(what)
        handles = struct.pack(f"{3 + len(given)}i", 0, 1, 2, *given)
        line.sendmsg([struct.pack("=Q", len(asked))], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, handles)])
        line.sendall(asked)
        answer = exactly(line, 5)
        if answer[:1] == b"y":
            pid = int.from_bytes(answer[1:], sys.byteorder)
            return line, pid, mine, ignored
        return None
    except EOFError:
        return None
    finally:
        for handle in given:
            os.close(handle)
        if not pid:
            line.close()
            if mine:
                os.close(mine)


def _may(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    if not address.is_possible(environ):
        return False
    for word in argv[1:]:
        if word == "--":
            break
        if word in COLD or word.partition("=")[0] in _COLD_OPTIONS:  # also where it is no command: that costs time, and no more
            return False
    return address.wants(_place(argv), environ)


def _place(argv: Sequence[str]) -> str:
    """Return the folder that the command is about: where it is run, or what `-C` names."""
    here = os.getcwd()
    words = iter(argv[1:])
    for word in words:
        if word == "--":
            break
        if word == "-C":
            here = os.path.join(here, next(words, ""))
        elif word.startswith("-C="):
            here = os.path.join(here, word[3:])
    return os.path.normpath(here)


def _connect(path: str) -> _socket.socket | None:
    """Return a connection to the warm process there; None where nobody answers, or another user would."""
    line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        line.settimeout(_PATIENCE)
        line.connect(path)
        _, uid, _ = struct.unpack("3i", line.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
        if uid == os.getuid() == os.geteuid():
            return line
    except OSError:
        pass
    line.close()
    return None


def _follow(line: _socket.socket, pid: int, ignored: Sequence[int]) -> int:
    """Let the command begin, and be its face until it ends: what signals this process gets, it gets."""
    got: list[int] = []

    def forward(number: int, _frame: object) -> None:
        got.append(number)
        _kill(pid, number)

    def stop(_number: int, _frame: object) -> None:
        _kill(pid, _signal.SIGSTOP)
        os.kill(os.getpid(), _signal.SIGSTOP)
        _kill(pid, _signal.SIGCONT)

    for number in _FORWARDED:
        if number not in ignored:
            _signal.signal(number, forward)
    if _signal.SIGTSTP not in ignored:
        _signal.signal(_signal.SIGTSTP, stop)
    try:
        line.sendall(b"g")  # only now it begins: a fork that came too late for its caller does nothing
        line.settimeout(None)
        return int.from_bytes(exactly(line, 4), sys.byteorder, signed=True)
    except (EOFError, OSError):
        # It was killed, as this process would have been.
        last = got[-1] if got else _signal.SIGKILL
        if last != _signal.SIGKILL:
            _signal.signal(last, _signal.SIG_DFL)
        os.kill(os.getpid(), last)
        return 128 + last


def _kill(pid: int, number: int) -> None:
    try:  # noqa: SIM105  # contextlib takes a millisecond to load
        os.kill(pid, number)
    except OSError:
        pass  # it has ended


def exactly(line: _socket.socket, count: int) -> bytes:
    """Return as many bytes. Raises EOFError where the other side has ended before."""
    data = bytearray()
    while len(data) < count:
        chunk = line.recv(min(count - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


# --- beginning and end of a warm process ---------------------------------------------------------------------------------


def wish(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Start a warm process if more commands will follow: a session was started, or this was the second command within two minutes
    that could have used one.
    """
    if os.path.isabs(environ.get(address.SWITCH, "")):
        return  # whoever names a folder has started one there
    try:
        path = address.socket_path(environ) if _may(argv, environ) else ""
        # A name may lie there without anybody behind it: it was killed, or the machine went down.
        if path and not find(environ) and _will_be_more(argv, path):
            start(environ)
    except Exception:  # noqa: S110
        pass  # the command is done: then the next one begins by itself, too


def _will_be_more(argv: Sequence[str], path: str) -> bool:
    from pathlib import Path

    from gitcoord.machine import files
    from gitcoord.warm import confinement

    if not confinement.is_loose():
        return False
    files.private_folder(Path(path).parent)
    mark = Path(f"{path}.wish")
    try:
        since = time.time() - mark.lstat().st_mtime
    except FileNotFoundError:
        since = _AGAIN
    files.touch(mark)
    return argv[1:2] == ["start"] or 0 <= since < _AGAIN


def start(environ: Mapping[str, str]) -> None:
    """Start a warm process for commands that begin as this one; it ends by itself where there is one."""
    from gitcoord.machine import processes

    first = "from gitcoord.main import keep_warm; keep_warm()"
    processes.detach(processes.of_ours(first=first), address.variables(environ))


def is_served(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Return True if a fork of the warm process would carry that command out for this process; it is told to do nothing."""
    try:
        fork = _asked(argv, environ)
    except Exception:
        return False
    if fork is not None:
        fork[0].close()
        os.close(fork[2])
    return fork is not None


def find(environ: Mapping[str, str]) -> int:
    """Return the pid of the warm process for commands that begin as this one; 0 for none."""
    path = address.socket_path(environ)
    line = _connect(path) if path else None
    if line is None:
        return 0
    pid = int(struct.unpack("3i", line.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))[0])
    line.close()
    return pid


def end(environ: Mapping[str, str]) -> None:
    """End this user's warm process; commands that it carries out go on to their end."""
    path = address.socket_path(environ)
    if path:
        line = _connect(path)
        try:  # noqa: SIM105  # as in `_kill`
            os.unlink(path)
        except OSError:
            pass  # there is none
        if line is not None:
            line.close()  # it looks up, finds its name gone, and ends
