"""Where each event came from: the e-mail address of its commit, and the key whose signature covers it; whose each name is.

One push has at most one signature: that of its last commit, which says of how many commits it is (`Coord-Signs`). A signature is
looked at once. What came of it depends on nothing that ever changes, so a table of it is kept from one command to the next.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gitcoord.core.trust import BAD, UNREAD, Origin, fingerprint
from gitcoord.git import sshsig
from gitcoord.git.objects import Commit
from gitcoord.git.repo import NULL, Oid

_RECORD = struct.Struct("<HHHHI")  # address, key, adopter, flags, when
_COVERED = 1  # the signature is that of a later commit of the same push
_FORM = 1  # of what is written down
_MOST = 60_000  # different addresses, keys or adopters that are told apart
_ADDRESS = 254  # bytes of an address, as long as one may be
_PAIRS = 12  # origins of one session that are kept
_NAMES = 50_000  # of sessions that are no longer on the branch, and whose they were
_CARRY = 4096  # commits that wait for the signature that may cover them
_BLOCK = 20_000  # commits that are gone through at a time
_TRAILER = re.compile(r"^Coord-(Event|Session|Seq|Carried|Signs|Removed): (.*)$", re.MULTILINE)
_NOBODYS = frozenset({"branch.opened", "repository.joined"})  # events that are said under a name which is nobody's

Check = Callable[[Oid, int], str]
"""Says whose signature the commit of that event has, where this process can't tell: a key, `BAD` or `UNREAD`."""


@dataclass(frozen=True)
class EventOrigin:
    """Where one event came from. `covered`: the signature is that of a later commit of the same push. `session`: who speaks."""

    origin: Origin
    covered: bool
    at: datetime


@dataclass
class _Row:
    oid: Oid
    seq: int
    session: str
    kind: str
    email: str
    at: int
    adopter: str
    removed: tuple[str, ...]
    signs: int
    key: int = 0
    covered: bool = False


@dataclass
class OriginTable:
    """The table, up to one commit of the branch."""

    tip: Oid = NULL
    seq: int = 0
    emails: list[str] = field(default_factory=lambda: [""])
    keys: list[Origin] = field(default_factory=lambda: [Origin()])
    adopters: list[str] = field(default_factory=lambda: [""])
    owners: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Of each name: from which event on it belongs to which address and key; -1 where it belongs to nobody."""
    pairs: dict[str, dict[tuple[int, int, int, int], int]] = field(default_factory=dict)
    """Of each session: each origin of its events, and the newest event of that."""
    unread: dict[Oid, int] = field(default_factory=dict)
    """Signed commits that nothing here could check, and the last event of each."""
    records: bytearray = field(default_factory=bytearray)
    _places: dict[str, dict[Any, int]] = field(default_factory=dict, repr=False)

    @classmethod
    def beginning_after(cls, seq: int) -> OriginTable:
        """Return a table for the events after that one: of those before, it knows nothing."""
        return cls(seq=seq, records=bytearray(seq * _RECORD.size))

    # --- what is kept ----------------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, data: bytes) -> OriginTable:
        """Return the table that `dump` gave. Raises ValueError for anything else."""
        head, _, records = data.partition(b"\n")
        kept = json.loads(head)
        if kept["form"] != _FORM or len(records) != kept["seq"] * _RECORD.size:
            raise ValueError("another form")
        keys = [Origin(**{**one, "principals": tuple(one["principals"])}) for one in kept["keys"]]
        owners = {name: [tuple(one) for one in owner] for name, owner in kept["owners"].items()}
        pairs = {name: {tuple(pair): seq for pair, seq in pairs} for name, pairs in kept["pairs"].items()}
        lists = (kept["emails"], keys, kept["adopters"], owners, pairs, kept["unread"])
        return cls(kept["tip"], kept["seq"], *lists, bytearray(records))

    def dump(self) -> bytes:
        """Return the table as it is written down."""
        keys = [
            {"key": one.key, "authority": one.authority, "principals": one.principals, "since": one.since, "until": one.until}
            for one in self.keys
        ]
        kept: dict[str, Any] = {
            "form": _FORM, "tip": self.tip, "seq": self.seq, "emails": self.emails, "keys": keys, "adopters": self.adopters,
            "owners": self.owners, "pairs": {name: list(pairs.items()) for name, pairs in self.pairs.items()},
            "unread": self.unread,
        }  # fmt: skip
        return json.dumps(kept).encode() + b"\n" + bytes(self.records)

    # --- what it says ----------------------------------------------------------------------------------------------------

    def of(self, seq: int) -> EventOrigin | None:
        """Return where that event came from; None for one that isn't in the table."""
        if not 0 < seq <= self.seq:
            return None
        email, key, adopter, flags, at = _RECORD.unpack_from(self.records, (seq - 1) * _RECORD.size)
        return self._origin((email, key, adopter, flags), at) if at else None

    def _origin(self, pair: tuple[int, int, int, int], at: int) -> EventOrigin:
        email, key, adopter, flags = pair
        known = self.keys[key]
        origin = Origin(self.emails[email], known.key, known.authority, known.principals, known.since, known.until,
                        self.adopters[adopter])  # fmt: skip
        return EventOrigin(origin, bool(flags & _COVERED), datetime.fromtimestamp(at, UTC))

    def owner(self, session: str, seq: int) -> Origin:
        """Return whose the name was at that event; an empty origin where nobody had it."""
        for since, email, key in reversed(self.owners.get(session, [])):
            if since <= seq:
                return Origin() if email < 0 else Origin(self.emails[email], self.keys[key].key)
        return Origin()

    def origins(self, session: str, since: int) -> Iterator[tuple[int, EventOrigin]]:
        """Yield the different origins of what that session said from that event on, each with its newest event."""
        for pair, seq in self.pairs.get(session, {}).items():
            found = self.of(seq)
            if seq >= since and found is not None:
                yield seq, EventOrigin(self._origin(pair, 0).origin, found.covered, found.at)

    # --- growing ---------------------------------------------------------------------------------------------------------

    def extend(
        self,
        commits: Iterable[tuple[Commit, bool]],
        tip: Oid,
        check: Check | None,
        seen: Callable[[Oid, str, int], None] = lambda oid, session, seq: None,
    ) -> None:
        """Go through commits behind the table's own, oldest first, each with True if it is good; they end at that tip.

        - `check`: None: no signature is looked at.
        - `seen`: is told each event once it is in the table: its commit, session and number.
        """
        block: list[_Row] = []
        parents: dict[Oid, Oid] = {}
        rows: dict[Oid, _Row] = {}
        for commit, good in commits:
            parents[commit.oid] = commit.parents[0] if commit.parents else NULL
            row = _row(commit) if good else None
            if row is None:
                continue
            rows[commit.oid] = row
            block.append(row)
            if commit.signature and check is not None:
                self._sign(row, commit, parents, rows, check)
            if len(block) >= _BLOCK + _CARRY:
                for one in block[:_BLOCK]:
                    self._fold(one)
                    seen(one.oid, one.session, one.seq)
                block = block[_BLOCK:]
                kept = {one.oid for one in block}
                rows = {oid: one for oid, one in rows.items() if oid in kept}
                parents = {oid: parent for oid, parent in parents.items() if oid in kept}
        for one in block:
            self._fold(one)
            seen(one.oid, one.session, one.seq)
        self.tip = tip

    def _sign(self, row: _Row, commit: Commit, parents: dict[Oid, Oid], rows: dict[Oid, _Row], check: Check) -> None:
        """Note the signature of a commit, for it and for the commits of its push that stand before it."""
        signer = sshsig.check(commit.payload, commit.signature) if sshsig.is_ssh(commit.signature) else None
        if isinstance(signer, sshsig.Signer):
            authority = fingerprint(signer.authority) if signer.authority else ""
            origin = Origin("", fingerprint(signer.blob), authority, signer.principals, signer.since, signer.until)
        else:
            origin = Origin("", BAD if signer is False else check(commit.oid, row.seq))
        row.key = self._index("keys", origin)
        if origin.key == UNREAD:
            self.unread[commit.oid] = row.seq
        before = parents[commit.oid]
        for _ in range(min(row.signs, _CARRY) - 1):
            other = rows.get(before)
            if other is None or other.key:
                break
            other.key, other.covered = row.key, True
            before = parents.get(before, NULL)

    def _fold(self, row: _Row) -> None:
        """Put one good event into the table. A gap can't be: events are numbered one after the other, but for the first one that is
        known, before which others may lie in archives.
        """
        if self.seq == 0 and row.kind == "epoch.opened":
            self.seq = row.seq - 1
            self.records += bytes(self.seq * _RECORD.size)
        if row.seq != self.seq + 1:
            return
        email = self._index("emails", row.email)
        adopter = self._index("adopters", row.adopter)
        flags = _COVERED if row.covered else 0
        self.records += _RECORD.pack(email, row.key, adopter, flags, max(0, min(row.at, 0xFFFFFFFF)))
        self.seq = row.seq
        for name in row.removed:
            if name in self.owners:
                self.owners[name].append((row.seq, -1, 0))
                self.pairs.pop(name, None)
        if len(self.owners) > _NAMES:
            self.owners = {name: owner for name, owner in self.owners.items() if owner[-1][1] >= 0}
        if row.kind in _NOBODYS:
            return
        pairs = self.pairs.setdefault(row.session, {})
        pair = (email, row.key, adopter, flags)
        pairs.pop(pair, None)
        pairs[pair] = row.seq
        while len(pairs) > _PAIRS:
            del pairs[next(iter(pairs))]
        if row.adopter:
            return
        known = self.owners.get(row.session)
        if known is None or known[-1][1] < 0 or (email != known[-1][1] and self.emails[known[-1][1]] == ""):
            key = row.key if self.keys[row.key].key not in (BAD, UNREAD) and not row.covered else 0
            kept = known[-1][2] if known is not None and known[-1][1] >= 0 else 0
            self.owners.setdefault(row.session, []).append((row.seq, email, kept or key))

    def _index(self, name: str, value: Any) -> int:
        """Return the place of that in one of the three lists; all that is too much for it has one place."""
        table: list[Any] = getattr(self, name)
        places = self._places.get(name)
        if places is None:
            places = self._places[name] = {one: number for number, one in enumerate(table)}
        if len(table) >= _MOST:
            value = Origin("", UNREAD) if name == "keys" else "?"
        if value not in places:
            places[value] = len(table)
            table.append(value)
        return places[value]

    def settle(self, oid: Oid, key: str) -> None:
        """Note whose signature a commit has that nothing could check before."""
        last = self.unread.pop(oid, 0)
        unread, index = self._index("keys", Origin("", UNREAD)), self._index("keys", Origin("", key))
        for seq in range(last, 0, -1):
            at = (seq - 1) * _RECORD.size
            email, known, adopter, flags, when = _RECORD.unpack_from(self.records, at)
            if known != unread or (seq != last and not flags & _COVERED):
                break
            _RECORD.pack_into(self.records, at, email, index, adopter, flags, when)
        for pairs in self.pairs.values():
            for pair, seq in list(pairs.items()):
                found = _RECORD.unpack_from(self.records, (seq - 1) * _RECORD.size)
                if pair != found[:4]:
                    pairs[found[:4]] = max(seq, pairs.pop(pair), pairs.get(found[:4], 0))


def _row(commit: Commit) -> _Row | None:
    """Return what of a good commit says where it came from; None for one that no event can be read from."""
    said: dict[str, list[str]] = {}
    for title, value in _TRAILER.findall((commit.message or "").rstrip("\n").rpartition("\n\n")[2]):
        said.setdefault(title, []).append(value)
    try:
        session, seq, kind = said["Session"][0], int(said["Seq"][0]), said["Event"][0]
        signs = int(said.get("Signs", ["1"])[0])
    except (KeyError, ValueError):
        return None
    adopter = said.get("Carried", [""])[0].partition(" ")[0]
    email = (
        ""
        if commit.email in (f"{session}@localhost", f"{adopter}@localhost")
        else commit.email.encode()[:_ADDRESS].decode("utf-8", "ignore")
    )
    removed = tuple(one.removeprefix("session ") for one in said.get("Removed", ()) if one.startswith("session "))
    at = int(commit.committed_at.timestamp()) if commit.committed_at else 0
    return _Row(commit.oid, seq, session, kind, email, at, adopter, removed, signs)
