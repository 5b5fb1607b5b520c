"""Who acts: the caller as it came, and the session that it started or took up since.

An actor is no `core.events.Caller`: that is a process which waits for an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gitcoord.core import secrecy


@dataclass(frozen=True)
class Actor:
    """One caller: a session, the run of it that works here ("" when not known here), and what a new session would be.

    - `named`: the caller said which session it speaks for.
    - `cached`: the caller wants what this clone knows, without a fetch.
    - `heard`: False if this caller's warnings are shown to nobody: then they are left for the next command.
    - `unverified`: the caller marks what is shown before its history is checked, and may be given that.
    - `about_secrets`: what is done with what looks like a secret.
    """

    session: str = ""
    run_id: str = ""
    agent: dict[str, str] = field(default_factory=dict)
    agent_name: str | None = None
    wish: str = "session"
    repo: str = ""
    hub: bool = False  # whether several repositories share the branch
    branch: str | None = None
    host: str | None = None
    owner: tuple[int, str] = (0, "")
    human: str = ""
    folds: bool = False  # whether this repository can't tell capital from small letters
    named: bool = False
    cached: bool = False
    heard: bool = True
    unverified: bool = False
    about_secrets: secrecy.Manner = "hide"

    @property
    def namespace(self) -> str:
        """Return what the names of this work tree's files begin with, where several repositories share the branch; else ""."""
        return self.repo if self.hub else ""


class Acting:
    """The actor as it is now: the only thing about a caller that changes during a run. Only `Sessions` changes it."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    @property
    def actor(self) -> Actor:
        """Return the actor as it is now."""
        return self._actor

    @property
    def session(self) -> str:
        """Return the session that acts; "" for none."""
        return self._actor.session

    def become(self, actor: Actor) -> Actor:
        """Act as that one from here on; return it."""
        self._actor = actor
        return actor

    def go_on_as(self, session: str, run_id: str) -> Actor:
        """Act as that run of that session from here on; return the actor."""
        return self.become(replace(self._actor, session=session, run_id=run_id))
