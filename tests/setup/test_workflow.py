"""The workflow file that `install --workflow` writes, and what `uninstall` makes of it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from clones import PATIENCE, PROGRAM, Seat, Seats
from gits import git
from remotes import Remote

from gitcoord.connection.connect import connect
from gitcoord.errors import BadInput
from gitcoord.setup import workflow
from gitcoord.setup.steps import Wanted
from gitcoord.setup.workflow import WorkflowStep

TEXT = workflow.text("claude/* codex/*")


def test_it_is_yaml_that_starts_for_those_branches_and_may_only_write_contents() -> None:
    found = pytest.importorskip("yaml").safe_load(TEXT)
    assert found[True]["push"]["branches"] == ["claude/**", "codex/**"]  # YAML reads `on` as true
    assert found["permissions"] == {"contents": "write"}
    assert [step.get("run") for step in found["jobs"]["adopt"]["steps"]] == [None, "pipx run gitcoord sync"]


def test_it_is_written_once_and_taken_away_unless_somebody_changed_it(bare: Path, tmp_path: Path) -> None:
    top = str(tmp_path / "clone")
    git(tmp_path, "clone", "-q", str(bare), top)
    step = WorkflowStep(Wanted(top, os.environ, workflow=True))
    place = Path(top) / workflow.PLACE
    assert [line.will for line in step.plan()] == ["write"]
    assert step.do()[0] == f"wrote {workflow.PLACE}"
    assert step.do() == []
    with connect(top, os.environ) as found:
        assert workflow.state(top, workflow.text(found.coordinator.log.view().state.rules.settings.carry_from)) == "installed"
    assert step.undo() == [f"took away {workflow.PLACE}"]
    assert not place.parent.parent.exists()

    place.parent.mkdir(parents=True)
    place.write_text("name: theirs\n")
    assert [line.will for line in step.plan()] == ["nothing: it is not ours"]
    assert step.do() == step.undo() == []
    with pytest.raises(BadInput):
        workflow.write(top, TEXT)


def test_a_runner_that_does_its_steps_adopts_what_a_branch_says_and_runs_nothing_of_it(
    pair: tuple[Seat, Seat], file_remote: Remote, seats: Seats, tmp_path: Path
) -> None:
    """Played as GitHub's runner does them: a checkout as `actions/checkout@v4` makes it after a push of an agent's branch, nobody's
    name in git's configuration, and each `run` in a file for `bash -e`. What stands for `pipx run gitcoord` is this program.
    """
    yaml = pytest.importorskip("yaml")
    ada, _ = pair
    ada.ok("config", "--shared", "carry", "true")
    ada.git("push", "-q", "origin", "HEAD:refs/heads/main")
    git(file_remote.path, "config", "uploadpack.allowFilter", "true")
    hook = file_remote.path / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$CLOUD:$1" in :*|1:refs/heads/claude/*) ;; *) exit 1;; esac\n')
    hook.chmod(0o755)
    [cloud] = seats(file_remote, "cloud")
    cloud.git("checkout", "-q", "-b", "claude/fix")
    (cloud.path / "conftest.py").write_text("raise SystemExit('run')\n")
    cloud.git("add", "-A")
    cloud.git("commit", "-q", "-m", "bait")
    cloud = replace(cloud, extra={"CLOUD": "1"})
    name = cloud.ok("start", "--work", "the fix")["session_id"]

    [job] = yaml.safe_load(workflow.text("claude/*"))["jobs"].values()
    checkout, adopt = job["steps"]
    assert checkout["uses"].partition("@")[0] == "actions/checkout"
    given = checkout["with"]
    assert given["ref"] == "${{ github.event.repository.default_branch }}"
    home, place = tmp_path / "runner", tmp_path / "runner" / "work" / "shop" / "shop"
    place.mkdir(parents=True)
    event = home / "event.json"
    after = cloud.git("rev-parse", "HEAD").strip()
    event.write_text(json.dumps({"ref": "refs/heads/claude/fix", "after": after, "repository": {"default_branch": "main"}}))
    env = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "LANG"}},
        "HOME": str(home), "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REF": "refs/heads/claude/fix", "GITHUB_REF_NAME": "claude/fix", "GITHUB_SHA": after, "GITHUB_ACTOR": "cloud",
        "GITHUB_REPOSITORY": "shop/shop", "GITHUB_WORKSPACE": str(place), "GITHUB_WORKFLOW": "gitcoord carry",
        "RUNNER_OS": "Linux", "RUNNER_TEMP": str(home),
    }  # fmt: skip

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.returncode == 0, done
        return done

    run("git", "init", "-q")
    run("git", "remote", "add", "origin", file_remote.url)
    run("git", "config", "--local", "gc.auto", "0")
    depth = [] if given["fetch-depth"] == 0 else ["--depth", str(given["fetch-depth"])]
    kinds = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
    fetch = ["git", "-c", "protocol.version=2", "fetch", "-q", "--prune", f"--filter={given['filter']}"]
    run(*fetch, *depth, "origin", *kinds)
    run("git", "checkout", "-q", "--progress", "--force", "-B", "main", "refs/remotes/origin/main")
    script = home / "step.sh"
    script.write_text(adopt["run"].replace("pipx run gitcoord", shlex.join(PROGRAM)))
    before = git(file_remote.path, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/main", "refs/heads/claude")
    said = run("bash", "-e", str(script))
    assert "adopted" in said.stdout + said.stderr
    assert {one["session_id"] for one in ada.ok("peers")["sessions"]} >= {name}
    assert (
        git(file_remote.path, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/main", "refs/heads/claude") == before
    )
    assert git(place, "status", "--porcelain") == ""
    again = run("bash", "-e", str(script))  # as the schedule does, five minutes later
    assert "Traceback" not in again.stderr
    assert ada.ok("verify")["problems"] == []
