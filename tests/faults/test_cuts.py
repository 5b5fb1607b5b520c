"""A connection that is cut at one byte, or falls silent there: what is answered is true, and the next command works.

By default a spread of bytes is tried. `--every-byte` tries every byte of a claim over http and the git protocol, and every
67th over ssh (a prime, so that it keeps step with no packet size), and prints a table of what came of them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from clones import Seat, Seats, at_work, collect, file, until
from cut_proxy import DIRECTIONS, Cutter, Direction, Mode
from gits import git
from remotes import LOOPBACK, Remote, RemoteFactory

from gitcoord.coordinator.claims import Leases
from gitcoord.errors import GitcoordError, Unknown, Unreachable
from gitcoord.machine import ids

pytestmark = pytest.mark.servers
TRANSPORTS = ("git", "http", "ssh")
STRIDE = 67  # of --every-byte over ssh, which has three times the bytes and takes three times as long for each
SERVERS = {"sh", "cat", "sshd", "nginx", "fcgiwrap", "git-daemon"}


@dataclass
class Line:
    """A session, and the line to its remote that can be cut."""

    seat: Seat
    remote: Remote
    cutter: Cutter
    pids: Callable[[], set[int]]
    quiet: set[int] = field(default_factory=set)
    looked_at: str = ""
    ids: Counter[str] = field(default_factory=Counter)

    def settle(self) -> None:
        """Waits until no server works for anybody any more: what has not landed by then can't land later."""
        # A server takes connections in the order in which they came: once it has answered this one, it knows of the others.
        git(self.seat.path, *self.remote.flags, "ls-remote", self.remote.url)
        until(lambda: not self.cutter.open and not self.pids() - self.quiet, "a server still works for a client that is gone")

    def landed(self, op: str) -> int:
        """How many commits of the remote's branch carry the operation."""
        tip = git(self.remote.path, "rev-parse", "refs/heads/coordination")
        if tip != self.looked_at:
            since = f"{self.looked_at}..{tip}" if self.looked_at else tip
            self.ids.update(git(self.remote.path, "log", "--format=%(trailers:key=Coord-Id,valueonly)", since).split())
            self.looked_at = tip
        return self.ids[op]

    def claim(self, op: str) -> Leases | GitcoordError:
        """Claims `x` as that operation; what was answered, no matter what."""
        with self.seat.here() as found:
            try:
                return found.coordinator.claims.acquire(file("x"), op=op)
            except GitcoordError as error:
                return error

    def measure(self) -> tuple[dict[Direction, int], dict[Direction, bytes]]:
        """What a claim passes in each direction when nothing happens to it: how much, and what."""
        assert isinstance(self.claim(ids.new_id()), Leases)  # the first one differs from all that come after
        self.release()
        self.cutter.watch()
        assert isinstance(self.claim(ids.new_id()), Leases)
        until(lambda: not self.cutter.open, "a connection of a finished claim")
        heard = {direction: self.cutter.heard(direction) for direction in DIRECTIONS}
        assert self.cutter.connections == 1
        self.release()
        return {direction: len(text) for direction, text in heard.items()}, heard

    def release(self) -> None:
        """Gives back what the session holds, with the line mended: no other step may be needed before."""
        self.cutter.watch()
        with self.seat.here() as found:
            receipt, *_ = found.coordinator.claims.release(file("x"))
            assert receipt.state == "committed"
            assert not found.outbox.waiting()


class Lines(Protocol):
    """`lines("http")`: a remote of that kind, a cutter before its server, and a started session behind it."""

    def __call__(self, kind: str, name: str = "ada") -> Line: ...


@pytest.fixture
def lines(remotes: RemoteFactory, seats: Seats) -> Iterator[Lines]:
    """Makes lines."""
    made: list[Line] = []

    def make(kind: str, name: str = "ada") -> Line:
        reason = remotes.available(kind)
        if reason:
            pytest.skip(reason)
        remote = remotes.make(kind)
        assert remote.forwarder is not None
        cutter = Cutter(remote.forwarder.target)
        url = remote.url.replace(f"{LOOPBACK}:{remote.forwarder.port}", f"{LOOPBACK}:{cutter.port}")
        [seat] = seats(dataclasses.replace(remote, url=url), name)
        line = Line(seat, remote, cutter, remotes.pids)
        made.append(line)
        with seat.here() as found:
            found.coordinator.setup.init()
            found.coordinator.sessions.start(name)
        line.quiet = {pid for pid in remotes.pids() if _program(pid) in SERVERS}
        return line

    yield make
    for line in made:
        line.cutter.close()
        line.remote.close()


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def spread(first: int, last: int, count: int) -> set[int]:
    """So many numbers from first to last, both included."""
    return {first + (last - first) * step // (count - 1) for step in range(count)}


def points(kind: str, direction: Direction, total: int, heard: bytes, *, every: bool) -> list[int]:
    """Which bytes are tried."""
    if every:
        return list(range(0, total + 1, STRIDE if kind == "ssh" else 1))
    if kind != "http":
        return sorted(spread(0, total, 5 if kind == "git" else 3))
    # The second request is the one that counts, and the only one that a client may send twice.
    begins = heard.index(b"POST ") if direction == "to server" else heard.rindex(b"HTTP/1.1 ")
    body = heard.index(b"\r\n\r\n", begins) + 4
    return sorted(spread(0, begins, 2) | {body} | spread(body + 1, total, 4))


# --- a claim ---------------------------------------------------------------------------------------------------------

WRONG = "wrong"


def cut_a_claim(line: Line, direction: Direction, after: int, mode: Mode, *, alone: bool) -> Counter[str]:
    """One claim, cut at that byte, and what has to come after it; what came of it, for the table."""
    seen: Counter[str] = Counter()
    op = ids.new_id()
    line.cutter.arm(direction, after, mode, alone=alone)
    answer = line.claim(op)
    seen["cut"] = int(line.cutter.fired)
    requests = line.cutter.heard("to server")
    # Every push asks for the refs before it sends; one that is sent without having asked was sent again, by curl.
    seen["sent again"] = max(0, requests.count(b"POST ") - requests.count(b"GET ") if line.remote.kind == "http" else 0)
    line.cutter.watch()
    if isinstance(answer, Leases):
        seen["held"] = 1
        seen["landed"] = line.landed(op)
        fence = git(line.remote.path, "log", "-1", "--format=%(trailers:key=Coord-Seq,valueonly)", "refs/heads/coordination")
        seen[WRONG] = int(line.landed(op) != 1 or [str(lease.fence) for lease in answer.claims] != fence.split())
    elif isinstance(answer, Unknown):
        seen["unknown"] = 1
        if after % 2:  # with the server perhaps still at work on it, and with certainty not
            line.settle()
        seen["landed"] = line.landed(op)
        again = line.claim(op)
        seen[WRONG] = int(not isinstance(again, Leases) or line.landed(op) != 1)
    elif isinstance(answer, Unreachable):
        seen["unreachable"] = 1
        line.settle()
        seen["landed"] = line.landed(op)
        seen[WRONG] = int(line.landed(op) != 0 or not isinstance(line.claim(ids.new_id()), Leases))
    else:
        seen[WRONG] = 1
    if seen[WRONG]:
        print(f"{line.remote.kind}, {direction}, byte {after}, {mode}, alone={alone}: {answer!r}, landed {line.landed(op)}")
        return seen
    line.release()
    seen[WRONG] = int(line.landed(op) != (0 if isinstance(answer, Unreachable) else 1))
    return seen


@pytest.mark.usually(
    "git-to server-the line is back at once", "git-to client-the line stays away", "http-to server-the line stays away",
    "http-to client-the line is back at once", "ssh-to server-the line is back at once",
)  # fmt: skip
@pytest.mark.parametrize("alone", [False, True], ids=["the line is back at once", "the line stays away"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", TRANSPORTS)
def test_a_cut_claim_is_held_or_unknown_or_was_never_sent(
    kind: str, direction: Direction, alone: bool, lines: Lines, pytestconfig: pytest.Config, record_property: RecordProperty
) -> None:
    line = lines(kind)
    totals, heard = line.measure()
    every = pytestconfig.getoption("--every-byte")
    tried = points(kind, direction, totals[direction], heard[direction], every=every)
    seen: Counter[str] = Counter()
    for number, after in enumerate(tried):
        seen += cut_a_claim(line, direction, after, ("close", "reset")[number % 2], alone=alone)
        assert seen[WRONG] == 0, f"at byte {after} of {totals[direction]}"
    if every:
        counts = [seen[name] for name in ("cut", "landed", "held", "unknown", "unreachable", WRONG, "sent again")]
        record_property("cuts", [kind, direction, "stays away" if alone else "is back", len(tried), *counts])
    assert seen["cut"] >= len(tried) * 3 // 4  # the sizes of a request change by some bytes, and an answer's end can't be cut
    line.settle()
    assert all(count == 1 for count in line.ids.values())
    assert line.seat.ok("verify")["ok"]


class RecordProperty(Protocol):
    """pytest's `record_property`."""

    def __call__(self, name: str, value: object) -> None: ...


# --- a message -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_a_cut_message_is_sent_once_in_the_end(kind: str, lines: Lines) -> None:
    line = lines(kind)
    with line.seat.here() as found:
        found.coordinator.messages.send("broadcast", "the first one differs from all that come after", "")
    line.cutter.watch()
    with line.seat.here() as found:
        found.coordinator.messages.send("broadcast", "measured", "")
    until(lambda: not line.cutter.open, "a connection of a finished command")
    places = [(way, after) for way in DIRECTIONS for after in sorted(spread(0, line.cutter.passed(way), 3))]
    fired = 0
    for number, (direction, after) in enumerate(places):
        line.cutter.arm(direction, after, ("close", "reset")[number % 2], alone=number % 3 == 0)
        with line.seat.here() as found:
            receipt = found.coordinator.messages.send("broadcast", f"message {number}", "")
        fired += line.cutter.fired
        assert receipt.state in {"committed", "queued"}
        line.cutter.watch()
        with line.seat.here() as found:
            errors, _ = found.coordinator.branch.sync()
            assert errors == []
            assert not found.outbox.waiting()
            assert not found.outbox.refused()
        assert line.landed(receipt.id) == 1
    assert fired >= len(places) - 2  # the answer's last byte has no next one
    line.settle()
    assert all(count == 1 for count in line.ids.values())
    sent = [one["subject"] for one in line.seat.ok("inbox", "--sent")["messages"]]
    assert [subject for subject in sent if subject.startswith("message")] == [f"message {n}" for n in range(len(places))]


# --- silence ---------------------------------------------------------------------------------------------------------


def test_lines_that_fall_silent_are_given_up_and_leave_no_process(lines: Lines, pytestconfig: pytest.Config) -> None:
    """Silent at the beginning and near the end, in both directions; then all is well again, or nobody gets through."""
    places = [(way, share, alone) for way in DIRECTIONS for share in (0.0, 0.9) for alone in (False, True)]
    if not pytestconfig.getoption("--every-byte"):
        places = [("to server", 0.9, False), ("to client", 0.0, False), ("to client", 0.9, True)]
    made: list[tuple[Line, str, tuple[str, Direction, float, bool]]] = []
    for kind in TRANSPORTS:
        totals: dict[Direction, int] = {}
        for direction, share, alone in places:
            line = lines(kind, f"{kind}-{len(made)}")
            totals = totals or line.measure()[0]
            line.seat.git("config", "gitcoord.deadline", "2")
            line.cutter.arm(direction, int(totals[direction] * share), "stall", alone=alone)
            made.append((line, ids.new_id(), (kind, direction, share, alone)))
    # All at once: they do nothing but wait.
    answers = collect([line.seat.start("claim", "x", "--op", op) for line, op, _ in made])
    for (line, op, place), ran in zip(made, answers, strict=True):
        assert line.cutter.fired, place
        until(lambda line=line: not at_work(line.seat) and not line.cutter.open, "a process that nobody needs")  # type: ignore[misc]
        line.seat.git("config", "--unset", "gitcoord.deadline")
        line.cutter.watch()
        assert ran.code in {0, 5, 6}, (place, ran)
        if ran.code:
            line.settle()
        assert line.landed(op) in {0: {1}, 5: {0, 1}, 6: {0}}[ran.code], (place, ran)
        assert isinstance(line.claim(op), Leases)
        assert line.landed(op) == 1
