"""How far a relay came, as the branch has it: in its newest heartbeat, and in who held its claim last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitcoord.coordinator.branch import Branch
from gitcoord.core.events import Event
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.names import LINE_LIMIT, Resource
from gitcoord.log.outcomes import View

_ROUTINE = frozenset({"heartbeat.recorded", "claim.acquired", "claim.renewed", "claim.released", "session.ended"})
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


@dataclass(frozen=True)
class RelayProgress:
    """What the branch says of a relay up to a tip: the event there; for whom it was looked; the relay's newest word of how far it
    came (action, event, text); and what another session held last (fence, until when).
    """

    tip: str
    seq: int
    mine: str
    said: tuple[str, int, str] | None = None
    other: tuple[int, str] | None = None

    @staticmethod
    def read(record: Mapping[str, Any]) -> RelayProgress | None:
        """Return what `as_record` wrote; None for anything else."""
        try:
            said, other = record["said"], record["other"]
            return RelayProgress(
                str(record["tip"]), int(record["seq"]), str(record["mine"]),
                (str(said[0]), int(said[1]), str(said[2])) if said else None, (int(other[0]), str(other[1])) if other else None,
            )  # fmt: skip
        except (KeyError, IndexError, TypeError, ValueError):
            return None

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"tip": self.tip, "seq": self.seq, "mine": self.mine, "said": self.said, "other": self.other}

    @property
    def before(self) -> Before:
        """Return what follows from it."""
        until = datetime.fromisoformat(self.other[1]) if self.other is not None else None
        if self.other is not None and self.said is not None and self.said[0] == "relayed" and self.said[1] > self.other[0]:
            until = None
        if self.said is None:
            return Before(may_have_sent_until=until)
        _, when, text = self.said
        # Nobody can have dealt with what came after they said so.
        sent = {name: (min(int(seq), when), min(int(asked), when)) for name, seq, asked in _SENT.findall(text)}
        return Before(sent, dict(_HEARD.findall(text)), when, until)


def found(branch: Branch, view: View, resource: Resource, *, mine: str, known: RelayProgress | None = None) -> RelayProgress:
    """What the branch says of that relay. `mine`: the session whose own book tells the rest; `known`: what it said before: then
    only what is new is read, unless somebody else had to do with the relay meanwhile.
    """
    return (_later(branch, view, resource, known) if known is not None and known.mine == mine else None) or _whole(
        branch, view, resource, mine
    )


def _whole(branch: Branch, view: View, resource: Resource, mine: str) -> RelayProgress:
    said = None
    for entry in branch.parts.log.saying(view.checked, f"Coord-Target: {resource}", newest_first=True):
        if _tells(entry.event, resource):
            said = _word(entry.event)
            break
    held, _ = branch.history(resource)
    last = max((one for one in held.over if one.session != mine), key=lambda one: one.fence, default=None)
    other = None if last is None else (last.fence, min(last.expires_at, last.ended_at or last.expires_at).isoformat())
    return RelayProgress(view.checked.tip, view.checked.seq, mine, said, other)


def _later(branch: Branch, view: View, resource: Resource, known: RelayProgress) -> RelayProgress | None:
    """What is known with what came since; None where that doesn't tell."""
    if any(one.resource == resource and one.claimed_by != known.mine for one in view.state.claims.values()):
        return None  # another's lease may end without an event
    if not branch.parts.log.objects.is_here(known.tip):
        return None
    said = known.said
    for entry in branch.parts.log.entries_since(known.tip, view.checked):
        event = entry.event
        if event is None:
            continue
        named = str(resource) in (entry.commit.message or "")
        if event.abandoned or (named and not (event.session == known.mine and _is_routine(event))):
            return None
        if _tells(event, resource):
            said = _word(event)
    return RelayProgress(view.checked.tip, view.checked.seq, known.mine, said, known.other)


def _is_routine(event: Event) -> bool:
    """Whether that takes nothing from another session."""
    return event.kind in _ROUTINE and not getattr(event, "taken", ())


def _tells(event: Event | None, resource: Resource) -> bool:
    return isinstance(event, HeartbeatRecorded) and event.target == str(resource)


def _word(event: Event | None) -> tuple[str, int, str] | None:
    return (event.action or "", event.seq, event.next_action or "") if isinstance(event, HeartbeatRecorded) else None
