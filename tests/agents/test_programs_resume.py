"""The agents' own programs, resumed after an ordinary end, copied, and killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agent_programs import GITCOORD
from clones import until
from model_server import Turn

if TYPE_CHECKING:
    from conftest import Day

AGAIN = {"claude": ["--continue"], "codex": ["resume", "--last"]}
COPY = {"claude": ["--continue", "--fork-session"]}
WHO = f"{GITCOORD} whoami; {GITCOORD} claim src/other.py"


@pytest.mark.parametrize("name", AGAIN)
def test_resumed_after_its_end_it_is_the_same_session_and_a_copy_is_another(day: Day, name: str) -> None:
    player = day.player(name)
    shell = player.program.shell
    mark = day.model.play("first", shell(WHO), "Done.")
    player.run(f"{mark} begin")
    until(day.ended, "it never ended")
    [mine] = day.sessions()
    with day.ben.here() as found:
        found.coordinator.messages.send(mine, "while you were away", "")
    mark = day.model.play("second", shell(f"{GITCOORD} whoami; {GITCOORD} claims --mine"), "Done.")
    player.run(f"{mark} go on", *AGAIN[name])
    told = day.model.shown("second")[-1]
    assert list(day.sessions()) == [mine], player.log
    assert "while you were away" in told, player.log
    assert "no session is known" not in told, player.log
    assert told.count("src/other.py") > day.model.shown("first")[-1].count("src/other.py"), player.log  # it holds it again
    until(day.ended, "it never ended again")
    if name in COPY:
        mark = day.model.play("copy", shell(f"{GITCOORD} whoami"), "Done.")
        player.run(f"{mark} apart", *COPY[name])
        assert len(day.sessions()) == 2, player.log
        [copy] = [one for one in day.sessions() if one != mine]
        told = day.model.shown("copy")[-1]
        assert f"You are session {copy}" in told, player.log
        assert "no session is known" not in told, player.log
        until(day.ended, "the copy never ended")


def test_the_next_one_takes_the_place_of_one_that_was_killed(day: Day) -> None:
    """With its name and its claims: kill -9 while Claude Code waits for its model."""
    player = day.player("claude")

    def kill() -> None:
        assert player.child is not None
        player.child.kill()

    mark = day.model.play("first", player.program.shell(f"{GITCOORD} claim src/other.py"), Turn("Done.", first=kill))
    player.run(f"{mark} begin")
    [(mine, before)] = day.sessions().items()
    assert before.live, player.log
    mark = day.model.play("second", Turn("Done.", first=lambda: seen.append(day.holders())))
    seen: list[dict[str, str]] = []
    player.run(f"{mark} begin anew")
    [(name, after)] = day.sessions().items()
    assert (name, after.run_id != before.run_id) == (mine, True), player.log
    assert seen == [{"src/api.py": "ben", "src/other.py": mine}], player.log
    until(day.ended, "it never ended")
