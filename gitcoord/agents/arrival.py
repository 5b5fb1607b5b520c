"""An agent arrives in a work tree: which session it is from now on, and what it is told. The remote is waited for only shortly.

What an agent calls its session changes while it works (its context is cleared, it goes on later, it is copied): what counts is
who it was here before, and whether that process is still there.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from gitcoord.agents.mailbox import Mailbox
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.core import leases
from gitcoord.core.names import Resource, show
from gitcoord.core.overlap import overlaps
from gitcoord.errors import GitcoordError, Held, NotInitialised, Unreachable
from gitcoord.machine.agents import THREADED
from gitcoord.machine.identity import Binding
from gitcoord.views.briefing import LIMIT, Briefing

_CLEAR = "clear"
_CLEARED = frozenset({"clear", "compact", "resume"})  # the same process may go on under another id
_COPIED = "fork"
_RESUMED = "resume"
_LOST = 10  # leases that a resumed session is told that it has no more


@dataclass(frozen=True)
class Arrived:
    """Who arrived: the session's name, whether the branch knows it already, and what it is told."""

    session: str
    known: bool
    text: str
    told: Briefing


def arrive(
    coordinator: Coordinator,
    source: str,
    *,
    named: str = "",
    files: Iterable[str] = (),
    program: str = "",
    nameless: bool = False,
) -> Arrived | None:
    """The session that the caller's agent is from now on, and its briefing; None where there is no branch. `source`: why it
    arrives, as the agent says it; `named`: the name that its user chose; `files`: what the work tree works on; `program`: where
    gitcoord lies, for an agent whose commands may not find it ("": they do); `nameless`: its commands don't know whose they are.
    The coordinator's actor is `cached`: to look once is enough.
    """
    try:
        away = _is_away(coordinator)
        known, lost = _settle(coordinator, source, named, away=away)
        local = coordinator.actor.session in coordinator.parts.outbox.local_sessions()
        carried = coordinator.carriage.carries(coordinator.actor.session)
        intro = (
            _introduce(coordinator.actor.session, known=known, local=local, carried=carried, program=program, nameless=nameless)
            + lost
        )
        told = coordinator.briefings.brief(files, everything=True, limit=LIMIT - len(intro.encode()))
    except NotInitialised:
        return None
    return Arrived(coordinator.actor.session, known, intro + told.text, told)


def not_yet(coordinator: Coordinator, files: Iterable[str]) -> str:
    """Return what an agent is told that can't be registered yet: the history of the branch is still being checked, and what that
    shows meanwhile is unverified.
    """
    intro = (
        "You are no session yet: this clone is new, and gitcoord still checks the history of the branch on which sessions "
        "coordinate. Run gitcoord start before you edit anything: it waits for the check.\n\n"
    )
    return intro + coordinator.briefings.brief(files, everything=True, limit=LIMIT - len(intro.encode())).text


def shown(coordinator: Coordinator, arrived: Arrived) -> None:
    """Notes that it was told."""
    coordinator.briefings.note_shown(arrived.told)
    mailbox = Mailbox.of(coordinator.parts.identity.own, arrived.session)
    mailbox.drop_news()
    mailbox.note_seen({"seq": arrived.told.seen.seq, "run_id": arrived.told.seen.run_id})


def _introduce(session: str, *, known: bool, local: bool, carried: bool, program: str, nameless: bool) -> str:
    later = "" if known else " (the remote is away: others see it once that is back)"
    if carried:
        later = " (it may not push: what it says and claims rides on its own branch, and counts once another session adopts it)"
    elif local:
        later = " (nobody sees it: the remote refuses what it pushes, so it can hold nothing; gitcoord doctor says what would help)"
    elsewhere = f". If your shell doesn't find gitcoord, it is {show(program, 200)}" if program else ""
    name = f". Put your name into each command: gitcoord --session {show(session, 64)} claim PATH" if nameless else ""
    return (
        f"You are session {show(session, 64)}{later}. Other sessions work on this repository: claim a file before you edit it "
        "(gitcoord claim PATH), release it when it is pushed, answer what they ask (gitcoord reply ID TEXT). "
        f"More: gitcoord status, gitcoord help --all{elsewhere}{name}\n\n"
    )


def _is_away(coordinator: Coordinator) -> bool:
    """Whether the remote can't be reached now; one that was away a moment ago isn't asked again."""
    if not coordinator.parts.submitter.is_away():
        try:
            coordinator.branch.look_again(coordinator.parts.seconds)
            return False
        except Unreachable:
            coordinator.parts.outbox.note_reach(reached=False, now=coordinator.now())
    coordinator.branch.view(fresh=False)  # it must be known at least
    return True


def _settle(coordinator: Coordinator, source: str, named: str, *, away: bool) -> tuple[bool, str]:
    """Find or make the session; return whether the branch has it, and what is to be said of leases that it has no more."""
    mine = coordinator.parts.identity.get(named) if named else coordinator.parts.identity.of_agent(coordinator.actor.agent)
    if mine is None and source in _CLEARED:
        mine = _same_process(coordinator, source)
    if mine is None and away and source != _COPIED:
        mine = _left_behind(coordinator)
    goes_on = mine is not None and (
        away or (source in _CLEARED and not (source == _RESUMED and mine.agent == coordinator.actor.agent))
    )
    if mine is not None and goes_on and _is_still(coordinator, mine):
        pid, born = coordinator.actor.owner
        coordinator.parts.identity.bind(replace(mine, pid=pid, born=born, agent=coordinator.actor.agent))
        coordinator.sessions.act_as(mine.session, mine.run_id)
        return mine.session in coordinator.branch.view(fresh=False).state.sessions, ""
    if away:
        coordinator.sessions.start_later()
        return False, ""
    if mine is None and source == _RESUMED and not named:
        lost = _reopen(coordinator)
        if lost is not None:
            return True, lost
    _, receipt = coordinator.sessions.start(named or None, new=source == _COPIED and mine is None, again=source == _RESUMED)
    return receipt.state != "queued", ""


def _same_process(coordinator: Coordinator, source: str) -> Binding | None:
    """The session that an agent of the same kind has here in the very same process.

    Where one process runs several sessions at once it tells nothing, unless there is only one and it was cleared just now.
    """
    me = coordinator.actor
    same = coordinator.parts.identity.of_process(me.agent, me.owner)
    if THREADED & set(me.agent) and (source != _CLEAR or len(same) != 1):
        return None
    return next(iter(same), None)


def _reopen(coordinator: Coordinator) -> str | None:
    """Go on with the agent's session that had ended here, under its name and so with its mail, and claim again what it held, as far
    as nobody else has that. Return what to say of the rest; None where there is no such session, or another has its name by now.
    """
    noted = coordinator.parts.identity.ended(coordinator.actor.agent)
    if noted is None:
        return None
    session, held = noted
    if coordinator.parts.identity.get(session) is not None:
        return None
    try:
        coordinator.sessions.start(session)
    except Held:
        return None
    lost = _claim_again(coordinator, held)
    more = f" and {len(lost) - _LOST} more" if len(lost) > _LOST else ""
    return f"You held this before, and hold it no more: {', '.join(lost[:_LOST])}{more}.\n\n" if lost else ""


def _claim_again(coordinator: Coordinator, held: Iterable[str]) -> list[str]:
    """Claim what of it nobody else holds; return the rest, each with its holder."""
    free, lost = list[Resource](), list[str]()
    with suppress(ValueError, GitcoordError):
        live = leases.live(coordinator.branch.view(fresh=False).state, coordinator.branch.time_now())
        for wanted in map(Resource.read, held):
            theirs = next((lease for lease in live if overlaps(wanted, lease.resource)), None)
            if theirs is None:
                free.append(wanted)
            else:
                lost.append(f"{wanted} (now with {show(theirs.claimed_by, 64)})")
    if free:
        try:
            coordinator.claims.acquire(free, reason="held before it was resumed")
        except GitcoordError:  # somebody was faster
            lost += map(str, free)
    return lost


def _left_behind(coordinator: Coordinator) -> Binding | None:
    """The last session of this work tree, if its process is gone."""
    last = next(iter(coordinator.parts.identity.all()), None)
    return last if last is not None and not last.alive else None


def _is_still(coordinator: Coordinator, binding: Binding) -> bool:
    """Whether the session goes on as that run, as far as is known; one whose start is still queued is not known yet."""
    known = coordinator.branch.view(fresh=False).state.sessions.get(binding.session)
    return known is None or (known.live and known.run_id == binding.run_id)
