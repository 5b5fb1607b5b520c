"""Reads what lies in an outbox: commands that wait, pushes that were begun, the notes of `state.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from gitcoord.core.events import Caller, Command
from gitcoord.core.rules import COMMANDS
from gitcoord.machine import files


@dataclass(frozen=True)
class WaitingCommand:
    """A command in the outbox. `command` None: this program can't fully read it, a newer one perhaps can; `caller` is who waits
    for it, as far as that can be read.

    `since`: the tip up to which its operation was looked for before it was put here; "" when it is new.
    """

    op: str
    session: str
    command: Command | None
    since: str = ""
    caller: Caller | None = None


@dataclass(frozen=True)
class Push:
    """A push whose fate nobody has noted: the tip it was built on, its operations, and how many seconds ago it was begun."""

    name: str
    base: str
    ops: frozenset[str]
    age: float


@dataclass(frozen=True)
class Refusal:
    """The remote refuses every push of the branch by a rule of its own: since when, its words, and seconds since it was asked."""

    since: datetime
    words: str
    age: float


_NOTES: dict[str, type | tuple[type, ...]] = {
    "away_since": str, "tried_at": (int, float), "seq": int, "crowd": int, "rest": (int, float), "cool_until": (int, float),
    "refusals": dict, "packed_on": str, "refused_since": str, "refused_at": (int, float), "refused_words": str, "local": list,
}  # fmt: skip
"""What `state.json` may say. Other keys are a newer program's."""


def read_notes(value: Any) -> dict[str, Any]:
    """Return what `state.json` says. Raises TypeError."""
    known = files.mapping(value)
    for key, kind in _NOTES.items():
        if key in known and not isinstance(known[key], kind):
            raise TypeError(f"{key} is no {kind}")
    if not all(isinstance(count, int) for count in known.get("refusals", {}).values()):
        raise TypeError("refusals are counted")
    return known


def read_asked(value: Any) -> dict[str, Any]:
    """Return a command as it lies in the outbox. Raises TypeError, KeyError."""
    record = files.mapping(value)
    files.mapping(record["command"])
    str(record["kind"])
    return record


def read_riding(value: Any) -> tuple[str, str]:
    """Return the commit that a command rides on, and the tip when it was put there. Raises TypeError, KeyError."""
    record = files.mapping(value)
    return str(record["commit"]), str(record["since"])


def read_push(value: Any) -> tuple[str, frozenset[str]]:
    """Return the tip that a push was built on, and its operations. Raises TypeError, KeyError."""
    return str(value["base"]), frozenset(files.texts(value["ops"]))


def command_of(record: Mapping[str, Any]) -> Command | None:
    """Return the record's command; None where this program can't read it."""
    kind = COMMANDS.get(str(record.get("kind")))
    try:
        return kind.model_validate(record.get("command")) if kind else None
    except ValidationError:
        return None


def caller_of(body: Mapping[str, Any]) -> Caller | None:
    """Return who waits for a command; None where that can't be read."""
    try:
        return Caller.model_validate(body.get("caller"))
    except ValidationError:
        return None
