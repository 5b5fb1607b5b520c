"""`gitcoord release`: give leases back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from gitcoord.cli.arguments import Names, resources
from gitcoord.cli.connect import answer, connection, options, say
from gitcoord.core.names import branch_or_none
from gitcoord.core.values import oid_or_none
from gitcoord.errors import BadInput
from gitcoord.views import as_json


def release(
    names: Names = None,
    everything: Annotated[bool, typer.Option("--all", help="All that you hold.")] = False,
    done: Annotated[str | None, typer.Option(help="What you finished: told to all.")] = None,
    tests: Annotated[str | None, typer.Option(help="pass or fail.")] = None,
    next_phase: Annotated[str | None, typer.Option("--next", metavar="PHASE", help="Ready to pick up for this phase.")] = None,
    to: Annotated[str | None, typer.Option(metavar="WHO", help="For whom it is ready.")] = None,
) -> None:
    """Give leases back. What nobody holds is fine; what another holds is exit 4."""
    if bool(names) == everything:
        raise BadInput("say what to release, or --all", hint="gitcoord claims --mine")
    verdict: Literal["pass", "fail"] | None = None
    if tests is not None:
        if tests not in ("pass", "fail"):
            raise BadInput(f"--tests is pass or fail, not {tests!r}")
        verdict = "pass" if tests == "pass" else "fail"
    with connection() as found:
        told: dict[str, Any] = {"done": done, "tests": verdict, "next_phase": next_phase, "to": to}
        if done is not None or next_phase:
            head = found.repo.head()
            told |= {"branch": branch_or_none(head.branch), "commit": oid_or_none(head.commit)}
        wanted = resources(found, names) if names else None
        receipt, freed, left = found.coordinator.claims.release(wanted, op=options.op, **told)
        words = [f"released: {entry.split(' ', 1)[1]}" for entry in freed]
        words += [f"gave up the place in line: {name}" for name in left]
        given = {entry.split(" ", 1)[1] for entry in freed} | set(left)
        unheld = [str(one) for one in wanted or () if str(one) not in given]
        nothing = f"nothing was held: {', '.join(unheld)} is nobody's" if unheld else "nothing was held"
        for name in unheld if words else ():
            say(f"warning: {name} was not held by you, nor by anybody")
        if receipt.state == "queued":
            words = [f"{line} (queued: {receipt.why})" for line in words]
        answer(
            {**as_json.receipt(receipt), "released": [entry.split(" ", 1)[1] for entry in freed]},
            *(words or [nothing]),
        )
