"""The coding agents' own programs, each with a made-up model: what they show it of gitcoord's words, and what they do of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agent_programs import GITCOORD, PROGRAMS, STAY
from clones import until
from model_server import Turn

from gitcoord.machine.agents import AGENTS

if TYPE_CHECKING:
    from conftest import Day


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_session_is_briefed_kept_from_a_held_file_and_signed_off(day: Day, name: str) -> None:
    """With `block` its edit is denied; with `warn` once, and the same edit again is done."""
    player = day.player(name)
    day.seat.git("config", "gitcoord.guard", "block")
    before = day.held.read_bytes()
    seen: list[bytes] = []

    def warn() -> None:
        seen.append(day.held.read_bytes())
        day.seat.git("config", "gitcoord.guard", "warn")

    edits = player.program.edit(str(day.held), "files", "changed")
    again = edits[-1]
    mark = day.model.play(
        "work",
        *edits,
        Turn(calls=(again,), first=warn),
        Turn(calls=(again,), first=lambda: seen.append(day.held.read_bytes())),
        "Done.",
    )
    player.run(f"{mark} change src/api.py")
    assert len(day.sessions()) == 1, player.log
    [session] = day.sessions()
    assert day.model.times("work", f"You are session {session}") == [1] * (len(edits) + 3), player.log
    assert day.model.times("work", "src/api.py is held by ben")[-4:] == [0, 1, 2, 2], player.log
    assert day.model.times("work", "The same edit again goes through")[-3:] == [0, 1, 1], player.log
    assert day.model.times("work", "ben: a rewrite")[-3:] == [0, 1, 1], player.log
    assert (seen, day.held.read_bytes()) == ([before] * 2, before.replace(b"files", b"changed"))
    until(lambda: [one.subject for one in day.mail()] == [f"{session} edited src/api.py, which you hold"], "ben was never told")
    if name not in STAY:
        until(day.ended, f"{name} never ended its session")


@pytest.mark.usually("claude-codex")
@pytest.mark.parametrize(("outer", "inner"), [("claude", "codex"), ("gemini", "opencode"), ("copilot", "qwen")])
def test_two_at_once_in_one_clone_are_two_sessions(day: Day, outer: str, inner: str) -> None:
    """One begins and ends while the other waits for its model, and is kept from what that one holds."""
    first, second = day.player(outer), day.player(inner)
    day.seat.git("config", "gitcoord.guard", "block")
    within = day.model.play("inner", *second.program.edit(str(day.free), "files", "changed"), "Done.")
    claim = first.program.shell(f"{GITCOORD} claim src/other.py")
    mark = day.model.play("outer", claim, Turn("Done.", first=lambda: second.run(f"{within} work")))
    first.run(f"{mark} work")
    assert sorted(day.sessions()) == sorted([f"{outer}-main", f"{inner}-main"]), (first.log, second.log)
    holder = f"src/other.py is held by {outer}-main ({AGENTS[outer].record} on host-"
    assert holder in day.model.shown("inner")[-1], second.log
    assert day.free.read_text() == "files\n"
    until(lambda: {name for name, one in day.sessions().items() if one.live} <= {f"{one}-main" for one in STAY}, "one never ended")
