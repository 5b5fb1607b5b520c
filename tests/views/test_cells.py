"""How many columns a text takes in a terminal, and where it is cut."""

from __future__ import annotations

import pytest
from hostile import TEXTS

from gitcoord.core.names import UNSAFE
from gitcoord.views.cells import cut, fit, width


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("中文", 4), ("e\u0301", 1), ("", 0), ("ア", 2), ("ｱ", 1)])
def test_a_text_takes_columns(text: str, columns: int) -> None:
    assert width(text) == columns


def test_a_wide_letter_is_not_cut_in_half() -> None:
    assert cut("中文字", 4) == "中…"
    assert fit("中文字", 4) == "中… "
    assert fit("ab", 4) == "ab  "


@pytest.mark.parametrize("columns", [1, 7, 40])
def test_any_text_fits_and_moves_nothing(columns: int) -> None:
    for text in TEXTS:
        assert width(fit(text, columns)) == columns
        assert not UNSAFE.search(fit(text, columns))
