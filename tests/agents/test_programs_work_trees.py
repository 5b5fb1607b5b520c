"""Claude Code's own program in several work trees of one clone: one session, in its own way nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clones import until
from model_server import Call

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
