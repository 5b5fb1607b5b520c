"""K1: what an event weighs on the branch, by its kind: the objects that its commit brought, as a repack has left them.

Every object counts for the commit that brought it first, its part of a pack included in deltas as git stores them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from long_branch import STEP, Sparing, Writer
from plans import new_task

from bench.measure import Row
from bench.places import Place
from gitcoord.core.task_commands import AddTasks, CloseTask

SESSIONS = 50
BOARD = "STATUS_BOARD.md"


def run(place: Place, rounds: int) -> Iterator[Row]:
    """One row for each kind of event; each session does one of each in a round."""
    bare = place.remotes.make("file", empty=True).path
    tell(bare, place.env, rounds=rounds)
    place.git(bare, "repack", "-adfq")
    for kind, (count, rest, board) in sorted(weights(place, bare).items()):
        each, with_board = rest / count, (rest + board) / count
        shown = f"{each:.0f} B, {with_board:.0f} B with the board"
        yield Row(f"K1 {kind}", shown, f"{count} events", 0.0, "", None, {"bytes": each, "with_board": with_board, "count": count})


def tell(bare: Path, env: dict[str, str], *, rounds: int) -> None:
    """Write a history in which fifty sessions do one of each, `rounds` times, each event in a push of its own."""
    story = Sparing.of(now=datetime.now(UTC).replace(microsecond=0) - rounds * SESSIONS * 14 * STEP - timedelta(minutes=5))
    writer = Writer(bare, env, boards=True)
    writer.add(story)
    names = [f"now-{number:02}" for number in range(SESSIONS)]
    for name in names:
        story.start(name, work="the landing page")
        writer.add(story)
    for turn in range(12 * rounds + 12):
        for place, name in enumerate(names):
            number, step = divmod(turn - place % 12, 12)  # as in life, they don't all do the same at the same time
            if 0 <= number < rounds:
                story.wait(STEP)
                _do(story, writer, name, names[(place + 1) % SESSIONS], number, step)
    for name in names:
        story.end(name)
        writer.add(story)
    writer.flush(story.state)


def _do(story: Sparing, writer: Writer, name: str, other: str, number: int, step: int) -> None:
    """One of the twelve steps of a session's work on its module of that number."""
    path = f"src/{name}/module_{number}.py"
    if step == 0:
        story.ask(story.command(AddTasks, name, tasks=(new_task(f"module {number} of {name}", files=(path,)),)))
    elif step == 1:
        story.claim(name, path, phase="BUILD", reason="the landing page needs it")
    elif step in (2, 3, 5):
        story.beat(name, "committed", target=f"module {step}", files_touched=(path,))
    elif step == 4:
        story.renew(name, path)
    elif step == 6:
        story.send(name, other, f"module {number} is done", message="All tests pass. Next is the one after it.")
    elif step == 7:
        if not story.unread(name):
            return
        story.take(name)
    elif step == 8:
        offered = story.handoff(name, other, path, notes="the module is built; test it")
        writer.add(story)
        story.accept(other, offered)
    elif step == 9:
        story.release(other, path, done="the module works", tests="pass")
    elif step == 10:
        mine = next(seq for seq, one in story.state.tasks.open().items() if one.title == f"module {number} of {name}")
        story.ask(story.command(CloseTask, name, task=str(mine), status="done"))
    else:
        story.send(name, "broadcast", f"{name}: module {number} is done")
    writer.add(story)


def weights(place: Place, bare: Path) -> dict[str, tuple[int, int, int]]:
    """Return for each kind of event: how many there are, the bytes of all that they brought but boards, and of the boards."""
    line = "%x01%(trailers:key=Coord-Event,valueonly,separator=)%x09%H%x09%T"
    words = ("--reverse", "--raw", "-r", "-t", "--root", "-m", "--no-abbrev", f"--format={line}")
    log = place.git(bare, "log", *words, "coordination")
    brought: dict[str, str] = {}
    events: dict[str, int] = defaultdict(int)
    boards: set[str] = set()
    for entry in log.split("\x01")[1:]:
        head, *changes = entry.splitlines()
        kind, commit, tree = head.split("\t")
        events[kind] += 1
        found = [commit, tree]
        for change in filter(None, changes):
            fields, _, path = change.partition("\t")
            found.append(fields.split()[3])
            if path == BOARD:
                boards.add(found[-1])
        for oid in found:
            brought.setdefault(oid, kind)
    asked = "".join(f"{oid}\n" for oid in brought if set(oid) != {"0"})
    sizes = place.git(bare, "cat-file", "--batch-check=%(objectname) %(objectsize:disk)", stdin=asked)
    rest: dict[str, int] = defaultdict(int)
    drawn: dict[str, int] = defaultdict(int)
    for answer in sizes.splitlines():
        oid, size = answer.split()
        (drawn if oid in boards else rest)[brought[oid]] += int(size)
    return {kind: (count, rest[kind], drawn[kind]) for kind, count in events.items()}
