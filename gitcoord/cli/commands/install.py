"""`gitcoord install`: set all up in this clone."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from gitcoord.cli.commands.hooks import Guard, Shared, Trailers
from gitcoord.cli.connect import answer, connection, options, out
from gitcoord.cli.installation import DryRun, Yes, agree, asked_for, records
from gitcoord.setup import install as installation

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
    workflow: Annotated[
        bool, typer.Option("--workflow", help="Also a workflow file for GitHub that adopts what cloud agents' branches carry.")
    ] = False,
) -> None:
    """Set all up in this clone: the branch, git's and agents' hooks. Shows first what it would do, and asks. Safe to run again."""
    from gitcoord.setup.doctor import examine

    wanted = asked_for(guard=guard, trailers=trailers, shared=shared, agent=agent, workflow=workflow)
    steps = installation.steps(wanted)
    there = installation.found(wanted)
    lines = installation.plan(steps)
    if not options.json and not options.quiet:
        for kind, words in there.items():
            if kind != "agents" or agent is not None:  # else each has its row
                out(f"found: {kind}: {words}")
    go = agree(lines, "install", yes=yes, dry_run=dry_run)
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
    answer({"found": there, "plan": records(lines), "done": done, "findings": [asdict(one) for one in findings]}, *said)
