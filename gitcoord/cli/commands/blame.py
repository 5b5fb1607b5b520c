"""`gitcoord blame`: who held a file when its lines were made."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from gitcoord.cli import moments
from gitcoord.cli.arguments import resource
from gitcoord.cli.connect import answer, beginning, connection, options, others_words, out, say, table
from gitcoord.core.names import show
from gitcoord.core.times import spell
from gitcoord.errors import BadInput
from gitcoord.git.blamed import Blamed, CommitWords, blamed, words_of
from gitcoord.views import as_json
from gitcoord.views.blame import Origin

_LINES = re.compile(r"(?P<path>.+?):(?P<first>[1-9][0-9]{0,8})(?:-(?P<last>[1-9][0-9]{0,8}))?")
_HOW = {"trailers": "its commit says so", "hooks": "hooks told of it", "time": "held it then"}


def blame(
    place: Annotated[str, typer.Argument(metavar="PATH[:LINE]", help="A file; one of its lines, or from one to another: 12-40.")],
) -> None:
    """Show who made each line of a file, under which claim and task, and how that is known."""
    asked = _LINES.fullmatch(place)
    path = asked["path"] if asked else place
    lines = (int(asked["first"]), int(asked["last"] or asked["first"])) if asked else None
    if lines is not None and lines[0] > lines[1]:
        raise BadInput(f"line {lines[0]} comes after line {lines[1]}", hint=f"gitcoord blame {path}:{lines[1]}-{lines[0]}")
    with connection() as found:
        what = resource(found, path)
        if what.type != "file":
            raise BadInput(f"{show(str(what), 80)} is no file", hint=f"gitcoord history {show(str(what), 80)}")
        parts = blamed(found.repo, what.path, lines)
        said = words_of(found.repo, (part.commit for part in parts), "Coord-Session")
        made = {oid: (words.made_at, words.trailers[0]) for oid, words in said.items()}
        origins, holders = found.coordinator.branch.blame(what, made)
        began = found.coordinator.branch.beginning()
    if began > 1:
        say(beginning(began))
    if options.json:
        answer({
            "path": what.path, "held_by": holders,
            "lines": [_record(part, said.get(part.commit), origins.get(part.commit, Origin())) for part in parts],
        })  # fmt: skip
        return
    rows = [_row(part, said.get(part.commit), origins.get(part.commit, Origin())) for part in parts]
    with others_words():
        table(["LINES", "SESSION", "CLAIM", "TASK", "COMMIT", "MADE", "HOW IT IS KNOWN"], rows)
        out(f"held now by {', '.join(holders)}" if holders else "nobody holds it now")


def _record(part: Blamed, words: CommitWords | None, whose: Origin) -> dict[str, Any]:
    return {
        "first": part.first, "last": part.last, "commit": part.commit or None, "made_at": spell(words.made_at) if words else None,
        "author": words.author if words else None, "subject": words.subject if words else None, **as_json.origin(whose),
    }  # fmt: skip


def _row(part: Blamed, words: CommitWords | None, whose: Origin) -> list[str]:
    number = str(part.first) if part.first == part.last else f"{part.first}-{part.last}"
    if words is None:
        return [number, "not committed yet", "", "", "", "", ""]
    claim = f"{whose.claim.resource} (fence {whose.claim.fence})" if whose.claim else "none" if whose.session else ""
    others = f"{' or '.join(whose.holders)} held it then" if whose.holders else "nobody held it then"
    how = _HOW[whose.by] if whose.by else others
    return [
        number,
        whose.session or "?",
        claim,
        f"#{whose.task}" if whose.task else "",
        words.commit[:9],
        moments.moment(words.made_at),
        how,
    ]
