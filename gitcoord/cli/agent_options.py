"""The part of `hooks` that is about coding agents: which are meant, where their files are, what is said about them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from gitcoord.agents.settings import files
from gitcoord.agents.settings.files import Placed, SettingsPlace
from gitcoord.agents.settings.table import AgentFiles, Scope, agents
from gitcoord.cli.connect import connection
from gitcoord.connection.connect import Connection
from gitcoord.errors import BadInput

Named = Annotated[
    list[str] | None,
    typer.Option(
        "--agent", metavar="NAME", help="The hooks of this coding agent; may be given several times. `hooks status` lists them."
    ),
]
Where = Annotated[
    str,
    typer.Option(
        "--scope", metavar="project|user", help="Where an agent's settings are: this project's (the default), or your own."
    ),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Change nothing; show what would be changed.")]


def chosen(names: Sequence[str] | None) -> list[AgentFiles]:
    """The agents of these names, in the table's order. Raises BadInput."""
    known = agents()
    for name in names or ():
        if name not in known and name != "all":
            raise BadInput(f"there is no agent called {name!r}", hint=f"gitcoord hooks install --agent {'|'.join(known)}")
    return [agent for name, agent in known.items() if names and (name in names or "all" in names)]


def scope(text: str) -> Scope:
    """Where the files are. Raises BadInput."""
    if text not in {"project", "user"}:
        raise BadInput(f"{text!r} is no scope: project or user", hint="gitcoord hooks install --help")
    return cast("Scope", text)


def place(where: Scope, found: Connection | None) -> SettingsPlace:
    """The place, in the repository that was found (none is needed for a user's own files). Raises BadInput."""
    home = Path(os.path.expanduser("~"))
    if found is None or where == "user":
        return SettingsPlace(where, home, os.environ)
    if not found.repo.work_tree:
        raise BadInput("a bare repository has no files for agents", hint="gitcoord hooks install --scope user --agent NAME")
    return SettingsPlace(where, home, os.environ, Path(found.repo.work_tree), Path(found.repo.common_dir))


def each(
    do: Callable[[AgentFiles, SettingsPlace], tuple[Placed, ...]],
    meant: Sequence[AgentFiles],
    where: Scope,
    found: Connection | None = None,
) -> list[Placed]:
    """Does it for each of them, in the repository that the caller stands in unless one was found already."""
    if found is None and where == "project":
        with connection() as here:
            return each(do, meant, where, here)
    here_or_home = place(where, found)
    return [placed for agent in meant for placed in do(agent, here_or_home)]


def record(placed: Placed, where: Scope) -> dict[str, Any]:
    """The JSON form."""
    return {
        "agent": placed.agent, "scope": where, "path": str(placed.path), "state": placed.state, "change": placed.change,
        "note": placed.note,
    }  # fmt: skip


Tense = Literal["done", "dry"]


def lines(placed: Placed, tense: Tense = "done") -> Iterator[str]:
    """What is said about it: one line, with a dry run's changes below."""
    words: str = placed.change if placed.change != "none" else placed.state
    if placed.change == "none" and placed.state == "installed":
        words = "already installed"
    if tense == "dry" and placed.change != "none":
        words = f"would be {placed.change}"
    note = f"; {placed.note}" if placed.note else ""
    yield f"{placed.agent}: {words}{note}: {placed.path}"
    if tense == "dry":
        yield from placed.diff


def install(agent: AgentFiles, where: SettingsPlace, *, dry: bool) -> tuple[Placed, ...]:
    """Puts the agent's hooks in."""
    return files.install(agent, where, dry=dry)


def uninstall(agent: AgentFiles, where: SettingsPlace, *, dry: bool) -> tuple[Placed, ...]:
    """Takes the agent's hooks out; of an agent that has no such file, nothing."""
    if not any(target.path(where.scope, Path(), where.home, where.environ) for target in agent.targets):
        return ()
    return files.uninstall(agent, where, dry=dry)


def status(agent: AgentFiles, where: SettingsPlace) -> tuple[Placed, ...]:
    """What is there; nothing for an agent that has no such file."""
    if not any(target.path(where.scope, Path(), where.home, where.environ) for target in agent.targets):
        return ()
    return files.status(agent, where)
