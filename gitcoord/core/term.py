"""When a lease is over, and when it is about to be: one rule for every rule and every face.

Of the standard library alone: a hook that has only a short list of leases at hand goes by the same rule.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from gitcoord.core.names import show, word

NO_GRACE = timedelta(0)


class Ending(Protocol):
    """What has an end."""

    @property
    def expires_at(self) -> datetime:
        """When it ends."""
        ...


def is_over(lease: Ending, now: datetime, grace: timedelta = NO_GRACE) -> bool:
    """Return True if the lease, and its grace with it, has ended by `now`: at its very end it is over, and its grace lasts to the
    last instant. Its holder, and whoever says who holds what, has no grace; whoever would take it has. An offer that nobody took
    up has none: it would be as long as itself.
    """
    if not grace or getattr(lease, "offered_until", None) is not None:
        return lease.expires_at <= now
    return lease.expires_at + grace < now


def ending(entry: str, until: float, ttl: float, now: float) -> str:
    """Say of a lease (`42 file:a`) that it runs out soon, or is over as far as is known here; "" for any other."""
    fence, _, what = entry.partition(" ")
    lease, at = f"your lease on {show(what, 200)} (fence {fence})", f"{datetime.fromtimestamp(until, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if until <= now:
        return f"{lease} ended {at}, as far as is known here: gitcoord renew {word(what)} takes it again if nobody has"
    return f"{lease} runs out at {at}: gitcoord renew {word(what)}" if runs_out(until, ttl, now) else ""


def runs_out(until: float, ttl: float, now: float) -> bool:
    """Return True if so little is left of a lease that its holder should hear of it: a quarter of its length, or less."""
    return 0 < until - now <= ttl / 4
