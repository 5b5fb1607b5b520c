"""The guard's day: what it allows without asking anybody, what it blocks, what it only warns of, and which files it means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from clones import Clock, Seat, file, snapshot, until
from gits import attempt, git
from guards import Day, begin, commit, over, paths, write
from remotes import Remote, RemoteFactory

from gitcoord.git import changes
from gitcoord.guard import cache


@pytest.fixture
def day(file_remote: Remote, pair: tuple[Seat, Seat]) -> Day:
    """A day with the machine's own clock."""
    return begin(file_remote, *pair)


@pytest.fixture
def long_day(file_remote: Remote, earlier: tuple[Seat, Seat, Clock]) -> Day:
    """A day that began six hours ago, with a clock that the test moves."""
    ada, ben, clock = earlier
    return begin(file_remote, ada, ben, clock)


@pytest.fixture
def counted(remotes: RemoteFactory, seats: object) -> Day:
    """A day with a remote that counts connections and can fall silent."""
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
    return begin(remote, ada, ben)


# --- what is asked of whom -----------------------------------------------------------------------------------------------


def test_what_nobody_else_holds_is_allowed_with_the_remote_switched_off(day: Day) -> None:
    day.claim("src")
    day.claim("docs/x.md", by=day.ben)
    day.remote.away()
    for name in ("free.txt", "docs/x.md", "source"):
        said = day.ask(name)
        assert (said.outcome, said.hindrances, said.doubt) == ("allowed", (), "")
    ran = day.ben.run("guard", "free.txt", "docs/x.md")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_a_block_is_told_with_who_until_when_and_what_next(day: Day) -> None:
    fence = day.claim("src", reason="the parser")
    ran = day.ben.run("guard", "src/api.py", "free.txt", "--json")
    assert ran.code == 3
    assert ran.json["outcome"] == "blocked"
    assert (ran.json["mode"], ran.json["exit_code"], ran.json["error"]) == ("block", 3, "held")
    (by,) = ran.json["blocked_by"]
    assert (by["claimed_by"], by["resource_name"], by["fence"], by["paths"], by["new"]) == (
        "ada", "src", fence, ["src/api.py"], False,
    )  # fmt: skip
    assert 0 <= ran.json["view_age"] < 60
    assert f"src/api.py is held by ada (as file:src) until {by['expires_at']} (fence {fence}): the parser" in ran.err
    assert 'hint: gitcoord request file:src "May I have it?"' in ran.err
    (kept,) = day.ben.ok("log", "--mine", "--refused")["refused"]
    assert (kept["session"], kept["asked"], kept["resources"]) == ("ben", "guard.edit", ["file:src/api.py"])
    assert f"(fence {fence}): the parser" in kept["message"]
    assert (kept["exit_code"], kept["hint"]) == (3, ran.json["hint"])


def test_who_does_not_want_to_be_asked_is_not_suggested(day: Day) -> None:
    day.claim("src", allow_coordination=False)
    err = day.ben.run("guard", "src/api.py").err
    assert "hint: gitcoord claims\nmore ways: gitcoord help refused\n" in err
    assert "request" not in err


@pytest.mark.servers
def test_only_what_would_be_blocked_asks_the_remote(counted: Day) -> None:
    counted.claim("src")
    assert counted.remote.forwarder
    before = counted.remote.forwarder.taken
    assert counted.ask("free.txt").outcome == "allowed"
    assert counted.ask("src/not-yet-there").outcome == "warned"
    git(counted.ben.path, "config", "gitcoord.guard", "warn")
    assert counted.ask("src/api.py").outcome == "warned"
    assert counted.remote.forwarder.taken == before
    git(counted.ben.path, "config", "gitcoord.guard", "block")
    assert counted.ask("src/api.py").outcome == "blocked"
    assert counted.remote.forwarder.taken == before + 1


def test_what_was_released_a_second_ago_is_not_blocked(day: Day) -> None:
    day.claim("src", "docs")
    day.release("src")
    assert day.ask("docs/x.md").outcome == "blocked"
    day.see()
    day.claim("src")
    day.release("src")
    assert day.ask("src/api.py").outcome == "allowed"


def test_what_is_taken_elsewhere_is_known_after_the_next_look(day: Day) -> None:
    day.claim("src", see=False)
    assert day.ask("src/api.py").outcome == "allowed"
    day.see()
    assert day.ask("src/api.py").outcome == "blocked"


def test_offline_it_warns_with_the_age_of_the_view(day: Day) -> None:
    day.claim("src")
    with day.ben.here() as found:
        then = time.time() - 720
        os.utime(found.memory.path, (then, then))
    day.remote.away()
    said = day.ask("src/api.py")
    assert (said.outcome, paths(said)) == ("warned", ["src/api.py"])
    assert "can't be reached" in said.doubt
    assert said.view_age is not None
    assert 720 <= said.view_age < 1000
    ran = day.ben.run("guard", "src/api.py", "--json")
    assert (ran.code, ran.json["outcome"]) == (0, "warned")
    assert "can't be reached" in ran.json["unconfirmed"]
    assert "warning: this is a view 12 minutes" in ran.err
    assert "could not be looked at again" in ran.err


@pytest.mark.servers
def test_a_silent_remote_keeps_nobody_for_long(counted: Day) -> None:
    counted.claim("src")
    counted.remote.silent()
    start = time.monotonic()
    ran = counted.ben.run("guard", "src/api.py")
    assert (ran.code, "no answer in 2 s" in ran.err) == (0, True)
    assert time.monotonic() - start < 60  # a hang only: 2 s are the guard's, the rest is this machine's


def test_the_view_is_refreshed_in_the_background_when_it_is_old(day: Day) -> None:
    day.claim("src", see=False)
    with day.ben.here() as found:
        memory = found.memory
    then = time.time() - 61
    os.utime(memory.path, (then, then))
    assert day.ben.run("guard", "free.txt").code == 0
    until(lambda: memory.path.stat().st_mtime > then + 1, "nobody looked")
    until(lambda: day.ask("src/api.py").outcome == "blocked", "it saw nothing new")
    os.utime(memory.path, (then, then))
    assert not cache.take_turn(memory.path.parent)  # one a minute


def test_a_fresh_view_starts_nothing(day: Day) -> None:
    day.see()
    assert day.ben.run("guard", "free.txt").code == 0
    with day.ben.here() as found:
        assert cache.take_turn(found.memory.path.parent)


# --- whose leases count --------------------------------------------------------------------------------------------------


def test_an_expired_lease_blocks_until_the_grace_is_over(long_day: Day) -> None:
    assert long_day.clock
    long_day.claim("src", ttl_seconds=300)
    long_day.clock.move(minutes=6)
    assert long_day.ask("src/api.py").outcome == "blocked"
    long_day.clock.move(seconds=1)
    assert long_day.ask("src/api.py").outcome == "allowed"


def test_ones_own_are_fine_and_shared_ones_for_who_shares(day: Day) -> None:
    day.claim("docs", by=day.ben)
    day.claim("src", mode="shared")
    assert day.ask("docs/x.md").outcome == "allowed"
    assert day.ask("src/api.py").outcome == "blocked"
    day.claim("src", by=day.ben, mode="shared")
    assert day.ask("src/api.py").outcome == "allowed"


def test_another_session_of_the_same_work_tree_is_another(day: Day) -> None:
    day.claim("src", by=day.ben)
    agent = Seat(day.ben.path, day.ben.outbox, extra={"CLAUDE_CODE_SESSION_ID": "a"})
    assert day.ask("src/api.py", seat=agent).outcome == "blocked"


def test_folders_and_globs_cover_what_lies_below(day: Day) -> None:
    for claimed, covered in (("src", True), ("src/*.py", True), (".", True), ("src/b.py", False), ("*.py", False), ("sr", False)):
        day.claim(claimed)
        assert day.ask("src/api.py").outcome == ("blocked" if covered else "allowed"), claimed
        day.release(claimed)


def test_new_files_are_warned_about_and_never_blocked(day: Day) -> None:
    day.claim("src", "docs/new.md")
    for name in ("src/new.py", "docs/new.md"):
        said = day.ask(name)
        assert (said.outcome, paths(said)) == ("warned", [name])
    write(day.ben, "src/new.py")
    day.ben.git("add", "--all")
    assert day.staged().outcome == "warned"  # nobody has it yet
    write(day.ben, "src/api.py")
    day.ben.git("add", "--all")
    said = day.staged()
    assert (said.outcome, paths(said)) == ("blocked", ["src/api.py"])
    ran = day.ben.run("guard", "docs/new.md")
    assert (ran.code, "docs/new.md is new, and is held by ada" in ran.err) == (0, True)


# --- the mode ------------------------------------------------------------------------------------------------------------


def test_the_mode_is_the_clones_else_what_all_share_else_a_warning(day: Day) -> None:
    day.claim("src")
    outcomes = []
    day.ben.git("config", "--unset", "gitcoord.guard")
    outcomes.append(day.ask("src/api.py").outcome)
    with day.ada.here() as found:
        found.coordinator.setup.set_shared("guard", "block")
    day.see()
    outcomes.append(day.ask("src/api.py").outcome)
    day.ben.git("config", "gitcoord.guard", "off")
    outcomes.append(day.ask("src/api.py").outcome)
    assert outcomes == ["warned", "blocked", "off"]
    ran = day.ben.run("guard", "src/api.py", "--json")
    assert (ran.code, ran.json["outcome"], ran.err) == (0, "off", "")


def test_a_mode_that_is_none_is_refused_where_it_is_set_and_warned_of_where_it_is_met(day: Day) -> None:
    assert day.ben.run("config", "guard", "loud").code == 2
    assert day.ben.run("config", "--shared", "guard", "loud").code == 2
    assert day.ben.run("config", "--shared", "guard", "Off").code == 0
    day.ben.git("config", "gitcoord.guard", "loud")
    ran = day.ben.run("guard", "src/api.py")
    assert (ran.code, ran.err.startswith("warning: the guard could not look: gitcoord.guard")) == (0, True)


def test_turned_off_it_says_nothing(day: Day) -> None:
    day.claim("src")
    ran = Seat(day.ben.path, day.ben.outbox, extra={"GITCOORD": "0"}).run("guard", "src/api.py", "--json")
    assert (ran.code, ran.json["outcome"], ran.err) == (0, "off", "")


# --- which file is meant -------------------------------------------------------------------------------------------------


def test_a_link_is_what_it_points_at_and_itself(day: Day, tmp_path: Path) -> None:
    day.claim("src/api.py", "alias", "docs")
    (day.ben.path / "link").symlink_to("src/api.py")
    (day.ben.path / "folder").symlink_to("docs")
    (day.ben.path / "alias").symlink_to("free.txt")
    (day.ben.path / "out").symlink_to(tmp_path)
    (day.ben.path / "dangling").symlink_to("nowhere")
    assert paths(day.ask("link")) == ["src/api.py"]
    assert paths(day.ask("folder/x.md")) == ["docs/x.md"]
    assert paths(day.ask("folder/../docs/x.md")) == ["docs/x.md"]
    assert paths(day.ask("alias")) == ["alias"]
    assert [day.ask(name).outcome for name in ("out", "out/x", "dangling")] == ["allowed"] * 3
    outside = tmp_path / "into"
    outside.symlink_to(day.ben.path)
    assert paths(day.ask(str(outside / "src" / "api.py"))) == ["src/api.py"]


def test_outside_of_the_work_tree_there_is_nothing_to_say(day: Day, tmp_path: Path) -> None:
    day.claim(".")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "api.py").write_text("")
    for path in ("/etc/passwd", str(tmp_path / "src" / "api.py"), "../src/api.py", ".git/config", str(day.ada.path / "free.txt")):
        assert day.ask(path).outcome == "allowed", path


def test_a_path_is_taken_from_where_one_stands(day: Day) -> None:
    day.claim("src/api.py")
    below = day.ben.path / "src"
    assert day.ben.run("guard", "api.py", cwd=below).code == 3
    assert day.ben.run("guard", "src/api.py", cwd=below).code == 0
    assert day.ben.run("guard", "../src/./api.py", cwd=below).code == 3
    assert day.ben.run("guard", str(below / "api.py"), cwd=Path("/")).code == 0  # of no repository
    assert day.ben.run("-C", str(below), "guard", "api.py", cwd=Path("/")).code == 3
    assert day.ben.run("guard", "..", cwd=below).code == 3  # all of it


def test_in_a_linked_work_tree_and_from_one_into_another(day: Day, tmp_path: Path) -> None:
    inside = day.ben.path / "trees" / "inner"
    day.ben.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    day.ben.git("worktree", "add", "-q", "-b", "inner", str(inside))
    day.claim("src/api.py")
    linked = Seat(tmp_path / "linked", day.ben.outbox)
    assert day.ask("src/api.py", seat=linked).outcome == "blocked"
    for tree in (tmp_path / "linked", inside):
        said = day.ask(str(tree / "src" / "api.py"))
        assert (said.outcome, paths(said)) == ("blocked", ["src/api.py"])
        assert day.ask(str(tree / "free.txt")).outcome == "allowed"
    day.claim("free.txt", by=day.ben)
    assert day.ask(str(tmp_path / "linked" / "free.txt")).outcome == "allowed"  # who stands here holds it there, too


ODD = ["with\nnewline", "-x", "é.txt", "a*b?.txt", "[id].py", " blank ", 'quo"te', "back\\slash", "\x01control", "tab\there"]


def test_odd_names_are_names(day: Day) -> None:
    commit(day.ben, "odd", *(f"{folder}/{name}" for folder in ("src", "free") for name in ODD))
    day.claim("src")
    write(day.ben, *(f"{folder}/{name}" for folder in ("src", "free") for name in ODD))
    day.ben.git("add", "--all")
    covered = sorted(f"src/{name}" for name in ODD)
    assert paths(day.staged()) == covered
    assert paths(day.ask(*covered, *(f"free/{name}" for name in ODD))) == covered
    ran = day.ben.run("guard", "--", *(f"../src/{name}" for name in ODD), "-x", cwd=day.ben.path / "src")
    assert ran.code == 3
    assert "\x01" not in ran.err
    assert "with\n" not in ran.err


def test_a_name_is_one_however_its_accents_are_spelled(day: Day) -> None:
    apart = unicodedata.normalize("NFD", "café.txt")
    commit(day.ben, "accents", apart)
    day.claim("café.txt")
    assert day.ask(apart).outcome == "blocked"
    write(day.ben, apart)
    day.ben.git("add", "--all")
    assert day.staged().outcome == "blocked"


def test_a_submodule_is_guarded_by_its_path(day: Day, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "other")
    git(tmp_path / "other", "commit", "-q", "--allow-empty", "-m", "one")
    day.ben.git("submodule", "--quiet", "add", str(tmp_path / "other"), "module")
    commit(day.ben, "module")
    day.claim("module")
    assert day.staged().outcome == "allowed"
    git(day.ben.path / "module", "commit", "-q", "--allow-empty", "-m", "two")
    day.ben.git("config", "submodule.module.ignore", "all")
    day.ben.git("add", "--force", "module")
    assert paths(day.staged()) == ["module"]
    assert paths(day.ask("module/file")) == ["module/file"]


# --- what is staged ------------------------------------------------------------------------------------------------------


def test_only_what_is_staged_counts(day: Day) -> None:
    day.claim("src")
    write(day.ben, "src/api.py", "free.txt")
    day.ben.git("add", "free.txt")
    assert day.staged().outcome == "allowed"
    day.ben.git("add", "src/api.py")
    assert paths(day.staged()) == ["src/api.py"]
    assert day.ben.run("guard", "--staged").code == 3
    assert [one["asked"] for one in day.ben.ok("log", "--mine", "--refused")["refused"]] == ["guard.commit"]


def test_a_rename_counts_by_both_names(day: Day) -> None:
    day.claim("src/api.py")
    day.ben.git("mv", "src/api.py", "moved.py")
    assert paths(day.staged()) == ["src/api.py"]
    day.ben.git("reset", "-q", "--hard")
    write(day.ben, "free.txt")
    day.ben.git("mv", "-f", "free.txt", "src/api.py")
    day.ben.git("add", "--all")
    assert paths(day.staged()) == ["src/api.py"]
    day.ben.git("reset", "-q", "--hard")
    day.claim("lib")
    day.ben.git("config", "diff.renames", "copies")
    (day.ben.path / "lib").mkdir()
    day.ben.git("mv", "free.txt", "lib/free.txt")
    said = day.staged()
    assert (said.outcome, paths(said)) == ("warned", ["lib/free.txt"])  # that name is new
    day.ben.git("reset", "-q", "--hard")
    day.ben.git("rm", "-q", "src/api.py")
    assert day.staged().outcome == "blocked"


def test_the_first_commit_of_all_has_only_new_files(day: Day) -> None:
    day.claim("src")
    day.ben.git("checkout", "-q", "--orphan", "fresh")
    said = day.staged()
    assert (said.outcome, paths(said)) == ("warned", ["src/api.py", "src/b.py"])


def test_of_a_merge_only_what_it_changes_itself_counts(day: Day) -> None:
    day.ben.git("checkout", "-q", "-b", "topic", "HEAD")
    commit(day.ben, "topic", "free.txt")
    day.ben.git("checkout", "-q", "main")
    commit(day.ben, "main", "free.txt", "src/api.py", "src/b.py")
    day.ben.git("checkout", "-q", "topic")
    day.claim("src")
    assert attempt(day.ben.path, "merge", "main").code == 1
    write(day.ben, "free.txt", text="resolved\n")
    day.ben.git("add", "free.txt")
    assert day.staged().outcome == "allowed"
    write(day.ben, "src/b.py", text="by the way\n")
    day.ben.git("add", "src/b.py")
    assert paths(day.staged()) == ["src/b.py"]


# --- what is pushed ------------------------------------------------------------------------------------------------------

ZERO = "0" * 40


def line(day: Day, local: str, remote: str, ref: str = "refs/heads/main") -> str:
    """A line as git gives it to a pre-push hook."""
    oids = [name if name == ZERO else day.ben.git("rev-parse", name) for name in (local, remote)]
    return f"{ref} {oids[0]} {ref} {oids[1]}"


def test_the_commits_of_a_push_count_and_no_others(day: Day) -> None:
    day.claim("src")
    commit(day.ben, "one", "free.txt")
    assert day.pushed(line(day, "HEAD", "origin/main")).outcome == "allowed"
    bad = commit(day.ben, "two", "src/api.py")
    commit(day.ben, "three", "free.txt")
    said = day.pushed(line(day, "HEAD", "origin/main"))
    assert (said.outcome, paths(said)) == ("blocked", ["src/api.py"])
    assert paths(day.pushed(line(day, "HEAD", bad))) == []
    assert paths(day.pushed()) == ["src/api.py"]  # as `git push` would
    day.ben.git("branch", "--unset-upstream")
    assert paths(day.pushed()) == ["src/api.py"]
    day.ben.git("branch", "other", bad)
    day.ben.git("branch", "-u", "other")
    assert paths(day.pushed()) == []


def test_a_change_that_was_taken_back_still_counts(day: Day) -> None:
    day.claim("src")
    commit(day.ben, "one", "src/api.py")
    day.ben.git("revert", "--no-edit", "HEAD")
    assert day.pushed(line(day, "HEAD", "origin/main")).outcome == "blocked"


@pytest.mark.parametrize("shape", ["new", "forced", "unrelated", "gone", "unknown", "tag", "tree", "coordination", "nothing"])
def test_every_shape_of_a_push(day: Day, shape: str) -> None:
    day.claim("src")
    ben, covered = day.ben, True
    if shape == "unrelated":
        ben.git("checkout", "-q", "--orphan", "fresh")
        ben.git("rm", "-rfq", ".")
        commit(ben, "root", "src/api.py")
        commit(ben, "more", "src/api.py")
    if shape == "forced":
        commit(ben, "mine", "docs/x.md")
        ben.git("push", "-q", "origin", "HEAD:refs/heads/forced")
        ben.git("reset", "-q", "--hard", "HEAD~1")
    if shape not in {"unrelated", "nothing", "gone"}:
        commit(ben, "two", "src/api.py")
    head = "HEAD"
    if shape == "tag":
        ben.git("tag", "-a", "-m", "tag", "v1")
        head = "v1"
    if shape == "tree":
        head, covered = "HEAD^{tree}", False
    remote = {"forced": "origin/forced", "new": ZERO, "unrelated": "origin/main", "tag": ZERO, "tree": ZERO}.get(
        shape, "origin/main"
    )
    lines = [line(day, head, remote)]
    if shape == "unknown":
        lines = [f"refs/heads/main {ben.git('rev-parse', 'HEAD')} refs/heads/main {'1' * 40}"]
    if shape == "gone":
        lines, covered = [f"(delete) {ZERO} refs/heads/main {ben.git('rev-parse', 'HEAD')}"], False
    if shape == "coordination":
        lines, covered = [line(day, "HEAD", ZERO, ref="refs/heads/coordination")], False
    if shape == "nothing":
        covered = False
    said = day.pushed(*lines)
    expected = [] if not covered else ["src/api.py"]
    assert paths(said) == expected
    # What is new on the other side is only warned of: the file of an unrelated history is there first in its root.
    assert said.outcome == ("allowed" if not covered else "warned" if shape == "unrelated" else "blocked")


def test_what_another_brought_and_was_merged_does_not_count(day: Day) -> None:
    day.claim("src")
    commit(day.ben, "mine", "free.txt")
    commit(day.ada, "hers", "src/api.py", "docs/x.md")
    day.ada.git("push", "-q", "origin", "HEAD")
    day.ben.git("pull", "-q", "--no-rebase", "--no-edit")
    assert day.ben.git("rev-list", "--count", "--merges", "HEAD") == "1"
    assert day.pushed(line(day, "HEAD", "origin/main~1")).outcome == "allowed"
    day.ben.git("push", "-q", "--no-verify")


def test_a_merge_counts_by_what_it_changes_against_all_parents(day: Day) -> None:
    day.ben.git("checkout", "-q", "-b", "topic")
    commit(day.ben, "topic", "docs/x.md")
    day.ben.git("checkout", "-q", "main")
    commit(day.ben, "main", "free.txt")
    day.ben.git("merge", "-q", "--no-commit", "topic")
    day.claim("src")
    write(day.ben, "src/b.py", text="evil\n")
    day.ben.git("add", "--all")
    day.ben.git("commit", "-q", "--no-verify", "-m", "merged")
    assert paths(day.pushed(line(day, "HEAD", "origin/main"))) == ["src/b.py"]


def test_renames_of_commits_count_both_ways(day: Day) -> None:
    day.claim("src/api.py", "lib")
    day.ben.git("mv", "src/api.py", "moved.py")
    day.ben.git("commit", "-qm", "away")
    (day.ben.path / "lib").mkdir()
    day.ben.git("mv", "free.txt", "lib/free.txt")
    day.ben.git("commit", "-qm", "into")
    said = day.pushed(line(day, "HEAD", "origin/main"))
    assert paths(said) == ["lib/free.txt", "src/api.py"]
    assert [one.new for one in said.hindrances] == [False, True] or [one.new for one in said.hindrances] == [True, False]


def test_a_file_that_is_made_and_changed_within_one_push_is_new(day: Day) -> None:
    day.claim("src")
    commit(day.ben, "one", "src/new.py")
    commit(day.ben, "two", "src/new.py")
    assert day.pushed(line(day, "HEAD", "origin/main")).outcome == "warned"


def test_a_very_long_push_is_looked_at_in_part_and_says_so(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.claim("src")
    commit(day.ben, "old", "src/api.py")
    commit(day.ben, "new", "free.txt")
    monkeypatch.setattr(changes, "COMMITS", 1)
    said = day.pushed()
    assert (said.outcome, said.cut) == ("allowed", True)
    monkeypatch.setattr(changes, "COMMITS", 2)
    said = day.pushed()
    assert (said.outcome, said.cut) == ("blocked", False)


def test_odd_lines_are_passed_over(day: Day) -> None:
    day.claim("src")
    commit(day.ben, "two", "src/api.py")
    assert day.pushed("garbage", "a b c d", f"x {'g' * 40} y {ZERO}").outcome == "allowed"


def test_standard_input_is_the_hooks_else_it_goes_by_the_upstream(day: Day) -> None:
    day.claim("src")
    commit(day.ben, "two", "src/api.py")
    assert day.ben.run("guard", "--push", stdin=line(day, "origin/main", "HEAD") + "\n").code == 0
    assert day.ben.run("guard", "--push", stdin=line(day, "HEAD", "origin/main") + "\n").code == 3
    assert day.ben.run("guard", "--push").code == 3
    assert [one["asked"] for one in day.ben.ok("log", "--mine", "--refused")["refused"]] == ["guard.push"] * 2
    given = {
        "PRE_COMMIT_LOCAL_BRANCH": "refs/heads/main", "PRE_COMMIT_REMOTE_BRANCH": "refs/heads/main",
        "PRE_COMMIT_TO_REF": day.ben.git("rev-parse", "origin/main"), "PRE_COMMIT_FROM_REF": ZERO,
    }  # fmt: skip
    assert Seat(day.ben.path, day.ben.outbox, extra=given).run("guard", "--push").code == 0


# --- leases that are over ------------------------------------------------------------------------------------------------


def test_work_under_a_lease_that_is_over_is_named_before_it_is_pushed(long_day: Day) -> None:
    day, clock = long_day, long_day.clock
    assert clock
    fence = day.claim("src/api.py", by=day.ben, ttl_seconds=300)
    commit(day.ben, "work", "src/api.py", at=clock.now)
    assert day.pushed().outcome == "allowed"
    clock.move(minutes=5)
    said = day.pushed()
    assert (said.outcome, over(said), paths(said)) == ("blocked", [(fence, "src/api.py")], [])
    day.ben.git("config", "gitcoord.guard", "warn")
    assert day.pushed().outcome == "warned"


def test_that_is_exit_4(day: Day) -> None:
    commit(day.ben, "work\n\nCoord-Fence: 4711 file:src/api.py\nCoord-Fence: nonsense", "src/api.py")
    ran = day.ben.run("guard", "--push", "--json")
    assert (ran.code, ran.json["outcome"], ran.json["error"]) == (4, "blocked", "not_held")
    (lost,) = ran.json["lost"]
    assert (lost["fence"], lost["resource_name"], lost["commits"]) == (4711, "src/api.py", [day.ben.git("rev-parse", "HEAD")])
    assert "made under a lease on file:src/api.py that is over (fence 4711)" in ran.err
    assert "--break" not in ran.err


def test_a_commit_that_names_a_living_lease_is_fine(day: Day) -> None:
    fence = day.claim("src/api.py", by=day.ben)
    commit(day.ben, f"work\n\nCoord-Fence: {fence} file:src/api.py", "src/api.py")
    assert day.pushed().outcome == "allowed"


def test_a_holder_that_slept_past_its_lease_is_told_by_its_guard(long_day: Day) -> None:
    day, clock = long_day, long_day.clock
    assert clock
    fence = day.claim("src/api.py", by=day.ben, ttl_seconds=300)
    commit(day.ben, "before", "src/api.py", at=clock.now)
    clock.move(minutes=7)
    day.claim("src/api.py", see=False)  # ada takes it over
    write(day.ben, "src/api.py", text="after\n")
    day.ben.git("add", "--all")
    day.see()
    assert day.staged().outcome == "blocked"
    said = day.pushed()
    assert (said.outcome, over(said), paths(said)) == ("blocked", [(fence, "src/api.py")], ["src/api.py"])
    day.release("src/api.py")
    day.see()
    said = day.pushed()  # nobody holds it now; but the work was done under the old fence
    assert (said.outcome, over(said)) == ("blocked", [(fence, "src/api.py")])
    day.ben.git("commit", "-q", "--amend", "--no-edit")  # by the machine's clock: long after the loss was seen
    assert day.pushed().outcome == "allowed"
    day.ben.git("reset", "-q", "--soft", "HEAD@{1}")
    assert day.pushed().outcome == "blocked"
    day.claim("src/api.py", by=day.ben)
    assert day.pushed().outcome == "allowed"


def test_what_a_background_look_finds_lost_is_still_told(long_day: Day) -> None:
    day, clock = long_day, long_day.clock
    assert clock
    day.claim("src/api.py", by=day.ben, ttl_seconds=300)
    clock.move(minutes=7)
    fence = day.claim("src/api.py", see=False)
    with day.ben.here(clock, heard=False) as found:
        found.coordinator.branch.view()
        assert list(found.coordinator.notices) == []
    with day.ben.here(clock) as found:
        found.coordinator.branch.view()
        assert [f"fence {fence}" in one for one in found.coordinator.notices] == [True]
    with day.ben.here(clock) as found:
        found.coordinator.branch.view()
        assert list(found.coordinator.notices) == []


# --- nothing to guard, and faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("free.txt",), ("--staged",), ("--push",)], ids=str)
def test_where_there_is_no_branch_it_is_silent(file_remote: Remote, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "nowhere").mkdir()
    git(tmp_path, "clone", "-q", file_remote.url, "plain")
    git(tmp_path, "clone", "-q", "--bare", file_remote.url, "bare.git")
    git(tmp_path, "init", "-q", "lonely")
    for name in ("nowhere", "plain", "bare.git", "lonely"):
        seat = Seat(tmp_path / name, tmp_path / "outbox", extra={"GIT_CEILING_DIRECTORIES": str(tmp_path)})
        ran = seat.run("guard", *words)
        assert (ran.code, ran.out, ran.err) == (0, "", ""), name


def test_with_no_remote_the_branch_itself_is_asked(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "alone")
    seat = Seat(tmp_path / "alone", tmp_path / "outbox", "ada")
    commit(seat, "one", "src/api.py")
    for words in (["init", "--local"], ["start", "ada"], ["start", "ben"], ["claim", "src"], ["config", "guard", "block"]):
        assert seat.run(*words).code == 0
    assert seat.run("guard", "src/api.py").code == 0
    other = Seat(seat.path, seat.outbox, "ben")
    ran = other.run("guard", "src/api.py", "--json")
    assert (ran.code, ran.json["view_age"]) == (3, 0.0)


def test_nothing_named_is_bad_input(day: Day) -> None:
    assert day.ben.run("guard").code == 2


def test_a_fault_of_the_guard_is_a_warning(day: Day) -> None:
    day.claim("src")
    with day.ben.here() as found:
        good = found.coordinator.branch.view().checked.good
    for table in ("checked-", "held-"):
        for path in (day.ben.path / ".git" / "gitcoord").glob(f"{table}*"):
            path.write_bytes(b"\xff{")
    assert day.ben.run("guard", "src/api.py").code == 3  # what can be had again is no fault
    (day.ben.path / ".git" / "objects" / good[:2] / good[2:]).unlink(missing_ok=True)
    (day.ben.path / ".git" / "index").write_bytes(b"garbage")
    ran = day.ben.run("guard", "--staged", "--json")
    assert (ran.code, ran.json["outcome"]) == (0, "warned")
    assert ran.err.startswith("warning: the guard could not look: ")


def test_a_bug_of_the_guard_is_told_and_stops_nobody(day: Day) -> None:
    code = (
        "import sys; from gitcoord.guard import check; check.look = None; "
        "from gitcoord.cli.app import main; sys.exit(main(['guard', 'src/api.py']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=day.ben.path, env=day.ben.env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0
    assert "a bug in gitcoord" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("patience", ["pass", "time.sleep(50)"])
def test_a_guard_that_takes_too_long_gives_up(day: Day, patience: str) -> None:
    code = (  # whoever takes its alarm for a remote that is away goes on without an end
        "import sys, time\nfrom gitcoord.guard import check\nfrom gitcoord.errors import GitcoordError\n"
        "from gitcoord.cli.commands import guard\nguard._SECONDS = 0.2\n"
        f"def look(*_):\n  try: time.sleep(50)\n  except GitcoordError: {patience}\n  return check.Answer()\n"
        "check.look = look\n"
        "from gitcoord.cli.app import main; sys.exit(main(['guard', 'src/api.py']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=day.ben.path, env=day.ben.env, capture_output=True, text=True, check=False, timeout=40
    )
    assert (ran.returncode, "the guard could not look: it was not done in" in ran.stderr) == (0, True)


def test_the_guard_touches_nothing(day: Day) -> None:
    day.claim("src")
    commit(day.ben, "one", "src/api.py")
    write(day.ben, "src/b.py")
    day.ben.git("add", "--all")
    write(day.ben, "free.txt")
    before = snapshot(day.ben.path)
    for words in (["src/api.py"], ["--staged"], ["--push"]):
        assert day.ben.run("guard", *words).code == 3
    assert snapshot(day.ben.path) == before


# --- the short way -------------------------------------------------------------------------------------------------------


def short(day: Day, *words: str, **extra: str) -> bool:
    """Whether the short way allows it by itself, as its own process sees it."""
    code = "import os, sys; from gitcoord.guard.fast import is_allowed; print(is_allowed(sys.argv[1:], os.environ))"
    done = subprocess.run(
        [sys.executable, "-c", code, *(words or ["--staged"])],
        cwd=day.ben.path, env={**day.ben.env, **extra}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.lower())


def test_the_short_way_allows_what_the_long_way_would(day: Day) -> None:
    day.claim("src")
    day.claim("docs", by=day.ben)
    assert not short(day)  # nothing was noted yet
    write(day.ben, "free.txt", "docs/x.md")
    day.ben.git("add", "--all")
    assert day.ben.run("guard", "--staged").code == 0
    assert short(day)
    assert not short(day, CLAUDE_CODE_SESSION_ID="a")  # docs are not this agent's
    assert not short(day, GITCOORD_SESSION="cleo")
    assert not short(day, "free.txt")
    assert not short(day, "--push")
    write(day.ben, "src/api.py")
    day.ben.git("add", "--all")
    assert not short(day)
    day.ben.git("reset", "-q", "--hard")
    assert not short(day)  # git names no file: that is no answer
    write(day.ben, "free.txt")
    day.ben.git("add", "--all")
    assert short(day)
    day.claim("else.txt", see=False)
    assert short(day)  # nobody here has seen that
    day.see()
    assert not short(day)  # the list is older than the view
    assert day.ben.run("sync").code == 0
    assert short(day)
    (day.ben.path / ".git" / "MERGE_HEAD").write_text(day.ben.git("rev-parse", "HEAD"))
    assert not short(day)


def test_the_short_way_refreshes_an_old_view(day: Day) -> None:
    assert day.ben.run("guard", "--staged").code == 0
    with day.ben.here() as found:
        memory = found.memory.path
    then = time.time() - 61
    os.utime(memory, (then, then))
    assert short(day)
    until(lambda: memory.stat().st_mtime > then + 1, "nobody looked")


def test_a_broken_list_is_a_doubt(day: Day) -> None:
    day.claim("src")
    assert day.ben.run("guard", "--staged").code == 0
    (noted,) = (day.ben.path / ".git" / "gitcoord").glob("held-*.json")
    good = json.loads(noted.read_text())
    for broken in (
        b"",
        b"[]",
        b"\xff",
        json.dumps({**good, "leases": [["ada"]]}).encode(),
        json.dumps({**good, "grace": "x"}).encode(),
    ):
        noted.write_bytes(broken)
        assert not short(day)
        assert day.ben.run("guard", "src/api.py").code == 3


def test_the_list_holds_what_is_claimed(day: Day) -> None:
    day.claim("src", mode="shared")
    assert day.ben.run("guard", "--staged").code == 0
    seen = cache.read(day.ben.path / ".git" / "gitcoord")
    assert seen is not None
    assert [(one.claimed_by, one.mode, one.resource) for one in seen.leases] == [("ada", "shared", *file("src"))]
