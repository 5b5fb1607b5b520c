"""The workflow file for GitHub that adopts what branches carry: for projects where nobody who may push is always there."""

from __future__ import annotations

from pathlib import Path

from gitcoord.core.carrying import prefixes
from gitcoord.errors import BadInput

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
