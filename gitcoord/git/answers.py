"""What git answers, and what is said where there is no repository or no whole answer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from gitcoord.errors import BadInput, GitFault, NoRepository
from gitcoord.git.process import Finished


def no_repository(start: str, done: Finished) -> BadInput:
    """Return the error that says where no repository was found, and why git finds none."""
    if "dubious ownership" in done.words:
        return BadInput(
            f"git doesn't trust the repository at {start!r}: it belongs to another user",
            hint="git status there says how to trust it (safe.directory)",
        )
    if "safe.bareRepository" in done.words:
        return in_bare(start)
    if done.words and "not a git repository" not in done.words:
        return BadInput(f"git can't use the repository at {start!r}: {done.words}", hint="git status")
    return NoRepository(f"{start!r} is not inside a git repository", hint="git init, or cd into a repository")


def in_bare(start: str) -> NoRepository:
    """The configuration of a bare repository may run commands, and one may lie in any checkout: it must be named."""
    return NoRepository(
        f"{start!r} lies in a bare repository, which is used only if it is named: it may be a part of what somebody checked in",
        hint="if you trust it: GIT_DIR=. gitcoord status, there; or cd into a clone",
    )


def is_named_bare(start: str, environ: Mapping[str, str]) -> bool:
    """Return True if GIT_DIR names the bare repository that the caller stands in. Any other place is not asked for by it: inside a
    hook it names the repository of whoever runs git.
    """
    named = os.path.realpath(os.path.join(start, environ["GIT_DIR"])) if environ.get("GIT_DIR") else ""
    return bool(named) and os.path.basename(named) != ".git" and os.path.realpath(start) == named


def fault(words: Sequence[str], done: Finished) -> GitFault:
    """Return the error for a git that died, stalled or answered short."""
    named = [word for before, word in zip(("", *words), words, strict=False) if before != "-c" and not word.startswith("-")]
    return GitFault(
        f"git {(named or words)[0]} failed: {done.how}",
        hint="run the same command again, or gitcoord doctor",
        stalled=not done.in_time,
    )


def whole_lines(data: bytes) -> list[str]:
    """The lines of an answer of git's that has at least one. Raises ValueError if the last one isn't whole."""
    *lines, end = data.decode("utf-8", "surrogateescape").split("\n")
    if end or not lines:
        raise ValueError(data)
    return lines
