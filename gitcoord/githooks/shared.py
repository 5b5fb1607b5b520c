"""Hooks in a folder that others share: husky's, one that the team tracks, or one for all of a person's repositories.

There a few marked lines are added to each hook, at its top: what stands there may end before its last line (`exec`, `exit`).
They name no path of this machine, do nothing where there is no gitcoord, and only the guard's can stop git. Refuses: a hook that
is no shell script.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container
from pathlib import Path

from gitcoord.githooks import marked
from gitcoord.githooks.folder import ALL, Hook, explained, wanted

_SH = b"#!/bin/sh\n"
_NOTE = "(in: gitcoord hooks install --git --shared; out: gitcoord hooks uninstall --git --shared)"
_IF = """\
if [ "${GITCOORD-}" != 0 ] && [ -z "${GITCOORD_HOOK-}" ] && case $(command -v gitcoord) in /*) ;; *) false ;; esac; then
"""
_RUN = "PYTHONPATH= PYTHONHOME= PYTHONUSERBASE= PYTHONPYCACHEPREFIX= gitcoord"  # so Python loads nothing of the checkout
_TELL = """\
    if [ ! -d "${GIT_DIR:-.git}/rebase-merge" ] && [ ! -d "${GIT_DIR:-.git}/rebase-apply" ]; then
        RUN hook git EVENT "$@" </dev/null >/dev/null 2>&1 &
    fi
"""
_REWRITTEN = """\
    RUN hook git EVENT "$@" </dev/null >/dev/null 2>&1 &
"""
_STAGED = """\
    gitcoord_code=0
    RUN guard --staged </dev/null || gitcoord_code=$?
    case $gitcoord_code in 3 | 4) exit "$gitcoord_code" ;; esac
"""
_PUSHED = """\
    gitcoord_code=0 gitcoord_input=$(cat)
    [ -z "$gitcoord_input" ] || printf '%s\\n' "$gitcoord_input" | RUN guard --push || gitcoord_code=$?
    case $gitcoord_code in 3 | 4) exit "$gitcoord_code" ;; esac
    if [ -n "$gitcoord_input" ]; then # once more, for what follows
        exec <<gitcoord_end
$gitcoord_input
gitcoord_end
    fi
"""
_SAID = """\
    RUN hook git EVENT "$1" </dev/null >/dev/null 2>&1 || :
"""
_TEXTS = {"pre-commit": _STAGED, "pre-push": _PUSHED, "commit-msg": _SAID, "post-rewrite": _REWRITTEN, "post-merge": _REWRITTEN}


def lines(event: str) -> bytes:
    """What is added to that hook, its marks included."""
    text = _IF + _TEXTS.get(event, _TELL).replace("EVENT", event).replace("RUN", _RUN) + "fi\n"
    return marked.block(text.encode(), _NOTE)


def file(folder: Path, event: str) -> Path:
    """The file in which people write that hook: husky's own folder holds only what leads there."""
    return folder.parent / event if is_huskys(folder) else folder / event


def is_huskys(folder: Path) -> bool:
    """Whether husky (9 or newer) makes and remakes what lies in the folder."""
    return folder.name == "_" and (folder / "h").is_file()


def install(folder: Path, *, guard: bool, trailers: bool) -> tuple[Hook, ...]:
    """Adds the lines; may run twice. Edited ones stay as they are, and hooks that are no shell scripts. Raises GitcoordError."""
    found = []
    with explained(folder):
        file(folder, "any").parent.mkdir(parents=True, exist_ok=True)
        for event in wanted(guard=guard, trailers=trailers):
            hook = _look(folder, event)
            if hook.state in {"absent", "installed"}:
                change = marked.put(hook.path, lines(event), head=_SH, top=True, mode=0o777)
                hook = Hook(event, "installed", hook.path, change=change, way="shared")
            found.append(hook)
    return tuple(found)


def uninstall(folder: Path) -> tuple[Hook, ...]:
    """Takes the lines out of every hook; what has changed. Raises GitcoordError."""
    found = []
    with explained(folder):
        for hook in status(folder):
            if hook.state == "installed":
                change = marked.take_out(hook.path, head=_SH)
                found.append(Hook(hook.event, "absent", hook.path, change=change, way="shared"))
            elif hook.state == "edited":
                found.append(hook)
    return tuple(found)


def status(folder: Path, events: Container[str] = ALL) -> tuple[Hook, ...]:
    """What lies there. Raises GitcoordError."""
    with explained(folder):
        return tuple(_look(folder, event) for event in ALL if event in events)


def _look(folder: Path, event: str) -> Hook:
    path = file(folder, event)
    if not os.path.lexists(path):
        return Hook(event, "absent", path, way="shared")
    if path.is_symlink() or not path.is_file():
        return Hook(event, "foreign", path, way="shared")
    state = marked.state(path)
    if state == "absent" and not _is_shell(path.read_bytes()):
        return Hook(event, "foreign", path, way="shared")
    return Hook(event, state, path, way="shared")


def _is_shell(data: bytes) -> bool:
    """Whether a shell reads it; git gives a file that doesn't say it to sh."""
    first = data.partition(b"\n")[0]
    return not first.startswith(b"#!") or re.search(rb"\b(ba|da|z|k|a)?sh\b", first) is not None
