"""What a session can do: one small class a subject, composed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gitcoord.coordinator.actor import Acting, Actor
from gitcoord.coordinator.adoption import Adoption
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.briefings import Briefings
from gitcoord.coordinator.carriage import Carriage
from gitcoord.coordinator.claims import Claims
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.handoffs import Handoffs
from gitcoord.coordinator.messages import Messages
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.coordinator.setup import Setup
from gitcoord.coordinator.tasks import Tasks
from gitcoord.coordinator.unread import Unread
from gitcoord.log.eventlog import EventLog
from gitcoord.log.outcomes import View
from gitcoord.machine.identity import Identity


class Coordinator:
    """One caller's way to the branch. A subject returns records, never events."""

    def __init__(self, parts: Parts, actor: Actor, *, notices: Notices | None = None, last: View | None = None) -> None:
        self.parts = parts
        self.notices = Notices() if notices is None else notices
        acting = Acting(actor)
        self.branch = Branch(parts, acting, self.notices, last)
        self.carriage = Carriage(parts, acting, self.notices, self.branch)
        self.adoption = Adoption(parts, acting, self.branch)
        commands = Commands(parts, self.notices, self.branch, self.carriage)
        self.sessions = Sessions(parts, acting, self.notices, self.branch, commands)
        shared = (parts, acting, self.notices, self.branch, commands, self.sessions)
        self.setup = Setup(parts, acting, self.branch, commands, self.sessions)
        self.claims = Claims(*shared)
        self.messages = Messages(*shared, Unread(*shared))
        self.handoffs = Handoffs(*shared)
        self.tasks = Tasks(*shared, self.claims)
        self.briefings = Briefings(parts, acting, self.branch)

    def acting_as(self, actor: Actor, *, identity: Identity | None = None) -> Coordinator:
        """Return a coordinator of the same parts that acts as that actor, and adds to the same notices. `identity`: who sits in the
        work tree of that actor, where it is another one.
        """
        parts = self.parts if identity is None else replace(self.parts, identity=identity)
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
