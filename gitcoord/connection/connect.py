"""Builds a Coordinator from real parts: the only file that knows every floor."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitcoord import __version__
from gitcoord.coordinator.actor import Actor
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.parts import Merging, Parts, TrialGround
from gitcoord.core import names, secrecy
from gitcoord.core.times import spell
from gitcoord.errors import BadInput, Damaged, GitcoordError, GitFault, Unknown
from gitcoord.git import discovery, hub
from gitcoord.git.carriers import Carriers
from gitcoord.git.environment import holds_sockets, keep_ssh_open
from gitcoord.git.objects import Objects
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.git.repo import Oid, Repository
from gitcoord.git.signing import Signing
from gitcoord.git.tip import LocalTip, Tip
from gitcoord.git.urls import hub_url, push_url
from gitcoord.log.eventlog import EventLog
from gitcoord.log.halves import Helper
from gitcoord.log.history import LINES, Bad, Checked
from gitcoord.log.outcomes import Begun, Undoubted, Unseen, Waits
from gitcoord.machine import files, processes
from gitcoord.machine.agents import THREADED, agent_name
from gitcoord.machine.facts import Facts, SortedFacts
from gitcoord.machine.identity import Identity, owner, seated
from gitcoord.machine.ids import digest
from gitcoord.machine.timekeeper import Timekeeper
from gitcoord.machine.trusted import KeptBytes, TrustFiles, trust_folder
from gitcoord.outbox import places as earlier_places
from gitcoord.outbox.places import Earlier, count_left, left_at, open_outbox, temporary
from gitcoord.outbox.store import Outbox
from gitcoord.outbox.submit import Submitter
from gitcoord.settings import Settings
from gitcoord.views import lazy
from gitcoord.views.projection import TreeProjection
from gitcoord.warm import address

if TYPE_CHECKING:
    from gitcoord.git.edits import Edits


def utc_now() -> datetime:
    """This machine's clock: an aware UTC instant."""
    return datetime.now(UTC)


_SANDBOXES = ("CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED")  # set for what runs inside
_HUB = "hub"  # how its tip is called, where a remote's name stands else


def _checked(value: Any) -> Checked:
    return _as_checked(files.unsealed(value))


def _begun(value: Any) -> Begun:
    record = files.unsealed(value)
    return Begun(_as_checked(record), int(record["done"]), int(record["total"]), str(record["alarm"]))


def _as_checked(record: Mapping[str, Any]) -> Checked:
    bad = tuple(Bad(str(oid), str(reason), int(seq)) for oid, reason, seq in record["bad"])
    return Checked(str(record["tip"]), str(record["good"]), int(record["seq"]), bad, int(record.get("before", 0)))


def as_record(checked: Checked) -> dict[str, Any]:
    """What was checked, as it is written down."""
    bad = [(one.commit, one.reason, one.seq) for one in checked.bad]
    return {"tip": checked.tip, "good": checked.good, "seq": checked.seq, "bad": bad, "before": checked.before}


@dataclass(frozen=True)
class CloneMemory:
    """What this clone has checked of the branch, in a file of its own folder. Losing it costs one full check.

    The file's time says when the branch was last read where it lives (1970: never).
    """

    path: Path

    def load(self) -> Checked:
        """What is remembered; an empty one if nothing is."""
        return files.read(self.path, _checked) or Checked()

    def forget(self, why: str) -> None:
        """Sets it aside: it is not so."""
        files.set_aside(self.path, why)

    def save(self, checked: Checked) -> None:
        """Remembers it, if there is room."""
        at = self.read_at()
        with suppress(OSError):
            files.private_folder(self.path.parent)
            files.write_json(self.path, files.sealed(as_record(checked)))
            self._date(at.timestamp() if at else 0.0)

    @property
    def lock(self) -> Path:
        """The lock of whoever does a long check."""
        return self.path.with_suffix(".lock")

    @property
    def _way(self) -> Path:
        """The file that says how far a long check is."""
        return self.path.with_name(self.path.name.replace("checked-", "checking-", 1))

    def begun(self) -> Begun | None:
        """Return how far the check of the history is; None where none is under way."""
        return files.read(self._way, _begun)

    def note_begun(self, begun: Begun) -> None:
        """Notes how far it is, if there is room."""
        record = {**as_record(begun.checked), "done": begun.done, "total": begun.total, "alarm": begun.alarm}
        with suppress(OSError):
            files.private_folder(self.path.parent)
            files.write_json(self._way, files.sealed(record))

    def end_check(self) -> None:
        """Forgets that: it is done."""
        with suppress(OSError):
            self._way.unlink(missing_ok=True)

    @contextmanager
    def turn(self, waits: Callable[[], object]) -> Iterator[None]:
        """Check while no other process of this clone does; where nothing can be written, at the same time."""
        with ExitStack() as stack:
            with suppress(OSError):
                files.private_folder(self.path.parent)
                stack.enter_context(files.turn(self.lock, waits))
            yield

    def note_read(self, at: datetime) -> None:
        """Notes when the branch was read where it lives."""
        self._date(at.timestamp())

    def read_at(self) -> datetime | None:
        """When the branch was last read where it lives; None when it never was."""
        with suppress(OSError):
            stamp = self.path.stat().st_mtime
            return datetime.fromtimestamp(stamp, UTC) if stamp else None
        return None

    def _date(self, stamp: float) -> None:
        with suppress(OSError):
            os.utime(self.path, (stamp, stamp))


def _begins_check(lock: Path, start: str, environ: Mapping[str, str]) -> Callable[[], None]:
    """Return what has the history of that clone checked in the background, unless a process is at it, by that lock."""
    place = os.path.abspath(start)

    def begin() -> None:
        with suppress(OSError):
            files.private_folder(lock.parent)
            if not files.is_taken(lock):
                program = processes.of_ours(place, first="from gitcoord.connection.checking import go; go()")
                processes.detach(program, {**environ, "GITCOORD_HOOK": "1"})

    return begin


def _helps(start: str, environ: Mapping[str, str]) -> Helper | None:
    """Return what has another process check the earlier half of a history; None where there is no processor for it."""
    place = os.path.abspath(start)
    if (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) < 2:
        return None

    @contextmanager
    def help_with(commit: Oid) -> Iterator[Callable[[], Checked | None]]:
        words = processes.of_ours(place, commit, first="from gitcoord.connection.checking import go_to; go_to()")
        with processes.asked(words, {**environ, "GITCOORD_HOOK": "1"}) as answer:

            def found() -> Checked | None:
                with suppress(ValueError, KeyError, TypeError):
                    return _as_checked(json.loads(answer()))
                return None

            yield found

    return help_with


@dataclass(frozen=True)
class Connection:
    """One caller's place: the repository, its settings, where the branch lives, and the coordinator."""

    repo: Repository
    home: Repository
    """Where the branch's objects and our refs lie: the same repository, or the hub's own."""
    settings: Settings
    tip: Tip
    outbox: Outbox
    coordinator: Coordinator
    memory: CloneMemory
    used: tuple[Earlier, ...] = ()
    """The outboxes that this clone used before."""
    spools: tuple[Path, ...] = ()
    """The folders in which sandboxes have outboxes: they can't write to their user's."""

    @property
    def elsewhere(self) -> tuple[Path, ...]:
        """Where else commands of this branch may wait: in outboxes that this clone used before, and in those of sandboxes."""
        same = self.earlier()[0]
        names_ = dict.fromkeys(path.name for path in (self.outbox.path, *same))
        boxes = [place / name for place in self.spools for name in names_]
        clone = files.own(self.repo.common_dir)
        return tuple(dict.fromkeys(path for path in (clone, *boxes, *same) if self.spools and path != self.outbox.path))

    def earlier(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The outboxes that this clone used before: those for this branch, and those for another one on which something waits.

        A branch at another URL is the same one if what was seen of it is in the history of this one.
        """
        same, others = list[Path](), list[Path]()
        for used in self.used:
            if used.branch == self.memory.path.stem:
                same.append(used.path)
            elif left_at(used.path):
                seen = CloneMemory(self.memory.path.with_name(f"{used.branch}.json")).load().good
                is_same = False
                with suppress(Damaged):  # it isn't here
                    is_same = self.coordinator.log.has_passed(seen)
                (same if is_same else others).append(used.path)
        return tuple(same), tuple(others)

    def left_behind(self) -> list[str]:
        """Warnings about what is not sent yet, or never will be."""
        # What another process is just sending is in the outbox too; it isn't worth a word.
        waiting = [one for one in self.outbox.waiting() if one.command is None or self.outbox.is_queued(one.op)]
        since = self.outbox.away_since()
        found = files.notices()
        local = self.outbox.local_sessions()
        if local and (text := self._unseen(local, len([one for one in waiting if one.session in local]))):
            found.append(text)
        waiting = [one for one in waiting if one.session not in local]
        if waiting:
            how = "a hook or the MCP server sends them" if self.coordinator.parts.boxed else "they go out with the next command"
            found.append(f"{len(waiting)} unsent{f' since {spell(since)}' if since else ''}; {how}")
        same, others = self.earlier()
        for path in same:
            if left := count_left(path):
                found.append(
                    f"{left} unsent since this clone's machine, e-mail or way to the remote changed: gitcoord sync sends them"
                )
        for path in others:
            if left := count_left(path):
                found.append(
                    f"{left} unsent for another remote or branch that this clone had: set that back and run gitcoord sync, "
                    f"or drop them: rm -r {names.word(str(path))}"
                )
        if refused := self.outbox.refused():
            found.append(f"not carried out: {names.counted(len(refused), 'queued command')}: gitcoord doctor")
        return found

    def _unseen(self, local: Collection[str], count: int) -> str:
        """Return the warning that nobody sees what these sessions say; "" where all of it was adopted."""
        me = self.coordinator.actor.session
        carried = False
        with suppress(GitcoordError):  # what stands in the way of reading the branch is told by whoever reads it
            carried = self.coordinator.carriage.carries(me)
        if carried:
            rides = f"{count} waiting on {self.repo.branch} to be adopted by somebody who may push"
            if me in self.coordinator.log.view().state.sessions:
                return rides if count else ""
            return f"nobody sees this session yet: {rides}"
        who = "this session" if me in local else f"session {names.show(sorted(local)[0], 64)}"
        refusal = self.outbox.refusal()
        why = names.show(refusal.words, 200) if refusal else ""
        return f"nobody sees {who}: {why}; {count} waiting here. What would help: gitcoord doctor"

    def note_warmth(self) -> None:
        """Note for the next commands whether they may begin in a fork of a warm process: where somebody coordinates, not in a
        sandbox, and as the setting has it.
        """
        wanted = self.settings.warm and self.memory.path.exists()
        if not self.coordinator.parts.boxed:
            address.note(str(files.own(self.repo.common_dir)), wanted=wanted)

    def below(self, place: str) -> tuple[str, str]:
        """Where that folder lies below the root ("" for the root), and the root, both as POSIX paths."""
        root = self.repo.work_tree
        below = os.path.relpath(place, root) if root else "."
        return ("" if below == "." or below.startswith("..") else below.replace(os.sep, "/")), root.replace(os.sep, "/")


def choose_remote(repo: Repository, settings: Settings) -> str:
    """The remote that is shared: as configured, else `origin`, else the only one; "" for none. Raises BadInput."""
    remotes = repo.remotes
    if settings.remote == ".":
        return ""
    if settings.remote:
        if settings.remote not in remotes:
            raise BadInput(f"gitcoord.remote is {settings.remote!r}, and there is no such remote", hint="git remote -v")
        return settings.remote
    if "origin" in remotes:
        return "origin"
    if len(remotes) > 1:
        raise BadInput(
            f"there are {len(remotes)} remotes and none is called origin: {', '.join(remotes)}",
            hint="gitcoord config remote NAME",
        )
    return remotes[0] if remotes else ""


@contextmanager
def connect(
    start: str,
    environ: Mapping[str, str],
    *,
    session: str | None = None,
    cached: bool = False,
    heard: bool = True,
    unverified: bool = False,
    about_secrets: secrecy.Manner = "hide",
    seconds: float | None = None,
    rest: Callable[[float], None] | None = None,
    waits: Waits | None = None,
    hooked: bool = False,
    client: Mapping[str, str] | None = None,
    at: Path | None = None,
    now: Callable[[], datetime] = utc_now,
    witness: Callable[[], datetime] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Connection]:
    """Connect with the repository that `start` lies in. Raises NoRepository outside of one.

    - `session`: the session that the caller named; `cached`, `heard`, `unverified`, `about_secrets`: see `Actor`.
    - `seconds`: how long one answer of the remote is waited for at most, where that is less than the settings have. Such a caller
      waits no longer for a check of the history either: that is done in the background.
    - `waits`: shows what is waited for.
    - `rest`: see `Parts`.
    - `hooked`: the variables that git sets for its hooks may name the repository, too.
    - `client`: what the agent is known by that speaks for itself, where its variables are not set.
    - `at`: the outbox, where it is not the clone's own.
    - `witness`: another clock, in place of the remote's own.
    """
    repo = Repository.find(start, environ, hooked=hooked)
    settings = Settings.read({key: values[-1] for key, values in repo.config.items()}, environ)
    remote = _HUB if settings.hub else choose_remote(repo, settings)
    url = hub_url(repo, settings.hub) if settings.hub else push_url(repo, remote) if remote else ""
    parts = _parts(repo, settings, url, environ)
    outbox = open_outbox(settings.desk if url else "clone", parts=parts, common_dir=repo.common_dir, environ=environ)
    own = outbox.path
    outbox = outbox if at is None else Outbox(files.private_folder(at))
    repo = repo.working(outbox.pulse, _ssh_options(settings, environ), settings.deadline)
    home = hub.home(repo, str(own / "hub.git"), url) if settings.hub else repo
    tip: Tip
    tip = RemoteTip(home, remote, url, settings.branch, sleep, witness) if remote else LocalTip(repo, settings.branch, witness)
    name = hashlib.sha256(f"{url}\0{settings.branch}".encode("utf-8", "surrogateescape")).hexdigest()[:12]
    folder = files.own(repo.common_dir)
    memory = CloneMemory(folder / f"checked-{name}.json")
    identity = seated(repo.git_dir, discovery.git_dirs(repo.common_dir), environ)
    boxed = _is_boxed(repo, environ)
    used = earlier_places.others(folder, outbox.path) if at is None else ()
    if at is None and not boxed:
        earlier_places.remember(folder, outbox.path, memory.path.stem)
        for moved, before in identity.follow(outbox.path):
            with suppress(OSError):
                outbox.take_over(moved, before)
    alone = hooked or not heard or seconds is not None or "GITCOORD_HOOK" in environ
    signing = Signing(home, repo, alone=alone)
    facts = SortedFacts({
        lazy.OUTLINES: Facts(folder / f"facts-{name}-tasks.json", kept=1_000, worth=4),
        lazy.SUMMARY: Facts(folder / f"facts-{name}-plan.json", kept=8, worth=1),
        LINES: Facts(folder / f"facts-{name}-archives.json", kept=1_000, worth=1),
        "": Facts(folder / f"facts-{name}.json"),
    })  # fmt: skip
    with _as_it_was(outbox, memory, folder), closing(tip), Objects(home, tip.complete, tip.mend) as objects:
        objects.begin()
        log = EventLog(
            tip=tip,
            objects=objects,
            projection=TreeProjection(),
            memory=memory,
            now=now,
            writer=__version__,
            email=repo.email,
            facts=facts,
            keeper=Timekeeper(outbox.path / "clock.json", folder / f"seen-{name}.json") if remote else Undoubted(),
            host=_host(settings),
            waits=waits or Unseen(),
            background=(lambda: None) if boxed else _begins_check(memory.lock, start, environ),
            patience=seconds,
            helper=None if boxed else _helps(start, environ),
            signer=signing if settings.sign else None,
        )
        verdicts = Facts(folder / "merges.json", kept=4_000, worth=1)
        seconds = settings.deadline if seconds is None else min(seconds, settings.deadline)
        submitter = Submitter(outbox=outbox, log=log, now=now, sleep=sleep, seconds=seconds, wall=time.time)
        code = choose_remote(repo, settings) if settings.hub else remote
        carriers = Carriers(repo, code) if code else None

        def ground(folder: str, tick: Callable[[], None]) -> TrialGround:
            from gitcoord.git.scratch import Scratch

            return Scratch(repo, code, folder, tick, seconds)

        actor = find_actor(repo, settings, identity, environ, session, client or {})
        found = Connection(
            repo=repo,
            home=home,
            settings=settings,
            tip=tip,
            outbox=outbox,
            memory=memory,
            used=used,
            spools=(temporary(environ), temporary({"TMPDIR": "/tmp"})) if at is None else (),  # noqa: S108  # owner-checked
            coordinator=Coordinator(
                Parts(
                    log,
                    submitter,
                    outbox,
                    identity,
                    now,
                    seconds,
                    boxed,
                    rest,
                    repo if settings.hub else None,
                    carriers,
                    partial(_edits, repo, code) if settings.touches else None,
                    ground,
                    None if boxed else partial(_merger, repo, code, str(folder / "merges.git")),
                    verdicts,
                    TrustFiles(trust_folder(environ), (repo.work_tree, repo.common_dir)).read,
                    KeptBytes(folder / f"origins-{name}"),
                    signing.check,
                    KeptBytes(folder / f"verifying-{name}"),
                ),
                replace(actor, cached=cached, heard=heard, unverified=unverified, about_secrets=about_secrets),
            ),
        )
        try:
            yield found
        except GitFault as fault:
            if not (landed := found.coordinator.notices.landed):
                raise
            text = f"it is done, as event {landed}, but git failed before all of the answer was there: {fault.message}"
            raise Unknown(text, hint="gitcoord status shows what came of it", data={"seq": landed}) from fault
        facts.keep()
        verdicts.keep()


def _edits(repo: Repository, remote: str, staged: bool) -> Edits | None:
    """What the work tree has changed since it left the default branch."""
    from gitcoord.git import edits  # here: few commands ask for it

    return edits.look(repo, remote, staged=staged)


def _merger(repo: Repository, remote: str, folder: str) -> Merging:
    """What tells which commits can't be merged."""
    from gitcoord.git.merges import Merges  # here: few commands ask for it

    return Merges(repo, remote, folder)


@contextmanager
def _as_it_was(outbox: Outbox, memory: CloneMemory, folder: Path) -> Iterator[None]:
    """Where nobody coordinates, as far as is known, what only looked leaves nothing behind."""
    try:
        yield
    finally:
        if not memory.path.exists():
            outbox.leave()
            if not outbox.path.exists():
                earlier_places.forget(folder, outbox.path)


def _ssh_options(settings: Settings, environ: Mapping[str, str]) -> str:
    if not settings.sshpersist:
        return ""
    runtime = environ.get("XDG_RUNTIME_DIR")
    places = [*([Path(runtime) / "gitcoord"] if runtime else []), temporary(environ), temporary({"TMPDIR": "/tmp"})]  # noqa: S108  # owner-checked
    return keep_ssh_open(str(files.private_folder(next(one for one in places if holds_sockets(str(one))))), settings.sshpersist)


def _parts(repo: Repository, settings: Settings, url: str, environ: Mapping[str, str]) -> list[str]:
    """Return what names this user's outbox for this branch: two clones whose pushes would carry other things have two of them."""
    if not url:
        return [repo.common_dir]
    shown = [f"{key}={'|'.join(values)}" for key, values in sorted(repo.config.items()) if key.startswith(hub.CREDENTIALS)]
    ssh = [environ.get("GIT_SSH_COMMAND", ""), environ.get("GIT_SSH", "")]
    return [url, settings.branch, socket.gethostname(), repo.email, *ssh, *shown]


def _is_boxed(repo: Repository, environ: Mapping[str, str]) -> bool:
    """Whether this process runs in an agent's sandbox: it says so, or the git directory can't be written."""
    return any(environ.get(name) for name in _SANDBOXES) or not os.access(repo.common_dir, os.W_OK)


def find_actor(
    repo: Repository,
    settings: Settings,
    identity: Identity,
    environ: Mapping[str, str],
    asked: str | None,
    client: Mapping[str, str],
) -> Actor:
    """On whose behalf the caller acts: named, else the agent's session, else the session of this work tree.

    `client`: see `connect`.
    """
    agent = identity.agent(environ)
    explicit = asked or environ.get("GITCOORD_SESSION") or ""
    bindings = identity.all()
    if not agent and all(one.agent for one in bindings):
        agent = dict(client)
    elif client and agent and not explicit and not THREADED & set(agent) and all(one.agent != agent for one in bindings):
        # It goes on under another id than the one with which it started its server.
        agent = next((one.agent for one in identity.of_process(agent, owner(environ))), agent)
    human = ""
    if explicit:
        session = names.parse_session(explicit)
        binding = next((one for one in bindings if one.session == session), None)
    elif agent:
        binding = next((one for one in bindings if one.agent == agent), None)
    else:
        binding = next((one for one in bindings if not one.agent), None)
        if binding is None and bindings:
            human = f"human-{wish_name(_user(environ))}"
            binding = next((one for one in bindings if one.session == human), None)
    folder = os.path.basename(repo.work_tree or repo.git_dir.removesuffix("/.git"))
    return Actor(
        session=binding.session if binding else (explicit or ""),
        run_id=binding.run_id if binding else "",
        agent=agent,
        agent_name=agent_name(environ) or next(iter(agent.values()), "").partition(" ")[0] or None,
        wish=wish_name(repo.branch or folder),
        repo=repo_name(repo, settings),
        hub=bool(settings.hub),
        branch=names.branch_or_none(repo.branch),
        host=_host(settings),
        owner=owner(environ),
        human=human,
        named=bool(explicit),
        folds=(repo.setting("core.ignorecase") or "").lower() in {"true", "yes", "on", "1"},
    )


def _host(settings: Settings) -> str:
    return settings.host or f"host-{digest([socket.gethostname()])[:6]}"


def repo_name(repo: Repository, settings: Settings) -> str:
    """What the repository is called, the same in each of its clones and work trees: as set, else by the end of its remote's URL,
    else by its folder.
    """
    if settings.repo:
        return settings.repo
    remotes = repo.remotes
    remote = settings.remote if settings.remote in remotes else "origin" if "origin" in remotes else next(iter(remotes), "")
    url = repo.config[f"remote.{remote}.url"][-1] if remote else repo.common_dir.removesuffix("/.git")
    url = re.sub(r"^([A-Za-z0-9+.-]+://)[^/?#]*@", r"\1", url)  # what names the user, or asks, may be a secret
    url = re.split(r"[?#]", url)[0] if url.startswith(("http:", "https:")) else url
    last = re.split(r"[/:\\]", url.rstrip("/").removesuffix(".git").rstrip("/"))[-1]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last)[:60].strip("-._")
    return name if names.is_repo(name) else f"repo-{digest([last])[:6]}"


def _user(environ: Mapping[str, str]) -> str:
    try:
        return environ.get("USER") or environ.get("LOGNAME") or getpass.getuser()
    except (KeyError, OSError):
        return "someone"


def wish_name(text: str) -> str:
    """A session name made of any text."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:56].rstrip("-._")
    name = name.removesuffix(".lock")
    return name if names.is_session_name(name) else f"session-{name}".rstrip("-")[:56]
