"""hooks install | uninstall | status: what makes commits and coding agents tell what they do by themselves."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated

import typer

from gitcoord.agents.settings.files import Placed
from gitcoord.agents.settings.table import AgentFiles, Scope
from gitcoord.cli import agent_options
from gitcoord.cli.connect import answer, connection, say
from gitcoord.connection.connect import Connection
from gitcoord.errors import GitcoordError
from gitcoord.githooks import folder
from gitcoord.githooks import install as git_hooks

app = typer.Typer(
    help="Hooks of git and of coding agents: what they do is told by itself.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Guard = Annotated[bool, typer.Option("--guard", help="Also pre-commit and pre-push, which run `gitcoord guard`.")]
Trailers = Annotated[bool, typer.Option("--trailers", help="Also commit-msg: it adds Coord-Session and Coord-Fence to messages.")]
Shared = Annotated[
    bool,
    typer.Option("--shared", help="Also where others share the hooks (husky, core.hooksPath): marked lines in their files."),
]
Git = Annotated[bool, typer.Option("--git", help="The git hooks; the default where no agent is named.")]


@app.command()
def install(
    git: Git = False,
    guard: Guard = False,
    trailers: Trailers = False,
    shared: Shared = False,
    agent: agent_options.Named = None,
    scope: agent_options.Where = "project",
    dry_run: agent_options.Dry = False,
) -> None:
    """Install git's or coding agents' hooks; what is there already is kept and still runs."""
    meant, where = agent_options.chosen(agent), agent_options.scope(scope)
    if meant and not (git or guard or trailers or shared):
        placed = agent_options.each(lambda one, at: agent_options.install(one, at, dry=True), meant, where)
        if not dry_run:  # what can't be done is told before anything is
            placed = agent_options.each(lambda one, at: agent_options.install(one, at, dry=False), meant, where)
        _tell((), placed, where, "dry" if dry_run else "done")
        if not dry_run:
            _say_then(meant, placed)
            if where == "project":
                with connection() as found:
                    _look_once(found)
        return
    with connection() as found:
        agent_options.each(
            lambda one, at: agent_options.install(one, at, dry=True), meant, where, found
        )  # what can't be done is told before all
        if dry_run:
            planned = git_hooks.plan(found.repo, os.environ, guard=guard, trailers=trailers, shared=shared)
            shims = tuple(
                replace(one, way=way, change="installed") if way != "none" and one.state in {"absent", "foreign"} else one
                for one, way in planned
            )
        else:
            shims = git_hooks.install(found.repo, os.environ, program=own_program(), guard=guard, trailers=trailers, shared=shared)
        placed = agent_options.each(lambda one, at: agent_options.install(one, at, dry=dry_run), meant, where, found)
        _tell(shims, placed, where, "dry" if dry_run else "done")
        if dry_run:
            return
        _say_then(meant, placed)
        if guard:
            try:
                found.coordinator.branch.view()  # the guard goes by what this clone has seen: without a first look that is nothing
            except GitcoordError as error:
                say(f"warning: the guard has nothing to go by yet: {error.message}")
        elif meant:
            _look_once(found)


@app.command()
def uninstall(
    git: Git = False,
    shared: Shared = False,
    agent: agent_options.Named = None,
    scope: agent_options.Where = "project",
    dry_run: agent_options.Dry = False,
) -> None:
    """Take git's or agents' hooks away again; what nobody changed since is as it was before, to the byte."""
    meant, where = agent_options.chosen(agent), agent_options.scope(scope)
    placed = agent_options.each(lambda one, at: agent_options.uninstall(one, at, dry=dry_run), meant, where) if meant else []
    shims: tuple[folder.Hook, ...] = ()
    if git or shared or not meant:
        with connection() as found:
            if dry_run:
                shims = tuple(
                    replace(one, change="restored" if one.kept else "removed")
                    if one.state in {"installed", "shadowed"} and (shared or one.way != "shared")
                    else one
                    for one in git_hooks.status(found.repo)
                )
            else:
                shims = git_hooks.uninstall(found.repo, shared=shared)
            _tell(shims, placed, where, "dry" if dry_run else "done")
    else:
        _tell((), placed, where, "dry" if dry_run else "done")


@app.command()
def status(git: Git = False, agent: agent_options.Named = None, scope: agent_options.Where = "project") -> None:
    """Show which hooks are installed: git's, and those of coding agents."""
    where = agent_options.scope(scope)
    meant = agent_options.chosen(agent) or ([] if git else agent_options.chosen(["all"]))
    if agent and not git and where == "user":
        _tell((), agent_options.each(agent_options.status, meant, where), where)
        return
    with connection() as found:
        shims = () if agent and not git else git_hooks.status(found.repo)
        bare = not found.repo.work_tree and where == "project"
        _tell(shims, [] if bare else agent_options.each(agent_options.status, meant, where, found), where)


def _look_once(found: Connection) -> None:
    """Fetch the branch where this clone has never seen it, and say what came of it: the hooks go by what the clone has."""
    if found.tip.local():
        return
    try:
        seq = found.coordinator.branch.view(fresh=True).checked.seq
        say(f"fetched {found.tip.ref} (event {seq}): this clone had not seen it yet")
    except GitcoordError as error:
        hint = f" ({error.hint})" if error.hint else ""
        say(f"warning: the hooks do nothing yet, they have nothing to go by: {error.message}{hint}")


def _say_then(meant: Sequence[AgentFiles], placed: Sequence[Placed]) -> None:
    """What is left to do for a person."""
    asked = {one.agent for one in placed if one.asked}
    for agent in meant:
        if agent.then and agent.name in asked:
            say(f"next: {agent.then}")


def own_program() -> str:
    """Where this program lies, for hooks that run with a PATH on which it isn't."""
    path = os.pathsep.join(filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep)))  # never a checkout's
    found = shutil.which(sys.argv[0], path=path) or shutil.which("gitcoord", path=path) or ""
    return os.path.abspath(found) if os.path.basename(found) in {"gitcoord", "git-coord"} else ""


def _tell(
    hooks: Sequence[folder.Hook], placed: Sequence[Placed] = (), where: Scope = "project", tense: agent_options.Tense = "done"
) -> None:
    records = [{**asdict(one), "path": str(one.path), "kept": str(one.kept) if one.kept else None} for one in hooks]
    told = [line for one in placed for line in agent_options.lines(one, tense)]
    answer(
        {"hooks": records, "agents": [agent_options.record(one, where) for one in placed]},
        *(_line(one, tense) for one in hooks),
        *told,
    )


def _line(one: folder.Hook, tense: agent_options.Tense) -> str:
    words = f"{one.event}: {one.state if one.change == 'none' else one.change}"
    if tense == "dry" and one.change != "none":
        words = f"{one.event}: would be {one.change}"
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
