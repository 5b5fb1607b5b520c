"""The branch itself: its format and the settings that all share. The record is `gitcoord.json`.

It names no URL, no command and no path to run: nothing on the branch picks what a machine executes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, ValidationError

from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.inbox import TO_ALL
from gitcoord.core.names import SUBJECT_LIMIT, are_branch_folders, is_resource_name, is_resource_type, show, web_of
from gitcoord.core.records import NOTICE, BranchRecord, CommitId, GuardMode, Line, Message, RepoName, SharedSettings
from gitcoord.core.sessions import acting
from gitcoord.core.times import parse_duration
from gitcoord.core.values import is_whole, read_switch, read_whole
from gitcoord.errors import BadInput

if TYPE_CHECKING:
    from gitcoord.core.state import Draft, State

MINIMUM_TTL = timedelta(minutes=5)
"""Shorter leases would expire between two looks of an agent (protocol, section 7)."""

IGNORED_SHOWN = 5
"""Bad commits that the record keeps for the board: enough to see a pattern, bounded for ever."""

TOLD_TO_ALL = ("default_ttl", "max_ttl", "grace", "takeover_after", "retention", "epoch_keep")
"""Settings by which a session can lose what it holds, or the branch what it keeps: a change of one is told to all."""

_CARRY_HINT = "gitcoord config --shared carry_from 'claude/* codex/*'"

_NOTICE_STANDS = timedelta(days=1)

Seconds = Annotated[int, Field(ge=0, le=10 * 365 * 86400)]


CAPACITY = "capacity."
"""What a setting's key begins with that says how many may hold a resource at once: `capacity.ci`, `capacity.ci:slot`."""

CAPACITIES = 256  # resources that have one: the record of the branch stays one that every reader reads

REPOSITORIES = 256
"""Repositories that a hub knows by name: the record of the branch stays one that every reader reads."""

_SINGLE = tuple(name for name in SharedSettings.model_fields if name != "capacities")


class OpenBranch(Command):
    """Makes the root commit."""

    kind: ClassVar[str] = "branch.open"


class JoinHub(Command):
    """Says which repository a name stands for. `root`: its first commit; `own`: what this clone has of the name's root."""

    kind: ClassVar[str] = "hub.join"

    repo: RepoName
    root: CommitId
    own: tuple[CommitId, ...] = ()


class ChangeSetting(Command):
    """Changes one shared setting."""

    kind: ClassVar[str] = "settings.change"

    key: str
    value: str


class WithdrawFormat(Command):
    """Takes back that the format was raised."""

    kind: ClassVar[str] = "format.withdraw"


class BranchOpened(Event):
    """The first event of a branch."""

    kind: ClassVar[str] = "branch.opened"

    needs_session: ClassVar[bool] = False

    format: Literal[1] = 1

    def headline(self) -> str:
        """The commit's subject."""
        return f"open: the coordination branch, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The branch's record appears."""
        draft.open_branch(BranchRecord(opened_at=self.at))

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Only valid before everything else."""
        return None if state.seq == 0 else "the branch is open already"


class RepositoryJoined(Event):
    """A repository shares this branch from here on; its name stands for it alone."""

    kind: ClassVar[str] = "repository.joined"
    needs_session: ClassVar[bool] = False

    repo: RepoName
    root: CommitId

    def headline(self) -> str:
        """The commit's subject."""
        return f"join: the repository {self.repo}, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The branch's record knows the repository."""
        if draft.branch is not None:
            joined = draft.branch.repositories | {self.repo: self.root}
            draft.change_branch(repositories=dict(sorted(joined.items())))

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """The name is free, and there is room for it."""
        known = state.rules.repositories
        if self.repo in known:
            return f"the name {self.repo} stands for a repository already"
        return None if len(known) < REPOSITORIES else "there are too many repositories"


class SettingsChanged(Event):
    """A shared setting has a new value."""

    kind: ClassVar[str] = "settings.changed"
    trailers: ClassVar[dict[str, str]] = {"key": "Setting"}

    key: Line
    value: Line

    def headline(self) -> str:
        """The commit's subject."""
        return f"config: {self.key} = {self.value}, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The setting changes; a value that doesn't fit changes nothing."""
        if draft.branch is not None:
            settings = draft.branch.settings
            changed = with_setting(settings, self.key, self.value)
            if changed is not None:
                draft.change_branch(settings=changed)
            if changed is not None and self.key in TOLD_TO_ALL:
                old, new = getattr(settings, self.key), getattr(changed, self.key)
                _tell_all(draft, self, f"{self.session} changed {self.key} from {old} to {new} seconds, for all")

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """The key is known and the value fits."""
        fits = with_setting(state.rules.settings, self.key, self.value) is not None
        return None if fits else f"{self.key} = {self.value} is not a setting"


class FormatRaised(Event):
    """From here on the branch has a newer format; older programs read what they can and stop writing."""

    kind: ClassVar[str] = "format.raised"

    format: Annotated[int, Field(ge=2, le=1000)]

    def headline(self) -> str:
        """The commit's subject."""
        return f"format: raised to {self.format}, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The branch's record names the new format, and all are told."""
        if draft.branch is not None:
            draft.change_branch(format=self.format)
            _tell_all(draft, self, f"{self.session} raised the branch's format to {self.format}: older programs only read it")

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """Formats only grow."""
        return None if self.format > state.rules.format else "the format doesn't grow"


class FormatUsed(Event):
    """The next event may be one that only the raised format knows: from here on the raise can't be withdrawn.

    A program of a newer format writes it before its first event of a kind that format 1 doesn't have.
    """

    kind: ClassVar[str] = "format.used"

    format: Annotated[int, Field(ge=2, le=1000)]

    def headline(self) -> str:
        """The commit's subject."""
        return f"format: {self.format} is in use, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The branch's record says so."""
        if draft.branch is not None:
            draft.change_branch(format_used=self.format)

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """It was raised to that, and isn't in use yet."""
        return None if state.rules.format == self.format > state.rules.format_used else "that format was not raised"


class FormatWithdrawn(Event):
    """The raise of the format is taken back: what was written since rests on the format before."""

    kind: ClassVar[str] = "format.withdrawn"

    format: Annotated[int, Field(ge=2, le=1000)]

    def headline(self) -> str:
        """The commit's subject."""
        return f"format: {self.format} is withdrawn, by {self.session}"

    def evolve(self, draft: Draft) -> None:
        """The format that is in use is the branch's again, and all are told."""
        if draft.branch is not None:
            draft.change_branch(format=draft.branch.format_used)
            _tell_all(draft, self, f"{self.session} took the branch's format {self.format} back: all programs write again")

    def problem(self, state: State, committed_at: datetime) -> str | None:
        """It was raised to that, and nothing rests on it."""
        return None if state.rules.format == self.format > state.rules.format_used else "that format was not raised, or is in use"


def _tell_all(draft: Draft, event: Event, subject: str) -> None:
    note = Message(
        id=f"{event.id}.0", seq=event.seq, sender=event.session, to=TO_ALL, timestamp=event.at, type=NOTICE,
        subject=show(subject, SUBJECT_LIMIT), expires_at=event.at + _NOTICE_STANDS,
    )  # fmt: skip
    draft.put("messages", note.id, note)


def with_setting(settings: SharedSettings, key: str, value: str) -> SharedSettings | None:
    """The settings with that one changed; None when there is no such setting, or the value doesn't fit."""
    if key.startswith(CAPACITY):
        what = _counted(key)
        if what is None or not is_whole(value):
            return None
        left = {name: places for name, places in settings.capacities.items() if name != what}
        counted = left | ({what: int(value)} if int(value) else {})
        if len(counted) > max(CAPACITIES, len(settings.capacities)):
            return None
        changed: dict[str, Any] = {"capacities": dict(sorted(counted.items()))}
    elif key in _SINGLE:
        try:
            changed = {key: _READ.get(SharedSettings.model_fields[key].annotation, str)(value)}
        except ValueError:
            return None
    else:
        return None
    try:
        return SharedSettings.model_validate({**settings.model_dump(), **changed}, strict=True)
    except ValidationError:
        return None


_READ: dict[Any, Callable[[str], Any]] = {bool: read_switch, int: read_whole}
"""How a setting's value is read, by its type; all else is one of the words that its type lists."""


def _counted(key: str) -> str | None:
    """What a capacity is of: `ci`, or `ci:slot`; None for what can't be counted (files overlap, so places make no sense)."""
    type_, colon, name = key.removeprefix(CAPACITY).partition(":")
    if not is_resource_type(type_) or type_ == "file" or (colon and not is_resource_name(name)):
        return None
    return f"{type_}{colon}{name}"


def key_of(text: str) -> str:
    """Return the key of a setting as it was typed: `carry.from` is `carry_from`, as `capacity.ci` stays what it is."""
    return text.replace(".", "_") if text.replace(".", "_") in _SINGLE else text


def setting_value(key: str, text: str) -> str:
    """The value as an event carries it: durations in seconds, switches as true or false, words small. Raises BadInput."""
    if key.startswith(CAPACITY):
        if _counted(key) is None:
            raise BadInput(
                f"{show(key, 80)} names nothing that has places: a type other than file, or TYPE:NAME",
                hint="gitcoord config --shared capacity.ci 3",
            )
        if not (is_whole(text.strip()) and int(text) <= 1000):
            raise BadInput(f"a capacity is a number of places up to 1000 (0: no limit is set), not {show(text, 40)!r}")
        return str(int(text))
    if key not in _SINGLE:
        known = ", ".join((*_SINGLE, f"{CAPACITY}TYPE"))
        raise BadInput(f"{key!r} is not a shared setting", hint=f"shared settings: {known}")
    if key == "web":
        web = "none" if text.strip().lower() == "none" else web_of(text)
        if not web:
            raise BadInput(
                f"{key} is a repository's page on github.com, gitlab.com, codeberg.org or bitbucket.org, not {show(text, 80)!r}",
                hint=f"gitcoord config --shared {key} github.com/acme/app",
            )
        return web
    if key == "carry_from":
        folders = " ".join(text.replace(",", " ").split())
        if not are_branch_folders(folders):
            raise BadInput(f"{key} is one to eight folders of branches, not {show(text, 80)!r}", hint=_CARRY_HINT)
        return folders
    if SharedSettings.model_fields[key].annotation is bool:
        words = {"true": "true", "yes": "true", "on": "true", "1": "true"} | dict.fromkeys(("false", "no", "off", "0"), "false")
        if text.strip().lower() not in words:
            raise BadInput(f"{key} is on or off, not {text!r}", hint=f"gitcoord config --shared {key} on")
        return words[text.strip().lower()]
    if key == "guard":
        if text.strip().lower() not in get_args(GuardMode):
            raise BadInput(f"{key} is warn, ask, block or off, not {text!r}", hint=f"gitcoord config --shared {key} warn")
        return text.strip().lower()
    if key == "talk_limit":
        if not (is_whole(text.strip()) and int(text) <= 1000):
            raise BadInput(
                f"{key} is how many answers to answers are sent in a row, up to 1000 (0: any number), not {show(text, 40)!r}",
                hint=f"gitcoord config --shared {key} 12",
            )
        return str(int(text))
    seconds = text.strip() if is_whole(text.strip()) else str(int(parse_duration(text).total_seconds()))
    try:
        SharedSettings.model_validate({key: int(seconds)})
    except ValidationError as error:
        raise BadInput(f"{key} can't be {text!r}: {error.errors()[0]['msg']} (seconds)") from None
    return seconds


def shown(settings: SharedSettings) -> dict[str, Any]:
    """Every shared setting by the key that changes it."""
    values = {name: getattr(settings, name) for name in _SINGLE}
    return values | {f"{CAPACITY}{name}": count for name, count in sorted(settings.capacities.items())}


def decide_open(state: State, command: OpenBranch, clock: Clock) -> Event | None:
    """Opens the branch; once."""
    if state.seq:
        return None
    return BranchOpened(id=command.op, seq=1, session=command.session, at=command.at)


def decide_join(state: State, command: JoinHub, clock: Clock) -> Event | None:
    """Enters the repository's name; nothing where it stands for this one already. Raises BadInput where it stands for another."""
    root = state.rules.repositories.get(command.repo)
    if root is not None and root != command.root and root not in command.own:
        raise BadInput(
            f"another repository is called {command.repo} on this hub (its first commit is {root[:12]}): "
            "each would hold the files of the other",
            hint="gitcoord config repo NAME, with another name for this one; then the same command again",
        )
    if root is not None or len(state.rules.repositories) >= REPOSITORIES:
        return None
    return RepositoryJoined(
        id=command.op, seq=state.seq + 1, session=command.session, at=command.at, repo=command.repo, root=command.root
    )


def way_back(rules: BranchRecord) -> str:
    """The command that takes a raised format back."""
    return f"gitcoord config --shared format {rules.format_used}"


def decide_withdraw(state: State, command: WithdrawFormat, clock: Clock) -> Event | None:
    """Takes the raise back; nothing when the format is not raised."""
    acting(state, command)
    if state.rules.format == state.rules.format_used:
        return None
    return FormatWithdrawn(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        format=state.rules.format,
    )  # fmt: skip


def decide_setting(state: State, command: ChangeSetting, clock: Clock) -> Event | None:
    """Changes a setting; nothing when it has that value already."""
    acting(state, command)
    value = setting_value(command.key, command.value)
    if with_setting(state.rules.settings, command.key, value) == state.rules.settings:
        return None
    return SettingsChanged(
        id=command.op, seq=state.seq + 1, session=command.session, run_id=command.run_id, at=command.at,
        key=command.key, value=value,
    )  # fmt: skip
