"""The programs that people run by hand, and no test runs whole, at least find all that they import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]


def test_the_measurements_find_what_they_import() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "--help"], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--only" in done.stdout
