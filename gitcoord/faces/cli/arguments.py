"""What was typed → values: resources, texts from standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gitcoord.bootstrap import Connection
from gitcoord.coordinator import Coordinator
from gitcoord.core import names
from gitcoord.core.names import Resource
from gitcoord.core.times import parse_duration
from gitcoord.errors import BadInput
from gitcoord.faces.cli.context import here_and_root


def resources(found: Connection, words: Sequence[str]) -> list[Resource]:
    """The resources in `[TYPE] NAME…`: `TYPE:NAME` anywhere; a sole word is a path; else a first word that can be a type is one.

    Raises BadInput.
    """
    here, root = here_and_root(found)
    repo = found.coordinator.who.namespace
    words = list(words)
    kind = "file"
    if len(words) > 1 and names.is_resource_type(words[0]):
        kind, words = words[0], words[1:]
    parsed = []
    for word in words:
        if kind == "file":
            parsed.append(names.parse_named(word, root=root, here=here, repo=repo))
        else:
            parsed.append(names.parse_resource(kind, word, root=root, here=here, repo=repo))
    return list(dict.fromkeys(parsed))


def resource(found: Connection, text: str) -> Resource:
    """The one resource in `TYPE:NAME`, or a path."""
    return resources(found, [text])[0]


def text_or_stdin(text: str) -> str:
    """The text, or standard input for `-`. Raises BadInput when that isn't UTF-8."""
    if text != "-":
        return text
    if sys.stdin is None:
        raise BadInput("standard input is closed, and - reads from there")
    data = sys.stdin.buffer.read(names.TEXT_LIMIT + 2)
    if len(data) > names.TEXT_LIMIT + 1:
        raise BadInput(f"standard input is longer than {names.TEXT_LIMIT} bytes")
    try:
        return data.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        raise BadInput("standard input is not valid UTF-8") from None


def patience(boss: Coordinator, timeout: str | None) -> float:
    """Seconds to wait: as asked; else 90 for an agent, whose shell cuts what takes longer, and days for a person."""
    if timeout is not None:
        return parse_duration(timeout).total_seconds()
    return 90.0 if boss.who.agent else 10 * 86400.0
