"""`gitcoord hook` as coding agents call it: who they are, what they are told, what is kept from them, and that it never hurts."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agent_player import Claude, Host
from clones import PROGRAM, Seat, Seats, at_work, file, until
from remotes import Remote

from gitcoord.machine.identity import Identity

Agent = Callable[..., Claude]


@pytest.fixture
def agent() -> Iterator[Agent]:
    """Makes agents: `agent(seat)`, another of the same process by `host`."""
    made: list[Host] = []

    def make(seat: Seat, id: str = "c-1", host: Host | None = None) -> Claude:
        host = host or Host(seat)
        made.append(host)
        return Claude(seat, id, host)

    yield make
    for host in made:
        host.kill()


@pytest.fixture
def ada(file_remote: Remote, seats: Seats) -> Seat:
    """A clone with the branch made."""
    (seat,) = seats(file_remote, "ada")
    with seat.here() as found:
        found.coordinator.setup.init()
    return seat


def sessions(seat: Seat) -> dict[str, str]:
    """Each session on the branch, with its status."""
    with seat.here() as found:
        return {name: one.status for name, one in found.coordinator.branch.view().state.sessions.items()}


def held(seat: Seat) -> list[tuple[str, str, str]]:
    """Each lease on the branch: what, whose, and of which run."""
    with seat.here() as found:
        return [(str(one.resource), one.claimed_by, one.run_id) for one in found.coordinator.branch.view().state.claims.values()]


def claim(claude: Claude, *names: str, **given: Any) -> int:
    """Its session claims files; the fence."""
    with replace(claude.seat, session=claude.session).here() as found:
        return found.coordinator.claims.acquire(file(*names), **given).claims[0].fence


# --- start -------------------------------------------------------------------------------------------------------------


def test_an_agent_that_starts_is_registered_and_briefed_and_types_as_that_session(ada: Seat, agent: Agent) -> None:
    claude = agent(ada)
    told = claude.start()
    assert "You are session claude-main" in told
    assert "gitcoord claim PATH" in told
    assert "begin -----" in told
    assert len(told.encode()) <= 4096
    assert claude.gitcoord("whoami")["session_id"] == "claude-main"
    assert claude.gitcoord("claim", "x")["claims"][0]["claimed_by"] == "claude-main"
    assert sessions(ada) == {"claude-main": "active"}
    [record] = ada.ok("status")["sessions"]
    assert record["agent"] == "claude-code"


def test_started_in_a_clone_that_has_never_seen_the_branch_it_looks_at_the_remote_once(
    file_remote: Remote, seats: Seats, agent: Agent
) -> None:
    ada, ben = seats(file_remote, "ada", "ben")
    assert agent(ada).start() == ""
    assert not list(ada.path.glob(".git/gitcoord*"))  # where nobody coordinates it leaves nothing
    with ben.here() as found:
        found.coordinator.setup.init()
    assert agent(ada).start() == ""  # it asked a moment ago
    for asked in ada.outbox.parent.glob(f"state-{ada.path.name}/gitcoord/asked/*"):
        asked.unlink()
    assert "You are session claude-main" in agent(ada).start()


def test_in_a_new_clone_of_a_long_branch_it_is_told_so_and_registered_once_the_history_is_checked(
    long_remote: Remote, seats: Seats, agent: Agent
) -> None:
    (ada,) = seats(long_remote, "ada")
    with ada.here() as found:
        memory = found.memory
    memory.path.parent.mkdir(exist_ok=True)
    with open(memory.lock, "wb") as file:  # somebody checks it, and takes longer than a hook may
        fcntl.flock(file, fcntl.LOCK_EX)
        told = agent(ada).start()
        assert "You are no session yet" in told
        assert "unverified: the history is still being checked" in told
        assert memory.load().seq == 0
    ada.ok("sync")
    assert "You are session claude-main" in agent(ada).start()


def test_started_again_in_the_same_process_nothing_changes(ada: Seat, agent: Agent) -> None:
    claude = agent(ada)
    claude.start()
    before = claude.run
    claude.hook("SessionStart", source="startup", prompt_id="another")
    assert claude.run == before


def test_resumed_it_is_the_same_session_in_a_new_run(ada: Seat, agent: Agent) -> None:
    old = agent(ada)
    old.arrive()
    claim(old, "x")
    before = old.run
    new = agent(ada)  # the same id, another process
    new.start("resume")
    assert (new.session, new.run != before) == ("claude-main", True)
    assert held(ada) == [("file:x", "claude-main", new.run)]


def test_resumed_after_its_end_it_goes_on_with_its_mail_and_what_is_free_of_its_claims(ada: Seat, agent: Agent) -> None:
    old = agent(ada)
    old.arrive()
    claim(old, "x", "y")
    old.end()
    old.settle()
    other = agent(ada, "c-2")
    other.arrive()
    claim(other, "y")
    with replace(ada, session=other.session).here() as found:
        found.coordinator.messages.send("claude-main", "while you were away", "")
    new = agent(ada)  # the same id, another process
    told = new.start("resume")
    assert "You are session claude-main." in told
    assert "while you were away" in told
    assert "hold it no more: file:y (now with claude-main-2)." in told
    assert new.session == "claude-main"
    assert held(ada) == [("file:x", "claude-main", new.run), ("file:y", "claude-main-2", other.run)]


def test_resumed_when_another_has_its_name_it_is_a_new_one(ada: Seat, agent: Agent) -> None:
    old = agent(ada)
    old.arrive()
    old.end()
    old.settle()
    ada.ok("start", "claude-main")
    new = agent(ada)
    assert "You are session claude-main-2." in new.start("resume")


@pytest.mark.parametrize("copied", [False, True])
def test_a_start_that_may_be_a_copys_waits_for_the_first_prompt(ada: Seat, agent: Agent, copied: bool) -> None:
    """Claude Code resumes and copies with the same event."""
    old = agent(ada)
    old.arrive()
    old.end()
    old.settle()
    new = agent(ada)
    new.env = {"CLAUDE_ENV_FILE": "/home/x/.claude/session-env/c-2-copied/hook-0.sh"}
    assert new.start("resume") == ""
    assert sessions(ada) == {"claude-main": "completed"}
    new.env = {}
    new.id = "c-2-copied" if copied else old.id
    mine = "claude-main-2" if copied else "claude-main"
    assert f"You are session {mine}." in new.prompt()
    assert new.session == mine
    assert new.prompt() == ""
    assert sessions(ada) == ({"claude-main": "completed", "claude-main-2": "active"} if copied else {"claude-main": "active"})


def test_codex_is_told_where_gitcoord_lies(ada: Seat, agent: Agent, tmp_path: Path) -> None:
    """Its commands run in a login shell, whose PATH may be another than its hooks have."""
    program = tmp_path / "programs" / "gitcoord"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    sent = {"session_id": "t-1", "hook_event_name": "SessionStart", "cwd": str(ada.path), "source": "startup",
            "transcript_path": "/rollout-1.jsonl"}  # fmt: skip
    variables = {"GITCOORD_DESK": str(ada.outbox), "XDG_STATE_HOME": str(tmp_path / "state")}
    variables["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    claude = agent(ada)
    ran = claude.host.run([*PROGRAM, "hook"], json.dumps(sent), variables, Path("/"))
    assert f"If your shell doesn't find gitcoord, it is {program}" in json.loads(ran.out)["hookSpecificOutput"]["additionalContext"]
    assert "doesn't find" not in claude.start()
    until(lambda: not at_work(ada), "the background never ended")


def test_threads_of_one_process_never_take_each_others_session(ada: Seat, agent: Agent) -> None:
    """What Codex's daemon sends: of two threads one ends and is resumed, a third one is new behind a `/clear`."""
    host = agent(ada).host
    acts: dict[str, set[str]] = {}
    story = (
        ("one", "SessionStart", "startup"), ("two", "SessionStart", "startup"), ("two", "SessionEnd", "other"),
        ("two", "SessionStart", "resume"), ("one", "UserPromptSubmit", ""), ("three", "SessionStart", "clear"),
        ("two", "UserPromptSubmit", ""), ("one", "UserPromptSubmit", ""),
    )  # fmt: skip
    for number, (thread, event, source) in enumerate(story):
        more = {"turn_id": f"turn-{number}"} if event == "UserPromptSubmit" else {"source": source, "reason": source}
        sent = {"session_id": thread, "hook_event_name": event, "cwd": str(ada.path), "transcript_path": "/rollout-1.jsonl", **more}
        variables = {"GITCOORD_DESK": str(ada.outbox), "XDG_STATE_HOME": str(ada.outbox.parent / "state")}
        ran = host.run([*PROGRAM, "hook"], json.dumps(sent), variables, Path("/"))
        assert (ran.code, ran.err) == (0, "")
        bound = Identity(ada.path / ".git").of_agent({"CODEX_THREAD_ID": thread})
        assert (bound is None) == (event == "SessionEnd")
        if bound is not None:
            acts.setdefault(thread, set()).add(bound.session)
    assert acts == {"one": {"codex-main"}, "two": {"codex-main-2"}, "three": {"codex-main-3"}}
    until(lambda: not at_work(ada), "the background never ended")


def test_the_old_processs_end_does_not_end_the_resumed_session(ada: Seat, agent: Agent) -> None:
    old, new = agent(ada), agent(ada)
    old.arrive()
    claim(old, "x")
    new.start("resume")
    old.end()
    new.settle()
    assert sessions(ada) == {"claude-main": "active"}
    assert held(ada) == [("file:x", "claude-main", new.run)]
    new.end()
    new.settle()
    assert sessions(ada) == {"claude-main": "completed"}


def test_an_end_that_comes_late_ends_no_newer_run(ada: Seat, agent: Agent) -> None:
    old, new = agent(ada), agent(ada)
    old.arrive()
    binding = old.own / "sessions" / "claude-main.json"
    before = binding.read_text()
    new.start("resume")
    binding.write_text(before)  # the old process's hook had read it before the new one's wrote
    old.end()
    new.settle()
    ada.ok("sync")
    assert sessions(ada) == {"claude-main": "active"}
    assert "end: claude-main (too late: a newer run goes on)" in ada.git("log", "-1", "--format=%s", "origin/coordination")


def test_cleared_the_same_session_goes_on_under_the_new_id(ada: Seat, agent: Agent) -> None:
    first = agent(ada)
    first.arrive()
    claim(first, "x")
    before = first.run
    first.end("clear")
    second = agent(ada, "c-2", first.host)
    assert "You hold:" in second.start("clear")
    assert second.run == before
    assert sessions(ada) == {"claude-main": "active"}
    assert held(ada) == [("file:x", "claude-main", before)]


def test_compacted_it_is_told_everything_again_in_the_same_run(ada: Seat, agent: Agent) -> None:
    claude = agent(ada)
    claude.arrive()
    before = claude.run
    assert claude.hook("PreCompact", trigger="auto") == {}
    assert "You are session claude-main" in claude.start("compact")
    assert claude.run == before


def test_a_fork_is_a_session_of_its_own(ada: Seat, agent: Agent) -> None:
    first = agent(ada)
    first.arrive()
    second = agent(ada, "c-2", first.host)
    assert "You are session claude-main-2" in second.start("fork")
    assert sessions(ada) == {"claude-main": "active", "claude-main-2": "active"}
    assert (first.session, second.session) == ("claude-main", "claude-main-2")


def test_who_starts_where_the_last_agent_was_killed_goes_on_as_its_session(ada: Seat, agent: Agent) -> None:
    first = agent(ada)
    first.arrive()
    claim(first, "x")
    first.host.kill()
    second = agent(ada, "c-2")
    assert "You hold:" in second.start()
    assert held(ada) == [("file:x", "claude-main", second.run)]


def test_two_agents_in_one_work_tree_are_two_sessions(ada: Seat, agent: Agent) -> None:
    first, second = agent(ada), agent(ada, "c-2")
    first.arrive()
    second.start()
    assert (first.session, second.session) == ("claude-main", "claude-main-2")
    second.end()
    second.settle()
    assert sessions(ada) == {"claude-main": "active", "claude-main-2": "completed"}


AT_THE_SAME_TIME = """
import os, pathlib, sys, time
marked = max(mark.stat().st_mtime for mark in pathlib.Path({marks!r}).iterdir())
time.time = lambda: marked
from gitcoord.agents.hook.main import main
sys.exit(main([], os.environ))
"""
"""The hook, called at the very time of the last call, however slow the machine is."""


def test_two_hook_files_for_one_event_do_the_work_once(ada: Seat, agent: Agent) -> None:
    claude = agent(ada)
    claude.arrive()
    claude.settle()
    payload = claude.payload("UserPromptSubmit", prompt="go on", prompt_id="p-1")
    for _ in range(2):
        assert claude.send(payload) == {}
    claude.hook("UserPromptSubmit", prompt="go on", prompt_id="p-2")
    claude.settle()
    with ada.here() as found:
        spooled = [record.get("action") for _, record in found.outbox.spooled().get("claude-main", [])]
    told = spooled.count("prompted") or int(
        ada.git("log", "-1", "--format=%(trailers:key=Coord-Folded,valueonly)", "origin/coordination")
    )
    assert told == 2
    before = claude.run
    again = claude.payload("SessionStart", source="resume")
    claude.send(again)
    claude.settle()
    run = claude.run
    ran = claude.run_python(AT_THE_SAME_TIME.format(marks=str(claude.own / "hooked")), again)  # it names no event, but its moment
    assert (ran.code, ran.out) == (0, ""), ran
    assert claude.run == run != before


def test_a_helper_inside_of_a_session_starts_and_ends_nothing_and_gets_no_messages(
    ada: Seat, agent: Agent, seats: Seats, file_remote: Remote
) -> None:
    (ben,) = seats(file_remote, "ben")
    ben.ok("start", "ben")
    claude = agent(ada)
    helper = {"agent_id": "h-1", "agent_type": "explorer"}
    assert claude.hook("SessionStart", source="startup", **helper) == {}
    assert sessions(ada) == {"ben": "active"}
    claude.arrive()
    ben.ok("send", "claude-main", "only for claude-main")
    claude.fetch()
    assert claude.hook("UserPromptSubmit", prompt="x", prompt_id="h", **helper) == {}
    assert claude.edit(str(ada.path / "f.txt"), "PostToolUse", **helper) == {}
    assert claude.hook("Stop", stop_hook_active=False, **helper) == {}
    assert claude.hook("SessionEnd", reason="other", **helper) == {}
    claude.settle()
    assert sessions(ada)["claude-main"] == "active"
    assert "only for claude-main" in claude.prompt()
    beats = ada.git("log", "--format=%(trailers:key=Coord-File,valueonly)", "origin/coordination").split()
    with ada.here() as found:
        beats += [name for _, record in found.outbox.spooled().get("claude-main", []) for name in record["files"]]
    assert "f.txt" in beats  # what it touches counts as its session's


# --- where nobody coordinates, and when it is switched off -----------------------------------------------------------------


def test_in_a_repository_without_gitcoord_nothing_is_done_and_nothing_is_made(
    agent: Agent, seats: Seats, file_remote: Remote
) -> None:
    (seat,) = seats(file_remote, "ada")
    claude = agent(seat)
    for event in ("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SessionEnd", "PreCompact"):
        given = {"source": "startup", "tool_name": "Edit", "tool_input": {"file_path": str(seat.path / "x")}}
        assert claude.hook(event, **given) == {}
    assert not claude.own.exists()
    assert not seat.outbox.exists()
    claude.seat = Seat(seat.path.parent, seat.outbox)  # not even a repository
    assert claude.hook("SessionStart", source="startup", cwd=str(seat.path.parent)) == {}


def test_a_call_that_is_not_for_us_loads_nothing_of_the_rest(ada: Seat, agent: Agent, seats: Seats, file_remote: Remote) -> None:
    code = (
        "import os, sys; from gitcoord.main import main; sys.argv = ['gitcoord', 'hook']; main(); "
        "print('gitcoord.agents.hook.answer' in sys.modules, file=open(os.environ['TOLD'], 'w'))"
    )
    (other,) = seats(file_remote, "other")
    told = ada.path.parent / "told"
    claude = agent(ada)
    claude.start()
    claude.settle()
    claude.env = {"TOLD": str(told)}
    claude.id = "another"  # one that was registered nowhere
    (ada.path / "src" / "deep").mkdir(parents=True)
    for place, loads in ((ada.path / "src" / "deep", "True"), (other.path, "False"), (ada.path.parent, "False")):
        claude.run_python(code, claude.payload("UserPromptSubmit", prompt="x", cwd=str(place)))
        assert told.read_text().strip() == loads, place


def test_a_new_clone_of_a_project_that_coordinates_takes_part(ada: Seat, agent: Agent, seats: Seats, file_remote: Remote) -> None:
    (ben,) = seats(file_remote, "ben")
    assert "You are session claude-main" in agent(ben).start()
    assert sessions(ada) == {"claude-main": "active"}


@pytest.mark.parametrize("off", [{"GITCOORD": "0"}, {"GITCOORD_HOOK": "1"}])
def test_switched_off_it_does_nothing(ada: Seat, agent: Agent, off: dict[str, str]) -> None:
    claude = agent(ada)
    claude.env = off
    assert claude.start() == ""
    assert sessions(ada) == {}


def test_the_payload_says_where_and_no_variable_of_git_does(ada: Seat, agent: Agent, seats: Seats, file_remote: Remote) -> None:
    (ben,) = seats(file_remote, "ben")
    claude = agent(ada)
    claude.cwd = ben.path
    claude.env = {"GIT_DIR": str(ben.path / ".git"), "GIT_WORK_TREE": str(ben.path), "GIT_INDEX_FILE": "/nowhere"}
    claude.arrive()
    assert (ada.path / ".git/gitcoord/sessions/claude-main.json").exists()
    assert not (ben.path / ".git/gitcoord").exists()


# --- the remote is away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["away", "silent"])
def test_without_the_remote_it_starts_at_once_from_what_is_known(remotes: object, seats: Seats, agent: Agent, how: str) -> None:
    from remotes import RemoteFactory

    assert isinstance(remotes, RemoteFactory)
    kind = "git" if how == "silent" else "file"
    if (reason := remotes.available(kind)) is not None:
        pytest.skip(reason)
    remote = remotes.make(kind)
    (seat,) = seats(remote, "ada")
    with seat.here() as found:
        found.coordinator.setup.init()
        found.coordinator.sessions.start("older")
    getattr(remote, how)()
    claude = agent(seat)
    told = claude.start()
    assert "the remote is away" in told
    assert "older" in told
    name = told.split("You are session ")[1].split(" ")[0]
    assert claude.session == name
    assert claude.prompt() == ""
    remote.back()
    claude.settle()
    seat.ok("sync")
    assert sessions(seat)[name] == "active"
    remote.close()


# --- what is not for us -------------------------------------------------------------------------------------------------


def deep(levels: int) -> str:
    """A payload that is nested too deeply."""
    return '{"a":' * levels + "1" + "}" * levels


HOSTILE = [
    "\n", "garbage", "{", "[]", "1", "null", '"x"', "{}", '{"hook_event_name": "SessionStart"}', deep(100_000), "[" * 1_000_000,
    '{"hook_event_name": ["SessionStart"], "cwd": 1}', "\0\1\2\ud7ff", '{"a": "' + "x" * 5_000_000 + '"}', "1" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_makes_no_sense_gets_no_answer(ada: Seat, agent: Agent, text: str) -> None:
    claude = agent(ada)
    ran = claude.raw(text, "--agent", "nobody-knows")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_wrong_types_in_every_field_get_no_answer(ada: Seat, agent: Agent) -> None:
    claude = agent(ada)
    given = {"source": "startup", "reason": "other", "prompt_id": "p", "tool_name": "Edit", "tool_use_id": "t",
             "tool_input": {"file_path": "x"}, "stop_hook_active": False}  # fmt: skip
    payload = {**claude.payload("SessionStart"), **given}
    for number, field in enumerate(payload):
        value = [None, 7, [1], {"x": {}}, "\0", "\ud800"][number % 6]
        claude.send({**payload, "cwd": [], field: value})  # nothing is where it should be, and something else is wrong
    for value in (None, 7, [1], {"x": {}}, "\0", "\ud800", "relative", ""):
        assert claude.send({**payload, "cwd": value}) == {}
    for value in (None, 7, [1], {"file_path": 7}, {"file_path": "\0"}, {"file_path": "\ud800"}, {"file_path": "x" * 9000}):
        assert claude.send({**claude.payload("PreToolUse"), **given, "tool_input": value}) == {}


def test_a_person_gets_a_line_of_help(ada: Seat) -> None:
    for words in (["--help"], []):
        ran = ada.run("hook", *words)
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (0, "", 1)


# --- what a hook pays for -----------------------------------------------------------------------------------------------


def test_a_prompt_and_an_edit_load_nothing_but_the_standard_library(ada: Seat, agent: Agent) -> None:
    claude = agent(ada)
    claude.start()
    claude.settle()
    code = (
        "import os, sys; before = set(sys.modules); from gitcoord.main import main; sys.argv = ['gitcoord', 'hook']; main(); "
        # A name without a place was loaded from nowhere: it only keeps a library from looking for plugins.
        "new = [name for name, one in sys.modules.items() if name not in before and getattr(one, '__spec__', None)]; "
        "tops = {name.partition('.')[0] for name in new} - sys.stdlib_module_names; "
        "print(*sorted(tops), file=open(os.environ['TOLD'], 'w'))"
    )
    told = ada.path.parent / "told"
    edit = {"tool_name": "Edit", "tool_input": {"file_path": str(ada.path / "x")}, "tool_use_id": "t"}
    for event, given in (("UserPromptSubmit", {"prompt": "x"}), ("PreToolUse", edit), ("PostToolUse", edit), ("Stop", {})):
        claude.env = {"TOLD": str(told)}
        ran = claude.run_python(code, claude.payload(event, **given))
        assert (ran.code, ran.out) == (0, "")
        assert told.read_text().split() == ["gitcoord"], event


def test_an_agent_that_exports_no_id_is_known_by_its_mark_while_it_is_the_only_one(ada: Seat) -> None:
    from gitcoord.machine.identity import Binding, Identity, agent_name

    identity = Identity(ada.path / ".git")
    identity.bind(Binding("alone", "r1", 1, "gone", str(ada.outbox), {"COPILOT_AGENT_SESSION_ID": "id-1"}))
    identity.bind(Binding("other", "r2", 1, "gone", str(ada.outbox), {"CODEX_THREAD_ID": "id-2"}))
    assert agent_name({"COPILOT_CLI": "1"}) == "copilot"
    sitting = identity.sitting({"COPILOT_CLI": "1"})
    assert sitting is not None
    assert sitting.session == "alone"
    named = identity.sitting({"COPILOT_CLI": "1", "CODEX_THREAD_ID": "id-2"})  # an id says more than a mark
    assert named is not None
    assert named.session == "other"
    with replace(ada, extra={"COPILOT_CLI": "1"}).here() as found:
        assert found.coordinator.actor.session == "alone"
    identity.bind(Binding("twin", "r4", 1, "gone", str(ada.outbox), {"GEMINI_SESSION_ID": "id-4"}))
    assert agent_name({"GEMINI_CLI": "1"}) == "gemini"  # its shells have no more than that
    gemini = identity.sitting({"GEMINI_CLI": "1"})
    assert gemini is not None
    assert gemini.session == "twin"
    identity.bind(Binding("second", "r3", 1, "gone", str(ada.outbox), {"COPILOT_AGENT_SESSION_ID": "id-3"}))
    assert identity.sitting({"COPILOT_CLI": "1"}) is None  # of two nobody can tell
