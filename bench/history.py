"""P6, P7, P8: what a long past costs. The histories are made by the program's own rules and written by `git fast-import`.

Two branches differ in their past only: the long one has as many events as asked and a thousand sessions that came and went, the
short one a hundred; on both the same sessions are there at the end.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pure_branch import Story
from remotes import Remote

from bench.measure import Row, at_most, middle, ms, turns
from bench.one_command import PROGRAM
from bench.places import GIT, Place
from gitcoord import __version__
from gitcoord.core import retention
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.state import State
from gitcoord.git.objects import NewCommit, Objects
from gitcoord.git.repo import NULL, Repository
from gitcoord.log import wire
from gitcoord.views.projection import TreeProjection

LIVE = 20  # sessions there at the end of both histories
AT_ONCE = 5000  # commits in one fast-import
STEP = timedelta(seconds=20)


class Writer:
    """Writes a story's events to a branch, the board with every commit or with the last one of a batch."""

    def __init__(self, bare: Path, env: dict[str, str], *, boards: bool) -> None:
        self._repo = Repository.find(str(bare), {**env, "GIT_DIR": str(bare)})
        self._objects = Objects(self._repo)
        self._boards, self._tip, self._waiting = boards, NULL, list[NewCommit]()
        self._projection, self._before = TreeProjection(), State()

    def add(self, story: Story) -> None:
        """Writes the story's newest event."""
        happened, state = story.past.pop(), story.state
        changes = self._projection.changes(self._before, state)
        files = {path: None if one is None else self._projection.render(one) for path, one in changes.items()}
        self._before = state
        first = state.seq == 1
        if self._boards or first or len(self._waiting) + 1 == AT_ONCE:
            files |= self._projection.pages(state, first=first)
        message = wire.encode(happened.event, writer=__version__, skip_ci=True)
        name = happened.event.session
        self._waiting.append(NewCommit(message, name, f"{name}@localhost", happened.event.at, happened.committed_at, files))
        if len(self._waiting) == AT_ONCE:
            self.flush()

    def flush(self, state: State | None = None) -> None:
        """Writes what waits, and moves the branch; with the state, the last commit has the board."""
        if self._waiting:
            if state is not None:
                last = self._waiting[-1]
                self._waiting[-1] = replace(last, changes={**last.changes, **self._projection.pages(state, first=False)})
            self._tip = self._objects.write_chain(self._tip, self._tip, self._waiting)[-1]
            self._waiting.clear()
            self._repo.ask("update-ref", "refs/heads/coordination", self._tip)


class Sparing(Story):
    """A story that doesn't judge again what the rules decided, and looks only now and then for what may leave the tree: at most
    64 records leave with a commit, and each commit brings one or two.
    """

    def decide(self, command: Command, clock: Clock | None = None) -> Event | None:
        """What the command makes happen."""
        looks = retention.sweep
        if self.state.seq % 24:
            retention.sweep = lambda *_: ((), ())
        try:
            return super().decide(command, clock)
        finally:
            retention.sweep = looks

    def problem(self, event: Event, committed_at: datetime | None = None) -> str | None:
        """Nothing: the measured program judges every one of them."""
        return None


def tell(bare: Path, env: dict[str, str], *, events: int, past: int, live: int, boards: bool = False) -> None:
    """A history of that many events on which `past` sessions came and went before the `live` ones of the end."""
    now = datetime.now(UTC).replace(microsecond=0)
    story = Sparing.of(now=now - events * STEP - timedelta(minutes=5))
    writer = Writer(bare, env, boards=boards)
    writer.add(story)
    generations = [(f"old-{number}", events // (past + live)) for number in range(past)]
    for name, share in generations:
        story.start(name)
        writer.add(story)
        for turn in range(max(0, share - 2)):
            story.wait(STEP)
            _work(story, name, turn)
            writer.add(story)
        story.wait(STEP)
        story.end(name)
        writer.add(story)
    names = [f"now-{number:02}" for number in range(live)]
    for name in names:
        story.start(name)
        writer.add(story)
    turn = 0
    while story.state.seq < events:
        story.wait(STEP)
        _work(story, names[turn % live], turn // live)
        writer.add(story)
        turn += 1
    writer.flush(story.state)


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


def _work(story: Story, name: str, turn: int) -> None:
    """One event of a session's day."""
    kind = turn % 8
    if kind == 1:
        story.claim(name, f"src/{name}/module_{turn // 8 % 50}.py", phase="BUILD", reason="the landing page needs it")
    elif kind == 6 and story.holds(name):
        story.release(name, *sorted(story.holds(name)))
    elif kind == 4:
        story.send(name, "broadcast", f"{name}: module {turn} is done", message="All tests pass. Next is the one after it.")
    else:
        story.beat(name, "committed", target="module", files_touched=(f"src/{name}/module_{turn // 8 % 50}.py",))


def _seat(place: Place, name: str, events: int, past: int) -> tuple[Path, dict[str, str], Remote]:
    """A clone of a remote with such a history, in which the session `now-00` acts."""
    remote = place.remote("file")
    tell(remote.path, place.env, events=events, past=past, live=LIVE)
    return place.clone(remote, name), {**place.outbox(name), "GITCOORD_SESSION": "now-00"}, remote


def run(place: Place, events: int) -> Iterator[Row]:
    """The rows of P6, P7 and P8."""
    clone, env, _ = _seat(place, "long", events, 1000)
    small, small_env, _ = _seat(place, "short", 100, 2)

    def ours(where: Path, how: dict[str, str], *words: str) -> None:
        subprocess.run([*PROGRAM, *words], cwd=where, env=how, check=True, capture_output=True, timeout=900)

    # A fresh clone reads the whole history before its first command: that is what a replay costs, too.
    first, used = _measured([*PROGRAM, "status"], clone, env)
    ours(small, small_env, "status")
    log = [GIT, "log", "--raw", "-r", "--no-abbrev", "--format=fuller", "refs/remotes/origin/coordination"]
    plain = middle(turns({"log": lambda _: place.git(clone, *log[1:])}, 3, warm=1)["log"])
    text = len(place.git(clone, *log[1:]).encode())
    beside = f"{plain:.1f} s git log --raw"
    what = f"P7 first status in a fresh clone, {events:,} events"
    yield at_most(what, f"{first:.1f} s", beside, first / plain, 6, ours_s=first, log_s=plain)
    memory = "P7 its memory against the log's text"
    yield at_most(memory, f"{used >> 20} MB", f"{text >> 20} MB", used / text, 4, rss=used, text=text)
    for words in (["verify"], ["board", "--from-history", "--output", str(place.folder / "board.md")]):
        seconds, used = _measured([*PROGRAM, *words], clone, env)
        what = f"P7 {' '.join(words[:2])}"
        yield at_most(what, f"{seconds:.1f} s, {used >> 20} MB", beside, seconds / plain, 6, ours_s=seconds, rss=used, log_s=plain)
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


def _mail(place: Place, small: Path, small_env: dict[str, str], count: int) -> Row:
    """The inbox behind a past of messages, against one with none."""
    remote = place.remote("file")
    tell_mail(remote.path, place.env, count=count)
    clone, env = place.clone(remote, "mail"), {**place.outbox("mail"), "GITCOORD_SESSION": "now-00"}

    def look(where: Path, how: dict[str, str]) -> None:
        subprocess.run([*PROGRAM, "inbox", "--peek"], cwd=where, env=how, check=True, capture_output=True, timeout=900)

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
