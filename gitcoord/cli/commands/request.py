"""`gitcoord request`: ask whoever holds it to give it up."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import complete
from gitcoord.cli.arguments import split_number
from gitcoord.cli.connect import answer, connection, options
from gitcoord.core.names import show
from gitcoord.errors import Held
from gitcoord.views import as_json


def request(
    names: Annotated[
        list[str], typer.Argument(metavar="[TYPE] NAME [MESSAGE]", show_default=False, autocompletion=complete.claims)
    ],
) -> None:
    """Ask whoever holds it to give it up; the answer comes as a message, and with it an offer."""
    with connection() as found:
        wanted, text = split_number(found, names)
        receipt, asked, denied = found.coordinator.claims.request(wanted, text, op=options.op)
        told = {**as_json.receipt(receipt), "asked": list(asked), "denied": list(denied)}
        if not asked:
            raise Held(
                f"{', '.join(denied)} takes no requests for {show(str(wanted), 80)}",
                hint="wait for it: gitcoord claim with --wait",
                data=told,
            )
        lines = [f"asked {name} for {wanted}; the answer comes to your inbox" for name in asked]
        answer(told, *lines, *(f"{name} takes no requests for it" for name in denied))
