"""A session's lot in one line, for a prompt or an agent's status line: a pure function of what was noted last.

Loads the standard library only: it is shown before every prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitcoord.core.names import show

LIMIT = 160  # characters of the line
_NAMED = 2  # sessions that are named, then the rest is counted
_NAME = 32  # characters of a session's name, and of what it holds


@dataclass(frozen=True)
class Glance:
    """What is shown of a session. `held`: its leases, by the names of what is held; `waiting`: who waits for it; `questions`: those
    of its unread and read messages that it should answer; `age`: seconds since the branch was read (None: nobody knows); `local`:
    nobody sees it, since the remote refuses what it pushes.
    """

    session: str
    held: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    unread: int = 0
    questions: int = 0
    age: float | None = None
    local: bool = False


def line(glance: Glance) -> str:
    """The line: who waits, what is unread, what is held, and how old that is. Inert: it holds others' names."""
    parts = ["nobody sees it: the remote refuses it"] if glance.local else []
    if glance.waiting:
        verb = "waits" if len(glance.waiting) == 1 else "wait"
        parts.append(f"{_some(glance.waiting)} {verb} for you")
    if glance.questions:
        parts.append(f"{glance.questions} to answer")
    if glance.unread:
        parts.append(f"{glance.unread} unread")
    if glance.held:
        parts.append(f"holds {_some(glance.held)}")
    if glance.age is not None:
        parts.append(_ago(glance.age))
    text = f"gitcoord: {show(glance.session, 64)}" + "".join(f" · {one}" for one in parts)
    return text if len(text) <= LIMIT else text[: LIMIT - 1] + "…"


def _some(names: Sequence[str]) -> str:
    """The first ones by name, how many more there are."""
    named = ", ".join(show(name, _NAME) for name in names[:_NAMED])
    return f"{named} +{len(names) - _NAMED}" if len(names) > _NAMED else named


def _ago(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    if seconds < 60:
        return "now"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return ""
