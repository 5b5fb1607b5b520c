"""Where `gitcoord hook` begins for coding agents: one JSON object in, one out or nothing, exit code 0 whatever happens.

Most calls are not for us, where hooks are installed for all projects of a person: those cost little more than Python's start. So
only what they need is loaded here, and the rest (`answer`) where somebody coordinates.
"""

import os
import select
import sys
import time

TYPE_CHECKING = False  # `typing`'s own, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INPUT = 1 << 25  # bytes of a payload: a whole file may be in it; a larger one is read to its end, and not looked at
_DRAINED = 1 << 26  # bytes that are read of it at most
_READ_SECONDS = 5.0  # who calls a hook has its payload ready

_HELP = "gitcoord hook is called by coding agents, with a JSON object on standard input: gitcoord hooks --help"


_read_before: bytes | None = None


def is_nothing_to_say(words: "Sequence[str]", environ: "Mapping[str, str]") -> bool:
    """Return True if the step is done, with nothing said: nobody coordinates there, or it was a plain edit. Else what it has read
    can be read once more, by this process or by another that is given its standard input.
    """
    if "-h" in words or "--help" in words or environ.get("GITCOORD") == "0" or environ.get("GITCOORD_HOOK") or os.isatty(0):
        return False
    from gitcoord.agents.hook import glance
    from gitcoord.machine import plainjson

    data = _read()
    try:
        payload, named = plainjson.loads(data) if len(data) <= _INPUT else None, _named(words)
        if isinstance(payload, dict) and (is_plainly_nobodys(payload, named, environ) or glance.is_plain(payload, named, environ)):
            return True
    except Exception:  # any doubt: the long way
        _give_back(data)
        return False
    _give_back(data)
    return False


def _give_back(data: bytes) -> None:
    global _read_before
    try:
        again = os.memfd_create("hook")
        with open(again, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(again, 0, os.SEEK_SET)
        os.dup2(again, 0)
        os.close(again)
    except (AttributeError, OSError):  # not here: then no other process is asked either
        _read_before = data


def main(words: "Sequence[str]", environ: "Mapping[str, str]") -> int:
    """Does what the hook was called for, as far as it can; always 0."""
    try:  # a hook never hurts (guarantee G11)
        by_hand = "-h" in words or "--help" in words or sys.stdin is None or sys.stdin.isatty()
        data = b"" if by_hand else _read()
        if not data:
            print(_HELP, file=sys.stderr)
        elif len(data) <= _INPUT:
            import json

            payload = json.loads(data)
            named = _named(words)
            if isinstance(payload, dict) and not is_plainly_nobodys(payload, named, environ):
                from gitcoord.agents.hook.answer import alone, answer

                with alone() as out:
                    answer(payload, named, environ, out)
    except BaseException:
        return 0
    return 0


def is_plainly_nobodys(payload: "Mapping[str, object]", named: str, environ: "Mapping[str, str]") -> bool:
    """Whether nobody coordinates where the agent works, as far as a few looks at the disk tell: no repository, or one without our
    folder. A start may be the first thing here, and an agent that wants a word in any case is no plain matter; nor is a session
    that was registered elsewhere.
    """
    place = payload.get("cwd")
    if not isinstance(place, str) or not os.path.isabs(place) or "\0" in place:
        return False
    if named.startswith("antigravity") or "cursor_version" in payload or "conversationId" in payload:
        return False
    if "start" in str(payload.get("hook_event_name") or payload.get("event") or "start").lower() or _may_begin(payload, environ):
        return False
    if not _is_nobodys(place) or not all(map(_is_nobodys, _elsewhere(payload, environ))):
        return False
    from gitcoord.machine import whereabouts

    session = payload.get("session_id") or payload.get("session") or payload.get("sessionId")
    return not (isinstance(session, str) and os.path.lexists(whereabouts.place(session, environ)))


def _may_begin(payload: "Mapping[str, object]", environ: "Mapping[str, str]") -> bool:
    """Return True for a prompt of an agent that doesn't tell of each start."""
    if payload.get("hook_event_name") != "UserPromptSubmit":
        return False
    from gitcoord.machine.agents import LATE

    return any(environ.get(name) for name in LATE)


def _elsewhere(payload: "Mapping[str, object]", environ: "Mapping[str, str]") -> list[str]:
    """The other folders that a call may be about: that of the agent's project, and those of the files that a tool is given."""
    found = [value for name, value in environ.items() if name.endswith("_PROJECT_DIR")]
    given = payload.get("tool_input")
    values = given.values() if isinstance(given, dict) else ()
    found += [os.path.dirname(value) for value in values if isinstance(value, str) and len(value) < 4096]
    return [folder for folder in found if os.path.isabs(folder) and "\0" not in folder]


def _is_nobodys(folder: str) -> bool:
    here = os.path.realpath(folder)
    while True:
        own = os.path.join(here, ".git")
        if os.path.isfile(own):
            return False  # a linked work tree, or a submodule
        if os.path.lexists(os.path.join(own, "HEAD")):
            return not any(name.startswith("gitcoord") for name in os.listdir(own))
        above = os.path.dirname(here)
        if above == here:
            return True
        here = above


def _named(words: "Sequence[str]") -> str:
    """The agent that is named on the command line; "" for none. What isn't known is passed over: the payload may tell."""
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--agent":
            return value if equals else next(iter(words[number + 1 :]), "")
    return ""


def _read() -> bytes:
    """What stands on the standard input, to its end; of what is too long a part that is too long as well."""
    if _read_before is not None:
        return _read_before
    data, length, end = bytearray(), 0, time.monotonic() + _READ_SECONDS
    while length <= _DRAINED and select.select([0], [], [], max(0.0, end - time.monotonic()))[0]:
        chunk = os.read(0, 1 << 16)
        if not chunk:
            break
        length += len(chunk)
        if len(data) <= _INPUT:
            data += chunk
    return bytes(data)
