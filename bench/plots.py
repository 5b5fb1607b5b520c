"""Draws what `python -m bench --json FILE` has measured: `python -m bench.plots FILE FOLDER` writes two pictures there."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt  # after the choice of what it draws with

INK, OURS, PLAIN = "#57606a", "#0969da", "#cf222e"  # readable on white and on black
STYLE = {
    "svg.hashsalt": "gitcoord",  # the same figures give the same file
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "text.color", "xtick.color", "ytick.color"), INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def main() -> int:
    """Draw what the file has."""
    ask = argparse.ArgumentParser(prog="python -m bench.plots", description=__doc__)
    ask.add_argument("figures", type=Path, help="what `python -m bench --json FILE` wrote")
    ask.add_argument("folder", type=Path, help="where the pictures go")
    told = ask.parse_args()
    rows = [row["more"] for row in json.loads(told.figures.read_text())["rows"]]
    told.folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        writers(sorted((row for row in rows if "writers" in row), key=lambda row: row["writers"]), told.folder / "writers.svg")
        past([row for row in rows if "events" in row], told.folder / "past.svg")
    return 0


def writers(rows: list[dict[str, Any]], path: Path) -> None:
    """Throughput, and the slowest answer of a hundred, against the sessions that claim at once."""
    counts = [row["writers"] for row in rows]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for ax, key, title in ((axes[0], "op_s", "claims a second"), (axes[1], "p99_s", "99th percentile, seconds")):
        for name, colour, label in (("ours", OURS, "gitcoord"), ("plain", PLAIN, "fetch, commit, push, again")):
            values = [row[f"{name}_{key}"] for row in rows]
            ax.plot(counts, values, "o-", color=colour, markersize=4)
            ax.annotate(label, (counts[-1], values[-1]), xytext=(-4, 6), textcoords="offset points", ha="right", color=colour)
        _scales(ax, counts, title, "sessions that claim at once, on one machine")
    _save(figure, path)


def past(rows: list[dict[str, Any]], path: Path) -> None:
    """What a command costs against the events that the branch has."""
    figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    counts = sorted({row["events"] for row in rows})
    for name, colour in (("claim", OURS), ("status", PLAIN)):
        values = [
            next(1000 * row[f"{name}_s"] for row in rows if row["events"] == count and f"{name}_s" in row) for count in counts
        ]
        ax.plot(counts, values, "o-", color=colour, markersize=4)
        ax.annotate(
            f"gitcoord {name}", (counts[-1], values[-1]), xytext=(-4, 6), textcoords="offset points", ha="right", color=colour
        )
    _scales(ax, counts, "milliseconds a command", "events on the branch")
    ax.set_yscale("linear")
    ax.set_ylim(bottom=0)
    _save(figure, path)


def _scales(ax: Any, counts: list[int], title: str, below: str) -> None:
    ax.set_xscale("log", base=2 if counts[-1] < 1000 else 10)
    ax.set_yscale("log")
    ax.set_xticks(counts, [f"{count:,}" for count in counts])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_title(title, fontsize=10, loc="left")
    ax.set_xlabel(below)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
