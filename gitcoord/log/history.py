"""Which commits are good? Every commit is checked once, by the rule of the format; the answer is the same for every reader.

A commit is good if its records equal, by meaning, what its event makes of the last good commit's records. Anything else that
is on the branch is bad: a no-op for everyone, mended by the next good commit. At a merge the line follows the parent whose line has
most good events (a tie: the first).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gitcoord.core import rules
from gitcoord.core.records import Event, Record
from gitcoord.core.state import State
from gitcoord.errors import GitcoordError, Rewritten
from gitcoord.git.objects import BLOB_LIMIT, Commit, Entry, Lines, Objects
from gitcoord.git.repo import NULL, Oid
from gitcoord.log import wire

_AT_ONCE = 1000  # commits read at a time: bounds the memory of a first check


class Projection(Protocol):
    """State ↔ files; only views/ spells a path."""

    def changes(self, before: State, after: State) -> dict[str, Record | None]:
        """What the last event changed."""
        ...

    def render(self, record: Record) -> bytes:
        """A record's file."""
        ...

    def table_of(self, path: str) -> str | None:
        """The table of a path; None for what is no record."""
        ...

    def parse(self, table: str, data: bytes) -> Record | None:
        """The record in a file."""
        ...

    def same_meaning(self, one: Record, other: Record) -> bool:
        """Equal in every field of the format."""
        ...

    def load(
        self,
        root: Oid,
        listing: Callable[[Sequence[Oid]], list[Lines]],
        read: Callable[[Sequence[str]], list[bytes | None]],
        facts: MutableMapping[str, str],
        *,
        seq: int,
        at: datetime,
    ) -> State:
        """The state in a good tree."""
        ...

    def replaced(self, state: State, records: Mapping[str, Record]) -> State:
        """The state with the records as the tree has them."""
        ...

    def pages(self, state: State, *, first: bool) -> dict[str, bytes]:
        """The files for people that every commit carries."""
        ...


@dataclass(frozen=True)
class Bad:
    """A commit that is ignored: which, why, and how many good events its line had."""

    commit: Oid
    reason: str
    seq: int


@dataclass(frozen=True)
class Checked:
    """What is known of a tip: its last good commit, how many good events there are, and the latest bad commits."""

    tip: Oid = NULL
    good: Oid = NULL
    seq: int = 0
    bad: tuple[Bad, ...] = ()

    @property
    def unmended(self) -> tuple[Bad, ...]:
        """The bad commits behind which no good one stands yet."""
        return tuple(one for one in self.bad if one.seq == self.seq)


@dataclass(frozen=True)
class Good:
    """A good commit with its event, the state after it, the version of its writer, and the pages for people in it."""

    commit: Oid
    event: Event
    state: State
    writer: str
    committed_at: datetime
    pages: Mapping[str, Oid]


class Pruned(GitcoordError):
    """A commit that was checked once and that this clone has no longer."""


@dataclass
class _Line:
    good: Oid
    seq: int
    parent: Oid = NULL
    bad: Bad | None = None


BAD_KEPT = 1000  # bad commits remembered per clone; `verify` finds them all again in the history


@dataclass
class History:
    """Checks commits and gives states. Keeps the newest state in memory; any other is loaded from its tree."""

    objects: Objects
    projection: Projection
    facts: MutableMapping[str, str] = field(default_factory=dict)
    _current: tuple[Oid, State] | None = field(default=None, init=False)
    line: set[Oid] = field(default_factory=set, init=False)
    """The good commits that the last check found on the tip's line; `seen` also hears of those on lines that a merge left."""

    def state_at(self, good: Oid, seq: int) -> State:
        """The state after a good commit, from its tree; what is past costs nothing. Raises Pruned.

        No size is asked for: each of these records was looked at when the commit that brought it was found good.
        """
        if good == NULL:
            return State()
        if self._current and self._current[0] == good:
            return self._current[1]
        committed_at = self.objects.date(good)
        if committed_at is None:
            raise Pruned(f"commit {good[:12]} isn't in this clone any more", hint="run it again")
        state = self.projection.load(good, self.objects.folders, self.objects.contents, self.facts, seq=seq, at=committed_at)
        self._current = (good, state)
        return state

    def remember(self, good: Oid, state: State) -> None:
        """Keeps the state after a commit that was just written."""
        self._current = (good, state)

    def check(self, tip: Oid, known: Checked, seen: Callable[[Good], None] | None = None) -> Checked:
        """Checks what `tip` has beyond `known`, telling each good commit of a straight line to `seen`, in order.

        Raises Rewritten when the tip doesn't descend from the known one.
        """
        if tip == known.tip:
            return known
        names = self.objects.range(tip, known.tip)
        if names is None:  # the known tip was pruned from this clone: begin at the root
            known, names = Checked(), self.objects.range(tip) or []
        if known.tip and not any(known.tip in parents for _, parents in names):
            raise Rewritten(
                f"the branch was rewritten: it was at {known.tip[:12]}, now it is at {tip[:12]}, which doesn't descend from it",
                hint="gitcoord doctor",
                data={"seen": known.tip, "now": tip},
            )
        inside = {oid for oid, _ in names}
        outside = {parent for _, parents in names for parent in parents} - inside
        if outside - {known.tip}:  # a line from before the known tip was merged: only the whole history can judge it
            known, names = Checked(), self.objects.range(tip) or []
        return self._walk(tip, known, names, seen)

    def _walk(
        self,
        tip: Oid,
        known: Checked,
        names: Sequence[tuple[Oid, tuple[Oid, ...]]],
        seen: Callable[[Good], None] | None,
    ) -> Checked:
        lines: dict[Oid, _Line] = {NULL: _Line(NULL, 0)}
        if known.tip:
            lines[known.tip] = _Line(known.good, known.seq)
        # Where lines meet, only the end says which of them counts: till then nobody is told.
        told: list[Good] | None = [] if any(len(parents) > 1 for _, parents in names) else None
        for commit, speculative in self._read(names):
            if len(commit.parents) > 1:
                parent = max(commit.parents, key=lambda oid: lines[oid].seq)  # max keeps the first of equals
                base = lines[parent]
                verdict: Good | str = "a merge: its first-come line goes on, the rest is ignored"
            else:
                parent = commit.parents[0] if commit.parents else NULL
                base = lines[parent]
                verdict = self._judge(commit, base, speculative if base.good == parent else None)
            if isinstance(verdict, Good):
                lines[commit.oid] = _Line(commit.oid, base.seq + 1, parent)
                if told is not None:
                    told.append(verdict)
                elif seen is not None:
                    seen(verdict)
            else:
                lines[commit.oid] = _Line(base.good, base.seq, parent, Bad(commit.oid, verdict, base.seq))
        bad: list[Bad] = []
        self.line = set()
        oid = tip
        while oid and oid != known.tip:
            line = lines[oid]
            if line.bad is not None:
                bad.append(line.bad)
            else:
                self.line.add(oid)
            oid = line.parent
        for good in told or ():
            if seen is not None and good.commit in self.line:
                seen(good)
        return Checked(tip, lines[tip].good, lines[tip].seq, (*known.bad, *reversed(bad)))

    def _read(self, names: Sequence[tuple[Oid, tuple[Oid, ...]]]) -> Iterator[tuple[Commit, dict[str, Entry | None]]]:
        """The commits, each with what it changes against its only parent."""
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            straight = [(parents[0] if parents else NULL, oid) for oid, parents in part if len(parents) <= 1]
            diffs = self.objects.diffs(straight)
            for commit in self.objects.commits(part):
                yield commit, next(diffs) if len(commit.parents) <= 1 else {}

    def _judge(self, commit: Commit, base: _Line, diff: dict[str, Entry | None] | None) -> Good | str:
        """The good commit, or why it is bad."""
        if commit.message is None or commit.committed_at is None:
            return "its message can't be read"
        try:
            decoded = wire.decode(commit.message, at=commit.authored_at)
        except wire.Malformed as error:
            return str(error)
        if base.good == NULL and commit.parents:
            return "nothing good comes before it"
        event = decoded.event
        before = self.state_at(base.good, base.seq)
        wrong = rules.problem(before, event, commit.committed_at)
        if wrong is not None:
            return wrong
        after = rules.evolve(before, event, commit.committed_at)
        if diff is None:
            diff = next(self.objects.diffs([(base.good, commit.oid)]))
        found = self._compare(before, after, diff)
        if isinstance(found, str):
            return found
        if found:
            after = self.projection.replaced(after, found)
        self._current = (commit.oid, after)
        pages = {path: entry.oid for path, entry in diff.items() if entry and self.projection.table_of(path) is None}
        return Good(commit.oid, event, after, decoded.writer, commit.committed_at, pages)

    def _compare(self, before: State, after: State, diff: dict[str, Entry | None]) -> dict[str, Record] | str:
        """Whether the files are what the event makes of them: the records that differ in bytes only, or what is wrong."""
        expected = self.projection.changes(before, after)
        differing: dict[str, Record] = {}
        for path, entry in diff.items():
            table = self.projection.table_of(path)
            if table is None:
                continue
            if path not in expected:
                return f"it changes {path!r}, which its event doesn't"
            record = expected.pop(path)
            if (record is None) != (entry is None):
                return f"it {'keeps' if record is None else 'takes away'} {path!r} against its event"
            if record is None or entry is None:
                continue
            if entry.mode != "100644":
                return f"{path!r} is not a plain file"
            if self.objects.blob_oid(self.projection.render(record)) == entry.oid:
                continue
            data = self.objects.read([entry.oid], BLOB_LIMIT)[0]
            found = self.projection.parse(table, data) if data is not None else None
            if found is None or not self.projection.same_meaning(found, record):
                return f"{path!r} is not what its event says"
            differing[path] = found
        if expected:
            return f"it leaves {min(expected)!r} as it was, against its event"
        return differing
