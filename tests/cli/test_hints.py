"""Hints are made to be pasted, by agents above all: in a real shell each gives the program its words, and nothing else runs."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Seat
from pure_branch import COMMIT, Story, minutes

from gitcoord.cli.handoff_lines import show_handoff
from gitcoord.core.requests import RequestClaims
from gitcoord.errors import GitcoordError

# What another session may have called a thing (names are any plain line), with a mark that appears if a shell takes it for its own.
NAMES = [
    "$(touch pwned)", "`touch pwned`", "x; touch pwned", 'x"; touch pwned; "', "x'; touch pwned; '", "x && touch pwned",
    "x | touch pwned",
    "a b", "--break", "-n", "~", "*", "$HOME", "!!", "x\\", "é 🤝", "x" * 400,
]  # fmt: skip
PROGRAM = "gitcoord() { printf '%s\\n' \"$@\"; }\n"


def paste(hint: str, where: Path) -> list[str]:
    """The words that the program gets from the hint's commands when a shell reads them one by one."""
    words: list[str] = []
    for part in hint.split(" | or "):
        command = part[part.index("gitcoord ") :]
        done = subprocess.run(["sh", "-c", PROGRAM + command], cwd=where, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr)
        words += done.stdout.splitlines()
    assert list(where.iterdir()) == [], hint
    return words


def refused(ask: Callable[[], object]) -> GitcoordError:
    """What the program says to that."""
    with pytest.raises(GitcoordError) as told:
        ask()
    return told.value


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder in which nothing may appear."""
    path = tmp_path / "empty"
    path.mkdir()
    return path


@pytest.mark.parametrize("name", NAMES)
def test_hint_of_a_held_claim_names_the_thing_as_one_word(name: str, empty: Path) -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", f"slot:{name}")
    told = refused(lambda: story.claim("bob", f"slot:{name}"))
    assert f"slot:{name}" in paste(told.hint, empty)


@pytest.mark.parametrize("name", NAMES)
def test_hint_names_what_was_asked_for_and_not_only_what_is_held(name: str, empty: Path) -> None:
    """A folder is held, a file below it was wanted: waiting is for the file."""
    story = Story.of("ann", "bob")
    story.claim("ann", "file:top")
    told = refused(lambda: story.claim("bob", f"file:top/{name}"))
    words = paste(told.hint, empty)
    assert f"file:top/{name}" in words
    assert "--wait" in words


@pytest.mark.parametrize("name", NAMES)
def test_hint_after_a_lease_is_over_names_the_thing_as_one_word(name: str, empty: Path) -> None:
    story = Story.of("ann", "bob")
    assert f"slot:{name}" in paste(refused(lambda: story.renew("ann", f"slot:{name}")).hint, empty)
    story.claim("ann", f"slot:{name}")
    assert paste(refused(lambda: story.renew("bob", f"slot:{name}")).hint, empty)
    story.ask(story.command(RequestClaims, "bob", resource=f"slot:{name}"))  # else its holder takes it again
    story.wait(minutes(61))
    assert f"slot:{name}" in paste(refused(lambda: story.renew("ann", f"slot:{name}")).hint, empty)
    story.release("ann", f"slot:{name}")
    request = story.command(RequestClaims, "bob", resource=f"slot:{name}")
    assert f"slot:{name}" in paste(refused(lambda: story.ask(request)).hint, empty)


def test_holder_that_takes_no_requests_is_not_asked_by_the_hint(empty: Path) -> None:
    story = Story.of("ann", "bob")
    story.claim("ann", "a", allow_coordination=False)
    told = refused(lambda: story.claim("bob", "a"))
    assert "request" not in paste(told.hint, empty)
    assert "--wait" in told.hint


def test_hint_read_in_a_sub_folder_names_the_same_file_there(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "src/api.py")
    for seat in pair:
        (seat.path / "src/deep").mkdir(parents=True)
    told = ben.run("claim", "../api.py", cwd=ben.path / "src/deep")
    assert told.code == 3
    [ask] = [part for part in told.err.splitlines()[-1].split(" | or ") if "gitcoord request" in part]
    words = shlex.split(ask[ask.index("gitcoord ") :])[1:]
    assert ben.run(*words, cwd=ben.path / "src/deep").code == 0
    [request] = ada.ok("inbox")["messages"]
    assert request["details"]["resource"] == "file:src/api.py"
    assert ben.run("claim", ":/src/api.py", cwd=ben.path / "src/deep").code == 3
    assert ben.run("claim", ":/../api.py", cwd=ben.path / "src/deep").code == 2


def test_release_of_all_leaves_every_line(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "a.py")
    ben.ok("claim", "b.py")
    assert ben.run("claim", "a.py", "--wait", "--timeout", "0s").code == 9
    assert [one["session_id"] for one in ada.ok("status")["waiting"]] == ["ben"]
    ben.ok("release", "--all")
    assert ada.ok("status")["waiting"] == []
    assert ben.run("claim", "a.py", "--wait", "--timeout", "0s").code == 9
    assert ben.run("release", "--all").out == "gave up the place in line: file:a.py\n"  # with nothing held
    assert ada.ok("status")["waiting"] == []
    assert ben.run("claim", "a.py", "--wait", "--timeout", "0s").code == 9
    ran = ben.run("release", "file", "a.py", "nobodys.py")
    assert ran.out == "gave up the place in line: file:a.py\n"
    assert "nobodys.py was not held by you, nor by anybody" in ran.err


@pytest.mark.parametrize(
    "branch", ["feature/x", "a;touch${IFS}pwned", "$(touch${IFS}pwned)", "`touch${IFS}pwned`", "it's", "a&b|c", "!!"]
)
def test_what_is_shown_to_check_out_is_one_word(branch: str, empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """git takes these as names of branches; those with blanks or a dash in front never get onto the branch."""
    story = Story.of("ann")
    story.handoff("ann", branch=branch, commit=COMMIT)
    [offer] = story.state.handoffs.values()
    show_handoff(offer)
    shown = capsys.readouterr().out.partition("to check out: branch ")[2].partition(", commit ")
    assert shown[2].strip() == COMMIT
    assert paste(f"gitcoord {shown[0]}", empty) == [branch]
