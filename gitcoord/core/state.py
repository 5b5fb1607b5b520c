"""The state after an event: tables of records, never changed in place. `log/` may fill a table lazily from the tree.

`touched` names what the last event changed, so that writing a commit costs what changed and not what is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitcoord.core.records import ClaimKey
from gitcoord.core.tables import Mail, Roll, Table, TaskTable

if TYPE_CHECKING:
    from gitcoord.core.records import (
        BranchRecord,
        Claim,
        Foretold,
        Handoff,
        Heartbeat,
        Message,
        Session,
        SharedSettings,
        Task,
        TaskKey,
        Ticket,
        Trial,
    )


def _table() -> Table[Any, Any]:
    return Table({})


def _mail() -> Mail:
    return Mail({})


def _roll() -> Roll:
    return Roll({})


def _plan() -> TaskTable:
    return TaskTable({})


@dataclass(frozen=True)
class State:
    """Everything that is live on the branch after one event. `seq` 0: before the first."""

    seq: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)  # a constant, not a call per instance
    branch: BranchRecord | None = None
    sessions: Roll = field(default_factory=_roll)
    heartbeats: Table[str, Heartbeat] = field(default_factory=_table)
    claims: Table[ClaimKey, Claim] = field(default_factory=_table)
    waiting: Table[int, Ticket] = field(default_factory=_table)
    messages: Mail = field(default_factory=_mail)
    handoffs: Table[str, Handoff] = field(default_factory=_table)
    tasks: TaskTable = field(default_factory=_plan)
    task_keys: Table[str, TaskKey] = field(default_factory=_table)
    trials: Table[int, Trial] = field(default_factory=_table)
    conflicts: Table[str, Foretold] = field(default_factory=_table)
    touched: Mapping[str, frozenset[Any]] = field(default_factory=dict)

    @property
    def rules(self) -> BranchRecord:
        """The branch's record with its shared settings; the defaults before there is one."""
        from gitcoord.core.records import BranchRecord

        return self.branch or BranchRecord()

    def folding(self) -> State:
        """The same where capital and small letters name one file."""
        return replace(self, branch=self.branch.folding) if self.branch is not None else self


TABLES = ("sessions", "heartbeats", "claims", "waiting", "messages", "handoffs", "tasks", "task_keys", "trials", "conflicts")


class Draft:
    """A state in the making: what `evolve` writes to."""

    def __init__(self, state: State) -> None:
        self.before = state
        self.branch: BranchRecord | None = state.branch
        self._changes: dict[str, dict[Any, Any]] = defaultdict(dict)

    @property
    def rules(self) -> SharedSettings:
        """The shared settings as they stand."""
        from gitcoord.core.records import SharedSettings

        return self.branch.settings if self.branch else SharedSettings()

    def fold(self) -> None:
        """From here on capital and small letters name one file, for all: some repository said that it can't tell them apart."""
        if self.branch is not None:
            self.branch = self.branch.folding

    def _get(self, table: str, key: Any) -> Any:
        changes = self._changes[table]
        return changes[key] if key in changes else getattr(self.before, table).get(key)

    def session(self, name: str) -> Session | None:
        """The session's record as it stands."""
        found: Session | None = self._get("sessions", name)
        return found

    def heartbeat(self, name: str) -> Heartbeat | None:
        """The session's newest heartbeat."""
        found: Heartbeat | None = self._get("heartbeats", name)
        return found

    def open_branch(self, branch: BranchRecord) -> None:
        """Put the branch's record in its place."""
        self.branch = branch

    def change_branch(self, **fields: object) -> None:
        """Change those fields of the branch's record; nothing where there is none yet."""
        if self.branch is not None:
            self.branch = self.branch.model_copy(update=fields)

    def claim(self, key: ClaimKey) -> Claim | None:
        """The lease under that key."""
        found: Claim | None = self._get("claims", key)
        return found

    def message(self, key: str) -> Message | None:
        """The message with that id."""
        found: Message | None = self._get("messages", key)
        return found

    def handoff(self, key: str) -> Handoff | None:
        """The handoff with that id."""
        found: Handoff | None = self._get("handoffs", key)
        return found

    def task(self, seq: int) -> Task | None:
        """The task with that number."""
        found: Task | None = self._get("tasks", seq)
        return found

    def put(self, table: str, key: Any, record: Any) -> None:
        """Puts a record; None takes it out."""
        self._changes[table][key] = record

    def claims(self) -> dict[ClaimKey, Claim]:
        """All leases as they stand."""
        merged: dict[ClaimKey, Claim | None] = {**self.before.claims, **self._changes["claims"]}
        return {key: claim for key, claim in merged.items() if claim is not None}

    def waiting(self) -> dict[int, Ticket]:
        """All places in line as they stand, by their seq."""
        merged: dict[int, Ticket | None] = {**self.before.waiting, **self._changes["waiting"]}
        return {key: place for key, place in merged.items() if place is not None}

    def handoffs(self) -> dict[str, Handoff]:
        """All handoffs as they stand."""
        merged: dict[str, Handoff | None] = {**self.before.handoffs, **self._changes["handoffs"]}
        return {key: handoff for key, handoff in merged.items() if handoff is not None}

    def trials(self) -> dict[int, Trial]:
        """All trials as they stand, by their seq."""
        merged: dict[int, Trial | None] = {**self.before.trials, **self._changes["trials"]}
        return {key: trial for key, trial in merged.items() if trial is not None}

    def conflicts(self) -> dict[str, Foretold]:
        """All that is foretold as it stands."""
        merged: dict[str, Foretold | None] = {**self.before.conflicts, **self._changes["conflicts"]}
        return {key: record for key, record in merged.items() if record is not None}

    def state(self, *, seq: int, at: datetime) -> State:
        """The finished state; a change that changes nothing is no change."""
        touched: dict[str, frozenset[Any]] = {}
        tables: dict[str, Any] = {}
        for name, changes in self._changes.items():
            table = getattr(self.before, name)
            real = {key: new for key, new in changes.items() if table.get(key) != new}
            if real:
                touched[name] = frozenset(real)
                tables[name] = table.with_changes(real)
        if self.branch is not self.before.branch and self.branch != self.before.branch:
            touched["branch"] = frozenset({""})
        changed = {"seq": seq, "at": at, "branch": self.branch, "touched": touched, **tables}
        return State(**{**self.before.__dict__, **changed})
