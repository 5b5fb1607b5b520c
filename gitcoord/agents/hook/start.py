"""A start: the session is registered and briefed. Loads the whole program; loaded only for a start."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from gitcoord.agents import arrival
from gitcoord.agents.hook.event import HookAnswer, Occasion
from gitcoord.agents.hook.notes import NotedAnswer
from gitcoord.agents.hook.place import Here
from gitcoord.agents.mailbox import Mailbox
from gitcoord.connection.connect import Connection, connect
from gitcoord.coordinator.briefings import touched
from gitcoord.errors import Unchecked
from gitcoord.guard import keep
from gitcoord.machine import whereabouts
from gitcoord.machine.agents import LOGIN_SHELLS, NAMELESS

_SECONDS = 2.0  # that a start waits for the remote, each time it asks it


@contextmanager
def connected(
    here: Here, agent: str, *, cached: bool = False, heard: bool = True, unverified: bool = False
) -> Iterator[Connection]:
    """Open what the clone coordinates by, for the agent's session, and wait for the remote no longer than a start may. `cached`: to
    look once is enough; `heard`: whether what the session lost is shown to anybody; `unverified`: see `Actor`.
    """
    session = here.binding.session if here.binding else here.sitting or None
    with connect(
        here.near.work_tree, here.environ, session=session, cached=cached, heard=heard, unverified=unverified, seconds=_SECONDS
    ) as found:
        actor = replace(found.coordinator.actor, agent=here.agent, agent_name=agent or None, owner=here.owner())
        yield replace(found, coordinator=found.coordinator.acting_as(actor, identity=here.identity))


def start(here: Here, occasion: Occasion, *, takes: bool = True) -> NotedAnswer:
    """Registers the session, or goes on with it, and briefs it if a text gets to it now (`takes`)."""
    with connected(here, occasion.agent, cached=True) as found:  # to look once is enough
        coordinator = found.coordinator
        named = here.environ.get("GITCOORD_SESSION", "")
        program = _program(here) if occasion.agent in LOGIN_SHELLS else ""
        nameless = occasion.agent in NAMELESS
        try:
            arrived = arrival.arrive(
                coordinator, occasion.source, named=named, files=touched(found.repo), program=program, nameless=nameless
            )
        except Unchecked:
            return _not_yet(here, occasion) if takes else NotedAnswer()
        if arrived is None:
            return NotedAnswer()
        mailbox = Mailbox.of(here.own, arrived.session)
        mailbox.touch()
        whereabouts.note(occasion.agent_id, here.near.work_tree, here.environ)
        mailbox.set_claims(on=found.settings.autoclaim)
        view = coordinator.branch.view(fresh=False)
        keep.note(found.memory.path, coordinator.branch, view.checked.good, view.state)
    here.background(now=not arrived.known)
    return NotedAnswer(HookAnswer(context=arrived.text), lambda: arrival.shown(coordinator, arrived)) if takes else NotedAnswer()


def _not_yet(here: Here, occasion: Occasion) -> NotedAnswer:
    """Return what an agent is told while its session waits for the check of the history."""
    with connected(here, occasion.agent, cached=True, unverified=True) as found:
        text = arrival.not_yet(found.coordinator, touched(found.repo))
    return NotedAnswer(HookAnswer(context=text))


def _program(here: Here) -> str:
    """Return where the hook's PATH has gitcoord; "" where it has none, or none that is the same from every folder."""
    path = shutil.which("gitcoord", path=here.environ.get("PATH", "")) or ""
    return path if path.startswith("/") else ""
