"""`gitcoord doctor`: say what is wrong, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from gitcoord.cli import colours
from gitcoord.cli.connect import answer, connection, options, out

_SIGNS = {"ok": ("✓", ""), "warning": ("!", colours.WAITING), "wrong": ("✗", colours.BLOCKED)}
_COULD_BE = ("·", "")  # nothing is wrong, and there is something that could be had


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without a decision.")] = False,
    host: Annotated[bool, typer.Option("--host", help="Also ask GitHub, GitLab, Gitea or Forgejo which rules apply.")] = False,
) -> None:
    """Say what is wrong, and how to mend it."""
    from gitcoord.setup.doctor import examine

    with connection(unverified=True) as found:
        findings = examine(found, fix=fix)
        if host:
            from gitcoord.setup.checks import host as host_check  # here: nobody else pays for loading what talks HTTP

            findings += host_check.look(found)
    wrong = any(one.level == "wrong" for one in findings)
    answer({"ok": not wrong, "findings": [asdict(one) for one in findings]})
    for one in findings if not (options.json or options.quiet) else ():
        sign, meaning = _SIGNS[one.level] if one.level != "ok" or not one.hint else _COULD_BE
        out(f"{sign} {one.what}", meaning)
        if one.hint:
            out(f"    hint: {one.hint}")
    if wrong:
        raise typer.Exit(1)
