"""Files that a person asked for: an answer that goes into a file and not to standard output."""

from __future__ import annotations

from pathlib import Path

from gitcoord.errors import BadInput


def write(output: Path, text: str) -> int:
    """Write the text to that file; return how many bytes it has. Raises BadInput."""
    data = text.encode()
    try:
        output.write_bytes(data)
    except OSError as error:
        raise BadInput(f"{output} can't be written: {error.strerror}") from None
    return len(data)
