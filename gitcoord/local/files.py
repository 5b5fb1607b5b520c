"""Small files written whole or not at all, on a place that only this user can read."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Writes aside, then renames: a reader sees the old file or the new one. `durable` survives a power cut."""
    aside = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Writes a value as JSON."""
    write(path, json.dumps(value, ensure_ascii=True).encode(), durable=durable)


def sweep(folder: Path, *, before: float) -> None:
    """Takes away what writers that were killed left beside their files, below `folder`, if it is older than `before`."""
    for path in folder.rglob(".*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


def read_json(path: Path) -> Any:
    """The value in a JSON file; None when there is none, or it isn't JSON (it was never half written by us)."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def private_folder(path: Path) -> Path:
    """The folder, made for this user alone. Raises OSError when it can't be, or is another's."""
    for level in (*reversed(path.parents), path):  # mkdir(parents=True) would give the mode to the last one only
        if not level.exists():
            level.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else")
    return path
