"""Epochs on real branches: who follows a new root, and who raises the alarm; what is found of what was before."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from clones import Clock, Seat, Seats, file
from gits import git
from remotes import Remote

from gitcoord.core.epochs import archive_ref
from gitcoord.errors import Rewritten
from gitcoord.git.objects import Objects
from gitcoord.git.repo import Repository
from gitcoord.log.history import Checked, Good, History
from gitcoord.log.stream import Stream
from gitcoord.views.projection import TreeProjection

BRANCH = "refs/heads/coordination"
ARCHIVES = "refs/gitcoord/archive/"
FORGER = {
    "GIT_AUTHOR_NAME": "ada", "GIT_AUTHOR_EMAIL": "m@example.org",
    "GIT_COMMITTER_NAME": "ada", "GIT_COMMITTER_EMAIL": "m@example.org",
}  # fmt: skip


def tip(repo: Path, ref: str = BRANCH) -> str:
    """Where a ref stands; "" if it is not there."""
    return git(repo, "for-each-ref", "--format=%(objectname)", ref)


def said(repo: Path, commit: str) -> str:
    """A commit's message."""
    return git(repo, "log", "-1", "--format=%B", commit).rstrip("\n") + "\n"


def made(repo: Path, like: str, message: str, *, tree: str = "", parents: tuple[str, ...] = ()) -> str:
    """A commit with the dates of another, as somebody might make it by hand."""
    dates = git(repo, "log", "-1", "--format=%at%n%ct", like).split()
    env = {**FORGER, "GIT_AUTHOR_DATE": f"{dates[0]} +0000", "GIT_COMMITTER_DATE": f"{dates[1]} +0000"}
    words = [word for parent in parents for word in ("-p", parent)]
    return git(repo, "commit-tree", tree or f"{like}^{{tree}}", *words, stdin=message, env=env).strip()


@dataclass(frozen=True)
class Scene:
    """ada has compacted the branch. ben knows its old tip `before`, and nothing newer: the remote was set back meanwhile."""

    ada: Seat
    ben: Seat
    path: Path
    before: str
    closing: str
    root: str

    def show(self, commit: str, *archived: str) -> None:
        """The remote's branch is there now, and has these archives only."""
        for ref in git(self.path, "for-each-ref", "--format=%(refname)", ARCHIVES).splitlines():
            git(self.path, "update-ref", "-d", ref)
        for closing in archived:
            git(self.path, "update-ref", archive_ref(1, closing), closing)
        git(self.path, "update-ref", BRANCH, commit)


@pytest.fixture
def scene(pair: tuple[Seat, Seat], file_remote: Remote) -> Scene:
    """The branch of `pair` with a claim and a message, made short by ada."""
    ada, ben = pair
    ada.ok("claim", "a.py")
    ben.ok("send", "ada", "hello")
    ada.ok("compact")
    path = file_remote.path
    root, closing = tip(path), tip(path, ARCHIVES)
    made = Scene(ada, ben, path, git(path, "log", "-1", "--format=%P", closing), closing, root)
    made.show(made.before)
    ben.ok("status")
    made.show(root, closing)
    return made


def follows(seat: Seat) -> int:
    """The exit code of a look at the branch."""
    return seat.run("status").code


# --- who follows -----------------------------------------------------------------------------------------------------


def test_everybody_goes_on_and_nothing_is_lost(scene: Scene, file_remote: Remote, seats: Seats) -> None:
    ada, ben = scene.ada, scene.ben
    (fresh,) = seats(file_remote, "fresh")
    [lease] = ben.ok("claims")["claims"]
    assert (lease["resource_name"], lease["claimed_by"]) == ("a.py", "ada")
    assert ben.run("claim", "a.py").code == 3
    seq = ben.ok("status")["seq"]
    assert ben.ok("claim", "b.py")["claims"][0]["fence"] == seq + 1
    assert [one["subject"] for one in ada.ok("inbox")["messages"]] == ["hello"]
    assert fresh.ok("status")["seq"] == seq + 2
    for seat in (ada, ben, fresh):
        told = seat.ok("verify")
        assert (told["ok"], told["problems"], told["commits"]) == (True, [], 3)
    assert ada.run("claims").err == ""  # what compacting freed is no loss


def test_the_record_says_which_epoch_it_is_and_where_it_began(scene: Scene) -> None:
    root = scene.root
    with scene.ben.here() as found:
        view = found.coordinator.branch.view()
        record = view.state.rules
    assert (record.epoch, record.began, view.checked.before) == (2, view.checked.seq, view.checked.seq - 1)
    assert git(scene.path, "rev-list", "--count", BRANCH) == "1"
    assert git(scene.path, "log", "-1", "--format=%P", root) == ""
    assert f"Coord-Closed: {scene.closing}" in said(scene.path, root)
    assert f"Coord-Tree: {git(scene.path, 'rev-parse', f'{root}^{{tree}}')}" in said(scene.path, scene.closing)


def test_a_forged_epoch_is_an_alarm_for_whoever_knew_the_branch(scene: Scene) -> None:
    path, ben = scene.path, scene.ben
    root, closing = said(path, scene.root), said(path, scene.closing)
    number = int(re.search(r"Coord-Seq: ([0-9]+)", root)[1])  # type: ignore[index]

    def forged(closed: str = scene.closing, message: str = root, tree: str = "") -> str:
        return made(path, scene.root, message.replace(scene.closing, closed), tree=tree)

    def ended(message: str) -> str:
        return made(path, scene.closing, message, parents=(scene.before,))

    def emptied(commit: str) -> str:
        lines = git(path, "ls-tree", f"{commit}^{{tree}}").splitlines()
        return git(path, "mktree", stdin="\n".join(line for line in lines if not line.endswith("\tclaims")) + "\n")

    stolen = emptied(scene.root)
    named = git(path, "rev-parse", f"{scene.root}^{{tree}}")
    page = git(path, "hash-object", "-w", "--stdin", stdin="all is well\n")
    lines = git(path, "ls-tree", f"{scene.root}^{{tree}}")
    painted = git(path, "mktree", stdin=re.sub(r"[0-9a-f]{40}(?=\tSTATUS_BOARD.md)", page, lines) + "\n")
    theft = ended(closing.replace(named, stolen))
    later = ended(closing.replace("Coord-Epoch: 1", "Coord-Epoch: 7"))
    first = git(path, "rev-list", "--max-parents=0", scene.before)
    forgeries = {
        "another tree than the closing event names": (forged(tree=stolen), scene.closing),
        "a tree that the closing event names, without what is held": (forged(theft, tree=stolen), theft),
        "the number goes back": (forged(message=root.replace(f"Coord-Seq: {number}", "Coord-Seq: 3")), scene.closing),
        "the number leaps": (forged(message=root.replace(f"Coord-Seq: {number}", f"Coord-Seq: {number + 1}")), scene.closing),
        "another epoch": (forged(message=root.replace("Coord-Epoch: 2", "Coord-Epoch: 3")), scene.closing),
        "nothing is closed": (forged(scene.before), scene.before),
        "another board than the closing event names": (forged(tree=painted), scene.closing),
        "another epoch is closed": (forged(later), later),
        "no archive": (forged(ended(closing + "Coord-X: 1\n")),),
        "the branch from its beginning": (made(path, scene.root, said(path, first)),),
    }
    for what, (commit, *archived) in forgeries.items():
        scene.show(commit, *archived)
        assert (what, follows(ben)) == (what, 8)
        assert ben.run("send", "ada", "into the dark").code == 8
    scene.show(scene.root, scene.closing)
    assert follows(ben) == 0


def test_who_knows_more_than_was_closed_raises_the_alarm(scene: Scene) -> None:
    scene.show(scene.before)
    scene.ben.ok("send", "ada", "more")
    scene.show(scene.root, scene.closing)
    assert follows(scene.ben) == 8


def test_a_push_that_was_under_way_is_decided_again_on_the_new_root(scene: Scene) -> None:
    """The server has the push already when the branch is made short."""
    scene.show(scene.before, scene.closing)
    hook = scene.path / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\nrm $0\nenv -u GIT_QUARANTINE_PATH git update-ref {BRANCH} {scene.root}\n")
    hook.chmod(0o755)
    assert scene.ben.ok("send", "ada", "in between", "--op", "once")["state"] == "committed"
    assert not hook.exists()
    assert [one["subject"] for one in scene.ada.ok("inbox")["messages"]] == ["hello", "in between"]
    assert scene.ben.ok("verify", "--full")["began"] == 1


def test_a_remote_without_the_archive_is_an_alarm_and_one_that_is_away_is_none(scene: Scene, file_remote: Remote) -> None:
    scene.show(scene.root)
    assert follows(scene.ben) == 8
    scene.show(scene.root, scene.closing)
    assert follows(scene.ben) == 0


def test_neither_event_counts_on_the_branch_itself(scene: Scene, file_remote: Remote, seats: Seats) -> None:
    """So whoever may push can stop nobody by them."""
    scene.show(scene.before)
    (fresh,) = seats(file_remote, "fresh")
    again = made(scene.path, scene.root, said(scene.path, scene.root), parents=(scene.closing,))
    scene.show(again)
    assert [one["kind"] for one in scene.ben.ok("status")["attention"]].count("bad_commit") == 2
    scene.ben.ok("send", "ada", "on")
    assert fresh.ok("verify")["ok"]
    assert [one["ignored"] for one in fresh.ok("log")["events"] if one["ignored"]] == [
        "an epoch is closed only where a root says so", "an epoch begins with a commit that has no parent",
    ]  # fmt: skip


def test_a_root_with_a_tree_of_no_branch_is_no_beginning(scene: Scene, file_remote: Remote, seats: Seats) -> None:
    path = scene.path
    odd = git(path, "hash-object", "-w", "--stdin", stdin="{}\n")
    lines = git(path, "ls-tree", f"{scene.root}^{{tree}}")
    board = next(line for line in lines.splitlines() if line.endswith("STATUS_BOARD.md"))
    trees = {
        "a file that is no record": git(path, "mktree", stdin=f"{lines}\n100644 blob {odd}\tnotes.txt\n"),
        "a record that can't be read": git(path, "mktree", stdin=re.sub(r"[0-9a-f]{40}(?=\tgitcoord.json)", odd, lines) + "\n"),
        "a board that is a link": git(path, "mktree", stdin=lines.replace(board, board.replace("100644", "120000")) + "\n"),
    }
    for what, tree in trees.items():
        (fresh,) = seats(file_remote, f"fresh-{len(what)}")
        scene.show(made(path, scene.root, said(path, scene.root), tree=tree))
        ran = fresh.run("status")
        assert (what, ran.code) == (what, 8), ran


# --- any number of epochs --------------------------------------------------------------------------------------------


def test_whoever_stopped_anywhere_comes_to_the_same(earlier: tuple[Seat, Seat, Clock], file_remote: Remote, seats: Seats) -> None:
    """A clone that stopped at any event of four epochs follows, by one look; so does one that starts now."""
    ada, ben, clock = earlier
    stops: list[Checked] = []
    for number in range(4):
        for seat in (ada, ben):
            with seat.here(clock) as found:
                found.coordinator.claims.acquire(file(f"{seat.path.name}-{number}.py"))
                stops.append(found.coordinator.branch.view().checked)
            clock.move(minutes=2)
        with ada.here(clock) as found:
            if number == 2:  # somebody edits by hand, too
                hand_edit(file_remote.path)
            if number < 3:
                found.coordinator.epochs.compact()
            stops.append(found.coordinator.branch.view().checked)
    last = stops[-1]
    assert [one.before > 0 for one in stops] == [False] * 2 + [True] * 10
    repo = Repository.find(str(file_remote.path), {**os.environ, "GIT_DIR": str(file_remote.path)})
    fences: list[int] = []
    with Objects(repo) as objects:
        for stop in (*stops, Checked()):
            seen: list[Good] = []
            found_ = History(objects, TreeProjection()).check(last.tip, stop, seen.append)
            assert (found_.tip, found_.good, found_.seq, found_.before) == (last.tip, last.good, last.seq, last.before)
            numbers = [one.event.seq for one in seen]
            first = stop.seq + 1 if stop.seq else last.before + 1
            assert numbers == list(range(first, last.seq + 1))
        for stop in stops[:-2]:  # and the other way round: nobody is led back
            with pytest.raises(Rewritten):
                History(objects, TreeProjection()).check(stop.tip, last)
            fences.append(stop.seq)
    assert fences == sorted(fences)
    (fresh,) = seats(file_remote, "fresh")
    assert [one["resource_name"] for one in fresh.ok("claims")["claims"]] == [
        one["resource_name"] for one in ben.ok("claims")["claims"]
    ]
    assert fresh.ok("verify")["ok"]


def hand_edit(path: Path) -> None:
    """A commit on the branch that no program made."""
    git(path, "update-ref", BRANCH, made(path, tip(path), "I know better\n", parents=(tip(path),)))


# --- what was before -------------------------------------------------------------------------------------------------


def test_an_operation_of_an_earlier_epoch_is_not_done_again(scene: Scene) -> None:
    ada = scene.ada
    first = ada.ok("send", "ben", "once", "--op", "only-once")
    ada.ok("compact", "--op", "short")
    assert ada.ok("send", "ben", "once", "--op", "only-once")["seq"] == first["seq"]
    assert ada.run("send", "ben", "another", "--op", "only-once").code == 2
    assert ada.ok("compact", "--op", "short")["epoch"] == 3
    assert ada.ok("status")["seq"] == first["seq"] + 3  # claimed, closed, opened


def test_log_and_history_reach_into_archives_that_are_here(scene: Scene) -> None:
    """ben followed, so he has the archive."""
    events = scene.ben.ok("log")["events"]
    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    assert [one["event"] for one in events][-2:] == ["epoch.closed", "epoch.opened"]
    [lease] = scene.ben.ok("history", "a.py")["leases"]
    assert lease["session"] == "ada"
    with scene.ben.here() as found:
        log, checked = found.coordinator.log, found.coordinator.branch.view().checked
        stream = Stream(log, after=3)
        assert [one.entry.seq for one in stream.new(found.coordinator.branch.view())] == list(range(4, checked.seq + 1))
        assert [one.event.seq for one in log.entries_since(scene.before, checked) if one.event] == [checked.seq - 1, checked.seq]


def newcomer(remote: Remote, where: Path) -> Seat:
    """A clone that copies what is fetched, and not the whole folder of a remote that lies on the same disk."""
    git(where.parent, "clone", "--quiet", "--no-local", str(remote.path), str(where))
    return Seat(where, where.parent / f"{where.name}-outbox")


def test_a_fresh_clone_fetches_what_was_before_when_somebody_asks(scene: Scene, file_remote: Remote, tmp_path: Path) -> None:
    scene.ben.ok("claim", "b.py")
    scene.ben.ok("compact")
    last = scene.ben.ok("status")["seq"]
    fresh, other, third = (newcomer(file_remote, tmp_path / name) for name in ("fresh", "other", "third"))
    told = fresh.ok("log")
    assert (len(told["events"]), told["began"]) == (1, last)
    assert f"begins with event {last}; what was before: gitcoord log --all" in fresh.run("log").err
    told = fresh.ok("log", "--all")
    assert ([one["seq"] for one in told["events"]], told["began"]) == (list(range(1, last + 1)), 1)
    assert [one["session"] for one in other.ok("history", "a.py")["leases"]] == ["ada"]
    [claimed] = [one for one in told["events"] if one["event"] == "claim.acquired" and one["resources"] == ["file:a.py"]]
    board = third.ok("board", "--at", str(claimed["seq"]))["board"]
    assert "a.py" in board
    assert "b.py" not in board
    whole = fresh.ok("verify", "--full")
    assert (whole["ok"], whole["commits"], whole["began"], whole["problems"]) == (True, last, 1, [])
    assert (fresh.ok("verify")["commits"], fresh.ok("verify")["began"]) == (1, last)


def cut(scene: Scene, where: Path, *, looked: bool) -> Seat:
    """A clone that was fetched with a depth before the branch was made short, and is an epoch behind. `looked`: the program had
    completed it then, and another fetch cut it again.
    """
    scene.show(scene.before)
    git(where.parent, "clone", "-q", "--depth=1", "--no-single-branch", f"file://{scene.path}", str(where))
    seat = Seat(where, where.parent / f"{where.name}-outbox")
    if looked:
        seat.ok("status")
        seat.git("fetch", "-q", "--depth=1")
    assert (where / ".git" / "shallow").exists()
    scene.show(scene.root, scene.closing)
    return seat


@pytest.mark.parametrize("looked", [False, True])
def test_a_clone_with_a_depth_and_an_epoch_behind_has_all_of_it_when_somebody_asks(
    scene: Scene, tmp_path: Path, looked: bool
) -> None:
    seat = cut(scene, tmp_path / "cut", looked=looked)
    last = seat.ok("status")["seq"]
    told = seat.ok("log", "--all")
    assert ([one["seq"] for one in told["events"]], told["began"]) == (list(range(1, last + 1)), 1)
    whole = seat.ok("verify", "--full")
    assert (whole["ok"], whole["began"], whole["problems"]) == (True, 1, [])
    seat.ok("start", "cut")
    assert seat.run("claim", "a.py").code == 3
    seat.ok("claim", "c.py")
    assert scene.ada.ok("verify", "--full")["ok"]


def test_where_an_archive_is_gone_the_record_says_where_it_begins(scene: Scene, file_remote: Remote, tmp_path: Path) -> None:
    scene.show(scene.root)
    fresh = newcomer(file_remote, tmp_path / "fresh")
    seq = fresh.ok("status")["seq"]
    assert f"begins with event {seq}; the archive of what was before is gone" in fresh.run("log", "--all").err
    assert f"begins with event {seq};" in fresh.run("history", "a.py").err
    assert fresh.ok("verify", "--full")["began"] == seq
    assert fresh.run("board", "--at", "2").code != 0


def test_without_a_remote_it_is_the_same(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "alone")
    alone = Seat(tmp_path / "alone", tmp_path / "outbox")
    alone.ok("init")
    alone.ok("start", "ada")
    alone.ok("claim", "a.py")
    told = alone.ok("compact")
    assert (told["epoch"], told["seq"]) == (2, alone.ok("status")["seq"])
    assert git(alone.path, "rev-list", "--count", BRANCH) == "1"
    assert len(alone.ok("log")["events"]) == told["seq"]
    assert alone.ok("verify")["ok"]
