"""How an event names leases: `42 file:a`, `42 2025-11-15T14:00:00Z file:a`, `42 session-002 expired file:a`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from gitcoord.core.names import Resource, is_session_name
from gitcoord.core.times import read_instant
from gitcoord.core.values import read_whole

WHY = {
    "expired": "it had expired",
    "ended": "your session had ended",
    "stale": "you had been silent for long",
    "broken": "it was broken by name",
    "ahead": "it was granted by a clock far ahead",
}
BY_TIME = frozenset({"expired", "stale", "ahead"})
"""The reasons that rest on time: who gives one must be right about it."""


class LeaseRef(NamedTuple):
    """A lease as events name it: `42 file:a`, by its fence and its resource. Fence 0 stands for any."""

    fence: int
    resource: Resource

    @classmethod
    def parse(cls, entry: str) -> LeaseRef:
        """Read a reference as it stands in an event. Raises ValueError."""
        fence, _, resource = entry.partition(" ")
        return cls(read_whole(fence), Resource.read(resource))

    def __str__(self) -> str:
        return f"{self.fence} {self.resource}"


class RenewedLease(NamedTuple):
    """A renewal as events name it: `42 2025-11-15T14:00:00Z file:a`."""

    fence: int
    until: datetime
    resource: Resource

    @classmethod
    def parse(cls, entry: str) -> RenewedLease:
        """Read an entry of `renewed`. Raises ValueError."""
        fence, _, rest = entry.partition(" ")
        until, _, resource = rest.partition(" ")
        return cls(read_whole(fence), read_instant(until), Resource.read(resource))


class TakenLease(NamedTuple):
    """A lease that was taken over, as events name it: `42 session-002 expired file:a`."""

    fence: int
    holder: str
    why: str
    resource: Resource

    @classmethod
    def parse(cls, entry: str) -> TakenLease:
        """Read an entry of `taken`. Raises ValueError."""
        fence, holder, why, resource = split(entry, 4)
        if why not in WHY or not is_session_name(holder):
            raise ValueError("not a lease, its holder and a reason")
        return cls(read_whole(fence), holder, why, Resource.read(resource))


def entry(split: Callable[[str], object]) -> AfterValidator:
    """A validator that takes what can be split so."""

    def check(value: str) -> str:
        split(value)
        return value

    return AfterValidator(check)


LeaseEntry = Annotated[str, Field(max_length=1024), entry(LeaseRef.parse)]
"""`42 file:a`: a lease by its fence and resource."""
RenewalEntry = Annotated[str, Field(max_length=1024), entry(RenewedLease.parse)]
"""`42 2025-11-15T14:00:00Z file:a`: a lease and its new expiry."""
TakenEntry = Annotated[str, Field(max_length=1024), entry(TakenLease.parse)]
"""`42 session-002 expired file:a`: a lease, who had it, and why it could be taken."""


def split(entry: str, parts: int) -> list[str]:
    """Return so many parts of an entry, one blank between two; the last one may hold blanks. Raises ValueError."""
    found = entry.split(" ", parts - 1)
    if len(found) != parts:
        raise ValueError("something is missing")
    return found
