"""Notes what is to be seen at a glance of the sessions of a work tree, whenever somebody has looked at the branch anyway."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from gitcoord.core import inbox, queue, requests
from gitcoord.core.state import State
from gitcoord.machine.identity import Identity
from gitcoord.statusline import cache
from gitcoord.statusline.cache import SeenRun

_WAITING = 20  # sessions that are noted as waiting: a line names two
_UNREAD = 100  # unread messages whose ids are noted: a hook shows fewer at once


def note(identity: Identity, state: State, now: datetime, read_at: datetime | None) -> None:
    """Notes it for each live session of the work tree, by that view. `read_at`: when the branch was read where it lives."""
    for binding in identity.all():
        session = state.sessions.get(binding.session)
        if session is None or not session.live or session.run_id != binding.run_id:
            continue
        asked = inbox.to_answer(state, session.session_id, now)
        direct = [one for one in asked if one.to == session.session_id]
        unread = inbox.unread(state, session.session_id, now)
        seen = SeenRun(
            run_id=binding.run_id,
            waiting=tuple(dict.fromkeys([*_in_line(state, session.session_id, now), *(one.sender for one in direct)]))[:_WAITING],
            unread=len(unread),
            questions=len(asked),
            read_at=read_at.timestamp() if read_at else 0.0,
            ids=tuple(one.id for one in unread[:_UNREAD]),
        )
        cache.note(identity.own.parent, session.session_id, asdict(seen))


def _in_line(state: State, session: str, now: datetime) -> list[str]:
    """Who stands in line for what the session holds, or has asked it for that."""
    found = [
        place.session_id
        for place in queue.line(state, now)
        if any(lease.claimed_by == session for lease in queue.in_front(state, place, now)[0])
    ]
    mine = [one for one in state.messages.coming(state.seq, session) if one.type == requests.REQUEST and one.status != "answered"]
    held = {lease.entry for lease in state.claims.values() if lease.claimed_by == session}
    return found + [one.sender for one in mine if one.details.get("lease") in held and not one.is_over(now)]
