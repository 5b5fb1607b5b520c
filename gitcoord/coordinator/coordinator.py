"""What a session can do: one small class a subject, composed.

A subject is loaded when somebody asks for it: a command needs two or three of them, and its start is nearly all of its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from gitcoord.coordinator.actor import Acting, Actor
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.carriage import Carriage
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.log.eventlog import EventLog
from gitcoord.log.outcomes import View
from gitcoord.machine.identity import Identity

if TYPE_CHECKING:
    from gitcoord.coordinator.adoption import Adoption
    from gitcoord.coordinator.briefings import Briefings
    from gitcoord.coordinator.claims import Claims
    from gitcoord.coordinator.epochs import Epochs
    from gitcoord.coordinator.foretelling import Foretelling
    from gitcoord.coordinator.handoffs import Handoffs
    from gitcoord.coordinator.messages import Messages
    from gitcoord.coordinator.setup import Setup
    from gitcoord.coordinator.speakers import Speakers
    from gitcoord.coordinator.tasks import Tasks
    from gitcoord.coordinator.touched import Touched
    from gitcoord.coordinator.trials import Trials
    from gitcoord.git.edits import Edits


class Coordinator:
    """One caller's way to the branch. A subject returns records, never events."""

    def __init__(self, parts: Parts, actor: Actor, *, notices: Notices | None = None, last: View | None = None) -> None:
        self.parts = parts
        self.notices = Notices() if notices is None else notices
        acting = Acting(actor)
        self.branch = Branch(parts, acting, self.notices, last)
        self.carriage = Carriage(parts, acting, self.notices, self.branch)
        commands = Commands(parts, self.notices, self.branch, self.carriage)
        self.sessions = Sessions(parts, acting, self.notices, self.branch, commands)
        self._shared = (parts, acting, self.notices, self.branch, commands, self.sessions)

    @cached_property
    def adoption(self) -> Adoption:
        """Return what takes over what sessions say that may not push."""
        from gitcoord.coordinator.adoption import Adoption

        parts, acting, _, branch, _, _ = self._shared
        return Adoption(parts, acting, branch)

    @cached_property
    def setup(self) -> Setup:
        """Return what opens a branch, and changes what all share."""
        from gitcoord.coordinator.setup import Setup

        parts, acting, _, branch, commands, sessions = self._shared
        return Setup(parts, acting, branch, commands, sessions)

    @cached_property
    def claims(self) -> Claims:
        """Return what asks for leases and gives them back."""
        from gitcoord.coordinator.claims import Claims

        return Claims(*self._shared)

    @cached_property
    def messages(self) -> Messages:
        """Return what sends messages, and takes those for the session."""
        from gitcoord.coordinator.messages import Messages
        from gitcoord.coordinator.unread import Unread

        return Messages(*self._shared, Unread(*self._shared))

    @cached_property
    def handoffs(self) -> Handoffs:
        """Return what passes work on."""
        from gitcoord.coordinator.handoffs import Handoffs

        return Handoffs(*self._shared)

    @cached_property
    def tasks(self) -> Tasks:
        """Return what says what there is to do."""
        from gitcoord.coordinator.tasks import Tasks

        return Tasks(*self._shared, self.claims)

    @cached_property
    def foretelling(self) -> Foretelling:
        """Return what looks who will collide, and tells them."""
        from gitcoord.coordinator.foretelling import Foretelling

        return Foretelling(*self._shared)

    @cached_property
    def touched(self) -> Touched:
        """Return what says which lines the caller has changed."""
        from gitcoord.coordinator.touched import Touched

        parts, acting, _, _, _, _ = self._shared
        return Touched(parts, acting)

    @cached_property
    def speakers(self) -> Speakers:
        """Return what says who really spoke."""
        from gitcoord.coordinator.speakers import Speakers

        parts, _, _, branch, _, _ = self._shared
        return Speakers(parts, branch)

    @cached_property
    def trials(self) -> Trials:
        """Return what tries branches together before they land."""
        from gitcoord.coordinator.trials import Trials

        return Trials(*self._shared)

    @cached_property
    def epochs(self) -> Epochs:
        """Return what makes the branch short."""
        from gitcoord.coordinator.epochs import Epochs

        return Epochs(*self._shared, self.claims)

    @cached_property
    def briefings(self) -> Briefings:
        """Return what tells a session what it should know."""
        from gitcoord.coordinator.briefings import Briefings

        parts, acting, _, branch, _, _ = self._shared
        return Briefings(parts, acting, branch, self.speakers)

    def acting_as(
        self, actor: Actor, *, identity: Identity | None = None, edits: Callable[[bool], Edits | None] | None = None
    ) -> Coordinator:
        """Return a coordinator of the same parts that acts as that actor, and adds to the same notices. `identity`, `edits`: who
        sits in the work tree of that actor and what is changed in it, where it is another one.
        """
        parts = self.parts if identity is None else replace(self.parts, identity=identity)
        parts = parts if edits is None else replace(parts, edits=edits)
        return Coordinator(parts, actor, notices=self.notices, last=self.branch.last)

    @property
    def actor(self) -> Actor:
        """Return the actor as it is now: the caller, and the session that it started or took up."""
        return self.sessions.acting.actor

    @property
    def log(self) -> EventLog:
        """Return the log of the branch."""
        return self.parts.log

    def now(self) -> datetime:
        """Return this machine's time."""
        return self.parts.now()
