"""Secrets stay off the branch: what is typed is refused before anything is sent, what hooks and agents say has them hidden."""

from __future__ import annotations

import pytest
from clones import Seat

from gitcoord.outbox.batch import fold

TOKEN = "ghp_" + "aB3" * 12  # put together here, so that no scanner takes it for a leak


def _nowhere(seat: Seat) -> bool:
    seat.run("status")
    return TOKEN not in seat.git("log", "-p", "--format=raw %B", "origin/coordination")


@pytest.mark.parametrize(
    "words",
    [
        ("send", "ben", f"it is {TOKEN}"), ("send", "ben", "s", "--detail", f"k={TOKEN}"), ("heartbeat", "building", TOKEN),
        ("claim", "a.py", "--reason", TOKEN), ("claim", f"deploy:{TOKEN}"), ("start", "eve", "--work", TOKEN),
        ("handoff", "anyone", "--next", TOKEN), ("end", "--notes", TOKEN), ("release", "b.py", "--done", TOKEN),
        ("ask", "ben", TOKEN), ("request", "b.py", TOKEN), ("heartbeat", "--op", TOKEN),
    ],
)  # fmt: skip
def test_a_command_that_holds_one_is_refused_without_repeating_it(pair: tuple[Seat, Seat], words: tuple[str, ...]) -> None:
    ada, _ = pair
    ada.ok("claim", "b.py")
    ran = ada.run(*words, "--json")
    assert ran.code == 2, ran
    assert ran.json["rule"] == "github token"
    assert TOKEN not in ran.out + ran.err
    assert _nowhere(ada)
    assert not [path for path in ada.outbox.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_who_means_it_sends_it_before_or_after_the_command(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("--allow-secret", "send", "ben", TOKEN)
    ada.ok("send", "ben", TOKEN, "--allow-secret")
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == [TOKEN, TOKEN]


def test_what_is_said_unasked_has_it_hidden(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.git("checkout", "-q", "-b", f"try-{TOKEN}")
    ada.ok("claim", "a.py")
    ada.ok("heartbeat", "building", "x")
    ada.ok("release", "a.py", "--done", "all of it")
    assert "ghp" not in ada.ok("start", "--new")["session_id"]
    with ada.here() as found:  # as agents and relays do
        found.coordinator.messages.send("ben", f"the token is {TOKEN}", "")
        said = {"at": "2026-01-01T00:00:00Z", "action": "committed", "target": f"use {TOKEN}", "files": [TOKEN], "branch": TOKEN}
    command = fold("ada", [said], "01KA3FDTE091ESFY1RER9H06RG")
    assert command is not None
    assert (command.target, command.files_touched, command.branch) == (
        "use [hidden: github token]",
        ("[hidden: github token]",),
        None,
    )
    assert "the token is [hidden: github token]" in [one["subject"] for one in ben.ok("inbox")["messages"]]
    assert _nowhere(ada)
