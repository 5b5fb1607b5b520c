"""Epochs: the branch goes on from one commit whose tree is the state; the history up to there becomes an archive.

Two commits are made for it: `epoch.closed` ends the old line, `epoch.opened` is the root of the new one. The second one's tree is
the state after the first, without what was over before a time that the first one names.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from gitcoord.core import leases, retention
from gitcoord.core.events import Command, Event
from gitcoord.core.names import Resource
from gitcoord.core.records import CommitId, Count
from gitcoord.core.sessions import acting
from gitcoord.core.term import is_over
from gitcoord.core.times import Instant
from gitcoord.errors import BadInput, NotHeld

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

LEASE = Resource("gitcoord", "epoch")
"""The lease that a session holds while it compacts the branch."""

ARCHIVES = "refs/gitcoord/archive/"
"""The folder of refs in which all archives lie."""

_OPEN = "0" * 40  # the tree of an event whose tree is not known yet

LEAST_KEPT = timedelta(days=1)
"""What was over later than this before the newest sign of life of others stays in the tree, whoever asks."""


def archive_ref(epoch: int, closed: str) -> str:
    """Return the ref that holds the line of that epoch, whose last commit is `closed`. Nobody can take the name before."""
    return f"{ARCHIVES}{epoch}-{closed[:12]}"


class CloseEpoch(Command):
    """Makes the branch short. It is carried out by who asks, never from an outbox: what it swaps is more than a tip.

    - `kept`: for how many seconds what is over stays in the tree (None: as the setting says).
    """

    kind: ClassVar[str] = "epoch.close"

    kept: Count | None = None


class EpochClosed(Event):
    """The last event of a line. `tree`: that of the root that follows, without what was over before the time `before`."""

    kind: ClassVar[str] = "epoch.closed"

    epoch: Count
    tree: CommitId
    before: Instant | None = None

    @property
    def makes(self) -> bool:
        """Return False: it makes no messages."""
        return False

    def headline(self) -> str:
        """The commit's subject."""
        return f"close: epoch {self.epoch}, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The branch's record says where the next epoch begins; the lease is free again."""
        draft.change_branch(epoch=self.epoch + 1, began=self.seq + 1, kept_since=self.before)
        draft.put("claims", leases.keys_of(LEASE, self.session)[0], None)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """It is this epoch, its session holds the lease, and nothing goes that is young."""
        if self.epoch != state.rules.epoch:
            return f"this is epoch {state.rules.epoch}"
        if not _is_held(state, self.session, committed_at):
            return f"{self.session} doesn't hold {LEASE}"
        latest = latest_before(state, self.session, committed_at)
        if self.before is not None and (latest is None or self.before > latest):
            return "it leaves out what is not old enough"
        return None


class EpochOpened(Event):
    """The root of a new line. `closed`: the last commit of the line before."""

    kind: ClassVar[str] = "epoch.opened"
    needs_session: ClassVar[bool] = False
    sign: ClassVar[bool] = False

    epoch: Count
    closed: CommitId

    @property
    def makes(self) -> bool:
        """Return False: it makes no messages."""
        return False

    @property
    def archive(self) -> str:
        """Return the ref that holds the line before."""
        return archive_ref(self.epoch - 1, self.closed)

    def headline(self) -> str:
        """The commit's subject."""
        return f"open: epoch {self.epoch} at event {self.seq}, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """What was over before the time in the branch's record goes."""
        before = draft.branch.kept_since if draft.branch is not None else None
        if before is not None:
            retention.apply(draft, retention.everything_over(draft.before, before), (), self.at)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """The record of the branch says that this epoch begins with this event."""
        return self.mismatch(state)

    def mismatch(self, state: State) -> str | None:
        """Return why the event isn't the one with which the epoch of that state begins; None if it is."""
        rules = state.rules
        if state.branch is None or rules.began != self.seq or rules.epoch != self.epoch or self.epoch < 2:
            return f"epoch {self.epoch} doesn't begin with event {self.seq}"
        return None


def _is_held(state: State, session: str, at: datetime) -> bool:
    lease = state.claims.get(leases.keys_of(LEASE, session)[0])
    return lease is not None and lease.claimed_by == session and not is_over(lease, at)


def latest_before(state: State, session: str, at: datetime) -> datetime | None:
    """Return the latest time before which what was over may be left out; None where nothing may: nobody else tells the time."""
    agreed = retention.agreed_now(state, session, at)
    return None if agreed is None else agreed - LEAST_KEPT


def check_kept(kept: timedelta) -> timedelta:
    """Return how long what is over is kept, if that can be. Raises BadInput."""
    if kept < LEAST_KEPT:
        raise BadInput("what was over within the last day stays in the tree", hint="gitcoord compact --before 30d")
    return kept


def decide_close(state: State, command: CloseEpoch, date: datetime) -> EpochClosed:
    """Return the event that ends the line at that state, its tree still open. `date`: the commit's. Raises NotHeld where the
    session doesn't hold the lease.
    """
    acting(state, command)
    if not _is_held(state, command.session, date):
        raise NotHeld(f"{command.session} doesn't hold {LEASE} any more: nothing was done", hint="gitcoord compact")
    kept = timedelta(seconds=state.rules.settings.epoch_keep if command.kept is None else command.kept)
    latest = latest_before(state, command.session, date)
    before = None if latest is None else (latest + LEAST_KEPT - max(kept, LEAST_KEPT)).replace(microsecond=0)
    return EpochClosed(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, asked=command.asked, at=command.at,
        epoch=state.rules.epoch, tree=_OPEN, before=before,
    )  # fmt: skip


def opened(closing: EpochClosed, commit: str) -> EpochOpened:
    """Return the event of the root that follows that closing commit."""
    return EpochOpened(
        id=closing.id, seq=closing.seq + 1, session=closing.session, run_id=closing.run_id, asked=closing.asked, at=closing.at,
        epoch=closing.epoch + 1, closed=commit,
    )  # fmt: skip
