"""Anybody with push rights can push by hand: a bad commit is ignored, named, mended by the next good one; a rewrite is an alarm."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clones import Seat, Seats
from gits import attempt, git
from remotes import Remote, RemoteFactory

from gitcoord.core import rules
from gitcoord.core.heartbeats import HeartbeatRecorded
from gitcoord.core.names import Resource
from gitcoord.git.objects import BLOB_LIMIT, NewCommit
from gitcoord.log import wire
from gitcoord.log.stream import Stream
from gitcoord.machine import files
from gitcoord.relay import progress
from gitcoord.views.projection import TreeProjection
from gitcoord.views.tree import BOARD

REF = "refs/heads/coordination"


@pytest.fixture
def hand(pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> Path:
    """A third clone in which somebody works on the branch by hand, with plain git."""
    ada, _ = pair
    ada.ok("claim", "x")
    path = tmp_path / "hand"
    git(tmp_path, "clone", "-q", "-b", "coordination", str(file_remote.path), str(path))
    return path


def _push(hand: Path, message: str) -> str:
    git(hand, "add", "-A")
    git(hand, "commit", "-q", "-m", message)
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    return git(hand, "rev-parse", "HEAD")


def _claim_file(hand: Path) -> Path:
    return next((hand / "claims").glob("*.claim"))


def _steal(hand: Path) -> None:
    path = _claim_file(hand)
    path.write_text(path.read_text().replace('"ada"', '"ben"'))


def _edit_readme(hand: Path) -> None:
    (hand / "README.md").write_text("hello")


def _wipe(hand: Path) -> None:
    git(hand, "rm", "-q", "-r", "sessions", "claims")


def _board(hand: Path) -> None:
    (hand / BOARD).write_text("all is well")


def _wrong_json(hand: Path) -> None:
    _claim_file(hand).write_text('{"claimed_by": ')


@pytest.mark.parametrize("damage", [_steal, _edit_readme, _wipe, _board, _wrong_json])
def test_an_edit_by_hand_is_ignored_named_and_mended(hand: Path, pair: tuple[Seat, Seat], damage) -> None:  # type: ignore[no-untyped-def]
    ada, ben = pair
    claim = _claim_file(hand).name
    damage(hand)
    bad = _push(hand, "I know better")
    for seat in (ada, ben):
        assert [one["claimed_by"] for one in seat.ok("claims")["claims"]] == ["ada"]
        assert bad[:12] in json.dumps([one for one in seat.ok("status")["attention"] if one["kind"] == "bad_commit"])
    verdict = ben.run("verify", "--json")
    assert verdict.code == 1
    assert verdict.json["ok"] is False
    assert [one["commit"] for one in verdict.json["problems"]] == [bad]
    assert bad[:12] in ada.run("doctor").out
    assert ben.run("claim", "x").code == 3

    ben.ok("send", "ada", "the next good event")
    board = ben.git("show", f"origin/coordination:{BOARD}")
    assert bad[:12] in board
    assert json.loads(ben.git("show", f"origin/coordination:claims/{claim}"))["claimed_by"] == "ada"
    assert "This branch is where sessions" in ben.git("show", "origin/coordination:README.md")
    mended = ada.ok("verify")
    assert mended["ok"] is True
    assert [(one["commit"], "mended" in one["effect"]) for one in mended["problems"]] == [(bad, True)]
    assert ada.ok("status")["attention"] == []


def test_an_old_clone_and_a_fresh_one_agree_about_bad_commits(
    hand: Path, pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path
) -> None:
    ada, _ = pair
    _steal(hand)
    _push(hand, "mine now")
    ada.ok("send", "ben", "one")
    git(hand, "pull", "-q", "--rebase")
    _wipe(hand)
    _push(hand, "all gone")
    git(tmp_path, "clone", "-q", str(file_remote.path), str(tmp_path / "fresh"))
    fresh = Seat(tmp_path / "fresh", tmp_path / "outbox-fresh")
    known, new = ada.ok("status"), fresh.ok("status")
    for key in ("tip", "seq", "sessions", "claims", "messages"):
        assert known[key] == new[key]
    assert ada.run("board").out == fresh.run("board").out


def test_a_merge_after_git_pull_is_a_no_op(hand: Path, pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path) -> None:
    ada, ben = pair
    _steal(hand)
    git(hand, "add", "-A")
    git(hand, "commit", "-q", "-m", "local edit")
    ben.ok("send", "ada", "meanwhile")
    git(hand, "pull", "-q", "--no-rebase", "--no-edit", "-X", "ours")
    merge = git(hand, "rev-parse", "HEAD")
    assert len(git(hand, "rev-list", "--parents", "-n1", "HEAD").split()) == 3
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    git(tmp_path, "clone", "-q", str(file_remote.path), str(tmp_path / "fresh"))
    fresh = Seat(tmp_path / "fresh", tmp_path / "outbox-fresh")
    for seat in (ada, fresh):
        assert [one["claimed_by"] for one in seat.ok("claims")["claims"]] == ["ada"]
        verdict = seat.run("verify", "--json").json
        assert merge in [one["commit"] for one in verdict["problems"]]
    assert ada.ok("release", "x")["state"] == "committed"
    assert ben.ok("claim", "x")["outcome"] == "held"
    assert fresh.ok("verify")["ok"] is True


def test_every_reader_of_the_log_passes_over_what_a_merge_brought(
    hand: Path, pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path
) -> None:
    """Behind the tip lies a forged claim that looks like an event: the message alone would be believed."""
    ada, ben = pair
    seq = ada.ok("status")["seq"]
    forged = (
        f"claim: y by ben\n\nCoord-Event: claim.acquired\nCoord-Id: forged\nCoord-Seq: {seq + 1}\nCoord-Session: ben\n"
        "Coord-Resource: file:y\nCoord-Ttl: 3600\nCoord-Expires: 2030-01-01T00:00:00Z\nCoord-Writer: 0.1.0"
    )
    git(hand, "commit", "-q", "--allow-empty", "-m", forged)
    bad = {git(hand, "rev-parse", "HEAD")}
    ben.ok("send", "ada", "meanwhile")
    git(hand, "pull", "-q", "--no-rebase", "--no-edit")
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    bad.add(git(hand, "rev-parse", "HEAD"))
    git(tmp_path, "clone", "-q", str(file_remote.path), str(tmp_path / "fresh"))
    for seat in (ada, Seat(tmp_path / "fresh", tmp_path / "outbox-fresh")):
        with seat.here() as found:
            coordinator, log = found.coordinator, found.coordinator.log
            view = coordinator.branch.view()
            behind = {oid for oid, _ in log.objects.range(view.checked.tip) or []}
            told = coordinator.branch.entries(session=None, resource=None, since=None, limit=99)
            assert {one.commit for one in told if one.ignored} == bad
            assert {one.entry.commit for one in Stream(log).new(view) if one.event is None} == bad
            assert {good.commit for good in log.line(view.checked)} == behind - bad
            assert log.find("forged", view.checked) == []
            assert coordinator.branch.history(Resource("file", "y"))[0].all(coordinator.now()) == []
            assert progress.found(coordinator.branch, view, Resource("file", "y"), mine="").before == progress.Before()
            assert {one.commit for one in coordinator.branch.verify().problems} == bad
            assert {one.commit for one in view.checked.unmended} == bad


def _beat_with(seat: Seat, remote: Remote, extra: Mapping[str, bytes | None]) -> str:
    """A valid heartbeat of ada's, its records and its board as they should be, and other files beside."""
    with seat.here() as found:
        log = found.coordinator.log
        view = log.refresh(20)
        at = max(found.coordinator.now().replace(microsecond=0), view.state.at)
        event = HeartbeatRecorded(id=f"e{view.state.seq}.{len(view.checked.bad)}", seq=view.state.seq + 1, session="ada", at=at)
        files = {**log._files(view.state, rules.evolve(view.state, event, at)), **extra}
        message = wire.encode(event, writer="0.1.0", skip_ci=True)
        new = NewCommit(message, "ada", "ada@example.org", at, at, files)
        oid = log.objects.write_chain(view.checked.tip, view.checked.good, [new])[0]
        git(seat.path, "push", "-q", str(remote.path), f"{oid}:{REF}")
    return oid


def test_a_good_event_carries_no_other_files(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    extras: list[dict[str, bytes | None]] = [
        {"AGENTS.md": b"do as I say"},
        {".github/workflows/x.yml": b"on: push"},
        {"README.md": b"hello"},
        {"README.md": None},
        {BOARD: None},
        {BOARD: b"x" * (BLOB_LIMIT + 1)},
        {"claims/x/y/z": b"x"},
    ]
    bad = [_beat_with(ada, file_remote, extra) for extra in extras]
    assert [one["commit"] for one in ben.run("verify", "--json").json["problems"]] == bad
    _beat_with(ada, file_remote, {BOARD: b"drawn by another version"})
    assert ben.ok("send", "ada", "the next event")["state"] == "committed"
    assert sorted(ben.git("ls-tree", "--name-only", "origin/coordination").split()) == [
        "README.md", BOARD, "gitcoord.json", "heartbeats", "messages", "sessions",
    ]  # fmt: skip
    assert "This branch is where sessions" in ben.git("show", "origin/coordination:README.md")
    found = ada.ok("verify", "--full")["problems"]
    assert [one["commit"] for one in found if one["effect"].startswith("ignored")] == bad


def test_what_an_earlier_program_let_pass_is_taken_out_by_the_next_event(
    pair: tuple[Seat, Seat], file_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = pair
    with monkeypatch.context() as earlier:
        earlier.setattr(TreeProjection, "page_names", lambda self, *, first: (BOARD, "AGENTS.md"))
        _beat_with(ada, file_remote, {"AGENTS.md": b"do as I say"})
        with ada.here() as found:
            assert found.coordinator.branch.view(fresh=True).checked.unmended == ()
    assert ada.run("verify").code == 1
    ada.ok("send", "ben", "the next event")
    assert "AGENTS.md" not in ada.git("ls-tree", "--name-only", "origin/coordination")


@pytest.mark.parametrize("order", ["theirs first", "ours first", "theirs is longer"])
def test_two_lines_of_good_events_that_were_merged_are_an_alarm_for_everybody(
    pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path, order: str
) -> None:
    """A copy of the remote went its own way for a while, with good events, and somebody merged the two by hand."""
    ada, ben = pair
    copy, hand = tmp_path / "copy.git", tmp_path / "hand"
    git(tmp_path, "clone", "-q", "--mirror", str(file_remote.path), str(copy))
    ada.ok("heartbeat", "building")
    ada.ok("claim", "x")
    elsewhere = Seat(ben.path, tmp_path / "outbox-elsewhere")
    git(ben.path, "remote", "set-url", "origin", str(copy))
    for number in range(5 if order == "theirs is longer" else 1):
        elsewhere.ok("send", "ada", f"said on the other line {number}")
    git(ben.path, "remote", "set-url", "origin", file_remote.url)
    git(tmp_path, "clone", "-q", "-b", "coordination", str(file_remote.path), str(hand))
    git(hand, "fetch", "-q", str(copy), "coordination")
    here, there = git(hand, "rev-parse", "HEAD"), git(hand, "rev-parse", "FETCH_HEAD")
    first, second = (there, here) if order == "theirs first" else (here, there)
    tree = git(hand, "rev-parse", "HEAD^{tree}")
    merge = git(hand, "commit-tree", "-p", first, "-p", second, "-m", "together again", tree)
    git(hand, "push", "-q", "origin", f"{merge}:refs/heads/coordination")
    git(tmp_path, "clone", "-q", str(file_remote.path), str(tmp_path / "fresh"))
    fresh = Seat(tmp_path / "fresh", tmp_path / "outbox-fresh")
    for seat in (ada, fresh):
        for command in (("status",), ("verify",), *([("claim", "y")] if seat is ada else ())):
            ran = seat.run(*command, "--json")
            assert (ran.code, ran.json["error"], ran.json["merge"]) == (8, "divided", merge)
            assert {line["commit"] for line in ran.json["lines"]} == {here, there}
    assert git(file_remote.path, "rev-parse", REF) == merge
    told = ada.run("doctor").out
    assert "this clone has seen it; it ends" not in told
    assert re.search(rf"events \d+ to \d+, by ada, \S+ to \S+; it ends at {here[:12]}, and this clone has seen it", told)
    back = f"git push origin --force-with-lease={REF}:{merge} {here}:{REF}"
    assert back in told
    git(ada.path, *back.split()[1:])
    for seat in (ada, fresh):
        assert seat.ok("claims")["claims"][0]["claimed_by"] == "ada"
        assert seat.ok("verify")["ok"] is True
    assert ada.ok("inbox")["messages"] == []


def test_what_a_clone_has_once_seen_as_good_stays_good(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    """Only its own file knows of the event: the commit was pruned, and another line is as long."""
    ada, _ = pair
    ada.ok("claim", "x")
    [memory] = (ada.path / ".git" / "gitcoord").glob("checked-*.json")
    seen = json.loads(memory.read_text())
    gone = "1" * 40
    memory.write_text(json.dumps(files.sealed({**files.unsealed(seen), "tip": gone, "good": gone})))
    before = git(file_remote.path, "rev-parse", REF)
    for command in (("status",), ("claim", "y"), ("status", "--cached")):
        ran = ada.run(*command, "--json")
        assert (ran.code, ran.json["error"], ran.json["seen"]) == (8, "rewritten", gone)
    assert git(file_remote.path, "rev-parse", REF) == before


def test_the_code_merged_into_the_branch_changes_nothing(hand: Path, pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    git(hand, "fetch", "-q", "origin", "main")
    git(hand, "merge", "-q", "--no-edit", "--allow-unrelated-histories", "-X", "ours", "FETCH_HEAD")
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    assert [one["claimed_by"] for one in ada.ok("claims")["claims"]] == ["ada"]
    assert ada.ok("heartbeat", "building")["state"] == "committed"
    assert ada.ok("verify")["ok"] is True


def test_a_forged_event_and_a_later_format_are_no_ops(hand: Path, pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    seq = ada.ok("status")["seq"]
    path = _claim_file(hand)
    path.unlink()
    forged = (
        f"release: file x by ben (fence 4)\n\nCoord-Event: claim.released\nCoord-Id: forged\nCoord-Seq: {seq + 1}\n"
        "Coord-Session: ben\nCoord-Released: 4 file:x\nCoord-Writer: 0.1.0"
    )
    first = _push(hand, forged)
    (hand / "gitcoord.json").write_text('{"format": 9}\n')
    second = _push(
        hand, f"raise\n\nCoord-Event: format.shiny\nCoord-Id: f2\nCoord-Seq: {seq + 1}\nCoord-Session: ben\nCoord-Writer: 9.0"
    )
    verdict = ben.run("verify", "--json").json
    assert [one["commit"] for one in verdict["problems"]] == [first, second]
    assert [one["claimed_by"] for one in ada.ok("claims")["claims"]] == ["ada"]
    assert ada.ok("send", "ben", "still here")["seq"] == seq + 1


def test_a_true_event_with_false_records_is_a_no_op(hand: Path, pair: tuple[Seat, Seat]) -> None:
    """The message alone is a valid heartbeat of ben's; what it does to the tree is not what it says."""
    ada, ben = pair
    seq = ada.ok("status")["seq"]
    message = (
        f"heartbeat: ben alive\n\nCoord-Event: heartbeat.recorded\nCoord-Id: h{{}}\nCoord-Seq: {seq + 1}\n"
        "Coord-Session: ben\nCoord-Writer: 0.1.0"
    )
    _steal(hand)
    bad = [_push(hand, message.format(1))]
    git(hand, "checkout", "-q", "HEAD~1", "--", "claims")
    beat = {"session_id": "ben", "timestamp": "2026-01-01T00:00:00Z", "action": "lying"}
    (hand / "heartbeats").mkdir(exist_ok=True)
    (hand / "heartbeats" / "ben.json").write_text(json.dumps(beat))
    bad.append(_push(hand, message.format(2)))
    assert [one["commit"] for one in ben.run("verify", "--json").json["problems"]] == bad
    status = ada.ok("status")
    assert [one["claimed_by"] for one in status["claims"]] == ["ada"]
    assert all(one["heartbeat"] is None for one in status["sessions"])
    assert ben.ok("heartbeat", "honest")["seq"] == seq + 1


def test_more_bad_commits_than_a_clone_remembers_are_all_named(hand: Path, pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    for number in range(60):
        (hand / "README.md").write_text(str(number))
        git(hand, "commit", "-q", "-a", "-m", f"edit {number}")
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    assert len(ada.run("verify", "--json").json["problems"]) == 60
    ada.ok("heartbeat", "building")
    assert ada.ok("verify", "--full")["ok"]


def _raise_format(hand: Path, seq: int, session: str, when: datetime) -> str:
    """A raise as another program would write it, with the notice to all."""
    record = json.loads((hand / "gitcoord.json").read_text())
    (hand / "gitcoord.json").write_text(json.dumps({**record, "format": 2}))
    stamp = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    path = hand / "sessions" / f"{session}.json"
    if path.exists():
        path.write_text(json.dumps({**json.loads(path.read_text()), "last_heartbeat": stamp, "worked_seq": seq + 1}))
    note = {
        "id": "up.0", "seq": seq + 1, "from": session, "to": "broadcast", "timestamp": stamp, "type": "notice",
        "subject": f"{session} raised the branch's format to 2: older programs only read it",
        "expires_at": f"{when + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip
    (hand / "messages" / "broadcast").mkdir(parents=True, exist_ok=True)
    (hand / "messages" / "broadcast" / "up.0.json").write_text(json.dumps(note))
    git(hand, "add", "-A")
    message = (
        f"format: raised to 2, by {session}\n\nCoord-Event: format.raised\nCoord-Id: up\nCoord-Seq: {seq + 1}\n"
        f"Coord-Session: {session}\nCoord-Format: 2\nCoord-Writer: 9.0"
    )
    git(hand, "commit", "-q", "-m", message, f"--date={stamp}", env={**os.environ, "GIT_COMMITTER_DATE": stamp})
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    return git(hand, "rev-parse", "HEAD")


def test_a_raised_format_is_read_and_not_written_until_it_is_taken_back(hand: Path, pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    seq = ada.ok("status")["seq"]
    when = datetime.now(UTC).replace(microsecond=0)
    bad = _raise_format(hand, seq, "nobody-at-all", when)
    assert [one.code for one in (ada.run("send", "ben", "hello"),)] == [0]
    assert [(one["commit"], one["reason"]) for one in ada.ok("verify")["problems"]] == [(bad, "nobody-at-all is not a session")]

    git(hand, "fetch", "-q", "origin")
    git(hand, "reset", "-q", "--hard", "origin/coordination")
    _raise_format(hand, seq + 1, "ben", when + timedelta(minutes=1))
    assert len(ada.ok("verify")["problems"]) == 1
    refused = ada.run("send", "ben", "hello", "--json")
    assert refused.code == 8
    assert refused.json["error"] == "too_old"
    status = ada.ok("status")
    assert status["seq"] == seq + 2
    assert status["attention"][0]["kind"] == "format"
    assert "gitcoord config --shared format 1" in ada.run("doctor").out
    assert ada.run("config", "--shared", "format", "3").code == 2
    ada.ok("config", "--shared", "format", "1")
    assert ben.ok("claim", "y")["outcome"] == "held"
    assert ada.ok("verify")["ok"] is True


def _rewind(remote: Remote) -> None:
    git(remote.path, "update-ref", REF, f"{REF}~2")


def _reroot(remote: Remote) -> None:
    tree = git(remote.path, "rev-parse", f"{REF}^{{tree}}")
    env_commit = git(remote.path, "-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", tree, "-m", "new root")
    git(remote.path, "update-ref", REF, env_commit)


def _delete(remote: Remote) -> None:
    git(remote.path, "update-ref", "-d", REF)


@pytest.mark.parametrize("damage", [_rewind, _reroot, _delete])
@pytest.mark.parametrize("command", [("claim", "y"), ("send", "broadcast", "hello"), ("status",), ("init",)])
def test_a_rewritten_branch_is_an_alarm_and_nothing_is_overwritten(
    pair: tuple[Seat, Seat], file_remote: Remote, damage, command: tuple[str, ...]
) -> None:  # type: ignore[no-untyped-def]
    ada, _ = pair
    seen = ada.ok("status")["tip"]
    damage(file_remote)
    after = attempt(file_remote.path, "rev-parse", REF).out
    ran = ada.run(*command, "--json")
    assert ran.code == 8, ran
    assert ran.json["error"] == "rewritten"
    assert ran.json["seen"] == seen
    assert "hint" in ran.json
    assert attempt(file_remote.path, "rev-parse", REF).out == after
    assert "rewritten" in ada.run("doctor").out or "gone" in ada.run("doctor").out


@pytest.mark.parametrize("damage", [_rewind, _reroot, _delete])
def test_what_a_clone_has_fetched_and_never_looked_at_is_seen_too(
    pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats, damage: Callable[[Remote], None]
) -> None:
    (fresh,) = seats(file_remote, "fresh")
    seen = fresh.git("rev-parse", "refs/remotes/origin/coordination")
    damage(file_remote)
    for words in (("status",), ("start", "eve"), ("init",)):
        ran = fresh.run(*words, "--json")
        assert (ran.code, ran.json.get("seen")) == (8, seen), ran
    assert "gitcoord init --remove" in fresh.run("doctor").out
    fresh.ok("init", "--remove")
    assert fresh.run("init").code == (8 if damage is _reroot else 0)  # what stands there now is no branch of ours


def test_a_branch_of_that_name_that_was_fetched_and_is_none_of_ours_is_no_alarm(remotes: RemoteFactory, seats: Seats) -> None:
    remote = remotes.make("file")
    git(remote.path, "branch", "coordination", "main")
    (seat,) = seats(remote, "ada")
    _delete(remote)
    assert seat.run("status").code == 1
    assert seat.run("init").code == 0
    assert seat.ok("start", "ada")["state"] == "committed"
