"""hooks install | uninstall | status: the shims that make commits heartbeat by themselves."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from gitcoord import hooking
from gitcoord.errors import GitcoordError
from gitcoord.faces.cli.context import answer, connection, say
from gitcoord.local import hookdir

app = typer.Typer(
    help="Git hooks: commits heartbeat by themselves.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Guard = Annotated[bool, typer.Option("--guard", help="Also pre-commit and pre-push, which run `gitcoord guard`.")]
Trailers = Annotated[bool, typer.Option("--trailers", help="Also commit-msg: it adds Coord-Session and Coord-Fence to messages.")]
Shared = Annotated[
    bool,
    typer.Option("--shared", help="Also where others share the hooks (husky, core.hooksPath): marked lines in their files."),
]
Git = Annotated[bool, typer.Option("--git", help="The git hooks (the only kind there is so far, and the default).")]


@app.command()
def install(git: Git = False, guard: Guard = False, trailers: Trailers = False, shared: Shared = False) -> None:
    """Install the git hooks; hooks that are there already are kept and still run."""
    with connection() as found:
        _tell(hooking.install(found.repo, os.environ, program=own_program(), guard=guard, trailers=trailers, shared=shared))
        if guard:
            try:
                found.coordinator.view()  # the guard goes by what this clone has seen: without a first look that is nothing
            except GitcoordError as error:
                say(f"warning: the guard has nothing to go by yet: {error.message}")


@app.command()
def uninstall(git: Git = False, shared: Shared = False) -> None:
    """Take the git hooks away again; what was there before is restored to the byte."""
    with connection() as found:
        _tell(hooking.uninstall(found.repo, shared=shared))


@app.command()
def status(git: Git = False) -> None:
    """Show which git hooks are installed."""
    with connection() as found:
        _tell(hooking.status(found.repo))


def own_program() -> str:
    """Where this program lies, for hooks that run with a PATH on which it isn't."""
    found = shutil.which(sys.argv[0]) or shutil.which("gitcoord") or ""
    return os.path.abspath(found) if os.path.basename(found) in {"gitcoord", "git-coord"} else ""


def _tell(hooks: Sequence[hookdir.Hook]) -> None:
    records = [{**asdict(one), "path": str(one.path), "kept": str(one.kept) if one.kept else None} for one in hooks]
    answer({"hooks": records}, *(_line(one) for one in hooks))


def _line(one: hookdir.Hook) -> str:
    words = f"{one.event}: {one.state if one.change == 'none' else one.change}"
    if one.state == "installed" and one.change == "none":
        words = f"{one.event}: already installed"
    if one.state == "edited":
        words += f"; it was changed since, so it stays: {one.path}"
    if one.state == "shadowed":
        why = "lefthook put its own in front" if one.path.suffix == ".old" else "git looks for hooks elsewhere (core.hooksPath)"
        words += f": {why}: {one.path}"
    if one.way == "config" and one.state != "absent":
        words += "; named in this clone's configuration, beside any other hook"
    if one.way == "lefthook" and one.state != "absent":
        words += f"; as a command of lefthook: {one.path}"
    if one.way == "shared" and one.state == "foreign":
        words += f"; no shell script, so it stays as it is: {one.path}"
    elif one.way == "shared" and (one.state == "installed" or one.change != "none"):
        words += f"; a few lines that others get, too: {one.path}"
    if one.kept:
        runs = "the hook that was here still runs" if one.state == "installed" else "an older hook is kept"
        words += f"; {runs}: {one.kept}"
    return words
