"""The plugin, as Claude Code and Codex themselves read it: their own programs, offline, each with a home of its own.

Their npm packages are large: `--agents npm` installs them, `--agents FOLDER` takes those that lie there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds
EVENTS = {"preToolUse", "preCompact", "sessionStart", "sessionEnd", "userPromptSubmit", "stop"}


def _program(folder: Path, pattern: str) -> str:
    """The native program of a package, in the folder of this machine's platform."""
    found = sorted(path for path in folder.glob(f"node_modules/{pattern}") if path.is_file() and os.access(path, os.X_OK))
    if not found:
        pytest.skip(f"no program {pattern} was installed")
    return str(found[0])


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home that knows nothing."""
    home = tmp_path / "agent-home"
    (home / ".codex").mkdir(parents=True)
    return {**os.environ, "HOME": str(home), "CODEX_HOME": str(home / ".codex"), "DISABLE_AUTOUPDATER": "1"}


def _run(words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=env, cwd=env["HOME"], capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
    )  # fmt: skip


@pytest.mark.parametrize("part", ["", "plugin"])
def test_claude_code_validates_it_strictly(packages: Path, env: dict[str, str], part: str) -> None:
    claude = _program(packages, "@anthropic-ai/claude-code-*/claude*")
    done = _run([claude, "plugin", "validate", "--strict", str(TOP / part)], env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_claude_code_would_see_a_mistake(packages: Path, env: dict[str, str], tmp_path: Path) -> None:
    claude = _program(packages, "@anthropic-ai/claude-code-*/claude*")
    copy = tmp_path / "plugin"
    shutil.copytree(TOP / "plugin", copy)
    (copy / "hooks" / "hooks.json").write_text('{"hooks": {"SessionStart": [{"hooks": [{"type": "command"}]}]}}')
    assert _run([claude, "plugin", "validate", "--strict", str(copy)], env).returncode != 0


@pytest.fixture
def codex(packages: Path, env: dict[str, str]) -> Iterator[Any]:
    """What Codex answers to a question, with the plugin added."""
    program = _program(packages, "@openai/codex-*/vendor/*/*/codex")
    for words in (["marketplace", "add", str(TOP)], ["add", "gitcoord@gitcoord"]):
        done = _run([program, "plugin", *words], env)
        assert done.returncode == 0, done.stdout + done.stderr
    with subprocess.Popen(
        [program, "app-server"], env=env, cwd=env["HOME"], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        sent = 0

        def ask(method: str, params: dict[str, Any]) -> Any:
            nonlocal sent
            sent += 1
            server.stdin.write(json.dumps({"id": sent, "method": method, "params": params}) + "\n")
            server.stdin.flush()
            for line in server.stdout:
                said = json.loads(line)
                if said.get("id") == sent:
                    return said["result"]
            raise AssertionError(f"{method} was not answered")

        try:
            ask("initialize", {"clientInfo": {"name": "test", "version": "1"}})
            yield ask
        finally:
            server.kill()


def test_codex_lists_the_hooks_and_the_skill(codex: Any, env: dict[str, str]) -> None:
    [listed] = codex("hooks/list", {"cwds": [env["HOME"]]})["data"]
    assert (listed["warnings"], listed["errors"]) == ([], [])
    hooks = [one for one in listed["hooks"] if one["pluginId"] == "gitcoord@gitcoord"]
    assert {one["eventName"] for one in hooks} == EVENTS
    assert len(hooks) == len(EVENTS)
    assert {(one["command"], one["handlerType"], one["async"], one["enabled"]) for one in hooks} == {
        ("gitcoord hook", "command", False, True)
    }
    matched = {one["eventName"]: one["matcher"] for one in hooks if one["matcher"]}
    assert set(matched) == {"preToolUse"}
    assert "apply_patch" in matched["preToolUse"]
    [skills] = codex("skills/list", {"cwds": [env["HOME"]]})["data"]
    mine = {one["name"] for one in skills["skills"] if one["pluginId"] == "gitcoord@gitcoord"}
    assert "gitcoord:gitcoord" in mine
    assert {"gitcoord:source-command-status", "gitcoord:source-command-handoff"} <= mine  # what it makes of commands
