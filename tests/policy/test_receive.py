"""Pushes to a server that has the policy: what is honest gets in, what isn't is refused in one line; no other ref is touched."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clones import Seat, Seats
from gits import attempt, git
from long_branch import Writer
from remotes import Remote
from servers import BRANCH, ask, program, serve
from workdays import workday

from gitcoord.git.objects import Objects
from gitcoord.policy.receive import Forbidden
from gitcoord.policy.rules import Policy

ZERO = "0" * 40


def tip(bare: Path, ref: str = BRANCH) -> str:
    """Return where that ref is."""
    return git(bare, "rev-parse", "-q", "--verify", ref)


@pytest.mark.usually("http")
def test_the_work_of_a_day_gets_in_and_what_is_made_by_hand_does_not(remote: Remote, seats: Seats, tmp_path: Path) -> None:
    serve(remote.path, tmp_path)
    git(remote.path, "config", "receive.denyNonFastForwards", "true")
    ada, ben = seats(remote, "ada", "ben")
    ada.ok("init")
    ada.ok("start", "ada")
    ben.ok("start", "ben")
    assert ada.ok("claim", "src/api.py")["outcome"] == "held"
    assert ben.run("claim", "src/api.py").code == 3
    ada.ok("release", "src/api.py", "--done", "it works", "--next", "PRODUCTION")
    ben.ok("end")
    at = tip(remote.path)

    hand = tmp_path / "hand"
    git(tmp_path, "clone", "-q", *remote.flags, "-b", "coordination", remote.url, str(hand))
    (hand / "sessions" / "ada.json").write_text("{}")
    git(hand, "commit", "-qam", "I know better")
    before = git(hand, "rev-parse", "HEAD")
    for pushed, said in (
        ("HEAD", f"commit {before[:12]} is not good: it is no event of this branch"),
        ("HEAD~2", f"the branch is at {at[:12]} and can't go back to"),
        ("", "the branch may not be deleted"),
        ("origin/main", "doesn't stand on the branch"),
    ):
        done = attempt(hand, "push", "--force", "origin", f"{pushed}:{BRANCH}")
        lines = [line for line in done.err.splitlines() if line.startswith("remote:")]
        assert (done.code, len(lines)) == (1, 1), done
        assert lines[0].startswith(f"remote: gitcoord: {BRANCH} is refused: ")
        assert said in lines[0]
    assert tip(remote.path) == at
    git(hand, "push", "-q", "origin", "HEAD:refs/heads/elsewhere")
    git(remote.path, "config", "--unset", "receive.denyNonFastForwards")
    git(hand, "push", "-q", "--force", "origin", "HEAD~1:refs/heads/elsewhere")
    git(hand, "push", "-q", "origin", ":refs/heads/elsewhere")
    assert ada.ok("verify")["ok"]


def test_who_pushes_reads_the_servers_line(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    ada, ben = pair
    serve(file_remote.path, tmp_path, keepleases="true")
    [lease] = ada.ok("claim", "src/api.py")["claims"]
    broken = ben.run("claim", "src/api.py", "--break", str(lease["fence"]), "--json")
    assert (broken.code, broken.json["error"]) == (7, "refused")
    assert f"it breaks the lease {lease['fence']} of ada on file:src/api.py" in broken.json["message"]
    assert broken.json["message"].count("gitcoord: ") == 1
    assert [one["claimed_by"] for one in ben.ok("claims")["claims"]] == ["ada"]
    ben.ok("send", "ada", "may I?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exit 3", "this server could not check it (exit code 3"),
        ("kill -9 $$", "this server could not check it (exit code 137"),
        ("echo hm", "this server could not check it (exit code 0"),
        ("", "the program that checks it is not on this server any more"),
    ],
)
def test_a_check_that_can_not_be_made_is_a_refusal_of_this_branch_alone(text: str, said: str, bare: Path, tmp_path: Path) -> None:
    path = program(tmp_path, text)
    hook = serve(bare, tmp_path).hook.path
    program(tmp_path, text or "true")
    if not text:
        Path(path).unlink()
    git(tmp_path, "clone", "-q", str(bare), "clone")
    clone = tmp_path / "clone"
    assert hook.is_file()
    refused = attempt(clone, "push", "origin", f"HEAD:{BRANCH}")
    lines = [line.strip() for line in refused.err.splitlines() if line.startswith("remote:")]
    assert (refused.code, len(lines)) == (1, 1), refused
    assert lines[0].startswith(f"remote: gitcoord: {BRANCH} is refused: {said}")
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/coordination-2", "HEAD:refs/tags/refs/heads/coordination")


def test_the_branch_is_the_one_that_the_servers_configuration_names(bare: Path, tmp_path: Path) -> None:
    git(bare, "config", "gitcoord.branch", "team")
    serve(bare, tmp_path)
    program(tmp_path, "exit 3")
    git(tmp_path, "clone", "-q", str(bare), "clone")
    assert attempt(tmp_path / "clone", "push", "origin", "HEAD:team").code == 1
    git(tmp_path / "clone", "push", "-q", "origin", f"HEAD:{BRANCH}")


def test_a_program_that_means_another_branch_than_its_hook_lets_nothing_in(bare: Path) -> None:
    git(bare, "config", "gitcoord.branch", "team")
    with pytest.raises(Forbidden, match="takes refs/heads/team for the branch"):
        ask(bare, "", tip(bare, "refs/heads/main"))


def test_what_was_checked_is_not_read_again(long_remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = long_remote.path
    read: list[int] = []
    commits = Objects.commits

    def counting(self: Objects, names: Any) -> Any:
        read.append(len(names))
        return commits(self, names)

    monkeypatch.setattr(Objects, "commits", counting)
    assert serve(bare, tmp_path).events == 1700
    assert sum(read) == 1700
    read.clear()
    serve(bare, tmp_path)
    assert read == []
    seat = Seat(tmp_path / "ada", tmp_path / "outbox")
    git(tmp_path, "clone", "-q", str(bare), "ada")
    seat.ok("start", "ada")
    new = tip(bare)
    ask(bare, git(bare, "rev-parse", f"{new}~1"), new)
    assert sum(read) <= 2


def test_a_push_is_judged_before_its_objects_are_accepted(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    """What is refused leaves no object behind: git keeps the objects of a push apart until its hook has ended."""
    serve(file_remote.path, tmp_path)
    ada = pair[0]
    git(ada.path, "fetch", "-q")
    evil = git(ada.path, "commit-tree", "origin/coordination^{tree}", "-p", "origin/coordination", "-m", "nothing")
    assert attempt(ada.path, "push", "origin", f"{evil}:{BRANCH}").code == 1
    assert attempt(file_remote.path, "cat-file", "-e", evil).code == 1


def test_of_two_that_push_at_once_one_wins_and_the_other_goes_on(file_remote: Remote, seats: Seats, tmp_path: Path) -> None:
    serve(file_remote.path, tmp_path)
    crowd = seats(file_remote, "ada", "ben", "cleo")
    crowd[0].ok("init")
    with ThreadPoolExecutor(len(crowd)) as pool:
        list(pool.map(lambda seat: seat.ok("start", seat.path.name), crowd))
        codes = list(pool.map(lambda seat: seat.run("claim", "deploy:production").code, crowd))
    assert sorted(codes) == [0, 3, 3]
    assert crowd[0].ok("verify")["ok"]


def test_a_client_that_is_killed_leaves_a_branch_that_goes_on(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    """The hook behind ours waits until the client is dead."""
    ada, ben = pair
    begun, done = tmp_path / "begun", tmp_path / "done"
    os.mkfifo(begun)
    os.mkfifo(done)
    kept = file_remote.path / "hooks" / "pre-receive"
    kept.write_text(f'#!/bin/sh\n[ -e "{tmp_path}/over" ] && exit 0\necho >"{begun}"\ncat "{done}"\n')
    kept.chmod(0o755)
    serve(file_remote.path, tmp_path)
    child = ada.start("claim", "src/api.py")
    begun.read_text()
    child.kill()
    child.communicate()
    (tmp_path / "over").touch()
    done.write_text("")
    assert ben.run("claim", "src/api.py").code in {0, 3}
    assert ada.run("claim", "src/api.py").code in {0, 3}
    assert len(ben.ok("claims")["claims"]) == 1
    assert ben.ok("verify")["ok"]


def test_a_record_that_is_brought_along_is_taken_whole(bare: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.git"
    git(tmp_path, "init", "-q", "--bare", str(other))
    _write(other, 40)
    git(bare, "fetch", "-q", str(other), f"{BRANCH}:refs/heads/there")
    serve(bare, tmp_path)
    ask(bare, "", tip(bare, "refs/heads/there"))
    with pytest.raises(Forbidden, match="is not good"):
        ask(bare, "", tip(bare, "refs/heads/main"))


def _write(bare: Path, events: int) -> list[datetime]:
    """Write a working day of that many events to a repository; return when each was committed."""
    story = workday(events=events, until=datetime.now(UTC).replace(microsecond=0))
    dates = [one.committed_at for one in story.past]
    writer = Writer(bare, dict(os.environ), boards=True)
    again = type(story)(now=story.now)
    for one in list(story.past):
        again.happen(one.event, one.committed_at)
        writer.add(again)
    writer.flush(again.state)
    return dates


@pytest.mark.parametrize("events", [200, 2000])
def test_nothing_of_an_honest_day_is_refused(events: int, bare: Path, tmp_path: Path) -> None:
    """Pushed in pieces of one to forty events, each at the time of its last one."""
    dates = _write(bare, events)
    oids = git(bare, "rev-list", "--reverse", BRANCH).splitlines()
    git(bare, "update-ref", BRANCH, oids[0])
    serve(bare, tmp_path, ownkey="true")
    at, piece = 1, 1
    while at < len(oids):
        upto = min(at + piece, len(oids))
        ask(bare, oids[at - 1], oids[upto - 1], now=dates[upto - 1])
        at, piece = upto, piece % 40 + 7
    assert len(oids) >= events
    assert Policy().clock is None
    with pytest.raises(Forbidden, match="ahead"):
        ask(bare, oids[-2], oids[-1], now=dates[-1] - timedelta(hours=1))


def test_the_branch_may_be_made_short_and_its_archives_stay(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    ada, ben = pair
    serve(file_remote.path, tmp_path)
    ada.ok("claim", "a.py")
    before = tip(file_remote.path)
    told = ada.ok("compact")
    assert ben.ok("send", "ada", "on")["state"] == "committed"
    root = ada.git("rev-parse", told["commit"])
    for words, said in (
        ((f":{told['archive']}",), "is an archive of the branch, and stays where it is"),
        (("--force", f"{root}:{told['archive']}"), "is an archive of the branch, and stays where it is"),
        (("--force", f"{before}:{BRANCH}"), "doesn't stand on the branch"),
        (("--force", f"{root}:{BRANCH}"), "doesn't stand on the branch"),
    ):
        done = attempt(ada.path, "push", "origin", *words)
        assert (done.code, said in done.err) == (1, True), done
    assert ada.ok("compact")["epoch"] == 3
    assert ben.ok("verify", "--full")["began"] == 1


def test_an_epoch_without_its_archive_is_refused(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    ada, _ = pair
    before = tip(file_remote.path)
    told = ada.ok("compact")
    git(file_remote.path, "update-ref", "-d", told["archive"])
    git(
        file_remote.path,
        "update-ref",
        BRANCH,
        git(file_remote.path, "log", "-1", "--format=%P", ada.git("rev-parse", told["archive"])),
    )
    assert tip(file_remote.path) != before
    serve(file_remote.path, tmp_path)
    done = attempt(ada.path, "push", "--force", "origin", f"{told['commit']}:{BRANCH}")
    assert (done.code, "may begin only where the server has" in done.err) == (1, True), done
    pushed = (f"{told['commit']}:{BRANCH}", f"{told['archive']}:{told['archive']}")
    assert attempt(ada.path, "push", "--force", "--atomic", "origin", *pushed).code == 0
