"""Whether a process is there: told only where its number means the same, and where it may be looked at."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from gitcoord.machine import processes


@pytest.fixture
def gone() -> int:
    """The number of a process that was there."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    return child.pid


ME = os.getpid()
START = processes.born(ME).partition(":")[2]
WHERE = processes.born(ME).partition(":")[0]
BOOT, _, SPACE = WHERE.rpartition(".")


@pytest.mark.parametrize(
    ("birth", "told"),
    [
        (f"{WHERE}:{START}", True),
        (f"{WHERE}:1{START}", False),  # the number was used again
        (f"{BOOT}.{SPACE}1:{START}", None),  # another PID namespace: a container
        (f"00000000-0000.{SPACE}:{START}", None),  # another boot: another machine that shares the folder, or this one before
        (f"{WHERE}:?", None),  # it could not be looked at when it was noted
        ("", False),
    ],
    ids=["it", "its number again", "in a container", "another boot", "hidden", "gone"],
)
def test_only_the_same_namespace_and_boot_can_tell(birth: str, told: bool | None) -> None:
    assert processes.alive(ME, birth) is told


def test_who_is_gone_is_gone(gone: int) -> None:
    assert processes.born(gone) == ""
    assert processes.alive(gone, f"{WHERE}:{START}") is False


@pytest.mark.parametrize("sees", [True, False])
def test_a_process_that_is_hidden_is_there(monkeypatch: pytest.MonkeyPatch, gone: int, sees: bool) -> None:
    """As with hidepid, with another user's process, or with the /proc of another namespace."""

    def hidden(path: object) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr("pathlib.Path.read_bytes", hidden)
    if not sees:
        monkeypatch.setattr(processes, "_sees_its_own", lambda: False)
    assert processes.born(ME) == f"{WHERE}:?"
    assert processes.alive(ME, f"{WHERE}:{START}") is None
    assert processes.alive(gone, f"{WHERE}:{START}") is False


def test_where_nobody_can_tell_half_an_hour_without_a_sign_does() -> None:
    assert processes.is_there(ME, f"elsewhere:{START}", time.time() - 60)
    assert not processes.is_there(ME, f"elsewhere:{START}", time.time() - processes.GONE_AFTER - 60)
    assert processes.is_there(ME, f"{WHERE}:{START}", 0.0)
