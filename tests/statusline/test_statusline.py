"""`gitcoord statusline`: what was last known, from one small file, for prompts and for the status line of an agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clones import Ran, Seat, Seats
from gits import git
from remotes import Remote

from gitcoord.machine.identity import Identity
from gitcoord.statusline import cache


def shown(seat: Seat, stdin: str | None = None, cwd: Path | None = None, **extra: str) -> Ran:
    """What a prompt would show there, where not even git can be found."""
    done = subprocess.run(
        [sys.executable, "-m", "gitcoord", "statusline"], cwd=cwd or seat.path, env={**seat.env, "PATH": "/nowhere", **extra},
        input=stdin if stdin is not None else "", capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") <= 1
    return Ran(done.returncode, done.stdout.rstrip("\n"), done.stderr)


def test_it_shows_who_waits_what_is_held_and_what_is_unread(pair: tuple[Seat, Seat], file_remote: Remote) -> None:
    ada, ben = pair
    assert shown(ada).out == "gitcoord: ada"  # nobody has looked yet
    ada.ok("claim", "src/a.py")
    assert shown(ada).out == "gitcoord: ada · holds src/a.py"
    assert ben.run("claim", "src/a.py", "--wait", "--timeout", "0s").code == 9
    ada.ok("sync")
    assert shown(ada).out == "gitcoord: ada · ben waits for you · holds src/a.py · now"
    ben.ok("send", "ada", "Which client?", "--type", "question")
    ben.ok("send", "broadcast", "main is frozen")
    ada.ok("sync")
    file_remote.away()
    assert shown(ada).out == "gitcoord: ada · ben waits for you · 1 to answer · 2 unread · holds src/a.py · now"
    assert shown(ben).out == "gitcoord: ben"
    file_remote.back()
    ada.ok("inbox")  # read, and not answered yet
    assert shown(ada).out == "gitcoord: ada · ben waits for you · 1 to answer · holds src/a.py · now"
    ada.ok("reply", "The asynchronous one")
    ada.ok("release", "src/a.py")
    ada.ok("status")
    assert shown(ada).out == "gitcoord: ada · now"
    ada.ok("end")
    assert shown(ada).out == ""


def test_a_request_for_what_is_held_is_somebody_who_waits(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "a.py")
    ben.ok("request", "a.py", "May I?")
    ada.ok("sync")
    assert "ben waits for you" in shown(ada).out
    [asked] = ada.ok("inbox")["messages"]
    ada.ok("respond", str(asked["seq"]), "deny", "At 11:30")
    ada.ok("sync")
    assert "waits" not in shown(ada).out


def test_it_tells_how_old_that_is(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    ada.ok("sync")
    [path] = (ada.path / ".git" / "gitcoord" / "glance").iterdir()
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "read_at": record["read_at"] - 7200}))
    assert shown(ada).out == "gitcoord: ada · 2h ago"


def test_it_is_silent_where_gitcoord_is_not_used(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    bare = tmp_path / "plain"
    git(tmp_path, "init", "--quiet", str(bare))
    for where in (tmp_path, bare, bare / ".git"):
        assert shown(ada, cwd=where).out == ""
    assert not (bare / ".git" / "gitcoord").exists()
    assert shown(ada, GITCOORD="0").out == ""
    assert shown(ada).out == "gitcoord: ada"


GARBAGE = [
    "",
    "{",
    "null",
    "[]",
    '"x"',
    '{"cwd": 5, "workspace": [], "session_id": {}}',
    "\x00\xff",
    "x" * 300_000,
    '{"workspace": {}}',
]


@pytest.mark.parametrize("stdin", GARBAGE, ids=range(len(GARBAGE)))
def test_what_can_not_be_read_is_passed_over(pair: tuple[Seat, Seat], stdin: str) -> None:
    assert shown(pair[0], stdin).out == "gitcoord: ada"


def test_a_pipe_that_stays_silent_is_not_waited_for(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    read, write = os.pipe()
    try:
        with ada.start("statusline", stdin=read) as child:
            out, _ = child.communicate(timeout=60)
    finally:
        os.close(read)
        os.close(write)
    assert (child.returncode, out) == (0, "gitcoord: ada\n")


def test_an_agent_sees_its_own_session(file_remote: Remote, seats: Seats, tmp_path: Path) -> None:
    (one,) = seats(file_remote, "ada")
    one.ok("init")
    names = {}
    for agent in ("one", "two"):
        one.extra["CLAUDE_CODE_SESSION_ID"] = agent
        names[agent] = one.ok("start")["session_id"]
        one.ok("claim", f"{agent}.py")
    del one.extra["CLAUDE_CODE_SESSION_ID"]
    for agent, name in names.items():
        given: dict[str, Any] = {"session_id": agent, "cwd": "/", "workspace": {"current_dir": str(one.path)}}
        told = f"gitcoord: {name} · holds {agent}.py"
        assert shown(one, json.dumps(given), cwd=tmp_path).out == told
        assert shown(one, CLAUDE_CODE_SESSION_ID=agent).out == told
    assert shown(one, json.dumps({"session_id": "three"})).out == ""
    assert shown(one, GITCOORD_SESSION=names["one"]).out == f"gitcoord: {names['one']} · holds one.py"


def test_a_linked_work_tree_and_a_folder_in_it_are_found(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    tree = tmp_path / "tree"
    git(ada.path, "worktree", "add", "--quiet", str(tree))
    other = Seat(tree, ada.outbox)
    other.ok("start", "cara")
    other.ok("sync")
    (tree / "deep" / "er").mkdir(parents=True)
    assert shown(other, cwd=tree / "deep" / "er").out == "gitcoord: cara · now"
    assert shown(ada).out.startswith("gitcoord: ada")


def test_json_and_the_global_options(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    ada.ok("claim", "a.py")
    ada.ok("sync")
    told = {"session_id": "ada", "held": ["a.py"], "waiting": [], "unread": 0, "questions": 0, "local": False}
    for words in (["statusline", "--json"], ["-C", str(ada.path), "statusline", "--json"]):
        ran = ada.run(*words, cwd=ada.path if words[0] != "-C" else tmp_path)
        assert ran.code == 0
        record = ran.json
        assert record.pop("age") < 60
        assert record == told
    assert ada.run("statusline", "--json", cwd=tmp_path).json["session_id"] is None


def test_what_another_run_left_is_not_shown(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ben.ok("send", "ada", "hello")
    ada.ok("sync")
    assert "1 unread" in shown(ada).out
    place = ada.path / ".git"
    seen = cache.read(place, "ada")
    assert seen is not None
    cache.note(place, "ada", {**seen.__dict__, "run_id": "another"})
    assert shown(ada).out == "gitcoord: ada"
    assert Identity(place).get("ada") is not None
