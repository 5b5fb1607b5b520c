"""Each agent's words: what it sends is understood, and what it is answered is what it reads, for every agent and event."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from agent_payloads import ALL, ASK, GO_ON, GUARDED, PATCH, Sent
from hypothesis import example, given
from hypothesis import strategies as st

from gitcoord.agents.dialects import fields, patches
from gitcoord.agents.dialects.base import LIMIT
from gitcoord.agents.dialects.choose import NAMES, choose
from gitcoord.agents.hook.event import NOTHING, HookAnswer, Occasion

WRONG: list[Any] = [
    None,
    True,
    0,
    -1,
    10**400,
    1.5,
    "",
    "x" * 100_000,
    "a\0b",
    "\ud800",
    "../..",
    [],
    [None, 1, ["x"]],
    {},
    {"a": {}},
]
"""What may stand where something else was expected."""


def read(sent: Sent, payload: Mapping[str, Any] | None = None) -> Occasion:
    """What the call means."""
    given = sent.payload if payload is None else payload
    return choose(given, sent.environ, sent.named).read(given, sent.environ)


def printed(sent: Sent, answer: HookAnswer) -> Any:
    """The object that is printed; None for nothing."""
    dialect = choose(sent.payload, sent.environ, sent.named)
    said = dialect.write(dialect.read(sent.payload, sent.environ), answer)
    return json.loads(said) if said else None


@pytest.mark.parametrize("sent", ALL, ids=lambda sent: sent.label)
def test_what_an_agent_sends_is_understood(sent: Sent) -> None:
    found = vars(read(sent))
    assert {key: found[key] for key in sent.means} == dict(sent.means)


@pytest.mark.parametrize("sent", [one for one in ALL if one.says], ids=lambda sent: sent.label)
def test_what_an_agent_is_answered_is_what_it_reads_at_that_event(sent: Sent) -> None:
    for answer, expected in sent.says:
        assert printed(sent, answer) == expected, answer


def test_the_table_has_each_agent_and_each_step() -> None:
    steps = Counter((sent.agent, sent.means["kind"]) for sent in ALL)
    everywhere = {"start", "prompt", "before-edit", "after-edit", "stop", "other"}
    assert {agent for agent, _ in steps} == set(NAMES)
    full = set(NAMES) - GUARDED - {"generic"}
    assert {(agent, kind) for agent in full for kind in everywhere} <= set(steps) | {
        ("opencode", "other"),
        ("amp", "other"),
        ("cline", "stop"),
    }
    assert {(agent, "before-edit") for agent in GUARDED} <= set(steps)


@pytest.mark.parametrize("sent", ALL, ids=lambda sent: sent.label)
def test_a_context_is_printed_where_it_is_said_to_be_taken_and_nowhere_else(sent: Sent) -> None:
    dialect = choose(sent.payload, sent.environ, sent.named)
    occasion = dialect.read(sent.payload, sent.environ)
    said = dialect.write(occasion, HookAnswer(context="[secret words]", go_on=True))
    assert ("[secret words]" in said) == dialect.takes(occasion)


def test_at_an_event_that_matters_to_nobody_every_answer_is_silence() -> None:
    for sent in ALL:
        if sent.means["kind"] == "other":
            answer = HookAnswer(context="[news]", verdict="deny", reason="[reason]", note="[note]", go_on=True)
            assert printed(sent, answer) == printed(sent, NOTHING)
            assert printed(sent, NOTHING) in (None, {"decision": "allow"})


def test_nobody_is_made_to_go_on_twice() -> None:
    nagged = [sent for sent in ALL if sent.means.get("nagged")]
    assert {sent.agent for sent in nagged} >= {"claude", "codex", "copilot", "cursor", "gemini", "opencode", "amp"}
    assert all(printed(sent, GO_ON) is None for sent in nagged)


def test_who_says_that_its_person_can_be_asked_passes_a_question_on() -> None:
    for sent in ALL:
        if sent.means["kind"] != "before-edit":
            continue
        dialect = choose(sent.payload, sent.environ, sent.named)
        occasion = dialect.read(sent.payload, sent.environ)
        said = dialect.write(occasion, ASK)
        assert occasion.asks == (sent.agent not in {"codex", "gemini", "opencode", "amp", "qwen", "tabnine", "cline"} | GUARDED)
        assert (ASK.reason in said, '"ask"' in said) == (occasion.asks, occasion.asks)
        assert "deny" not in said


# --- what others may put in ------------------------------------------------------------------------------------------


def _spoilt(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The payload with each of its fields, and each in an object of it, being something else."""
    for key, value in payload.items():
        for wrong in WRONG:
            yield {**payload, key: wrong}
        if isinstance(value, dict):
            for inner in _spoilt(value):
                yield {**payload, key: inner}
        yield {name: kept for name, kept in payload.items() if name != key}


@pytest.mark.parametrize("sent", ALL, ids=lambda sent: sent.label)
def test_a_field_of_a_wrong_type_is_an_absent_one(sent: Sent) -> None:
    for payload in _spoilt(sent.payload):
        dialect = choose(payload, sent.environ, sent.named)
        occasion = dialect.read(payload, sent.environ)
        _is_usable(occasion)
        said = dialect.write(occasion, _ALL_AT_ONCE)
        assert said == "" or isinstance(json.loads(said), dict)


_ALL_AT_ONCE = HookAnswer(context="x", verdict="ask", reason="y", note="z", go_on=True)


def _is_usable(occasion: Occasion) -> None:
    """All of it that came in the payload can be a path, a variable, a name."""
    words = [occasion.agent, occasion.agent_id, occasion.event, occasion.source, occasion.key]
    assert all(word.isprintable() and len(word) <= 200 for word in words)
    for path in (occasion.place, *occasion.paths):
        assert "\0" not in path
        path.encode()
    assert occasion.place == "" or occasion.place.startswith("/")
    assert len(occasion.paths) <= fields.PATHS
    assert isinstance(occasion.subagent, bool)
    assert isinstance(occasion.nagged, bool)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_KNOWN = sorted({key for sent in ALL for key in sent.payload})
_TELLING = sorted({str(value) for sent in ALL for value in sent.payload.values() if isinstance(value, str)})


@given(
    payload=st.dictionaries(st.sampled_from(_KNOWN) | st.text(), st.sampled_from(_TELLING) | _JSON, max_size=12),
    environ=st.dictionaries(
        st.sampled_from(sorted({key for sent in ALL for key in sent.environ} | {"CODEX_HOME"})), st.text(), max_size=4
    ),
    named=st.sampled_from(["", *NAMES, "antigravity:PreToolUse", "nobody", ":", "claude:Stop"]),
    context=st.text(max_size=300),
    go_on=st.booleans(),
    verdict=st.sampled_from(["", "allow", "ask", "deny"]),
)
@example({"hook_event_name": "PreToolUse", "tool_name": "Edit", "tool_input": "{" * 100_000}, {}, "", "x", True, "deny")
@example({"toolName": "edit", "sessionId": "x", "toolArgs": '{"path": ' * 50_000}, {}, "", "x", True, "deny")
def test_no_payload_makes_a_dialect_fail(
    payload: dict[str, Any], environ: dict[str, str], named: str, context: str, go_on: bool, verdict: Any
) -> None:
    dialect = choose(payload, environ, named)
    occasion = dialect.read(payload, environ)
    _is_usable(occasion)
    said = dialect.write(occasion, HookAnswer(context=context, verdict=verdict, reason=context, note=context, go_on=go_on))
    assert said == "" or isinstance(json.loads(said), dict)
    assert said.isascii()
    assert "\n" not in said


def test_too_long_a_context_is_left_out_whole() -> None:
    for sent in ALL:
        dialect = choose(sent.payload, sent.environ, sent.named)
        occasion = dialect.read(sent.payload, sent.environ)
        fits, not_ = (dialect.write(occasion, HookAnswer(context="é" * size, go_on=True)) for size in (LIMIT, LIMIT + 1))
        assert ("\\u00e9" in fits) == dialect.takes(occasion)
        assert "\\u00e9" not in not_
        assert ("gitcoord briefing" in not_) == dialect.takes(occasion)


def test_an_address_of_the_person_stays_where_it_came_from() -> None:
    for sent in ALL:
        if "user_email" in sent.payload:
            assert "example.org" not in repr(read(sent))


# --- who called ------------------------------------------------------------------------------------------------------


def _start(**more: Any) -> dict[str, Any]:
    return {"hook_event_name": "SessionStart", "session_id": "s-1", "cwd": "/w", "source": "startup", **more}


@pytest.mark.parametrize(
    ("payload", "environ", "name"),
    [
        (_start(), {}, "generic"),  # in Claude's form, and nothing says that it is Claude: another would be listed and not guarded
        (_start(), {"QWEN_PROJECT_DIR": "/w", "GEMINI_PROJECT_DIR": "/w", "CLAUDE_PROJECT_DIR": "/w"}, "qwen"),
        (_start(transcript_path="/home/x/.qwen/projects/1.jsonl"), {"CLAUDECODE": "1"}, "qwen"),
        (_start(), {"FACTORY_PROJECT_DIR": "/w", "CLAUDECODE": "1"}, "droid"),
        ({"hookEventName": "Stop", "sessionId": "s-1"}, {"CLAUDECODE": "1"}, "vscode"),
        ({"event": "PreToolUse", "working_dir": "/w"}, {}, "generic"),
        (_start(), {"CLAUDECODE": "1"}, "claude"),
        (_start(), {"CODEX_HOME": "/home/x/.codex"}, "codex"),
        (_start(), {"COPILOT_CLI": "1", "CLAUDE_PROJECT_DIR": "/w"}, "copilot"),
        (_start(), {"CURSOR_AGENT": "1", "CLAUDE_PROJECT_DIR": "/w"}, "cursor"),
        (_start(), {"GEMINI_CLI": "1", "CLAUDE_PROJECT_DIR": "/w"}, "gemini"),
        # One agent inside another has both's variables: its own id tells.
        (_start(), {"CODEX_THREAD_ID": "outer", "CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "s-1"}, "claude"),
        (_start(), {"CODEX_THREAD_ID": "s-1", "CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "outer"}, "codex"),
        (_start(), {"COPILOT_CLI": "1", "CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "s-1"}, "claude"),
        (_start(transcript_path="/home/x/.codex/sessions/rollout-1.jsonl"), {"CLAUDECODE": "1"}, "codex"),
        (_start(transcript_path="/home/x/.claude/projects/1.jsonl"), {"COPILOT_CLI": "1"}, "claude"),
        (_start(turn_id="t"), {"CLAUDECODE": "1"}, "codex"),
        (_start(cursor_version="2"), {"CLAUDECODE": "1"}, "cursor"),
        ({"sessionId": "s-1", "prompt": "x"}, {"CLAUDECODE": "1"}, "copilot"),
        ({"hook_event_name": "BeforeTool"}, {"CLAUDECODE": "1"}, "gemini"),
        ({"hook_event_name": "PostInvocation"}, {}, "antigravity"),
        ({"event": "start"}, {"CLAUDECODE": "1"}, "generic"),
        ({}, {}, "generic"),
    ],
)
def test_the_caller_is_told_by_what_it_sent_and_then_by_the_environment(
    payload: dict[str, Any], environ: dict[str, str], name: str
) -> None:
    assert choose(payload, environ).row.name == name
    assert choose(payload, environ, "gemini").row.name == "gemini"
    assert choose(payload, environ, "no such agent").row.name == name


def test_an_agent_inside_another_is_bound_by_both_ids() -> None:
    environ = {"CODEX_THREAD_ID": "outer", "CLAUDE_CODE_SESSION_ID": "before"}
    occasion = choose(_start(), {**environ, "CLAUDECODE": "1"}, "claude").read(_start(), environ)
    assert dict(occasion.ids) == {"CODEX_THREAD_ID": "outer", "CLAUDE_CODE_SESSION_ID": "s-1"}


def test_the_place_is_never_a_relative_one() -> None:
    environ = {"CLAUDE_PROJECT_DIR": "/project", "CLAUDECODE": "1"}
    for cwd in ("", "w", "./w", "~", None, 7):
        assert choose(_start(cwd=cwd), environ).read(_start(cwd=cwd), environ).place == "/project"
    assert choose(_start(cwd="w"), {}).read(_start(cwd="w"), {}).place == ""


def test_a_dialect_loads_nothing_but_the_standard_library() -> None:
    script = (
        "import sys\nfrom gitcoord.agents.dialects import choose as dialects\n"
        "for name in dialects.NAMES: dialects.choose({}, {}, name).read({}, {})\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'pydantic', 'typer', 'git', 'rich', 'filelock'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""


# --- patches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{"command": PATCH}, {"input": PATCH}, {"command": ["apply_patch", PATCH]}])
def test_the_files_of_a_patch_are_named_by_its_heads_alone(given: dict[str, Any]) -> None:
    assert patches.files(given) == ("docs/new.md", "src/api.py", "src/web api.py", "old.py")


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("", ()),
        ("*** Add File:\n*** Update File:  \n", ()),
        ("*** Add File: a\r\n+x\r\n*** Delete File: a\r\n", ("a",)),
        ("apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: a:b.py\n+x\nEOF", ("a:b.py",)),
        (" *** Add File: indented\n", ()),
        ("*** Add File: bad\0name\n*** Add File: good\n", ("good",)),
        ("\n".join(f"*** Add File: {number}" for number in range(10_000)), tuple(map(str, range(fields.PATHS)))),
    ],
)
def test_odd_patches(text: str, files: tuple[str, ...]) -> None:
    assert patches.files({"command": text}) == files
