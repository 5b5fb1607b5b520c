"""One contract for every tip: local, and remote over each transport. Outcomes are read from the tip, never from git's words."""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from clones import Clone
from gits import git
from remotes import KINDS, Remote, RemoteFactory

from gitcoord.errors import BadInput, Refused, Unknown, Unreachable
from gitcoord.git.objects import NewCommit, Objects
from gitcoord.git.remote_tip import RemoteTip, newest_date
from gitcoord.git.repo import NULL, Repository
from gitcoord.git.tip import LocalTip, Swap, Tip
from gitcoord.git.urls import check_url, push_url

WHEN = datetime(2025, 11, 15, 10, tzinfo=UTC)


class Bench:
    """A repository with a tip, and a way to write commits for it."""

    def __init__(self, path: Path, remote: Remote | None) -> None:
        self.repo = Repository.find(str(path), os.environ)
        self.remote = remote
        self.tip: Tip
        if remote is None:
            self.tip = LocalTip(self.repo, "coordination")
        else:
            self.tip = RemoteTip(self.repo, "origin", push_url(self.repo, "origin"), "coordination", time.sleep)

    def write(self, base: str, count: int = 1) -> str:
        """A chain on that base; its last commit."""
        with Objects(self.repo) as objects:
            commits = [
                NewCommit(f"event {secrets.token_hex(4)}\n", "s", "s@example.org", WHEN, WHEN, {f"f{n}": b"x"})
                for n in range(count)
            ]
            return objects.write_chain(base, base, commits)[-1]


@pytest.fixture(params=["local", *(pytest.param(kind, marks=() if kind == "file" else pytest.mark.servers) for kind in KINDS)])
def bench(request: pytest.FixtureRequest, remotes: RemoteFactory, clone: Clone, tmp_path: Path) -> Iterator[Bench]:
    """A tip of each kind."""
    if request.param == "local":
        git(tmp_path, "init", "-q", str(tmp_path / "repo"))
        yield Bench(tmp_path / "repo", None)
        return
    reason = remotes.available(request.param)
    if reason:
        pytest.skip(reason)
    remote = remotes.make(request.param)
    made = Bench(clone(remote, tmp_path / "repo"), remote)
    with closing(made.tip):
        yield made
    remote.close()


def test_an_absent_branch_is_null_and_is_made_once(bench: Bench) -> None:
    assert bench.tip.read(20) == NULL
    first, second = bench.write(NULL), bench.write(NULL)
    assert bench.tip.swap(NULL, first, 20) is Swap.WON
    assert bench.tip.swap(NULL, second, 20) is Swap.LOST
    assert bench.tip.read(20) == first == bench.tip.local()


def test_a_swap_on_the_tip_wins_and_on_an_old_one_loses(bench: Bench) -> None:
    root = bench.write(NULL)
    bench.tip.swap(NULL, root, 20)
    one, other = bench.write(root, 3), bench.write(root)
    assert bench.tip.swap(root, one, 20) is Swap.WON
    assert bench.tip.swap(root, other, 20) is Swap.LOST
    assert bench.tip.read(20) == one


def test_a_swap_that_landed_before_is_won(bench: Bench) -> None:
    root = bench.write(NULL)
    bench.tip.swap(NULL, root, 20)
    new = bench.write(root)
    assert bench.tip.swap(root, new, 20) is Swap.WON
    later = bench.write(new)
    assert bench.tip.swap(new, later, 20) is Swap.WON
    assert bench.tip.swap(root, new, 20) is Swap.WON


def test_nothing_of_ours_is_left_but_the_branch_and_the_last_tip(bench: Bench) -> None:
    root = bench.write(NULL)
    bench.tip.swap(NULL, root, 20)
    bench.tip.read(20)
    bench.tip.close()
    path = Path(bench.repo.cwd)
    assert git(path, "for-each-ref", "--format=%(objectname)", "refs/gitcoord/") == root
    assert not (path / ".git" / "FETCH_HEAD").exists()
    assert (git(path, "for-each-ref", "refs/heads/coordination") != "") is (bench.remote is None)


def test_a_rolled_back_tip_is_not_swapped(bench: Bench) -> None:
    root = bench.write(NULL)
    bench.tip.swap(NULL, root, 20)
    one = bench.write(root)
    bench.tip.swap(root, one, 20)
    place = bench.remote.path if bench.remote else Path(bench.repo.cwd)
    git(place, "update-ref", "refs/heads/coordination", root)
    assert bench.tip.swap(one, bench.write(one), 20) is Swap.LOST
    assert git(place, "rev-parse", "refs/heads/coordination") == root


def test_a_deleted_branch_is_not_made_again(bench: Bench) -> None:
    root = bench.write(NULL)
    bench.tip.swap(NULL, root, 20)
    place = bench.remote.path if bench.remote else Path(bench.repo.cwd)
    git(place, "update-ref", "-d", "refs/heads/coordination")
    assert bench.tip.swap(root, bench.write(root), 20) is Swap.LOST
    assert bench.tip.read(20) == NULL


@pytest.fixture(params=[pytest.param(kind, marks=() if kind == "file" else pytest.mark.servers) for kind in KINDS])
def afar(request: pytest.FixtureRequest, remotes: RemoteFactory, clone: Clone, tmp_path: Path) -> Iterator[tuple[Bench, Remote]]:
    """A remote tip with a root on it."""
    reason = remotes.available(request.param)
    if reason:
        pytest.skip(reason)
    remote = remotes.make(request.param)
    bench = Bench(clone(remote, tmp_path / "repo"), remote)
    bench.tip.swap(NULL, bench.write(NULL), 20)
    with closing(bench.tip):
        yield bench, remote
    remote.close()


def _hook(remote: Remote, name: str, text: str) -> None:
    place = remote.path / "hooks" / name
    place.write_text("#!/bin/sh\n" + text)
    place.chmod(place.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def test_a_remote_that_refuses_is_refused_with_its_words(afar: tuple[Bench, Remote]) -> None:
    bench, remote = afar
    root = bench.tip.read(20)
    _hook(remote, "pre-receive", "echo 'not on my watch' >&2; exit 1\n")
    with pytest.raises(Refused, match="not on my watch"):
        bench.tip.swap(root, bench.write(root), 20)
    assert bench.tip.read(20) == root


def test_a_first_push_that_another_one_overtakes_on_the_server_is_lost(
    request: pytest.FixtureRequest, file_remote: Remote, clone: Clone, tmp_path: Path
) -> None:
    bench = Bench(clone(file_remote, tmp_path / "repo"), file_remote)
    request.addfinalizer(bench.tip.close)
    other, mine = bench.write(NULL), bench.write(NULL)
    git(bench.repo.cwd, "push", "--quiet", str(file_remote.path), f"{other}:refs/heads/other")
    # The branch appears when our push is on the server already.
    _hook(file_remote, "pre-receive", f"env -u GIT_QUARANTINE_PATH git update-ref refs/heads/coordination {other}\n")
    assert bench.tip.swap(NULL, mine, 20) is Swap.LOST
    assert bench.tip.found == other


def test_a_remote_that_is_away_is_unreachable_and_nothing_was_sent(afar: tuple[Bench, Remote]) -> None:
    bench, remote = afar
    root = bench.tip.read(20)
    new = bench.write(root)
    remote.away()
    with pytest.raises(Unreachable):
        bench.tip.swap(root, new, 5)
    with pytest.raises(Unreachable):
        bench.tip.read(5)
    remote.back()
    assert bench.tip.read(20) == root
    assert bench.tip.swap(root, new, 20) is Swap.WON


def test_a_branch_that_has_gone_on_and_can_not_be_read_is_told_as_that(file_remote: Remote, clone: Clone, tmp_path: Path) -> None:
    here = Bench(clone(file_remote, tmp_path / "repo"), file_remote)
    with closing(here.tip):
        first = here.write(NULL)
        assert here.tip.swap(NULL, first, 10) is Swap.WON
        assert here.tip.swap(first, here.write(first), 10) is Swap.WON
        mine = here.write(first)
    git(tmp_path / "repo", "config", "remote.origin.uploadpack", "false")
    late = Bench(tmp_path / "repo", file_remote)
    with closing(late.tip), pytest.raises(Unreachable) as told:
        late.tip.swap(first, mine, 10)
    assert "stale info" not in told.value.message
    assert "Could not read from remote repository" in told.value.message


def test_a_push_that_landed_before_its_answer_was_lost_is_won(afar: tuple[Bench, Remote]) -> None:
    bench, remote = afar
    root = bench.tip.read(20)
    new = bench.write(root)
    # The server moves the ref and then its report is lost: the client sees an error for what has landed.
    _hook(remote, "post-receive", f"touch {remote.path}/landed; kill -9 $PPID\n")
    assert bench.tip.swap(root, new, 20) is Swap.WON
    assert (remote.path / "landed").exists()
    assert git(remote.path, "rev-parse", "refs/heads/coordination") == new


def test_a_push_whose_fate_cannot_be_read_is_unknown(afar: tuple[Bench, Remote]) -> None:
    bench, remote = afar
    if remote.kind == "file":
        pytest.skip("a folder can't go away in the middle of a push")
    root = bench.tip.read(20)
    new = bench.write(root)
    _hook(remote, "pre-receive", f"touch {remote.path}/arrived; while [ ! -e {remote.path}/go ]; do sleep 0.05; done\n")

    class Gone(RemoteTip):
        def read(self, seconds: float) -> str:
            remote.away()
            return super().read(2)

    tip = Gone(bench.repo, "origin", bench.tip.url, "coordination", time.sleep)  # type: ignore[attr-defined]
    with pytest.raises(Unknown):
        tip.swap(root, new, 2)
    assert (remote.path / "arrived").exists()
    (remote.path / "go").touch()
    remote.back()
    assert bench.tip.swap(root, new, 30) is Swap.WON  # the same command again converges


@pytest.mark.parametrize(
    "url", ["-oProxyCommand=x", "--upload-pack=x", "ext::sh -c x", "fd::3", "hg::http://x", "ftp://h/x", "a\nb", "user@-oProxy:x"]
)
def test_a_url_that_could_run_something_is_not_used(url: str) -> None:
    with pytest.raises(BadInput):
        check_url(url, "/base")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/x.git", "https://h/x.git"),
        ("git@h:o/x.git", "git@h:o/x.git"),
        ("../x.git", "/x.git"),
        ("/srv/x.git", "/srv/x.git"),
        ("file:///srv/x.git", "file:///srv/x.git"),
        ("./a:b", "/base/a:b"),
    ],
)
def test_an_ordinary_url_is_used_and_a_relative_path_becomes_absolute(url: str, expected: str) -> None:
    assert check_url(url, "/base") == expected


def test_the_push_url_is_read_and_written(
    request: pytest.FixtureRequest, file_remote: Remote, remotes: RemoteFactory, clone: Clone, tmp_path: Path
) -> None:
    path = clone(file_remote, tmp_path / "repo")
    other = remotes.make("file")
    git(path, "remote", "set-url", "--push", "origin", str(other.path))
    bench = Bench(path, other)
    request.addfinalizer(bench.tip.close)
    root = bench.write(NULL)
    assert bench.tip.swap(NULL, root, 20) is Swap.WON
    assert bench.tip.read(20) == root == git(other.path, "rev-parse", "refs/heads/coordination")
    assert git(file_remote.path, "for-each-ref", "refs/heads/coordination") == ""


@pytest.mark.parametrize("how", ["insteadOf", "pushInsteadOf"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_url_is_rewritten_exactly_once(
    request: pytest.FixtureRequest, file_remote: Remote, remotes: RemoteFactory, clone: Clone, tmp_path: Path, how: str, whole: bool
) -> None:
    path, other = clone(file_remote, tmp_path / "repo"), remotes.make("file")
    first, second, third = "https://git.example.invalid/team/repo", str(other.path), str(tmp_path / "nowhere")
    git(path, "remote", "set-url", "origin", first)
    cut = None if whole else -1
    git(path, "config", f"url.{second[:cut]}.{how}", first[:cut] if whole else f"{first[:-1]}")
    if not whole:
        git(path, "remote", "set-url", "origin", first[:-1] + second[-1])
    for again in ("insteadOf", "pushInsteadOf"):
        git(path, "config", f"url.{third}.{again}", second)
        git(path, "config", f"url.{third}x.{again}", "/")
    bench = Bench(path, other)
    request.addfinalizer(bench.tip.close)
    assert isinstance(bench.tip, RemoteTip)
    assert bench.tip.url == second
    root = bench.write(NULL)
    assert not bench.tip.is_empty(20)
    assert bench.tip.swap(NULL, root, 20) is Swap.WON
    assert bench.tip.read(20) == root == git(other.path, "rev-parse", "refs/heads/coordination")
    assert bench.tip.would_take(20)[0]


def test_what_the_users_own_settings_forbid_is_not_used(file_remote: Remote, clone: Clone, tmp_path: Path) -> None:
    path = clone(file_remote, tmp_path / "repo")
    git(path, "config", "protocol.file.allow", "never")
    with pytest.raises(BadInput, match="protocol 'file'"):
        push_url(Repository.find(str(path), os.environ), "origin")


@pytest.mark.parametrize("how", ["GIT_ASKPASS", "core.askPass"])
def test_a_program_that_answers_for_the_user_is_asked_and_ends_with_the_deadline(tmp_path: Path, how: str) -> None:
    git(tmp_path, "init", "-q", str(tmp_path / "repo"))
    ask = tmp_path / "ask"
    environ = dict(os.environ)
    if how == "GIT_ASKPASS":
        environ["GIT_ASKPASS"] = str(ask)
    else:
        git(tmp_path / "repo", "config", "core.askPass", str(ask))
    wanted = b"protocol=https\nhost=example.invalid\n\n"
    for script, ok in (("#!/bin/sh\necho bot\n", True), (f"#!/bin/sh\nread line < {tmp_path}/pipe\n", False)):
        ask.write_text(script)
        ask.chmod(0o755)
        if not ok:
            os.mkfifo(tmp_path / "pipe")
        done = Repository.find(str(tmp_path / "repo"), environ).run("credential", "fill", stdin=wanted, seconds=60 if ok else 1)
        assert done.ok is ok
        assert done.in_time is ok
        assert (b"password=bot" in done.stdout) is ok


def test_a_file_remote_and_a_web_server_tell_their_time(afar: tuple[Bench, Remote]) -> None:
    bench, remote = afar
    assert isinstance(bench.tip, RemoteTip)
    urls = [bench.tip.url]
    if remote.kind == "http":  # a token in the user's place, without and with a name
        urls += [bench.tip.url.replace("://", f"://{user}@") for user in ("ghp_SECRET", "x-access-token:ghp_SECRET")]
    for url in urls:
        seen = RemoteTip(bench.repo, "origin", url, "coordination", time.sleep).witness()
        assert (seen is not None) is (remote.kind in {"file", "http"})
        if seen is not None:
            assert abs((seen - datetime.now(UTC)).total_seconds()) < 60
            assert not [path for path in remote.path.iterdir() if path.name.startswith("tmp")]


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends everybody to another server; or, at `/nonsense`, answers no HTTP."""

    def do_GET(self) -> None:  # its base class wants it so
        """Answers."""
        asked.append(self.path)
        if self.path.startswith("/nonsense"):
            self.wfile.write(b"SSH-2.0-nothing\r\n")
            return
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # the same
        """Says nothing."""


asked: list[str] = []


def test_a_witness_is_followed_nowhere_and_one_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", str(tmp_path / "repo"))
    repo = Repository.find(str(tmp_path / "repo"), os.environ)
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{server.server_address[1]}"
        told = RemoteTip(repo, "origin", f"{where}/repo", "coordination", time.sleep).witness()
        assert told is not None
        assert RemoteTip(repo, "origin", f"{where}/nonsense", "coordination", time.sleep).witness() is None
        server.shutdown()
    assert asked
    assert not [path for path in asked if path.startswith("/elsewhere")]
    assert RemoteTip(repo, "origin", f"{where}/repo", "coordination", time.sleep).witness() is None  # nobody there


def test_what_a_proxy_says_of_itself_is_not_the_servers_time() -> None:
    trace = """\
=> Send header: CONNECT host:443 HTTP/1.1
<= Recv header: Date: Thu, 01 Jan 2099 00:00:00 GMT
""".splitlines()
    assert newest_date(trace) is None
    more = [
        "=> Send header: GET /r HTTP/2",
        "<= Recv header: date: Sat, 15 Nov 2025 10:00:00 GMT\r",
        "<= Recv header: Date: nonsense",
    ]
    assert newest_date([*trace, *more[:2]]) == WHEN
    assert newest_date([*trace, *more]) is None
