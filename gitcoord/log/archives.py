"""The epochs before the present one, as far as their archives are in this clone, or can be fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass

from gitcoord.core.epochs import EpochOpened
from gitcoord.errors import Alarm, Unreachable
from gitcoord.git.objects import Objects
from gitcoord.git.repo import Oid
from gitcoord.log.history import Bad, Checked, History, note_line, noted_line


@dataclass(frozen=True)
class Archived:
    """A closed epoch: its number, and what a check of its line comes to. The last commit, which closes it, counts as good."""

    epoch: int
    checked: Checked


class Archives:
    """The archives of one branch. `fetch`: brings the one here that a root names; `anew`: makes a history that checks one."""

    def __init__(
        self,
        objects: Objects,
        facts: MutableMapping[str, str],
        fetch: Callable[[EpochOpened], None],
        anew: Callable[[], History],
    ) -> None:
        self._objects = objects
        self._facts = facts
        self._fetch = fetch
        self._anew = anew

    def behind(self, checked: Checked, *, fetch: bool = False) -> Iterator[Archived]:
        """Yield the epochs before that of the tip, the newest first, up to the first one that isn't here. `fetch`: what isn't here
        is fetched, where it is to be had.
        """
        history = self._anew()
        found = history.opening(checked.tip) if checked.before else None
        while found is not None:
            opening = found[1]
            if fetch and not self._objects.is_here(opening.closed):
                with suppress(Unreachable):
                    self._fetch(opening)
            if not self._objects.is_here(opening.closed):
                return
            found = history.opening(opening.closed)
            try:
                bad = self._bad(opening.closed)
            except Alarm:  # whoever made it, it is no line of ours
                return
            before = found[1].seq - 1 if found is not None else 0
            yield Archived(opening.epoch - 1, Checked(opening.closed, opening.closed, opening.seq - 1, bad, before))

    def _bad(self, closed: Oid) -> tuple[Bad, ...]:
        """The bad commits of that line, all of them: it is checked once. Raises Alarm."""
        bad = noted_line(self._facts, closed)
        if bad is None:
            note_line(self._facts, closed, self._anew().check(closed, Checked()).bad)
            bad = noted_line(self._facts, closed)
        return bad or ()
