"""What a person should look at: detected from the state, never a constant. A pure function of state and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitcoord.core import foretold, inbox, leases, queue, records, requests, trespasses, trials
from gitcoord.core.addresses import TO_ALL, is_group, reaches
from gitcoord.core.branch import way_back
from gitcoord.core.landing import Incoming
from gitcoord.core.lookalikes import skeleton
from gitcoord.core.names import Resource
from gitcoord.core.overlap import overlaps
from gitcoord.core.records import Claim, Message
from gitcoord.core.retention import not_made_before
from gitcoord.core.state import State

EXPIRES_SOON = timedelta(minutes=10)
UNANSWERED_AFTER = timedelta(minutes=15)
UNANSWERED_WITHIN = timedelta(days=2)  # an older unanswered message is history, not news
_MEMBERS = 5  # sessions of a group named by an item
_HOLDERS, _NAMED = 5, 3  # sessions whose leases are over that are told of, and leases of each
_PAIRS = 200  # overlaps looked at before the list is long enough


@dataclass(frozen=True)
class Item:
    """One thing to look at. `kind` is a stable word for programs, `text` one line for people; `since`: when it began, if that is
    known and the text doesn't say it.
    """

    kind: str
    text: str
    sessions: tuple[str, ...] = ()
    resource: str | None = None
    since: datetime | None = None


def attention(state: State, now: datetime, bad: Iterable[tuple[str, str]] = (), me: str = "") -> list[Item]:
    """Everything that needs somebody: a raised format, names that look alike, files that another committed, who will collide,
    branches that are red together, the questions that `me` should answer, other unanswered messages, who waits for whom, bad
    commits, overlapping work, work handed over, silent holders, leases that are over. `bad`: commits (name, reason) behind which no
    good one stands yet.
    """
    young = state.messages.waiting(lambda keys: not_made_before(keys, now - UNANSWERED_WITHIN))  # ids tell their age
    notes = sorted((one for one in young if not one.is_over(now)), key=lambda one: (one.seq, one.id))
    own = {one.id for one in inbox.to_answer(state, me, now)} if me else set()
    others = _unanswered(state, now, [one for one in notes if one.id not in own])
    return [  # people and questions first: what is over is in nobody's way
        *_raised(state),
        *_alike(state),
        *_trespassed(state, now, notes),
        *_red(state, now),
        *_foretold(state, me),
        *_unanswered(state, now, [one for one in notes if one.id in own]),
        *(one for one in others if one.kind == "unanswered"),
        *_waiting(state),
        *_in_line(state, now),
        *_requested(state, now, notes),
        *(one for one in others if one.kind != "unanswered"),
        *(Item("bad_commit", f"commit {oid[:12]} is ignored: {reason}; the next event mends it") for oid, reason in bad),
        *_overlaps(state, now),
        *_handed(state),
        *_silent(state, now),
        *_over(state, now),
    ]


def _raised(state: State) -> list[Item]:
    """A format that was raised and that nothing rests on yet: older programs have stopped writing."""
    rules = state.rules
    if rules.format <= rules.format_used:
        return []
    text = f"the branch's format was raised to {rules.format}: older programs only read it. It can be taken back: {way_back(rules)}"
    return [Item("format", text)]


def _alike(state: State) -> list[Item]:
    """Live sessions whose names look like that of one that was there before."""
    first: dict[str, str] = {}
    found = []
    for session in sorted(state.sessions.live(), key=lambda one: (one.start_seq, one.session_id)):
        name = session.session_id
        other = first.setdefault(skeleton(name), name)
        if other != name:
            found.append(Item("look_alike", f"{name} looks like {other}, and is another session", (name, other)))
    return found


def _foretold(state: State, me: str) -> list[Item]:
    """Who will collide: first with `me`, then what is certain."""
    records = sorted(state.conflicts.values(), key=lambda one: (me not in one.sessions, one.kind != "certain", one.seq))
    return [
        Item("conflict", foretold.line(one, me), one.sessions, f"file:{one.files[0].path}" if one.files else None, one.foretold_at)
        for one in records
    ]


def _waiting(state: State) -> list[Item]:
    found: list[Item] = []
    in_line = {place.session_id for place in state.waiting.values()} if state.waiting else ()
    for session in sorted(state.sessions.live(), key=lambda one: one.session_id):
        name = session.session_id
        beat = state.heartbeats.get(name)
        if session.status == "waiting" and name not in in_line:
            found.append(Item("waiting", f"{name} waits for {_a(session.waiting_for or 'somebody')}", (name,)))
        if beat is not None and (beat.blocked_by or beat.action == "blocked"):
            found.append(Item("blocked", f"{name} is blocked by {beat.blocked_by or 'something'}", (name,)))
    return found


def _in_line(state: State, now: datetime) -> list[Item]:
    """Who waits for what, behind whom."""
    found = []
    for place in queue.line(state, now):
        held, _ = queue.in_front(state, place, now)
        live = [lease for lease in held if not leases.is_over(lease, now)]
        by = f", held by {', '.join(dict.fromkeys(lease.claimed_by for lease in live[:3]))}" if live else ""
        until = f" until {min(lease.expires_at for lease in live):%H:%M} UTC" if live else ""
        what = f" {'or' if place.any_of else 'and'} ".join(place.resources[:3])
        spot = queue.number(state, place, now)
        text = f"{place.session_id} waits for {what}{by}{until} (number {spot} in line)"
        people = (place.session_id, *dict.fromkeys(one.claimed_by for one in held))
        found.append(Item("waiting", text, people, place.resources[0], place.since))
    return found


def _requested(state: State, now: datetime, notes: Iterable[Message]) -> list[Item]:
    """Requests that their holder has not answered, while it still holds what was asked for."""
    held = {(lease.claimed_by, lease.entry) for lease in leases.live(state, now)}
    found = []
    for note in notes:
        asked = note.type == requests.REQUEST and note.status != "answered"
        if asked and (note.to, note.details.get("lease")) in held:
            what = note.details.get("resource")
            text = f"{note.to} has not answered {note.sender}, who asks for {what}"
            found.append(Item("request", text, (note.sender, note.to), what, note.timestamp))
    return found


def _trespassed(state: State, now: datetime, notes: Iterable[Message]) -> list[Item]:
    """Files that were committed while another held them, as long as the holder hasn't read it and holds them still."""
    held = {(lease.claimed_by, lease.entry) for lease in leases.live(state, now)}
    found = []
    for note in notes:
        lease = note.details.get(trespasses.DETAIL)
        if note.type == "alert" and lease is not None and (note.to, lease) in held:
            commit = note.details.get("commit", "")[:12]
            what = f"{note.details.get('file')}{f' ({commit})' if commit else ''}"
            text = f"{note.sender} committed {what}, which {note.to} holds"
            found.append(Item("trespass", text, (note.sender, note.to), lease.partition(" ")[2], note.timestamp))
    return found


def _red(state: State, now: datetime) -> list[Item]:
    """Branches that were tried together before they land, and are red."""
    found = []
    for trial in trials.standing(state, now):
        people = tuple(dict.fromkeys(Incoming.parse(one).session for one in trial.culprits))
        found.append(Item("red", trials.verdict(trial), people or (trial.session_id,)))
    return found


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _overlaps(state: State, now: datetime) -> list[Item]:
    """Files touched by two live sessions lately, with no claim of either that covers them."""
    touched: dict[str, list[str]] = {}
    for name, beat in sorted(state.heartbeats.items()):
        session = state.sessions.get(name)
        if session is None or not session.live or now - beat.timestamp > timedelta(hours=12):
            continue
        for path in beat.files_touched:
            touched.setdefault(path, []).append(name)
    found: list[Item] = []
    for path, names in sorted(touched.items()):
        if len(names) < 2 or len(found) >= _PAIRS:
            continue
        resource = Resource("file", path)
        covered = any(lease.claimed_by in names and overlaps(lease.resource, resource) for lease in leases.live(state, now))
        if not covered:
            text = f"{' and '.join(names)} touched {path}, and none of them claims it"
            found.append(Item("overlap", text, tuple(names), str(resource)))
    return found


def _silent(state: State, now: datetime) -> list[Item]:
    """Live leases whose holder is not heard of, in one line for each; then those that are about to run out."""
    silent: dict[str, list[Claim]] = {}
    soon = []
    for lease in leases.live(state, now):
        who, what = lease.claimed_by, str(lease.resource)
        if now - leases.silent_since(state, lease) >= state.rules.quiet_after:
            silent.setdefault(who, []).append(lease)
        elif lease.offered_until is None and lease.expires_at - now <= EXPIRES_SOON:
            text = f"the claim of {who} on {what} expires {lease.expires_at:%H:%M} UTC"
            soon.append(Item("expires_soon", text, (who,), what))
    found = []
    for who, held in sorted(silent.items()):
        heard = max(leases.silent_since(state, lease) for lease in held)
        text = f"{who} holds {_several(held)} and was last heard {heard:%Y-%m-%d %H:%M} UTC"
        found.append(Item("silent_holder", text, (who,), str(held[0].resource)))
    return [*found, *soon]


def _several(held: list[Claim]) -> str:
    """The first leases by name, and how many more there are."""
    more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
    return ", ".join(str(lease.resource) for lease in held[:_NAMED]) + more


def _over(state: State, now: datetime) -> list[Item]:
    """Leases that are over, in one line for each session that had them: they are in nobody's way."""
    had: dict[tuple[str, bool], list[Claim]] = {}
    for lease in leases.over(state, now):
        had.setdefault((lease.claimed_by, leases.is_over(lease, now, state.rules.grace)), []).append(lease)
    found = []
    for (who, free), gone in sorted(had.items())[:_HOLDERS]:
        first = gone[0]
        how = "free to take over" if free else "its grace is running" if len(gone) == 1 else "their grace is running"
        if len(gone) == 1:
            text = f"the claim of {who} on {first.resource} expired {first.expires_at:%Y-%m-%d %H:%M} UTC: {how}"
        else:
            text = f"{len(gone)} claims of {who} have expired, {how}: {_several(gone)}"
        found.append(Item("expired", text, (who,), str(first.resource)))
    if len(had) > _HOLDERS:
        found.append(Item("expired", f"the claims of {len(had) - _HOLDERS} more sessions have expired"))
    return found


def _handed(state: State) -> list[Item]:
    """Handoffs that are meant for a live session that has not taken them, or for a group."""
    found = []
    for offer in sorted(state.handoffs.values(), key=lambda one: one.seq):
        receiver = state.sessions.get(offer.to)
        if offer.status != "open" or not (is_group(offer.to) or (receiver is not None and receiver.live)):
            continue
        people = [one for one in state.sessions.values() if one.live and reaches(offer.to, one)]
        nobody = "" if people else ", and nobody is there who could take it"
        text = f"handoff {offer.seq} of {offer.sender} waits for {offer.to}{nobody}: {offer.about}"
        found.append(Item("handoff", text, (offer.sender, *sorted(one.session_id for one in people[:3]))))
    return found


def _unanswered(state: State, now: datetime, notes: Iterable[Message]) -> list[Item]:
    """Messages to one or to a group that nobody took, and questions that nobody answered, taken or not."""
    found = []
    for message in notes:
        if message.status == "answered" or message.type == requests.REQUEST:  # a request is shown as such, from the first moment
            continue
        question = message.type == records.QUESTION
        patience = timedelta(0) if question else UNANSWERED_AFTER  # who asked may be waiting
        if not patience <= now - message.timestamp <= UNANSWERED_WITHIN:
            continue
        if message.to == TO_ALL or is_group(message.to):
            who = "nobody has" if message.to == TO_ALL else f"nobody of {message.to} has"
            people = (message.sender, *inbox.members(state, message.to, but=message.sender)[:_MEMBERS])
            taken = message.to == TO_ALL or message.status != "pending"
        else:
            receiver = state.sessions.get(message.to)
            if receiver is None or not receiver.live:
                continue
            who, people, taken = f"{message.to} has not", (message.sender, message.to), message.read_at is not None
        if question:
            words = f"{who} answered {message.sender}: {message.subject}"
            found.append(Item("unanswered", words, people, since=message.timestamp))
        elif not taken:
            found.append(Item("unread", f"{who} read {message.sender}: {message.subject}", people, since=message.timestamp))
    return found
