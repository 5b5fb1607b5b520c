"""`gitcoord statusline`: what was last known of a session, in one line, for shell prompts and agents' status lines.

Runs before every prompt: no git, no network, the standard library only. Says nothing where gitcoord isn't used, and where
anything is wrong; always ends with 0.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitcoord.core.names import Resource
from gitcoord.git import discovery
from gitcoord.machine import files
from gitcoord.machine.agents import AGENTS, agent_ids
from gitcoord.machine.identity import Binding, Identity, seated
from gitcoord.statusline import cache
from gitcoord.statusline.line import Glance, line

_STDIN = 1 << 20  # bytes of an agent's JSON that are read
_PATIENCE = 0.2  # seconds: an agent has written before it waits for the line; a prompt's pipe may stay silent for ever
_CLAUDE = AGENTS["claude"].variable


def main(path: str = "", *, as_json: bool = False) -> int:
    """Prints the line; 0. `path`: the folder, "" for what the agent says on standard input, else the one that this runs in."""
    with suppress(Exception):  # a prompt is no place for a fault of ours
        found = None
        if os.environ.get("GITCOORD") != "0":
            given = {} if path else _given()
            found = look(path or _place(given), os.environ, given)
        if as_json:
            print(json.dumps(_record(found)))
        elif found is not None:
            print(line(found).encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()
        return 0
    sys.stdout = None  # nobody reads it: at its end Python would try again, and fail
    return 0


def look(folder: str, environ: Mapping[str, str], given: Mapping[str, Any]) -> Glance | None:
    """What is known of the session that sits in that folder's work tree; None where none does. `given`: what an agent said."""
    near = discovery.find(os.path.abspath(folder))
    if near is None:
        return None
    identity = seated(near.git_dir, discovery.git_dirs(near.common_dir), environ)
    place = identity.own.parent
    binding = _sitting(identity, environ, given)
    if binding is None:
        return None
    notes = identity.holding(binding.session)
    held = tuple(_named(entry, binding.repo) for entry, held in notes.items() if held.until > time.time())
    seen = cache.read(place, binding.session)
    if seen is None or seen.run_id != binding.run_id:
        return Glance(binding.session, held, local=_is_local(binding))
    age = max(0.0, time.time() - seen.read_at) if seen.read_at else None
    return Glance(binding.session, held, seen.waiting, seen.unread, seen.questions, age)


def _is_local(binding: Binding) -> bool:
    """Return True if the remote refused the start of that session, which was never seen on the branch."""
    noted = files.read(Path(binding.outbox) / "state.json", files.mapping) if binding.outbox else None
    return bool(noted and noted.get("refused_since"))


def _sitting(identity: Identity, environ: Mapping[str, str], given: Mapping[str, Any]) -> Binding | None:
    """The session that is meant: the named one, else the agent's, else a person's, else the newest. Its name is in the line, so
    that nobody takes another's for their own.
    """
    named = given.get("session_id")
    agent = agent_ids(environ) or ({_CLAUDE: named} if isinstance(named, str) and named else {})
    if environ.get("GITCOORD_SESSION") or not agent:
        return identity.sitting(environ) or next(iter(identity.all()), None)
    name = agent.get(_CLAUDE)
    mine = (one for one in identity.all() if one.agent == agent or (name is not None and one.agent.get(_CLAUDE) == name))
    return next(mine, None)


def _named(entry: str, repo: str) -> str:
    """What a lease (`42 file:a`) is on, as it is called in its own repository."""
    what = entry.partition(" ")[2]
    with suppress(ValueError):
        resource = Resource.read(what)
        if resource.type == "file":
            return resource.name.removeprefix(f"{repo}//" if repo else "")
    return what


def _place(given: Mapping[str, Any]) -> str:
    workspace = given.get("workspace")
    inner = workspace.get("current_dir") if isinstance(workspace, dict) else None
    return next((one for one in (inner, given.get("cwd")) if isinstance(one, str) and one), "") or os.getcwd()


def _given() -> dict[str, Any]:
    """What an agent says on standard input; nothing on a terminal, or where nothing comes."""
    if sys.stdin is None or sys.stdin.isatty():
        return {}
    data, end = b"", time.monotonic() + _PATIENCE
    with suppress(OSError, ValueError):
        handle = sys.stdin.fileno()
        while len(data) < _STDIN and select.select([handle], [], [], max(0.0, end - time.monotonic()))[0]:
            part = os.read(handle, 1 << 16)
            if not part:
                break
            data += part
        given = json.loads(data)
        return given if isinstance(given, dict) else {}
    return {}


def _record(found: Glance | None) -> dict[str, Any]:
    if found is None:
        return {"session_id": None, "held": [], "waiting": [], "unread": 0, "questions": 0, "age": None, "local": False}
    return {
        "session_id": found.session,
        "held": list(found.held),
        "waiting": list(found.waiting),
        "unread": found.unread,
        "questions": found.questions,
        "age": None if found.age is None else round(found.age),
        "local": found.local,
    }
