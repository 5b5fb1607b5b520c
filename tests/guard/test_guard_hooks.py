"""pre-commit and pre-push: they stop what the guard stops, after the user's own hook, and nothing else ever."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clones import Seat, snapshot, until
from gits import Outcome, attempt, git
from guards import Day, begin, commit, write
from remotes import Remote, RemoteFactory

from gitcoord.githooks import folder as hooks_folder

ROOT = Path(__file__).parents[2]
PRE_COMMIT = shutil.which("pre-commit") or shutil.which("pre-commit", path=str(Path(sys.executable).parent))


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A `gitcoord` on a PATH on which there is nothing else but git."""
    folder = tmp_path / "bin"
    folder.mkdir()
    found = shutil.which("git")
    assert found
    (folder / "git").symlink_to(found)
    return script(folder / "gitcoord", f'exec {shlex.quote(sys.executable)} -m gitcoord "$@"')


def settle(day: Day, program: Path) -> Day:
    """Installs ben's hooks; all that ben's git starts has only that PATH."""
    for seat in (day.ada, day.ben):
        seat.extra |= {"PATH": str(program.parent), "PYTHONPATH": str(ROOT)}
    common = day.ben.path / ".git"
    hooks_folder.install(common / "hooks", common_dir=common, guard=True)
    return day


@pytest.fixture
def day(file_remote: Remote, pair: tuple[Seat, Seat], program: Path) -> Day:
    """Ben's clone with the guard's hooks; ada holds src."""
    found = settle(begin(file_remote, *pair), program)
    found.claim("src")
    return found


def run(day: Day, *words: str, cwd: Path | None = None, **extra: str) -> Outcome:
    """Ben's own git."""
    return attempt(cwd or day.ben.path, *words, env={**day.ben.env, **extra})


def head(day: Day) -> str:
    """Ben's newest commit."""
    return day.ben.git("rev-parse", "HEAD")


# --- what stops and what doesn't -------------------------------------------------------------------------------------------


def test_a_commit_of_what_another_holds_is_stopped(day: Day) -> None:
    before = head(day)
    write(day.ben, "src/api.py", "free.txt")
    done = run(day, "commit", "-a", "-m", "both")
    assert done.code == 1
    assert done.err.startswith("error: gitcoord's guard stops this commit\nerror: src/api.py is held by ada (as file:src)")
    assert "hint: gitcoord request file:" in done.err
    assert head(day) == before
    assert run(day, "commit", "-m", "one path", "free.txt").code == 0  # the index of that commit alone counts
    assert run(day, "commit", "-m", "the other", "--", "src/api.py").code == 1
    assert run(day, "commit", "-qm", "the other", "--no-verify", "src/api.py").code == 0


def test_in_mode_warn_the_commit_is_made_and_the_words_are_there(day: Day) -> None:
    day.ben.git("config", "gitcoord.guard", "warn")
    write(day.ben, "src/api.py")
    done = run(day, "commit", "-a", "-q", "-m", "both")
    assert done.code == 0
    assert done.err.startswith("warning: src/api.py is held by ada (as file:src)")


def test_an_allowed_commit_is_silent_with_the_remote_switched_off(day: Day) -> None:
    day.remote.away()
    for number in range(2):  # the second by the short way
        write(day.ben, "free.txt", text=f"{number}\n")
        assert run(day, "commit", "-a", "-q", "-m", "mine") == Outcome(0, "", "")


def test_offline_a_block_is_a_warning(day: Day) -> None:
    day.remote.away()
    write(day.ben, "src/api.py")
    done = run(day, "commit", "-a", "-q", "-m", "mine")
    assert (done.code, "could not be looked at again" in done.err) == (0, True)


def test_in_a_linked_work_tree_and_with_the_repository_named_by_variables(day: Day, tmp_path: Path) -> None:
    day.ben.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    (tmp_path / "linked" / "src" / "api.py").write_text("changed\n")
    assert run(day, "commit", "-am", "side", cwd=tmp_path / "linked").code == 1
    write(day.ben, "src/api.py")
    named = {"GIT_DIR": str(day.ben.path / ".git"), "GIT_WORK_TREE": str(day.ben.path)}
    assert run(day, "commit", "-am", "named", cwd=tmp_path, **named).code == 1
    assert run(day, "commit", "-am", "below", cwd=day.ben.path / "src").code == 1
    apart = [f"--git-dir={day.ben.path / '.git'}", f"--work-tree={day.ben.path}"]
    assert run(day, *apart, "commit", "-am", "apart", cwd=tmp_path).code == 1
    (day.ben.path / ".git").rename(tmp_path / "apart.git")  # nothing in the work tree leads there any more
    apart = [f"--git-dir={tmp_path / 'apart.git'}", f"--work-tree={day.ben.path}"]
    assert run(day, *apart, "commit", "-am", "apart", cwd=tmp_path).code == 1


def test_stash_amend_rebase_and_an_empty_commit_go_on(day: Day) -> None:
    write(day.ben, "src/api.py")
    assert run(day, "stash", "-q").code == 0
    assert run(day, "commit", "-q", "--allow-empty", "-m", "empty").code == 0
    assert run(day, "commit", "-q", "--amend", "--allow-empty", "-m", "better").code == 0
    commit(day.ben, "mine", "src/api.py")
    commit(day.ada, "hers", "docs/x.md")
    day.ada.git("push", "-q", "origin", "HEAD")
    assert run(day, "pull", "-q", "--rebase").code == 0
    assert day.ben.git("log", "-1", "--format=%s") == "mine"


def test_a_push_of_what_another_holds_is_stopped(day: Day) -> None:
    commit(day.ben, "mine", "src/api.py")
    done = run(day, "push", "origin", "HEAD")
    assert done.code == 1
    assert "error: src/api.py is held by ada" in done.err
    assert day.ada.git("ls-remote", "origin", "main").split()[0] != head(day)
    assert run(day, "push", "-q", "origin", "HEAD~1:refs/heads/other").code == 0
    day.release("src")
    assert run(day, "push", "-q", "origin", "HEAD") == Outcome(0, "", "")


def test_the_coordination_branch_and_nothing_at_all_are_pushed_freely(day: Day) -> None:
    commit(day.ben, "mine", "src/api.py")
    assert run(day, "push", "-q", "origin", "origin/coordination:refs/heads/coordination").code == 0
    assert run(day, "push", "-q", "origin", "origin/main:refs/heads/main").code == 0
    assert run(day, "push", "-q", "origin", ":refs/heads/never-there").err.count("gitcoord") == 0


def test_work_under_a_lease_that_is_over_is_stopped(day: Day) -> None:
    commit(day.ben, "mine\n\nCoord-Fence: 4711 file:docs/x.md", "docs/x.md")
    done = run(day, "push", "origin", "HEAD")
    assert (done.code, "that is over (fence 4711)" in done.err) == (1, True)


def test_it_touches_nothing(day: Day) -> None:
    commit(day.ben, "mine", "src/api.py")
    write(day.ben, "src/b.py")
    day.ben.git("add", "--all")
    before = snapshot(day.ben.path)
    for event, said in (("pre-commit", ""), ("pre-push", f"HEAD {head(day)} refs/heads/main {'0' * 40}\n")):
        hook = day.ben.path / ".git" / "hooks" / event  # by itself: git commit writes its index anew
        done = subprocess.run([hook], cwd=day.ben.path, env=day.ben.env, input=said, capture_output=True, text=True, check=False)
        assert done.returncode == 3
    assert snapshot(day.ben.path) == before


# --- the user's own hooks ---------------------------------------------------------------------------------------------------


def kept(day: Day, tmp_path: Path, *, code: int = 0) -> Path:
    """Puts hooks of the user's below ours; the file in which they note arguments and input."""
    notes = tmp_path / "notes"
    for event in hooks_folder.GUARDS:
        read = f'while IFS= read -r line; do echo "<$line>"; done >>{shlex.quote(str(notes))}' if event == "pre-push" else ":"
        script(
            day.ben.path / ".git" / "hooks" / f"{event}.before-gitcoord",
            f'for word; do echo "[$word]"; done >>{shlex.quote(str(notes))}\n{read}\n'
            f"echo {event} >>{shlex.quote(str(notes))}\nexit {code}",
        )
    return notes


def test_the_users_hook_runs_first_with_its_arguments_and_input(day: Day, tmp_path: Path) -> None:
    notes = kept(day, tmp_path)
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-am", "no").code == 1
    assert notes.read_text() == "pre-commit\n"
    notes.write_text("")
    there = day.ben.git("rev-parse", "origin/main")
    mine = commit(day.ben, "mine", "src/b.py")
    day.ben.git("branch", "topic")
    done = run(day, "push", "origin", "HEAD:refs/heads/main", "topic")
    assert (done.code, "is held by ada" in done.err) == (1, True)
    assert notes.read_text().splitlines() == [
        "[origin]", f"[{day.remote.url}]", f"<HEAD {mine} refs/heads/main {there}>",
        f"<refs/heads/topic {mine} refs/heads/topic {'0' * 40}>", "pre-push",
    ]  # fmt: skip


def test_a_failing_hook_of_the_user_ends_it_with_its_own_code(day: Day, tmp_path: Path) -> None:
    kept(day, tmp_path, code=23)
    script(Path(day.ben.extra["PATH"]) / "gitcoord", "echo never >&2")
    for event, said in (("pre-commit", ""), ("pre-push", f"x {'1' * 40} refs/heads/main {'0' * 40}\n")):
        done = subprocess.run(
            [day.ben.path / ".git" / "hooks" / event, "a b", "c"], cwd=day.ben.path, env=day.ben.env, input=said,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (23, "")


def test_what_the_users_hook_stages_is_guarded(day: Day) -> None:
    script(day.ben.path / ".git" / "hooks" / "pre-commit.before-gitcoord", "echo by the hook >src/api.py; git add src/api.py")
    write(day.ben, "free.txt")
    done = run(day, "commit", "-am", "no")
    assert (done.code, "src/api.py is held by ada" in done.err) == (1, True)


@pytest.mark.parametrize("said", ["", "one line\n", "no end", "two\n\n lines \\n %s\n\n"])
def test_the_input_reaches_the_users_hook_to_the_byte(day: Day, tmp_path: Path, said: str) -> None:
    seen = tmp_path / "seen"
    cat = shutil.which("cat")
    script(day.ben.path / ".git" / "hooks" / "pre-push.before-gitcoord", f"exec {cat} >{shlex.quote(str(seen))}")
    hook = day.ben.path / ".git" / "hooks" / "pre-push"
    done = subprocess.run([hook], cwd=day.ben.path, env=day.ben.env, input=said.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr, seen.read_bytes()) == (0, b"", said.encode())


def test_a_hook_of_the_user_that_does_not_read_its_input_is_no_fault(day: Day) -> None:
    script(day.ben.path / ".git" / "hooks" / "pre-push.before-gitcoord", "exit 0")
    commit(day.ben, "mine", "free.txt")
    assert run(day, "push", "-q", "origin", "HEAD", *(f"HEAD:refs/heads/b{number}" for number in range(300))).err == ""


@pytest.mark.parametrize("off", [{"GITCOORD": "0"}, {"GITCOORD_HOOK": "1"}])
def test_turned_off_only_the_users_hook_runs(day: Day, tmp_path: Path, off: dict[str, str]) -> None:
    notes = kept(day, tmp_path)
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-qam", "mine", **off).code == 0
    assert run(day, "push", "-q", "origin", "HEAD", **off).code == 0
    assert "pre-push" in notes.read_text()


def test_put_aside_by_another_hook_manager_it_still_guards(day: Day) -> None:
    hooks = day.ben.path / ".git" / "hooks"
    (hooks / "pre-commit").rename(hooks / "pre-commit.legacy")
    script(hooks / "pre-commit", 'exec "$0.legacy" "$@"')
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-am", "no").code == 1
    shutil.copy(hooks / "pre-commit.legacy", hooks / "pre-commit")
    (hooks / "pre-commit.legacy").rename(hooks / "pre-commit.before-gitcoord")  # two of ours: one asks
    assert run(day, "commit", "-am", "no").err.count("is held by ada") == 1


# --- faults ------------------------------------------------------------------------------------------------------------------

FAULTS = {
    "fails": "exit 1",
    "is bad": "exit 2",
    "is a bug": "exit 70",
    "is killed": "kill -9 $$",
    "is broken": f"exec {shlex.quote(sys.executable)} -c 'import gitcoord.nonsense'",
    "is no program": "exec /nonexistent",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_ours_stops_nobody(day: Day, fault: str) -> None:
    script(Path(day.ben.extra["PATH"]) / "gitcoord", FAULTS[fault])
    write(day.ben, "src/api.py")
    for words in (["commit", "-qam", "mine"], ["push", "-q", "origin", "HEAD"]):
        done = run(day, *words)
        assert done.code == 0
        assert "gitcoord: the guard could not look" in done.err
        assert "Traceback" not in done.err


def test_without_gitcoord_a_commit_is_a_commit(day: Day) -> None:
    (Path(day.ben.extra["PATH"]) / "gitcoord").unlink()
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-qam", "mine") == Outcome(0, "", "")
    assert run(day, "push", "-q", "origin", "HEAD") == Outcome(0, "", "")


def test_the_recorded_program_is_for_a_path_without_one(day: Day, tmp_path: Path) -> None:
    place = tmp_path / "it's here"
    place.mkdir()
    (Path(day.ben.extra["PATH"]) / "gitcoord").rename(place / "gitcoord")
    common = day.ben.path / ".git"
    hooks_folder.install(common / "hooks", common_dir=common, guard=True, program=str(place / "gitcoord"))
    write(day.ben, "src/api.py")
    assert run(day, "commit", "-qam", "mine").code == 1


@pytest.mark.servers
def test_a_dead_and_a_silent_remote_only_cost_their_time(remotes: RemoteFactory, seats: object, program: Path) -> None:
    reason = remotes.available("git")
    if reason:
        pytest.skip(reason)
    remote = remotes.make("git")
    ada, ben = seats(remote, "ada", "ben")  # type: ignore[operator]  # the fixture of conftest
    with ada.here() as found:
        found.coordinator.setup.init()
    for seat in (ada, ben):
        with seat.here() as found:
            found.coordinator.sessions.start(seat.path.name)
    day = settle(begin(remote, ada, ben), program)
    day.claim("src")
    for way in (remote.away, remote.silent):
        way()
        write(day.ben, "src/api.py", text=f"{way.__name__}\n")
        done = run(day, "commit", "-qam", "mine")
        assert (done.code, "could not be looked at again" in done.err) == (0, True)


# --- installing --------------------------------------------------------------------------------------------------------------


def picture(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything about each hook."""
    return {path.name: (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_the_guard_is_installed_only_for_who_asks_and_goes_with_the_rest(pair: tuple[Seat, Seat]) -> None:
    seat = pair[1]
    hooks = seat.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    script(hooks / "pre-push", "exit 0").chmod(0o750)
    before = picture(hooks)
    assert [one["event"] for one in seat.ok("hooks", "install", "--git")["hooks"]] == list(hooks_folder.EVENTS)
    assert picture(hooks)["pre-push"] == before["pre-push"]
    asked = seat.ok("hooks", "install", "--git", "--guard")["hooks"]
    assert {one["event"]: one["change"] for one in asked if one["change"] != "none"} == dict.fromkeys(
        hooks_folder.GUARDS, "installed"
    )
    assert picture(hooks)["pre-push.before-gitcoord"] == before["pre-push"]
    installed = picture(hooks)
    assert {one["change"] for one in seat.ok("hooks", "install", "--git", "--guard")["hooks"]} == {"none"}
    seat.ok("hooks", "install", "--git")
    assert picture(hooks) == installed
    states = {one["event"]: one["state"] for one in seat.ok("hooks", "status")["hooks"]}
    assert states == {
        **dict.fromkeys((*hooks_folder.EVENTS, *hooks_folder.GUARDS), "installed"),
        **dict.fromkeys(hooks_folder.TRAILERS, "absent"),
    }
    gone = {one["event"]: one["change"] for one in seat.ok("hooks", "uninstall", "--git")["hooks"]}
    assert gone == {**dict.fromkeys(hooks_folder.EVENTS, "removed"), "pre-commit": "removed", "pre-push": "restored"}
    assert picture(hooks) == before
    states = {one["event"]: one["state"] for one in seat.ok("hooks", "status")["hooks"]}
    assert (states["pre-commit"], states["pre-push"]) == ("absent", "foreign")


def test_a_clone_that_has_never_looked_is_guarded_from_its_installation_on(day: Day, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--single-branch", "-b", "main", day.remote.url, "fresh")
    fresh = Seat(tmp_path / "fresh", tmp_path / "outboxes" / "fresh", extra=day.ben.extra)
    fresh.git("config", "gitcoord.guard", "block")
    assert fresh.run("guard", "src/api.py").code == 0
    assert fresh.run("hooks", "install", "--git", "--guard").err == ""
    assert fresh.run("guard", "src/api.py").code == 3


def test_installed_where_there_is_no_branch_it_says_so(file_remote: Remote, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", file_remote.url, "plain")
    ran = Seat(tmp_path / "plain", tmp_path / "outbox").run("hooks", "install", "--guard")
    assert (ran.code, ran.err.startswith("warning: the guard has nothing to go by yet: there is no coordination branch")) == (
        0,
        True,
    )


def test_where_hooks_are_shared_it_says_what_to_write(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    pair[1].git("config", "core.hooksPath", str(tmp_path / "shared"))
    ran = pair[1].run("hooks", "install", "--git", "--guard")
    assert ran.code == 1
    assert "gitcoord guard --staged" in ran.err
    assert not list((tmp_path / "shared").iterdir())


# --- the program pre-commit --------------------------------------------------------------------------------------------------

CONFIG = """\
repos:
- repo: {repo}
  rev: {rev}
  hooks:
  - id: gitcoord-check-claims
    language: system
  - id: gitcoord-check-push
    language: system
"""


@pytest.mark.skipif(PRE_COMMIT is None, reason="the program pre-commit is not installed (dev group)")
def test_the_program_pre_commit_runs_the_guard(file_remote: Remote, pair: tuple[Seat, Seat], program: Path, tmp_path: Path) -> None:
    assert PRE_COMMIT
    offered = tmp_path / "offered"
    git(tmp_path, "init", "-q", "offered")
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", offered)
    git(offered, "add", "--all")
    git(offered, "commit", "-qm", "hooks")
    day = begin(file_remote, *pair)
    day.ben.extra |= {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
    }  # fmt: skip
    day.claim("src")
    (day.ben.path / ".pre-commit-config.yaml").write_text(CONFIG.format(repo=offered, rev=git(offered, "rev-parse", "HEAD")))
    day.ben.git("add", "--all")
    for kind in ("pre-commit", "pre-push"):
        subprocess.run([PRE_COMMIT, "install", "-t", kind], cwd=day.ben.path, env=day.ben.env, check=True, capture_output=True)
    assert run(day, "commit", "-qm", "config").code == 0
    write(day.ben, "src/api.py")
    done = run(day, "commit", "-qam", "no")
    assert (done.code, "src/api.py is held by ada" in done.out + done.err) == (1, True)
    day.ben.git("rm", "-q", "--cached", "src/b.py")  # what is only taken away has no name for pre-commit
    assert run(day, "commit", "-qm", "no").code == 1
    day.ben.git("config", "gitcoord.guard", "warn")
    done = run(day, "commit", "-qm", "warned")
    assert (done.code, "warning: src/b.py is held by ada" in done.out + done.err) == (0, True)
    day.ben.git("config", "gitcoord.guard", "block")
    done = run(day, "push", "-q", "origin", "HEAD")
    assert (done.code, "is held by ada" in done.out + done.err) == (1, True)
    day.release("src")
    assert run(day, "push", "-q", "origin", "HEAD").code == 0


def test_both_offers_call_the_guard_as_the_hooks_do() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    for words, stage in (("guard --staged", "pre-commit"), ("guard --push", "pre-push")):
        assert f"  entry: gitcoord {words}\n" in text
        assert f"  stages: [{stage}]\n" in text
        assert f"gitcoord_run {words} 2>&1" in (ROOT / "hooks" / "guard").read_text()


# --- what a push tells ----------------------------------------------------------------------------------------------------


def test_a_push_tells_the_others_at_once_where_the_session_stands(day: Day) -> None:
    """Two pushed branches can collide; the budget of a heartbeat, a minute and more, would be too late."""
    day.ben.git("switch", "-q", "-c", "side")
    write(day.ben, "free.txt", text="mine\n")
    assert run(day, "commit", "-a", "-q", "-m", "mine").code == 0
    assert run(day, "push", "-q", "origin", "side").code == 0

    def told() -> bool:
        beat = next(one["heartbeat"] for one in day.ada.ok("status")["sessions"] if one["session_id"] == "ben")
        return beat is not None and (beat["branch"], beat["commit"]) == ("side", head(day))

    until(told, "nobody was told")


def test_who_asks_what_collides_sends_what_its_own_hooks_noted(day: Day) -> None:
    """Else two who ask each other in the same minute both hear that nothing collides."""
    day.ben.git("switch", "-q", "-c", "side")
    write(day.ben, "free.txt", text="mine\n")
    assert run(day, "commit", "-a", "-q", "-m", "mine").code == 0
    with day.ben.here() as found:
        until(lambda: bool(found.outbox.spooled()), "the hook noted nothing")
    assert day.ben.run("conflicts").code == 0
    beat = next(one["heartbeat"] for one in day.ada.ok("status")["sessions"] if one["session_id"] == "ben")
    assert beat is not None
    assert (beat["branch"], beat["commit"]) == ("side", head(day))
