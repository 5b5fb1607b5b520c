"""Which commits are good? Every commit is checked once, by the rule of the format; the answer is the same for every reader.

A commit is good if its records equal, by meaning, what its event makes of the last good commit's records, and nothing else in its
tree differs but the board. Anything else that is on the branch is bad: a no-op for everyone, mended by the next good commit.

All good commits behind a tip stand on one line, each on the one before. A merge keeps to that where one parent's line has every
good commit of the others (a pull after an edit by hand): that line goes on. Where two parents each have a good commit that the
other lacks, no commit can say which line came first, so the merge is an alarm for every reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, Self

from gitcoord.core import rules
from gitcoord.core.epochs import EpochClosed, EpochOpened
from gitcoord.core.events import Event
from gitcoord.core.names import REASON_LIMIT, show
from gitcoord.core.records import Record
from gitcoord.core.state import State
from gitcoord.errors import Damaged, Divided, GitcoordError, GitFault, Rewritten
from gitcoord.git.objects import BLOB_LIMIT, Commit, Objects, TreeLines
from gitcoord.git.repo import NULL, Oid
from gitcoord.git.trees import Compared, Folder, Strange, Trees
from gitcoord.log import wire
from gitcoord.log.wary import UNFIT, WaryReader

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
        listing: Callable[[Sequence[Oid]], list[TreeLines]],
        read: Callable[[Sequence[str]], list[bytes | None]],
        facts: MutableMapping[str, str],
        *,
        seq: int,
        at: datetime,
        wary: bool = False,
    ) -> State:
        """The state in a good tree; `wary`: in one that nobody has checked: each record is read as strictly as a new one."""
        ...

    def is_sound(
        self, root: Oid, listing: Callable[[Sequence[Oid]], list[TreeLines]], read: Callable[[Sequence[str]], list[bytes | None]]
    ) -> bool:
        """Return True if a tree that nobody has checked holds nothing but records, each as strictly as a new one."""
        ...

    def replaced(self, state: State, records: Mapping[str, Record]) -> State:
        """The state with the records as the tree has them."""
        ...

    def pages(self, state: State, *, first: bool) -> dict[str, bytes]:
        """The files for people that every commit carries."""
        ...

    def page_names(self, *, first: bool) -> Collection[str]:
        """How those files are called."""
        ...

    def belongs(self, name: str) -> bool:
        """Return True if a name at the top of the tree is one of the branch's own."""
        ...


@dataclass(frozen=True)
class Bad:
    """A commit that is ignored: which, why, and how many good events stand before it on the tip's line."""

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
    before: int = 0
    """How many of the good events lie in archives, before the first of this epoch."""

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


Reached = Callable[[Checked | None, int, int], None]
"""Is told what a check that ends there comes to (None where other commits stand beside it), and how many of how many are done."""


class Pruned(GitcoordError):
    """A commit that was checked once and that this clone has no longer."""


class _LinePlace:
    """A good commit's place on its line. Two lines agree as far as the places are the same ones."""

    __slots__ = ("_far", "before", "good", "seq")

    def __init__(self, good: Oid, seq: int, before: Self | None = None) -> None:
        self.good = good
        self.seq = seq
        self.before: Self = before or self
        # A longer way back: of each place's distance to its own, so that any place is found in a few dozen steps.
        near = self.before
        self._far: Self = near._far._far if before and near.seq - near._far.seq == near._far.seq - near._far._far.seq else near

    def at(self, seq: int) -> Self:
        """The place with that number on this line, or the first one that is known of it."""
        place = self
        while place.seq > seq and place.before is not place:
            place = place._far if place._far.seq >= seq else place.before
        return place

    def has(self, other: Self) -> bool:
        """Return True if the other place is on this line; the place before the first event is on every line."""
        return other.seq == 0 or self.at(other.seq) is other


_FAR_BACK = 100  # commits that are read to find the good one before a bad one; beyond that the whole history is checked
LINES = "archive:"
"""What the names of facts about closed epochs begin with."""
BAD_KEPT = 1000  # bad commits remembered per clone; `verify` finds them all again in the history


@dataclass
class History:
    """Checks commits and gives states. Keeps the newest state in memory; any other is loaded from its tree."""

    objects: Objects
    projection: Projection
    facts: MutableMapping[str, str] = field(default_factory=dict)
    fetch: Callable[[EpochOpened], None] = lambda _: None
    """Brings the archive here that a root names, where it is to be had. Raises Unreachable."""
    _current: tuple[Oid, State] | None = field(default=None, init=False)
    _top: tuple[Oid, Folder] | None = field(default=None, init=False)
    _trees: Trees = field(init=False)
    _sizes: dict[Oid, tuple[str, int]] = field(default_factory=dict, init=False)  # of the pages in the commits that are being read

    def __post_init__(self) -> None:
        self._trees = Trees(self.objects)

    def state_at(self, good: Oid, seq: int) -> State:
        """The state after a good commit, from its tree; what is past costs nothing. Raises Pruned.

        No size is asked for: each of these records was looked at when the commit that brought it was found good.
        """
        if good == NULL:
            return State()
        if self._current and self._current[0] == good:
            return self._current[1]
        try:
            committed_at = self.objects.commit(good).committed_at
        except Damaged:
            if self.objects.is_here(good):
                raise
            raise Pruned(f"commit {good[:12]} isn't in this clone any more", hint="run it again") from None
        assert committed_at is not None  # it was found good
        state = self.projection.load(good, self.objects.folders, self.objects.contents, self.facts, seq=seq, at=committed_at)
        self._current = (good, state)
        return state

    def bears_out(self, known: Checked) -> bool:
        """True if the good commit of what is known says itself that it is that event, and the tip is it or a bad one behind it."""
        if self._current and (self._current[0], self._current[1].seq) == (known.good, known.seq):
            return True  # this process has made it or judged it
        try:
            message = self.objects.commit(known.good).message or ""
        except Damaged:
            if self.objects.is_here(known.good):
                raise
            return True  # it was pruned: whoever needs it says so
        numbered = f"\nCoord-Seq: {known.seq}\n" in f"{message}\n"
        return numbered and known.tip in {known.good, *(bad.commit for bad in known.unmended)}

    @property
    def current(self) -> tuple[Oid, State] | None:
        """Return the good commit that this process read or wrote last, and the state after it; None before the first."""
        return self._current

    def remember(self, good: Oid, state: State) -> None:
        """Keeps the state after a commit that was just written."""
        self._current = (good, state)

    def check(
        self, tip: Oid, known: Checked, seen: Callable[[Good], None] | None = None, reached: Reached | None = None
    ) -> Checked:
        """Check what `tip` has beyond `known`, and tell each good commit to `seen`, in order, and now and then to `reached` how far
        this is.

        Raises Rewritten when the tip doesn't descend from the known one, or doesn't have on its line what was known as good, and
        Divided when two lines of good commits were merged. A tip whose line begins with a later epoch descends from what is known
        if that epoch's archive does (see `_follow`).
        """
        if tip == known.tip:
            return known
        names = self.objects.range(tip, known.tip)
        if names is not None and known.tip and not any(known.tip in parents for _, parents in names):
            if self.objects.is_behind(known.tip, tip):
                raise GitFault("git gave no whole list of the new commits", hint="run the same command again")
            return self._follow(tip, known, seen, reached)
        if names is not None and (known.tip or not known.good):
            inside = {oid for oid, _ in names}
            outside = {parent for _, parents in names for parent in parents} - inside
            base = self._places(known, outside - {known.tip})
            checked = self._walk(tip, known, names, seen, known.tip, base, reached) if base is not None else None
            if checked is not None:
                return checked
        # The known tip was pruned from this clone, or what is remembered says too little of a line that was merged.
        names = self.objects.range(tip) or []
        if known.good and not any(known.good == oid for oid, _ in names):
            return self._follow(tip, known, seen, reached)
        found: set[Oid] = set()

        def note(good: Good) -> None:
            found.add(good.commit)
            if seen is not None:
                seen(good)

        checked = self._walk(tip, Checked(), names, note, known.tip or known.good, {})
        assert checked is not None
        if known.good and known.good not in found:
            raise _rewritten(known, tip)
        return checked

    def _follow(self, tip: Oid, known: Checked, seen: Callable[[Good], None] | None, reached: Reached | None) -> Checked:
        """Check a tip that doesn't descend from what is known: by the archives of the epochs that were closed since, each of which
        must go on from what was known before, and end with the event that closes it and names the root that follows. Raises
        Rewritten where they don't.
        """
        roots = self._roots_since(tip, known)
        for number, (root, opening) in enumerate(roots):
            known = self._cross(root, opening, known, _rewritten(known, tip), seen, reached)
            following = tip if number + 1 == len(roots) else roots[number + 1][1].closed
            known = self.check(following, known, seen, reached)
        return known

    def _roots_since(self, tip: Oid, known: Checked) -> list[tuple[Oid, EpochOpened]]:
        """Return the roots of the epochs since what is known, the oldest first, the archives before them fetched. Raises
        Rewritten.
        """
        rewritten = _rewritten(known, tip)
        last = known.tip if known.tip and self.objects.is_here(known.tip) else known.good
        roots: list[tuple[Oid, EpochOpened]] = []
        line = tip
        while True:
            found = self.opening(line)
            if found is None or (roots and found[1].epoch != roots[0][1].epoch - 1):
                raise rewritten
            roots.insert(0, found)
            line = found[1].closed
            if not self.objects.is_here(line) or not self.objects.is_here(last):
                self.fetch(found[1])
            if not self.objects.is_here(line):
                raise rewritten
            if self.objects.is_here(last) and self.objects.is_behind(last, line):
                return roots

    def opening(self, tip: Oid) -> tuple[Oid, EpochOpened] | None:
        """Return the root of the tip's line and its event, if that opens an epoch; None for any other."""
        names = self.objects.roots(tip)
        if len(names) != 1:
            return None
        commit = self.objects.newest(names[0])
        try:
            event = wire.decode(commit.message or "", at=commit.authored_at).event
        except wire.Malformed:
            return None
        return (commit.oid, event) if isinstance(event, EpochOpened) and not commit.parents else None

    def _cross(
        self,
        root: Oid,
        opening: EpochOpened,
        known: Checked,
        rewritten: Rewritten,
        seen: Callable[[Good], None] | None,
        reached: Reached | None,
    ) -> Checked:
        """Check the line that the root says it follows, and the root on it. Return what is known at the root. Raises that error."""
        try:
            old = self.check(opening.closed, known, seen, reached)
        except Divided:
            raise
        except Rewritten:
            raise rewritten from None
        parents = self.objects.newest(opening.closed).parents
        last, top = next(self._read([(opening.closed, parents)]))
        closed = self._judge(last, _LinePlace(old.good, old.seq), top, closing=True)
        if not isinstance(closed, Good) or not isinstance(closed.event, EpochClosed):
            raise rewritten
        first, top = next(self._read([(root, ())]))
        opened = self._judge(first, _LinePlace(closed.commit, closed.event.seq), top)
        if not isinstance(opened, Good) or first.tree != closed.event.tree:
            raise rewritten
        if seen is not None:
            seen(closed)
            seen(opened)
        bad = tuple(one for one in old.bad if one.commit != closed.commit)
        if len(bad) < BAD_KEPT:
            note_line(self.facts, closed.commit, bad)
        return Checked(root, root, opened.event.seq, bad, before=closed.event.seq)

    def _walk(
        self,
        tip: Oid,
        known: Checked,
        names: Sequence[tuple[Oid, tuple[Oid, ...]]],
        seen: Callable[[Good], None] | None,
        before: Oid,
        base: Mapping[Oid, _LinePlace],
        reached: Reached | None = None,
    ) -> Checked | None:
        """Check those commits, which stand on `known`, and on older commits whose places are in `base`. `before`: the tip that this
        clone had seen, for the alarm's words. None where the line doesn't go by the known tip: then only the whole history says in
        which order its bad commits stand.
        """
        places: dict[Oid, _LinePlace] = {NULL: _LinePlace(NULL, 0), **base}
        followed: dict[Oid, Oid] = {}
        reasons: dict[Oid, str] = {}
        # Nobody is told of events that turn out to be one of two lines.
        told: list[Good] | None = [] if any(len(parents) > 1 for _, parents in names) else None
        last, straight, archived = known.tip or NULL, True, known.before
        for number, (commit, root) in enumerate(self._read(names), 1):
            parents = commit.parents or (NULL,)
            straight = straight and parents == (last,)
            last = commit.oid
            parent = parents[0] if len(parents) == 1 else max(parents, key=lambda oid: places[oid].seq)  # the first of equals
            place = places[parent]
            if len(parents) > 1:
                for other in parents:
                    if not place.has(places[other]):
                        raise _divided(commit, tip, (parent, place), (other, places[other]), before)
                verdict: Good | str = "a merge: the line that has all good events goes on"
            else:
                verdict = self._judge(commit, place, root)
            followed[commit.oid] = parent
            if isinstance(verdict, Good):
                places[commit.oid] = _LinePlace(commit.oid, verdict.event.seq, place)
                archived = archived if place.seq else verdict.event.seq - 1
                if told is not None:
                    told.append(verdict)
                elif seen is not None:
                    seen(verdict)
            else:
                places[commit.oid] = place
                reasons[commit.oid] = show(verdict, REASON_LIMIT)  # it may quote the commit; it goes to every screen and board
            if reached is not None and number % _AT_ONCE == 0:
                place, bad_ones = places[commit.oid], [Bad(oid, reason, places[oid].seq) for oid, reason in reasons.items()]
                upto = Checked(commit.oid, place.good, place.seq, (*known.bad, *bad_ones), archived)
                reached(upto if straight else None, number, len(names))
        first = tip
        while first in followed:
            first = followed[first]
        if first != known.tip:
            return None
        for good in told or ():
            if seen is not None:
                seen(good)
        bad = (Bad(oid, reasons[oid], seq) for oid, seq in _in_order(tip, dict(names), followed, places) if oid in reasons)
        return Checked(tip, places[tip].good, places[tip].seq, (*known.bad, *bad), archived)

    def _places(self, known: Checked, older: Collection[Oid]) -> dict[Oid, _LinePlace] | None:
        """The places of the known tip and of commits behind it, on its line; None where what is remembered can't tell them."""
        if not known.tip:
            return {} if not older else None
        found = {known.tip: (known.seq, known.good)}
        if older and len(known.bad) >= BAD_KEPT:
            return None
        bad = {one.commit for one in known.bad}
        for oid in older:
            good = oid
            for _ in range(_FAR_BACK):
                commit = self.objects.commit(good)
                if good not in bad:
                    break
                if len(commit.parents) != 1:
                    return None
                good = commit.parents[0]
            else:
                return None
            try:
                found[oid] = (wire.decode(commit.message or "", at=commit.authored_at).event.seq, good)
            except wire.Malformed:
                return None
        line: dict[tuple[int, Oid], _LinePlace] = {}
        before: _LinePlace | None = None
        for seq, good in sorted(set(found.values())):
            before = line[seq, good] = _LinePlace(good, seq, before)
        return {oid: line[place] for oid, place in found.items()}

    def _read(self, names: Sequence[tuple[Oid, tuple[Oid, ...]]]) -> Iterator[tuple[Commit, Folder | None]]:
        """Yield the commits, each with its topmost folder. What will be asked for each is asked for all at once."""
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            commits = self.objects.commits(part)
            roots = self._trees.roots([commit.tree for commit in commits if commit.tree])
            pages = self.projection.page_names(first=True)
            oids = list(dict.fromkeys(oid for root in roots if root for oid in self._trees.plain(root, pages)))
            self._sizes = dict(zip(oids, self.objects.sizes(oids), strict=True))
            following = iter(roots)
            for commit in commits:
                yield commit, next(following) if commit.tree else None

    def _judge(self, commit: Commit, base: _LinePlace, root: Folder | None, *, closing: bool = False) -> Good | str:
        """The good commit, or why it is bad. `closing`: a root names it as the last one of the line before."""
        if commit.message is None or commit.committed_at is None:
            return "its message can't be read"
        try:
            decoded = wire.decode(commit.message, at=commit.authored_at)
        except wire.Malformed as error:
            return str(error)
        if base.good == NULL and commit.parents:
            return "nothing good comes before it"
        event = decoded.event
        if isinstance(event, EpochClosed) and not closing:
            return "an epoch is closed only where a root says so"
        if isinstance(event, EpochOpened) and commit.parents:
            return "an epoch begins with a commit that has no parent"
        if isinstance(event, EpochOpened) and base.good == NULL:
            return self._begin(commit, event, decoded.writer, commit.committed_at, root)
        before = self.state_at(base.good, base.seq)
        wrong = rules.problem(before, event, commit.committed_at)
        if wrong is not None:
            return wrong
        if root is None:
            return "its tree can't be read"
        after = rules.evolve(before, event, commit.committed_at)
        try:
            compared, found = self._compare(before, after, self._root(base.good), root)
        except Strange as strange:
            return strange.words.format(_quoted(strange.path))
        if found:
            after = self.projection.replaced(after, found)
        self._current = (commit.oid, after)
        self._top = (commit.oid, compared.root)
        return Good(commit.oid, event, after, decoded.writer, commit.committed_at, compared.pages)

    def _begin(self, commit: Commit, event: EpochOpened, writer: str, committed_at: datetime, root: Folder | None) -> Good | str:
        """The root with which the record begins for whoever knows nothing of what was before, or why it is bad: its whole tree is
        read as strictly as what a new commit brings.
        """
        if root is None:
            return "its tree can't be read"
        reader = WaryReader(self.objects)
        pages = {name: oid for name in self.projection.page_names(first=True) for oid in self._trees.plain(root, [name])}
        whole = all(map(self.projection.belongs, root.names()))
        plain = all(name in pages or root.line(name) is None for name in self.projection.page_names(first=True))
        small = all(self._sizes.get(oid, ("", 0))[0] == "blob" and self._sizes[oid][1] <= BLOB_LIMIT for oid in pages.values())
        try:
            sound = whole and plain and small and self.projection.is_sound(commit.tree, reader.folders, reader.contents)
        except UNFIT:
            sound = False
        if not sound:
            return "its tree holds what no event can have brought"
        state = self.projection.load(
            commit.oid, self.objects.folders, self.objects.contents, self.facts, seq=event.seq, at=committed_at
        )
        wrong = event.mismatch(state) if rules.is_dated(event, committed_at) else "its date can't be"
        if wrong is not None:
            return wrong
        self._current, self._top = (commit.oid, state), (commit.oid, root)
        return Good(commit.oid, event, state, writer, committed_at, pages)

    def _root(self, good: Oid) -> Folder:
        """The topmost folder of a good commit."""
        if good == NULL:
            return Folder()
        if self._top is None or self._top[0] != good:
            root = self._trees.roots([self.objects.commit(good).tree])[0]
            if root is None:
                raise GitcoordError(f"the tree of commit {good[:12]} can't be read", hint="git fsck, then gitcoord doctor")
            self._top = (good, root)
        return self._top[1]

    def strangers(self, good: Oid) -> list[str]:
        """What lies at the top of a good commit's tree and is no part of the branch: files that an earlier program let pass."""
        return [name for name in self._root(good).names() if not self.projection.belongs(name)]

    def _compare(self, before: State, after: State, old: Folder, new: Folder) -> tuple[Compared, dict[str, Record]]:
        """Compare the files with what the event makes of them: what was found, and the records that differ in bytes only. Raises
        Strange for anything else.
        """
        expected = self.projection.changes(before, after)
        blobs = {
            path: None if record is None else self.objects.blob_oid(self.projection.render(record))
            for path, record in expected.items()
        }
        pages = self.projection.page_names(first=before.seq == 0)
        compared = self._trees.compare(old, new, blobs, pages, lambda name: not self.projection.belongs(name))
        for path, oid in compared.pages.items():
            kind, size = self._sizes.get(oid, ("", 0))
            if kind != "blob" or size > BLOB_LIMIT:
                raise Strange("{} is too large", path)
        differing: dict[str, Record] = {}
        for path, oid in sorted(compared.differing.items()):
            table, record = self.projection.table_of(path), expected[path]
            data = self.objects.read([oid], BLOB_LIMIT)[0]
            found = self.projection.parse(table, data) if table is not None and data is not None else None
            if found is None or record is None or not self.projection.same_meaning(found, record):
                raise Strange("{} is not what its event says", path)
            differing[path] = found
        return compared, differing


def note_line(facts: MutableMapping[str, str], closed: Oid, bad: Sequence[Bad]) -> None:
    """Note that a closed epoch's line was checked, and which of its commits are bad; its last one is not."""
    facts[f"{LINES}{closed}"] = json.dumps([(one.commit, one.reason, one.seq) for one in bad if one.commit != closed])


def noted_line(facts: Mapping[str, str], closed: Oid) -> tuple[Bad, ...] | None:
    """Return the bad commits of a closed epoch's line; None where it wasn't checked here."""
    known = facts.get(f"{LINES}{closed}")
    return None if known is None else tuple(Bad(oid, reason, seq) for oid, reason, seq in json.loads(known))


def _in_order(
    tip: Oid, names: Mapping[Oid, tuple[Oid, ...]], followed: Mapping[Oid, Oid], places: Mapping[Oid, _LinePlace]
) -> Iterator[tuple[Oid, int]]:
    """Each of those commits once, with the number of good events before it on the tip's line. What a merge brought along stands
    right before the merge. The order depends on the history alone, not on what a reader had seen of it before.
    """
    line = []
    while tip in names:
        line.append(tip)
        tip = followed[tip]
    passed = set(line)
    for oid in reversed(line):
        brought: list[Oid] = []
        todo = list(names[oid]) if len(names[oid]) > 1 else []
        while todo:
            other = todo.pop()
            if other in names and other not in passed:
                passed.add(other)
                brought.append(other)
                todo += names[other]
        for other in (*reversed(brought), oid):
            yield other, places[oid].seq


def _rewritten(known: Checked, tip: Oid) -> Rewritten:
    seen = known.tip or known.good
    return Rewritten(
        f"the branch was rewritten: it was at {seen[:12]}, now it is at {tip[:12]}, which doesn't descend from it",
        hint="gitcoord doctor",
        data={"seen": seen, "now": tip},
    )


def _divided(merge: Commit, tip: Oid, one: tuple[Oid, _LinePlace], other: tuple[Oid, _LinePlace], before: Oid) -> Divided:
    """The alarm for a merge of two lines; each is named by the merge's parent, which is what it can be set back to."""
    low, high = 0, min(one[1].seq, other[1].seq)
    while low < high:  # the last event that both lines have
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[1].at(middle) is other[1].at(middle) else (low, middle - 1)
    fork = one[1].at(low)
    lines = [{"commit": parent, "good": place.good, "events": place.seq} for parent, place in (one, other)]
    return Divided(
        f"the merge {merge.oid[:12]} joins two lines of events that can't both have happened: after event {low} one goes on to "
        f"event {one[1].seq}, the other to event {other[1].seq}; nothing is written until a person has chosen",
        hint="gitcoord doctor",
        data={"merge": merge.oid, "by": merge.author, "common": low, "fork": fork.good, "lines": lines, "seen": before, "now": tip},
    )


def _quoted(path: str) -> str:
    return f"'{show(path, 120)}'"
