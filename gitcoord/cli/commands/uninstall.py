"""`gitcoord uninstall`: undo `install`."""

from __future__ import annotations

import os

from gitcoord.cli.commands.hooks import Shared
from gitcoord.cli.connect import answer
from gitcoord.cli.installation import DryRun, Yes, agree, asked_for, records
from gitcoord.setup import install as installation
from gitcoord.warm import client as warm


def uninstall(yes: Yes = False, dry_run: DryRun = False, shared: Shared = False) -> None:
    """Undo `install`: the hooks, and all local files and settings. The branch on the remote stays."""
    steps = installation.steps(asked_for(shared=shared))
    lines = installation.plan(steps, undo=True)
    if not dry_run:
        installation.check_undo(steps)
    done = installation.undo(steps) if agree(lines, "uninstall", yes=yes, dry_run=dry_run) else []
    if done:
        warm.end(os.environ)  # it stands for what is being removed
    answer({"plan": records(lines), "done": done}, *(f"done: {line}" for line in done))
