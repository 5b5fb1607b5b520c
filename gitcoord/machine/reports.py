"""Reports of bugs: what went wrong, in a file for whoever mends it, and not in front of whoever met it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from gitcoord.errors import mask
from gitcoord.machine import files


def write(error: BaseException, environ: Mapping[str, str], version: str, doing: str) -> str:
    """Writes a report; its path, "" where there is no place for one. `doing`: what was asked for."""
    home = environ.get("HOME") or os.path.expanduser("~")
    folder = Path(environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")) / "gitcoord" / "reports"
    now = datetime.now(UTC)
    path = folder / f"{now:%Y%m%dT%H%M%S%f}.txt"
    text = mask("".join(traceback.format_exception(error)))
    try:
        files.private_folder(folder)
        report = f"gitcoord {version}, Python {sys.version}\n{now.isoformat()}\ncommand: {mask(doing)}\n\n{text}"
        files.write(path, report.encode("utf-8", "backslashreplace"))
    except OSError:
        return ""
    return str(path)
