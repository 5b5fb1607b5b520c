"""hooks install | uninstall | status: the shims that make commits heartbeat by themselves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gitcoord.faces.cli.context import answer, connection
from gitcoord.local import hookdir

app = typer.Typer(
    help="Git hooks: commits heartbeat by themselves.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Git = Annotated[bool, typer.Option("--git", help="The git hooks (the only kind there is so far, and the default).")]


@app.command()
def install(git: Git = False) -> None:
    """Install the git hooks; hooks that are there already are kept and still run."""
    with connection() as found:
        done = hookdir.install(Path(found.repo.hooks_dir()), work_tree=found.repo.work_tree, common_dir=found.repo.common_dir)
        answer({"hooks": [_record(one) for one in done]}, *(_line(one) for one in done))


@app.command()
def uninstall(git: Git = False) -> None:
    """Take the git hooks away again; what was there before is restored to the byte."""
    with connection() as found:
        done = hookdir.uninstall(Path(found.repo.hooks_dir()))
        answer({"hooks": [_record(one) for one in done]}, *(_line(one) for one in done))


@app.command()
def status(git: Git = False) -> None:
    """Show which git hooks are installed."""
    with connection() as found:
        done = hookdir.status(Path(found.repo.hooks_dir()))
        answer({"hooks": [_record(one) for one in done]}, *(_line(one) for one in done))


def _record(one: hookdir.HookState) -> dict[str, object]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(one).items()}


def _line(one: hookdir.HookState) -> str:
    return f"{one.event}: {one.result}"
