"""A git that dies, stalls, answers short or lies: a folder for PATH, whose `git` is the real one, some of its calls spoilt.

    python tests/support/faulty_git.py DIR --one-in 200 --seed 1        then run anything with PATH=DIR:$PATH

Each call that was spoilt is a line in DIR/spoilt. Which calls of a storm are spoilt depends on the seed and on the numbers of the
processes; a test that needs one certain call says which (`FaultyGit.at`).
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

KINDS = {
    "killed": "kill -9 $$",
    "done, then killed": '"$real" "$@" >/dev/null 2>&1; kill -9 $$',
    "says nothing": "exit 0",
    "fails": "exit 1",
    "short": '"$real" "$@" | head -c $bytes; exit 0',
    "garbled": '"$real" "$@" | sed -u y/abcdef0123/fedcba3210/; exit 0',
    "stalls": "exec sleep 3600",
    "stalls half way": '"$real" "$@" | { head -c $bytes; exec sleep 3600; }',
}
"""What a spoilt call does, in shell."""
STALLING = ("stalls", "stalls half way")

_SCRIPT = """\
#!/usr/bin/env bash
# Made by tests/support/faulty_git.py: the real git, but for some calls.
folder={folder} real={real} one_in={one_in} kind= bytes=${{FAULTY_GIT_BYTES:-100}}
kinds=({kinds})
if [ -n "$FAULTY_GIT_AT" ]; then
    exec 9>>"$folder/calls"
    flock 9  # several of them may begin at once
    echo "$*" >&9
    number=$(wc -l <"$folder/calls")
    exec 9>&-
    [ "$number" -eq "$FAULTY_GIT_AT" ] && kind=$FAULTY_GIT_KIND
elif [ "$one_in" -gt 0 ] && [ -e "$folder/on" ]; then
    RANDOM=$(({seed} * 7919 + $$))
    if [ $(((RANDOM * 32768 + RANDOM) % one_in)) -eq 0 ]; then
        kind=${{kinds[RANDOM % ${{#kinds[@]}}]}}
        bytes=$((RANDOM % 2000))
    fi
fi
[ -n "$kind" ] && echo "$kind: $*" >>"$folder/spoilt"
case $kind in
{cases}
esac
exec "$real" "$@"
"""


@dataclass(frozen=True)
class FaultyGit:
    """A folder with such a git. Without `one_in` only a call that is asked for by `at` is spoilt."""

    folder: Path
    one_in: int = 0
    seed: int = 1
    kinds: tuple[str, ...] = tuple(KINDS)

    def make(self) -> FaultyGit:
        """Writes it down."""
        real = shutil.which("git")
        assert real is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        text = _SCRIPT.format(
            folder=shlex.quote(str(self.folder)), real=shlex.quote(real), one_in=self.one_in, seed=self.seed,
            kinds=" ".join(map(shlex.quote, self.kinds)),
            cases="\n".join(f"{shlex.quote(name)}) {words} ;;" for name, words in KINDS.items()),
        )  # fmt: skip
        program = self.folder / "git"
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
        return self

    def on(self) -> None:
        """From now on calls are spoilt."""
        (self.folder / "on").touch()

    def off(self) -> None:
        """From now on it is the real git."""
        (self.folder / "on").unlink(missing_ok=True)

    @property
    def path(self) -> str:
        """PATH with this git in front."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def at(self, number: int, kind: str, *, size: int = 100) -> dict[str, str]:
        """The variables with which exactly that call, counted from now and from 1, is spoilt. `size`: bytes of a short answer."""
        (self.folder / "calls").unlink(missing_ok=True)
        return {"PATH": self.path, "FAULTY_GIT_AT": str(number), "FAULTY_GIT_KIND": kind, "FAULTY_GIT_BYTES": str(size)}

    def calls(self) -> list[str]:
        """The calls since `at`, as they were typed."""
        return _lines(self.folder / "calls")

    def spoilt(self) -> list[str]:
        """The calls that were spoilt, each with how."""
        return _lines(self.folder / "spoilt")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def main(argv: Sequence[str]) -> int:
    """Makes one, for whatever is run with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--one-in", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only such faults; may be given several times")
    found = parser.parse_args(argv)
    made = FaultyGit(found.folder.resolve(), found.one_in, found.seed, tuple(found.kind or KINDS)).make()
    made.on()
    print(f"PATH={made.folder}:$PATH")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
