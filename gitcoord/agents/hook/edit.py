"""An edit of what another may hold: what the guard says of it. Loads the whole program; loaded only for such an edit."""

from __future__ import annotations

import secrets

from gitcoord.agents.hook import notes
from gitcoord.agents.hook.event import Answer, Occasion
from gitcoord.agents.hook.notes import Said
from gitcoord.agents.hook.place import Here, ground
from gitcoord.agents.hook.start import connected
from gitcoord.core import leases
from gitcoord.core.names import Resource
from gitcoord.errors import NotInitialised
from gitcoord.guard import cache, check, targets, words
from gitcoord.guard.check import Asked
from gitcoord.views import quoting


def guard(here: Here, occasion: Occasion, *, takes: bool = True) -> Said:
    """Return what the guard says of an edit, as a verdict or a warning. A warning is kept where no text gets to the agent now."""
    try:
        with connected(here, occasion.agent, heard=False) as found:  # what it lost is told where it is listened to
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
    tell = [one for one in once if not here.mailbox.told(one)]

    def done() -> None:
        for one in tell:
            here.mailbox.tell(one)
        here.mailbox.tell(notes.quiet(here, said.good, occasion))

    if said.outcome == "allowed":
        wanted = targets.targets(ground(here, coordinator.actor.namespace), occasion.paths, occasion.place)
        notes.to_claim(here, wanted)
        return Said()
    if not tell or said.outcome != "warned":
        return Said(done=done)
    lease = said.hindrances[0].lease
    ways = leases.ways_out(lease, [Resource("file", said.hindrances[0].paths[0])])
    lines = [f"- {line}" for line in words.lines(said)]
    if not takes:
        if here.binding is None or occasion.subagent:
            return Said()
        here.mailbox.add_news(words.lines(said, why=False))
        return Said(done=done)
    text = f"gitcoord: another session holds what you are about to edit. Ask before you go on: {ways}\n"
    return Said(Answer(context=text + quoting.fenced(lines, secrets.token_hex(16))), done)
