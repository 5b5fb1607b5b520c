"""The agents' own programs, resumed after an ordinary end, copied, and killed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from agent_programs import GITCOORD, PROGRAMS, STAY
from clones import until
from model_server import Turn

if TYPE_CHECKING:
    from conftest import Day

WHO = f"{GITCOORD} whoami; {GITCOORD} claim src/other.py"


@pytest.mark.usually("claude", "codex")
@pytest.mark.parametrize("name", PROGRAMS)
def test_resumed_after_its_end_it_is_the_same_session_and_a_copy_is_another(day: Day, name: str) -> None:
    player = day.player(name)
    if name == "copilot":  # it goes on only without the option by which it trusts the folder; then hooks need this word
        day.seat.extra["GITHUB_COPILOT_PROMPT_MODE_REPO_HOOKS"] = "true"
        player.program = replace(
            player.program, words=lambda prompt: ["-p", prompt, "--allow-all-tools", "--allow-all-paths"], again=("--continue",)
        )  # fmt: skip

    def wait() -> None:
        if name not in STAY:
            until(lambda: not any(one.live for one in day.sessions().values()), "it never ended")

    shell = player.program.shell
    mark = day.model.play("first", shell(WHO), "Done.")
    out = player.run(f"{mark} begin")
    wait()
    [mine] = day.sessions()
    with day.ben.here() as found:
        found.coordinator.messages.send(mine, "while you were away", "")
    if name in STAY:  # its session goes on: as the look that its hooks begin every 15 seconds
        assert day.seat.run("sync", "--if-due").code == 0
    mark = day.model.play("second", shell(f"{GITCOORD} whoami; {GITCOORD} claims --mine"), "Done.")
    player.run(f"{mark} go on", *player.program.again)
    told = day.model.shown("second")[-1]
    assert list(day.sessions()) == [mine], player.log
    assert "while you were away" in told, player.log
    assert "no session is known" not in told, player.log
    assert told.count("src/other.py") > day.model.shown("first")[-1].count("src/other.py"), player.log  # it holds it again
    wait()
    if player.program.copy:
        mark = day.model.play("copy", shell(f"{GITCOORD} whoami"), "Done.")
        player.run(f"{mark} apart", *player.program.copy(f"{out}{player.log[0]}", f"{mark} apart"))
        assert len(day.sessions()) == 2, player.log
        [copy] = [one for one in day.sessions() if one != mine]
        told = day.model.shown("copy")[-1]
        assert f"You are session {copy}" in told, player.log
        assert "no session is known" not in told, player.log
        wait()


@pytest.mark.usually("claude")
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_next_one_takes_the_place_of_one_that_was_killed(day: Day, name: str) -> None:
    """With its name and its claims: kill -9 while it waits for its model."""
    player = day.player(name)
    mark = day.model.play("first", player.program.shell(f"{GITCOORD} claim src/other.py"), Turn("Done.", first=player.kill))
    player.run(f"{mark} begin")
    [(mine, before)] = day.sessions().items()
    assert before.live, player.log
    mark = day.model.play("second", Turn("Done.", first=lambda: seen.append(day.holders())))
    seen: list[dict[str, str]] = []
    player.run(f"{mark} begin anew")
    [(name_after, after)] = day.sessions().items()
    assert (name_after, after.run_id != before.run_id) == (mine, True), player.log
    assert seen == [{"src/api.py": "ben", "src/other.py": mine}], player.log
    if name not in STAY:
        until(day.ended, "it never ended")
