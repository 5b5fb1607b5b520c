"""Servers that wait, refuse, lock or lag: each answer is true, nothing is lost, and all goes on when they have recovered."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from clones import Clone, Seat, Seats, at_work, file, snapshot, until
from gits import git
from remotes import Remote

from gitcoord.coordinator.claims import Leases
from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.core.events import Receipt
from gitcoord.errors import GitcoordError, Refused, Unknown, Unreachable
from gitcoord.machine import ids
from gitcoord.setup.doctor import examine

T = TypeVar("T")


def landed(remote: Remote, op: str) -> int:
    """How many commits of the remote's branch carry the operation."""
    said = git(remote.path, "log", "--format=%(trailers:key=Coord-Id,valueonly)", "refs/heads/coordination")
    return said.split().count(op)


def hook(remote: Remote, name: str, text: str) -> Path:
    """Gives the server a hook."""
    place = remote.path / "hooks" / name
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return place


def ask(seat: Seat, what: Callable[[Coordinator], T]) -> T | GitcoordError:
    """What the coordinator answers there, a refusal included."""
    with seat.here() as found:
        try:
            return what(found.coordinator)
        except GitcoordError as error:
            return error


def claim(seat: Seat, *paths: str, op: str = "") -> Leases | GitcoordError:
    """Claims files."""
    return ask(seat, lambda coordinator: coordinator.claims.acquire(file(*paths), op=op))


def code(answer: object) -> int:
    """The exit code of an answer."""
    return answer.exit_code if isinstance(answer, GitcoordError) else 0


def send(seat: Seat, to: str, subject: str) -> Receipt | GitcoordError:
    """Sends a message."""
    return ask(seat, lambda coordinator: coordinator.messages.send(to, subject, ""))


def synced(seat: Seat) -> None:
    """Sends what waits; nothing may be left, and nothing stand in the way."""
    with seat.here() as found:
        errors, _ = found.coordinator.branch.sync()
        assert (errors, found.outbox.waiting()) == ([], [])


def mail(seat: Seat) -> list[str]:
    """The subjects of the unread messages, oldest first."""
    with seat.here() as found:
        return [one.subject for one in found.coordinator.messages.inbox()[0]]


def holders(seat: Seat) -> dict[str, tuple[str, int]]:
    """Who holds which resource, under which fence."""
    with seat.here() as found:
        leases = found.coordinator.claims.leases(mine=False, overlapping=None)
        return {one.resource_name: (one.claimed_by, one.fence) for one in leases}


def settled(seat: Seat) -> None:
    """Waits until no process works for that seat any more."""
    until(lambda: not at_work(seat), "a process that nobody needs")


@pytest.fixture
def office(remote: Remote, seats: Seats) -> tuple[Seat, Seat]:
    """Two started sessions on each kind of remote."""
    ada, ben = seats(remote, "ada", "ben")
    with ada.here() as found:
        found.coordinator.setup.init()
        found.coordinator.sessions.start("ada")
    with ben.here() as found:
        found.coordinator.sessions.start("ben")
    with ada.here() as found:
        found.coordinator.branch.sync()
    return ada, ben


# --- a server that waits ---------------------------------------------------------------------------------------------


class Gate:
    """A hook before which every push waits until the test lets it through."""

    def __init__(self, remote: Remote) -> None:
        self.path = remote.path
        fifo = remote.path / "gate"
        os.mkfifo(fifo)
        # Open at both ends for as long as the test lasts: no push finds nobody there, and what is written stays.
        self._tokens = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        hook(remote, "pre-receive", f": > {shlex.quote(str(remote.path))}/arrived.$$; read token < {shlex.quote(str(fifo))}")

    @property
    def arrived(self) -> int:
        """How many pushes have come so far."""
        return len(list(self.path.glob("arrived.*")))

    def open(self) -> None:
        """Lets all through, also those that come later."""
        os.write(self._tokens, b"go\n" * 100)

    def close(self) -> None:
        """Gives the pipe back."""
        os.close(self._tokens)


@pytest.fixture
def gate(office: tuple[Seat, Seat], remote: Remote) -> Iterator[Gate]:
    """A gate before the office's remote."""
    made = Gate(remote)
    yield made
    made.open()
    made.close()


@pytest.mark.usually("file-the program", "ssh-the program", "http-all of the client")
@pytest.mark.parametrize("killed", ["the program", "all of the client"])
def test_a_claim_that_lands_after_its_command_was_killed_is_announced_and_never_sent_again(
    killed: str, office: tuple[Seat, Seat], gate: Gate, remote: Remote
) -> None:
    ada, ben = office
    if remote.kind == "file" and killed != "the program":
        pytest.skip("a folder has no server that could go on by itself")
    op = ids.new_id()
    child = ada.start("claim", "x", "--op", op)
    until(lambda: gate.arrived == 1, "the push never arrived")
    for pid in {child.pid} | (at_work(ada) if killed != "the program" else set()):
        os.kill(pid, signal.SIGKILL)
    child.communicate()
    assert landed(remote, op) == 0
    gate.open()
    until(lambda: landed(remote, op) == 1, "the server has forgotten the push")
    told = ada.run("sync")
    assert told.code == 0
    assert "landed after its command was gone" in told.err
    assert gate.arrived == 1
    assert code(claim(ben, "x")) == 3
    again = claim(ada, "x", op=op)
    assert isinstance(again, Leases)
    assert landed(remote, op) == 1
    settled(ada)


@pytest.mark.usually("http")
def test_a_claim_that_was_given_up_has_one_effect_when_it_is_run_again(
    office: tuple[Seat, Seat], gate: Gate, remote: Remote
) -> None:
    ada, ben = office
    op = ids.new_id()
    ada.git("config", "gitcoord.deadline", "2")
    assert isinstance(claim(ada, "x", op=op), Unknown)
    settled(ada)
    assert gate.arrived >= 1
    assert landed(remote, op) == 0
    gate.open()
    ada.git("config", "--unset", "gitcoord.deadline")
    again = claim(ada, "x", op=op)  # the one that was given up may land before, meanwhile, or never
    assert isinstance(again, Leases)
    assert landed(remote, op) == 1
    assert code(claim(ben, "x")) == 3
    assert holders(ben) == {"x": ("ada", again.claims[0].fence)}


@pytest.mark.usually("git")
def test_a_message_that_was_given_up_is_sent_once(office: tuple[Seat, Seat], gate: Gate, remote: Remote) -> None:
    ada, ben = office
    ada.git("config", "gitcoord.deadline", "2")
    sent = send(ada, "ben", "hello")
    assert isinstance(sent, Receipt)
    assert sent.state == "queued"
    settled(ada)
    gate.open()
    ada.git("config", "--unset", "gitcoord.deadline")
    synced(ada)
    assert landed(remote, sent.id) == 1
    assert mail(ben) == ["hello"]


# --- a server that refuses -------------------------------------------------------------------------------------------


@contextmanager
def _protected(remote: Remote) -> Iterator[str]:
    """A protected branch: other branches could be pushed."""
    text = 'if [ "$1" = refs/heads/coordination ]; then echo "That branch is protected." >&2; exit 1; fi'
    place = hook(remote, "update", text)
    yield "That branch is protected."
    place.unlink()


@contextmanager
def _read_only(remote: Remote) -> Iterator[str]:
    """A server that lets this client read, and not write."""
    if remote.kind == "ssh":
        # What a host does with a deploy key: the key runs one program, which looks at what was asked for.
        config = Path(shlex.split(remote.config["core.sshCommand"])[-1])
        program = config.with_name("read-only")
        program.write_text(
            '#!/bin/sh\ncase "$SSH_ORIGINAL_COMMAND" in\n'
            '"git-upload-pack "*) exec git shell -c "$SSH_ORIGINAL_COMMAND" ;;\n'
            '*) echo "This key may only read." >&2; exit 1 ;;\nesac\n'
        )
        program.chmod(0o755)
        keys = config.with_name("authorized")
        key = keys.read_text()
        keys.write_text(f'command="{program}" {key}')
        try:
            yield "This key may only read."
        finally:
            keys.write_text(key)
    else:
        setting, words = {"http": ("http.receivepack", "403"), "git": ("daemon.receivepack", "service not enabled")}[remote.kind]
        git(remote.path, "config", setting, "false")
        yield words
        git(remote.path, "config", "--unset", setting)


@pytest.mark.usually("http-protected branch", "ssh-read only")
@pytest.mark.parametrize("way", [_protected, _read_only], ids=["protected branch", "read only"])
def test_a_refusal_is_told_with_its_words_and_nothing_is_lost(
    way: Callable[[Remote], object], office: tuple[Seat, Seat], remote: Remote
) -> None:
    ada, ben = office
    if remote.kind == "file" and way is _read_only:
        pytest.skip("who may write a folder is no matter of git")
    with way(remote) as words:  # type: ignore[attr-defined]
        for answer in (claim(ada, "x"), send(ada, "ben", "hello")):
            assert isinstance(answer, Refused)
            assert words in answer.message
        with ada.here() as found:
            [waiting] = found.outbox.waiting()  # refused once; the claim is gone, it was answered
            assert found.outbox.refused() == []
        assert holders(ada) == {}  # reading goes on, and sends what waits: refused for the second time
        with ada.here() as found:
            assert found.outbox.waiting() == []
            assert [one["command"]["op"] for one in found.outbox.refused()] == [waiting.op]
            assert any(words in one.what for one in examine(found, fix=False))
    with ada.here() as found:
        examine(found, fix=True)
    synced(ada)
    assert landed(remote, waiting.op) == 1
    assert mail(ben) == ["hello"]
    assert code(claim(ada, "x")) == 0
    settled(ada)


def test_a_server_that_denies_everything_but_going_forward_is_no_hindrance(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    for setting in ("receive.denyNonFastForwards", "receive.denyDeletes", "receive.fsckObjects"):
        git(file_remote.path, "config", setting, "true")
    assert code(claim(ada, "x")) == 0
    assert code(claim(ben, "x")) == 3
    assert code(ask(ada, lambda coordinator: coordinator.claims.release(file("x")))) == 0
    assert code(claim(ben, "x")) == 0


@pytest.mark.usually("http")
def test_a_lock_left_on_the_server_is_told_and_hinders_no_longer_than_it_is_there(
    office: tuple[Seat, Seat], remote: Remote
) -> None:
    ada, ben = office
    lock = remote.path / "refs" / "heads" / "coordination.lock"
    lock.touch()
    answer = claim(ada, "x")
    assert isinstance(answer, Unreachable), answer  # nobody forbids it: no policy, and nothing for a person to mend first
    assert "coordination.lock" in answer.message
    kept = send(ada, "ben", "hello")
    assert isinstance(kept, Receipt)
    assert kept.state == "queued"
    lock.unlink()
    assert code(claim(ada, "x")) == 0
    synced(ada)
    assert mail(ben) == ["hello"]


# --- a repository in which somebody cleans up ------------------------------------------------------------------------

CLEANED = {
    "gc": "gc -q --prune=now",
    "prune": "prune --expire=now",
    "began before": "",  # it had looked at all refs before ours was there
}


@pytest.mark.parametrize("how", CLEANED)
def test_a_garbage_collection_before_the_push_costs_nothing(how: str, pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    real, once = shutil.which("git"), tmp_path / "once"
    assert real is not None
    removing = f'find "{ada.path}/.git/objects" -newer "{once}.before" -type f -delete'
    cleaning = f'"{real}" -C "{ada.path}" {CLEANED[how]}' if CLEANED[how] else removing
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        f'case " $* " in *" fast-import "*) touch "{once}.before" ;;\n'
        f'*" push --porcelain "*) [ -e "{once}" ] || {{ touch "{once}"; env -u GIT_DIR -u GIT_WORK_TREE {cleaning}; }} ;; esac\n'
        f'exec "{real}" "$@"\n'
    )
    script.chmod(0o755)
    before = snapshot(ada.path)
    cleaned = replace(ada, extra={"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"})
    assert cleaned.ok("claim", "x")["claims"]
    assert once.exists()
    once.unlink()
    assert cleaned.ok("send", "ben", "hello")["state"] == "committed"
    assert mail(ben) == ["hello"]
    assert holders(ben)["x"][0] == "ada"
    after = snapshot(ada.path)
    assert {key for key in before if before[key] != after[key]} <= {".git/packed-refs"}  # that is git's own doing


# --- a server with two faces -----------------------------------------------------------------------------------------


@pytest.mark.usually("http")
def test_reads_and_writes_both_go_where_pushes_go(remote: Remote, file_remote: Remote, seats: Seats, clone: Clone) -> None:
    [ben] = seats(remote, "ben")
    [ada] = seats(file_remote, "ada")
    ada.git("remote", "set-url", "--push", "origin", remote.url)
    for key, value in remote.config.items():
        ada.git("config", key, value)
    assert code(ask(ben, lambda coordinator: coordinator.setup.init())) == 0
    assert code(ask(ben, lambda coordinator: coordinator.sessions.start("ben"))) == 0
    assert code(claim(ben, "x")) == 0
    assert code(ask(ada, lambda coordinator: coordinator.sessions.start("ada"))) == 0
    assert code(claim(ada, "x")) == 3
    file_remote.away()  # nothing of ours goes there
    assert code(claim(ada, "y")) == 0
    assert {name: who for name, (who, _) in holders(ben).items()} == {"x": "ben", "y": "ada"}
    file_remote.back()
    assert git(file_remote.path, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


class Mirror:
    """A server whose reads come from a copy that can lag behind what was pushed."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._copy = remote.path.with_name(f"{remote.path.name}.copy")
        self.program = remote.path / "mirror"
        here, copy = shlex.quote(str(remote.path)), shlex.quote(str(self._copy))
        self.program.write_text(
            f"#!/bin/sh\nif [ -e {here}/lagging ] || mv {here}/lagging-once {here}/has-lagged 2>/dev/null; then\n"
            f'  exec git upload-pack {copy}\nfi\nexec git upload-pack "$@"\n'
        )
        self.program.chmod(0o755)

    def copy(self) -> None:
        """Takes the copy that reads are going to show."""
        shutil.copytree(self._remote.path, self._copy)

    def lag(self, *, once: bool = False) -> None:
        """From now on reads show the copy (only the next one: `once`)."""
        (self._remote.path / ("lagging-once" if once else "lagging")).touch()

    def catch_up(self) -> None:
        """Reads show what there is."""
        (self._remote.path / "lagging").unlink()

    @property
    def has_lagged(self) -> bool:
        """Whether the one read that was to lag has come."""
        return (self._remote.path / "has-lagged").exists()


@pytest.fixture
def mirror(office: tuple[Seat, Seat], remote: Remote) -> Mirror:
    """The office's remote reads through a mirror."""
    if remote.kind not in {"file", "ssh"}:
        pytest.skip("there git lets nobody choose what answers a read")
    made = Mirror(remote)
    for seat in office:
        seat.git("config", "remote.origin.uploadpack", str(made.program))
    return made


@pytest.mark.usually("file")
def test_one_read_that_lags_is_no_alarm(office: tuple[Seat, Seat], mirror: Mirror) -> None:
    ada, ben = office
    mirror.copy()
    assert code(claim(ada, "x")) == 0
    held = holders(ben)
    assert set(held) == {"x"}
    mirror.lag(once=True)
    assert holders(ben) == held
    assert mirror.has_lagged
    assert code(claim(ben, "x")) == 3


@pytest.mark.usually("file")
def test_a_claim_on_a_copy_that_lags_is_not_said_to_be_refused(office: tuple[Seat, Seat], mirror: Mirror, remote: Remote) -> None:
    ada, ben = office
    synced(ben)
    mirror.copy()
    mirror.lag()
    op = ids.new_id()
    assert code(claim(ada, "x")) == 0
    answer = claim(ben, "x", op=op)
    assert isinstance(answer, Unreachable), answer  # nothing was sent, and who holds it can't be known here
    message = send(ben, "ada", "hello")
    assert isinstance(message, Receipt)
    assert message.state == "queued"
    ask(ben, lambda coordinator: coordinator.branch.sync())
    mirror.catch_up()
    assert code(claim(ben, "x")) == 3
    synced(ben)
    assert (landed(remote, op), landed(remote, message.id)) == (0, 1)


@pytest.mark.usually("file-the copy is what it was built on", "file-the copy is older")
@pytest.mark.parametrize("behind", [False, True], ids=["the copy is what it was built on", "the copy is older"])
def test_a_push_whose_answer_was_lost_before_a_read_that_lags_has_one_effect(
    behind: bool, office: tuple[Seat, Seat], mirror: Mirror, remote: Remote
) -> None:
    ada, ben = office
    if behind:
        mirror.copy()
        assert code(ask(ada, lambda coordinator: coordinator.sessions.heartbeat(action="building"))) == 0
    else:
        synced(ada)
        mirror.copy()
    lost = remote.path / "lost"
    lost.touch()
    # The ref is moved, then the report is lost: only once, so that what is sent again gets its answer.
    place = hook(remote, "post-receive", f"if rm {shlex.quote(str(lost))} 2>/dev/null; then kill -9 $PPID; fi")
    mirror.lag()
    # Two reads in a row that lag are an alarm, but never a refusal, nor a race that was lost.
    assert code(send(ada, "ben", "hello")) in {0, 8}
    assert not lost.exists()
    place.unlink()
    mirror.catch_up()
    ask(ada, lambda coordinator: coordinator.branch.view(fresh=True))
    synced(ada)
    assert mail(ben) == ["hello"]
    with ada.here() as found:
        assert found.outbox.refused() == []
    assert git(remote.path, "log", "--format=%(trailers:key=Coord-Event,valueonly)", "coordination").count("message.sent") == 1
