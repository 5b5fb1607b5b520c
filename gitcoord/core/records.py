"""The three kinds of value that go round: commands (asked), events (happened), records (the state after them).

All are frozen and parsed once at the border. A record keeps fields it doesn't know, so that an older program rewrites a
newer one's record without loss. A command does not: a program must not flush what it can't fully read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gitcoord.core import addresses, names, touches, values
from gitcoord.core.entries import LeaseRef
from gitcoord.core.names import Resource
from gitcoord.core.times import Instant


def _checked(test: Callable[[str], bool], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not test(value):
            raise ValueError(f"not {what}")
        return value

    return AfterValidator(check)


SessionName = Annotated[str, _checked(names.is_session_name, "a session name")]
ResourceType = Annotated[str, _checked(names.is_resource_type, "a resource type")]
ResourceText = Annotated[str, AfterValidator(lambda value: str(names.Resource.read(value)))]
Line = Annotated[str, _checked(names.is_line, "one line")]
Lines = Annotated[tuple[Line, ...], Field(max_length=64)]
Subject = Annotated[str, _checked(lambda value: names.is_line(value, names.SUBJECT_LIMIT), "one line of at most 200 characters")]
Text = Annotated[str, _checked(names.is_text, "a text of at most 64 KB")]
Id = Annotated[str, _checked(names.is_id, "an id")]
OperationId = Annotated[str, _checked(lambda value: names.is_id(value) and len(value) <= names.OWN_ID, "an operation's id")]
RunId = Annotated[str, _checked(lambda value: not value or names.is_id(value), "a run")]
Count = Annotated[int, Field(ge=0, le=values.WHOLE_LIMIT)]
Word = Annotated[str, _checked(values.is_word, "a word of the protocol")]
CodeBranch = Annotated[str, _checked(names.is_code_branch, "a branch that git takes")]
RepoName = Annotated[str, _checked(names.is_repo, "a repository's name")]
CommitId = Annotated[str, _checked(values.is_oid, "a commit's full name")]
Detail = Annotated[str, _checked(names.is_detail, "a detail of the form key=value")]
TouchEntry = Annotated[str, _checked(touches.is_touch, "a file and its lines")]
IgnoredEntry = Annotated[str, _checked(names.is_ignored, "a commit's full name and one plain line")]
Digest = Annotated[str, _checked(values.is_digest, "a digest")]
Asked = Annotated[str, _checked(lambda value: not value or values.is_digest(value), "the digest of a request")]
"""The digest of a request (`digest`); "" where the operation's id is unique by itself."""


def _bounded(entries: tuple[str, ...]) -> tuple[str, ...]:
    if not touches.are_bounded(entries):
        raise ValueError("more than one event may say of lines")
    return entries


Touches = Annotated[tuple[TouchEntry, ...], AfterValidator(_bounded)]
"""Which lines of which files a session has changed, as an event says it."""


class Record(BaseModel):
    """A file on the branch: JSON, its fields in the order of the class, unknown ones kept behind them."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True, populate_by_name=True)


ENDED = frozenset({"completed", "abandoned"})


QUESTION = "question"


NOTICE = "notice"


ASKING = frozenset({QUESTION, "release_request"})  # types that somebody has to answer


FORMAT = 1
"""The format major that this program reads and writes."""


ClaimKey = tuple[str, str, str]
"""Resource type, resource name, and the holder of a shared lease ("" for an exclusive one)."""


Mode = Literal["exclusive", "shared"]


GuardMode = Literal["warn", "ask", "block", "off"]
"""What the guard does about a file that another holds."""


CarryFrom = Annotated[str, _checked(names.are_branch_folders, "folders of branches, such as claude/*")]
"""The branches whose commits may carry commands: everything below one of these folders."""


Web = Annotated[str, _checked(names.is_web, "where a known host shows a repository")]
"""`github.com/acme/app`: the board's links lead there. `none`: it has none."""


class Session(Record):
    """`sessions/<session>.json`."""

    session_id: SessionName
    run_id: str = ""
    start_seq: int = 0
    started_at: Instant
    status: str = "active"
    waiting_for: str | None = None
    current_work: str | None = None
    phase: str | None = None
    progress: str | None = None
    capabilities: tuple[str, ...] = ()
    role: str | None = None
    agent: str | None = None
    repo: str | None = None
    branch: str | None = None
    host: str | None = None
    last_heartbeat: Instant
    worked_seq: int = 0
    read_seq: int = 0
    read_beyond: tuple[int, ...] = ()
    taken: tuple[str, ...] = ()
    taken_at: tuple[Instant, ...] = ()
    ended_at: Instant | None = None
    total_duration: str | None = None
    work_completed: tuple[str, ...] = ()
    handoff_notes: str | None = None
    superseded_by: str | None = None
    carried: str | None = None
    carried_op: str | None = None

    @property
    def live(self) -> bool:
        """Whether it hasn't ended."""
        return self.status not in ENDED


class Claim(Record):
    """`claims/<type>-<name>.claim`: one lease."""

    claimed_by: SessionName
    run_id: str = ""
    claimed_at: Instant
    resource_type: ResourceType
    resource_name: str
    repo: str | None = None  # the repository of a file, where several share the branch: its name says it too
    mode: Mode = "exclusive"
    phase: str | None = None
    reason: str | None = None
    estimated_duration: str | None = None
    ttl_seconds: int
    renewed_at: Instant
    expires_at: Instant
    fence: int
    offered_until: Instant | None = None
    allow_coordination: bool = True

    @property
    def resource(self) -> Resource:
        """What is held."""
        return names.resource_named(self.resource_type, self.resource_name)

    @property
    def entry(self) -> str:
        """As events name it: `42 file:a`."""
        return str(LeaseRef(self.fence, self.resource))

    @property
    def key(self) -> ClaimKey:
        """Its place in the state."""
        return (self.resource_type, self.resource_name, self.claimed_by if self.mode == "shared" else "")


class Ticket(Record):
    """`waiting/<seq>.json`: a place in line. Good until `until`; `any_of`: one of the resources is enough."""

    id: str
    seq: int
    session_id: SessionName
    run_id: str = ""
    resources: tuple[ResourceText, ...]
    mode: Mode = "exclusive"
    until: Instant
    since: Instant
    any_of: bool = False
    ttl_seconds: int
    phase: str | None = None
    reason: str | None = None
    estimated_duration: str | None = None
    allow_coordination: bool = True

    @property
    def wanted(self) -> tuple[Resource, ...]:
        """What it is waited for."""
        return tuple(names.resource_of(text) for text in self.resources)


class Message(Record):
    """`messages/…/<id>.json`."""

    id: str
    seq: int
    sender: SessionName = Field(alias="from")
    to: str
    timestamp: Instant
    type: str = "note"
    subject: str = ""
    message: str = ""
    details: dict[str, str] = Field(default_factory=dict)
    in_reply_to: str | None = None
    thread: str | None = None
    priority: str = "normal"
    status: str = "pending"
    read_at: Instant | None = None
    expires_at: Instant | None = None

    @property
    def asks(self) -> bool:
        """Whether somebody has to answer it, and nobody did."""
        return self.type in ASKING and self.status != "answered"

    @property
    def pinned(self) -> bool:
        """Whether it is a notice with an end: kept, shown, and given to who starts later, until then."""
        return self.type == NOTICE and self.expires_at is not None

    @property
    def waits(self) -> bool:
        """Whether something is still to be done about it: it is asked, pinned, or nobody took it. One to all waits for nobody."""
        if self.asks or self.pinned:
            return True
        if self.to == addresses.TO_ALL:
            return False
        return self.status == "pending" if addresses.is_group(self.to) else self.read_at is None

    def is_over(self, now: datetime) -> bool:
        """Whether its time is past: it is not delivered, and nobody owes an answer."""
        return self.expires_at is not None and self.expires_at <= now


class Handoff(Record):
    """`handoffs/<id>.json`. `to` is a session, a group or `anyone`; `status` is open or taken.

    `by_claim`: a release left it, and whoever claims one of its resources takes it.
    """

    id: str
    seq: int
    sender: SessionName = Field(alias="from")
    to: str
    timestamp: Instant
    resources: tuple[str, ...] = ()
    phase: str | None = None
    branch: str | None = None
    commit: str | None = None
    done: str | None = None
    next: str | None = None
    blockers: str | None = None
    tests: str | None = None
    files: tuple[str, ...] = ()
    notes: str | None = None
    status: str = "open"
    taken_by: str | None = None
    taken_at: Instant | None = None
    by_claim: bool = False

    @property
    def about(self) -> str:
        """What it is about, in a line: what comes next, else what was done, else its notes, else what it names."""
        for text in (self.next, self.done, self.notes, ", ".join(self.resources)):
            line = names.first_line(text or "")
            if line:
                return line
        return "work"


TaskStatus = Literal["open", "done", "dropped"]

TaskSeq = Annotated[int, Field(ge=1, le=values.WHOLE_LIMIT)]
"""A task's number: the first task of a branch is 1."""

Priority = Annotated[int, Field(ge=0, le=4)]
"""How urgent a task is: 0 is the most urgent."""


class Proof(BaseModel):
    """The command that shows that a task is done: how it ended, on which commit, and how long it ran."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    command: str
    exit_code: int
    commit: str | None = None
    seconds: int = 0


class TaskResult(BaseModel):
    """The worker of a task, or of its last phase, tells by this what came of it."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    commit: str | None = None
    branch: str | None = None
    tests: str | None = None
    proof: Proof | None = None


class Task(Record):
    """A task: `tasks/open/…`, or `tasks/closed/…` when it is done or dropped.

    - `needs`: the tasks that must be done before it.
    - `to` (`for`): a session or a group; None: anyone.
    - `phase`, `phases`: the phase that it is in, and those that are left, each with its receiver (`BUILD@role:coder`).
    - `parent`: the larger task of which it is a part; `parts`: how many of its own parts are open.
    - `result`, `note`, `done_by`, `done_at`: of its closing, or of the last phase that was done.
    """

    id: str
    seq: TaskSeq
    title: str
    body: str | None = None
    status: TaskStatus = "open"
    priority: Priority = 2
    needs: tuple[TaskSeq, ...] = ()
    files: tuple[ResourceText, ...] = ()
    to: str | None = Field(default=None, alias="for")
    phase: str | None = None
    phases: tuple[str, ...] = ()
    parent: TaskSeq | None = None
    parts: int = 0
    found_in: TaskSeq | None = None
    key: str | None = None
    repo: str | None = None
    created_by: SessionName
    created_at: Instant
    result: TaskResult | None = None
    done_by: str | None = None
    done_at: Instant | None = None
    note: str | None = None

    @property
    def is_open(self) -> bool:
        """Return True if there is still something to do."""
        return self.status == "open"


class TaskKey(Record):
    """`tasks/keys/…`: the task that stands for a thing elsewhere. It stays for ever, so that nothing is added twice."""

    key: str
    seq: TaskSeq


class TaskCounts(BaseModel):
    """Counts the tasks that were ever added to the branch, and those of them that are done or dropped."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    added: int = 0
    done: int = 0
    dropped: int = 0

    @property
    def open(self) -> int:
        """Return how many there are to do."""
        return self.added - self.done - self.dropped


class TouchedFile(BaseModel):
    """A file that a session has changed: where, in lines of the commit that it began from, and since when (see `touches`)."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    path: str
    lines: str
    since: Instant

    @property
    def touch(self) -> touches.Touch:
        """Return it as a touch."""
        return touches.Touch.parse(f"{self.path}:{self.lines}")


class Trial(Record):
    """`trials/<seq>.json`: branches that were about to land, merged, and what came of a command there. The newest few are kept.

    `incoming`, `left_out` and `culprits` name branches as `core/landing` spells them, in the order in which they were merged.
    """

    id: Id
    seq: Count
    session_id: SessionName
    timestamp: Instant
    repo: str | None = None  # where several repositories share the branch: which one it was
    onto: str
    base: str
    incoming: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    program: str
    digest: str
    exit_code: int = 0
    base_exit: int = 0
    seconds: int = 0
    runs: int = 0
    culprits: tuple[str, ...] = ()

    @property
    def green(self) -> bool:
        """Return True if the command succeeded on all of them together."""
        return self.exit_code == 0


class Heartbeat(Record):
    """`heartbeats/<session>.json`: the newest one; the earlier ones are the history.

    `base`: the commit of the default branch that the work began from; `touches`: what was changed since, in its lines. `timestamp`
    and `worked_seq` go for the session's record, too, where that one's are older: so a heartbeat leaves it as it is.
    """

    session_id: SessionName
    timestamp: Instant
    action: str | None = None
    target: str | None = None
    phase: str | None = None
    files_touched: tuple[str, ...] = ()
    progress: str | None = None
    next_action: str | None = None
    estimated_completion: Instant | None = None
    branch: str | None = None
    commit: str | None = None
    blocked_by: str | None = None
    base: str | None = None
    touches: tuple[TouchedFile, ...] = ()
    worked_seq: int = 0


class ForetoldFile(BaseModel):
    """A file in which two sessions will collide, and where, in lines of the commit that both come from ("": not told)."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    path: str
    lines: str = ""


class Foretold(Record):
    """`conflicts/<session>+<session>.json`: two sessions that will collide; with one session, it and the default branch (`branch`).

    `commits`: where the two were; `foretold_by`: the session whose machine looked.
    """

    id: str
    seq: int
    sessions: tuple[SessionName, ...]
    kind: Literal["certain", "likely"]
    commits: tuple[str, ...]
    branch: str | None = None
    files: tuple[ForetoldFile, ...] = ()
    foretold_at: Instant
    foretold_by: SessionName

    @property
    def key(self) -> str:
        """Its place in the state: no session's name holds a plus."""
        return "+".join(self.sessions)


class Ignored(BaseModel):
    """A bad commit that a later good one passed over: which, why, and the seq of the good one."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    commit: str
    reason: str
    seq: int


class SharedSettings(BaseModel):
    """What all sessions of a branch share; durations in seconds. Defaults from protocol, sections 7 and 8."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    default_ttl: Annotated[int, Field(ge=300, le=10 * 365 * 86400)] = 3600
    max_ttl: Annotated[int, Field(ge=300, le=10 * 365 * 86400)] = 24 * 3600
    grace: Annotated[int, Field(ge=1, le=3600)] = 60
    takeover_after: Annotated[int, Field(ge=60, le=10 * 365 * 86400)] = 30 * 60
    quiet_after: Annotated[int, Field(ge=60, le=10 * 365 * 86400)] = 15 * 60
    retention: Annotated[int, Field(ge=3600, le=10 * 365 * 86400)] = 14 * 86400
    epoch_keep: Annotated[int, Field(ge=86400, le=10 * 365 * 86400)] = 30 * 86400
    heartbeat_every: Annotated[int, Field(ge=1, le=86400)] = 60
    heartbeat_share: Annotated[int, Field(ge=0, le=3600)] = 12
    skip_ci: bool = True
    ignorecase: bool = False  # whether some repository can't tell capital from small letters: then nobody's claims do
    guard: GuardMode = "warn"
    talk_limit: Annotated[int, Field(ge=0, le=1000)] = 12
    web: Web = "none"
    carry: bool = False
    carry_from: CarryFrom = "claude/* copilot/* codex/*"
    capacities: dict[str, Annotated[int, Field(ge=1, le=1000)]] = {}

    def capacity(self, resource: Resource) -> int:
        """How many sessions may hold it at once: by its name, else by its type; 0 where that isn't said (one, or all shared)."""
        return self.capacities.get(str(resource)) or self.capacities.get(resource.type, 0)


class BranchRecord(Record):
    """`gitcoord.json`."""

    format: int = FORMAT
    format_used: int = FORMAT
    opened_at: Instant | None = None
    settings: SharedSettings = Field(default_factory=SharedSettings)
    ignored: tuple[Ignored, ...] = ()
    repositories: dict[str, str] = Field(default_factory=dict)  # of a hub: the first commit of each, by its name
    tasks: TaskCounts = Field(default_factory=TaskCounts)
    epoch: Count = 1
    began: Count = 1  # the number of this epoch's first event
    kept_since: Instant | None = None  # what was over before that lies in an archive

    @property
    def grace(self) -> timedelta:
        """How far two clocks may differ."""
        return timedelta(seconds=self.settings.grace)

    @property
    def takeover_after(self) -> timedelta:
        """How long a holder must be silent before `--if-stale` takes over."""
        return timedelta(seconds=self.settings.takeover_after)

    @property
    def quiet_after(self) -> timedelta:
        """After how much silence a session is shown as quiet."""
        return timedelta(seconds=self.settings.quiet_after)

    @property
    def folding(self) -> BranchRecord:
        """The same where capital and small letters name one file."""
        return self.model_copy(update={"settings": self.settings.model_copy(update={"ignorecase": True})})

    @property
    def retention(self) -> timedelta:
        """How long what is over stays in the tree (it stays in the history for ever)."""
        return timedelta(seconds=self.settings.retention)
