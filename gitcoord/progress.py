"""How far a relay came, as the branch has it: in its newest heartbeat, and in who held its claim last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.names import LINE_LIMIT, Resource
from gitcoord.log.eventlog import View
from gitcoord.reader import Reader

_SENT = re.compile(r"(?:^| )([A-Za-z0-9_.-]+) (\d{1,15})/(\d{1,15})(?= |$)", re.ASCII)
_HEARD = re.compile(r"(?:^| )heard:([A-Za-z0-9_.-]+) ([A-Za-z0-9_.-]+)(?= |$)", re.ASCII)


@dataclass(frozen=True)
class Before:
    """What the branch says. `sent`: by outlet, the last event and the last question that are dealt with; `seq`: when that was
    said (0: never); `may_have_sent_until`: until when another session may have gone on from there.
    """

    sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    heard: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    may_have_sent_until: datetime | None = None


def spelled(sent: Mapping[str, tuple[int, int]], heard: Mapping[str, str]) -> str:
    """How far a relay came, in a line of its heartbeat. A place in a file means nothing on another machine."""
    words = [f"{name} {seq}/{asked}" for name, (seq, asked) in sent.items()]
    words += [f"heard:{name} {place}" for name, place in heard.items() if place and not name.startswith("file")]
    return " ".join(words)[:LINE_LIMIT]


def found(boss: Reader, view: View, resource: Resource, *, mine: str) -> Before:
    """What the branch says of that relay. `mine`: the session whose own book tells the rest."""
    newest: HeartbeatRecorded | None = None
    for entry in boss.log.saying(view.checked, f"Coord-Target: {resource}", newest_first=True):
        if isinstance(entry.event, HeartbeatRecorded) and entry.event.target == str(resource):
            newest = entry.event
            break
    held, _ = boss.history(resource)
    last = max((one for one in held.over if one.session != mine), key=lambda one: one.fence, default=None)
    until = None
    if last is not None and not (newest is not None and newest.action == "relayed" and newest.seq > last.fence):
        until = min(last.expires_at, last.ended_at or last.expires_at)
    if newest is None:
        return Before(may_have_sent_until=until)
    said = newest.next_action or ""
    # Nobody can have dealt with what came after they said so.
    sent = {name: (min(int(seq), newest.seq), min(int(asked), newest.seq)) for name, seq, asked in _SENT.findall(said)}
    return Before(sent, dict(_HEARD.findall(said)), newest.seq, until)
