"""Many listeners of one session, on two machines, also killed at random: each message once, and none lost."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clones import PROGRAM, Clock, Seat, Seats, until
from remotes import Remote


@pytest.fixture
def count(pytestconfig: pytest.Config) -> int:
    """Messages: few, or two hundred where more is asked for."""
    return 200 if pytestconfig.getoption("--race-rounds") > 1 else 24


def office(remote: Remote, seats: Seats) -> tuple[Seat, list[Seat]]:
    """A writer, and the four seats of one reader on two machines."""
    writer, *first = seats(remote, "writer", "one", "two", machine="m1")
    second = seats(remote, "three", "four", machine="m2")
    writer.ok("init")
    writer.ok("start", "writer")
    first[0].ok("start", "reader")
    return writer, [Seat(seat.path, seat.outbox, "reader") for seat in (*first, *second)]


def write(writer: Seat, numbers: range) -> None:
    """Sends that many questions, every third of them to all."""
    for number in numbers:
        writer.ok("send", "broadcast" if number % 3 == 0 else "reader", f"message {number}", "--type", "question")


def heard(text: str) -> list[tuple[str, bool]]:
    """What a listener showed, and whether as something shown again; a line that it was killed in shows nothing."""
    found = []
    for line in text.splitlines():
        try:
            found += [(one["subject"], one["redelivered"]) for one in json.loads(line)["messages"]]
        except ValueError:
            continue
    return found


def untaken(writer: Seat) -> list[str]:
    """The subjects of what nobody has read."""
    return [one["subject"] for one in writer.ok("inbox", "--sent")["messages"] if not one["read_by"]]


class Listeners:
    """Processes that listen until they are killed, and what they have shown."""

    def __init__(self, folder: Path) -> None:
        self.alive: list[subprocess.Popen[str]] = []
        self._folder = folder
        self._outputs: list[Path] = []

    def begin(self, seat: Seat) -> None:
        """One more listens there."""
        self._outputs.append(self._folder / f"heard-{len(self._outputs)}")
        with self._outputs[-1].open("w") as sink:
            self.alive.append(
                subprocess.Popen(
                    [*PROGRAM, "--session", "reader", "listen", "--follow", "--timeout", "10m", "--json"], cwd=seat.path,
                    env=seat.env, text=True, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip

    def kill(self, *children: subprocess.Popen[str]) -> None:
        """Those end where they stand."""
        for child in children:
            child.kill()
            child.wait()
            self.alive.remove(child)

    @property
    def shown(self) -> Counter[tuple[str, bool]]:
        """What all of them have shown."""
        return Counter(entry for output in self._outputs for entry in heard(output.read_text()))


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[Listeners]:
    """Nobody listens yet; at the end nobody does any more."""
    made = Listeners(tmp_path)
    yield made
    made.kill(*made.alive)


@pytest.mark.usually("http")
def test_each_message_is_taken_once_by_four_listeners_on_two_machines(
    remote: Remote, seats: Seats, count: int, listeners: Listeners
) -> None:
    writer, readers = office(remote, seats)
    for seat in readers:
        listeners.begin(seat)
    write(writer, range(count))
    until(lambda: len(listeners.shown) >= count, "some were never shown")
    assert untaken(writer) == []
    subjects = Counter(subject for subject, again in listeners.shown.elements() if not again)
    assert subjects == Counter({f"message {number}": 1 for number in range(count)})


def test_killed_listeners_lose_nothing_and_what_they_did_not_show_comes_back_flagged(
    file_remote: Remote, seats: Seats, count: int, listeners: Listeners
) -> None:
    """The seed of the kills is fixed; when they strike is up to the machine."""
    writer, readers = office(file_remote, seats)
    chance = random.Random(5)
    for seat in readers:
        listeners.begin(seat)
    for start in range(0, count, 4):
        write(writer, range(start, min(start + 4, count)))
        listeners.kill(chance.choice(listeners.alive))
        listeners.begin(chance.choice(readers))
    until(lambda: untaken(writer) == [], "some were never taken")
    listeners.kill(*listeners.alive)
    shown = listeners.shown
    # Two minutes later both machines look once more: what no list of shown messages has comes back.
    clock = Clock(datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=3))
    for seat in (readers[0], readers[2]):
        for _ in range(count):
            with seat.here(clock) as found:
                mail = found.coordinator.messages.inbox()
                found.coordinator.messages.shown(mail.found)
            if not mail.found:
                break
            shown.update((one.subject, one.id in mail.again) for one in mail.found)
    subjects = {subject for subject, _ in shown}
    assert subjects == {f"message {number}" for number in range(count)}
    assert all(times == 1 for (_, again), times in shown.items() if not again)  # twice only with the flag
    # Taken or not, shown or not: nobody has answered one of them.
    open_ = [one for one in writer.ok("status")["attention"] if one["kind"] == "unanswered"]
    assert len(open_) == count


def test_taken_and_unshown_message_comes_back_also_when_other_listeners_went_on(file_remote: Remote, seats: Seats) -> None:
    writer, readers = office(file_remote, seats)
    clock = Clock()
    write(writer, range(1, 3))
    with readers[0].here(clock) as found:
        [lost] = next(found.coordinator.messages.listen(0.0)).found  # killed here: it never says that it was shown
    clock.move(seconds=30)
    with readers[2].here(clock) as found:
        mail = next(found.coordinator.messages.listen(0.0))
        found.coordinator.messages.shown(mail.found)
    assert lost.subject not in [one.subject for one in mail.found]
    clock.move(seconds=100)
    with readers[3].here(clock) as found:
        again = next(found.coordinator.messages.listen(0.0))
        assert ([one.subject for one in again.found], again.again) == ([lost.subject], {lost.id})
        found.coordinator.messages.shown(again.found)
    clock.move(seconds=500)
    for seat in readers[2:]:
        with seat.here(clock) as found:
            assert found.coordinator.messages.inbox().found == []


def test_what_one_machine_has_shown_is_told_to_the_other_while_it_goes_on_listening(file_remote: Remote, seats: Seats) -> None:
    writer, readers = office(file_remote, seats)
    clock = Clock()
    write(writer, range(1, 2))
    with readers[0].here(clock) as found:
        mail = found.coordinator.messages.inbox()
        found.coordinator.messages.shown(mail.found)
    clock.move(seconds=60)
    with readers[1].here(clock) as found:
        assert list(found.coordinator.messages.listen(0.0)) == []
    clock.move(seconds=90)
    with readers[2].here(clock) as found:
        assert found.coordinator.messages.inbox().found == []
