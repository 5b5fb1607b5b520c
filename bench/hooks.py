"""`git commit` with the hooks installed against without, remote alive, dead and silent, in one run: ratios, not seconds.

And with the guard before it, which git waits for: where nothing near is claimed (by its short way, and by the whole program),
where the file is one's own, and where it warns. And with all hooks there are: those that tell, the guard, and the trailers. And a
rebase of a hundred commits with all of them against one without, and one with a hook that does nothing: git starts a shell for
each commit, whatever is in it.

To reach: 1.2 times with those that tell; 3 times with all, where nothing of others is staged.

    python -m bench.hooks [ROUNDS]

Needs the package installed beside the running Python (its `gitcoord` is what the hooks call). The cases take turns round by
round, so that a machine that gets slower or faster meanwhile does so for all of them.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from remotes import RemoteFactory

from bench.measure import Row, at_most, middle, ms

GIT = shutil.which("git") or "git"
CASES = ("without hooks", "remote alive", "remote dead", "remote silent")
GUARDED = ("guard: free", "guard: free, long", "guard: own", "guard: warns", "guard: dead")
ALL = ("all: remote alive", "all: remote dead", "all: remote silent")
EVERY = (*CASES, *GUARDED, *ALL)
TURNS = 5
REBASED = 100  # commits
DEAD = ("remote dead", "guard: dead", "all: remote dead")
SILENT = ("remote silent", "all: remote silent")


def git(where: Path, *words: str, env: dict[str, str]) -> None:
    """Runs git; it must succeed."""
    subprocess.run([GIT, *words], cwd=where, env=env, check=True, capture_output=True, timeout=60)


def rebases(clones: dict[str, Path], env: dict[str, str]) -> dict[str, list[float]]:
    """Rebases a branch of many commits from one commit to another and back, case by case; the seconds that each took."""
    clones["a hook that does nothing"] = clones["without hooks"]
    quiet = {**env, "GITCOORD": "0"}
    for clone in {*clones.values()}:
        git(clone, "checkout", "-q", "-b", "long", env=quiet)
        git(clone, "branch", "one", env=quiet)
        git(clone, "branch", "two", env=quiet)
        for number in range(REBASED):
            (clone / f"many-{number}").write_text("x")
            git(clone, "add", f"many-{number}", env=quiet)
            git(clone, "commit", "-q", "-m", f"many {number}", env=quiet)
        for side in ("one", "two"):
            git(clone, "checkout", "-q", side, env=quiet)
            git(clone, "commit", "-q", "--allow-empty", "-m", side, env=quiet)
        git(clone, "rebase", "-q", "--onto", "two", f"long~{REBASED}", "long", env=quiet)
    taken: dict[str, list[float]] = {case: [] for case in clones}
    onto = dict.fromkeys(clones.values(), "one")
    for _ in range(TURNS):
        for case, clone in clones.items():
            idle = clone / ".git" / "hooks" / "post-commit"
            if case == "a hook that does nothing":
                idle.write_text("#!/bin/sh\nexit 0\n")
                idle.chmod(0o755)
            elif case == "without hooks":
                idle.unlink(missing_ok=True)
            before = "two" if onto[clone] == "one" else "one"
            start = time.perf_counter()
            git(clone, "rebase", "-q", "--onto", onto[clone], before, "long", env=env)
            taken[case].append(time.perf_counter() - start)
            onto[clone] = before
            time.sleep(1)
    return taken


def measure(rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the seconds of each commit, and those of each rebase, by case."""
    program = Path(sys.executable).with_name("gitcoord")
    folder = Path(tempfile.mkdtemp(prefix="gitcoord-bench-"))
    hidden = ("GIT_", "GITCOORD", "CLAUDE", "CODEX", "CURSOR", "GEMINI", "COPILOT", "AI_AGENT", "XDG_", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env |= {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
            "PATH": f"{program.parent}{os.pathsep}{env['PATH']}"}  # fmt: skip
    (folder / "gitconfig").write_text("[user]\n\tname = Bench\n\temail = bench@example.org\n[init]\n\tdefaultBranch = main\n")
    factory = RemoteFactory(folder / "remotes")
    clones = {}
    remotes = {}
    try:
        for number, case in enumerate(EVERY):
            remotes[case], clone = factory.make("git"), folder / f"c{number}"
            git(folder, "clone", "-q", remotes[case].url, str(clone), env=env)
            clones[case] = clone
            if case != "without hooks":
                guard = ["--guard", "--trailers"] if case in ALL else ["--guard"] if case in GUARDED else []
                claims = [["start", "other", "--new"], ["claim", "elsewhere", "--session", "other"]] if guard else []
                claims += [["claim", "file.txt", "--session", "other"]] if case == "guard: warns" else []
                mine = [["claim", "file.txt"]] if case == "guard: own" else []
                for words in (["init"], *claims, ["start", "bench", "--new"], *mine, ["hooks", "install", "--git", *guard]):
                    subprocess.run([str(program), *words], cwd=clone, env=env, check=True, capture_output=True, timeout=60)
        for case in DEAD:
            remotes[case].away()
        for case in SILENT:
            remotes[case].silent()
        taken: dict[str, list[float]] = {case: [] for case in EVERY}
        for number in range(rounds + 2):
            for case in EVERY:
                if case == "guard: free, long":  # no short list: the whole program looks
                    for noted in (clones[case] / ".git" / "gitcoord").glob("held-*"):
                        noted.unlink()
                (clones[case] / "file.txt").write_text(str(number))
                git(clones[case], "add", "file.txt", env=env)
                start = time.perf_counter()
                git(clones[case], "commit", "-q", "-m", f"number {number}", env=env)
                if number >= 2:  # two rounds to warm up
                    taken[case].append(time.perf_counter() - start)
                time.sleep(0.4)  # what runs in the background has ended: one commit is measured, not its neighbour's hook
        rebased = rebases({"without hooks": clones["without hooks"], "all hooks": clones["all: remote alive"]}, env)
        return taken, rebased
    finally:
        factory.close()
        shutil.rmtree(folder, ignore_errors=True)


def rows(rounds: int) -> Iterator[Row]:
    """The rows of P5 for git's hooks."""
    taken, rebased = measure(rounds)
    for what, times, plain, limit in (
        ("git commit, hooks that tell", taken["remote alive"], taken["without hooks"], 1.2),
        ("git commit, guard and trailers too", taken["all: remote alive"], taken["without hooks"], 3.0),
        ("git commit, guard, one's own file", taken["guard: own"], taken["without hooks"], 3.0),
        (f"git rebase of {REBASED}, all hooks", rebased["all hooks"], rebased["without hooks"], 1.2),
    ):
        ours, bare = middle(times), middle(plain)
        yield at_most(f"P5 {what}", ms(ours), f"{ms(bare)} without hooks", ours / bare, limit, ours_s=ours, bare_s=bare)


def main() -> int:
    """Measures and prints a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    taken, rebased = measure(rounds)
    base = statistics.median(taken["without hooks"])
    print(f"{'case':<18} {'median ms':>10} {'min':>7} {'max':>7} {'ratio':>6}   ({rounds} commits each)")
    for case in EVERY:
        times = [1000 * one for one in taken[case]]
        half = statistics.median(times)
        print(f"{case:<18} {half:>10.1f} {min(times):>7.1f} {max(times):>7.1f} {half / 1000 / base:>6.2f}")
    print(f"\n{'rebase of ' + str(REBASED):<24} {'median ms':>10} {'min':>7} {'max':>7} {'ratio':>6}   ({TURNS} rebases each)")
    plain = statistics.median(rebased["without hooks"])
    for case, seconds in rebased.items():
        times = [1000 * one for one in seconds]
        half = statistics.median(times)
        print(f"{case:<24} {half:>10.1f} {min(times):>7.1f} {max(times):>7.1f} {half / 1000 / plain:>6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
