"""Handing work over, and the briefing: built on what the coordinator offers of them."""

from __future__ import annotations

from collections.abc import Sequence

from gitcoord.connection.connect import Connection
from gitcoord.coordinator.briefings import touched
from gitcoord.core import leases
from gitcoord.core.names import Resource, branch_or_none, counted, show, word
from gitcoord.core.records import Handoff
from gitcoord.core.values import oid_or_none
from gitcoord.errors import BadInput
from gitcoord.mcp import answers
from gitcoord.mcp.answers import ToolAnswer
from gitcoord.mcp.schemas import HandoffGiven


def carry_out(found: Connection, given: HandoffGiven, chosen: Sequence[Resource] | None) -> ToolAnswer:
    """Offers, takes or lists. Raises BadInput."""
    coordinator = found.coordinator
    if given.action == "list":
        every = coordinator.handoffs.listed()
        listed = [{**answers.record(one.handoff), "for_me": one.for_me, "mine": one.mine} for one in every]
        lines = [_line(one.handoff) for one in every]
        return ToolAnswer({"handoffs": listed, "origin": answers.ORIGIN}, [counted(len(every), "open handoff")], lines)
    if given.action == "take":
        taken = coordinator.handoffs.take(given.id)
        state, now = coordinator.branch.view(fresh=False).state, coordinator.branch.time_now()
        blocked = [leases.describe(state, one, now) for one in taken.missed]
        record = {
            **answers.receipt(taken.receipt), "claims": [answers.lease(one) for one in taken.claims], "blocked_by": blocked,
            "handoffs": [answers.record(taken.handoff)], "origin": answers.ORIGIN,
        }  # fmt: skip
        ours = [f"taken: handoff {taken.handoff.seq}", *answers.held(taken.claims)]
        ours += [f"not yours: {one.resource} is held by {one.claimed_by}" for one in taken.missed]
        return ToolAnswer(record, ours, [_line(taken.handoff), *_said(taken.handoff)])
    if given.id is not None:
        raise BadInput("id is for action take", hint='handoff with action "take"')
    head = found.repo.head()
    receipt, going = coordinator.handoffs.offer(
        given.to, resources=chosen, done=given.done, next=given.next_step, blockers=given.blockers, tests=given.tests,
        notes=given.notes, branch=branch_or_none(head.branch), commit=oid_or_none(head.commit),
    )  # fmt: skip
    ours = [answers.sent(receipt, f"handoff {receipt.seq or ''} offered to {show(given.to, 100)}".replace("  ", " "))]
    ours += [f"goes along when it is taken: {entry.split(' ', 1)[1]}" for entry in going]
    return ToolAnswer(answers.receipt(receipt), ours)


def _line(one: Handoff) -> str:
    return f"#{one.seq} from {one.sender} to {one.to}: " + show(", ".join(one.resources) or "no claims", 200)


def _said(one: Handoff) -> list[str]:
    parts = {key: getattr(one, key) for key in ("branch", "commit", "done", "next", "blockers", "tests", "notes")}
    parts |= {key: word(parts[key]) for key in ("branch", "commit") if parts[key]}  # these are pasted into a shell
    return [f"  {key} | {line}" for key, text in parts.items() for line in str(text or "").splitlines()]


def briefing(found: Connection) -> str:
    """What the session should know: all of it, and noted as told."""
    coordinator = found.coordinator
    told = coordinator.briefings.brief(touched(found.repo), everything=True)
    coordinator.briefings.note_shown(told)
    return told.text
