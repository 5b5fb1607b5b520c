"""What `install` and `uninstall` have in common: what is asked for, shown and agreed to."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from gitcoord.cli import agent_options
from gitcoord.cli.commands.hooks import own_program
from gitcoord.cli.connect import options, say, table
from gitcoord.errors import BadInput
from gitcoord.setup.steps import InstallLine, Wanted

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


def asked_for(
    *,
    guard: bool = False,
    trailers: bool = False,
    shared: bool = False,
    agent: list[str] | None = None,
    workflow: bool = False,
) -> Wanted:
    """Return what the command line asks for, as the installation takes it."""
    named = (
        tuple(one.name for one in agent_options.chosen([name for name in agent if name != "none"])) if agent is not None else None
    )
    start = os.path.abspath(options.path or ".")
    return Wanted(start, os.environ, own_program(), guard=guard, trailers=trailers, shared=shared, agents=named, workflow=workflow)


def agree(lines: Sequence[InstallLine], word: str, *, yes: bool, dry_run: bool) -> bool:
    """Shows what would be done; whether it is to be done. Raises BadInput where nobody can be asked."""
    if not options.json and not options.quiet:
        table(
            ["what", "where", "now", "would", "why"],
            [(one.what, one.where, one.now, one.will or "nothing: it is there already", one.why) for one in lines],
        )
    todo = [one for one in lines if one.will and not one.will.startswith("nothing")]
    if dry_run or not todo:
        return False
    if yes:
        return True
    if options.json or not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(
            f"nothing was done: there is nobody to ask, and {len(todo)} thing{'s'[: len(todo) > 1]} would be changed",
            hint=f"gitcoord {word} --yes; to look only: gitcoord {word} --dry-run",
        )
    if not typer.confirm(f"{word} this?", err=True):
        say("nothing was done")
        raise typer.Exit(1)
    return True


def records(lines: Sequence[InstallLine]) -> list[dict[str, str]]:
    """Return the lines as `--json` gives them."""
    return [asdict(one) for one in lines]
