"""What the format allows, as hypothesis strategies: names, lines, texts, and every kind of event with any content."""

from __future__ import annotations

import re
import typing
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Any, Literal

from hypothesis import settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from gitcoord.core import names, rules, task_cards
from gitcoord.core.events import Event

many = settings(max_examples=settings.default.max_examples * 6)
"""For what everything rests on: six times as many examples as the profile says."""

HIDDEN = "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\ufeff\U000e0041\U000e007f"
"""Characters that reorder or hide text: admission refuses them in a line, the format carries them."""

NASTY = (
    "", " ", "  ", "a ", " a", "\\", "\\u", "\\u{", "\\u{}", "\\u{1B}", "\\\\u{5C}", "\\u{110000}", "\\u{D800}", "[skip ci]",
    "[skip ci] ", "Coord-Event: claim.acquired", "Coord-Id: x", "Signed-off-by: a <b@c>", "key: value", "# heading", "---",
    "diff --git a/x b/x", "From 0000 Mon Sep 17 00:00:00 2001", "🙂", "👩‍👩‍👧", "e\u0301", "é", "\u202eevil", "\u200b", "-",
)  # fmt: skip
"""What an encoding could trip over."""

_NO_SURROGATES = st.characters(exclude_categories=("Cs",))
_LINE_CHARS = st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(HIDDEN + " \\u{}[]:#")

lines = st.sampled_from(NASTY) | st.text(_LINE_CHARS, max_size=40)
"""Any line that the format carries."""

fragments = st.sampled_from(
    (*NASTY, "\n", "\n\n", "\n\n\n", " \n", "\r\n", "\t", "\x00", "\x1b[2J", "\x7f", "\x85", "\n\nCoord-Seq: 9")
)
texts = st.text(_NO_SURROGATES, max_size=60) | st.lists(fragments | lines, max_size=8).map("".join)
"""Any text that the format carries: many lines, control characters, what looks like a trailer."""

session_names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True).filter(names.is_session_name)
ids = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}", fullmatch=True)
resource_types = st.sampled_from(("file", "droplet", "a", "x_1", "t" * 32))
resource_names = lines.filter(lambda text: len(text) > 0 and len(text.encode()) <= 300)
resources = st.builds(lambda kind, name: f"{kind}:{name}", resource_types, resource_names)

instants = st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31, 23, 59, 59), timezones=st.just(UTC)).map(
    lambda when: when.replace(microsecond=0)
)
"""Instants that a record may hold."""

fences = st.integers(0, 10**15)
released = st.builds(lambda fence, what: f"{fence} {what}", fences, resources)
renewed = st.builds(lambda fence, until, what: f"{fence} {until:%Y-%m-%dT%H:%M:%SZ} {what}", fences, instants, resources)
taken = st.builds(
    lambda fence, holder, why, what: f"{fence} {holder} {why} {what}",
    fences, session_names, st.sampled_from(("expired", "ended", "stale", "broken")), resources,
)  # fmt: skip
granted = st.builds(lambda place, who, what: f"{place} {who} {what}", fences, session_names, resources)
asked = st.builds(
    lambda fence, holder, how, what: f"{fence} {holder} {how} {what}",
    fences, session_names, st.sampled_from(("held", "denied")), resources,
)  # fmt: skip

oids = st.integers(0, 2**160 - 1).map(lambda number: f"{number:040x}")
touched = st.builds(lambda fence, holder, what: f"{fence} {holder} {what}", fences, session_names, resources)
touches = st.builds(
    lambda path, lines: f"{path}:{lines}",
    lines.filter(lambda text: 0 < len(text) < 400), st.sampled_from(("12-40,88", "3+,?", "+", "-", "*", "0+,9,>", "<,?")),
)  # fmt: skip
repositories = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?", fullmatch=True).filter(
    lambda name: not name.endswith((".claim", ".d", ".lock"))
)

ignored = st.builds(lambda oid, why: f"{oid} {why or 'x'}", oids, lines.filter(lambda text: not names.UNSAFE.search(text)))
code_branches = st.sampled_from(("main", "feature/x", "ü", "a;b", "v1.0", "x" * 250))
words = st.sampled_from(("note", "question", "normal", "urgent", "some_later_word"))

incoming = st.builds(lambda oid, who, branch: f"{oid} {who} {branch}", oids, session_names, code_branches)

numbers = st.integers(1, 2**53)
_parts = {
    "body": texts, "priority": st.integers(0, 4),
    "needs": st.lists(numbers, min_size=1, max_size=3), "files": st.lists(resources, min_size=1, max_size=3),
    "for": st.sampled_from(("role:coder", "cap:rust", "session-001", "anyone")),
    "phases": st.lists(lines, min_size=1, max_size=3), "parent": numbers, "found_in": numbers,
}  # fmt: skip
_titles = {"title": lines.filter(lambda text: 0 < len(text) <= names.SUBJECT_LIMIT)}
cards = st.fixed_dictionaries(_titles, optional={**_parts, "key": lines}).map(task_cards.spelled)
"""A new task as its event has it, with anything in its fields."""
changes = st.fixed_dictionaries(_titles, optional=_parts).map(task_cards.spelled)

_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "cards": st.lists(cards, min_size=1, max_size=3).map(tuple),
    "change": changes,
    "task": numbers,
    "incoming": st.lists(incoming, min_size=1, max_size=3).map(tuple),
    "left_out": st.lists(incoming, max_size=3).map(tuple),
    "culprits": st.lists(incoming, max_size=3).map(tuple),
    "onto": code_branches,
    "digest": st.just("0123456789abcdef" * 2),
    "proof_commit": st.none() | oids,
    "ignored": st.lists(ignored, max_size=3).map(tuple),
    "branch": st.none() | code_branches,
    "commit": st.none() | oids,
    "root": oids,
    "tree": oids,
    "closed": oids,
    "base": st.none() | oids,
    "between": st.lists(session_names, min_size=1, max_size=2).map(tuple),
    "commits": st.lists(oids, max_size=2).map(tuple),
    "touches": st.lists(touches, max_size=2).map(tuple),
    "lines": st.lists(touches, max_size=2).map(tuple),
    "touched": st.lists(touched, max_size=3).map(tuple),
    "type": words,
    "priority": words,
    "details": st.lists(lines.map(lambda text: f"key={text}"), max_size=3).map(tuple),
    "id": ids,
    "session": session_names,
    "run_id": st.just("") | ids,
    "succeeds": ids,
    "at": instants,
    "seq": st.integers(1, 2**53),
    "lapsed": st.none() | lines,
    "released": st.lists(released, max_size=3).map(tuple),
    "taken": st.lists(taken, max_size=3).map(tuple),
    "messages": st.lists(ids, min_size=1, max_size=4).map(tuple),
    "shown": st.lists(ids, max_size=4).map(tuple),
    "in_reply_to": st.none() | ids,
    "thread": st.none() | ids,
    "granted": st.lists(granted, max_size=3).map(tuple),
    "holders": st.lists(asked, min_size=1, max_size=3).map(tuple),
    "collected": st.lists(released, max_size=3).map(tuple),
    "left": st.lists(resources, max_size=3).map(tuple),
    "request": ids,
    "asker": session_names,
    "resource": resources,
    "lease": released,
    "leases": st.lists(released, max_size=3).map(tuple),
    "moved": st.lists(released, max_size=3).map(tuple),
    "handoff": ids,
    "giver": session_names,
    "previous": session_names,
    "previous_run": st.just("") | ids,
    "abandoned": st.lists(session_names, max_size=3).map(tuple),
    "subject": lines.filter(lambda text: len(text) <= names.SUBJECT_LIMIT),
}
_TEXTS = {kind: kind.text for kind in rules.EVENTS.values() if kind.text}


def _of(annotation: Any, info: FieldInfo) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _of(arguments[0], info)
    if origin in (typing.Union, UnionType):
        return st.one_of(*(_of(one, info) for one in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        item = resources if "resource" in repr(arguments[0]).lower() else _of(arguments[0], info)
        return st.lists(item, min_size=1, max_size=3).map(tuple)
    if annotation is NoneType:
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is datetime:
        return instants
    if annotation is int:
        return st.integers(2, 1000) if "le=1000" in repr(info) else st.integers(0, 2**53)
    assert annotation is str, annotation
    return lines


def fields(kind: type[Event]) -> dict[str, st.SearchStrategy[Any]]:
    """A strategy for each field of that kind of event."""
    found = {}
    for name, info in kind.model_fields.items():
        if name == _TEXTS.get(kind):
            found[name] = st.none() | texts
        elif name == "asked":
            found[name] = st.sampled_from(("", "0123456789abcdef" * 2))
        elif name in ("renewed", "regained"):
            found[name] = st.lists(renewed, min_size=1, max_size=3).map(tuple)
        elif name == "repo" and kind.kind == "repository.joined":
            found[name] = repositories
        elif name == "repo" and kind.kind == "trial.done":
            found[name] = st.none() | repositories
        elif name == "base" and kind.kind == "trial.done":
            found[name] = oids
        elif name == "taken" and kind.kind == "claim.passed":
            found[name] = st.lists(taken, min_size=1, max_size=3).map(tuple)
        elif name == "to" and kind.kind == "task.closed":
            found[name] = st.sampled_from((None, "anyone", "role:coder", "session-001"))
        elif name == "resources":
            found[name] = st.lists(resources, min_size=1, max_size=3).map(tuple)
        elif name in _BY_NAME:
            found[name] = _BY_NAME[name]
        else:
            found[name] = _of(info.annotation, info)
    return found


def events(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Any event of that kind, whatever it says."""
    return st.builds(kind, **fields(kind))


any_event = st.one_of(*(events(kind) for kind in rules.EVENTS.values()))
"""Any event of any kind."""

unsafe_characters = st.characters(categories=("Cc", "Cs", "Zl", "Zp")) | st.sampled_from(HIDDEN)
wild_texts = st.text(unsafe_characters | st.characters(), max_size=60)
"""Any string that Python can hold, lone surrogates included."""

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)
"""C0, DEL, C1, soft hyphen, bidi, zero-width, line separators, tags, surrogates: spelled here once more, on purpose."""
