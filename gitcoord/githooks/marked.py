"""Lines of ours in a file that is another's: put in between two marks, known again by a digest, taken out to the byte.

Refuses to touch what lies between the marks once somebody has changed it, and every other line of the file.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Literal

from gitcoord.machine import files

State = Literal["absent", "installed", "edited"]
Change = Literal["none", "installed", "updated", "removed"]

_BLOCK = re.compile(rb"# >>> gitcoord ([0-9a-f]{32}) [^\n]*\n(?P<text>(?:[^\n]*\n)*?)# <<< gitcoord(?:\n|\Z)")


def block(text: bytes, note: str) -> bytes:
    """The lines between their marks. `note`: what a reader of the file should know, one line."""
    return b"# >>> gitcoord " + _digest(text) + b" " + note.encode() + b"\n" + text + b"# <<< gitcoord\n"


def state(path: Path) -> State:
    """Whether our lines are in the file. Raises OSError."""
    found = _BLOCK.search(_read(path))
    if not found:
        return "absent"
    return "installed" if found[1] == _digest(found["text"]) else "edited"


def put(path: Path, lines: bytes, *, head: bytes = b"", top: bool = False, mode: int = 0o666) -> Change:
    """Puts the lines (of `block`) in, or in the place of those that are there; may run twice. `head`: what a file that isn't there
    begins with; `top`: behind the file's first comments, where nothing can end it before; `mode`: of a new file. Raises OSError.
    """
    data = _read(path)
    found = _BLOCK.search(data)
    if found:
        if found[1] != _digest(found["text"]) or found[0] == lines.rstrip(b"\n") or found[0] == lines:
            return "none"
        end = b"" if not found[0].endswith(b"\n") else b"\n"
        _write(path, data[: found.start()] + lines.rstrip(b"\n") + end + data[found.end() :], mode)
        return "updated"
    if not os.path.lexists(path):
        _write(path, head + lines, mode)
        return "installed"
    at = _below_the_head(data) if top else len(data)
    if data[:at].endswith(b"\n") or not at:
        _write(path, data[:at] + lines + data[at:], mode)
    else:  # the last line has no end: so that it has none again afterwards, neither has ours
        _write(path, data + b"\n" + lines.rstrip(b"\n"), mode)
    return "installed"


def take_out(path: Path, *, head: bytes | None = None) -> Change:
    """Takes the lines out; a file in which nothing but `head` is left was made for them, and goes. Raises OSError."""
    data = _read(path)
    found = _BLOCK.search(data)
    if not found or found[1] != _digest(found["text"]):
        return "none"
    before, after = data[: found.start()], data[found.end() :]
    if not found[0].endswith(b"\n"):
        before = before.removesuffix(b"\n")
    if head is not None and before + after == head:
        path.unlink()
    else:
        _write(path, before + after, 0o666)
    return "removed"


def _below_the_head(data: bytes) -> int:
    """Where the first lines end that only say what the file is: `#!…`, comments, and husky 8's, which runs the file once more."""
    if re.search(rb"^\. .*husky\.sh", data, re.MULTILINE):
        found = re.search(rb"^\. .*husky\.sh[^\n]*(?:\n|\Z)", data, re.MULTILINE)
    else:
        found = re.match(rb"#![^\n]*(?:\n|\Z)", data)
    return found.end() if found else 0


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:32].encode()


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _write(path: Path, data: bytes, mode: int) -> None:
    """Writes it whole, with the mode that the file had."""
    files.write(path, data, mode=mode, keep_mode=True)
