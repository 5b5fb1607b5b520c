"""The leases on files as a few lines for the hooks in `hooks/`: whose they are, and where they lie, as git's own pathspecs.

A shell can't apply the guard's rule (`core.guard`). With these lines it need not: git says whether anything staged lies there.
What they name is never less than what the leases cover, so a "no" is the rule's "no"; after a "yes" the program looks.

Loads the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import takewhile

from gitcoord.core.guard import GuardedLease
from gitcoord.core.overlap import parts
from gitcoord.core.term import is_over

ASK = "ask"
"""The line that stands where no pathspec can: only the program can tell."""

_SIZE = 8192  # characters: a shell may read a file one by one
_LATE = timedelta(hours=1)  # a lease that is over for so long stays over, whatever the clock is set to


def lines(leases: Iterable[GuardedLease], *, now: datetime, grace: timedelta, repo: str, fold: bool) -> list[str]:
    """Return each holder, as `@ada`, followed by the pathspecs of what it holds.

    now: leases that were over long before are left out; those that ended since are not, as a shell has no clock.
    repo: what the names of this clone's files begin with.
    fold: capital and small letters name one file.
    """
    held: dict[str, dict[str, None]] = {}
    for lease in leases:
        if lease.resource.type == "file" and not is_over(lease, now - _LATE, grace):
            specs = [ASK] if repo else of_name(lease.resource.name, fold=fold)
            held.setdefault(lease.claimed_by, {}).update(dict.fromkeys(specs))
    found = [line for holder, specs in held.items() for line in (f"@{holder}", *specs)]
    return found if sum(map(len, found)) <= _SIZE else ["@", ASK]


def of_name(name: str, *, fold: bool) -> list[str]:
    """Return the pathspecs of all paths in printable ASCII that a lease of that name may cover: what it names and all below it, or
    the folder before its first pattern; and each folder above, exactly, for it may be a file or a submodule.
    """
    plain = list(takewhile(_is_plain, parts(name)))
    if not plain:
        return [ASK]
    also = ",icase" if fold else ""
    above = ("/".join(plain[:depth]) for depth in range(1, len(plain)))
    return [f":(top,literal{also}){'/'.join(plain)}", *(f":(top,glob{also}){_exactly(path)}" for path in above)]


def _is_plain(part: str) -> bool:
    return part != ".." and part.isascii() and part.isprintable() and "*" not in part and "?" not in part


def _exactly(path: str) -> str:
    """Return a pattern that matches nothing else. Its backslashes make it one: a plain name would mean all below it, too."""
    return "\\" + path[0] + "".join(f"\\{char}" if char in "[\\" else char for char in path[1:])
