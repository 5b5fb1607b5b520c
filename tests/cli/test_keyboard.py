"""What a terminal sends, as keys."""

from __future__ import annotations

import pytest

from gitcoord.cli.keyboard import decode


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"q", ["q"]),
        (b"jj\r", ["j", "j", "enter"]),
        (b"\x1b[A\x1bOB", ["up", "down"]),
        (b"\x1b", ["escape"]),
        (b"\x1b\x1b", ["escape", "escape"]),
        (b"\x1bq", ["escape", "q"]),
        (b"\x1b[5~x", ["pageup", "x"]),
        (b"\x1b[200~pasted", [*"pasted"]),
        (b"\x1b[1;5Cq", ["q"]),
        (b"\x1b[", []),
        ("é".encode(), ["é"]),
        (b"\xff\x00", []),
        (b"", []),
    ],
)
def test_keys_are_told_apart(sent: bytes, keys: list[str]) -> None:
    assert decode(sent) == keys
