"""`hooks install --agent`: one command, real clones, real files; and `init --remove` takes it all away."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from clones import Seat, Seats, snapshot
from remotes import Remote
from typer.core import TyperGroup

from gitcoord.agents.settings.table import SAFE, agents
from gitcoord.cli.app import program


@pytest.fixture
def ada(file_remote: Remote, seats: Seats) -> Seat:
    """A clone, the branch made."""
    [seat] = seats(file_remote, "ada")
    seat.ok("init")
    return seat


def test_one_command_installs_gits_hooks_and_several_agents(ada: Seat) -> None:
    before = snapshot(ada.path)
    said = ada.ok("hooks", "install", "--git", "--agent", "codex", "--agent", "claude")
    assert {one["change"] for one in said["hooks"]} == {"installed"}
    assert [(one["agent"], one["change"], one["scope"]) for one in said["agents"]] == [
        ("claude", "installed", "project"),
        ("codex", "installed", "project"),
    ]
    assert '"command": "gitcoord hook"' in (ada.path / ".claude" / "settings.json").read_text()
    assert '"command": "gitcoord hook"' in (ada.path / ".codex" / "hooks.json").read_text()

    again = ada.run("hooks", "install", "--git", "--agent", "codex", "--agent", "claude")
    assert again.code == 0
    assert again.out.count("already installed") == 6
    shown = {one["agent"]: one["state"] for one in ada.ok("hooks", "status")["agents"]}
    assert shown == dict.fromkeys(agents(), "absent") | {"claude": "installed", "codex": "installed"}

    gone = ada.ok("hooks", "uninstall", "--git", "--agent", "all")
    assert {one["change"] for one in gone["agents"] if one["agent"] in {"claude", "codex"}} == {"removed"}
    assert snapshot(ada.path) == before


def test_without_an_agent_it_does_what_it_did(ada: Seat) -> None:
    said = ada.ok("hooks", "install")
    assert said["agents"] == []
    assert len(said["hooks"]) == 4
    only = ada.ok("hooks", "install", "--agent", "agents-md")
    assert only["hooks"] == []
    gone = ada.ok("hooks", "uninstall")
    assert gone["agents"] == []
    assert (ada.path / "AGENTS.md").exists()


def test_what_a_person_has_to_do_is_said_once(ada: Seat) -> None:
    assert "next: open /hooks in Codex" in ada.run("hooks", "install", "--agent", "codex").err
    assert "next:" not in ada.run("hooks", "install", "--agent", "codex").err


def test_a_users_own_settings_need_no_repository(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    seat = Seat(tmp_path, tmp_path / "outbox", extra={"HOME": str(home), "XDG_STATE_HOME": ""})
    [said] = seat.ok("hooks", "install", "--agent", "claude", "--scope", "user")["agents"]
    assert said["path"] == str(home / ".claude" / "settings.json")
    [shown] = seat.ok("hooks", "status", "--agent", "claude", "--scope", "user")["agents"]
    assert (shown["state"], shown["path"]) == ("installed", said["path"])
    [gone] = seat.ok("hooks", "uninstall", "--agent", "claude", "--scope", "user")["agents"]
    assert gone["change"] == "removed"
    assert not (home / ".claude").exists()
    assert seat.run("hooks", "install", "--agent", "claude").code == 2


def test_a_clone_that_has_not_seen_the_branch_looks_once_and_says_what_it_found(file_remote: Remote, seats: Seats) -> None:
    first, second = seats(file_remote, "first", "second")
    told = second.run("hooks", "install", "--agent", "claude").err
    assert "warning: the hooks do nothing yet" in told
    assert "gitcoord init" in told
    first.ok("init")
    assert second.git("for-each-ref", "refs/remotes/origin/coordination") == ""
    assert "fetched origin/coordination (event 1)" in second.run("hooks", "install", "--agent", "claude").err
    assert second.git("for-each-ref", "refs/remotes/origin/coordination")
    file_remote.away()
    assert second.run("hooks", "install", "--agent", "claude").err == ""


def said_for_codex(seat: Seat) -> str:
    """What a dry run says for Codex, which wants a step of its person afterwards."""
    ran = seat.run("hooks", "install", "--agent", "codex", "--dry-run")
    return ran.out + ran.err


def test_a_dry_run_shows_the_changes_and_makes_none(ada: Seat) -> None:
    (ada.path / ".claude").mkdir()
    (ada.path / ".claude" / "settings.json").write_text('{\n  "model": "opus"\n}\n')
    before = snapshot(ada.path)
    ran = ada.run("hooks", "install", "--git", "--guard", "--agent", "claude", "--agent", "opencode", "--dry-run")
    assert ran.code == 0
    assert "next:" not in said_for_codex(ada)  # nothing was changed, so nothing is left to do for a person
    assert "claude: would be installed" in ran.out
    assert '+            "command": "gitcoord hook",' in ran.out
    assert ran.out.count(": would be installed") == 8
    assert snapshot(ada.path) == before
    assert (ada.path / ".claude" / "settings.json").read_text() == '{\n  "model": "opus"\n}\n'


def test_what_cannot_be_done_is_told_before_anything_is(ada: Seat) -> None:
    (ada.path / ".gemini").mkdir()
    (ada.path / ".gemini" / "settings.json").write_text("{ // mine\n}\n")
    before = snapshot(ada.path)
    ran = ada.run("hooks", "install", "--git", "--agent", "claude", "--agent", "gemini", "--json")
    assert ran.code == 1
    assert "settings.json can't be changed safely" in ran.json["message"]
    assert "gitcoord hooks install --agent gemini" in ran.json["hint"]
    assert snapshot(ada.path) == before
    shown = {one["agent"]: one["note"] for one in ada.ok("hooks", "status", "--agent", "gemini")["agents"]}
    assert "not touched" in shown["gemini"]


@pytest.mark.parametrize("words", [("--agent", "clippy"), ("--agent", "claude", "--scope", "world"), ("--agent", "")])
def test_unknown_names_are_refused(ada: Seat, words: tuple[str, ...]) -> None:
    ran = ada.run("hooks", "install", *words)
    assert ran.code == 2
    assert "hint: gitcoord hooks install" in ran.err


def test_a_linked_work_tree_has_files_of_its_own(ada: Seat, tmp_path: Path) -> None:
    ada.git("commit", "--quiet", "--allow-empty", "-m", "first")
    ada.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    linked = Seat(tmp_path / "linked", ada.outbox)
    linked.ok("hooks", "install", "--agent", "codex")
    assert (tmp_path / "linked" / ".codex" / "hooks.json").exists()
    assert not (ada.path / ".codex").exists()
    below = tmp_path / "linked" / "deep"
    below.mkdir()
    assert linked.run("hooks", "install", "--agent", "codex", cwd=below).out.startswith("codex: already installed")


def test_init_remove_takes_the_agents_hooks_away(ada: Seat) -> None:
    (ada.path / "AGENTS.md").write_text("# Ours\n")
    before = snapshot(ada.path)
    ada.ok("hooks", "install", "--git", *(word for name in agents() for word in ("--agent", name)))
    removed = ada.ok("init", "--remove")["removed"]
    assert any(line.endswith(".claude/settings.json: removed") for line in removed)
    assert snapshot(ada.path)["status"] == before["status"]
    assert (ada.path / "AGENTS.md").read_text() == "# Ours\n"
    assert not (ada.path / ".git" / "gitcoord").exists()


def test_every_command_that_an_agent_may_run_exists() -> None:
    main = typer.main.get_command(program())
    assert isinstance(main, TyperGroup)
    assert set(SAFE) <= set(main.commands)
    assert not any("--break" in option.opts for name in SAFE for option in main.commands[name].params)
