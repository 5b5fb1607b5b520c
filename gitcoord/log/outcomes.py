"""What the event log needs from others, and what it gives them: a view of the branch, and the outcome of a command.

`Begun` is part of both: a check that takes long is gone on with by the next process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from gitcoord.core.events import Event
from gitcoord.core.state import State
from gitcoord.errors import (
    BadInput,
    GitcoordError,
)
from gitcoord.git.objects import NewCommit
from gitcoord.git.repo import NULL, Oid
from gitcoord.log.history import Checked


@dataclass(frozen=True)
class Begun:
    """A check of the history that is under way, or was ended before it was done: what it has come to, and how far it is.

    `alarm`: the tip at which it ended with an alarm, so that whoever looks next must meet that, too.
    """

    checked: Checked
    done: int
    total: int
    alarm: Oid = NULL


class Memory(Protocol):
    """Where a clone remembers the last tip that it checked, and how far it has come with a long check."""

    def begun(self) -> Begun | None:
        """Return how far the check of the history is; None where none is under way."""
        ...

    def note_begun(self, begun: Begun) -> None:
        """Notes how far it is."""
        ...

    def end_check(self) -> None:
        """Forgets that: it is done."""
        ...

    def turn(self, waits: Callable[[], object]) -> AbstractContextManager[None]:
        """Check while no other process of this clone does. `waits` is called again and again while another one has its turn, and
        returns something else as long as that one gets on.
        """
        ...

    def load(self) -> Checked:
        """What is remembered; an empty one if nothing is."""
        ...

    def save(self, checked: Checked) -> None:
        """Remembers it."""
        ...

    def forget(self, why: str) -> None:
        """Sets aside what is remembered: it is not so."""
        ...

    def note_read(self, at: datetime) -> None:
        """Notes that the truth was read then, and that it is what is remembered."""
        ...

    def read_at(self) -> datetime | None:
        """When the truth was last read; None when that isn't known."""
        ...


Advance = Callable[[int, int], None]
"""Says how much of how much is done."""


class Waits(Protocol):
    """Whoever shows a person what this process waits for."""

    def during(self, what: str, *, told: bool = False) -> AbstractContextManager[Advance]:
        """Show that it waits for that, until the end of the context. `told`: it was said in words, too."""
        ...


class Unseen:
    """Nobody looks: nothing is shown."""

    @contextmanager
    def during(self, what: str, *, told: bool = False) -> Iterator[Advance]:
        """Shows nothing."""
        yield lambda done, total: None


class ClockKeeper(Protocol):
    """What this machine knows of its clock, and when it saw the branch stand where, by what no setting of the clock changes."""

    def vouches(self, now: datetime) -> bool:
        """Return True if the kernel, or somebody within a day, says that the clock is right."""
        ...

    def agree(self, now: datetime) -> None:
        """Notes that somebody else's clock agrees."""
        ...

    def note(self, commit: Oid, seq: int) -> None:
        """Notes that the branch was seen at that good commit."""
        ...

    def sights(self) -> Sequence[tuple[Oid, int, timedelta]]:
        """Return where the branch was seen and how long ago each, the oldest first."""
        ...


class Undoubted:
    """The one clock where there is no other: nobody could contradict it."""

    def vouches(self, now: datetime) -> bool:
        """Return True."""
        return True

    def agree(self, now: datetime) -> None:
        """Notes nothing."""

    def note(self, commit: Oid, seq: int) -> None:
        """Notes nothing."""

    def sights(self) -> Sequence[tuple[Oid, int, timedelta]]:
        """Return none."""
        return ()


class Signer(Protocol):
    """Signs commits, as the user's git is set up to."""

    def sign(self, commit: Oid, parent: Oid, new: NewCommit, *, ref: str, seconds: float) -> Oid:
        """Write that commit, which stands on `parent`, anew with a signature, kept by that ref of ours; return it. Raises NotSigned
        where that can't be done within so many seconds.
        """
        ...


class InFlight(Protocol):
    """The note about a push that is under way, kept where the next process finds it."""

    def sending(self, base: Oid, commits: dict[str, Oid]) -> frozenset[str]:
        """Operations (by id) are about to be pushed as those commits on `base`. Those that have been withdrawn meanwhile:
        if there are any, the push must not happen.
        """
        ...

    def at_work(self) -> None:
        """Show that this process is alive: a crowd's chain takes it seconds in which it waits for no git."""
        ...

    def lost(self) -> None:
        """The newest of them lost its race: it can't land any more."""
        ...


@dataclass(frozen=True)
class SessionHoldings:
    """What a session held at event `seq`: each lease (`42 file:a`) with its end, in seconds since 1970, and its length."""

    seq: int
    leases: Mapping[str, tuple[float, int]]


@dataclass(frozen=True)
class Done:
    """A command that is in history, or needed no event. `event` None: there was nothing to do.

    `held`: what its session held on the tip that the answer was given at, so that who waited for it need not look at the branch
    once more; None when that wasn't noted.
    """

    event: Event | None
    commit: Oid
    seq: int
    held: SessionHoldings | None = None


Outcome = Done | GitcoordError


def used(op: str, by_what: str) -> BadInput:
    """The error for an operation id that a caller chose and that stands for something else already."""
    return BadInput(
        f"the operation id {op} is used already: {by_what}", hint="choose another --op, or leave it away; nothing was done"
    )


@dataclass(frozen=True)
class View:
    """The branch as this clone knows it: what was checked, the state, and when the remote was last read (None: not now)."""

    checked: Checked
    state: State
    read_at: datetime | None = None
    unverified: bool = False
    """Whether the state is only what the tip's tree shows: its history is not checked yet."""
