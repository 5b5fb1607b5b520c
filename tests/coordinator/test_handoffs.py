"""Handoffs on real git: one taker however many race, all of it or nothing, and the giver learns."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from clones import Clock, Seat, Seats, collect, file, snapshot, until
from gits import git
from remotes import Remote
from step_faults import Mould, start

from gitcoord.errors import Held, NotHeld, Unreachable


@pytest.fixture
def giver(file_remote: Remote, seats: Seats) -> tuple[Seat, Seat, Seat]:
    """ada holds two files and has handed them to anyone; ben and cat are on machines of their own."""
    found = seats(file_remote, "ada", "ben", "cat")
    found[0].ok("init")
    for seat in found:
        seat.ok("start", seat.path.name)
    found[0].ok("claim", "src/a.py", "src/b.py", "--phase", "BUILD")
    return found[0], found[1], found[2]


# --- the story ---------------------------------------------------------------------------------------------------------


def test_a_handoff_from_one_clone_is_taken_in_another_with_its_claims(giver: tuple[Seat, Seat, Seat]) -> None:
    ada, ben, cat = giver
    ada.git("checkout", "-q", "-b", "topic")
    head = ada.git("rev-parse", "HEAD")
    fences = {one["fence"] for one in ada.ok("claims")["claims"]}
    before = snapshot(ada.path)
    told = ada.ok(
        "handoff", "anyone", "-", "--done", "half", "--next", "the rest", "--tests", "2 fail", stdin="mind the gap\nin b.py\n"
    )
    assert (told["state"], told["to"], told["branch"], told["commit"]) == ("committed", "anyone", "topic", head)
    assert told["resources"] == ["file:src/a.py", "file:src/b.py"]
    assert {one["claimed_by"] for one in ben.ok("claims")["claims"]} == {"ada"}

    [seen] = ben.ok("handoffs")["handoffs"]
    assert (seen["id"], seen["seq"], seen["from"], seen["for_me"], seen["mine"]) == (told["id"], told["seq"], "ada", True, False)
    assert ben.ok("status")["handoffs"][0]["id"] == told["id"]
    work = snapshot(ben.path)
    taken = ben.ok("take", str(told["seq"]))
    record = taken["handoff"]
    assert (record["next"], record["done"], record["tests"], record["notes"]) == (
        "the rest",
        "half",
        "2 fail",
        "mind the gap\nin b.py",
    )
    assert (record["branch"], record["commit"], record["status"], record["taken_by"]) == ("topic", head, "taken", "ben")
    assert [(one["resource_name"], one["claimed_by"], one["fence"]) for one in taken["claims"]] == [
        ("src/a.py", "ben", taken["seq"]), ("src/b.py", "ben", taken["seq"]),
    ]  # fmt: skip
    assert taken["blocked_by"] == []
    assert snapshot(ben.path) == work
    assert snapshot(ada.path) == before

    second = cat.run("take", told["id"], "--json")
    assert second.code == 3
    assert second.json["taken_by"] == "ben"
    assert "was taken by ben 2" in second.json["message"]
    late = ada.run("renew", "src/a.py")
    assert late.code == 4
    assert "ben" in late.err
    assert ada.run("check", "src/a.py", "--fence", str(min(fences))).code == 4
    assert [one["type"] for one in ada.ok("inbox")["messages"]] == ["handoff"]
    assert ben.ok("take", told["id"])["claims"][0]["claimed_by"] == "ben"  # once more, as after an answer that got lost
    assert [one["how"] for one in cat.ok("history", "src/a.py")["leases"]] == ["handed_over", None]
    subjects = [one["subject"].split(":")[0] for one in cat.ok("log", "--resource", "file:src/a.py")["events"]]
    assert subjects == ["claim", "handoff", "take"]
    assert cat.ok("verify", "--full")["problems"] == []


def test_giver_learns_with_its_next_command(giver: tuple[Seat, Seat, Seat]) -> None:
    ada, ben, _ = giver
    ben.ok("take", str(ada.ok("handoff", "ben", "--next", "the rest")["seq"]))
    ran = ada.run("status")
    assert "you no longer hold file:src/a.py" in ran.err
    assert "ben holds it now" in ran.err
    assert "you no longer hold" not in ada.run("status").err


def test_session_that_listens_hears_of_a_handoff_to_it(giver: tuple[Seat, Seat, Seat]) -> None:
    ada, ben, cat = giver
    listening = ben.start("listen", "--timeout", "100s", "--json")
    offer = ada.ok("handoff", "ben", "--next", "the rest")
    [message] = collect([listening])[0].json["messages"]
    assert (message["type"], message["details"]) == ("handoff", {"handoff": offer["id"]})
    assert cat.ok("inbox")["messages"] == []
    assert [one["kind"] for one in ada.ok("status")["attention"]] == ["handoff"]
    assert cat.run("take", str(offer["seq"])).code == 3


def test_bad_handoffs_are_refused_with_a_way_on(giver: tuple[Seat, Seat, Seat]) -> None:
    ada, ben, _ = giver
    for words, code in (
        (["zoe", "x"], 2), (["broadcast", "x"], 2), (["ben", "x", "y"], 2), (["--claim", "a.py", "--no-claims"], 2),
        (["--no-claims"], 2), (["ben", "--claim", "docs/x"], 4), (["ben", "--branch", "nowhere"], 2), (["--next", "x" * 2001], 2),
    ):  # fmt: skip
        ran = ada.run("handoff", *words)
        assert (ran.code, "hint: " in ran.err) == (code, True), (words, ran)
    for words in (["nothing"], ["12345"], [], ["x", "--from", "ada"], ["--from", "zoe"], ["--from", "ben"]):
        ran = ben.run("take", *words)
        assert (ran.code, "hint: " in ran.err) == (2, True), (words, ran)
    assert ben.ok("handoffs")["handoffs"] == []
    ada.ok("handoff", "a text of several words")
    assert ben.ok("take")["handoff"]["notes"] == "a text of several words"


def test_chosen_claims_go_along_and_the_others_stay(giver: tuple[Seat, Seat, Seat]) -> None:
    ada, ben, cat = giver
    cat.ok("claim", "docs")
    ada.ok("handoff", "anyone", "--next", "b", "--claim", "src/b.py")
    ben.ok("take")
    assert {one["resource_name"]: one["claimed_by"] for one in cat.ok("claims")["claims"]} == {
        "docs": "cat", "src/a.py": "ada", "src/b.py": "ben",
    }  # fmt: skip


def test_what_another_holds_by_then_is_named(giver: tuple[Seat, Seat, Seat]) -> None:
    ada, ben, cat = giver
    ada.ok("handoff", "anyone", "--next", "b")
    ada.ok("release", "src/b.py")
    fence = cat.ok("claim", "src/b.py")["seq"]
    taken = ben.ok("take")
    assert [one["resource_name"] for one in taken["claims"]] == ["src/a.py"]
    assert [(one["claimed_by"], one["fence"]) for one in taken["blocked_by"]] == [("cat", fence)]


# --- races and kills ---------------------------------------------------------------------------------------------------


@pytest.mark.usually("http-machines", "file-one machine")
@pytest.mark.parametrize("machine", [None, "one"], ids=["machines", "one machine"])
def test_of_many_takers_exactly_one_takes(remote: Remote, seats: Seats, machine: str | None) -> None:
    names = ["ada", "ben", "cat", "dan", "eva"]
    ada, *others = seats(remote, *names, machine=machine)
    ada.ok("init")
    for seat in (ada, *others):
        seat.ok("start", seat.path.name)
    for number in range(2):
        ada.ok("claim", f"f{number}.py", f"g{number}.py")
        offer = ada.ok("handoff", "anyone", "--next", "the rest")
        ran = collect([seat.start("take", offer["id"], "--json") for seat in others])
        assert sorted(one.code for one in ran) == [0, 3, 3, 3], ran
        [winner] = [seat.path.name for seat, one in zip(others, ran, strict=True) if one.code == 0]
        assert {one.json["taken_by"] for one in ran if one.code == 3} == {winner}
        held = {one["resource_name"]: one["claimed_by"] for one in ada.ok("claims")["claims"]}
        assert {held[f"f{number}.py"], held[f"g{number}.py"]} == {winner}
    assert ada.ok("verify")["problems"] == []


@pytest.fixture
def mould() -> Iterator[Mould]:
    """A mould that is ended by the test's end."""
    with start() as child:
        yield Mould(child)


def test_taker_that_is_killed_at_any_step_took_all_or_nothing(
    giver: tuple[Seat, Seat, Seat], mould: Mould, request: pytest.FixtureRequest
) -> None:
    ada, ben, cat = giver
    ben.session = "ben"
    dice, kinds, step = random.Random(7), set[str](), 0
    while True:
        step += dice.randint(1, 3 if request.config.getoption("--every-step") else 14)
        offer = ada.ok("handoff", "anyone", "--next", "the rest")
        ran = mould.run(ben, "take", offer["id"], "--json", kill_at=step)
        held = {one["resource_name"]: (one["claimed_by"], one["fence"]) for one in cat.ok("claims")["claims"]}
        [record] = [one for one in cat.ok("handoffs", "--all")["handoffs"] if one["id"] == offer["id"]]
        holders = {who for who, _ in held.values()}
        assert len(held) == 2
        assert (holders, record["status"], record["taken_by"]) in [({"ada"}, "open", None), ({"ben"}, "taken", "ben")], step
        kinds.add(record["status"])
        if ran.code == 0:
            assert record["taken_by"] == "ben"
        again = mould.ok(ben, "take", offer["id"])  # the same again has one effect in all
        assert {one["claimed_by"] for one in again["claims"]} == {"ben"}
        if ran.code == 0:
            break
        back = mould.ok(ben, "handoff", "ada", "--next", "back")
        ada.ok("take", back["id"])
    assert kinds == {"open", "taken"}
    assert cat.ok("verify")["problems"] == []


def test_takers_killed_while_their_push_lands_leave_one_taker(giver: tuple[Seat, Seat, Seat], file_remote: Remote) -> None:
    ada, ben, cat = giver
    offer = ada.ok("handoff", "anyone", "--next", "the rest")
    before = git(file_remote.path, "rev-parse", "coordination")
    children = [seat.start("take", offer["id"], "--json") for seat in (ben, cat)]
    until(lambda: git(file_remote.path, "rev-parse", "coordination") != before, "nobody took it")
    for child in children:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    [record] = ada.ok("handoffs", "--all")["handoffs"]
    assert record["status"] == "taken"
    assert {one["claimed_by"] for one in ada.ok("claims")["claims"]} == {record["taken_by"]}
    ran = collect([seat.start("take", offer["id"], "--json") for seat in (ben, cat)])
    assert sorted(one.code for one in ran) == [0, 3]
    assert ada.ok("verify")["problems"] == []


# --- away and back -----------------------------------------------------------------------------------------------------


def test_offered_offline_is_queued_and_delivered_with_its_own_time(giver: tuple[Seat, Seat, Seat], file_remote: Remote) -> None:
    ada, ben, _ = giver
    file_remote.away()
    told = ada.ok("handoff", "ben", "--next", "the rest")
    assert (told["state"], told["seq"], told["resources"]) == ("queued", None, ["file:src/a.py", "file:src/b.py"])
    assert ben.run("take", told["id"]).code == 6
    file_remote.back()
    assert ada.ok("sync")["unsent"] == 0
    taken = ben.ok("take", told["id"])
    assert [one["resource_name"] for one in taken["claims"]] == ["src/a.py", "src/b.py"]
    assert [one["type"] for one in ben.ok("inbox")["messages"]] == ["handoff"]


def test_queued_handoff_of_leases_that_are_anothers_by_then_takes_nothing_from_it(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("a.py"))
        found.coordinator.claims.acquire(file("b.py"), ttl_seconds=4 * 3600)  # what is over goes along no more
    git(ada.path, "remote", "set-url", "origin", str(ada.path / "nowhere"))
    with ada.here(clock) as found, pytest.raises(Unreachable):
        found.coordinator.handoffs.take("x")
    git(ada.path, "remote", "set-url", "origin", git(ben.path, "remote", "get-url", "origin"))
    clock.move(hours=2)
    with ben.here(clock) as found:
        [lease] = found.coordinator.claims.acquire(file("a.py")).claims
    with ada.here(clock) as found:
        _, going = found.coordinator.handoffs.offer("anyone", next="late")
        assert [entry.split(" ")[1] for entry in going] == ["file:b.py"]
    with ben.here(clock) as found:
        found.coordinator.handoffs.take(None)
        [held] = [one for one in found.coordinator.claims.leases(mine=True, overlapping=None) if one.resource_name == "a.py"]
        assert held.fence == lease.fence


# --- taking a place ----------------------------------------------------------------------------------------------------


def test_place_of_a_silent_session_is_taken_from_another_clone(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, clock = earlier
    with ada.here(clock) as found:
        found.coordinator.claims.acquire(file("a.py"), ttl_seconds=4 * 3600)
        found.coordinator.handoffs.offer("anyone", resources=[], next="the form")
    with ben.here(clock) as found:
        found.coordinator.messages.send("ada", "Which form?", "", type="question")
    clock.move(minutes=29)
    with ben.here(clock) as found, pytest.raises(Held, match="counts as alive until"):
        found.coordinator.sessions.take_place("ada")
    clock.move(minutes=2)
    with ben.here(clock) as found:
        came = found.coordinator.sessions.take_place("ada")
        assert [(one.resource_name, one.claimed_by, one.fence) for one in came.claims] == [("a.py", "ben", came.receipt.seq)]
        assert [one.next for one in came.handoffs] == ["the form"]
        assert [one.subject for one in came.questions] == ["Which form?"]
        assert found.coordinator.sessions.take_place("ada").receipt.state == "unchanged"
        assert [one.how for one in found.coordinator.branch.history(file("a.py")[0])[0].over] == ["taken_over"]
    with ada.here(clock) as found, pytest.raises(NotHeld, match="ben took the place of ada"):
        found.coordinator.claims.renew(file("a.py"))
    with ada.here(clock) as found:
        assert found.coordinator.sessions.start(None)[0]
        assert found.coordinator.branch.verify().problems == ()


def test_who_has_no_session_yet_starts_one_and_takes_the_place(earlier: tuple[Seat, Seat, Clock]) -> None:
    _, ben, clock = earlier
    with ben.here(clock) as found:
        found.coordinator.sessions.end((), None)
    clock.move(minutes=31)
    new = Seat(ben.path, ben.outbox, extra={"CODEX_THREAD_ID": "t-1"})
    with new.here(clock) as found:
        found.coordinator.sessions.take_place("ada")
        taker, _ = found.coordinator.sessions.whoami()
    assert taker is not None


def test_live_session_keeps_its_place(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("heartbeat", "building")
    ran = ben.run("take", "--from", "ada", "--json")
    assert ran.code == 3
    assert ran.json["until"] > ran.json["last_heard"]
    assert "gitcoord ask ada" in ran.json["hint"]


# --- an end that hands over --------------------------------------------------------------------------------------------


def test_what_an_end_left_is_what_the_next_session_sees_first_and_takes(giver: tuple[Seat, Seat, Seat], tmp_path: Path) -> None:
    ada, ben, cat = giver
    cat.ok("handoff", "anyone", "--next", "something else")
    ran = ada.run("end", "--handoff", "anyone", "--done", "half", "--next", "the rest", "--notes", "mind the gap")
    assert (ran.code, "free now" in ran.err) == (0, False)
    assert ben.ok("claims")["claims"] == []
    started = ada.run("start", "--json")
    first, second = started.json["handoffs"]
    assert (first["from"], first["next"], first["notes"], second["from"]) == ("ada", "the rest", "mind the gap", "cat")
    assert "open handoff #" in started.err.splitlines()[0]
    assert "ada hands over: the rest" in started.err.splitlines()[0]
    taken = ada.ok("take", first["id"])
    assert [one["resource_name"] for one in taken["claims"]] == ["src/a.py", "src/b.py"]
    assert [one["from"] for one in ada.ok("handoffs")["handoffs"]] == ["cat"]


def test_end_with_claims_says_that_they_could_have_been_handed_over(giver: tuple[Seat, Seat, Seat]) -> None:
    ada, ben, _ = giver
    assert "gitcoord handoff" in ada.run("end").err
    assert ben.run("end").err == ""


# --- the briefing ------------------------------------------------------------------------------------------------------


def test_briefing_tells_all_then_what_is_new_and_takes_no_message(giver: tuple[Seat, Seat, Seat], file_remote: Remote) -> None:
    ada, ben, _ = giver
    (ben.path / "src").mkdir()
    (ben.path / "src/b.py").write_text("x\n")
    ben.git("add", "src/b.py")
    offer = ada.ok("handoff", "ben", "--next", "the rest")
    work = snapshot(ben.path)
    first = ben.ok("briefing")
    assert len(first["text"].encode()) <= 4096
    assert f"#{offer['seq']} ada to ben: the rest" in first["text"]
    assert (first["counts"]["near"], first["counts"]["claims"], first["counts"]["messages"]) == (1, 1, 1)
    again = ben.run("briefing")
    assert (again.code, again.out, again.err) == (0, "", "")
    ada.ok("send", "broadcast", "main is frozen")
    file_remote.away()
    assert "main is frozen" not in ben.run("briefing").out
    file_remote.back()
    news = ben.ok("briefing")
    assert (news["new"], news["counts"]["history"]) == (True, 1)
    assert len(news["text"].encode()) <= 1024
    file_remote.away()
    offline = ben.run("briefing", "--all")
    assert offline.code == 0
    assert "main is frozen" in offline.out
    assert "as this clone knew it last" in offline.out
    assert "this is what was known at" in offline.err
    file_remote.back()
    assert snapshot(ben.path) == work
    assert len(ben.ok("inbox")["messages"]) == 2


def test_marks_of_two_briefings_differ(giver: tuple[Seat, Seat, Seat]) -> None:
    ada, _, _ = giver
    marks = {line for _ in range(2) for line in ada.run("briefing", "--all").out.splitlines() if line.endswith(" begin -----")}
    assert len(marks) == 2
    assert all(len(mark.split()[1]) >= 32 for mark in marks)
