"""The floors of the house: who may import whom, what the pure rooms never touch, and what every room has.

Each rule reads the source as a tree, and each has a control beside it: a few lines that break the rule and are caught.
"""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from io import StringIO
from pathlib import Path

import pytest

import gitcoord

HOUSE = Path(gitcoord.__file__).parent

PURE = {"errors", "core", "views"}

GROUND = {"errors", "core", "git"}
USE_CASES = GROUND | {"log", "views", "machine", "outbox", "statusline", "coordinator", "settings"}

ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "core": {"errors"},
    "git": {"errors"},
    "log": {"errors", "core", "git"},
    "views": {"errors", "core"},
    "machine": {"errors", "core"},
    "warm": {"errors", "machine"},
    "outbox": GROUND | {"log", "machine"},
    "statusline": GROUND | {"machine"},
    "coordinator": GROUND | {"log", "views", "machine", "outbox", "statusline"},
    "guard": GROUND | {"machine", "settings", "coordinator"},
    "connection": USE_CASES | {"warm", "__init__"},
    "githooks": GROUND | {"machine", "outbox"},
    "policy": GROUND | {"log", "views", "machine", "settings", "githooks"},
    "agents": USE_CASES | {"connection", "guard"},
    "relay": USE_CASES | {"connection"},
    "setup": USE_CASES | {"connection", "githooks", "agents", "relay", "warm", "__init__"},
    "demo": USE_CASES | {"connection", "githooks", "setup"},
    "mcp": USE_CASES | {"connection", "__init__"},
    "page": USE_CASES | {"connection"},
    "cli": USE_CASES
    | {"connection", "page", "guard", "githooks", "policy", "agents", "relay", "setup", "demo", "warm", "__init__"},
    "main": {"warm", "setup", "statusline", "guard", "githooks", "policy", "agents", "mcp", "cli"},
    "__main__": {"main"},
    "__init__": set(),
}
"""Which other rooms a room may import: the floors, from the ground up."""

OF_LIBRARIES = {
    "sys.stdin", "sys.stdout", "sys.stderr", "sys.argv",
    "child.returncode", "self._process.returncode", "quiet.propagate", "session.trust_env",
    "requests.Session.request", "requests.Session.send", "requests.Session._gitcoord", "self._service.redirects",
    "_local.met", "_here.gate",
}  # fmt: skip
"""Fields of what Python and libraries give us: those are set up by assigning."""

ENTRIES = {
    "main.py",
    "__main__.py",
    "guard/fast.py",
    "warm/server.py",
    "githooks/run.py",
    "policy/receive.py",
    "statusline/main.py",
    "agents/hook/main.py",
    "agents/hook/answer.py",
}
"""Where a process begins: these, `cli` and `mcp` may print and end it."""

NOT_PURE = {
    "os", "pathlib", "subprocess", "socket", "random", "secrets", "time", "io", "tempfile", "shutil", "sys", "glob", "fcntl",
    "select",
    "threading", "multiprocessing", "asyncio", "signal", "urllib", "http", "ssl", "getpass", "platform", "logging", "locale",
    "uuid",
}  # fmt: skip
"""Modules of the standard library that know a machine, a clock or chance."""


@dataclass(frozen=True)
class Found:
    """A place that breaks a rule."""

    where: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.what}"


@cache
def _parsed(source: str) -> ast.Module:
    """Parse a file once for all rules, which only read it."""
    return ast.parse(source)


@dataclass(frozen=True)
class Module:
    """A file of the house, read."""

    name: str  # core/claims.py
    source: str

    @property
    def room(self) -> str:
        """The package, or the file's own name where it stands in none."""
        return self.name.partition("/")[0].removesuffix(".py")

    @property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return _parsed(self.source)

    def found(self, node: ast.AST | int, what: str) -> Found:
        """A finding at that place."""
        return Found(f"gitcoord/{self.name}", node if isinstance(node, int) else getattr(node, "lineno", 1), what)


@cache
def modules() -> list[Module]:
    """Every file of the house."""
    return [Module(path.relative_to(HOUSE).as_posix(), path.read_text(encoding="utf-8")) for path in sorted(HOUSE.rglob("*.py"))]


def imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.AST, str]]:
    """Every imported module, by its full name: `from a import b` gives both `a` and `a.b`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield node, base
            yield from ((node, f"{base}.{alias.name}") for alias in node.names)


def own_imports(module: Module) -> Iterator[tuple[ast.AST, str, str]]:
    """What it imports of the house: the node, the room, and the full name."""
    for node, name in imports(ast.walk(module.tree)):
        if name == "gitcoord" and isinstance(node, ast.ImportFrom):
            continue  # each name of it comes by itself
        if name == "gitcoord" or name.startswith("gitcoord."):
            first = name.removeprefix("gitcoord").lstrip(".").partition(".")[0] or "__init__"
            yield node, "__init__" if first.startswith("__") and first != "__main__" else first, name


def docstrings(tree: ast.Module) -> set[int]:
    """The nodes (by id) that are docstrings, those below a field or constant included."""
    found = set()
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if isinstance(getattr(node, "body", None), list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                found.add(id(statement.value))
    return found


def strings(module: Module) -> Iterator[tuple[ast.Constant, str]]:
    """Every string that is no docstring, parts of f-strings included."""
    tree = module.tree
    skipped = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node, node.value


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Every call, by what is called as it is written: `print`, `datetime.now`, `os.environ.get`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


# --- the rules ---------------------------------------------------------------------------------------------------------


def unknown_rooms(module: Module) -> list[Found]:
    """A room that has no floor yet."""
    return [] if module.room in ROOMS else [module.found(1, f"{module.room} has no floor: give it one in ROOMS")]


def stairs_up(module: Module) -> list[Found]:
    """Imports of a room that this room may not import."""
    allowed = ROOMS.get(module.room, set())
    found = {}
    for node, room, name in own_imports(module):
        if room not in allowed | {module.room}:
            found.setdefault((getattr(node, "lineno", 1), room), module.found(node, f"{module.room} imports {name}"))
    return list(found.values())


def relative_imports(module: Module) -> list[Found]:
    """Imports that don't say from where."""
    return [module.found(node, f"relative import {name}") for node, name in imports(ast.walk(module.tree)) if name.startswith(".")]


def strangers_at_the_root(module: Module) -> list[Found]:
    """A module at the root of the package that isn't one of those that belong there."""
    known = {"__init__.py", "__main__.py", "main.py", "errors.py", "settings.py", "demo.py"}
    return [] if "/" in module.name or module.name in known else [module.found(1, f"{module.name} belongs into a room")]


def fields_of_others(module: Module) -> list[Found]:
    """An assignment to a field of another object: what it holds is its own business."""
    found = []
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                if not isinstance(part, ast.Attribute):
                    continue
                name = ast.unparse(part)
                holder = name.rpartition(".")[0]
                if holder not in {"self", "cls"} and name not in OF_LIBRARIES:
                    found.append(module.found(node, f"assigns {name}"))
    return found


def busy_packages(module: Module) -> list[Found]:
    """A package that imports something when it is imported."""
    if not module.name.endswith("__init__.py"):
        return []
    return [module.found(node, f"imports {name}") for node, name in imports(ast.walk(module.tree)) if name != "__future__"]


def machine_in_pure_rooms(module: Module) -> list[Found]:
    """Modules that know a machine, a clock or chance, in a room that is pure; or a third party but pydantic."""
    if module.room not in PURE:
        return []
    found = []
    for node, name in imports(ast.walk(module.tree)):
        top = name.partition(".")[0]
        if top in NOT_PURE or (top not in sys.stdlib_module_names and top not in {"pydantic", "gitcoord", ""}):
            found.append(module.found(node, f"imports {top}"))
    return found


def clocks_in_pure_rooms(module: Module) -> list[Found]:
    """A clock read, or a file opened, in a room that is pure."""
    if module.room not in PURE | {"settings"}:
        return []
    forbidden = re.compile(
        r"(\w+\.)*(now|utcnow|today|time_ns|monotonic|perf_counter)|(\w+\.)?time\.time|open|input|exec|eval|__import__"
    )
    return [module.found(node, f"calls {what}") for node, what in calls(module) if forbidden.fullmatch(what)]


def git_outside_git(module: Module) -> list[Found]:
    """GitPython, or a list of words that begins with git, outside of git/."""
    if module.room == "git":
        return []
    found = [
        module.found(node, "imports GitPython") for node, name in imports(ast.walk(module.tree)) if name.partition(".")[0] == "git"
    ]
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.List | ast.Tuple)
            and node.elts
            and isinstance(node.elts[0], ast.Constant)
            and node.elts[0].value == "git"
        ):
            found.append(module.found(node, "runs git"))
    return found


def children_elsewhere(module: Module) -> list[Found]:
    """Child processes outside of git/, the look for a process, what runs a person's own commands, and the warm process's forks."""
    if module.room in {"git", "cli", "warm"} or module.name in {
        "machine/processes.py",
        "machine/background.py",
        "relay/reaction.py",
    }:
        return []
    found = [
        module.found(node, f"imports {name}")
        for node, name in imports(ast.walk(module.tree))
        if name.partition(".")[0] == "subprocess"
    ]
    return found + [
        module.found(node, f"calls {what}")
        for node, what in calls(module)
        if re.match(r"os\.(system|popen|exec|spawn|fork|posix_spawn)", what)
    ]


def refs_outside_git(module: Module) -> list[Found]:
    """A ref spelled outside of git/."""
    return (
        [] if module.room == "git" else [module.found(node, repr(text[:60])) for node, text in strings(module) if "refs/" in text]
    )


_BRANCH_PATH = re.compile(r"\b(sessions|claims|messages|heartbeats|handoffs|waiting)/|STATUS_BOARD\.md")


def paths_outside_the_tree(module: Module) -> list[Found]:
    """A path of the branch spelled outside of views/tree.py."""
    if module.name == "views/tree.py":
        return []
    return [module.found(node, repr(text[:80])) for node, text in strings(module) if _BRANCH_PATH.search(text)]


def words_outside_the_faces(module: Module) -> list[Found]:
    """Printing, or ending the process, elsewhere than in a face or an entry."""
    if module.room in {"cli", "mcp"} or module.name in ENTRIES:
        return []
    return [
        module.found(node, f"calls {what}")
        for node, what in calls(module)
        if what in {"print", "sys.exit", "exit", "quit", "os._exit"}
    ]


def environment_below_the_connection(module: Module) -> list[Found]:
    """The environment read below the connection: there it is an argument. (git/ hides a part of it from GitPython.)"""
    if module.room not in (USE_CASES | {"guard", "relay"}) - {"git"} or module.name in ENTRIES:
        return []
    found = [
        module.found(node, "os.environ")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "environb"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    return found + [module.found(node, what) for node, what in calls(module) if what in {"os.getenv", "getenv", "os.putenv"}]


def names_that_say_nothing(module: Module) -> list[Found]:
    """A file whose name says nothing of what is in it."""
    parts = {part.removesuffix(".py").strip("_") for part in module.name.split("/")}
    return [
        module.found(1, name)
        for name in sorted(parts & {"utils", "util", "helpers", "helper", "common", "misc", "manager", "stuff"})
    ]


def undocumented(module: Module) -> list[Found]:
    """A module, public class or public function without a docstring."""
    tree = module.tree
    found = [] if ast.get_docstring(tree) else [module.found(1, "the module has no docstring")]

    def look(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    found.append(module.found(node, f"{prefix}{node.name} has no docstring"))
                if isinstance(node, ast.ClassDef):
                    look(node.body, f"{node.name}.")

    look(tree.body, "")
    return found


_DIRECTIVE = re.compile(r"#\s*(type:\s*ignore(\[[^\]]*\])?|noqa(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?)(?P<reason>.*)")


def silenced_without_a_reason(module: Module) -> list[Found]:
    """A `type: ignore` or `noqa` that doesn't say why."""
    found = []
    for token in tokenize.generate_tokens(StringIO(module.source).readline):
        match = _DIRECTIVE.match(token.string) if token.type == tokenize.COMMENT else None
        if match and not re.search(r"\w", match["reason"]):
            found.append(module.found(token.start[0], token.string))
    return found


RULES = [
    unknown_rooms, stairs_up, relative_imports, strangers_at_the_root, busy_packages, machine_in_pure_rooms, clocks_in_pure_rooms,
    git_outside_git, children_elsewhere, refs_outside_git, paths_outside_the_tree, words_outside_the_faces,
    environment_below_the_connection, names_that_say_nothing, undocumented, silenced_without_a_reason, fields_of_others,
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_keeps_the_rule(rule: object) -> None:
    assert callable(rule)
    found = [str(one) for module in modules() for one in rule(module)]
    assert found == []


# Each rule catches what breaks it, and leaves its neighbour alone.
CONTROLS = [
    (unknown_rooms, "cellar.py", "", "core/claims.py", ""),
    (stairs_up, "core/x.py", "from gitcoord.git.tip import Tip", "core/x.py", "from gitcoord.core.names import show"),
    (stairs_up, "core/x.py", "from gitcoord import settings", "core/x.py", "from gitcoord import errors"),
    (stairs_up, "core/x.py", "import gitcoord.views.board", "views/x.py", "import gitcoord.views.board"),
    (
        stairs_up,
        "core/x.py",
        "def f():\n    from gitcoord.machine import files",
        "outbox/x.py",
        "def f():\n    from gitcoord.machine import files",
    ),
    (
        stairs_up,
        "core/x.py",
        "if TYPE_CHECKING:\n    from gitcoord.log import wire",
        "outbox/x.py",
        "if TYPE_CHECKING:\n    from gitcoord.log import wire",
    ),
    (stairs_up, "git/x.py", "from gitcoord.core import names", "git/x.py", "from gitcoord.errors import Alarm"),
    (stairs_up, "log/x.py", "from gitcoord.views import tree", "log/x.py", "from gitcoord.git import tip"),
    (stairs_up, "machine/x.py", "from gitcoord.git.repo import Oid", "machine/x.py", "from gitcoord.core.names import show"),
    (stairs_up, "views/x.py", "from gitcoord.coordinator import branch", "views/x.py", "from gitcoord.core import state"),
    (
        stairs_up,
        "coordinator/x.py",
        "from gitcoord.connection.connect import connect",
        "coordinator/x.py",
        "from gitcoord.git.repo import Oid",
    ),
    (stairs_up, "connection/x.py", "from gitcoord.cli import app", "connection/x.py", "from gitcoord import __version__"),
    (stairs_up, "guard/x.py", "from gitcoord.agents import arrival", "agents/x.py", "from gitcoord.guard import check"),
    (stairs_up, "mcp/x.py", "from gitcoord.cli import app", "cli/x.py", "from gitcoord.relay import plan"),
    (stairs_up, "cli/x.py", "from gitcoord.mcp import server", "main.py", "from gitcoord.mcp import server"),
    (relative_imports, "core/x.py", "from . import names", "core/x.py", "from gitcoord.core import names"),
    (strangers_at_the_root, "helper_of_all.py", "", "core/helper_of_all.py", ""),
    (fields_of_others, "core/x.py", "def f(a):\n    a.b = 1", "core/x.py", "class A:\n    def f(self):\n        self.b = 1"),
    (fields_of_others, "core/x.py", "def f(a):\n    a.b, c = 1, 2", "core/x.py", "def f(a):\n    b, c = a.b, 2"),
    (
        fields_of_others,
        "core/x.py",
        "class A:\n    def f(self):\n        self.a.b += 1",
        "core/x.py",
        "class A:\n    def f(self):\n        self.b += 1",
    ),
    (busy_packages, "core/__init__.py", "from gitcoord.core import names", "core/names.py", "from gitcoord.core import names"),
    (machine_in_pure_rooms, "core/x.py", "import os", "machine/x.py", "import os"),
    (machine_in_pure_rooms, "views/x.py", "from pathlib import Path", "views/x.py", "import posixpath"),
    (machine_in_pure_rooms, "core/x.py", "import requests", "core/x.py", "import pydantic"),
    (clocks_in_pure_rooms, "core/x.py", "datetime.now(UTC)", "core/x.py", "clock.now"),
    (clocks_in_pure_rooms, "views/x.py", "datetime.datetime.utcnow()", "views/x.py", "datetime.fromisoformat('x')"),
    (clocks_in_pure_rooms, "core/x.py", "open('x')", "machine/x.py", "open('x')"),
    (git_outside_git, "log/x.py", "import git", "git/x.py", "import git"),
    (git_outside_git, "machine/x.py", "run(['git', 'status'])", "machine/x.py", "run(['ps', '-o'])"),
    (children_elsewhere, "log/x.py", "import subprocess", "git/x.py", "import subprocess"),
    (children_elsewhere, "outbox/store.py", "from subprocess import run", "machine/processes.py", "from subprocess import run"),
    (children_elsewhere, "log/x.py", "os.system('x')", "log/x.py", "os.getpid()"),
    (refs_outside_git, "log/x.py", "x = f'refs/heads/{y}'", "log/x.py", "def f():\n    'Never refs/heads/x.'"),
    (refs_outside_git, "setup/x.py", "x = 'refs/gitcoord/'", "git/x.py", "x = 'refs/gitcoord/'"),
    (paths_outside_the_tree, "log/x.py", "x = f'claims/{y}.claim'", "core/x.py", "class X:\n    '`claims/x.claim`'"),
    (paths_outside_the_tree, "cli/x.py", "x = 'see STATUS_BOARD.md'", "views/tree.py", "x = 'STATUS_BOARD.md'"),
    (words_outside_the_faces, "coordinator/x.py", "print('x')", "cli/x.py", "print('x')"),
    (words_outside_the_faces, "git/x.py", "sys.exit(1)", "__main__.py", "sys.exit(1)"),
    (environment_below_the_connection, "coordinator/x.py", "os.environ['X']", "connection/connect.py", "os.environ['X']"),
    (environment_below_the_connection, "outbox/submit.py", "os.getenv('X')", "outbox/submit.py", "os.getpid()"),
    (names_that_say_nothing, "core/utils.py", "", "core/names.py", ""),
    (names_that_say_nothing, "helpers/x.py", "", "core/x.py", ""),
    (undocumented, "core/x.py", "x = 1", "core/x.py", "'''What it is.'''"),
    (undocumented, "core/x.py", "'''A.'''\ndef f(): ...", "core/x.py", "'''A.'''\ndef _f(): ..."),
    (
        undocumented,
        "core/x.py",
        "'''A.'''\nclass A:\n    '''B.'''\n    def f(self): ...",
        "core/x.py",
        "'''A.'''\nclass A:\n    '''B.'''\n    def _f(self): ...",
    ),
    (silenced_without_a_reason, "core/x.py", "x = 1  # noqa: S1", "core/x.py", "x = 1  # noqa: S1  # because"),
    (silenced_without_a_reason, "core/x.py", "x = 1  # type: ignore[x]", "core/x.py", "x = 1  # type: ignore[x]  # because"),
    (silenced_without_a_reason, "core/x.py", "x = 1  # type: ignore", "core/x.py", "x = '# type: ignore'"),
]


@pytest.mark.parametrize(("rule", "bad", "breaks", "good", "keeps"), CONTROLS)
def test_rule_catches_what_breaks_it_and_nothing_else(rule: object, bad: str, breaks: str, good: str, keeps: str) -> None:
    assert callable(rule)
    assert rule(Module(bad, breaks))
    assert rule(Module(good, keeps)) == []


def test_every_rule_has_a_control() -> None:
    assert {control[0] for control in CONTROLS} == set(RULES)


# --- circles, and where the tests stand ----------------------------------------------------------------------------------


def arrows(found: Iterable[Module]) -> dict[str, set[str]]:
    """Return which modules each module imports, at any place in it and for types, too."""
    named = {"gitcoord." + module.name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): module for module in found}
    every: dict[str, set[str]] = {}
    for name, module in named.items():
        got = [imported for _, imported in imports(ast.walk(module.tree)) if imported in named and imported != name]
        # `from a import b` names `a` too: where `b` is a module of it, that is all that is meant.
        every[name] = {one for one in got if not any(other.startswith(one + ".") for other in got)}
    return every


def circles(every: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules, or rooms, that import each other in a circle."""
    try:
        list(TopologicalSorter(every).static_order())
    except CycleError as error:
        return [list(error.args[1])]
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(arrows(modules())) == []


def test_no_rooms_import_each_other_in_a_circle() -> None:
    assert circles(ROOMS) == []


def test_a_circle_is_seen_even_one_of_types_only() -> None:
    one = Module("core/a.py", "if TYPE_CHECKING:\n    from gitcoord.core.b import B")
    other = Module("core/b.py", "def f():\n    from gitcoord.core import a")
    assert circles(arrows([one, other]))
    assert circles(arrows([one, Module("core/b.py", "")])) == []


def test_each_test_stands_in_the_room_of_what_it_tests() -> None:
    tests = Path(__file__).parents[1]
    shared = {"scenarios", "faults", "house", "support"}
    assert {path.name for path in tests.glob("*.py")} == {"conftest.py"}
    folders = {path.parent.relative_to(tests).parts[0] for path in tests.rglob("test_*.py")}
    assert folders - shared <= set(ROOMS)
    assert not list((tests / "support").glob("test_*.py"))


# --- what a hook pays for ----------------------------------------------------------------------------------------------


def _at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements that run when a module is imported."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            pending += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.ExceptHandler)]
        elif isinstance(node, ast.ExceptHandler):
            pending += node.body


def loads(name: str) -> set[str]:
    """Every module that importing `name` loads, as far as the house's own files say."""
    by_name = {
        "gitcoord." + module.name.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): module for module in modules()
    }
    by_name["gitcoord"] = by_name.pop("gitcoord.__init__")
    seen: set[str] = set()
    pending = [name]
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current in by_name:
            pending += [
                found for _, found in imports(_at_import(by_name[current].tree)) if found in by_name or "gitcoord" not in found
            ]
            pending += [current.rpartition(".")[0]] if "." in current else []
    return seen


def third_parties(names: Iterable[str]) -> set[str]:
    """Those of them that are neither ours nor the standard library's."""
    tops = {name.partition(".")[0] for name in names}
    return {top for top in tops if top not in sys.stdlib_module_names and top != "gitcoord"}


HEAVY = {"hashlib", "secrets", "ssl", "socket", "inspect", "argparse", "logging", "asyncio", "urllib.request"}
"""Modules of the standard library that a hook doesn't load where it begins: each costs it milliseconds (OpenSSL, mostly)."""


HEAVIER = HEAVY | {
    "re", "typing", "dataclasses", "enum", "json", "pathlib", "collections", "collections.abc", "contextlib", "functools",
    "datetime", "subprocess", "shlex", "unicodedata",
}  # fmt: skip
"""What the shortest way of a hook doesn't load either: together they cost as much as Python's start."""


@pytest.mark.parametrize("face", ["gitcoord.main", "gitcoord.agents.hook.main", "gitcoord.agents.hook.glance"])
def test_the_shortest_way_loads_nearly_nothing(face: str) -> None:
    found = loads(face)
    assert face in found
    assert third_parties(found) == set()
    assert found & HEAVIER == set()


@pytest.mark.parametrize(
    "face",
    [
        "gitcoord.githooks.run",
        "gitcoord.guard.fast",
        "gitcoord.statusline.main",
        "gitcoord.warm.client",
        "gitcoord.agents.hook.main",
        "gitcoord.agents.hook.answer",
    ],
)
def test_hot_paths_load_nothing_but_the_standard_library(face: str) -> None:
    found = loads(face)
    assert face in found
    assert third_parties(found) == set()
    assert found & HEAVY == set()


def test_a_command_comes_to_its_warm_process_by_few_modules() -> None:
    """Each of these takes milliseconds, on the way of every command and hook."""
    assert loads("gitcoord.warm.client") & {"array", "collections", "contextlib", "dataclasses", "enum", "re", "typing"} == set()


def test_what_loads_more_is_seen_to_load_more() -> None:
    assert "contextlib" in loads("gitcoord.machine.files")
    assert "pydantic" in third_parties(loads("gitcoord.core.records"))
    assert third_parties(loads("gitcoord.errors")) == set()
