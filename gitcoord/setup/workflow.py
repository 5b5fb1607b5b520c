"""The workflow file for GitHub that adopts what branches carry: for projects where nobody who may push is always there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from gitcoord.connection.connect import Connection, connect
from gitcoord.core.carrying import prefixes
from gitcoord.errors import BadInput
from gitcoord.setup.steps import InstallLine, Wanted

PLACE = ".github/workflows/gitcoord-carry.yml"
_MARK = "# Written by `gitcoord install --workflow`."
_TEXT = """\
{mark} It adopts what cloud agents say on branches of their own.
# Nothing from those branches is run: only the messages of their commits are read. `uninstall` takes this file away, if unchanged.
name: gitcoord carry
on:
  push:
    branches: [{branches}]
  schedule:
    - cron: "*/5 * * * *"
  workflow_dispatch:
permissions:
  contents: write
concurrency:
  group: gitcoord-carry
jobs:
  adopt:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v4
        with:
          ref: ${{{{ github.event.repository.default_branch }}}}
          fetch-depth: 0
          filter: blob:none
      - run: pipx run gitcoord sync
"""


def text(carry_from: str) -> str:
    """Return the file's text, for those folders of branches."""
    branches = ", ".join(f'"{one}**"' for one in prefixes(carry_from))
    return _TEXT.format(mark=_MARK, branches=branches)


def state(top: str, wanted: str) -> str:
    """Return `absent`, `installed`, `outdated` (ours, for other branches or of another version) or `foreign`."""
    try:
        there = (Path(top) / PLACE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return "absent"
    except (OSError, UnicodeDecodeError):
        return "foreign"
    return "installed" if there == wanted else "outdated" if there.startswith(_MARK) else "foreign"


def write(top: str, wanted: str) -> None:
    """Write the file. Raises BadInput where another file lies there."""
    if state(top, wanted) == "foreign":
        raise BadInput(f"{PLACE} is not gitcoord's: it is left alone", hint="move it, then the same command again")
    path = Path(top) / PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(wanted, encoding="utf-8")


def remove(top: str, wanted: str) -> bool:
    """Take the file away, and the folders that are empty then; return False if somebody changed it, or it isn't there."""
    if state(top, wanted) != "installed":
        return False
    path = Path(top) / PLACE
    path.unlink()
    for folder in (path.parent, path.parent.parent):
        if any(folder.iterdir()):
            break
        folder.rmdir()
    return True


@dataclass(frozen=True)
class WorkflowStep:
    """The workflow file that adopts what branches carry, where it was asked for."""

    wanted: Wanted

    def plan(self, *, undo: bool = False) -> Sequence[InstallLine]:
        """See Step."""
        with self._connect() as here:
            if not here.repo.work_tree or (not undo and not self.wanted.workflow):
                return []
            kind = state(here.repo.work_tree, self._text(here))
            now = {"absent": "not there", "installed": "there", "outdated": "ours, another version", "foreign": "not ours"}[kind]
            if undo and kind == "absent":
                return []
            if undo:
                will = (
                    "take away"
                    if kind == "installed" and not self._is_others(here)
                    else "nothing: others have it, or it was changed"
                )
                return [InstallLine("workflow", PLACE, now, will, "written by install")]
            will = {"absent": "write", "outdated": "write anew", "foreign": "nothing: it is not ours"}.get(kind, "")
            return [InstallLine("workflow", PLACE, now, will, "--workflow")]

    def do(self) -> Sequence[str]:
        """See Step. It counts once it is on the default branch."""
        if not self.wanted.workflow:
            return []
        with self._connect() as here:
            wanted = self._text(here)
            if not here.repo.work_tree or state(here.repo.work_tree, wanted) in {"installed", "foreign"}:
                return []
            write(here.repo.work_tree, wanted)
        return [f"wrote {PLACE}", f"for you to do: commit {PLACE} on the default branch"]

    def undo(self) -> Sequence[str]:
        """See Step. What was committed stays: others have it, too."""
        with self._connect() as here:
            top = here.repo.work_tree
            gone = bool(top) and not self._is_others(here) and remove(top, self._text(here))
        return [f"took away {PLACE}"] if gone else []

    def check_undo(self) -> None:
        """See Step: nothing is lost."""

    def _text(self, here: Connection) -> str:
        return text(here.coordinator.log.view().state.rules.settings.carry_from)

    def _is_others(self, here: Connection) -> bool:
        return bool(here.repo.files_at_head([PLACE]))

    def _connect(self) -> AbstractContextManager[Connection]:
        return connect(self.wanted.start, self.wanted.environ)
