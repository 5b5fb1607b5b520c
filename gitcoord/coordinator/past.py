"""The past of the branch as a picture, from its good events alone; and what needs somebody now."""

from __future__ import annotations

from datetime import datetime

from gitcoord.coordinator.branch import Branch
from gitcoord.views.attention import Item
from gitcoord.views.timeline import Picture, Timeline


def picture(branch: Branch, *, since: datetime | None = None) -> tuple[Picture, tuple[Item, ...]]:
    """Return the picture of all events, or of those since that time, and what needs somebody now."""
    status = branch.status()
    fold = Timeline()
    for good in branch.parts.log.line(branch.view(fresh=False).checked):
        fold.see(good.event, good.committed_at)
    whole = fold.picture(status.as_of, status.state.rules.settings.quiet_after)
    if since is None:
        return whole, status.attention
    first = next((step.seq for step in whole.steps if step.at >= since), whole.total + 1)
    return whole.since(first), status.attention
