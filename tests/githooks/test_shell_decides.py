"""The hooks decide in shell where all is plain. Whatever they decide so, the program would have decided, too: tables of cases, each
given to both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
from clones import Seat, snapshot
from gits import attempt, git
from guards import Day, begin, commit, write
from remotes import Remote

from gitcoord.git import discovery
from gitcoord.githooks import folder as hooks_folder
from gitcoord.machine.identity import Binding, Identity, seated

SHELLS = [words for words in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(words[0])]
NAMES = ["-".join(words) for words in SHELLS]


T = TypeVar("T")


def some(rows: list[T], shell: list[str]) -> list[T]:
    """The whole table for the plainest shell, a part for the others: they differ in what they can do, not in what they decide."""
    return rows if shell[0].endswith(SHELLS[0][0]) else rows[::4]


@dataclass
class Hooks:
    """Ben's clone with the guard and the trailers, and a `gitcoord` that only notes in `ran` how it was started. `shell`: what runs
    the hooks that the tests call by themselves.
    """

    day: Day
    shell: list[str]
    ran: Path

    @property
    def ben(self) -> Seat:
        """Who commits."""
        return self.day.ben

    @property
    def own(self) -> Path:
        """Our folder in ben's clone."""
        return self.ben.path / ".git" / "gitcoord"

    def started(self) -> list[str]:
        """How the program was started since the last call."""
        lines = self.ran.read_text().splitlines() if self.ran.exists() else []
        self.ran.unlink(missing_ok=True)
        return lines

    def call(self, event: str, *words: str, cwd: Path | None = None, **extra: str) -> bool:
        """Calls a hook by itself; True if it decided without the program."""
        hook = self.ben.path / ".git" / "hooks" / event
        env = {**self.ben.env, **extra}
        done = subprocess.run(
            [*self.shell, hook, *words], cwd=cwd or self.ben.path, env=env, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return not self.started()

    def allows(self, **extra: str) -> bool:
        """True if the guard lets a commit happen without having asked the program."""
        return self.call("pre-commit", **extra)

    def commit(self, *words: str, cwd: Path | None = None, **extra: str) -> bool:
        """Makes a commit; True if the guard asked no program."""
        done = attempt(cwd or self.ben.path, "commit", "-q", *words, env={**self.ben.env, **extra})
        assert done.code == 0, done
        return "guard --staged" not in self.started()

    def stage(self, *names: str) -> None:
        """Has exactly these files staged."""
        self.ben.git("reset", "-q", "--hard")
        self.ben.git("clean", "-q", "-d", "-f")
        write(self.ben, *names)
        self.ben.git("--literal-pathspecs", "add", "--force", "--", *names)

    def see(self) -> None:
        """Has the view noted that this clone has now."""
        assert self.ben.run("sync").code == 0

    def program_says(self, **extra: str) -> str:
        """What the program says of what is staged."""
        seat = replace(self.ben, session="", extra={**self.ben.extra, **extra})
        return str(seat.ok("guard", "--staged")["outcome"])


@pytest.fixture
def settled(file_remote: Remote, pair: tuple[Seat, Seat], tmp_path: Path) -> Callable[[list[str]], Hooks]:
    """Has ben's hooks installed, with a PATH on which there are git and what a hook may need."""

    def settle(shell: list[str]) -> Hooks:
        tools = tmp_path / "bin"
        tools.mkdir()
        for name in ("git", "date", "find", "id", "sh"):
            (tools / name).symlink_to(shutil.which(name) or name)
        ran = tmp_path / "ran"
        (tools / "gitcoord").write_text(f'#!/bin/sh\necho "$*" >>{ran}\n')
        (tools / "gitcoord").chmod(0o755)
        day = begin(file_remote, *pair)
        day.ben.git("config", "--unset", "gitcoord.guard")
        common = day.ben.path / ".git"
        hooks_folder.install(common / "hooks", common_dir=common, guard=True, trailers=True)
        shell = [shutil.which(shell[0]) or "", *shell[1:]]
        day.ben.extra |= {"PATH": str(tools)}
        return Hooks(day, shell, ran)

    return settle


@pytest.fixture
def hooks(settled: Callable[[list[str]], Hooks]) -> Hooks:
    """The same with the plainest shell that is here."""
    return settled(SHELLS[0])


# --- the guard ------------------------------------------------------------------------------------------------------------

HERS = ("src/api.py", "docs", "app/[id]/page.tsx", "pkg/*.py", "odd name/$(touch ran)", "lib/in/it")
BENS = ("mine.txt", "own/*.txt")
GUARDED = [
    (("free.txt",), True), (("src/api.pyx",), True), (("src/b.py", "srcs/api.py"), True), (("app/i/page.tsx",), True),
    (("with space", "q\"uote", "'", "$(x)", "-n", "*", ":(top)src"), True), (("mine.txt",), True), (("own/a.txt",), True),
    (("mine.txt", "free.txt"), True), (("Src/API.py",), True),
    (("src/api.py",), False), (("docs/deep/x.md",), False), (("app/[id]/page.tsx",), False), (("pkg/deep/a.py", "free.txt"), False),
    (("pkg/a.txt",), False), (("odd name/$(touch ran)",), False), (("lib",), False), (("shared.txt",), False),
    (("naïve.txt",), False), (("two\nlines",), False), (("mine.txt", "src/api.py"), False),
]  # fmt: skip
"""What is staged, and whether the guard lets it pass without the program."""


@pytest.mark.parametrize("shell", SHELLS, ids=NAMES)
def test_the_guard_lets_nothing_pass_that_the_program_would_not(settled: Callable[[list[str]], Hooks], shell: list[str]) -> None:
    hooks = settled(shell)
    hooks.day.claim("shared.txt", by=hooks.ben, see=False, mode="shared")
    hooks.day.claim("shared.txt", see=False, mode="shared")
    hooks.day.claim(*HERS, see=False)
    hooks.day.claim(*BENS, by=hooks.ben, see=False)
    assert hooks.ben.run("guard", "--staged").code == 0
    hooks.see()
    for staged, plain in some(GUARDED, shell):
        hooks.stage(*staged)
        assert hooks.allows() == plain, staged
        assert hooks.program_says() == "allowed" or not plain, staged
    hooks.stage("src/api.py")
    for name in ("GIT_LITERAL_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_GLOB_PATHSPECS"):
        assert not hooks.allows(**{name: "1"}), name
    hooks.stage("Src/API.py")
    hooks.ben.git("config", "core.ignorecase", "true")
    hooks.see()
    hooks.ben.run("guard", "--staged")
    assert not hooks.allows()
    assert not list(hooks.ben.path.rglob("ran"))


def test_where_others_hold_nothing_no_git_is_asked_either(hooks: Hooks) -> None:
    hooks.day.claim("free.txt", by=hooks.ben)
    assert hooks.ben.run("guard", "--staged").code == 0
    hooks.stage("free.txt")
    (Path(hooks.ben.extra["PATH"]) / "git").unlink()
    assert hooks.allows()


def test_a_text_of_another_view_is_believed_by_nobody(hooks: Hooks) -> None:
    """A memory of the same second, with the same length, is another view all the same."""
    hooks.day.claim("docs")
    hooks.stage("free.txt")
    assert not hooks.allows()  # nothing was noted yet
    assert hooks.ben.run("guard", "--staged").code == 0
    assert hooks.allows()
    [memory] = hooks.own.glob("checked-*.json")
    [text] = hooks.own.glob("held-*.txt")
    date = memory.stat().st_mtime_ns
    hooks.day.claim("free.txt")  # seen, but not noted
    os.utime(memory, ns=(date, date))
    assert not hooks.allows()
    hooks.see()
    assert not hooks.allows()
    hooks.stage("src/api.py")
    assert hooks.allows()
    good = text.read_text()
    for bad in ("", good.replace("leases 1", "leases 2"), good.replace("\nend\n", "\n"), good.replace(":(top", "/(top")):
        text.write_text(bad)
        assert not hooks.allows(), bad
    text.write_text(good)
    assert hooks.allows()
    (text.parent / good.split()[3]).unlink()
    assert not hooks.allows()
    assert hooks.ben.run("sync").code == 0
    assert hooks.allows()
    (text.parent / text.read_text().split()[3]).unlink()
    short(hooks)
    assert hooks.allows()  # the program's own short way notes it anew
    shutil.copy(memory, hooks.own / "checked-other.json")
    assert not hooks.allows()  # of two branches only the settings can tell


def short(hooks: Hooks) -> None:
    """Has the guard's short way look."""
    code = "import os; from gitcoord.guard.fast import is_allowed; assert is_allowed(['--staged'], os.environ)"
    subprocess.run([sys.executable, "-c", code], cwd=hooks.ben.path, env=hooks.ben.env, check=True)


def test_another_users_folder_is_not_looked_into(hooks: Hooks) -> None:
    if os.geteuid():
        pytest.skip("only the superuser can give a folder away")
    assert hooks.ben.run("guard", "--staged").code == 0
    hooks.stage("free.txt")
    assert hooks.allows()
    os.chown(hooks.own, 4711, -1)
    assert not hooks.allows()


def test_a_commit_of_every_kind_is_judged_by_its_own_index(hooks: Hooks, tmp_path: Path) -> None:
    hooks.day.claim("src")
    assert hooks.ben.run("guard", "--staged").code == 0
    hooks.stage("src/api.py")
    write(hooks.ben, "free.txt")
    assert hooks.commit("-m", "one file", "free.txt")
    assert not hooks.commit("-m", "the rest", "-a")
    assert hooks.commit("--amend", "-m", "no file at all")
    linked = tmp_path / "linked"
    hooks.ben.git("worktree", "add", "-q", "-b", "side", str(linked))
    (linked / "free.txt").write_text("linked\n")
    assert hooks.commit("-am", "linked", cwd=linked)
    (linked / "src" / "b.py").write_text("linked\n")
    assert not hooks.commit("-am", "hers", cwd=linked)
    write(hooks.ben, "free.txt", text="here\n")
    assert hooks.commit("-am", "here")
    assert attempt(hooks.ben.path, "merge", "side", env=hooks.ben.env).code == 1
    write(hooks.ben, "free.txt", text="both\n")
    assert not hooks.commit("-am", "merged")  # what others changed is not told from what is staged
    hooks.ben.git("checkout", "-q", "--orphan", "new")
    assert not hooks.commit("-m", "the first")


def test_in_a_submodule_its_own_notes_count(hooks: Hooks, tmp_path: Path) -> None:
    hooks.day.claim("src")
    hooks.ben.run("guard", "--staged")
    top = tmp_path / "top"
    git(tmp_path, "init", "-q", str(top))
    git(top, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(hooks.ben.path), "sub")
    inside = top / ".git" / "modules" / "sub"
    shutil.copytree(hooks.own, inside / "gitcoord", copy_function=os.link)
    hooks_folder.install(inside / "hooks", common_dir=inside, guard=True)
    for name, plain in (("free.txt", True), ("src/api.py", False)):
        (top / "sub" / name).write_text("changed\n")
        assert hooks.commit("-m", name, name, cwd=top / "sub") == plain


# --- who sits here ----------------------------------------------------------------------------------------------------------

SAYS = "Coord-Session: "


def bind(hooks: Hooks, session: str, *, at: int, place: Path | None = None, **agent: str) -> None:
    """Binds a session in that work tree's git folder, at that second."""
    identity = Identity(place or hooks.own.parent)
    identity.bind(Binding(session, f"run-{session}", 1, "", "outbox", agent))
    os.utime(identity.own / "sessions" / f"{session}.json", (at, at))


WHO: list[tuple[dict[str, str], str | None]] = [
    ({}, "newest"), ({"GITCOORD_SESSION": "older"}, "older"), ({"GITCOORD_SESSION": "agent"}, "agent"),
    ({"CLAUDE_CODE_SESSION_ID": "a-1"}, "agent"), ({"CODEX_THREAD_ID": "x", "CODEX_SESSION_ID": "c-1"}, "both"),
    ({"CLAUDE_CODE_SESSION_ID": "a-1", "CODEX_THREAD_ID": "c-1"}, "nested"), ({"CLAUDE_CODE_SESSION_ID": "twice"}, "second"),
    # What only the program can tell:
    ({"GITCOORD_SESSION": "nobody"}, None), ({"GITCOORD_SESSION": "../x"}, None), ({"CLAUDE_CODE_SESSION_ID": "new"}, None),
    ({"CLAUDE_CODE_SESSION_ID": "elsewhere"}, None), ({"COPILOT_CLI": "1"}, None), ({"CLAUDE_CODE_SESSION_ID": 'q"}'}, None),
    ({"GEMINI_CLI": "1", "GITCOORD_SESSION": "older"}, "older"),
]  # fmt: skip
"""The variables of who commits, and whose commit it is as far as a shell can tell."""


@pytest.mark.parametrize("shell", SHELLS, ids=NAMES)
def test_who_commits_is_who_the_program_says(settled: Callable[[list[str]], Hooks], tmp_path: Path, shell: list[str]) -> None:
    hooks = settled(shell)
    shutil.rmtree(hooks.own / "sessions")
    message = tmp_path / "message"
    message.write_text("words\n")
    assert hooks.call("commit-msg", str(message))
    assert message.read_text() == "words\n"  # nobody sits here
    linked = tmp_path / "linked"
    hooks.ben.git("worktree", "add", "-q", "--detach", str(linked))
    elsewhere = hooks.own.parent / "worktrees" / "linked"
    bind(hooks, "other", at=90, place=elsewhere, CLAUDE_CODE_SESSION_ID="elsewhere")
    for number, (session, agent) in enumerate({
        "older": {}, "newest": {}, "agent": {"CLAUDE_CODE_SESSION_ID": "a-1"}, "both": {"CODEX_THREAD_ID": "c-1"},
        "nested": {"CLAUDE_CODE_SESSION_ID": "a-1", "CODEX_THREAD_ID": "c-1"},
        "first": {"CLAUDE_CODE_SESSION_ID": "twice"}, "second": {"CLAUDE_CODE_SESSION_ID": "twice"},
    }.items()):  # fmt: skip
        bind(hooks, session, at=1000 + 2 * number, **agent)
    for environ, session in WHO:
        message.write_text("words\n")
        plain = hooks.call("commit-msg", str(message), **environ)
        found = seated(str(hooks.own.parent), discovery.git_dirs(str(hooks.own.parent)), environ).sitting(environ)
        if session is None:
            assert (plain, message.read_text()) == (False, "words\n"), environ
        else:
            assert (plain, message.read_text()) == (True, f"words\n\n{SAYS}{session}\n"), environ
            assert found is not None, environ
            assert found.session == session, environ
    bind(hooks, "older", at=1002)  # at the same time as the newest
    assert not hooks.call("commit-msg", str(message))


# --- the trailers -----------------------------------------------------------------------------------------------------------

MESSAGES = [
    ("words\n", True), ("words", True), ("words\n\nmore\n\nSigned-off-by: x <x@y>\n", True), ("words\n# a comment\n", True),
    ("\n\nwords\n", True), (f"words\n\n{SAYS}ben\n", True), (f"words\n\n{SAYS}older\n", True),
    ("words\n\n#12: not a comment\n", True), ("words\n---\nno divider\n", True), ("w\r\nords\r\n", True),
    ("", False), ("# only\n", False), ("\n", False), ("Signed-off-by: x <x@y>\n", False), ("é\n", False), ("  indented\n", False),
    ("words\n# ------------------------ >8 ------------------------\ndiff\n", False), ("x\n" * 600, False),
]  # fmt: skip
"""A commit's message, and whether it is plain."""
HELD = ("src/api.py", "docs", "app/[id]/page.tsx", "lib/in/it", "odd name/$(touch ran)", "a", "a/b")
STAGED = [
    (("free.txt",), True), (("src/api.py",), True), (("src/api.pyx",), True), (("docs/x.md", "src/api.py", "free.txt"), True),
    (("app/[id]/page.tsx", "app/i/page.tsx"), True), (("lib",), True), (("odd name/$(touch ran)",), True), (("a/b/c",), True),
    (("two\nlines",), False), (("naïve.txt",), False), (tuple(f"many/{number}" for number in range(120)), False), ((), True),
]  # fmt: skip
"""What is staged, and whether the shell can tell which leases cover it."""


@pytest.mark.parametrize("shell", SHELLS, ids=NAMES)
def test_the_trailers_are_those_of_the_program(settled: Callable[[list[str]], Hooks], tmp_path: Path, shell: list[str]) -> None:
    hooks = settled(shell)
    hooks.day.claim(*HELD, by=hooks.ben, see=False)
    assert hooks.ben.run("claim", "deploy:production").code == 0
    message = tmp_path / "message"
    alone = replace(hooks.ben, session="")

    def compare(text: str, *, plain: bool, **settings: str) -> None:
        message.write_bytes(text.encode())
        assert hooks.call("commit-msg", str(message), **settings) == plain, text
        by_shell = message.read_bytes()
        message.write_bytes(text.encode())
        replace(alone, extra={**alone.extra, **settings}).run("hook", "git", "commit-msg", str(message))
        assert by_shell == (message.read_bytes() if plain else text.encode()), text

    hooks.stage("src/api.py", "free.txt")
    for text, plain in some(MESSAGES, shell):
        compare(text, plain=plain)
    compare("words\n", plain=False, GITCOORD_SESSION="nobody")
    for staged, plain in some(STAGED, shell):
        hooks.stage(*staged) if staged else hooks.ben.git("reset", "-q", "--hard")
        compare("words\n", plain=plain)
    hooks.stage("src/api.py")
    for key, value in {"core.commentChar": ";", "commit.template": "form"}.items():
        hooks.ben.git("config", key, value)
        compare("words\n", plain=False)
        hooks.ben.git("config", "--unset", key)
    hooks.ben.git("config", "trailer.separators", "=")
    compare("words\n", plain=True)
    held = hooks.own / "held" / "ben.json"
    text = held.read_text()
    for name in ("src/*.py", "a//b", "./a", "."):
        held.write_text(text.replace("file:docs", f"file:{name}"))
        compare("words\n", plain=False)
    held.write_text(text)
    identity = Identity(hooks.own.parent)
    entry = next(entry for entry in identity.held("ben") if entry.endswith("src/api.py"))
    identity.drop("ben", [entry])
    identity.add("ben", {entry.replace(" ", "1 "): (1_000_000_000.5, 60)}, 10**6)  # a lease that is over is not named
    compare("words\n", plain=True)
    hooks.ben.git("checkout", "-q", "--orphan", "new")
    compare("words\n", plain=False)
    assert not list(hooks.ben.path.rglob("ran"))


def test_it_touches_nothing_of_the_users(hooks: Hooks) -> None:
    hooks.day.claim("docs", see=False)
    hooks.day.claim("src", by=hooks.ben)
    hooks.ben.run("guard", "--staged")
    hooks.stage("src/api.py")
    message = hooks.ben.path.parent / "message"
    message.write_text("words\n")
    before = snapshot(hooks.ben.path)
    assert hooks.allows()
    assert hooks.call("commit-msg", str(message))
    assert snapshot(hooks.ben.path) == before


def test_a_guarded_commit_with_trailers_starts_no_program(hooks: Hooks) -> None:
    hooks.day.claim("docs", see=False)
    hooks.day.claim("src", by=hooks.ben)
    hooks.ben.run("guard", "--staged")
    for name in ("src/api.py", "free.txt"):
        hooks.stage(name)
        assert attempt(hooks.ben.path, "commit", "-q", "-m", name, env=hooks.ben.env).code == 0
        assert set(hooks.started()) <= {"hook git post-commit"}  # nobody waits for that
        assert f"{SAYS}ben" in hooks.ben.git("log", "-1", "--format=%B")
    assert "file:src" in hooks.ben.git("log", "-1", "--format=%B", "HEAD~1")


def test_a_view_that_is_not_looked_after_is_looked_after_once(hooks: Hooks) -> None:
    assert hooks.ben.run("guard", "--staged").code == 0
    commit(hooks.ben, "more", "free.txt")
    [memory] = hooks.own.glob("checked-*.json")
    os.utime(memory, (1_000_000_000, 1_000_000_000))
    script = Path(hooks.ben.extra["PATH"]) / "gitcoord"
    told = hooks.ran.with_name("told")
    os.mkfifo(told)
    script.write_text(f'#!/bin/sh\necho "$GITCOORD_HOOK $*" >{told}\n')
    hooks.stage("free.txt")
    assert hooks.allows()
    assert told.read_text() == f"1 -C {hooks.ben.path} sync --quiet\n"
    script.write_text("#!/bin/sh\n: >/nowhere/at/all\n")
    stamp = (hooks.own / "looked").stat().st_mtime_ns
    assert hooks.allows()
    assert (hooks.own / "looked").stat().st_mtime_ns == stamp
