"""`gitcoord conflicts`: show who will collide with whom."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from gitcoord.cli import colours
from gitcoord.cli.connect import answer, connection, options, others_words, out, say, wrapped
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.foretelling import Collision
from gitcoord.core import names
from gitcoord.errors import NoSession
from gitcoord.log.outcomes import View
from gitcoord.views import arbiter, as_json, collisions

_MEANINGS = {"certain": colours.BLOCKED, "likely": colours.WAITING}
_COLLIDES = 3  # the exit code: the answer is no


def conflicts(
    other: Annotated[str | None, typer.Option("--with", metavar="SESSION", help="With that session alone.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="All pairs of sessions, not only yours.")] = False,
    brief: Annotated[
        tuple[str, str] | None, typer.Option("--brief", metavar="A B", help="What somebody needs who merges these two sessions.")
    ] = None,
    staged: Annotated[bool, typer.Option("--staged", help="Of what is not committed, only what a commit would take.")] = False,
) -> None:
    """Show who will collide: certain, likely, near. Exit 3 if it is certain for you."""
    with connection() as found:
        coordinator = found.coordinator
        if not coordinator.actor.cached and coordinator.parts.outbox.spooled():  # hooks noted where this session is: others need it
            coordinator.branch.sync()
        view = coordinator.branch.view()
        if brief is not None:
            _brief(coordinator, view, (_known(view, brief[0]), _known(view, brief[1])))
            return
        only = _known(view, other) if other else ""
        looked = coordinator.foretelling.look(
            view, only=only, everyone=everyone, staged=staged, online=not coordinator.actor.cached
        )  # fmt: skip
        me = coordinator.actor.session
        if coordinator.actor.run_id and not coordinator.actor.cached:  # the others learn it, too
            coordinator.foretelling.tell(view, looked)
        answer_is_no = any(one.kind == "certain" and one.concerns(me) for one in looked.collisions)
        if options.json:
            answer({"conflicts": [as_json.collision(one, me) for one in looked.collisions], "unknown": list(looked.unknown)})
        else:
            _print(looked.collisions, me)
    for text in looked.unknown:
        say(f"warning: {text}")
    if answer_is_no:
        raise typer.Exit(_COLLIDES)


def _known(view: View, name: str) -> str:
    """The name of a session that there is. Raises NoSession."""
    session = names.parse_session(name)
    if session not in view.state.sessions:
        raise NoSession(f"no session is called {session}", hint="gitcoord peers")
    return session


def _brief(coordinator: Coordinator, view: View, both: tuple[str, str]) -> None:
    """Both changes where two sessions collide, and what both say of them."""
    looked = coordinator.foretelling.look(view, everyone=True, online=not coordinator.actor.cached)
    found = [one for one in looked.collisions if set(one.sessions) == set(both)]
    diffs = coordinator.foretelling.changes(found)
    text = arbiter.brief(view.state, both, found, diffs, nonce=secrets.token_hex(16))
    if options.json:
        every = [as_json.collision(one, coordinator.actor.session) for one in found]
        answer({"brief": text, "conflicts": every, "unknown": list(looked.unknown)})
    else:
        for line in text.splitlines():
            out(line)


def _print(found: tuple[Collision, ...], me: str) -> None:
    with others_words():
        for one in found:
            wrapped(f"{one.kind}: {collisions.line(one, me)}", _MEANINGS.get(one.kind, ""))
    if not found:
        out("nothing collides, as far as can be told")
    asked = next((one.partner(me) for one in found if one.concerns(me) and one.kind != "near" and one.partner(me)), "")
    if asked:
        say(f'hint: gitcoord ask {asked} "who goes first?"; gitcoord conflicts --brief {me} {asked}')
