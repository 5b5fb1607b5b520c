"""Who did what in a span of time: a pure fold over its events, and the same as a page to paste."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from gitcoord.core.handover import HandoffOffered, HandoffTaken
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.messages import MessageSent
from gitcoord.core.names import counted
from gitcoord.core.records import QUESTION
from gitcoord.core.releases import ClaimReleased
from gitcoord.core.sessions import SessionEnded, SessionStarted, standing
from gitcoord.core.state import State
from gitcoord.core.task_cards import read_card
from gitcoord.core.tasks import TaskAdded, TaskClosed
from gitcoord.core.times import spell_span
from gitcoord.views.holdings import HistoryStep, Holding, Holdings, Wait
from gitcoord.views.inert import inert

_NAMED = 5  # of a list, on the page: --json has all
_NOT_SAID = "committed"  # a hook's word for a heartbeat after a commit


@dataclass(frozen=True)
class ClosedTask:
    """A task that the session closed, or passed on."""

    seq: int
    title: str
    status: str


@dataclass
class Work:
    """What a session did.

    - `first`, `last`: its first and last event; `started`, `ended`: when it did, if it was then.
    - `done`: what it said it had done; `commits`: the subject of each that hooks told of, by its name; `files`: what it touched.
    - `gave`, `took`: what handoffs were about; `questions`, `answers`: how many it sent.
    - `holdings`, `waits`: its leases and its places in line, as far as they began then.
    """

    session: str
    first: datetime
    last: datetime
    started: datetime | None = None
    ended: datetime | None = None
    standing: str = ""
    events: int = 0
    done: list[str] = field(default_factory=list)
    tasks: list[ClosedTask] = field(default_factory=list)
    commits: dict[str, str] = field(default_factory=dict)
    files: dict[str, None] = field(default_factory=dict)
    gave: list[str] = field(default_factory=list)
    took: list[str] = field(default_factory=list)
    questions: int = 0
    answers: int = 0
    holdings: list[Holding] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """What all did from `since` to `until`, in the order in which they began."""

    since: datetime
    until: datetime
    sessions: tuple[Work, ...]


def report(steps: Iterable[HistoryStep], state: State, since: datetime, until: datetime, session: str = "") -> Report:
    """Return what was done by those events, which are all of that time, in their order. `state`: as it is at the end of the branch;
    `session`: of that one alone.
    """
    found: dict[str, Work] = {}
    held = Holdings()
    titles: dict[int, str] = {}
    for step in steps:
        held.see(step)
        event, at = step.event, min(step.event.at, step.committed_at)
        if isinstance(event, TaskAdded):
            titles |= {seq: read_card(card).title or "" for seq, card in zip(event.numbers(), event.cards, strict=True)}
        if event.session in state.sessions or isinstance(event, SessionStarted) or event.session in found:
            work = found.setdefault(event.session, Work(event.session, at, at))
            work.last, work.events = max(work.last, at), work.events + 1
            if event.lapsed is None and event.known:
                _add(work, step, at, state, titles)
    for lease in held.all(until):
        if lease.session in found:
            found[lease.session].holdings.append(lease)
    for wait in held.all_waits(until):
        if wait.session in found:
            found[wait.session].waits.append(wait)
    for name, work in found.items():
        known = state.sessions.get(name)
        work.standing = standing(known, until, state.rules.quiet_after) if known is not None else "ended"
    chosen = sorted((work for work in found.values() if session in ("", work.session)), key=lambda one: (one.first, one.session))
    return Report(since, until, tuple(chosen))


def _add(work: Work, step: HistoryStep, at: datetime, state: State, titles: dict[int, str]) -> None:
    event = step.event
    if isinstance(event, SessionStarted):
        work.started = at
    elif isinstance(event, SessionEnded):
        work.ended = at
        work.done += event.done
    elif isinstance(event, ClaimReleased):
        work.done += [f"{event.done}{f' (tests {event.tests})' if event.tests else ''}"] if event.done else []
    elif isinstance(event, TaskClosed):
        known = state.tasks.get(event.task)
        title = known.title if known is not None else titles.get(event.task, "")
        work.tasks.append(ClosedTask(event.task, title, "passed on" if event.goes_on else event.status))
    elif isinstance(event, HeartbeatRecorded):
        if event.commit is not None and event.action == _NOT_SAID:
            work.commits[event.commit] = event.target or ""
        work.files |= dict.fromkeys(event.files_touched)
    elif isinstance(event, HandoffOffered):
        work.gave.append(f"to {event.to}: {event.next or event.done or event.notes or 'work'}")
    elif isinstance(event, HandoffTaken):
        work.took.append(f"from {event.giver}")
    elif isinstance(event, MessageSent):
        work.questions += event.type == QUESTION
        work.answers += event.type == "answer"


# --- as a page ---------------------------------------------------------------------------------------------------------


def totals(found: Report) -> dict[str, int]:
    """Return the sums over all sessions."""
    works = found.sessions
    return {
        "sessions": len(works),
        "tasks": sum(task.status == "done" for work in works for task in work.tasks),
        "commits": len({commit for work in works for commit in work.commits}),
        "files": len({name for work in works for name in work.files}),
        "claims": sum(len(work.holdings) for work in works),
        "waits": sum(len(work.waits) for work in works),
        "handoffs": sum(len(work.took) for work in works),
        "questions": sum(work.questions for work in works),
    }  # fmt: skip


def markdown(found: Report) -> str:
    """Return the report as Markdown; nothing that a session wrote is more than words in it."""
    sums = totals(found)
    words = ", ".join(f"{count} {name[:-1] if count == 1 else name}" for name, count in sums.items() if count or name == "sessions")
    parts = [f"# Work from {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC", "", f"**{words}**"]
    for work in found.sessions:
        parts += ["", *_page(work, found)]
    return "\n".join(parts) + "\n"


def _page(work: Work, found: Report) -> list[str]:
    clock = partial(_clock, found)
    until = f"ended {clock(work.ended)}" if work.ended else f"{work.standing}, last heard {clock(work.last)}"
    begun = f"started {clock(work.started)}, " if work.started else ""
    parts = [f"## {inert(work.session, 80)} ({begun}{until})"]
    tasks = [f"\\#{one.seq} {inert(one.title)}{'' if one.status == 'done' else f' ({one.status})'}" for one in work.tasks]
    commits = [f"{oid[:9]} {inert(subject)}" for oid, subject in work.commits.items()]
    spent = sum((timedelta(seconds=one.seconds(found.until)) for one in work.holdings), timedelta())
    for label, items, between in (
        ("done", [inert(text, 240) for text in dict.fromkeys(work.done)], "; "), ("tasks", tasks, ", "), ("commits", commits, ", "),
        ("files", [inert(name, 80) for name in work.files], ", "), ("waited for", [_wait(one, found) for one in work.waits], "; "),
        ("handed over", [inert(text) for text in work.gave], "; "), ("took over", [inert(text) for text in work.took], ", "),
    ):  # fmt: skip
        parts += [f"- **{label}** ({len(items)}): {_few(items, between)}"] if items else []
    parts += [f"- **held**: {counted(len(work.holdings), 'claim')}, {spell_span(spent)} in all"] if work.holdings else []
    asked = [f"{count} {word}" for count, word in ((work.questions, "asked"), (work.answers, "answered")) if count]
    parts += [f"- **questions**: {', '.join(asked)}"] if asked else []
    return parts if len(parts) > 1 else [*parts, f"- {work.events} events, none of them of these kinds"]


def _wait(wait: Wait, found: Report) -> str:
    how = "" if wait.how == "acquired" else f" ({wait.how or 'waits still'})"
    return f"{inert(', '.join(map(str, wait.resources[:2])))} for {spell_span((wait.until or found.until) - wait.since)}{how}"


def _clock(found: Report, when: datetime) -> str:
    return f"{when:%H:%M}" if when.date() == found.until.date() else f"{when:%Y-%m-%d %H:%M}"


def _few(items: Sequence[str], between: str) -> str:
    more = f"{between}and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return between.join(items[:_NAMED]) + more
