"""Handoffs: handoff, handoffs, take."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

from gitcoord.cli import complete
from gitcoord.cli.arguments import resources, text_or_stdin
from gitcoord.cli.connect import PLAIN_LINES, answer, connection, options, others_words, out, quote, say
from gitcoord.connection.connect import Connection
from gitcoord.core import leases
from gitcoord.core.handoffs import Handoff
from gitcoord.core.names import branch_or_none, show, word
from gitcoord.core.times import spell
from gitcoord.core.values import oid_or_none
from gitcoord.errors import BadInput
from gitcoord.views import as_json

SHOWN = 5  # handoffs named where they are not what was asked for
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
        receipt, going = found.coordinator.handoff(
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
        lines = [f"{number} offered to {to}" + (" (queued: the remote is away)" if receipt.state == "queued" else "")]
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


def handoffs(
    everything: Annotated[bool, typer.Option("--all", help="Taken ones too.")] = False,
) -> None:
    """List what is handed over: open ones, those for you first."""
    with connection() as found:
        every = found.coordinator.handoffs(everything=everything)
        if options.json:
            answer({"handoffs": [{**as_json.record(one.handoff), "for_me": one.for_me, "mine": one.mine} for one in every]})
            return
        with others_words() if every else nullcontext():
            for one in every:
                mark = "yours" if one.mine else "you may take it" if one.for_me else ""
                taken = f"taken by {one.handoff.taken_by}" if one.handoff.status != "open" else mark
                out(
                    f"#{one.handoff.seq} {spell(one.handoff.timestamp)} {as_json.offer_line(one.handoff)}"
                    + (f" [{taken}]" if taken else "")
                )
        if not every:
            out("no handoffs")


def take(
    which: Annotated[str | None, typer.Argument(metavar="[ID]", help="Its id or seq; none: the only one for you.")] = None,
    previous: Annotated[
        str | None,
        typer.Option("--from", metavar="SESSION", help="Take the place of a session that has been silent for long.",
                     autocompletion=complete.sessions),
    ] = None,
) -> None:  # fmt: skip
    """Take a handoff, or a silent session's place: the claims are yours from then on; your work tree is not touched."""
    if which is not None and previous is not None:
        raise BadInput("one or the other: a handoff's ID, or --from SESSION", hint="gitcoord handoffs")
    with connection() as found:
        if previous is not None:
            _take_place(found, previous)
            return
        taken = found.coordinator.take(which, op=options.op)
        state = found.coordinator.view(fresh=False).state
        told = {**as_json.receipt(taken.receipt), "handoff": as_json.record(taken.handoff)}
        blocked = [leases.describe(state, one, found.coordinator.time_now()) for one in taken.missed]
        answer({**told, "claims": [as_json.short_claim(one) for one in taken.claims], "blocked_by": blocked})
        if not options.json and not options.quiet:
            out(f"taken: handoff {taken.handoff.seq} of {taken.handoff.sender}")
            with others_words():
                show_handoff(taken.handoff)
            for one in taken.claims:
                out(f"held: {one.resource} until {spell(one.expires_at)} (fence {one.fence})")
        for lease in taken.missed:
            say(f"note: {lease.resource} is not yours: {lease.claimed_by} holds it until {spell(lease.expires_at)}")


def _take_place(found: Connection, previous: str) -> None:
    came = found.coordinator.take_place(previous, op=options.op)
    over = came.receipt.state == "unchanged"
    lines = [f"{previous} had ended already; it holds nothing" if over else f"you took the place of {previous}"]
    lines += [f"held: {one.resource} until {spell(one.expires_at)} (fence {one.fence})" for one in came.claims]
    theirs = [f"open handoff #{one.seq}: {as_json.offer_line(one)}" for one in came.handoffs]
    theirs += [f"open question #{one.seq} of {one.sender} to {previous}: {show(one.subject, 120)}" for one in came.questions]
    told: dict[str, Any] = {
        **as_json.receipt(came.receipt), "previous": previous, "claims": [as_json.short_claim(one) for one in came.claims],
        "handoffs": [as_json.record(one) for one in came.handoffs], "questions": [as_json.message(one) for one in came.questions],
    }  # fmt: skip
    answer(told, *lines)
    if theirs and not options.json and not options.quiet:
        with others_words():
            for line in theirs:
                out(line)


def show_handoff(one: Handoff) -> None:
    """What a handoff says, for people."""
    where = [f"{what} {word(name)}" for what, name in (("branch", one.branch), ("commit", one.commit)) if name]
    if where:  # these are pasted into a shell
        out(f"  to check out: {', '.join(where)}")
    for label, text in (
        ("done", one.done),
        ("next", one.next),
        ("blockers", one.blockers),
        ("tests", one.tests),
        ("notes", one.notes),
    ):
        every = (text or "").splitlines()
        for number, line in enumerate(every[:PLAIN_LINES]):
            out(f"  {label if number == 0 else '':>8} | {show(line)}")
        if len(every) > PLAIN_LINES:
            out(f"           … {len(every)} lines in all: gitcoord handoffs --all --json")


def tell_offered(offers: list[Handoff]) -> None:
    """Names open handoffs that the caller could take."""
    quote([f"open handoff #{one.seq}: {as_json.offer_line(one)}; to take it: gitcoord take {one.seq}" for one in offers[:SHOWN]])
    if len(offers) > SHOWN:
        say(f"… and {len(offers) - SHOWN} more open handoffs: gitcoord handoffs")
