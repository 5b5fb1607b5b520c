"""What `--json` prints for each command, as JSON schemas: docs/reference/schemas is written from here.

The records of the branch (sessions, leases, messages, ...) are the program's own models. What stands around them is written here
once, since the program makes it without a model; that it is true is shown by the examples of the reference, each of which must fit
its schema, with no key missing and none left over.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from gitcoord.core.records import Claim, Handoff, Heartbeat, Message, Session, Task, TaskCounts, TaskResult, Ticket
from gitcoord.githooks.folder import Hook
from gitcoord.setup.checks.finding import Finding
from gitcoord.setup.steps import InstallLine
from gitcoord.views.attention import Item

State = Annotated[
    Literal["committed", "queued", "unchanged"],
    Field(description="committed: it is on the branch; queued: it waits on this machine; unchanged: nothing had to be done."),
]
Seq = Annotated[int | None, Field(description="The number of the event; null while it waits on this machine.")]
Commit = Annotated[str | None, Field(description="The commit on the branch; null while it waits on this machine.")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="RFC 3339, UTC.")]
Unverified = Annotated[bool, Field(description="True if the history is not checked yet: the branch's tip may lie.")]


# --- parts -------------------------------------------------------------------------------------------------------------


class Receipt(TypedDict):
    """What came of a command that writes."""

    state: State
    id: Annotated[str, Field(description='The id of the operation; "" where nothing had to be done.')]
    seq: Seq
    commit: Commit


class Lease(TypedDict):
    """A lease, in short."""

    resource_type: str
    resource_name: str
    repo: Annotated[str | None, Field(description="The repository of a hub that the file lies in.")]
    claimed_by: str
    fence: int
    expires_at: Time


class InTheWay(Lease):
    """A lease that is in the way, or a place in line before this session's (its `fence` is 0)."""

    mode: Literal["exclusive", "shared"]
    phase: str | None
    why: Annotated[str | None, Field(description="The reason that its holder gave.")]
    reason: Annotated[str, Field(description="Why it is in the way.")]
    last_heard: Time | None
    doing: Annotated[str | None, Field(description="What its holder said last of what it does.")]


ABSENT = "(absent)"
"""The default of a field that a record which is printed may lack."""


class Speaker(TypedDict):
    """Who really said it, where there is something to say; see the page about signing."""

    signature: Literal["verified", "unsigned", "unknown", "unread", "wrong"]
    by: Annotated[str | None, Field(description="Whom the key stands for, or the key.")]
    why: Annotated[str | None, Field(description="What is wrong.")]
    pushed_by: Annotated[str | None, Field(description="The e-mail address, if it isn't that of the session's name.")]


class ClaimInStatus(Claim):
    """A lease of the branch."""

    speaker: Speaker = cast(Speaker, ABSENT)


class SessionShown(Session):
    """A session of the branch."""

    quiet: Annotated[bool, Field(description="It was silent for `quiet_after`.")]


class SessionInStatus(SessionShown):
    """A session of the branch, with what it does."""

    heartbeat: Heartbeat | None
    speaker: Speaker = cast(Speaker, ABSENT)


class MessageShown(Message):
    """A message of the branch."""

    redelivered: Annotated[bool, Field(description="It was taken before, and perhaps never shown.")]
    speaker: Speaker = cast(Speaker, ABSENT)


class MessageSent(MessageShown):
    """A message, as its sender sees it."""

    read_by: list[str]


MessageAnnounced = TypedDict("MessageAnnounced", {"id": str, "seq": int, "from": str, "type": str, "subject": str})


class TicketShown(Ticket):
    """A place in line."""

    place: Annotated[int, Field(description="1 is next.")]


class TicketInStatus(TicketShown):
    """A session that waits for a claim."""

    waiting_for: Literal["claim"]


class WaitsFor(TypedDict):
    """A session that waits for something else than a claim."""

    session_id: str
    waiting_for: str | None


class HandoffShown(Handoff):
    """A handoff of the branch."""

    for_me: Annotated[bool, Field(description="This session may take it.")]
    mine: Annotated[bool, Field(description="It was offered to this session.")]


class Touched(TypedDict):
    """A commit of the file by another session while it was held."""

    session: str
    seq: int


class Holding(TypedDict):
    """A lease of the past, or one that lasts."""

    session: str
    run_id: str
    resource: str
    overlapping: Annotated[bool, Field(description="It is on something that overlaps what was asked for.")]
    fence: int
    mode: Literal["exclusive", "shared"]
    phase: str | None
    reason: str | None
    granted_at: Time
    expires_at: Time
    ended_at: Time | None
    seconds: int
    renewals: int
    how: Annotated[
        Literal[
            "released", "expired", "session_ended", "taken_over", "handed_over", "broken", "superseded", "abandoned", "given_up"
        ]
        | None,
        Field(description="How it ended; null while it lasts."),
    ]
    by: str | None
    why: Literal["expired", "ended", "stale"] | None
    done: str | None
    tests: str | None
    next: str | None
    commits: list[str]
    touched: list[Touched]


class Waited(TypedDict):
    """A place in line of the past, or one that lasts."""

    session: str
    run_id: str
    resources: list[str]
    seq: int
    mode: Literal["exclusive", "shared"]
    phase: str | None
    reason: str | None
    since: Time
    until: Time | None
    how: str | None


class Problem(TypedDict):
    """A commit that is ignored, a tree that differs, or an event that somebody else seems to have made."""

    commit: str
    reason: str
    effect: str


class AgentFile(TypedDict):
    """A file of a coding agent."""

    agent: str
    scope: Literal["project", "user"]
    path: str
    state: str
    change: str
    note: str


class Kept(TypedDict):
    """A lease that `run` holds or held."""

    resource_type: str
    resource_name: str
    fence: int
    held_before: bool


class GuardedLease(InTheWay):
    """A lease of another on files that were asked about."""

    paths: list[str]
    new: Annotated[bool, Field(description="None of these files is there yet.")]


class LostLease(TypedDict):
    """A lease that is over, under which commits were made."""

    fence: int
    resource_type: str
    resource_name: str
    commits: list[str]


class Part(TypedDict):
    """A line of the demo."""

    kind: str
    text: str


class Aside(TypedDict):
    """An event that a service refused."""

    to: str
    seq: int
    why: str


# --- answers -------------------------------------------------------------------------------------------------------------


class Start(TypedDict):
    """start"""

    session_id: str
    run_id: str
    seq: Seq
    state: Literal["committed", "queued", "local"]
    handoffs: Annotated[list[Handoff], Field(description="Open ones that it could take.")]


class WhoAmI(TypedDict):
    """whoami"""

    session_id: str
    run_id: str
    seq: Seq
    state: Literal["committed", "queued", "local"]
    status: str | None


class Peers(TypedDict):
    """peers"""

    sessions: list[SessionShown]


class Held(TypedDict):
    """claim: it is held"""

    outcome: Literal["held"]
    claims: list[Lease]
    blocked_by: list[InTheWay]
    place: None
    commit: Commit
    seq: Seq
    id: NotRequired[str]


class NotHeld(TypedDict):
    """claim: it is not held"""

    outcome: Literal["blocked", "waiting", "unknown", "failed"]
    claims: list[Lease]
    blocked_by: list[InTheWay]
    place: Annotated[int | None, Field(description="The place in line.")]
    commit: None
    seq: None
    error: str
    exit_code: int
    message: str
    hint: str
    reason: NotRequired[str]
    cycle: NotRequired[Annotated[list[str], Field(description="The sessions that would wait for each other.")]]


class NotRun(NotHeld):
    """run: it is not held, or there is no such command; on standard output"""

    started: Literal[False]


class Released(Receipt):
    """release"""

    released: list[str]


class Claims(TypedDict):
    """claims"""

    claims: list[Claim]
    over: Annotated[list[Claim], Field(description="Leases that are over, and that nobody has taken.")]
    waiting: list[TicketShown]
    ready: list[Handoff]
    unverified: NotRequired[Unverified]


class Check(TypedDict):
    """check"""

    outcome: Literal["held", "free"]
    claims: list[Lease]
    blocked_by: list[InTheWay]


class Ran(TypedDict):
    """run, on standard error"""

    outcome: Literal["done", "lost", "failed"]
    started: bool
    exit_code: int
    command_exit_code: int | None
    claims: list[Kept]
    lost: list[Kept]
    held_by: list[Lease]
    released: list[Kept]
    state: str


class Requested(Receipt):
    """request"""

    asked: list[str]
    denied: list[str]


class Responded(Receipt):
    """respond"""

    answer: Literal["approve", "deny", "share"]
    asker: str
    offered: bool


class Mail(TypedDict):
    """inbox, listen"""

    messages: list[MessageSent | MessageShown]
    more: Annotated[int, Field(description="How many more are unread.")]
    origin: NotRequired[Annotated[str, Field(description="For coding agents: that others wrote the texts.")]]
    unverified: NotRequired[Unverified]


class Announced(TypedDict):
    """listen --announce"""

    messages: list[MessageAnnounced]


class Asked(Mail):
    """ask"""

    id: str
    seq: Seq


class Replied(Receipt):
    """reply; `messages` and `more` with --wait"""

    messages: NotRequired[list[MessageShown]]
    more: NotRequired[int]
    origin: NotRequired[str]


class Offered(TypedDict):
    """handoff"""

    state: State
    id: str
    seq: Seq
    commit: Annotated[str | None, Field(description="The commit of the code, not of the branch `coordination`.")]
    branch: str | None
    to: str
    resources: list[str]


class Handoffs(TypedDict):
    """handoffs"""

    handoffs: list[HandoffShown]


class Taken(Receipt):
    """take"""

    handoff: Handoff
    claims: list[Lease]
    blocked_by: list[InTheWay]


class PlaceTaken(Receipt):
    """take --from"""

    previous: str
    claims: list[Lease]
    handoffs: list[Handoff]
    questions: list[MessageShown]


class TaskStands(TypedDict):
    """A task, and how it stands for this session."""

    id: str
    seq: Annotated[int, Field(description="Its number: #42.")]
    title: str
    status: Literal["open", "done", "dropped"]
    ready: Annotated[bool, Field(description="This session could work on it now, or does.")]
    held_by: Annotated[str | None, Field(description="The session that works on it.")]
    blocked_by: Annotated[list[int], Field(description="The open tasks that must be done first.")]
    needs: list[int]
    files: list[str]
    phase: str | None
    phases: Annotated[list[str], Field(description="The phases that are left, each with `@` and a receiver if it has one.")]
    for_: Annotated[str | None, Field(alias="for")]
    priority: int
    key: str | None
    parent: int | None
    why: Annotated[str, Field(description='Why it is not ready; "" if it is, or is closed.')]


class TaskEnded(TypedDict):
    """What came of a task."""

    done_by: str | None
    done_at: Time | None
    note: str | None
    result: TaskResult | None


class OpenTask(TaskStands):
    """An open task in a list."""


class ClosedTask(TaskStands, TaskEnded):
    """A closed task in a list."""


class TaskBefore(TaskEnded):
    """A task that another one needs."""

    seq: int
    title: str
    status: Literal["open", "done", "dropped"]


class TaskShown(Task):
    """All of a task."""

    ready: bool
    held_by: str | None
    blocked_by: list[int]
    why: str
    results: Annotated[list[TaskBefore], Field(description="What came of the tasks that it needs.")]


class TaskList(TypedDict):
    """tasks"""

    tasks: list[OpenTask | ClosedTask]
    counts: TaskCounts
    unverified: NotRequired[Unverified]


class TaskTree(TypedDict):
    """tasks --tree"""

    tasks: list[OpenTask]
    critical: Annotated[list[int], Field(description="The longest way of tasks that wait for each other.")]
    unverified: NotRequired[Unverified]


class LeftOut(TypedDict):
    """A ready task that shares a file with another one."""

    seq: int
    shares_with: int


class TaskWave(TypedDict):
    """tasks --plan"""

    tasks: list[OpenTask]
    left: list[LeftOut]
    unverified: NotRequired[Unverified]


class TaskSaid(TypedDict):
    """task edit, task reopen"""

    state: State
    id: str
    seq: Annotated[int | None, Field(description="The task's number; null of a new one while it waits on this machine.")]
    commit: Commit
    event: Seq


class TaskClosedNow(TaskSaid):
    """task done, task drop"""

    status: Literal["open", "done", "dropped"]
    phase: str | None
    released: list[str]


class TaskPage(TypedDict):
    """task show"""

    task: TaskShown


class TasksImported(Receipt):
    """task import"""

    added: int
    known: Annotated[int, Field(description="How many were there already.")]
    seqs: list[int]


class TaskToCome(TypedDict):
    """A task of a list."""

    title: str
    key: str


class TasksToImport(TypedDict):
    """task import --dry-run"""

    added: int
    known: int
    tasks: list[TaskToCome]


class NextTaken(Receipt):
    """next"""

    outcome: Literal["held"]
    task: TaskShown
    claims: list[Lease]


class NextShown(TypedDict):
    """next --peek"""

    outcome: Literal["ready"]
    task: TaskShown
    claims: list[Lease]


class WhyNot(TypedDict):
    """Why a task is not ready."""

    seq: int
    title: str
    reason: str
    blocked_by: list[int]
    held_by: str | None
    for_: Annotated[str | None, Field(alias="for")]
    files: list[str]
    holders: Annotated[list[str], Field(description="The sessions that hold its files.")]


class NothingNext(TypedDict):
    """next, if no task is ready"""

    outcome: Literal["nothing", "unknown"]
    task: None
    claims: list[Lease]
    why: list[WhyNot]
    error: str
    exit_code: int
    message: str
    hint: str


class LandingBranch(TypedDict):
    """A branch that is about to land."""

    session: str
    branch: str
    commit: str


class TrialShown(TypedDict):
    """What came of a trial."""

    outcome: Literal["green", "red", "base_red"]
    id: str
    seq: Seq
    session_id: Annotated[str, Field(description="The session that held it.")]
    timestamp: Time
    repo: Annotated[str | None, Field(description="The repository of a hub that it was held in.")]
    onto: Annotated[str, Field(description="The default branch.")]
    base: Annotated[str, Field(description="The newest commit of that branch.")]
    incoming: Annotated[list[LandingBranch], Field(description="The branches that were merged, in that order.")]
    left_out: Annotated[list[LandingBranch], Field(description="The branches that conflict with those before them.")]
    program: Annotated[str, Field(description="The name of the command, without its arguments.")]
    digest: str
    exit_code: int
    base_exit: Annotated[int, Field(description="What the command ended with on the default branch alone; 0 unless that is red.")]
    seconds: int
    runs: Annotated[int, Field(description="How often the command was run.")]
    culprits: Annotated[list[LandingBranch], Field(description="Those that are red together.")]


class TrialConflict(TypedDict):
    """A branch that can't be merged. `with`: the branch that it conflicts with; null for the default branch."""

    session: str
    branch: str
    commit: str
    with_: Annotated[LandingBranch | None, Field(alias="with")]
    files: list[str]


class TrialHeld(TrialShown):
    """trial"""

    conflicts: list[TrialConflict]
    not_pushed: Annotated[list[str], Field(description="Branches of live sessions that the remote doesn't have.")]
    on_default: Annotated[list[str], Field(description="Sessions that have named no branch but the default one.")]
    known: Annotated[bool, Field(description="The branch knew it already: nothing was run.")]
    state: State
    commit: Commit


class NothingTried(TypedDict):
    """trial, if there is nothing that can be merged"""

    outcome: Literal["nothing", "conflict"]
    onto: str
    base: str
    conflicts: list[TrialConflict]
    not_pushed: list[str]
    on_default: list[str]
    incoming: list[LandingBranch]
    culprits: list[LandingBranch]
    known: bool


class HasLanded(TypedDict):
    """land"""

    outcome: Literal["landed", "there", "red", "conflict"]
    onto: str
    session: str
    branch: str
    commit: Annotated[str, Field(description="What was to land.")]
    before: Annotated[str, Field(description="Where the default branch was.")]
    now: Annotated[str, Field(description="Where it is.")]
    pushed: Annotated[str | None, Field(description="What was pushed; null if nothing was, or by your own command.")]
    trial: TrialShown | None
    known: bool
    files: Annotated[list[str], Field(description="The files in which it conflicts.")]
    released: list[str]


class CollisionPlace(TypedDict):
    """A file in which two collide."""

    path: str
    lines: Annotated[str | None, Field(description="12-40,88, in lines of the commit that both come from; null: the whole file.")]


class CollisionShown(TypedDict):
    """Two sessions that collide, or one and the default branch."""

    kind: Literal["certain", "likely", "near"]
    with_: Annotated[str | None, Field(alias="with", description="The other session; null for the default branch.")]
    sessions: list[str]
    branch: Annotated[str | None, Field(description="The default branch; null for two sessions.")]
    files: list[CollisionPlace]
    commits: list[str]
    uncommitted: bool
    since: Time | None


class Conflicts(TypedDict):
    """conflicts"""

    conflicts: list[CollisionShown]
    unknown: Annotated[list[str], Field(description="What could not be told, and why.")]
    brief: NotRequired[Annotated[str, Field(description="With --brief: the text.")]]


class ForetoldPlace(TypedDict):
    """A file in which two will collide."""

    path: str
    lines: str


class ForetoldShown(TypedDict):
    """What was foretold of two sessions, or of one and the default branch."""

    id: str
    seq: Seq
    sessions: list[str]
    kind: Literal["certain", "likely"]
    commits: list[str]
    branch: str | None
    files: list[ForetoldPlace]
    foretold_at: Time
    foretold_by: str


class TaskSums(TypedDict):
    """All tasks at a glance."""

    done: int
    total: int
    in_work: int
    ready: Annotated[int, Field(description="Also those that only wait for a file.")]
    blocked: int


class Status(TypedDict):
    """status"""

    as_of: Time
    tip: Annotated[str, Field(description="The newest commit of the branch.")]
    seq: int
    fetched: Annotated[bool, Field(description="False if the remote was not asked, or was away.")]
    sessions: list[SessionInStatus]
    claims: list[ClaimInStatus]
    over: list[Claim]
    waiting: list[TicketInStatus | WaitsFor]
    tasks: TaskSums
    trials: list[TrialShown]
    conflicts: list[ForetoldShown]
    handoffs: list[Handoff]
    messages: list[MessageShown]
    notices: list[MessageShown]
    attention: list[Item]
    unverified: NotRequired[Unverified]


class Board(TypedDict):
    """board"""

    board: str
    unverified: NotRequired[Unverified]


class BoardWritten(TypedDict):
    """board --output"""

    output: str
    bytes: int
    unverified: NotRequired[Unverified]


class PageWritten(TypedDict):
    """page"""

    output: str
    bytes: int
    events: Annotated[int, Field(description="How many events are in the page.")]
    total: Annotated[int, Field(description="How many there are on the branch.")]
    first: Annotated[int, Field(description="The first event that is in the page.")]


class Moment(TypedDict):
    at: Time | None
    seq: int | None


class StayInPicture(TypedDict):
    session: str
    began: Moment
    ended: Moment
    how: str | None
    work: str | None
    branch: str | None
    done: list[str]


class ClaimInPicture(TypedDict):
    session: str
    resource: str
    began: Moment
    until: Annotated[Time, Field(description="When its time is over, or was.")]
    ended_by: Annotated[int | None, Field(description="The event that took it away.")]
    how: str | None
    by: str | None


class WaitInPicture(TypedDict):
    session: str
    resources: list[str]
    began: Moment
    until: Time
    ended_by: int | None
    how: str | None
    behind: Annotated[list[str], Field(description="Who held it when the wait began.")]


class MessageInPicture(TypedDict):
    id: str
    seq: int
    at: Time
    sender: Annotated[str, Field(alias="from")]
    to: str
    type: str
    subject: str
    thread: Annotated[int, Field(description="The event of the thread's first message.")]
    asks: bool
    answered_by: int | None


class PassInPicture(TypedDict):
    id: str
    sender: Annotated[str, Field(alias="from")]
    to: str
    about: str
    offered: Moment
    taken: Moment
    by: str | None


class Picture(TypedDict):
    """timeline"""

    as_of: Time
    total: Annotated[int, Field(description="How many events there are on the branch.")]
    first: Annotated[int, Field(description="The first event that is in the picture.")]
    sessions: list[StayInPicture]
    claims: list[ClaimInPicture]
    waits: list[WaitInPicture]
    messages: list[MessageInPicture]
    handoffs: list[PassInPicture]


class PictureWritten(TypedDict):
    """timeline --svg"""

    output: str
    bytes: int


class PageServed(TypedDict):
    """page --serve"""

    url: Annotated[str, Field(description="Whoever has it can read, and with --write also write.")]
    port: int
    session: Annotated[str | None, Field(description="As whom it writes; null where it only reads.")]


class Briefing(TypedDict):
    """briefing"""

    session_id: str | None
    seq: int
    read_at: Time | None
    new: bool
    counts: dict[str, int]
    text: str
    unverified: NotRequired[Unverified]


class LogEntry(TypedDict):
    """A line of log --follow"""

    commit: str
    at: Time
    seq: Annotated[int | None, Field(description="Null for a commit that is ignored.")]
    session: str
    event: str | None
    subject: str
    ignored: Annotated[str | None, Field(description="Why the commit is ignored.")]
    resources: list[str]
    id: str | None
    data: Annotated[dict[str, Any], Field(description="What this kind of event says; see the protocol.")]
    speaker: NotRequired[Speaker]


class Log(TypedDict):
    """log"""

    events: list[LogEntry]
    earlier: Annotated[int, Field(description="How many earlier ones are not listed.")]
    began: Annotated[int, Field(description="The first event that can be read here: 1, if no archive is missing.")]


class Denied(TypedDict):
    """What was refused to a session on this machine."""

    at: Time
    session: str
    asked: Annotated[str, Field(description="The kind of command.")]
    resources: list[str]
    error: str
    exit_code: int
    message: str
    hint: str


class LogRefused(TypedDict):
    """log --refused"""

    refused: list[Denied]
    earlier: Annotated[int, Field(description="How many earlier ones are not listed.")]


class TaskReported(TypedDict):
    """A task that a session closed or passed on."""

    seq: int
    title: str
    status: str


class CommitReported(TypedDict):
    """A commit that hooks told of."""

    commit: str
    subject: str


class WorkReported(TypedDict):
    """What a session did."""

    session_id: str
    state: str
    started_at: Time | None
    ended_at: Time | None
    last_heard: Time
    events: int
    done: list[str]
    tasks: list[TaskReported]
    commits: list[CommitReported]
    files: list[str]
    claims: int
    held_seconds: int
    waits: list[Waited]
    gave: list[str]
    took: list[str]
    questions: int
    answers: int


class Reported(TypedDict):
    """report"""

    since: Time
    until: Time
    totals: dict[str, int]
    sessions: list[WorkReported]


class GapTold(TypedDict):
    """A time in which nobody held it; without an end if that lasts."""

    since: Time
    until: Time | None


class UnclaimedTold(TypedDict):
    """Work on a file by a session that had no claim on it."""

    session: str
    at: Time
    seq: int
    paths: list[str]
    commit: str | None


class ClaimThen(TypedDict):
    """The lease under which a commit was made."""

    resource: str
    fence: int
    granted_at: Time
    ended_at: Time | None
    phase: str | None
    reason: str | None


class BlamedLines(TypedDict):
    """Lines of a file that come from one commit; null where they are not committed yet."""

    first: int
    last: int
    commit: str | None
    made_at: Time | None
    author: str | None
    subject: str | None
    session: Annotated[str | None, Field(description="Whose the commit is; null where that isn't known.")]
    by: Annotated[Literal["trailers", "hooks", "time"] | None, Field(description="How that is known.")]
    claim: ClaimThen | None
    task: int | None
    holders: Annotated[list[str], Field(description="Who else held the file then.")]


class FileBlame(TypedDict):
    """blame"""

    path: str
    held_by: list[str]
    lines: list[BlamedLines]


class History(TypedDict):
    """history"""

    resource_type: str
    resource_name: str
    as_of: Time
    earlier: int
    began: Annotated[int, Field(description="The first event that can be read here: 1, if no archive is missing.")]
    leases: list[Holding]
    waits: list[Waited]
    gaps: list[GapTold]
    unclaimed: list[UnclaimedTold]


class Verify(TypedDict):
    """verify"""

    commits: int
    events: int
    ok: bool
    problems: list[Problem]
    tip: str
    began: Annotated[int, Field(description="The first event that was replayed: with --full 1, if no archive is missing.")]
    resumed: NotRequired[Annotated[int, Field(description="The event behind which it went on, where an earlier one was stopped.")]]
    signatures: NotRequired[Annotated[dict[str, int], Field(description="With --signatures: how many events of each kind.")]]


class Trusted(TypedDict):
    """A key that you trust."""

    principals: Annotated[list[str], Field(description="For whom it speaks.")]
    key: str
    authority: Annotated[bool, Field(description="It certifies others' keys.")]
    valid_after: Time | None
    valid_before: Time | None


class TrustAdded(TypedDict):
    """trust add KEY"""

    trusted: list[Trusted]


class PersonAdded(TypedDict):
    """trust add, without a key"""

    people: list[list[str]]


class TrustRemoved(TypedDict):
    """trust remove"""

    removed: Annotated[list[str], Field(description="The lines that are gone, or changed.")]


class TrustList(TypedDict):
    """trust list"""

    trusted: list[Trusted]
    people: list[list[str]]
    faults: Annotated[list[str], Field(description="Why lines can't be used.")]
    file: str


class TrustImported(TypedDict):
    """trust import"""

    trusted: list[Trusted]
    added: int
    faults: list[str]


class Served(TypedDict):
    """serve-policy install"""

    path: Annotated[str, Field(description="The hook.")]
    state: Literal["absent", "installed", "edited", "foreign", "shadowed"]
    change: Literal["none", "installed", "updated", "restored", "removed"]
    kept: Annotated[str | None, Field(description="The hook that was there before; it runs behind ours.")]
    ref: Annotated[str, Field(description="The branch that it is for.")]
    events: Annotated[int, Field(description="How many are checked.")]
    signed: bool
    ownkey: bool
    keepleases: bool


class StatusLine(TypedDict):
    """statusline"""

    session_id: str | None
    held: list[str]
    waiting: Annotated[list[str], Field(description="Sessions that wait for this one.")]
    unread: int
    questions: int
    age: Annotated[int | None, Field(description="Seconds since the branch was read.")]
    local: Annotated[bool, Field(description="Nobody sees the session, since the remote refuses what it pushes.")]


class Init(Receipt):
    """init"""

    branch: str
    repo: str | None


class Removed(TypedDict):
    """init --remove"""

    removed: list[str]


class Install(TypedDict):
    """install"""

    found: dict[str, str]
    plan: list[InstallLine]
    done: list[str]
    findings: list[Finding]


class Uninstall(TypedDict):
    """uninstall"""

    plan: list[InstallLine]
    done: list[str]


class Hooks(TypedDict):
    """hooks install, hooks uninstall, hooks status"""

    hooks: list[Hook]
    agents: list[AgentFile]


class SettingList(TypedDict):
    """config"""

    settings: dict[str, Any]


class Setting(TypedDict):
    """config KEY, config KEY VALUE"""

    key: str
    value: Any


class SettingChanged(Receipt):
    """config --shared KEY VALUE"""

    key: str
    value: str


class Sync(TypedDict):
    """sync"""

    unsent: int
    tip: str | None
    seq: int | None
    as_of: Time | None
    adopted: Annotated[int, Field(description="Carried commands of other sessions that are on the branch now.")]


class Compacted(TypedDict):
    """compact"""

    state: Literal["committed"]
    epoch: Annotated[int, Field(description="The number of the epoch that begins.")]
    seq: Annotated[int, Field(description="The number of its first event.")]
    commit: str
    events: Annotated[int, Field(description="How many events are in the archive.")]
    archive: Annotated[str, Field(description="The ref on the remote that holds them.")]


class Doctor(TypedDict):
    """doctor"""

    ok: bool
    findings: list[Finding]


class Guard(TypedDict):
    """guard"""

    outcome: Literal["allowed", "warned", "blocked", "off"]
    mode: Literal["warn", "ask", "block", "off"] | None
    blocked_by: list[GuardedLease]
    lost: list[LostLease]
    view_age: Annotated[float | None, Field(description="Seconds since the branch was read.")]
    unconfirmed: str | None
    message: NotRequired[str]
    error: NotRequired[str]
    exit_code: NotRequired[int]
    hint: NotRequired[str]


class Demo(TypedDict):
    """demo"""

    story: list[Part]


class Relay(TypedDict):
    """relay"""

    outcome: Literal["done", "nothing", "elsewhere", "stopped"]
    sent: dict[str, int]
    brought: int
    aside: list[Aside]


@with_config(ConfigDict(extra="allow"))
class Error(TypedDict):
    """Any command that fails; some errors have more keys."""

    error: str
    exit_code: int
    message: str
    hint: str
    blocked_by: NotRequired[list[InTheWay]]


ANSWERS: dict[str, Any] = {
    "ask": Asked, "blame": FileBlame, "board": Board | BoardWritten, "briefing": Briefing, "check": Check,
    "claim": Held | NotHeld | Claims,
    "claims": Claims, "compact": Compacted, "config": SettingChanged | SettingList | Setting,
    "conflicts": Conflicts, "demo": Demo, "doctor": Doctor, "end": Receipt,
    "guard": Guard, "handoff": Offered, "handoffs": Handoffs, "heartbeat": Receipt, "history": History,
    "hooks install": Hooks, "hooks status": Hooks, "hooks uninstall": Hooks, "inbox": Mail, "init": Init | Removed,
    "install": Install, "land": HasLanded, "listen": Mail | Announced, "log": Log | LogEntry | LogRefused,
    "next": NextTaken | NextShown | NothingNext, "page": PageWritten | PageServed,
    "peers": Peers, "relay": Relay, "release": Released,
    "renew": Held, "reply": Replied, "report": Reported,
    "request": Requested, "respond": Responded, "run": Ran | NotRun, "send": Receipt, "serve-policy install": Served,
    "start": Start, "status": Status, "statusline": StatusLine, "sync": Sync, "take": Taken | PlaceTaken, "task add": TaskSaid,
    "task done": TaskClosedNow, "task drop": TaskClosedNow, "task edit": TaskSaid, "task import": TasksImported | TasksToImport,
    "task reopen": TaskSaid, "timeline": Picture | PictureWritten, "task show": TaskPage,
    "tasks": TaskList | TaskTree | TaskWave,
    "trial": TrialHeld | NothingTried,
    "trust add": TrustAdded | PersonAdded, "trust import": TrustImported, "trust list": TrustList, "trust remove": TrustRemoved,
    "uninstall": Uninstall,
    "verify": Verify, "whoami": WhoAmI, "error": Error,
}  # fmt: skip
"""The answer of each command, by its name; `mcp` has none. Every command may give an `error` instead."""


class _Printed(GenerateJsonSchema):
    """What is printed: a record has all of its fields, and needs no titles."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Return True for every field of a model; what may be absent says so itself."""
        if field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return field["schema"].get("default") != ABSENT


def schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of a command's answer."""
    made = TypeAdapter(ANSWERS[name]).json_schema(mode="serialization", schema_generator=_Printed)
    title = "An error" if name == "error" else f"gitcoord {name} --json"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **_plain(made)}


def _plain(value: Any) -> Any:
    """Return the schema without what repeats names, without defaults, and open to keys that a later version adds."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _plain(one)
        for key, one in value.items()
        if not (key == "title" and isinstance(one, str))
        and key != "default"
        and not (key == "additionalProperties" and isinstance(one, bool))
    }
    kinds = kept.get("anyOf")
    if kinds and all(one.keys() == {"type"} for one in kinds):
        kept = {"type": [one["type"] for one in kinds], **{key: one for key, one in kept.items() if key != "anyOf"}}
    return kept


def strict(value: Any) -> Any:
    """Return a schema that takes no key beside its own, for whoever must notice one that the schema lacks."""
    if isinstance(value, list):
        return [strict(one) for one in value]
    if not isinstance(value, dict):
        return value
    closed = {"additionalProperties": False} if isinstance(value.get("properties"), dict) else {}
    return {**{key: strict(one) for key, one in value.items()}, **closed}


def keys(name: str) -> list[str]:
    """Return the keys of a command's answer, of all its forms, in their order."""
    made = schema(name)
    forms = [made["$defs"][one["$ref"].rpartition("/")[2]] for one in made.get("anyOf", ())] or [made]
    return list(dict.fromkeys(key for form in forms for key in form["properties"]))
