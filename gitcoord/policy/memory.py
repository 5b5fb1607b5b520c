"""What a server has checked of its branch, so that no push pays for the history: a small file in the repository.

It only saves time: whether a commit is good follows from the commits alone. So it may hold pushes that were not accepted in the
end, and losing it costs one check of the whole history.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitcoord.git.repo import NULL, Oid
from gitcoord.log.history import Checked
from gitcoord.machine import files

FOLDER = "gitcoord-policy"
_KEPT = 64  # tips: of that many pushes that race each other, each finds the one that won
_ASKED = 8  # of them that are compared with a tip that is not among them


@dataclass(frozen=True)
class Memory:
    """The newest tips that were checked, each with its last good commit and how many good events there are."""

    path: Path

    @classmethod
    def of(cls, git_dir: str, ref: str) -> Memory:
        """Return the memory of that branch of that repository."""
        return cls(Path(git_dir) / FOLDER / f"checked-{hashlib.sha256(ref.encode()).hexdigest()[:12]}.json")

    @property
    def origins(self) -> Path:
        """Where it is kept whose each session's name is."""
        return self.path.with_name(self.path.name.replace("checked-", "origins-", 1)).with_suffix("")

    def prepare(self) -> None:
        """Make the folder and the files, for all who may write to the repository. Raises OSError."""
        above = self.path.parent.parent
        self.path.parent.mkdir(exist_ok=True)
        os.chmod(self.path.parent, stat.S_IMODE(above.stat().st_mode))
        if not self.path.exists():
            files.write_json(self.path, files.sealed({"tips": []}))
        self.origins.touch()
        for path in (self.path, self.origins):
            os.chmod(path, stat.S_IMODE((above / "HEAD").stat().st_mode) & 0o666)

    def _read(self) -> list[Checked]:
        with suppress(OSError):
            return files.read(self.path, _parse) or []
        return []

    def nearest(self, tip: Oid, is_behind: Callable[[Oid], bool]) -> Checked:
        """Return what is known of that tip; else of the newest one that is behind it; else nothing."""
        known = self._read()
        same = next((one for one in known if one.tip == tip), None)
        return same or next((one for one in reversed(known[-_ASKED:]) if is_behind(one.tip)), Checked())

    def note(self, *found: Checked) -> None:
        """Remember those, if there is room."""
        with suppress(OSError):
            if not self.path.exists():
                self.prepare()
            with files.locked(self.path.parent):
                kept = {one.tip: one for one in (*self._read(), *found) if one.tip != NULL}
                for one in found:  # the newest come last
                    kept[one.tip] = kept.pop(one.tip, one)
                kept.pop(NULL, None)
                tips = [(one.tip, one.good, one.seq) for one in list(kept.values())[-_KEPT:]]
                files.write_json(self.path, files.sealed({"tips": tips}), keep_mode=True)


def _parse(value: Any) -> list[Checked]:
    # Which bad commits stand before them is of no use: what comes now has one parent, the tip.
    return [Checked(str(tip), str(good), int(seq)) for tip, good, seq in files.unsealed(value)["tips"]]
