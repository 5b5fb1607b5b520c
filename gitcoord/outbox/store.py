"""The outbox: where a machine's user keeps, for one remote branch, what waits to be sent and what came of it.

    outbox/<op>.json     commands that wait, in the order of their ids
    queued/<op>          its caller was told "queued" and has gone: nobody waits for the answer
    results/<op>.json    what came of one, for the process that waits
    refused/<op>.json    deferred commands that the remote refused twice
    pushes/<id>.json     in-flight pushes: on which tip, which operations
    spool/<session>/     automatic heartbeats, written by hooks, not yet folded
    shown/<session>.ids  ids of messages that were shown on this machine; .back: that could not be
    notes/<session>/     warnings for a session's next command, a file each
    riding/<op>.json     commands that a commit on the session's own branch carries
    carriers.json        up to where the branches of others were looked through that carry commands
    lock, pulse, state.json

Nothing here is needed to rebuild anything: delete it and only unsent commands are lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gitcoord.core.events import Command
from gitcoord.core.sessions import StartSession
from gitcoord.core.times import read_instant, spell
from gitcoord.errors import GitcoordError, NotWritten
from gitcoord.machine import files, ids
from gitcoord.machine.ids import digest
from gitcoord.outbox import denials, shown, stored
from gitcoord.outbox.stored import Push, Refusal, WaitingCommand

T = TypeVar("T")

STALLED_AFTER = 3.0  # seconds without a pulse after which a submitter counts as stopped (protocol, section 6)
_FOLDERS = ("outbox", "queued", "results", "refused", "pushes", "spool", "shown", "notes", "riding")
_TRACES = (
    "lock",
    "lock-past",
    "pulse",
    "pulse-past",
    "looked",
    "state.json",
    "merge.lock",
    "clock.json",
    "carriers.json",
)  # what says nothing where nothing was put
_PULSES = {False: "pulse", True: "pulse-past"}
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED_KEPT = 20  # carriers that were refused and are shown
_WORDS = 500  # characters of a remote's words that are noted
_AGES = 1e9  # seconds: the clock was set back, and nobody knows how long ago it was
_KEEP_RESULTS = 3600  # seconds a result nobody fetched is kept


class Outbox:
    """One outbox. Any process of the machine's user may use it at any time. `made`: the folders above and of it that weren't there
    before, the innermost first.
    """

    def __init__(self, path: Path, made: Sequence[Path] = ()) -> None:
        self.path = path
        self.made = tuple(made)
        self._pulse = _PULSES[False]
        self._results = os.path.join(path, "results")
        for name in _FOLDERS:
            files.private_folder(path / name)

    def leave(self) -> None:
        """Takes away the outbox that this process made, if nothing was put on it: who only looked leaves nothing."""
        if not self.made or any(self.path.glob("*/*")):
            return
        for name in _TRACES:
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another process has put something there meanwhile
            for folder in (*(self.path / name for name in _FOLDERS), *self.made):
                folder.rmdir()

    # --- the outbox --------------------------------------------------------------------------------------------------

    def put(self, command: Command, *, since: str = "") -> None:
        """Write the command down before anything else happens to it. Raises NotWritten when there is no room.

        - `since`: see `WaitingCommand`.
        """
        record = {"kind": command.kind, "command": command.model_dump(mode="json"), "since": since}
        try:
            files.private_folder(self.path / "outbox")
            files.write_json(self.path / "outbox" / f"{command.handle}.json", record, durable=True)
        except OSError as error:
            raise no_room("the command", self.path, error) from error

    def waiting(self) -> list[WaitingCommand]:
        """What waits, oldest first."""
        found = []
        for path in sorted((self.path / "outbox").glob("*.json")):
            record = files.read(path, stored.read_asked)
            if record is not None:
                session = str(record["command"].get("session", ""))
                found.append(
                    WaitingCommand(
                        path.stem,
                        session,
                        stored.command_of(record),
                        str(record.get("since", "")),
                        stored.caller_of(record["command"]),
                    )
                )
        return found

    def is_waiting(self, op: str) -> bool:
        """Whether the command is still in the outbox."""
        return (self.path / "outbox" / f"{op}.json").exists()

    def next_id(self) -> str:
        """An id greater than all that wait: order survives a clock that goes back."""
        newest = max((path.stem for path in (self.path / "outbox").glob("*.json")), default="")
        return ids.new_id(after=newest)

    def answer(self, op: str, result: Mapping[str, Any]) -> None:
        """Leaves the result, then takes the command out: in this order a crash between loses nothing."""
        with contextlib.suppress(OSError):  # a full disk must not keep a landed command in the outbox
            files.write_json(self.path / "results" / f"{op}.json", dict(result))
        self.drop(op)

    def drop(self, op: str) -> None:
        """Takes the command out."""
        (self.path / "outbox" / f"{op}.json").unlink(missing_ok=True)
        (self.path / "queued" / op).unlink(missing_ok=True)
        (self.path / "riding" / f"{op}.json").unlink(missing_ok=True)

    def mark_queued(self, op: str) -> None:
        """Notes that nobody waits for the answer any more. Without room for that, the end of the caller's process says it."""
        with contextlib.suppress(OSError):
            files.touch(self.path / "queued" / op)

    def is_queued(self, op: str) -> bool:
        """Whether its caller was told "queued"."""
        return (self.path / "queued" / op).exists()

    def set_aside(self, op: str, words: str) -> None:
        """Moves a command that can't be carried out, and that nobody waits for, to where every command shows it."""
        source = self.path / "outbox" / f"{op}.json"
        record = files.read(source, stored.read_asked)
        if record is not None:
            try:
                files.write_json(self.path / "refused" / f"{op}.json", {**record, "refused": words})
            except OSError:
                return  # no room: it stays where it is, and is looked at again with the next flush
        self.drop(op)

    def has_result(self, op: str) -> bool:
        """Whether a submitter has left the result."""
        return os.path.exists(f"{self._results}/{op}.json")

    def result(self, op: str, parse: Callable[[dict[str, Any]], T]) -> T | None:
        """The result that a submitter left, taken away; None when there is none, or one that `parse` refuses."""
        return files.take_json(self.path / "results" / f"{op}.json", lambda value: parse(files.mapping(value)))

    def drop_result(self, op: str) -> None:
        """Takes the result away unread."""
        (self.path / "results" / f"{op}.json").unlink(missing_ok=True)

    def refuse(self, op: str, words: str) -> bool:
        """Counts a refusal of a deferred command sent alone; the second one moves it to `refused/` (True)."""
        moved = False

        def count(state: dict[str, Any]) -> dict[str, Any]:
            nonlocal moved
            counts = dict(state.get("refusals", {}))
            counts[op] = counts.get(op, 0) + 1
            moved = counts[op] >= 2
            if moved:
                del counts[op]
            return {"refusals": counts}

        self._change(count)
        if moved:
            self.set_aside(op, words)
        return moved

    def refused(self) -> list[dict[str, Any]]:
        """Deferred commands that the remote refused for good."""
        found = [files.read(path, stored.read_asked) for path in sorted((self.path / "refused").glob("*.json"))]
        return [record for record in found if record is not None]

    def try_again(self) -> list[str]:
        """Lays the refused ones into the outbox again: their operations. Raises OSError."""
        again = []
        for path in sorted((self.path / "refused").glob("*.json")):
            record = files.read(path, stored.read_asked)
            if record is not None:
                files.write_json(self.path / "outbox" / path.name, {key: record[key] for key in ("kind", "command")}, durable=True)
                path.unlink(missing_ok=True)
                again.append(path.stem)
        return again

    # --- the lock ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, seconds: float, *, past: bool = False) -> Iterator[bool]:
        """The outbox's one lock, waited for at most `seconds`: True inside if it was had. Only speed depends on it. `past`: another
        lock, of those who go past a process that has the first one and is stopped; they have a pulse of their own.
        """
        from filelock import FileLock, Timeout  # here: who only looks needs no lock

        path, before = self.path / ("lock-past" if past else "lock"), self._pulse
        lock = FileLock(path, mode=0o600)
        with contextlib.suppress(OSError):
            files.touch(path)  # what stands in its place is set aside
        try:
            lock.acquire(timeout=max(0.0, seconds), poll_interval=0.01)
        except (Timeout, OSError):
            yield False
            return
        try:
            self._pulse = _PULSES[past]
            yield True
        finally:
            self._pulse = before
            lock.release()

    def lock_seen(self) -> AbstractContextManager[Callable[[], bool]]:
        """Give what tells whether another process has the lock, as far as can be seen; else it is worth asking for."""
        return files.lock_seen(f"{self.path}/lock")

    def pulse(self) -> None:
        """Shows that the submitter is alive."""
        with contextlib.suppress(OSError):
            files.touch(self.path / self._pulse)

    def last_pulse(self, *, past: bool = False) -> float:
        """The time of the last pulse, as the file system has it; only its changes mean something."""
        try:
            return (self.path / _PULSES[past]).stat().st_mtime
        except OSError:
            return 0.0

    # --- pushes under way --------------------------------------------------------------------------------------------

    def pushes(self) -> list[Push]:
        """Pushes whose fate nobody has noted yet."""
        found = []
        for path in sorted((self.path / "pushes").glob("*.json")):
            record = files.read(path, stored.read_push)
            if record is not None:
                with contextlib.suppress(OSError):  # noted meanwhile
                    age = time.time() - path.stat().st_mtime
                    found.append(Push(path.stem, *record, age))
        return found

    def land(self, name: str) -> None:
        """Forgets a push whose fate is known."""
        (self.path / "pushes" / f"{name}.json").unlink(missing_ok=True)

    def note_push(self, base: str, ops: Sequence[str]) -> str:
        """Notes a push that is about to happen; its name. Raises NotWritten when there is no room: then it must not happen."""
        name = secrets.token_hex(8)
        try:
            files.private_folder(self.path / "pushes")
            files.write_json(self.path / "pushes" / f"{name}.json", {"base": base, "ops": list(ops), "pid": os.getpid()})
        except OSError as error:
            raise no_room("the push", self.path, error) from error
        return name

    # --- automatic heartbeats ----------------------------------------------------------------------------------------

    def spooled(self) -> dict[str, list[tuple[Path, dict[str, Any]]]]:
        """What hooks have written, by session, oldest first."""
        found: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
        for folder in sorted((self.path / "spool").iterdir()):
            for path in sorted(folder.glob("*.json")):
                record = files.read(path, files.mapping)
                if record is not None:
                    found.setdefault(folder.name, []).append((path, record))
        return found

    # --- what was shown, and small notes -----------------------------------------------------------------------------

    def shown(self, session: str) -> set[str]:
        """The ids of messages that this machine has shown to the session."""
        return shown.known(self.path, session)

    def show(self, session: str, keys: Sequence[str]) -> None:
        """Notes that those messages were shown. Without room for that they are shown once more at worst."""
        shown.note(self.path, session, keys)

    def given_back(self, session: str) -> set[str]:
        """The ids of messages that this machine took for the session and could not show."""
        return shown.given_back(self.path, session)

    def give_back(self, session: str, keys: Sequence[str]) -> None:
        """Notes that those messages could not be shown: they come again at once."""
        shown.give_back(self.path, session, keys)

    def leave_note(self, session: str, text: str) -> bool:
        """Leaves a warning for the session's next command on this machine; False when there is no room for it."""
        try:  # a file for each text: two that leave one at once leave two, and who takes takes what is there
            folder = files.private_folder(self.path / "notes" / session)
            files.write_json(folder / f"{digest([text])}.json", {"text": text})
        except OSError:
            return False
        return True

    def take_notes(self, session: str) -> list[str]:
        """The warnings left for the session, taken away."""
        left = []
        for path in (self.path / "notes" / session).glob("*.json"):
            with contextlib.suppress(OSError):  # another took it meanwhile
                left.append((path.stat().st_mtime_ns, path))
        texts = [files.take_json(path, lambda value: str(value["text"])) for _, path in sorted(left)]
        return [text for text in texts if text is not None]

    def take_over(self, session: str, earlier: Path) -> None:
        """Takes over what an earlier outbox of the session knows: what was left for it, and what it was shown."""
        folder = files.private_folder(self.path / "notes" / session)
        for path in (earlier / "notes" / session).glob("*.json"):
            data = files.read_bytes(path)
            if data is not None:
                files.write(folder / path.name, data)
                path.unlink(missing_ok=True)
        if seen := shown.known(earlier, session):
            self.show(session, sorted(seen))

    def note_denied(self, at: datetime, session: str, asked: str, resources: Sequence[str], error: GitcoordError) -> None:
        """Keep a refusal on this machine: nobody else has to know what a session didn't get. `asked`: what it asked for."""
        why = (error.name, error.exit_code, error.message, error.hint)
        denials.note(self.path, denials.Denial(at, session, asked, tuple(resources), *why))

    def state(self) -> dict[str, Any]:
        """Small notes: since when the remote is away, which tip was last seen, how crowded it is."""
        return files.read(self.path / "state.json", stored.read_notes) or {}

    def update(self, **notes: Any) -> None:
        """Changes some notes; None takes one out."""
        self._change(lambda _: notes)

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Changes what `change` says, by what was noted before. Another's notes, and those of a newer program, stay."""

        def merge(known: dict[str, Any] | None) -> dict[str, Any]:
            merged = {**(known or {}), **change(known or {})}
            return {key: value for key, value in merged.items() if value is not None}

        with contextlib.suppress(OSError):
            files.update(self.path / "state.json", stored.read_notes, merge)

    def away_since(self) -> datetime | None:
        """Since when the remote could not be reached; None when the last try reached it."""
        try:
            return read_instant(self.state().get("away_since"))
        except ValueError:
            return None

    def note_reach(self, *, reached: bool, now: datetime, seq: int = 0) -> None:
        """Notes whether the remote could be reached just now, and which seq its branch had."""
        since = self.away_since()
        if not reached:
            self.update(away_since=spell(since or now), tried_at=time.time())
        elif since is not None or seq > self.reached():
            self._change(lambda known: {"away_since": None, "tried_at": None, "seq": max(seq, known.get("seq", 0))})

    def note_seq(self, seq: int) -> None:
        """Notes which seq the branch has, if nobody here has seen as much."""
        if seq > self.reached():
            self._change(lambda known: {"seq": max(seq, known.get("seq", 0))})

    # --- what the remote refuses by rule -----------------------------------------------------------------------------

    def refusal(self) -> Refusal | None:
        """Return what is noted of a remote that refuses the start of a session; None where nothing is known of that."""
        state = self.state()
        try:
            since = read_instant(state.get("refused_since"))
        except ValueError:
            return None
        age = time.time() - float(state.get("refused_at", 0.0))
        return Refusal(since, str(state.get("refused_words", "")), age if age >= 0 else _AGES)

    def note_refusal(self, words: str, now: datetime) -> None:
        """Note that the remote has just refused the start of a session, in those words."""
        known = self.refusal()
        since = known.since if known is not None else now
        self.update(refused_since=spell(since), refused_at=time.time(), refused_words=words[:_WORDS])

    def forget_refusal(self) -> None:
        """Note that the remote has just taken a push."""
        if "refused_since" in self.state():
            self.update(refused_since=None, refused_at=None, refused_words=None, local=None)

    def note_local(self, session: str) -> None:
        """Note that the remote refuses what that session pushes."""
        self._change(lambda known: {"local": sorted({*known.get("local", ()), session})})

    def local_sessions(self) -> frozenset[str]:
        """Return the sessions whose commands the remote refuses, for as long as it does."""
        state = self.state()
        return frozenset(state.get("local", ())) if "refused_since" in state else frozenset()

    def start_of(self, session: str) -> StartSession | None:
        """Return the start of that session, if it waits here; else None."""
        name = StartSession.kind.encode()
        for path in sorted((self.path / "outbox").glob("*.json")):
            with contextlib.suppress(OSError):
                if name not in path.read_bytes():
                    continue  # in a crowd many wait, and nearly none is a start: only that is parsed
            record = files.read(path, stored.read_asked)
            command = stored.command_of(record) if record is not None else None
            if isinstance(command, StartSession) and command.session == session:
                return command
        return None

    # --- what rides on a branch of the session's own -------------------------------------------------------------------

    def note_riding(self, ops: Sequence[str], commit: str, since: str) -> None:
        """Note that a commit carries those commands. `since`: the tip of our branch that was known then."""
        for op in ops:
            with contextlib.suppress(OSError):  # without room for it they ride once more, and are adopted once
                files.write_json(self.path / "riding" / f"{op}.json", {"commit": commit, "since": since})

    def riding(self) -> dict[str, tuple[str, str]]:
        """Return the commit that carries each command that rides, and the tip of our branch that was known then, by its handle."""
        found = {path.stem: files.read(path, stored.read_riding) for path in sorted((self.path / "riding").glob("*.json"))}
        return {op: record for op, record in found.items() if record is not None}

    def adopted(self) -> tuple[dict[str, str], list[str]]:
        """Return up to where the branches of others were looked through that carry commands, and what was refused there."""
        record = files.read(self.path / "carriers.json", files.mapping) or {}
        tips, refused = record.get("tips"), record.get("refused")
        whole = isinstance(tips, dict) and isinstance(refused, list)
        return (dict(tips), [str(one) for one in refused]) if whole and tips is not None and refused is not None else ({}, [])

    def note_adopted(self, tips: Mapping[str, str], refused: Sequence[str]) -> None:
        """Note up to where they were looked through, and what was refused there."""
        with contextlib.suppress(OSError):
            files.write_json(self.path / "carriers.json", {"tips": dict(tips), "refused": list(refused)[-_REFUSED_KEPT:]})

    def note_look(self) -> None:
        """Notes that a process looks at the remote now, on behalf of all who wait here."""
        with contextlib.suppress(OSError):
            files.touch(self.path / "looked")

    def since_look(self) -> float | None:
        """Seconds since such a look began, as this machine's clock has it; None when there was none, or in the future."""
        try:
            since = time.time() - (self.path / "looked").stat().st_mtime
        except OSError:
            return None
        return since if since >= 0 else None

    def reached(self) -> int:
        """The highest seq that any clone of this machine has seen on the branch; 0 when none has."""
        return int(self.state().get("seq", 0))

    def sweep(self) -> None:
        """Takes away results that nobody came for, and what killed processes wrote halfway."""
        oldest = time.time() - _KEEP_RESULTS
        files.sweep(self.path, before=oldest)
        for path in (self.path / "results").iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def no_room(what: str, place: Path, error: OSError) -> NotWritten:
    """Return the error that says what could not be kept, and where."""
    return NotWritten(f"{what} could not be written down ({error.strerror}): {place}", hint="free some space, then run it again")
