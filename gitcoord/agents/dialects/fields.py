"""Fields of what an agent sent, read as what they should be: anything else counts as absent. Pure; standard library only.

Refuses to raise: whatever a payload holds, each function here returns something that a file name or a variable can hold.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

PATHS = 100  # of one edit; a patch over more files is told by its first ones
_LONG = 4096  # characters: no path is longer
_NAME = 200  # characters of a session's id; the longest known is a UUID
_KEYS = ("file_path", "notebook_path", "path", "filePath", "target_file", "target_notebook", "TargetFile")
_LISTS = ("files", "paths")


def text(value: object) -> str:
    """A text that can be a path; "" for anything else."""
    if not isinstance(value, str) or len(value) > _LONG or "\0" in value:
        return ""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can say it, no file can bear it
        return ""
    return value


def name(value: object) -> str:
    """One printable line that can be an id; "" for anything else."""
    found = text(value).strip()
    return found if len(found) <= _NAME and found.isprintable() else ""


def table(value: object) -> Mapping[str, Any]:
    """An object, also one that was sent as a text of JSON; an empty one for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def texts(value: object) -> tuple[str, ...]:
    """The texts in a list; none for anything else."""
    return tuple(filter(None, map(text, value))) if isinstance(value, list) else ()


def place(*values: object) -> str:
    """The first of them that is an absolute path; "" if none is."""
    return next((found for found in map(text, values) if posixpath.isabs(found)), "")


def some(found: Iterable[str]) -> tuple[str, ...]:
    """Each path once, in order, and not without end."""
    return tuple(dict.fromkeys(filter(None, found)))[:PATHS]


def paths(tool: Mapping[str, Any]) -> tuple[str, ...]:
    """The files that an editing tool was given, by all names that agents have for them."""
    single = (text(tool.get(key)) for key in _KEYS)
    several = (one for key in _LISTS for one in texts(tool.get(key)))
    return some([*single, *several])
