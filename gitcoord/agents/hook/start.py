"""The steps that need the whole program: a start, and an edit of what another holds. Loaded only for those."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from gitcoord.agents import arrival
from gitcoord.agents.hook import steps
from gitcoord.agents.hook.event import Answer, Occasion
from gitcoord.agents.hook.place import Here
from gitcoord.agents.hook.steps import Said
from gitcoord.agents.mailbox import Tray
from gitcoord.connection.connect import Connection, connect
from gitcoord.coordinator.briefings import touched
from gitcoord.core import leases
from gitcoord.core.names import Resource
from gitcoord.errors import NotInitialised
from gitcoord.guard import cache, check, targets, words
from gitcoord.guard.check import Asked
from gitcoord.views import quoting

_SECONDS = 2.0  # that a start waits for the remote, each time it asks it


@contextmanager
def _connection(here: Here, agent: str, *, cached: bool = False, heard: bool = True) -> Iterator[Connection]:
    session = here.binding.session if here.binding else None
    with connect(here.near.work_tree, here.environ, session=session, cached=cached, heard=heard, seconds=_SECONDS) as found:
        actor = replace(found.coordinator.actor, agent=here.agent, agent_name=agent or None, owner=here.owner())
        yield replace(found, coordinator=found.coordinator.acting_as(actor))


def start(here: Here, occasion: Occasion, *, takes: bool = True) -> Said:
    """Registers the session, or goes on with it, and briefs it if a text gets to it now (`takes`)."""
    with _connection(here, occasion.agent, cached=True) as found:  # to look once is enough
        coordinator = found.coordinator
        named = here.environ.get("GITCOORD_SESSION", "")
        arrived = arrival.arrive(coordinator, occasion.source, named=named, files=touched(found.repo))
        if arrived is None:
            return Said()
        tray = Tray.of(here.own, arrived.session)
        tray.touch()
        tray.set_claims(on=found.settings.autoclaim)
        view = coordinator.branch.view(fresh=False)
        cache.note(
            found.memory.path,
            view.checked.good,
            view.state.claims.values(),
            view.state.rules.grace,
            coordinator.actor.namespace,
            fold=coordinator.branch.folds(view.state),
        )
    here.background(now=not arrived.known)
    return Said(Answer(context=arrived.text), lambda: arrival.shown(coordinator, arrived)) if takes else Said()


def guard(here: Here, occasion: Occasion, *, takes: bool = True) -> Said:
    """What the guard says of an edit, as a verdict or a warning. Where no text gets to the agent now, a warning is kept."""
    try:
        with _connection(here, occasion.agent, heard=False) as found:  # what it lost is told where it is listened to
            coordinator = found.coordinator
            said = check.look(
                coordinator.branch, found.repo, found.settings, Asked(paths=occasion.paths, here=occasion.place, can_ask=True)
            )  # fmt: skip
    except NotInitialised:
        return Said()
    if said.state is not None:
        cache.note(
            found.memory.path,
            said.good,
            said.state.claims.values(),
            said.state.rules.grace,
            coordinator.actor.namespace,
            fold=coordinator.branch.folds(said.state),
        )
    here.background()
    if said.outcome in {"blocked", "asked"}:
        error = words.refusal(said, why=False)
        reason = f"gitcoord: {error.message}. Next: {error.hint}"
        return Said(Answer(verdict="deny" if said.outcome == "blocked" else "ask", reason=reason))
    off = said.outcome == "off"
    once = [f"{one.lease.fence} {path}" for one in said.hindrances for path in one.paths if not off]
    tell = [one for one in once if not here.tray.told(one)]

    def done() -> None:
        for one in tell:
            here.tray.tell(one)
        here.tray.tell(steps.quiet(here, said.good, occasion))

    if said.outcome == "allowed":
        wanted = targets.targets(steps.ground(here, coordinator.actor.namespace), occasion.paths, occasion.place)
        steps.note(here, wanted)
        return Said()
    if not tell or said.outcome != "warned":
        return Said(done=done)
    lease = said.hindrances[0].lease
    ways = leases.ways_out(lease, [Resource("file", said.hindrances[0].paths[0])])
    lines = [f"- {line}" for line in words.lines(said)]
    if not takes:
        if here.binding is None or occasion.subagent:
            return Said()
        here.tray.add_news(words.lines(said, why=False))
        return Said(done=done)
    text = f"gitcoord: another session holds what you are about to edit. Ask before you go on: {ways}\n"
    return Said(Answer(context=text + quoting.fenced(lines, secrets.token_hex(16))), done)
