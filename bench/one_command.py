"""P1 and P2: one uncontended claim as a whole process, beside a bare `git push` of one prepared commit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import Row, at_most, middle, ms, turns
from bench.places import Place

TRIP = 0.1  # seconds there and back
PROGRAM = [sys.executable, "-m", "gitcoord"]

# What a claim has loaded when it ends, but for gitcoord itself.
LOADED = """
import sys
from gitcoord.main import main
sys.argv[0] = "gitcoord"
main()
import json
names = sorted(name for name in sys.modules if not name.startswith(("gitcoord", "__")))
sys.stderr.write("\\n" + json.dumps(names))
"""
# pydantic loads most of itself when the first model is made.
FLOOR = """
import gc, importlib, sys
gc.set_threshold(50000)
for name in {names}:
    importlib.import_module(name)
"""


def _pushes(place: Place, clone: Path, url: str, flags: list[str]) -> Callable[[int], object]:
    """A bare `git push` of one commit that was prepared beforehand, for each round."""
    tree = place.git(clone, "mktree").strip()  # the empty tree
    tips = [""]
    for number in range(200):
        words = ["commit-tree", tree, "-m", f"number {number}", *(["-p", tips[-1]] if tips[-1] else [])]
        tips.append(place.git(clone, *words).strip())
    pushed = [0]

    def push(_number: int) -> None:
        pushed[0] += 1
        place.git(clone, "push", "-q", url, f"{tips[pushed[0]]}:refs/heads/prepared")

    return push


def run(place: Place, rounds: int) -> Iterator[Row]:
    """The rows of P1 (git, http, ssh, 100 ms away) and P2 (a folder)."""
    for kind, trip in (("file", 0.0), ("ssh", TRIP), ("http", TRIP), ("git", TRIP)):
        if place.remotes.available(kind) is not None:
            continue
        remote = place.remote(kind, trip=trip)
        clone = place.clone(remote, f"one-{kind}")
        env = place.outbox(f"one-{kind}")

        def gitcoord(*words: str, env: dict[str, str] = env, clone: Path = clone) -> subprocess.CompletedProcess[str]:
            return subprocess.run([*PROGRAM, *words], cwd=clone, env=env, check=True, capture_output=True, text=True, timeout=60)

        gitcoord("init")
        gitcoord("start", "bench")
        push = _pushes(place, clone, remote.url, remote.flags)
        loaded = subprocess.run(
            [sys.executable, "-c", LOADED, "claim", "warm"], cwd=clone, env=env, check=True, capture_output=True, text=True,
        )  # fmt: skip
        floor = FLOOR.format(names=json.loads(loaded.stderr.splitlines()[-1]))

        def start(number: int, floor: str = floor, env: dict[str, str] = env) -> None:
            subprocess.run([sys.executable, "-c", floor], env=env, check=True, capture_output=True, timeout=60)

        def claim(number: int, gitcoord: Callable[..., object] = gitcoord) -> None:
            gitcoord("claim", f"name-{number}")

        taken = turns({"claim": claim, "push": push, "start": start}, rounds if kind == "file" else max(5, rounds // 3))
        ours, bare, begin = (middle(taken[name]) for name in ("claim", "push", "start"))
        figures = {"claim_s": ours, "push_s": bare, "imports_s": begin}
        if kind == "file":
            beside = f"{ms(bare + begin)} the same imports ({ms(begin)}) + push ({ms(bare)})"
            yield at_most("P2 a claim, local bare remote", ms(ours), beside, ours / (bare + begin), 1.4, **figures)
        else:
            beside = f"{ms(bare)} bare push; the imports alone are {ms(begin)}"
            yield at_most(f"P1 a claim, {kind}, 100 ms away", ms(ours), beside, ours / bare, 1.15, **figures)
