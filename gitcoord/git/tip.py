"""The ref that is the truth: read it, swap it. The ref is a compare-and-swap register, and only the ref decides.

`swap` never believes git's words or exit code: after anything but a clean success it reads the tip and looks where the
new commit is. What it raises is definite: Unreachable means that nothing was sent, Refused that the remote said no while the tip
stood still, Unknown that the outcome can't be read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from enum import Enum
from time import monotonic
from typing import Protocol

from gitcoord.errors import Alarm, Damaged, GitFault, Refused, Unknown
from gitcoord.git.repo import NULL, Oid, Repository, kept_ref

TRIES = 3  # pushes of one chain on an unmoved tip before the remote's refusal is believed


class Swap(Enum):
    """How a swap ended."""

    WON = "won"
    LOST = "lost"
    GONE = "gone"
    """What was to be sent isn't in this clone any more: a garbage collection took it. Nothing was sent."""


class Tip(Protocol):
    """The newest commit of the branch, wherever it lives."""

    where: str
    """For people: the remote's name, or this repository."""
    ref: str
    """How plain git names it here: `origin/coordination`."""
    found: Oid
    """The tip that the last swap found that was not won, its objects fetched: the next try needs no look of its own."""

    def read(self, seconds: float) -> Oid:
        """The tip, its objects fetched; NULL when there is no branch. Raises Unreachable."""
        ...

    def swap(self, expected: Oid, new: Oid, seconds: float, *, sending: str = "") -> Swap:
        """Moves the branch from `expected` (NULL: it must not exist) to `new`, whose chain was built on `expected`.

        `sending`: the ref of ours that the new commits hang on; it is taken away.
        """
        ...

    def put_archive(self, last: Oid, archive: str, seconds: float) -> None:
        """Makes that ref, which nobody has made before, at a commit whose chain was built on the tip; it is there then. Raises
        Unreachable, Refused.
        """
        ...

    def begin_anew(self, expected: Oid, new: Oid, last: Oid, archive: str, seconds: float) -> Swap:
        """Moves the branch from `expected` to `new`, which has no parent. Where the ref `archive` isn't at `last` yet, it is put
        there in the same step.
        """
        ...

    def drop_archive(self, archive: str, seconds: float) -> None:
        """Takes a ref away that was made for a step that came to nothing; where that fails, it stays and does no harm."""
        ...

    def fetch_archive(self, archive: str, seconds: float) -> None:
        """Brings that ref here with all that it holds, if it is to be had. Raises Unreachable."""
        ...

    def local(self) -> Oid:
        """The tip as last seen here, without asking anybody; NULL as well where only a part of its history is here."""
        ...

    def keep(self, tip: Oid) -> None:
        """Notes that tip, which was accepted, in a ref of ours: nothing that is pruned or rewritten can take it then."""
        ...

    def way_back(self, seen: Oid, now: Oid) -> str:
        """The command of plain git by which a person brings the branch back to that commit, which this clone has. `now`: where the
        branch is now (NULL: nowhere).
        """
        ...

    def complete(self, tip: Oid) -> None:
        """Fetches what a fetch with a depth left out of that tip's history, and of no other branch. Raises Unreachable."""
        ...

    def mend(self) -> None:
        """Fetches again what is missing or damaged of the branch in this clone. Raises Unreachable, Damaged."""
        ...

    def witness(self) -> datetime | None:
        """Another machine's time, now; None when there is nobody to ask."""
        ...

    def at_hand(self) -> datetime | None:
        """The same where asking takes no connection; else None."""
        ...

    def close(self) -> None:
        """Waits for what is still being noted in this clone."""
        ...


class LocalTip:
    """The branch of this repository itself, where there is no remote."""

    def __init__(self, repo: Repository, branch: str, clock: Callable[[], datetime] | None = None) -> None:
        self._repo = repo
        self._clock = clock
        self._full = f"refs/heads/{branch}"
        self.where = "this repository"
        self.ref = branch
        self.found = NULL
        self.kept = kept_ref("", branch)

    def read(self, seconds: float) -> Oid:
        """The branch's commit; NULL when there is none."""
        return self._repo.oid_of(self._full)

    def local(self) -> Oid:
        """The same: nobody else holds it."""
        return self.read(10.0)

    def keep(self, tip: Oid) -> None:
        """In a ref of ours."""
        self._repo.keep(self.kept, tip)

    def way_back(self, seen: Oid, now: Oid) -> str:
        """By moving the ref, if it is still where it was seen."""
        return f"git update-ref {self._full} {seen} {now or '0' * len(seen)}"

    def complete(self, tip: Oid) -> None:
        """Raises Alarm: there is nobody who has the rest."""
        raise Alarm(f"the history of {self.ref} is cut off in this repository, and it has no remote that has the rest")

    def mend(self) -> None:
        """Raises Damaged: there is nobody who has it."""
        raise Damaged(f"{self.ref} is damaged, and there is no remote that has the rest", hint="git fsck")

    def swap(self, expected: Oid, new: Oid, seconds: float, *, sending: str = "") -> Swap:
        """git's own compare-and-swap on a ref."""
        return self._swap(expected, new, "", seconds, sending)

    def begin_anew(self, expected: Oid, new: Oid, last: Oid, archive: str, seconds: float) -> Swap:
        """The same on two refs at once."""
        zeros = "0" * len(last)
        known = self._repo.oid_of(archive)
        return self._swap(expected, new, f"update {archive} {last} {known or zeros}\n", seconds, "")

    def put_archive(self, last: Oid, archive: str, seconds: float) -> None:
        """Does nothing: it is put there with the rest, or nothing is."""

    def drop_archive(self, archive: str, seconds: float) -> None:
        """Does nothing: there is none."""

    def fetch_archive(self, archive: str, seconds: float) -> None:
        """Does nothing: what there is, is here."""

    def _swap(self, expected: Oid, new: Oid, beside: str, seconds: float, sending: str) -> Swap:
        zeros = "0" * len(new)
        end = monotonic() + seconds
        words = ""
        feed = f"start\nupdate {self._full} {new} {expected or zeros}\n{beside}commit\nstart\nupdate {self.kept} {new}\ncommit\n"
        feed += dropping_own(self._repo, sending)
        for _ in range(TRIES):
            done = self._repo.run("update-ref", "-m", "gitcoord", "--stdin", stdin=feed.encode(), seconds=end - monotonic())
            words = done.how
            if done.stdout.startswith(b"start: ok\ncommit: ok\n"):  # not its exit code: it says so itself
                return Swap.WON
            try:
                tip = self.read(max(1.0, end - monotonic()))
                if tip == new or (tip and self._repo.is_ancestor(new, tip)):
                    return Swap.WON
            except GitFault as error:
                raise Unknown(f"whether {self.ref} was moved can't be said ({error.message})", hint=AGAIN) from error
            if tip != expected:
                self.found = tip
                drop_own(self._repo, sending)
                return Swap.LOST
        drop_own(self._repo, sending)
        raise Refused(f"git can't move {self.ref}: {words}", hint="gitcoord doctor")

    def witness(self) -> datetime | None:
        """Nobody tells the time, but for a clock that was given in place of all others."""
        return self.at_hand()

    def at_hand(self) -> datetime | None:
        """The same."""
        return self._clock() if self._clock is not None else None

    def close(self) -> None:
        """Does nothing: a swap is over when it is told."""


AGAIN = "run the same command again"
AWAY_HINT = "try again later; what can wait: gitcoord send, heartbeat and release are kept and sent when it is back"


def dropping_own(repo: Repository, ref: str) -> str:
    """What `update-ref --stdin` is told to take away: that ref, and those that killed processes left behind."""
    return "".join(f"start\ndelete {name}\ncommit\n" for name in (*([ref] if ref else []), *repo.left_refs()))


def drop_own(repo: Repository, ref: str) -> None:
    """Take a ref of ours away; where git fails, it is swept away later."""
    if ref:
        with suppress(GitFault):  # it goes later: it is seen to be left behind
            repo.update_refs(dropping_own(repo, ref))
