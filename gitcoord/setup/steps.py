"""A part of an installation says beforehand what it would write, does it, and takes it away again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class InstallLine:
    """One thing that a step is about: what it is, where it lies, how it is now, what would be done ("": nothing), and why."""

    what: str
    where: str
    now: str
    will: str = ""
    why: str = ""


class Step(Protocol):
    """One part of an installation."""

    def plan(self, *, undo: bool = False) -> Sequence[InstallLine]:
        """Return what `do` (or `undo`) would write, set or take away; looks, and changes nothing. Raises GitcoordError."""

    def do(self) -> Sequence[str]:
        """Does it; what was done, in words. Nothing where all is there already. Raises GitcoordError."""

    def undo(self) -> Sequence[str]:
        """Takes away exactly what `do` has made; what was done, in words. Raises GitcoordError."""

    def check_undo(self) -> None:
        """Raises GitcoordError where `undo` must not be: something would be lost."""


@dataclass(frozen=True)
class Wanted:
    """Holds what a person asked for, and where. `agents`: the coding agents meant, by name; None: those that are found."""

    start: str
    environ: Mapping[str, str]
    program: str = ""
    guard: bool = False
    trailers: bool = False
    shared: bool = False
    agents: tuple[str, ...] | None = None
    workflow: bool = False
