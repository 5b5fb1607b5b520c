"""A guard's day for tests: two clones with a few files, one whose guard is asked, one who claims."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from clones import Clock, Seat, file
from gits import git
from remotes import Remote

from gitcoord.guard import check
from gitcoord.guard.check import Asked, GuardAnswer

FILES = ("src/api.py", "src/b.py", "docs/x.md", "free.txt")


def write(seat: Seat, *names: str, text: str = "changed\n") -> None:
    """Writes those files."""
    for name in names:
        path = seat.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(seat: Seat, subject: str, *names: str, at: datetime | None = None) -> str:
    """Commits changes of those files, without hooks; the commit. `at`: its date, if not now."""
    write(seat, *names, text=f"{subject}\n")
    seat.git("add", "--all")
    env = {**os.environ, **({"GIT_COMMITTER_DATE": at.isoformat()} if at else {})}
    git(seat.path, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", subject, env=env)
    return seat.git("rev-parse", "HEAD")


@dataclass
class Day:
    """`ada` claims, `ben` is guarded (mode block). `clock`: theirs, if it is set by hand."""

    remote: Remote
    ada: Seat
    ben: Seat
    clock: Clock | None = None

    def claim(self, *names: str, by: Seat | None = None, see: bool = True, **given: Any) -> int:
        """Claims, by default as ada, and lets ben see it; the fence."""
        with (by or self.ada).here(self.clock) as found:
            fence = found.coordinator.claims.acquire(file(*names), **given).claims[0].fence
        if see:
            self.see()
        return fence

    def release(self, *names: str) -> None:
        """Ada gives back; ben doesn't see it."""
        with self.ada.here(self.clock) as found:
            found.coordinator.claims.release(file(*names))

    def see(self, seat: Seat | None = None) -> None:
        """Ben (or another) looks at the branch."""
        with (seat or self.ben).here(self.clock) as found:
            found.coordinator.branch.view()

    def ask(self, *paths: str, seat: Seat | None = None, here: Path | None = None, **asked: Any) -> GuardAnswer:
        """What the guard of ben (or another) says."""
        seat = seat or self.ben
        with seat.here(self.clock) as found:
            wanted = Asked(paths=paths, here=str(here or seat.path), **asked)
            return check.look(found.coordinator.branch, found.repo, found.settings, wanted)

    def staged(self, **asked: Any) -> GuardAnswer:
        """What it says of what is staged."""
        return self.ask(staged=True, **asked)

    def pushed(self, *lines: str, **asked: Any) -> GuardAnswer:
        """What it says of a push."""
        return self.ask(push=True, updates="".join(f"{line}\n" for line in lines), **asked)


def begin(remote: Remote, ada: Seat, ben: Seat, clock: Clock | None = None) -> Day:
    """Gives both clones the same files, and sets ben's guard to block."""
    commit(ada, "files", *FILES)
    git(ada.path, "push", "--quiet", "origin", "HEAD")
    git(ben.path, "pull", "--quiet")
    git(ben.path, "config", "gitcoord.guard", "block")
    return Day(remote, ada, ben, clock)


def paths(answer: GuardAnswer) -> list[str]:
    """What is covered by claims of others."""
    return sorted(path for one in answer.hindrances for path in one.paths)


def over(answer: GuardAnswer) -> list[tuple[int, str]]:
    """The leases that are over, by fence and name."""
    return [(one.fence, one.resource.name) for one in answer.over]
