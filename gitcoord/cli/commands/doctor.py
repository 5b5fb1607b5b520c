"""`gitcoord doctor`: say what is wrong, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from gitcoord.cli.connect import answer, connection


def doctor(fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without a decision.")] = False) -> None:
    """Say what is wrong, and how to mend it."""
    from gitcoord.setup.doctor import examine

    with connection(unverified=True) as found:
        findings = examine(found, fix=fix)
    wrong = any(one.level == "wrong" for one in findings)
    lines = []
    for one in findings:
        lines.append(f"{'✓' if one.level == 'ok' else '!' if one.level == 'warning' else '✗'} {one.what}")
        if one.hint:
            lines.append(f"    hint: {one.hint}")
    answer({"ok": not wrong, "findings": [asdict(one) for one in findings]}, *lines)
    if wrong:
        raise typer.Exit(1)
