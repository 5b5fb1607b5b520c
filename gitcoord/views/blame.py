"""Who held a file when one of its lines was made: by what the commit says of itself, else by hooks, else by the time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.readiness import number
from gitcoord.views.holdings import HistoryStep, Holding, Holdings

By = Literal["trailers", "hooks", "time"]
"""How it is known whose a commit is: it says so itself; hooks told of it; one session alone held the file when it was made."""


@dataclass(frozen=True)
class Origin:
    """Whose a commit of a file is.

    - `claim`: the session's lease on the file when it was made; `task`: the number of the task that it worked on.
    - `holders`: who else held the file then, or everybody where it isn't known whose it is.
    """

    session: str | None = None
    by: By | None = None
    claim: Holding | None = None
    task: int | None = None
    holders: tuple[str, ...] = ()


@dataclass
class Past:
    """All that was held, and which commits hooks told of, by the good events of a branch."""

    now: datetime
    held: Holdings = field(default_factory=Holdings)
    told: dict[str, str] = field(default_factory=dict)
    """The session that told of a commit, by the commit's name."""

    def see(self, step: HistoryStep) -> None:
        """Take the next good event, in the order of the line."""
        self.held.see(step)
        event = step.event
        if isinstance(event, HeartbeatRecorded) and event.commit is not None and event.folded and event.action == "committed":
            self.told.setdefault(event.commit, event.session)

    def origins(self, what: Resource, commits: Mapping[str, tuple[datetime, tuple[str, ...]]]) -> dict[str, Origin]:
        """Return whose each of those commits of the file is. `commits`: when each was made, and the sessions that it names."""
        every = self.held.all(self.now)
        return {commit: self._origin(every, what, commit, made_at, named) for commit, (made_at, named) in commits.items()}

    def _origin(self, every: Iterable[Holding], what: Resource, commit: str, at: datetime, named: tuple[str, ...]) -> Origin:
        then = [one for one in every if one.granted_at <= at and (one.ended_at is None or at <= one.ended_at)]
        on_it = [one for one in then if overlaps(one.resource, what)]
        holders = list(dict.fromkeys(one.session for one in on_it))
        by: By
        if named:
            session, by = named[-1], "trailers"
        elif commit in self.told:
            session, by = self.told[commit], "hooks"
        elif len(holders) == 1:
            session, by = holders[0], "time"
        else:
            return Origin(holders=tuple(holders))
        claim = max((one for one in on_it if one.session == session), key=lambda one: one.fence, default=None)
        works = [seq for one in then if one.session == session and (seq := number(one.resource)) is not None]
        others = tuple(name for name in holders if name != session)
        return Origin(session, by, claim, works[-1] if works else None, others)
