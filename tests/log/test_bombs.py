"""Hostile sizes on the branch: shown as bad, never inflated, the rest works, and the next good commit mends.

`--bombs=full` makes them as large as they come; without it they are as large as a few seconds allow.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from clones import PROGRAM, Seat
from gits import git
from remotes import Remote

BRANCH = "refs/heads/coordination"
MEGABYTE = 1 << 20
ROOM = 80 * MEGABYTE  # what a bomb may cost the program beside what it has anyway; git, a child, is not measured


@pytest.fixture
def large(request: pytest.FixtureRequest) -> bool:
    """Whether the full sizes are asked for."""
    return bool(request.config.getoption("--bombs") == "full")


def limited(seat: Seat, *args: str) -> Any:
    """The program's answer, from a process that tells the most memory it had, now and when it had just been loaded."""
    # Not ru_maxrss: a child inherits it from whoever started it.
    script = (
        "import sys, gitcoord.connection.connect, gitcoord.cli.app\n"
        "def most():\n"
        "    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "before = most()\n"
        f"sys.argv = ['gitcoord', *{list(args)!r}, '--json']\n"
        "code = gitcoord.cli.app.main(sys.argv[1:])\n"
        "sys.stdout.flush()\n"
        "sys.stderr.write(str(most() - before))\n"
        "sys.exit(code)\n"
    )
    assert PROGRAM[0] == sys.executable
    done = subprocess.run([sys.executable, "-c", script], cwd=seat.path, env=seat.env, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), (done.returncode, done.stderr, done.stdout[:500])
    assert int(done.stderr.splitlines()[-1]) * 1024 < ROOM
    return json.loads(done.stdout)


def zeros(repo: Path, size: int) -> str:
    """A blob of that many zeros, as a loose object: a thousandth of its size on disk. Never in memory as a whole."""
    head, part = b"blob %d\0" % size, bytes(MEGABYTE)
    name, packer = sha1(head, usedforsecurity=False), zlib.compressobj(9)
    packed = [packer.compress(head)]
    for _ in range(size // MEGABYTE):
        name.update(part)
        packed.append(packer.compress(part))
    packed.append(packer.flush())
    oid = name.hexdigest()
    path = repo / "objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(packed))
    return oid


def push(remote: Remote, changes: str, message: str | None = None) -> str:
    """A commit by hand on the branch, straight in the remote; `changes` as for fast-import."""
    text = message or "I know better"
    size = len(text.encode("utf-8", "surrogateescape"))
    feed = f"commit {BRANCH}\ncommitter hand <hand@example.org> 1763200000 +0000\ndata {size}\n{text}\nfrom {BRANCH}^0\n{changes}\n"
    git(remote.path, "fast-import", "--quiet", "--date-format=raw", stdin=feed)
    return git(remote.path, "rev-parse", BRANCH)


def inline(path: str, text: str) -> str:
    """A file for `push`."""
    return f'M 100644 inline "{path}"\ndata {len(text.encode())}\n{text}\n'


def beat(seq: int, op: str) -> str:
    """A heartbeat of ada's: a valid event, so that the records it changes are really read."""
    trailers = f"Coord-Event: heartbeat.recorded\nCoord-Id: {op}\nCoord-Seq: {seq}\nCoord-Session: ada\nCoord-Action: lying\n"
    return f"heartbeat\n\n{trailers}"


def lying(blob: str) -> str:
    """That blob in both places that ada's heartbeat changes."""
    return "".join(f'M 100644 {blob} "{folder}/ada.json"\n' for folder in ("sessions", "heartbeats"))


def survives(bad: list[str], pair: tuple[Seat, Seat], read: int = 0) -> None:
    """Every reader counts the bad commits and goes on; the next good one mends. `read`: so many were read to the end."""
    ada, ben = pair
    claims = limited(ada, "claims")["claims"]
    assert [(one["claimed_by"], one["resource_name"]) for one in claims] == [("ada", "x")]
    assert bad[-1][:12] in json.dumps(limited(ben, "status")["attention"])
    verdict = limited(ben, "verify")
    assert [one["commit"] for one in verdict["problems"]] == bad
    if read:  # these were looked into, and not passed over for something else
        assert {one["reason"] for one in verdict["problems"][:read]} == {"'heartbeats/ada.json' is not what its event says"}
    assert not verdict["ok"]
    assert limited(ben, "claim", "y")["outcome"] == "held"
    mended = limited(ada, "verify")
    assert mended["ok"]
    assert [one["commit"] for one in mended["problems"]] == bad
    assert {one["claimed_by"] for one in limited(ada, "claims")["claims"]} == {"ada", "ben"}


@pytest.fixture
def held(pair: tuple[Seat, Seat]) -> tuple[Seat, Seat]:
    """ada holds x."""
    pair[0].ok("claim", "x")
    return pair


def test_a_gigabyte_of_zeros_is_never_inflated(held: tuple[Seat, Seat], file_remote: Remote, large: bool) -> None:
    ada, _ = held
    blob = zeros(file_remote.path, (1024 if large else 128) * MEGABYTE)
    bad = [push(file_remote, lying(blob), beat(ada.ok("status")["seq"] + 1, "bomb"))]
    for path in ("claims/file-x.claim", "sessions/ada.json", "gitcoord.json", "messages/direct/ada/1.json", "STATUS_BOARD.md"):
        bad.append(push(file_remote, f'M 100644 {blob} "{path}"'))
    survives(bad, held, read=1)


def test_a_hundred_thousand_files_are_one_bad_commit(held: tuple[Seat, Seat], file_remote: Remote, large: bool) -> None:
    blob = git(file_remote.path, "hash-object", "-w", "--stdin", stdin="{}")
    lines = [f'M 100644 {blob} "messages/broadcast/2025-11-15/{number}.json"' for number in range(200_000 if large else 5_000)]
    survives([push(file_remote, "\n".join(lines))], held)


RECORDS = {
    "deep lists": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "a number of 5,000 digits": '{"fence": ' + "9" * 5000 + "}",
    "infinity": '{"fence": 1e999}',
    "not a number": '{"fence": NaN, "ttl_seconds": -Infinity}',
    "a key a million times": "{" + '"a": 1, ' * 200_000 + '"a": 1}',
    "a long string": '{"claimed_by": "' + "a" * 3_000_000 + '"}',
    "lone surrogates": '{"claimed_by": "\\ud800"}',
    "nothing": "",
}


def test_records_that_are_no_records(held: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, _ = held
    seq = ada.ok("status")["seq"]
    bad = []
    for number, text in enumerate(RECORDS.values()):
        blob = git(file_remote.path, "hash-object", "-w", "--stdin", stdin=text)
        bad.append(push(file_remote, lying(blob), beat(seq + 1, f"h{number}")))
    survives(bad, held, read=len(bad))


HEAD = "x\n\nCoord-Event: {}\nCoord-Id: {}\nCoord-Seq: {}\nCoord-Session: ada\n"
MESSAGES = {
    "two megabytes of text": "x" * 2_000_000,
    "two megabytes of lines": "\n" * 2_000_000,
    "many trailers": HEAD.format("heartbeat.recorded", "m1", 1) + "Coord-File: a\n" * 60_000,
    "a seq of 5,000 digits": HEAD.format("heartbeat.recorded", "m2", "9" * 5000),
    "a seq that is no number": HEAD.format("heartbeat.recorded", "m3", "NaN"),
    "an endless seq": HEAD.format("heartbeat.recorded", "m4", "1e999"),
    "a fence of 5,000 digits": HEAD.format("claim.released", "m5", "{seq}") + "Coord-Released: " + "9" * 5000 + " file:x\n",
    "a time that is none": HEAD.format("claim.acquired", "m6", "{seq}")
    + "Coord-Resource: file:z\nCoord-Ttl: 1e999\nCoord-Expires: 99999-01-01T00:00:00Z\n",
    "a length without end": HEAD.format("claim.acquired", "m7", "{seq}")
    + f"Coord-Resource: file:z\nCoord-Ttl: {'9' * 400}\nCoord-Expires: 2199-01-01T00:00:00Z\n",
    "escapes without end": HEAD.format("heartbeat.recorded", "m8", "{seq}") + "Coord-Action: " + "\\u{5C}u{" * 90_000 + "\n",
    "many characters past the last one": HEAD.format("heartbeat.recorded", "m9", "{seq}") + "Coord-Action: \\u{FFFFFF}\n",
}


def test_messages_that_are_no_messages(held: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, _ = held
    seq = ada.ok("status")["seq"]
    bad = [push(file_remote, "", text.replace("{seq}", str(seq + 1))) for text in MESSAGES.values()]
    survives(bad, held)


def test_a_deep_tree_and_long_paths(held: tuple[Seat, Seat], file_remote: Remote) -> None:
    paths = ["claims/" + "d/" * 400 + "x.claim", "sessions/" + "n" * 3000 + ".json", "handoffs/a\\nb.json"]
    survives([push(file_remote, inline(path, "{}")) for path in paths], held)


def test_a_tree_of_a_hundred_million_paths_is_never_listed(held: tuple[Seat, Seat], file_remote: Remote, large: bool) -> None:
    """A few objects that name each other: at the top, among the records, and under an event that says nothing of it."""
    ada, _ = held
    line = f"100644 blob {git(file_remote.path, 'hash-object', '-w', '--stdin', stdin='x')}"
    for _ in range(8 if large else 6):
        tree = git(file_remote.path, "mktree", stdin="".join(f"{line}\td{number}\n" for number in range(10)))
        line = f"040000 tree {tree}"
    seq = ada.ok("status")["seq"]
    places = ("bomb", "claims", "messages/broadcast", "heartbeats")
    texts = ["I know better", *(beat(seq + 1, f"bomb{number}") for number in range(3))]
    survives([push(file_remote, f'M 040000 {tree} "{place}"', text) for place, text in zip(places, texts, strict=True)], held)
