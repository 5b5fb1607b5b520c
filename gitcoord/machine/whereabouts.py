"""In which work tree a coding agent's session was registered, by its own id of it: for calls that don't tell their project.

A small file for each below this user's state. Losing one costs no more than that such a call is for nobody. Loads nearly nothing:
every call of a hook may look here.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # `typing`'s own, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT = 30 * 86400.0  # seconds: a session that is silent for longer has ended


def state(environ: Mapping[str, str]) -> str:
    """Return the folder in which we keep what this user's hooks know of all clones."""
    home = environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state"), "gitcoord")


def place(agent_id: str, environ: Mapping[str, str]) -> str:
    """Return the path of the note about that session; "" for an id that is no file's name."""
    if not 0 < len(agent_id) <= 200 or "/" in agent_id or "\0" in agent_id or agent_id.startswith("."):
        return ""
    return os.path.join(state(environ), "whereabouts", agent_id)


def note(agent_id: str, work_tree: str, environ: Mapping[str, str]) -> None:
    """Notes that the agent's session is in that work tree; forgets those that were noted long ago."""
    from contextlib import suppress  # here: whoever only looks needs none of these
    from pathlib import Path

    from gitcoord.machine import files

    path = place(agent_id, environ)
    if path:
        with suppress(OSError):
            folder = files.private_folder(Path(path).parent)
            files.write(Path(path), os.fsencode(work_tree))
            for other in folder.iterdir():
                if other.lstat().st_mtime < time.time() - _KEPT:
                    other.unlink(missing_ok=True)


def find(agent_id: str, environ: Mapping[str, str]) -> str:
    """Return the work tree in which the agent's session was registered; "" where that isn't known."""
    path = place(agent_id, environ)
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read(4096))
    except OSError:
        return ""


def forget(agent_id: str, environ: Mapping[str, str]) -> None:
    """Forgets the agent's session."""
    path = place(agent_id, environ)
    if path:
        from contextlib import suppress

        with suppress(OSError):
            os.unlink(path)
