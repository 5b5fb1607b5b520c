"""lefthook puts its own hook in front of any other, again and again, and runs none but what its files name. So where it has a hook,
ours is a command in its personal file, `lefthook-local.yml`; git is told to take no notice of that file.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from gitcoord.githooks import marked

NAMES = tuple(f"{dot}lefthook.{kind}" for dot in ("", ".", ".config/") for kind in ("yml", "yaml", "toml", "json", "jsonc"))
_LOCAL = "lefthook-local.yml"
_HEAD = b"# Of this clone alone: lefthook reads it beside the file that all share.\n"
_NOTE = "(in: gitcoord hooks install --git; out: gitcoord hooks uninstall --git)"
_STDIN = {"pre-push", "post-rewrite"}


_KEY = re.compile(r"^['\"]?([a-z-]+)['\"]?\s*:", re.MULTILINE)


def events(folder: Path, top: str, asked: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Those of the events that lefthook has a hook for in the hooks folder, and those for which it will; none if the personal
    file of the work tree can't take ours.
    """
    none: frozenset[str] = frozenset()
    shared = [Path(top) / name for name in NAMES if (Path(top) / name).is_file()] if top else []
    if not shared:
        return none, none
    path = Path(top) / _LOCAL
    if any(other.name != _LOCAL for other in Path(top).glob("*lefthook-local.*")):
        return none, none  # a second one would not be read
    taken = set(_KEY.findall(_text(path))) if path.exists() and marked.state(path) == "absent" else set()
    there = {event for event in asked if _is_lefthooks(folder / event) or _is_lefthooks(folder / f"{event}.before-gitcoord")}
    soon = set(_KEY.findall(_text(shared[0]))) & {*asked}
    return frozenset(there - taken), frozenset(soon - there - taken)


def installed(top: str) -> frozenset[str]:
    """The events for which the personal file has a command of ours."""
    path = Path(top) / _LOCAL
    if not top or marked.state(path) != "installed":
        return frozenset()
    text = _text(path).partition("# >>> gitcoord")[2].partition("# <<< gitcoord")[0]
    return frozenset(re.findall(r"^([a-z-]+):$", text, re.MULTILINE))


def install(top: str, exclude: Path, commands: dict[str, str], *, ignored: bool) -> marked.Change:
    """Writes the commands, each a line of shell, into the personal file; may run twice. `ignored`: git takes no notice of the file
    anyway, else the clone's own list `exclude` says it. Raises OSError.
    """
    text = ""
    for event, command in sorted(commands.items()):
        text += f"{event}:\n  commands:\n    gitcoord:\n"
        text += "      use_stdin: true\n" if event in _STDIN else ""
        text += f"      run: |\n        {command} {{0}}\n"
    change = marked.put(file(top), marked.block(text.encode(), _NOTE), head=_HEAD)
    if not ignored:
        exclude.parent.mkdir(exist_ok=True)
        marked.put(exclude, marked.block(f"/{_LOCAL}\n".encode(), _NOTE))
    return change


def uninstall(top: str, exclude: Path) -> marked.Change:
    """Takes them out again, and the file if it was made for them. Raises OSError."""
    if not top:
        return "none"
    change = marked.take_out(file(top), head=_HEAD)
    if not file(top).exists():
        marked.take_out(exclude)
    return change


def file(top: str) -> Path:
    """The personal file."""
    return Path(top) / _LOCAL


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _is_lefthooks(path: Path) -> bool:
    return path.is_file() and b"LEFTHOOK" in path.read_bytes()
