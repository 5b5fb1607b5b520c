"""The line of a prompt: who waits, what is unread, what is held, how old that is; short and inert."""

from __future__ import annotations

import pytest

from gitcoord.core.names import UNSAFE
from gitcoord.statusline.line import LIMIT, Glance, line


@pytest.mark.parametrize(
    ("glance", "told"),
    [
        (Glance("ada"), "gitcoord: ada"),
        (Glance("ada", age=0), "gitcoord: ada · now"),
        (Glance("ada", age=59), "gitcoord: ada · now"),
        (Glance("ada", age=60), "gitcoord: ada · 1m ago"),
        (Glance("ada", age=3600 * 5 + 59), "gitcoord: ada · 5h ago"),
        (Glance("ada", age=86400 * 3), "gitcoord: ada · 3d ago"),
        (Glance("ada", waiting=("ben",)), "gitcoord: ada · ben waits for you"),
        (Glance("ada", waiting=("ben", "cara")), "gitcoord: ada · ben, cara wait for you"),
        (Glance("ada", waiting=("ben", "cara", "dan")), "gitcoord: ada · ben, cara +1 wait for you"),
        (
            Glance("ada", ("a", "b", "c", "d"), ("ben",), 4, 2, 120),
            "gitcoord: ada · ben waits for you · 2 to answer · 4 unread · holds a, b +2 · 2m ago",
        ),
    ],
)
def test_line(glance: Glance, told: str) -> None:
    assert line(glance) == told


def test_line_is_short_and_inert_whatever_a_thing_is_called() -> None:
    hostile = "\x1b]0;x\x07\u202e\n" + "x" * 600
    told = line(Glance(hostile, (hostile,) * 9, (hostile,) * 9, 10**9, 10**9, 1e12))
    assert len(told) <= LIMIT
    assert not UNSAFE.search(told)
