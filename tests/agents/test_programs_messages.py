"""The agents' own programs: what is said to a session while it works reaches its model, and a question also at its very end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from model_server import Turn

if TYPE_CHECKING:
    from conftest import Day


@pytest.mark.parametrize("name", ["claude", "codex", "copilot", "gemini"])
def test_a_question_that_comes_in_its_last_turn_is_told_before_it_stops(day: Day, name: str) -> None:
    player = day.player(name)

    def ask() -> None:
        [mine] = day.sessions()
        with day.ben.here() as found:
            found.coordinator.messages.send(mine, "which port?", "", type="question")

    mark = day.model.play("work", Turn("Done.", first=ask), "I can't say.")
    player.run(f"{mark} work")
    assert day.model.times("work", "which port?") == [0, 1], player.log
    assert "before you stop" in day.model.shown("work")[-1], player.log
