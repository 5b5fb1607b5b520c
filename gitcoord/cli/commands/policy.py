"""serve-policy install: what the server itself checks before a push may move the branch."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from gitcoord.cli.commands.hooks import own_program
from gitcoord.cli.connect import answer
from gitcoord.errors import GitcoordError

app = typer.Typer(
    help="On a server: only what keeps the rules gets onto the branch, by a hook of the repository that all push to.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def group() -> None:
    """On a server: only what keeps the rules gets onto the branch, by a hook of the repository that all push to."""


@app.command()
def install(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The bare repository.")],
    signed: Annotated[
        bool | None, typer.Option("--signed/--no-signed", help="Take only events with a signature that the server trusts.")
    ] = None,
    own_key: Annotated[
        bool | None, typer.Option("--own-key/--no-own-key", help="A session speaks by its first key or address only.")
    ] = None,
    keep_leases: Annotated[
        bool | None, typer.Option("--keep-leases/--no-keep-leases", help="Nobody breaks a lease that is not over.")
    ] = None,
    clock: Annotated[
        int | None, typer.Option("--clock", metavar="SECONDS", help="How far a date may be ahead of the server's; else the grace.")
    ] = None,
    largest: Annotated[int | None, typer.Option("--largest", metavar="MB", help="Megabytes that a push may have; else 64.")] = None,
    into: Annotated[
        str, typer.Option("--into", metavar="FOLDER", help="The folder for the hook, where it is not the repository's hooks.")
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the hook out again, and put back what was there.")] = False,
) -> None:
    """Put the hook into a bare repository; a hook that is there is kept and runs behind it."""
    from gitcoord.policy import install as policy

    repo = policy.repository_at(path, os.environ)
    given = {"signed": signed, "ownkey": own_key, "keepleases": keep_leases, "clock": clock, "largest": largest}
    settings = {key: str(value).lower() for key, value in given.items() if value is not None}
    found = policy.remove(repo, into=into) if remove else policy.install(repo, _program(), settings=settings, into=into)
    hook, rules = found.hook, found.policy
    state = "already installed" if (hook.state, hook.change) == ("installed", "none") else hook.change
    lines = [f"{hook.path}: {'nothing there' if remove and state == 'none' else state}"]
    if hook.kept:
        lines.append(f"    the hook that was here still runs, behind it: {hook.kept}")
    if not remove:
        besides = [name for name in ("signed", "ownkey", "keepleases") if getattr(rules, name)]
        more = f"; besides: {', '.join(besides)}" if besides else ""
        lines.append(f"{found.ref}: {found.events} events are checked; from here on only what keeps the rules gets in{more}")
    record = {
        "path": str(hook.path), "state": hook.state, "change": hook.change, "kept": str(hook.kept) if hook.kept else None,
        "ref": found.ref, "events": found.events, "signed": rules.signed, "ownkey": rules.ownkey, "keepleases": rules.keepleases,
    }  # fmt: skip
    answer(record, *lines)


def _program() -> str:
    """Return where this program lies, for the hook. Raises GitcoordError where that can't be told: every push would be refused."""
    beside = os.path.join(os.path.dirname(sys.executable), "gitcoord")
    found = own_program() or (beside if os.access(beside, os.X_OK) else "")
    if not found:
        raise GitcoordError("where this program lies can't be told, and the hook must find it", hint="put it on PATH: pipx install")
    return found
