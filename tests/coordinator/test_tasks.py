"""Tasks on real git, by two sessions on two machines: next, wait, request, handoff, release, proof, import, what a claim reads."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import Any

import pytest
from clones import Clock, Seat, Seats
from plans import ready_slowly
from pure_branch import resource
from remotes import Remote

from gitcoord.connection.connect import Connection
from gitcoord.core import task_lists
from gitcoord.core.names import Resource
from gitcoord.core.task_cards import NewTask
from gitcoord.errors import BadInput, Held, NotHeld, NothingReady

Pair = tuple[Seat, Seat]


def add(found: Connection, title: str, *files: str, **given: Any) -> int:
    """Add a task; its number."""
    card = NewTask(title=title, files=tuple(map(resource, files)), **given)
    return found.coordinator.tasks.add([card]).numbers[0]


def mine(found: Connection) -> list[str]:
    """What the session holds."""
    return [str(one.resource) for one in found.coordinator.claims.leases(mine=True, overlapping=None)]


def test_two_sessions_never_get_the_same_task_and_see_each_others_results(pair: Pair) -> None:
    ada, ben = pair
    with ada.here() as here, ben.here() as there:
        first = add(here, "first", "src/a.py")
        second = add(here, "second", "src/b.py", needs=(str(first),))
        taken = here.coordinator.tasks.next()
        assert (taken.task.seq, mine(here)) == (first, [f"file:{'src/a.py'}", f"task:{first}"])
        with pytest.raises(NothingReady, match="1 in work, 1 blocked"):
            there.coordinator.tasks.next()
        assert there.coordinator.tasks.blocked_among([Resource("task", str(second)), Resource("slot", "ci")]) == [
            f"task #{second} waits for #{first}"
        ]
        with pytest.raises(NotHeld, match="only who holds"):
            there.coordinator.tasks.close(str(first))
        closed = here.coordinator.tasks.close(str(first), note="see a.py", tests="pass")
        assert (closed.task.status, mine(here)) == ("done", [])
        after = there.coordinator.tasks.next()
        assert after.task.seq == second
        assert [(one.seq, one.note, one.done_by) for one in after.needs] == [(first, "see a.py", "ada")]
        assert there.coordinator.branch.verify().ok


def test_task_is_asked_for_and_handed_over_as_anything_else(pair: Pair) -> None:
    ada, ben = pair
    with ada.here() as here, ben.here() as there:
        seq = add(here, "work", "src/a.py")
        here.coordinator.tasks.next()
        receipt, asked, _ = there.coordinator.claims.request(Resource("task", str(seq)), "May I?")
        assert asked == ("ada",)
        here.coordinator.claims.respond(f"{receipt.id}.0", "approve", "")
        there.coordinator.claims.acquire([Resource("task", str(seq))])
        assert mine(there) == [f"task:{seq}"]
        there.coordinator.handoffs.offer("ada", next="you know it better")
        taken = here.coordinator.tasks.next()
        assert taken.task.seq == seq
        assert (mine(here), mine(there)) == (["file:src/a.py", f"task:{seq}"], [])
        [lease] = [one for one in taken.leases if one.resource_type == "task"]
        assert lease.claimed_by == "ada"


def test_release_of_a_task_with_a_next_phase_is_a_step_in_its_line(pair: Pair) -> None:
    ada, ben = pair
    with ada.here() as here, ben.here() as there:
        seq = add(here, "work", "src/a.py", phases=("SPECS", "BUILD"))
        here.coordinator.tasks.next()
        here.coordinator.claims.acquire([Resource("slot", "ci")])
        released = here.coordinator.claims.release(None, next_phase="BUILD", to="ben", done="specified")
        assert (len(released.freed), mine(here)) == (3, [])
        state = here.coordinator.branch.view().state
        assert dict(state.handoffs.items()) == {}
        task = state.tasks[seq]
        assert (task.phase, task.to, task.phases, task.note) == ("BUILD", "ben", (), "specified")
        with pytest.raises(NothingReady, match="is for ben"):
            here.coordinator.tasks.next()
        assert there.coordinator.tasks.next().task.seq == seq
        released = there.coordinator.claims.release([Resource("task", str(seq))])
        assert there.coordinator.branch.view().state.tasks[seq].is_open


def test_waiting_for_a_task_ends_when_one_becomes_ready(pair: Pair) -> None:
    ada, ben = pair
    heard: list[str] = []
    with ada.here() as here:
        first = add(here, "first")
        second = add(here, "second", needs=(str(first),))
        here.coordinator.tasks.next()

        def work() -> None:
            with ben.here() as there:
                heard.append(str(there.coordinator.tasks.next(wait=60.0, told=heard.append).task.seq))

        waiting = threading.Thread(target=work)
        waiting.start()
        while not heard:
            waiting.join(0.05)
            assert waiting.is_alive()
        here.coordinator.tasks.close(str(first))
        waiting.join(60.0)
    assert heard[0].startswith("no task is ready for you (1 in work, 1 blocked)")
    assert heard[-1] == str(second)


def test_task_of_a_dead_worker_is_free_when_its_lease_is_over(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as here:
        seq = add(here, "work", "src/a.py")
        here.coordinator.tasks.next(ttl_seconds=600)
    with ben.here(clock) as there:
        clock.move(minutes=9)
        with pytest.raises(NothingReady):
            there.coordinator.tasks.next()
        clock.move(minutes=3)
        assert there.coordinator.tasks.next().task.seq == seq
    with ada.here(clock) as here, pytest.raises(NotHeld, match="held by ben"):
        here.coordinator.tasks.close(str(seq))


def test_what_is_said_without_the_remote_arrives_later(pair: Pair, file_remote: Remote) -> None:
    ada, _ = pair
    assert file_remote.path is not None
    gone = file_remote.path.with_suffix(".gone")
    with ada.here() as here:
        first = add(here, "first")
        here.coordinator.tasks.next()
    file_remote.path.rename(gone)
    with ada.here() as here:
        assert here.coordinator.tasks.add([NewTask(title="found on the way")]).receipt.state == "queued"
        assert here.coordinator.tasks.close(str(first)).receipt.state == "queued"
    gone.rename(file_remote.path)
    with ada.here() as here:
        here.coordinator.branch.sync()
        state = here.coordinator.branch.view().state
        assert [(one.seq, one.title, one.status) for one in state.tasks.values()] == [
            (2, "found on the way", "open"),
            (1, "first", "done"),
        ]


def test_links_of_a_list_that_lead_nowhere_are_left_out_and_named(pair: Pair) -> None:
    ada, _ = pair
    row = '{"id": "b", "title": "B", "dependencies": [{"depends_on_id": "gone", "type": "blocks"}, {"depends_on_id": "a"}]}'
    with ada.here() as here:
        here.coordinator.tasks.bring_in(task_lists.read('{"id": "a", "title": "A"}', "x"))
        added = here.coordinator.tasks.bring_in(task_lists.read(row, "x"))
        assert (added.numbers, here.coordinator.tasks.find("beads:b")[0].needs) == ((2,), (1,))
        assert any("1 links lead to tasks that are not in the list: beads:gone" in text for text in here.coordinator.notices)
        again = here.coordinator.tasks.bring_in(task_lists.read(row, "x"))
        assert (again.receipt.state, again.numbers, again.known) == ("unchanged", (), (2,))


def test_operation_that_is_run_again_gives_the_same_task(pair: Pair) -> None:
    ada, _ = pair
    with ada.here() as here:
        for title in ("a", "b"):
            add(here, title)
        first = here.coordinator.tasks.next(op="next-1")
        assert here.coordinator.tasks.next(op="next-1").receipt.seq == first.receipt.seq
        here.coordinator.tasks.close("1", op="close-1")
        assert here.coordinator.tasks.close("1", op="close-1").receipt.state == "committed"
        with pytest.raises(Held, match="was done by ada"):
            here.coordinator.claims.acquire([Resource("task", "1")])
        with pytest.raises(BadInput, match="no task 9"):
            here.coordinator.tasks.find("9")


@pytest.mark.parametrize("anyway", [False, True])
def test_failing_proof_leaves_the_task_open_unless_anyway(file_remote: Remote, seats: Seats, anyway: bool) -> None:
    [ada] = seats(file_remote, "ada")
    ada.ok("init")
    ada.ok("start", "ada")
    ada.ok("task", "add", "work")
    ada.ok("next")
    failed = ada.run("task", "done", "--proof", "echo seen; exit 3", "--json")
    assert (failed.code, failed.json["error"], failed.json["proof"]["exit_code"]) == (1, "failed", 3)
    assert "seen" in failed.err
    assert ada.ok("tasks")["tasks"][0]["status"] == "open"
    told = ada.ok("task", "done", "--proof", "exit 3", "--anyway") if anyway else ada.ok("task", "done", "--proof", "true")
    assert (told["state"], told["seq"], told["status"]) == ("committed", 1, "done")
    proof = ada.ok("task", "show", "1")["task"]["result"]["proof"]
    assert (proof["exit_code"], proof["commit"]) == (3 if anyway else 0, ada.git("rev-parse", "HEAD"))


# --- the model, on real git --------------------------------------------------------------------------------------------


def test_both_clones_say_at_every_commit_what_the_rule_says(pair: Pair) -> None:
    chance = random.Random(1)
    with pair[0].here() as found:
        for number in range(5):
            add(found, f"t{number}", priority=number)
    for _ in range(12):
        with chance.choice(pair).here() as found, suppress(BadInput, Held, NotHeld, NothingReady):
            _step(found, chance)
        for seat in pair:  # each time by a new process's eyes: what it notes of the tasks is read again by the next one
            with seat.here() as found:
                state = found.coordinator.branch.view().state
                ready = {one.standing.task.seq for one in found.coordinator.tasks.listed() if one.standing and one.standing.ready}
                assert ready == ready_slowly(state, found.coordinator.actor.session, found.coordinator.now())
    with pair[1].here() as found:
        assert found.coordinator.branch.verify(full=True).ok


def _step(found: Connection, chance: random.Random) -> None:
    """Something that a session does with the tasks that there are."""
    tasks = found.coordinator.tasks
    count = found.coordinator.branch.view().state.rules.tasks.added
    some = [str(chance.randint(1, count)) for _ in range(chance.randrange(3))]
    one, what = str(chance.randint(1, count)), chance.randrange(6)
    if what == 0:
        add(found, "t", needs=tuple(some), priority=chance.randrange(5))
    elif what == 1:
        add(found, "part", parent=one)
    elif what == 2:
        tasks.change(one, {"needs": some})
    elif what == 3:
        tasks.close(one, chance.choice(("done", "dropped")))
    elif what == 4:
        tasks.reopen(one)
    else:
        tasks.next()
