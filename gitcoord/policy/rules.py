"""The rules of a server beyond what makes a commit good: what only somebody with a clock, and a say, can refuse. Pure.

None of them changes what is good: that every reader decides alike, for ever. A push that one of them forbids is not accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitcoord.core import lookalikes
from gitcoord.core.claims import ClaimAcquired
from gitcoord.core.entries import TakenLease
from gitcoord.core.events import Event
from gitcoord.core.sessions import SessionStarted
from gitcoord.core.state import State
from gitcoord.core.term import is_over
from gitcoord.core.times import spell, spell_span
from gitcoord.errors import BadInput

SECTION = "gitcoord.policy."
SWITCHES = ("signed", "ownkey", "keepleases")
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Policy:
    """What a server has set, in the configuration of its repository (`gitcoord.policy.<key>`).

    - `signed`: only events with a signature that the server trusts; `ownkey`: a session speaks by one key, or one address, only.
    - `keepleases`: nobody breaks a lease that is not over.
    - `clock`: how far a commit's date may be ahead of the server's clock; None: by the grace of the branch, which is how far two
      clocks may differ before one of them is wrong.
    - `largest`: bytes that a push which moves nothing but the branch may have.
    - `trust`: the folder with what the server trusts; "": that of the user as whom it runs.
    """

    signed: bool = False
    ownkey: bool = False
    keepleases: bool = False
    clock: timedelta | None = None
    largest: int = 64 * MEGABYTE
    trust: str = ""

    @classmethod
    def read(cls, config: Mapping[str, str]) -> Policy:
        """Return what is set in a configuration (keys in small letters). Raises BadInput: what can't be read allows nothing."""
        values = {key.removeprefix(SECTION): value for key, value in config.items() if key.startswith(SECTION)}
        switches = {key: _switch(key, values.get(key, "false")) for key in SWITCHES}
        clock = timedelta(seconds=_whole("clock", values["clock"])) if "clock" in values else None
        largest = _whole("largest", values["largest"]) * MEGABYTE if "largest" in values else cls.largest
        return cls(**switches, clock=clock, largest=largest, trust=values.get("trust", ""))


def _switch(key: str, value: str) -> bool:
    word = value.lower()
    if word not in {"true", "yes", "on", "1", "", "false", "no", "off", "0"}:
        raise BadInput(f"{SECTION}{key} of this server is neither true nor false")
    return word in {"true", "yes", "on", "1", ""}  # git itself takes a key without a value for true


def _whole(key: str, value: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", value, re.ASCII):
        raise BadInput(f"{SECTION}{key} of this server is no whole number")
    return int(value)


def objection(policy: Policy, before: State, event: Event, committed_at: datetime, now: datetime) -> str:
    """Return why the server doesn't take a good event; "" if it does. `before`: the state that the event came to."""
    return (
        _date(policy, before, committed_at, now)
        or _name(before, event)
        or (_break(before, event, now) if policy.keepleases else "")
    )


def _date(policy: Policy, before: State, committed_at: datetime, now: datetime) -> str:
    """Return what is wrong with the commit's date.

    An honest one is that of its writing, or the newest on the branch where that is younger, or where its writer's clock was
    contradicted. So it is not ahead of the server's clock by more than two clocks may differ; and it is behind that only where it
    isn't behind the newest date either.
    """
    allowed = before.rules.grace if policy.clock is None else policy.clock
    clocks = f"it is {spell(committed_at)} by its commit, {spell(now)} on this server"
    if committed_at > now + allowed:
        return f"its date is {spell_span(committed_at - now)} ahead ({clocks}): set that machine's clock"
    if committed_at < min(now, before.at) - allowed:
        return f"its date goes back by {spell_span(min(now, before.at) - committed_at)} ({clocks}): set that machine's clock"
    return ""


def _name(before: State, event: Event) -> str:
    if not isinstance(event, SessionStarted) or event.session in before.sessions:
        return ""
    other = lookalikes.alike(event.session, before.sessions)
    return f"the name looks like {other}, which is another session" if other else ""


def _break(before: State, event: Event, now: datetime) -> str:
    if not isinstance(event, ClaimAcquired):
        return ""
    for entry in event.taken:
        taken = TakenLease.parse(entry)
        lease = next((one for one in before.claims.values() if (one.fence, one.resource) == (taken.fence, taken.resource)), None)
        if taken.why == "broken" and lease is not None and not is_over(lease, now):
            what = f"the lease {taken.fence} of {taken.holder} on {taken.resource}"
            return f"it breaks {what}, which lasts until {spell(lease.expires_at)}"
    return ""
