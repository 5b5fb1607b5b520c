"""`gitcoord verify`: replay the whole history."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli.connect import answer, connection


def verify(
    full: Annotated[bool, typer.Option("--full", help="Compare the tree and the board of every commit.")] = False,
) -> None:
    """Replay the whole history; show that history, trees and boards agree, and name each commit that doesn't."""
    with connection() as found:
        verdict = found.coordinator.branch.verify(full=full)
        problems = [{"commit": one.commit, "reason": one.reason, "effect": one.effect} for one in verdict.problems]
        lines = [f"{one.commit[:12]}: {one.reason} ({one.effect})" for one in verdict.problems]
        word = "ok" if verdict.ok else "not ok"
        lines.append(f"{word}: {verdict.commits} commits, {verdict.events} events, {len(problems)} ignored or differing")
        answer(
            {"commits": verdict.commits, "events": verdict.events, "ok": verdict.ok, "problems": problems, "tip": verdict.tip},
            *lines,
        )
        if not verdict.ok:
            raise typer.Exit(1)
