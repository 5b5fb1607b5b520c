"""The relay: each event once and in order whatever the service does, by one of all machines; what people say comes in once."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from chat import Service, SlackServer, in_turn
from clones import PATIENCE, Clock, Seat, Seats, until
from gits import GitFailed
from remotes import Remote

from gitcoord.connection.connect import Connection
from gitcoord.core.messages import SendMessage
from gitcoord.core.names import Resource
from gitcoord.errors import BadInput
from gitcoord.git.objects import Objects
from gitcoord.log.outcomes import View
from gitcoord.relay.channel import REFUSALS
from gitcoord.relay.filter import AGAIN, Choice
from gitcoord.relay.plan import Plan
from gitcoord.relay.relay import Relay
from gitcoord.relay.services.api import Inlet, Outlet
from gitcoord.relay.services.file import Lines
from gitcoord.relay.services.gate import Gate
from gitcoord.relay.services.webhook import Webhook
from gitcoord.relay.settings import Book

HERE = Gate(private=True)  # what the tests talk with is on loopback
ALL = Choice.parse(("message.sent",))


@dataclass
class Shift:
    """A relay at work in this process, with its clocks in the test's hand: waiting moves them."""

    found: Connection
    wall: Clock
    relay: Relay
    ticks: float = 1000.0
    told: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    over: Callable[[], bool] = lambda: False

    def clock(self) -> float:
        """The monotonic clock."""
        return self.ticks

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        assert len(self.slept) < 10_000, f"it waits for ever: {self.told[-5:]}"
        self.slept.append(seconds)
        self.wall.move(seconds=seconds)
        self.ticks += seconds


@contextmanager
def shift(
    seat: Seat,
    wall: Clock,
    outlets: Sequence[Outlet] = (),
    inlets: Sequence[Inlet] = (),
    since: int | None = 0,
    real: bool = False,
    **plan: Any,
) -> Iterator[Shift]:
    """A relay at that seat; `real`: time passes by itself."""
    with seat.here(wall) as found:
        coordinator = found.coordinator
        made = Plan(**{"name": "chat", "choice": ALL, "outlets": tuple(outlets), "inlets": tuple(inlets), "since": since, **plan})
        one: Shift = Shift(found, wall, None)  # type: ignore[arg-type]  # filled in below: each needs the other
        if not real:
            coordinator.parts.submitter.sleep, coordinator.parts.submitter.clock = one.sleep, one.clock
        book = Book.open(found.outbox.path / "relay", made.name)
        one.relay = Relay(
            coordinator, made, book, told=one.told.append, stop=lambda: one.over(), clock=monotonic if real else one.clock
        )
        yield one


def hook(service: Service, name: str = "ops") -> Webhook:
    """The service as a webhook."""
    return Webhook(name, service.url + "/hook", HERE)


def texts(service: Service) -> list[str]:
    """The lines that came."""
    return [one.json["text"] for one in service.got]


def say(seat: Seat, wall: Clock, count: int, start: int = 0) -> None:
    """That many broadcasts, in one push."""
    with seat.here(wall) as found:
        coordinator = found.coordinator
        for number in range(start, start + count):
            found.outbox.put(
                SendMessage(
                    op=found.outbox.next_id(),
                    session="ada",
                    run_id=coordinator.actor.run_id,
                    at=wall(),
                    to="broadcast",
                    subject=f"message {number}",
                )
            )
        assert coordinator.parts.submitter.flush(300.0) == []


def numbers(lines: Sequence[str]) -> list[int]:
    """Which of the broadcasts these lines are."""
    return [int(found[1]) for line in lines if (found := re.search(r"message (\d+)$", line))]


# --- out -------------------------------------------------------------------------------------------------------------


def test_a_way_to_a_private_address_ends_the_relay_and_gives_the_claim_back(
    earlier: tuple[Seat, Seat, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 1)
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    with Service() as service:
        way = Webhook("ops", f"http://hooks.example.org:{service.port}/hook", Gate(plain=True))
        for work in (Relay.once, Relay.work):
            with shift(ben, wall, [way]) as at, pytest.raises(BadInput, match="private"):
                work(at.relay)
        assert service.tries == 0
    with ben.here(wall) as found:
        assert [str(one.resource) for one in found.coordinator.branch.view().state.claims.values()] == []


def test_what_another_pushed_in_a_sessions_name_is_told_with_that(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 1)
    ada.git("config", "user.email", "mallory@example.com")
    say(ada, wall, 1, start=1)
    with Service() as service, shift(ben, wall, [hook(service)]) as at:
        at.relay.once()
        honest, lie = (one for one in texts(service) if "message" in one)
    assert "says it is" not in honest
    assert "(says it is ada; pushed by mallory" in lie


def test_500_events_through_a_server_that_fails_a_third_come_once_and_in_order(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 500)
    dice = random.Random(7)
    faults = ["500", "503:2", "429:3", "before", "after"]
    with (
        Service(faults=lambda: dice.choice(faults) if dice.random() < 1 / 3 else None) as service,
        shift(ben, wall, [hook(service)]) as at,
    ):
        at.over = lambda: at.relay.sent == {"ops": 500}
        at.relay.work()
        lines = texts(service)
        dropped = Counter(service.refused)["after"]
    assert set(service.refused) == set(faults)
    plain = [line for line in lines if not line.startswith(AGAIN)]
    # A line without the mark is the first of its event; in the order of coming each event is new, or a marked repetition.
    assert len(numbers(plain)) == len(set(numbers(plain)))
    assert list(dict.fromkeys(numbers(lines))) == list(range(500))
    assert numbers(lines) == sorted(numbers(lines))
    assert len(lines) == 500 + dropped
    # What the branch has of it is bounded: not a commit for each event.
    with ada.here(wall) as found:
        told = list(found.coordinator.branch.entries(session="relay-chat", resource=None, since=None, limit=10_000))
    assert len(told) < 500 / 25 + 25


def test_the_service_is_given_the_time_that_it_asks_for(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 2)
    with Service(faults=in_turn("429:40", "500:0.5")) as service, shift(ben, wall, [hook(service)]) as at:
        at.over = lambda: at.relay.sent == {"ops": 2}
        before = at.ticks
        at.relay.work()
        assert numbers(texts(service)) == [0, 1]
        assert not any(line.startswith(AGAIN) for line in texts(service))  # both said that they didn't take it
    assert at.ticks - before >= 40


def test_an_event_that_is_refused_is_set_aside_and_the_next_goes_on(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 3)
    with Service(faults=in_turn(None, *["400"] * REFUSALS)) as service, shift(ben, wall, [hook(service)]) as at:
        at.over = lambda: at.relay.sent == {"ops": 2}
        at.relay.work()
        assert numbers(texts(service)) == [0, 2]
        assert service.tries == 3 + REFUSALS - 1
        [(name, seq, why)] = at.relay.book.aside
        assert (name, why) == ("ops", "HTTP 400")
        assert any(f"event {seq}" in line and "set aside" in line for line in at.told)


def test_a_service_that_is_shut_loses_nothing(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 2)
    with Service(faults=in_turn(*["403"] * 5, *["404"] * 5)) as service, shift(ben, wall, [hook(service)]) as at:
        at.over = lambda: at.relay.sent == {"ops": 2}
        at.relay.work()
        assert numbers(texts(service)) == [0, 1]
        assert at.relay.book.aside == []


def test_one_service_that_fails_holds_up_no_other(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 5)
    with Service() as good, Service(faults=lambda: "500") as bad, shift(ben, wall, [hook(bad, "bad"), hook(good, "good")]) as at:
        at.over = lambda: at.relay.sent.get("good") == 5
        at.relay.work()
        assert numbers(texts(good)) == [0, 1, 2, 3, 4]
        assert bad.got == []


def test_a_service_that_hangs_holds_up_neither_the_claim_nor_the_sessions(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 1)
    looks: list[int] = []
    with Service(faults=lambda: "hang") as service, shift(ben, wall, [hook(service)]) as at:
        rest = at.relay._rest

        def long_rest(seconds: float) -> None:
            if service.tries == 1:
                looks.append(len(looks))
                at.sleep(320.0)  # a third of the lease each time
                with ada.here(wall) as found:
                    found.coordinator.messages.send("ben", f"meanwhile {len(looks)}", "")
            rest(seconds)

        at.relay._rest = long_rest  # type: ignore[method-assign]
        at.over = lambda: len(looks) >= 6
        at.relay.work()
        with ada.here(wall) as found:
            kinds = [
                one.kind for one in found.coordinator.branch.entries(session="relay-chat", resource=None, since=None, limit=99)
            ]
        assert kinds.count("claim.renewed") >= 2
        assert not any("no longer hold" in line for line in at.told)
        service._let_go.set()


def test_what_was_sent_here_before_is_not_sent_again_and_what_was_on_its_way_is_marked(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 3)
    with Service(faults=in_turn(None, "after")) as service:
        with shift(ben, wall, [hook(service)]) as at:
            at.over = lambda: service.tries == 2 and at.relay.ways[0].errand is not None and at.relay.ways[0].errand.done
            # Cut short: nothing is said on the branch, nothing is given back.
            at.relay.stop = _raise_when(at.over)
            at.relay._tell_branch = lambda **_: None  # type: ignore[method-assign]
            at.relay.keeper.finish = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
            with pytest.raises(KeyboardInterrupt):
                at.relay.work()
        with shift(ben, wall, [hook(service)]) as at:
            at.over = lambda: at.relay.sent == {"ops": 2}
            at.relay.work()
    lines = texts(service)
    assert numbers(lines) == [0, 1, 1, 2]
    assert [line.startswith(AGAIN) for line in lines] == [False, False, True, False]


def _raise_when(over: Callable[[], bool]) -> Callable[[], bool]:
    def stop() -> bool:
        if over():
            raise KeyboardInterrupt
        return False

    return stop


DRIVER = """
import sys
sys.path[:0] = {tests!r}
from datetime import datetime, timedelta, UTC
from pathlib import Path
from test_relay import hook, shift
from clones import Clock, Seat
from chat import Service

class Running(Clock):
    def __call__(self):
        return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
    def move(self, **span):
        pass

class There:
    url = {url!r}

with shift(Seat(Path({path!r}), Path({outbox!r})), Running(), [hook(There)], real=True) as at:
    at.relay.work()
"""


def test_a_second_relay_stands_by_and_takes_over_when_the_first_is_killed(
    file_remote: Remote, seats: Seats, tmp_path: Path
) -> None:
    wall = Clock()
    wall.move(hours=-6)
    ada, first, second = seats(file_remote, "ada", "first", "second")
    ada.session = "ada"
    second.extra = {"HOME": str(tmp_path / "other"), "XDG_CONFIG_HOME": str(tmp_path / "other" / ".config")}
    with ada.here(wall) as found:
        found.coordinator.setup.init()
        found.coordinator.sessions.start("ada")
    say(ada, wall, 60)
    dice = random.Random(3)
    stall = {"on": True}

    def fault() -> str | None:
        if stall["on"] and service.tries > 40:
            return "hang"  # the first one is killed with a delivery on its way
        return dice.choice(["500", "before", "after"]) if stall["on"] and dice.random() < 1 / 3 else None

    with Service(faults=fault) as service:
        code = DRIVER.format(
            tests=[str(Path(__file__).parents[1] / "support"), str(Path(__file__).parent)],
            url=service.url,
            path=str(first.path),
            outbox=str(first.outbox),
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], env=first.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as child:
            until(lambda: service.tries > 41 or child.poll() is not None, "the first relay sent nothing")
            assert child.poll() is None, child.stderr and child.stderr.read()
            child.send_signal(signal.SIGKILL)
        by_first = texts(service)
        stall["on"] = False
        say(ada, wall, 5, start=60)
        with shift(second, wall, [hook(service)], since=None) as at:
            at.over = lambda: bool(at.relay.ways) and at.relay.ways[0].parcel is None and numbers(texts(service))[-1] == 69
            waited: list[float] = []
            sleep = at.sleep

            def stand_by(seconds: float) -> None:
                waited.append(seconds)
                if not service.got[len(by_first) :] and len(waited) == 50:  # it stands by while the lease lasts
                    assert texts(service) == by_first
                    wall.move(minutes=17)
                    at.ticks += 17 * 60
                    say(ada, wall, 5, start=65)
                sleep(seconds)

            at.found.coordinator.parts.submitter.sleep = stand_by
            at.relay.work()
        assert len(waited) >= 50
    lines = texts(service)
    assert set(numbers(lines)) == set(range(70)), "an event was lost"
    plain = numbers([line for line in lines if not line.startswith(AGAIN)])
    assert len(plain) == len(set(plain)), "an event came twice, and nothing says so"
    by_second = lines[len(by_first) :]
    assert numbers(by_second) == sorted(set(numbers(by_second)))
    # What the first one had told the branch is not repeated; of the rest nobody knows, and the lines say so.
    assert len(set(numbers(by_first)) & set(numbers(by_second))) <= 26
    # What came after the first one's lease had ended can't have been sent by it.
    assert [number for number in numbers(by_second) if number in plain][-5:] == [65, 66, 67, 68, 69]


def test_where_the_first_relay_began_is_known_to_the_second_one(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    with Service() as service:
        with shift(ben, wall, [hook(service)], since=None) as at:
            at.over = lambda: len(service.got) == 1
            at.relay.stop = _raise_when(at.over)
            at.relay.keeper.finish = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
            load, tell = at.relay._load, at.relay._tell_branch

            def begin(view: View) -> None:
                load(view)
                say(ada, wall, 3)  # as soon as it has begun

            at.relay._load = begin  # type: ignore[method-assign]
            at.relay._tell_branch = lambda **how: tell(**how) if how.get("always") else None  # type: ignore[method-assign]
            with pytest.raises(KeyboardInterrupt):  # cut short before it told anything else
                at.relay.work()
        wall.move(minutes=20)
        with shift(ada, wall, [hook(service)], since=None) as at:
            at.over = lambda: at.relay.sent == {"ops": 3}
            at.relay.work()
    lines = texts(service)
    assert numbers(lines) == [0, 0, 1, 2]
    assert [line.startswith(AGAIN) for line in lines] == [False, True, True, True]


def test_who_loses_the_claim_sends_nothing_more(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 4)
    with Service() as service, shift(ben, wall, [hook(service)]) as at:
        broken: list[int] = []

        def over() -> bool:
            if len(service.got) == 1 and not broken:
                broken.append(1)
                with ada.here(wall) as other:
                    [held] = other.coordinator.claims.leases(mine=False, overlapping=None)
                    other.coordinator.claims.acquire([held.resource], breaks=held.fence)
                at.relay._view = at.found.coordinator.branch.look_again(20.0)
            broken.extend(broken[:1])
            return len(broken) > 60  # time enough to send the rest

        at.over = over
        at.relay.work()
        assert len(numbers(texts(service))) <= 2  # one may have been on its way
        assert any("another's" in line or "no longer" in line for line in at.told)


def test_nothing_is_sent_shortly_before_the_lease_ends(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 1)
    with Service() as service, shift(ben, wall, [hook(service)]) as at:
        at.relay.keeper.left = lambda: 59.0  # type: ignore[method-assign]
        steps: list[int] = []
        at.over = lambda: len(steps) > 20 or bool(steps.append(1))
        at.relay.work()
        assert service.tries == 0


def test_questions_that_wait_too_long_are_told_once_in_order(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    with ada.here(wall) as found:
        for text in ("first?", "second?", "third?"):
            found.coordinator.messages.send("ben", text, "", type="question")
        found.coordinator.messages.send("repo:library", "fourth?", "", type="question")
    with ben.here(wall) as found:
        asked = found.coordinator.messages.inbox().found
        found.coordinator.messages.shown(asked)
        found.coordinator.messages.reply(asked[1].id, "yes")
    with Service() as service, shift(ben, wall, [hook(service)], choice=Choice.parse(("unanswered",))) as at:
        at.over = lambda: at.ticks > 1000 + 1000
        at.relay.work()
        assert [line.partition(" ")[2] for line in texts(service)] == [
            "ben has not answered ada: first?", "ben has not answered ada: third?",
            "repo:library has not answered ada: fourth?",
        ]  # fmt: skip
        assert at.ticks > 1000 + 800


# --- once ------------------------------------------------------------------------------------------------------------


def once(seat: Seat, service: Service, *args: str) -> dict[str, Any]:
    """`relay --once` at that seat, as typed."""
    found: dict[str, Any] = seat.ok("relay", "--once", "--to", service.url + "/hook", "--allow-private", *args)
    return found


def test_once_sends_what_is_new_and_writes_nothing_when_nothing_is(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with Service() as service:
        assert once(ben, service)["outcome"] == "nothing"  # the first time it begins with what happens next
        ada.ok("send", "broadcast", "all is done", "--type", "work_completed")
        ada.ok("send", "broadcast", "just a note")
        done = once(ben, service)
        assert (done["outcome"], list(done["sent"].values())) == ("done", [1])
        assert [line.partition(" ")[2] for line in texts(service)] == ["ada to all (work completed): all is done"]
        before = ben.ok("status")
        assert [one for one in before["claims"] if one["resource_type"] == "relay"] == []
        assert once(ben, service)["outcome"] == "nothing"
        assert ben.ok("status")["seq"] == before["seq"]


def test_once_reads_what_is_new_and_no_more(earlier: tuple[Seat, Seat, Clock], monkeypatch: pytest.MonkeyPatch) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 60)
    read: list[int] = []
    commits, saying = Objects.commits, Objects.saying
    monkeypatch.setattr(Objects, "commits", lambda self, names, **more: read.append(len(names)) or commits(self, names, **more))
    monkeypatch.setattr(Objects, "saying", lambda self, *args: read.append(1000) or saying(self, *args))

    def look() -> tuple[str, int]:
        with Service() as service, shift(ben, wall, [hook(service)], choice=Choice.parse(("alert",))) as at:
            read.clear()
            return at.relay.once(), sum(read)

    assert look()[0] == "nothing"
    assert look() == ("nothing", 0)
    say(ada, wall, 3, start=60)
    outcome, count = look()
    assert outcome == "nothing"
    assert count <= 4 * 3  # each is checked, looked at for the relay's place and for who says it, and offered to its way out
    with ada.here(wall) as found:  # somebody else had to do with it: then all of it counts
        found.coordinator.claims.acquire([Resource("relay", "chat")])
    assert look()[1] > 1000
    with ada.here(wall) as found:
        found.coordinator.claims.release([Resource("relay", "chat")])
    assert look()[1] > 1000
    assert look() == ("nothing", 0)


def test_once_from_another_machine_goes_on_where_the_first_ended(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with Service() as service:
        once(ben, service)
        for number in range(3):
            ada.ok("send", "broadcast", f"message {number}", "--type", "alert")
        once(ben, service)
        ada.ok("send", "broadcast", "message 3", "--type", "alert")
        once(ada, service)
    assert numbers(texts(service)) == [0, 1, 2, 3]
    assert not any(AGAIN in line for line in texts(service))


def test_once_ends_at_once_where_another_relay_holds_the_claim(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "relay:chat")
    with Service() as service:
        once(ben, service)
        ada.ok("send", "broadcast", "news", "--type", "alert")
        assert once(ben, service)["outcome"] == "elsewhere"
        assert service.tries == 0


def test_once_says_what_it_cannot_read_and_sends_all_the_same(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    with Service() as service:
        once(ben, service)
        ada.ok("send", "broadcast", "news", "--type", "alert")
        ran = ben.run("relay", "--once", "--to", service.url + "/hook", "--allow-private", "--from-file", str(tmp_path))
        assert ran.code == 0
        assert f"{tmp_path} can't be read" in ran.err
        assert len(service.got) == 1


def test_the_relay_is_nobody_of_the_work_tree(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with Service() as service:
        once(ben, service)
        ada.ok("send", "broadcast", "news", "--type", "alert")
        once(ben, service)
    assert ben.ok("whoami")["session_id"] == "ben"


def test_the_program_relays_until_it_is_told_to_stop(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with Service() as service:
        child = ben.start("relay", "--to", service.url + "/hook", "--allow-private", "--json")
        until(lambda: any(one["resource_type"] == "relay" for one in ada.ok("status")["claims"]), "no relay works")
        ada.ok("send", "broadcast", "up", "--type", "alert")
        until(lambda: len(service.got) == 1, "nothing came")
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, json.loads(out)["outcome"]) == (0, "stopped"), err
    assert "Traceback" not in err
    assert [one for one in ada.ok("status")["claims"] if one["resource_type"] == "relay"] == []


def test_a_rewritten_branch_ends_the_relay(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with Service() as service:
        child = ben.start("relay", "--to", service.url + "/hook", "--allow-private", "--json")
        until(lambda: any(one["resource_type"] == "relay" for one in ada.ok("status")["claims"]), "no relay works")

        def is_rewritten() -> bool:  # the relay itself may be just writing
            with suppress(GitFailed):
                ada.git("push", "-q", "--force", "origin", "origin/coordination~3:refs/heads/coordination")
                return True
            return False

        until(is_rewritten, "nobody can push")
        out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, json.loads(out)["error"]) == (8, "rewritten"), err
    assert "Traceback" not in err


# --- in --------------------------------------------------------------------------------------------------------------


def inbox(seat: Seat) -> list[dict[str, Any]]:
    """What is unread there."""
    found: list[dict[str, Any]] = seat.ok("inbox", "--peek")["messages"]
    return found


def test_lines_of_a_file_come_once_to_whom_they_name(earlier: tuple[Seat, Seat, Clock], tmp_path: Path) -> None:
    ada, ben, wall = earlier
    path = tmp_path / "said"
    path.write_text("old news\n")
    with shift(ben, wall, [], [Lines("file", path)]) as at:

        def write() -> bool:
            if at.relay.book.heard and "first" not in path.read_text():
                with path.open("a") as file:
                    file.write("@ada first?\nada: second\nrole:nobody-has-this third\nnobody: fourth\nunfinished")
            return at.relay.brought == 4

        at.over = write
        at.relay.work()
    got = inbox(ada)
    direct = [(one["subject"], one["type"]) for one in got if one["to"] == "ada"]
    assert direct == [("first?", "question"), ("second", "note")]
    assert "nobody: fourth" in [one["subject"] for one in got if one["to"] == "broadcast"]
    assert all(one["details"]["via"] == "file" and one["details"]["verified"] == "no" for one in got)
    assert not any("old news" in one["subject"] or "unfinished" in one["subject"] for one in got)


def test_what_people_said_is_not_relayed_back(earlier: tuple[Seat, Seat, Clock], tmp_path: Path) -> None:
    ada, ben, wall = earlier
    path = tmp_path / "said"
    path.write_text("")
    with Service() as service, shift(ben, wall, [hook(service)], [Lines("file", path)]) as at:

        def write() -> bool:
            if at.relay.book.heard and not path.read_text():
                path.write_text("hello all\n")
                return False
            if at.relay.brought and not numbers(texts(service)):
                with ada.here(wall) as found:
                    if not any(one.subject == "message 7" for one in found.coordinator.branch.view().state.messages.values()):
                        found.coordinator.messages.send("broadcast", "message 7", "")
            return bool(numbers(texts(service)))

        at.over = write
        at.relay.work()
    assert not any("hello all" in line for line in texts(service))


class Noted:
    """A runner that only notes what it is given."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def start(self, message: Any) -> None:
        """Notes it."""
        self.got.append(message)

    def busy(self) -> bool:
        """Never."""
        return False


def test_a_command_runs_at_most_once_for_a_message_that_came_in(earlier: tuple[Seat, Seat, Clock], tmp_path: Path) -> None:
    _, ben, wall = earlier
    path = tmp_path / "said"
    path.write_text("")
    runner = Noted()
    for text in ("start a session", "another"):
        with shift(ben, wall, [], [Lines("file", path)], since=None, runner=runner) as at:

            def write(text: str = text, at: Shift = at) -> bool:
                if at.relay.book.heard and text not in path.read_text():
                    with path.open("a") as file:
                        file.write(text + "\n")
                return any(one["subject"] == text for one in runner.got)

            at.over = write
            at.relay.work()
    assert [one["subject"] for one in runner.got] == ["start a session", "another"]
    assert runner.got[0]["details"]["via"] == "file"


def test_the_command_gets_the_message_on_its_input_and_no_secret(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    _, ben = pair
    path, out = tmp_path / "said", tmp_path / "out"
    path.write_text("")
    script = tmp_path / "react"
    script.write_text(f'#!/bin/sh\n{{ echo "$#"; env; cat; }} >"{out}.part"; mv "{out}.part" "{out}"\n')
    script.chmod(0o755)
    ben.extra = {"GITCOORD_RELAY_SLACK_TOKEN": "xoxb-secret-12345678", "CLAUDE_CODE_SESSION_ID": "inner"}
    child = ben.start("relay", "--from-file", str(path), "--exec", str(script), "--json")

    def works() -> bool:
        return any(json.loads(book.read_text())["heard"] for book in ben.outbox.glob("*/relay/chat.json"))

    until(lambda: child.poll() is not None or works(), "no relay works")
    assert child.poll() is None, child.communicate()
    with path.open("a") as file:
        file.write("$(touch /nowhere) start `it`\n")
    until(out.exists, "the command did not run")
    child.send_signal(signal.SIGTERM)
    err = child.communicate(timeout=PATIENCE)[1]
    assert "Traceback" not in err
    count, *rest = out.read_text().splitlines()
    assert count == "0"
    assert json.loads(rest[-1])["subject"] == "$(touch /nowhere) start `it`"
    assert not any("xoxb" in line or line.startswith(("GITCOORD", "CLAUDE")) for line in rest[:-1])
    [log] = ben.outbox.glob("*/relay/chat.log")
    assert log.stat().st_mode & 0o077 == 0


# --- Slack, both ways --------------------------------------------------------------------------------------------------


def slack(server: SlackServer) -> Any:
    """The channel."""
    pytest.importorskip("slack_sdk", reason="the extra slack is not installed")
    from gitcoord.relay.services.slack import Slack

    return Slack(f"slack.{server.channel}", server.channel, server.token, HERE, server.url + "/api/")


def test_a_question_from_slack_is_answered_in_its_thread(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    with SlackServer() as server:
        channel = slack(server)
        server.say("long ago")
        asked: list[str] = []
        with shift(ben, wall, [channel], [channel], choice=Choice.parse(("none",))) as at:

            def over() -> bool:
                if at.relay.book.heard and not asked:
                    server.say("I am a bot", user="U0OTHER", bot_id="B9")
                    asked.append(server.say("<@U0BOT> ada: which &lt;branch&gt;?"))
                if at.relay.brought == 1 and len(asked) == 1:
                    with ada.here(wall) as found:
                        mail = found.coordinator.messages.inbox().found
                        assert [(one.subject, one.type, one.details["author"]) for one in mail] == [
                            ("which <branch>?", "question", "Grace")
                        ]
                        asked.append(mail[0].id)
                        found.coordinator.messages.reply(mail[0].id, "main, says <!channel> nobody")
                return bool(server.posts)

            at.over = over
            at.relay.work()
        [post] = server.posts
        assert post["thread_ts"] == asked[0]
        assert "main, says" in post["text"]
        assert "<!channel>" not in post["text"]
        assert asked[1] == f"slack.{server.channel}.{asked[0]}"


def test_an_answer_in_the_thread_of_a_post_reaches_who_asked(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    with ada.here(wall) as found:
        question = found.coordinator.messages.send("broadcast", "May I deploy?", "", type="question")
    with SlackServer() as server:
        channel = slack(server)
        with shift(ben, wall, [channel], [channel]) as at:
            replied: list[str] = []

            def over() -> bool:
                if server.posts and at.relay.book.heard and not replied:
                    replied.append(server.say("Yes, go on", thread=server.posts[0]["ts"]))
                return at.relay.brought == 1

            at.over = over
            at.relay.work()
    [answer] = inbox(ada)
    assert (answer["subject"], answer["type"], answer["in_reply_to"], answer["to"]) == ("Yes, go on", "answer", question.id, "ada")


def test_slack_is_asked_whether_a_post_came_before_it_is_tried_again(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    say(ada, wall, 12)
    dice = random.Random(5)
    with SlackServer(faults=lambda: dice.choice(["after", "before", "429:1", "500"]) if dice.random() < 1 / 3 else None) as server:
        with shift(ben, wall, [slack(server)]) as at:
            at.over = lambda: list(at.relay.sent.values()) == [12]
            at.relay.work()
        assert "after" in server.refused
        assert numbers([one["text"] for one in server.posts]) == list(range(12))  # each once, whatever happened


def test_a_message_from_slack_comes_once_also_when_its_place_was_lost(earlier: tuple[Seat, Seat, Clock]) -> None:
    ada, ben, wall = earlier
    with SlackServer() as server:
        channel = slack(server)
        server.say("start")
        start = ""
        for turn in range(2):
            with shift(ben, wall, [], [channel]) as at:

                def over(turn: int = turn, at: Shift = at) -> bool:
                    nonlocal start
                    if at.relay.book.heard and not start:
                        start = at.relay.book.heard[channel.name]
                        for number in range(7):
                            server.say(f"@ada message {number}")
                    return at.relay.brought == 7

                if turn:
                    at.relay.book.heard = {channel.name: start}
                at.over = over
                at.relay.work()
    assert numbers([one["subject"] for one in inbox(ada)]) == list(range(7))


def test_the_background_work_of_hooks_relays_where_it_is_set_so(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, ben = pair
    settings = tmp_path / "config" / "gitcoord" / "relay.toml"
    settings.parent.mkdir(parents=True)
    with Service() as service:
        settings.write_text(f'[relay.team]\nto = ["{service.url}/hook"]\nallow_private = true\nallow_http = true\n')
        settings.chmod(0o600)
        ben.extra["XDG_CONFIG_HOME"] = str(tmp_path / "config")
        ben.ok("config", "relay", "team")
        assert ben.run("sync", "--if-due").code == 0  # it begins with what happens next
        ada.ok("send", "broadcast", "all is done", "--type", "work_completed")
        assert set(ben.ok("sync", "--if-due")) == {"unsent", "adopted", "tip", "seq", "as_of"}
        assert [line.partition(" ")[2] for line in texts(service)] == ["ada to all (work completed): all is done"]
        ben.ok("sync")
        assert ben.run("config", "relay", "A team").code == 2
    assert any("relays as team" in one["what"] for one in ben.ok("doctor")["findings"])
    settings.chmod(0o644)  # now others could read it: nobody would see the background work fail
    told = ben.run("doctor")
    assert told.code == 1
    assert "can't relay as team" in told.out
