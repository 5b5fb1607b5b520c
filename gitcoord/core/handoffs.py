"""Handoffs: work that is ready for somebody else. The record, for whom it is, and in which order a session should see them.

A release with a next phase leaves one, a session offers one, or ends with one. Offering and taking are in `passing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gitcoord.core import addresses, names, records
from gitcoord.core.records import Handoff
from gitcoord.core.values import is_whole
from gitcoord.errors import BadInput

if TYPE_CHECKING:
    from gitcoord.core.records import Session
    from gitcoord.core.state import Draft, State

ANYONE = "anyone"
NOTE_LIMIT = 2000  # characters of what was done, what comes next, what blocks: a paragraph; all the rest is for the notes
Note = Annotated[str, Field(max_length=NOTE_LIMIT)]


NAMED = 512  # claims that a handoff names: what its record can hold


def is_receiver(to: str) -> bool:
    """Whether a handoff can be for that, by the format's rules: a session, a group, or anyone."""
    return to == ANYONE or (to != addresses.TO_ALL and addresses.is_receiver(to))


def parse_receiver(text: str) -> str:
    """For whom a handoff is. Raises BadInput."""
    if text == addresses.TO_ALL:
        raise BadInput("work is handed to one: a session, a group such as role:reviewer, or anyone", hint="gitcoord handoff anyone")
    return text if text == ANYONE else addresses.parse_receiver(text)


def parse_note(text: str | None, what: str) -> str | None:
    """What was done, what comes next, what blocks; nothing for an empty text. Raises BadInput for one that is too long."""
    if text is None or not text.strip():
        return None
    if len(names.parse_text(text, what)) > NOTE_LIMIT:
        raise BadInput(f"{what} has {len(text)} characters, at most {NOTE_LIMIT} are taken", hint="put the rest into the text")
    return text


# --- whose it is -------------------------------------------------------------------------------------------------------


def is_for(state: State, offer: Handoff, session: Session) -> bool:
    """Whether that session may take it. Whoever offered it may take it back; what was meant for a session that has ended, or is
    not known any more, is for anyone: nobody else would ever come for it.
    """
    if offer.to == ANYONE or offer.sender == session.session_id or addresses.reaches(offer.to, session):
        return True
    if not names.is_session_name(offer.to):
        return False
    receiver = state.sessions.get(offer.to)
    return receiver is None or not receiver.live


def _nearness(state: State, offer: Handoff, session: Session) -> int:
    sender = state.sessions.get(offer.sender)
    if offer.sender == session.session_id:
        return 0  # what the session itself left when it was here before
    if sender is not None and not sender.live and sender.host is not None:
        place = (sender.host, sender.repo, sender.branch)
        if place == (session.host, session.repo, session.branch):
            return 0  # the last one who sat in the same place
    if offer.to == session.session_id:
        return 1
    return 3 if offer.to == ANYONE or not addresses.is_group(offer.to) else 2


def open_for(state: State, name: str) -> list[Handoff]:
    """The open handoffs that the session could take, its own newest offers left out: those of its last run or its forerunner
    first, then those to it, those to a group it is in, and those for anyone; the older before the younger.
    """
    session = state.sessions.get(name)
    if session is None:
        return []
    found = [
        one
        for one in state.handoffs.values()
        if one.status == "open" and is_for(state, one, session) and not (one.sender == name and one.seq > session.start_seq)
    ]
    return sorted(found, key=lambda one: (_nearness(state, one, session), one.seq))


def find(state: State, named: str) -> Handoff | None:
    """The handoff with that id, or that seq."""
    offer = state.handoffs.get(named)
    if offer is None and is_whole(named):
        offer = next((one for one in state.handoffs.values() if one.seq == int(named)), None)
    return offer


# --- changing ----------------------------------------------------------------------------------------------------------


def leave(draft: Draft, offer: Handoff) -> None:
    """The offer appears. Where it is for one live session or a group, a message tells of it: who listens must wake up."""

    draft.put("handoffs", offer.id, offer)
    receiver = draft.session(offer.to) if names.is_session_name(offer.to) else None
    group = addresses.is_group(offer.to)
    if group or (receiver is not None and receiver.live and offer.to != offer.sender):
        whom = offer.to if group else "you"
        told = records.Message(
            id=f"{offer.id}.0", seq=offer.seq, sender=offer.sender, to=offer.to, timestamp=offer.timestamp, type="handoff",
            subject=names.show(f"{offer.sender} hands work to {whom}: {offer.about}", names.SUBJECT_LIMIT),
            message=f"To take it: gitcoord take {offer.seq}", details={"handoff": offer.id},
        )  # fmt: skip
        draft.put("messages", told.id, told)


def take(draft: Draft, offer: Handoff, session: str, at: datetime) -> None:
    """The offer is taken; who of a group has not read of it need not."""
    told = draft.message(f"{offer.id}.0")
    if told is not None and addresses.is_group(told.to) and told.details.get("handoff") == offer.id:
        draft.put("messages", told.id, told.model_copy(update={"expires_at": at}))
    draft.put("handoffs", offer.id, offer.model_copy(update={"status": "taken", "taken_by": session, "taken_at": at}))


def take_for(draft: Draft, session: str, resources: Sequence[str], at: datetime) -> None:
    """What releases left ready of those resources is taken by the session that now holds them."""
    for offer in draft.handoffs().values():
        if offer.by_claim and offer.status == "open" and set(offer.resources) & set(resources):
            take(draft, offer, session, at)
