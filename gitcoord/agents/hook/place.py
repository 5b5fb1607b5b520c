"""Where an agent works, and as whom: the work tree that its payload names, and the session that is bound to it there.

Never the process's own folder, and never git's variables: a hook may be started anywhere. Loads the standard library only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitcoord.agents.hook.event import Occasion
from gitcoord.agents.mailbox import Mailbox
from gitcoord.git import discovery, environment
from gitcoord.git.discovery import Nearby
from gitcoord.guard import targets
from gitcoord.machine import background, files
from gitcoord.machine.agents import MARKS, SESSION_VARIABLES, agent_ids
from gitcoord.machine.identity import Binding, Identity, owner

BRANCH = "coordination"
"""The branch by which a new clone is known to belong to a project that coordinates; where it has another name, `gitcoord start`
does for once."""

_NAMED, _UNNAMED = 30.0, 2.0  # seconds in which a second call is taken for the same event: by its key, or by its payload alone
_KEPT = 3600.0  # seconds until the marks of such calls are swept away


@dataclass(frozen=True)
class Here:
    """The work tree, the environment without what ties git to another repository, what the agent is known by, its session (None:
    none is bound), and which process it is.
    """

    near: Nearby
    environ: Mapping[str, str]
    agent: dict[str, str]
    binding: Binding | None

    @property
    def own(self) -> Path:
        """Our folder in the work tree's git folder."""
        return files.own(self.near.git_dir)

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

    def background(self, *, now: bool = False) -> None:
        """Has the rest done by a process that nobody waits for."""
        background.begin(self.shared, self.near.work_tree, self.environ, now=now)


def find(occasion: Occasion, environ: Mapping[str, str]) -> Here | None:
    """Where the agent works; None where nobody coordinates."""
    near = discovery.find(occasion.place) if "\0" not in occasion.place else None
    if near is None:
        return None
    shared = files.own(near.common_dir)
    in_use = next(shared.glob("checked-*.json"), None) is not None
    if not in_use and not (occasion.kind == "start" and discovery.is_coordinated(near.common_dir, BRANCH)):
        return None
    kept = environment.outside(environ)
    kept |= {name: value for name, value in occasion.ids if name in SESSION_VARIABLES}
    agent = agent_ids(kept)
    if not agent and occasion.agent_id:
        bound = next((row.variable for row in MARKS.values() if row.record == occasion.agent), occasion.agent)
        agent = {bound: occasion.agent_id}
    identity = Identity(Path(near.git_dir))
    named = kept.get("GITCOORD_SESSION")
    binding = identity.get(named) if named else identity.of_agent(agent)
    return Here(near, kept, agent, binding)


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
