"""install and uninstall: everything at once, shown first, asked once, undone to the byte."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from pathlib import Path

import pytest
from clones import PATIENCE, PROGRAM, Seat, Seats, snapshot
from gits import git
from remotes import Remote

from gitcoord.machine import agents


@pytest.fixture
def seat(file_remote: Remote, seats: Seats) -> Seat:
    """A new clone; the branch isn't made yet. One hook is there."""
    (made,) = seats(file_remote, "ada")
    hook = made.path / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    return made


def test_what_would_be_done_is_shown_and_nothing_is_done(seat: Seat) -> None:
    before = snapshot(seat.path)
    told = seat.ok("install", "--dry-run", "--guard")
    assert snapshot(seat.path) == before
    assert git(seat.path, "ls-remote", "origin", "coordination") == ""
    plan = {line["what"]: (line["now"], line["will"]) for line in told["plan"]}
    assert plan["branch"] == ("not there", "make")
    assert plan["git hook post-commit"] == ("not there", "write")
    assert plan["git hook pre-commit"] == ("another hook", "write; it runs the one that is there")
    assert (told["done"], told["findings"]) == ([], [])
    assert all(line["why"] for line in told["plan"])
    words = seat.run("install", "--dry-run", "--guard")
    assert "found: git: 2." in words.out
    assert ".git/hooks/pre-commit" in words.out


def test_installed_twice_and_taken_away_every_byte_is_as_it_was(seat: Seat) -> None:
    before = snapshot(seat.path)
    first = seat.ok("install", "--yes", "--guard")
    assert git(seat.path, "ls-remote", "origin", "coordination")
    assert "pre-commit: installed" in first["done"]
    again = seat.run("install", "--guard")  # there is nothing to ask
    assert (again.code, "all of it is there already" in again.out) == (0, True)
    assert {line["will"] for line in seat.ok("install", "--yes")["plan"]} == {""}
    seat.ok("start", "ada")
    seat.ok("claim", "x.py")
    dry = seat.run("uninstall", "--dry-run")
    assert (dry.code, "session ada" in dry.out, "active, holds file:x.py until " in dry.out) == (0, True, True)
    gone = seat.ok("uninstall", "--yes")
    assert "pre-commit: restored" in gone["done"]
    assert snapshot(seat.path) == before
    assert not (seat.path / ".git" / "gitcoord").exists()
    assert [path for path in seat.outbox.rglob("*") if path.is_file()] == []
    assert git(seat.path, "ls-remote", "origin", "coordination")  # it is everybody's
    seat.ok("install", "--yes")
    assert seat.ok("status")["sessions"] != []


@pytest.mark.parametrize("words", [("install",), ("uninstall",), ("install", "--json")])
def test_with_nobody_to_ask_nothing_is_done(seat: Seat, words: tuple[str, ...]) -> None:
    if words[0] == "uninstall":
        seat.ok("install", "--yes")
    before = snapshot(seat.path)
    ran = seat.run(*words)
    assert ran.code == 2
    assert f"gitcoord {words[0]} --yes" in ran.out + ran.err
    assert snapshot(seat.path) == before


@pytest.mark.parametrize(("said", "code"), [("y\n", 0), ("n\n", 1)])
def test_somebody_is_asked_once(seat: Seat, said: str, code: int) -> None:
    near, far = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "install"], cwd=seat.path, env=seat.env, stdin=far, stdout=far, stderr=far, start_new_session=True
    ) as child:
        os.close(far)
        text, answered = b"", False
        while child.poll() is None or select.select([near], [], [], 0)[0]:
            assert select.select([near], [], [], PATIENCE)[0]
            try:
                text += os.read(near, 4096)
            except OSError:  # the other end is closed
                break
            if b"install this?" in text and not answered:
                answered = bool(os.write(near, said.encode()))
    os.close(near)
    assert (child.returncode, text.count(b"install this?")) == (code, 1), text
    assert bool(git(seat.path, "ls-remote", "origin", "coordination")) is (code == 0)


def test_a_choice_that_only_a_person_can_make_is_left_to_them(seat: Seat) -> None:
    git(seat.path, "remote", "add", "upstream", "/nowhere")
    ran = seat.run("install", "--yes")
    assert (ran.code, "gitcoord init --remote" in ran.err) == (2, True)


def test_hooks_that_others_share_are_left_out_unless_they_are_meant(seat: Seat) -> None:
    (seat.path / ".githooks").mkdir()
    git(seat.path, "config", "core.hooksPath", ".githooks")
    told = seat.ok("install", "--yes")
    assert [line for line in told["done"] if "--shared" in line]
    assert list((seat.path / ".githooks").iterdir()) == []
    seat.ok("install", "--yes", "--shared")
    assert (seat.path / ".githooks" / "post-commit").exists()
    seat.ok("uninstall", "--yes", "--shared")
    assert list((seat.path / ".githooks").iterdir()) == []


def test_what_waits_is_not_thrown_away(seat: Seat, file_remote: Remote) -> None:
    seat.ok("install", "--yes")
    seat.ok("start", "ada")
    file_remote.away()
    seat.ok("send", "broadcast", "hello")
    before = snapshot(seat.path)
    ran = seat.run("uninstall", "--yes")
    assert (ran.code, "gitcoord sync" in ran.err) == (1, True)
    [files] = [line for line in seat.ok("uninstall", "--dry-run")["plan"] if line["what"] == "local files"]
    assert files["now"] == "1 command is not sent yet"
    assert files["will"] == "nothing as long as that is so: gitcoord sync"
    assert snapshot(seat.path) == before


def test_agents_are_found_by_their_programs_and_folders(tmp_path: Path) -> None:
    top, home, tools = tmp_path / "top", tmp_path / "home", tmp_path / "bin"
    for path in (top / ".cursor", home / ".codex", tools):
        path.mkdir(parents=True)
    (tools / "claude").write_text("#!/bin/sh\n")
    (tools / "claude").chmod(0o755)
    assert agents.find({"PATH": str(tools)}, str(top), str(home)) == {
        "claude": ("the program claude",),
        "codex": ("~/.codex",),
        "cursor": (".cursor",),
    }
    assert agents.find({"PATH": ""}, "", "") == {}


def test_the_hooks_command_says_by_which_way_and_what_to_do(seat: Seat) -> None:
    seat.ok("init")
    told = seat.run("hooks", "install", "--git", "--guard").out.splitlines()
    kept = seat.path / ".git" / "hooks" / "pre-commit.before-gitcoord"
    assert "post-commit: installed" in told
    assert f"pre-commit: installed; the hook that was here still runs: {kept}" in told
    (seat.path / ".githooks").mkdir()
    git(seat.path, "config", "core.hooksPath", ".githooks")
    hidden = seat.run("hooks", "status").out
    assert "post-commit: shadowed: git looks for hooks elsewhere (core.hooksPath): " in hidden
    refused = seat.run("hooks", "install", "--git")
    assert (refused.code, "hint: gitcoord hooks install --git --shared" in refused.err) == (1, True)
    shared = seat.run("hooks", "install", "--git", "--shared").out
    assert f"post-commit: installed; a few lines that others get, too: {seat.path / '.githooks' / 'post-commit'}" in shared
    assert {one["way"] for one in seat.ok("hooks", "status")["hooks"] if one["state"] == "installed"} == {"shared"}
    seat.run("hooks", "uninstall", "--git")
    assert (seat.path / ".githooks" / "post-commit").exists()
    assert kept.with_name("pre-commit").read_text() == "#!/bin/sh\n"
    seat.run("hooks", "uninstall", "--git", "--shared")
    assert list((seat.path / ".githooks").iterdir()) == []


def test_agents_that_are_used_here_get_their_hooks_and_lose_them_again(seat: Seat) -> None:
    (seat.path / ".claude").mkdir()
    settings = seat.path / ".claude" / "settings.json"
    settings.write_text('{"model": "best"}')
    (seat.path / ".gemini").mkdir()
    (seat.path / ".gemini" / "settings.json").write_text("{ // a comment\n}")
    tools = seat.path.parent / "bin"
    tools.mkdir()
    (tools / "codex").write_text("#!/bin/sh\n")
    (tools / "codex").chmod(0o755)
    seat.extra = {"PATH": f"{tools}:/usr/bin:/bin"}
    before = snapshot(seat.path)
    plan = {line["what"]: line for line in seat.ok("install", "--dry-run")["plan"]}
    assert (plan["hooks of Claude Code"]["where"], plan["hooks of Claude Code"]["will"]) == (".claude/settings.json", "add ours")
    assert plan["hooks of Codex"]["where"] == ".codex/hooks.json"
    assert {plan[f"hooks of {agent}"]["now"] for agent in ("Claude Code", "Codex")} == {"not there"}
    assert plan["hooks of Gemini CLI"]["will"].startswith("nothing:")  # it can't be read for sure
    assert "hooks of Cursor" not in plan
    assert snapshot(seat.path) == before
    done = seat.ok("install", "--yes")["done"]
    assert [line for line in done if line.startswith("for you to do: open /hooks in Codex")]
    assert '"gitcoord hook"' in settings.read_text()
    assert {line["will"].partition(":")[0] for line in seat.ok("install", "--yes")["plan"]} == {"", "nothing"}
    gone = {
        line["where"]: (line["now"], line["will"])
        for line in seat.ok("uninstall", "--dry-run")["plan"]
        if line["what"].startswith("hooks of")
    }
    assert gone == {
        ".claude/settings.json": ("there", "put back what was there"),
        ".codex/hooks.json": ("there", "take ours out"),
    }
    seat.ok("uninstall", "--yes")
    assert snapshot(seat.path) == before


def test_an_agent_that_its_user_has_and_the_project_does_not_use_gets_a_row_with_the_reason(seat: Seat, tmp_path: Path) -> None:
    home = tmp_path / "their-home"
    for name in (".codex", ".gemini"):
        (home / name).mkdir(parents=True)
    seat.extra = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    seat.ok("hooks", "install", "--agent", "gemini", "--scope", "user")
    plan = {line["what"]: (line["now"], line["will"]) for line in seat.ok("install", "--yes")["plan"]}
    now, will = plan["hooks of Codex"]
    assert now == "not there"
    assert will.startswith("nothing: only ~/.codex tells of it")
    assert will.endswith("gitcoord install --agent codex")
    assert plan["hooks of Gemini CLI"] == ("there", "nothing: for all projects")
    assert not (seat.path / ".codex").exists()


def test_the_agents_that_are_named_are_meant(seat: Seat) -> None:
    (seat.path / ".claude").mkdir()
    (seat.path / ".gemini").mkdir()
    (seat.path / ".gemini" / "settings.json").write_text("{ // a comment\n}")
    assert not [line for line in seat.ok("install", "--yes", "--agent", "none")["plan"] if line["what"].startswith("hooks of")]
    ran = seat.run("install", "--yes", "--agent", "gemini")
    assert (ran.code, ".gemini/settings.json" in ran.err) == (1, True)
    assert not (seat.path / ".claude" / "settings.json").exists()
    assert seat.run("install", "--yes", "--agent", "nobody").code == 2
