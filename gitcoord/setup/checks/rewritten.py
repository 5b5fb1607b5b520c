"""A branch that was rewound, made anew or deleted: what this clone still has of it, and the exact steps either way."""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord.connection.connect import Connection
from gitcoord.errors import Rewritten
from gitcoord.setup.checks.finding import Finding

_SECONDS = 20.0


def look(found: Connection, error: Rewritten) -> Iterator[Finding]:
    """What a person can do about it; changes nothing."""
    seen, now = str(error.data.get("seen", "")), str(error.data.get("now", ""))
    if seen and found.home.has_whole(seen, _SECONDS):
        yield Finding(
            "wrong",
            f"nothing is written until a person has decided. This clone still has it all, up to event {found.memory.load().seq}. "
            f"If it was a mistake, push the commit {seen[:12]} back, from the clone that has the highest event: "
            + found.tip.way_back(seen, now),
            f"git log --oneline {seen[:12]}",
        )
    else:
        yield Finding(
            "wrong",
            f"nothing is written until a person has decided. The commit {seen[:12]} is not in this clone any more, or not all that "
            "is behind it: only another clone can give it back",
            "gitcoord doctor, in the other clones",
        )
    yield Finding(
        "wrong",
        "if it was meant, each clone forgets the old branch by `gitcoord init --remove` (which takes its hooks and settings out, "
        "too); then `gitcoord init` makes a new one where there is none",
    )
