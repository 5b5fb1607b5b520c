"""The ground all other tests stand on: the sealed environment and the real remotes do what they promise."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import remotes as harness
from clones import Clone
from environment import seal, stripped
from gits import GitFailed, GitHung, attempt, git
from remotes import KINDS, Remote, RemoteFactory

from gitcoord.warm import address

FOREIGN = {
    "CLAUDECODE": "1",
    "CODEX_HOME": "/x",
    "CURSOR_TRACE_ID": "x",
    "GEMINI_CLI": "1",
    "COPILOT_AGENT": "1",
    "GITCOORD_AS": "x",
    "GIT_DIR": "/x",
    "GIT_SSH_COMMAND": "false",
    "AI_AGENT": "x",
    "AGENT": "x",
    "SSH_AUTH_SOCK": "/x",
    "SSH_ASKPASS": "/x",
    "EDITOR": "vi",
    "VISUAL": "vi",
    "CI": "true",
    "PYTHONDONTWRITEBYTECODE": "1",
    "XDG_RUNTIME_DIR": "/x",
    "XDG_CONFIG_HOME": "/x",
    "DISPLAY": ":0",
    "NO_COLOR": "1",
}
# Variables seal takes away and sets again, below the new home.
RESET = {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "GIT_CONFIG_GLOBAL"}
RESET |= {"GIT_CONFIG_NOSYSTEM"}

PATIENCE = 10.0  # seconds a socket waits for what certainly comes


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.servers) for kind in KINDS if kind != "file"])
def pair(request: pytest.FixtureRequest, remotes: RemoteFactory) -> Iterator[tuple[Remote, Remote]]:
    """Two remotes of the same kind, behind the same server."""
    reason = remotes.available(request.param)
    if reason is not None:
        pytest.skip(reason)
    both = remotes.make(request.param), remotes.make(request.param)
    yield both
    for one in both:
        one.close()


def reach(remote: Remote, where: Path, timeout: float = 30.0) -> bool:
    """True when the remote answers. Raises GitHung when it says nothing."""
    return attempt(where, *remote.flags, "ls-remote", remote.url, timeout=timeout).code == 0


def ended(client: socket.socket) -> bool:
    """True when the other side has ended the connection. Raises TimeoutError when it hasn't."""
    try:
        while client.recv(100):
            pass
    except ConnectionResetError:
        pass
    return True


def commit(where: Path, text: str) -> str:
    """Adds one commit and returns its oid."""
    git(where, "commit", "--quiet", "--allow-empty", "-m", text)
    return git(where, "rev-parse", "HEAD")


# --- the environment -------------------------------------------------------------------------------------------------


def test_seal_strips_the_runner_and_keeps_the_rest(tmp_path: Path) -> None:
    clean = seal(FOREIGN | {"PATH": "/bin", "PLAIN": "kept"}, tmp_path / "home")
    assert not {name for name in FOREIGN if name in clean} - RESET
    assert "/x" not in clean.values()
    assert (clean["PATH"], clean["PLAIN"]) == ("/bin", "kept")
    homes = [clean[name] for name in ("HOME", *sorted(RESET - {"GIT_CONFIG_NOSYSTEM"}))]
    assert all(Path(path).is_relative_to(tmp_path / "home") for path in homes)
    assert [clean[name] for name in ("LC_ALL", "TZ", "TERM")] == ["C.UTF-8", "UTC", "dumb"]


def test_seal_changes_neither_its_argument_nor_a_gitconfig_that_is_there(tmp_path: Path) -> None:
    given = dict(FOREIGN)
    env = seal(given, tmp_path)
    git(tmp_path, "config", "--global", "test.kept", "yes", env=env)
    assert git(tmp_path, "config", "test.kept", env=seal(given, tmp_path)) == "yes"
    assert given == FOREIGN


def test_this_process_is_sealed(sealed_process: Path, tmp_path: Path) -> None:
    assert not {name for name in os.environ if stripped(name)} - RESET - {address.SWITCH}
    assert os.environ["HOME"] == str(sealed_process)
    assert time.tzname[0] == "UTC"
    origins = git(tmp_path, "config", "--list", "--show-origin").splitlines()
    assert {line.split("\t")[0] for line in origins} == {f"file:{sealed_process}/gitconfig"}
    assert git(tmp_path, "var", "GIT_COMMITTER_IDENT").startswith("Test Person <test@example.org>")


def test_git_that_fails_says_why(bare: Path) -> None:
    assert git(bare, "rev-parse", "--verify", "main")
    with pytest.raises(GitFailed, match="Needed a single revision"):
        git(bare, "rev-parse", "--verify", "missing")


# --- remotes that answer ---------------------------------------------------------------------------------------------


def test_a_commit_travels_from_clone_to_clone(remote: Remote, clone: Clone, tmp_path: Path) -> None:
    ours, theirs = clone(remote, tmp_path / "ours", email="ours@example.org"), clone(remote, tmp_path / "theirs")
    sent = commit(ours, "Sent")
    git(ours, "push", "--quiet", "origin", "main")
    assert git(remote.path, "rev-parse", "main") == sent
    git(theirs, "fetch", "--quiet", "origin")
    assert git(theirs, "log", "-1", "--format=%H %ae", "origin/main") == f"{sent} ours@example.org"
    assert git(theirs, "config", "user.email") == "test@example.org"


def test_history_can_be_damaged(remote: Remote, clone: Clone, tmp_path: Path) -> None:
    where = clone(remote, tmp_path / "clone")
    git(where, "push", "--quiet", "origin", "main:other")
    git(where, "checkout", "--quiet", "--orphan", "unrelated")
    unrelated = commit(where, "Unrelated")
    assert attempt(where, "push", "origin", "HEAD:main").code != 0
    git(where, "push", "--quiet", "--force", "origin", "HEAD:main", ":other")
    assert git(remote.path, "for-each-ref", "--format=%(refname) %(objectname)") == f"refs/heads/main {unrelated}"


@pytest.mark.servers
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_remote_takes_its_first_commit(kind: str, remotes: RemoteFactory, clone: Clone, tmp_path: Path) -> None:
    reason = remotes.available(kind)
    if reason is not None:
        pytest.skip(reason)
    remote = remotes.make(kind, empty=True)
    where = clone(remote, tmp_path / "clone")
    assert git(remote.path, "for-each-ref") == ""
    first = commit(where, "First")
    git(where, "push", "--quiet", "origin", "HEAD:main")
    assert git(remote.path, "rev-parse", "main") == first
    remote.close()


def test_server_side_git_is_sealed(remote: Remote, remotes: RemoteFactory, clone: Clone, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    hook = remote.path / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\necho "$HOME $GIT_CONFIG_GLOBAL $GIT_CONFIG_NOSYSTEM" >"{seen}"\n', encoding="utf-8")
    hook.chmod(0o755)
    where = clone(remote, tmp_path / "clone")
    commit(where, "Pushed")
    git(where, "push", "--quiet", "origin", "main")
    home = os.environ["HOME"] if remote.kind == "file" else str(remotes.folder / "home")
    assert seen.read_text().split() == [home, f"{home}/gitconfig", "1"]


def test_two_remotes_never_share_a_name(remotes: RemoteFactory) -> None:
    first, second = remotes.make("file"), remotes.make("file")
    assert first.path != second.path
    named = remotes.make("file", name="named")
    assert named.path.name == "named.git"
    with pytest.raises(FileExistsError):
        remotes.make("file", name="named")


def test_a_missing_program_is_a_reason(remotes: RemoteFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "program", lambda name: None)
    assert remotes.available("http") == "missing program: nginx, fcgiwrap, git-http-backend"
    assert remotes.available("file") is None


# --- remotes that don't ----------------------------------------------------------------------------------------------


def test_away_fails_fast_and_back_mends(remote: Remote, clone: Clone, tmp_path: Path) -> None:
    where = clone(remote, tmp_path / "clone")
    remote.away()
    with pytest.raises(GitFailed):
        git(where, "fetch", "origin", timeout=20)
    remote.back()
    git(where, "fetch", "origin")


@pytest.mark.parametrize("what", ["away", "silent"])
def test_trouble_of_one_remote_is_not_its_neighbours(pair: tuple[Remote, Remote], what: str, tmp_path: Path) -> None:
    broken, whole = pair
    getattr(broken, what)()
    assert reach(whole, tmp_path)
    broken.back()
    assert reach(broken, tmp_path)


@pytest.mark.parametrize("before", [None, "away"])
def test_silence_hangs_and_back_mends(pair: tuple[Remote, Remote], before: str | None, tmp_path: Path) -> None:
    remote, _ = pair
    if before:
        getattr(remote, before)()
    remote.silent()
    with pytest.raises(GitHung):
        reach(remote, tmp_path, timeout=1.0)  # the one short timeout: here the hang is what's wanted
    remote.back()
    assert reach(remote, tmp_path)


def test_silence_then_away_refuses(pair: tuple[Remote, Remote], tmp_path: Path) -> None:
    remote, _ = pair
    remote.silent()
    remote.away()
    assert not reach(remote, tmp_path)


def test_a_folder_can_not_be_silent(file_remote: Remote) -> None:
    with pytest.raises(NotImplementedError):
        file_remote.silent()


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back to its clients what they say."""
    with socket.create_server((harness.LOOPBACK, 0)) as server:

        def answer() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                client.settimeout(2 * PATIENCE)  # a test that fails may leave it open
                with client, contextlib.suppress(OSError):
                    while said := client.recv(100):
                        client.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield harness.port_of(server)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def forwarder(echo: int) -> Iterator[harness.Forwarder]:
    """A forwarder before the echo."""
    made = harness.Forwarder(echo)
    yield made
    made.close()


def connect(forwarder: harness.Forwarder) -> socket.socket:
    return socket.create_connection((harness.LOOPBACK, forwarder.port), timeout=PATIENCE)


def hears(client: socket.socket, timeout: float = PATIENCE) -> bool:
    """True when its word comes back, False when nothing does."""
    client.sendall(b"hello")
    client.settimeout(timeout)
    try:
        return client.recv(100) == b"hello"
    except TimeoutError:
        return False
    finally:
        client.settimeout(PATIENCE)


def test_away_cuts_open_connections_and_back_takes_new_ones(forwarder: harness.Forwarder) -> None:
    with connect(forwarder) as client:
        assert hears(client)
        forwarder.refuse()
        assert ended(client)
    with pytest.raises(ConnectionRefusedError):
        connect(forwarder)
    forwarder.accept()
    with connect(forwarder) as client:
        assert hears(client)


def test_nobody_takes_the_port_while_the_remote_is_away(forwarder: harness.Forwarder) -> None:
    forwarder.refuse()
    for thread in threading.enumerate():
        if thread.name == f"take-{forwarder.port}":
            thread.join(PATIENCE)  # it closes the listener, which would keep thieves out too
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind((harness.LOOPBACK, forwarder.port))


def test_silence_keeps_open_connections_and_back_cuts_them(forwarder: harness.Forwarder) -> None:
    with connect(forwarder) as client:
        assert hears(client)
        forwarder.silence()
        assert not hears(client, timeout=0.2)
        forwarder.accept()
        assert ended(client)


def test_silence_swallows_the_end_of_a_connection_too(forwarder: harness.Forwarder) -> None:
    with connect(forwarder) as client:
        assert hears(client)
        client.shutdown(socket.SHUT_WR)
        assert ended(client)
    with connect(forwarder) as client:
        assert hears(client)
        forwarder.silence()
        client.shutdown(socket.SHUT_WR)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)


# --- servers that end ------------------------------------------------------------------------------------------------


@pytest.mark.servers
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "file"])
def test_a_hook_that_hangs_ends_with_its_server(kind: str, clone: Clone, tmp_path: Path) -> None:
    remotes = RemoteFactory(tmp_path / "remotes")
    reason = remotes.available(kind)
    if reason is not None:
        pytest.skip(reason)
    remote, pid = remotes.make(kind), tmp_path / "pid"
    hook = remote.path / "hooks" / "pre-receive"
    hook.write_text(f'#!/bin/sh\necho $$ >"{pid}.part" && mv "{pid}.part" "{pid}" && exec sleep 600\n', encoding="utf-8")
    hook.chmod(0o755)
    where = clone(remote, tmp_path / "clone")
    commit(where, "Pushed")
    push = threading.Thread(target=attempt, args=(where, "push", "origin", "main"))
    push.start()
    for _ in range(2000):
        if pid.exists():
            break
        time.sleep(0.01)
    assert harness.family(int(pid.read_text()))
    remotes.close()
    push.join()
    assert not harness.family(int(pid.read_text()))


INNER = """
import json, os, signal
from pathlib import Path

def test_inner(remotes, clone, tmp_path):
    for kind in ("ssh", "http", "git"):
        if remotes.available(kind) is None:
            clone(remotes.make(kind), tmp_path / kind)
    Path({record!r}).write_text(json.dumps([sorted(remotes.pids()), str(remotes.folder)]))
    {ending}
"""


@pytest.mark.servers
@pytest.mark.parametrize(
    ("ending", "code"),
    [("assert True", 0), ("assert False", 1), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)],
    ids=["passed", "failed", "killed"],
)
def test_no_server_outlives_its_session(ending: str, code: int, tmp_path: Path) -> None:
    record, inner = tmp_path / "record", tmp_path / "test_inner.py"
    inner.write_text(INNER.format(record=str(record), ending=ending), encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "support"), *filter(None, [env.get("PYTHONPATH")])]
    )
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "conftest",
            f"--basetemp={tmp_path}/base",
            str(inner),
        ],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert record.exists(), ran.stdout + ran.stderr
    pids, folder = json.loads(record.read_text(encoding="utf-8"))
    try:
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert len(pids) >= 3  # a daemon at least, its watcher and the watcher's cat
        for _ in range(500):  # a killed session can't wait for its servers' end
            if not any(harness.family(pid) for pid in pids):
                break
            time.sleep(0.01)
        assert not [pid for pid in pids if harness.family(pid)]
        assert Path(folder).exists() == (code < 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what only a killed session leaves
