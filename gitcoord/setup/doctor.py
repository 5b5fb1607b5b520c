"""What is wrong, and how to mend it. Each finding is one line with a next step; `fix` mends what can't hurt anybody."""

from __future__ import annotations

import compileall
import contextlib
import platform
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from gitcoord import __version__
from gitcoord.connection.connect import Connection
from gitcoord.core.branch import way_back
from gitcoord.core.names import counted, show
from gitcoord.core.records import FORMAT
from gitcoord.core.times import spell, spell_span
from gitcoord.errors import Divided, GitcoordError, NotInitialised, Rewritten, Unreachable, mask
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.outbox.places import count_left
from gitcoord.setup.checks import agents, builds, divided, hooks, remote, rewritten, warm
from gitcoord.setup.checks.finding import Finding

OLDEST_GIT = (2, 31)
"""`--no-filter`, `--no-write-fetch-head` and several transactions of `update-ref --stdin` are all there since then."""


def examine(found: Connection, *, fix: bool) -> list[Finding]:
    """Looks at everything, mending on the way when asked to."""
    return [
        *_programs(found, fix=fix),
        *_place(found),
        *_branch(found),
        *_clock(found),
        *_outbox(found, fix=fix),
        *_refs(found, fix=fix),
        *_relay(found),
        *hooks.look(found),
        *agents.look(found),
        *warm.look(found),
        *_around(found),
    ]


def _programs(found: Connection, *, fix: bool) -> Iterator[Finding]:
    text = found.repo.version()
    numbers = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    if numbers < OLDEST_GIT:
        yield Finding("wrong", f"git {text} is too old", "install git 2.31 or newer")
    else:
        yield Finding("ok", f"gitcoord {__version__}, git {text}, Python {platform.python_version()}")
    package = Path(__file__).parent
    missing = [path for path in package.rglob("*.py") if not _bytecode(path).exists()]
    if missing and not sys.dont_write_bytecode:
        if fix:
            compileall.compile_dir(str(package), quiet=2)
            yield Finding("ok", f"compiled {len(missing)} modules: commands start faster")
        else:
            yield Finding("warning", f"{len(missing)} modules are not compiled: commands start slowly", "gitcoord doctor --fix")


def _bytecode(path: Path) -> Path:
    import importlib.util

    return Path(importlib.util.cache_from_source(str(path)))


def _place(found: Connection) -> Iterator[Finding]:
    tip = found.tip
    if isinstance(tip, RemoteTip):
        yield Finding("ok", f"the branch is {tip.ref}, read and written at {show(mask(tip.url), 200)}")
        pushes, fetches = found.repo.config.get(f"remote.{tip.where}.pushurl"), found.repo.config.get(f"remote.{tip.where}.url")
        if pushes and pushes != fetches:
            yield Finding(
                "warning", f"{tip.where} is fetched from another URL than it is pushed to; gitcoord uses the push URL for both"
            )
        if not found.settings.hub and found.repo.local_branch(found.settings.branch):
            yield Finding(
                "warning",
                f"there is a local branch {found.settings.branch} beside {tip.ref}: it gets stale, and then `git push --all` fails",
                "gitcoord init takes over a record that was made without a remote; any other such branch is yours to rename",
            )
    else:
        yield Finding("ok", f"no remote: the branch is {tip.ref} in this repository, for sessions on this machine")


def _branch(found: Connection) -> Iterator[Finding]:
    coordinator = found.coordinator
    try:
        view = coordinator.branch.view(fresh=True)
    except Unreachable as error:
        yield Finding("wrong", error.message, "check the network and your access: git ls-remote")
        return
    except NotInitialised as error:
        yield Finding("warning", error.message, error.hint)
        return
    except Divided as error:
        yield Finding("wrong", error.message)
        yield from divided.look(found, error)
        return
    except Rewritten as error:
        yield Finding("wrong", error.message)
        yield from rewritten.look(found, error)
        return
    except GitcoordError as error:
        yield Finding("wrong", error.message, error.hint)
        return
    if view.read_at is None:
        words = "; ".join(coordinator.notices)
        if coordinator.parts.boxed:
            yield Finding("warning", f"this is a sandbox without a way to the remote: {words}", "gitcoord doctor outside of it")
        else:
            yield Finding("wrong", f"the remote can't be reached: {words}", "check the network and your access: git ls-remote")
        coordinator.notices.clear()
    if view.unverified:
        yield _checking(found)
        return
    yield Finding(
        "ok",
        f"event {view.checked.seq} at {spell(view.state.at)}, {len(view.state.sessions)} sessions, {len(view.state.claims)} claims",
    )
    for bad in view.checked.unmended:
        yield Finding("warning", f"commit {bad.commit[:12]} is ignored: {bad.reason}", "nothing to do: the next event mends it")
    rules = view.state.rules
    if rules.format > FORMAT:
        words = f"the branch has format {rules.format}: this program only reads it"
        if rules.format_used <= FORMAT:
            words += f". Nothing rests on it yet: if nobody needs it, a person takes it back by {way_back(rules)}"
        yield Finding("wrong", words, "upgrade gitcoord")


def _checking(found: Connection) -> Finding:
    begun = found.memory.begun()
    how = f"{begun.done:,} of {begun.total:,} events" if begun is not None and begun.total else "just begun"
    what = f"the history is being checked in the background, {how}: until then what is shown is unverified, and writing waits"
    return Finding("warning", what, "nothing to do: the next command goes on where it ends")


def _around(found: Connection) -> Iterator[Finding]:
    """What stands around the branch: its remote's rules, and services that build what is pushed."""
    try:
        view = found.coordinator.branch.view()
    except GitcoordError:
        return  # told already
    if view.unverified:
        return  # its settings may be no settings
    if view.read_at is not None:
        yield from remote.look(found)
    yield from builds.look(found, skip_ci=view.state.rules.settings.skip_ci)


def _clock(found: Connection) -> Iterator[Finding]:
    coordinator = found.coordinator
    witness = found.tip.witness()
    if witness is None:
        yield Finding("ok", "this remote tells no time: take-overs go by this machine's clock and the branch's")
        return
    ahead = coordinator.now() - witness
    if abs(ahead) > timedelta(seconds=60):
        word = "ahead of" if ahead > timedelta(0) else "behind"
        yield Finding("warning", f"this machine's clock is {spell_span(abs(ahead))} {word} the remote's", "set the clock")
    else:
        yield Finding("ok", "this machine's clock agrees with the remote's")


def _outbox(found: Connection, *, fix: bool) -> Iterator[Finding]:
    outbox = found.outbox
    waiting = found.coordinator.parts.submitter.unsent()
    if waiting:
        yield Finding("warning", f"{len(waiting)} commands are unsent", "gitcoord sync")
    unreadable = [one for one in waiting if one.command is None]
    if unreadable:
        yield Finding("warning", f"{len(unreadable)} of them can't be read by this program", "upgrade gitcoord")
    for record in outbox.refused():
        body = record.get("command", {})
        yield Finding(
            "warning",
            f"{record.get('kind')} of {body.get('session')}, asked {body.get('at')}, was not carried out: {record.get('refused')}",
            "once that is mended: gitcoord doctor --fix",
        )
    if fix:
        for op in outbox.try_again():
            yield Finding("ok", f"{op} waits again: gitcoord sync")
        outbox.sweep()
    same, others = found.earlier()
    for path in (*same, *others):
        if left := count_left(path):
            way = "gitcoord sync" if path in same else "set the remote's URL back, then gitcoord sync; or delete that folder"
            yield Finding("warning", f"{left} commands are unsent in an outbox that this clone used before: {path}", way)
    yield Finding("ok", f"what waits is kept in {outbox.path}")


def tidy(found: Connection) -> None:
    """Packs loose objects, at most once a day, in a process that nobody waits for: our commits never start git's own
    garbage collection, and a thousand events would leave thousands of small files.
    """
    now = found.coordinator.now()
    last = found.outbox.state().get("packed_on")
    if last != f"{now:%Y-%m-%d}":
        found.outbox.update(packed_on=f"{now:%Y-%m-%d}")
        found.home.run("maintenance", "run", "--task=loose-objects", "--quiet")


def _refs(found: Connection, *, fix: bool) -> Iterator[Finding]:
    """Refs of ours that a killed process left behind."""
    listed = found.home.own_refs(kept=False)
    if listed and fix:
        found.home.drop_refs(listed)
        yield Finding("ok", f"took away what a killed process had left behind: {counted(len(listed), 'ref')}")
    elif listed:
        yield Finding("warning", f"left behind by a killed process: {counted(len(listed), 'ref')}", "gitcoord doctor --fix")
    if fix:
        with contextlib.suppress(GitcoordError):
            found.home.ask("maintenance", "run", "--task=loose-objects", "--quiet")
            yield Finding("ok", "packed loose objects")


def _relay(found: Connection) -> Iterator[Finding]:
    """The relay that the hooks let go: in the background nobody sees why it doesn't."""
    name = found.settings.relay
    if not name:
        return
    from gitcoord.relay.plan import Typed, make_plan  # here: nobody else pays for loading what talks HTTP

    try:
        plan = make_plan(Typed(name=name), found.repo.environ, found.repo.work_tree)
    except GitcoordError as error:
        yield Finding("wrong", f"the hooks' background work can't relay as {name}: {error.message}", error.hint)
        return
    ways = ", ".join([*(one.name for one in plan.outlets), *(one.name for one in plan.inlets)])
    yield Finding("ok", f"the hooks' background work relays as {name}: {show(ways, 200)}")
