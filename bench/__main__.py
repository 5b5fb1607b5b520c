"""`python -m bench [--only P1,P3] [--json FILE] [--quick]`: a table on stdout, what falls short first."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from bench import (
    agent_hook,
    crowd,
    curves,
    day,
    epochs,
    foretell,
    history,
    hooks,
    kinds,
    looking,
    one_command,
    signatures,
    tasks,
    waiting,
    year,
)
from bench.measure import Row
from bench.places import Place, place

WHAT = (
    "P1 and P2 (one command), P3 and P4 (crowds), P5 (hooks), P6, P7 and P8 (a long past), P9 (epochs), P10 (conflicts), "
    "P6t (many tasks), T1 (plans), D1 (a day of ten agents), S1 (signatures), C1 (more and more writers), C2 (a longer and longer "
    "past); only if asked for: K1 (bytes by kind), L1 (what people look at), W1 and W2 (waiting), Y1 (a year of a million events)"
)


def main() -> int:
    """Measures what was asked for."""
    ask = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    ask.add_argument("--only", default="", help=f"parts of it, by commas: {WHAT}")
    ask.add_argument("--json", type=Path, help="write the figures there, too")
    ask.add_argument("--quick", action="store_true", help="fewer rounds, 10,000 events instead of 100,000")
    ask.add_argument("--events", type=int, default=100_000, help="the longest past of C2, and of Y1 if it isn't a million")
    told = ask.parse_args()
    parts: dict[str, Callable[[Place], Iterator[Row]]] = {
        "P1 P2": lambda where: one_command.run(where, 6 if told.quick else 20),
        "P3 P4": lambda where: crowd.run(where, 10 if told.quick else 15),
        "P5": lambda _: chain(hooks.rows(8 if told.quick else 20), agent_hook.rows(8 if told.quick else 20)),
        "P6 P7 P8": lambda where: history.run(where, 10_000 if told.quick else 100_000),
        "P9": lambda where: epochs.run(where, 20_000 if told.quick else 100_000),
        "P10": lambda where: foretell.run(where, 3 if told.quick else 7),
        "P6t": lambda where: tasks.run(where, 1_000 if told.quick else 10_000, 5 if told.quick else 10),
        "T1": lambda _: tasks.plans(60 if told.quick else 200),
        "D1": lambda where: day.run(where, 100 if told.quick else 20),
        "C1": lambda where: curves.writers(where, 5 if told.quick else 10),
        "C2": lambda where: curves.past(where, 10_000 if told.quick else told.events),
        "S1": lambda where: signatures.run(where, 10_000 if told.quick else 100_000),
        "L1": lambda where: looking.run(where, 10_000 if told.quick else 100_000),
        "K1": lambda where: kinds.run(where, 2 if told.quick else 4),
        "Y1": lambda where: year.run(where, 1_000_000 if told.events == 100_000 else told.events),
        "W1 W2": lambda where: waiting.run(where, 1 if told.quick else 5, 5 if told.quick else 20),
    }
    wanted = set(told.only.split(",")) if told.only else set()
    rows: list[Row] = []
    begun = time.monotonic()
    for names, part in parts.items():
        if not (wanted & set(names.split()) if wanted else names not in ("W1 W2", "K1", "L1", "Y1")):
            continue
        with place() as where:
            for found in part(where):
                print(f"  … {found.what}: {found.ratio:.2f}", file=sys.stderr, flush=True)
                rows.append(found)
    rows.sort(key=lambda found: (found.reached is not False, found.what))
    print(table(rows))
    seconds = time.monotonic() - begun
    print(f"\n{seconds:.0f} s on {os.cpu_count()} processors; Python {platform.python_version()}")
    if told.json:
        told.json.write_text(json.dumps({"seconds": seconds, "rows": [asdict(found) for found in rows]}, indent=2) + "\n")
    return 0


def table(rows: list[Row]) -> str:
    """The rows as text, what falls short first."""
    lines = [("", "measured", "gitcoord", "beside it", "ratio", "goal")]
    for found in rows:
        mark = {True: "ok", False: "SHORT", None: ""}[found.reached]
        lines.append((mark, found.what, found.ours, found.beside, f"{found.ratio:.2f}", found.goal))
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(main())
