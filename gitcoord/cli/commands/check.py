"""`gitcoord check`: exit 0 if it is free or yours, 3 if another holds it, 4 if your fence is an old one."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import moments
from gitcoord.cli.arguments import resources
from gitcoord.cli.connect import answer, connection, tell
from gitcoord.errors import NotHeld
from gitcoord.views import as_json


def check(
    names: Annotated[list[str], typer.Argument(metavar="[TYPE] NAME...", show_default=False)],
    fence: Annotated[int | None, typer.Option(help="The fence your lease has.")] = None,
) -> None:
    """Exit 0 if it is free or yours, 3 if another holds it, 4 if your fence is an old one."""
    with connection() as found:
        wanted = resources(found, names)
        try:
            mine = found.coordinator.claims.check(wanted, fence)
        except NotHeld as error:
            raise typer.Exit(tell(error, outcome="stale")) from error
        what = ", ".join(map(str, wanted))
        outcome = "held" if mine else "free"
        words = f"{what}: " + (f"yours {moments.until(mine[0].expires_at)} (fence {mine[0].fence})" if mine else "free")
        answer({"outcome": outcome, "claims": [as_json.short_claim(one) for one in mine], "blocked_by": []}, words)
