"""What every subject of a coordinator shares: the real parts that it works with, and what is to be told at the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from gitcoord.core.trust import Trust
from gitcoord.git.carriers import Heads
from gitcoord.git.repo import Head, Oid
from gitcoord.log.eventlog import EventLog
from gitcoord.machine.identity import Identity
from gitcoord.outbox.store import Outbox
from gitcoord.outbox.submit import Submitter

if TYPE_CHECKING:
    from gitcoord.git.edits import Edits
    from gitcoord.git.hunks import FileChange
    from gitcoord.git.merges import MergeVerdict, Pair, Tips
    from gitcoord.git.scratch import LandingGround, Merged


class Notices:
    """What a run has to tell at its end: its warnings, and the last event that its commands made. A face reads it once."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._landed = 0

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._texts))

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, *texts: str) -> None:
        """Add those warnings."""
        self._texts += texts

    def add_new(self, *texts: str) -> None:
        """Add those of these warnings that are not there yet."""
        for text in texts:
            if text not in self._texts:
                self._texts.append(text)

    def clear(self) -> None:
        """Forget the warnings: they were told, or are nobody's business."""
        self._texts.clear()

    @property
    def landed(self) -> int:
        """Return the last event that this run's commands made; 0 for none."""
        return self._landed

    def note_landed(self, seq: int) -> None:
        """Note that a command of this run made that event."""
        self._landed = seq


class Beginning(Protocol):
    """The user's repository, as far as it says which one it is: by the commit with which its history began."""

    def first_commit(self) -> Oid:
        """Return that commit; NULL where it can't be told."""
        ...

    def is_missing(self, commit: Oid) -> bool:
        """Return True if the repository lacks that commit."""
        ...


class CarrierBranches(Protocol):
    """The branches of the user's repository and its remote that may carry commands; see `git/carriers`."""

    where: str
    """The remote's name."""

    @property
    def branch(self) -> str:
        """Return the branch that is checked out; "" for none."""
        ...

    def is_busy(self) -> bool:
        """Return True if a commit on the branch would come in the way of what the user is doing."""
        ...

    def holds(self, commit: Oid) -> bool:
        """Return True if the branch that is checked out has that commit."""
        ...

    def is_behind(self, commit: Oid, tip: Oid) -> bool:
        """Return True if the tip has the commit behind it."""
        ...

    def add(self, message: str) -> Oid:
        """Put a commit that changes nothing on the branch that is checked out; return it, or NULL where the branch has moved."""
        ...

    def push(self, seconds: float) -> str:
        """Push the branch that is checked out, unforced; return why it isn't there, "" once it is."""
        ...

    def heads(self, prefixes: Sequence[str], seconds: float) -> Heads:
        """Return the remote's branches whose names begin with one of these. Raises Unreachable."""
        ...

    def fetch(self, names: Sequence[str], seconds: float) -> tuple[str, Heads]:
        """Fetch these branches and the default one; return what keeps them, and where they are. Raises Unreachable."""
        ...

    def drop(self, keep: str) -> None:
        """Let go of what was fetched."""
        ...

    def newer(self, tip: Oid, than: Oid, limit: int) -> frozenset[Oid] | None:
        """Return the commits behind the tip and not behind that other one; None where the tip doesn't descend from it."""
        ...

    def commits(self, tip: Oid, without: Sequence[Oid], limit: int) -> list[tuple[Oid, str | None]]:
        """Return the commits behind the tip and behind none of the others, the oldest first, with their messages."""
        ...


class TrialGround(Protocol):
    """A repository of our own where branches are merged before they land; see `git/scratch`."""

    where: str
    """For people: the remote's name."""
    tree: str
    """The folder with the files."""

    def head(self) -> Head:
        """Return where the user's work tree stands."""
        ...

    def look(self, branches: Iterable[str]) -> LandingGround:
        """Return where the default branch and these branches are, their commits brought here. Raises Unreachable, BadInput."""
        ...

    def has(self, commit: Oid, tip: Oid) -> bool:
        """Return True if the tip has that commit behind it."""
        ...

    def is_same(self, one: Oid, other: Oid) -> bool:
        """Return True if two commits have the same files."""
        ...

    def merge(self, base: Oid, commits: Sequence[Oid]) -> Merged:
        """Merge these commits onto the base, one after the other."""
        ...

    def merge_to_land(self, base: Oid, commit: Oid, message: str) -> Merged:
        """Merge that commit onto the base as the user would."""
        ...

    def check_out(self, commit: Oid) -> None:
        """Write the files of that commit, and nothing else."""
        ...

    def push(self, branch: str, expected: Oid, new: Oid) -> bool:
        """Move the remote's branch from exactly `expected` to `new`; return False where it is elsewhere by now."""
        ...


class KeptTable(Protocol):
    """Where a clone keeps what can be made anew."""

    def read(self) -> bytes:
        """Return what was written; b"" for nothing."""
        ...

    def write(self, data: bytes) -> None:
        """Write it, if there is room."""
        ...


class KeptNowhere:
    """Nothing is kept."""

    def read(self) -> bytes:
        """Return nothing."""
        return b""

    def write(self, data: bytes) -> None:
        """Write nothing."""


Ground = Callable[[str, Callable[[], None]], TrialGround]
"""Makes a trial ground in a folder; `tick` is called while git works there, and may raise."""


class Merging(Protocol):
    """Tells which commits can't be merged, in a repository of our own; see `git/merges`."""

    @property
    def lack(self) -> str:
        """Return why nothing can be merged here; "" where all is well."""
        ...

    def known(self, names: Iterable[str]) -> Tips:
        """Return where those branches were, as far as this clone knows."""
        ...

    def tips(self, names: Iterable[str], seconds: float) -> Tips:
        """Return where those branches of the remote are now. Raises Unreachable."""
        ...

    def fetch(self, names: Iterable[str], seconds: float) -> None:
        """Have these branches of the remote here. Raises Unreachable."""
        ...

    def absent(self, commits: Iterable[Oid]) -> frozenset[Oid]:
        """Return those of the commits that are not here."""
        ...

    def is_behind(self, commit: Oid, tip: Oid) -> bool:
        """Return True if the tip has the commit behind it."""
        ...

    def changed(self, old: Oid, new: Oid) -> list[FileChange]:
        """Return what differs from one commit to the other. Raises GitFault."""
        ...

    def base(self, first: Oid, second: Oid) -> Oid:
        """Return the newest commit behind both; NULL where there is none here."""
        ...

    def diff(self, old: Oid, new: Oid, path: str, limit: int) -> str:
        """Return what differs in that file, at most so many bytes of it. Raises GitFault."""
        ...

    def judge(self, pairs: Sequence[Pair]) -> dict[Pair, MergeVerdict]:
        """Return for each pair whether git can merge it. Raises GitFault."""
        ...


@dataclass(frozen=True)
class Parts:
    """The real parts that every subject of a coordinator works with.

    - `seconds`: how long one answer of the remote is waited for.
    - `boxed`: this process runs in a sandbox: nothing but the spool may be written, or the network is cut off.
    - `rest`: how to pass seconds in which only others act (None: asleep). It may raise, and so end the wait: nothing is under way
      then.
    - `beginning`: says which repository this is, where several share the branch; None where only this one has it.
    - `carriers`: the branches that may carry commands; None where there is no remote.
    - `edits`: tells what the work tree has changed since it left the default branch, with True what of
      that is staged or committed; None where it is not to be said.
    - `ground`: makes a place where branches are merged before they land; None where nobody needs one.
    - `merger`: makes what tells which commits can't be merged; None where it can't be had.
    - `verdicts`: what was found out of pairs of commits, by their names.
    - `trust`: reads whom the user trusts; `origins`: keeps where events came from; `checks_signature`: says, within so many
      seconds, whose signature a commit has, where this process can't (None: nothing can).
    - `verifying`: keeps how far a comparison of every commit has come.
    """

    log: EventLog
    submitter: Submitter
    outbox: Outbox
    identity: Identity
    now: Callable[[], datetime]
    seconds: float
    boxed: bool = False
    rest: Callable[[float], None] | None = None
    beginning: Beginning | None = None
    carriers: CarrierBranches | None = None
    edits: Callable[[bool], Edits | None] | None = None
    ground: Ground | None = None
    merger: Callable[[], Merging] | None = None
    verdicts: MutableMapping[str, str] = field(default_factory=dict)
    trust: Callable[[], Trust] = Trust
    origins: KeptTable = field(default_factory=KeptNowhere)
    checks_signature: Callable[[Oid, float], str] | None = None
    verifying: KeptTable = field(default_factory=KeptNowhere)

    def sleep(self, seconds: float) -> None:
        """Pass those seconds, in which only others act."""
        (self.rest or self.submitter.sleep)(seconds)
