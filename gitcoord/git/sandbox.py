"""Throw-away repositories for showing something: made, cloned and committed to as a user would, through GitPython.

Refuses: any repository of the user's, and every command's way to the branch: importing GitPython takes longer than all
that a claim does on this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gitcoord.errors import GitcoordError
from gitcoord.git import environment

_SECONDS = 60.0  # nothing here takes one


class Sandbox:
    """git in repositories that will be thrown away. `environ` is all that it sees of the outside."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def bare(self, path: Path) -> None:
        """Makes a bare repository."""
        self.git("init", "-q", "--bare", str(path), where=path.parent)

    def clone(self, source: Path, path: Path) -> None:
        """Clones one of them."""
        self.git("clone", "-q", str(source), str(path), where=path.parent)

    def commit(self, clone: Path, name: str, text: str, message: str) -> None:
        """Writes a file of a clone, commits and pushes it."""
        (clone / name).write_text(text)
        self.git("add", name, where=clone)
        self.git("commit", "-q", "-m", message, where=clone)
        self.git("push", "-q", "origin", "HEAD", where=clone)

    def git(self, *words: str, where: Path) -> str:
        """Runs plain git; what it says. Raises GitcoordError with git's words."""
        import git

        with _nothing_else(self._environ):
            try:
                said = git.Git(where).execute(
                    [environment.program(), *words], env=self._environ, kill_after_timeout=_SECONDS, strip_newline_in_stdout=False
                )
            except git.GitCommandError as error:
                raise GitcoordError(f"git {words[0]} failed: {str(error.stderr).strip()[:500]}") from None
        return said if isinstance(said, str) else str(said)


@contextmanager
def _nothing_else(environ: Mapping[str, str]) -> Iterator[None]:
    """GitPython adds an environment to the process's own; this one takes its place."""
    outside = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(outside)
