"""`gitcoord handoff`: offer your work, with your claims, to a session, a group or anyone."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import complete
from gitcoord.cli.arguments import resources, text_or_stdin
from gitcoord.cli.connect import answer, connection, options, say
from gitcoord.connection.connect import Connection
from gitcoord.core.names import branch_or_none, show
from gitcoord.core.values import oid_or_none
from gitcoord.errors import BadInput
from gitcoord.views import as_json

DONE = typer.Option(help="What is done.")
NEXT = typer.Option("--next", help="What comes next.")
BLOCKERS = typer.Option(help="What stands in the way.")
TESTS = typer.Option(help="How the tests stand: pass, fail, or a few words.")
BRANCH = typer.Option(help="The branch that the work is on, if not the one that is checked out.")


def handoff(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WHO] [TEXT]", help="A session, role:R, cap:C, repo:NAME or anyone; the text, - for standard input.",
            autocompletion=complete.sessions, show_default=False,
        ),
    ] = None,
    done: Annotated[str | None, DONE] = None,
    following: Annotated[str | None, NEXT] = None,
    blockers: Annotated[str | None, BLOCKERS] = None,
    tests: Annotated[str | None, TESTS] = None,
    branch: Annotated[str | None, BRANCH] = None,
    claim: Annotated[
        list[str] | None, typer.Option("--claim", metavar="TYPE:NAME", help="Only this claim goes along; may be repeated.")
    ] = None,
    no_claims: Annotated[bool, typer.Option("--no-claims", help="No claim goes along.")] = False,
) -> None:  # fmt: skip
    """Offer your work, with your claims, to a session, a group or anyone; you hold them until somebody takes it."""
    to, text = _split(words or [])
    if claim and no_claims:
        raise BadInput("--claim and --no-claims exclude each other", hint="gitcoord handoff --help")
    with connection() as found:
        chosen = resources(found, claim) if claim else [] if no_claims else None
        where = code(found, branch)
        receipt, going = found.coordinator.handoffs.offer(
            to,
            resources=chosen,
            op=options.op,
            done=done,
            next=following,
            blockers=blockers,
            tests=tests,
            notes=text or None,
            **where,
        )
        names = [entry.split(" ", 1)[1] for entry in going]
        number = f"handoff {receipt.seq}" if receipt.seq else "handoff"
        lines = [f"{number} offered to {to}" + (f" (queued: {receipt.why})" if receipt.state == "queued" else "")]
        lines += [f"goes along when it is taken: {name}" for name in names]
        answer({**as_json.receipt(receipt), "to": to, "resources": names, **where}, *lines)


def _split(words: list[str]) -> tuple[str, str]:
    """For whom it is, and the text. A sole word is a receiver, a sole text of several words is a text for anyone."""
    if len(words) > 2:
        raise BadInput(f"{len(words)} words are too many: [WHO] [TEXT]", hint='gitcoord handoff anyone "what comes next"')
    if len(words) == 1 and (words[0] == "-" or len(words[0].split()) != 1):
        words = ["anyone", words[0]]
    return (words[0] if words else "anyone"), (text_or_stdin(words[1]) if len(words) == 2 else "")


def code(found: Connection, branch: str | None) -> dict[str, str | None]:
    """Where the code stands: the branch and its commit; who takes it elsewhere is helped only by what was pushed."""
    head = found.repo.head()
    commit = found.repo.branch_commit(branch) if branch else head.commit
    if branch and not commit:
        raise BadInput(f"there is no branch {show(branch, 80)} here", hint="git branch")
    if commit and found.repo.remotes and not found.repo.is_on_a_remote(commit):
        say(f"note: commit {commit[:12]} is on no remote yet; who takes this elsewhere sees it after a git push")
    return {"branch": branch_or_none(branch or head.branch), "commit": oid_or_none(commit)}
