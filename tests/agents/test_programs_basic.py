"""The coding agents' own programs, each with a made-up model: what they show it of gitcoord's words, and what they do of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agent_programs import PROGRAMS
from clones import until

if TYPE_CHECKING:
    from conftest import Day

UNGUARDED = {"qwen": "gitcoord doesn't know this agent's form"}
STAY = {
    "copilot": "with -p it says `complete` after each turn, which is no end",
    "opencode": "its sessions end when they are deleted",
}
"""Those whose end no hook tells, and why."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_session_is_briefed_its_edit_of_a_held_file_denied_and_its_end_told(day: Day, name: str) -> None:
    if name in UNGUARDED:
        pytest.skip(UNGUARDED[name])
    player = day.player(name)
    day.rule("guard", "block")
    before = day.held.read_bytes()
    edits = player.program.edit(str(day.held), "files", "changed")
    mark = day.model.play("work", *edits, "Done.")
    player.run(f"{mark} change src/api.py")
    assert len(day.sessions()) == 1, player.log
    [session] = day.sessions()
    briefed = day.model.times("work", f"You are session {session}")
    assert briefed == [1] * (len(edits) + 1), player.log
    assert day.model.times("work", "src/api.py is held by ben")[-2:] == [0, 1], player.log
    assert day.held.read_bytes() == before
    if name not in STAY:
        until(day.ended, f"{name} never ended its session")
