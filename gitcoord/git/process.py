"""The one door to the git program: absolute path, argument lists, a clean environment, no prompt, a hard deadline.

Our git never runs the user's hooks, never starts a garbage collection, never asks for a password, and no process of it
outlives the deadline: it gets a session of its own, and the whole group is ended.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from gitcoord.errors import GitcoordError

if TYPE_CHECKING:
    import subprocess

# What `git rev-parse --local-env-vars` lists (git 2.55), and what a receiving hook adds: inside a hook these point
# at the user's repository, index or quarantine, whatever -C says.
_LOCAL = frozenset(
    [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REF_FORMAT",
        "GIT_NAMESPACE",
        "GIT_LITERAL_PATHSPECS",
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_EXTERNAL_DIFF",
        "GIT_DIFF_OPTS",
        "GIT_DEFAULT_HASH",
        "GIT_REFLOG_ACTION",
    ]
)
_LOCAL_PREFIXES = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", "GIT_PUSH_OPTION_", "GIT_TRACE")
_SSH = "-oBatchMode=yes -oConnectTimeout=10 -oServerAliveInterval=5 -oServerAliveCountMax=3"

_SOCKET_PATH = 104  # bytes that a socket's path may have (BSD; Linux has 108)
_SOCKET_NAME = 62  # what ssh adds to the folder: "/ssh-", 40 letters for %C, and 17 while it makes the socket


def holds_sockets(folder: str) -> bool:
    """Whether the folder's path is short enough for the sockets of `keep_ssh_open`."""
    return len(os.fsencode(folder)) + _SOCKET_NAME <= _SOCKET_PATH


def keep_ssh_open(folder: str, seconds: int) -> str:
    """The options by which ssh keeps its connection for later calls, its socket in that folder."""
    return f"-oControlMaster=auto -oControlPersist={seconds} -oControlPath={shlex.quote(os.path.join(folder, 'ssh-%C'))}"


ALWAYS = (
    "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.fsmonitor=false",
    "-c", "core.askPass=", "-c", "credential.interactive=never", "-c", "protocol.version=2",
    "-c", "i18n.logOutputEncoding=UTF-8", "-c", "advice.detachedHead=false", "-c", "log.showSignature=false",
)  # fmt: skip


def branch_of(ref: str) -> str:
    """The branch that a full ref names; "" for any other ref."""
    return ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""


def is_local(name: str) -> bool:
    """Whether the variable ties git to a repository that the caller stands in."""
    return name in _LOCAL or name.startswith(_LOCAL_PREFIXES)


def clean_environment(environ: Mapping[str, str], ssh_command: str | None = None, ssh_options: str = "") -> dict[str, str]:
    """The environment for a git child. `ssh_command` is what the user configured (`core.sshCommand`), if anything:
    batch mode (and `ssh_options`) is added to it, or to the user's GIT_SSH_COMMAND, never put in its place.
    """
    env = {name: value for name, value in environ.items() if not is_local(name)}
    ssh = env.get("GIT_SSH_COMMAND") or ssh_command
    if not ssh and env.get("GIT_SSH"):
        ssh = "'" + env["GIT_SSH"].replace("'", "'\\''") + "'"
    variant = env.get("GIT_SSH_VARIANT", "")
    if variant in {"", "ssh", "auto"} and not any(word in (ssh or "") for word in ("plink", "tortoise")):
        env["GIT_SSH_COMMAND"] = f"{ssh or 'ssh'} {_SSH} {ssh_options}".rstrip()
    env |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
        "LANGUAGE": "",
    }
    return env


def program() -> str:
    """The absolute path of git. Raises GitcoordError when there is none."""
    import shutil

    found = shutil.which("git")
    if found is None:
        raise GitcoordError("git is not installed, or not on PATH", hint="install git 2.31 or newer")
    return os.path.abspath(found)


@dataclass(frozen=True)
class Done:
    """A finished child. `returncode` is negative for a signal; `in_time` is False when the deadline ended it."""

    returncode: int
    stdout: bytes
    stderr: bytes
    in_time: bool = True

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with 0."""
        return self.returncode == 0 and self.in_time

    @property
    def words(self) -> str:
        """What it said on stderr, for a person: the last lines, made safe by whoever prints it."""
        text = self.stderr.decode("utf-8", "replace").strip()
        return " / ".join(line.strip() for line in text.splitlines()[-10:] if line.strip())


def run(
    argv: list[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    stdin: bytes = b"",
    seconds: float | None = None,
    tick: Callable[[], None] | None = None,
) -> Done:
    """Runs a child to its end or to the deadline; then the whole process group is ended, children included.

    `tick` is called about twice a second meanwhile: a flusher shows by it that it is alive.
    """
    import subprocess  # here: hooks that need no git load this file, too

    end = None if seconds is None else monotonic() + max(0.0, seconds)
    try:
        child = subprocess.Popen(
            argv, env=dict(env), cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, close_fds=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise GitcoordError(f"{error.filename} is gone", hint="cd into a repository") from error
    try:
        pending: bytes | None = stdin
        while True:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return _end(child)
            pause = 0.5 if left is None else min(0.5, left)
            try:
                out, err = child.communicate(pending, timeout=pause if tick or left is not None else None)
            except subprocess.TimeoutExpired:
                pending = None
                if tick:
                    tick()
                continue
            return Done(child.returncode, out, err)
    except BaseException:
        _end(child)
        raise


def _end(child: subprocess.Popen[bytes]) -> Done:
    from subprocess import TimeoutExpired

    # TERM first: git removes its lock files on it, and a stale ref lock on a file remote blocks everybody.
    for sign, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, sign)
        try:
            out, err = child.communicate(timeout=patience)
        except TimeoutExpired:
            continue
        # The leader is gone; whatever of its group stayed behind goes too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        return Done(child.returncode, out or b"", err or b"", in_time=False)
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream:
            stream.close()
    return Done(-9, b"", b"", in_time=False)
