"""P6, P7, P8: what a long past costs. The histories are made by the program's own rules and written by `git fast-import`.

Two branches differ in their past only: the long one has as many events as asked and a thousand sessions that came and went, the
short one a hundred; on both the same sessions are there at the end.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from long_branch import STEP, Sparing, Writer, tell
from remotes import Remote

from bench.measure import Row, at_most, middle, ms, turns
from bench.one_command import PROGRAM
from bench.places import GIT, Place
from gitcoord.warm import address

LIVE = 20  # sessions there at the end of both histories


def tell_mail(bare: Path, env: dict[str, str], *, count: int) -> None:
    """A history in which `now-00` was sent that many messages, to it or to all, and has read them."""
    now = datetime.now(UTC).replace(microsecond=0)
    story = Sparing.of(now=now - (count + count // 50) * STEP - timedelta(minutes=5))
    writer = Writer(bare, env, boards=False)
    writer.add(story)
    for name in ("now-00", "now-01"):
        story.start(name)
        writer.add(story)
    for number in range(count):
        story.wait(STEP)
        story.send(
            "now-01",
            "broadcast" if number % 2 else "now-00",
            f"message {number}",
            message="All tests pass. Next is the one after it.",
        )
        writer.add(story)
        if number % 100 == 99:
            story.take("now-00")
            writer.add(story)
    writer.flush(story.state)


def seat(place: Place, name: str, events: int, past: int) -> tuple[Path, dict[str, str], Remote]:
    """A clone of a remote with such a history, in which the session `now-00` acts."""
    remote = place.remote("file")
    tell(remote.path, place.env, events=events, past=past, live=LIVE)
    return place.clone(remote, name), {**place.outbox(name), "GITCOORD_SESSION": "now-00"}, remote


def run(place: Place, events: int) -> Iterator[Row]:
    """The rows of P6, P7 and P8."""
    clone, env, _ = seat(place, "long", events, 1000)
    small, small_env, _ = seat(place, "short", 100, 2)

    def ours(where: Path, how: dict[str, str], *words: str) -> None:
        subprocess.run([*PROGRAM, *words], cwd=where, env=how, check=True, capture_output=True, timeout=900)

    yield from _first_looks(place, events)
    ours(clone, env, "sync")
    ours(clone, env, "inbox")  # what has piled up for it is shown once; then there is nothing new
    ours(small, small_env, "status")
    log = [GIT, "log", "--raw", "-r", "--no-abbrev", "--format=fuller", "refs/remotes/origin/coordination"]
    plain = middle(turns({"log": lambda _: place.git(clone, *log[1:])}, 3, warm=1)["log"])
    text = len(place.git(clone, *log[1:]).encode())
    beside = f"{plain:.1f} s git log --raw"
    used = 0
    for words in (["verify"], ["board", "--from-history", "--output", str(place.folder / "board.md")]):
        seconds, own = _measured([*PROGRAM, *words], clone, {**env, address.SWITCH: "0"})  # not in a fork: its memory counts
        used = max(used, own)
        what = f"P7 {' '.join(words[:2])}, {events:,} events"
        yield at_most(what, f"{seconds:.1f} s, {own >> 20} MB", beside, seconds / plain, 4, ours_s=seconds, rss=own, log_s=plain)
    memory = "P7 the memory of that against the log's text"
    yield at_most(memory, f"{used >> 20} MB", f"{text >> 20} MB", used / text, 4, rss=used, text=text)
    for words in (["claim", "x{}"], ["status"], ["inbox", "--peek"]):
        taken = turns(
            {
                "long": lambda number, words=words: ours(clone, env, *(word.format(number) for word in words)),
                "short": lambda number, words=words: ours(small, small_env, *(word.format(number) for word in words)),
            },
            10,
        )
        long_, short = middle(taken["long"]), middle(taken["short"])
        what = f"P6 {words[0]}, {events:,} events and 1,000 sessions"
        yield at_most(what, ms(long_), f"{ms(short)} with 100 events", long_ / short, 1.2, long_s=long_, short_s=short)
    yield _mail(place, small, small_env, events // 10)
    yield from _bytes(place)


def _first_looks(place: Place, events: int) -> Iterator[Row]:
    """The first `status` of fresh clones, with the fetch that it does (which brings nothing new); and how long it stays unverified,
    from its beginning, while the history is checked in the background.
    """
    taken: dict[int, list[float]] = {100: [], events: []}
    verified = 0.0
    for count, past in ((100, 2), (events, 1000)):
        remote = place.remote("file")
        tell(remote.path, place.env, events=count, past=past, live=LIVE)
        for number in range(3):
            clone, env = place.clone(remote, f"first-{count}-{number}"), place.outbox(f"first-{count}-{number}")
            asked: dict[str, Any] = {"cwd": clone, "env": env, "check": True, "capture_output": True, "timeout": 900}
            begun = time.perf_counter()
            subprocess.run([*PROGRAM, "status"], **asked)
            taken[count].append(time.perf_counter() - begun)
            while b'"unverified": true' in subprocess.run([*PROGRAM, "status", "--json"], **asked).stdout:
                time.sleep(0.5)  # the next one is measured alone
            verified = time.perf_counter() - begun
    long_, short = middle(taken[events]), middle(taken[100])
    what = f"P7 first status in a fresh clone, {events:,} events"
    yield at_most(what, ms(long_), f"{ms(short)} with 100 events", long_ / short, 2, long_s=long_, short_s=short)
    what = f"P7 until it is verified, {events:,} events"
    yield Row(what, f"{verified:.1f} s", f"{ms(short)} with 100 events", verified / short, "", None, {"verified_s": verified})


def _mail(place: Place, small: Path, small_env: dict[str, str], count: int) -> Row:
    """The inbox behind a past of messages, against one with none."""
    remote = place.remote("file")
    tell_mail(remote.path, place.env, count=count)
    clone, env = place.clone(remote, "mail"), {**place.outbox("mail"), "GITCOORD_SESSION": "now-00"}

    def look(where: Path, how: dict[str, str]) -> None:
        subprocess.run([*PROGRAM, "inbox", "--peek"], cwd=where, env=how, check=True, capture_output=True, timeout=900)

    # Else it is still checked in the background meanwhile.
    subprocess.run([*PROGRAM, "verify"], cwd=clone, env=env, check=True, capture_output=True, timeout=900)
    taken = turns({"long": lambda _: look(clone, env), "short": lambda _: look(small, small_env)}, 10)
    long_, short = middle(taken["long"]), middle(taken["short"])
    what = f"P6 inbox, {count:,} messages in the past"
    return at_most(what, ms(long_), f"{ms(short)} with none", long_ / short, 1.2, long_s=long_, short_s=short)


def _bytes(place: Place) -> Iterator[Row]:
    """P8: 50 sessions, with and without the board, packed by git."""
    count = 2000
    for what, boards, goal in (("board included", True, 1300), ("without the board", False, 600)):
        bare = place.remotes.make("file", empty=True).path
        tell(bare, place.env, events=count, past=0, live=50, boards=boards)
        # As gc does it where commits came one push at a time: loose, so that git looks for the deltas itself. The pack of
        # fast-import, of which one side is hardly packed at all, would be taken over as it is.
        place.git(bare, "repack", "-adfq")
        found = re.search(r"^size-pack: (\d+)", place.git(bare, "count-objects", "-v"), re.MULTILINE)
        assert found
        each = int(found[1]) * 1024 / count
        what = f"P8 bytes an event, packed, 50 sessions, {what}"
        yield at_most(what, f"{each:.0f} B", f"{goal} B", each / goal, 1, bytes=each)


def _measured(argv: list[str], cwd: Path, env: dict[str, str]) -> tuple[float, int]:
    """Seconds, and the most memory (bytes) that the process itself had; its git children don't count."""
    code = f"""
import os, resource, sys, time
start = time.perf_counter()
pid = os.posix_spawn({argv[0]!r}, {argv!r}, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, used = os.wait4(pid, 0)
print(time.perf_counter() - start, used.ru_maxrss * 1024, status)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, check=True, capture_output=True, text=True, timeout=3600)
    seconds, used, status = done.stdout.split()
    if status != "0":
        raise RuntimeError(f"{argv} failed: {done.stderr[-500:]}")
    return float(seconds), int(used)
