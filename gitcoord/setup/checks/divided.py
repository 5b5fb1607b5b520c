"""A merge that joined two lines of good events: what each line has of its own, and how a person sets the branch back to one."""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord.connection.connect import Connection
from gitcoord.core.names import show
from gitcoord.core.times import spell
from gitcoord.errors import Divided
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.git.repo import NULL
from gitcoord.setup.checks.finding import Finding

_NAMED = 200  # newest commits of a line whose authors are named


def look(found: Connection, error: Divided) -> Iterator[Finding]:
    """The two lines that a merge joined, what each has of its own, and how the branch is set back to one of them."""
    objects, branch, now = found.coordinator.log.objects, found.settings.branch, error.data["now"]
    seen = error.data["seen"]
    known = {oid for oid, _ in (objects.range(seen) or [])} if seen else set()
    for line in error.data["lines"]:
        own = objects.range(line["good"], error.data["fork"]) or []
        commits = objects.commits(own[-_NAMED:])
        authors = ", ".join(dict.fromkeys(show(commit.author, 64) for commit in commits))
        dates = [spell(commit.committed_at) for commit in commits if commit.committed_at is not None]
        when = f", {dates[0]} to {dates[-1]}" if dates else ""
        mine = ", and this clone has seen it" if known & {oid for oid, _ in own} else ""
        count = f"events {error.data['common'] + 1} to {line['events']}"
        yield Finding("warning", f"one line has {count}, by {authors}{when}; it ends at {line['commit'][:12]}{mine}")
        steps = found.tip.way_back(line["commit"], now)
        if isinstance(found.tip, RemoteTip):
            aside = f"{found.tip.way_back(line['commit'], NULL)}-2"
            steps += f". Where the host forbids that, another branch: {aside} and in each clone gitcoord config branch {branch}-2"
        # In the text and not as a hint: programs run hints, and this is for a person to decide.
        yield Finding("wrong", f"if that is the line that happened, a person sets the branch back to it: {steps}")
    if not known:
        yield Finding("warning", "this clone had seen neither line before: ask in a clone that was at work before the merge")
