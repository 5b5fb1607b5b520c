"""Tasks, as a session uses them: add, import, list, take the next one, change, close, reopen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.claims import Claims
from gitcoord.coordinator.commands import Commands, granted
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.coordinator.watch import Watcher
from gitcoord.core import handoffs, handover, names, next_task, readiness, task_cards, task_commands, tasks
from gitcoord.core.events import Event, Receipt
from gitcoord.core.leases import LeaseRef
from gitcoord.core.names import Resource
from gitcoord.core.readiness import Look, Standing
from gitcoord.core.records import Claim, Task
from gitcoord.core.state import State
from gitcoord.core.tables import outline
from gitcoord.core.task_cards import NewTask
from gitcoord.core.values import is_whole
from gitcoord.errors import NotHeld, NothingReady, NotInTime, Unknown, Unreachable


class Added(NamedTuple):
    """Adding tasks gives the receipt, the numbers of the new tasks, and those of tasks that were there before."""

    receipt: Receipt
    numbers: tuple[int, ...]
    known: tuple[int, ...] = ()


class ListedTask(NamedTuple):
    """A task in a list: its record if it is closed (else None), and how it stands if it is open (else None)."""

    task: Task | None
    standing: Standing | None


class Next(NamedTuple):
    """The task that was taken: its record, the leases, the receipt, and the tasks that it needed."""

    task: Task
    leases: tuple[Claim, ...]
    receipt: Receipt
    needs: tuple[Task, ...]


class Closed(NamedTuple):
    """Closing a task gives the receipt, the task as it is now, and the leases that it freed."""

    receipt: Receipt
    task: Task
    freed: tuple[str, ...]


@dataclass(frozen=True)
class Tasks:
    """The branch's tasks, as the caller sees them."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands
    sessions: Sessions
    claims: Claims

    # --- looking -----------------------------------------------------------------------------------------------------

    def look(self, state: State, *, role: str = "", files: bool = True, anybody: bool = False) -> Look:
        """Return the open tasks of that state as the caller sees them now, or (`anybody`) as nobody in particular does."""
        me = None if anybody else state.sessions.get(self.acting.session)
        return Look(state, me, self.branch.time_now(), role=role, files=files)

    def listed(self, *, closed: bool = False, role: str = "") -> list[ListedTask]:
        """Return the open tasks: those that are ready in the order in which they are taken, then those in work or for others, then
        those that wait for other tasks. `closed`: then the closed ones, the newest first.
        """
        state = self.branch.view().state
        look = self.look(state, role=role)
        free = look.standings()
        waiting = sorted((one for one in look.survey.tasks.values() if look.survey.blocked_by(one)), key=look.survey.rank)
        found = [ListedTask(None, one) for one in (*free, *map(look.standing, waiting))]
        over = sorted(state.tasks.closed(), key=lambda one: (one.done_at is None, one.done_at, one.seq), reverse=True)
        return found + [ListedTask(one, None) for one in over if closed]

    def find(self, named: str, *, fresh: bool | None = None) -> tuple[Task, Standing | None, tuple[Task, ...]]:
        """Return the task of that number, key or id, how it stands (None: it is closed), and the tasks that it needs. Raises
        BadInput.

        - `fresh`: False goes by the view that was read last.
        """
        state = self.branch.view(fresh=fresh).state
        task = readiness.find(state, named)
        if task is None:
            raise readiness.missing(state, named)
        standing = self.look(state).standing(outline(task)) if task.is_open else None
        return task, standing, tuple(state.tasks.some(task.needs))

    def blocked_among(self, resources: Sequence[Resource]) -> list[str]:
        """Return, of those that stand for tasks, which wait for others, in words; by what this clone knows."""
        numbers = [seq for one in resources if (seq := readiness.number(one)) is not None]
        if not numbers:
            return []
        state = self.branch.last_view().state
        look = self.look(state)
        found = ((seq, look.survey.tasks.get(seq)) for seq in numbers)
        waiting = ((seq, look.survey.blocked_by(task)) for seq, task in found if task is not None)
        return [f"task #{seq} waits for {', '.join(f'#{one}' for one in others[:5])}" for seq, others in waiting if others]

    # --- adding ------------------------------------------------------------------------------------------------------

    def add(self, cards: Sequence[NewTask], *, op: str = "") -> Added:
        """Add those tasks; one whose key is known is left as it is. `op`: the caller's own id for it. Raises BadInput."""
        self.sessions.ensure()
        numbers: list[int] = []
        receipt = Receipt("unchanged", "")
        for group in task_cards.parted(cards):
            here = {f"={card.key}" for card in group}
            group = [
                card.model_copy(update={"found_in": None}) if self._comes_later(card.found_in, here) else card for card in group
            ]
            receipt, event = self.commands.submit(
                task_commands.AddTasks,
                self.sessions.current(task_commands.AddTasks),
                op=op,
                tasks=[card.model_dump() for card in group],
            )
            if isinstance(event, tasks.TaskAdded):
                numbers += event.numbers()
        state = self.branch.last_view().state
        keys = (state.task_keys.get(card.key) for card in cards if card.key is not None)
        known = [one.seq for one in keys if one is not None and one.seq not in numbers]
        return Added(receipt, tuple(numbers), tuple(known))

    def _comes_later(self, named: str | None, here: set[str]) -> bool:
        """Return True if a task comes along in a later commit: nothing can point at it yet."""
        return named is not None and named.startswith("=") and named not in here and not self.is_known(named[1:])

    def bring_in(self, cards: Sequence[NewTask], *, op: str = "") -> Added:
        """Add the tasks of a list that are not there yet. What one of them names, and neither the list nor the branch has, is left
        away; a notice says so. `op`: the caller's own id for it. Raises BadInput.
        """
        self.sessions.ensure()
        known = self.branch.view().state.task_keys
        keys = {card.key for card in cards}
        lost: list[str] = []

        def is_there(name: str | None) -> bool:
            there = name is None or name.startswith("#") or name[1:] in keys or name[1:] in known
            if not there:
                lost.append(str(name)[1:])
            return there

        kept = [
            card.model_copy(
                update={
                    "needs": tuple(name for name in card.needs if is_there(name)),
                    "parent": card.parent if is_there(card.parent) else None,
                    "found_in": card.found_in if is_there(card.found_in) else None,
                }
            )
            for card in cards
        ]
        if lost:
            shown = ", ".join(names.show(name, 60) for name in dict.fromkeys(lost[:5]))
            self.notices.add(f"{len(lost)} links lead to tasks that are not in the list: {shown}")
        return self.add(kept, op=op)

    def is_known(self, key: str) -> bool:
        """Return True if a task stands for that key, by the view that was read last."""
        return key in self.branch.last_view().state.task_keys

    # --- the next one ------------------------------------------------------------------------------------------------

    def peek(self, *, role: str = "", files: bool = True) -> Standing:
        """Return the task that would be taken next. Raises NothingReady."""
        look = self.look(self.branch.view().state, role=role, files=files)
        standing = next(look.in_turn(), None)
        if standing is None:
            raise next_task.nothing(look)
        return standing

    def next(
        self,
        *,
        role: str = "",
        files: bool = True,
        ttl_seconds: int | None = None,
        wait: float | None = None,
        told: Callable[[str], None] = lambda text: None,
        op: str = "",
    ) -> Next:
        """Take the first ready task, with its files. Raises NothingReady.

        - `role`: as if the session had that role.
        - `wait`: seconds to wait until a task is ready; `told` what it waits for.
        - `op`: the caller's own id for it, not for the steps of a wait.
        """
        self.sessions.ensure()
        asked: dict[str, Any] = {
            "role": names.parse_line(role, "role", 60), "files": files, "ttl_seconds": ttl_seconds,
            "folds": self.acting.actor.folds,
        }  # fmt: skip
        end = self.parts.submitter.clock() + (wait or 0.0)
        try:
            return self._take(op, asked)
        except NothingReady as error:
            if wait is None:
                raise
            told(error.message)
            last = error
        view = self.parts.log.view()
        watcher = Watcher(self.parts.log, self.parts.outbox, self.parts.sleep, self.parts.seconds, self.parts.submitter.clock)
        for now in watcher.views(view, end - self.parts.submitter.clock()):
            self.branch.remember(now)
            if next(self.look(now.state, role=role, files=files).in_turn(), None) is None:
                continue
            try:
                return self._take(op, asked)
            except NothingReady as error:
                last = error
            except (Unreachable, Unknown, NotInTime):  # who waits goes on: the branch says what came of it
                continue
        raise last

    def _take(self, op: str, asked: dict[str, Any]) -> Next:
        receipt, event = self.commands.submit(next_task.TakeNext, self.sessions.current(next_task.TakeNext), op=op, **asked)
        seq = _number(event)
        state = self.branch.state_at(receipt.seq)
        task = state.tasks.get(seq) if seq is not None else None
        if task is None:
            raise NotHeld("this operation was carried out before, and its task is over", hint="gitcoord next")
        if isinstance(event, handover.HandoffTaken):
            held = granted(event)
        else:
            wanted = [readiness.resource(task.seq), *map(names.resource_of, task.files if asked["files"] else ())]
            held = self.claims.given(receipt, event, wanted, again=bool(op))
        return Next(task, held, receipt, tuple(state.tasks.some(task.needs)))

    # --- changing ----------------------------------------------------------------------------------------------------

    def change(self, named: str, fields: dict[str, Any], *, op: str = "") -> tuple[Receipt, int]:
        """Change fields of an open task; return the receipt and the task's number. Raises BadInput."""
        self.sessions.ensure()
        receipt, event = self.commands.submit(
            task_commands.ChangeTask, self.sessions.current(task_commands.ChangeTask), op=op, task=named, fields=fields
        )
        self._note_late(event)
        return receipt, event.task if isinstance(event, tasks.TaskChanged) else self._number_of(named)

    def close(self, named: str, status: str = "done", *, op: str = "", **given: Any) -> Closed:
        """Close a task, or put it into the next phase of its line. Raises NotHeld where another session holds or closed it.

        - `op`: the caller's own id for it.
        - `given`: `note`, `tests`, `branch`, `commit`, what is known of the proof, `next_phase`, `to`, `also`.
        """
        self.sessions.ensure()
        if given.get("to") is not None:
            given["to"] = handoffs.parse_receiver(given["to"])
        fence = self._fence(named)
        where = ("branch", "commit", "proof_commit", "proof_seconds", "also")
        typed = {key: value for key, value in given.items() if key not in where}
        receipt, event = self.commands.submit(
            task_commands.CloseTask, self.sessions.current(task_commands.CloseTask), op=op,
            typed={**typed, "task": named, "status": status}, task=named, status=status, fence=fence, **given,
        )  # fmt: skip
        self._note_late(event)
        seq = event.task if isinstance(event, tasks.TaskClosed) else self._number_of(named)
        state = self.branch.state_at(receipt.seq) if receipt.state != "queued" else self.branch.last_view().state
        task = state.tasks.get(seq)
        if task is None:
            raise readiness.missing(state, named)
        return Closed(receipt, task, event.released if isinstance(event, tasks.TaskClosed) else ())

    def check_closable(self, named: str) -> None:
        """Make sure that the caller could close that task now. Raises NotHeld, BadInput."""
        task, standing, _ = self.find(named)
        if standing is None:
            raise NotHeld(readiness.closed_words(task), hint=f"gitcoord task show {task.seq}")
        if standing.lease is not None and not standing.mine:
            raise NotHeld(
                f"{standing.why()}; only who holds a task closes it", hint=f'gitcoord request task:{task.seq} "May I have it?"'
            )

    def reopen(self, named: str, note: str | None = None, *, op: str = "") -> tuple[Receipt, int]:
        """Open a closed task again; return the receipt and its number. Raises BadInput."""
        self.sessions.ensure()
        receipt, event = self.commands.submit(
            task_commands.ReopenTask, self.sessions.current(task_commands.ReopenTask), op=op, task=named, note=note
        )
        self._note_late(event)
        return receipt, event.task if isinstance(event, tasks.TaskReopened) else self._number_of(named)

    def _note_late(self, event: Event | None) -> None:
        if event is not None and event.lapsed:
            self.notices.add(f"this has no effect: {event.lapsed}")

    def _number_of(self, named: str) -> int:
        text = named.removeprefix("#")
        if is_whole(text):
            return int(text)
        state = self.branch.last_view().state
        task = readiness.find(state, named)
        if task is None:
            raise readiness.missing(state, named)
        return task.seq

    def noted(self) -> list[int]:
        """Return the numbers of the tasks that the session holds, by what is noted in this work tree."""
        return [seq for one in self._leases_noted() if (seq := readiness.number(one.resource)) is not None]

    def _fence(self, named: str) -> int:
        """Return the fence of the lease on that task as this work tree knows it; 0 where it knows none."""
        what = Resource(readiness.TASK, named.removeprefix("#"))
        return next((one.fence for one in self._leases_noted() if one.resource == what), 0)

    def _leases_noted(self) -> list[LeaseRef]:
        found = []
        for entry in self.parts.identity.held(self.acting.session):
            with contextlib.suppress(ValueError):
                found.append(LeaseRef.parse(entry))
        return found


def _number(event: Event | None) -> int | None:
    """Return which task an event gave to its session: the first that it names."""
    texts = [*getattr(event, "resources", ()), *(entry.split(" ", 2)[2] for entry in getattr(event, "renewed", ()))]
    found = (readiness.number(names.resource_of(text)) for text in texts)
    return next((seq for seq in found if seq is not None), None)
