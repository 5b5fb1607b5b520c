"""Where events came from: the table is the same however it grew, a signature covers its own push only, a name has one owner."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitcoord.core.trust import BAD, UNREAD, Origin
from gitcoord.git.objects import Commit
from gitcoord.log.origins import OriginTable

AT = datetime(2025, 11, 15, 10, tzinfo=UTC)


class Branch:
    """Commits as they are read from a branch. The signature of one is the name of its key."""

    def __init__(self) -> None:
        self.commits: list[tuple[Commit, bool]] = []
        self.keys: dict[str, str] = {}
        self.seq = 0

    def add(self, session: str, email: str, *lines: str, key: str = "", good: bool = True, kind: str = "message.sent") -> str:
        """Add a commit, and return its name."""
        self.seq += good
        oid = f"{len(self.commits) + 1:040x}"
        parents = (self.commits[-1][0].oid,) if self.commits else ()
        said = [f"Coord-Event: {kind}", f"Coord-Seq: {self.seq}", f"Coord-Session: {session}", *lines]
        message = "subject\n\nCoord-Session: of the text\n\n" + "\n".join(said) + "\n"
        self.keys[oid] = key
        commit = Commit(oid, parents, session, AT, AT, message, email=email, signature=b"x" if key else b"", payload=b"y")
        self.commits.append((commit, good))
        return oid

    def table(self, *, pieces: int = 0) -> OriginTable:
        """Return the table of all, or grown in pieces of so many commits, written down and read again between two."""
        table, step = OriginTable(), pieces or max(1, len(self.commits))
        for start in range(0, len(self.commits), step):
            part = self.commits[start : start + step]
            table.extend(part, part[-1][0].oid, lambda oid, seq: self.keys[oid])
            table = OriginTable.load(table.dump())
        return table


def _said(table: OriginTable, seq: int) -> tuple[str, str, bool]:
    found = table.of(seq)
    assert found is not None
    return found.origin.email, found.origin.key, found.covered


def test_the_table_is_the_same_however_it_grew() -> None:
    branch = Branch()
    for number in range(40):
        name = ("ada", "ben", "eve")[number % 3]
        branch.add(name, f"{name}@example.com", key=f"SHA256:{name}" if number % 4 == 0 else "", good=number % 11 != 5)
    whole = branch.table()
    assert whole.seq == branch.seq
    assert branch.table(pieces=1).dump() == branch.table(pieces=7).dump() == whole.dump()


def test_a_signature_covers_the_commits_of_its_push_and_none_that_others_pushed_between() -> None:
    branch = Branch()
    branch.add("ada", "ada@example.com", key="SHA256:ada")
    branch.add("ada", "mallory@example.com")
    branch.add("ada", "ada@example.com")
    branch.add("ada", "ada@example.com", "Coord-Signs: 2", key="SHA256:ada")
    table = branch.table()
    assert [_said(table, seq)[1:] for seq in range(1, 5)] == [
        ("SHA256:ada", False), ("", False), ("SHA256:ada", True), ("SHA256:ada", False),
    ]  # fmt: skip


def test_a_signature_covers_no_commit_that_has_its_own() -> None:
    branch = Branch()
    branch.add("ada", "ada@example.com")
    branch.add("ada", "ada@example.com", key="SHA256:ada")
    branch.add("eve", "eve@example.com", "Coord-Signs: 3", key="SHA256:eve")
    table = branch.table()
    assert [_said(table, seq)[1] for seq in range(1, 4)] == ["", "SHA256:ada", "SHA256:eve"]


def test_a_name_belongs_to_its_first_address_until_its_record_is_gone() -> None:
    branch = Branch()
    branch.add("ada", "ada@example.com", key="SHA256:ada", kind="session.started")
    branch.add("ada", "mallory@example.com")
    branch.add("ben", "ben@example.com", "Coord-Removed: session ada")
    branch.add("ada", "eve@example.com", kind="session.started")
    table = branch.table()
    assert [table.owner("ada", seq) for seq in (1, 2, 3, 4)] == [
        Origin("ada@example.com", "SHA256:ada"), Origin("ada@example.com", "SHA256:ada"), Origin(), Origin("eve@example.com"),
    ]  # fmt: skip


def test_a_key_becomes_a_names_owner_only_by_its_own_signature() -> None:
    branch = Branch()
    branch.add("ada", "ada@example.com", kind="session.started")
    branch.add("mallory", "mallory@example.com", "Coord-Signs: 2", key="SHA256:mallory")
    assert branch.table().owner("ada", 2) == Origin("ada@example.com")


def test_an_address_that_says_nothing_owns_nothing() -> None:
    branch = Branch()
    branch.add("ada", "ada@localhost", kind="session.started")
    assert branch.table().owner("ada", 1) == Origin()
    branch.add("ada", "ada@example.com")
    assert branch.table().owner("ada", 2) == Origin("ada@example.com")


def test_what_says_nothing_makes_the_table_no_longer() -> None:
    branch = Branch()
    branch.add("ada", "ada@localhost", kind="session.started")
    few = len(branch.table().owners["ada"])
    for _ in range(20):
        branch.add("ada", "ada@localhost")
    assert len(branch.table().owners["ada"]) == few


def test_what_is_carried_was_pushed_by_its_adopter_and_gives_no_name_away() -> None:
    branch = Branch()
    branch.add("claude-fix", "ada@example.com", "Coord-Carried: ada claude/fix@0d2fc0c1ab4f6a7ab9a1bcf4b1e0d0f6f0a3a9f5")
    found = branch.table().of(1)
    assert found is not None
    assert found.origin.adopter == "ada"
    assert branch.table().owner("claude-fix", 1) == Origin()


def test_who_opens_the_branch_or_joins_it_gives_no_name_away() -> None:
    branch = Branch()
    branch.add("gitcoord-init", "ada@example.com", kind="branch.opened")
    branch.add("gitcoord-init", "ben@example.com", kind="repository.joined")
    assert branch.table().owner("gitcoord-init", 2) == Origin()


def test_what_could_not_be_checked_is_settled_later_for_its_whole_push() -> None:
    branch = Branch()
    branch.add("ada", "ada@example.com", key="SHA256:first")
    branch.add("ada", "ada@example.com")
    branch.keys[branch.add("ada", "ada@example.com", "Coord-Signs: 2", key="late")] = UNREAD
    table = branch.table()
    [oid] = table.unread
    table.settle(oid, BAD)
    assert [_said(table, seq)[1] for seq in range(1, 4)] == ["SHA256:first", BAD, BAD]
    assert {origin.origin.key for _, origin in table.origins("ada", 1)} == {"SHA256:first", BAD}
    assert not OriginTable.load(table.dump()).unread


@pytest.mark.parametrize("data", [b"", b"{}\n", b"[]\n", b'{"form": 0, "seq": 0}\n', b"nonsense"])
def test_a_table_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        OriginTable.load(data)


def test_many_addresses_stay_told_apart_from_the_owners() -> None:
    branch = Branch()
    branch.add("ada", "ada@example.com", kind="session.started")
    for number in range(50):
        branch.add("ada", f"{number}@" + "x" * 1000)
    table = branch.table()
    assert all(len(_said(table, seq)[0]) <= 254 for seq in range(1, 52))
    assert len(list(table.origins("ada", 1))) == 12
