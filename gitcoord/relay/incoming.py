"""What people say outside, brought to the sessions: each once, marked as said by a person whom nobody has verified."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gitcoord.core import addresses, names
from gitcoord.core.messages import TO_ALL
from gitcoord.core.records import Message
from gitcoord.core.state import State
from gitcoord.relay.services.api import ChatMessage

_GROUP = re.compile(r"@?((?:role|cap|repo):[A-Za-z0-9._-]+?)[,:]?(?:\s+(.*))?", re.ASCII | re.DOTALL)
_AT = re.compile(r"@([A-Za-z0-9][A-Za-z0-9._-]*?)[,:]?(?:\s+(.*))?", re.ASCII | re.DOTALL)
_COLON = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)[:,]\s+(.*)", re.ASCII | re.DOTALL)
_LONGEST = 16 * 1024  # characters of what somebody says


@dataclass(frozen=True)
class Heard:
    """A message to send: to whom, its subject and text, and all else that a message may have."""

    to: str
    subject: str
    text: str
    given: dict[str, Any]


def addressed(text: str, state: State) -> tuple[str, str]:
    """Whom it names first (`@ada …`, `ada: …`, `role:reviewer …`) and the rest; a name that nobody has is no name."""
    text = text.strip()
    group = _GROUP.fullmatch(text)
    if group and addresses.is_group(group[1]):
        return group[1], (group[2] or "").strip() or text
    for pattern in (_AT, _COLON):
        found = pattern.fullmatch(text)
        if found and found[1].lower() in state.sessions:
            return found[1].lower(), (found[2] or "").strip() or text
    return TO_ALL, text


def heard(said: ChatMessage, state: State, relay: str) -> Heard:
    """What somebody said as a message: to whom it names, to whom it answers, else to all."""
    text = said.text[:_LONGEST]
    to, rest = addressed(text, state)
    original = _original(said, state)
    kind = "question" if rest.rstrip().endswith("?") and to != TO_ALL else "note"
    if original is not None and to == TO_ALL:
        own = "relay" in original.details
        to = original.to if own else original.sender
        kind = "answer" if original.type == "question" and not own else kind
    first = next((line.strip() for line in rest.splitlines() if line.strip()), "")
    subject = names.show(first, names.SUBJECT_LIMIT)
    author = names.show(said.author, 80).strip()
    details = [f"via={said.via}", f"relay={relay}", "verified=no"]
    details += [f"author={author}"] if author else []
    details += [f"thread={said.thread}"] if said.thread else []
    body = names.show_text(rest)
    given: dict[str, Any] = {"type": kind, "details": tuple(details), "in_reply_to": original.id if original else None}
    return Heard(to, subject, "" if body.strip() == subject else body, given)


def _original(said: ChatMessage, state: State) -> Message | None:
    """The message that it was said under: one of a session that was told there, or an earlier one of a person."""
    if said.answers:
        return next(iter(state.messages.numbered(said.answers)), None)
    if said.thread and not said.id.endswith(said.thread):
        return state.messages.get(f"{said.id.rpartition('.')[0].rpartition('.')[0]}.{said.thread}")
    return None
