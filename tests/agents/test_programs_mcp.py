"""The agents' own programs with gitcoord's tools: whichever door an agent comes through, it is one session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent_programs import GITCOORD
from model_server import WAIT, Call, Turn

if TYPE_CHECKING:
    from conftest import Day

TOP = Path(__file__).parents[2]


def test_codexs_tool_and_hooks_act_as_one_session(day: Day) -> None:
    player = day.player("codex")
    day.seat.git("config", "gitcoord.guard", "block")
    settings = player.home / ".codex" / "config.toml"
    settings.write_text(f'{settings.read_text()}\n[mcp_servers.gitcoord]\ncommand = "{GITCOORD}"\nargs = ["mcp"]\n')
    edit = player.program.edit(str(day.free), "files", "changed")
    claim = Turn(
        calls=(Call("mcp__gitcoord__claim", {"resources": ["src/other.py"]}),),
        awaits="- mcp__gitcoord",  # the server is started beside the session, and told of when it is there
        meanwhile=player.program.shell(f": {WAIT}"),
    )
    mark = day.model.play("work", claim, *edit, "Done.")
    player.run(f"{mark} work")
    assert len(day.sessions()) == 1, player.log
    assert day.free.read_text() == "changed\n", player.log
    assert '"outcome":"held"' in day.model.shown("work")[-1], player.log


def test_copilots_plugin_has_its_hooks_its_skill_and_its_tool(day: Day) -> None:
    """As an Agent Plugin: the repository itself. Its server is started in the plugin's folder, and acts in the project."""
    player = day.player("copilot", hooked=False)
    player.do("plugin", "install", str(TOP))
    mark = day.model.play("work", Call("gitcoord-claim", {"resources": ["src/other.py"]}), "Done.")
    player.run(f"{mark} work")
    [mine] = day.sessions()
    assert day.model.times("work", f"You are session {mine}") == [1, 1], player.log
    assert day.model.times("work", "Work beside other coding sessions")[0], player.log
    assert day.holders() == {"src/api.py": "ben", "src/other.py": mine}, player.log


def test_codexs_plugin_shows_its_person_two_lines_an_edit(day: Day) -> None:
    """One hook for a tool, before it, with the line that it begins and the line that it is done."""
    player = day.player("codex", hooked=False)
    player.do("plugin", "marketplace", "add", str(TOP))
    player.do("plugin", "add", "gitcoord@gitcoord")
    mark = day.model.play("work", *player.program.edit(str(day.free), "files", "changed"), "Done.")
    player.run(f"{mark} work")
    [mine] = day.sessions()
    assert day.model.times("work", f"You are session {mine}") == [1, 1], player.log
    assert day.free.read_text() == "changed\n", player.log
    lines = [line for line in player.log[0].splitlines() if "ToolUse" in line]
    assert lines == ["hook: PreToolUse", "hook: PreToolUse Completed"], player.log
