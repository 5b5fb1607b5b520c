"""What all sessions share: the branch itself, the names of repositories on a hub, the shared settings."""

from __future__ import annotations

from dataclasses import dataclass

from gitcoord.coordinator.actor import Acting
from gitcoord.coordinator.branch import Branch
from gitcoord.coordinator.commands import Commands
from gitcoord.coordinator.parts import Parts
from gitcoord.coordinator.sessions import Sessions
from gitcoord.core import branch
from gitcoord.core.events import Receipt
from gitcoord.errors import BadInput


@dataclass(frozen=True)
class Setup:
    """Makes the branch, enters repositories on a hub, and changes shared settings."""

    parts: Parts
    acting: Acting
    branch: Branch
    commands: Commands
    sessions: Sessions

    def init(self, *, op: str = "") -> Receipt:
        """Make the branch, or find it there. `op`: the caller's own id for it."""
        who = self.acting.session or self.acting.actor.human or "gitcoord-init"
        receipt, _ = self.commands.submit(
            branch.OpenBranch, self.sessions.current(branch.OpenBranch), op=op, session=who, run_id=""
        )
        return receipt

    def join(self) -> Receipt:
        """Say on the hub which repository this one's name stands for. Raises BadInput where it stands for another repository."""
        return self.commands.join(self.acting.actor)

    def set_shared(self, key: str, value: str, *, op: str = "") -> Receipt:
        """Change a shared setting. The format can only be set back to the one that is in use: programs raise it. `op`: the caller's
        own id for it.
        """
        if key == "format":
            return self._withdraw_format(value, op)
        key = branch.key_of(key)
        branch.setting_value(key, value)
        self.sessions.ensure()
        receipt, _ = self.commands.submit(
            branch.ChangeSetting, self.sessions.current(branch.ChangeSetting), op=op, key=key, value=value
        )
        return receipt

    def _withdraw_format(self, value: str, op: str) -> Receipt:
        rules = self.branch.view().state.rules
        if value != str(rules.format_used):
            raise BadInput(f"the format is set by programs; by hand it can only go back to {rules.format_used}, which is in use")
        self.sessions.ensure()
        receipt, _ = self.commands.submit(branch.WithdrawFormat, self.sessions.current(branch.WithdrawFormat), op=op)
        return receipt
