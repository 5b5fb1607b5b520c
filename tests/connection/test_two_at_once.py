"""Two that write at once: nothing that one of them leaves is lost, whichever small file it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitcoord.agents.mailbox import OWN, Mailbox
from gitcoord.machine.facts import Facts
from gitcoord.machine.files import private_folder, take_turn
from gitcoord.machine.identity import Identity
from gitcoord.outbox import shown
from gitcoord.outbox.store import Outbox

WRITERS, EACH = 6, 20


def notes(folder: Path, name: str) -> set[str]:
    Outbox(folder).leave_note("ada", name)
    return set(Outbox(folder).take_notes("ada")) if name.endswith(("3", "7")) else set()


def state(folder: Path, name: str) -> set[str]:
    Outbox(folder).update(**{name: 1})
    return set()


def refusals(folder: Path, name: str) -> set[str]:
    Outbox(folder).refuse(name, "no")
    return set()


def shown_ids(folder: Path, name: str) -> set[str]:
    shown.note(Outbox(folder).path, "ada", [name])
    return set()


def lost(folder: Path, name: str) -> set[str]:
    Identity(folder).lose("ada", [f"1 file:{name}"], "2025-11-15T10:00:00Z")
    return set()


def news(folder: Path, name: str) -> set[str]:
    mailbox = Mailbox.of(private_folder(folder / "gitcoord"), "ada")
    mailbox.touch()
    mailbox.add_news([name])
    hand = mailbox.take(1 << 20)
    mailbox.done(hand)
    return {line.removeprefix(OWN) for line in hand.lines}


def claimed(folder: Path, name: str) -> set[str]:
    mailbox = Mailbox.of(private_folder(folder / "gitcoord"), "ada")
    mailbox.touch()
    mailbox.note_claimed({f"1 file:{name}": "abc"})
    return set()


def facts(folder: Path, name: str) -> set[str]:
    known = Facts(folder / "facts.json")
    known.update({f"{name}-{number}": "x" for number in range(16)})
    known.keep()
    return set()


LEFT: dict[str, tuple[Callable[[Path, str], set[str]], Callable[[Path], set[str]]]] = {
    "notes": (notes, lambda folder: set(Outbox(folder).take_notes("ada"))),
    "state": (state, lambda folder: set(Outbox(folder).state())),
    "refusals": (refusals, lambda folder: set(Outbox(folder).state()["refusals"])),
    "shown": (shown_ids, lambda folder: shown.known(folder, "ada")),
    "lost": (lost, lambda folder: {entry.removeprefix("1 file:") for entry, _ in Identity(folder).lost("ada")}),
    "news": (news, lambda folder: set()),
    "claimed": (
        claimed,
        lambda folder: {entry.removeprefix("1 file:") for entry in Mailbox.of(folder / "gitcoord", "ada").claimed()},
    ),
    "facts": (facts, lambda folder: {key.rpartition("-")[0] for key in Facts(folder / "facts.json")}),
}
"""By the file: leaving something in it (and what was taken out on that way), and what lies there in the end."""


@pytest.mark.parametrize("kind", LEFT)
def test_nothing_is_lost_when_several_write_the_same_file(kind: str, tmp_path: Path) -> None:
    leave, look = LEFT[kind]

    def write(writer: int) -> set[str]:
        taken: set[str] = set()
        for number in range(EACH):
            taken |= leave(tmp_path, f"{writer}-{number}")
        return taken

    with ThreadPoolExecutor(WRITERS) as pool:
        taken = set[str]().union(*pool.map(write, range(WRITERS)))
    assert taken | look(tmp_path) >= {f"{writer}-{number}" for writer in range(WRITERS) for number in range(EACH)}


def test_of_several_that_ask_for_a_turn_one_gets_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(lambda _: take_turn(tmp_path / "stamp", 60.0), range(WRITERS * EACH))) == 1


LEASE = (2e9, 3600)


def test_a_note_of_what_is_held_is_never_judged_by_an_older_view_nor_overwritten_by_one(tmp_path: Path) -> None:
    notes = Identity(tmp_path)
    notes.see("ada", {"4 file:a": LEASE}, 4)
    notes.add("ada", {"7 file:b": LEASE}, 7)  # a command that claims
    # A status that read the branch before that claim, and gets here after it.
    assert notes.missing("ada", {"4 file:a"}, 5) == []
    notes.see("ada", {"4 file:a": LEASE}, 5)
    assert set(notes.held("ada")) == {"4 file:a", "7 file:b"}
    # A view of the claim itself, or a newer one, judges it; an older one afterwards changes nothing.
    notes.see("ada", {"7 file:b": LEASE}, 9)
    assert notes.missing("ada", set(), 8) == []
    notes.see("ada", {}, 8)
    assert notes.held("ada") == ["7 file:b"]
    assert notes.missing("ada", set(), 9) == ["7 file:b"]
    Identity(tmp_path).see("ben", {}, 9)
    Identity(tmp_path).see("ben", {"4 file:a": LEASE}, 5)  # over by then
    assert notes.held("ben") == []
    # What was given back meanwhile is not noted anew by who comes late, and so is never lost.
    notes.drop("ada", ["7 file:b"])
    notes.add("ada", {"7 file:b": LEASE}, 7)
    notes.see("ada", {"7 file:b": LEASE}, 10)
    assert notes.held("ada") == []


def test_of_claims_that_are_noted_at_once_none_is_lost(tmp_path: Path) -> None:
    def claim(number: int) -> None:
        for turn in range(EACH):
            seq = number * EACH + turn + 1
            Identity(tmp_path).add("ada", {f"{seq} file:{seq}": LEASE}, seq)
            Identity(tmp_path).see("ada", {}, 0)

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(claim, range(WRITERS)))
    assert len(Identity(tmp_path).held("ada")) == WRITERS * EACH
