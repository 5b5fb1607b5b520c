"""Trespasses: somebody committed a file that another session holds. The holder is told, once for each lease and event.

Claims are advice, so this is no fault of the branch; but whoever holds a file should not learn of it by a merge conflict.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gitcoord.core import entries, leases, names, records
from gitcoord.core.names import Resource
from gitcoord.core.overlap import covers
from gitcoord.core.records import Claim
from gitcoord.core.times import read_instant, spell

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

AT_ONCE = 8  # leases that one event names: a commit over the whole tree meets everybody's
DETAIL = "trespass"
"""The detail of the message to a holder that names its lease: `42 file:src/api.py`."""


def split_touched(entry: str) -> tuple[int, str, Resource]:
    """Return fence, holder and resource of an entry of `touched`. Raises ValueError."""
    fence, _, rest = entry.partition(" ")
    holder, _, resource = rest.partition(" ")
    if not names.is_session_name(holder):
        raise ValueError(f"not a session: {names.show(holder, 80)!r}")
    return leases.LeaseRef.parse(f"{fence} {resource}").fence, holder, Resource.read(resource)


TouchedEntry = Annotated[str, Field(max_length=1024), entries.entry(split_touched)]
"""`42 ada file:src/api.py`: a lease of another session, on a file that was committed."""


def committed(at: datetime, path: str) -> str:
    """Return how a command notes that the file was committed then; `split_committed` reads it."""
    return f"{spell(at)} {path}"


def split_committed(entry: str) -> tuple[datetime, str]:
    """Return when which file was committed. Raises ValueError."""
    at, _, path = entry.partition(" ")
    return read_instant(at), path


def touched(state: State, session: str, commits: Sequence[str]) -> tuple[str, ...]:
    """Return the leases of others that held when the session committed those files, as the event names them."""
    found: dict[str, None] = {}
    for entry in commits:
        at, path = split_committed(entry)
        for lease in sorted(state.claims.values(), key=lambda lease: (lease.fence, lease.resource)):
            if lease.claimed_at <= at < lease.expires_at and _is_trespass(state, lease, session, path):
                found[f"{lease.fence} {lease.claimed_by} {lease.resource}"] = None
    return tuple(found)[:AT_ONCE]


def _is_trespass(state: State, lease: Claim, session: str, path: str) -> bool:
    if lease.claimed_by == session or lease.offered_until is not None:
        return False
    fold = state.rules.settings.ignorecase
    if not covers(lease.resource, path, fold=fold):
        return False
    own = (one for one in state.claims.values() if one.claimed_by == session and one.mode == "shared")
    return lease.mode != "shared" or not any(covers(one.resource, path, fold=fold) for one in own)


def tell(
    draft: Draft, touched: Sequence[str], files: Sequence[str], *, id: str, seq: int, session: str, at: datetime, commit: str | None
) -> None:  # fmt: skip
    """Sends each live holder a message."""
    for number, entry in enumerate(touched):
        fence, holder, resource = split_touched(entry)
        known = draft.session(holder)
        if known is None or not known.live or holder == session:
            continue
        path = next((name for name in files if covers(resource, name, fold=draft.rules.ignorecase)), resource.name)
        where = f" ({commit[:12]})" if commit else ""
        note = records.Message(
            id=f"{id}.{number}", seq=seq, sender=session, to=holder, timestamp=at, type="alert",
            subject=names.show(f"{session} committed {path}{where}, which you hold", names.SUBJECT_LIMIT),
            message=f"Your lease on {resource} (fence {fence}) goes on. The commit is theirs: look at it before you go on.",
            details={DETAIL: str(leases.LeaseRef(fence, resource)), "file": path, **({"commit": commit} if commit else {})},
        )  # fmt: skip
        draft.put("messages", note.id, note)


def problem(state: State, session: str, touched: Sequence[str], files: Sequence[str]) -> str | None:
    """Return why the event may not name those leases, or None."""
    for entry in touched:
        fence, holder, resource = split_touched(entry)
        lease = leases.find(state.claims.get, holder, fence, resource)
        if lease is None:
            return f"{holder} doesn't hold {resource} with fence {fence}"
        if not any(_is_trespass(state, lease, session, path) for path in files):
            return f"no file that was committed is the one that {holder} holds"
    return None
