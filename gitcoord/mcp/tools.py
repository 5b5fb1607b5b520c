"""The tools: each parses what it was given, makes one call of the coordinator, and says what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from time import monotonic
from typing import Any

from gitcoord.connection.connect import Connection, utc_now
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.unread import TakenMail
from gitcoord.core import leases, messages, names, queue, readiness
from gitcoord.core.inbox import unread as unread_of
from gitcoord.core.names import Resource, branch_or_none, counted
from gitcoord.core.overlap import overlaps
from gitcoord.core.sessions import standing
from gitcoord.core.times import parse_duration, parse_when, spell
from gitcoord.core.values import oid_or_none
from gitcoord.errors import BadInput, GitcoordError, Held, NotInTime
from gitcoord.mcp import answers, schemas
from gitcoord.mcp import handoff as handoff_tools
from gitcoord.mcp import tasks as task_tools
from gitcoord.mcp.answers import ToolAnswer
from gitcoord.views import as_json, collisions, speakers

_LISTED = 50  # entries of each list in a status: what an agent can bear
_SAID = 10  # of them in its words
_AGAIN = "make the same call again to go on waiting"


@dataclass(frozen=True)
class Delivered:
    """Messages that an answer holds, by their ids, and what notes that they were shown."""

    keys: tuple[str, ...]
    note: Callable[[], None]


@dataclass(frozen=True)
class At:
    """Where a call is carried out: the connection, where the caller stands below the root, and until when it may wait."""

    found: Connection
    place: str
    until: float
    is_gone: Callable[[], bool] = lambda: False
    """Whether the caller has given up."""
    give: Callable[[Delivered], None] = lambda given: given.note()
    """Takes what is given with the answer, to be noted once that is out."""

    @property
    def coordinator(self) -> Coordinator:
        """The coordinator."""
        return self.found.coordinator

    def patience(self, wished: float | None) -> float:
        """Seconds that the call may wait, of those wished for (None: as long as it may)."""
        left = max(0.0, self.until - monotonic())
        return left if wished is None else min(left, wished)

    def shown(self, mail: TakenMail) -> None:
        """Notes that these were shown, once they are; what nobody hears any more is not, and comes again."""
        keys = tuple(one.id for one in mail.found)
        if keys and not self.is_gone():
            outbox, session = self.found.outbox, self.coordinator.actor.session
            self.coordinator.messages.glance()
            self.give(Delivered(keys, lambda: outbox.show(session, keys)))

    def resources(self, given: Sequence[str]) -> list[Resource]:
        """The resources of those names."""
        here, root = self.found.below(self.place)
        repo = self.coordinator.actor.namespace
        return list(dict.fromkeys(self._slashed(one) or names.parse_named(one, root=root, here=here, repo=repo) for one in given))

    def _slashed(self, word: str) -> Resource | None:
        """The resource in `TYPE/NAME`, where no folder here is called so and the branch knows that type."""
        meant = names.in_slashes(word)
        if meant is None or os.path.lexists(os.path.join(self.place, meant.type)):
            return None
        return meant if self.coordinator.claims.knows_type_of(meant) else None


@dataclass(frozen=True)
class Tool:
    """A tool: its name, when to use it, what it takes and gives, and how. `writes`: whether it may change the branch."""

    name: str
    title: str
    use: str
    takes: type[schemas.Given]
    gives: type[schemas.Told]
    run: Callable[[At, Any], ToolAnswer]
    writes: bool = True
    repeatable: bool = False


def status(at: At, given: schemas.StatusGiven) -> ToolAnswer:
    """Who is there, who holds what."""
    now = at.coordinator.speakers.status()
    says = at.coordinator.speakers
    state, me = now.state, at.coordinator.actor.session
    about = at.resources(given.about or [])
    everyone = sorted((one for one in state.sessions.values() if one.live), key=lambda one: (one.start_seq, one.session_id))
    claims = sorted(leases.live(state, now.as_of), key=lambda one: (one.claimed_by != me, one.resource, one.fence))
    claims = [one for one in claims if not about or any(overlaps(one.resource, other) for other in about)]
    line = queue.line(state, now.as_of)
    unread = unread_of(state, me, now.as_of) if me else []
    kinds: dict[str, Sized] = {
        "sessions": everyone, "claims": claims, "waiting": line, "messages": unread, "attention": now.attention,
    }  # fmt: skip
    sizes = {key: len(found) for key, found in kinds.items()}
    record = {
        "origin": answers.ORIGIN,
        "as_of": spell(now.as_of),
        "tip": now.tip,
        "sessions": [
            {
                **{key: answers.record(one)[key] for key in ("session_id", "status", "current_work", "phase", "progress", "role")},
                "branch": one.branch,
                "quiet": standing(one, now.as_of, state.rules.quiet_after) == "quiet",
                "last_heartbeat": spell(one.last_heartbeat),
                **speakers.record(says.of_session(one)),
            }
            for one in everyone[:_LISTED]
        ],
        "claims": [answers.lease(one, full=True) for one in claims[:_LISTED]],
        "waiting": [
            {
                "session_id": one.session_id, "resources": list(one.resources), "mode": one.mode,
                "place": queue.number(state, one, now.as_of),
            }
            for one in line[:_LISTED]
        ],
        "messages": [
            {
                "seq": one.seq, "from": one.sender, "type": one.type, "subject": one.subject,
                **says.record(one.seq, one.sender),
            }
            for one in unread[:_LISTED]
        ],
        "attention": [as_json.item(one) for one in now.attention[:_LISTED]],
        "more": {key: size - _LISTED for key, size in sizes.items() if size > _LISTED},
    }  # fmt: skip
    plan = readiness.overview(state, now.as_of)
    record["tasks"] = as_json.sums(plan)
    mine = sum(1 for one in leases.live(state, now.as_of) if one.claimed_by == me)
    ours = [
        f"you are {me}, with {counted(mine, 'claim')} and {counted(len(unread), 'unread message')}"
        if me
        else "you have no session yet"
    ]
    if now.read_at is None:
        ours.append(f"as known at {spell(state.at)} (event {now.seq})")
    ours += [f"tasks: {plan.words()}"] if plan.total else []
    ours += [f"{size - _SAID} more {key}: in the structured answer" for key, size in sizes.items() if size > _SAID]
    others = [f"needs attention: {item.text}" for item in now.attention[:_SAID]]
    others += [
        f"session {speakers.marked(one.session_id, speakers.mark(one.session_id, says.of_session(one)))}"
        f" ({standing(one, now.as_of, state.rules.quiet_after)})"
        + (f": {names.show(one.current_work, 100)}" if one.current_work else "")
        for one in everyone[:_SAID]
    ]
    others += [
        f"claim {one.resource}: {one.claimed_by} until {spell(one.expires_at)} (fence {one.fence})" for one in claims[:_SAID]
    ]
    others += [
        f"unread #{one.seq} from {speakers.marked(one.sender, says.mark(one.seq, one.sender))}: {names.show(one.subject, 100)}"
        for one in unread[:_SAID]
    ]
    return ToolAnswer(record, ours, others)


def claim(at: At, given: schemas.ClaimGiven) -> ToolAnswer:
    """Holds, or stands in line."""
    ttl = int(parse_duration(given.ttl).total_seconds()) if given.ttl else None
    try:
        found = at.coordinator.claims.acquire(
            at.resources(given.resources), wait=at.patience(given.wait_seconds) if given.wait_seconds else None, mode=given.mode,
            any_of=given.any_of, ttl_seconds=ttl, phase=given.phase, reason=given.reason, if_stale=given.if_stale,
        )  # fmt: skip
    except GitcoordError as error:
        empty: dict[str, Any] = {
            "claims": [],
            "blocked_by": [],
            "place": None,
            "commit": None,
            "seq": None,
            "origin": answers.ORIGIN,
        }
        if isinstance(error, NotInTime) and error.data.get("outcome") == "waiting":
            return ToolAnswer({**empty, **error.data}, [f"waiting: {names.show(error.message, 1000)}", _AGAIN])
        outcome = {Held.exit_code: "blocked", 5: "unknown"}.get(error.exit_code, "failed")
        return answers.failure(error, below=bool(at.found.below(at.place)[0]), **{**empty, "outcome": outcome})
    taken = [f"took over: {entry}" for entry in found.taken]
    record = {
        "outcome": "held", "claims": [answers.lease(one) for one in found.claims], "blocked_by": [], "place": None,
        "commit": found.receipt.commit or None, "seq": found.receipt.seq or None, "id": found.receipt.id,
    }  # fmt: skip
    return ToolAnswer(record, [*taken, *answers.held(found.claims)])


def release(at: At, given: schemas.ReleaseGiven) -> ToolAnswer:
    """Gives back, or ends."""
    if given.end_session:
        return _end(at, given)
    if bool(given.resources) == given.all:
        raise BadInput("say which resources, or all: true", hint="release with resources, or with all")
    told: dict[str, Any] = {"done": given.done, "tests": given.tests, "next_phase": given.next_phase}
    told["to"] = given.to
    if given.done is not None or given.next_phase:
        head = at.found.repo.head()
        told |= {"branch": branch_or_none(head.branch), "commit": oid_or_none(head.commit)}
    receipt, freed, left = at.coordinator.claims.release(at.resources(given.resources) if given.resources else None, **told)
    what = [entry.split(" ", 1)[1] for entry in freed]
    lines = [answers.sent(receipt, f"released: {one}") for one in what]
    lines = [*lines, *(f"gave up the place in line: {one}" for one in left)] or ["nothing was held"]
    return ToolAnswer({**answers.receipt(receipt), "released": what}, lines)


def _end(at: At, given: schemas.ReleaseGiven) -> ToolAnswer:
    name = at.coordinator.sessions.ensure().session
    receipt = at.coordinator.sessions.end([line for line in (given.done or "").splitlines() if line.strip()], None)
    return ToolAnswer(
        {**answers.receipt(receipt), "released": []}, [answers.sent(receipt, f"session {name} ended; what it held is free")]
    )


def send(at: At, given: schemas.SendGiven) -> ToolAnswer:
    """Sends, or answers."""
    coordinator = at.coordinator
    coordinator.sessions.ensure()
    if given.answer is not None:
        if given.reply_to is None:
            raise BadInput("an answer to a request needs reply_to: the request's id or number", hint="inbox shows them")
        receipt, event = coordinator.claims.respond(coordinator.messages.id_of(given.reply_to), given.answer, given.message)
        offered = f" and offered to {event.asker}" if event.offered else ""
        said = {"approve": f"{event.resource} is given up", "share": f"{event.resource} is held shared now"}
        line = said[given.answer] + offered if given.answer in said else f"denied; {event.asker} is told"
        return ToolAnswer(
            {**answers.receipt(receipt), "asker": event.asker, "offered": event.offered}, [answers.sent(receipt, line)]
        )
    if given.to is None and (given.reply_to is not None or given.type == "answer"):
        receipt, _ = coordinator.messages.reply(
            coordinator.messages.id_of(given.reply_to, any_receiver=True) if given.reply_to else None, _whole(given)
        )
        return ToolAnswer(answers.receipt(receipt), [answers.sent(receipt, "answered")])
    if given.to is None:
        raise BadInput("to whom? a session, role:R, cap:C, repo:NAME, or broadcast", hint="status shows the sessions")
    receipt = coordinator.messages.send(
        given.to, given.subject, given.message, type=given.type, priority="urgent" if given.urgent else "normal",
        in_reply_to=coordinator.messages.id_of(given.reply_to, any_receiver=True) if given.reply_to else None,
    )  # fmt: skip
    return ToolAnswer(
        answers.receipt(receipt), [answers.sent(receipt, f"sent to {'all' if given.to == messages.TO_ALL else given.to}")]
    )


def _whole(given: schemas.SendGiven) -> str:
    return f"{given.subject}\n{given.message}" if given.subject else given.message


def inbox(at: At, given: schemas.InboxGiven) -> ToolAnswer:
    """Reads what is unread."""
    at.coordinator.sessions.ensure()
    wait = at.patience(given.wait_seconds) if given.wait_seconds else None
    sender, kind = given.sender, given.type
    try:
        mail = at.coordinator.messages.inbox(peek=given.peek, wait=wait, limit=given.limit, sender=sender, kind=kind)
    except NotInTime as error:
        if "messages" not in error.data:
            raise
        return ToolAnswer({"outcome": "waiting", "messages": [], "more": 0}, ["no message came yet", _AGAIN])
    outcome = "messages" if mail.found else "none"
    record = {"outcome": outcome, "messages": _whole_mail(at, mail), "more": mail.more, "origin": answers.ORIGIN}
    ours = [counted(len(mail.found), "message") if mail.found else "no unread messages"]
    ours += [f"{mail.more} more are unread: call inbox again"] if mail.more else []
    if not given.peek:
        at.shown(mail)
    return ToolAnswer(record, ours, _lines(at, mail))


def _whole_mail(at: At, mail: TakenMail) -> list[dict[str, Any]]:
    says = at.coordinator.speakers
    return [{**answers.message(one, again=one.id in mail.again), **says.record(one.seq, one.sender)} for one in mail.found]


def _lines(at: At, mail: TakenMail) -> list[str]:
    mark = at.coordinator.speakers.mark
    return [line for one in mail.found for line in answers.told(one, mark(one.seq, one.sender), again=one.id in mail.again)]


def ask(at: At, given: schemas.AskGiven) -> ToolAnswer:
    """Asks a session and waits, or asks whoever holds something."""
    coordinator = at.coordinator
    coordinator.sessions.ensure()
    if (given.to is None) == (given.resource is None):
        raise BadInput("ask a session (to), or whoever holds something (resource)", hint="status shows both")
    if given.resource is not None:
        [wanted] = at.resources([given.resource])
        receipt, asked, denied = coordinator.claims.request(wanted, given.question)
        if not asked:
            raise Held(
                f"{', '.join(denied)} takes no requests for {names.show(str(wanted), 80)}", hint="claim it with wait_seconds"
            )
        lines = [f"asked {name} for {wanted}; the answer comes to your inbox" for name in asked]
        return ToolAnswer({"outcome": "asked", "messages": [], "id": receipt.id, "seq": receipt.seq or None}, lines)
    to = given.to or ""
    try:
        receipt, mail = coordinator.messages.ask_on(to, given.question, seconds=at.patience(given.wait_seconds))
    except NotInTime as error:
        if "messages" not in error.data:
            raise
        key = str(error.data.get("id", ""))
        if at.found.outbox.is_queued(key):
            ours = ["the remote is away: the question is queued and is sent later by itself; the answer comes to your inbox"]
            return ToolAnswer({"outcome": "queued", "messages": [], "id": key, "seq": None}, ours)
        ours = [
            f"no answer from {names.show(to, 100)} yet; the question stays open",
            _AGAIN,
            "or do something else: inbox has it later",
        ]
        return ToolAnswer({"outcome": "waiting", "messages": [], "id": key, "seq": None}, ours)
    at.shown(mail)
    record = {"outcome": "answered", "messages": _whole_mail(at, mail), "id": receipt.id, "seq": receipt.seq or None}
    return ToolAnswer({**record, "origin": answers.ORIGIN}, ["answered"], _lines(at, mail))


def heartbeat(at: At, given: schemas.HeartbeatGiven) -> ToolAnswer:
    """Says what the session does."""
    files = at.resources([f"file:{path}" for path in given.files or []])
    receipt = at.coordinator.sessions.heartbeat(
        action=given.action, target=given.target, phase=given.phase, progress=given.progress, next_action=given.next_action,
        blocked_by=given.blocked_by, files_touched=tuple(one.name for one in files),
        estimated_completion=parse_when(given.eta, now=utc_now(), ahead=True) if given.eta else None,
    )  # fmt: skip
    return ToolAnswer(answers.receipt(receipt), [answers.sent(receipt, "said")])


def handoff(at: At, given: schemas.HandoffGiven) -> ToolAnswer:
    """Hands work over."""
    chosen = None if given.resources is None else at.resources(given.resources)
    return handoff_tools.carry_out(at.found, given, chosen)


def take_next(at: At, given: schemas.NextGiven) -> ToolAnswer:
    """Takes the next task."""
    return task_tools.take(at.found, given, at.patience(given.wait_seconds) if given.wait_seconds else None)


def tasks(at: At, given: schemas.TasksGiven) -> ToolAnswer:
    """Lists tasks, adds them, says what came of them."""
    return task_tools.carry_out(at.found, given, at.resources(given.files or []))


def conflicts(at: At, given: schemas.ConflictsGiven) -> ToolAnswer:
    """Says who will collide."""
    coordinator = at.coordinator
    view = coordinator.branch.view()
    only = names.parse_session(given.session) if given.session else ""
    looked = coordinator.foretelling.look(view, only=only, everyone=given.everyone)
    me = coordinator.actor.session
    if coordinator.actor.run_id:
        coordinator.foretelling.tell(view, looked)
    lines = [f"{one.kind}: {collisions.line(one, me)}" for one in looked.collisions[:_LISTED]]
    record = {
        "conflicts": [as_json.collision(one, me) for one in looked.collisions[:_LISTED]], "unknown": list(looked.unknown),
        "origin": answers.ORIGIN,
    }  # fmt: skip
    ours = [f"{len(looked.collisions)} found"] if lines else ["nothing collides, as far as can be told"]
    return ToolAnswer(record, [*ours, *looked.unknown], lines)


EVERY = (
    Tool(
        "status", "Who does what",
        "Who works here, holds what and waits; your unread messages; what needs attention. Look before you begin work.",
        schemas.StatusGiven, schemas.StatusTold, status, writes=False, repeatable=True,
    ),
    Tool(
        "claim", "Claim or renew",
        "Hold files, folders or named things before you change them, or renew; others are refused. If another holds it you are "
        "told who and until when: do other work, ask, or set wait_seconds.",
        schemas.ClaimGiven, schemas.ClaimTold, claim, repeatable=True,
    ),
    Tool(
        "release", "Give back, or end",
        "Give back what you hold once you are done with it, and say what you finished; end_session when your work is over.",
        schemas.ReleaseGiven, schemas.ReleaseTold, release, repeatable=True,
    ),
    Tool(
        "send", "Send or answer",
        "Tell others what concerns them, or answer a question or request of your inbox (reply_to).",
        schemas.SendGiven, schemas.DoneTold, send,
    ),
    Tool(
        "inbox", "Read messages",
        "Read your unread messages, each once, between steps of your work; answer questions with send.",
        schemas.InboxGiven, schemas.MailTold, inbox,
    ),
    Tool(
        "ask", "Ask and wait",
        "Ask a session and wait. If no answer came in time, the same call goes on waiting and doesn't ask again.",
        schemas.AskGiven, schemas.AskTold, ask,
    ),
    Tool(
        "heartbeat", "Say what you do",
        "Say what you do when that changes, or what blocks you; renews your claims.",
        schemas.HeartbeatGiven, schemas.DoneTold, heartbeat,
    ),
    Tool(
        "handoff", "Hand work over",
        "Offer work that you don't finish, with your claims; take what was offered; or list it.",
        schemas.HandoffGiven, schemas.HandoffTold, handoff,
    ),
    Tool(
        "next", "Take the next task",
        "Take the first task that is ready for you, with its files; nobody else gets it. For when you look for work.",
        schemas.NextGiven, schemas.NextTold, take_next,
    ),
    Tool(
        "tasks", "Tasks",
        "What there is to do: list, show, add what you find, or say that your task is done.",
        schemas.TasksGiven, schemas.TasksTold, tasks,
    ),
    Tool(
        "conflicts", "Who will collide",
        "Whose changes conflict with yours, pushed or not, and in which lines. Look before you push; ask who goes first.",
        schemas.ConflictsGiven, schemas.ConflictsTold, conflicts, repeatable=True,
    ),
)  # fmt: skip

TOOLS = {one.name: one for one in EVERY}
