"""`gitcoord hook` before an edit against doing nothing: a Python that starts and ends. Ratios of one run, not seconds.

    python -m bench.agent_hook [ROUNDS]

Needs the package installed beside the running Python. The cases take turns: nothing, a repository where nobody coordinates, one
where nothing near is claimed (by the shortest way; by the long one, begun by itself and in the warm process), and the remote dead.
To reach: twice as long as nothing where nothing near is claimed.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Row, at_most, middle, ms

GIT = shutil.which("git") or "git"
CASES = ("nothing", "not coordinated", "free", "remote dead", "free, long", "free, long, warm")
LONG = ("free, long", "free, long, warm")


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each call, by case."""
    program = str(Path(sys.executable).with_name("gitcoord"))
    folder = Path(tempfile.mkdtemp(prefix="gitcoord-bench-"))
    hidden = ("GIT_", "GITCOORD", "CLAUDE", "CODEX", "CURSOR", "GEMINI", "COPILOT", "AI_AGENT", "XDG_", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env |= {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(folder / "gitconfig")}
    (folder / "gitconfig").write_text("[user]\n\tname = Bench\n\temail = bench@example.org\n[init]\n\tdefaultBranch = main\n")

    def run(where: Path, *words: str, stdin: str = "", warm: bool = False) -> None:
        given = env if warm else {**env, "GITCOORD_WARM": "0"}
        subprocess.run(words, cwd=where, env=given, check=True, capture_output=True, timeout=60, input=stdin.encode())

    def payload(where: Path, event: str) -> str:
        edit = {"tool_name": "Edit", "tool_input": {"file_path": str(where / "file.txt")}, "source": "startup"}
        number = ("", *CASES).index(
            where.name if where in clones.values() else ""
        )  # a session of another clone's is looked for there
        agent = {"session_id": f"bench-{number}", "transcript_path": str(folder / ".claude" / "bench.jsonl"), "cwd": str(where)}
        return json.dumps({**agent, "hook_event_name": event, **edit})

    try:
        clones = {}
        for case in CASES[1:]:
            remote, clone = folder / f"{case}.git", folder / case
            run(folder, GIT, "init", "-q", "--bare", str(remote))
            run(folder, GIT, "clone", "-q", str(remote), str(clone))
            run(clone, GIT, "commit", "-q", "--allow-empty", "-m", "first")
            run(clone, GIT, "push", "-q", "origin", "HEAD")
            clones[case] = clone
            if case != "not coordinated":
                run(clone, program, "init")
                run(clone, program, "start", "other")
                run(clone, program, "claim", "elsewhere")
                run(clone, program, "hook", stdin=payload(clone, "SessionStart"))
        shutil.rmtree(folder / "remote dead.git")
        for _ in range(2):  # the second of them starts the warm process
            run(clones["free, long, warm"], program, "whoami", warm=True)
        time.sleep(2)
        taken: dict[str, list[float]] = {case: [] for case in CASES}
        for number in range(rounds + 2):
            for case in CASES:
                words = [sys.executable, "-c", "pass"] if case == "nothing" else [program, "hook"]
                where = clones.get(case, folder)
                if case in LONG:
                    shutil.rmtree(where / ".git" / "gitcoord" / "plain-edits", ignore_errors=True)
                start = time.perf_counter()
                run(where, *words, stdin=payload(where, "PreToolUse"), warm=case.endswith("warm"))
                if number >= 2:  # two rounds to warm up
                    taken[case].append(time.perf_counter() - start)
        return taken
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rows(rounds: int) -> Iterator[Row]:
    """The rows of P5 for an agent's hook."""
    taken = measure(rounds)
    bare = middle(taken["nothing"])
    for what, case in (("nothing near is claimed", "free"), ("nobody coordinates there", "not coordinated")):
        ours = middle(taken[case])
        yield at_most(
            f"P5 gitcoord hook before an edit, {what}", ms(ours), f"{ms(bare)} Python", ours / bare, 2, ours_s=ours, bare_s=bare
        )


def main() -> int:
    """Measures and prints a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    taken = measure(rounds)
    base = statistics.median(taken["nothing"])
    print(f"{'case':<16} {'median ms':>10} {'min':>7} {'max':>7} {'ratio':>6}   ({rounds} edits each)")
    for case in CASES:
        times = [1000 * one for one in taken[case]]
        half = statistics.median(times)
        print(f"{case:<16} {half:>10.1f} {min(times):>7.1f} {max(times):>7.1f} {half / 1000 / base:>6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
