"""What people write themselves: fetch, commit, push, and on a refusal wait a random time and try again."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

from bench.places import GIT


def claim(clone: Path, url: str, flags: list[str], name: str, session: str, branch: str = "plain") -> int:
    """Adds `claims/<name>` to the branch, unless it is there; how many pushes it took."""
    own = f"refs/plain/{session}"
    index = {**os.environ, "GIT_INDEX_FILE": str(clone / f".plain-index-{session}")}

    def git(*words: str, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(
            [GIT, *flags, *words], cwd=clone, env=index, input=stdin, capture_output=True, text=True, check=check, timeout=600
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    for tries in range(1, 10_000):
        git("fetch", "-q", "--no-write-fetch-head", "--refmap=", url, f"+refs/heads/{branch}:{own}")
        tip = git("rev-parse", own)
        git("read-tree", own)
        blob = git("hash-object", "-w", "--stdin", stdin=f"{session}\n")
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},claims/{name}")
        commit = git("commit-tree", git("write-tree"), "-p", tip, "-m", f"claim {name} by {session}")
        push = [GIT, *flags, "push", "-q", url, f"{commit}:refs/heads/{branch}"]
        if subprocess.run(push, cwd=clone, env=index, capture_output=True, check=False, timeout=600).returncode == 0:
            return tries
        time.sleep(random.uniform(0.02, 0.5))
    raise RuntimeError("never got through")
