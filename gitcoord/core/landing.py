"""Which branches of code are about to land, and in which order. Pure: the same state gives the same order for everybody.

The readiest branch comes first. Handed over or finished work is ready (nobody changes it any more), then comes that of sessions
that wait or are idle, then that of sessions at work. Of equals, the branch whose last commit is the oldest has waited longest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gitcoord.core.entries import split
from gitcoord.core.names import Resource, is_code_branch, is_session_name, parse_resource
from gitcoord.core.values import is_oid

if TYPE_CHECKING:
    from gitcoord.core.records import Session
    from gitcoord.core.state import State

READY, RESTING, AT_WORK = range(3)
"""How ready a branch is: handed over or finished; its session waits or is idle; its session works."""

STILL_COMING = timedelta(days=3)
"""How long after its session ended a branch counts as about to land: over a weekend. Who means an older one names its session."""

AT_ONCE = 64  # branches that one trial merges


class Incoming(NamedTuple):
    """A branch that is about to land, as events name it: `<commit> <session> <branch>`."""

    commit: str
    session: str
    branch: str

    @classmethod
    def parse(cls, entry: str) -> Incoming:
        """Read an entry. Raises ValueError."""
        commit, session, branch = split(entry, 3)
        if not is_oid(commit) or not is_session_name(session) or not is_code_branch(branch):
            raise ValueError("not a commit, a session and a branch")
        return cls(commit, session, branch)

    def __str__(self) -> str:
        return f"{self.commit} {self.session} {self.branch}"

    @property
    def words(self) -> str:
        """Return it for people: `login (ada)`."""
        return f"{self.branch} ({self.session})"


class Candidate(NamedTuple):
    """A branch that may be about to land: what the state says of it. `ready`: READY, RESTING or AT_WORK."""

    branch: str
    session: str
    ready: int


def candidates(state: State, now: datetime, *, repo: str = "", only: Collection[str] = ()) -> list[Candidate]:
    """Return the branches of live sessions, of those that finished lately, and of open handoffs, each once.

    - `repo`: only sessions of that repository, where several share the branch; "" where one has it for itself.
    - `only`: only these sessions, however long ago they ended; empty for all.
    """
    found: dict[str, list[Candidate]] = {}
    sessions = [*state.sessions.live(), *(one for one in state.sessions.ended(now - STILL_COMING) if one.status == "completed")]
    named = [state.sessions[name] for name in only if name in state.sessions and name not in {one.session_id for one in sessions}]
    here = [one for one in (*sessions, *named) if not repo or one.repo == repo]
    for session in here:
        if session.branch and (not only or session.session_id in only):
            found.setdefault(session.branch, []).append(Candidate(session.branch, session.session_id, _readiness(session)))
    offered = {}
    for offer in sorted(state.handoffs.values(), key=lambda one: one.seq):
        giver = state.sessions.get(offer.sender)
        if offer.status != "open" or not offer.branch or (repo and (giver is None or giver.repo != repo)):
            continue
        if not only or offer.sender in only:
            offered[offer.branch] = Candidate(offer.branch, offer.sender, READY)
    return [*(_spoken_for(group) for branch, group in found.items() if branch not in offered), *offered.values()]


def on_branch(state: State, branch: str, *, repo: str = "", only: Collection[str] = ()) -> list[str]:
    """Return the live sessions (of that repository, among these) that are on that branch, as far as they have said."""
    live = [one for one in state.sessions.live() if one.branch == branch and (not repo or one.repo == repo)]
    return sorted(one.session_id for one in live if not only or one.session_id in only)


def _readiness(session: Session) -> int:
    return READY if not session.live else RESTING if session.status in ("waiting", "idle") else AT_WORK


def _spoken_for(group: list[Candidate]) -> Candidate:
    """Return the one that speaks for a branch of several sessions: it is no readier than the one that works on it."""
    return max(group, key=lambda one: (one.ready, one.session))


def in_turn(found: Iterable[Candidate], committed_at: Mapping[str, int]) -> list[Candidate]:
    """Return them in the order in which they land. `committed_at`: when the last commit of each branch was made, in seconds; a
    branch that isn't there is left out.
    """
    there = [one for one in found if one.branch in committed_at]
    return sorted(there, key=lambda one: (one.ready, committed_at[one.branch], one.branch))


def lane(branch: str, repo: str = "") -> Resource:
    """Return the resource that is held while somebody lands on that branch: `land:main`; of a hub's repository `land:shop/main`."""
    return parse_resource("land", f"{repo}/{branch}" if repo else branch)
