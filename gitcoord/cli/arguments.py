"""What was typed → values: resources, texts from standard input."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from gitcoord.cli import complete
from gitcoord.cli.connect import here_and_root, say
from gitcoord.connection.connect import Connection, utc_now
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.core import names
from gitcoord.core.names import Resource, is_resource_type, show
from gitcoord.core.times import has_zone, is_duration, parse_duration, parse_when, spell
from gitcoord.errors import BadInput


def resources(found: Connection, words: Sequence[str]) -> list[Resource]:
    """The resources in `[TYPE] NAME…`: `TYPE:NAME` anywhere; a sole word is a path; else a first word that can be a type is one.

    Raises BadInput.
    """
    here, root = here_and_root(found)
    repo = found.coordinator.actor.namespace
    words = list(words)
    kind = "file"
    if len(words) > 1 and names.is_resource_type(words[0]):
        if words[0] != "file" and all(_is_there(found, word) for word in words):
            files, named = shlex.join(words), " ".join(names.word(f"{words[0]}:{word}") for word in words[1:])
            raise BadInput(
                f"{show(words[0], 60)} is a path here, and could be a type: which of the two is meant?",
                hint=f"the files: file {files} | of the type {words[0]}: {named}",
            )
        kind, words = words[0], words[1:]
    parsed = []
    for word in words:
        if kind == "file":
            parsed.append(_as_shown(found, word) or names.parse_named(word, root=root, here=here, repo=repo))
        else:
            parsed.append(names.parse_resource(kind, word, root=root, here=here, repo=repo))
    return list(dict.fromkeys(parsed))


def _is_there(found: Connection, word: str) -> bool:
    """True if something in this work tree has that name, as it was typed."""
    here, root = here_and_root(found)
    return bool(root) and os.path.lexists(os.path.join(root, here, word))


def _as_shown(found: Connection, word: str) -> Resource | None:
    """The resource in `TYPE/NAME`, where no folder here is called so and the branch knows that type."""
    meant = _in_slashes(found, word)
    return meant if meant is not None and found.coordinator.claims.knows_type_of(meant) else None


def _in_slashes(found: Connection, word: str) -> Resource | None:
    """The resource that `TYPE/NAME` could mean; None where a folder of that name is here."""
    meant = names.in_slashes(word)
    return meant if meant is not None and not _is_there(found, meant.type) else None


def refuse_doubtful(found: Connection, words: Sequence[str], *, command: str = "gitcoord claim") -> None:
    """Raises BadInput for a sole name that is no file and may mean something else: it looks like words, or like `TYPE:NAME`.
    `command`: what the names stand behind.
    """
    word = words[0]
    if len(words) != 1 or _is_there(found, word):
        return
    if re.search(r"\s", word.strip()) and not re.search(r"[./:*?]", word):
        raise BadInput(
            f"{show(word, 80)!r} looks like words, and no file here is called so",
            hint=f"{command} {names.word(f'task:{word}')} | or a file to come: {command} {names.word(f'file:{word}')}",
        )
    meant = _in_slashes(found, word) if here_and_root(found)[1] else None
    if meant is not None and not names.is_like_file(meant.name) and _as_shown(found, word) is None:
        raise BadInput(
            f"{show(word, 80)!r} is no file here; what is called so and is none is spelled {names.word(str(meant))}",
            hint=f"{command} {names.word(str(meant))} | or a file to come: {command} {names.word(f'file:{word}')}",
        )


def missing(found: Connection, wanted: Sequence[Resource]) -> list[str]:
    """The names of files among these that are not there, where a work tree is: names of files to come, or mistyped."""
    _, root = here_and_root(found)
    namespace = found.coordinator.actor.namespace
    own = [one for one in wanted if one.type == "file" and (one.repo or "") == namespace and not set("*?") & set(one.path)]
    return [one.path for one in own if root and not os.path.lexists(os.path.join(root, one.path))]


def resource(found: Connection, text: str) -> Resource:
    """The one resource in `TYPE:NAME`, or a path."""
    return resources(found, [text])[0]


def text_or_stdin(text: str) -> str:
    """The text, or standard input for `-`. Raises BadInput when that isn't UTF-8."""
    if text != "-":
        return text
    if sys.stdin is None:
        raise BadInput("standard input is closed, and - reads from there")
    data = sys.stdin.buffer.read(names.TEXT_LIMIT + 2)
    if len(data) > names.TEXT_LIMIT + 1:
        raise BadInput(f"standard input is longer than {names.TEXT_LIMIT} bytes")
    try:
        return data.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        raise BadInput("standard input is not valid UTF-8") from None


def patience(coordinator: Coordinator, timeout: str | None) -> float:
    """Seconds to wait: as asked; else 90 for an agent, whose shell cuts what takes longer, and days for a person."""
    if timeout is not None:
        return waiting_time(timeout)
    return 90.0 if coordinator.actor.agent else 10 * 86400.0


Names = Annotated[list[str] | None, typer.Argument(metavar="[TYPE] NAME...", autocompletion=complete.claims, show_default=False)]


def seconds(text: str | None) -> int | None:
    """Return the seconds of a duration as it is typed; None where none is. Raises BadInput."""
    return int(parse_duration(text).total_seconds()) if text else None


def when(text: str, *, ahead: bool) -> datetime:
    """Return the instant that somebody typed, in the local time zone where it names none, which is said then. Raises BadInput."""
    instant = parse_when(text, now=utc_now().astimezone(), ahead=ahead, local=datetime.astimezone)
    if not has_zone(text):
        say(f"note: {show(text, 40)} is {spell(instant)}, by this machine's time zone")
    return instant


At = Annotated[str | None, typer.Option(metavar="WHEN", help="As it was then: a time, an event's seq, or a commit.")]


def past_point(text: str | None) -> str | None:
    """Return a point of the past as the branch takes it: an event's seq, a commit, or an instant. Raises BadInput."""
    if text is None or re.fullmatch(r"\d{1,9}|[0-9a-f]{7,64}", text, re.ASCII):
        return text
    return when(text, ahead=False).isoformat()


def waiting_time(text: str) -> float:
    """Return the seconds that somebody wants to wait: a duration, or until a time of day. Raises BadInput."""
    if is_duration(text):
        return parse_duration(text).total_seconds()
    seconds = (when(text, ahead=True) - utc_now()).total_seconds()
    if seconds <= 0:
        raise BadInput(f"{show(text, 40)!r} is over already", hint="write how long to wait: 90s, 30m; or until when: 15:00")
    return seconds


def split_number(found: Connection, words: list[str]) -> tuple[Resource, str]:
    """Return the resource that is asked for, and the message that stands behind it. Raises BadInput."""
    takes = 2 if len(words) > 1 and is_resource_type(words[0]) else 1
    if len(words) > takes + 1:
        raise BadInput(f"{len(words)} words are too many: TYPE NAME [MESSAGE]", hint='gitcoord request file src/api.py "May I?"')
    return resources(found, words[:takes])[0], text_or_stdin(words[takes]) if len(words) > takes else ""
