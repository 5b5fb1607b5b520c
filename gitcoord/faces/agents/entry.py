"""Where `gitcoord hook` begins for coding agents: one JSON object in, one out or nothing, exit code 0 whatever happens.

An agent takes what it reads on standard output for an answer, and an exit code of 2 for a refusal. So nothing but the answer gets
there; what goes wrong stands in a log. Loads the standard library only, and the rest of the program where a step needs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gitcoord.faces.agents import dialects, place, steps
from gitcoord.faces.agents.occasion import NOTHING
from gitcoord.faces.agents.steps import Said
from gitcoord.local import spool

_INPUT = 1 << 20  # bytes of a payload; a larger one is read to its end, and not looked at
_DRAINED = 1 << 26  # bytes that are read of it at most
_READ_SECONDS = 5.0  # who calls a hook has its payload ready
_SECONDS = 8.0  # all that a hook may take, whatever happens

_HELP = "gitcoord hook is called by coding agents, with a JSON object on standard input: gitcoord hooks --help"


class _Over(BaseException):
    """Its time is over. No error that anybody on the way could take for one of his own."""


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Does what the hook was called for, as far as it can; always 0."""
    with contextlib.suppress(BaseException):  # a hook never hurts (guarantee G11)
        by_hand = "-h" in words or "--help" in words or sys.stdin is None or sys.stdin.isatty()
        data = b"" if by_hand else _read()
        if not data:
            print(_HELP, file=sys.stderr)
        elif len(data) <= _INPUT:
            with _alone() as out:
                _answer(json.loads(data), _named(words), environ, out)
    return 0


def _named(words: Sequence[str]) -> str:
    """The agent that is named on the command line; "" for none. What isn't known is passed over: the payload may tell."""
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--agent":
            return value if equals else next(iter(words[number + 1 :]), "")
    return ""


@contextlib.contextmanager
def _alone() -> Iterator[int]:
    """Gives the standard output to the answer alone: whatever else is printed, by whatever is loaded, goes nowhere. Nothing takes
    longer than its time.
    """

    def over(*_: object) -> None:
        raise _Over("it was not done in time")

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


def _read() -> bytes:
    """What stands on the standard input, to its end; of what is too long a part that is too long as well."""
    data, length, end = bytearray(), 0, time.monotonic() + _READ_SECONDS
    while length <= _DRAINED and select.select([0], [], [], max(0.0, end - time.monotonic()))[0]:
        chunk = os.read(0, 1 << 16)
        if not chunk:
            break
        length += len(chunk)
        if len(data) <= _INPUT:
            data += chunk
    return bytes(data)


def _answer(payload: Any, named: str, environ: Mapping[str, str], out: int) -> None:
    """Does the step and prints the answer."""
    if not isinstance(payload, dict):
        return
    dialect = dialects.choose(payload, environ, named)
    occasion = dialect.read(payload, environ)
    off = environ.get("GITCOORD") == "0" or environ.get("GITCOORD_HOOK")
    here = place.find(occasion, environ) if occasion.kind != "other" and not off else None
    if here is None:
        _print(dialect.write(occasion, NOTHING), Said(), out)  # there are agents that take silence for a no
        return
    try:
        said = steps.take(here, occasion, payload, takes=dialect.takes(occasion))
        _print(dialect.write(occasion, said.answer), said, out)
    except (Exception, _Over) as error:
        with contextlib.suppress(OSError):  # closed: it was answered
            _print(dialect.write(occasion, NOTHING), Said(), out)
        log = Path(here.near.git_dir) / "gitcoord" / "hook.log"
        if log.parent.is_dir():
            spool.log(log, f"{occasion.agent} {occasion.event}: {type(error).__name__}: {error}")


def _print(text: str, said: Said, out: int) -> None:
    """Prints the answer, whole, and notes that it was: in this order what isn't shown comes again."""
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(out, data) :]
    os.close(out)
    if said.done is not None:
        said.done()
