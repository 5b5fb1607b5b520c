"""When a lease is over, and when it is about to be: one rule for every rule and every face.

Of the standard library alone: a hook that has only a short list of leases at hand goes by the same rule.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

NO_GRACE = timedelta(0)


class Ending(Protocol):
    """What has an end."""

    @property
    def expires_at(self) -> datetime:
        """When it ends."""
        ...


def is_over(lease: Ending, now: datetime, grace: timedelta = NO_GRACE) -> bool:
    """Return True if the lease, and its grace with it, has ended by `now`: at its very end it is over. Its holder, and whoever says
    who holds what, has no grace; whoever would take it has. An offer that nobody took up has none: it would be as long as itself.
    """
    offered = getattr(lease, "offered_until", None) is not None
    return lease.expires_at + (NO_GRACE if offered else grace) <= now


def runs_out(until: float, ttl: float, now: float) -> bool:
    """Return True if so little is left of a lease that its holder should hear of it: a quarter of its length, or less."""
    return 0 < until - now <= ttl / 4
