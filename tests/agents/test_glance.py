"""The shortest way before an edit: gone where the long way would say nothing, too, and nowhere else."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from agent_player import Claude, Host
from clones import Seat, Seats, file, until
from gits import git
from remotes import Remote

from gitcoord.agents.hook import glance
from gitcoord.agents.mailbox import Mailbox
from gitcoord.guard import glance as text
from gitcoord.guard import pathspecs
from gitcoord.machine import plainjson
from gitcoord.machine.identity import Identity


@dataclass
class Edits:
    """An agent in a clone whose edits are plain, and another session that claims."""

    claude: Claude
    other: Seat

    @property
    def top(self) -> Path:
        """Its work tree."""
        return self.claude.seat.path

    @property
    def own(self) -> Path:
        """Our folder there."""
        return self.top / ".git" / "gitcoord"

    def payload(self, path: str | Path = "free.txt", **given: Any) -> dict[str, Any]:
        """What the agent sends before it edits that file."""
        edit = {"tool_name": "Edit", "tool_input": {"file_path": str(self.top / path), "old_string": "a", "new_string": "/b"}}
        return self.claude.payload("PreToolUse", **{**edit, **given})

    def is_plain(self, payload: dict[str, Any] | None = None, **variables: str) -> bool:
        """True if the shortest way is gone. What would begin in the background is said to have begun."""
        self.put_off()
        environ = {**os.environ, "CLAUDE_PID": str(self.claude.host.child.pid), **self.claude.variables, **variables}
        try:
            return glance.is_plain(plainjson.loads(json.dumps(payload or self.payload()).encode()), "", environ)
        except OSError:
            return False  # as who calls it has it

    def put_off(self) -> None:
        """Nothing begins in the background for ten seconds."""
        later = time.time() + 10
        (self.own / "synced").touch()
        os.utime(self.own / "synced", (later, later))

    def go_the_long_way(self, payload: dict[str, Any] | None = None) -> None:
        """Has the hook called for an edit about which there is nothing to say."""
        assert self.claude.send(payload or self.payload()) == {}


@pytest.fixture
def edits(file_remote: Remote, seats: Seats) -> Iterator[Edits]:
    """An agent that has edited once."""
    ada, ben = seats(file_remote, "ada", "ben")
    with ben.here() as found:
        found.coordinator.setup.init()
        found.coordinator.sessions.start("ben")
    host = Host(ada)
    claude = Claude(ada, "c-1", host)
    claude.start()
    claude.settle()
    found_edits = Edits(claude, ben)
    found_edits.put_off()  # it would look at the branch while the test goes on
    found_edits.go_the_long_way()
    assert found_edits.is_plain()
    yield found_edits
    host.kill()


def test_the_next_edit_is_plain_if_nothing_but_its_file_is_another(edits: Edits, tmp_path: Path) -> None:
    (edits.top / "sub").mkdir()
    (edits.top / "link").symlink_to("free.txt")
    (edits.top / "folder").symlink_to("sub")
    plain = ["other.txt", "sub/x", "[x]"]
    doubt = ["missing/x", "link", "folder/x", ".git/config", "sub/../x", "naïve", tmp_path / "elsewhere", "sub"]
    assert [edits.is_plain(edits.payload(path)) for path in plain] == [True] * len(plain)
    assert [path for path in doubt if edits.is_plain(edits.payload(path))] == ["sub"]  # no file, and nobody's


def test_a_call_of_another_form_is_not(edits: Edits) -> None:
    others: list[dict[str, Any]] = [
        {"cwd": "/"}, {"transcript_path": "/x/.qwen/y"}, {"tool_name": "Write"}, {"turn_id": "t"}, {"agent_id": "helper"},
        {"hook_event_name": "PostToolUse"}, {"session_id": "c-2"}, {"session_id": "../c-1"}, {"tool_input": "x"},
        {"tool_input": {"file_path": "free.txt"}}, {"tool_input": {"path": "/x"}},
    ]  # fmt: skip
    assert [other for other in others if edits.is_plain(edits.payload(**other))] == []


def test_under_other_variables_it_is_not(edits: Edits) -> None:
    for name in ("GITCOORD_SESSION", "CODEX_THREAD_ID", "CODEX_ANYTHING", "COPILOT_CLI", "CLAUDE_CODE_SESSION_ID", "GEMINI_CLI"):
        assert not edits.is_plain(**{name: "x"}), name
    assert not edits.is_plain(GIT_CEILING_DIRECTORIES="/")
    assert edits.is_plain(ANTHROPIC_API_KEY="x", CLAUDE_CODE_OAUTH_TOKEN="y")
    assert "CLAUDE_CODE_OAUTH_TOKEN" not in "".join(path.read_text() for path in (edits.own / "plain-edits").iterdir())


def test_what_others_hold_is_not(edits: Edits) -> None:
    with edits.other.here() as found:
        found.coordinator.claims.acquire(file("free.txt", "docs/x/y", "pkg/*.py"))
    assert edits.is_plain()  # not seen yet
    edits.claude.gitcoord("inbox")
    for path, plain in (("free.txt", False), ("free.txt2", True), ("docs", False), ("docs2", True), ("pkg/x.py", False)):
        (edits.top / path).parent.mkdir(exist_ok=True)
        assert edits.is_plain(edits.payload(path)) == plain, path
    with edits.other.here() as found:
        found.coordinator.claims.acquire(file("*.py"))
    edits.claude.gitcoord("inbox")
    assert not edits.is_plain(edits.payload("other.txt"))  # it may be anywhere


def test_a_text_of_another_view_is_not(edits: Edits) -> None:
    with edits.other.here() as found:
        found.coordinator.claims.acquire(file("free.txt"))
    with edits.claude.seat.here() as found:
        found.coordinator.branch.view()  # seen, and not noted
    assert not edits.is_plain(edits.payload("other.txt"))


def test_once_a_session_is_bound_or_unbound_it_is_not(edits: Edits) -> None:
    Identity(edits.own.parent).bind(replace(edits.claude.binding, session="another", agent={}))
    assert not edits.is_plain()
    edits.go_the_long_way()
    assert edits.is_plain()
    Identity(edits.own.parent).unbind("another")
    assert not edits.is_plain()


def test_where_edits_are_claimed_it_is_not(edits: Edits) -> None:
    Mailbox.of(edits.own, edits.claude.session).set_claims(on=True)
    assert not edits.is_plain()


def test_in_a_linked_work_tree_it_goes_by_what_is_bound_there(edits: Edits, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(edits.top, "worktree", "add", "-q", "--detach", str(linked))
    assert not edits.is_plain(edits.payload(linked / "free.txt"))  # the session is another work tree's
    edits.go_the_long_way(edits.payload(linked / "free.txt"))
    assert not edits.is_plain(edits.payload(linked / "free.txt"))


def test_it_shows_that_the_agent_is_there_and_begins_what_is_due(edits: Edits) -> None:
    active = edits.own / "mailbox" / edits.claude.session / "active"
    os.utime(active, (1, 1))
    assert edits.is_plain()
    assert active.stat().st_mtime > 1
    os.utime(active, (1, 1))
    edits.go_the_long_way(edits.payload(agent_id="helper"))
    assert edits.is_plain(edits.payload(agent_id="helper"))
    assert active.stat().st_mtime == 1  # a helper is not the agent
    edits.claude.settle()
    edits.go_the_long_way()  # by the shortest way, in a process of its own
    until((edits.own / "synced").exists, "nothing has begun")
    edits.claude.settle()


def test_what_is_read_for_the_shortest_way_is_there_for_the_long_one(edits: Edits) -> None:
    with edits.other.here() as found:
        found.coordinator.claims.acquire(file("free.txt"))
    edits.claude.gitcoord("inbox")
    long = edits.payload()
    long["tool_input"]["new_string"] = "x" * 200_000
    answer = edits.claude.send(long)
    assert answer["hookSpecificOutput"]["permissionDecision"] == "deny"


# --- its parts ------------------------------------------------------------------------------------------------------------


def test_a_pathspec_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Of each name and each path: what the text says, against the lines that say it."""
    names = ["a", "a/b", "a/[b]/c", "a\\b/c", "A/b", "[a/b", "\\a/b/c"]
    paths = ["a", "a/b", "a/b/c", "a/[b]", "a/[b]/c/d", "a\\b", "a\\b/c", "A", "A/b", "[a", "[a/b", "\\a", "\\a/b", "ab", "b"]
    memory, same = tmp_path / "checked-x.json", tmp_path / "view-x-1"
    memory.write_text("{}")
    os.link(memory, same)

    def free(name: str, path: str, *, fold: bool) -> bool:
        lines = ["gitcoord leases 1 view-x-1", "@ada", *pathspecs.of_name(name, fold=fold), "end", ""]
        (tmp_path / "held-x.txt").write_text("\n".join(lines))
        assert text.is_free(str(tmp_path), path, "ada")
        return text.is_free(str(tmp_path), path, "ben")

    def meets(name: str, path: str) -> bool:
        return f"{path}/".startswith(f"{name}/") or f"{name}/".startswith(f"{path}/")

    for name in names:
        for path in paths:
            assert free(name, path, fold=False) != meets(name, path), (name, path)
            assert free(name, path, fold=True) != meets(name.lower(), path.lower()), (name, path)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": [1, 2.5, null, true, "\\u00e9"]}',
        b" {} \n",
        b"[]",
        b'"x"',
        b'{"a": {"b": "\\ud800"}}',
        '"é"'.encode(),
        b"NaN",
        b"1e5",
    ],
)
def test_json_is_read_as_the_library_reads_it(data: bytes) -> None:
    assert repr(plainjson.loads(data)) == repr(json.loads(data))


@pytest.mark.parametrize("data", [b"", b"{", b"{} {}", b"{'a': 1}", b"\xff", b"[1,]", b"nul", b'{"a" 1}', b'"\n"', b"[" * 100_000])
def test_what_is_no_json_is_none_here_either(data: bytes) -> None:
    read: list[Callable[[bytes], Any]] = [json.loads, plainjson.loads]
    for loads in read:
        with pytest.raises((ValueError, StopIteration, RecursionError)):
            loads(data)
