"""All readers come to one state and one board: old, fresh, fetched in pieces. `readers_agree.py` reads with other Pythons too."""

from __future__ import annotations

import sys
from pathlib import Path

import readers_agree


def test_every_way_of_reading_gives_the_same() -> None:
    assert readers_agree.run(1, 10, [sys.executable])["differ"] == {}


def test_a_reader_that_takes_more_is_found(tmp_path: Path) -> None:
    """A Python on which the hour 24 and a number with a blank are good: what the grammars keep out."""
    odd = tmp_path / "python"
    (tmp_path / "kind.py").write_text(
        "import datetime, runpy, sys\n"
        f"sys.path.insert(0, {str(readers_agree.TOP)!r})\n"
        "from gitcoord.core import times\n"
        "from gitcoord.log import wire\n"
        "def read(value):\n"
        "    if isinstance(value, str) and 'T24:' in value:\n"
        "        return times.read_instant(value.replace('T24:', 'T00:')) + datetime.timedelta(days=1)\n"
        "    return times.read_instant(value)\n"
        "wire._READ[datetime.datetime] = read\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    odd.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/kind.py" "$@"\n')
    odd.chmod(0o755)
    seed = next(number for number in range(1, 99) if any(word == "midnight" for word, *_ in readers_agree.plan(number)))
    assert [*readers_agree.run(seed, 1, [sys.executable, str(odd)])["differ"]] == [seed]
