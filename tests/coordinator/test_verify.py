"""The board is a pure function of the branch, rebuilt from history alone; verify shows that history, tree and board agree."""

from __future__ import annotations

import json
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from clones import Clock, Seat, Seats, file
from freezegun import freeze_time
from gits import git
from remotes import Remote

from gitcoord.coordinator import verify as verifier
from gitcoord.errors import NotInitialised
from gitcoord.log import history
from gitcoord.views.tree import BOARD


@pytest.fixture
def busy(earlier: tuple[Seat, Seat, Clock]) -> tuple[Seat, Seat, Clock]:
    """A branch on which a lot has happened."""
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        coordinator = found.coordinator
        coordinator.claims.acquire(file("src/api.py"), phase="BUILD", reason="endpoints")
        coordinator.sessions.heartbeat(
            action="Building", target="church-guidance-ministry", phase="BUILD - implementing landing page", progress="30%",
            next_action="Implement intake form", estimated_completion=clock.now.replace(minute=59),
            files_touched=("src/shared.py",),
        )  # fmt: skip
        coordinator.messages.send("broadcast", "Starting BUILD phase", "")
        coordinator.messages.send("ben", "Can I help?", "", type="question")
    clock.move(minutes=14)
    with ben.here(clock) as found:
        coordinator = found.coordinator
        coordinator.messages.inbox()
        coordinator.sessions.heartbeat(
            action="blocked", target="dashboard", blocked_by="missing credentials", files_touched=("src/shared.py",)
        )
        coordinator.claims.acquire(file("docs"), ttl_seconds=300)
        coordinator.claims.release(file("docs"), done="docs done", next_phase="REVIEW")
    return ada, ben, clock


def test_the_board_has_every_section(busy: tuple[Seat, Seat, Clock]) -> None:
    ada, _, _ = busy
    board = ada.run("board").out
    for part in (
        "# Multi-Session Status Board", "**Active Sessions:** 2", "| ada | working | Building: church-guidance-ministry",
        "BUILD - implementing landing page", "30%", "next: Implement intake form", "ready ",
        "| file:src/api.py | ada | ", "ada → all: Starting BUILD phase", "ada → ben: Can I help?",
        "ben is blocked by missing credentials", "src/shared.py", "ben has not answered ada", "Ready To Pick Up", "for REVIEW",
    ):  # fmt: skip
        assert part in board, part


def test_the_board_is_rebuilt_from_history_alone(busy: tuple[Seat, Seat, Clock], tmp_path: Path) -> None:
    ada, _, _ = busy
    ada.ok("sync")
    committed = git(ada.path, "show", f"origin/coordination:{BOARD}") + "\n"
    assert ada.run("board").out == committed.rstrip() + "\n"
    output = tmp_path / "rebuilt.md"
    assert ada.run("board", "--from-history", "--output", str(output)).code == 0
    assert output.read_text() == committed


def test_the_board_of_an_earlier_event_is_the_one_committed_then(busy: tuple[Seat, Seat, Clock]) -> None:
    ada, _, _ = busy
    commits = ada.git("log", "--reverse", "--format=%H", "origin/coordination").splitlines()
    for seq in (1, 4, 6):
        then = git(ada.path, "show", f"{commits[seq - 1]}:{BOARD}").rstrip() + "\n"
        assert ada.run("board", "--at", str(seq)).out == then
        assert ada.run("board", "--at", commits[seq - 1][:12]).out == then


def test_the_board_of_a_time_passes_over_bad_commits_and_is_the_one_that_history_gives(
    busy: tuple[Seat, Seat, Clock], file_remote: Remote, tmp_path: Path
) -> None:
    ada, _, clock = busy
    hand = tmp_path / "hand"
    git(tmp_path, "clone", "-q", "-b", "coordination", str(file_remote.path), str(hand))
    (hand / BOARD).write_text("all is well\n")
    git(hand, "commit", "-q", "-am", "an edit by hand")
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    bad, good = git(hand, "log", "-2", "--format=%H").split()
    clock.move(minutes=1)
    with ada.here(clock) as found:
        branch = found.coordinator.branch
        found.coordinator.sessions.heartbeat(action="Building")
        newest = branch.board()
        expected = branch.board(at=good)
        assert branch.board(at=bad) == expected != newest
        assert branch.board(at=good, from_history=True) == expected
        seq = branch.view(fresh=False).checked.seq
        assert branch.board(at=str(seq - 1)) == expected
        assert branch.board(at=(clock.now - timedelta(seconds=30)).isoformat()) == expected
        assert branch.board(at=str(seq + 99)) == branch.board(at=clock.now.isoformat()) == newest
        assert branch.board() == newest
        for nothing in ("0", "deadbeef", (clock.now - timedelta(days=9)).isoformat()):
            with pytest.raises(NotInitialised, match="no event at"):
                branch.board(at=nothing)


def test_the_same_commit_gives_the_same_bytes_at_any_time_and_place(
    busy: tuple[Seat, Seat, Clock], file_remote: Remote, seats: Seats
) -> None:
    ada, _, _ = busy
    (fresh,) = seats(file_remote, "fresh")
    boards = set()
    for when in ("2026-01-01", "2031-07-07 13:14:15"):
        for seat in (ada, fresh):
            with freeze_time(when), seat.here() as found:
                boards.add(found.coordinator.branch.board())
                boards.add(found.coordinator.branch.board(from_history=True))
    assert len(boards) == 1


def test_verify_counts_and_agrees(busy: tuple[Seat, Seat, Clock]) -> None:
    ada, _, _ = busy
    ada.ok("sync")
    count = len(ada.git("rev-list", "origin/coordination").split())
    assert ada.ok("verify")["commits"] == count
    assert f"ok: {count} commits" in ada.run("verify").out


def test_verify_names_a_board_that_its_state_does_not_give(
    pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = pair
    ada.ok("heartbeat", "building")
    message = ada.git("log", "-1", "--format=%B", "origin/coordination")
    author = ada.git("log", "-1", "--format=%ad", "--date=raw", "origin/coordination")
    hand = tmp_path / "hand"
    git(tmp_path, "clone", "-q", "-b", "coordination", str(file_remote.path), str(hand))
    (hand / BOARD).write_text("all is well\n")
    git(hand, "add", "-A")
    git(hand, "commit", "-q", "--amend", "-m", message, f"--date={author}")
    forged = git(hand, "rev-parse", "HEAD")
    git(hand, "push", "-q", "-f", "origin", "HEAD:coordination")
    git(tmp_path, "clone", "-q", str(file_remote.path), str(tmp_path / "fresh"))
    fresh = Seat(tmp_path / "fresh", tmp_path / "outbox-fresh")
    verdict = fresh.run("verify", "--json").json
    assert [(one["commit"], "board" in one["reason"]) for one in verdict["problems"]] == [(forged, True)]
    monkeypatch.setattr(verifier, "_BOARDS", 0)  # as if the forged one were older than those that are drawn again
    with fresh.here() as found:
        assert found.coordinator.branch.verify().problems == ()
        assert [one.commit for one in found.coordinator.branch.verify(full=True).problems] == [forged]


def test_the_log_shows_who_did_what(busy: tuple[Seat, Seat, Clock]) -> None:
    ada, _, _ = busy
    events = ada.ok("log", "--limit", "100")["events"]
    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    assert {one["session"] for one in ada.ok("log", "--session", "ben")["events"]} == {"ben"}
    about = ada.ok("log", "--resource", "file:src")["events"]
    assert [one["event"] for one in about] == ["claim.acquired"]
    assert len(ada.run("log").out.splitlines()) <= 40


def test_a_message_taken_but_never_shown_comes_back_flagged(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.messages.send("ben", "important", "")
    with ben.here(clock) as found:
        taken, again, _ = found.coordinator.messages.inbox()  # the process dies before it shows them
        assert ([one.subject for one in taken], again) == (["important"], set())
    with ben.here(clock) as found:
        assert found.coordinator.messages.inbox()[0] == []
    clock.move(minutes=3)
    with ben.here(clock) as found:
        back, again, _ = found.coordinator.messages.inbox()
        assert [one.subject for one in back] == ["important"]
        assert again == {back[0].id}
        found.coordinator.messages.shown(back)
    clock.move(minutes=3)
    with ben.here(clock) as found:
        assert found.coordinator.messages.inbox()[0] == []


def test_each_message_is_taken_once_however_many_look(pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats) -> None:
    ada, ben = pair
    (elsewhere,) = seats(file_remote, "elsewhere")
    with ada.here() as found:
        for number in range(20):
            found.coordinator.messages.send("ben", f"n{number}", "")
    lookers = [Seat(ben.path, ben.outbox, "ben"), Seat(elsewhere.path, elsewhere.outbox, "ben")] * 3
    children = [seat.start("inbox", "--json") for seat in lookers]
    got: list[str] = []
    for child in children:
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0
        got += [one["subject"] for one in json.loads(out)["messages"]]
    assert sorted(got) == sorted(f"n{number}" for number in range(20))


def test_sent_shows_what_was_read(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    sent = ada.ok("send", "ben", "question?", "--type", "question")
    assert ada.ok("inbox", "--sent")["messages"][0]["status"] == "pending"
    ben.ok("inbox")
    assert ada.ok("inbox", "--sent")["messages"][0]["status"] == "read"
    ben.ok("send", "ada", "yes", "--type", "answer", "--reply-to", str(sent["seq"]))
    assert ada.ok("inbox", "--sent")["messages"][0]["status"] == "answered"
    [answer] = ada.ok("inbox")["messages"]
    assert (answer["in_reply_to"], answer["thread"]) == (sent["id"], sent["id"])


def test_the_last_commit_of_a_push_has_the_board_for_all_of_it(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, _ = pair
    ada.ok("sync")
    file_remote.away()
    for subject in ("one", "two"):
        assert ada.ok("send", "broadcast", subject)["state"] == "queued"
    file_remote.back()
    ada.ok("sync")
    boards = [git(ada.path, "rev-parse", f"origin/coordination~{back}:{BOARD}") for back in (2, 1, 0)]
    assert boards[0] == boards[1] != boards[2]
    assert "two" in git(ada.path, "show", f"origin/coordination:{BOARD}")
    assert ada.ok("verify", "--full")["problems"] == []


def test_a_comparison_that_was_stopped_goes_on_and_says_all_the_same(
    busy: tuple[Seat, Seat, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _, clock = busy
    ada.ok("sync")
    bad = ada.git("commit-tree", "origin/coordination^{tree}", "-p", "origin/coordination", "-m", "by hand")
    ada.git("push", "-q", "origin", f"{bad}:refs/heads/coordination")
    with ada.here(clock) as found:
        for number in range(12):
            found.coordinator.messages.send("broadcast", f"number {number}", "")
        whole = found.coordinator.branch.verify(full=True)
    assert [one.commit for one in whole.problems] == [bad]
    monkeypatch.setattr(history, "_AT_ONCE", 5)
    compare, compared = verifier.Verifier._compare_tree, list[int]()

    def counted(self: verifier.Verifier, good: history.Good) -> list[verifier.Problem]:
        if len(compared) == whole.events - 2:
            raise KeyboardInterrupt
        compared.append(good.event.seq)
        found = compare(self, good)
        return [*found, verifier.Problem(good.commit, "odd", "none")] if good.event.seq == 3 else found

    monkeypatch.setattr(verifier.Verifier, "_compare_tree", counted)
    with ada.here(clock) as found, pytest.raises(KeyboardInterrupt):
        found.coordinator.branch.verify(full=True)
    compared.clear()
    with ada.here(clock) as found:
        stopped = found.coordinator.parts.verifying.read()
        verdict = found.coordinator.branch.verify(full=True)
    assert verdict.resumed > 5
    assert compared == list(range(verdict.resumed + 1, whole.events + 1))
    assert [one.reason for one in verdict.problems] == ["odd", *(one.reason for one in whole.problems)]
    assert (verdict.events, verdict.commits, verdict.tip) == (whole.events, whole.commits, whole.tip)
    monkeypatch.undo()
    other = json.loads(stopped)
    del other["sum"]
    other["checked"][2] += 1  # its commit is another event
    for kept in (stopped[:-1], {**other, "sum": 0}, {**other, "sum": zlib.crc32(json.dumps(other).encode())}):
        with ada.here(clock) as found:
            found.coordinator.parts.verifying.write(kept if isinstance(kept, bytes) else json.dumps(kept).encode())
            assert found.coordinator.branch.verify(full=True).resumed == 0, kept
    assert ada.run("verify", "--full", "--json").json.get("resumed") is None  # it is done: the next one begins at the beginning
