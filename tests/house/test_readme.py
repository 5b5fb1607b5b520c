"""The README's commands, run as written: what a new user does first must work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from clones import PATIENCE, Clone, Seat
from remotes import Remote

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text()
BRANCH = (TOP / "docs" / "concepts" / "branch.md").read_text()


def _block(marker: str, text: str = README) -> str:
    match = re.search(rf"<!-- {marker} -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert match, marker
    return match[1]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which `gitcoord` and `git-coord` are the ones under test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("gitcoord", "git-coord"):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gitcoord "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def _sh(script: str, where: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], cwd=where, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_the_quick_start_works_in_two_clones(file_remote: Remote, clone: Clone, tmp_path: Path, path: str) -> None:
    ada, ben = (clone(file_remote, tmp_path / name) for name in ("ada", "ben"))
    where, ran = ada, {}
    for line in _block("quick start").splitlines():
        if line.startswith("# session"):  # who types the lines below
            where = ben if "session two" in line else ada
        command = line.split("  #")[0].strip()
        if command and not command.startswith("#"):
            done = _sh(command, where, {**os.environ, "PATH": path, "GITCOORD_DESK": str(tmp_path / where.name)})
            assert "Traceback" not in done.stderr
            ran[(where.name, command)] = done
    expected = {("ben", "gitcoord claim src/api.py"): 3}
    for key, done in ran.items():
        assert done.returncode == expected.get(key, 0), (key, done)
    assert len(ran) == 11
    assert "this answers" in ran[("ada", 'gitcoord reply "In ten minutes."')].stderr
    assert "May I have src/api.py" in ran[("ada", "gitcoord inbox")].stdout
    recipes = _sh("set -e\n" + _block("recipes", BRANCH), ben, dict(os.environ))
    assert recipes.returncode == 0, recipes
    for part in ("Ended Today", "session-001", "claim: file src/api.py", "file:src/api.py"):
        assert part in recipes.stdout
    as_git = _sh("git coord status", ben, {**os.environ, "PATH": path, "GITCOORD_DESK": str(tmp_path / "ben")})
    assert "session-002" in as_git.stdout


def test_the_demo_tells_the_whole_story(tmp_path: Path) -> None:
    ran = Seat(tmp_path, tmp_path / "outbox").run("demo")
    assert ran.code == 0, ran
    for part in (
        "held: file:app.py", "(exit 3)", "hint: ", "sent to ada", "--type question", "(question)",
        '--reason "adding tests"', "expires", "took file:app.py over from ada (expired)",
        "(exit 4)", "git commit", "ben: heartbeat: ben committed Greet the world", "# Multi-Session Status Board", "board agree",
    ):  # fmt: skip
        assert part in ran.out, part
    assert not list(tmp_path.iterdir())


def test_the_demo_needs_no_repository_and_no_configuration(tmp_path: Path) -> None:
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "nowhere")}
    done = subprocess.run(
        [sys.executable, "-m", "gitcoord", "demo", "--quiet"],
        cwd=tmp_path,
        env=bare,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done
