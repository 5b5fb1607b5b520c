"""How often a command goes to the remote: one connection for what the local view allows."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from clones import Seats
from remotes import Remote, RemoteFactory


def _made(remote: Remote) -> int:
    assert remote.forwarder is not None
    return remote.forwarder.taken


@pytest.fixture(params=["ssh", "http", "git"])
def far(request: pytest.FixtureRequest, remotes: RemoteFactory) -> Remote:
    """A remote that is reached by connections."""
    reason = remotes.available(request.param)
    if reason is not None:
        pytest.skip(reason)
    return remotes.make(request.param)


@pytest.mark.servers
def test_an_uncontended_claim_is_one_connection(far: Remote, seats: Seats) -> None:
    (ada,) = seats(far, "ada")
    ada.ok("init")
    ada.ok("start", "ada")
    before = _made(far)
    ada.ok("claim", "a.py")
    ada.ok("renew", "a.py")
    ada.ok("release", "a.py")
    assert _made(far) - before == 3


@pytest.mark.servers
def test_ssh_stays_open_for_the_next_command_where_it_is_asked_to(remotes: RemoteFactory, seats: Seats) -> None:
    reason = remotes.available("ssh")
    if reason is not None:
        pytest.skip(reason)
    remote = remotes.make("ssh")
    (ada,) = seats(remote, "ada")
    runtime = Path(tempfile.mkdtemp(prefix="gc-", dir="/tmp"))  # a socket's path must be short
    ada.extra["XDG_RUNTIME_DIR"] = str(runtime)
    ada.ok("init")
    ada.ok("start", "ada")
    ada.git("config", "gitcoord.sshpersist", "60")
    try:
        before = _made(remote)
        for name in ("a.py", "b.py", "c.py"):
            ada.ok("claim", name)
        assert _made(remote) - before == 1
        (socket,) = (runtime / "gitcoord").iterdir()
        assert (runtime / "gitcoord").stat().st_mode & 0o777 == 0o700
    finally:
        for path in (runtime / "gitcoord").glob("ssh-*"):
            words = [*shlex.split(remote.config["core.sshCommand"]), "-O", "exit", f"-oControlPath={path}", "nobody@nowhere"]
            subprocess.run(words, capture_output=True, check=False)
    assert not socket.exists()
    ada.git("config", "gitcoord.sshpersist", "0")
    before = _made(remote)
    ada.ok("claim", "d.py")
    assert _made(remote) - before == 1
    assert list((runtime / "gitcoord").iterdir()) == []
    shutil.rmtree(runtime)
