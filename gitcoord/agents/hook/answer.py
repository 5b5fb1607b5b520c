"""The answer to an agent's hook, where somebody coordinates: the step is done, and only its answer gets to the standard output.

An agent takes what it reads there for an answer, and an exit code of 2 for a refusal; what goes wrong stands in a log. Loads the
standard library only, and the rest of the program where a step needs it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gitcoord.agents.dialects.choose import choose
from gitcoord.agents.hook import place, steps
from gitcoord.agents.hook.event import NOTHING, Occasion
from gitcoord.agents.hook.notes import NotedAnswer
from gitcoord.agents.hook.place import Here
from gitcoord.machine import files
from gitcoord.outbox import spool

_SECONDS = 8.0  # all that a hook may take, whatever happens


class _TimeIsUp(BaseException):
    """Its time is over. No error that anybody on the way could take for one of his own."""


@contextlib.contextmanager
def alone() -> Iterator[int]:
    """Gives the standard output to the answer alone: whatever else is printed, by whatever is loaded, goes nowhere. Nothing takes
    longer than its time.
    """

    def over(*_: object) -> None:
        raise _TimeIsUp("it was not done in time")

    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for handle in (1, 2):
        os.dup2(nowhere, handle)
    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        yield out
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def answer(payload: Mapping[str, Any], named: str, environ: Mapping[str, str], out: int) -> None:
    """Does the step and prints the answer."""
    dialect = choose(payload, environ, named)
    occasion = dialect.read(payload, environ)
    off = environ.get("GITCOORD") == "0" or environ.get("GITCOORD_HOOK")
    if not dialect.known and not off:
        from gitcoord.agents.hook import unknown  # here: nobody else pays for it

        unknown.note(payload, environ)
    places = place.find(occasion, environ) if occasion.kind != "other" and not off else []
    if not places:
        _print(dialect.write(occasion, NOTHING), NotedAnswer(), out)  # there are agents that take silence for a no
        return
    try:
        said = NotedAnswer()
        for here, part in places:  # all are done, also where something is said already: the first that has an answer gives it
            said = said.beside(steps.take(here, part, payload, takes=said.answer is NOTHING and dialect.takes(occasion)))
        _print(dialect.write(occasion, said.answer), said, out)
        if dialect.row.by_form and said.answer is NOTHING and len(places) == 1:
            _note_plain(*places[0], payload, named, environ)
    except (Exception, _TimeIsUp) as error:
        with contextlib.suppress(OSError):  # closed: it was answered
            _print(dialect.write(occasion, NOTHING), NotedAnswer(), out)
        _log(places[0][0], occasion, f"{type(error).__name__}: {error}")
    for notice in files.notices():
        _log(places[0][0], occasion, notice)


def _note_plain(here: Here, occasion: Occasion, payload: Mapping[str, Any], named: str, environ: Mapping[str, str]) -> None:
    """Leave the next edit a shorter way, where nothing was to be said about this one."""
    if (
        occasion.kind != "before-edit"
        or len(occasion.paths) != 1
        or here.binding is None
        or here.own.parent != Path(here.near.git_dir)
    ):
        return
    from gitcoord.agents.hook import glance

    with contextlib.suppress(OSError):
        glance.note(str(here.own), here.binding.session, dict(occasion.ids), occasion.paths[0], payload, named, environ)


def _log(here: Here, occasion: Occasion, words: str) -> None:
    log = here.own / "hook.log"
    if log.parent.is_dir():
        spool.log(log, f"{occasion.agent} {occasion.event}: {words}")


def _print(text: str, said: NotedAnswer, out: int) -> None:
    """Prints the answer, whole, and notes that it was: in this order what isn't shown comes again."""
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(out, data) :]
    os.close(out)
    if said.done is not None:
        said.done()
