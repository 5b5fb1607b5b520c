"""Our git hooks beside those of the real hook managers: all run, once each, in either order, and ours go without a trace."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock
from gits import Outcome, attempt, git

from gitcoord.errors import GitcoordError
from gitcoord.git import versions as git_versions
from gitcoord.git.repo import Repository
from gitcoord.githooks import folder as hooks_folder
from gitcoord.githooks import install as git_hooks
from gitcoord.githooks.folder import Hook

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds: only a hang gets there
NPM_SECONDS = 60.0  # longer than this nobody waits for the registry
PRE_COMMIT = shutil.which("pre-commit") or shutil.which("pre-commit", path=str(Path(sys.executable).parent))


@pytest.fixture(scope="session")
def from_npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the git_versions husky and lefthook, installed once a run; else the test is skipped, with the reason."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm on this machine")
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "npm"
    with FileLock(f"{home}.lock"):
        if not home.exists():
            home.mkdir()
            words = [npm, "install", "--prefix", str(home), "--no-audit", "--no-fund", "--ignore-scripts", "husky@9", "lefthook@2"]
            env = {**os.environ, "HOME": pwd.getpwuid(os.getuid()).pw_dir}  # where the person's registry is named
            try:
                done = subprocess.run(words, cwd=home, env=env, capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
                said = done.stderr.strip().splitlines()[-1:] if done.returncode else []
            except subprocess.TimeoutExpired:
                said = [f"no answer in {NPM_SECONDS:.0f} s"]
            (home / "failed").write_text("".join(said))
    reason = (home / "failed").read_text()
    if reason:
        pytest.skip(f"npm can't install husky and lefthook: {reason}")
    return home / "node_modules" / ".bin"


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@dataclass
class Tree:
    """A work tree, and a `gitcoord` that notes how it is called and says of the guard what it is told to."""

    top: Path
    notes: Path
    path: list[str]
    git: str = "git"
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment of all that runs there."""
        return {**os.environ, "PATH": os.pathsep.join(self.path), "NOTES": str(self.notes), **self.extra}

    @property
    def repo(self) -> Repository:
        """The repository, read anew."""
        return Repository.find(str(self.top), self.env)

    def install(self, **given: bool) -> dict[str, Hook]:
        """Installs our hooks, the guard's too."""
        found = git_hooks.install(self.repo, self.env, program="", **{"guard": True, **given})
        return {hook.event: hook for hook in found}

    def uninstall(self, **given: bool) -> None:
        """Takes them out."""
        git_hooks.uninstall(self.repo, **given)

    def status(self) -> dict[str, tuple[str, str]]:
        """State and way of each event."""
        return {hook.event: (hook.state, hook.way) for hook in git_hooks.status(self.repo)}

    def run(self, *words: str) -> Outcome:
        """Git, as the user calls it."""
        return attempt(self.top, *words, env=self.env)

    def commit(self, *words: str, **extra: str) -> Outcome:
        """Commits a change; what ran meanwhile is in `ran`."""
        self.notes.write_text("")
        (self.top / "file").write_text(str(time.monotonic_ns()))
        git(self.top, "add", "file")
        return attempt(self.top, "commit", "-qm", "a change", *words, env={**self.env, **extra})

    def ran(self, ours: int = 1) -> list[str]:
        """What ran, sorted, as soon as so many of ours have told; the last one is gone by then."""
        end = time.monotonic() + PATIENCE
        while len([line for line in self.lines() if line.startswith("gitcoord hook git")]) < ours:
            assert time.monotonic() < end, self.lines()
            time.sleep(0.01)
        return sorted(self.lines())

    def lines(self) -> list[str]:
        """What was noted so far."""
        return self.notes.read_text().splitlines()

    def picture(self) -> dict[str, tuple[int, bytes]]:
        """Mode and bytes of each file that an installer could touch."""
        found = {}
        for folder in (".git/hooks", ".git/info", ".husky", ".githooks"):
            for path in sorted((self.top / folder).rglob("*")):
                if path.is_file():
                    found[str(path)] = (path.stat().st_mode, path.read_bytes())
        for path in [self.top / ".git" / "config", *self.top.glob("*.y*ml"), *self.top.glob(".*.yaml")]:
            found[str(path)] = (path.stat().st_mode, path.read_bytes())
        return found


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One with a commit, and a folder that says that sessions sit there."""
    tools, top = tmp_path / "bin", tmp_path / "it's a tree"
    tools.mkdir()
    script(
        tools / "gitcoord",
        'if [ "$1" = hook ]; then rm -f "$(git rev-parse --git-dir)/gitcoord/at-work"; fi\n'
        'echo "gitcoord $*" >>"$NOTES"\n[ "$1" != guard ] || { cat >/dev/null; exit ${VERDICT:-0}; }',
    )
    git(tmp_path, "init", "--quiet", str(top))
    git(top, "commit", "--quiet", "--allow-empty", "-m", "root")
    (top / ".git" / "gitcoord" / "sessions").mkdir(parents=True)
    return Tree(top, tmp_path / "notes", [str(tools), *os.environ["PATH"].split(os.pathsep)])


# --- the managers ------------------------------------------------------------------------------------------------------

NOTE = 'echo "theirs EVENT" >>"$NOTES"; exit ${THEIRS:-0}'
Setup = Callable[[Tree], None]


def by_hand(tree: Tree) -> None:
    """Hooks that somebody wrote."""
    for event in ("pre-commit", "post-commit"):
        script(tree.top / ".git" / "hooks" / event, NOTE.replace("EVENT", event))


def by_pre_commit(tree: Tree) -> None:
    """pre-commit with a hook of the repository's own for two stages."""
    if PRE_COMMIT is None:
        pytest.skip("the program pre-commit is not installed (dev group)")
    tree.extra["PRE_COMMIT_HOME"] = str(tree.top.parent / "cache")
    hooks = "".join(
        f"  - id: note-{event}\n    name: note\n    language: system\n    entry: sh -c '{NOTE.replace('EVENT', event)}'\n"
        f"    stages: [{event}]\n    pass_filenames: false\n    always_run: true\n"
        for event in ("pre-commit", "post-commit")
    )
    (tree.top / ".pre-commit-config.yaml").write_text(f"repos:\n- repo: local\n  hooks:\n{hooks}")
    git(tree.top, "add", ".pre-commit-config.yaml")
    tool(tree, PRE_COMMIT, "install", "-t", "pre-commit", "-t", "post-commit")


def by_lefthook(tree: Tree) -> None:
    """lefthook, with a job for one event and a command for another."""
    (tree.top / "lefthook.yml").write_text(
        f"pre-commit:\n  jobs:\n    - run: {NOTE.replace('EVENT', 'pre-commit')}\n"
        f"post-commit:\n  commands:\n    note:\n      run: {NOTE.replace('EVENT', 'post-commit')}\n"
    )
    tool(tree, "lefthook", "install")


def by_husky(tree: Tree) -> None:
    """husky 9, and a hook in its folder."""
    tool(tree, "husky")
    for event in ("pre-commit", "post-commit"):
        (tree.top / ".husky" / event).write_text(NOTE.replace("EVENT", event) + "\n")


def tool(tree: Tree, *words: str) -> None:
    """Runs a hook manager."""
    done = subprocess.run(words, cwd=tree.top, env=tree.env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done


@dataclass(frozen=True)
class Manager:
    """A manager, and whether our hooks need to be asked for where it is (others get them)."""

    setup: Setup
    shared: bool = False
    npm: bool = False
    again: tuple[str, ...] = ()
    """How it installs itself once more."""


MANAGERS = {
    "by hand": Manager(by_hand),
    "pre-commit": Manager(by_pre_commit, again=(PRE_COMMIT or "", "install", "-t", "pre-commit", "-t", "post-commit")),
    "lefthook": Manager(by_lefthook, npm=True, again=("lefthook", "install")),
    "husky": Manager(by_husky, shared=True, npm=True, again=("husky",)),
}
BOTH = ["gitcoord guard --staged", "gitcoord hook git post-commit", "theirs post-commit", "theirs pre-commit"]
THEIRS = ["theirs post-commit", "theirs pre-commit"]


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest, tree: Tree) -> Manager:
    """Each of them, if it is to be had; none of its files is there yet."""
    found = MANAGERS[request.param]
    if found.npm:
        tree.path.insert(0, str(request.getfixturevalue("from_npm")))
    return found


def test_all_run_and_afterwards_every_byte_is_as_it_was(tree: Tree, manager: Manager) -> None:
    manager.setup(tree)
    before = tree.picture()
    planned = {hook.event: way for hook, way in git_hooks.plan(tree.repo, tree.env, guard=True, shared=manager.shared)}
    assert tree.picture() == before
    assert {event: hook.way for event, hook in tree.install(shared=manager.shared).items()} == planned
    again = tree.picture()
    assert {hook.change for hook in tree.install(shared=manager.shared).values()} == {"none"}
    assert tree.picture() == again
    assert {state for event, (state, _) in tree.status().items() if event not in hooks_folder.TRAILERS} == {"installed"}
    assert tree.commit().code == 0
    assert tree.ran() == BOTH
    assert tree.commit(GITCOORD="0").code == 0
    assert tree.ran(0) == THEIRS
    tree.uninstall(shared=manager.shared)
    assert tree.picture() == before
    assert tree.commit().code == 0
    assert tree.ran(0) == THEIRS


def test_either_stops_a_commit_and_no_fault_of_ours_does(tree: Tree, manager: Manager) -> None:
    manager.setup(tree)
    tree.install(shared=manager.shared)
    assert tree.commit(VERDICT="3").code != 0
    assert tree.commit(THEIRS="1").code != 0
    for code in ("1", "70"):
        assert tree.commit(VERDICT=code).code == 0
        tree.ran()


def test_the_manager_installs_itself_again_and_nothing_is_doubled_or_lost(tree: Tree, manager: Manager) -> None:
    if not manager.again:
        pytest.skip("nobody installs these again")
    manager.setup(tree)
    alone = tree.picture()
    tree.install(shared=manager.shared)
    for _ in range(2):
        tool(tree, *manager.again)
        assert tree.commit().code == 0
        assert tree.ran() == BOTH
    tree.install(shared=manager.shared)
    assert tree.commit().code == 0
    assert tree.ran() == BOTH
    tree.uninstall(shared=manager.shared)
    assert tree.commit().code == 0
    assert tree.ran(0) == THEIRS
    after = tree.picture()
    assert {path: after[path] for path in alone if "checksum" not in path} == {
        path: there
        for path, there in alone.items()
        if "checksum" not in path  # lefthook's note of when it looked last
    }


def test_ours_are_there_first_and_the_manager_comes_later(tree: Tree, manager: Manager) -> None:
    if not manager.again:
        pytest.skip("these don't come by themselves")
    before = tree.picture()
    tree.install()
    manager.setup(tree)
    if manager.again[0] != PRE_COMMIT:  # that one runs what it finds; the others say nothing of it, so the status must
        assert {state for event, (state, _) in tree.status().items() if event == "pre-commit"} <= {"foreign", "shadowed"}
        tree.install(shared=manager.shared)
    assert tree.commit().code == 0
    assert tree.ran() == BOTH
    tree.uninstall(shared=manager.shared)
    assert tree.commit().code == 0
    assert tree.ran(0) == THEIRS
    assert {path for path in tree.picture() if "gitcoord" in tree.picture()[path][1].decode()} == set()
    assert [path for path in before if path not in tree.picture()] == []


def test_a_hook_that_somebody_wrote_runs_below_both(tree: Tree) -> None:
    script(tree.top / ".git" / "hooks" / "pre-commit", 'echo by hand >>"$NOTES"')
    tree.install()
    by_pre_commit(tree)
    for _ in range(2):
        assert tree.commit().code == 0
        assert tree.ran() == sorted([*BOTH, "by hand"])
        tool(tree, str(PRE_COMMIT), "install")
    tool(tree, str(PRE_COMMIT), "uninstall", "-t", "pre-commit", "-t", "post-commit")
    assert tree.commit().code == 0
    assert tree.ran() == ["by hand", "gitcoord guard --staged", "gitcoord hook git post-commit"]


def test_what_is_offered_to_pre_commit_runs(tree: Tree, tmp_path: Path) -> None:
    if PRE_COMMIT is None:
        pytest.skip("the program pre-commit is not installed (dev group)")
    git(tmp_path, "init", "-q", "offered")
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", tmp_path / "offered")
    git(tmp_path / "offered", "add", "--all")
    git(tmp_path / "offered", "commit", "-qm", "hooks")
    ids = ("check-claims", "check-push", "heartbeat", "trailers")
    hooks = "".join(f"  - id: gitcoord-{name}\n    language: system\n" for name in ids)  # not an environment of its own each
    rev = git(tmp_path / "offered", "rev-parse", "HEAD")
    (tree.top / ".pre-commit-config.yaml").write_text(f"repos:\n- repo: {tmp_path / 'offered'}\n  rev: {rev}\n  hooks:\n{hooks}")
    git(tree.top, "add", ".pre-commit-config.yaml")
    tree.extra["PRE_COMMIT_HOME"] = str(tmp_path / "cache")
    tool(tree, PRE_COMMIT, "install", *(word for event in ("pre-commit", "post-commit", "commit-msg") for word in ("-t", event)))
    assert tree.commit().code == 0
    told = ["gitcoord guard --staged", "gitcoord hook git commit-msg .git/COMMIT_EDITMSG", "gitcoord hook git post-commit"]
    assert tree.ran(2) == told
    assert tree.commit(VERDICT="3").code != 0


# --- lefthook's personal file ------------------------------------------------------------------------------------------


def test_lefthooks_personal_file_keeps_what_is_in_it(tree: Tree, from_npm: Path) -> None:
    tree.path.insert(0, str(from_npm))
    by_lefthook(tree)
    mine = tree.top / "lefthook-local.yml"
    mine.write_text("# mine\ncolors: false")  # without an end of line
    before = tree.picture()
    tree.install()
    assert tree.commit().code == 0
    assert tree.ran() == BOTH
    tree.uninstall()
    assert {path: there for path, there in tree.picture().items() if "checksum" not in path} == {
        path: there for path, there in before.items() if "checksum" not in path
    }


def test_a_personal_file_with_the_same_hook_in_it_is_left_alone(tree: Tree, from_npm: Path) -> None:
    tree.path.insert(0, str(from_npm))
    by_lefthook(tree)
    mine = tree.top / "lefthook-local.yml"
    mine.write_text("pre-commit:\n  jobs:\n    - run: 'true'\n")
    before = mine.read_bytes()
    assert tree.install()["pre-commit"].way == "folder"
    assert b"pre-commit:\n  commands" not in mine.read_bytes().removeprefix(before)
    assert tree.commit().code == 0
    assert tree.ran() == BOTH


# --- a hooks folder of the team's, or for all repositories ----------------------------------------------------------------


def tracked(tree: Tree) -> Path:
    """A folder in the work tree, which git takes hooks from."""
    folder = tree.top / ".githooks"
    folder.mkdir()
    git(tree.top, "config", "core.hooksPath", ".githooks")
    return folder


def test_a_shared_folder_is_changed_only_for_who_asks(tree: Tree) -> None:
    folder = tracked(tree)
    script(folder / "pre-commit", f"set -eu\n{NOTE.replace('EVENT', 'pre-commit')}")
    script(folder / "post-commit", f"exec sh -c '{NOTE.replace('EVENT', 'post-commit')}'")
    before = tree.picture()
    assert {way for _, way in git_hooks.plan(tree.repo, tree.env)} == {"none"}
    with pytest.raises(GitcoordError) as told:
        tree.install()
    assert "gitcoord hooks install --git --shared" in told.value.hint
    assert tree.picture() == before
    tree.install(shared=True, trailers=True)
    assert tree.commit().code == 0
    assert tree.ran(2) == sorted([*BOTH, "gitcoord hook git commit-msg .git/COMMIT_EDITMSG"])
    assert tree.commit(VERDICT="3").code != 0
    assert {hook.way for hook in tree.install().values()} == {"shared"}  # a teammate need not ask again
    tree.uninstall()
    assert tree.commit(GITCOORD="0").code == 0
    assert tree.ran(0) == THEIRS
    tree.uninstall(shared=True)
    assert tree.picture() == before


def test_a_shared_hook_that_is_no_shell_script_stays(tree: Tree) -> None:
    folder = tracked(tree)
    path = folder / "pre-commit"
    path.write_text("#!/usr/bin/env python3\nprint()\n")
    path.chmod(0o755)
    before = path.read_bytes()
    assert tree.install(shared=True)["pre-commit"].state == "foreign"
    assert path.read_bytes() == before


def test_a_push_is_for_both_in_a_shared_hook(tree: Tree, tmp_path: Path) -> None:
    script(tracked(tree) / "pre-push", 'while read -r line; do echo "theirs $line" >>"$NOTES"; done')
    tree.install(shared=True)
    git(tmp_path, "init", "-q", "--bare", "far.git")
    tree.notes.write_text("")
    assert tree.run("push", "-q", str(tmp_path / "far.git"), "HEAD:refs/heads/one").code == 0
    commit = git(tree.top, "rev-parse", "HEAD")
    assert sorted(tree.lines()) == ["gitcoord guard --push", f"theirs HEAD {commit} refs/heads/one {'0' * 40}"]
    tree.extra["VERDICT"] = "4"
    assert tree.run("push", "-q", str(tmp_path / "far.git"), "HEAD:refs/heads/two").code != 0


def test_ours_that_a_moved_folder_hides_are_said_to_be_hidden(tree: Tree) -> None:
    tree.install()
    tracked(tree)
    assert tree.status()["post-commit"] == ("shadowed", "folder")
    tree.uninstall()
    assert not (tree.top / ".git" / "hooks" / "post-commit").exists()


def test_in_a_linked_work_tree_the_hooks_are_the_same(tree: Tree, tmp_path: Path) -> None:
    by_hand(tree)
    git(tree.top, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    (tree.top / ".git" / "worktrees" / "linked" / "gitcoord" / "sessions").mkdir(parents=True)
    linked = Tree(tmp_path / "linked", tree.notes, tree.path)
    linked.install()
    assert {state for state, _ in tree.status().values()} == {"installed", "absent"}
    assert linked.commit().code == 0
    assert linked.ran() == BOTH


def test_a_bare_repository_has_hooks_too(tree: Tree, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    named = {"GIT_DIR": str(tmp_path / "bare.git")}  # as git has it with safe.bareRepository=explicit
    bare = Tree(tmp_path / "bare.git", tree.notes, tree.path, extra=named)
    before = {path: path.read_bytes() for path in bare.top.rglob("*") if path.is_file()}
    assert {hook.state for hook in bare.install().values()} == {"installed"}
    bare.uninstall()
    assert {path: path.read_bytes() for path in bare.top.rglob("*") if path.is_file()} == before


# --- hooks in the configuration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "goes"),
    [
        ({"a": (2, 54)}, True),
        ({"a": (2, 55), "b": (3, 0)}, True),
        ({"a": (2, 55), "b": (2, 39)}, False),
        ({"a": (2, 55), "b": ()}, False),
        ({}, False),
    ],
)
def test_the_configuration_is_taken_where_every_git_reads_it(said: dict[str, tuple[int, ...]], goes: bool) -> None:
    assert git_versions.have_config_hooks(said) is goes


def test_every_git_on_the_path_is_asked(tree: Tree, tmp_path: Path) -> None:
    other, broken = tmp_path / "other", tmp_path / "broken"
    for folder, text in ((other, "echo git version 2.54.0.windows.1"), (broken, "echo what")):
        folder.mkdir()
        script(folder / "git", text)
    found = git_versions.versions({**tree.env, "PATH": os.pathsep.join([*tree.path, str(other), str(broken), "relative"])})
    assert found[str(other / "git")] == (2, 54)
    assert found[str(broken / "git")] == ()
    assert all(version >= (2, 31) for place, version in found.items() if not place.startswith(str(tmp_path)))


@pytest.fixture
def every_git_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose gits all read hooks from the configuration."""
    monkeypatch.setattr(git_versions, "versions", lambda _: {"git": (2, 55)})


def test_hooks_in_the_configuration_touch_no_file_of_others(tree: Tree, every_git_is_new: None, tmp_path: Path) -> None:
    by_hand(tree)
    config = tree.top / ".git" / "config"
    config.write_bytes(config.read_bytes() + b"[user]\n\tname = Ada  ; \xc3\xa9\n")
    before = tree.picture()
    hooks = tree.install()
    assert {(hook.state, hook.change, hook.way) for hook in hooks.values()} == {("installed", "installed", "config")}
    assert {path: there for path, there in tree.picture().items() if path != str(config)} == {
        path: there for path, there in before.items() if path != str(config)
    }
    assert {hook.change for hook in tree.install().values()} == {"none"}
    top = tree.top.rename(tmp_path / "moved")  # nothing in there names the place
    tree.top = top
    for event, words in (("post-commit", []), ("pre-commit", []), ("post-checkout", ["old", "new", "1"])):
        tree.notes.write_text("")
        assert git(top, "config", f"hook.gitcoord-{event}.event") == event
        command = git(top, "config", f"hook.gitcoord-{event}.command")
        line = f'{command} "$@"' if words else command  # so git's own run_command puts it together
        done = subprocess.run(
            ["sh", "-c", line, command, *words], cwd=top, env=tree.env, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        asked = "gitcoord guard --staged" if event == "pre-commit" else " ".join(["gitcoord hook git", event, *words])
        assert tree.ran(int(event != "pre-commit")) == [asked]
    tree.uninstall()
    assert {path.removeprefix(str(top)): there for path, there in tree.picture().items()} == {
        path.removeprefix(str(tmp_path / "it's a tree")): there for path, there in before.items()
    }
    assert not (top / ".git" / "gitcoord" / "hooks").exists()


def test_hooks_move_to_the_way_that_is_right_now(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(tree)
    before = tree.picture()
    tree.install()
    monkeypatch.setattr(git_versions, "versions", lambda _: {"git": (2, 55)})
    moved = tree.install(guard=False)  # it stays, since it was asked for before
    assert {hook.way for hook in moved.values()} == {"config"}
    assert "pre-commit" in moved
    assert (tree.top / ".git" / "hooks" / "post-commit").read_bytes() == before[str(tree.top / ".git/hooks/post-commit")][1]
    monkeypatch.undo()
    assert {hook.way for hook in tree.install(guard=False).values()} == {"folder"}
    assert "hook.gitcoord" not in git(tree.top, "config", "--list")
    assert tree.commit().code == 0
    assert tree.ran() == BOTH
    tree.uninstall()
    assert tree.picture() == before


def test_a_git_that_reads_them_runs_them_beside_any_manager(
    tree: Tree, manager: Manager, pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = pytestconfig.getoption("--newer-git")
    if not newer:
        pytest.skip("--newer-git names none")
    monkeypatch.setattr(git_versions, "versions", lambda _: {newer: git_versions._version(newer, dict(os.environ))})
    tree.path.insert(0, str(Path(newer).parent))
    monkeypatch.setenv("PATH", os.pathsep.join(tree.path))
    manager.setup(tree)
    before = tree.picture()
    assert {hook.way for hook in tree.install().values()} == {"config"}
    for _ in range(2):
        assert tree.commit().code == 0
        assert tree.ran() == BOTH
        if manager.again:
            tool(tree, *manager.again)
    assert tree.commit(VERDICT="3").code != 0
    assert tree.commit(GITCOORD="0").code == 0
    assert tree.ran(0) == THEIRS
    git(tree.top, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    (tree.top / ".git" / "worktrees" / "linked" / "gitcoord" / "sessions").mkdir(parents=True)
    linked = Tree(
        tmp_path / "linked", tree.notes, tree.path, extra={**tree.extra, "LEFTHOOK": "0", "PRE_COMMIT_ALLOW_NO_CONFIG": "1"}
    )
    assert linked.commit().code == 0
    assert "gitcoord hook git post-commit" in linked.ran()
    tree.uninstall()
    after = tree.picture()
    assert {path for path in before if before[path] != after.get(path)} <= {path for path in before if "checksum" in path}
