"""A command that is run again and again in throw-away work trees, each time to its end. What is sent to this process
ends it all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

import typer

from gitcoord.cli.connect import say
from gitcoord.cli.run.child import Child, ProcessMarks, Signals
from gitcoord.coordinator.keeper import Loss
from gitcoord.coordinator.trials import KeepsLane
from gitcoord.errors import NotInTime
from gitcoord.machine.agents import agent_ids

_KILL_AFTER = 10.0  # seconds that a command has to end by itself once it was told to
_LOOK = 5.0  # seconds between two looks at the time that is left
_NOT_FOUND, _NOT_RUN = 127, 126  # the exit codes that shells give


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which a command is tried: without what names the user's repository or work tree, or a session."""
    ours = {"GITCOORD_SESSION", "GITCOORD_FENCE", "GITCOORD_FENCES", *agent_ids(environ)}
    return {name: value for name, value in environ.items() if not name.startswith("GIT_") and name not in ours | {"PWD", "OLDPWD"}}


class Series:
    """The runs of one command. `below`: the folder below the root in which it is run, where there is one; `timeout`: how long all
    of it may take, as it is typed, and in seconds; `output`: the descriptor that it prints to, where that isn't standard output.
    """

    def __init__(
        self,
        words: Sequence[str],
        signals: Signals,
        *,
        below: str = "",
        timeout: tuple[str, float] | None = None,
        output: int | None = None,
    ) -> None:
        self._words, self._signals, self._below, self._output = words, signals, below, output
        self._marks = ProcessMarks()
        self._asked, seconds = timeout or ("", 0.0)
        self._end = monotonic() + seconds if timeout else None

    def tick(self) -> None:
        """Raise what ends the series, once a signal came or its time is over."""
        if self._signals.came:
            say("interrupted: nothing is left behind")
            raise typer.Exit(128 + self._signals.came)
        if self._is_late():
            raise NotInTime(f"it was not done in {self._asked}", hint="the same command with a longer --timeout, or without one")

    def _is_late(self) -> bool:
        return self._end is not None and monotonic() >= self._end

    def run(self, tree: str, holding: KeepsLane | None = None) -> int:
        """Run the command in that work tree; return its exit code. Nothing that it started is left when this returns."""
        inner = os.path.join(tree, self._below)
        folder = inner if self._below and os.path.isdir(inner) else tree
        return self.start(self._words, folder, {**environment(os.environ), "PWD": folder}, holding)

    def start(self, words: Sequence[str], folder: str | None, environ: Mapping[str, str], holding: KeepsLane | None = None) -> int:
        """Run these words in that folder; return the exit code."""
        self.tick()
        try:
            child = Child(
                words, folder=folder, environ=environ, signals=self._signals, marks=self._marks, kill_after=_KILL_AFTER,
                output=self._output, alone=False,
            )  # fmt: skip
        except OSError as error:
            say(f"error: {words[0]} can't be run: {error.strerror}")
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUN
        try:
            if holding is None:
                while not self._wait(child, _LOOK):
                    pass
            else:
                holding.hold(lambda seconds: self._wait(child, seconds), self._stopping(child), say)
            if child.strays():  # what it has left would hold ports and files of the next run
                child.stop(all_of_it=True)
                while not child.wait(_LOOK):
                    pass
        finally:
            child.close()
        self.tick()
        return child.code or 0

    def _wait(self, child: Child, seconds: float) -> bool:
        """Wait for the command's end, that long at most; tell it to end once there is a reason."""
        left = seconds if self._end is None else min(seconds, max(0.0, self._end - monotonic()))
        over = child.wait(left)
        if not over and (self._signals.came or self._is_late()):
            child.stop(all_of_it=True)
        return over

    def _stopping(self, child: Child) -> Callable[[Loss], None]:
        def lost(loss: Loss) -> None:
            say(f"error: {loss.message}")
            child.stop(all_of_it=True)

        return lost
