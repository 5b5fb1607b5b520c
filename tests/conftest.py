"""Fixtures for all tests: a sealed process, real remotes, real clones."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from clones import FORK_SERVER, Clock, Clone, Seat, Seats
from environment import seal
from forkserver import ForkServer
from gits import git
from long_branch import tell
from remotes import KINDS, Remote, RemoteFactory, create_bare
from warmth import warm_process

from gitcoord.warm import address

try:
    import freezegun
except ImportError:  # only some tests freeze the clock
    pass
else:
    # What waits for processes, sockets and locks needs the real clock, or it waits for ever. And freezegun leaves every
    # module alone whose name begins with "gi" (it means PyGObject): with that, gitcoord would never be frozen.
    kept = [name for name in freezegun.config.DEFAULT_IGNORE_LIST if name != "gi"]
    freezegun.configure(default_ignore_list=[*kept, "subprocess", "selectors", "filelock"])

# `quick` looks at the same examples every time; `--hypothesis-profile=thorough` at many new ones. Nothing here is timed.
_STEADY = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("quick", derandomize=True, database=None, max_examples=30, **_STEADY)
hypothesis.settings.register_profile("thorough", max_examples=2000, **_STEADY)
hypothesis.settings.load_profile("quick")

SHARED_MEMORY = Path("/dev/shm")
LONG = Path(__file__).parent / "house" / "long.txt"


def pytest_addoption(parser: pytest.Parser) -> None:
    """What takes long stands behind an option."""
    parser.addoption("--long", action="store_true", help="run also the tests that tests/house/long.txt names")
    parser.addoption("--race-rounds", type=int, default=1, help="how often each race of 32 sessions is run")
    parser.addoption("--warm-kills", type=int, default=0, help="commands during which the warm process is killed again and again")
    parser.addoption("--every-step", action="store_true", help="kill -9 at every step where the default takes every other one")
    parser.addoption("--bombs", choices=("small", "full"), default="small", help="how large what lies in wait on the branch is")
    parser.addoption(
        "--all-remotes", action="store_true", help="run also the kinds of remote, and the agents, that differ in little"
    )
    parser.addoption("--plain-starts", action="store_true", help="start Python anew for each run of the program")
    parser.addoption("--every-byte", action="store_true", help="cut a claim's connections at every byte, and print the table")
    parser.addoption("--newer-git", metavar="PATH", help="a git of version 2.54 or newer, for what older ones don't have")
    parser.addoption(
        "--agents",
        metavar="FOLDER",
        help="run the coding agents themselves: a folder with their npm packages (or `npm`: install them, 1.4 GB)",
    )
    parser.addoption("--soak", type=float, default=0.0, metavar="MINUTES", help="how long storms blow over all kinds of remotes")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers used here."""
    config.addinivalue_line("markers", "servers: needs a server process on loopback (sshd, nginx or git daemon)")
    config.addinivalue_line("markers", "usually(*ids): the parameters with which it runs without --all-remotes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the parameters that a test doesn't usually run with, and what takes long, if it isn't asked for by its name."""
    long = set(LONG.read_text(encoding="utf-8").splitlines())
    by_name = any("::" in word for word in config.args)
    left_out = []
    for item in items:
        usual = item.get_closest_marker("usually")
        unusual = usual is not None and isinstance(item, pytest.Function) and item.callspec.id not in usual.args
        if (unusual and not config.getoption("--all-remotes")) or (
            item.nodeid in long and not by_name and not config.getoption("--long")
        ):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


CUTS = ("transport", "direction", "line", "tried", "cut", "landed", "held", "unknown", "unreachable", "wrong", "sent again")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what came of cut connections, when every byte was tried."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    rows = [value for report in reports for name, value in report.user_properties if name == "cuts"]
    if rows:
        terminalreporter.section("claims with a connection cut")
        for row in [CUTS, *rows]:
            terminalreporter.write_line("  ".join(str(cell).rjust(11) for cell in row))


@pytest.fixture(scope="session", autouse=True)
def sealed_process(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Path]:
    """Seals the test process itself, and so all its children; returns its HOME.

    A shell ignores INT and QUIT for what it starts in the background, nohup HUP, and children inherit that: programs under test
    would take it for their user's wish.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    home = tmp_path_factory.mktemp("home")
    clean = seal(os.environ, home)
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - clean.keys():
            patch.delenv(name)
        for name, value in clean.items():
            if os.environ.get(name) != value:  # the others aren't ours to put back: pytest changes some meanwhile
                patch.setenv(name, value)
        time.tzset()
        if pytestconfig.getoption("--plain-starts"):
            patch.setenv(address.SWITCH, "0")
            yield home
        else:
            FORK_SERVER.append(ForkServer())
            with warm_process() as folder:
                patch.setenv(address.SWITCH, str(folder))
                yield home
            while FORK_SERVER:
                FORK_SERVER.pop().close()
    time.tzset()


@pytest.fixture(scope="session")
def remotes(sealed_process: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteFactory]:
    """Makes remotes of all kinds; the servers start when they're first needed and end with the session."""
    folder = tmp_path_factory.mktemp("remotes")
    # git syncs every pack and ref it writes: free of charge in memory, a wait on a disk. A container may have as
    # little as 64 MB there; a remote of a test has some 100 KB.
    in_memory = os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free > 32 << 20
    if in_memory:
        folder = Path(tempfile.mkdtemp(prefix="gitcoord-", dir=SHARED_MEMORY))
    factory = RemoteFactory(folder)
    try:
        yield factory
    finally:
        try:
            factory.close()
        finally:
            if in_memory:  # pytest clears only what's below its own folder
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=[pytest.param(kind, marks=() if kind == "file" else pytest.mark.servers) for kind in KINDS])
def remote(request: pytest.FixtureRequest, remotes: RemoteFactory) -> Iterator[Remote]:
    """A remote with one commit on main; the test runs once for each kind."""
    reason = remotes.available(request.param)
    if reason is not None:
        pytest.skip(reason)
    made = remotes.make(request.param)
    yield made
    made.close()


@pytest.fixture
def file_remote(remotes: RemoteFactory) -> Remote:
    """A remote that is a folder: the fast one, for tests that aren't about transport."""
    return remotes.make("file")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A bare repository with one commit on main, below tmp_path."""
    return create_bare(tmp_path / "bare.git")


def _clone(remote: Remote, where: Path, *, email: str | None = None) -> Path:
    where.parent.mkdir(parents=True, exist_ok=True)
    flags = [*remote.flags, *(("-c", f"user.email={email}") if email else ())]
    git(where.parent, "clone", "--quiet", *flags, remote.url, str(where))
    return where


@pytest.fixture
def clone() -> Clone:
    """Clones a remote."""
    return _clone


@pytest.fixture
def seats(tmp_path: Path, clone: Clone) -> Seats:
    """Makes seats."""

    def make(remote: Remote, *names: str, machine: str | None = None) -> list[Seat]:
        return [Seat(clone(remote, tmp_path / name), tmp_path / "outboxes" / (machine or name)) for name in names]

    return make


def _make_pair(remote: Remote, folder: Path, clone: Clone) -> tuple[Seat, Seat]:
    ada, ben = (Seat(clone(remote, folder / name), folder / "outboxes" / name) for name in ("ada", "ben"))
    with ada.here() as found:
        found.coordinator.setup.init()
    for seat in (ada, ben):
        with seat.here() as found:
            found.coordinator.sessions.start(seat.path.name)
    return ada, ben


@pytest.fixture
def pair(file_remote: Remote, tmp_path: Path, clone: Clone) -> tuple[Seat, Seat]:
    """Two clones of one file remote on two machines, the branch made, `ada` and `ben` started."""
    return _make_pair(file_remote, tmp_path, clone)


@pytest.fixture(scope="module")
def lookers(remotes: RemoteFactory, tmp_path_factory: pytest.TempPathFactory) -> tuple[Seat, Seat]:
    """Such a pair for all tests of a module that leave nothing behind."""
    return _make_pair(remotes.make("file"), tmp_path_factory.mktemp("lookers"), _clone)


@pytest.fixture(scope="session")
def long_history(sealed_process: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with a branch that isn't checked at once: 1,700 events, `now-00` and `now-01` are there at its end."""
    path = create_bare(tmp_path_factory.mktemp("long") / "long.git")
    tell(path, dict(os.environ), events=1700, past=10, live=2)
    return path


@pytest.fixture
def long_remote(file_remote: Remote, long_history: Path) -> Remote:
    """A remote with that branch, for one test alone."""
    shutil.copytree(long_history, file_remote.path, dirs_exist_ok=True)
    return file_remote


@pytest.fixture
def earlier(file_remote: Remote, seats: Seats) -> tuple[Seat, Seat, Clock]:
    """The same pair, begun six hours ago by a clock that the test moves: what it lets pass is past for the remote, too."""
    clock = Clock()
    clock.move(hours=-6)
    ada, ben = seats(file_remote, "ada", "ben")
    with ada.here(clock) as found:
        found.coordinator.setup.init()
    for seat in (ada, ben):
        with seat.here(clock) as found:
            found.coordinator.sessions.start(seat.path.name)
    return ada, ben, clock
