"""An object of the branch that is missing or damaged in a clone is fetched again by itself, and never taken for an absent one."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Seat
from gits import git


def gone(path: Path) -> None:
    """The file isn't there."""
    path.unlink()


def cut(path: Path) -> None:
    """The disk was full when it was written, or lost its end."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


def emptied(path: Path) -> None:
    """What a power cut leaves."""
    path.unlink()
    path.touch()


def other(path: Path) -> None:
    """A whole object of the same size, with other bytes: git itself doesn't see it."""
    data = zlib.decompress(path.read_bytes())
    path.unlink()
    path.write_bytes(zlib.compress(data[:-1] + bytes([data[-1] ^ 1])))


def objects_of(seat: Seat) -> dict[str, str]:
    """The objects of the newest state that are looked at, by what they are: the last commit and some that its tree names."""
    seat.ok("sync")
    tip = seat.git("rev-parse", "origin/coordination")
    names = {
        "commit": tip,
        "an older commit": f"{tip}~1",
        "a much older commit": f"{tip}~2",
        "tree": f"{tip}^{{tree}}",
        "folder": f"{tip}:sessions",
    }
    names["record"] = f"{tip}:{seat.git('ls-tree', '-r', '--name-only', tip, 'sessions/').splitlines()[0]}"
    return {what: seat.git("rev-parse", name) for what, name in names.items()}


@pytest.mark.parametrize(
    ("what", "damage"),
    [
        ("commit", gone), ("commit", other), ("an older commit", cut), ("a much older commit", gone), ("tree", emptied),
        ("folder", gone), ("record", cut), ("record", other),
    ],
)  # fmt: skip
def test_a_damaged_object_is_fetched_again(what: str, damage: Callable[[Path], None], pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    oid = objects_of(ada)[what]
    damage(ada.path / ".git" / "objects" / oid[:2] / oid[2:])
    status = ada.ok("status")
    assert sorted(one["session_id"] for one in status["sessions"]) == ["ada", "ben"]
    assert ada.ok("claim", "x")["claims"][0]["claimed_by"] == "ada"
    assert ada.run("verify").code == 0
    git(ada.path, "fsck", "--connectivity-only")


def test_what_can_not_be_fetched_again_is_told_as_what_it_is(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    oid = objects_of(ada)["record"]
    gone(ada.path / ".git" / "objects" / oid[:2] / oid[2:])
    url = ada.git("remote", "get-url", "origin")
    Path(url).rename(f"{url}.away")
    for words in (("status",), ("claim", "x")):
        ran = ada.run(*words, "--json")
        assert ran.json["error"] in {"damaged", "unreachable"}, ran
    Path(f"{url}.away").rename(url)
    assert ada.ok("claim", "x")["claims"]
