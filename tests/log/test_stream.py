"""The log as a stream: each event once and in order, whatever happens to the remote; and the recipes that stand on it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest
from clones import PATIENCE, PROGRAM, Clone, Seat, collect, until
from gits import git
from remotes import Remote

from gitcoord.log.stream import Stream

RECIPES = Path(__file__).parents[2] / "docs" / "stream.md"


class Lines:
    """What a program that goes on prints, line by line."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        self._queue: Queue[str] = Queue()
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self._queue.put(line)

    def end(self) -> str:
        """Waits for the end of the program; what it said to people."""
        self.child.wait(PATIENCE)
        self._thread.join(PATIENCE)
        assert self.child.stdout is not None
        assert self.child.stderr is not None
        with self.child.stdout, self.child.stderr:
            return self.child.stderr.read()

    def next(self) -> Any:
        """The next line, parsed."""
        return json.loads(self._queue.get(timeout=PATIENCE))

    def upto(self, seq: int) -> list[Any]:
        """The next lines, up to the event with that number."""
        found = [self.next()]
        while found[-1]["seq"] != seq:
            found.append(self.next())
        return found

    def left(self) -> list[str]:
        """What nobody has asked for yet."""
        found = []
        try:
            while True:
                found.append(self._queue.get_nowait())
        except Empty:
            return found


@contextmanager
def following(seat: Seat, *args: str) -> Iterator[Lines]:
    """`log --follow --json` at that seat."""
    child = seat.start("log", "--follow", "--json", *args)
    lines = Lines(child)
    try:
        yield lines
    finally:
        child.send_signal(signal.SIGINT)
        assert "Traceback" not in lines.end()


def seqs(found: list[Any]) -> list[int | None]:
    """The numbers of those events."""
    return [one["seq"] for one in found]


def test_events_after_a_number_come_once_and_in_order_while_others_write(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    for number in range(3):
        ada.ok("send", "ben", f"early {number}")
    last = ada.ok("status")["seq"]
    with following(ben, "--since", "2") as lines:
        first = lines.upto(last)
        writers = [seat.start("send", "broadcast", f"late {seat.path.name} {n}") for n in range(6) for seat in (ada, ben)]
        for one in writers:
            collect([one])
        last = ada.ok("status")["seq"]
        found = first + lines.upto(last)
    assert seqs(found) == list(range(3, last + 1))
    assert sorted(one["data"]["subject"] for one in found if one["event"] == "message.sent" and "late" in one["subject"]) == sorted(
        f"late {who} {n}" for n in range(6) for who in ("ada", "ben")
    )


def test_a_line_says_what_was_said(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    sent = ada.ok("send", "ben", "a subject", "a text\nof two lines", "--type", "finding", "--detail", "k=v")
    ada.ok("claim", "src/x.py", "--phase", "BUILD")
    with following(ben, "--since", str(sent["seq"] - 1)) as lines:
        message, claim = lines.next(), lines.next()
    assert (message["id"], message["seq"], message["event"], message["session"]) == (
        sent["id"], sent["seq"], "message.sent", "ada",
    )  # fmt: skip
    said = {"to": "ben", "subject": "a subject", "message": "a text\nof two lines", "type": "finding", "details": ["k=v"]}
    assert said.items() <= message["data"].items()
    assert (claim["resources"], claim["data"]["phase"], claim["ignored"]) == (["file:src/x.py"], "BUILD", None)


def test_what_happened_while_the_remote_was_away_comes_when_it_is_back(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    start = ada.ok("status")["seq"]
    with following(ben, "--since", str(start - 1)) as lines:
        assert lines.next()["seq"] == start
        file_remote.away()
        ada.ok("send", "ben", "queued meanwhile")
        assert lines.child.poll() is None
        file_remote.back()
        ada.ok("send", "ben", "and after it")
        ada.ok("sync")
        assert [one["data"]["subject"] for one in lines.upto(start + 2)] == ["queued meanwhile", "and after it"]


def test_a_rewritten_branch_ends_it(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("send", "ben", "one")
    with following(ben, "--since", "0") as lines:
        lines.upto(ada.ok("status")["seq"])
        tip = ada.git("rev-parse", "origin/coordination~2")
        ada.git("push", "-q", "--force", "origin", f"{tip}:coordination")
        lines.child.wait(PATIENCE)
    assert lines.child.returncode == 8
    assert [json.loads(line)["error"] for line in lines.left()] == ["rewritten"]


def test_a_commit_by_hand_is_told_as_ignored_and_moves_no_number(
    pair: tuple[Seat, Seat], file_remote: Remote, clone: Clone, tmp_path: Path
) -> None:
    ada, ben = pair
    hand = clone(file_remote, tmp_path / "hand")
    git(hand, "checkout", "-q", "coordination")
    (hand / "README.md").write_text("by hand")
    git(hand, "commit", "-q", "-a", "-m", "an edit")
    git(hand, "push", "-q", "origin", "coordination")
    before = ben.ok("status")["seq"]
    ada.ok("send", "ben", "after it")
    with following(ben, "--since", str(before)) as lines:
        found = lines.upto(before + 1)
    assert [(one["seq"], one["subject"], bool(one["ignored"])) for one in found] == [
        (None, "an edit", True), (before + 1, "message: ada to ben: after it", False),
    ]  # fmt: skip
    with following(ben, "--since", str(before + 1)) as lines:
        ada.ok("send", "ben", "later")
        assert lines.next()["seq"] == before + 2


def test_a_view_that_is_older_than_the_last_one_repeats_nothing(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with ben.here() as found:
        coordinator = found.coordinator
        old = coordinator.branch.view()
        stream = Stream(coordinator.log, 1)
        assert [one.entry.seq for one in stream.new(old)] == [2, 3]
        ada.ok("send", "ben", "one")
        new = coordinator.branch.view()
        assert [one.entry.seq for one in stream.new(new)] == [4]
        assert list(stream.new(old)) == []
        assert list(stream.new(new)) == []
        ada.ok("send", "ben", "two")
        assert [one.entry.seq for one in stream.new(coordinator.branch.view())] == [5]
        assert [one.entry.seq for one in Stream(coordinator.log, 3).new(coordinator.branch.view())] == [4, 5]


def test_since_a_number_without_following(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    ada.ok("send", "ben", "one")
    assert seqs(ada.ok("log", "--since", "2")["events"]) == [3, 4]
    assert seqs(ada.ok("log", "--since", "#3")["events"]) == [4]
    assert seqs(ada.ok("log", "--since", "9")["events"]) == []


# --- the recipes -----------------------------------------------------------------------------------------------------


def recipe(name: str) -> str:
    """The code of a recipe, as the document has it."""
    found = re.search(rf"<!-- recipe: {re.escape(name)} -->\n```\w+\n(.*?)```", RECIPES.read_text(encoding="utf-8"), re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture
def bench(tmp_path: Path, pair: tuple[Seat, Seat]) -> tuple[Path, dict[str, str]]:
    """A folder with programs that only note what they are told, and the environment in which they are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("gh", "redis-cli", "nats"):
        script = folder / name
        script.write_text(f'#!/bin/sh\n{{ echo "{name} $*"; cat; }} >>"{tmp_path}/{name}.log"\n')
        script.chmod(0o755)
    own = folder / "gitcoord"
    own.write_text(f'#!/bin/sh\nexec "{PROGRAM[0]}" -m gitcoord "$@"\n')
    own.chmod(0o755)
    return folder, {**pair[1].env, "PATH": f"{folder}:{os.environ['PATH']}"}


@contextmanager
def cooking(command: list[str], seat: Seat, environ: dict[str, str]) -> Iterator[None]:
    """A recipe at work, ended with all that it started."""
    child = subprocess.Popen(
        command, cwd=seat.path, env=environ, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(PATIENCE)


def test_the_issue_mirror_comments_each_broadcast_once_also_when_started_again(
    pair: tuple[Seat, Seat], bench: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    ada, ben = pair
    script = tmp_path / "mirror.py"
    script.write_text(recipe("mirror.py"))
    noted = tmp_path / "gh.log"
    place = ben.path / "mirror.seq"

    def mirrored(text: str, seq: int) -> None:
        with cooking([sys.executable, str(script), "7"], ben, bench[1]):
            until(lambda: noted.exists() and text in noted.read_text(), "no comment came")
            until(lambda: place.exists() and place.read_text() == str(seq), "its place was not kept")

    ada.ok("send", "ben", "not for all")
    one = ada.ok("send", "broadcast", "hello @everyone", "the first")
    mirrored("the first", one["seq"])
    two = ada.ok("send", "broadcast", "second")
    mirrored("second", two["seq"])
    text = noted.read_text()
    assert text.count("gh issue comment 7 --body-file -") == 2
    assert text.count("the first") == 1
    assert "@everyone" not in text
    assert "not for all" not in text


@pytest.mark.parametrize(("program", "command"), [("redis-cli", None), ("nats", "nats pub coordination moved")])
def test_the_wake_up_signals_when_something_happens(
    pair: tuple[Seat, Seat], bench: tuple[Path, dict[str, str]], tmp_path: Path, program: str, command: str | None
) -> None:
    ada, ben = pair
    script = tmp_path / "wake.sh"
    script.write_text(recipe("wake.sh"))
    noted = tmp_path / f"{program}.log"

    def count() -> int:
        return len(noted.read_text().splitlines()) if noted.exists() else 0

    with cooking(["sh", str(script)], ben, {**bench[1], **({"WAKE": command} if command else {})}):
        until(lambda: count() == 1, "the newest event was not signalled")
        ada.ok("send", "broadcast", "something")
        until(lambda: count() == 2, "the new event was not signalled")
    assert set(noted.read_text().splitlines()) == {command or "redis-cli publish coordination moved"}
