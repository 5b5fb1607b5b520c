"""Signing a commit as the user's git is set up to, and having git check a signature that this process can't check by itself.

Nothing here asks anybody on a terminal. A key that needs a person (a touch, a passphrase) is waited for only as long as was said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from gitcoord.errors import NotSigned
from gitcoord.git.environment import with_config
from gitcoord.git.objects import NewCommit
from gitcoord.git.repo import NO_LOG, Oid, Repository

_KEYS = re.compile(r"user\.signingkey|gpg\..*")
_GOOD_SSH = re.compile(r'^Good "git" signature .*with \S+ key (SHA256:\S+)$', re.MULTILINE)
_GOOD_GPG = re.compile(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]{40,64}) (?:.* )?([0-9A-F]{40,64})$", re.MULTILINE)
_BAD_GPG = re.compile(r"^\[GNUPG:\] (?:BADSIG|REVKEYSIG) ", re.MULTILINE)
_BAD_SSH = re.compile(r"^(?:Signature verification failed|Could not verify signature)", re.MULTILINE)
_NOBODY = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "GPG_TTY": "", "SSH_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never"}
"""Where no person is: nothing opens a window or writes on a terminal."""

_ASKED, _ALONE = 60.0, 2.0  # seconds that a signature may take: where a person may be asked for it, and where nobody is there

BAD, UNREAD = "bad", "unread"  # as in core/trust


@dataclass(frozen=True)
class Signing:
    """Signs and checks in one repository. `home`: where the commits lie; `user`: whose configuration counts; `alone`: no person is
    there, whom a key could ask.
    """

    home: Repository
    user: Repository
    alone: bool = False

    def sign(self, commit: Oid, parent: Oid, new: NewCommit, *, ref: str, seconds: float) -> Oid:
        """Write that commit, which stands on `parent`, anew with a signature, kept by that ref of ours; return it. Raises NotSigned
        where that can't be done within so many seconds.
        """
        if self.alone and self._needs_a_touch():
            raise NotSigned("the key needs a touch, and this runs in the background")
        who, email, dates = new.name, new.email, (new.authored_at, new.committed_at)
        seconds = min(seconds, _ALONE if self.alone else _ASKED)
        extra = {
            "GIT_AUTHOR_NAME": who, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": _spell(dates[0]),
            "GIT_COMMITTER_NAME": who, "GIT_COMMITTER_EMAIL": email, "GIT_COMMITTER_DATE": _spell(dates[1]),
            **self._set_up(), **(_NOBODY if self.alone else {}),
        }  # fmt: skip
        words = ["-c", "i18n.commitEncoding=UTF-8", "commit-tree", "-S", *(["-p", parent] if parent else []), f"{commit}^{{tree}}"]
        done = self.home.run(*words, stdin=new.message.encode(), seconds=seconds, extra=extra)
        signed = done.stdout.decode("ascii", "replace").strip()
        if not done.ok or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", signed):
            raise NotSigned(done.how)
        self.home.ask(*NO_LOG, "update-ref", ref, signed, commit)
        return signed

    def _needs_a_touch(self) -> bool:
        """Return True if the user signs with a key that lies on a token, which waits for a finger."""
        key = self.user.setting("user.signingkey") or ""
        if self.user.setting("gpg.format") != "ssh" or not key:
            return False
        text = key.removeprefix("key::")
        with suppress(OSError):
            path = os.path.expanduser(key)
            with open(path if path.endswith(".pub") else f"{path}.pub", encoding="ascii", errors="replace") as file:
                text = file.read(4096)
        return text.startswith("sk-")

    def _set_up(self) -> Mapping[str, str]:
        """Return how the user signs, for a repository that doesn't know it by itself."""
        pairs = [(key, values[-1]) for key, values in self.user.config.items() if _KEYS.fullmatch(key)]
        return with_config(self.home.environment, pairs) if self.home is not self.user else {}

    def check(self, commit: Oid, seconds: float) -> str:
        """Return whose signature that commit has: the key, `BAD`, or `UNREAD` where the user's programs can't tell."""
        words = [
            "-c",
            "gpg.ssh.allowedSignersFile=/dev/null",
            "-c",
            "gpg.minTrustLevel=undefined",
            "verify-commit",
            "--raw",
            commit,
        ]
        done = self.home.run(*words, seconds=seconds, extra={**self._set_up(), **_NOBODY})
        text = done.stderr.decode("utf-8", "replace")
        if not done.ended_itself:
            return UNREAD
        if _BAD_GPG.search(text) or _BAD_SSH.search(text):
            return BAD
        good = _GOOD_GPG.search(text)
        return f"gpg:{good[2]}" if good else found[1] if (found := _GOOD_SSH.search(text)) else UNREAD


def _spell(when: datetime) -> str:
    return f"@{int(when.timestamp())} +0000"
