"""The place where this user's warm process is reached, and what must be the same for a command to be carried out in a fork of it.

Every command and hook comes by here before anything else: the standard library only, and little of it.
"""

from __future__ import annotations

import os
import sys
from zlib import crc32

from gitcoord.warm import confinement

TYPE_CHECKING = False  # `typing`'s own, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping

SWITCH = "GITCOORD_WARM"
"""The variable that decides for one process, whatever the clone's setting is: `0` for no; a folder's absolute path for yes, with
the warm process of that folder."""

_AT_START = (
    "PYTHON", "LC_", "LANG", "LD_", "GLIBC_", "MALLOC_", "OPENSSL_", "TYPER_", "_TYPER_", "TERMINAL_WIDTH", "GITHUB_ACTIONS",
    "FORCE_COLOR", "PY_COLORS", "PYDANTIC_", "GIT_PYTHON_",
)  # fmt: skip
"""Variables (by their beginnings) that Python, the C library or a library of ours looks at while it is loaded."""

_HARMLESS = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONHASHSEED"})
_MOST = 100  # bytes of a socket's path: the system takes 107, and a name of ours beside it is longer


def start_text(environ: Mapping[str, str]) -> str:
    """Return what decides how the program is loaded: which Python, which installation, which variables. "" where a variable changes
    what Python is, so that only a start of its own is right.
    """
    seen = sorted((name, value) for name, value in environ.items() if name.startswith(_AT_START) and name not in _HARMLESS)
    if any(name.startswith("PYTHON") for name, _ in seen):
        return ""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    where = os.path.join(os.path.dirname(sys.executable), f"python{sys.version}")  # whatever name it was called by
    return "\0".join([where, package, *(f"{name}={value}" for name, value in seen)])


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those variables that the warm process itself is given: what decides how it is loaded, and where its folders are."""
    kept = ("HOME", "XDG_STATE_HOME", "PATH", "TMPDIR", SWITCH)
    return {name: value for name, value in environ.items() if name.startswith(_AT_START) or name in kept}


def folder(environ: Mapping[str, str]) -> str:
    """Return the folder in which this user's warm processes are reached."""
    given = environ.get(SWITCH, "")
    if os.path.isabs(given):
        return given
    home = environ.get("HOME") or os.path.expanduser("~")
    state = environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    return os.path.join(state, "gitcoord", "warm")


def socket_path(environ: Mapping[str, str]) -> str:
    """Return the path of the socket for processes that start as this one did and are confined as it is; "" where there can be none.

    Whoever is confined otherwise has another one: two terminals of a desktop may be in two cgroups.
    """
    text, confined = start_text(environ), confinement.of("self")
    if not text or confined is None:
        return ""
    name = f"{crc32(text.encode('utf-8', 'surrogateescape')):08x}{crc32(repr(confined).encode()):08x}.sock"
    path = os.path.join(folder(environ), name)
    return path if len(os.fsencode(path)) <= _MOST else ""


def is_possible(environ: Mapping[str, str]) -> bool:
    """Return True where a warm process may be used: this system tells how a process is confined, and nobody said no."""
    return sys.platform == "linux" and environ.get(SWITCH) != "0" and not environ.get("CI")


def wants(start: str, environ: Mapping[str, str]) -> bool:
    """Return True if the clone around that folder wants its commands to begin so, as its commands have noted."""
    if os.path.isabs(environ.get(SWITCH, "")):
        return True
    here = start
    while True:
        found = os.path.join(here, ".git")
        if os.path.isdir(found):
            return _noted(found)
        if os.path.isfile(found):
            return _noted(_common(found))
        above = os.path.dirname(here)
        if above == here:
            return False
        here = above


def _common(file: str) -> str:
    """Return the git folder of the clone that a linked work tree's `.git` leads to; "" for anything else."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as text:
            word, _, place = text.read(4096).partition(" ")
        own = os.path.join(os.path.dirname(file), place.rstrip("\n"))
        if word != "gitdir:":
            return ""
        with open(os.path.join(own, "commondir"), encoding="utf-8", errors="surrogateescape") as text:
            return os.path.join(own, text.read(4096).rstrip("\n"))
    except OSError:
        return ""


_NOTE = "warm"


def _noted(git_dir: str) -> bool:
    for name in ("gitcoord", f"gitcoord-{os.geteuid()}"):
        try:
            if os.lstat(os.path.join(git_dir, name, _NOTE)).st_uid == os.geteuid():
                return True
        except OSError:
            continue
    return False


def note(own: str, *, wanted: bool) -> None:
    """Note in our folder of a clone whether its commands begin so."""
    path = os.path.join(own, _NOTE)
    if os.path.lexists(path) == wanted:
        return
    try:
        if wanted:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        else:
            os.unlink(path)
    except OSError:
        pass  # then they begin by themselves
