"""A task as it is spelled in an event: its card, what changes of one, and a new one as a command has it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gitcoord.core import handoffs
from gitcoord.core.records import (
    Line,
    Priority,
    ResourceText,
    Subject,
    TaskSeq,
    Text,
)

if TYPE_CHECKING:
    pass

AT_ONCE = 512  # tasks of one event
NEEDED = 64  # tasks that one needs
TOUCHED = 63  # files that a task names: they are claimed together with the task
PHASES = 16
EVENT_BYTES = 700_000  # of the cards of one event, in plain ASCII: so its commit stays below what a reader takes
_CARD = 600_000  # characters of one card
_M = TypeVar("_M", bound=BaseModel)

Needs = Annotated[tuple[TaskSeq, ...], Field(max_length=NEEDED)]
Files = Annotated[tuple[ResourceText, ...], Field(max_length=TOUCHED)]
Phases = Annotated[tuple[Line, ...], Field(max_length=PHASES)]


def _receiver(value: str | None) -> str | None:
    if value is not None and not handoffs.is_receiver(value):
        raise ValueError("is for nobody")
    return value


For = Annotated[Line | None, AfterValidator(_receiver)]


class Change(BaseModel):
    """Says what changes of a task: the fields that are there, each with its new value."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, populate_by_name=True)

    title: Subject = ""
    body: Text | None = None
    priority: Priority = 2
    needs: Needs = ()
    files: Files = ()
    to: For = Field(default=None, alias="for")
    phases: Phases = ()
    parent: TaskSeq | None = None
    found_in: TaskSeq | None = None


class Card(Change):
    """Says what a new task is, as its event has it. `phases`: the whole line, the first phase included."""

    title: Subject
    key: Line | None = None


# A card is JSON of one level: an object of texts, numbers and lists of them. What is between the texts has these characters only.
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BETWEEN = re.compile(r"\{[\[\],:a-z0-9]*\}", re.ASCII)
_LONG = re.compile(r"[0-9]{17}|\[[^\]]*\[", re.ASCII)


def spelled(values: Mapping[str, Any]) -> str:
    """Return the JSON of a card: the only spelling that counts."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _read(text: str, kind: type[_M]) -> _M:
    """Return the card in that JSON. Raises ValueError for what is spelled in another way, or isn't one."""
    between = _TEXTS.sub("", text)
    if not _BETWEEN.fullmatch(between) or _LONG.search(between):
        raise ValueError("not a card")
    values = json.loads(text)
    if spelled(values) != text:
        raise ValueError("not spelled as a card is")
    try:
        return kind.model_validate(values, strict=False) if _is_plain(values) else _refuse()
    except ValidationError as error:
        raise ValueError(f"not a card: {'.'.join(map(str, error.errors()[0]['loc']))}") from None


def _refuse() -> Any:
    raise ValueError("not a card")


_KINDS: dict[str, type | tuple[type, ...]] = {
    "title": str, "body": (str, type(None)), "priority": int, "needs": list, "files": list, "for": (str, type(None)),
    "phases": list, "parent": (int, type(None)), "found_in": (int, type(None)), "key": (str, type(None)),
}  # fmt: skip


def _is_plain(values: Mapping[str, Any]) -> bool:
    """Return True if each field has the type of JSON that it must have: nothing is left to the library to convert."""
    for key, value in values.items():
        if key not in _KINDS:
            continue
        if isinstance(value, bool) or not isinstance(value, _KINDS[key]):
            return False
        if isinstance(value, list):
            item = int if key == "needs" else str
            if not all(isinstance(one, item) and not isinstance(one, bool) for one in value):
                return False
    return "to" not in values


@lru_cache(maxsize=2048)
def read_card(text: str) -> Card:
    """Return the new task in a card. Raises ValueError."""
    return _read(text, Card)


@lru_cache(maxsize=256)
def read_change(text: str) -> Change:
    """Return the changes in a card. Raises ValueError."""
    change = _read(text, Change)
    if not change.model_fields_set or ("title" in change.model_fields_set and not change.title):
        raise ValueError("changes nothing")
    return change


def _checked(value: str) -> str:
    read_card(value)
    return value


def _changing(value: str) -> str:
    read_change(value)
    return value


CardText = Annotated[str, Field(max_length=_CARD), AfterValidator(_checked)]
ChangeText = Annotated[str, Field(max_length=_CARD), AfterValidator(_changing)]


def split_phase(text: str) -> tuple[str, str | None]:
    """Return a phase and for whom it is: `BUILD@role:coder`; None for anyone."""
    name, at, to = text.rpartition("@")
    return (name, to) if at and name and handoffs.is_receiver(to) else (text, None)


def begun(phases: Sequence[str], to: str | None) -> dict[str, Any]:
    """Return the fields of a task that stands at the beginning of that line."""
    if not phases:
        return {"phase": None, "phases": (), "to": to}
    name, own = split_phase(phases[0])
    return {"phase": name, "phases": tuple(phases[1:]), "to": own or to}


class NewTask(BaseModel):
    """A task as it is asked for: other tasks are named by their number, id or key; `=KEY` is one that comes along."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    title: Subject
    body: Text | None = None
    priority: Priority = 2
    needs: tuple[Line, ...] = ()
    files: Files = ()
    to: For = None
    phases: Phases = ()
    parent: Line | None = None
    found_in: Line | None = None
    key: Line | None = None


def spelled_name(field: str) -> str:
    """Return the name of a task's field as records and commands have it."""
    return "for" if field == "to" else field


def parted(cards: Iterable[NewTask]) -> list[list[NewTask]]:
    """Return the new tasks in groups that each fit into one commit, in their order."""
    found: list[list[NewTask]] = []
    size = 0
    for card in cards:
        own = 200 + sum(len(json.dumps(text)) for text in (card.title, card.body or "", *card.files, *card.phases)) + 20 * NEEDED
        if not found or size + own > EVENT_BYTES or len(found[-1]) == AT_ONCE:
            found.append([])
            size = 0
        found[-1].append(card)
        size += own
    return found
