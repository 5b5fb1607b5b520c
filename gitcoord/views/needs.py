"""What needs somebody now, in few lines: the most pressing kinds first, each kind with a line before any has its second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitcoord.views.attention import Item

PERSON = "person"
_SILENT = "silent_holder"
_NAMED = 8  # silent holders that are named

_KINDS = {
    PERSON: ("waits for you", "session that waits for a person", "sessions that wait for a person"),
    "unanswered": ("question", "question", "questions"),
    "request": ("request", "request", "requests"),
    "speaker": ("whose?", "event whose speaker is in doubt", "events whose speakers are in doubt"),
    "look_alike": ("look-alike", "name that looks like another", "names that look like others"),
    "trespass": ("committed", "commit to another's file", "commits to others' files"),
    "red": ("red", "red trial", "red trials"),
    "conflict": ("conflict", "foretold conflict", "foretold conflicts"),
    "blocked": ("blocked", "blocked session", "blocked sessions"),
    "waiting": ("waits", "session that waits", "sessions that wait"),
    "handoff": ("handoff", "handoff", "handoffs"),
    "unread": ("unread", "unread message", "unread messages"),
    "overlap": ("overlap", "overlap", "overlaps"),
    "silent_holder": ("silent", "silent holder", "silent holders"),
    "bad_commit": ("ignored", "ignored commit", "ignored commits"),
    "format": ("format", "raised format", "raised formats"),
}
"""The kinds, the most pressing first: the label of each, and how one of it and many are called. A kind without an entry comes
last.
"""

_LEFT_OUT = {"expired", "expires_soon"}
"""A lease that is over or about to run out is in nobody's way, so no page spends a line on these kinds."""


def kind_of(item: Item) -> str:
    """Return the kind of an item here: a session that waits for a person is a kind of its own."""
    return PERSON if item.kind == "waiting" and item.text.endswith(" waits for a person") else item.kind


def label(item: Item) -> str:
    """Return the word under which a page shows the item."""
    return _names(kind_of(item))[0]


def _names(kind: str) -> tuple[str, str, str]:
    """Return the label of a kind, and how one of it and many are called."""
    words = kind.replace("_", " ")
    return _KINDS.get(kind, (words, words, words))


def ordered(items: Iterable[Item]) -> list[Item]:
    """Return the items that somebody should look at, the most pressing first. Silent holders are one item together."""
    ranks = {kind: rank for rank, kind in enumerate(_KINDS)}
    kept = [item for item in items if item.kind not in _LEFT_OUT]
    silent = [item for item in kept if item.kind == _SILENT]
    if len(silent) > 1:
        names = tuple(name for item in silent for name in item.sessions)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        together = Item(_SILENT, f"{len(names)} holders are not heard of: {', '.join(names[:_NAMED])}{more}", names)
        kept = [item for item in kept if item.kind != _SILENT] + [together]
    return sorted(kept, key=lambda item: ranks.get(kind_of(item), len(ranks)))


def chosen(items: Sequence[Item], rows: int) -> tuple[list[Item], str]:
    """Return which of the ordered items stand on a page with room for that many lines, and what the last line says of the others;
    "" where none is left out.
    """
    if len(items) <= rows:
        return list(items), ""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(kind_of(item), []).append(item)
    kept = dict.fromkeys(groups, 0)
    room = max(0, rows - 1)
    while room:
        for kind, group in groups.items():
            if room and kept[kind] < len(group):
                kept[kind] += 1
                room -= 1
    shown = [item for kind, group in groups.items() for item in group[: kept[kind]]]
    left = {kind: len(group) - kept[kind] for kind, group in groups.items()}
    words = ", ".join(f"{count} {_names(kind)[1 if count == 1 else 2]}" for kind, count in left.items() if count)
    return shown, f"and {len(items) - len(shown)} more: {words}"
