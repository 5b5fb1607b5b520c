"""Which tests stand behind `--long`: those that cost much and reach no block of the program that others don't.

    python tests/house/blocks.py mark TREE             every block of TREE's program notes that it was reached
    python tests/house/blocks.py choose FILE [FILE …]  write tests/house/long.txt from what the marked trees' runs wrote

`TREE` is a clone of its own with a `.venv`: its files are changed. A marked tree's tests are run by one process, in a cgroup of
its own where the whole suite's CPU time is to be shared out among the tests:

    pytest --long -p blocks --blocks FILE [--usage /sys/fs/cgroup/cpuacct/NAME/cpuacct.usage]

`FILE` gets a line of JSON for each test: its name, its CPU seconds (children's included), and the blocks that it reached, in this
process, in its children, and in processes that were killed. A block is the body of a function, a branch, a loop, or a handler.
"""

from __future__ import annotations

import argparse
import ast
import heapq
import json
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
LONG = HERE / "tests" / "house" / "long.txt"

CHEAP = 0.2
"""CPU seconds up to which a test is always run."""
OF_A_FUNCTION = 1.0
"""CPU seconds up to which the cheapest test of each function is always run."""
WORTH = 0.2
"""Blocks that a CPU second has to reach which nothing cheaper does."""

HEAD = """\
# Tests that only --long runs: each costs over a CPU second (or is a further parameter of one that is run) and reaches no block of
# the program that the others don't. `python tests/house/blocks.py` measures and writes this.
"""

Reached = dict[str, tuple[float, frozenset[int]]]
"""For each test its CPU seconds and the blocks that it reached."""


class _Marker(ast.NodeTransformer):
    """Puts a mark at the beginning of every block of one module."""

    def __init__(self, first: int) -> None:
        self.count = first

    def _mark(self, body: list[ast.stmt]) -> None:
        place = 1 if len(body) > 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) else 0
        body.insert(place, ast.parse(f"_BLOCKS[{self.count}] = 1").body[0])
        self.count += 1

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Mark the node's blocks, the inner ones first."""
        super().generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ExceptHandler | ast.match_case):
            self._mark(node.body)
        elif isinstance(node, ast.If | ast.For | ast.While | ast.AsyncFor):
            self._mark(node.body)
            if node.orelse and not (isinstance(node, ast.If) and isinstance(node.orelse[0], ast.If)):
                self._mark(node.orelse)
        return node


def mark(tree: Path) -> int:
    """Mark the program of a tree; return how many blocks it has."""
    notes, count = tree / "blocks", 0
    for path in sorted((tree / "gitcoord").rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if all(isinstance(each, ast.Expr) for each in module.body):
            continue
        marker = _Marker(count)
        module = marker.visit(module)
        count = marker.count
        after = [
            number for number, each in enumerate(module.body) if isinstance(each, ast.ImportFrom) and each.module == "__future__"
        ]
        place = after[-1] + 1 if after else 1 if isinstance(module.body[0], ast.Expr) else 0
        module.body.insert(place, ast.parse("from gitcoord.blocks import BLOCKS as _BLOCKS").body[0])
        path.write_text(ast.unparse(ast.fix_missing_locations(module)) + "\n", encoding="utf-8")
    notes.write_bytes(bytes(count))
    (tree / "gitcoord" / "blocks.py").write_text(
        f"import mmap, os\n_file = os.open({str(notes)!r}, os.O_RDWR)\nBLOCKS = mmap.mmap(_file, {count})\nos.close(_file)\n"
    )
    return count


# --- one run -------------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run in a marked tree."""
    parser.addoption("--blocks", metavar="FILE", help="note which tests reach which blocks of a tree that `blocks.py` marked")
    parser.addoption("--usage", metavar="FILE", help="where the system counts this run's CPU nanoseconds")


def pytest_configure(config: pytest.Config) -> None:
    """Follow the tests, where that is asked for."""
    if config.getoption("--blocks", default=None):
        config.pluginmanager.register(_Follower(Path(config.getoption("--blocks")), config.getoption("--usage")))


class _Follower:
    """Writes a line for each test."""

    def __init__(self, out: Path, usage: str | None) -> None:
        self.out, self.usage = out, usage
        with (HERE / "blocks").open("r+b") as notes:
            self.blocks = mmap.mmap(notes.fileno(), 0)

    def _seconds(self) -> float:
        return int(Path(self.usage).read_text()) / 1e9 if self.usage else sum(os.times()[:4])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Run one test."""
        self.blocks[:] = bytes(len(self.blocks))
        began = self._seconds()
        try:
            return (yield)
        finally:
            reached = [number for number, mark in enumerate(self.blocks[:]) if mark]
            row = {"test": item.nodeid, "cpu": round(self._seconds() - began, 4), "blocks": reached}
            with self.out.open("a") as file:
                file.write(json.dumps(row) + "\n")


# --- the choice ----------------------------------------------------------------------------------------------------------


def chosen(tests: Reached) -> set[str]:
    """Return the tests that are always run: the cheap ones, the cheapest of each function, and for each block that is left the one
    that reaches most such blocks in a CPU second.
    """
    found = {name for name, (cpu, _) in tests.items() if cpu <= CHEAP}
    cheapest: dict[str, tuple[float, str]] = {}
    for name, (cpu, _) in tests.items():
        function = name.partition("[")[0]
        cheapest[function] = min(cheapest.get(function, (cpu, name)), (cpu, name))
    found |= {name for cpu, name in cheapest.values() if cpu <= OF_A_FUNCTION}
    left = set().union(*(blocks for _, blocks in tests.values()))
    left -= set().union(*(tests[name][1] for name in found))
    heap = [(-len(blocks & left) / cpu, name) for name, (cpu, blocks) in tests.items() if name not in found and blocks & left]
    heapq.heapify(heap)
    while heap:
        hoped, name = heapq.heappop(heap)
        cpu, blocks = tests[name]
        worth = len(blocks & left) / cpu
        if worth < -hoped - 1e-9:
            if worth:
                heapq.heappush(heap, (-worth, name))
        elif worth >= WORTH:
            found.add(name)
            left -= blocks
    return found


def choose(files: list[Path]) -> None:
    """Write the list of what only `--long` runs, and say what it comes to."""
    tests: Reached = {}
    for file in files:
        for line in file.read_text().splitlines():
            row = json.loads(line)
            tests[row["test"]] = row["cpu"], frozenset(row["blocks"])
    short = chosen(tests)
    LONG.write_text(HEAD + "".join(f"{name}\n" for name in sorted(set(tests) - short)), encoding="utf-8")
    for title, names in (("all", set(tests)), ("short", short)):
        blocks = set().union(*(tests[name][1] for name in names))
        print(f"{title:6} {len(names):5} tests {sum(tests[name][0] for name in names):7.0f} CPU s {len(blocks):5} blocks")


def main() -> None:
    """Do what the words ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mark", "choose"))
    parser.add_argument("places", nargs="+", type=Path)
    given = parser.parse_args()
    if given.what == "mark":
        print(mark(given.places[0].resolve()), "blocks")
    else:
        choose(given.places)


if __name__ == "__main__":
    main()
