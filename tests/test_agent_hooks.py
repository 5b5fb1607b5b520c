"""`gitcoord hook` as coding agents call it: who they are, what they are told, what is kept from them, and that it never hurts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from claude import Claude, Host
from conftest import Seats
from remotes import Remote
from seats import Seat

Agent = Callable[..., Claude]


@pytest.fixture
def agent() -> Iterator[Agent]:
    """Makes agents: `agent(seat)`, another of the same process by `host`."""
    made: list[Host] = []

    def make(seat: Seat, id: str = "c-1", host: Host | None = None) -> Claude:
        host = host or Host(seat)
        made.append(host)
        return Claude(seat, id, host)

    yield make
    for host in made:
        host.kill()


@pytest.fixture
def ada(file_remote: Remote, seats: Seats) -> Seat:
    """A clone with the branch made."""
    (seat,) = seats(file_remote, "ada")
    with seat.here() as found:
        found.coordinator.init()
    return seat


def sessions(seat: Seat) -> dict[str, str]:
    """Each session on the branch, with its status."""
    return {one["session_id"]: one["status"] for one in seat.ok("status", "--all")["sessions"]}


# --- start -------------------------------------------------------------------------------------------------------------


def test_an_agent_that_starts_is_registered_and_briefed_and_types_as_that_session(ada: Seat, agent: Agent) -> None:
    claude = agent(ada)
    told = claude.start()
    assert "You are session main" in told
    assert "gitcoord claim PATH" in told
    assert "begin -----" in told
    assert len(told.encode()) <= 4096
    assert claude.gitcoord("whoami")["session_id"] == "main"
    assert claude.gitcoord("claim", "x")["claims"][0]["claimed_by"] == "main"
    assert sessions(ada) == {"main": "active"}
    [record] = ada.ok("status")["sessions"]
    assert record["agent"] == "claude-code"
