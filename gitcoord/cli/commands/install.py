"""install, uninstall: everything at once. What was found, one table of what would be done, one question, then doctor's word."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from gitcoord.cli import agent_options
from gitcoord.cli.commands.hooks import Guard, Shared, Trailers, own_program
from gitcoord.cli.connect import answer, connection, options, out, say, table
from gitcoord.errors import BadInput
from gitcoord.setup import install as installation
from gitcoord.setup.install import Line, Wanted

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


Agents = Annotated[
    list[str] | None,
    typer.Option(
        "--agent", metavar="NAME", help="The hooks of this coding agent; not given: of all that are found; `none`: of none."
    ),
]


def install(
    yes: Yes = False,
    dry_run: DryRun = False,
    guard: Guard = False,
    trailers: Trailers = False,
    shared: Shared = False,
    agent: Agents = None,
) -> None:
    """Set all up in this clone: the branch, git's and agents' hooks. Shows first what it would do, and asks. Safe to run again."""
    from gitcoord.setup.doctor import examine

    wanted = _wanted(guard=guard, trailers=trailers, shared=shared, agent=agent)
    steps = installation.steps(wanted)
    there = installation.found(wanted)
    lines = installation.plan(steps)
    if not options.json and not options.quiet:
        for kind, words in there.items():
            out(f"found: {kind}: {words}")
    go = _agree(lines, "install", yes=yes, dry_run=dry_run)
    done = installation.do(steps) if go else []
    findings = []
    if not dry_run:
        with connection() as found:
            findings = [one for one in examine(found, fix=False) if one.level != "ok"]
    said = [f"done: {line}" for line in done]
    for one in findings:
        said += [f"{'!' if one.level == 'warning' else '✗'} {one.what}", *([f"    hint: {one.hint}"] if one.hint else [])]
    if not dry_run:
        said.append("next: gitcoord start; gitcoord status" if go else "all of it is there already")
    answer({"found": there, "plan": _records(lines), "done": done, "findings": [asdict(one) for one in findings]}, *said)


def uninstall(yes: Yes = False, dry_run: DryRun = False, shared: Shared = False) -> None:
    """Undo `install`: the hooks, and all local files and settings. The branch on the remote stays."""
    steps = installation.steps(_wanted(shared=shared))
    lines = installation.plan(steps, undo=True)
    done = installation.undo(steps) if _agree(lines, "uninstall", yes=yes, dry_run=dry_run) else []
    answer({"plan": _records(lines), "done": done}, *(f"done: {line}" for line in done))


def _wanted(*, guard: bool = False, trailers: bool = False, shared: bool = False, agent: list[str] | None = None) -> Wanted:
    named = (
        tuple(one.name for one in agent_options.chosen([name for name in agent if name != "none"])) if agent is not None else None
    )
    start = os.path.abspath(options.path or ".")
    return Wanted(start, os.environ, own_program(), guard=guard, trailers=trailers, shared=shared, agents=named)


def _agree(lines: Sequence[Line], word: str, *, yes: bool, dry_run: bool) -> bool:
    """Shows what would be done; whether it is to be done. Raises BadInput where nobody can be asked."""
    if not options.json and not options.quiet:
        table(["what", "where", "now", "would"], [(one.what, one.where, one.now, one.will or "nothing") for one in lines])
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


def _records(lines: Sequence[Line]) -> list[dict[str, str]]:
    return [asdict(one) for one in lines]
