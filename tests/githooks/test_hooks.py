"""The git hooks, with real commits: what they tell, whom they keep waiting (nobody), and what they leave alone."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from gits import Outcome, attempt, git

from gitcoord.githooks import folder as hooks_folder
from gitcoord.githooks import shared
from gitcoord.machine.identity import Binding, Identity
from gitcoord.outbox.batch import fold
from gitcoord.warm import address

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds: only a hang gets there
T = TypeVar("T")


def eventually(look: Callable[[], T]) -> T:
    """What `look` finds, as soon as it finds anything."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return found


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def at_work(mark: Path) -> bool:
    """Whether the process that the mark names is there. A shim may add its x to a mark that was just taken away."""
    try:
        os.kill(int(mark.read_text().rstrip("x") or "0") or sys.maxsize, 0)
    except (OSError, OverflowError):
        return False
    return True


@dataclass
class Workplace:
    """A work tree with installed hooks in which session-001 sits, and a PATH on which only git and gitcoord are."""

    tree: Path
    bin: Path
    outbox: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment in which git is called."""
        return {**os.environ, "PATH": str(self.bin), "PYTHONPATH": str(ROOT), **self.extra}

    @property
    def git_dir(self) -> Path:
        """The work tree's own git folder."""
        return Path(git(self.tree, "rev-parse", "--absolute-git-dir"))

    @property
    def hooks(self) -> Path:
        """The folder with the hooks."""
        return Path(git(self.tree, "rev-parse", "--path-format=absolute", "--git-common-dir")) / "hooks"

    def git(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """Runs the user's git."""
        return git(self.tree, *words, env={**self.env, **(env or {})})

    def attempt(self, *words: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Runs the user's git, which may fail."""
        return attempt(self.tree, *words, env={**self.env, **(env or {})})

    def commit(self, subject: str, *names: str, env: Mapping[str, str] | None = None) -> str:
        """Commits changes of those files (a new one when none is named); the commit."""
        for name in names or (f"{subject}.txt",):
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(subject)
        git(self.tree, "add", "--all")
        self.git("commit", "--quiet", "-m", subject, env=env)
        return git(self.tree, "rev-parse", "HEAD")

    def bind(self, session: str = "session-001", agent: dict[str, str] | None = None) -> None:
        """Seats a session in the work tree."""
        binding = Binding(session, f"run-of-{session}", 1, "", str(self.outbox), agent or {})
        Identity(self.git_dir).bind(binding)

    def told(self, session: str = "session-001") -> list[dict[str, Any]]:
        """What is in the session's spool, in order, as soon as no hook is at work any more."""
        own = self.git_dir / "gitcoord"
        eventually(lambda: not list(own.glob("event.*")) and not at_work(own / "at-work"))
        return [json.loads(path.read_text()) for path in sorted((self.outbox / "spool" / session).glob("*.json"))]

    def log(self) -> str:
        """What went wrong in hooks."""
        path = self.git_dir / "gitcoord" / "hook.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def bare_workplace(tmp_path: Path) -> Workplace:
    """The same without installed hooks and without gitcoord on the PATH."""
    tools, tree, outbox = tmp_path / "bin", tmp_path / "it's a tree", tmp_path / "outbox"
    for path in (tools, tree, outbox):
        path.mkdir()
    found = shutil.which("git")
    assert found
    (tools / "git").symlink_to(found)
    git(tree, "init", "--quiet")
    git(tree, "commit", "--quiet", "--allow-empty", "-m", "root")
    made = Workplace(tree, tools, outbox)
    made.bind()
    (made.git_dir / "gitcoord" / "synced").touch()  # as if a flush had been started just now: no test here needs one
    return made


@pytest.fixture
def workplace(bare_workplace: Workplace) -> Workplace:
    """A work tree with installed hooks, and the real gitcoord on the PATH."""
    script(bare_workplace.bin / "gitcoord", f'exec {shlex.quote(sys.executable)} -m gitcoord "$@"')
    install(bare_workplace)
    return bare_workplace


def install(workplace: Workplace, program: str = "") -> None:
    """Installs the hooks."""
    common = workplace.hooks.parent
    hooks_folder.install(workplace.hooks, common_dir=common, program=program)


@dataclass
class Gate:
    """A `gitcoord` that says that it was started, and then goes on only when it is let."""

    folder: Path

    def started(self) -> list[str]:
        """How each was called."""
        path = self.folder / "started"
        return path.read_text().splitlines() if path.exists() else []

    def open(self) -> None:
        """Lets the one that waits go on."""
        with (self.folder / "gate").open("w") as fifo:
            fifo.write("go\n")

    def passed(self) -> bool:
        """Whether one has gone on."""
        return (self.folder / "passed").exists()


@pytest.fixture
def gate(bare_workplace: Workplace, tmp_path: Path) -> Iterator[Gate]:
    """Puts such a `gitcoord` on the PATH; behind the gate it becomes the real one if `through` is set."""
    made = Gate(tmp_path / "gates")
    made.folder.mkdir()
    os.mkfifo(made.folder / "gate")
    where = shlex.quote(str(made.folder))
    script(
        bare_workplace.bin / "gitcoord",
        f'echo "$@" >>{where}/started\nread -r line <{where}/gate\n: >{where}/passed\n'
        f'[ -z "$THROUGH" ] || exec {shlex.quote(sys.executable)} -m gitcoord "$@"',
    )
    install(bare_workplace)
    yield made
    if made.started() and not made.passed():
        made.open()


# --- nobody waits ----------------------------------------------------------------------------------------------------


def test_a_commit_returns_while_gitcoord_still_runs(bare_workplace: Workplace, gate: Gate) -> None:
    (bare_workplace.tree / "file").write_text("1")
    git(bare_workplace.tree, "add", "file")
    # Whoever reads git's output waits until nobody has the pipe open any more: as 1 and 2, or under another number.
    words = ["/bin/sh", "-c", "exec git commit -m one 3>&1 4>&2 9>&1"]
    done = subprocess.run(words, cwd=bare_workplace.tree, env=bare_workplace.env, capture_output=True, timeout=PATIENCE, check=True)
    assert b"one" in done.stdout
    assert done.stderr == b""
    assert eventually(gate.started) == ["hook git post-commit"]
    assert not gate.passed()
    gate.open()
    eventually(gate.passed)


def test_while_one_is_at_work_commits_start_no_other(bare_workplace: Workplace, gate: Gate) -> None:
    bare_workplace.extra["THROUGH"] = "1"
    commits = [bare_workplace.commit(name) for name in ("one", "two", "three", "four")]
    assert eventually(gate.started) == ["hook git post-commit"]
    assert len(list((bare_workplace.git_dir / "gitcoord").glob("event.*"))) == 3
    gate.open()
    assert [(one["target"], one["commit"]) for one in bare_workplace.told()] == list(
        zip(("one", "two", "three", "four"), commits, strict=True)
    )
    assert len(gate.started()) == 1


def test_each_commit_is_told_as_it_was_though_head_moved_on(bare_workplace: Workplace, gate: Gate) -> None:
    bare_workplace.extra["THROUGH"] = "1"
    first = bare_workplace.commit("one")
    git(bare_workplace.tree, "switch", "--quiet", "-c", "other", env=bare_workplace.env)
    second = bare_workplace.commit("two")
    git(bare_workplace.tree, "reset", "--quiet", "--hard", "HEAD~2")
    gate.open()
    told = [(one["action"], one["target"], one["branch"], one["commit"]) for one in bare_workplace.told()]
    assert told[0] == ("committed", "one", "main", first)
    assert told[-1] == ("committed", "two", "other", second)


def test_a_mark_whose_number_another_process_has_does_not_silence_the_hooks(workplace: Workplace) -> None:
    mark = workplace.git_dir / "gitcoord" / "at-work"
    mark.write_text(str(os.getpid()))
    workplace.commit("one")
    assert len(list(mark.parent.glob("event.*"))) == 1
    assert mark.read_text() == f"{os.getpid()}x"
    mark.write_text(f"{os.getpid()}{'x' * 20}")
    workplace.commit("two")
    assert [one["target"] for one in workplace.told()] == ["two", "one"]


def test_a_mark_of_a_process_that_is_gone_is_nothing(workplace: Workplace) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    (workplace.git_dir / "gitcoord" / "at-work").write_text(str(gone.pid))
    workplace.commit("one")
    assert [one["target"] for one in workplace.told()] == ["one"]


def test_an_event_that_an_older_hook_left_is_told_though_it_names_fewer_agents(workplace: Workplace) -> None:
    commit = git(workplace.tree, "rev-parse", "HEAD")
    (workplace.git_dir / "gitcoord" / f"event.1.{commit}").write_text(
        f"post-merge {commit} refs/heads/main 0\nGITCOORD_SESSION=\nGITCOORD_AGENT_ID=\n"
    )
    workplace.commit("one")
    assert {one["action"] for one in workplace.told()} == {"merged", "committed"}


# --- what is told ----------------------------------------------------------------------------------------------------


def test_a_commit_is_told(workplace: Workplace) -> None:
    commit = workplace.commit("It's done: « é »", "src/a b.py", "src/é.py")
    (told,) = workplace.told()
    assert told.pop("at").endswith("Z")
    assert told == {
        "run_id": "run-of-session-001",
        "action": "committed",
        "target": "It's done: « é »",
        "files": ["src/a b.py", "src/é.py"],
        "branch": "main",
        "commit": commit,
    }
    assert workplace.log() == ""
    assert {stat.S_IMODE(path.stat().st_mode) for path in (workplace.outbox / "spool").rglob("*.json")} == {0o600}


def test_what_is_told_becomes_a_heartbeat(workplace: Workplace) -> None:
    workplace.commit("one", *(f"many/{number:03}" for number in range(60)))
    workplace.commit("two", "last")
    command = fold("session-001", workplace.told(), "01J")
    assert command is not None
    assert (command.action, command.target, command.branch, command.folded) == ("committed", "two", "main", 2)
    assert command.files_touched[:2] == ("last", "many/000")
    assert len(command.files_touched) == 50


def test_a_switch_a_merge_and_a_rewriting_are_told(workplace: Workplace) -> None:
    workplace.git("switch", "--quiet", "-c", "topic")
    topic = workplace.commit("one")
    workplace.git("switch", "--quiet", "main")
    workplace.git("merge", "--quiet", "topic")
    workplace.git("switch", "--quiet", "--detach")
    workplace.git("switch", "--quiet", "main")
    workplace.git("commit", "--quiet", "--amend", "-m", "better")
    told = [(one["action"], one["target"], one["branch"], one["files"]) for one in workplace.told()]
    assert told == [
        ("switched", "topic", "topic", []),
        ("committed", "one", "topic", ["one.txt"]),
        ("switched", "main", "main", []),
        ("merged", "one", "main", []),
        ("switched", topic[:12], "", []),
        ("switched", "main", "main", []),
        ("committed", "better", "main", ["one.txt"]),
        ("rewrote", "main", "main", []),
    ]


def test_of_a_merge_only_what_it_changed_itself_is_told(workplace: Workplace) -> None:
    workplace.commit("base", "both", "theirs")
    git(workplace.tree, "switch", "--quiet", "-c", "topic")
    workplace.commit("topic", "both", "theirs", "new")
    git(workplace.tree, "switch", "--quiet", "main")
    workplace.commit("main", "both")
    assert workplace.attempt("merge", "topic").code == 1
    workplace.commit("resolved", "both")
    assert workplace.told()[-1]["target"] == "resolved"
    assert workplace.told()[-1]["files"] == ["both"]


def test_what_changes_nothing_is_not_told(workplace: Workplace) -> None:
    workplace.commit("one", "file")
    before = workplace.told()
    (workplace.tree / "file").write_text("changed")
    workplace.git("checkout", "--quiet", "--", "file")
    workplace.git("checkout", "--quiet")
    workplace.git("checkout", "--quiet", "main")
    assert workplace.told() == before


def test_a_rebase_is_told_once(workplace: Workplace) -> None:
    workplace.git("switch", "--quiet", "-c", "topic")
    for number in range(5):
        workplace.commit(f"topic {number}")
    workplace.git("switch", "--quiet", "main")
    workplace.commit("main")
    workplace.git("switch", "--quiet", "topic")
    before = len(workplace.told())
    workplace.git("rebase", "--quiet", "main")
    assert [(one["action"], one["branch"]) for one in workplace.told()[before:]] == [("rewrote", "topic")]


def test_a_branch_that_is_no_plain_file_is_read_by_git(workplace: Workplace) -> None:
    git(workplace.tree, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    git(workplace.tree, "symbolic-ref", "HEAD", "refs/heads/alias")
    commit = workplace.commit("one")
    assert [one["commit"] for one in workplace.told()] == [commit]


def test_a_hook_called_without_the_shim_is_told_as_well(workplace: Workplace) -> None:
    workplace.extra["GITCOORD"] = "0"
    commit = workplace.commit("one")
    del workplace.extra["GITCOORD"]
    subprocess.run([workplace.bin / "gitcoord", "hook", "git", "post-commit"], cwd=workplace.tree, env=workplace.env, check=True)
    assert [one["commit"] for one in workplace.told()] == [commit]


# --- who did it ------------------------------------------------------------------------------------------------------


def test_each_agent_tells_for_itself_and_nobody_for_another(workplace: Workplace) -> None:
    mine, other = {"CLAUDE_CODE_SESSION_ID": "a"}, {"CLAUDE_CODE_SESSION_ID": "b", "CODEX_THREAD_ID": "b"}
    workplace.bind("agent-a", mine)
    workplace.bind("agent-b", other)
    workplace.commit("by a", env=mine)
    workplace.commit("by b", env=other)
    workplace.commit("by a person")
    workplace.commit("by a stranger", env={"GEMINI_SESSION_ID": "c"})
    workplace.commit("by name", env={"GITCOORD_SESSION": "agent-b"})
    workplace.commit("by nobody", env={"GITCOORD_SESSION": "../x"})
    assert [one["target"] for one in workplace.told("agent-a")] == ["by a"]
    assert [one["target"] for one in workplace.told("agent-b")] == ["by b", "by name"]
    assert [one["target"] for one in workplace.told()] == ["by a person"]


def test_events_that_waited_are_still_told_by_who_did_them(bare_workplace: Workplace, gate: Gate) -> None:
    bare_workplace.extra["THROUGH"] = "1"
    bare_workplace.bind("agent-a", {"CLAUDE_CODE_SESSION_ID": "a"})
    bare_workplace.commit("by a person")
    bare_workplace.commit("by a", env={"CLAUDE_CODE_SESSION_ID": "a"})
    gate.open()
    assert [one["target"] for one in bare_workplace.told()] == ["by a person"]
    assert [one["target"] for one in bare_workplace.told("agent-a")] == ["by a"]


def test_where_no_session_ever_sat_nothing_is_started(bare_workplace: Workplace, gate: Gate) -> None:
    shutil.rmtree(bare_workplace.git_dir / "gitcoord")
    bare_workplace.commit("one")
    assert not (bare_workplace.git_dir / "gitcoord").exists()
    bare_workplace.bind()
    bare_workplace.commit("two")
    assert eventually(gate.started) == ["hook git post-commit"]


def test_a_linked_work_tree_tells_for_its_own_session(workplace: Workplace, tmp_path: Path) -> None:
    workplace.git("worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "another tree"))
    linked = Workplace(tmp_path / "another tree", workplace.bin, workplace.outbox)
    linked.commit("by nobody")
    linked.bind("session-002")
    commit = linked.commit("linked", "sub/file")
    linked.git("switch", "--quiet", "-c", "further")
    told = linked.told("session-002")
    assert [(one["target"], one["branch"]) for one in told] == [("linked", "linked"), ("further", "further")]
    assert told[0]["commit"] == commit
    assert workplace.told() == []


# --- the user's own hook ---------------------------------------------------------------------------------------------


@pytest.fixture
def kept(bare_workplace: Workplace, tmp_path: Path) -> Path:
    """Hooks of the user's, which are then kept; the file in which they note their arguments and standard input."""
    notes = tmp_path / "notes"
    for event in hooks_folder.EVENTS:
        script(
            bare_workplace.hooks / event,
            f'for word; do echo "{event} [$word]"; done >>{shlex.quote(str(notes))}\n'
            f'while read -r line; do echo "{event} <$line>"; done >>{shlex.quote(str(notes))}\n'
            f"echo said {event}; exit 3",
        )
    script(bare_workplace.bin / "gitcoord", f'exec {shlex.quote(sys.executable)} -m gitcoord "$@"')
    install(bare_workplace)
    return notes


def test_the_users_hook_runs_with_arguments_input_output_and_exit_code(bare_workplace: Workplace, kept: Path) -> None:
    old = bare_workplace.commit("one")
    done = bare_workplace.attempt("commit", "--quiet", "--amend", "-m", "better")
    new = git(bare_workplace.tree, "rev-parse", "HEAD")
    assert "said post-rewrite" in done.err
    assert kept.read_text().splitlines() == ["post-rewrite [amend]", f"post-rewrite <{old} {new}>"]
    kept.write_text("")
    root = git(bare_workplace.tree, "rev-parse", "HEAD~1")
    assert bare_workplace.attempt("checkout", "--quiet", root).code == 1  # git's own word for a hook that failed
    assert kept.read_text().splitlines() == [f"post-checkout [{word}]" for word in (new, root, "1")]
    assert [one["action"] for one in bare_workplace.told()] == ["committed", "committed", "rewrote", "switched"]
    called = subprocess.run(
        [bare_workplace.hooks / "post-merge", "0"], cwd=bare_workplace.tree, env=bare_workplace.env, capture_output=True
    )
    assert (called.returncode, called.stdout, called.stderr) == (3, b"said post-merge\n", b"")


@pytest.mark.parametrize("off", [{"GITCOORD": "0"}, {"GITCOORD_HOOK": "1"}])
def test_turned_off_only_the_users_hook_runs(bare_workplace: Workplace, kept: Path, off: dict[str, str]) -> None:
    assert "said post-commit" in bare_workplace.attempt("commit", "--allow-empty", "-m", "one", env=off).err
    assert not list((bare_workplace.git_dir / "gitcoord").glob("[!s]*"))
    subprocess.run(
        [bare_workplace.bin / "gitcoord", "hook", "git", "post-commit"], cwd=bare_workplace.tree, env=bare_workplace.env | off
    )
    assert bare_workplace.told() == []
    bare_workplace.commit("two")
    assert [one["target"] for one in bare_workplace.told()] == ["two"]


def test_a_hook_that_git_would_not_run_does_not_run(bare_workplace: Workplace, kept: Path) -> None:
    (bare_workplace.hooks / "post-commit.before-gitcoord").chmod(0o644)
    done = bare_workplace.attempt("commit", "--allow-empty", "-m", "one")
    assert (done.code, done.err) == (0, "")


def test_nothing_of_ours_is_in_the_environment_of_the_users_hook(bare_workplace: Workplace, tmp_path: Path) -> None:
    seen = shlex.quote(str(tmp_path / "seen"))
    script(bare_workplace.hooks / "post-commit", f"export -p >{seen}")
    bare_workplace.commit("one")
    before = (tmp_path / "seen").read_text()
    install(bare_workplace)
    bare_workplace.commit("two")
    after = (tmp_path / "seen").read_text()

    def names(text: str) -> set[str]:
        return {line.split("=")[0] for line in text.splitlines()}

    assert names(after) == names(before)


def test_put_aside_by_another_hook_manager_it_still_does_both(bare_workplace: Workplace, kept: Path) -> None:
    (bare_workplace.hooks / "post-commit").rename(bare_workplace.hooks / "post-commit.legacy")
    script(bare_workplace.hooks / "post-commit", '"$0.legacy" "$@"')
    assert "said post-commit" in bare_workplace.attempt("commit", "--allow-empty", "-m", "one").err
    assert [one["target"] for one in bare_workplace.told()] == ["one"]


def test_two_of_ours_do_not_call_each_other_without_end(bare_workplace: Workplace, kept: Path) -> None:
    shutil.copy(bare_workplace.hooks / "post-commit", bare_workplace.hooks / "post-commit.legacy")
    script(bare_workplace.hooks / "post-commit.before-gitcoord", '"${0%/*}/post-commit.legacy" "$@"; echo said once')
    assert bare_workplace.attempt("commit", "--allow-empty", "-m", "one").err == "said once\n"
    shutil.copy(bare_workplace.hooks / "post-commit", bare_workplace.hooks / "post-commit.before-gitcoord")
    assert bare_workplace.attempt("commit", "--allow-empty", "-m", "two").err == ""
    assert [one["target"] for one in bare_workplace.told()] == ["one", "two"]


def test_another_shell_understands_it_too(bare_workplace: Workplace, kept: Path) -> None:
    bash = shutil.which("bash", path="/bin:/usr/bin:/usr/local/bin")
    if bash is None:
        pytest.skip("there is no bash here")
    path = bare_workplace.hooks / "post-commit"
    path.write_text(path.read_text().replace("#!/bin/sh", f"#!{bash} --posix", 1))
    assert bare_workplace.attempt("commit", "--allow-empty", "-m", "one").err == "said post-commit\n"
    assert [one["target"] for one in bare_workplace.told()] == ["one"]


# --- nothing hurts ---------------------------------------------------------------------------------------------------


def test_without_gitcoord_a_commit_is_a_commit(bare_workplace: Workplace) -> None:
    install(bare_workplace)
    done = bare_workplace.attempt("commit", "--allow-empty", "-m", "one")
    assert (done.code, done.err) == (0, "")
    assert not list((bare_workplace.git_dir / "gitcoord").glob("event.*"))


def test_the_recorded_program_is_for_a_path_without_one(bare_workplace: Workplace, tmp_path: Path) -> None:
    place = tmp_path / "it's $HOME"
    place.mkdir()
    script(place / "gitcoord", f'echo "$@" >{shlex.quote(str(tmp_path / "recorded"))}')
    install(bare_workplace, str(place / "gitcoord"))
    bare_workplace.commit("one")
    assert eventually(lambda: (tmp_path / "recorded").exists() and (tmp_path / "recorded").read_text())
    (tmp_path / "recorded").unlink()
    (bare_workplace.git_dir / "gitcoord" / "at-work").unlink()  # the real one would have done so
    script(bare_workplace.bin / "gitcoord", f"echo >{shlex.quote(str(tmp_path / 'found'))}")
    bare_workplace.commit("two")
    assert eventually((tmp_path / "found").exists)
    assert not (tmp_path / "recorded").exists()


def run(workplace: Workplace, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The hook face, with warnings as errors, as it would be seen on a terminal."""
    code = "import sys; from gitcoord.githooks.run import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *words], cwd=workplace.tree, env={**workplace.env, **(env or {})},
        capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )  # fmt: skip


GARBAGE = [
    ("git",),
    ("git", ""),
    ("git", "pre-push", "origin", "url"),
    ("git", "post-commit", "--help", "\x1b[31m"),
    ("git", "post-checkout"),
    ("git", "post-checkout", "x"),
    ("git", "post-checkout", "", "", "yes", "more"),
    ("git", "post-rewrite", "\udcff"),
    ("--help",),
    ("stop", "{}"),
    ("",),
]


@pytest.mark.parametrize("words", GARBAGE, ids=[" ".join(words).encode("ascii", "replace").decode() for words in GARBAGE])
def test_garbage_is_answered_with_nothing_and_0(workplace: Workplace, words: tuple[str, ...]) -> None:
    done = run(workplace, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "env",
    [
        {"GIT_DIR": "/nonexistent"},
        {"GIT_DIR": "\udcff", "GIT_WORK_TREE": "\n"},
        {"GIT_WORK_TREE": "/nonexistent"},
        {"PATH": ""},
        {"PATH": "/nonexistent", "HOME": ""},
        {"GITCOORD_HEAD": "HEAD; rm -rf / refs"},
        {"GITCOORD_HEAD": "left"},
        {"GITCOORD_HEAD": f"{'0' * 40} refs/heads/../../x"},
        {"GITCOORD_SESSION": "\x00".strip("\x00") + "\n\x1b"},
        {"CLAUDE_CODE_SESSION_ID": "\udcff"},
        {"GIT_CONFIG_COUNT": "many", "GIT_INDEX_FILE": "/nonexistent", "GIT_OBJECT_DIRECTORY": "/nonexistent"},
    ],
)
def test_a_strange_environment_is_answered_with_nothing_and_0(workplace: Workplace, env: dict[str, str]) -> None:
    for event in hooks_folder.EVENTS if "GIT_DIR" in env else hooks_folder.EVENTS[:1]:
        done = run(workplace, "git", event, "1", "2", "1", env=env)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("lost", ["gitcoord.machine.files", "gitcoord.warm.client", "gitcoord.warm.address"])
def test_a_broken_installation_is_answered_with_nothing_and_0(workplace: Workplace, lost: str) -> None:
    code = f"import sys; sys.modules[{lost!r}] = None; from gitcoord.main import main; sys.exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", code, "hook", "git", "post-commit"], cwd=workplace.tree, capture_output=True, text=True, check=False,
        env={**os.environ, address.SWITCH: "0"},
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_outside_of_a_repository_nothing_happens(workplace: Workplace, tmp_path: Path) -> None:
    done = run(
        Workplace(tmp_path, workplace.bin, workplace.outbox),
        "git",
        "post-commit",
        env={"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_in_the_outboxes_place_is_set_aside_and_in_the_log(workplace: Workplace) -> None:
    shutil.rmtree(workplace.outbox)
    workplace.outbox.write_text("no folder")
    done = run(workplace, "git", "post-commit")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "was set aside" in workplace.log()
    assert len(workplace.told()) == 1


def test_an_outbox_that_cannot_be_written_is_in_the_log_only(workplace: Workplace) -> None:
    workplace.outbox = Path("relative")
    workplace.bind()
    done = run(workplace, "git", "post-commit")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "post-commit: " in workplace.log()
    assert not (workplace.tree / "relative").exists()
    committed = workplace.attempt("commit", "--allow-empty", "-m", "one")
    assert (committed.code, committed.err) == (0, "")
    eventually(lambda: len(workplace.log().splitlines()) == 2)
    assert workplace.told() == []


def test_the_log_stays_small(workplace: Workplace) -> None:
    workplace.outbox = Path("relative")
    workplace.bind()
    path = workplace.git_dir / "gitcoord" / "hook.log"
    path.write_text("x" * 70_000)
    run(workplace, "git", "post-commit")
    assert path.stat().st_size < 40_000
    assert workplace.log().splitlines()[-1].endswith("post-commit: ValueError: the session's outbox is no place")


def test_the_spool_stays_small(workplace: Workplace) -> None:
    spool = workplace.outbox / "spool" / "session-001"
    spool.mkdir(parents=True)
    for number in range(600):
        (spool / f"{number:026}.json").write_text("{}")
    workplace.commit("one")
    assert len(workplace.told()) <= 501
    assert workplace.told()[-1]["target"] == "one"


def test_a_damaged_event_is_thrown_away(workplace: Workplace) -> None:
    own = workplace.git_dir / "gitcoord"
    (own / "event.1.x").write_bytes(b"\xff\xfe nonsense" + b"\n" * 9)
    (own / "event.2.x").write_bytes(b"post-commit HEAD refs/heads/main \n" + b"\n" * 9)
    workplace.commit("one")
    assert [one["target"] for one in workplace.told()] == ["one"]
    assert workplace.log() == ""


def test_it_loads_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import gitcoord.githooks.run; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["gitcoord"]


@pytest.mark.parametrize("way", ["own file", "shared lines"])
def test_nothing_of_the_checkout_is_run_or_imported(workplace: Workplace, tmp_path: Path, way: str) -> None:
    """With a PATH and variables of Python's that lead into the folder that one stands in."""
    script(workplace.bin / "gitcoord", f'exec {shlex.quote(sys.executable)} -P -m gitcoord "$@"')
    if way == "shared lines":
        hooks_folder.uninstall(workplace.hooks, common_dir=workplace.hooks.parent)
        shared.install(workplace.hooks, guard=True, trailers=True)
    mark = tmp_path / "run"
    for name in ("sitecustomize.py", "usercustomize.py", "json.py", "typing.py", "gitcoord/__init__.py"):
        (workplace.tree / name).parent.mkdir(exist_ok=True)
        (workplace.tree / name).write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    (workplace.tree / "bin").mkdir()
    for name in ("gitcoord", "git", "ssh", "id"):
        script(workplace.tree / "bin" / name, f"echo {name} >>{shlex.quote(str(mark))}")
    env = {"PATH": f"bin:{workplace.bin}:", "PYTHONPATH": ".:", "PYTHONUSERBASE": ".", "PYTHONPYCACHEPREFIX": "cache"}
    git(workplace.tree, "add", "--all")
    workplace.git("commit", "--quiet", "-m", "one", env=env)
    if way == "own file":
        eventually(lambda: workplace.told())
    assert not mark.exists(), mark.read_text()


# --- the flush that follows ------------------------------------------------------------------------------------------


def test_one_flush_is_started_and_one_more_makes_up_for_what_came_soon_after(workplace: Workplace, tmp_path: Path) -> None:
    (workplace.git_dir / "gitcoord" / "synced").unlink()
    notes = tmp_path / "flushes"
    notes.mkdir()
    recorder = script(
        tmp_path / "recorder",
        f'exec >{shlex.quote(str(notes))}/$$\npwd\nfor word; do echo "$word"; done\nexport -p\necho the end',
    )
    code = f"import sys; sys.executable = {str(recorder)!r}; from gitcoord.githooks.run import main; sys.exit(main(sys.argv[1:]))"
    (workplace.tree / "gitcoord.py").write_text("raise SystemExit('a module of the work tree was run')")
    script(workplace.bin / "gitcoord", f'shift; exec {shlex.quote(sys.executable)} -P -c {shlex.quote(code)} "$@"')
    for subject in ("one", "two", "three"):
        workplace.commit(subject, env={"GIT_AUTHOR_EMAIL": "somebody@else.example", "CODEX_THREAD_ID": ""})
    assert len(workplace.told()) == 3

    def flushes() -> list[list[str]]:
        found = [path.read_text().splitlines() for path in notes.iterdir()]
        return found if found and all(lines and lines[-1] == "the end" for lines in found) else []

    def both() -> list[list[str]]:
        found = sorted(flushes(), key=len)
        return found if len(found) == 2 else []

    later, lines = eventually(both)
    assert "bide" in " ".join(later[4:5])
    assert (later[5], 0 < float(later[6]) <= 15) == (str(workplace.tree), True)
    assert lines[0] == "/"
    assert lines[1:4] == ["-E", "-P", "-c"]
    assert lines[5:10] == ["-C", str(workplace.tree), "sync", "--if-due", "--quiet"]
    names = {line.removeprefix("export ").partition("=")[0] for line in lines[10:]}
    assert "GITCOORD_HOOK" in names
    assert names & {"GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_AUTHOR_EMAIL", "GITCOORD_HEAD"} == set()

    os.utime(workplace.git_dir / "gitcoord" / "synced", (0, 0))
    workplace.commit("four")
    eventually(lambda: len(flushes()) == 3)


def test_the_branch_of_a_commit_stays_where_its_lines_are_told_after_it() -> None:
    """Who looks for a pushed branch that will conflict goes by it: a session without one was never found."""
    committed = {"at": "2026-11-30T10:00:00Z", "action": "committed", "branch": "work", "commit": "a" * 40, "files": []}
    lines = {"at": "2026-11-30T10:00:02Z", "base": "b" * 40, "commit": "c" * 40, "touches": ["src/api.py:20"]}
    told = fold("ada", [committed, lines], "op1")
    assert told is not None
    assert (told.branch, told.commit, told.base, told.touches) == ("work", "c" * 40, "b" * 40, ("src/api.py:20",))
    detached = fold("ada", [committed, {**committed, "at": "2026-11-30T10:00:01Z", "branch": ""}, lines], "op2")
    assert detached is not None
    assert detached.branch is None
