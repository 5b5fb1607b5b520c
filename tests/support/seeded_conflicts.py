"""Twenty seeded conflicts that git doesn't see: two branches that are green and red together, with innocent ones among them.

    python tests/support/seeded_conflicts.py [--seeds 5]

Four kinds, five seeds each. A seed decides how many innocent branches there are, in which order all of them land, and what they are
called. `gitcoord trial` must name the two; printed is how many runs that took.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from clones import Seat
from environment import seal
from gits import git
from remotes import create_bare

CHECK = """\
import pathlib, runpy, sys
try:
    for path in sorted(pathlib.Path().rglob("*.py")):
        if path.name != "check.py":
            runpy.run_path(str(path), run_name=path.stem)
    numbers = [path.name[:4] for path in pathlib.Path("migrations").iterdir()]
    assert len(numbers) == len(set(numbers)), numbers
except Exception as error:
    sys.exit(repr(error))
"""
BASE = {
    "check.py": CHECK,
    "lib.py": "def total(prices):\n    return sum(prices)\n\n\ndef gross(net, rate=19):\n    return net + net * rate // 100\n",
    "app.py": "from lib import total\n\nassert total([1, 2]) == 3\n",
    "test_gross.py": "from lib import gross\n\nassert gross(100, 19) == 119\n",
    "tools/text.py": "def shout(word):\n    return word.upper()\n",
    "page.py": "from tools.text import shout\n\nassert shout('a') == 'A'\n",
    "migrations/0005_users.sql": "-- users\n",
    "migrations/0006_orders.sql": "-- orders\n",
}
Change = Callable[[Path], None]


def write(name: str, text: str) -> Change:
    """Return a change that writes a file."""

    def change(tree: Path) -> None:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)

    return change


def edit(name: str, old: str, new: str) -> Change:
    """Return a change that replaces a text of a file."""

    def change(tree: Path) -> None:
        text = (tree / name).read_text()
        assert old in text
        (tree / name).write_text(text.replace(old, new))

    return change


def move(old: str, new: str) -> Change:
    """Return a change that moves a file."""

    def change(tree: Path) -> None:
        (tree / new).parent.mkdir(parents=True, exist_ok=True)
        (tree / old).rename(tree / new)

    return change


KINDS: dict[str, tuple[list[Change], list[Change]]] = {
    "rename and caller": (
        [edit("lib.py", "total", "sum_of"), edit("app.py", "total", "sum_of")],
        [write("report.py", "from lib import total\n\nassert total([]) == 0\n")],
    ),
    "same next number": (
        [write("migrations/0007_invoices.sql", "-- invoices\n")],
        [write("migrations/0007_addresses.sql", "-- addresses\n")],
    ),
    "move and import": (
        [move("tools/text.py", "words/text.py"), edit("page.py", "tools.text", "words.text")],
        [write("title.py", "from tools.text import shout\n\nassert shout('b') == 'B'\n")],
    ),
    "default and test": (
        [edit("lib.py", "rate=19", "rate=7")],
        [write("test_default.py", "from lib import gross\n\nassert gross(200) == 238\n")],
    ),
}


@dataclass(frozen=True)
class Scene:
    """A remote with such branches, and sessions for them. `seat`: where the trial is held; `pair`: the two to name."""

    seat: Seat
    pair: frozenset[str]
    branches: int


def build(kind: str, seed: int, folder: Path) -> Scene:
    """Make the scene of that kind and seed."""
    dice = random.Random(f"{kind} {seed}")  # a seed must give the same scene again
    remote = create_bare(folder / "remote.git")
    tree = folder / "clone"
    git(folder, "clone", "--quiet", str(remote), str(tree))
    for name, text in BASE.items():
        write(name, text)(tree)
    commit(tree, "the project", 1_700_000_000)
    git(tree, "push", "--quiet", "origin", "main")
    pair = [f"{word}-{seed}" for word in dice.sample(("login", "search", "basket", "mail"), 2)]
    works = list(zip(pair, KINDS[kind], strict=True))
    for number in range(dice.randint(1, 7)):
        name = f"innocent-{number}"
        works.append(
            (name, [write(f"extra_{number}.py", f"assert {number} + 1 == {number + 1}\n"), write(f"docs/{name}.md", name)])
        )
    dice.shuffle(works)
    for number, (name, changes) in enumerate(works):
        git(tree, "switch", "--quiet", "--create", name, "main")
        for change in changes:
            change(tree)
        commit(tree, name, 1_700_001_000 + 100 * number)
    git(tree, "switch", "--quiet", "main")
    git(tree, "push", "--quiet", "origin", *(name for name, _ in works))
    seat = Seat(tree, folder / "outbox")
    with seat.here() as found:
        found.coordinator.setup.init()
        found.coordinator.sessions.start("tester")
        for name, _ in works:
            one = found.coordinator.acting_as(replace(found.coordinator.actor, branch=name))
            one.sessions.start_apart(f"of-{name}", role="", work=name)
            if dice.random() < 0.3:
                one.sessions.end(done=(), notes=None)
    return Scene(seat, frozenset(pair), len(works))


def commit(tree: Path, subject: str, at: int) -> None:
    """Commit all that is there, at that time."""
    git(tree, "add", "--all")
    stamp = f"{at} +0000"
    git(tree, "commit", "--quiet", "-m", subject, env={**os.environ, "GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp})


def named(scene: Scene) -> tuple[frozenset[str], int]:
    """Hold the trial; return the branches that it names, and how often it ran the command."""
    ran = scene.seat.run("trial", "--json", "--", sys.executable, "-B", "check.py")
    assert ran.code == 1, ran
    return frozenset(one["branch"] for one in ran.json["culprits"]), ran.json["runs"]


def main() -> int:
    """Try them all; return 1 if a pair was not named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    runs, wrong = list[int](), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(seal(os.environ, folder / "home"))
        for kind in KINDS:
            for seed in range(seeds):
                place = folder / f"{kind}-{seed}".replace(" ", "-")
                place.mkdir()
                scene = build(kind, seed, place)
                found, count = named(scene)
                runs.append(count)
                wrong += found != scene.pair
                print(f"{kind}, seed {seed}: {scene.branches} branches, {count} runs: {', '.join(sorted(found))}", flush=True)
    print(f"{len(runs) - wrong} of {len(runs)} pairs named; runs: mean {mean(runs):.1f}, max {max(runs)}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
