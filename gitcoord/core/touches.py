"""Touches: which lines of which files a session has changed, in the lines of the commit that it began from.

Names and numbers only. Two sessions that began from the same commit will collide where their lines meet: git makes a conflict of
two changes between which no line is left as it was. Loads the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

from gitcoord.core.names import LINE_LIMIT, is_line

FILES = 64
"""Files that one heartbeat names; of more, the folders."""
SIZE = 4096
"""Bytes of all that one heartbeat says of lines."""
_SPANS = (24, 12, 6)  # places of one file, first; where there are more, those that are nearest to each other count as one

ADDED, DELETED, MOVED, CAME, WHOLE, UNCOMMITTED = "+", "-", ">", "<", "*", "?"
_MARKS = "+-><*?"
_SPAN = re.compile(r"(?:([1-9][0-9]{0,8})(?:-([1-9][0-9]{0,8})|(\+))?|(0\+))(?:=([0-9a-f]{2}))?", re.ASCII)

Kind = Literal["certain", "likely", "near"]
"""How sure it is that two sessions collide: git says so; their lines meet; they change the same file."""


class Span(NamedTuple):
    """A place in a file: the `gone` lines behind its first `at` ones; 0 lines: what is put in there. `check`: a byte, in hex, by
    which the same new lines are known ("": it isn't told).
    """

    at: int
    gone: int
    check: str = ""

    @property
    def end(self) -> int:
        """Return how many lines there are up to its end."""
        return self.at + self.gone

    @property
    def plain(self) -> str:
        """Return it as people read it."""
        if not self.gone:
            return f"{self.at}+"
        return str(self.end) if self.gone == 1 else f"{self.at + 1}-{self.end}"

    def __str__(self) -> str:
        return f"{self.plain}={self.check}" if self.check else self.plain


HunkLike = tuple[int, ...]
"""A place where two commits differ: behind so many old lines, so many old lines, behind so many new lines, so many new lines."""


@dataclass(frozen=True)
class Touch:
    """What a session has done to one file. `marks`: of `+` added, `-` deleted, `>` moved away, `<` moved here, `*` changed in a way
    that lines don't tell (or all files of a folder, whose name ends in `/`), `?` not committed yet.
    """

    path: str
    spans: tuple[Span, ...] = ()
    marks: str = ""

    @classmethod
    def parse(cls, entry: str) -> Touch:
        """Read an entry as it stands in an event: `src/api.py:12-40,88,?`. Raises ValueError."""
        path, colon, lines = entry.rpartition(":")
        if not (path and colon) or not is_line(entry):
            raise ValueError("not a file and its lines")
        spans: list[Span] = []
        words = lines.split(",")
        while words and (match := _SPAN.fullmatch(words[0])):
            spans.append(_span(match))
            words.pop(0)
        touch = cls(path, tuple(spans), "".join(words))
        in_order = all(one.end < two.at for one, two in pairwise(spans))
        if str(touch) != entry or not in_order or not _are_marks(touch.marks) or not (spans or touch.marks):
            raise ValueError("not a file and its lines")
        return touch

    def __str__(self) -> str:
        return self.entry

    @cached_property
    def entry(self) -> str:
        """Return it as it stands in an event."""
        return f"{self.path}:{self.lines}"

    @property
    def lines(self) -> str:
        """Return its places and marks as they are spelled."""
        return ",".join([*map(str, self.spans), *self.marks])

    @property
    def folder(self) -> bool:
        """Return True if it stands for all files of a folder."""
        return self.path.endswith("/")

    @property
    def committed(self) -> bool:
        """Return True if all of it is committed."""
        return UNCOMMITTED not in self.marks


def _span(match: re.Match[str]) -> Span:
    check = match[5] or ""
    if match[4]:
        return Span(0, 0, check)
    first = int(match[1])
    return Span(first, 0, check) if match[3] else Span(first - 1, int(match[2] or first) - first + 1, check)


def _are_marks(marks: str) -> bool:
    return all(mark in _MARKS for mark in marks) and list(marks) == sorted(set(marks), key=_MARKS.index)


def is_touch(entry: str) -> bool:
    """Return True if an event may say that of a file."""
    try:
        Touch.parse(entry)
    except ValueError:
        return False
    return True


def are_bounded(entries: Sequence[str]) -> bool:
    """Return True if one event may say all of that."""
    return len(entries) <= FILES and sum(len(entry.encode("utf-8", "surrogatepass")) + 1 for entry in entries) <= SIZE


def marked(*marks: str) -> str:
    """Return those marks in the order in which they are spelled."""
    return "".join(sorted({mark for mark in marks if mark}, key=_MARKS.index))


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the places in order; those between which no line is left are one, of which nobody knows what stands there."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.at <= found[-1].end:
            found[-1] = Span(found[-1].at, max(found[-1].end, span.end) - found[-1].at)
        else:
            found.append(span)
    return tuple(found)


def bounded(touches: Sequence[Touch]) -> tuple[Touch, ...]:
    """Return as much as one event may say: few places of a file, then fewer and without their checks, then folders for files."""
    kept = [_short(touch) for touch in touches]
    for places in _SPANS if len(kept) <= FILES else ():
        if not are_bounded([touch.entry for touch in kept]):
            kept = [replace(touch, spans=tuple(Span(*span[:2]) for span in _few(touch.spans, places))) for touch in kept]
    while long := next((touch for touch in kept if len(touch.entry) > LINE_LIMIT), None):
        kept = _folded(kept, _above(long.path))
    while not are_bounded([touch.entry for touch in kept]):
        kept = _folded(kept, _fullest(kept))
    return tuple(kept)


def _short(touch: Touch) -> Touch:
    """The touch with as many places as fit on a line."""
    found = (replace(touch, spans=_few(touch.spans, places)) for places in _SPANS)
    return next((short for short in found if len(short.entry) <= LINE_LIMIT), replace(touch, spans=_few(touch.spans, _SPANS[-1])))


def _folded(touches: Sequence[Touch], folder: str) -> list[Touch]:
    """The touches with that folder in the place of all that is in it."""
    below = [touch for touch in touches if _is_below(touch.path, folder)]
    mark = UNCOMMITTED if any(not touch.committed for touch in below) else ""
    return [*(touch for touch in touches if touch not in below), Touch(folder, marks=marked(WHOLE, mark))]


def _few(spans: tuple[Span, ...], places: int) -> tuple[Span, ...]:
    found = list(spans)
    while len(found) > places:
        gaps = [two.at - one.end for one, two in pairwise(found)]
        at = gaps.index(min(gaps))
        found[at : at + 2] = [Span(found[at].at, found[at + 1].end - found[at].at)]
    return tuple(found)


def _above(path: str) -> str:
    """The folder around a file or folder; `./` for the root."""
    folder = path.rstrip("/").rpartition("/")[0]
    return f"{folder}/" if folder else "./"


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder) or (folder == "./" and path != "./") or path == folder


def _fullest(touches: Sequence[Touch]) -> str:
    """The folder in whose place least is lost: the deepest one that says most."""
    sizes: dict[str, int] = {}
    for touch in touches:
        if touch.path != "./":
            folder = _above(touch.path)
            sizes[folder] = sizes.get(folder, -len(folder) - 4) + len(touch.entry.encode("utf-8", "surrogatepass")) + 1
    return max(sizes, key=lambda folder: (sizes[folder] > 0, folder.count("/"), sizes[folder], folder))


class Meeting(NamedTuple):
    """A file that two sessions change: whether that is likely to be a conflict, and the lines where (none: of the whole file)."""

    path: str
    kind: Kind
    spans: tuple[Span, ...] = ()


def meetings(one: Sequence[Touch], other: Sequence[Touch]) -> list[Meeting]:
    """Return the files that both change, in lines of the commit from which both began; the likely conflicts first."""
    theirs = {touch.path: touch for touch in other}
    same_goal = {touch.path for touch in one if CAME in touch.marks} & {touch.path for touch in other if CAME in touch.marks}
    found = [_meet(touch, theirs[touch.path], same_goal=bool(same_goal)) for touch in one if touch.path in theirs]
    seen = {meeting.path for meeting in found if meeting is not None}
    for mine, yours in ((one, other), (other, one)):
        for folder in (touch.path for touch in mine if touch.folder):
            below = [touch.path for touch in yours if _is_below(touch.path, folder) and touch.path not in seen]
            found += [Meeting(path, "near") for path in below]
            seen.update(below)
    return sorted((meeting for meeting in found if meeting is not None), key=lambda one: (one.kind == "near", one.path))


def _meet(one: Touch, other: Touch, *, same_goal: bool) -> Meeting | None:
    marks = (frozenset(one.marks), frozenset(other.marks))
    if one.folder:
        return Meeting(one.path, "near")
    if all(DELETED in each for each in marks):
        return None  # both have it no more: nothing is left to quarrel about
    whole = WHOLE in marks[0] | marks[1] and all(touch.spans or WHOLE in touch.marks for touch in (one, other))
    same = bool(one.spans) and one.spans == other.spans and all(span.check for span in one.spans)
    both_added = all({ADDED, CAME} & each for each in marks) and not same and not all(CAME in each for each in marks)
    both_moved = all(MOVED in each for each in marks) and not same_goal
    likely = whole or both_added or both_moved or any(DELETED in each for each in marks)
    spans = joined(
        Span(min(mine.at, yours.at), max(mine.end, yours.end) - min(mine.at, yours.at))
        for mine in one.spans
        for yours in other.spans
        if mine.at <= yours.end and yours.at <= mine.end and not (mine.check and mine == yours)
    )
    return Meeting(one.path, "likely" if likely or spans else "near", () if both_added else spans)


def carried_over(touches: Sequence[Touch], changed: Mapping[str, tuple[str, Sequence[HunkLike] | None]]) -> list[Touch]:
    """Return the touches in lines of another commit. `changed`: by path, what differs from the one to the other: the new path (""
    where the file is gone) and where its lines differ (None: lines don't tell).
    """
    found = []
    for touch in touches:
        to, hunks = changed.get(touch.path, (touch.path, ()))
        if not to:
            continue  # it isn't there any more: that will be a conflict of its own
        if hunks is None:
            found.append(replace(touch, path=to, spans=(), marks=marked(WHOLE, *touch.marks)))
            continue
        spans = joined(_moved(span, hunks) for span in touch.spans)
        found.append(replace(touch, path=to, spans=spans))
    return found


def _moved(span: Span, hunks: Sequence[HunkLike]) -> Span:
    """The place in the new lines; where these differ inside of it, all of the difference is in it."""
    at, end = span.at, span.end
    start, stop = at, end
    for old, gone, new, count, *_ in sorted(hunks):
        behind = old + gone
        if behind < at or (behind == at and gone):
            start = new + count + (at - behind)
        elif old < at:
            start = new
        if behind <= end:
            stop = new + count + (end - behind)
        elif old < end:
            stop = new + count
    return Span(start, max(0, stop - start), span.check if stop - start == span.gone else "")


def spelled(spans: Sequence[Span]) -> str:
    """Return places as people read them: `12-40,88`."""
    return ",".join(span.plain for span in spans)


def read_spans(text: str) -> tuple[Span, ...]:
    """Return the places in such a text. Raises ValueError."""
    return Touch.parse(f"x:{text}").spans if text else ()


def each_named(touches: Iterable[Touch], name: Callable[[str], str]) -> list[Touch]:
    """Return the touches with their paths spelled otherwise."""
    return [replace(touch, path=name(touch.path)) for touch in touches]
