"""Every exception that gitcoord raises on purpose.

    GitcoordError            1   a failure with its own message
    ├── BadInput             2   what was typed can't be taken
    │   ├── NoSession        2   nobody sits here, or that session is not known
    │   └── NoRepository     2   there is no git repository here
    ├── Held                 3   another session holds it: the answer is no
    ├── NotHeld              4   the caller no longer holds it
    ├── Unknown              5   the outcome can't be known yet; run the same command again
    ├── Unreachable          6   the remote can't be reached
    ├── Refused              7   the remote's policy says no
    ├── Alarm                8   what appending can't mend
    │   ├── Rewritten        8   the branch was rewound, re-rooted or deleted
    │   │   └── Divided      8   a merge joined two lines of good events
    │   └── TooOld           8   the branch needs a newer program
    ├── NotInTime            9   waited for nothing
    │   └── NothingReady     9   there is no task that could be taken now
    ├── ClockSkew            9   this machine's clock can't be trusted for that
    ├── NotInitialised       1   the branch isn't there
    ├── NotWritten           1   this machine has no room; nothing was sent
    ├── NotShown             1   the answer could not be printed; it was what the command was for
    ├── GitFault             1   git here died, stalled or gave no whole answer: nothing is concluded from it
    │   └── Damaged          1   an object of the branch is missing or damaged in this clone
    ├── Looping              1   two sessions only answer each other
    └── Defect              70   this program would have written what it can't stand for

Each carries the exit code on its class, one line of message, and the next safe command as `hint`. A hint never holds a
command that destroys, forces or breaks something: agents paste what they read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s'\"<>]*)@")
_QUERY = re.compile(r"(https?://[^\s'\"<>?]*)\?[^\s'\"<>]+", re.IGNORECASE)


def mask(text: str) -> str:
    """The text without the secrets that URLs in it may hold: passwords, tokens in the user's place, and what is asked in a query.

    A user of ssh is no secret. This is the one mask for what is printed, reported or logged.
    """
    if "://" not in text:
        return text
    return _QUERY.sub(r"\1?…", _USER.sub(_without_user, text))


def _without_user(match: re.Match[str]) -> str:
    scheme, user = match[1], match[2]
    if scheme.lower() not in {"ssh", "git", "file"}:
        return f"{scheme}://…@"
    name, colon, _ = user.partition(":")
    return f"{scheme}://{name}:…@" if colon else match[0]


class GitcoordError(Exception):
    """A failure that is told in one line, with a hint."""

    exit_code: ClassVar[int] = 1
    name: ClassVar[str] = "failed"

    def __init__(self, message: str, *, hint: str = "", data: Mapping[str, Any] | None = None) -> None:
        super().__init__(mask(message))
        self.message = mask(message)
        self.hint = mask(hint)
        self.data: dict[str, Any] = dict(data or {})

    def as_record(self) -> dict[str, Any]:
        """The JSON form: what `--json` prints and what a submitter leaves for the process that waits."""
        return {
            **self.data,
            "error": self.name,
            "exit_code": self.exit_code,
            "message": self.message,
            "hint": self.hint,
        }

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> GitcoordError:
        """The exception that `as_record` wrote; an unknown name gives the root class."""
        data = {key: value for key, value in record.items() if key not in {"error", "exit_code", "message", "hint"}}
        cls = _BY_NAME.get(str(record.get("error")), GitcoordError)
        return cls(str(record.get("message", "")), hint=str(record.get("hint", "")), data=data)


class BadInput(GitcoordError):
    """What was typed can't be taken; the message says what is wrong with it."""

    exit_code = 2
    name = "bad_input"


class NoSession(BadInput):
    """No session is known here, or the named one isn't."""

    name = "no_session"


class NoRepository(BadInput):
    """There is no git repository here."""

    name = "no_repository"


class Held(GitcoordError):
    """Another session holds it; `data["blocked_by"]` lists the leases in the way."""

    exit_code = 3
    name = "held"


class NotHeld(GitcoordError):
    """The caller no longer holds what it acts on."""

    exit_code = 4
    name = "not_held"


class Unknown(GitcoordError):
    """The change was sent and its fate can't be read yet."""

    exit_code = 5
    name = "unknown"


class Unreachable(GitcoordError):
    """The remote can't be reached; nothing was sent."""

    exit_code = 6
    name = "unreachable"


class Refused(GitcoordError):
    """The remote won't take it (a hook, a protected branch, a read-only key); its words are in the message."""

    exit_code = 7
    name = "refused"


class Alarm(GitcoordError):
    """What no appended commit can mend; nothing is written until a person has looked."""

    exit_code = 8
    name = "alarm"


class Rewritten(Alarm):
    """The branch on the remote doesn't descend from what was seen there before."""

    name = "rewritten"


class Divided(Rewritten):
    """A merge joined two lines that each have good events of their own: no commit says which one happened."""

    name = "divided"


class TooOld(Alarm):
    """The branch's format is newer than this program."""

    name = "too_old"


class NotInTime(GitcoordError):
    """The deadline came first."""

    exit_code = 9
    name = "not_in_time"


class Unchecked(NotInTime):
    """The history of the branch is still being checked, and this caller can't wait for that."""

    name = "unchecked"


class Doubtful(NotInTime):
    """The tree at the tip, whose history is not checked yet, holds what no good commit can have brought: nothing of it is shown."""

    name = "doubtful"

    def __init__(
        self,
        message: str = "what lies at the branch's tip can't be shown before its history is checked",
        *,
        hint: str = "gitcoord sync",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, data=data)


class NothingReady(NotInTime):
    """No task is ready for the session; `data["why"]` says of each what keeps it."""

    name = "nothing_ready"


class ClockSkew(GitcoordError):
    """This machine's clock is too far from the others' to decide by time."""

    exit_code = 9
    name = "clock_skew"


class NotInitialised(GitcoordError):
    """There is no coordination branch here yet."""

    name = "not_initialised"


class Defect(GitcoordError):
    """A bug of this program, seen before it did harm: what it was about to write isn't valid, or doesn't read back."""

    exit_code = 70
    name = "bug"


class NotWritten(GitcoordError):
    """This machine could not write something down (a full disk, a place that became read-only); nothing was sent."""

    name = "not_written"


class NotSigned(GitcoordError):
    """The user's git could not sign what is to be pushed; its words are the message."""

    name = "not_signed"


class NotShown(GitcoordError):
    """Standard output takes nothing (it is closed, or full), and what was to be printed is all that the command was for."""

    name = "not_shown"


class GitFault(GitcoordError):
    """A git on this machine died, stalled, or answered short or with what can't be. Nothing is concluded from it, and nothing is
    remembered. `stalled`: it took all the time that it had.
    """

    name = "git_fault"

    def __init__(self, message: str, *, hint: str = "", data: Mapping[str, Any] | None = None, stalled: bool = False) -> None:
        super().__init__(message, hint=hint, data=data)
        self.stalled = stalled


class Damaged(GitFault):
    """An object of the branch that must be in this clone isn't, or is damaged: its bytes don't give its name."""

    name = "damaged"


class Looping(GitcoordError):
    """Two sessions answer each other's answers, and do nothing else."""

    name = "looping"


def _all(cls: type[GitcoordError]) -> dict[str, type[GitcoordError]]:
    found = {cls.name: cls}
    for child in cls.__subclasses__():
        found |= _all(child)
    return found


_BY_NAME = _all(GitcoordError)
