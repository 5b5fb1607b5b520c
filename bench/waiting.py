"""W1 and W2: what waiting costs the remote, and how long a hand-over takes.

    python -m bench.waiting [--minutes 5] [--rounds 10]

W1 counts git's own processes (`trace2`) while 16 sessions on 4 machines wait and nothing changes: real programs, real minutes,
no clock but the machine's. W2 is the time from the return of the holder's release to the waiter's `held`, beside one push
and one fetch of the same run. The waiter has waited for some seconds by then, so it no longer looks as often as it did.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remotes import Remote

from bench.measure import Row, middle, ms, turns
from bench.places import Place, place
from gitcoord.connection.connect import connect
from gitcoord.core.names import Resource

SESSIONS, MACHINES = 16, 4
BEFORE = 3.0  # seconds that a waiter has waited before the hand-over
WORDS = [sys.executable, "-m", "gitcoord"]
Seat = tuple[Path, dict[str, str], str]


def run(where: Place, minutes: float, rounds: int) -> Iterator[Row]:
    """All rows."""
    yield waiting(where, minutes)
    for what, machines in (("on one machine", 1), ("from one machine to another", 2)):
        yield hand_over(where, f"W2 a hand-over {what}", machines, rounds)


def _seats(where: Place, remote: Remote, name: str, count: int, machines: int) -> list[Seat]:
    seats = []
    for number in range(count):
        path = where.clone(remote, f"{name}-{number}")
        seats.append((path, where.outbox(f"{name}-{number % machines}"), f"s{number:02}"))
    for number, (path, env, session) in enumerate(seats):
        with connect(str(path), env, session=session) as found:
            if number == 0:
                found.coordinator.setup.init()
            found.coordinator.sessions.start(session)
    return seats


# --- W1 --------------------------------------------------------------------------------------------------------------


@contextmanager
def counted(where: Place) -> Iterator[Counter[str]]:
    """Counts the git processes that run meanwhile, by their names."""
    traces = where.folder / "traces"
    traces.mkdir()
    config = Path(where.env["GIT_CONFIG_GLOBAL"])
    before = config.read_text(encoding="utf-8")
    found: Counter[str] = Counter()
    config.write_text(f"{before}[trace2]\n\teventTarget = {traces}\n", encoding="utf-8")
    try:
        yield found
    finally:
        config.write_text(before, encoding="utf-8")
        for path in traces.rglob("*"):
            for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
                record = json.loads(line)
                if record["event"] == "cmd_name":
                    found[record["name"]] += 1


def waiting(where: Place, minutes: float) -> Row:
    """16 sessions wait for what one holds, and nothing changes."""
    remote = where.remote("file")
    holder, *others = _seats(where, remote, "wait", SESSIONS + 1, MACHINES)
    with connect(str(holder[0]), holder[1], session=holder[2]) as found:
        found.coordinator.claims.acquire([Resource("file", "x")], ttl_seconds=4 * 3600)
    children = [
        subprocess.Popen(
            [*WORDS, "--session", session, "claim", "x", "--wait", "--timeout", "2h"], cwd=path, env=env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for path, env, session in others
    ]  # fmt: skip
    try:
        while len(where.git(remote.path, "ls-tree", "coordination", "waiting/").splitlines()) < SESSIONS:
            time.sleep(0.2)
        time.sleep(10)  # until nobody looks more often than it does in the long run
        tip = where.git(remote.path, "rev-parse", "coordination")
        with counted(where) as seen:
            time.sleep(minutes * 60)
        commits = where.git(remote.path, "rev-list", "--count", f"{tip.strip()}..coordination").strip()
    finally:
        for child in children:
            child.send_signal(signal.SIGINT)
        for child in children:
            child.wait()
    fetches, pushes = seen["fetch"], seen["push"]
    each = fetches / (minutes * MACHINES)
    return Row(
        f"W1 {SESSIONS} sessions on {MACHINES} machines wait for {minutes:g} real minutes",
        f"{fetches} fetches, {pushes} pushes, {commits} commits",
        f"{each:.1f} fetches a machine and minute",
        each,
        "≤ 60, no push but to keep a place",
        each <= 60 and pushes <= SESSIONS * (1 + minutes / 10),
        {"fetches": fetches, "pushes": pushes, "commits": int(commits), "minutes": minutes},
    )


# --- W2 --------------------------------------------------------------------------------------------------------------


def _waiter(seat: Seat, out: int) -> None:
    """In a process of its own: waits, and says when it had it."""
    path, env, session = seat
    with connect(str(path), env, session=session) as found:
        found.coordinator.claims.acquire([Resource("file", "x")], wait=120.0)
        os.write(out, str(time.monotonic()).encode())


def hand_over(where: Place, what: str, machines: int, rounds: int) -> Row:
    """Two sessions hand one thing to and fro."""
    remote = where.remote("file")
    pair = _seats(where, remote, f"hand-{machines}", 2, machines)
    path, env, session = pair[0]
    with connect(str(path), env, session=session) as found:
        found.coordinator.claims.acquire([Resource("file", "x")])
    took = []
    for number in range(rounds):
        holder, waiter = pair[number % 2], pair[(number + 1) % 2]
        ours, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                _waiter(waiter, theirs)
            finally:
                os._exit(0)
        os.close(theirs)
        while not where.git(remote.path, "ls-tree", "coordination", "waiting/"):
            time.sleep(0.05)
        time.sleep(BEFORE)
        with connect(str(holder[0]), holder[1], session=holder[2]) as found:
            found.coordinator.claims.release([Resource("file", "x")])
            begun = time.monotonic()
        said = os.read(ours, 100)
        os.close(ours)
        os.waitpid(pid, 0)
        took.append(float(said) - begun)
    clone, tree = pair[0][0], where.git(pair[0][0], "mktree").strip()

    def push_and_fetch(number: int) -> None:
        oid = where.git(clone, "commit-tree", tree, "-m", str(number)).strip()
        where.git(clone, "push", "-q", remote.url, f"{oid}:refs/heads/prepared-{number}")
        where.git(clone, "fetch", "-q", remote.url, f"refs/heads/prepared-{number}")

    bare = middle(turns({"both": push_and_fetch}, rounds)["both"])
    ratio = middle(took) / bare
    beside = f"{ms(bare)} a push and a fetch"
    return Row(what, f"{ms(middle(took))}, at most {ms(max(took))}", beside, ratio, "", None, {"seconds": middle(took)})


def main() -> int:
    """Measures it alone."""
    from bench.__main__ import table

    ask = argparse.ArgumentParser(prog="python -m bench.waiting", description=__doc__)
    ask.add_argument("--minutes", type=float, default=5.0, help="how long the sixteen wait")
    ask.add_argument("--rounds", type=int, default=10, help="hand-overs of each kind")
    told = ask.parse_args()
    with place() as where:
        print(table(list(run(where, told.minutes, told.rounds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
