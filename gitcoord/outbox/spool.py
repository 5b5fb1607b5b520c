"""What hooks leave on a session's outbox without the network and without loading the outbox: heartbeats, a message, its end.

Whoever flushes that outbox next sends them. Loads the standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gitcoord.core.names import SUBJECT_LIMIT, show
from gitcoord.errors import mask
from gitcoord.machine import files, ids
from gitcoord.machine.identity import Binding

_KEPT = 500  # entries of a session that wait; where nobody flushes, the oldest give way: a fold would drop them too
_LOG_SIZE = 64 * 1024  # bytes


def stamp(at: float | None = None) -> str:
    """That time (None: now), as records spell it."""
    return datetime.fromtimestamp(time.time() if at is None else at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def heartbeat(binding: Binding, entry: Mapping[str, object]) -> None:
    """Leaves an automatic heartbeat; one with `soon` waits for nobody's budget. Raises ValueError, OSError."""
    folder = _folder(binding, "spool", binding.session)
    waiting = sorted(folder.glob("*.json"))
    name = ids.new_id(after=waiting[-1].stem if waiting else "")
    files.write_json(folder / f"{name}.json", {"run_id": binding.run_id, **entry})
    for old in waiting[:-_KEPT]:
        old.unlink(missing_ok=True)


def end(binding: Binding) -> None:
    """Leaves the end of exactly that run, behind all that it has said before. Raises ValueError, OSError."""
    _leave(binding, "session.end", {})


def alert(binding: Binding, to: str, subject: str, text: str) -> None:
    """Leaves a message of the session to another, behind all that it has said before. Raises ValueError, OSError."""
    said = {"to": to, "subject": show(mask(subject), SUBJECT_LIMIT), "message": text, "type": "alert"}
    _leave(binding, "message.send", said)


def _leave(binding: Binding, kind: str, more: Mapping[str, object]) -> None:
    """Leaves a command that nobody waits for, as a process that has loaded all commands would write it."""
    outbox = _folder(binding, "outbox")
    said = [*outbox.glob("*.json"), *_folder(binding, "spool", binding.session).glob("*.json")]
    op = ids.new_id(after=max((path.stem for path in said), default=""))
    command = {"op": op, "session": binding.session, "run_id": binding.run_id, "at": stamp(), **more}
    # The mark first: whoever flushes in between must know that nobody waits for the answer.
    files.touch(_folder(binding, "queued") / op)
    files.write_json(outbox / f"{op}.json", {"kind": kind, "command": command, "since": ""}, durable=True)


def _folder(binding: Binding, *names: str) -> Path:
    outbox = Path(binding.outbox)
    if not outbox.is_absolute():
        raise ValueError("the session's outbox is no place")
    folder = files.private_folder(outbox)
    for name in names:
        folder = files.private_folder(folder / name)
    return folder


def log(path: Path, line: str) -> None:
    """Adds a line to a log of hooks; when it is full, its older half goes."""
    with suppress(OSError):
        files.append(path, f"{stamp()} {show(mask(line))}\n".encode("utf-8", "replace"), limit=_LOG_SIZE)
