"""The commit-msg hook: a commit says whose it is and under which leases it was made, and the guard goes by that on a push."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest
from clones import Seat
from gits import Outcome, attempt
from guards import Day, begin, over, write
from remotes import Remote

from gitcoord.githooks import folder as hooks_folder

ROOT = Path(__file__).parents[2]


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def day(file_remote: Remote, pair: tuple[Seat, Seat], tmp_path: Path) -> Day:
    """Ben's clone has the hook, and a PATH with git, sh's tools and gitcoord on it; ben holds src and the deployment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh", "cat", "sed"):
        (folder / name).symlink_to(shutil.which(name) or name)
    script(folder / "gitcoord", f'exec {shlex.quote(sys.executable)} -m gitcoord "$@"')
    found = begin(file_remote, *pair)
    found.ben.extra |= {"PATH": str(folder), "PYTHONPATH": str(ROOT)}
    common = found.ben.path / ".git"
    hooks_folder.install(common / "hooks", common_dir=common, trailers=True)
    found.ben.ok("claim", "src")
    found.ben.ok("claim", "deploy:production")
    return found


def run(day: Day, *words: str, **extra: str) -> Outcome:
    """Ben's own git, with its hooks."""
    return attempt(day.ben.path, *words, env={**day.ben.env, **extra})


def message(day: Day) -> str:
    """The newest commit's."""
    return day.ben.git("log", "-1", "--format=%B").strip()


def fence(day: Day) -> int:
    """Of ben's lease on src."""
    return next(int(one["fence"]) for one in day.ben.ok("claims", "--mine")["claims"] if one["resource_name"] == "src")


def test_a_commit_names_its_session_and_the_leases_on_its_files(day: Day) -> None:
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-a", "-m", "the api", "-m", "More about it.").code == 0
    number = fence(day)
    assert message(day) == f"the api\n\nMore about it.\n\nCoord-Session: ben\nCoord-Fence: {number} file:src"
    write(day.ben, "free.txt")
    assert run(day, "commit", "-a", "-m", "free").code == 0
    assert message(day) == "free\n\nCoord-Session: ben"


def test_said_once_and_beside_what_others_add(day: Day) -> None:
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-a", "-s", "-m", "the api").code == 0
    first = message(day)
    assert first.count("Coord-Session: ben") == 1
    assert "Signed-off-by: " in first.split("\n\n")[-1]
    assert run(day, "commit", "--amend", "--no-edit").code == 0
    assert message(day) == first


def test_a_message_that_its_author_left_empty_gives_the_commit_up(day: Day) -> None:
    before = message(day)
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-a", GIT_EDITOR="true").code == 1
    assert message(day) == before
    assert run(day, "commit", "-a", "-v", GIT_EDITOR="sed -i '1s/^/by hand/'").code == 0
    assert message(day) == f"by hand\n\nCoord-Session: ben\nCoord-Fence: {fence(day)} file:src"


@pytest.mark.parametrize(
    ("settings", "editor", "words"),
    [
        ({"core.commentChar": ";"}, ":", ("-v",)), ({"core.commentChar": "auto"}, ":", ()),
        ({"core.commentChar": "auto"}, 'sed -i "/^;/!d" "$1"', ("--amend", "-v")),
        ({}, ":", ("-s",)), ({"commit.template": "../form"}, ":", ()), ({"core.commentString": "//"}, ":", ()),
        ({"core.commentChar": "//"}, ":", ("-v",)),
    ],
)  # fmt: skip
def test_what_git_gives_up_without_us_it_gives_up_with_us(
    day: Day, tmp_path: Path, settings: dict[str, str], editor: str, words: tuple[str, ...]
) -> None:
    ben = day.ben
    (ben.path.parent / "form").write_text("What and why\n")
    write(ben, "src/a.py")
    ben.git("add", "-A")
    assert run(day, "commit", "-q", "--cleanup=verbatim", "-m", "#12 subject").code == 0
    write(ben, "src/b.py")
    ben.git("add", "-A")
    before = ben.git("rev-parse", "HEAD")
    for key, value in settings.items():
        ben.git("config", key, value)
    ed = str(script(tmp_path / "ed", editor))
    alone = run(day, "commit", "-q", *words, GIT_EDITOR=ed, GITCOORD="0")
    if alone.code == 0:  # this git takes such a setting for something else
        pytest.skip("this git knows no such setting")
    assert run(day, "commit", "-q", *words, GIT_EDITOR=ed).code == alone.code
    for key in settings:
        ben.git("config", "--unset", key)
    assert ben.git("rev-parse", "HEAD") == before


def test_what_the_user_has_set_for_trailers_is_for_their_own(day: Day, tmp_path: Path) -> None:
    ben = day.ben
    ran = tmp_path / "ran"
    for key, value in {
        "trailer.separators": "=:", "trailer.ifmissing": "doNothing", "trailer.where": "start",
        "trailer.Coord-Session.ifexists": "doNothing",
        "trailer.x.command": f"touch {ran}", "trailer.sign.key": "Signed-off-by= ",
    }.items():  # fmt: skip
        ben.git("config", key, value)
    write(ben, "src/a.py")
    ben.git("add", "-A")
    assert run(day, "-c", "trailer.separators=%", "commit", "-q", "-m", "s", "-m", "Signed-off-by: x <x@y>").code == 0
    assert message(day).splitlines() == [
        "s", "", "Signed-off-by: x <x@y>", "Coord-Session: ben", f"Coord-Fence: {fence(day)} file:src",
    ]  # fmt: skip
    assert not ran.exists()


def test_own_hook_runs_first_and_may_say_no(day: Day) -> None:
    hooks = day.ben.path / ".git" / "hooks"
    hooks_folder.uninstall(hooks, common_dir=day.ben.path / ".git")
    script(hooks / "commit-msg", 'echo "seen: $(cat "$1")" >>"$1.seen"; [ "$(cat "$1")" != bad ]')
    kept = (hooks / "commit-msg").read_bytes()
    hooks_folder.install(hooks, common_dir=day.ben.path / ".git", trailers=True)
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-a", "-m", "bad").code == 1
    assert run(day, "commit", "-a", "-m", "good").code == 0
    assert "Coord-Session: ben" in message(day)
    assert (day.ben.path / ".git" / "COMMIT_EDITMSG.seen").read_text() == "seen: bad\nseen: good\n"
    hooks_folder.uninstall(hooks, common_dir=day.ben.path / ".git")
    assert (hooks / "commit-msg").read_bytes() == kept


def test_nobody_sits_here_or_it_is_switched_off_and_the_message_stays(day: Day) -> None:
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-a", "-m", "off", GITCOORD="0").code == 0
    assert message(day) == "off"
    shutil.rmtree(day.ben.path / ".git" / "gitcoord")
    write(day.ben, "src/api.py", text="again\n")
    assert run(day, "commit", "-a", "-m", "nobody").code == 0
    assert message(day) == "nobody"


def test_work_under_a_lease_that_is_over_is_named_before_it_is_pushed(day: Day) -> None:
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-a", "-m", "the api").code == 0
    number = fence(day)
    day.ben.ok("release", "src")
    shutil.rmtree(day.ben.path / ".git" / "gitcoord")  # nothing but the commit itself remembers
    day.see()
    found = day.pushed(f"HEAD {day.ben.git('rev-parse', 'HEAD')} refs/heads/main {day.ben.git('rev-parse', 'origin/main')}")
    assert over(found) == [(number, "src")]
