"""Where an agent works, and as whom: the work tree that its payload names, and the session that is bound to it there.

Never the process's own folder, and never git's variables: a hook may be started anywhere. Loads the standard library only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gitcoord.agents.hook.event import Occasion
from gitcoord.agents.mailbox import Mailbox
from gitcoord.git import discovery, environment
from gitcoord.git.discovery import WorkTree
from gitcoord.guard import targets
from gitcoord.machine import background, files, whereabouts
from gitcoord.machine.agents import MARKS, OUTER, SESSION_VARIABLES, agent_ids
from gitcoord.machine.identity import Binding, Identity, owner, seated_as

BRANCH = "coordination"
"""The branch by which a new clone is known to belong to a project that coordinates; where it has another name, `gitcoord start`
does for once."""

_NAMED, _UNNAMED = 30.0, 2.0  # seconds in which a second call is taken for the same event: by its key, or by its payload alone
_KEPT = 3600.0  # seconds until the marks of such calls are swept away


@dataclass(frozen=True)
class Here:
    """The work tree, the environment without what ties git to another repository, what the agent is known by, the bindings among
    which it sits (of another work tree of the clone, where it is bound there), and its session (None: none is bound).
    """

    near: WorkTree
    environ: Mapping[str, str]
    agent: dict[str, str]
    identity: Identity
    binding: Binding | None
    sitting: str = ""
    """The session of the work tree in which an agent works that has none of its own: what that holds is not in its way."""

    @property
    def own(self) -> Path:
        """Our folder in the git folder of the work tree in which the agent sits."""
        return self.identity.own

    @property
    def shared(self) -> Path:
        """Our folder for the whole clone."""
        return files.own(self.near.common_dir)

    @property
    def mailbox(self) -> Mailbox:
        """The session's mailbox; where none is bound, one for what is said only once."""
        return Mailbox.of(self.own, self.binding.session if self.binding else "anyone")

    def owner(self) -> tuple[int, str]:
        """The agent's process."""
        return owner(self.environ)

    def background(self, *, now: bool = False, wait: float = 0.0) -> None:
        """Has the rest done by another process. `wait`: seconds that this one waits for it at most, where it begins at once."""
        background.begin(self.shared, self.near.work_tree, self.environ, now=now, wait=wait)


def find(occasion: Occasion, environ: Mapping[str, str]) -> list[tuple[Here, Occasion]]:
    """Return where the step is done, and what of it; nothing where nobody coordinates.

    An edit is judged by the repository in which the file lies, so one of several may be done in several places. Any other step is
    its session's, wherever the agent stands: in the payload's folder, in the one that its variables name, or, where nobody
    coordinates in these, where the session was registered.
    """
    kept = {name: value for name, value in environment.outside(environ).items() if name not in OUTER.values() or not occasion.ids}
    kept |= {name: value for name, value in occasion.ids if name in SESSION_VARIABLES}
    agent = agent_ids(kept)
    if not agent and occasion.agent_id:
        bound = next((row.variable for row in MARKS.values() if row.record == occasion.agent), occasion.agent)
        agent = {bound: occasion.agent_id}
    found: list[tuple[Here, Occasion]] = []
    for folder, paths in _folders(occasion).items():
        here = _here(folder, occasion, kept, agent)
        if here is not None:
            found.append((here, replace(occasion, paths=paths)))
    if any(here.binding is not None for here, _ in found):
        return found
    places = [place for place in (occasion.place, occasion.project) if place]
    near = [here for here in (_here(place, occasion, kept, agent) for place in dict.fromkeys(places)) if here is not None]
    if not near and occasion.kind != "start":
        noted = whereabouts.find(occasion.agent_id, environ)
        near = [here for here in (_here(noted, occasion, kept, agent),) if here is not None and here.binding is not None]
    here = next((one for one in near if one.binding is not None), next(iter(near), None))
    if here is None or (found and here.binding is None):
        return found
    return [*found, (here, replace(occasion, paths=()) if found else occasion)]


def _folders(occasion: Occasion) -> dict[str, tuple[str, ...]]:
    """The folders in which the files of an edit lie, or would, each with those files. A link's target counts, too."""
    found = dict[str, tuple[str, ...]]()
    for path in occasion.paths:
        given = os.path.join(occasion.place, path)
        for one in dict.fromkeys((given, os.path.realpath(given)) if os.path.islink(given) else (given,)):
            folder = os.path.dirname(one)
            while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
                folder = os.path.dirname(folder)
            near = discovery.find(folder) if os.path.isabs(folder) and "\0" not in folder else None
            if near is not None:
                found[near.work_tree] = (*found.get(near.work_tree, ()), path)
    return found


def _here(folder: str, occasion: Occasion, environ: Mapping[str, str], agent: dict[str, str]) -> Here | None:
    """The work tree that the folder lies in, and who sits there; None where nobody coordinates."""
    near = discovery.find(folder) if "\0" not in folder else None
    if near is None:
        return None
    in_use = next(files.own(near.common_dir).glob("checked-*.json"), None) is not None
    begins = occasion.kind == "start" or (occasion.late and occasion.kind == "prompt")
    if not in_use and not (begins and _is_coordinated(near, occasion, environ)):
        return None
    named = environ.get("GITCOORD_SESSION")
    if named:
        identity = Identity(Path(near.git_dir))
        return Here(near, environ, agent, identity, identity.get(named))
    if occasion.guards:
        identity = Identity(Path(near.git_dir))
        person = identity.of_person()
        return Here(near, environ, {}, identity, None, person.session if person else "")
    identity = seated_as(near.git_dir, discovery.git_dirs(near.common_dir), agent)
    binding = identity.of_agent(agent)
    if binding is None and occasion.subagent:  # a helper's helper names the helper: its process tells whose both are
        same = identity.of_process(agent, owner(environ))
        binding = same[0] if len(same) == 1 else None
    if binding is not None and identity.own.parent != Path(near.git_dir):
        with suppress(OSError):
            files.private_folder(files.own(near.git_dir))  # where it is, git's hooks tell what is committed there
    return Here(near, environ, agent, identity, binding)


def _is_coordinated(near: WorkTree, occasion: Occasion, environ: Mapping[str, str]) -> bool:
    """Return True if the clone knows the branch, or its remote has it: a session's start looks there once."""
    if discovery.is_coordinated(near.common_dir, BRANCH):
        return True
    if occasion.subagent or not discovery.has_remote(near.common_dir):
        return False
    from gitcoord.agents.hook import look  # here: only such a start pays for the whole program

    return look.fetch(near, environ)


def ground(here: Here, within: str) -> targets.Ground:
    """Return where the files of this repository lie."""
    return targets.Ground(tuple(discovery.work_trees(here.near)), (here.near.common_dir, here.near.git_dir), within)


def is_first(here: Here, occasion: Occasion, payload: Any) -> bool:
    """Whether this is the first call for the event: two hook files may name us for it."""
    if occasion.key:
        said = [occasion.kind, occasion.agent_id, occasion.source, str(occasion.nagged), occasion.key]
        span = _NAMED
    else:
        said, span = [occasion.kind, json.dumps(payload, sort_keys=True)], _UNNAMED
    import hashlib  # here: an edit needs none

    said.append(str(here.owner()))  # the old process and the new one of a session that was resumed say the same
    folder = files.private_folder(here.own / "hooked")
    mark = folder / hashlib.sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    if not files.take_turn(mark, span):
        return False
    _sweep(folder)
    return True


def _sweep(folder: Path) -> None:
    now = time.time()
    for path in folder.glob("[0-9a-f]*"):  # not the lock
        with suppress(OSError):
            if now - path.stat().st_mtime > _KEPT:
                path.unlink()
