"""The event log: read the branch, decide commands on it, write the chain, swap the tip, and believe only what is read back."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic

from gitcoord.core import clocks, rules
from gitcoord.core.epochs import EpochOpened
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.names import REASON_LIMIT, show
from gitcoord.core.state import State
from gitcoord.errors import (
    Alarm,
    Defect,
    GitcoordError,
    GitFault,
    NotInitialised,
    NotInTime,
    NotSigned,
    NotWritten,
    Refused,
    Rewritten,
    Unknown,
    Unreachable,
)
from gitcoord.git.objects import Commit, NewCommit, Objects
from gitcoord.git.repo import NULL, Oid, own_ref
from gitcoord.git.tip import Swap, Tip
from gitcoord.log import firstlook, halves, wire
from gitcoord.log.archives import Archives
from gitcoord.log.entries import CommitEntry, Names, read
from gitcoord.log.history import BAD_KEPT, Checked, Good, History, Projection, Pruned
from gitcoord.log.longcheck import LongCheck
from gitcoord.log.outcomes import (
    ClockKeeper,
    Done,
    InFlight,
    Memory,
    Outcome,
    Signer,
    Undoubted,
    Unseen,
    View,
    Waits,
    used,
)

_AT_ONCE = 500  # commits read at a time
_ASTRAY = 500  # commits: a writer whose clock is ahead dates its own later than those that follow
_ARCHIVE = 120.0  # seconds for an archive: it is fetched once, and may be long
PATIENCE = 3  # times the deadline that a command goes on while others are faster: a crowd is no reason to give up


@dataclass
class EventLog:
    """One branch, seen from one clone."""

    tip: Tip
    objects: Objects
    projection: Projection
    memory: Memory
    now: Callable[[], datetime]
    writer: str
    email: str
    facts: MutableMapping[str, str] = field(default_factory=dict)
    """What this clone knows of objects by their names."""
    keeper: ClockKeeper = field(default_factory=Undoubted)
    host: str | None = None
    waits: Waits = field(default_factory=Unseen)
    background: Callable[[], None] = lambda: None
    patience: float | None = None
    """Both: see `LongCheck`."""
    helper: halves.Helper | None = None
    """Another process's help with a whole history; None where there is none."""
    signer: Signer | None = None
    """Signs what is pushed; None where nothing is to be signed."""
    long_check: LongCheck = field(init=False)
    archives: Archives = field(init=False)
    _history: History = field(init=False)
    _landed: dict[str, dict[Oid, Done]] = field(default_factory=dict, init=False)  # by operation: a chosen id may stand twice
    _searched: set[tuple[str, Oid]] = field(default_factory=set, init=False)  # operations, up to which tip they were looked for
    _wanted: set[str] = field(default_factory=set, init=False)  # operations that a transaction looks for; a history holds too many
    _read: set[tuple[Oid, Oid]] = field(default_factory=set, init=False)
    _known_bad: dict[Oid, dict[Oid, str]] = field(default_factory=dict, init=False)
    contention: int = field(default=0, init=False)
    """Races lost in the last transaction: how crowded the branch is."""
    unsigned: str = field(default="", init=False)
    """Why the last push was not signed, though it should have been."""
    newest: State | None = field(default=None, init=False)
    """The state at which the last transaction ended."""

    def __post_init__(self) -> None:
        self._history = History(self.objects, self.projection, self.facts, fetch=self._fetch_archive)
        self.archives = Archives(self.objects, self.facts, self._fetch_archive, lambda: History(self.objects, self.projection))
        self.long_check = LongCheck(self.objects, self.memory, self.waits, self.background, self.patience)

    def _fetch_archive(self, opening: EpochOpened) -> None:
        """Brings here what a root follows."""
        with self.waits.during(f"the archive of epoch {opening.epoch - 1}"):
            self.tip.fetch_archive(opening.archive, _ARCHIVE)

    # --- reading ---------------------------------------------------------------------------------------------------

    def known(self) -> Oid:
        """The tip that this clone remembers."""
        return self.memory.load().tip

    def _remembered(self) -> Checked:
        """What is remembered, if the commit that it names bears it out; else nothing: then all is checked anew."""
        known = self.memory.load()
        if known.good and not self._history.bears_out(known):
            self.memory.forget(f"commit {known.good[:12]} is not event {known.seq} of the branch")
            return Checked()
        return known

    def _known_here(self) -> Checked:
        """Return the tip that is remembered, or else the one that was fetched here, though no command has looked at it yet."""
        known = self._remembered()
        return known if known.good else self._tried(known)

    def _tried(self, known: Checked, tip: Oid | None = None) -> Checked:
        with suppress(Alarm):  # the remote may have been set right since
            return self._fetched(known, tip)
        return known

    def ensure(self) -> None:
        """Check what was fetched here, where nothing of it is known yet: whoever is about to write waits for that first."""
        if not self.memory.load().good:
            self._known_here()

    def _read_tip(self, seconds: float) -> Oid:
        with self.waits.during(f"the branch on {self.tip.where}"):
            return self.tip.read(seconds)

    def _fetched(self, known: Checked, tip: Oid | None = None) -> Checked:
        """What was fetched here, checked beyond what is known; only the latter where nothing was fetched, or no branch of ours."""
        tip = self.tip.local() if tip is None else tip
        checked = self._look_through(tip, known) if tip else known
        return checked if checked.good else known

    def view(self, *, unverified: bool = False) -> View:
        """The branch as remembered here, without asking the remote. `unverified`: what is not checked yet may be shown."""
        checked = self._remembered()
        try:
            if checked.tip:
                return View(checked, self._history.state_at(checked.good, checked.seq))
        except Pruned:  # all is checked again, and what was good must still be there
            checked = replace(checked, tip=NULL, bad=())
        if unverified and not checked.good and (found := self._first_look(self.tip.local(), checked, NULL)):
            return replace(found, read_at=None)
        checked = self._fetched(checked)
        return View(checked, self._history.state_at(checked.good, checked.seq))

    @property
    def at_hand(self) -> tuple[Oid, State] | None:
        """Return the good commit that this process read or wrote last, and the state after it; None before the first."""
        return self._history.current

    def refresh(self, seconds: float, *, unverified: bool = False) -> View:
        """The branch as it is now. `unverified`: where checking its history takes long, what its tip shows may be shown before.
        Raises Unreachable, NotInitialised, Rewritten.
        """
        end = monotonic() + seconds
        known = self._remembered()
        fetched = NULL if known.good else self.tip.local()
        later = unverified and bool(fetched) and self.long_check.is_long(fetched, known)
        if fetched and not later:
            known = self._tried(known, fetched)
        try:
            tip = self._read_tip(seconds)
            if unverified and (found := self._first_look(tip, known, fetched)):
                return found
            checked = self._seen(tip, self._tried(known, fetched) if later else known)
        except Rewritten:
            # A mirror may lag behind what was seen elsewhere: only the second look in a row counts.
            checked = self._seen(self._read_tip(max(2.0, end - monotonic())), self._known_here())
        self.memory.note_read(self.now())
        self.keeper.note(checked.good, checked.seq)
        return View(checked, self._history.state_at(checked.good, checked.seq), self.now())

    def clock(self) -> Clock:
        """Return this machine's clock as it is now, with all that can be told of it."""
        now = self.now()
        return Clock(
            now=now, witness=self.tip.witness, at_hand=self.tip.at_hand, vouched=lambda: self.keeper.vouches(now),
            agree=lambda: self.keeper.agree(now), observed=self._observed, host=self.host,
        )  # fmt: skip

    def _observed(self, state: State, mark: Callable[[State], object]) -> timedelta:
        """Return how long ago this machine first saw the branch say what it says now, of what `mark` picks."""
        present = mark(state)
        for commit, seq, age in self.keeper.sights():
            with suppress(Pruned):
                if seq <= state.seq and mark(self._history.state_at(commit, seq)) == present:
                    return age
        return timedelta(0)

    def _seen(self, tip: Oid, known: Checked) -> Checked:
        if tip == NULL:
            if known.tip:
                raise Rewritten(
                    f"the branch is gone from {self.tip.where}; it was at {known.tip[:12]}",
                    hint="gitcoord doctor",
                    data={"seen": known.tip, "now": ""},
                )
            raise NotInitialised(f"there is no coordination branch on {self.tip.where} yet", hint="gitcoord init")
        return self._check(tip, known)

    def _check(self, tip: Oid, known: Checked) -> Checked:
        checked = self._look_through(tip, known)
        if checked.good == NULL:
            raise Alarm(
                f"the branch on {self.tip.where} is not a coordination branch: {checked.bad[0].reason if checked.bad else 'empty'}",
                hint="gitcoord doctor, or another name: gitcoord config branch NAME",
            )
        return checked

    def _look_through(self, tip: Oid, known: Checked) -> Checked:
        """What the tip has beyond what is known, remembered if it is a branch of ours."""
        checked, start = self.long_check.check(self._history, tip, known, self._note)
        self._read.add((start.tip, tip))
        if checked != known and checked.good:
            self.tip.keep(checked.tip)
        return checked

    def _first_look(self, tip: Oid, known: Checked, behind: Oid) -> View | None:
        """Return what the tip shows before its history is checked; None where that is waited for. Whoever knows the branch is not
        shown a tip's own word. `behind`: the tip that was fetched before, which it must have behind it.
        """
        said = self.long_check.goes_first(tip, known) if tip and not known.good else None
        if said is None or (behind not in (NULL, tip) and not self.objects.is_behind(behind, tip)):
            return None
        state = firstlook.state(self.objects, self.projection, self.facts, said)
        if state is None:
            return None
        self.long_check.background()
        return View(Checked(tip, said.commit, said.seq), state, self.now(), unverified=True)

    def _note(self, good: Good) -> None:
        if good.event.id in self._wanted:
            self._land(Done(good.event, good.commit, good.event.seq))

    def _land(self, done: Done) -> None:
        if done.event is not None:
            self._landed.setdefault(done.event.id, {}).setdefault(done.commit, done)

    def replay_halves(self, tip: Oid, seen: Callable[[Good], None]) -> Checked | None:
        """Checks the whole history with another process's help, telling each good commit of the later half. None where that can't
        be done: then nothing counts that was told.
        """
        if self.helper is None:
            return None
        with self.waits.during("the check of the whole history") as advance:
            return halves.check(self.objects, self.projection, tip, seen, self.helper, advance)

    def replay(
        self, tip: Oid, seen: Callable[[Good], None], known: Checked | None = None, upto: Callable[[Checked], None] | None = None
    ) -> Checked:
        """Checks the whole history again, telling each good commit: from the root, or what is new since `known`; `upto` is told now
        and then how far that has come, where it can go on from there.
        """
        history = History(self.objects, self.projection, fetch=self._fetch_archive)
        with self.waits.during("the check of the whole history") as advance:

            def reached(checked: Checked | None, done: int, total: int) -> None:
                advance(done, total)
                if upto is not None and checked is not None:
                    upto(checked)

            return history.check(tip, known or Checked(), seen, reached)

    def bears_out(self, known: Checked) -> bool:
        """Return True if the good commit of what is known is here and says itself that it is that event."""
        return self.objects.is_here(known.good) and self._history.bears_out(known)

    def entries(self, checked: Checked, names: Names | None = None, *, newest_first: bool = False) -> Iterator[CommitEntry]:
        """Yield the commits behind the tip (or only those named), oldest first: good ones with their event, bad ones with why.

        Everybody who reads what happened reads it here.
        """
        if names is None:
            names = self.objects.range(checked.tip) or []
            bad = [one for one in checked.bad if one.seq > checked.before or not checked.before]
            complete = len(names) - len(bad) == checked.seq - checked.before  # all that are not bad are good
        else:
            complete = self._remembers_all(checked, names)
        return read(self.objects, names, self._bad(checked, complete=complete), newest_first=newest_first) if names else iter(())

    def _remembers_all(self, checked: Checked, names: Names) -> bool:
        """Return True if no bad commit among those can have been forgotten: a clone remembers the newest bad ones."""
        if not names or len(checked.bad) < BAD_KEPT:
            return True
        newer = self.objects.range(checked.tip, checked.bad[0].commit)
        return newer is not None and {oid for oid, _ in names} <= {oid for oid, _ in newer}

    def _bad(self, checked: Checked, *, complete: bool) -> Mapping[Oid, str]:
        """The bad commits behind the tip, each with the reason; where not all are remembered, the history is checked again."""
        if complete:
            return {bad.commit: bad.reason for bad in checked.bad}
        if checked.tip not in self._known_bad:
            found = History(self.objects, self.projection).check(checked.tip, Checked())
            self._known_bad = {checked.tip: {bad.commit: bad.reason for bad in found.bad}}
        return self._known_bad[checked.tip]

    def all_entries(self, checked: Checked, *, newest_first: bool = False, fetch: bool = False) -> Iterator[CommitEntry]:
        """Yield the commits behind the tip through the archives that are here; `fetch`: those that can be had are fetched."""
        if newest_first:
            yield from self.entries(checked, newest_first=True)
        older = self.archives.behind(checked, fetch=fetch)
        for epoch in older if newest_first else reversed(list(older)):
            yield from self.entries(epoch.checked, newest_first=newest_first)
        if not newest_first:
            yield from self.entries(checked)

    def line(self, checked: Checked, *, fetch: bool = False) -> Iterator[Good]:
        """Yield the good events, oldest first, through the archives as `all_entries` does. `state` is left empty; replay if you
        need it.
        """
        for entry in self.all_entries(checked, fetch=fetch):
            if entry.event is not None and entry.commit.committed_at is not None:
                yield Good(entry.commit.oid, entry.event, State(), entry.writer, entry.commit.committed_at, {})

    def commits_since(self, checked: Checked, known: Oid) -> tuple[int, Iterator[Commit]] | None:
        """Return how many commits are behind that one and not behind the other, and the good ones of them, oldest first. None where
        the tip doesn't descend from the other one, or that isn't here.
        """
        parts = [] if checked.tip == known else self._parts_since(known, checked)
        if parts is None:
            return None
        good: list[tuple[Oid, tuple[Oid, ...]]] = []
        for epoch, names in parts:
            bad = self._bad(epoch, complete=self._remembers_all(epoch, names)) if names else {}
            good += [(oid, parents) for oid, parents in names if oid not in bad]
        starts = range(0, len(good), _AT_ONCE)
        commits = (commit for start in starts for commit in self.objects.commits(good[start : start + _AT_ONCE], again=True))
        return len(good), commits

    def _parts_since(self, known: Oid, checked: Checked) -> list[tuple[Checked, Names]] | None:
        """Return the commits that the tip has and the other one hasn't, oldest first, for each epoch that is here; of the present
        one alone where nothing is known. None where the tip doesn't descend from the other one, or that isn't here.
        """
        names = self.objects.range(checked.tip, known)
        if names is None:
            return None
        parts: list[tuple[Checked, Names]] = [(checked, names)]
        if not known or not names or any(known in parents for _, parents in names):
            return parts
        for epoch in self.archives.behind(checked):
            names = self.objects.range(epoch.checked.tip, known) or []
            parts.insert(0, (epoch.checked, names))
            if epoch.checked.tip == known or any(known in parents for _, parents in names):
                return parts
        return None

    def last_good(
        self, checked: Checked, *, seq: int | None = None, commit: str = "", instant: datetime | None = None
    ) -> Good | None:
        """Return the last good commit that is not after that event, that commit (`commit`: how its name begins) and that instant,
        with the state after it, as its tree has it: nothing is replayed. Archives are fetched that can be had. None where there is
        none.
        """
        found = self._last_good(checked, seq, commit, instant)
        older = self.archives.behind(checked, fetch=True)
        while found is None and (epoch := next(older, None)) is not None:
            found = self._last_good(epoch.checked, seq, commit, instant)
        return found

    def _last_good(self, checked: Checked, seq: int | None, commit: str, instant: datetime | None) -> Good | None:
        names = self.objects.range(checked.tip) or []
        if seq is not None:  # beside the good ones there are as many bad ones before it as there are in all, at most
            names = names[: max(0, seq - checked.before) + len(names) - (checked.seq - checked.before)]
        if commit:
            names = names[: next((place for place, (oid, _) in enumerate(names, 1) if oid.startswith(commit)), 0)]
        if instant is not None:
            names = names[: bisect_right(names, instant, key=self._dated) + _ASTRAY]
        for entry in self.entries(checked, names, newest_first=True):
            at, event = entry.commit.committed_at, entry.event
            if event is None or at is None or (seq is not None and event.seq > seq) or (instant is not None and at > instant):
                continue
            newest = self._history.current
            state = self._history.state_at(entry.commit.oid, event.seq)
            if newest is not None:  # others go by it
                self._history.remember(*newest)
            return Good(entry.commit.oid, event, state, entry.writer, at, {})
        return None

    def _dated(self, name: tuple[Oid, tuple[Oid, ...]]) -> datetime:
        """Return the date of a commit; of one that has none, one before all others."""
        return self.objects.commits([name])[0].committed_at or datetime.min.replace(tzinfo=UTC)

    def saying(self, checked: Checked, line: str, *, newest_first: bool = False) -> Iterator[CommitEntry]:
        """Yield the commits whose message holds that text, through the archives that are here."""
        epochs = [checked, *(one.checked for one in self.archives.behind(checked))]
        for one in epochs if newest_first else reversed(epochs):
            yield from self.entries(one, self.objects.saying(one.tip, line), newest_first=newest_first)

    def landed_since(self, base: Oid, checked: Checked) -> None:
        """Note which operations the commits after `base` carried out: what an earlier process may have sent."""
        self._note_landed(self.entries_since(base, checked))

    def entries_since(self, base: Oid, checked: Checked) -> Iterator[CommitEntry]:
        """Yield the commits that the tip has and `base` hasn't, oldest first, through the archives that are here; all of them where
        that one isn't here.
        """
        parts = self._parts_since(base, checked)
        if parts is None or not base:
            yield from self.all_entries(checked)
            return
        for epoch, names in parts:
            yield from self.entries(epoch, names)

    def epoch_of(self, checked: Checked, seq: int) -> Checked:
        """Return the epoch of that event, of those that are here; the oldest of these where it is before all of them."""
        found = checked
        for epoch in self.archives.behind(checked) if seq <= checked.before else ():
            found = epoch.checked
            if seq > found.before:
                break
        return found

    def has_passed(self, commit: Oid) -> bool:
        """Return True if the commit is behind the tip that is remembered, archives that are here included."""
        known = self.memory.load()
        if not (commit and known.tip):
            return False
        tips = (known.tip, *(one.checked.tip for one in self.archives.behind(known)))
        return any(self.objects.is_behind(commit, tip) for tip in tips)

    def _note_landed(self, entries: Iterable[CommitEntry]) -> None:
        for entry in entries:
            if entry.event is not None:
                self._land(Done(entry.event, entry.commit.oid, entry.event.seq))

    def outcome(self, op: str, is_mine: Callable[[Event], bool], checked: Checked) -> Outcome | None:
        """Return what came of an operation by the known history; None where its id doesn't stand there. An id that stands there,
        but for nothing that `is_mine`, is a BadInput.
        """
        self.find(op, checked)
        return self._outcome(op, is_mine)

    def _outcome(self, op: str, is_mine: Callable[[Event], bool]) -> Outcome | None:
        found = [(done, done.event) for done in self._landed.get(op, {}).values() if done.event is not None]
        mine = next((done for done, event in found if is_mine(event)), None)
        if mine is None and found:
            _, event = found[0]
            return used(op, f"event {event.seq} of {event.session}, {event.headline()}")
        return mine

    def find(self, op: str, checked: Checked) -> list[Done]:
        """Return the events of the known history with that operation's id."""
        if (op, checked.tip) not in self._searched and checked.tip:
            self._searched.add((op, checked.tip))
            self._wanted.add(op)
            self._note_landed(self.saying(checked, f"Coord-Id: {op}"))
        return list(self._landed.get(op, {}).values())

    # --- writing ---------------------------------------------------------------------------------------------------

    def transact(
        self,
        commands: Sequence[Command],
        *,
        notes: InFlight,
        seconds: float,
        since: Oid,
        sent_on: Sequence[Oid] = (),
        look_only: Mapping[str, frozenset[Oid]] | None = None,
        at_least: int = 0,
        more: Callable[[], Sequence[Command]] = tuple,
    ) -> dict[str, Outcome]:
        """Carries the commands out, in order, in one chain and one push where it can; the outcome of each, by its id.

        `since`: the tip that was known before the commands were read; what landed after it may be one of them, sent by another
        process. `sent_on`: tips on which an earlier process may have sent some of them. `look_only`: operations that must not be
        sent any more, only looked for, each with the tips on which it may have been sent: a push whose process is gone may go
        on. `at_least`: the seq that the branch is known to have reached: an older view would only lose its race. `more` gives
        the commands that have come meanwhile, none of them ever sent: when a race was lost they go along. A refusal that rests
        on an old view is confirmed on a fresh one before it is told.
        """
        self.objects.begin_writing()
        end = self._waited() + seconds
        give_up = end + (PATIENCE - 1) * seconds
        outcomes: dict[str, Outcome] = {}
        pending = list(commands)
        self._wanted = {command.op for command in pending}
        self._read.clear()
        gone = look_only or {}
        withdrawn: frozenset[str] = frozenset()
        self.contention = 0
        self.newest = None
        try:
            view = self.view()
            fresh = False
            if sent_on or gone or not view.checked.tip or view.checked.seq < at_least:
                view, fresh = self._refreshed(pending, end)
                for base in dict.fromkeys(sent_on):
                    self.landed_since(base, view.checked)
            while pending:
                if view.checked.tip != since:
                    if (since, view.checked.tip) not in self._read:  # another process of this clone read these commits first
                        self.landed_since(since, view.checked)
                    since = view.checked.tip
                self._collect(pending, outcomes)
                for command in [one for one in pending if one.handle in withdrawn]:
                    outcomes[command.handle] = NotInTime("its caller gave up before it could be sent; nothing happened")
                    pending.remove(command)
                for command in [one for one in pending if one.handle in gone]:
                    if view.checked.tip in gone[command.handle]:  # the lease of that push still fits: it may land at any time
                        outcomes[command.handle] = Unknown("its caller is gone, and its push may still land", hint="gitcoord sync")
                    else:
                        outcomes[command.handle] = NotInTime("its caller was gone before it could be sent; nothing happened")
                    pending.remove(command)
                chain, refused, _state = self._decide(view, pending, notes.at_work)
                if not chain:
                    if fresh:
                        outcomes |= refused
                        break
                    if self._waited() >= end:
                        raise Unreachable(f"{self.tip.where} was not reached in time", hint="try again")
                    view, fresh = self._refreshed(pending, end)
                    continue
                if self._waited() >= end:
                    raise NotInTime(
                        f"{self.contention} others were faster; gave up after {PATIENCE * seconds:.0f} s",
                        hint="run the same command again",
                    )
                won = self._send(view, chain, notes, end)
                if isinstance(won, frozenset):
                    notes.lost()
                    withdrawn |= won  # taken back by its caller, or carried out by another process: the branch says which
                    view, fresh = self._refreshed(pending, end)
                    continue
                if won is None:
                    self.contention += 1
                    notes.lost()
                    # A lost race is no silence: the branch moves, and one's turn comes. The deadline is for waiting.
                    end = min(give_up, self._waited() + seconds)
                    view, fresh = self._overtaken(pending, end)
                    pending += more()
                    self._wanted |= {command.op for command in pending}
                    continue
                for command, event, _, _ in chain:
                    outcomes[command.handle] = next(one for one in self._landed[event.id].values() if one.event == event)
                    pending.remove(command)
                # The tip is our own chain: what was refused on the state that the chain makes is refused for good.
                outcomes |= dict(refused.items()) if fresh else {}
                pending = [command for command in pending if command.handle not in outcomes]
                view, fresh = won, True
                since = won.checked.tip
            self.newest = view.state
        except (Unreachable, Unknown, Refused, Alarm, NotInTime, NotInitialised, NotWritten, GitFault) as error:
            self._collect(pending, outcomes)  # what has landed before the failure is done
            outcomes |= {command.handle: error for command in pending if command.handle not in outcomes}
        return outcomes

    def _waited(self) -> float:
        """The seconds that count for a deadline: what a check of the history took was no waiting for the remote."""
        return monotonic() - self.long_check.spent

    def _refreshed(self, pending: Sequence[Command], end: float) -> tuple[View, bool]:
        seconds = max(1.0, end - self._waited())
        try:
            return self.refresh(seconds), True
        except NotInitialised:
            if any(command.kind == "branch.open" for command in pending):
                return View(Checked(), State(), self.now()), True
            raise

    def _overtaken(self, pending: Sequence[Command], end: float) -> tuple[View, bool]:
        """The view at the tip that a lost swap found."""
        try:
            checked = self._seen(self.tip.found, self._remembered())
        except (Rewritten, NotInitialised):  # a second look decides about that
            return self._refreshed(pending, end)
        return View(checked, self._history.state_at(checked.good, checked.seq), self.now()), True

    def _collect(self, pending: list[Command], outcomes: dict[str, Outcome]) -> None:
        for command in list(pending):
            outcome = self._outcome(command.op, command.made)
            if outcome is not None:
                outcomes[command.handle] = outcome
                pending.remove(command)

    def _decide(
        self, view: View, pending: Sequence[Command], at_work: Callable[[], None]
    ) -> tuple[list[tuple[Command, Event, State, State]], dict[str, Outcome], State]:
        """The chain of events on that view, and the answer for each command that makes none."""
        chain: list[tuple[Command, Event, State, State]] = []
        answers: dict[str, Outcome] = {}
        state = view.state
        for command in pending:
            at_work()
            clock = self.clock()
            try:
                event = rules.decide(state, command, clock)
            except GitcoordError as error:
                answers[command.handle] = error
                continue
            if event is None:
                answers[command.handle] = Done(None, view.checked.good, state.seq)
                continue
            twin = next((made for other, made, _, _ in chain if other.op == command.op), None)
            if twin is not None:
                answers[command.handle] = used(command.op, f"event {twin.seq} of {twin.session}, {twin.headline()}")
                continue
            if not chain:
                event = self.named_ignored(view, event)
            committed_at = clocks.date_of(state, clock)
            wrong = rules.problem(state, event, committed_at)
            after = state if wrong else rules.evolve(state, event, committed_at)
            wrong = wrong or wire.unreadable(event, self.message(event, after))
            if wrong is not None:
                # An answer, no exception: one such command must not keep the others of its batch from being sent.
                answers[command.handle] = Defect(f"a bug in gitcoord: {wrong} ({event.kind})", hint="gitcoord doctor")
                continue
            chain.append((command, event, state, after))
            state = after
        return chain, answers, state

    def message(self, event: Event, after: State, signs: int = 0) -> str:
        """Return the message of the commit of that event, after which the branch is in that state."""
        return wire.encode(event, writer=self.writer, skip_ci=after.rules.settings.skip_ci, signs=signs)

    def signed(self, base: Oid, oids: Sequence[Oid], last: NewCommit, ref: str, seconds: float) -> list[Oid]:
        """Return the chain with its last commit signed: one signature says of all of them who pushed them."""
        self.unsigned = ""
        if self.signer is not None:
            try:
                with self.waits.during("the signature"):
                    signed = self.signer.sign(oids[-1], oids[-2] if len(oids) > 1 else base, last, ref=ref, seconds=seconds)
                return [*oids[:-1], signed]
            except (NotSigned, GitFault) as error:
                self.unsigned = error.message
        return list(oids)

    def _send(
        self, view: View, chain: list[tuple[Command, Event, State, State]], notes: InFlight, end: float
    ) -> View | frozenset[str] | None:
        """Writes the chain and swaps the tip: the new view, or None when the race was lost; the operations that were withdrawn
        before anything was sent.
        """
        base = view.checked.tip
        commits = []
        for number, (_, event, before, after) in enumerate(chain, 1):
            notes.at_work()
            signs = number if self.signer is not None and number == len(chain) else 0
            pages = number == len(chain) or before.seq == 0
            commits.append(self.commit_of(event, before, after, signs=signs, pages=pages))
        commits[0] = self.without_strangers(view, commits[0])
        sending = own_ref("sending")
        oids = self.objects.write_chain(base, view.checked.good, commits, keep=sending)
        oids = self.signed(base, oids, commits[-1], sending, max(1.0, end - self._waited()))
        withdrawn = notes.sending(base, {command.handle: oid for (command, _, _, _), oid in zip(chain, oids, strict=True)})
        if withdrawn:
            return withdrawn
        with self.waits.during(f"the push to {self.tip.where}"):
            swap = self.tip.swap(base, oids[-1], max(1.0, end - self._waited()), sending=sending)
        if swap is not Swap.WON:
            return None
        for (_, event, _, _), oid in zip(chain, oids, strict=True):
            self._land(Done(event, oid, event.seq))
        last = chain[-1][3]
        return self.accept(Checked(oids[-1], oids[-1], last.seq, view.checked.bad, view.checked.before), last)

    def accept(self, checked: Checked, state: State) -> View:
        """Remember what this process has put at the tip; return that view."""
        self.memory.save(checked)
        self.memory.note_read(self.now())
        self.keeper.note(checked.good, checked.seq)
        self._history.remember(checked.good, state)
        return View(checked, state, self.now())

    def commit_of(self, event: Event, before: State, after: State, *, signs: int = 0, pages: bool = True) -> NewCommit:
        """Return the commit of an event that makes the one state of the other. `signs`: how many its signature stands for."""
        return NewCommit(
            message=self.message(event, after, signs),
            name=event.session,
            email=self.email or f"{event.session}@localhost",
            authored_at=event.at,
            committed_at=after.at,
            changes=self._files(before, after, pages=pages),
        )

    def without_strangers(self, view: View, commit: NewCommit) -> NewCommit:
        """Return the commit, which also takes away what lies at the top of the last good tree and is no part of the branch."""
        strangers = self._history.strangers(view.checked.good)
        return replace(commit, changes={**dict.fromkeys(strangers), **commit.changes}) if strangers else commit

    def named_ignored(self, view: View, event: Event) -> Event:
        """Return the event, which also names the bad commits that it passes over."""
        named = tuple(f"{one.commit} {show(one.reason, REASON_LIMIT)}" for one in view.checked.unmended[-8:])
        return event.model_copy(update={"ignored": named}) if named else event

    def _files(self, before: State, after: State, *, pages: bool = True) -> dict[str, bytes | None]:
        """Return what a commit changes. `pages`: those for people, too, which the last commit of a push has for all of it."""
        changes = self.projection.changes(before, after)
        files = {path: None if record is None else self.projection.render(record) for path, record in changes.items()}
        return {**files, **self.projection.pages(after, first=before.seq == 0)} if pages else files
