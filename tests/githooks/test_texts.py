"""The texts of `hooks/`: by whichever way they come in, they hand on every agent's variable, and an older one goes away."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from gits import git

from gitcoord.agents.settings.table import packaged
from gitcoord.git import versions as git_versions
from gitcoord.git.repo import Repository
from gitcoord.githooks import folder as hooks_folder
from gitcoord.githooks import install as git_hooks
from gitcoord.githooks.folder import ALL, EVENTS, GUARDS, TRAILERS
from gitcoord.machine.agents import AGENTS, SESSION_VARIABLES

HOOKS = Path(__file__).parents[2] / "hooks"
NAMES = ("GITCOORD_SESSION", *SESSION_VARIABLES)
WAYS = ("folder", "config", "lefthook", "shared")


def test_there_are_four_texts_and_what_they_share() -> None:
    assert {path.name for path in HOOKS.iterdir()} == {"tell", "guard", "trailers", "ground", "receive"}
    assert all(os.access(path, os.X_OK) for path in HOOKS.iterdir() if path.name != "ground")


@dataclass
class Installed:
    """A work tree with our hooks, put in by one way. `hooks`: the folder in which they lie; `out`: a pipe to which the `gitcoord`
    on `path` writes its environment.
    """

    way: str
    top: Path
    hooks: Path
    path: str
    out: Path

    def environment(self, event: str, *words: str) -> list[str]:
        """Calls the hook; the environment in which it started gitcoord."""
        values = {name: f"<{name}>" for name in NAMES}
        env = {**os.environ, **values, "PATH": self.path, "OUT": str(self.out)}
        with subprocess.Popen(["sh", str(self.hooks / event), *words], cwd=self.top, env=env, stdin=subprocess.DEVNULL) as hook:
            text = self.out.read_text()  # to the end of who writes
        assert hook.returncode == 0
        return text.splitlines()


@pytest.fixture(params=WAYS)
def installed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Installs all hooks by that way, for a session that sits in the work tree."""
    way, top, tools, out = request.param, tmp_path / "top", tmp_path / "bin", tmp_path / "out"
    tools.mkdir()
    os.mkfifo(out)
    (tools / "gitcoord").write_text('#!/bin/sh\nexec env >"$OUT"\n')
    (tools / "gitcoord").chmod(0o755)
    git(tmp_path, "init", "--quiet", str(top))
    git(top, "commit", "--quiet", "--allow-empty", "-m", "root")
    common = top / ".git"
    (common / "gitcoord" / "sessions").mkdir(parents=True)
    hooks = common / ("hooks" if way == "folder" else "gitcoord/hooks")
    if way == "shared":
        hooks = top / "shared"
        git(top, "config", "core.hooksPath", str(hooks))
    if way == "lefthook":
        (top / "lefthook.yml").write_text("pre-commit:\n")
        for event in ALL:
            (common / "hooks" / event).write_text("#!/bin/sh\n# LEFTHOOK\n")
    monkeypatch.setattr(git_versions, "versions", lambda _: {"git": (2, 55) if way == "config" else (2, 30)})
    repo = Repository.find(str(top), os.environ)
    found = git_hooks.install(repo, os.environ, program="", guard=True, trailers=True, shared=way == "shared")
    assert {hook.event: (hook.state, hook.way) for hook in found} == dict.fromkeys(ALL, ("installed", way))
    return Installed(way, top, hooks, f"{tools}{os.pathsep}{os.environ['PATH']}", out)


def test_every_text_hands_on_every_agents_variable(installed: Installed) -> None:
    """By every way: gitcoord is started with all variables, or an event is left with them for one that is at work."""
    expected = {f"{name}=<{name}>" for name in NAMES}
    (installed.top / "message").write_text("a change\n")
    for event, *words in (["post-commit"], ["pre-commit"], ["commit-msg", "message"]):
        assert expected <= set(installed.environment(event, *words)), event
    if installed.way == "shared":
        return  # those lines start gitcoord each time
    own = installed.top / ".git" / "gitcoord"
    (own / "at-work").write_text(str(os.getpid()))
    env = {**os.environ, **{name: f"<{name}>" for name in NAMES}, "PATH": installed.path}
    for event in EVENTS:
        subprocess.run(["sh", str(installed.hooks / event), "1", "2", "3"], cwd=installed.top, env=env, check=True)
    left = {path.read_text().partition(" ")[0]: set(path.read_text().splitlines()) for path in own.glob("event.*")}
    assert set(left) == set(EVENTS)
    assert all(expected <= lines for lines in left.values())


def test_what_is_installed_is_one_text_a_kind_and_has_no_open_place(tmp_path: Path) -> None:
    common = tmp_path / ".git"
    common.mkdir()
    hooks_folder.install(common / "hooks", common_dir=common, guard=True, trailers=True)
    for events in (EVENTS, GUARDS, TRAILERS):
        texts = {(common / "hooks" / event).read_text() for event in events}
        assert len(texts) == 1
        assert "gitcoord_installation_" not in "".join(texts)


def earlier(text: bytes) -> bytes:
    """That hook as an earlier version installed it, which knew fewer agents: with a digest that fits."""
    lines = [line for line in text.splitlines(keepends=True) if b"GEMINI" not in line]
    marker = b" ".join(lines[1].split()[:4]) + b"\n"
    rest = [b"# from before\n", *lines[2:]]
    digest = hashlib.sha256(b"".join([lines[0], marker, *rest])).hexdigest()[:32].encode()
    return b"".join([lines[0], marker.rstrip() + b" " + digest + b"\n", *rest])


@pytest.mark.parametrize("then", ["upgraded", "taken out"])
def test_what_an_earlier_version_installed_is_ours(then: str, tmp_path: Path) -> None:
    common = tmp_path / ".git"
    common.mkdir()
    folder = common / "hooks"
    hooks_folder.install(folder, common_dir=common, guard=True, trailers=True)
    now = {event: (folder / event).read_bytes() for event in ALL}
    for event, text in now.items():
        (folder / event).write_bytes(earlier(text))
    assert {hook.state for hook in hooks_folder.status(folder)} == {"installed"}
    if then == "upgraded":
        hooks = hooks_folder.install(folder, common_dir=common, guard=True, trailers=True)
        assert {hook.change for hook in hooks} == {"updated"}
        assert {event: (folder / event).read_bytes() for event in ALL} == now
    assert {hook.change for hook in hooks_folder.uninstall(folder, common_dir=common)} == {"removed"}
    assert not folder.exists()


def test_only_the_table_names_an_agents_variables() -> None:
    house = Path(git_hooks.__file__).parents[1]
    names = {name for agent in AGENTS.values() for name in (agent.variable, agent.mark, agent.pid, *agent.hook_marks) if name}
    beside = {"COPILOT_PROJECT_DIR"}  # it also tells a folder: the dialect reads that
    for path in house.rglob("*.py"):
        text = path.read_text()
        named = {name for name in names - beside if f'"{name}"' in text}
        assert not named or path.name == "agents.py", path
    assert f"output.env.{AGENTS['opencode'].variable} = " in packaged("opencode.js")
