"""A step leaves notes here for later: for when its answer is printed, for the next step, for the background.

This module loads the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gitcoord.agents.hook.event import NOTHING, HookAnswer, Occasion
from gitcoord.agents.hook.place import Here
from gitcoord.core.guard import Target
from gitcoord.machine.identity import Binding
from gitcoord.outbox import spool

_CLAIMED = 2.0  # seconds that an edit waits until its file is claimed
_FILES = 50  # as many as a heartbeat names (core/heartbeats.py, which would load pydantic)


@dataclass(frozen=True)
class NotedAnswer:
    """The answer, and what is noted once it is printed."""

    answer: HookAnswer = NOTHING
    done: Callable[[], None] | None = None

    def beside(self, other: NotedAnswer) -> NotedAnswer:
        """Return both as one: the first answer that says something, and what is noted once that is printed."""
        if self.answer is not NOTHING and other.answer is not NOTHING:
            return self
        notes = [said.done for said in (self, other) if said.done is not None]

        def done() -> None:
            for note in notes:
                note()

        return NotedAnswer(other.answer if self.answer is NOTHING else self.answer, done)


def beat(binding: Binding, action: str, target: str = "", names: list[str] | None = None) -> None:
    """Leaves a heartbeat of the session in the spool: what it does, and with which files."""
    spool.heartbeat(binding, {"at": spool.stamp(), "action": action, "target": target, "files": (names or [])[:_FILES]})


def to_claim(here: Here, wanted: list[Target]) -> None:
    """Has files claimed, if that is wished, and the rest done in the background. A claim is waited for shortly: it is to be there
    before the edit.
    """
    wished = wanted if here.binding is not None and here.mailbox.claims else []
    for one in wished:
        here.mailbox.note_edit(one.path)
    here.background(now=bool(wished), wait=_CLAIMED if wished else 0.0)


def quiet(here: Here, good: str, occasion: Occasion) -> str:
    """Return the note that all was said that is to be said of these files, with the branch and the settings as they are now."""
    settings = [Path(here.near.common_dir) / "config", Path(here.near.git_dir) / "config.worktree"]
    dates = [str(path.stat().st_mtime_ns) for path in settings if path.exists()]
    return "\0".join(["quiet", good, *dates, *occasion.paths])
