"""P10, and how well conflicts are foretold: the merges of a real history are played again as two sessions each.

    python -m bench.foretell GIT_DIR... [--pairs 100] [--seed 1] [--json FILE]

Of each history merge commits are drawn. Two kinds of pairs are made of them: the two parents of a merge, and two branches that were
merged soon after each other and made at the same time. `git merge` itself, in a work tree, says which of these conflict. That is
held against *certain* (what `gitcoord conflicts` says of the commits) and against *likely* (what it says of their lines alone, as
before anything is pushed).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Row, at_most, middle, ms, turns
from bench.one_command import PROGRAM
from bench.places import Place
from gitcoord.connection.connect import connect
from gitcoord.coordinator.touched import touches_of
from gitcoord.core import touches
from gitcoord.core.touches import Touch
from gitcoord.errors import GitcoordError
from gitcoord.git.merges import Merges, Pair
from gitcoord.git.repo import Repository

_BRANCHES = 20
_NEAR = 12  # merges before one among which a branch is looked for that was made at the same time


@dataclass
class Sums:
    """How often what was said is what git did."""

    both: int = 0
    only_said: int = 0
    only_git: int = 0
    neither: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, *, said: bool, did: bool, pair: str) -> None:
        """One pair more."""
        self.both += said and did
        self.only_said += said and not did
        self.only_git += did and not said
        self.neither += not said and not did
        if said != did:
            self.wrong.append(f"{'said' if said else 'missed'} {pair}")

    @property
    def recall(self) -> float:
        """The part of git's conflicts that was foretold."""
        return self.both / max(1, self.both + self.only_git)

    @property
    def false(self) -> float:
        """The part of what was foretold that was none."""
        return self.only_said / max(1, self.both + self.only_said)

    def __str__(self) -> str:
        counts = f"{self.both} both, {self.only_said} said only, {self.only_git} git only, {self.neither} neither"
        return f"recall {self.recall:6.1%}  false {self.false:6.1%}  ({counts})"


@dataclass(frozen=True)
class Two:
    """Two sessions: their commits, and where each left the default branch."""

    one: str
    other: str
    base_of_one: str
    base_of_other: str
    kind: str


class Past:
    """A history, and a work tree in which its merges are made again."""

    def __init__(self, git_dir: Path, folder: Path) -> None:
        self.work = folder / "work"
        self._git(folder, "clone", "--quiet", "--shared", "--no-checkout", str(git_dir), str(self.work))
        for key, value in (("user.name", "x"), ("user.email", "x@x"), ("gc.auto", "0"), ("advice.detachedHead", "false")):
            self._git(self.work, "config", key, value)
        self.repo = Repository.find(str(self.work), os.environ)
        self.merges = Merges(self.repo, "", str(folder / "merges.git"))

    def _git(self, where: Path, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=where, capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace").strip()

    def pairs(self, count: int, chance: random.Random) -> list[Two]:
        """Half of them the two parents of a merge, half two branches that were merged soon after each other, made at the same time:
        neither has commits of the other.
        """
        merged = [self._merges(), self._merges("--first-parent")]
        two: list[Two] = []
        every = [(row, at) for row in merged for at in range(len(row))]
        for row, number in chance.sample(every, min(len(every), 20 * count)):
            if len(two) >= count:
                break
            one, other = row[number]
            with suppress(subprocess.CalledProcessError, GitcoordError):
                base = self._git(self.work, "merge-base", one, other)
                if row is merged[0]:
                    two.append(Two(one, other, base, base, "parents"))
                    continue
                near = (self._beside(other, base, before) for before in row[number + 1 : number + 1 + _NEAR])
                two += [pair for pair in near if pair is not None][:1]
        return two

    def _merges(self, *more: str) -> list[list[str]]:
        """The parents of each merge, the newest first."""
        lines = self._git(self.work, "log", "--merges", *more, "--format=%P", "HEAD").splitlines()
        return [line.split(" ") for line in lines if line.count(" ") == 1]

    def _beside(self, commit: str, base: str, merge: list[str]) -> Two | None:
        """That branch and the one of another merge, if they were made at the same time."""
        base_of_other = self._git(self.work, "merge-base", *merge)
        common = self._git(self.work, "merge-base", commit, merge[1])
        is_apart = common in (base, base_of_other) and common == self._git(self.work, "merge-base", base, base_of_other)
        return Two(commit, merge[1], base, base_of_other, "branches") if is_apart and common not in (commit, merge[1]) else None

    def conflicts(self, two: Two) -> bool:
        """Merge them, as somebody would; True if git makes a conflict of it."""
        self._git(self.work, "reset", "--quiet", "--hard")
        self._git(self.work, "clean", "-qffdx")
        self._git(self.work, "checkout", "--quiet", "--force", two.one)
        done = subprocess.run(
            ["git", "merge", "--quiet", "--no-commit", "--no-ff", two.other], cwd=self.work, capture_output=True, check=False
        )
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr.decode("utf-8", "replace")[-400:])
        return done.returncode == 1

    def lines(self, base: str, commit: str, *, whole: bool) -> tuple[Touch, ...]:
        """What a session that made those commits says of its lines. `whole`: as if one event could say all."""
        every = [touch for change in self.merges.changed(base, commit) for touch in touches_of(change)]
        return tuple(every) if whole else touches.bounded(every)

    def meet(self, two: Two, *, whole: bool) -> bool:
        """Whether what both say of their lines is a likely conflict."""
        one, other = self.lines(two.base_of_one, two.one, whole=True), self.lines(two.base_of_other, two.other, whole=True)
        if not whole:  # what landed on a default branch (of two parents that is the larger side) is looked at, not told
            longest = max(len(one), len(other)) if two.kind == "parents" else -1
            one, other = (each if len(each) == longest else touches.bounded(each) for each in (one, other))
        old, new = two.base_of_one, two.base_of_other
        if old != new:
            if self.merges.base(old, new) != old:  # the other one is the older
                old, new, one, other = new, old, other, one
            changed = {
                change.path: ("" if change.status == "D" else change.to or change.path, change.hunks)
                for change in self.merges.changed(new, old)
                if change.status != "A"
            }
            other = tuple(touches.carried_over(other, changed))
            landed = self.lines(old, new, whole=True)  # the older one is told of what landed since, too
            if any(meeting.kind == "likely" for meeting in touches.meetings(one, landed)):
                return True
        return any(meeting.kind == "likely" for meeting in touches.meetings(one, other))


def replay(git_dir: Path, count: int, seed: int) -> dict[str, Sums]:
    """What is said of so many pairs of that history, beside what git does."""
    sums = {"certain": Sums(), "likely, as told": Sums(), "likely, all lines": Sums()}
    unknown = 0
    with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
        past = Past(git_dir, Path(folder))
        for two in past.pairs(count, random.Random(seed)):
            name = f"{two.kind} {two.one[:12]} {two.other[:12]}"
            try:
                did = past.conflicts(two)
                verdict = past.merges.judge([Pair(two.one, two.other)])[Pair(two.one, two.other)]
                if verdict.outcome == "unknown":
                    unknown += 1
                    continue
                sums["certain"].add(said=verdict.outcome == "conflict", did=did, pair=name)
                sums["likely, as told"].add(said=past.meet(two, whole=False), did=did, pair=name)
                sums["likely, all lines"].add(said=past.meet(two, whole=True), did=did, pair=name)
            except (GitcoordError, RuntimeError, subprocess.CalledProcessError) as error:
                print(f"  left out: {name}: {error}", file=sys.stderr)
    if unknown:
        print(f"  git could not tell of {unknown} pairs", file=sys.stderr)
    return sums


# --- P10 ---------------------------------------------------------------------------------------------------------------


def run(place: Place, rounds: int) -> Iterator[Row]:
    """The rows of P10: twenty sessions with a branch each, looked at by one of them."""
    remote = place.remote("file")
    _branches(place.clone(remote, "branches"), place.outbox("branches"))
    clone, env = place.clone(remote, "looking"), place.outbox("looking")
    started = [*PROGRAM, "start", "looker"]
    subprocess.run(started, cwd=clone, env={**os.environ, **env}, check=True, capture_output=True, timeout=300)
    kept = clone / ".git" / "gitcoord"
    before = _counted(clone)
    environ = {**os.environ, **env, "GITCOORD_SESSION": "looker"}
    with connect(str(clone), environ) as found:
        view = found.coordinator.branch.view()

        def look(*, cold: bool) -> None:
            if cold:
                subprocess.run(["rm", "-rf", str(kept / "merges.git"), str(kept / "merges.json")], check=True)
            with connect(str(clone), environ) as fresh:
                begun = time.perf_counter()
                looked = fresh.coordinator.foretelling.look(view, everyone=True)
                taken.append(time.perf_counter() - begun)
            assert len([one for one in looked.collisions if one.kind == "certain"]) == _BRANCHES // 2

        taken: list[float] = []
        turns({"cold": lambda _: look(cold=True), "nothing new": lambda _: look(cold=False)}, rounds, warm=0)
    cold, again = middle(taken[::2]), middle(taken[1::2])
    yield at_most(f"P10 {_BRANCHES} branches foretold, cold", ms(cold), "2 s", cold / 2.0, 1.0, seconds=cold)
    yield at_most(f"P10 {_BRANCHES} branches, nothing new", ms(again), "100 ms", again / 0.1, 1.0, seconds=again)
    after = _counted(clone)
    yield at_most(
        "P10 objects, refs and reflog lines left", str(sum(after) - sum(before)), "0", float(sum(after) - sum(before)), 0.0
    )


def _branches(clone: Path, env: dict[str, str]) -> None:
    """Twenty sessions that say where they stand; every two of them change one line."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=clone, check=True, capture_output=True, text=True).stdout.strip()

    def gitcoord(*words: str) -> None:
        subprocess.run([*PROGRAM, *words], cwd=clone, env={**os.environ, **env}, check=True, capture_output=True, timeout=300)

    for number in range(200):
        path = clone / "src" / f"{number // 10}" / f"{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"line {line}\n" for line in range(200)))
    git("add", "-A")
    git("commit", "-qm", "files")
    git("push", "-q", "origin", "HEAD")
    main = git("rev-parse", "--abbrev-ref", "HEAD")
    gitcoord("init")
    for number in range(1, _BRANCHES + 1):
        git("switch", "-q", "-c", f"branch-{number}", main)
        for step in range(5):
            path = clone / "src" / f"{number}" / f"{(number * 10 + step) % 200}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"changed by {number}\n")
        shared = clone / "src" / "0" / f"{(number - 1) // 2}.py"
        shared.write_text(shared.read_text().replace("line 100\n", f"branch {number}\n"))
        git("add", "-A")
        git("commit", "-qm", f"branch {number}")
        git("push", "-q", "origin", f"branch-{number}")
        gitcoord("start", "--new", f"s{number}")
        gitcoord("--session", f"s{number}", "heartbeat", "building")


def _counted(clone: Path) -> tuple[int, int, int]:
    """How many objects, refs and lines of reflogs there are, but for those of the coordination branch."""
    top = clone / ".git"
    objects = sum(1 for path in (top / "objects").rglob("*") if path.is_file())
    refs = sum(1 for path in (top / "refs").rglob("*") if path.is_file())
    lines = sum(len(path.read_bytes().splitlines()) for path in (top / "logs").rglob("*") if path.is_file())
    return objects, refs, lines


def main() -> int:
    """Plays the merges of those histories again."""
    ask = argparse.ArgumentParser(
        prog="python -m bench.foretell", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("git_dirs", nargs="+", type=Path)
    ask.add_argument("--pairs", type=int, default=100, help="pairs of each history")
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--json", type=Path)
    told = ask.parse_args()
    every: dict[str, dict[str, Sums]] = {}
    for git_dir in told.git_dirs:
        every[str(git_dir)] = replay(git_dir.resolve(), told.pairs, told.seed)
        for kind, sums in every[str(git_dir)].items():
            print(f"{git_dir} {kind:18} {sums}", flush=True)
    for kind in next(iter(every.values())):
        found = [sums[kind] for sums in every.values()]
        total = Sums(*(sum(getattr(one, name) for one in found) for name in ("both", "only_said", "only_git", "neither")))
        print(f"{'all':20} {kind:18} {total}", flush=True)
    if told.json:
        told.json.write_text(
            json.dumps({place: {kind: vars(one) for kind, one in sums.items()} for place, sums in every.items()}, indent=2)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
