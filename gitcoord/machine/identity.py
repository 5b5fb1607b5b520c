"""Who sits in this work tree: which sessions were started here, by which agent, in which process.

Kept per *work tree* (its own git dir), never per machine or clone: two work trees are two outboxes in one office, and two
agents in one work tree are two people.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from gitcoord.core.names import Resource, is_session_name
from gitcoord.machine import files, processes
from gitcoord.machine.agents import HELPERS_APART, MARKS, PIDS, agent_ids, agent_name

_ENDED = 50  # sessions that have ended here and can be gone on with
_LOST = 200  # lost leases of a session that are remembered; their commits have been pushed or given up long before


@dataclass(frozen=True)
class Binding:
    """A session that was started in this work tree. `agent`: the agent's variables at the start (empty: a person's); `repo`: what
    the names of its files begin with, where several repositories share the branch.
    """

    session: str
    run_id: str
    pid: int
    born: str
    outbox: str
    agent: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    repo: str = ""
    seen: float = field(default=0.0, compare=False)
    """When there was a last sign of it in this work tree, in seconds since 1970; not noted, but read off."""

    @property
    def alive(self) -> bool:
        """Whether the process that it was started from is still there, as far as that can be told."""
        return processes.is_there(self.pid, self.born, self.seen)

    def record(self) -> dict[str, Any]:
        """What is noted of it."""
        return {name: value for name, value in asdict(self).items() if name != "seen"}


class SeenLease(NamedTuple):
    """What is noted of a lease: the newest event by which it was seen, its end in seconds since 1970, its length in seconds."""

    seq: int
    until: float
    ttl: int


class _Notes(NamedTuple):
    """What a session was seen to hold: up to which event that was seen in whole; `over`: leases that were given back or are lost,
    so that no command that comes late notes them anew.
    """

    seq: int
    held: dict[str, SeenLease]
    over: list[str]


def owner(environ: Mapping[str, str]) -> tuple[int, str]:
    """The process that a session started now belongs to: the agent's where it says which, else the calling one; under an agent
    that isn't one of the shells that it runs commands with.
    """
    for name in PIDS:
        text = environ.get(name, "")
        if text.isascii() and text.isdigit():
            birth = processes.born(int(text))
            if birth:
                return int(text), birth
    return processes.above_shells() if agent_name(environ) else processes.parent()


class Identity:
    """The bindings of one work tree."""

    def __init__(self, git_dir: Path) -> None:
        self.own = files.own(git_dir)
        self._folder = self.own / "sessions"

    def mailbox(self, session: str) -> Path:
        """Return the folder in which messages wait for the session's agent; it is there where the agent's hooks show them."""
        return self.own / "mailbox" / session

    def all(self) -> list[Binding]:
        """Every binding of this work tree, the newest first."""
        found = []
        dated = []
        for path in self._folder.glob("*.json"):
            with suppress(OSError):  # it was unbound meanwhile: the others are still there
                dated.append((path.stat().st_mtime_ns, path))
        for _, path in sorted(dated, reverse=True):
            binding = files.read(path, _binding)
            if binding is not None:
                found.append(replace(binding, seen=self._last_sign(binding.session)))
        return found

    def _last_sign(self, session: str) -> float:
        """When a command or a hook of the session was last at work here."""
        signs = [0.0]
        name = f"{session}.json"
        for path in (self._folder / name, self.own / "held" / name, self.mailbox(session) / "active"):
            with suppress(OSError):
                signs.append(path.stat().st_mtime)
        return max(signs)

    def get(self, session: str) -> Binding | None:
        """The binding of that session here."""
        return next((one for one in self.all() if one.session == session), None)

    def of_agent(self, agent: Mapping[str, str]) -> Binding | None:
        """The binding of exactly that agent."""
        return next((one for one in self.all() if one.agent == dict(agent)), None) if agent else None

    def of_process(self, agent: Mapping[str, str], owner: tuple[int, str]) -> list[Binding]:
        """The bindings of agents of that kind, by the names of their variables, in that very process, the newest first."""
        same = (one for one in self.all() if (one.pid, one.born) == owner and one.agent and one.alive)
        return [one for one in same if set(one.agent) == set(agent)]

    def of_person(self) -> Binding | None:
        """The newest binding that no agent made."""
        return next((one for one in self.all() if not one.agent), None)

    def sitting(self, environ: Mapping[str, str]) -> Binding | None:
        """The session that sits here, by those variables: the named one, else the agent's, else the person's newest."""
        named = environ.get("GITCOORD_SESSION")
        if named:
            return self.get(named)
        agent = self.agent(environ)
        return self.of_agent(agent) if agent else self.of_person()

    def agent(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What the agent is known by that calls: its variables; where it has none that names its session, but one that says that
        it is there, what the only session that such an agent has here is bound to. Where a helper may call under an id that nobody
        knows, its process tells whose it is.
        """
        found = agent_ids(environ)
        if any(name in found and environ.get(mark) for name, mark in HELPERS_APART.items()) and self.of_agent(found) is None:
            same = self.of_process(found, owner(environ))
            return same[0].agent if len(same) == 1 else found
        if found:
            return found
        for variable in (agent.variable for mark, agent in MARKS.items() if environ.get(mark)):
            mine = [one for one in self.all() if set(one.agent) == {variable}]
            mine = mine if len(mine) < 2 else [one for one in mine if one.alive]
            if len(mine) == 1:  # of two nobody can tell which one is meant
                return mine[0].agent
        return {}

    def bind(self, binding: Binding) -> None:
        """Remembers it as the newest. What a newer program noted besides stays."""
        files.private_folder(self._folder)
        files.update(
            self._folder / f"{binding.session}.json", files.mapping, lambda known: {**(known or {}), **binding.record()}
        )  # fmt: skip

    def follow(self, outbox: Path) -> list[tuple[str, Path]]:
        """Have the hooks of all sessions of this work tree leave things in that outbox; return who had another one, and which."""
        moved = []
        for binding in self.all():
            if binding.outbox != str(outbox):
                path = self._folder / f"{binding.session}.json"
                with suppress(OSError):
                    dates = path.stat()
                    files.update(path, files.mapping, lambda known: {**known, "outbox": str(outbox)} if known else None)
                    os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns))  # it is no newer than it was
                    moved.append((binding.session, Path(binding.outbox)))
        return moved

    def intend(self, binding: Binding) -> None:
        """Notes a run that is about to be asked for: if this process dies before it is bound, it may be there all the same."""
        folder = files.private_folder(self._folder.parent / "starting")
        pid = os.getpid()
        note = {"pid": pid, "born": processes.born(pid), "binding": binding.record()}
        files.write_json(folder / f"{binding.run_id}.json", note, durable=True)

    def settle(self, run_id: str) -> None:
        """Forgets that it was about to be asked for."""
        (self._folder.parent / "starting" / f"{run_id}.json").unlink(missing_ok=True)

    def intended(self) -> list[tuple[Binding, float]]:
        """The runs whose processes died before they were bound, newest first, each with its age in seconds."""
        found = []
        for path in sorted((self._folder.parent / "starting").glob("*.json"), reverse=True):
            note = files.read(path, _start)
            with suppress(OSError):
                noted = path.stat().st_mtime
                if note is not None and not processes.is_there(*note[0], noted):
                    found.append((note[1], max(0.0, time.time() - noted)))
        return found

    def note_ended(self, binding: Binding) -> None:
        """Notes the agent's session that ends now, and what it holds: an agent that is resumed goes on with it."""
        folder = files.private_folder(self.own / "ended")
        held = [entry.partition(" ")[2] for entry in self.held(binding.session)]
        files.write_json(folder / f"{digest(binding.agent)}.json", {"session": binding.session, "held": held})
        files.keep_newest(folder, _ENDED)

    def ended(self, agent: Mapping[str, str]) -> tuple[str, list[str]] | None:
        """The session of that agent that has ended here, and what it held then; None for none."""
        return files.read(self.own / "ended" / f"{digest(agent)}.json", _ended)

    def unbind(self, session: str) -> None:
        """Forgets it; in a sandbox that can only read it stays, as that of a run that is over."""
        with suppress(OSError):
            (self._folder / f"{session}.json").unlink(missing_ok=True)

    # --- what the session was last seen to hold ----------------------------------------------------------------------

    def held(self, session: str) -> list[str]:
        """The leases (`42 file:a`) that the session was last seen to hold."""
        return list(self.holding(session))

    def holding(self, session: str) -> dict[str, SeenLease]:
        """The same, each with what is known of its end."""
        notes = files.read(self._held(session), _notes)
        return notes.held if notes is not None else {}

    def missing(self, session: str, leases: Collection[str], seq: int) -> list[str]:
        """The leases that were noted and are not among `leases`, what the session holds at event `seq`. What a newer event than
        that gave is not judged by it.
        """
        notes = files.read(self._held(session), _notes)
        known = notes.held if notes is not None and notes.seq <= seq else {}
        return [entry for entry, held in known.items() if held.seq <= seq and entry not in leases]

    def see(self, session: str, leases: Mapping[str, tuple[float, int]], seq: int, *, keep: Collection[str] = ()) -> None:
        """Notes all that the session holds at event `seq`: each lease with its end (seconds since 1970) and its length. What newer
        events gave stays, an older view changes nothing. `keep`: of what is missing, that whose loss was told to nobody.
        """

        def merge(notes: _Notes) -> _Notes:
            if notes.seq > seq:
                return notes
            seen = {entry: SeenLease(seq, *ends) for entry, ends in leases.items() if entry not in notes.over}
            younger = {entry: held for entry, held in notes.held.items() if held.seq > seq or entry in keep}
            gone = [entry for entry in notes.held if entry not in seen and entry not in younger]
            return _Notes(seq, {**seen, **younger}, [*notes.over, *gone][-_LOST:])

        self._note(session, merge)

    def add(self, session: str, leases: Mapping[str, tuple[float, int]], seq: int) -> None:
        """Notes what event `seq` gave the session, beside what is noted. What was given back or lost meanwhile stays so."""

        def merge(notes: _Notes) -> _Notes:
            new = {entry: SeenLease(seq, *ends) for entry, ends in leases.items() if entry not in notes.over}
            newest = {
                entry: held for entry, held in new.items() if entry not in notes.held or notes.held[entry].until <= held.until
            }
            return _Notes(notes.seq, {**notes.held, **newest}, notes.over)

        self._note(session, merge)

    def drop(self, session: str, entries: Collection[str]) -> None:
        """Notes that the session has given these back, or knows that they are lost."""

        def merge(notes: _Notes) -> _Notes:
            left = {entry: held for entry, held in notes.held.items() if entry not in entries}
            return _Notes(notes.seq, left, [*notes.over, *(entry for entry in entries if entry not in notes.over)][-_LOST:])

        if entries:
            self._note(session, merge)

    def forget(self, session: str) -> None:
        """Forgets what an ended session held; in a sandbox that can only read, whoever stands outside of it will notice."""
        with suppress(OSError):
            self._held(session).unlink(missing_ok=True)

    def _held(self, session: str) -> Path:
        return self._folder.parent / "held" / f"{session}.json"

    def _note(self, session: str, merge: Callable[[_Notes], _Notes]) -> None:
        """Changes the note of what it holds. On a full disk a loss is told late; no command fails for it."""

        def changed(known: _Notes | None) -> dict[str, Any]:
            notes = merge(known or _Notes(0, {}, []))
            held = {entry: [one.seq, one.until, one.ttl] for entry, one in notes.held.items()}
            return {"seq": notes.seq, "held": held, "over": notes.over}

        with suppress(OSError):
            files.private_folder(self._folder.parent / "held")
            files.update(self._held(session), _notes, changed)

    def briefed(self, session: str) -> Any:
        """What was noted of the session's last briefing here; None when there was none."""
        return files.read_json(self._folder.parent / "briefed" / f"{session}.json")

    def note_briefed(self, session: str, record: Any) -> None:
        """Notes it. On a full disk the next briefing says the same again."""
        folder = self._folder.parent / "briefed"
        with suppress(OSError):
            files.private_folder(folder)
            files.write_json(folder / f"{session}.json", record)

    def lost(self, session: str) -> list[tuple[str, str]]:
        """The newest leases (`42 file:a`) that the session was seen to have lost, each with when that was seen."""
        return files.read(self._folder.parent / "lost" / f"{session}.json", _losses) or []

    def lose(self, session: str, entries: Sequence[str], at: str) -> None:
        """Remembers what it lost: commits that it made before may still lie here, and are not pushed yet."""
        folder = self._folder.parent / "lost"

        def merge(known: list[tuple[str, str]] | None) -> list[tuple[str, str]]:
            before = {entry for entry, _ in known or ()}
            return [*(known or ()), *((entry, at) for entry in entries if entry not in before)][-_LOST:]

        if entries:
            with suppress(OSError):
                files.private_folder(folder)
                files.update(folder / f"{session}.json", _losses, merge)


def digest(agent: Mapping[str, str]) -> str:
    """Return the name of the file that tells of that agent's session."""
    import hashlib  # here: a hook before an edit needs none

    text = "\0".join(f"{name}={value}" for name, value in sorted(agent.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _ended(value: Any) -> tuple[str, list[str]]:
    session, held = str(value["session"]), files.texts(value["held"])
    if not is_session_name(session):
        raise ValueError("not a session's name")
    return session, held


def seated(git_dir: str, git_dirs: Iterable[str], environ: Mapping[str, str]) -> Identity:
    """Return the bindings among which whoever has these variables sits.

    An agent's session is the same in every work tree of the clone: the one in which it is bound counts. For a person, and for an
    agent that is bound nowhere, it is the work tree with that git folder. `git_dirs`: those of all work trees of the clone.
    """
    own = Identity(Path(git_dir))
    agent = agent_ids(environ)
    is_marked = any(environ.get(mark) for mark in MARKS)
    if not (agent or is_marked) or environ.get("GITCOORD_SESSION") or own.of_agent(own.agent(environ)) is not None:
        return own
    others = [Identity(Path(other)) for other in git_dirs if other != git_dir]
    found = [(other, other.of_agent(other.agent(environ))) for other in others]
    if agent:
        return next((other for other, binding in found if binding is not None), own)
    there = [other for other, binding in found if binding is not None and binding.alive]
    return there[0] if len(there) == 1 else own  # it says no more than that it is at work: of two nobody can tell which is meant


def seated_as(git_dir: str, git_dirs: Iterable[str], agent: Mapping[str, str]) -> Identity:
    """Return the bindings among which the session of exactly that agent is; those of the work tree with that git folder where it is
    bound nowhere.
    """
    own = Identity(Path(git_dir))
    if not agent or own.of_agent(agent) is not None:
        return own
    others = (Identity(Path(other)) for other in git_dirs if other != git_dir)
    return next((other for other in others if other.of_agent(agent) is not None), own)


def _binding(value: Any) -> Binding:
    """The binding that a file tells of, fields of a newer program left aside. Raises TypeError, KeyError."""
    known = {entry.name: value[entry.name] for entry in fields(Binding) if entry.name in files.mapping(value)}
    binding = Binding(**known)
    texts = (binding.session, binding.run_id, binding.born, binding.outbox, binding.repo, *binding.agent, *binding.agent.values())
    numbers = (binding.pid, binding.seq)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(number, int) for number in numbers):
        raise TypeError("not a binding")
    if not is_session_name(binding.session):
        raise ValueError("not a session's name")
    return binding


def _start(value: Any) -> tuple[tuple[int, str], Binding]:
    return (int(value["pid"]), str(value["born"])), _binding(value["binding"])


def _lease(entry: str) -> str:
    fence, _, resource = entry.partition(" ")
    int(fence)
    Resource.read(resource)
    return entry


def _notes(value: Any) -> _Notes:
    held = {_lease(entry): SeenLease(int(seq), float(until), int(ttl)) for entry, (seq, until, ttl) in value["held"].items()}
    return _Notes(int(value["seq"]), held, [_lease(entry) for entry in files.texts(value["over"])])


def _losses(value: Any) -> list[tuple[str, str]]:
    pairs = [files.texts(pair) for pair in value]
    return [(_lease(entry), at) for entry, at in pairs]
