"""An agent hears who else is changing the file that it edits: once for each of them, from what the background noted last.

Loads the standard library only: it stands on the way of every edit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gitcoord.core.names import show
from gitcoord.core.touches import ADDED, CAME, DELETED, MOVED, Touch, spelled
from gitcoord.machine import files

_FILE = "others.json"
_HOW = {DELETED: "has deleted", ADDED: "has added", MOVED: "has moved", CAME: "has moved a file to"}
_SHOWN = 3  # sessions of which one hook tells


class LineChange(NamedTuple):
    """A file that a session has changed: who, the file, its places and marks, and since when (`14:02 UTC`)."""

    session: str
    path: str
    lines: str
    since: str


def note(folder: Path, changes: Iterable[LineChange]) -> None:
    """Note what all sessions have changed, for the hooks of this clone."""
    with suppress(OSError):
        files.write_json(folder / _FILE, {"changes": [list(change) for change in changes]})


def told(folder: Path, paths: Collection[str], but: Collection[str]) -> Mapping[str, str]:
    """Return what is to be said of those files, by a key for each session and file. `but`: the sessions of this work tree."""
    changes = files.read(folder / _FILE, _changes) or []
    met = [change for change in changes if change.path in paths and change.session not in but]
    return {f"{change.session} changes {change.path}": _words(change) for change in met[:_SHOWN]}


def _words(change: LineChange) -> str:
    touch = Touch.parse(f"{change.path}:{change.lines}")
    path = show(change.path, 200)
    how = next((word for mark, word in _HOW.items() if mark in touch.marks), "")
    what = f"{how} {path}" if how else f"is changing {path}"
    if touch.spans and not how:
        lines = spelled(touch.spans)
        what = f"is changing line{'' if lines.isdigit() else 's'} {lines} of {path}"
    open_ = "" if touch.committed else ", not committed yet"
    who = show(change.session, 64)
    return f'{who} {what}{open_}, since {change.since}: gitcoord ask {who} "who goes first?"'


def _changes(value: Any) -> list[LineChange]:
    found = [LineChange(*map(str, entry)) for entry in value["changes"]]
    for change in found:
        Touch.parse(f"{change.path}:{change.lines}")
    return found
