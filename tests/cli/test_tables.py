"""A table fits its terminal: one line a row, times whole, names of files to be seen; elsewhere nothing is cut."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from gitcoord.cli import tables

HEADERS = ["WHAT", "HOLDER", "ENDS", "FENCE", "FOR"]
LONG = "services/payments-gateway/internal/handlers/refund_controller.go"
ROWS = [
    ["file:src/api.py", "ada", "in 3 h 25 min", "9", "rate limits, as the customer in Oslo asked for them in writing"],
    [f"file:{LONG}", "cleo (codex on host-5bce98)", "12 min ago", "14", ""],
    ["日本語のファイル", "é🤝" * 20, "just now", "100", "x" * 200],
]


@pytest.mark.parametrize("room", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_time_is_cut(room: int) -> None:
    lines = tables.laid_out(HEADERS, ROWS, room=room, firm=["ENDS", "FENCE"])
    assert len(lines) == 4
    assert max(map(cell_len, lines)) <= room
    for line, time in zip(lines[1:], ("in 3 h 25 min", "12 min ago", "just now"), strict=True):
        assert time in line
        assert cell_len(line[: line.index(time)]) == cell_len(lines[0][: lines[0].index("ENDS")])  # the columns stay straight


def test_columns_that_hold_nothing_make_room_first() -> None:
    rows = [[what, "", "in 1 h", "", "why"] for what in ("a", "b" * 60)]
    assert tables.laid_out(HEADERS, rows, room=80, firm=["ENDS"])[0].split() == ["WHAT", "ENDS", "FOR"]


def test_elsewhere_nothing_is_cut_and_nothing_left_out() -> None:
    text = "\n".join(tables.laid_out(HEADERS, ROWS, room=None))
    assert all(cell in text for row in (HEADERS, *ROWS) for cell in row)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        (f"file:{LONG}", 80, f"file:{LONG}"),
        (f"file:{LONG}", 40, "file:services/…/refund_controller.go"),
        (f"file:{LONG}", 26, "file…/refund_controller.go"),
        (f"file:{LONG}", 10, "file:serv…"),
        ("the words of a sentence", 12, "the words o…"),
        ("anything", 1, "…"),
    ],
)
def test_a_path_gives_way_in_its_middle_and_words_at_their_end(text: str, width: int, shown: str) -> None:
    assert tables.shorten(text, width) == shown


def test_a_line_is_broken_between_words_only() -> None:
    assert tables.broken(f"  cleo holds {LONG} still", 40) == ["  cleo holds", f"      {LONG}", "      still"]


def test_a_line_is_not_broken_within_a_time() -> None:
    text = "  ada and ben will conflict in src/web/form.tsx:10-20 (git can't merge them) (8 h 51 min ago)"
    for width in range(40, 100):
        lines = tables.broken(text, width)
        assert max(map(len, lines)) <= width
        assert any("8 h 51 min ago" in line for line in lines), width
        assert " ".join(" ".join(lines).split()) == text.strip()
