"""The policy under gitolite, over ssh: it checks what gitolite has let in, and gitolite goes on as before."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clones import Seat
from environment import seal
from gits import attempt, git
from remotes import SshServer, program
from servers import BRANCH, serve

pytestmark = pytest.mark.servers


@pytest.fixture
def gitolite(tmp_path: Path) -> Iterator[tuple[Path, SshServer]]:
    """A home with a gitolite, and an sshd that lets its administrator in, as gitolite has it."""
    if program("gitolite") is None:
        pytest.skip("missing program: gitolite")
    if reason := SshServer.missing():
        pytest.skip(reason)
    home = tmp_path / "git"
    home.mkdir()
    env = seal(os.environ, home)
    server = SshServer(tmp_path / "ssh", tmp_path / "bare", env)
    try:
        key = tmp_path / "admin.pub"
        shutil.copy(server.folder / "authorized", key)
        done = subprocess.run(
            ["gitolite", "setup", "-pk", str(key)], env=env, cwd=home, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done
        shutil.copy(home / ".ssh" / "authorized_keys", server.folder / "authorized")
        yield home, server
    finally:
        server.stop()


def test_gitolite_lets_in_and_the_policy_checks(gitolite: tuple[Path, SshServer], tmp_path: Path) -> None:
    home, server = gitolite
    url = f"ssh://{server.user}@127.0.0.1:{server.port}/testing"
    flags = [part for key, value in server.config.items() for part in ("-c", f"{key}={value}")]
    git(tmp_path, "clone", "-q", *flags, url, "ada")
    ada = Seat(tmp_path / "ada", tmp_path / "outbox")
    ada.git("commit", "-q", "--allow-empty", "-m", "a beginning")
    ada.git("push", "-q", "origin", "HEAD:refs/heads/main")
    assert serve(home / "repositories" / "testing.git", tmp_path).hook.state == "installed"
    ada.ok("init")
    ada.ok("start", "ada")
    assert ada.ok("claim", "src/api.py")["outcome"] == "held"
    ada.git("fetch", "-q", "origin")
    evil = git(ada.path, "commit-tree", "origin/coordination^{tree}", "-p", "origin/coordination", "-m", "nothing")
    for pushed in (evil, "origin/coordination~1", ""):
        done = attempt(ada.path, "push", "--force", "origin", f"{pushed}:{BRANCH}")
        assert (done.code, done.err.count(f"remote: gitcoord: {BRANCH} is refused: ")) == (1, 1), done
    ada.git("push", "-q", "origin", f"{evil}:refs/heads/elsewhere")
    assert (home / "repositories" / "testing.git" / "hooks" / "update").exists()
    subprocess.run(["gitolite", "setup", "--hooks-only"], env={**seal(os.environ, home)}, cwd=home, capture_output=True, check=True)
    assert attempt(ada.path, "push", "--force", "origin", f"{evil}:{BRANCH}").code == 1
    assert ada.ok("send", "broadcast", "it goes on")["state"] == "committed"
