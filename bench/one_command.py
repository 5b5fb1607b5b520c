"""P1 and P2: what one command costs, as a whole process, begun by itself (cold) and in a fork of the warm process (warm).

The unit of P2 is a Python that does nothing, and a bare `git push` of one prepared commit to the same remote: what nobody who
writes a Python program on git can go below. P1 is against the bare push alone, 100 ms away.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from warmth import warm_process

from bench.measure import Row, at_most, middle, ms, turns
from bench.places import Place
from gitcoord.warm import address

TRIP = 0.1  # seconds there and back
_SCRIPT = Path(sys.executable).with_name("gitcoord")
PROGRAM = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "gitcoord"]
LOOKS = {"gitcoord": [], "inbox": ["inbox"], "check": ["check", "elsewhere"]}
"""Commands that find nothing new."""


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
    with warm_process() as folder:
        for kind, trip in (("file", 0.0), ("ssh", TRIP), ("http", TRIP), ("git", TRIP)):
            if place.remotes.available(kind) is None:
                yield from _of_remote(place, kind, trip, rounds if kind == "file" else max(5, rounds // 3), folder)


def _of_remote(place: Place, kind: str, trip: float, rounds: int, folder: Path) -> Iterator[Row]:
    remote = place.remote(kind, trip=trip)
    clone = place.clone(remote, f"one-{kind}")
    starts = {"cold": "0", "warm": str(folder)}

    def gitcoord(start: str, *words: str) -> None:
        env = {**place.outbox(f"one-{kind}"), address.SWITCH: starts[start]}
        subprocess.run([*PROGRAM, *words], cwd=clone, env=env, check=True, capture_output=True, timeout=60)

    def nothing(_number: int) -> None:
        subprocess.run([sys.executable, "-c", "pass"], env=place.env, check=True, capture_output=True, timeout=60)

    gitcoord("cold", "init")
    gitcoord("cold", "start", "bench")
    cases: dict[str, Callable[[int], object]] = {"nothing": nothing, "push": _pushes(place, clone, remote.url, remote.flags)}
    for start in starts:
        cases[f"claim {start}"] = lambda number, start=start: gitcoord(start, "claim", f"{start}-{number}")
    if kind == "file":
        for start in starts:
            for name, words in LOOKS.items():
                cases[f"{name} {start}"] = lambda _, start=start, words=words: gitcoord(start, *words)
    taken = {name: middle(times) for name, times in turns(cases, rounds).items()}
    bare, unit = taken["push"], taken["push"] + taken["nothing"]
    for start, near, far in (("warm", 2.5, 1.15), ("cold", 8.0, 1.5)):
        ours = taken[f"claim {start}"]
        figures = {"ours_s": ours, "push_s": bare, "python_s": taken["nothing"]}
        if kind == "file":
            beside = f"{ms(unit)}: Python {ms(taken['nothing'])} + push {ms(bare)}"
            yield at_most(f"P2 a claim, local bare remote, {start}", ms(ours), beside, ours / unit, near, **figures)
            for name in LOOKS:
                look = taken[f"{name} {start}"]
                yield at_most(f"P2b {name}, {start}", ms(look), beside, look / unit, 3 if start == "warm" else 8, look_s=look)
        else:
            beside = f"{ms(bare)} bare push"
            yield at_most(f"P1 a claim, {kind}, 100 ms away, {start}", ms(ours), beside, ours / bare, far, **figures)
