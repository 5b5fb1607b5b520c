"""What is foretold: two sessions, or one and the default branch, will collide, and where. Written once for a pair of commits.

It is over when one of the two commits moved on or landed, when a session ended, or when somebody who looked again found nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gitcoord.core import touches
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.names import LINE_LIMIT, show
from gitcoord.core.records import CodeBranch, CommitId, Foretold, ForetoldFile, SessionName, TouchEntry
from gitcoord.core.sessions import lapse
from gitcoord.core.touches import Touch

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

AT_ONCE = 16  # files that one event names
_SHOWN = 3  # files that a line for people names

Verdict = Literal["certain", "likely", "none"]
"""Git can't merge the two; their lines meet; nothing any more."""

Sessions = Annotated[tuple[SessionName, ...], Field(min_length=1, max_length=2)]
Commits = Annotated[tuple[CommitId, ...], Field(max_length=2)]
Lines = Annotated[tuple[TouchEntry, ...], Field(max_length=AT_ONCE)]


class ForetellConflict(Command):
    """Says that two sessions will collide, or no more. `between`: one session stands for itself and the default branch."""

    kind: ClassVar[str] = "conflict.foretell"

    between: Sessions
    verdict: Verdict
    commits: Commits = ()
    branch: CodeBranch | None = None
    lines: Lines = ()


class ConflictForetold(Event):
    """Somebody looked, and two sessions will collide, or no more."""

    kind: ClassVar[str] = "conflict.foretold"
    trailers: ClassVar[dict[str, str]] = {"commits": "Commit"}

    between: Sessions
    verdict: Verdict
    commits: Commits = ()
    branch: CodeBranch | None = None
    lines: Lines = ()

    @property
    def is_work(self) -> bool:
        """A program looked: that is no work of its session."""
        return False

    @property
    def makes(self) -> bool:
        """It makes no message."""
        return False

    def headline(self) -> str:
        """The commit's subject."""
        other = self.between[1] if len(self.between) == 2 else self.branch or "the default branch"
        who = f"{self.between[0]} and {other}"
        if self.lapsed:
            return f"foretold: {who} (too late: {self.lapsed})"
        if self.verdict == "none":
            return f"foretold: {who} collide no more"
        sure = "will" if self.verdict == "certain" else "are likely to"
        return f"foretold: {who} {sure} collide in {_few([entry.rpartition(':')[0] for entry in self.lines])}"

    def evolve(self, draft: Draft) -> None:
        """The newest that is known of these two."""
        if self.verdict == "none":
            draft.put("conflicts", key_of(self.between), None)
            return
        files = tuple(ForetoldFile(path=touch.path, lines=touches.spelled(touch.spans)) for touch in map(Touch.parse, self.lines))
        record = Foretold(
            id=self.id, seq=self.seq, sessions=self.between, kind=self.verdict, commits=self.commits, branch=self.branch,
            files=files, foretold_at=self.at, foretold_by=self.session,
        )  # fmt: skip
        draft.put("conflicts", key_of(self.between), record)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """It is about live sessions, and about commits of theirs; what it takes back was foretold."""
        if list(self.between) != sorted(set(self.between)):
            return "it doesn't name two sessions in their order"
        if self.verdict == "none":
            return None if key_of(self.between) in state.conflicts else "nothing was foretold of these two"
        for name in self.between:
            session = state.sessions.get(name)
            if session is None or not session.live:
                return f"{name} is no live session"
        return None if len(self.commits) == 2 else "it doesn't name the commits of both"


def decide_foretell(state: State, command: ForetellConflict, clock: Clock) -> Event | None:
    """Records what is new; nothing of sessions that have ended, and nothing twice for the same commits."""
    live = all((session := state.sessions.get(name)) is not None and session.live for name in command.between)
    known = state.conflicts.get(key_of(command.between))
    if lapse(state, command) or not live or (known is None and command.verdict == "none"):
        return None
    if known is not None and known.commits == command.commits and (known.kind in (command.verdict, "certain")):
        return None
    return ConflictForetold(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at, between=command.between,
        verdict=command.verdict, commits=command.commits, branch=command.branch, lines=command.lines,
    )  # fmt: skip


def key_of(sessions: tuple[str, ...]) -> str:
    """Return the place of these two in the state (see `Foretold.key`)."""
    return "+".join(sessions)


def apply(draft: Draft, event: Event) -> None:
    """Take away what is over by that event: a session of it is no longer there, or has moved on, or its commit landed."""
    for key, record in list(draft.conflicts().items()):
        live = [(session := draft.session(name)) is not None and session.live for name in record.sessions]
        if not all(live) or (record.seq != event.seq and event.session in record.sessions and _is_over(draft, event, record)):
            draft.put("conflicts", key, None)


def _is_over(draft: Draft, event: Event, record: Foretold) -> bool:
    """Return True if the event says that its session stands elsewhere now, or that its lines meet the other's no more."""
    commit, base = getattr(event, "commit", None), getattr(event, "base", None)
    if event.kind != "heartbeat.recorded" or commit is None:
        return False
    before = draft.before.heartbeats.get(event.session)
    mine = dict(zip(record.sessions, record.commits, strict=False)).get(event.session)
    if commit != mine and (before is None or before.commit != commit):
        return True  # it moved on; who stood elsewhere already, when it was foretold, has not
    if base is not None and base == commit == mine:
        return True  # it landed
    return record.kind == "likely" and base is not None and _meet_no_more(draft, record)


def _meet_no_more(draft: Draft, record: Foretold) -> bool:
    beats = [draft.heartbeat(name) for name in record.sessions]
    if len(beats) != 2 or beats[0] is None or beats[1] is None or beats[0].base != beats[1].base:
        return False
    one, other = ([touched.touch for touched in beat.touches] for beat in beats if beat is not None)
    return not any(meeting.kind == "likely" for meeting in touches.meetings(one, other))


def partner(record: Foretold, me: str) -> str:
    """Return with whom that session will collide, in words."""
    others = [name for name in record.sessions if name != me]
    return others[0] if others else f"the branch {record.branch or 'that is the default'}"


def line(record: Foretold, me: str = "") -> str:
    """Return what is foretold in a line for people. `me`: the session that reads it."""
    files = [f"{one.path}:{one.lines}" if one.lines else one.path for one in record.files]
    where = f" in {_few(files)}" if files else ""
    sure = "git can't merge them" if record.kind == "certain" else "their lines meet; not pushed yet, in part or whole"
    if me in record.sessions:
        return f"you {'will' if record.kind == 'certain' else 'are likely to'} conflict with {partner(record, me)}{where} ({sure})"
    who = f"{record.sessions[0]} and {partner(record, record.sessions[0])}"
    return f"{who} {'will' if record.kind == 'certain' else 'are likely to'} conflict{where} ({sure})"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return show((", ".join(names[:_SHOWN]) or "a folder") + more, LINE_LIMIT)
