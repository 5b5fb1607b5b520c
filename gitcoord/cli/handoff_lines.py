"""Handoffs as commands print them."""

from __future__ import annotations

from gitcoord.cli.connect import PLAIN_LINES, out, quote, say
from gitcoord.core.names import show, word
from gitcoord.core.records import Handoff
from gitcoord.views import as_json

SHOWN = 5  # handoffs named where they are not what was asked for


def show_handoff(one: Handoff) -> None:
    """Print what a handoff says, for people to read."""
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
