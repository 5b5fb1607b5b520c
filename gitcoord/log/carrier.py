"""Commands ↔ trailers of a commit on a session's own branch, where it may not push ours.

    coord: 2 events [skip ci]

    Coord-Carry: 1.eyJicmFuY2giOi…
    Coord-Carry: 1.eyJicmFuY2giOi…

A trailer is a version and, in base64url, the JSON of one command and of the branch that it was written for. Who reads it trusts
nothing: what it says is checked like any command, and for whom it may speak by `core/carrying`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from gitcoord.core.carrying import CARRIED
from gitcoord.core.events import Command
from gitcoord.core.names import branch_or_none, is_session_name

AT_ONCE = 64  # commands of one commit
LINE_LIMIT = 128 * 1024  # characters of a trailer: a message of 64 KB fits
_VERSION = "1"
_TITLE = "Coord-Carry"
_LINE = re.compile(rf"{_TITLE}: (.*)")
_VALUE = re.compile(rf"{_VERSION}\.([A-Za-z0-9_-]+)", re.ASCII)
_KINDS = {kind.kind: kind for kind in CARRIED}
_OWN = {"caller", "carried"}  # what only the machine that carries a command out can say


class Carried(NamedTuple):
    """A command that a commit carries, and the branch that it was written for."""

    branch: str
    command: Command


class NotCarried(ValueError):
    """A trailer that is no command; its text says why."""


def encode(command: Command, branch: str) -> str:
    """Return the trailer of a command. Raises NotCarried for what is too large, or of no kind that is carried."""
    if command.kind not in _KINDS:
        raise NotCarried(f"{command.kind} can't be carried")
    body = {"branch": branch, "kind": command.kind, "command": command.model_dump(mode="json", exclude=_OWN, exclude_defaults=True)}
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    line = f"{_TITLE}: {_VERSION}.{base64.urlsafe_b64encode(text).decode('ascii').rstrip('=')}"
    if len(line) > LINE_LIMIT:
        raise NotCarried(f"{command.kind} is too large to be carried")
    return line


def message(trailers: Sequence[str], *, skip_ci: bool) -> str:
    """Return the message of an empty commit with those trailers."""
    count = f"{len(trailers)} event" + ("" if len(trailers) == 1 else "s")
    return f"coord: {count}{' [skip ci]' if skip_ci else ''}\n\n" + "\n".join(trailers) + "\n"


def decode(text: str | None) -> list[Carried | NotCarried]:
    """Return what a commit's message carries, in order; in place of a trailer that is no command, why it is none."""
    if not text or _TITLE not in text:
        return []
    lines = [match[1] for line in text.split("\n") if (match := _LINE.fullmatch(line))]
    if len(lines) > AT_ONCE:
        return [NotCarried(f"it carries {len(lines)} commands, more than {AT_ONCE}")]
    return [_command(line) for line in lines]


def _command(line: str) -> Carried | NotCarried:
    if len(line) > LINE_LIMIT:
        return NotCarried("it is too large")
    match = _VALUE.fullmatch(line)
    if match is None:
        return NotCarried("it is not spelled as this version spells it")
    try:
        data = base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4))
        body = json.loads(data.decode("ascii"))
        return _read(body)
    except (binascii.Error, UnicodeDecodeError, RecursionError, ValidationError) as error:
        return NotCarried("it holds no command" if not isinstance(error, ValidationError) else "its command is not valid")
    except ValueError as error:
        return error if isinstance(error, NotCarried) else NotCarried("it holds no JSON")


def _read(body: Any) -> Carried:
    """Return the command in that JSON. Raises NotCarried, ValidationError."""
    if not isinstance(body, dict) or set(body) != {"branch", "kind", "command"} or not isinstance(body["command"], dict):
        raise NotCarried("it holds no command")
    kind, branch, given = body["kind"], body["branch"], body["command"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise NotCarried("it is of no kind that is carried")
    if not isinstance(branch, str) or branch_or_none(branch) is None:
        raise NotCarried("it names no branch")
    if _OWN & set(given):
        raise NotCarried("it says what only its adopter can say")
    command = _KINDS[kind].model_validate(given)
    if not is_session_name(command.session) or not command.run_id:
        raise NotCarried("it names no session")
    return Carried(branch, command)
