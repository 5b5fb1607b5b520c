"""`gitcoord verify`: replay the whole history."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli.connect import answer, beginning, connection, say

_COUNTS = "it counts: who may speak for whom changes nothing of what is good"


def verify(
    full: Annotated[bool, typer.Option("--full", help="Compare the tree and the board of every commit.")] = False,
    signatures: Annotated[bool, typer.Option("--signatures", help="Check every signature, by what you trust.")] = False,
) -> None:
    """Replay the whole history; show that history, trees and boards agree, and name each commit that doesn't, and each in which
    somebody else seems to have spoken in a session's name.
    """
    with connection() as found:
        verdict = found.coordinator.branch.verify(full=full)
        problems = [{"commit": one.commit, "reason": one.reason, "effect": one.effect} for one in verdict.problems]
        ignored = len(problems)
        examined = found.coordinator.speakers.examine(signatures=signatures)
        problems += [
            {"commit": one.commit, "reason": f"event {one.seq} {one.words}", "effect": _COUNTS} for one in examined.doubtful
        ]
        ok = verdict.ok and not (signatures and any(one.wrong for one in examined.doubtful))
        lines = [f"{one['commit'][:12]}: {one['reason']} ({one['effect']})" for one in problems]
        said = [f"{number} {word}" for word, number in sorted(examined.signatures.items())] if signatures else []
        lines += [f"signatures: {', '.join(said)}"] if said else []
        tail = f", {len(problems) - ignored} said by somebody else, or not signed" if len(problems) > ignored else ""
        word = "ok" if ok else "not ok"
        lines.append(f"{word}: {verdict.commits} commits, {verdict.events} events, {ignored} ignored or differing{tail}")
        if verdict.resumed:
            say(f"it went on behind event {verdict.resumed}, where an earlier one was stopped")
        if verdict.began > 1:
            lines.append(beginning(verdict.began, "" if full else "gitcoord verify --full"))
        answer(
            {
                "commits": verdict.commits, "events": verdict.events, "ok": ok, "problems": problems, "tip": verdict.tip,
                "began": verdict.began, **({"resumed": verdict.resumed} if verdict.resumed else {}),
                **({"signatures": examined.signatures} if signatures else {}),
            },
            *lines,
        )  # fmt: skip
        if not ok:
            raise typer.Exit(1)
