"""The engine under small faults: kills between the steps, a stopped flusher, refusals, poison, another program's commands."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clones import Clock, Seat, Seats, collect, file, until
from remotes import Remote

from gitcoord.connection.connect import Connection
from gitcoord.coordinator.commands import Commands
from gitcoord.core import rules
from gitcoord.core.claims import AcquireClaims
from gitcoord.core.events import Caller, Command, Event
from gitcoord.core.messages import SendMessage
from gitcoord.core.state import State
from gitcoord.core.times import spell
from gitcoord.errors import GitFault, Held, NotHeld, Unknown
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.git.tip import Swap
from gitcoord.log import wire
from gitcoord.log.eventlog import EventLog
from gitcoord.machine import processes
from gitcoord.outbox import submit
from gitcoord.outbox.batch import Batch
from gitcoord.outbox.store import STALLED_AFTER, Outbox
from gitcoord.outbox.submit import Submitter


class Killed(BaseException):
    """Stands for SIGKILL at a chosen step: nothing of the program may clean up after it."""


def _die(*args: object, **kwargs: object) -> None:
    raise Killed


STEPS = {
    "before the push": (RemoteTip, "swap"),
    "after the push, before the answer": (Outbox, "answer"),
    "before the note about the push": (Outbox, "note_push"),
    "after the answer, before the note is gone": (Outbox, "land"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_message_survives_a_kill_at_every_step_and_is_sent_once(
    pair: tuple[Seat, Seat], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    ada.ok("sync")  # no race is lost on the way: the steps are those of the only push
    owner, name = STEPS[step]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, _die)
        with ada.here() as found, pytest.raises(Killed):
            found.coordinator.messages.send("ben", "hello", "")
    assert ada.ok("sync")["unsent"] == 0
    assert ada.ok("sync")["unsent"] == 0
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["hello"]
    assert [one["event"] for one in ada.ok("log")["events"]].count("message.sent") == 1
    assert ada.ok("verify")["ok"]


@pytest.mark.parametrize("step", STEPS)
def test_a_claim_whose_caller_was_killed_is_never_pushed_later(
    pair: tuple[Seat, Seat], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    ada.ok("sync")  # no race is lost on the way: the steps are those of the only push
    owner, name = STEPS[step]
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, _die)
        with ada.here() as found:
            deadline = found.coordinator.now() + timedelta(seconds=30)
            patch.setattr(Commands, "_waiting", lambda _: Caller(pid=gone.pid, born="gone", deadline=deadline))
            with pytest.raises(Killed):
                found.coordinator.claims.acquire(file("x"))
    landed = step in {"after the push, before the answer", "after the answer, before the note is gone"}
    ada.ok("heartbeat", "going on")  # from here on the killed process's push could land no more
    assert ada.ok("sync")["unsent"] == 0
    holders = [one["claimed_by"] for one in ben.ok("claims")["claims"]]
    assert holders == (["ada"] if landed else [])


def test_a_push_of_a_killed_process_that_lands_late_has_one_effect(
    pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    sent: list[tuple[str, str]] = []

    def note_and_die(self: RemoteTip, expected: str, new: str, seconds: float, **more: str) -> Swap:
        sent.append((expected, new))
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RemoteTip, "swap", note_and_die)
        with ada.here() as found, pytest.raises(Killed):
            found.coordinator.messages.send("ben", "hello", "")
    [(_, late)] = sent
    ada.git("push", "-q", "origin", f"{late}:refs/heads/coordination")  # the zombie's push arrives now
    assert ada.ok("sync")["unsent"] == 0
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["hello"]
    assert [one["event"] for one in ben.ok("log")["events"]].count("message.sent") == 1


def test_no_refusal_is_told_while_an_earlier_push_of_the_command_may_still_land(
    earlier: tuple[Seat, Seat, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("x"), ttl_seconds=300)
    clock.move(seconds=290)
    sent: list[str] = []

    def note_and_die(self: RemoteTip, expected: str, new: str, seconds: float, **more: str) -> Swap:
        sent.append(new)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RemoteTip, "swap", note_and_die)
        with ada.here(clock) as found, pytest.raises(Killed):
            found.coordinator.claims.renew(file("x"), again=False, op="renewal")
    clock.move(seconds=20)  # by now the lease is over: decided anew, the same command is refused
    with ada.here(clock) as found, pytest.raises(Unknown):
        found.coordinator.claims.renew(file("x"), again=False, op="renewal")
    ada.git("push", "-q", "origin", f"{sent[0]}:refs/heads/coordination")  # the killed process's push arrives now
    with ada.here(clock) as found:
        assert [lease.fence for lease in found.coordinator.claims.renew(file("x"), again=False, op="renewal").claims] == [4]


def test_a_push_that_never_came_keeps_no_refusal_back_for_long(
    earlier: tuple[Seat, Seat, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("x"), ttl_seconds=300)
    clock.move(seconds=290)
    with monkeypatch.context() as patch:
        patch.setattr(RemoteTip, "swap", _die)
        with ada.here(clock) as found, pytest.raises(Killed):
            found.coordinator.claims.renew(file("x"), again=False, op="renewal")
    clock.move(seconds=20)
    with ada.here(clock) as found:
        for note in (found.outbox.path / "pushes").iterdir():  # no process that git's deadline has ended can send any more
            os.utime(note, (time.time() - 3600,) * 2)
        with pytest.raises(NotHeld):
            found.coordinator.claims.renew(file("x"), again=False, op="renewal")


def test_an_unknown_outcome_converges_when_the_command_is_run_again(
    pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    real = RemoteTip.swap

    def landed_but_unknown(self: RemoteTip, expected: str, new: str, seconds: float, **more: str) -> Swap:
        real(self, expected, new, seconds, **more)
        raise Unknown("the line was cut")

    with monkeypatch.context() as patch:
        patch.setattr(RemoteTip, "swap", landed_but_unknown)
        with ada.here() as found, pytest.raises(Unknown):
            found.coordinator.claims.acquire(file("x"))
        with ada.here() as found:
            assert found.coordinator.messages.send("ben", "hello", "").state == "queued"  # never exit 5 for what can wait
    first = ada.ok("claim", "x")
    assert first["claims"][0]["claimed_by"] == "ada"
    assert len(ben.ok("claims")["claims"]) == 1
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["hello"]


def test_a_stopped_flusher_holds_nobody_up(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, _ = pair
    gate = file_remote.path / "hooks" / "pre-receive"
    wait = f"while [ ! -e {file_remote.path}/go ]; do sleep 0.05; done"
    gate.write_text(f"#!/bin/sh\nif mkdir {file_remote.path}/first 2>/dev/null; then {wait}; fi\n")
    gate.chmod(0o755)
    stuck = ada.start("claim", "x", "--json")
    while not (file_remote.path / "first").exists():
        assert stuck.poll() is None
    os.kill(stuck.pid, signal.SIGSTOP)
    try:
        other = Seat(ada.path, ada.outbox, "ada")
        assert other.ok("claim", "y")["outcome"] == "held"
    finally:
        (file_remote.path / "go").touch()
        os.kill(stuck.pid, signal.SIGCONT)
    [ran] = collect([stuck])
    assert ran.code in (0, 5, 9), ran
    held = {one["resource_name"] for one in ada.ok("claims")["claims"]}
    assert ran.code != 0 or "x" in held


def test_those_who_go_past_a_stopped_flusher_go_one_after_the_other(
    pair: tuple[Seat, Seat], file_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All see at the same moment that it is stopped: sixty who then pushed at once got in each other's way until they gave up."""
    ada, ben = pair
    gate = file_remote.path / "hooks" / "pre-receive"
    gate.write_text(f"#!/bin/sh\nif mkdir {file_remote.path}/first 2>/dev/null; then while [ ! -e go ]; do sleep 0.05; done; fi\n")
    gate.chmod(0o755)
    stuck = ada.start("claim", "x", "--json")
    until((file_remote.path / "first").exists, "it never pushed")
    os.kill(stuck.pid, signal.SIGSTOP)
    real, guard, at_once, most = Batch.send, threading.Lock(), [0], [0]

    def counted(self: Batch, own: Command | None, end: float, *, alone: bool = False) -> object:
        with guard:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        try:
            return real(self, own, end, alone=alone)
        finally:
            with guard:
                at_once[0] -= 1

    def send(number: int) -> None:
        with ada.here() as found:
            found.coordinator.claims.acquire(file(f"f{number}"))

    monkeypatch.setattr(Batch, "send", counted)
    monkeypatch.setattr(submit, "STALLED_AFTER", 0.3)
    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        (file_remote.path / "go").touch()
        os.kill(stuck.pid, signal.SIGCONT)
    collect([stuck])
    assert most == [1]
    assert {f"f{number}" for number in range(4)} <= {one["resource_name"] for one in ben.ok("claims")["claims"]}


def test_a_flusher_shows_life_before_each_command_that_it_decides(pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd's batch takes a busy machine seconds, and those who wait must not take that for a stopped process."""
    ada, _ = pair
    with ada.here() as found:
        box, real, seen = found.outbox, rules.decide, list[float]()

        def decide(*args: Any) -> Any:
            seen.append(box.last_pulse())
            os.utime(box.path / "pulse", (0, 0))
            return real(*args)

        monkeypatch.setattr(rules, "decide", decide)
        for number in range(3):
            op, now = box.next_id(), found.coordinator.now()
            box.put(SendMessage(op=op, session="ada", at=now, to="ben", subject=f"hello {number}"))
        assert found.coordinator.parts.submitter.flush(seconds=20) == []
    assert len(seen) >= 3
    assert 0.0 not in seen


def test_what_the_slow_process_may_still_send_has_no_certain_end(pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch) -> None:
    """This one went past the process that holds the lock; that one was only slow, and has noted the command for its push by now."""
    ada, _ = pair
    with ada.here() as found:
        coordinator = found.coordinator
        command = AcquireClaims(
            op=found.outbox.next_id(), session="ada", run_id=coordinator.actor.run_id, at=coordinator.now(), resources=("file:x",)
        )  # fmt: skip

        def fails_meanwhile(self: EventLog, *_: object) -> None:
            found.outbox.note_push(self.known(), [command.handle])
            raise GitFault("git push failed: it was ended by signal 9")

        monkeypatch.setattr(EventLog, "_send", fails_meanwhile)
        found.outbox.put(command)
        submitter = coordinator.parts.submitter
        outcome = submitter.batch.send(command, submitter.clock() + submitter.seconds, alone=True)[command.handle]
    assert isinstance(outcome, Unknown), outcome


def test_what_another_process_of_the_clone_sent_meanwhile_is_not_sent_again(
    pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = pair
    waiting: list[subprocess.Popen[str]] = []
    ended = []
    real = EventLog._send

    def another_comes(self: Submitter) -> None:
        waiting.append(ada.start("heartbeat", "testing", "--json"))
        while len(self.outbox.waiting()) < 2:
            assert waiting[0].poll() is None

    def stopped_for_a_while(self: EventLog, *args: object, **kwargs: object) -> object:
        if not ended:  # without a pulse the other one sends its own command, which is in our chain, too
            ended.extend(collect(waiting))
        return real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Submitter, "_gather", another_comes)
    monkeypatch.setattr(EventLog, "_send", stopped_for_a_while)
    with ada.here() as found:
        assert found.coordinator.sessions.heartbeat(action="building").state == "committed"
    assert [ran.code for ran in ended] == [0]
    assert [one["event"] for one in ada.ok("log")["events"]].count("heartbeat.recorded") == 2


def test_an_answer_that_comes_between_two_looks_is_the_answer(pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch) -> None:
    ada, _ = pair
    real = Outbox.is_waiting

    def answered_just_now(self: Outbox, op: str) -> bool:
        if real(self, op):  # whoever flushed without the lock leaves the answer, and takes the command out
            self.answer(op, {"error": Held("ben holds it").as_record()})
        return real(self, op)

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "is_waiting", answered_just_now)
        with ada.here() as found, pytest.raises(Held, match="ben holds it"):
            found.coordinator.claims.acquire(file("x"))


def test_a_refused_push_is_exit_7_with_the_remote_s_words(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, _ = pair
    hook = file_remote.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'protected by policy' >&2\nexit 1\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    ran = ada.run("claim", "x", "--json")
    assert ran.code == 7
    assert "protected by policy" in ran.json["message"]
    hook.unlink()
    assert ada.ok("claim", "x")["outcome"] == "held"


POISON = """#!/bin/sh
while read old new ref; do
  if git log --format=%B $old..$new | grep -q 'poison'; then echo 'no poison here' >&2; exit 1; fi
done
"""


def test_one_refused_command_does_not_stop_the_others(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    file_remote.away()
    for subject in ("before", "poison", "after"):
        assert ada.ok("send", "ben", subject)["state"] == "queued"
    file_remote.back()
    hook = file_remote.path / "hooks" / "pre-receive"
    hook.write_text(POISON)
    hook.chmod(0o755)
    for _ in range(4):
        ada.run("sync")
    ran = ada.run("heartbeat", "building", "--json")
    assert ran.code == 0, ran
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["before", "after"]
    assert "not carried out: 1 queued command" in ada.run("status").err
    assert "no poison here" in ada.run("doctor").out
    hook.unlink()
    ada.run("doctor", "--fix")
    ada.ok("sync")
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["poison"]


@pytest.mark.parametrize("wrong", ["decided wrongly", "not readable again"])
def test_a_bug_in_one_command_stops_no_other_and_writes_nothing(
    pair: tuple[Seat, Seat], file_remote: Remote, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    file_remote.away()
    for subject in ("before", "poison", "after"):
        assert ada.ok("send", "ben", subject)["state"] == "queued"
    file_remote.back()
    problem, encode = rules.problem, wire.encode

    def never_valid(state: State, event: Event, at: datetime) -> str | None:
        return "poison" if "poison" in repr(event) else problem(state, event, at)

    def changed(event: Event, **rest: Any) -> str:
        return encode(event, **rest).replace("poison", "cure")

    with monkeypatch.context() as patch, ada.here() as found:
        if wrong == "decided wrongly":
            patch.setattr(rules, "problem", never_valid)
        else:
            patch.setattr(wire, "encode", changed)
        assert [error.exit_code for error in found.coordinator.parts.submitter.flush()] == [70]
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["before", "after"]
    assert "not carried out: 1 queued command" in ada.run("status").err
    assert "a bug in gitcoord" in ada.run("doctor").out
    assert ben.ok("verify")["ok"]


def test_a_command_that_this_program_can_not_read_keeps_nobody_from_speaking(pair: tuple[Seat, Seat]) -> None:
    """A newer program's, or one that something changed: it is set aside, named, and kept, unless a process waits for it."""
    ada, ben = pair
    with ada.here() as found:
        outbox, now = found.outbox, found.coordinator.now()
        own = Caller(pid=os.getpid(), born=processes.born(os.getpid()), deadline=now + timedelta(seconds=600))
        said = {"session": "ada", "at": spell(now)}
        strange: tuple[dict[str, Any], ...] = (
            {"kind": "teleport", "command": {**said, "where": "moon"}},
            {"kind": "message.send", "command": {**said, "to": "ben", "subject": "x", "later": 1}},
            {"kind": "message.send", "command": {**said, "to": "ben", "subject": 7}},
            {"kind": "teleport", "command": {**said, "caller": own.model_dump(mode="json")}},
        )
        ops = []
        for record in strange:
            ops.append(outbox.next_id())
            record["command"]["op"] = ops[-1]
            (outbox.path / "outbox" / f"{ops[-1]}.json").write_text(json.dumps(record))
        later = SendMessage(op=outbox.next_id(), session="ada", at=found.coordinator.now(), to="ben", subject="later")
        outbox.put(later)
    ada.run("sync")
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["later"]
    assert {path.stem for path in (outbox.path / "outbox").glob("*.json")} == {ops[3]}
    assert {path.stem for path in (outbox.path / "refused").glob("*.json")} == set(ops[:3])
    assert "not carried out: 3 queued commands" in ada.run("status").err
    assert "this program can't read it" in ada.run("doctor").out


def test_a_machine_with_many_clones_flushes_through_any_of_them(file_remote: Remote, seats: Seats) -> None:
    ada, ben = seats(file_remote, "ada", "ben", machine="one")
    ada.ok("init")
    ada.ok("start", "ada")
    ben.ok("start", "ben")
    file_remote.away()
    ada.ok("send", "ben", "from ada's clone")
    file_remote.back()
    ben.ok("heartbeat", "building")
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["from ada's clone"]


def test_who_waits_sends_what_whoever_had_the_lock_did_not(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    with ada.here() as first, ExitStack() as held:
        assert held.enter_context(first.outbox.lock(5.0))
        with ada.here(sleep=lambda seconds: held.close()) as found:  # it waits, and meanwhile the lock becomes free
            assert found.coordinator.messages.send("ben", "one", "").state == "committed"
            assert not (found.outbox.path / "lock-past").exists()  # it had the lock: nobody was taken for a stopped process


def test_two_users_of_one_clone_have_two_outboxes(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    with ada.here() as found:
        first = found.outbox.path
    ada.git("config", "user.email", "somebody.else@example.org")
    with ada.here() as found:
        assert found.outbox.path != first


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_an_outbox_that_cannot_be_written_falls_back(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o500)
    assert Seat(ada.path, shut).ok("heartbeat", "building")["state"] == "committed"


def test_an_outbox_that_is_a_file_falls_back_to_the_clone(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    (tmp_path / "file").write_text("in the way")
    with Seat(ada.path, tmp_path / "file").here() as found:
        assert found.outbox.path == ada.path / ".git" / "gitcoord"
        assert found.coordinator.sessions.heartbeat(action="building").state == "committed"


def test_the_whole_group_of_a_child_ends_with_its_deadline(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    with ada.here() as found:
        marker = tmp_path / "pids"
        script = f"sleep 600 & echo $! $$ > {marker}; sleep 600"
        done = found.repo.run("-c", f"alias.x=!{script}", "x", seconds=1.0)
    assert not done.in_time
    for pid in marker.read_text().split():
        state = Path(f"/proc/{pid}/stat")
        deadline = time.monotonic() + 10
        while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline


def test_a_claim_is_decided_again_after_a_lost_race(pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch) -> None:
    ada, ben = pair
    real = EventLog._send
    raced = []

    def slow(self: EventLog, *args: object, **kwargs: object) -> object:
        if not raced:
            raced.append(True)
            assert ben.run("claim", "x").code == 0
        return real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(EventLog, "_send", slow)
    with ada.here() as found, pytest.raises(Held) as refused:
        found.coordinator.claims.acquire(file("x"))
    assert refused.value.data["blocked_by"][0]["claimed_by"] == "ben"
    assert [one["claimed_by"] for one in ada.ok("claims")["claims"]] == ["ben"]


def _asks(found: Connection, session: str, name: str) -> AcquireClaims:
    """A claim that a living process waits for, written to the outbox."""
    now = found.coordinator.now()
    caller = Caller(pid=os.getpid(), born=processes.born(os.getpid()), deadline=now + timedelta(seconds=60))
    command = AcquireClaims(op=found.outbox.next_id(), session=session, at=now, resources=(f"file:{name}",), caller=caller)
    found.outbox.put(command)
    return command


def test_what_comes_while_a_race_is_lost_goes_along(pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch) -> None:
    ada, ben = pair
    real = RemoteTip.swap
    swaps: list[Swap] = []

    with ada.here() as found:
        found.coordinator.sessions.start("eve", new=True)

        def swap(self: RemoteTip, expected: str, new: str, seconds: float, **more: str) -> Swap:
            if not swaps:  # another machine is faster, and meanwhile eve on this one asks too
                assert ben.run("heartbeat", "faster").code == 0
                _asks(found, "eve", "y")
            swaps.append(real(self, expected, new, seconds, **more))
            return swaps[-1]

        monkeypatch.setattr(RemoteTip, "swap", swap)
        found.coordinator.sessions.act_as("ada", "")
        found.coordinator.claims.acquire(file("x"))
        assert found.outbox.waiting() == []
    assert swaps == [Swap.LOST, Swap.WON]
    assert {one["claimed_by"] for one in ben.ok("claims")["claims"]} == {"ada", "eve"}
    assert ben.ok("verify")["ok"]


def test_what_its_caller_took_back_is_not_sent_with_the_others(pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch) -> None:
    ada, ben = pair
    real = Outbox.note_push
    with ada.here() as found:
        impatient = _asks(found, "ben", "y")

        def note_push(self: Outbox, base: str, ops: Sequence[str]) -> str:
            self.drop(impatient.op)  # its deadline comes first: it takes the command back, and finds no note about a push
            return real(self, base, ops)

        monkeypatch.setattr(Outbox, "note_push", note_push)
        found.coordinator.claims.acquire(file("x"))
        assert found.outbox.pushes() == []
    assert [one["claimed_by"] for one in ben.ok("claims")["claims"]] == ["ada"]


def test_what_another_process_carried_out_meanwhile_is_not_called_given_up(
    pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    real = Outbox.note_push
    raced: list[str] = []
    with ada.here() as found, ada.here() as other:

        def note_push(self: Outbox, base: str, ops: Sequence[str]) -> str:
            if not raced:  # it was stopped here; another process went on without the lock, and did all of it
                raced.extend(ops)
                assert other.coordinator.parts.submitter.flush(seconds=20) == []
            return real(self, base, ops)

        op = found.outbox.next_id()
        now = found.coordinator.now()
        found.outbox.put(SendMessage(op=op, session="ada", at=now, to="ben", subject="hello"))
        monkeypatch.setattr(Outbox, "note_push", note_push)
        monkeypatch.setattr(Outbox, "lock", lambda self, seconds, past=False: nullcontext(enter_result=True))
        assert found.coordinator.parts.submitter.flush(seconds=20) == []
    assert raced == [op]
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["hello"]


def test_an_operation_that_landed_between_its_two_runs_is_not_sent_again(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with ada.here() as again, ada.here() as first:
        real = again.outbox.put

        def put(command: Command, *, since: str = "") -> None:
            # The second run has looked for the operation, and now the first one's lands, its note and its place go.
            first.coordinator.messages.send("ben", "hello", "", op="once")
            real(command, since=since)

        again.outbox.put = put  # type: ignore[method-assign]
        first.outbox.put = real  # type: ignore[method-assign]
        assert again.coordinator.messages.send("ben", "hello", "", op="once").seq == 4
        assert again.outbox.waiting() == []
    assert ada.ok("sync")["unsent"] == 0
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["hello"]
    assert [one["event"] for one in ben.ok("log")["events"]].count("message.sent") == 1


def test_an_older_clone_of_the_machine_looks_before_it_pushes(
    file_remote: Remote, seats: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = seats(file_remote, "one", "two", machine="both")
    one.ok("init")
    for seat in (one, two):
        seat.ok("start", seat.path.name)
    one.ok("claim", "x")  # the outbox knows of it, the other clone doesn't
    real = RemoteTip.swap
    swaps: list[Swap] = []

    def swap(self: RemoteTip, expected: str, new: str, seconds: float, **more: str) -> Swap:
        swaps.append(real(self, expected, new, seconds, **more))
        return swaps[-1]

    monkeypatch.setattr(RemoteTip, "swap", swap)
    with two.here() as found:
        found.coordinator.claims.acquire(file("y"))
    assert swaps == [Swap.WON]


def test_a_refusal_from_an_old_view_is_confirmed_first(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.ok("claim", "x")
    assert ada.run("claim", "x").code == 3
    ben.ok("release", "x")
    assert ada.ok("claim", "x")["outcome"] == "held"


def test_kill_9_at_random_moments_loses_no_acknowledged_claim(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    acknowledged = []
    for number in range(12):
        child = ada.start("claim", "droplet", f"r{number}", "--json")
        try:
            out, _ = child.communicate(timeout=0.08 * (number % 6) + 0.05)
        except subprocess.TimeoutExpired:
            child.kill()
            out, _ = child.communicate()
        if child.returncode == 0:
            acknowledged.append(json.loads(out)["claims"][0])
    ada.ok("sync")
    ada.ok("claim", "droplet", "last")
    held = {(one["resource_name"], one["fence"]) for one in ben.ok("claims")["claims"]}
    assert {(one["resource_name"], one["fence"]) for one in acknowledged} <= held
    assert ada.ok("sync")["unsent"] == 0
    assert ben.ok("verify")["ok"]


def test_a_winner_rests_by_what_it_lost_and_soon_no_more(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    with ada.here() as found:
        batch = found.coordinator.parts.submitter.batch
        batch.log.contention = 0
        assert batch._rest(0.0, seconds=5.0) == 0.0  # who never lost doesn't rest, however slow its remote is
        batch.log.contention = 3
        assert batch._rest(0.0, seconds=2.0) == 1.5  # four tries in two seconds, three of them lost
        assert batch._rest(0.0, seconds=60.0) < STALLED_AFTER  # or the others on this machine would go without the lock
        batch.log.contention = 0
        rest, rests = 1.5, 0
        while rest:
            rest, rests = batch._rest(rest, seconds=1.0), rests + 1
        assert rests < 10
