"""Handoffs: work that is ready for somebody. A release with a next phase leaves one; claiming the resource takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from gitcoord.core.records import Record, SessionName
from gitcoord.core.times import Instant

if TYPE_CHECKING:
    from gitcoord.core.state import Draft


class Handoff(Record):
    """`handoffs/<id>.json`. `to` is a session, or `anyone`; `status` is open or taken."""

    id: str
    seq: int
    sender: SessionName = Field(alias="from")
    to: str
    timestamp: Instant
    resources: tuple[str, ...] = ()
    phase: str | None = None
    branch: str | None = None
    commit: str | None = None
    done: str | None = None
    next: str | None = None
    blockers: str | None = None
    tests: str | None = None
    files: tuple[str, ...] = ()
    notes: str | None = None
    status: str = "open"
    taken_by: str | None = None


def take_for(draft: Draft, session: str, resources: Sequence[str]) -> None:
    """Marks the open handoffs of exactly those resources as taken by the session that now holds them."""
    for key, offer in draft.handoffs().items():
        if offer.status == "open" and set(offer.resources) & set(resources):
            draft.put("handoffs", key, offer.model_copy(update={"status": "taken", "taken_by": session}))
