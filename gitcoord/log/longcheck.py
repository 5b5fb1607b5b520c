"""A check of the history that takes long: one process of a clone does it, and it goes on where an earlier one was ended.

Whoever may show the branch unverified does so meanwhile, and has it done in the background. Everybody else waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic

from gitcoord.errors import Alarm, Rewritten, Unchecked
from gitcoord.git.objects import Objects
from gitcoord.git.repo import Oid
from gitcoord.log import firstlook
from gitcoord.log.history import BAD_KEPT, Checked, Good, History
from gitcoord.log.outcomes import Advance, Begun, Memory, Waits

FAR = 1500
"""Events that are checked at once, while the caller waits: half a second of work."""


@dataclass
class LongCheck:
    """The checks of one clone.

    - `background`: has a process check the history that nobody waits for, unless one is at it.
    - `patience`: seconds that this caller waits at most for a check that takes long; None: as long as it takes.
    """

    objects: Objects
    memory: Memory
    waits: Waits
    background: Callable[[], None]
    patience: float | None
    sleep: Callable[[float], None] = time.sleep
    spent: float = field(default=0.0, init=False)
    """Seconds that went into long checks: in them nobody waited for a remote."""
    _said: dict[Oid, firstlook.Said | None] = field(default_factory=dict, init=False)
    _far: dict[tuple[Oid, Oid], bool] = field(default_factory=dict, init=False)

    def is_long(self, tip: Oid, known: Checked) -> bool:
        """Return True if checking what the tip has beyond the known one takes long: it says so, and there are as many commits."""
        if tip == known.tip:
            return False
        if tip not in self._said:
            self._said[tip] = firstlook.newest(self.objects, tip)
        said = self._said[tip]
        if said is None or said.seq - known.seq <= FAR:
            return False
        if (tip, known.tip) not in self._far:
            here = known.tip and self.objects.is_here(known.tip)
            crosses = bool(here) and not self.objects.is_behind(known.tip, tip)  # what is new lies in archives, too
            self._far[tip, known.tip] = crosses or self.objects.has_more_than(FAR, tip, known.tip)
        return self._far[tip, known.tip]

    def goes_first(self, tip: Oid, known: Checked) -> firstlook.Said | None:
        """Return what the tip says of itself, where it may be shown before it is checked: that takes long, and nobody has met an
        alarm by it.
        """
        begun = self.memory.begun()
        return self._said[tip] if self.is_long(tip, known) and not (begun is not None and begun.alarm == tip) else None

    def check(self, history: History, tip: Oid, known: Checked, seen: Callable[[Good], None]) -> tuple[Checked, Checked]:
        """Check what the tip has beyond what is known. Return what is known then, which is remembered if it is a branch of ours,
        and from where on it was checked now.
        """
        if not self.is_long(tip, known):
            return self._remember(history.check(tip, known, seen), known), known
        begun = monotonic()
        try:
            with self.waits.during("the check of the history") as advance:
                self._leave_to_background(known)
                with self.memory.turn(lambda: self._shown(advance)):
                    return self._go_on(history, tip, known, seen, advance)
        finally:
            self.spent += monotonic() - begun

    def _go_on(
        self, history: History, tip: Oid, known: Checked, seen: Callable[[Good], None], advance: Advance
    ) -> tuple[Checked, Checked]:
        newer = self.memory.load()  # another process may just have done it
        if newer.seq > known.seq and history.bears_out(newer):
            known = newer
        start = self._begun(history, known)

        def reached(checked: Checked | None, count: int, total: int) -> None:
            advance(start.seq + count, start.seq + total)
            if checked is not None and checked.good:
                self.memory.note_begun(Begun(_trimmed(checked), start.seq + count, start.seq + total))

        try:
            try:
                checked = history.check(tip, start, seen, reached)
            except Rewritten:
                if start == known:
                    raise
                start = known  # the branch is another one since that was begun, and nobody has gone by it
                checked = history.check(tip, start, seen, reached)
        except Alarm:
            self._note_alarm(start, tip)
            raise
        checked = self._remember(checked, known)
        if checked.good:
            self.memory.end_check()
        else:
            self._note_alarm(start, tip)
        return checked, start

    def _remember(self, checked: Checked, known: Checked) -> Checked:
        if checked == known or not checked.good:
            return checked
        self.memory.save(_trimmed(checked))
        return _trimmed(checked)

    def _note_alarm(self, start: Checked, tip: Oid) -> None:
        """Note that the tip is not to be shown before it is checked."""
        begun = self.memory.begun() or Begun(start, start.seq, start.seq)
        self.memory.note_begun(replace(begun, alarm=tip))

    def _shown(self, advance: Advance) -> object:
        """Show how far another process is with its check; return that."""
        begun = self.memory.begun()
        if begun is not None:
            advance(begun.done, begun.total)
        return begun

    def _begun(self, history: History, known: Checked) -> Checked:
        """What an earlier check had come to beyond what is known; the latter if there is no such check."""
        begun = self.memory.begun()
        further = begun is not None and begun.checked.seq > known.seq and history.bears_out(begun.checked)
        return begun.checked if begun is not None and further else known

    def _leave_to_background(self, known: Checked) -> None:
        """Have a caller that can't wait for long wait for a check in the background. Raises Unchecked."""
        if self.patience is None:
            return
        self.background()
        end = monotonic() + self.patience
        while self.memory.load().seq <= known.seq:
            if monotonic() >= end:
                begun = self.memory.begun()
                how = f": {begun.done} of {begun.total} events" if begun is not None else ""
                raise Unchecked(f"the history is being checked in the background{how}", hint="run it again; gitcoord doctor")
            self.sleep(0.1)


def _trimmed(checked: Checked) -> Checked:
    """The same with no more bad commits than are remembered."""
    return replace(checked, bad=checked.bad[-BAD_KEPT:])
