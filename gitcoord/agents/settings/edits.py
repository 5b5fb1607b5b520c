"""How gitcoord's part stands in an agent's file, and how it is put in and taken out: three ways, each a pure function of text.

`JsonHooks`: entries among others' in a JSON file. `Block`: lines between two marks. `Whole`: a file that is all ours. What is ours
is known by what it says (the command; a digest in the first mark), so that it is found again on any machine and by any version.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gitcoord.agents.settings import jsontext
from gitcoord.agents.settings.jsontext import Path

State = Literal["absent", "installed", "outdated", "edited", "foreign"]
"""Nothing of ours; all of it as this version has it; some of it, or as another version had it; changed by somebody inside; a file
of somebody else's where ours would be.
"""

COMMAND = "gitcoord hook"
_REFUSES = """said=$(%s) && [ -n "$said" ] && { echo "$said" >&2; exit 2; }; exit 0"""
_OURS = re.compile(  # what else a person made of it is theirs
    rf"{COMMAND}(?: --agent [\w:-]+)?(?: \|\| true| \|\| echo '[^']*')?"
    rf"|{re.escape(_REFUSES).replace('%s', COMMAND + r' --agent [a-z]+')}"
)


def refusing(command: str) -> str:
    """Return a command for a shell that ends with 2, and the answer among its errors, if that command answers anything."""
    return _REFUSES % command


class Edit(Protocol):
    """One of the ways."""

    def state(self, text: str) -> State:
        """What of ours is there. Raises NotPlain for a text that can't be read."""
        ...

    def add(self, text: str) -> tuple[str, list[Path]]:
        """The text with ours in it (there is none yet), and what had to be made for it. Raises NotPlain."""
        ...

    def strip(self, text: str, made: Sequence[Path] | None) -> str:
        """The text without ours, and without what was made for it, as far as that is empty now (`made` None: not known, so whatever
        was emptied by this).
        """
        ...

    def renew(self, text: str, made: Sequence[Path] | None) -> str:
        """Return the text with ours as this version has it, where another version's stands; `made` as in `strip`. What stays the
        same keeps its place: Codex knows a hook by where it stands, and asks its person about each that it doesn't know.
        """
        return self.add(self.strip(text, made))[0]

    def is_asked_about(self, before: str, after: str) -> bool:
        """Return True if an agent that asks its person about each new hook would ask after that change."""
        return before != after

    def bare(self, text: str) -> bool:
        """Whether nothing is left that anybody could miss, in a file that was made for ours."""
        ...


@dataclass(frozen=True)
class JsonHooks(Edit):
    """Entries in a file of settings. `entries`: for the lists at these paths; `members`: what the file needs beside them; `rules`:
    texts in lists, such as permissions.
    """

    entries: tuple[tuple[Path, Any], ...]
    members: tuple[tuple[Path, Any], ...] = ()
    rules: tuple[tuple[Path, str], ...] = ()

    def state(self, text: str) -> State:
        """All entries and rules as they are now, some, or none."""
        text = text.strip() or "{}"
        jsontext.load(text)
        there = [value in jsontext.elements(text, path) for path, value in (*self.entries, *self.rules)]
        if all(there) and self._count(text) == len(self.entries):
            return "installed"
        return "outdated" if self._count(text) else "absent"

    def add(self, text: str) -> tuple[str, list[Path]]:
        """Each entry at the end of its list; a rule only if it isn't there."""
        text = text if text.strip() else "{}\n"
        made: list[Path] = []
        for path, value in self.members:
            if jsontext.get(text, path) is None:
                text, new = jsontext.put(text, path, value)
                made += new
        for path, value in self.entries:
            text, new = jsontext.append(text, path, value)
            made += new
        for path, rule in self.rules:
            if rule not in jsontext.elements(text, path):
                text, new = jsontext.append(text, path, rule)
                made += [*new, (*path, rule)]
        return text, made

    def strip(self, text: str, made: Sequence[Path] | None) -> str:
        """Every handler that runs our command, wherever it stands; groups, lists and objects that this leaves empty; our rules."""
        return self._strip(text, made)

    def _strip(self, text: str, made: Sequence[Path] | None, keep: tuple[tuple[Path, Any], ...] = ()) -> str:
        before = text
        lists = self._lists(text)
        for path in lists:
            text = _without_ours(text, path, [value for where, value in keep if where == path])
        for path, rule in self.rules:
            found = jsontext.elements(text, path)
            if rule in found and (made is None or (*path, rule) in made):
                text = jsontext.drop(text, path, list(found).index(rule))
        several = (*lists, *(path for path, _ in self.rules))
        for holder in sorted({path[:length] for path in several for length in range(1, len(path) + 1)}, key=len, reverse=True):
            emptied = jsontext.look(text, holder) in ([], {}) and jsontext.look(before, holder) not in ([], {})
            if emptied and (made is None or holder in made):
                text = jsontext.drop(text, holder[:-1], str(holder[-1]))
        for path, _ in self.members:
            if made is not None and path in made and len(jsontext.get(text, path[:-1])) == 1:  # else others' entries need it now
                text = jsontext.drop(text, path[:-1], str(path[-1]))
        return text

    def renew(self, text: str, made: Sequence[Path] | None) -> str:
        """One group of ours in each list is this version's, in the place where one stood; others of ours go."""
        for path in self._lists(text):
            wanted = [value for where, value in self.entries if where == path]
            groups = list(jsontext.elements(text, path))
            ours = [place for place, group in enumerate(groups) if _handlers(group) and all(map(_is_ours, _handlers(group)))]
            if len(wanted) != 1 or not ours:
                continue
            kept = next((place for place in ours if groups[place] == wanted[0]), ours[0])
            if groups[kept] != wanted[0]:
                text = jsontext.replace(text, path, kept, wanted[0])
            for place in reversed(ours):
                text = jsontext.drop(text, path, place) if place != kept else text
        rest = JsonHooks(
            tuple(one for one in self.entries if one[1] not in jsontext.elements(text, one[0])), self.members, self.rules
        )
        text = self._strip(text, made, keep=self.entries)
        return rest.add(text)[0]

    def is_asked_about(self, before: str, after: str) -> bool:
        """Return True if a group of ours is another one than before, or stands elsewhere."""
        return bool(self._standing(after) - self._standing(before))

    def _standing(self, text: str) -> set[tuple[Path, int, str]]:
        """Return where which groups of ours stand."""
        text = text.strip() or "{}"
        return {
            (path, place, json.dumps(group, sort_keys=True))
            for path in self._lists(text)
            for place, group in enumerate(jsontext.elements(text, path))
            if any(map(_is_ours, _handlers(group)))
        }

    def bare(self, text: str) -> bool:
        """Nothing, or only what every such file must have."""
        found = jsontext.load(text)
        return found in ({}, {path[0]: value for path, value in self.members if len(path) == 1})

    def _count(self, text: str) -> int:
        """How many entries of ours there are, of any version."""
        return sum(any(map(_is_ours, _handlers(one))) for path in self._lists(text) for one in jsontext.elements(text, path))

    def _lists(self, text: str) -> list[Path]:
        """Every list of hooks that there is, also of events that this version has nothing for."""
        found: dict[Path, None] = {}
        for path, _ in self.entries:
            try:
                holder = jsontext.get(text, path[:-1])
            except jsontext.NotPlain:
                continue
            if isinstance(holder, dict):
                found |= dict.fromkeys((*path[:-1], event) for event, value in holder.items() if isinstance(value, list))
        return list(found)


def _handlers(entry: Any) -> list[Any]:
    """The handlers of a group, or the one that the entry is."""
    inner = entry.get("hooks") if isinstance(entry, dict) else None
    return inner if isinstance(inner, list) else [entry]


def _is_ours(handler: Any) -> bool:
    if not isinstance(handler, dict):
        return False
    said = handler.get("command", handler.get("bash"))
    return isinstance(said, str) and _OURS.fullmatch(said) is not None


def _without_ours(text: str, path: Path, keep: Sequence[Any] = ()) -> str:
    """A handler that somebody put into our group stays there."""
    found = list(jsontext.elements(text, path))
    for place in reversed(range(len(found))):
        if found[place] in keep:
            continue
        handlers = _handlers(found[place])
        ours = [number for number, one in enumerate(handlers) if _is_ours(one)]
        if ours and len(ours) == len(handlers):
            text = jsontext.drop(text, path, place)
        else:
            for number in reversed(ours):
                text = jsontext.drop(text, (*path, place, "hooks"), number)
    return text


@dataclass(frozen=True)
class Block(Edit):
    """Lines between two marks, the first one with a digest of them. `before`, `after`: how a comment begins and ends there.
    `unless`: a line that begins like this stands in the way.
    """

    text: str
    before: str = "<!-- "
    after: str = " -->"
    unless: str = ""

    def state(self, text: str) -> State:
        """Whether the lines are as they were put in."""
        match = self._pattern().search(text)
        if not match:
            return "absent"
        if match[1] != _digest(match[2]):
            return "edited"
        return "installed" if match[2] == self.text else "outdated"

    def add(self, text: str) -> tuple[str, list[Path]]:
        """At the end, behind an empty line."""
        if self.unless and any(line.startswith(self.unless) for line in text.splitlines()):
            raise jsontext.NotPlain(f"it has `{self.unless}` already; to be added there: {self.text.strip()}")
        newline = "\r\n" if "\r\n" in text else "\n"
        gap = "" if not text else newline if text.endswith("\n") else newline * 2
        lines = f"{self._begin(_digest(self.text))}\n{self.text}{self.before}gitcoord end{self.after}\n"
        return text + gap + lines.replace("\n", newline), []

    def strip(self, text: str, made: Sequence[Path] | None) -> str:
        """With the empty line before it."""
        return re.sub(rf"(?:\r?\n)?{self._pattern().pattern}", "", text, count=1, flags=re.DOTALL)

    def bare(self, text: str) -> bool:
        """Nothing."""
        return not text.strip()

    def _begin(self, digest: str) -> str:
        return f"{self.before}gitcoord begin {digest}{self.after}"

    def _pattern(self) -> re.Pattern[str]:
        before, after = re.escape(self.before), re.escape(self.after)
        return re.compile(rf"{before}gitcoord begin ([0-9a-f]+){after}\r?\n(.*?){before}gitcoord end{after}\r?\n?", re.DOTALL)


@dataclass(frozen=True)
class Whole(Edit):
    """A file that is all ours: its first line is a comment with a digest of the rest. `before`, `after`: as in a `Block`."""

    text: str
    before: str = "// "
    after: str = ""

    def state(self, text: str) -> State:
        """Whether it is as it was put there."""
        if not text:
            return "absent"
        match = re.match(rf"{re.escape(self.before)}gitcoord file ([0-9a-f]+){re.escape(self.after)}\r?\n", text)
        if not match:
            return "foreign"
        rest = text[match.end() :]
        if match[1] != _digest(rest):
            return "edited"
        return "installed" if rest == self.text else "outdated"

    def add(self, text: str) -> tuple[str, list[Path]]:
        """The file."""
        return f"{self.before}gitcoord file {_digest(self.text)}{self.after}\n{self.text}", []

    def strip(self, text: str, made: Sequence[Path] | None) -> str:
        """Nothing is left."""
        return ""

    def bare(self, text: str) -> bool:
        """Nothing."""
        return not text


@dataclass(frozen=True)
class WholeJson(Edit):
    """A JSON file that is all ours. It can bear no mark, so it is known by what it says; `mark`: what it says in every version."""

    value: Any
    mark: str

    @property
    def _text(self) -> str:
        return json.dumps(self.value, indent=2) + "\n"

    def state(self, text: str) -> State:
        """Return how the file stands to what this version writes."""
        if not text.strip():
            return "absent"
        if text.replace("\r\n", "\n") == self._text:
            return "installed"
        return "outdated" if self.mark in text else "foreign"

    def add(self, text: str) -> tuple[str, list[Path]]:
        """The file."""
        return self._text, []

    def strip(self, text: str, made: Sequence[Path] | None) -> str:
        """Nothing is left."""
        return ""

    def bare(self, text: str) -> bool:
        """Nothing."""
        return not text


def _digest(text: str) -> str:
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()[:16]
