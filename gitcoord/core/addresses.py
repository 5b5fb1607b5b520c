"""To whom something is: one session, all of them, or whoever has a role, a capability, or works in a repository.

A group is spelled `role:reviewer`, `cap:rust`, `repo:library`. What is for a group is for each of its sessions, and as long as none
of them has read it, for who joins later: nobody has to know a name.
"""

from __future__ import annotations

import re
from typing import Protocol

from gitcoord.core import names
from gitcoord.errors import BadInput

TO_ALL = "broadcast"
_EXAMPLES = {"role": "reviewer", "cap": "rust", "repo": "library"}
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)  # short enough to be a folder's name as it is


class Member(Protocol):
    """What of a session says which groups it is in."""

    @property
    def session_id(self) -> str:
        """Its name."""
        ...

    @property
    def role(self) -> str | None:
        """Its role."""
        ...

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it can do."""
        ...

    @property
    def repo(self) -> str | None:
        """The repository it works in."""
        ...


def is_group(to: str) -> bool:
    """Whether `to` names a group, by the format's rules."""
    kind, colon, name = to.partition(":")
    return bool(colon) and kind in _EXAMPLES and bool(_GROUP.fullmatch(name)) and not name.endswith((".", ".lock"))


def is_receiver(to: str) -> bool:
    """Whether `to` can be a receiver at all."""
    return to == TO_ALL or is_group(to) or names.is_session_name(to)


def parse_receiver(text: str) -> str:
    """The receiver in `text`: a session, `broadcast`, or a group. Raises BadInput that says what is wrong with it."""
    if text == TO_ALL or is_group(text):
        return text
    kind, colon, name = text.partition(":")
    if colon and kind in _EXAMPLES:
        raise BadInput(
            f"{names.show(name, 60)!r} is no {kind}'s name: 1 to 64 ASCII letters, digits, '.', '_', '-'",
            hint=f"for example: {kind}:{_EXAMPLES[kind]}",
        )
    return names.parse_session(text)


def reaches(to: str, session: Member) -> bool:
    """Whether that session is one of those that `to` names."""
    if to in (TO_ALL, session.session_id):
        return True
    kind, _, name = to.partition(":")
    if kind == "role":
        return session.role == name
    if kind == "cap":
        return name in session.capabilities
    return kind == "repo" and session.repo == name
