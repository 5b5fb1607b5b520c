"""An agent's sandbox for tests: no network, git directory and home read-only, as Codex has it by default."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Sequence

_ENTER = """set -e
while [ "$1" != -- ]; do mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; done
shift
mount -t tmpfs tmpfs "$1"; shift
exec "$@"
"""


@functools.cache
def why_not() -> str:
    """Why no sandbox can be made here; "" where one can."""
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    done = subprocess.run(["unshare", "-rmn", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "may not make a sandbox here"


def inside(argv: Sequence[str], *, shut: Sequence[str], hidden: str) -> list[str]:
    """That command in a sandbox: the folders `shut` are read-only, and `hidden`, the remote, isn't there."""
    return ["unshare", "-rmn", "sh", "-c", _ENTER, "sh", *shut, "--", hidden, *argv]
