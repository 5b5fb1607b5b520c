"""L1: what people look at, on a long branch: the page and its first paint, a moment of the past, reports.

First paint needs the group `browser` and Chromium; without them that row is left out.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.history import seat
from bench.measure import Row, middle
from bench.one_command import PROGRAM
from bench.places import Place

SESSIONS = 1000
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
HEAP = "performance.memory.usedJSHeapSize"


def run(place: Place, events: int) -> Iterator[Row]:
    """The rows of L1, on a branch of so many events and a thousand sessions."""
    clone, env, _ = seat(place, "looked-at", events, SESSIONS)
    log = place.git(clone, "log", "-1", "--format=%cI", f"origin/coordination~{events // 2}").strip()
    path = place.git(clone, "log", "-1", "--grep=^Coord-Event: claim.acquired", "--format=%s", "origin/coordination").split(
        "file "
    )[1]
    file, page = path.split(" by ")[0], place.folder / "page.html"
    since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def took(*words: str) -> float:
        begun = time.perf_counter()
        subprocess.run([*PROGRAM, *words], cwd=clone, env=env, check=True, capture_output=True, timeout=3600)
        return time.perf_counter() - begun

    took("verify")  # so that nothing is checked in the background meanwhile
    git = place.git
    begun = time.perf_counter()
    git(clone, "log", "--raw", "-r", "--no-abbrev", "--format=fuller", "refs/remotes/origin/coordination")
    plain = time.perf_counter() - begun
    questions = {
        "page": ["page", "--output", str(page)],
        "page --since 1d": ["page", "--since", since, "--output", str(place.folder / "day.html")],
        "timeline": ["timeline"],
        "board --at the middle": ["board", "--at", log],
        "status --at the middle": ["status", "--at", log],
        "report --since 1d": ["report", "--since", since],
        "history of a file": ["history", file],
        "log --grep": ["log", "--grep", "module_7", "--limit", "5"],
    }
    for what, words in questions.items():
        seconds = middle([took(*words) for _ in range(2)])
        name = f"L1 {what}, {events:,} events, {SESSIONS:,} sessions"
        yield Row(name, f"{seconds:.1f} s", f"{plain:.1f} s git log --raw", seconds / plain, "", None, {"s": seconds})
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    size = page.stat().st_size / 1000
    yield Row(
        "L1 the page's size",
        f"{size:.0f} KB",
        f"{memory} MB to make it",
        size / 500,
        "≤ 500 KB",
        size <= 500,
        {"kb": size, "mb": memory},
    )
    with suppress(ImportError):
        yield _painted(page)


def _painted(page: Path) -> Row:
    """What a browser needs for the page, opened as a file."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        paints, heap = [], 0.0
        for _ in range(5):
            tab = browser.new_page()
            tab.goto(f"file://{page}")
            tab.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
            paints.append(float(tab.evaluate(PAINT)))
            heap = max(heap, float(tab.evaluate(HEAP)) / 1e6)
            tab.close()
        browser.close()
    first = middle(paints)
    return Row(
        "L1 the page's first paint",
        f"{first:.0f} ms, {heap:.0f} MB",
        "",
        first / 1000,
        "≤ 1 s",
        first <= 1000,
        {"ms": first, "mb": heap},
    )
