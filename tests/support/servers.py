"""A repository whose server has the policy: the hook put in as `gitcoord serve-policy install` does."""

from __future__ import annotations

import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from gitcoord.policy.install import Served, install, repository_at
from gitcoord.policy.receive import check

BRANCH = "refs/heads/coordination"


def program(folder: Path, text: str = "") -> str:
    """Return the path of a program called `gitcoord`: this one, or a shell script of that text."""
    path = folder / "bin" / "gitcoord"
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = f'exec {shlex.quote(sys.executable)} -m gitcoord "$@"'
    path.write_text(f"#!/bin/sh\n{text or ours}\n")
    path.chmod(0o755)
    return str(path)


def serve(bare: Path, own: Path, **settings: str) -> Served:
    """Install the policy in the bare repository; `own`: a folder for the program that its hook runs."""
    return install(repository_at(str(bare), os.environ), program(own), settings=settings)


def ask(bare: Path, old: str, new: str, *, now: datetime | None = None) -> None:
    """Ask what the hook asks, in this process. Raises what forbids it."""
    line = f"{old or '0' * 40} {new or '0' * 40} {BRANCH}"
    check([line], {**os.environ, "GIT_DIR": str(bare)}, now or datetime.now(UTC), start=str(bare))
