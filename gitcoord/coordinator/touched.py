"""Which lines the caller has changed in its work tree, as the others are told of it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from gitcoord.coordinator.actor import Acting, Actor
from gitcoord.coordinator.parts import Parts
from gitcoord.core import secrecy, touches
from gitcoord.core.names import file_in
from gitcoord.core.touches import Span, Touch
from gitcoord.git.edits import Edits
from gitcoord.git.hunks import FileChange


@dataclass(frozen=True)
class ChangedLines:
    """What a session has changed: since which commit of the default branch, up to which of its own, and in which lines."""

    base: str
    commit: str
    touches: tuple[Touch, ...]

    @property
    def said(self) -> dict[str, Any]:
        """Return it as a heartbeat says it."""
        return {"base": self.base, "commit": self.commit, "touches": tuple(touch.entry for touch in self.touches)}


@dataclass(frozen=True)
class Touched:
    """The caller's changes."""

    parts: Parts
    acting: Acting

    def own(self, *, staged: bool = False) -> ChangedLines | None:
        """Return what the caller's work tree has changed; None where that can't be told or is not to be said. Raises GitFault.

        - `staged`: of what is not committed, only what a commit would take now.
        """
        edits = self.parts.edits(staged) if self.parts.edits is not None else None
        return None if edits is None else self.changed(edits)

    def changed(self, edits: Edits) -> ChangedLines:
        """Return what was changed, as it is said on the branch: the files spelled as claims spell them, and no more than one event
        may say.
        """
        every = [touch for change in edits.changes for touch in touches_of(change, uncommitted=edits.uncommitted)]
        named = touches.each_named(every, lambda path: spell_path(self.acting.actor, path))
        sayable = [touch for touch in named if touches.is_touch(f"{touch.path}:{touches.WHOLE}")]
        return ChangedLines(edits.base, edits.commit, touches.bounded(sayable))


def spell_path(actor: Actor, path: str) -> str:
    """Spell a file as claims do. Nobody typed its name, so what looks like a secret in it is hidden."""
    return file_in(actor.namespace, secrecy.hide(unicodedata.normalize("NFC", path)))


def touches_of(change: FileChange, *, uncommitted: frozenset[str] = frozenset()) -> list[Touch]:
    """Return what is said of a file that differs; nothing of one whose content is the same."""
    path, to = change.path, change.to
    spans = touches.joined(Span(hunk.at, hunk.gone, f"{hunk.check:02x}") for hunk in change.hunks or ())
    whole = touches.WHOLE if change.hunks is None or change.status in "TU" else ""
    is_open = touches.UNCOMMITTED if not uncommitted.isdisjoint((path, to)) else ""
    marks = {"A": touches.ADDED, "D": touches.DELETED, "R": touches.MOVED}.get(change.status, "")
    if marks == touches.ADDED and change.blob:
        spans = (Span(0, 0, change.blob[:2]),)
    if not (spans or whole or marks):
        return []
    found = [Touch(path, () if whole else spans, touches.marked(marks, whole if not marks or to else "", is_open))]
    return [*found, Touch(to, marks=touches.marked(touches.CAME, is_open))] if to else found
