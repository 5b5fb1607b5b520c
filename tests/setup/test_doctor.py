"""What doctor says of hooks, of the remote, and of services that build branches; looking, it changes nothing."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from clones import Seat, Seats, snapshot, until
from gits import git
from remotes import Remote, living

from gitcoord.git import versions
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.githooks import install as git_hooks
from gitcoord.setup.checks import agents, builds, hooks, remote


def said(seat: Seat) -> dict[str, str]:
    """What doctor says of the git hooks, with the level of each."""
    with seat.here() as found:
        return {one.what: one.level for one in hooks.look(found)}


def told(seat: Seat, words: str) -> str:
    """The level of the one finding that says that; "" if none does."""
    levels = [level for what, level in said(seat).items() if words in what]
    assert len(levels) < 2
    return levels[0] if levels else ""


@pytest.fixture
def seat(pair: tuple[Seat, Seat]) -> Seat:
    """A clone where a session sits."""
    return pair[0]


def put(seat: Seat, *, guard: bool = False, shared: bool = False) -> None:
    """Installs the hooks, with a program that is there."""
    with seat.here() as found:
        git_hooks.install(found.repo, found.repo.environ, program=shutil.which("git") or "", guard=guard, shared=shared)


def test_looking_changes_nothing_and_says_all(seat: Seat) -> None:
    before = snapshot(seat.path)
    found = seat.ok("doctor")
    assert found["ok"]
    assert snapshot(seat.path) == before
    whats = " ".join(one["what"] for one in found["findings"])
    for words in ("git on PATH: ", "no git hooks of gitcoord", "answers to a push of yours", " MB in this clone"):
        assert words in whats


@pytest.fixture
def slow(seat: Seat, tmp_path: Path) -> Seat:
    """The same where git takes its time to move a ref."""
    program = tmp_path / "slow" / "git"
    program.parent.mkdir()
    real = shutil.which("git")
    program.write_text(f'#!/bin/sh\ncase "$*" in *update-ref*) sleep 1;; esac\nexec {real} "$@"\n')
    program.chmod(0o755)
    return replace(seat, extra={"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"})


def test_a_ref_that_it_is_moving_itself_is_not_called_left_behind(slow: Seat) -> None:
    slow.ok("status")  # then doctor's own look finds nothing new, and has only its own ref to take away
    assert [one["what"] for one in slow.ok("doctor")["findings"] if "left behind" in one["what"]] == []


def test_only_what_is_old_enough_to_be_a_killed_process_s_is_called_left_behind_and_taken_away(seat: Seat) -> None:
    tip = seat.git("rev-parse", "HEAD")
    now = int(time.time())
    old, young = (f"refs/gitcoord/fetch/{moment:x}-abc" for moment in (now - 600, now))
    for ref in (old, young):
        seat.git("update-ref", ref, tip)
    assert "left behind by a killed process: 1 ref" in [one["what"] for one in seat.ok("doctor")["findings"]]
    seat.ok("doctor", "--fix")
    assert seat.git("for-each-ref", "--format=%(refname)", "refs/gitcoord/fetch/") == young


def test_what_is_in_place_is_said_and_what_it_runs(seat: Seat) -> None:
    own = seat.path / ".git" / "hooks" / "pre-commit"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    put(seat, guard=True)
    events = "post-commit, post-checkout, post-merge, post-rewrite, pre-commit (runs pre-commit.before-gitcoord, too), pre-push"
    assert told(seat, f"git hooks in this clone's hooks folder: {events}") == "ok"
    (seat.path / ".git" / "hooks" / "post-merge").unlink()
    assert told(seat, "some git hooks are not there: post-merge") == "warning"
    (seat.path / ".git" / "hooks" / "post-commit").write_text("#!/bin/sh\n# gitcoord hook 1\nmine\n")
    assert told(seat, "our post-commit was changed by somebody") == "warning"


def test_hooks_that_git_does_not_run_are_a_warning(seat: Seat) -> None:
    put(seat)
    (seat.path / ".githooks").mkdir()
    seat.git("config", "core.hooksPath", ".githooks")
    assert told(seat, "our post-commit is not run, for core.hooksPath leads git elsewhere") == "warning"
    seat.git("config", "--unset", "core.hooksPath")
    folder = seat.path / ".git" / "hooks"
    (folder / "post-commit").rename(folder / "post-commit.old")
    (folder / "post-commit").write_text("#!/bin/sh\n# LEFTHOOK\n")
    assert told(seat, "our post-commit is not run, for lefthook put its own in front") == "warning"
    (folder / "post-merge").rename(folder / "post-merge.before-gitcoord")
    (folder / "post-merge").write_text("#!/bin/sh\n")
    assert told(seat, "another post-merge was put over ours") == "warning"


def test_an_old_git_beside_hooks_in_the_configuration_is_a_warning(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "versions", lambda _: {"/new/git": (2, 55)})
    put(seat)
    assert told(seat, "git hooks in this clone's configuration: ") == "ok"
    assert told(seat, "does not run hooks from the configuration") == ""
    monkeypatch.setattr(versions, "versions", lambda _: {"/new/git": (2, 55), "/old/git": (2, 39)})
    assert told(seat, "does not run hooks from the configuration: /old/git") == "warning"


def test_hooks_that_find_no_program_are_a_warning(seat: Seat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hooks, "DESKTOP_PATH", str(tmp_path))
    put(seat)
    assert told(seat, "hooks find gitcoord also with the short PATH") == "ok"
    with seat.here() as found:
        git_hooks.uninstall(found.repo)
        git_hooks.install(found.repo, found.repo.environ, program=str(tmp_path / "gone" / "gitcoord"))
    assert told(seat, "these hooks do nothing then: post-commit") == "warning"
    (tmp_path / "gitcoord").symlink_to(shutil.which("true") or "")
    assert told(seat, "these hooks do nothing then") == ""


# --- the remote -----------------------------------------------------------------------------------------------------------


def of_the_remote(seat: Seat) -> dict[str, str]:
    """What doctor says of the remote."""
    with seat.here() as found:
        return {one.what: one.level for one in remote.look(found)}


@pytest.mark.parametrize(("profile", "level"), [("PATH=/nowhere", "warning"), ('PATH="$PLACE:$PATH"', "ok")])
def test_what_agents_programs_do_not_run_or_find_is_said(seat: Seat, tmp_path: Path, profile: str, level: str) -> None:
    home, place = tmp_path / "their-home", tmp_path / "programs"
    for folder in (home / ".codex", place):
        folder.mkdir(parents=True)
    program = place / "gitcoord"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (home / ".profile").write_text(f"{profile}\n")
    seat.extra |= {"HOME": str(home), "PATH": f"{place}:/usr/bin:/bin", "PLACE": str(place), "SHELL": "/bin/sh"}
    with seat.here() as found:
        [codex] = agents.look(found)
    assert (codex.level, "login shell" in codex.what) == (level, True)
    (seat.path / ".claude").mkdir()
    with seat.here() as found:
        assert "Claude Code starts the plugin's monitor only where" in next(agents.look(found)).what


@pytest.mark.parametrize("shell", ["/nowhere/sh", "hangs"])
def test_a_login_shell_that_tells_nothing_is_not_said_to_find_the_program(
    seat: Seat, tmp_path: Path, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, left = tmp_path / "their-home", tmp_path / "left"
    (home / ".codex").mkdir(parents=True)
    (home / ".profile").write_text(f"sleep 1000 & echo $! >{left}; wait\n")
    program = tmp_path / "gitcoord"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("gitcoord.machine.processes._PROFILE", 0.5)
    seat.extra |= {"HOME": str(home), "PATH": f"{tmp_path}:/usr/bin:/bin", "SHELL": "/bin/sh" if shell == "hangs" else shell}
    with seat.here() as found:
        [codex] = agents.look(found)
    assert (codex.level, "it finds gitcoord" in codex.what) == ("warning", False)
    if left.exists():
        until(lambda: int(left.read_text()) not in living(), "what the profile started goes on")


def test_a_remote_that_takes_nothing_is_wrong(seat: Seat, file_remote: Remote) -> None:
    assert set(of_the_remote(seat).values()) == {"ok"}
    refs = git(file_remote.path, "for-each-ref")
    seat.git("config", "remote.origin.receivepack", "false")
    found = of_the_remote(seat)
    assert [level for what, level in found.items() if "takes no push of yours" in what] == ["wrong"]
    assert git(file_remote.path, "for-each-ref") == refs


def test_a_branch_that_is_gone_is_not_made_again_by_looking(seat: Seat, file_remote: Remote) -> None:
    git(file_remote.path, "update-ref", "-d", "refs/heads/coordination")
    assert of_the_remote(seat)
    assert git(file_remote.path, "for-each-ref", "refs/heads/coordination") == ""


def test_a_clone_that_is_behind_may_still_push(pair: tuple[Seat, Seat]) -> None:
    pair[1].ok("claim", "x")
    assert set(of_the_remote(pair[0]).values()) == {"ok"}


def test_a_large_branch_is_a_warning(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LARGE", 10)
    assert [level for what, level in of_the_remote(seat).items() if "MB in this clone" in what] == ["ok"], "too few events"
    monkeypatch.setattr(remote, "FEW", 1)
    assert [level for what, level in of_the_remote(seat).items() if "every new clone" in what] == ["warning"]
    monkeypatch.setattr(remote, "LARGE", 1 << 40)
    monkeypatch.setattr(remote, "MANY", 1)
    assert [level for what, level in of_the_remote(seat).items() if "every new clone" in what] == ["warning"]


def test_links_are_proposed_until_somebody_has_said_where_the_host_shows_the_repository(seat: Seat) -> None:
    def proposed(url: str) -> list[str]:
        with seat.here() as found:
            assert isinstance(found.tip, RemoteTip)
            found.tip.url = url
            return [one.hint for one in remote.look(found) if "links" in one.what]

    assert proposed("git@github.com:acme/app.git") == ["gitcoord config --shared web github.com/acme/app"]
    assert proposed("/srv/app.git") == []
    seat.ok("config", "--shared", "web", "github.com/acme/app")
    assert proposed("git@github.com:acme/app.git") == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("git@GitHub.com:a/b.git", "github.com"),
        ("ssh://git@gitlab.com:22/a/b", "gitlab.com"),
        ("https://u:p@github.com/a/b", "github.com"),
        ("/srv/github.com:x", ""),
        ("file:///srv/x", ""),
        ("host:a", "host"),
        ("", ""),
    ],
)
def test_the_host_is_read_from_any_kind_of_url(url: str, host: str) -> None:
    assert remote.host_of(url) == host


# --- services -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "skip_ci", "level", "words"),
    [
        ("vercel.json", True, "warning", "Vercel builds every branch"),
        ("netlify.toml", True, "ok", "Netlify passes over"),
        ("netlify.toml", False, "warning", "Netlify builds"),
        ("Jenkinsfile", True, "ok", "Jenkins builds the branches that have a Jenkinsfile"),
        (".github/workflows/test.yml", True, "ok", "GitHub runs no workflow for coordination"),
        ("deep/vercel.json", True, "", ""),
    ],
)
def test_services_that_build_branches_are_named(seat: Seat, file: str, skip_ci: bool, level: str, words: str) -> None:
    path = seat.path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n")
    with seat.here() as found:
        assert list(builds.look(found, skip_ci=skip_ci)) == []  # not committed yet
    seat.git("add", "--all")
    seat.git("commit", "-qm", "a service")
    with seat.here() as found:
        findings = list(builds.look(found, skip_ci=skip_ci))
    assert [one.level for one in findings] == ([level] if level else [])
    assert all(words in one.what for one in findings)
    assert all(one.hint for one in findings if one.level == "warning")


def test_doctor_speaks_in_a_bare_and_in_a_broken_place(file_remote: Remote, seats: Seats, tmp_path: Path) -> None:
    (ada,) = seats(file_remote, "ada")
    assert ada.ok("doctor")["ok"]  # nothing is made yet
    git(tmp_path, "clone", "-q", "--bare", file_remote.url, "bare.git")
    assert Seat(tmp_path / "bare.git", tmp_path / "outbox", extra={"GIT_DIR": "."}).ok("doctor")["ok"]
    hooks_folder = ada.path / ".git" / "hooks"
    shutil.rmtree(hooks_folder)
    hooks_folder.write_text("no folder")
    assert ada.run("doctor").code in {0, 1}
    assert os.listdir(ada.path / ".git")
