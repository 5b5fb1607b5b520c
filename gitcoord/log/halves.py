"""A whole history, checked by two processes at once: another one checks the earlier half, this one the later.

The later half rests on what a commit in the middle says of itself and what its tree shows. That counts once the other process has
found the same by the history; if it finds anything else, nothing of the later half counts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from gitcoord.errors import Doubtful, GitFault
from gitcoord.git.objects import Objects
from gitcoord.git.repo import NULL, Oid
from gitcoord.log import firstlook
from gitcoord.log.history import Checked, Good, History, Projection

WORTH = 4000  # commits that are worth a second process
_TRIED = 100  # commits from the middle on, of which one must say that it is an event

Helper = Callable[[Oid], AbstractContextManager[Callable[[], Checked | None]]]
"""Has a process check the history up to a commit; what that came to is asked for at the end: None if it came to nothing."""


def check(
    objects: Objects,
    projection: Projection,
    tip: Oid,
    seen: Callable[[Good], None],
    helper: Helper,
    advance: Callable[[int, int], None],
    *,
    worth: int = WORTH,
) -> Checked | None:
    """Check the whole history of the tip, and tell the good commits of its later half to `seen`, in order. None where that can't be
    done: then nothing counts that was told.
    """
    names = objects.range(tip) or []
    before = NULL
    for oid, parents in names:
        if parents != ((before,) if before else ()):
            return None  # only of commits that stand on each other is it known what is earlier
        before = oid
    if len(names) < worth:
        return None
    middle = (oid for oid, _ in names[len(names) // 2 :][:_TRIED])
    said = next((one for one in (firstlook.newest(objects, oid, back=1) for oid in middle) if one is not None), None)
    state = None if said is None else firstlook.state(objects, projection, {}, said)
    if said is None or state is None:
        return None
    with helper(said.commit) as checked_before:
        history = History(objects, projection)
        history.remember(said.commit, state)
        assumed = Checked(said.commit, said.commit, said.seq)
        try:
            later = history.check(tip, assumed, seen, lambda _, done, total: advance(2 * done, 2 * total))
        except (*firstlook.UNFIT, GitFault, Doubtful):
            return None
        earlier = checked_before()
    if earlier is None or (earlier.tip, earlier.good, earlier.seq) != (assumed.tip, assumed.good, assumed.seq):
        return None
    return Checked(later.tip, later.good, later.seq, (*earlier.bad, *later.bad), earlier.before)
