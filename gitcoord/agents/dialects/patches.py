"""The files that a patch of the tool `apply_patch` names: Codex edits with it. Pure; standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitcoord.agents.dialects import fields

_HEADS = ("*** Add File:", "*** Update File:", "*** Delete File:", "*** Move to:")
_KEYS = ("command", "input", "patch")  # how the text was called, by version
_SIZE = 1_000_000  # characters that are looked at


def files(tool: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths that the patch adds, updates, deletes or moves to, in its order.

    Lines of a file's content begin with a sign (`+`, `-`, a blank): a head can't stand in one.
    """
    found = []
    for key in _KEYS:
        given = tool.get(key)
        parts = given if isinstance(given, list) else [given]
        for part in parts:
            if isinstance(part, str):
                lines = part[:_SIZE].splitlines()
                found += [fields.text(line.partition(":")[2].strip()) for line in lines if line.startswith(_HEADS)]
    return fields.some(found)
