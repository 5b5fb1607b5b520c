"""guard: says whether files may be written, committed or pushed. On any fault of its own it warns, and lets it happen."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitcoord.agents.mailbox import Mailbox
from gitcoord.cli.connect import answer, options, say, tell
from gitcoord.connection.connect import Connection, connect
from gitcoord.core import leases
from gitcoord.errors import BadInput, GitcoordError, NoRepository, NotInitialised
from gitcoord.git import changes, environment
from gitcoord.guard import cache, check, keep
from gitcoord.guard import words as guard_words
from gitcoord.guard.check import Asked, GuardAnswer
from gitcoord.machine import background, files, processes
from gitcoord.outbox import spool
from gitcoord.views import collisions

if TYPE_CHECKING:
    from gitcoord.coordinator.foretelling import Collision

_SECONDS = 10.0  # all that a hook may take, whatever happens
_STDIN = 1 << 24  # bytes: a push of a hundred thousand refs


def guard(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", show_default=False)] = None,
    staged: Annotated[bool, typer.Option("--staged", help="What a commit would change now.")] = False,
    push: Annotated[bool, typer.Option("--push", help="What a push would send; reads a pre-push hook's input.")] = False,
) -> None:
    """Exit 3 if another holds these files and the mode is block; in mode warn only say so. Made for hooks."""
    if not (paths or staged or push):
        raise BadInput("say what to guard: paths, --staged or --push", hint="gitcoord guard --staged")
    if os.environ.get("GITCOORD") == "0":
        answer(_record(GuardAnswer("off")))
        return
    try:
        with _in_time():
            asked = _asked(paths or [], staged=staged, push=push)
            with _connection() as found:
                said = check.look(found.coordinator.branch, found.repo, found.settings, asked)
                met = _collisions(found, asked) if push and said.outcome != "off" else []
                _look_after(found, said)
    except (NoRepository, NotInitialised):  # not a place where anybody claims anything
        answer(_record(GuardAnswer()))
        return
    except (GitcoordError, OSError, _Over) as error:
        words = f"{error.strerror}: {error.filename or 'on this machine'}" if isinstance(error, OSError) else str(error)
        say(f"warning: the guard could not look: {words}")
        answer({**_record(GuardAnswer("warned")), "message": words})
        return
    for warning in found.coordinator.notices:
        say(f"warning: {warning}")
    for one in met:
        say(f"warning: this will conflict with {one.sessions[1]}'s branch in {collisions.places(one.files)}: gitcoord conflicts")
    if said.cut:
        say("warning: the guard looked at the newest commits of this push only")
    if push and said.outcome == "warned":
        _tell_holders(found, said)
    if push and said.outcome not in {"blocked", "off"}:
        _tell_push(found, asked)
    if said.outcome != "blocked":
        for line in guard_words.lines(said, why=not options.agent):
            say(f"warning: {line}")
        answer(_record(said))
        return
    keep.stopped(found.coordinator.branch, said, "guard.push" if push else "guard.commit" if staged else "guard.edit")
    if staged or push:  # git says nothing about who stopped it
        say(f"error: gitcoord's guard stops this {'push' if push else 'commit'}")
    for line in guard_words.lines(said, why=not options.agent)[1:]:
        say(f"error: {line}")
    raise typer.Exit(tell(guard_words.refusal(said, why=not options.agent), **_record(said)))


class _Over(BaseException):
    """Its time is over. No error that anybody on the way could take for a doubt of his own."""


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    """Ends the guard when its time is over, wherever it is."""

    def over(*_: object) -> None:
        raise _Over(f"it was not done in {_SECONDS:.0f} seconds")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _connection() -> Iterator[Connection]:
    start = os.path.abspath(options.path or ".")
    # In a hook git says by variables which repository is meant; -C says it plainer.
    session = options.session or None
    with connect(start, os.environ, session=session, heard=not options.quiet, hooked=not options.path) as found:
        options.note_reader(found)
        yield found


def _asked(paths: Sequence[str], *, staged: bool, push: bool) -> Asked:
    index = os.environ.get("GIT_INDEX_FILE", "") if staged and not options.path else ""
    return Asked(
        paths=tuple(paths), here=os.path.abspath(options.path or "."), staged=staged, index=os.path.abspath(index) if index else "",
        push=push, updates=(_stdin() or _from_pre_commit(os.environ)) if push else "",
    )  # fmt: skip


def _stdin() -> str:
    """What git gives to a pre-push hook; "" from a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read(_STDIN).decode("utf-8", "surrogateescape")


def _from_pre_commit(environ: Mapping[str, str]) -> str:
    """The same in the variables of the program pre-commit, which keeps the input for itself."""
    names = ("PRE_COMMIT_LOCAL_BRANCH", "PRE_COMMIT_TO_REF", "PRE_COMMIT_REMOTE_BRANCH", "PRE_COMMIT_FROM_REF")
    words = [environ.get(name) or "-" for name in names]
    return " ".join(words) if all(re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", word) for word in words[1::2]) else ""


def _look_after(found: Connection, said: GuardAnswer) -> None:
    """Leaves the next guard a short list, and has an old view refreshed in the background."""
    if said.state is None or said.now is None:
        return
    keep.note(found.memory.path, found.coordinator.branch, said.good, said.state)
    if said.stale and os.environ.get("GITCOORD") != "0" and cache.take_turn(found.memory.path.parent):
        processes.detach(cache.refreshing(found.repo.work_tree), {**os.environ, "GITCOORD_HOOK": "1"})


def _collisions(found: Connection, asked: Asked) -> list[Collision]:
    """With whom what is pushed collides for certain, as far as is known here. It stops nothing, and neither does a fault."""
    with contextlib.suppress(GitcoordError):
        head = found.repo.head().commit
        pushed = [one.local for one in changes.updates(asked.updates) if set(one.local) != {"0"}] if asked.updates else [head]
        return found.coordinator.foretelling.before_push(found.coordinator.branch.view(fresh=False), dict.fromkeys(pushed))
    return []


def _tell_push(found: Connection, asked: Asked) -> None:
    """Have the others learn at once where this session stands: what is pushed can collide with what they push."""
    me, head = found.coordinator.actor.session, found.repo.head()
    binding = found.coordinator.parts.identity.get(me) if me else None
    if binding is None or (asked.updates and head.commit not in {one.local for one in changes.updates(asked.updates)}):
        return
    with contextlib.suppress(GitcoordError, OSError, ValueError):
        spool.heartbeat(binding, {"at": spool.stamp(), "branch": head.branch, "commit": head.commit, "soon": True})
        environ = environment.outside(os.environ)
        background.begin(files.own(found.repo.common_dir), found.repo.work_tree, environ, now=True)


def _tell_holders(found: Connection, said: GuardAnswer) -> None:
    """Leave each holder of what is pushed a message, once for each of its leases: what others hold should not go by in silence."""
    identity, me = found.coordinator.parts.identity, found.coordinator.actor.session
    binding = identity.get(me) if me else None
    for one in said.hindrances if binding is not None else ():
        mailbox = Mailbox.of(identity.own, me)
        once = f"pushed {one.lease.entry}"
        if one.new or mailbox.told(once) or binding is None:
            continue
        with contextlib.suppress(OSError, ValueError):
            paths = ", ".join(one.paths[:3]) + (f" and {len(one.paths) - 3} more" if len(one.paths) > 3 else "")
            text = (
                f"Your lease on {one.lease.resource} (fence {one.lease.fence}) goes on. It was told that you hold it, and pushed."
            )
            spool.alert(binding, one.lease.claimed_by, f"{me} pushed {paths}, which you hold", text)
            mailbox.tell(once)


def _record(said: GuardAnswer) -> dict[str, Any]:
    blocked = []
    for one in said.hindrances:
        assert said.state is not None
        assert said.now is not None
        blocked.append({**leases.describe(said.state, one.lease, said.now), "paths": list(one.paths), "new": one.new})
    lost = [
        {"fence": one.fence, "resource_type": one.resource.type, "resource_name": one.resource.name, "commits": list(one.commits)}
        for one in said.over
    ]
    return {
        "outcome": said.outcome, "mode": said.mode or None, "blocked_by": blocked, "lost": lost,
        "view_age": None if said.view_age is None else round(said.view_age, 1), "unconfirmed": said.doubt or None,
    }  # fmt: skip
