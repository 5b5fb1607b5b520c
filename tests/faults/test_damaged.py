"""Whatever is in the place of our files on a machine, commands go on: it is set aside and named, and what is answered is true."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Seat

OTHER = '{"good": 5, "seq": "x", "rest": "y", "lines": 4, "since": 1, "session": [], "command": {"op": []}, "kind": {}}'
IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "an object": lambda path: path.write_text(OTHER),
    "a pipe": os.mkfifo,
    "a folder": lambda path: (path / "x").mkdir(parents=True),
}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_commands_go_on_when_every_file_of_ours_is_damaged(kind: str, pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.session = ""
    ada.ok("claim", "x")
    ben.ok("send", "ada", "are you there?")
    assert "are you there?" in ada.run("inbox", "--json").out
    own = ada.path / ".git" / "gitcoord"
    places = [path for folder in (own, ada.outbox) for path in folder.rglob("*") if path.is_file() and "sessions" not in path.parts]
    for path in places:
        path.unlink()
        IN_THE_WAY[kind](path)
    ran = [ada.run(*words) for words in (["status"], ["claim", "y"], ["heartbeat", "on"], ["inbox"], ["statusline"], ["doctor"])]
    assert [done.code for done in ran] == [0] * 6, ran
    assert "set aside" in "".join(done.err for done in ran)
    assert sorted(one["resource_name"] for one in ben.ok("claims")["claims"]) == ["x", "y"]
    assert not any("set aside" in ada.run(*words).err for words in (["status"], ["claim", "y"]))


def test_a_damaged_binding_is_named_and_started_anew(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    [binding] = (ada.path / ".git" / "gitcoord" / "sessions").glob("*.json")
    shutil.copy(binding, binding.with_name("kept"))
    binding.write_text('{"session": "ada", "run_id": 5}')
    ran = ada.run("heartbeat", "on")
    assert ran.code == 2
    assert "set aside" in ran.err
    assert ada.run("whoami").code in {0, 2}


def test_what_a_newer_program_noted_stays(pair: tuple[Seat, Seat]) -> None:
    """A field more makes no file unreadable, and it is there when the file is written again."""
    ada, _ = pair
    ada.session = ""
    binding = ada.path / ".git" / "gitcoord" / "sessions" / "ada.json"
    [state] = ada.outbox.rglob("state.json")
    for path in (binding, state):
        path.write_text(json.dumps({**json.loads(path.read_text()), "newer": {"than": "this"}}))
    assert ada.ok("whoami")["session_id"] == "ada"
    before = json.loads(binding.read_text())["run_id"]
    again = ada.ok("start", "--work", "something else")
    assert again["run_id"] != before
    ada.ok("heartbeat", "on")
    for path in (binding, state):
        assert json.loads(path.read_text())["newer"] == {"than": "this"}
