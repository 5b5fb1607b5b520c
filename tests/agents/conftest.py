"""Fixtures for the agents' own programs: where they are installed, and a day that each of them is played on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_programs import PROGRAMS, Player, install
from clones import Seat, Seats, file
from guards import commit
from model_server import ModelServer, serving
from remotes import Remote

from gitcoord.agents.settings import files
from gitcoord.agents.settings.table import agents
from gitcoord.core.records import Message


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the agents' packages; skips where there is none."""
    asked = request.config.getoption("--agents")
    if not asked:
        pytest.skip("the agents' own programs are asked with --agents only: their packages are 1.4 GB")
    if asked != "npm":
        return Path(asked).resolve()
    folder = tmp_path_factory.mktemp("npm")
    failure = install(folder, [one.package for one in PROGRAMS.values()])
    if failure:
        pytest.skip(failure)
    return folder


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A made-up model."""
    with serving() as made:
        yield made


@dataclass
class Day:
    """A project on a remote: `ben`, a person, holds src/api.py; `seat` is the clone that an agent works in, with its hooks."""

    seat: Seat
    ben: Seat
    model: ModelServer
    packages: Path
    home: Path

    @property
    def held(self) -> Path:
        """The file that ben holds, as it lies in the agent's clone."""
        return self.seat.path / "src/api.py"

    @property
    def free(self) -> Path:
        """A file that nobody holds."""
        return self.seat.path / "src/other.py"

    def player(self, name: str, seat: Seat | None = None, *, hooked: bool = True) -> Player:
        """The program of that name in the agent's clone, with its hooks installed; skips where npm could not install it."""
        start = PROGRAMS[name].found(self.packages)
        if not start:
            pytest.skip(f"{PROGRAMS[name].package} is not installed")
        player = Player(PROGRAMS[name], start, seat or self.seat, self.home / name, self.model)
        if hooked and name in agents():
            files.install(agents()[name], files.SettingsPlace("project", player.home, player.env, player.seat.path))
        return player

    def rule(self, key: str, value: str) -> None:
        """Sets what all share."""
        with self.ben.here() as found:
            found.coordinator.setup.set_shared(key, value)

    def sessions(self) -> dict[str, Any]:
        """Every session of the branch but ben's, by its name."""
        with self.ben.here() as found:
            known = found.coordinator.branch.view().state.sessions
            return {name: known[name] for name in known if name != "ben"}

    def holders(self) -> dict[str, str]:
        """Who holds what."""
        with self.ben.here() as found:
            claims = found.coordinator.branch.view().state.claims
            return {one.resource.name: one.claimed_by for one in claims.values()}

    def mail(self) -> list[Message]:
        """What ben has been sent."""
        with self.ben.here() as found:
            known = found.coordinator.branch.view().state.messages
            return [known[id] for id in known if known[id].to == "ben"]

    def ended(self) -> bool:
        """Whether every session but ben's has ended; the hook of an end leaves it to the background."""
        return not any(one.live for one in self.sessions().values())


@pytest.fixture
def day(packages: Path, model: ModelServer, file_remote: Remote, seats: Seats, tmp_path: Path) -> Day:
    """The day, before any agent came."""
    ben, seat = seats(file_remote, "ben", "work")
    commit(ben, "files", "src/api.py", "src/other.py")
    ben.git("push", "--quiet", "origin", "HEAD")
    with ben.here() as found:
        found.coordinator.setup.init()
        found.coordinator.sessions.start("ben")
    ben.session = "ben"
    with ben.here() as found:
        found.coordinator.claims.acquire(file("src/api.py"), reason="a rewrite")
    seat.git("pull", "--quiet", "origin")
    return Day(seat, ben, model, packages, tmp_path / "homes")
