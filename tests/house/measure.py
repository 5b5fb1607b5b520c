"""Measures how the package is built, and prints a small table: `python tests/house/measure.py [FOLDER]`, with `--details` also what
is behind each number. It reads the sources only (`ast`) and imports nothing of them. Without a folder: the package beside `tests`.

module        a file *.py below the package's folder
room          a folder of the package that holds modules, its own folder excepted; and each module at the package's root, but for
              `__init__` and `__main__`. A folder within a folder is a room of its own
import        any statement that imports a module of the package: at the top, within a function, and for types only
arrow         two different rooms, a module of one of which imports a module of the other; one arrow each, however many imports
circle        modules (or rooms) each of which can be reached from each other one by imports: a strongly connected component of at
              least two
floors        the rooms on the longest chain of arrows, where the rooms of a circle count as one
back up       the fewest arrows that must go, so that no circle of rooms is left
lines         all lines of a module; of a function those from its `def` to its end, decorators excepted, nested functions included
gerund        a module whose name is, or ends in, a word that ends in -ing, but for NOUNS
twice         a class name that more than one class of the package has, at the top of a module or within another class
wide class    a class with more than 40 methods, those included that it inherits from classes of the package
field set     an assignment to a field (`x.y = ...`, `setattr(x, ...)`) of another object than `self` or `cls`; not where the same
              function made `x` as an object of its own class (`cls(...)`, `Name(...)` within the class Name, `__new__`)
"""

from __future__ import annotations

import argparse
import ast
import itertools
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NOUNS = frozenset({"briefing", "string", "thing", "ring", "king", "wing", "setting", "warning", "heading", "building"})
WIDE = 40  # methods
_TRIED = 8  # rooms of a circle up to which all orders are tried

Graph = dict[str, set[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """A module: its dotted name, where it lies, its tree and its text's lines."""

    name: str
    path: Path
    tree: ast.Module
    lines: int
    is_package: bool


@dataclass
class Class:
    """A class: where it lies, the names of its bases as they are written, and of its methods."""

    module: Module
    node: ast.ClassDef
    bases: list[str] = field(default_factory=list)
    methods: set[str] = field(default_factory=set)


class Package:
    """All modules below a folder, and what can be counted of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[str, Module] = {}
        for path in sorted(folder.rglob("*.py")):
            if any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts):
                continue
            parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            text = path.read_text(encoding="utf-8")
            self.modules[name] = Module(name, path, ast.parse(text, str(path)), text.count("\n"), is_package)
        self.imports: Graph = {name: set(self._imports(module)) - {name} for name, module in self.modules.items()}
        self.rooms: Graph = {}
        for name in self.modules:
            if (room := self.room(name)) is not None:
                self.rooms.setdefault(room, set())
        for name, others in self.imports.items():
            here = self.room(name)
            for other in others:
                there = self.room(other)
                if here is not None and there is not None and here != there:
                    self.rooms[here].add(there)

    def room(self, name: str) -> str | None:
        """Return the room of a module; None for the package itself and its `__main__`."""
        module = self.modules[name]
        parts = name.split(".")
        inner = parts if module.is_package else parts[:-1]
        if len(inner) > 1:
            return ".".join(inner[1:])
        return None if module.is_package or parts[-1] == "__main__" else parts[-1]

    def _imports(self, module: Module) -> Iterator[str]:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name in self.modules)
            elif isinstance(node, ast.ImportFrom):
                start = self._start(module, node)
                for alias in node.names:
                    full = f"{start}.{alias.name}"
                    if full in self.modules:
                        yield full
                    elif start in self.modules:
                        yield start

    @staticmethod
    def _start(module: Module, node: ast.ImportFrom) -> str:
        """Return the module that a `from` names."""
        if not node.level:
            return node.module or ""
        parts = module.name.split(".")
        above = parts[: len(parts) - node.level + module.is_package]
        return ".".join([*above, *([node.module] if node.module else [])])

    # --- what can be counted -------------------------------------------------------------------------------------------

    def functions(self) -> list[tuple[int, str]]:
        """Return the lines and names of all functions, the longest first."""
        sizes = [
            ((node.end_lineno or node.lineno) - node.lineno + 1, f"{module.name}:{node.name}")
            for module in self.modules.values()
            for node in ast.walk(module.tree)
            if isinstance(node, Function)
        ]
        return sorted(sizes, reverse=True)

    def gerunds(self) -> list[str]:
        """Return the modules that are named by gerunds."""
        last = {name: name.rpartition(".")[2].rpartition("_")[2] for name in self.modules}
        return [name for name, word in last.items() if word.endswith("ing") and word not in NOUNS]

    def classes(self) -> list[Class]:
        """Return all classes."""
        every = []
        for module in self.modules.values():
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    bases = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
                    methods = {child.name for child in node.body if isinstance(child, Function)}
                    every.append(Class(module, node, bases, methods))
        return every

    def twice(self) -> dict[str, list[str]]:
        """Return the class names that exist more than once, each with the modules."""
        places: dict[str, list[str]] = defaultdict(list)
        for known in self.classes():
            places[known.node.name].append(known.module.name)
        return {name: where for name, where in sorted(places.items()) if len(where) > 1}

    def wide(self) -> list[tuple[str, int, int]]:
        """Return the classes with more than 40 methods: name, public methods, all methods."""
        by_name: dict[str, list[Class]] = defaultdict(list)
        for known in self.classes():
            by_name[known.node.name].append(known)

        def base(known: Class, name: str) -> Class | None:
            near = [other for other in by_name[name] if other.module.name in {known.module.name, *self.imports[known.module.name]}]
            return near[0] if near else None

        def methods(known: Class, seen: frozenset[int] = frozenset()) -> set[str]:
            names = set(known.methods)
            for name in known.bases:
                above = base(known, name)
                if above is not None and id(above) not in seen:
                    names |= methods(above, seen | {id(known)})
            return names

        rows = []
        for known in self.classes():
            names = methods(known)
            if len(names) > WIDE:
                public = sum(not name.startswith("_") for name in names)
                rows.append((f"{known.module.name}.{known.node.name}", public, len(names)))
        return sorted(rows, key=lambda row: -row[2])

    def fields_set(self) -> list[str]:
        """Return where fields of other objects are assigned."""
        return [
            f"{module.path.relative_to(self.folder)}:{line} {text}"
            for module in self.modules.values()
            for line, text in sorted(_fields_set(module.tree, "", frozenset()))
        ]


def _fields_set(node: ast.AST, owner: str, made: frozenset[str]) -> Iterator[tuple[int, str]]:
    """The assignments below a node. `owner`: the class that it stands in; `made`: names of new objects of it."""
    if isinstance(node, ast.ClassDef):
        owner, made = node.name, frozenset()
    elif isinstance(node, Function):
        made = frozenset(_made(node, owner))
    targets: Iterable[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor):
        targets = [node.target]
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        targets = [node.optional_vars]
    for target in targets:
        for leaf in _leaves(target):
            if isinstance(leaf, ast.Attribute) and not _is_own(leaf.value, made):
                yield leaf.lineno, ast.unparse(leaf)
    is_setattr = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr"
    if is_setattr and isinstance(node, ast.Call) and node.args and not _is_own(node.args[0], made):
        yield node.lineno, ast.unparse(node)
    for child in ast.iter_child_nodes(node):
        yield from _fields_set(child, owner, made)


def _leaves(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from _leaves(part)
    elif isinstance(target, ast.Starred):
        yield from _leaves(target.value)
    else:
        yield target


def _is_own(value: ast.expr, made: frozenset[str]) -> bool:
    return isinstance(value, ast.Name) and value.id in {"self", "cls", *made}


def _made(function: Function, owner: str) -> Iterator[str]:
    """The variables of a function that hold a new object of the class that the function belongs to."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            called = ast.unparse(node.value.func)
            if called in {"cls", owner, "object.__new__", "super().__new__"} or called.endswith(".__new__"):
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))


# --- graphs ------------------------------------------------------------------------------------------------------------


def components(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected components, those that others depend on first (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result: list[set[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            result.append(set(stack[at:]))
            del stack[at:]

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return result


def longest_chain(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the longest chain of components, from the highest to the lowest; a circle's rooms stand in one entry."""
    best: dict[str, list[str]] = {}
    chain: list[str] = []
    for part in components(graph):
        below = [best[other] for name in part for other in graph[name] if other not in part]
        mine = [" = ".join(sorted(part)), *max(below, key=len, default=[])]
        best |= dict.fromkeys(part, mine)
        chain = max(chain, mine, key=len)
    return chain


def back_up(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the fewest arrows without which no circle is left; in circles of more than eight rooms a greedy choice of few."""
    arrows = []
    for part in components(graph):
        inner = {(name, other) for name in part for other in graph[name] & part}
        if len(part) <= _TRIED:
            orders: Iterable[Sequence[str]] = itertools.permutations(sorted(part))
        else:
            orders = [sorted(part, key=lambda name: (len(graph[name] & part) - _into(graph, name, part), name))]
        wrong: list[list[str]] = [[f"{a} -> {b}" for a, b in sorted(inner) if order.index(a) < order.index(b)] for order in orders]
        fewest: list[str] = min(wrong, key=len)
        arrows += fewest
    return arrows


def _into(graph: Mapping[str, set[str]], name: str, part: set[str]) -> int:
    return sum(name in graph[other] for other in part)


# --- the table ---------------------------------------------------------------------------------------------------------


def rows(package: Package, tests: Path) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield what is measured: its name, the number, and what is behind it."""
    modules, sizes = package.modules, package.functions()
    lines = [size for size, _ in sizes]
    largest = sorted(modules.values(), key=lambda module: -module.lines)
    yield "modules", str(len(modules)), []
    yield "lines", str(sum(module.lines for module in modules.values())), []
    yield "largest module, lines", str(largest[0].lines), [f"{module.lines} {module.name}" for module in largest[:5]]
    median, p90 = statistics.median(lines), statistics.quantiles(lines, n=10)[-1]
    yield "functions", str(len(lines)), []
    yield "function lines: median, p90, max", f"{median:g}, {p90:g}, {max(lines)}", [f"{size} {name}" for size, name in sizes[:5]]
    yield "rooms", str(len(package.rooms)), [", ".join(sorted(package.rooms))]
    chain = longest_chain(package.rooms)
    yield "floors", str(len(chain)), chain
    yield "arrows between rooms", str(sum(map(len, package.rooms.values()))), []
    for what, graph in (("modules", package.imports), ("rooms", package.rooms)):
        circles = [part for part in components(graph) if len(part) > 1]
        count = f"{len(circles)}" + (f" (of {', '.join(str(len(part)) for part in circles)})" if circles else "")
        yield f"circles between {what}", count, [", ".join(sorted(part)) for part in circles]
    up = back_up(package.rooms)
    yield "arrows back up", str(len(up)), up
    root = [name for name in modules if name.count(".") == 1 and not modules[name].is_package]
    root_names = [package.folder.name, *root] if package.folder.name in modules else root
    yield "modules at the package's root", str(len(root_names)), []
    files = sorted(path.name for path in tests.glob("*") if path.is_file()) if tests.is_dir() else []
    yield "files at the root of tests", str(len(files)) if tests.is_dir() else "-", []
    twice = package.twice()
    yield "class names that exist more than once", str(len(twice)), [f"{name}: {', '.join(where)}" for name, where in twice.items()]
    gerunds = package.gerunds()
    yield "modules named by gerunds", str(len(gerunds)), [", ".join(gerunds)]
    wide = package.wide()
    told = [f"{name}: {public} public of {every} methods" for name, public, every in wide]
    yield "classes of more than 40 methods", str(len(wide)), told
    yield "public functions of the widest class", str(wide[0][1]) if wide else "40 or less", []
    fields = package.fields_set()
    files_of = Counter(entry.partition(":")[0] for entry in fields)
    yield "assignments to another object's field", f"{len(fields)} (in {len(files_of)} modules)", fields


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Measures how the package is built.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parents[2] / "gitcoord")
    parser.add_argument("--details", action="store_true", help="print also what is behind each number")
    given = parser.parse_args(argv)
    folder = given.folder.resolve()
    if not (folder / "__init__.py").is_file():
        parser.error(f"{folder} is no package")
    for name, number, details in rows(Package(folder), folder.parent / "tests"):
        print(f"{name:<40} {number}")
        for line in details if given.details else ():
            print(f"    {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
