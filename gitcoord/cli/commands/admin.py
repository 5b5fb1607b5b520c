"""Setting up and keeping it well: init, sync, config, doctor, demo."""

from __future__ import annotations

import os
import shlex
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gitcoord.agents import background
from gitcoord.cli.connect import answer, connection, looked_at, options, out, say
from gitcoord.connection.collect import collect
from gitcoord.connection.connect import Connection, connect
from gitcoord.core import branch
from gitcoord.core.times import spell
from gitcoord.errors import BadInput, GitcoordError, mask
from gitcoord.guard import cache
from gitcoord.settings import KEYS
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
            {**as_json.receipt(receipt), "branch": found.tip.ref, "repo": found.coordinator.who.repo},
            words,
            "next: gitcoord start; gitcoord claim FILE; gitcoord status",
            f"read it with plain git: git{where} log {found.tip.ref}; git{where} show {found.tip.ref}:{BOARD}",
        )


def sync(
    if_due: Annotated[bool, typer.Option("--if-due", help="Only when an automatic heartbeat is due; hooks call it so.")] = False,
) -> None:
    """Send what waits, and read the branch."""
    with connection() as found:
        agents = False
        if if_due:
            errors, view, agents = background.look_after(found.coordinator, found.repo, found.settings)
        else:
            errors, view = found.coordinator.sync()
        errors += collect(found.elsewhere, _at_desk, all_of_it=not if_due)
        if if_due and view is not None:
            from gitcoord.setup.doctor import tidy

            tidy(found)
        # Where somebody is guarded here, the next one has a short way.
        if view is not None and (agents or cache.is_kept(found.memory.path)):
            repo, fold = found.coordinator.who.namespace, found.coordinator.folds(view.state)
            cache.note(found.memory.path, view.checked.good, view.state.claims.values(), view.state.rules.grace, repo, fold=fold)
        left = len(found.coordinator.flusher.unsent())
        record = {
            "unsent": left,
            "tip": view.checked.tip if view else None,
            "seq": view.checked.seq if view else None,
            "as_of": spell(view.state.at) if view else None,
        }
        words = (
            f"event {view.checked.seq} at {spell(view.state.at)}"
            if view
            else "nothing is due"
            if if_due and not errors
            else "not reached"
        )
        answer(record, words + (f", {left} unsent" if left else ""))
        for message in dict.fromkeys(error.message for error in errors):
            say(f"warning: {message}")
        if errors and view is None and not if_due:
            raise typer.Exit(errors[-1].exit_code)
    if if_due and found.settings.relay:
        from gitcoord.cli.commands import relay  # here: nobody else pays for loading what talks HTTP

        relay.go_once(found.settings.relay)


def _at_desk(path: Path | None) -> AbstractContextManager[Connection]:
    """The same connection with another desk; on nobody's behalf."""
    return connect(os.path.abspath(options.path or "."), os.environ, at=path)


def config(
    key: Annotated[str | None, typer.Argument(help="The setting; none: list them.")] = None,
    value: Annotated[str | None, typer.Argument(help="Its new value; none: show it.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="For all sessions: kept on the branch.")] = False,
) -> None:
    """Show or change settings: this clone's (in git's configuration), or with --shared everybody's."""
    if not shared and key is not None:
        key = key.removeprefix("gitcoord.")
        if key not in KEYS:
            raise BadInput(f"{key!r} is not a setting of a clone", hint=f"one of: {', '.join(KEYS)}; for all: --shared")
        if value is not None:  # asks nothing of the branch: what is set wrong is set right by this
            from gitcoord.setup import init as setup

            setup.set_local(os.path.abspath(options.path or "."), os.environ, key, value)
            answer({"key": key, "value": mask(value)}, f"gitcoord.{key} = {mask(value)} in this clone")
            return
    with connection() as found:
        if shared:
            if key is not None and value is not None:
                receipt = found.coordinator.set_shared(key, value, op=options.op)
                answer({**as_json.receipt(receipt), "key": key, "value": value}, f"{key} = {value} for all")
                return
            values = branch.shown(found.coordinator.view().state.rules.settings)
            if key is not None and key not in values:
                if not key.startswith(branch.CAPACITY):
                    raise BadInput(f"{key!r} is not a shared setting", hint=f"one of: {', '.join(values)}")
                values[key] = 0  # nobody said how many places it has
        else:
            values = {name: mask(one) if isinstance(one, str) else one for name, one in asdict(found.settings).items()}
        if key is not None:
            answer({"key": key, "value": values[key]}, str(values[key]))
        else:
            answer({"settings": values}, *(f"{name} = {one}" for name, one in values.items()))


def doctor(fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without a decision.")] = False) -> None:
    """Say what is wrong, and how to mend it."""
    from gitcoord.setup.doctor import examine

    with connection() as found:
        findings = examine(found, fix=fix)
    wrong = any(one.level == "wrong" for one in findings)
    lines = []
    for one in findings:
        lines.append(f"{'✓' if one.level == 'ok' else '!' if one.level == 'warning' else '✗'} {one.what}")
        if one.hint:
            lines.append(f"    hint: {one.hint}")
    answer({"ok": not wrong, "findings": [asdict(one) for one in findings]}, *lines)
    if wrong:
        raise typer.Exit(1)


def demo() -> None:
    """See two sessions work together, in throw-away repositories. Takes seconds; touches nothing of yours."""
    from gitcoord.demo import story

    told = []
    bold, faint, off = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if looked_at() and not os.environ.get("NO_COLOR") else ("", "", "")
    try:
        for kind, text in story(os.environ):
            told.append({"kind": kind, "text": text})
            if not options.json and not options.quiet:
                if kind == "say":
                    print(f"\n{bold}{text}{off}")
                elif kind == "do":
                    print(f"\n{bold}{text}{off}" if "$ " in text else text)
                else:
                    out(f"  {text}")
    except OSError as error:
        raise GitcoordError(f"the demo can't run here: {error}", hint="is there room in the temporary folder?") from error
    answer({"story": told})
    if not options.json:
        print(f"\n{faint}That was a throw-away. In a repository of yours: gitcoord init{off}")
