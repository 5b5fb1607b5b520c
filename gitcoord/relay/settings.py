"""What a relay keeps on this machine: its settings (a file that only this user can read) and how far it has come."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gitcoord.errors import BadInput
from gitcoord.machine import files

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_KEYS = {
    "to": list, "events": (str, list), "from": str, "from_file": str, "slack_token": str, "slack_url": str, "webhook_token": str,
    "exec": (str, list), "exec_on": (str, list), "exec_timeout": str, "allow_private": bool, "allow_http": bool, "ttl": str,
}  # fmt: skip
_ASIDE = 100  # events set aside that are remembered


@dataclass(frozen=True)
class RelayFile:
    """The settings of one relay: the keys that are set, and the addresses by their names."""

    values: Mapping[str, Any] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)


def parse_name(text: str) -> str:
    """A relay's name. Raises BadInput."""
    if not _NAME.fullmatch(text):
        raise BadInput("a relay's name is made of small letters, digits and '-', at most 32", hint="gitcoord relay --name chat")
    return text


def read_settings(path: Path, name: str, *, outside: str) -> RelayFile:
    """The settings of that relay; empty ones if there is no such file. `outside`: the work tree, where it must not lie.

    Raises BadInput where others could read it, or where it isn't what it should be; no message quotes what is in it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return RelayFile()
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        real = os.path.realpath(path)
        if outside and os.path.commonpath([real, os.path.realpath(outside)]) == os.path.realpath(outside):
            raise BadInput(f"{path} lies in the work tree, where secrets don't belong", hint="move it to your own configuration")
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
            raise BadInput(f"{path} is not a file of yours")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise BadInput(
                f"{path} holds secrets, and others than you can read it (mode {stat.S_IMODE(status.st_mode):03o})",
                hint=f"chmod 600 {path}",
            )
        try:
            found = tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            raise BadInput(f"{path} is not TOML", hint="see docs/relay.md") from None
    relays, urls = found.get("relay", {}), found.get("urls", {})
    own = relays.get(name, {}) if isinstance(relays, dict) else None
    if not isinstance(own, dict) or not isinstance(urls, dict) or not all(isinstance(one, str) for one in urls.values()):
        raise BadInput(f"{path} has no table [relay.{name}] with settings, or no table [urls] with addresses")
    for key, value in own.items():
        if key not in _KEYS or not isinstance(value, _KEYS[key]):  # type: ignore[arg-type]  # a class, or a tuple of classes
            raise BadInput(f"{path} sets {key!r} in [relay.{name}], which is no setting of a relay, or not of that kind")
    return RelayFile(own, urls)


@dataclass
class Book:
    """How far a relay has come, on this machine. Each note is written whole before what it is about goes on."""

    path: Path
    session: str = ""
    run: str = ""
    sent: dict[str, tuple[int, int]] = field(default_factory=dict)  # by outlet: the last event and question dealt with
    trying: dict[str, str] = field(default_factory=dict)  # by outlet: the key of what was on its way
    heard: dict[str, str] = field(default_factory=dict)  # by inlet: the place
    ran: int = 0  # the last message for which a command was run
    aside: list[tuple[str, int, str]] = field(default_factory=list)  # outlet, event, why
    seen: dict[str, Any] = field(default_factory=dict)  # what the branch said, and up to where it was read for that

    @classmethod
    def open(cls, folder: Path, name: str) -> Book:
        """The book of that relay; an empty one if there is none, or it can't be read."""
        files.private_folder(folder)
        book = cls(folder / f"{name}.json")

        def parse(record: Any) -> Book:
            sent = {str(key): (int(one[0]), int(one[1])) for key, one in record["sent"].items()}
            trying = {str(key): str(one) for key, one in record["trying"].items()}
            heard = {str(key): str(one) for key, one in record["heard"].items()}
            aside = [(str(one[0]), int(one[1]), str(one[2])) for one in record["aside"]]
            seen = record.get("seen")
            known = seen if isinstance(seen, dict) else {}
            session, run = str(record["session"]), str(record["run"])
            return cls(book.path, session, run, sent, trying, heard, int(record["ran"]), aside, known)

        return files.read(book.path, parse) or book

    def note_session(self, session: str, run: str) -> None:
        """Note the relay's own session and its run, and write that down."""
        self.session, self.run = session, run
        self.save()

    def note_seen(self, seen: dict[str, Any]) -> None:
        """Note what the branch said; the next `save` writes it down."""
        self.seen = seen

    def note_ran(self, seq: int) -> None:
        """Note the last message for which a command was run; the next `save` writes it down."""
        self.ran = seq

    def save(self, *, durable: bool = False) -> None:
        """Writes it down. Raises OSError: what can't be noted must not be done."""
        record = {
            "session": self.session, "run": self.run, "sent": self.sent, "trying": self.trying, "heard": self.heard,
            "ran": self.ran, "aside": self.aside[-_ASIDE:], "seen": self.seen,
        }  # fmt: skip
        files.update(self.path, files.mapping, lambda known: {**(known or {}), **record}, durable=durable)


def only_one(folder: Path, name: str) -> FileLock | None:
    """The lock of that relay on this machine, held until it is released; None when another process has it."""
    files.private_folder(folder)
    lock = FileLock(folder / f"{name}.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock
