"""The agents' own programs with helpers, and in several work trees of one clone: one session, in its own way nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agent_programs import GITCOORD, PROGRAMS
from clones import until
from model_server import Call, Turn

if TYPE_CHECKING:
    from conftest import Day


def test_what_it_and_its_helper_do_in_work_trees_is_its_sessions(day: Day) -> None:
    """It claims a file, a helper of its own edits that file in an isolated work tree and claims another there; then it goes to a
    work tree itself, edits, and ends there.
    """
    player = day.player("claude")
    day.seat.git("config", "gitcoord.guard", "block")
    shell = player.program.shell
    day.model.play("helper", shell("echo changed > src/other.py; gitcoord claim src/new.py; gitcoord whoami"), "Helped.")
    mark = day.model.play(
        "work",
        shell("gitcoord claim src/other.py"),
        Call(
            "Agent",
            {
                "description": "help",
                "prompt": "[[helper]] help",
                "subagent_type": "general-purpose",
                "isolation": "worktree",
                "run_in_background": False,
            },
        ),
        Call("EnterWorktree", {"name": "two"}),
        Call("Write", {"file_path": "src/new.py", "content": "made\n"}),
        shell("gitcoord whoami; pwd"),
        "Done.",
    )
    player.run(f"{mark} work", "--allowedTools", "Bash", "Read", "Edit", "Write", "Agent", "EnterWorktree")
    assert list(day.sessions()) == ["claude-main"], (day.sessions(), player.log)
    assert "held: file:src/new.py" in day.model.shown("helper")[-1], player.log
    last = day.model.shown("work")[-1]
    assert "worktrees/two" in last, player.log
    assert "is held by claude-main" not in last, player.log
    assert "no session is known" not in last, player.log
    until(day.ended, "it never ended")


@pytest.mark.usually("codex", "copilot")
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_helper_claims_and_edits_is_its_sessions(day: Day, name: str) -> None:
    """Its helper edits what it holds itself, claims for it, and is kept from what another holds."""
    player = day.player(name)
    day.seat.git("config", "gitcoord.guard", "block")
    shell, edit = player.program.shell, player.program.edit
    held: list[dict[str, str]] = []
    helper = day.model.play(
        "helper",
        shell(f"{GITCOORD} claim src/new.py"),
        *edit(str(day.free), "files", "changed"),
        *edit(str(day.held), "files", "changed"),
        Turn("Helped.", first=lambda: held.append(day.holders())),
    )
    mark = day.model.play("work", shell(f"{GITCOORD} claim src/other.py"), *player.program.help(f"{helper} help"), "Done.")
    player.run(f"{mark} work", *player.program.more)
    assert len(day.sessions()) == 1, player.log
    [mine] = day.sessions()
    assert held == [{"src/api.py": "ben", "src/other.py": mine, "src/new.py": mine}], player.log
    assert (day.free.read_text(), day.held.read_text()) == ("changed\n", "files\n"), player.log
    assert day.model.shown("helper")[-1].count("is held by") == 1, player.log


@pytest.mark.usually("copilot", "qwen")
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "claude"])
def test_in_another_work_tree_it_is_the_same_session(day: Day, name: str) -> None:
    """It makes a work tree, types there, edits there what it holds itself, and is kept from what another holds."""
    player = day.player(name)
    day.seat.git("config", "gitcoord.guard", "block")
    shell, edit = player.program.shell, player.program.edit
    two = day.seat.path / "two"
    mark = day.model.play(
        "work",
        shell(f"git worktree add -q -b two two && cd two && {GITCOORD} whoami && {GITCOORD} claim src/other.py"),
        *edit(str(two / "src/other.py"), "files", "changed"),
        *edit(str(two / "src/api.py"), "files", "changed"),
        "Done.",
    )
    player.run(f"{mark} work")
    assert len(day.sessions()) == 1, (day.sessions(), player.log)
    assert ((two / "src/other.py").read_text(), (two / "src/api.py").read_text()) == ("changed\n", "files\n"), player.log
    last = day.model.shown("work")[-1]
    assert "held: file:src/other.py" in last, last
    assert last.count("is held by ben") == 1, last
    assert "no session is known" not in last, last
