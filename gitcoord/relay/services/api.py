"""What a relay asks of a service, and the ways in which a delivery can end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

from gitcoord.core.names import show

End = Literal["sent", "refused", "later", "open", "shut", "barred"]
"""`refused`: the service won't take this one, ever; `later`: it didn't take it now; `open`: nobody knows whether it came;
`shut`: it takes nothing from us (a wrong token, a channel that is gone); `barred`: we may not connect to where it is."""

TIMEOUT = 10.0  # seconds without a sign of life from a service


@dataclass(frozen=True)
class Delivery:
    """How a delivery ended. `after`: seconds that the service asks us to wait; `ref`: what it calls the message."""

    end: End
    why: str = ""
    after: float | None = None
    ref: str = ""


@dataclass(frozen=True)
class Parcel:
    """One line to deliver. `key` is unique to the event; `thread`: where it belongs; `event`: the same for programs.

    `again`: an earlier try may have come, so whoever can look should look first.
    """

    text: str
    key: str
    seq: int
    thread: str = ""
    event: Mapping[str, object] | None = None
    again: bool = False


class Busy(OSError):
    """A service that has to be asked later; `after` in seconds, None where it didn't say."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


@dataclass(frozen=True)
class ChatMessage:
    """What a person said. `id` fits an operation's id; `thread` is where an answer belongs; `answers`: the event it was said to."""

    id: str
    author: str
    text: str
    via: str
    thread: str = ""
    answers: int = 0


class Outlet(Protocol):
    """A way out. `send` may take long, and is called by a thread of its own."""

    @property
    def name(self) -> str:
        """What it is called on the branch: no secret."""
        ...

    def send(self, parcel: Parcel) -> Delivery:
        """Delivers; raises nothing."""
        ...

    def thread_of(self, message: str, details: Mapping[str, str]) -> str:
        """Where the answer to that message belongs, if it came in through this service; else ""."""
        ...


class Inlet(Protocol):
    """A way in."""

    @property
    def name(self) -> str:
        """What it is called on the branch: no secret."""
        ...

    def poll(self, place: str) -> tuple[Sequence[ChatMessage], str]:
        """What was said behind that place ("": from now on), and the place behind it. Raises Busy."""
        ...

    def close(self) -> None:
        """Lets go of what is open; it may be asked again."""
        ...


_SHUT = frozenset({401, 403, 404, 405, 407, 410})
_LATER = frozenset({408, 425, 429, 500, 503})


def judged(status: int, wait: str | None, words: str = "") -> Delivery:
    """What an HTTP status says. 500 and 503 count as not taken; other faults of a server or gateway leave it open."""
    why = f"HTTP {status}" + (f": {show(words, 120)}" if words else "")
    if 200 <= status < 300:
        return Delivery("sent")
    if 300 <= status < 400:
        return Delivery("shut", f"{why}: it redirects, which is not followed")
    if status in _LATER:
        return Delivery("later", why, seconds(wait))
    if status in _SHUT:
        return Delivery("shut", why, seconds(wait))
    return Delivery("refused" if status < 500 else "open", why, seconds(wait))


def seconds(wait: str | None) -> float | None:
    """The seconds in a Retry-After, at most an hour; None when it names none (or a date: the clocks may differ)."""
    if wait and re.fullmatch(r"\d{1,9}(\.\d{1,6})?", wait.strip()):
        return min(3600.0, float(wait))
    if wait:
        try:
            parsedate_to_datetime(wait)
        except (TypeError, ValueError):
            return None
        return 60.0
    return None
