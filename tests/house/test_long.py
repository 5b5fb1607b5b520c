"""The list of what only `--long` runs names tests that exist, and the choice keeps what the others don't reach."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import blocks
import pytest

HERE = Path(__file__).resolve().parents[2]
NAMES = [line for line in blocks.LONG.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


@cache
def functions(path: str) -> set[str]:
    """The test functions of a file; none where there is no such file."""
    file = HERE / path
    nodes = ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def stale(names: list[str]) -> list[str]:
    """Those that name no test function."""
    parts = [name.partition("::") for name in names]
    return [f"{path}::{test}" for path, _, test in parts if test.partition("[")[0] not in functions(path)]


def test_every_line_names_a_test() -> None:
    assert NAMES
    assert stale(NAMES) == []
    assert stale(["tests/house/test_long.py::test_gone[a]", "tests/gone.py::test_x"]) != []


@pytest.mark.parametrize(
    ("tests", "kept"),
    [
        ({"a": (0.1, {1}), "b": (9.0, {1})}, {"a"}),  # what is cheap is kept, and b adds nothing
        ({"a": (9.0, {1, 2, 3}), "b": (3.0, {1, 2, 3})}, {"b"}),  # the cheaper one of two that reach the same
        ({"a": (50.0, {1}), "b": (0.1, {2})}, {"b"}),  # one block is not worth fifty seconds
        ({"f[x]": (0.9, {1}), "f[y]": (0.8, {1}), "g": (0.1, {1})}, {"f[y]", "g"}),  # the cheapest of a function
    ],
)
def test_the_choice(tests: dict[str, tuple[float, set[int]]], kept: set[str]) -> None:
    assert blocks.chosen({name: (cpu, frozenset(reached)) for name, (cpu, reached) in tests.items()}) == kept
