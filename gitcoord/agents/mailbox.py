"""A session's mailbox: what background work has fetched for an agent, until a hook of that agent shows it.

    <git dir of the work tree>/gitcoord/mailbox/<session>/
    active          touched by each hook of the agent
    <seq>-<id>.mail one message that was taken for the session, as a line that is inert
    news.json       what is new and concerns it, and up to which event that is told
    seen.json       up to which event it was told
    <digest>.edit   a file that it edits and that nobody has claimed yet
    claimed.json    what was claimed by itself for its edits
    ready.json      the number of a task that is ready for it
    <digest>.told   something that is said only once

Each message is shown by exactly one hook: whose rename comes first. One that was taken and that nobody showed comes again, flagged,
as after any reader that died. Loads the standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitcoord.machine import files

ATTENDED = 900.0
"""Seconds after the agent's last hook in which messages are taken for it: later nobody might come to show them."""

OWN = "! "
"""Begins a line of the news that is about the session itself: it stays until it is shown, whatever is new."""

_IN_HAND = 600.0  # seconds after which what a hook took and never showed is swept away
_ONCE = 86400.0  # seconds in which something is said only once


@dataclass(frozen=True)
class Letter:
    """A message that was taken: its id and seq, its line, and whether somebody has to answer it."""

    id: str
    seq: int
    line: str
    asks: bool = False


@dataclass(frozen=True)
class Handful:
    """What one hook took out to show: lines, the messages among them, whether one asks something, and what to note and take away
    once that is done.
    """

    lines: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    asks: bool = False
    seen: Any = None
    taken: tuple[Path, ...] = field(default=(), repr=False)


class Mailbox:
    """The mailbox of one session in one work tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, own: Path, session: str) -> Mailbox:
        """The session's mailbox. `own`: our folder in the work tree's git folder."""
        return cls(own / "mailbox" / session)

    # --- whether somebody comes for it ---------------------------------------------------------------------------------

    def touch(self) -> None:
        """Notes that the agent is there; makes the mailbox. Raises OSError."""
        files.private_folder(self.folder)
        files.touch(self.folder / "active")

    @property
    def exists(self) -> bool:
        """Whether the session has one: it is an agent's whose hooks show what is in it."""
        return (self.folder / "active").exists()

    def is_attended(self) -> bool:
        """Whether the agent's hooks have called lately."""
        with suppress(OSError):
            return 0 <= time.time() - (self.folder / "active").stat().st_mtime < ATTENDED
        return False

    def remove(self) -> None:
        """Takes it away, with what is in it."""
        import shutil  # here, as `hashlib` below: most hooks need neither

        shutil.rmtree(self.folder, ignore_errors=True)

    # --- messages ------------------------------------------------------------------------------------------------------

    def put(self, letter: Letter) -> None:
        """Lays a message in. Raises OSError."""
        record = {"id": letter.id, "seq": letter.seq, "line": letter.line, "asks": letter.asks}
        files.write_json(self.folder / f"{letter.seq:012d}-{letter.id}.mail", record)

    def ids(self) -> frozenset[str]:
        """The messages that lie in it."""
        return frozenset(path.stem.partition("-")[2] for path in self.folder.glob("*.mail"))

    def take(self, room: int, *, shown: Iterable[str] = (), asking: bool = False) -> Handful:
        """What there is, oldest message first, in at most `room` bytes of lines; what doesn't fit stays. `shown`: messages that the
        agent has seen otherwise; `asking`: only those that somebody has to answer.
        """
        known = frozenset(shown)
        lines, ids, taken = list[str](), list[str](), list[Path]()
        asked = False
        for path in sorted(self.folder.glob("*.mail")):
            letter = files.read(path, _letter)
            if letter is not None and letter.id not in known:
                size = len(letter.line.encode()) + 3
                if (asking and not letter.asks) or size > room:
                    continue
                room -= size
            mine = files.take(path)
            if mine is None:
                continue
            taken.append(mine)
            if letter is not None and letter.id not in known:
                lines.append(f"- {letter.line}")
                ids.append(letter.id)
                asked = asked or letter.asks
        if asking:
            return Handful(tuple(lines), tuple(ids), asked, None, tuple(taken))
        news, seen = self._take_news(room, taken)
        return Handful((*lines, *news), tuple(ids), asked, seen, tuple(taken))

    def done(self, hand: Handful) -> None:
        """Takes away what was shown. Afterwards, not before: what nobody showed must not be lost."""
        if hand.seen is not None:
            self.note_seen(hand.seen)
        for path in hand.taken:
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Takes away what hooks that were killed had in their hands (its messages come again by themselves), and what was said only
        once and long ago.
        """
        for pattern, age in ((".hand-*", _IN_HAND), ("*.reads", _ONCE), ("*.told", _ONCE)):
            for path in self.folder.glob(pattern):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > age:
                        path.unlink()

    # --- news ----------------------------------------------------------------------------------------------------------

    def put_news(self, own: Sequence[str], lines: Sequence[str], seen: Any) -> None:
        """Lays in what is new, in the place of what wasn't shown yet, behind what is about the session itself: what was laid in of
        that, and `own`. `seen`: what is known once it was shown. Raises OSError.
        """
        self._lay_in(lambda before, _: ([*(line for line in before if line.startswith(OWN)), *_own(own), *lines], seen))

    def add_news(self, lines: Sequence[str]) -> None:
        """Lays in what is about the session itself, before what is there. Raises OSError."""
        self._lay_in(lambda before, seen: ([*_own(lines), *before], seen))

    def _lay_in(self, change: Callable[[list[str], Any], tuple[list[str], Any]]) -> None:
        def changed(known: tuple[list[str], Any] | None) -> dict[str, Any]:
            lines, seen = change(*(known or ([], None)))
            return {"lines": list(dict.fromkeys(lines)), "seen": seen}

        files.update(self.folder / "news.json", _news, changed)

    def waiting_news(self) -> list[str]:
        """The lines that were laid in and not shown yet."""
        return (files.read(self.folder / "news.json", _news) or ([], None))[0]

    def seen(self) -> Any:
        """What was noted when news were shown last; None when none were."""
        return files.read_json(self.folder / "seen.json")

    def note_seen(self, seen: Any) -> None:
        """Notes what the agent knows now. On a full disk it is told twice."""
        with suppress(OSError):
            files.write_json(self.folder / "seen.json", seen)

    def drop_news(self) -> None:
        """Takes news away that are told otherwise."""
        (self.folder / "news.json").unlink(missing_ok=True)

    def _take_news(self, room: int, taken: list[Path]) -> tuple[list[str], Any]:
        mine = files.take(self.folder / "news.json")
        if mine is None:
            return [], None
        taken.append(mine)
        there, seen = files.read(mine, _news) or ([], None)
        lines = []
        for line in there:
            room -= len(line.encode("utf-8", "replace")) + 1
            if room < 0:
                break
            lines.append(line)
        return lines, seen if lines else None

    # --- what the agent edits --------------------------------------------------------------------------------------------

    @property
    def claims(self) -> bool:
        """Whether its edits are to be claimed for it."""
        return (self.folder / "autoclaim").exists()

    def set_claims(self, *, on: bool) -> None:
        """Notes the setting, for hooks that can't ask git for it."""
        if on:
            files.touch(self.folder / "autoclaim")
        else:
            (self.folder / "autoclaim").unlink(missing_ok=True)

    def note_edit(self, name: str) -> None:
        """Notes a file (as claims spell it) that the agent is about to edit. Raises OSError."""
        path = self.folder / f"{_digest(name)}.edit"
        if not path.exists():
            files.write_json(path, name)

    def edits(self) -> dict[str, Path]:
        """The files that were noted, each with the note."""
        found = {path: files.read(path, _text) for path in sorted(self.folder.glob("*.edit"))}
        return {name: path for path, name in found.items() if name is not None}

    def claimed(self) -> dict[str, str]:
        """The leases (`42 file:a`) that were claimed for its edits, each with the commit that the work tree stood on."""
        return files.read(self.folder / "claimed.json", _claimed) or {}

    def note_claimed(self, new: Mapping[str, str], *, over: Iterable[str] = ()) -> None:
        """Notes them, beside those that were noted before and are not `over`. Raises OSError."""
        gone = frozenset(over)

        def merge(known: dict[str, str] | None) -> dict[str, str]:
            return {entry: commit for entry, commit in {**(known or {}), **new}.items() if entry not in gone}

        files.update(self.folder / "claimed.json", _claimed, merge)

    # --- what it could do next -------------------------------------------------------------------------------------------

    def set_ready(self, task: int) -> None:
        """Notes the number of a task that is ready for the agent; 0 for none."""
        path = self.folder / "ready.json"
        if task and task != self.ready():
            files.write_json(path, task)
        elif not task:
            path.unlink(missing_ok=True)

    def ready(self) -> int:
        """Return the number of a task that is ready for the agent; 0 where none is known."""
        return files.read(self.folder / "ready.json", int) or 0

    # --- what is said once -----------------------------------------------------------------------------------------------

    def told(self, what: str) -> bool:
        """Whether that was said before."""
        return (self.folder / f"{_digest(what)}.told").exists()

    def tell(self, what: str) -> None:
        """Notes that it was said."""
        with suppress(OSError):
            files.private_folder(self.folder)
            files.touch(self.folder / f"{_digest(what)}.told")


def _own(lines: Iterable[str]) -> list[str]:
    return [OWN + line for line in lines]


def _letter(value: Any) -> Letter:
    return Letter(str(value["id"]), int(value["seq"]), str(value["line"]), value["asks"] is True)


def _news(value: Any) -> tuple[list[str], Any]:
    return files.texts(value["lines"]), value.get("seen")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _claimed(value: Any) -> dict[str, str]:
    return {entry: _text(commit) for entry, commit in files.mapping(value).items()}


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]
