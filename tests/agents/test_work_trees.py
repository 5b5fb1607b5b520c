"""One session of an agent, several work trees: it is itself in each of the clone, and an edit is judged where the file lies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agent_player import Claude, Host
from clones import PROGRAM, Seat, file, until
from gits import git
from guards import commit


@pytest.fixture
def office(pair: tuple[Seat, Seat]) -> Iterator[tuple[Claude, Seat]]:
    """An agent at work as `claude-main`, which holds src/api.py; `ben` holds src/b.py, and the guard blocks."""
    ada, ben = pair
    commit(ada, "files", "src/api.py", "src/b.py")
    ada.git("push", "--quiet", "origin", "HEAD")
    ada.git("config", "gitcoord.guard", "block")
    claude = Claude(ada, "c-1", Host(ada), env={"CLAUDE_PROJECT_DIR": str(ada.path)})
    claude.arrive()
    with replace(ben, session="ben").here() as found:
        found.coordinator.claims.acquire(file("src/b.py"))
    with replace(ada, session="claude-main").here() as found:
        found.coordinator.claims.acquire(file("src/api.py"))
    claude.look()
    (claude.own / "synced").touch()  # no hook of a test begins what it doesn't ask for
    yield claude, replace(ben, session="ben")
    claude.host.kill()


def edit(claude: Claude, cwd: Path, path: Path, **more: str) -> Any:
    """What is said before an edit, from that folder."""
    claude.count += 1
    given = {"tool_name": "Edit", "tool_input": {"file_path": str(path)}, "tool_use_id": f"t-{claude.count}", **more}
    said = claude.send({**claude.payload("PreToolUse", **given), "cwd": str(cwd)})
    return said.get("hookSpecificOutput", {}).get("permissionDecision")


def typed(claude: Claude, cwd: Path, *words: str) -> Any:
    """A command that the agent types in that folder."""
    ran = claude.host.run([*PROGRAM, *words, "--json"], "", claude.variables, cwd)
    assert ran.code == 0, ran
    return json.loads(ran.out)


def live(seat: Seat) -> set[str]:
    """The sessions that live, and who holds what."""
    with seat.here() as found:
        return {one.session_id for one in found.coordinator.branch.view().state.sessions.live()}


@pytest.mark.parametrize("helper", [{}, {"agent_id": "helper-1"}])
def test_in_another_work_tree_of_the_clone_it_is_itself(office: tuple[Claude, Seat], helper: dict[str, str]) -> None:
    claude, ben = office
    tree = claude.seat.path / ".claude" / "worktrees" / "two"
    claude.seat.git("worktree", "add", "--quiet", "-b", "two", str(tree))
    assert edit(claude, tree, tree / "src/api.py", **helper) is None  # its own claim stands in nobody's way
    assert edit(claude, tree, tree / "src/b.py", **helper) == "deny"
    assert typed(claude, tree, "whoami")["session_id"] == "claude-main"
    typed(claude, tree, "claim", "src/new.py")
    assert live(ben) >= {"claude-main"}
    assert not any(name.startswith(("two", "claude-main-")) for name in live(ben))
    if not helper:
        claude.send({**claude.payload("SessionEnd", reason="other"), "cwd": str(tree)})
        until(lambda: "claude-main" not in live(ben), "it never ended")


def test_in_a_repository_inside_of_the_project_it_goes_on(office: tuple[Claude, Seat]) -> None:
    claude, ben = office
    nested = claude.seat.path / "vendor" / "lib"
    nested.mkdir(parents=True)
    git(nested, "init", "--quiet")
    (nested / "b.py").write_text("theirs")
    with ben.here() as found:
        found.coordinator.messages.send("claude-main", "the schema moved", "")
    assert edit(claude, nested, nested / "b.py") is None
    assert edit(claude, nested, claude.seat.path / "src/b.py") == "deny"
    claude.fetch()
    said = claude.send({**claude.payload("UserPromptSubmit", prompt="x", prompt_id="p-9"), "cwd": str(nested)})
    assert "the schema moved" in json.dumps(said)
    claude.send({**claude.payload("SessionEnd", reason="other"), "cwd": str(nested)})
    until(lambda: "claude-main" not in live(ben), "it never ended")


def test_an_edit_from_elsewhere_is_judged_where_the_file_lies(office: tuple[Claude, Seat], tmp_path: Path) -> None:
    """Also without a variable that names the project."""
    claude, _ = office
    claude.env.clear()
    assert edit(claude, tmp_path, claude.seat.path / "src/b.py") == "deny"
    assert edit(claude, tmp_path, claude.seat.path / "src/api.py") is None
    assert edit(claude, tmp_path, tmp_path / "b.py") is None
