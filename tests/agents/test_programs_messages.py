"""The agents' own programs: what is said to a session while it works reaches its model, and a question also at its very end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agent_programs import PROGRAMS
from model_server import Turn

if TYPE_CHECKING:
    from conftest import Day


def _look(day: Day) -> None:
    """Looks at the branch, as the hooks do every 15 seconds. At a stop they wait two seconds for it, which may be too short."""
    look = day.seat.run("sync", "--if-due")
    assert look.code == 0, look


@pytest.mark.parametrize("name", ["claude", "codex", "copilot", "gemini", "qwen"])
def test_a_question_that_comes_in_its_last_turn_is_told_before_it_stops(day: Day, name: str) -> None:
    player = day.player(name)

    def ask() -> None:
        [mine] = day.sessions()
        with day.ben.here() as found:
            found.coordinator.messages.send(mine, "which port?", "", type="question")
        _look(day)

    mark = day.model.play("work", Turn("Done.", first=ask), "I can't say.")
    player.run(f"{mark} work")
    assert day.model.times("work", "which port?") == [0, 1], player.log
    assert "before you stop" in day.model.shown("work")[-1], player.log


@pytest.mark.usually("claude", "codex", "gemini")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_turn_without_an_edit_hears_what_was_said(day: Day, name: str) -> None:
    player = day.player(name)

    def tell() -> None:
        [mine] = day.sessions()
        with day.ben.here() as found:
            found.coordinator.messages.send(mine, "the schema moved", "")
        _look(day)

    mark = day.model.play("work", Turn(calls=(player.program.shell("echo one"),), first=tell), "Done.")
    player.run(f"{mark} work")
    assert day.model.times("work", "the schema moved") == [0, 1], player.log
