"""A plain file that is only appended to: each line is a message. It may be truncated, or replaced by a new one (rotated)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from gitcoord.relay.services.api import Busy, ChatMessage

_AT_ONCE = 1 << 20  # bytes of a file that are read in one look
_LONGEST = 16 * 1024  # bytes of a line; what is longer is cut


class Lines:
    """The file. A place in it is its generation, device and inode, and an offset: `0.2049.1234.56`."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self._file: BinaryIO | None = None  # kept open: what was rotated away is read to its end
        self._digest = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:10]

    def poll(self, place: str) -> tuple[Sequence[ChatMessage], str]:
        """The whole lines behind that place. A file that is new, or shorter than before, is read from its start."""
        try:
            return self._poll(place)
        except OSError as error:
            raise Busy(f"{self.path} can't be read: {error.strerror}") from None

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _poll(self, place: str) -> tuple[Sequence[ChatMessage], str]:
        generation, which, offset = _parse(place)
        if self._file is None:
            try:
                self._file = self.path.open("rb")
            except FileNotFoundError:
                return (), place or "0.-.0"  # whatever it will hold then is new
        status = os.fstat(self._file.fileno())
        here = f"{status.st_dev}.{status.st_ino}"
        if not place:
            return (), f"0.{here}.{self._whole(status.st_size)}"
        if which != here or status.st_size < offset:
            generation, offset = generation + 1, 0
        said, offset = self._read(generation, here, offset)
        if not said and self._is_replaced(here):
            self.close()
            return self._poll(f"{generation}.{here}.{offset}")
        return said, f"{generation}.{here}.{offset}"

    def _whole(self, size: int) -> int:
        """The offset behind the last whole line."""
        assert self._file is not None
        start = max(0, size - _AT_ONCE)
        self._file.seek(start)
        return start + self._file.read(size - start).rfind(b"\n") + 1

    def _is_replaced(self, here: str) -> bool:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        return f"{status.st_dev}.{status.st_ino}" != here

    def _read(self, generation: int, here: str, offset: int) -> tuple[list[ChatMessage], int]:
        assert self._file is not None
        self._file.seek(offset)
        data = self._file.read(_AT_ONCE)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == _AT_ONCE:
            end = len(data)  # a line without an end: it is taken in pieces
        found = []
        for line in data[:end].splitlines(keepends=True):
            text = line[:_LONGEST].decode("utf-8", "replace").strip()
            mark = hashlib.sha256(f"{generation} {here} {offset} ".encode() + line).hexdigest()[:16]
            offset += len(line)
            if text:
                found.append(ChatMessage(f"file.{self._digest}.{mark}", "", text, "file"))
        return found, offset


def _parse(place: str) -> tuple[int, str, int]:
    parts = place.split(".")
    if len(parts) < 3 or not parts[0].isdigit() or not parts[-1].isdigit():
        return 0, "", 0
    return int(parts[0]), ".".join(parts[1:-1]), int(parts[-1])
