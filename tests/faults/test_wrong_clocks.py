"""The one real clock of the program is the bootstrap's, and it freezes; everywhere else time is an argument."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path

from clones import Seats, file
from freezegun import freeze_time
from remotes import Remote

import gitcoord
from gitcoord.connection.connect import utc_now


def test_a_frozen_clock_freezes_the_program(file_remote: Remote, seats: Seats) -> None:
    (ada,) = seats(file_remote, "ada")
    with freeze_time("2025-11-15 10:00:00"):
        assert utc_now() == datetime(2025, 11, 15, 10, tzinfo=UTC)
        with ada.here(utc_now) as found:
            found.coordinator.setup.init()
            found.coordinator.sessions.start("session-001")
            [lease] = found.coordinator.claims.acquire(file("src/api.py"), ttl_seconds=4 * 3600).claims
    assert lease.expires_at == datetime(2025, 11, 15, 14, tzinfo=UTC)
    assert ada.git("log", "-1", "--format=%aI %cI", "origin/coordination") == "2025-11-15T10:00:00+00:00 2025-11-15T10:00:00+00:00"
    assert "until 14:00 UTC" in ada.git("log", "-1", "--format=%s", "origin/coordination")


def test_nothing_below_the_connection_reads_the_time_of_day() -> None:
    package = Path(gitcoord.__file__).parent
    readers = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in {"now", "utcnow", "today"}
                and ast.unparse(node.value) in {"datetime", "date"}
            ):
                readers.add(path.relative_to(package).as_posix())
    assert readers <= {
        "connection/connect.py",
        "demo.py",
        "githooks/run.py",
        "guard/fast.py",
        "agents/hook/steps.py",
        "machine/reports.py",
    }
