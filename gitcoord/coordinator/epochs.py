"""Making the branch short: one session does it, and everybody else goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.claims import Claims
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.parts import Notices, Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.core import epochs, names
from gitcoord.core.events import digest
from gitcoord.errors import GitcoordError, Unknown
from gitcoord.log.compaction import Compacted, compact

_TTL = 900  # seconds: others need not wait long behind one that was killed


@dataclass(frozen=True)
class Epochs:
    """Closes an epoch and opens the next one."""

    parts: Parts
    acting: Acting
    notices: Notices
    branch: Branch
    commands: Commands
    sessions: Sessions
    claims: Claims

    def compact(self, kept: timedelta | None = None, *, op: str = "") -> Compacted:
        """Close the epoch and open the next one. `kept`: how long what is over stays in the tree (None: as the setting says).
        Raises Held where another session is at it, Refused where the remote allows no such push.
        """
        seconds = None if kept is None else int(epochs.check_kept(kept).total_seconds())
        actor = self.sessions.ensure()
        asked = digest(actor.session, epochs.CloseEpoch.kind, {"kept": seconds}) if op else ""
        command = epochs.CloseEpoch(
            op=names.parse_id(op) if op else self.parts.outbox.next_id(), session=actor.session, run_id=actor.run_id,
            at=self.parts.now(), asked=asked, kept=seconds,
        )  # fmt: skip
        held = [] if op and self._is_done(command) else self.claims.acquire([epochs.LEASE], ttl_seconds=_TTL).claims
        self.parts.identity.drop(actor.session, {one.entry for one in held})  # the closing event frees it: that is no loss
        try:
            found = compact(self.parts.log, command, self.parts.seconds)
        except Unknown:
            raise
        except GitcoordError:
            self.claims.release([epochs.LEASE])
            raise
        self.branch.forget()
        self.notices.note_landed(found.seq)
        return found

    def _is_done(self, command: epochs.CloseEpoch) -> bool:
        """Return True if that was done before, as far as is known here."""
        view = self.parts.log.view()
        return bool(self.parts.log.find(command.op, view.checked))
