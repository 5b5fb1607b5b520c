"""An edit of what another may hold: what the guard says of it. Loads the whole program; loaded only for such an edit."""

from __future__ import annotations

import secrets

from gitcoord.agents.hook import notes
from gitcoord.agents.hook.event import WORDS, HookAnswer, Occasion
from gitcoord.agents.hook.notes import NotedAnswer
from gitcoord.agents.hook.place import Here, ground
from gitcoord.agents.hook.start import connected
from gitcoord.core import leases
from gitcoord.core.names import Resource
from gitcoord.errors import NotInitialised
from gitcoord.guard import check, keep, targets, words
from gitcoord.guard.check import Asked
from gitcoord.views import quoting


def guard(here: Here, occasion: Occasion) -> NotedAnswer:
    """Return what the guard says of an edit, as a verdict.

    A warning that comes together with the tool's success is none: what would be warned about is denied once, and the same edit
    again goes through.
    """
    try:
        with connected(here, occasion.agent, heard=False) as found:  # what it lost is told where it is listened to
            coordinator = found.coordinator
            said = check.look(
                coordinator.branch,
                found.repo,
                found.settings,
                Asked(paths=occasion.paths, here=occasion.place, can_ask=occasion.asks),
            )
    except NotInitialised:
        return NotedAnswer()
    if said.state is not None:
        keep.note(found.memory.path, coordinator.branch, said.good, said.state)
    if said.outcome == "allowed":
        notes.to_claim(here, targets.targets(ground(here, coordinator.actor.namespace), occasion.paths, occasion.place))
        return NotedAnswer()
    here.background()
    met = [f"{one.lease.fence} {path}" for one in said.hindrances for path in one.paths if said.outcome != "off"]
    new = [one for one in met if not here.mailbox.told(one)]

    def done() -> None:
        for one in new:
            here.mailbox.tell(one)
        if said.outcome == "warned" or said.outcome == "off":
            here.mailbox.tell(notes.quiet(here, said.good, occasion))

    if said.outcome == "blocked":
        keep.stopped(coordinator.branch, said, "guard.edit")
        return NotedAnswer(HookAnswer(verdict="deny", reason=_stopped(said)))
    if said.outcome == "asked":
        reason = _stopped(said)
        return NotedAnswer(HookAnswer(verdict="ask", reason=reason, note=reason), done)
    if not new:
        return NotedAnswer(done=done)
    keep.stopped(coordinator.branch, said, "guard.edit")
    return NotedAnswer(HookAnswer(verdict="deny", reason=_once(said, tells=here.binding is not None)), done)


def _stopped(said: check.GuardAnswer) -> str:
    """Return what stops an edit, and the next step."""
    error = words.refusal(said, why=False)
    doubtful = f" ({'; '.join(said.doubtful)})" if said.doubtful else ""
    return f"gitcoord: {error.message}{doubtful}. Next: {error.hint}"


def _once(said: check.GuardAnswer, *, tells: bool) -> str:
    """Return why an edit is denied once: who holds what until when, what may be done, and between marks the holders' words.

    tells: there is a session that can tell the holders.
    """
    lease = said.hindrances[0].lease
    ways = leases.ways_out(lease, [Resource("file", said.hindrances[0].paths[0])])
    holders = " and ".join(dict.fromkeys(one.lease.claimed_by for one in said.hindrances))
    again = f"The same edit again goes through{f', and {holders} will be told' if tells else ''}."
    reason = f"gitcoord: {'; '.join(words.lines(said, why=False))}. {again} Better first: {ways}"
    why = words.reasons(said)
    quoted = "\n" + quoting.quoted([f"- {line}" for line in why], secrets.token_hex(16)) if why else ""
    return reason + quoted if len(reason + quoted) <= WORDS else reason
