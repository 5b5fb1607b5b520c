"""An operation's id belongs to its session, its kind and its request: the same again has one effect, anything else is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from clones import Clock, Seat, file
from remotes import Remote

from gitcoord.coordinator.coordinator import Coordinator
from gitcoord.coordinator.keeper import Keeper
from gitcoord.core.claims import AcquireClaims
from gitcoord.core.events import digest
from gitcoord.core.messages import SendMessage
from gitcoord.core.names import Resource
from gitcoord.core.state import State
from gitcoord.errors import BadInput, GitFault, Held, NotHeld, NotInTime
from gitcoord.log.history import History
from gitcoord.log.outcomes import View
from gitcoord.outbox.batch import Batch

Use = Callable[[Coordinator, str], Any]

USES: dict[str, Use] = {
    "claim": lambda coordinator, op: coordinator.claims.acquire(file("x"), op=op),
    "claim of another thing": lambda coordinator, op: coordinator.claims.acquire(file("y"), op=op),
    "claim for longer": lambda coordinator, op: coordinator.claims.acquire(file("x"), ttl_seconds=600, op=op),
    "claim that waits": lambda coordinator, op: coordinator.claims.acquire(file("x"), wait=0.0, op=op),
    "run": lambda coordinator, op: Keeper(coordinator).take(file("y"), op=op),
    "renew": lambda coordinator, op: coordinator.claims.renew(file("x"), op=op),
    "release": lambda coordinator, op: coordinator.claims.release(file("x"), op=op),
    "release of all": lambda coordinator, op: coordinator.claims.release(None, op=op),
    "request": lambda coordinator, op: coordinator.claims.request(Resource("file", "theirs"), "", op=op),
    "send": lambda coordinator, op: coordinator.messages.send("ben", "hello", "", op=op),
    "send of other words": lambda coordinator, op: coordinator.messages.send("ben", "hello", "again", op=op),
    "send to another": lambda coordinator, op: coordinator.messages.send("broadcast", "hello", "", op=op),
    "ask": lambda coordinator, op: coordinator.messages.ask("ben", "hello", seconds=0.0, op=op),
    "heartbeat": lambda coordinator, op: coordinator.sessions.heartbeat(action="testing", op=op),
    "handoff": lambda coordinator, op: coordinator.handoffs.offer("anyone", next="the rest", op=op),
    "take": lambda coordinator, op: coordinator.handoffs.take(None, op=op),
    "take a place": lambda coordinator, op: coordinator.sessions.take_place("ben", op=op),
    "setting": lambda coordinator, op: coordinator.setup.set_shared("grace", "90", op=op),
    "end": lambda coordinator, op: coordinator.sessions.end([], None, op=op),
}
"""Use cases under one id. The pairs of them that ask for the same are none."""


def seq(seat: Seat) -> int:
    """The number of the newest event."""
    with seat.here() as found:
        return found.coordinator.branch.view(fresh=True).checked.seq


def test_the_digest_of_a_request_goes_by_who_asks_for_what_and_not_by_when() -> None:
    clock = Clock()
    one = SendMessage(op="a", session="ada", at=clock.now, to="ben", subject="hello", expires_at=clock.now)
    later = one.model_copy(update={"at": clock.now + timedelta(days=2), "expires_at": clock.now + timedelta(days=3), "run_id": "r"})
    assert digest("ada", one.kind, one.wishes) == digest("ada", later.kind, later.wishes)
    others = {
        digest("ben", one.kind, one.wishes),
        digest("ada", AcquireClaims.kind, one.wishes),
        *(digest("ada", one.kind, one.model_copy(update={key: "z"}).wishes) for key in ("to", "subject", "message", "priority")),
    }
    assert len(others) == 6
    assert digest("ada", one.kind, one.wishes) not in others


@pytest.mark.parametrize("first", ["claim", "send", "release of all"])
def test_an_id_that_stands_for_one_request_is_refused_for_any_other(first: str, pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with ben.here() as found:
        found.coordinator.claims.acquire(file("theirs"))
    with ada.here() as found:
        coordinator = found.coordinator
        if first == "release of all":
            coordinator.claims.acquire(file("x"))
        done = USES[first](coordinator, "seven")
        before = coordinator.branch.view(fresh=True).checked.seq
        for name, use in USES.items():
            if name != first:
                with pytest.raises(BadInput, match=r"seven is used already: event \d+ of ada, "):
                    use(coordinator, "seven")
        assert str(USES[first](coordinator, "seven")) == str(done)
    with ben.here() as found:  # another session, on another machine: it has not seen the first one's event yet
        with pytest.raises((BadInput, Held)):
            USES[first](found.coordinator, "seven")
        assert [one.resource_name for one in found.coordinator.claims.leases(mine=True, overlapping=None)] == ["theirs"]
    assert seq(ben) == before


def test_two_sessions_of_one_outbox_with_one_id_are_two_requests_also_while_they_wait(
    pair: tuple[Seat, Seat], file_remote: Remote
) -> None:
    ada, ben = pair
    same_outbox = Seat(ben.path, ada.outbox, "ben")
    file_remote.away()
    with ada.here() as first, same_outbox.here() as second:
        assert first.coordinator.messages.send("ben", "one", "", op="m1").state == "queued"
        with pytest.raises(BadInput, match="ada asked for something else"):
            second.coordinator.messages.send("ada", "two", "", op="m1")
        with pytest.raises(BadInput, match="ada asked for something else"):
            first.coordinator.messages.send("ben", "three", "", op="m1")
        assert first.coordinator.messages.send("ben", "one", "", op="m1").state == "queued"
        # Two that came past each other: neither is written over the other.
        other = SendMessage(op="m1", session="ben", at=first.coordinator.now(), to="ada", subject="two", asked="f" * 32)
        first.outbox.put(other)
        first.outbox.mark_queued(other.handle)
        assert len(first.outbox.waiting()) == 2
    file_remote.back()
    assert ada.ok("sync")["unsent"] == 0
    assert [one["subject"] for one in ben.ok("inbox")["messages"]] == ["one"]
    assert ada.ok("inbox")["messages"] == []
    with ada.here() as found:
        assert ["used already" in one["refused"] for one in found.outbox.refused()] == [True]
        assert found.coordinator.messages.send("ben", "one", "", op="m1").seq == 4


def test_a_session_that_is_started_on_the_way_has_an_operation_of_its_own(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    for number, name in enumerate(("claim", "claim that waits", "run", "send", "ask", "heartbeat", "handoff", "setting", "end")):
        newcomer = Seat(ada.path, ada.outbox, extra={"CLAUDE_CODE_SESSION_ID": name})
        with newcomer.here() as found:
            coordinator = found.coordinator
            before = coordinator.branch.view(fresh=True).checked.seq
            with suppress(NotInTime):  # nobody answers
                USES[name](coordinator, f"op-{number}")
            events = coordinator.branch.entries(session=None, resource=None, since=None, limit=9, after=before)
            assert [one.kind for one in events][:1] == ["session.started"], name
            assert [one.id for one in events][1:] == [f"op-{number}"], name
            if name != "end":
                coordinator.sessions.end([], None)


def test_a_claim_asked_for_again_when_it_is_over_is_not_held(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        fence = found.coordinator.claims.acquire(file("x"), ttl_seconds=300, op="build-7").claims[0].fence
        assert [one.fence for one in found.coordinator.claims.acquire(file("x"), ttl_seconds=300, op="build-7").claims] == [fence]
    clock.move(seconds=300)
    with ada.here(clock) as found, pytest.raises(NotHeld, match=r"carried out before.*over"):
        found.coordinator.claims.acquire(file("x"), ttl_seconds=300, op="build-7")
    clock.move(seconds=61)
    with ben.here(clock) as found:
        found.coordinator.claims.acquire(file("x"))
    with ada.here(clock) as found:
        found.coordinator.branch.sync()
        with pytest.raises(NotHeld, match="carried out before"):
            found.coordinator.claims.acquire(file("x"), ttl_seconds=300, op="build-7")


def test_a_start_under_an_id_is_one_session_in_one_work_tree_and_another_elsewhere(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    names = []
    for seat in (ada, ben):
        with seat.here() as found:
            session, receipt = (
                found.coordinator.sessions.start(None, new=True, work="the same", op="build-7") if seat is ada else ("", None)
            )
            if receipt is not None:
                assert found.coordinator.sessions.start(None, new=True, work="the same", op="build-7") == (session, receipt)
                names.append(session)
            else:
                with pytest.raises(BadInput, match="build-7 is used already"):
                    found.coordinator.sessions.start(None, new=True, work="the same", op="build-7")
    assert len(names) == 1


def test_a_claim_that_a_later_one_of_the_same_session_replaced_is_held_and_not_over(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    with ada.here() as found:
        coordinator = found.coordinator
        coordinator.claims.acquire(file("x"), mode="shared", op="build-7")
        newer = coordinator.claims.acquire(file("x")).claims[0]
        assert [lease.fence for lease in coordinator.claims.acquire(file("x"), mode="shared", op="build-7").claims] == [newer.fence]


def test_an_old_view_never_says_that_a_session_is_not_there(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, _ = pair
    assert ada.run("--session", "later", "inbox").code == 2
    file_remote.away()
    try:
        assert ada.run("--session", "later", "inbox").code == 6  # it may have started since
    finally:
        file_remote.back()


@pytest.mark.parametrize("use", ["send", "claim"])
def test_what_another_process_sent_once_this_one_had_failed_is_told_as_done(
    use: str, pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair

    def fail(*_: object) -> None:
        ada.ok("sync")
        raise GitFault("git cat-file failed: no answer in time")

    with ada.here() as found:
        monkeypatch.setattr(found.coordinator.parts.submitter, "_carry_out", fail)
        done = USES[use](found.coordinator, "seven")
    assert f"seq={seq(ben)}" in str(done)


@pytest.mark.parametrize("git", ["shows an old branch", "dies"])
def test_a_message_that_was_taken_and_could_not_be_read_comes_with_the_next_look(
    git: str, pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    ben.ok("send", "ada", "early")
    with ada.here() as found:
        coordinator = found.coordinator
        old = coordinator.branch.view(fresh=True)
        ben.ok("send", "ada", "late")
        before, known = coordinator.notices.landed, coordinator.log.view

        def look(**_: object) -> View:
            if git == "dies" and coordinator.notices.landed != before:
                raise GitFault("git cat-file failed: no answer in time")
            return old

        with monkeypatch.context() as unread:
            unread.setattr(coordinator.branch, "view", look)
            unread.setattr(coordinator.log, "view", lambda: known() if coordinator.notices.landed == before else look())
            assert [message.subject for message in coordinator.messages.inbox().found] == ["early"]
        mail = coordinator.messages.inbox()
    assert [message.subject for message in mail.found] == ["late"]
    assert mail.again == {message.id for message in mail.found}


def test_what_has_landed_is_told_although_what_came_after_it_can_not_be_read(
    pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run under the same id finds the first one on the branch, and then git dies."""
    ada, _ = pair
    known = next((ada.path / ".git" / "gitcoord").glob("checked-*.json"))
    before = known.read_bytes()
    with ada.here() as found:
        first = found.coordinator.claims.acquire(file("x"), op="seven")
    known.write_bytes(before)
    real, failed = History.state_at, list[str]()

    def dies_once(self: History, good: str, seq: int) -> State:
        if good == first.receipt.commit and not failed:
            failed.append(good)
            raise GitFault("git cat-file failed: no answer in time")
        return real(self, good, seq)

    monkeypatch.setattr(History, "state_at", dies_once)
    with ada.here() as found:
        again = found.coordinator.claims.acquire(file("x"), op="seven")
    assert failed
    assert [lease.fence for lease in again.claims] == [lease.fence for lease in first.claims]


def test_a_git_that_dies_once_a_claim_has_landed_makes_no_failure_of_it(
    pair: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise GitFault("git cat-file failed: no answer in time")

    ada, _ = pair
    with ada.here() as found:
        monkeypatch.setattr(Batch, "_held", die)  # what else the session holds is read from the branch
        assert found.coordinator.claims.acquire(file("x")).receipt.state == "committed"
