"""Real git for tests: run in the sealed environment, ended with all its children, loud when it fails."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0  # seconds; only a hang gets there, and a hang must not stop the whole run


@dataclass(frozen=True)
class Outcome:
    """What a finished git command left: exit code and both streams."""

    code: int
    out: str
    err: str


class GitFailed(Exception):
    """git ended with an error; the text carries its stderr."""


class GitHung(Exception):
    """git was still running when its time was over; it and its children were killed."""


def attempt(
    where: Path,
    *args: str,
    stdin: str = "",
    timeout: float = PATIENCE,
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Runs git in `where` and returns how it ended, failure included; raises GitHung after `timeout` seconds.

    `env` defaults to the test process's own environment, which conftest has sealed.
    A session of its own: the kill then reaches ssh and git-remote-http too (they'd hold the pipes open for ever),
    and without a terminal no prompt can wait for an answer.
    """
    command = ["git", "-C", str(where), *args]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else dict(env),
        encoding="utf-8",
        errors="surrogateescape",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise GitHung(f"{' '.join(command)}: no end after {timeout} s") from None
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Outcome(process.returncode, out, err)


def git(
    where: Path,
    *args: str,
    stdin: str = "",
    timeout: float = PATIENCE,
    env: Mapping[str, str] | None = None,
) -> str:
    """Runs git in `where` and returns its output without the last newline; raises GitFailed with its stderr."""
    outcome = attempt(where, *args, stdin=stdin, timeout=timeout, env=env)
    if outcome.code != 0:
        raise GitFailed(f"git {' '.join(args)} ended with {outcome.code}:\n{outcome.err or outcome.out}")
    return outcome.out.removesuffix("\n")
