"""Records as `--json` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitcoord.core.events import Receipt
from gitcoord.core.landing import Incoming
from gitcoord.core.names import Resource, is_resource_type, resource_of, show
from gitcoord.core.readiness import Overview, Standing
from gitcoord.core.records import Claim, Handoff, Message, Record, Task, Trial
from gitcoord.core.tables import Outline, outline
from gitcoord.core.times import spell
from gitcoord.views.attention import Item
from gitcoord.views.collisions import CollisionLike

if TYPE_CHECKING:
    from gitcoord.views.blame import Origin
    from gitcoord.views.holdings import Gap, Holding, Unclaimed, Wait
    from gitcoord.views.report import Report
    from gitcoord.views.timeline import Picture, Place


def record(value: Record) -> dict[str, Any]:
    """A record of the branch, with the branch's own field names."""
    found: dict[str, Any] = value.model_dump(mode="json", by_alias=True)
    return found


def claim(value: Claim) -> dict[str, Any]:
    """A lease."""
    return record(value)


def short_claim(value: Claim) -> dict[str, Any]:
    """A lease as the answer to a claim has it."""
    keys = ("resource_type", "resource_name", "repo", "claimed_by", "fence", "expires_at")
    full = record(value)
    return {key: full[key] for key in keys}


def message(value: Message, *, redelivered: bool = False) -> dict[str, Any]:
    """A message."""
    return {**record(value), "redelivered": redelivered}


def item(value: Item) -> dict[str, Any]:
    """Something that needs somebody."""
    return {**asdict(value), "since": spell(value.since) if value.since is not None else None}


def report(value: Report) -> dict[str, Any]:
    """Who did what."""
    from gitcoord.views.report import totals

    return {
        "since": spell(value.since), "until": spell(value.until), "totals": totals(value),
        "sessions": [
            {
                "session_id": one.session, "state": one.standing, "started_at": spell(one.started) if one.started else None,
                "ended_at": spell(one.ended) if one.ended else None, "last_heard": spell(one.last), "events": one.events,
                "done": one.done, "tasks": [asdict(task) for task in one.tasks],
                "commits": [{"commit": oid, "subject": subject} for oid, subject in one.commits.items()],
                "files": list(one.files), "claims": len(one.holdings),
                "held_seconds": sum(lease.seconds(value.until) for lease in one.holdings),
                "waits": [wait(place) for place in one.waits], "gave": one.gave, "took": one.took,
                "questions": one.questions, "answers": one.answers,
            }
            for one in value.sessions
        ],
    }  # fmt: skip


def origin(value: Origin) -> dict[str, Any]:
    """Whose a commit of a file is."""
    lease = value.claim
    held = None if lease is None else {
        "resource": str(lease.resource), "fence": lease.fence, "granted_at": spell(lease.granted_at),
        "ended_at": spell(lease.ended_at) if lease.ended_at else None, "phase": lease.phase, "reason": lease.reason,
    }  # fmt: skip
    return {"session": value.session, "by": value.by, "claim": held, "task": value.task, "holders": list(value.holders)}


def gap(value: Gap) -> dict[str, Any]:
    """A time in which nobody held it."""
    return {"since": spell(value.since), "until": spell(value.until) if value.until else None}


def unclaimed(value: Unclaimed) -> dict[str, Any]:
    """Work without a claim."""
    return {
        "session": value.session, "at": spell(value.at), "seq": value.seq, "paths": list(value.paths), "commit": value.commit,
    }  # fmt: skip


def receipt(value: Receipt) -> dict[str, Any]:
    """What came of a writing command."""
    return {"state": value.state, "id": value.id, "seq": value.seq or None, "commit": value.commit or None}


def collision(value: CollisionLike, me: str) -> dict[str, Any]:
    """Two sessions that collide. `with`: the one that isn't `me`, None for the default branch, which `branch` names."""
    others = [name for name in value.sessions if name != me]
    return {
        "kind": value.kind, "with": others[-1] if others and not (value.branch and me not in value.sessions) else None,
        "sessions": list(value.sessions), "branch": value.branch or None,
        "files": [{"path": place.path, "lines": place.lines or None} for place in value.files], "commits": list(value.commits),
        "uncommitted": value.uncommitted, "since": spell(value.since) if value.since is not None else None,
    }  # fmt: skip


def offer_line(value: Handoff) -> str:
    """Work that is ready to pick up, in a line for people."""
    if not value.by_claim:
        extra = [f"for {value.to}"] if value.to != "anyone" else []
        extra += [f"with {show(', '.join(value.resources), 80)}"] if value.resources else []
        extra += [f"blocked by {show(value.blockers, 60)}"] if value.blockers else []
        extra += [f"tests {show(value.tests, 40)}"] if value.tests else []
        extra += [f"branch {show(value.branch, 60)}"] if value.branch else []
        return f"{value.sender} hands over: {show(value.about, 120)}" + (f" ({'; '.join(extra)})" if extra else "")
    last = [f"left by {value.sender}"]
    last += [f"last phase {show(value.phase, 40)}"] if value.phase else []
    last += [f"tests {value.tests}"] if value.tests else []
    last += [f"{len(value.files)} files: {show(', '.join(value.files), 80)}"] if value.files else []
    last += [f"for {value.to}"] if value.to != "anyone" else []
    return ", ".join(value.resources) + (f" for {show(value.next, 40)}" if value.next else "") + f" ({'; '.join(last)})"


def file_words(text: str) -> str:
    """Return what a task touches as it is typed: a path, or TYPE:NAME."""
    what = resource_of(text)
    prefix, colon, _ = what.name.partition(":")
    return what.name if what.type == "file" and not (colon and is_resource_type(prefix)) else text


def incoming(entry: str) -> dict[str, str]:
    """A branch that is about to land."""
    commit, session, branch = Incoming.parse(entry)
    return {"session": session, "branch": branch, "commit": commit}


def trial(value: Trial) -> dict[str, Any]:
    """What came of a trial."""
    lists = {name: [incoming(one) for one in getattr(value, name)] for name in ("incoming", "left_out", "culprits")}
    end = "green" if value.green else "base_red" if value.base_exit else "red"
    return {"outcome": end, **record(value), **lists, "seq": value.seq or None}


def _outlined(value: Outline, status: str, standing: Standing | None) -> dict[str, Any]:
    return {
        "id": value.id, "seq": value.seq, "title": value.title, "status": status, "ready": standing is not None and standing.ready,
        "held_by": standing.held_by if standing is not None else None,
        "blocked_by": list(standing.blocked_by) if standing is not None else [], "needs": list(value.needs),
        "files": [file_words(text) for text in value.files], "phase": value.phase, "phases": list(value.phases), "for": value.to,
        "priority": value.priority, "key": value.key, "parent": value.parent,
        "why": standing.why() if standing is not None else "",
    }  # fmt: skip


def entry(closed: Task | None, standing: Standing | None) -> dict[str, Any]:
    """A task in a list: an open one and how it stands, or a closed one and what came of it."""
    if closed is not None:
        return {**_outlined(outline(closed), closed.status, None), **_ended(closed)}
    assert standing is not None
    return _outlined(standing.task, "open", standing)


def _ended(value: Task) -> dict[str, Any]:
    full = record(value)
    return {key: full[key] for key in ("done_by", "done_at", "note", "result")}


def sums(value: Overview) -> dict[str, int]:
    """All tasks at a glance."""
    return {"done": value.done, "total": value.total, "in_work": len(value.work), "ready": value.ready, "blocked": value.blocked}


def task(value: Task, standing: Standing | None, needs: Sequence[Task] = ()) -> dict[str, Any]:
    """All of a task: its record, how it stands, and what came of the tasks that it needs."""
    results = [{"seq": one.seq, "title": one.title, "status": one.status, **_ended(one)} for one in needs]
    return {**record(value), **_outlined(outline(value), value.status, standing), "results": results}


def holding(value: Holding, now: datetime, about: Resource) -> dict[str, Any]:
    """A lease of the past, or one that lasts."""
    return {
        "session": value.session, "run_id": value.run_id, "resource": str(value.resource), "overlapping": value.resource != about,
        "fence": value.fence, "mode": value.mode, "phase": value.phase, "reason": value.reason,
        "granted_at": spell(value.granted_at), "expires_at": spell(value.expires_at),
        "ended_at": spell(value.ended_at) if value.ended_at else None,
        "seconds": value.seconds(now), "renewals": value.renewals, "how": value.how, "by": value.by, "why": value.why,
        "done": value.done, "tests": value.tests, "next": value.next_phase, "commits": list(value.commits),
        "touched": [{"session": session, "seq": seq} for session, seq in value.touched],
    }  # fmt: skip


def wait(value: Wait) -> dict[str, Any]:
    """A place in line."""
    return {
        "session": value.session, "run_id": value.run_id, "resources": [str(one) for one in value.resources], "seq": value.seq,
        "mode": value.mode, "phase": value.phase, "reason": value.reason, "since": spell(value.since),
        "until": spell(value.until) if value.until else None, "how": value.how,
    }  # fmt: skip


def _moment(place: Place | None) -> dict[str, Any]:
    return {"at": spell(place[1]) if place else None, "seq": place[0] if place else None}


def picture(value: Picture) -> dict[str, Any]:
    """The past: each thing with the event that began it, and the one that ended it (None while it lasts)."""
    return {
        "as_of": spell(value.now), "total": value.total, "first": value.first,
        "sessions": [
            {"session": one.session, "began": _moment(one.began), "ended": _moment(one.ended), "how": one.how or None,
             "work": one.work or None, "branch": one.branch or None, "done": list(one.done)}
            for one in value.stays
        ],
        "claims": [
            {"session": one.session, "resource": one.what, "began": _moment(one.began), "until": spell(one.until),
             "ended_by": one.ended, "how": one.how or None, "by": one.by or None}
            for one in value.bars
        ],
        "waits": [
            {"session": one.session, "resources": list(one.what), "began": _moment(one.began), "until": spell(one.until),
             "ended_by": one.ended, "how": one.how or None, "behind": list(one.holders)}
            for one in value.waits
        ],
        "messages": [
            {"id": one.id, "seq": one.seq, "at": spell(one.at), "from": one.sender, "to": one.to, "type": one.type,
             "subject": one.subject, "thread": one.root, "asks": one.asks, "answered_by": one.answered}
            for one in value.notes
        ],
        "handoffs": [
            {"id": one.id, "from": one.sender, "to": one.to, "about": one.about, "offered": _moment(one.began),
             "taken": _moment(one.taken), "by": one.by or None}
            for one in value.passes
        ],
    }  # fmt: skip


_ENDINGS = {
    "session_ended": "its session ended", "abandoned": "its session was given up as silent", "expired": "expired",
    "superseded": "its session claimed it anew", "given_up": "given up on request",
}  # fmt: skip
_WHY = {"expired": "it had expired", "ended": "its session had ended", "stale": "its holder was silent"}


def ending(value: Holding) -> str:
    """How a lease ended, in words; "" while it lasts."""
    if value.how == "released":
        extra = [f"tests {value.tests}"] if value.tests else []
        extra += [f"next {show(value.next_phase, 40)}"] if value.next_phase else []
        done = f": {show(value.done.splitlines()[0], 60)}" if value.done and value.done.strip() else ""
        return f"released{done}" + (f" ({', '.join(extra)})" if extra else "")
    if value.how == "taken_over":
        return f"taken over by {value.by}: {_WHY.get(value.why or '', value.why)}"
    if value.how == "handed_over":
        return f"handed over to {value.by}"
    if value.how == "broken":
        return f"broken by {value.by}"
    return _ENDINGS.get(value.how or "", "")
