"""Who really said it, in words: the one way in which every face shows what is known of an event's origin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gitcoord.core.names import show
from gitcoord.core.trust import NOBODY, Verdict
from gitcoord.views.inert import inert

_LONGEST = 80  # characters of an address
_PLAIN = re.compile(r"[\w.+%'~=-]+@[\w.-]+")


def doubt(session: str, verdict: Verdict) -> str:
    """Return what makes somebody doubt that the session said it itself; "" where nothing does."""
    parts = [f"pushed by {_address(verdict.pushed_by)}"] if verdict.pushed_by else []
    parts += [show(verdict.why, 2 * _LONGEST)] if verdict.why else []
    return f"says it is {session}; {', '.join(parts)}" if parts else ""


def _address(pusher: str) -> str:
    """Return who pushed it. A commit's address may be any sentence, and this is read outside of a quote: only what is spelled like
    an address is shown.
    """
    plain = pusher == NOBODY or _PLAIN.fullmatch(pusher)
    return show(pusher, _LONGEST) if plain else "somebody whose e-mail address is none"


def mark(session: str, verdict: Verdict | None) -> str:
    """Return what a line about an event says of its origin; "" where there is nothing to say."""
    if verdict is None:
        return ""
    if verdict.is_doubtful:
        return doubt(session, verdict)
    if verdict.word == "verified":
        return f"signed by {show(verdict.by, _LONGEST)}"
    return "unsigned" if verdict.expected and verdict.word == "unsigned" else ""


def marked(name: str, words: str) -> str:
    """Return a session's name with what is said of an event's origin behind it."""
    return f"{name} [{words}]" if words else name


def page(marks: Sequence[tuple[str, str]]) -> str:
    """Return a part of a printed board: sessions, and what is said of the origin of their events."""
    lines = [f"- {name}: {inert(words)}" for name, words in marks]
    return "\n".join(["", "## Who really said it", "", *lines, ""]) if lines else ""


def record(verdict: Verdict | None) -> dict[str, Any]:
    """Return the same for programs, as `speaker`; nothing where there is nothing to say."""
    if verdict is None or (verdict.word == "unsigned" and not verdict.is_doubtful and not verdict.expected):
        return {}
    keys = {"signature": verdict.word, "by": verdict.by or None, "why": verdict.why or None, "pushed_by": verdict.pushed_by or None}
    return {"speaker": keys}
