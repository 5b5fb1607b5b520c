"""A start: the session is registered and briefed. Loads the whole program; loaded only for a start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from gitcoord.agents import arrival
from gitcoord.agents.hook.event import Answer, Occasion
from gitcoord.agents.hook.notes import Said
from gitcoord.agents.hook.place import Here
from gitcoord.agents.mailbox import Tray
from gitcoord.connection.connect import Connection, connect
from gitcoord.coordinator.briefings import touched
from gitcoord.guard import cache

_SECONDS = 2.0  # that a start waits for the remote, each time it asks it


@contextmanager
def connected(here: Here, agent: str) -> Iterator[Connection]:
    """Opens what the clone coordinates by, for the agent's session; waits for the remote no longer than a start may."""
    with connect(here.near.work_tree, here.environ, session=here.binding.session if here.binding else None) as found:
        boss = found.coordinator
        boss.who = replace(boss.who, agent=here.agent, agent_name=agent or None, owner=here.owner())
        boss.seconds = boss.flusher.seconds = min(_SECONDS, found.settings.deadline)
        yield found


def start(here: Here, occasion: Occasion, *, takes: bool = True) -> Said:
    """Registers the session, or goes on with it, and briefs it if a text gets to it now (`takes`)."""
    with connected(here, occasion.agent) as found:
        boss = found.coordinator
        named = here.environ.get("GITCOORD_SESSION", "")
        arrived = arrival.arrive(boss, occasion.source, named=named, files=touched(found.repo))
        if arrived is None:
            return Said()
        tray = Tray.of(here.own, arrived.session)
        tray.touch()
        tray.set_claims(on=found.settings.autoclaim)
        view = boss.view(fresh=False)
        cache.note(
            found.memory.path,
            view.checked.good,
            view.state.claims.values(),
            view.state.rules.grace,
            boss.who.namespace,
            fold=boss.folds(view.state),
        )
    here.background(now=not arrived.known)
    return Said(Answer(context=arrived.text), lambda: arrival.shown(boss, arrived)) if takes else Said()
