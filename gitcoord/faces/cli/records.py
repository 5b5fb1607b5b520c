"""Records as `--json` shows them."""

from __future__ import annotations

from typing import Any

from gitcoord.asker import Receipt
from gitcoord.core.leases import Claim
from gitcoord.core.messages import Message
from gitcoord.core.records import Record


def record(value: Record) -> dict[str, Any]:
    """A record of the branch, with the branch's own field names."""
    found: dict[str, Any] = value.model_dump(mode="json", by_alias=True)
    return found


def claim(value: Claim) -> dict[str, Any]:
    """A lease."""
    return record(value)


def short_claim(value: Claim) -> dict[str, Any]:
    """A lease as the answer to a claim has it."""
    keys = ("resource_type", "resource_name", "claimed_by", "fence", "expires_at")
    full = record(value)
    return {key: full[key] for key in keys}


def message(value: Message, *, redelivered: bool = False) -> dict[str, Any]:
    """A message."""
    return {**record(value), "redelivered": redelivered}


def receipt(value: Receipt) -> dict[str, Any]:
    """What came of a writing command."""
    return {"state": value.state, "id": value.id, "seq": value.seq or None, "commit": value.commit or None}
