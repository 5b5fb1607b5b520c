"""Files: whole or not at all, and for this user alone."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitcoord.machine import files


def test_every_folder_that_is_made_is_private(tmp_path: Path) -> None:
    files.private_folder(tmp_path / "state" / "gitcoord" / "outbox")
    made = [tmp_path / "state", tmp_path / "state" / "gitcoord", tmp_path / "state" / "gitcoord" / "outbox"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700] * 3


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    files.private_folder(tmp_path / "state" / "gitcoord")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755


# --- what stands in a file's place ---------------------------------------------------------------------------------------


def nested(path: Path) -> None:
    path.write_text("[" * 100_000 + "]" * 100_000)


def socket_file(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def full_folder(path: Path) -> None:
    path.mkdir()
    (path / "x").write_text("x")


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "other content": lambda path: path.write_text('["x"]'),
    "a number for a text": lambda path: path.write_text('{"x": 1}'),
    "no number": lambda path: path.write_text('{"x": NaN}'),
    "no JSON": lambda path: path.write_text("{"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "empty": lambda path: path.touch(),
    "nested": nested,
    "a folder": full_folder,
    "a pipe": os.mkfifo,
    "a socket": socket_file,
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


def text(value: Any) -> str:
    if not isinstance(value["x"], str):
        raise TypeError
    return str(value["x"])


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_what_is_in_the_way_is_set_aside_named_once_and_made_anew(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    files.notices()
    IN_THE_WAY[kind](path)
    assert files.read(path, text) is None
    assert [str(path) in notice for notice in files.notices()] == [True]
    assert files.read(path, text) is None
    assert files.notices() == []
    files.write_json(path, {"x": "y"})
    assert files.read(path, text) == "y"
    assert len(list(tmp_path.glob("x.json.damaged-*"))) == 1


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a link", "a link to nowhere", "a device"])
def test_nothing_is_added_touched_or_written_through_what_is_in_the_way(kind: str, tmp_path: Path) -> None:
    for act in (lambda path: files.append(path, b"x\n", limit=100), files.touch, lambda path: files.write_json(path, {"x": "y"})):
        path = tmp_path / "x.json"
        IN_THE_WAY[kind](path)
        act(path)
        assert stat.S_ISREG(os.lstat(path).st_mode)
        path.unlink()
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_its_user_may_not_read_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("os.open", refused)
        assert files.read_json(path) is None
    assert not path.exists()


def test_a_fault_of_the_system_says_nothing_about_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")

    def failed(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.open", failed)
        with pytest.raises(OSError, match="Input"):
            files.read_json(path)
    assert path.exists()


def test_two_users_of_a_clone_have_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = files.own(tmp_path)
    assert mine == tmp_path / "gitcoord"
    files.private_folder(mine)
    assert files.own(tmp_path) == mine
    other = os.geteuid() + 4711
    monkeypatch.setattr("os.geteuid", lambda: other)
    assert files.own(tmp_path) == tmp_path / f"gitcoord-{other}"
    (tmp_path / f"gitcoord-{other}").mkdir()  # laid there by the first one
    assert not files.own(tmp_path).exists()


def test_a_link_in_the_place_of_our_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "gitcoord").symlink_to(tmp_path / "elsewhere")
    assert files.own(tmp_path) == tmp_path / f"gitcoord-{os.geteuid()}"


def test_only_the_newest_notes_of_a_folder_are_kept(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.json").write_text("1")
        os.utime(tmp_path / f"{number}.json", (100 + number, 100 + number))
    (tmp_path / "else").touch()
    files.keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4.json", "5.json", "else"]
