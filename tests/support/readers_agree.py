"""Do all readers of a branch agree? Makes histories, hostile ones too, and reads each in every way: state and board, byte for byte.

    python tests/support/readers_agree.py --count 2000 --seed 1 --python PATH --python PATH …

Read are: a fresh clone; an old one that came by at some moments and remembers what it saw; of each fourth history a clone that
fetched it in pieces, in any order. Every other Python that is named reads the one history fresh and the next one as an old clone;
it needs what gitcoord itself needs, no more.
Ends with 1 where two readings differ, and shows the history's seed: `--seed SEED --count 1 --show` makes that one again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
ROOM = 50  # histories that share a repository: fewer would cost processes, more would make each look slower


# --- reading: needs gitcoord, and runs on any Python -------------------------------------------------------------------


def serve() -> None:
    """Answers a line for each line: what a reader of that repository comes to, at those moments one after the other."""
    sys.path.insert(0, str(TOP))
    from gitcoord.git.objects import Objects
    from gitcoord.git.repo import Repository

    with contextlib.ExitStack() as open_:
        repo, objects = "", None
        for line in sys.stdin:
            asked = json.loads(line)
            if asked["repo"] != repo:  # many histories share one: its reading children go on
                open_.close()
                repo = asked["repo"]
                objects = open_.enter_context(Objects(Repository.find(repo, {**os.environ, "GIT_DIR": repo})))
            print(json.dumps(_read(objects, asked["stops"])), flush=True)


def _read(objects: Any, stops: Sequence[str]) -> dict[str, Any]:
    from gitcoord.errors import Alarm
    from gitcoord.log.history import Checked, History
    from gitcoord.views import board, tree
    from gitcoord.views.projection import TreeProjection

    known, facts = Checked(), dict[str, str]()
    reader = History(objects, TreeProjection(), facts)
    seen: list[Any] = []
    for stop in stops:
        try:
            known = reader.check(stop, known, seen.append)
        except Alarm as alarm:  # for every reader: two lines of good events were merged
            return {"good": "", "seq": 0, "at": "", "state": type(alarm).__name__, "one": True, "bad": []}
        if not known.good:  # no branch of ours yet: the program says so, and remembers nothing
            known = Checked()
    state = History(objects, TreeProjection(), facts).state_at(known.good, known.seq)
    states = [state, *([seen[-1].state] if seen and seen[-1].commit == known.good else [])]
    digests = []
    for one in states:  # as the tree has it, and as its event made it
        files = {path: tree.render(record) for path, record in tree.all_files(one).items()}
        text = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" + files[path] for path in sorted(files))
        digests.append(hashlib.sha256(text + board.render(one).encode()).hexdigest())
    return {
        "good": known.good, "seq": known.seq, "at": str(state.at), "state": digests[0], "one": len(set(digests)) == 1,
        "bad": sorted([bad.commit, bad.reason, bad.seq] for bad in known.bad),
    }  # fmt: skip


# --- making and comparing ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A history in a repository, and moments at which somebody may have looked: each an ancestor of the next, the tip the last."""

    seed: int
    repo: Path
    tip: str
    stops: tuple[str, ...]
    commits: int


def plan(seed: int) -> list[tuple[str, int, int, int]]:
    """The moves of a history: half of them what a program does, the others of every kind."""
    import histories

    chance = random.Random(seed)
    words = sorted(histories.MOVES)
    moves = [("good" if chance.random() < 0.5 else chance.choice(words)) for _ in range(chance.randint(4, 28))]
    return [(word, chance.randrange(10**4), chance.randrange(10**4), chance.randrange(3)) for word in moves]


def make(seed: int, repo: Path) -> Made:
    """Writes the history of that seed into the repository."""
    import histories
    from gits import git

    oids = histories.make(plan(seed)).write(repo)
    tip, chance = oids[-1], random.Random(-seed)
    line = git(repo, "rev-list", "--first-parent", "--reverse", tip).split()
    some = sorted(chance.sample(range(len(line)), min(len(line), chance.randint(1, 4))))
    return Made(seed, repo, tip, tuple(dict.fromkeys([*(line[at] for at in some), tip])), len(oids))


def in_pieces(made: Made, to: Path) -> Path:
    """A clone that got the commits by several fetches: each ends somewhere, in no order."""
    from gits import git

    git(to.parent, "init", "-q", "--bare", str(to))
    order = [*made.stops[:-1]]
    random.Random(made.seed).shuffle(order)
    for oid in [*order[:2], made.tip]:
        git(to, "-c", "fetch.unpackLimit=1", "fetch", "-q", "--no-tags", str(made.repo), oid)
    return to


class Reader:
    """A process of some Python that reads histories."""

    def __init__(self, python: str) -> None:
        self.name = python
        self._child = subprocess.Popen(
            [python, str(HERE / "readers_agree.py"), "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def ask(self, repo: Path, stops: Sequence[str]) -> None:
        """Asks for a reading; `answer` gives it."""
        assert self._child.stdin
        self._child.stdin.write(json.dumps({"repo": str(repo), "stops": list(stops)}) + "\n")
        self._child.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What it read."""
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended: {self._child.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """Ends it."""
        with self._child:  # closes what goes to it, so it ends
            pass


@contextlib.contextmanager
def readers(pythons: Sequence[str]) -> Iterator[list[Reader]]:
    """A reader for each Python."""
    found = [Reader(python) for python in pythons]
    try:
        yield found
    finally:
        for one in found:
            one.close()


def compare(made: Made, room: Path, among: Sequence[Reader], *, show: bool = False) -> list[str]:
    """Reads the history in every way; what differs from the first reading, a line each."""
    ways = {"fresh": (made.repo, made.stops[-1:]), "old": (made.repo, made.stops)}
    if made.seed % 4 == 1:
        ways["pieces"] = (in_pieces(made, room / f"pieces-{made.seed}.git"), made.stops[-1:])
    turn = list(ways)[made.seed % 2]  # of the other Pythons: one history fresh, the next one as an old clone
    asked = [(way, one) for way in ways for one in among if one is among[0] or way == turn]
    for way, one in asked:
        one.ask(*ways[way])
    readings = {(way, one.name): one.answer() for way, one in asked}
    first = next(iter(readings.values()))
    if show:
        print(json.dumps(first, indent=1))
    wrong = [f"{way} {name}: the tree and the event make two states" for (way, name), found in readings.items() if not found["one"]]
    for (way, name), found in readings.items():
        keys = [key for key in first if found[key] != first[key]]
        if keys:
            wrong.append(f"{way} {name}: {', '.join(_differs(key, found[key], first[key]) for key in keys)}")
    return wrong


def _differs(key: str, value: Any, first: Any) -> str:
    if key == "bad":
        return f"bad {[one for one in value if one not in first]} (not {[one for one in first if one not in value]})"
    return f"{key} {value} (not {first})"


def run(seed: int, count: int, pythons: Sequence[str], *, show: bool = False) -> dict[str, Any]:
    """Compares that many histories; what was read, and what differs by its seed."""
    from gits import git

    with tempfile.TemporaryDirectory(prefix="readers-") as temporary, readers(pythons) as among:
        told: dict[str, Any] = {"histories": 0, "commits": 0, "differ": {}}
        for start in range(0, count, ROOM):
            room = Path(temporary) / f"room-{start}"
            repo = room / "made.git"
            room.mkdir()
            git(room, "init", "-q", "--bare", str(repo))
            git(repo, "config", "uploadpack.allowAnySHA1InWant", "true")
            for number in range(seed + start, seed + min(count, start + ROOM)):
                made = make(number, repo)
                wrong = compare(made, room, among, show=show)
                told["histories"] += 1
                told["commits"] += made.commits
                if wrong:
                    told["differ"][number] = wrong
                    print(f"seed {number}:", *wrong, sep="\n  ", flush=True)
            subprocess.run(["rm", "-rf", str(room)], check=True)
            print(f"{told['histories']} histories, {len(told['differ'])} differ", file=sys.stderr, flush=True)
    return told


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="of the first one")
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="another Python that reads; several times")
    parser.add_argument("--show", action="store_true", help="show the first reading of each")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return 0
    sys.path[:0] = [str(HERE), str(TOP)]
    from environment import seal

    with tempfile.TemporaryDirectory(prefix="readers-home-") as home:
        sealed = seal(dict(os.environ), Path(home))
        os.environ.clear()
        os.environ.update(sealed)
        told = run(given.seed, given.count, [sys.executable, *given.python], show=given.show)
    print(json.dumps({**told, "differ": len(told["differ"])}))
    return 1 if told["differ"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
