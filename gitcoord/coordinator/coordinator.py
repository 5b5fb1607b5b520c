"""One method a use case: hands a command to the flusher, and returns records, never events. Looking is the reader's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gitcoord.coordinator.briefings import Briefer
from gitcoord.coordinator.claims import Claiming
from gitcoord.coordinator.commands import Receipt
from gitcoord.coordinator.handoffs import Handing
from gitcoord.coordinator.messages import Talking
from gitcoord.core import branch, names
from gitcoord.core.events import Clock
from gitcoord.core.heartbeats import HeartbeatRecorded, RecordHeartbeat
from gitcoord.core.leases import due_renewals
from gitcoord.core.renewals import regained_by
from gitcoord.errors import Alarm, BadInput, GitcoordError, NotInitialised, Unknown, Unreachable
from gitcoord.git.repo import Oid
from gitcoord.log.eventlog import View

_AGAIN = 2  # flushes more while something waits
_BY_ITSELF = 2 / 3  # of a lease is left: then a sign of life that nobody else sends is worth a commit


@dataclass
class Coordinator(Claiming, Talking, Handing, Briefer):
    """One caller's way to the branch."""

    def init(self, *, op: str = "") -> Receipt:
        """Makes the branch, or finds it there. `op`: the caller's own id for it."""
        who = self.who.session or self.who.human or "gitcoord-init"
        receipt, _ = self._ask(branch.OpenBranch, op=op, session=who, run_id="")
        return receipt

    def join(self, root: Oid, is_here: Callable[[Oid], bool]) -> Receipt:
        """Says on the hub which repository this one's name stands for. `root`: its first commit; `is_here`: True for a commit that
        this clone has. Raises BadInput where the name stands for another repository.
        """
        known = self.log.view().state.rules.repositories.get(self.who.repo)
        own = (known,) if known and is_here(known) else ()
        session = self.who.session or self.who.human or "gitcoord-init"
        receipt, _ = self._ask(branch.JoinHub, session=session, run_id="", repo=self.who.repo, root=root, own=own)
        return receipt

    def heartbeat(self, *, op: str = "", **said: Any) -> Receipt:
        """Says what the session is doing. `op`: the caller's own id for it."""
        self.require_session()
        lines: dict[str, Any] = {
            key: names.parse_line(value, key.replace("_", " ")) if isinstance(value, str) else value for key, value in said.items()
        }
        receipt, event = self._ask(
            RecordHeartbeat, op=op, typed=lines, **{**lines, "branch": self.who.branch or None}
        )  # fmt: skip
        if event is not None and event.lapsed:
            self.warnings.append(f"this heartbeat has no effect: {event.lapsed}")
        if isinstance(event, HeartbeatRecorded):
            self._tell_regained(event.regained, event)
        return receipt

    def set_shared(self, key: str, value: str, *, op: str = "") -> Receipt:
        """Change a shared setting. The format can only be set back to the one that is in use: programs raise it. `op`: the caller's
        own id for it.
        """
        if key == "format":
            return self._withdraw_format(value, op)
        branch.setting_value(key, value)
        self.require_session()
        receipt, _ = self._ask(branch.ChangeSetting, op=op, key=key, value=value)
        return receipt

    def _withdraw_format(self, value: str, op: str) -> Receipt:
        rules = self.view().state.rules
        if value != str(rules.format_used):
            raise BadInput(f"the format is set by programs; by hand it can only go back to {rules.format_used}, which is in use")
        self.require_session()
        receipt, _ = self._ask(branch.WithdrawFormat, op=op)
        return receipt

    def sync(self, *, if_due: bool = False, look: bool = False) -> tuple[list[GitcoordError], View | None]:
        """Sends what waits and reads the branch. `if_due`: only when an automatic heartbeat is due, or a command waits; `look`: the
        branch is read even so.
        """
        due = not if_due or self._is_due()
        if not due and not look:
            return [], None
        errors = self.flusher.flush() if due else []
        for _ in range(_AGAIN):  # another one was at it and may not have seen the newest
            if due and not errors and self.desk.waiting():
                errors = self.flusher.flush()
        try:
            view = self.view(fresh=True)
            self._glance(view)
            return errors, view
        except (Unreachable, Unknown, Alarm) as error:
            return [*errors, error], None

    def _is_due(self) -> bool:
        """Whether some spooled session has been silent for its share of the budget, or one of its leases wants renewing."""
        try:
            state = self._known().state
        except NotInitialised:
            return False
        if self.desk.waiting():
            return True
        now = self.now()
        settings = state.rules.settings
        heard = sum(1 for _, signs in state.sessions.signs() if now - signs.last_heartbeat < timedelta(hours=1))
        share = timedelta(seconds=max(settings.heartbeat_every, settings.heartbeat_share * heard))
        for name in self.desk.spooled():
            session = state.sessions.get(name)
            if session is None or now - session.last_heartbeat >= share:
                return True
            if due_renewals(state, name, now, Clock(now=now), left=_BY_ITSELF) or regained_by(state, name, now, Clock(now=now)):
                return True
        return False
