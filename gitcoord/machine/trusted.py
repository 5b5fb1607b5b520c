"""Whom this user trusts: two small files of their own, in their configuration, outside of every branch and checkout.

`allowed_signers` has the form that ssh and git read, so `gpg.ssh.allowedSignersFile` may name it, too. `people` has the e-mail
addresses of one person in a line.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitcoord.core.trust import Trust, parse_trust
from gitcoord.errors import BadInput
from gitcoord.machine import files

_LARGEST = 1 << 22  # bytes of such a file
_SIGNERS, _PEOPLE = "allowed_signers", "people"


def trust_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder with what the user trusts."""
    home = environ.get("HOME") or os.path.expanduser("~")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return Path(config) / "gitcoord"


def read_own(path: Path) -> bytes | None:
    """Return what is in a file that the user keeps, wherever it really lies; None where it can't be read, or is no file."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            return file.read(_LARGEST) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None


@dataclass(frozen=True)
class TrustFiles:
    """What the user trusts. `inside`: the work tree and the repository, from which nothing is taken."""

    folder: Path
    inside: tuple[str, ...] = ()

    @property
    def signers(self) -> Path:
        """Return the file of allowed signers."""
        return self.folder / _SIGNERS

    def read(self) -> Trust:
        """Return what is trusted; nothing where there is no such file, or where it can't be believed."""
        return self.read_with_faults()[0]

    def read_with_faults(self) -> tuple[Trust, list[str]]:
        """Return what is trusted, and why lines of it, or all of it, can't be used."""
        if why := self._unfit():
            return Trust(), [why]
        return parse_trust(self._text(_SIGNERS), self._text(_PEOPLE))

    def _text(self, name: str) -> str:
        return (read_own(self.folder / name) or b"").decode("utf-8", "replace")

    def _unfit(self) -> str:
        """Return why nothing there is believed: it comes with a checkout, or others may write it; "" where all is well."""
        folder = os.path.realpath(self.folder)
        if any(place and f"{folder}/".startswith(f"{os.path.realpath(place)}/") for place in self.inside):
            return f"{self.folder} lies in the repository: nothing in there says whom you trust"
        for path in (self.folder, self.signers, self.folder / _PEOPLE):
            try:
                status = path.stat()
            except OSError:
                continue
            if status.st_uid not in (os.getuid(), 0) or status.st_mode & 0o022:
                return f"{path} can be written by others: nothing in there says whom you trust (chmod go-w)"
        return ""

    def change(self, edit: Callable[[list[str]], list[str]], *, people: bool = False) -> None:
        """Change the lines of a file. Raises BadInput where nothing there is believed, and OSError."""
        if why := self._unfit():
            raise BadInput(why)
        files.private_folder(self.folder)
        name = _PEOPLE if people else _SIGNERS
        with files.locked(self.folder):
            lines = edit(self._text(name).splitlines())
            files.write(Path(os.path.realpath(self.folder / name)), "".join(f"{line}\n" for line in lines).encode())


@dataclass(frozen=True)
class KeptBytes:
    """Something that can be made anew, in a file of a clone's own folder."""

    path: Path

    def read(self) -> bytes:
        """Return what was written; b"" for nothing."""
        try:
            return files.read_bytes(self.path) or b""
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Write it, if there is room."""
        try:
            files.private_folder(self.path.parent)
            files.write(self.path, data)
        except OSError:
            return
