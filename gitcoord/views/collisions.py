"""Who collides with whom, in a line for people: pure, and of the caller's point of view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gitcoord.core.names import LINE_LIMIT, show

_SHOWN = 4  # files that a line names


class PlaceLike(Protocol):
    """A file in which two collide, and its lines."""

    @property
    def path(self) -> str:
        """The file."""
        ...

    @property
    def lines(self) -> str:
        """Its lines; "" where they say nothing."""
        ...


class CollisionLike(Protocol):
    """Two sessions that collide, or one and the default branch."""

    @property
    def kind(self) -> str:
        """How sure it is."""
        ...

    @property
    def sessions(self) -> tuple[str, ...]:
        """The sessions."""
        ...

    @property
    def files(self) -> Sequence[PlaceLike]:
        """Where."""
        ...

    @property
    def branch(self) -> str:
        """The default branch; "" for a pair of sessions."""
        ...

    @property
    def since(self) -> datetime | None:
        """Since when the other changes the first file."""
        ...

    @property
    def commits(self) -> tuple[str, ...]:
        """Where both stand."""
        ...

    @property
    def uncommitted(self) -> bool:
        """Whether a part is not committed yet."""
        ...


def line(found: CollisionLike, me: str) -> str:
    """Return who collides with whom, and where. `me`: the session that reads it."""
    others = [name for name in found.sessions if name != me] or ([f"the branch {found.branch}"] if found.branch else [])
    mine = me in found.sessions
    if found.branch and not mine:
        others.append(f"the branch {found.branch}")
    where = places(found.files)
    extra = ["not committed yet"] if found.uncommitted else []
    extra += [f"since {found.since:%H:%M} UTC"] if found.since is not None and mine else []
    more = f", {', '.join(extra)}" if extra and found.kind != "certain" else ""
    who = f"{'you and ' if mine else ''}{' and '.join(others)}"
    how = {
        "certain": f"{who} conflict: git can't merge them in {where}",
        "likely": f"{who} change the same lines: {where}{more}",
        "near": f"{who} change the same file: {where}{more}",
    }[found.kind]
    return show(how, LINE_LIMIT)


def places(files: Sequence[PlaceLike]) -> str:
    """Return files and lines as people read them."""
    shown = [f"{place.path}:{place.lines}" if place.lines else place.path for place in files[:_SHOWN]]
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return (", ".join(shown) or "a folder that was moved") + more
