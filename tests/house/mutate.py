"""Break the program on purpose at places that a seed chooses, and see which tests notice.

    python tests/house/mutate.py places                     the places, as a table
    python tests/house/mutate.py beacons TREE               TREE's program notes which test reaches which place
    python tests/house/mutate.py run TREE --reached FILE    each place broken in TREE, one after the other; the tests that reach it

`TREE` is a clone of its own with a `.venv`: its files are changed. Which tests reach a place is found by one run of the suite,
by one process, in a tree with beacons:

    pytest -p mutate --reached FILE

`FILE` has a line of JSON for each test: its name, its seconds, the places that it reached (children's work included). A broken
place is noticed when one of these tests fails. Time that runs out is no notice.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
SEED, PLACES = 14, 60

_RULES = "state rules branch values"
_CLAIMS = "claims leases renewals releases requests queue overlap handover deadlocks sessions"
AREAS = {
    "engine": ("log", "git", *(f"core/{name}.py" for name in _RULES.split()), "coordinator/branch.py", "coordinator/commands.py"),
    "claims": (*(f"core/{name}.py" for name in _CLAIMS.split()), "coordinator/claims.py", "coordinator/sessions.py"),
    "outbox": ("outbox", "connection", "machine"),
    "hooks": ("githooks", "agents/hook", "agents/mailbox.py", "agents/arrival.py", "agents/background.py", "guard"),
}
"""What is broken: the parts of the package that decide, and as many places in each."""

_OTHER: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A piece of the source, and what stands there when it is broken. `start`, `end`, `body`: bytes; where its function begins."""

    area: str
    path: str
    line: int
    function: str
    start: int
    end: int
    text: str
    broken: str
    body: tuple[int, int]


class _Finder(ast.NodeVisitor):
    """Finds what could be broken in one module."""

    def __init__(self, area: str, path: str, source: bytes) -> None:
        self.area, self.path, self.source = area, path, source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.functions: list[ast.FunctionDef] = []
        self.places: list[Place] = []

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def _add(self, node: ast.expr | ast.stmt, broken: str) -> None:
        if not self.functions or "\n" in broken:
            return
        function = self.functions[0]
        first = function.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(function.body) > 1:
            first = function.body[1]
        if first.lineno == function.lineno:
            return  # `def f(): ...` in one line has no room for a beacon
        start, end = self._span(node)
        text = self.source[start:end].decode()
        column = (
            first.decorator_list[0].col_offset if isinstance(first, ast.FunctionDef) and first.decorator_list else first.col_offset
        )
        line = min([first.lineno, *(deco.lineno for deco in getattr(first, "decorator_list", []))])
        body = (self.starts[line - 1], column)
        name = ".".join(part.name for part in self.functions)
        self.places.append(Place(self.area, self.path, node.lineno, name, start, end, text, broken, body))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Enter a function."""
        self.functions.append(node)
        for statement in node.body:
            self.visit(statement)
        self.functions.pop()

    def visit_Compare(self, node: ast.Compare) -> None:
        """Turn a comparison round, or move its edge."""
        if len(node.ops) == 1:
            left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
            self._add(node, f"({left} {_OTHER[type(node.ops[0])]} {right})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Put `or` for `and`, and the other way round."""
        word = " or " if isinstance(node.op, ast.And) else " and "
        self._add(node, "(" + word.join(f"({ast.unparse(value)})" for value in node.values) + ")")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Drop a `not`."""
        if isinstance(node.op, ast.Not):
            self._add(node, f"bool({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        """Never take a branch."""
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self._add(node.test, "False")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Leave a call out."""
        if isinstance(node.value, ast.Call):
            self._add(node, "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Raise nothing."""
        self._add(node, "pass")

    def visit_Constant(self, node: ast.Constant) -> None:
        """Count one further."""
        if type(node.value) is int:
            self._add(node, str(node.value + 1))


def modules(area: str, tree: Path) -> Iterator[Path]:
    """Yield the modules of an area."""
    for name in AREAS[area]:
        path = tree / "gitcoord" / name
        yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def choose(tree: Path, *, seed: int = SEED, count: int = PLACES) -> list[Place]:
    """Choose as many places in each area, no two in one function."""
    dice = random.Random(seed)
    chosen: list[Place] = []
    for area in AREAS:
        found: dict[tuple[str, str], list[Place]] = {}
        for path in modules(area, tree):
            finder = _Finder(area, str(path.relative_to(tree)), path.read_bytes())
            finder.visit(ast.parse(finder.source))
            for place in finder.places:
                found.setdefault((place.path, place.function.partition(".")[0] + str(place.body[0])), []).append(place)
        for key in dice.sample(sorted(found), count // len(AREAS)):
            chosen.append(dice.choice(found[key]))
    return chosen


BEACON = '''\
"""Notes which test reaches which place."""
import os
FOLDER = {folder!r}
def reach(number):
    try:
        with open(FOLDER + "/current") as file:
            current = file.read()
        handle = os.open(FOLDER + "/reached", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{{number}} {{current}}\\n".encode())
        finally:
            os.close(handle)
    except OSError:
        pass
'''


def beacons(tree: Path, folder: Path) -> None:
    """Write into the functions of all places that they note who reaches them, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (tree / "gitcoord" / "beacon.py").write_text(BEACON.format(folder=str(folder)))
    by_path: dict[str, list[tuple[int, Place]]] = {}
    for number, place in enumerate(choose(tree)):
        by_path.setdefault(place.path, []).append((number, place))
    for path, places in by_path.items():
        source = (tree / path).read_bytes()
        for number, place in sorted(places, key=lambda each: -each[1].body[0]):
            start, column = place.body
            source = (
                source[:start] + b" " * column + f"__import__('gitcoord.beacon').beacon.reach({number})\n".encode() + source[start:]
            )
        (tree / path).write_bytes(source)
    (tree / "beacons").write_text(str(folder))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names where it is written which test reached what."""
    parser.addoption("--reached", metavar="FILE", help="note which tests reach which of the places that `mutate.py` chose")


def pytest_configure(config: pytest.Config) -> None:
    """Follow the tests, where that is asked for."""
    if config.getoption("--reached", default=None):
        config.pluginmanager.register(_Follower(Path(config.getoption("--reached"))))


class _Follower:
    """Writes a line for each test: its name, its seconds, the places that were reached while it ran."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.folder = Path((HERE / "beacons").read_text())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Run one test."""
        (self.folder / "current").write_text("1")
        (self.folder / "reached").write_text("")
        began, own = time.monotonic(), os.times()
        try:
            return (yield)
        finally:
            seconds, now = time.monotonic() - began, os.times()
            cpu = sum(now[:4]) - sum(own[:4])
            places = sorted({int(line.split()[0]) for line in (self.folder / "reached").read_text().splitlines()})
            with self.file.open("a") as file:
                file.write(
                    json.dumps({"test": item.nodeid, "seconds": round(seconds, 3), "cpu": round(cpu, 3), "places": places}) + "\n"
                )


def _noticed(tree: Path, tests: list[str], limit: float) -> str:
    """Return the first of the tests that fails, "" if none does, "(out of time)" if that isn't known."""
    names = tree / "names"
    names.write_text("\n".join(tests))
    words = [".venv/bin/python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "-rfE", f"@{names}"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.Popen(
        words, cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        out, _ = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        out, _ = child.communicate()
        return "(out of time)"
    for line in out.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split(" ")[1]
    return "" if child.returncode == 0 else f"(exit {child.returncode}) {out[-200:]!r}"


def run(tree: Path, reached: Path, out: Path, *, only: range, old: set[str] | None, limit: float) -> None:
    """Break one place after the other; write what noticed it.

    `old`: the tests that are to be dropped; they are asked only where no other one notices.
    """
    rows = [json.loads(line) for line in reached.read_text().splitlines()]
    for number, place in enumerate(choose(tree)):
        if number not in only:
            continue
        mine = Path(place.path).stem
        tests = sorted(
            (row for row in rows if number in row["places"]), key=lambda row: (f"test_{mine}" not in row["test"], row["seconds"])
        )
        kept = [row["test"] for row in tests if old is None or row["test"] not in old]
        dropped = [row["test"] for row in tests if old is not None and row["test"] in old]
        source = (tree / place.path).read_bytes()
        broken = source[: place.start] + place.broken.encode() + source[place.end :]
        (tree / place.path).write_bytes(broken)
        began = time.monotonic()
        try:
            by = _noticed(tree, kept, limit) if kept else ""
            late = "" if by or not dropped else _noticed(tree, dropped, limit)
        finally:
            (tree / place.path).write_bytes(source)
        row = {
            "number": number,
            "area": place.area,
            "place": f"{place.path}:{place.line}",
            "text": place.text,
            "broken": place.broken,
            "reached": len(tests),
            "by": by,
            "only dropped": late,
            "seconds": round(time.monotonic() - began),
        }
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def main() -> None:
    """Do what the words ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("places", "beacons", "run"))
    parser.add_argument("tree", nargs="?", type=Path, default=HERE)
    parser.add_argument("--folder", type=Path, help="where the beacons write")
    parser.add_argument("--reached", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--dropped", type=Path, help="a file with the names of tests that are to be dropped")
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--to", dest="last", type=int, default=PLACES)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that the tests of one place may take")
    given = parser.parse_args()
    tree = given.tree.resolve()
    if given.what == "places":
        for number, place in enumerate(choose(tree)):
            print(f"{number:3} {place.area:7} {place.path}:{place.line} {place.function}: {place.text!r} -> {place.broken!r}")
    elif given.what == "beacons":
        beacons(tree, given.folder.resolve())
    else:
        old = set(given.dropped.read_text().splitlines()) if given.dropped else None
        run(tree, given.reached, given.out, only=range(given.first, given.last, given.step), old=old, limit=given.limit)


if __name__ == "__main__":
    main()
