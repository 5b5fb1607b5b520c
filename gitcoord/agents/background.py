"""What is done in the background for the agents whose hooks call here: their messages are taken and laid ready, and what they edit
is claimed, if that is wished, and given back once it is committed.

An agent waits for none of it. What is laid ready is shown by its next hook.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gitcoord.agents import lines
from gitcoord.agents.hook import others
from gitcoord.agents.mailbox import Letter, Mailbox
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.core import guard, leases
from gitcoord.core.guard import Target
from gitcoord.core.leases import AT_ONCE as LEASES
from gitcoord.core.leases import LeaseRef, held_by, held_now
from gitcoord.core.names import Resource, branch_or_none, is_resource_name
from gitcoord.core.overlap import covers
from gitcoord.core.records import Claim
from gitcoord.errors import GitcoordError, Held
from gitcoord.git import changes, discovery
from gitcoord.git.repo import Repository
from gitcoord.log.outcomes import View
from gitcoord.machine import files
from gitcoord.machine.identity import Binding, Identity
from gitcoord.outbox import reading
from gitcoord.settings import Settings
from gitcoord.views import briefing
from gitcoord.views.briefing import BriefedUpTo

_LETTERS = 8  # messages in a mailbox: no more is taken until some are shown
_TTL = 1800  # seconds of a lease that is claimed for an edit
_LOOK = 60.0  # seconds between two looks who will collide
_NONCE = "0" * 32  # the hook that shows it puts its own marks around it
_WAS_DIRTY = "dirty"  # stands for the commit where the file was seen changed: from then on it is over once it is clean


@dataclass(frozen=True)
class Seat:
    """An agent's session in one of the clone's work trees."""

    identity: Identity
    binding: Binding
    mailbox: Mailbox
    git_dir: str


def seats(common_dir: str) -> list[Seat]:
    """Who is to be attended to in this clone: the agents' sessions whose hooks called lately."""
    return [one for one in _all(common_dir) if one.mailbox.is_attended()]


def _all(common_dir: str) -> Iterator[Seat]:
    for git_dir in discovery.git_dirs(common_dir):
        identity = Identity(Path(git_dir))
        for binding in identity.all():
            mailbox = Mailbox.of(identity.own, binding.session)
            if mailbox.exists:
                yield Seat(identity, binding, mailbox, git_dir)


def look_after(coordinator: Coordinator, repo: Repository, settings: Settings) -> tuple[list[GitcoordError], View | None, bool]:
    """Sends what is due, looks at the branch if an agent is there, and attends to each; what stood in the way, the view if there is
    one, and whether an agent is there.
    """
    found = seats(repo.common_dir)
    if settings.touches:
        lines.note(coordinator, repo, [seat.binding.session for seat in found])
    errors, view = coordinator.branch.sync(if_due=True, look=bool(found))
    if view is None:
        return errors, None, bool(found)
    _note_others(repo, view)
    attend(coordinator, repo, settings, found, view)
    foretell(coordinator, repo, found, view)
    return errors, coordinator.log.view(), bool(found)


def _note_others(repo: Repository, view: View) -> None:
    """Note which lines the live sessions have changed, for hooks that can't wait for the branch."""
    beats = [view.state.heartbeats.get(session.session_id) for session in view.state.sessions.live()]
    changes = (
        others.LineChange(beat.session_id, touched.path, touched.lines, f"{touched.since:%H:%M} UTC")
        for beat in beats
        if beat is not None
        for touched in beat.touches
    )
    others.note(files.own(repo.common_dir), changes)


def foretell(coordinator: Coordinator, repo: Repository, found: Sequence[Seat], view: View) -> None:
    """Look once a minute who will collide with each of them, and write it down: what is written is told by its next hook."""
    remote = coordinator.parts.carriers.where if coordinator.parts.carriers is not None else ""
    for seat in found:
        known = view.state.sessions.get(seat.binding.session)
        if known is None or known.run_id != seat.binding.run_id or not files.take_turn(seat.mailbox.folder / "foretold", _LOOK):
            continue
        with suppress(GitcoordError, OSError):
            tree = discovery.work_tree(seat.git_dir) or repo.work_tree
            there = repo if tree == repo.work_tree else Repository.find(tree, repo.environ)
            actor = replace(
                coordinator.actor, session=seat.binding.session, run_id=seat.binding.run_id, agent=seat.binding.agent,
                branch=branch_or_none(there.branch),
            )  # fmt: skip
            own = None if coordinator.parts.edits is None else lines.looking(there, remote)
            acting = coordinator.acting_as(actor, identity=seat.identity, edits=own)
            if acting.foretelling.tell(view, acting.foretelling.look(view)):
                _tell(acting, seat, ())


def attend(coordinator: Coordinator, repo: Repository, settings: Settings, found: Sequence[Seat], view: View) -> None:
    """Attends to each of them, on that view."""
    for seat in found:
        coordinator.notices.clear()
        actor = replace(
            coordinator.actor, session=seat.binding.session, run_id=seat.binding.run_id, agent=seat.binding.agent, heard=True
        )  # fmt: skip
        with suppress(GitcoordError):
            _attend(coordinator.acting_as(actor, identity=seat.identity), repo, settings, seat, view)
        coordinator.notices.clear()


def _attend(coordinator: Coordinator, repo: Repository, settings: Settings, seat: Seat, view: View) -> None:
    known = view.state.sessions.get(seat.binding.session)
    if known is not None and known.live and known.run_id != seat.binding.run_id:
        return  # it goes on elsewhere
    local = seat.binding.session in coordinator.parts.outbox.local_sessions()
    if (known is None and not local) or (known is not None and not known.live):
        if known is not None:
            seat.mailbox.remove()
        return
    seat.mailbox.sweep()
    _collect(coordinator, seat, view)
    coordinator.branch.look_at(coordinator.log.view())  # who was dispossessed is told so
    tree = discovery.work_tree(seat.git_dir) or repo.work_tree
    told = list(coordinator.notices)
    for text in coordinator.branch.ending():
        if not seat.mailbox.told(text):
            seat.mailbox.tell(text)
            told.append(text)
    seat.mailbox.set_claims(on=settings.autoclaim)
    seat.mailbox.set_ready(_ready(coordinator) if settings.pull and not local else 0)
    # A session that may not push can hold nothing, or asks for it by a commit on its branch, which nobody makes behind its back.
    if not local and (seat.mailbox.edits() or seat.mailbox.claimed()):
        there = repo if tree == repo.work_tree else Repository.find(tree, repo.environ)
        told += _claim(coordinator, there, seat)
    _tell(coordinator, seat, told)


def _collect(coordinator: Coordinator, seat: Seat, view: View) -> None:
    """Takes what is unread. A message that is taken and can't be laid in comes again, as one whose reader died."""
    if reading.is_read(seat.mailbox.folder):
        return  # it takes them by itself right now
    lying = seat.mailbox.ids()
    room = _LETTERS - len(lying)
    if room <= 0:
        return
    mail = coordinator.messages.collect(view, lying, limit=room)
    for one in mail.found:
        line = briefing.letter(one, coordinator.speakers.mark(one.seq, one.sender), again=one.id in mail.again)
        seat.mailbox.put(Letter(one.id, one.seq, line, asks=one.asks))


def _tell(coordinator: Coordinator, seat: Seat, told: Sequence[str]) -> None:
    """Lays in what is new: losses first, then what is handed to the session, and claims near its work."""
    state = coordinator.log.view().state
    news = briefing.brief(
        state, seat.binding.session, coordinator.branch.time_now(), nonce=_NONCE, seen=_seen(seat.mailbox, seat.binding),
        only=briefing.CONCERNS, says=coordinator.speakers.mark,
    )  # fmt: skip
    if any(news.counts.values()) or told or news.lines:
        seat.mailbox.put_news(told, news.lines, {"seq": news.seen.seq, "run_id": news.seen.run_id})


def _ready(coordinator: Coordinator) -> int:
    """Return the number of the task that the session could take next; 0 for none, and while it works on one."""
    state = coordinator.log.view().state
    if not state.rules.tasks.open:
        return 0
    standing = next(coordinator.tasks.look(state).in_turn(), None)
    return 0 if standing is None or (standing.mine and not standing.offered) else standing.task.seq


def _seen(mailbox: Mailbox, binding: Binding) -> BriefedUpTo:
    record = mailbox.seen()
    try:
        return BriefedUpTo(int(record["seq"]), str(record["run_id"]))
    except (TypeError, KeyError, ValueError):
        return BriefedUpTo(0, binding.run_id)


# --- what it edits -----------------------------------------------------------------------------------------------------


def _claim(coordinator: Coordinator, repo: Repository, seat: Seat) -> list[str]:
    """Claims what the agent began to edit, in one batch, and gives back what is committed or clean again; what others hold."""
    _give_back(coordinator, repo, seat)
    told = list[str]()
    noted = seat.mailbox.edits()
    notes = [name for name in noted if is_resource_name(name)]
    if notes and seat.mailbox.claims:
        state = coordinator.log.view().state
        now = coordinator.branch.time_now()
        mine = [one.resource for one in held_now(state, coordinator.actor.session, now)]
        wanted = [name for name in notes if not any(covers(one, name, fold=coordinator.branch.folds(state)) for one in mine)][
            :LEASES
        ]
        for _ in range(2):  # a second time without what was claimed by another meanwhile
            taken = _in_the_way(coordinator, wanted)
            told += [f"not claimed for you: {name}: {leases.words(state, lease, now)}" for name, lease in taken.items()]
            wanted = [name for name in wanted if name not in taken]
            if not wanted:
                break
            try:
                given = coordinator.claims.acquire(
                    [Resource("file", name) for name in wanted], ttl_seconds=_TTL, reason="edited by its agent"
                )  # fmt: skip
            except Held:
                coordinator.branch.look_again(coordinator.parts.seconds)
                continue
            commit = repo.head().commit
            seat.mailbox.note_claimed({one.entry: commit for one in given.claims})
            break
    for path in noted.values():  # those that were looked at, and no later one
        path.unlink(missing_ok=True)
    return told


def _in_the_way(coordinator: Coordinator, names: Sequence[str]) -> dict[str, Claim]:
    state = coordinator.log.view().state
    targets = [Target(name) for name in names]
    found = guard.in_the_way(
        state.claims.values(),
        targets,
        session=coordinator.actor.session,
        now=coordinator.branch.time_now(),
        grace=state.rules.grace,
        fold=coordinator.branch.folds(state),
    )
    return {target.path: lease for lease, hit in found for target in hit}


def _give_back(coordinator: Coordinator, repo: Repository, seat: Seat) -> None:
    """Gives back the leases that were claimed for edits which are over: the file is as in the newest commit again.

    One whose edit hasn't shown yet is kept: it was claimed before the agent wrote.
    """
    mine = seat.mailbox.claimed()
    if not mine:
        return
    head = repo.head().commit
    dirty = changes.dirty(repo, [LeaseRef.parse(one).resource.path for one in mine])
    held = {one.entry for one in held_by(coordinator.log.view().state, coordinator.actor.session)}
    kept, over = dict[str, str](), list[str]()
    for entry, commit in mine.items():
        if entry not in held:
            continue
        if LeaseRef.parse(entry).resource.path in dirty:
            kept[entry] = _WAS_DIRTY
        elif commit in {head, ""}:
            kept[entry] = commit
        else:
            over.append(entry)
    if over:
        coordinator.claims.give_back(over)
    seat.mailbox.note_claimed(kept, over=[entry for entry in mine if entry not in kept])
