"""`gitcoord init`: make the coordination branch, once a repository."""

from __future__ import annotations

import os
import shlex
from typing import Annotated

import typer

from gitcoord.cli.connect import answer, connection, options
from gitcoord.views import as_json
from gitcoord.views.tree import BOARD


def init(
    remote: Annotated[str | None, typer.Option(metavar="NAME", help="The remote that all sessions share.")] = None,
    hub: Annotated[
        str | None, typer.Option(metavar="URL", help="A repository where several projects coordinate with each other.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="No remote: for sessions on this machine.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take away everything local; the branch on the remote stays.")] = False,
) -> None:
    """Make the coordination branch, once a repository. Safe to run again."""
    from gitcoord.setup import init as setup

    if remove:
        with connection() as found:
            done = setup.remove(found)
        answer({"removed": done}, *(f"removed: {line}" for line in done))
        return
    with setup.chosen(os.path.abspath(options.path or "."), os.environ, remote=remote, hub=hub, local=local), connection() as found:
        receipt, words = setup.init(found, op=options.op)
        where = f" --git-dir={shlex.quote(found.home.git_dir)}" if found.settings.hub else ""
        answer(
            {**as_json.receipt(receipt), "branch": found.tip.ref, "repo": found.coordinator.actor.repo},
            words,
            "next: gitcoord start; gitcoord claim FILE; gitcoord status",
            f"read it with plain git: git{where} log {found.tip.ref}; git{where} show {found.tip.ref}:{BOARD}",
        )
