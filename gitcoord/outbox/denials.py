"""What was refused to the sessions of this machine: who asked for what, when, and why not. It is kept here and nowhere else.

Loads the standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gitcoord.machine import files

_BYTES = 1 << 18  # some hundred of them; the older half goes then


@dataclass(frozen=True)
class Denial:
    """A refusal. `asked`: the kind of command; `message`, `hint`: what was said to who asked."""

    at: datetime
    session: str
    asked: str
    resources: tuple[str, ...]
    error: str
    exit_code: int
    message: str
    hint: str


def note(outbox: Path, denial: Denial) -> None:
    """Note a refusal. Without room for that it is told once, as always, and forgotten."""
    with suppress(OSError):
        record = {**asdict(denial), "at": denial.at.astimezone(UTC).isoformat()}
        path = _list(outbox)
        files.private_folder(path.parent)
        files.append(path, json.dumps(record).encode() + b"\n", limit=_BYTES)


def noted(outbox: Path, session: str | None = None) -> Sequence[Denial]:
    """Return the refusals that are kept, oldest first; of that session only, if one is named."""
    found = []
    with suppress(OSError):
        for line in (files.read_bytes(_list(outbox)) or b"").splitlines():
            with suppress(ValueError, TypeError, KeyError):
                record = json.loads(line)
                given = {**record, "at": datetime.fromisoformat(record["at"]), "resources": tuple(record["resources"])}
                found.append(Denial(**given))
    return [one for one in found if session in (None, one.session)]


def _list(outbox: Path) -> Path:
    return outbox / "denied" / "denied.jsonl"
