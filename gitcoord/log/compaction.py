"""Makes the branch short: what was becomes an archive, and the branch goes on from one commit whose tree is the state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

from gitcoord.core import clocks, epochs, rules
from gitcoord.core.epochs import CloseEpoch, EpochClosed, EpochOpened
from gitcoord.core.events import Event
from gitcoord.core.state import State
from gitcoord.errors import Defect, GitcoordError, NotInTime, Refused
from gitcoord.git.repo import NULL, Oid, own_ref
from gitcoord.git.tip import Swap
from gitcoord.log.eventlog import PATIENCE, EventLog
from gitcoord.log.history import Checked, note_line
from gitcoord.log.outcomes import View, used


@dataclass(frozen=True)
class Compacted:
    """What came of it: the epoch that begins, its root and the root's number, and how many events went to the archive."""

    epoch: int
    root: Oid
    seq: int
    archive: str
    events: int


@dataclass(frozen=True)
class _Turn:
    """The two commits of one try: the closing one and the root, the root's event, and the states after each."""

    closing: Oid
    root: Oid
    opening: EpochOpened
    state: State


def compact(log: EventLog, command: CloseEpoch, seconds: float) -> Compacted:
    """Close the epoch and open the next one, in one step; again on what is new as long as others were faster. One that was made
    under this operation's id is found. Raises Refused where the remote allows no such step, and as writing an event does.
    """
    end = monotonic() + PATIENCE * seconds
    proven = False  # that the remote takes an archive
    while True:
        view = log.refresh(seconds)
        done = _done(log, command, view)
        if done is not None:
            return done
        if monotonic() >= end:
            raise NotInTime(f"others were faster; gave up after {PATIENCE * seconds:.0f} s", hint="run the same command again")
        won = _try(log, command, view, max(1.0, end - monotonic()), proven=proven)
        if won is not None:
            return won
        proven = True


def _done(log: EventLog, command: CloseEpoch, view: View) -> Compacted | None:
    """Return what was made under that id before; None where nothing was. Raises BadInput where the id stands for something else."""
    outcome = log.outcome(command.op, command.made, view.checked)
    if outcome is None:
        return None
    if isinstance(outcome, GitcoordError):
        raise outcome
    for one in log.find(command.op, view.checked):
        if isinstance(one.event, EpochOpened):
            closed = one.event.closed
            before = next((epoch.checked.before for epoch in log.archives.behind(view.checked) if epoch.checked.tip == closed), 0)
            return Compacted(one.event.epoch, one.commit, one.seq, one.event.archive, one.seq - 1 - before)
    raise used(command.op, "it is no compaction")


def _try(log: EventLog, command: CloseEpoch, view: View, seconds: float, *, proven: bool) -> Compacted | None:
    """One try; None where another push was faster. `proven`: the remote has taken an archive before, so it goes with the rest."""
    refs = own_ref("sending"), own_ref("sending")
    try:
        turn = _written(log, command, view, refs, seconds)
        archive = turn.opening.archive
        with log.waits.during(f"the push to {log.tip.where}"):
            if not proven:
                log.tip.put_archive(turn.closing, archive, seconds)
            swap = _swapped(log, view, turn, seconds)
    except Refused as error:
        raise Refused(
            f"{error.message}; nothing has changed",
            hint=f"allow a forced push to this one branch and refs/gitcoord/archive/*, or leave it as long as it is: {log.tip.ref}",
        ) from error
    finally:
        log.objects.let_go(refs)
    if swap is not Swap.WON:
        if not proven:
            log.tip.drop_archive(archive, seconds)
        return None
    note_line(log.facts, turn.closing, view.checked.bad)
    event = turn.opening
    log.accept(Checked(turn.root, turn.root, event.seq, view.checked.bad, before=event.seq - 1), turn.state)
    return Compacted(event.epoch, turn.root, event.seq, archive, event.seq - 1 - view.checked.before)


def _swapped(log: EventLog, view: View, turn: _Turn, seconds: float) -> Swap:
    """Swap; where the remote refuses, the archive goes again."""
    try:
        return log.tip.begin_anew(view.checked.tip, turn.root, turn.closing, turn.opening.archive, seconds)
    except Refused:
        log.tip.drop_archive(turn.opening.archive, seconds)
        raise


def _written(log: EventLog, command: CloseEpoch, view: View, refs: tuple[str, str], seconds: float) -> _Turn:
    """Write the two commits on that view, each held by one of the refs."""
    clock = log.clock()
    clocks.check_date(clock.now)
    rules.check_format(view.state, command)
    date = clocks.date_of(view.state, clock)
    base, good = view.checked.tip, view.checked.good
    closed = log.named_ignored(view, epochs.decide_close(view.state, command, date))
    assert isinstance(closed, EpochClosed)
    _judge(view.state, closed, date)
    after = rules.evolve(view.state, closed, date)
    draft = epochs.opened(closed, base)  # which commit it follows changes nothing of the state
    begun = rules.evolve(after, draft, date)
    last = log.without_strangers(view, log.commit_of(closed, view.state, after))
    first = log.commit_of(draft, after, begun)
    # The closing commit names the root's tree, so that tree is made before.
    made = log.objects.write_chain(base, good, [last, first])[-1]
    closed = closed.model_copy(update={"tree": log.objects.newest(made).tree})
    signs = 0 if log.signer is None else 1
    last = replace(last, message=log.message(closed, after, signs))
    [closing] = log.signed(base, log.objects.write_chain(base, good, [last], keep=refs[0]), last, refs[0], seconds)
    opening = epochs.opened(closed, closing)
    _judge(after, opening, date)
    first = replace(first, message=log.message(opening, begun, signs))
    [root] = log.signed(NULL, log.objects.write_chain(NULL, closing, [first], keep=refs[1]), first, refs[1], seconds)
    return _Turn(closing, root, opening, begun)


def _judge(before: State, event: Event, date: datetime) -> None:
    """Make sure that the event is valid. Raises Defect."""
    wrong = rules.problem(before, event, date)
    if wrong is not None:
        raise Defect(f"a bug in gitcoord: {wrong} ({event.kind})", hint="gitcoord doctor")
