"""What coding agents send to hooks and what they read, by agent and event: written by hand from their own documents.

Each `Sent` is one call: the payload with the agent's own field names, what it means, and for some answers the object that the agent
reads at that event (`None`: it reads nothing there, so nothing is printed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gitcoord.agents.hook.event import NOTHING, HookAnswer

TELL = HookAnswer(context="[news]")
DENY = HookAnswer(verdict="deny", reason="ada has it until 14:00")
ASK = HookAnswer(verdict="ask", reason="ada has it until 14:00")
LET = HookAnswer(verdict="allow", reason="nobody has it")
GO_ON = HookAnswer(context="[a question]", go_on=True)
NOTE = HookAnswer(note="a word for the person")

Says = tuple[tuple[HookAnswer, Mapping[str, Any] | None], ...]


@dataclass(frozen=True)
class Sent:
    """One call of the hook: `means` are fields of the occasion, `says` what is printed for answers."""

    agent: str
    payload: Mapping[str, Any]
    means: Mapping[str, Any]
    says: Says = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    named: str = ""

    @property
    def label(self) -> str:
        """For the test's name."""
        event = self.payload.get("hook_event_name") or self.payload.get("event") or self.named.partition(":")[2]
        return f"{self.agent}-{event or '-'.join(key for key in self.payload if key not in _COMMON)}-{self.means['kind']}"


_COMMON = {
    "sessionId",
    "timestamp",
    "cwd",
    "conversationId",
    "workspacePaths",
    "transcriptPath",
    "artifactDirectoryPath",
    "modelName",
}
PATCH = """*** Begin Patch
*** Add File: docs/new.md
+*** Delete File: not/this/one.md
*** Update File: src/api.py
*** Move to: src/web api.py
@@ def a():
-*** Update File: nor/this.py
+x
*** Delete File: old.py
*** End Patch"""


def specific(event: str, **said: str) -> dict[str, Any]:
    """Claude Code's answer."""
    return {"hookSpecificOutput": {"hookEventName": event, **said}}


def context(event: str) -> dict[str, Any]:
    """Claude Code's answer with `TELL`."""
    return specific(event, additionalContext="[news]")


def both(event: str) -> dict[str, Any]:
    """Copilot's answer with `TELL`: at the top, where it reads it, and as Claude Code's."""
    return {"additionalContext": "[news]", **context(event)}


def decided(event: str, verdict: str) -> dict[str, Any]:
    """Claude Code's answer with a verdict."""
    return specific(event, permissionDecision=verdict, permissionDecisionReason="ada has it until 14:00")


# --- Claude Code -----------------------------------------------------------------------------------------------------

_CLAUDE_ENV = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "c-1", "CLAUDE_PROJECT_DIR": "/elsewhere"}


def _claude(event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {
        "session_id": "c-1",
        "transcript_path": "/home/x/.claude/projects/-w/c-1.jsonl",
        "cwd": "/w",
        "hook_event_name": event,
        "permission_mode": "default",
        **more,
    }
    known = {"agent": "claude-code", "agent_id": "c-1", "ids": (("CLAUDE_CODE_SESSION_ID", "c-1"),), "place": "/w", "kind": kind}
    return Sent("claude", payload, {**known, **means}, says, _CLAUDE_ENV)


_EDIT = {
    "tool_name": "Edit",
    "tool_input": {"file_path": "/w/a.py", "old_string": "x", "new_string": "y"},
    "tool_use_id": "toolu_1",
}
_CLAUDE = [
    *(
        _claude(
            "SessionStart",
            "start",
            ((TELL, context("SessionStart")), (NOTHING, None)),
            {"source": source},
            source=source,
            model="m",
        )
        for source in ("startup", "resume", "clear", "compact", "fork")
    ),
    replace(
        _claude("SessionStart", "start", (), {"source": "resume", "perhaps": "00c-2ff0"}, source="resume"),
        environ={**_CLAUDE_ENV, "CLAUDE_ENV_FILE": "/home/x/.claude/session-env/00c-2ff0/sessionstart-hook-0.sh"},
    ),
    _claude(
        "UserPromptSubmit",
        "prompt",
        ((TELL, context("UserPromptSubmit")), (DENY, None)),
        {"key": "p-1"},
        prompt="do it",
        source="user",
        prompt_id="p-1",
    ),
    _claude(
        "PreToolUse",
        "before-edit",
        (
            (TELL, context("PreToolUse")),
            (DENY, decided("PreToolUse", "deny")),
            (ASK, decided("PreToolUse", "ask")),
            (NOTE, {"systemMessage": "a word for the person"}),
            (NOTHING, None),
        ),
        {"paths": ("/w/a.py",), "key": "toolu_1"},
        **_EDIT,
    ),
    _claude(
        "PreToolUse",
        "before-edit",
        (),
        {"paths": ("new.py",)},
        tool_name="Write",
        tool_input={"file_path": "new.py", "content": ""},
    ),
    _claude(
        "PreToolUse",
        "before-edit",
        (),
        {"paths": ("/w/a.py",)},
        tool_name="MultiEdit",
        tool_input={"file_path": "/w/a.py", "edits": [{"old_string": "x", "new_string": "y"}]},
    ),
    _claude(
        "PreToolUse",
        "before-edit",
        (),
        {"paths": ("/w/n.ipynb",)},
        tool_name="NotebookEdit",
        tool_input={"notebook_path": "/w/n.ipynb", "new_source": ""},
    ),
    _claude(
        "PreToolUse", "other", ((TELL, None), (DENY, None)), {"paths": ()}, tool_name="Read", tool_input={"file_path": "/w/a.py"}
    ),
    _claude("PreToolUse", "other", ((TELL, None),), tool_name="Bash", tool_input={"command": "ls"}),
    _claude(
        "PostToolUse",
        "after-tool",
        ((TELL, context("PostToolUse")), (DENY, None)),
        {"paths": (), "key": "toolu_2"},
        tool_name="Bash",
        tool_input={"command": "ls"},
        tool_use_id="toolu_2",
    ),
    _claude(
        "PostToolUse",
        "after-edit",
        ((TELL, context("PostToolUse")), (DENY, None)),
        {"paths": ("/w/a.py",), "key": "toolu_1"},
        **_EDIT,
        tool_response={"filePath": "/w/a.py"},
        duration_ms=3,
    ),
    _claude(
        "PreToolUse",
        "before-edit",
        (),
        {"subagent": True},
        **_EDIT,
        agent_id="agent-7",
        agent_type="Explore",
    ),
    _claude(
        "Stop",
        "stop",
        ((GO_ON, specific("Stop", additionalContext="[a question]")), (TELL, None), (NOTHING, None)),
        {"nagged": False, "key": ""},
        stop_hook_active=False,
        last_assistant_message="done",
        prompt_id="p-1",
    ),
    _claude("Stop", "stop", (), {"nagged": True}, stop_hook_active=True),
    *(
        _claude("SessionEnd", "end", ((TELL, None), (NOTE, None)), {"source": reason}, reason=reason)
        for reason in ("clear", "resume", "logout", "prompt_input_exit", "other")
    ),
    _claude("PreCompact", "compact", ((TELL, None), (NOTE, None)), trigger="auto", custom_instructions=""),
    *(
        _claude(event, "other", ((TELL, None), (DENY, None), (GO_ON, None), (NOTE, None)))
        for event in ("Notification", "SubagentStart", "SubagentStop", "PostToolBatch", "FileChanged", "Setup", "NotYetInvented")
    ),
]

# --- Codex -----------------------------------------------------------------------------------------------------------


def _codex(event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {
        "session_id": "t-1",
        "transcript_path": "/home/x/.codex/sessions/2026/11/21/rollout-2026-t-1.jsonl",
        "cwd": "/w",
        "hook_event_name": event,
        "model": "gpt",
        "permission_mode": "default",
        **more,
    }
    known = {"agent": "codex", "agent_id": "t-1", "ids": (("CODEX_THREAD_ID", "t-1"),), "place": "/w", "kind": kind}
    return Sent("codex", payload, {**known, **means}, says)


_PATCHED = {"tool_name": "apply_patch", "tool_input": {"command": PATCH}, "tool_use_id": "call_1", "turn_id": "turn-1"}
_FILES = ("docs/new.md", "src/api.py", "src/web api.py", "old.py")
_CODEX = [
    _codex("SessionStart", "start", ((TELL, context("SessionStart")),), {"source": "startup"}, source="startup"),
    _codex("SessionStart", "start", (), {"source": "fork"}, source="fork"),
    _codex("SessionStart", "start", (), source="startup", transcript_path=None),
    _codex("SessionEnd", "end", (), reason="other", transcript_path=None),
    _codex("UserPromptSubmit", "prompt", ((TELL, context("UserPromptSubmit")),), {"key": "turn-1"}, prompt="x", turn_id="turn-1"),
    _codex(
        "PreToolUse",
        "before-edit",
        (
            (TELL, context("PreToolUse")),
            (DENY, decided("PreToolUse", "deny")),
            (ASK, None),
            (LET, None),
        ),
        {"paths": _FILES, "key": "call_1", "alone": True},
        **_PATCHED,
    ),
    _codex(
        "PreToolUse",
        "after-tool",
        ((TELL, context("PreToolUse")), (DENY, None)),
        turn_id="turn-1",
        tool_name="Bash",
        tool_input={"command": "*** Add File: x"},
    ),
    _codex("PreToolUse", "after-tool", (), {"paths": ()}, turn_id="turn-1", tool_name="Read", tool_input={"file_path": "x"}),
    _codex("PostToolUse", "after-edit", ((TELL, context("PostToolUse")),), {"paths": _FILES}, **_PATCHED, tool_response="ok"),
    _codex(
        "Stop",
        "stop",
        ((GO_ON, {"decision": "block", "reason": "[a question]"}), (TELL, None)),
        turn_id="turn-1",
        stop_hook_active=False,
    ),
    _codex("Stop", "stop", (), {"nagged": True}, turn_id="turn-1", stop_hook_active=True),
    _codex("SessionEnd", "end", ((TELL, None),), reason="other"),
    _codex("PreCompact", "compact", ((TELL, None),), turn_id="turn-1", trigger="auto"),
    _codex("Interrupt", "other", ((TELL, None),), turn_id="turn-1"),
]

# --- Copilot CLI -----------------------------------------------------------------------------------------------------

_COPILOT_ENV = {"COPILOT_CLI": "1", "CLAUDE_PROJECT_DIR": "/w", "COPILOT_PROJECT_DIR": "/w"}


def _copilot(event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {"hook_event_name": event, "session_id": "g-1", "timestamp": "2026-11-21T10:00:00Z", "cwd": "/w", **more}
    known = {"agent": "copilot", "agent_id": "g-1", "ids": (("COPILOT_AGENT_SESSION_ID", "g-1"),), "place": "/w", "kind": kind}
    return Sent("copilot", payload, {**known, **means}, says, _COPILOT_ENV)


def _native(kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {"sessionId": "g-1", "timestamp": 1795255200000, "cwd": "/w", **more}
    known = {"agent": "copilot", "agent_id": "g-1", "ids": (("COPILOT_AGENT_SESSION_ID", "g-1"),), "place": "/w", "kind": kind}
    return Sent("copilot", payload, {**known, **means}, says)


_VERDICT = {"permissionDecision": "deny", "permissionDecisionReason": "ada has it until 14:00"}
_COPILOT = [
    _copilot("SessionStart", "start", ((TELL, both("SessionStart")),), {"source": "startup"}, source="new", initial_prompt="x"),
    _copilot("UserPromptSubmit", "prompt", ((TELL, both("UserPromptSubmit")),), prompt="x"),
    _copilot(
        "PreToolUse",
        "before-edit",
        ((DENY, decided("PreToolUse", "deny")), (ASK, decided("PreToolUse", "ask"))),
        {"paths": ("/w/a.py",)},
        tool_name="Edit",
        tool_input={"file_path": "/w/a.py"},
    ),
    _copilot("PreToolUse", "before-edit", (), {"paths": ("/w/a.py",)}, tool_name="create", tool_input={"path": "/w/a.py"}),
    _copilot(
        "PostToolUse",
        "after-edit",
        ((TELL, both("PostToolUse")),),
        {"paths": ("/w/a.py",)},
        tool_name="edit",
        tool_input='{"path": "/w/a.py"}',
        tool_result={"result_type": "success", "text_result_for_llm": ""},
    ),
    _copilot(
        "UserPromptSubmit",
        "prompt",
        (),
        {"agent_id": "g-1", "subagent": True},
        session_id="g-2",
        agent_id="g-2",
        agent_type="task",
        parent_agent_id="g-1",
        prompt="x",
    ),
    _copilot("Stop", "stop", ((GO_ON, {"decision": "block", "reason": "[a question]"}), (TELL, None)), stop_reason="end_turn"),
    _copilot("Stop", "stop", (), {"nagged": True}, stop_reason="end_turn", stop_hook_active=True),
    _copilot("SessionEnd", "other", ((TELL, None),), reason="complete"),
    _copilot("SessionEnd", "other", (), reason="timeout"),
    _copilot("SessionEnd", "end", ((TELL, None),), {"source": "user_exit"}, reason="user_exit"),
    _copilot("PreCompact", "compact", ((TELL, None),), trigger="auto", custom_instructions=""),
    _copilot("ErrorOccurred", "other", ((TELL, None),), error={"message": "", "name": ""}, recoverable=True),
    _native("start", ((TELL, {"additionalContext": "[news]"}),), {"source": "startup"}, source="new", initialPrompt="x"),
    _native("prompt", ((TELL, {"additionalContext": "[news]"}), (NOTE, None)), prompt="x"),
    _native(
        "before-edit", ((DENY, _VERDICT), (NOTHING, None)), {"paths": ("/w/a.py",)}, toolName="edit", toolArgs='{"path":"/w/a.py"}'
    ),
    _native("other", ((DENY, None),), toolName="view", toolArgs={"path": "/w/a.py"}),
    _native(
        "after-edit",
        ((TELL, {"additionalContext": "[news]"}),),
        {"paths": ("/w/a.py",)},
        toolName="create",
        toolArgs={"path": "/w/a.py"},
        toolResult={"resultType": "success", "textResultForLlm": ""},
    ),
    _native("stop", ((GO_ON, {"decision": "block", "reason": "[a question]"}),), transcriptPath="/t", stopReason="end_turn"),
    _native("other", ((GO_ON, None),), transcriptPath="/t", stopReason="end_turn", agentName="explore"),
    _native("other", (), reason="complete"),
    _native("compact", ((TELL, None),), trigger="auto", customInstructions="", transcriptPath="/t"),
    _native("other", ((TELL, None),), error={"message": "", "name": ""}, errorContext="system", recoverable=True),
]

# --- Cursor ----------------------------------------------------------------------------------------------------------

_CURSOR_ENV = {"CURSOR_VERSION": "2.0", "CURSOR_PROJECT_DIR": "/w", "CLAUDE_PROJECT_DIR": "/w"}


def _cursor(event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {
        "conversation_id": "k-1",
        "generation_id": "gen-1",
        "session_id": "k-1",
        "model": "m",
        "hook_event_name": event,
        "cursor_version": "2.0",
        "workspace_roots": ["/w"],
        "user_email": "someone@example.org",
        "transcript_path": None,
        **more,
    }
    known = {"agent": "cursor", "agent_id": "k-1", "ids": (("CURSOR_CONVERSATION_ID", "k-1"),), "place": "/w", "kind": kind}
    return Sent("cursor", payload, {**known, **means}, says, _CURSOR_ENV)


_REFUSED = {"permission": "deny", "user_message": "ada has it until 14:00", "agent_message": "ada has it until 14:00"}
_WRITE = {"tool_name": "Write", "tool_input": {"file_path": "/w/a.py"}, "tool_use_id": "tool-1"}
_CURSOR = [
    _cursor("sessionStart", "start", ((TELL, {"additional_context": "[news]"}),)),
    _cursor("beforeSubmitPrompt", "prompt", ((TELL, None),), {"key": "gen-1"}, prompt="x", attachments=[]),
    _cursor(
        "preToolUse",
        "before-edit",
        ((DENY, _REFUSED), (ASK, {**_REFUSED, "permission": "ask"}), (TELL, None), (NOTHING, None)),
        {"paths": ("/w/a.py",), "key": "tool-1"},
        **_WRITE,
        cwd="/w/sub",
    ),
    _cursor(
        "preToolUse",
        "before-edit",
        (),
        {"place": "/v", "paths": ("/v/in/a.py",)},
        workspace_roots=["/w", "/v"],
        tool_name="Write",
        tool_input={"file_path": "/v/in/a.py"},
        cwd="/w",
    ),
    _cursor("preToolUse", "other", ((DENY, None),), tool_name="Shell", tool_input={"command": "ls"}),
    _cursor("postToolUse", "after-edit", ((TELL, {"additional_context": "[news]"}),), {"paths": ("/w/a.py",)}, **_WRITE),
    _cursor("stop", "stop", ((GO_ON, {"followup_message": "[a question]"}), (TELL, None)), status="completed", loop_count=0),
    _cursor("stop", "stop", (), {"nagged": True}, status="completed", loop_count=1),
    _cursor("stop", "stop", (), {"nagged": True}, status="aborted", loop_count=0),
    _cursor("sessionEnd", "end", ((TELL, None),), {"source": "completed"}, reason="completed"),
    _cursor("preCompact", "compact", ((TELL, None),), trigger="auto"),
    _cursor("workspaceOpen", "other", ((TELL, None),)),
    _cursor("beforeReadFile", "other", ((TELL, None),), file_path="/w/a.py", content="x"),
    _cursor(
        "SessionStart",
        "start",
        ((TELL, {"additional_context": "[news]", **context("SessionStart")}),),
        {"source": "startup"},
        source="startup",
    ),
    _cursor(
        "PreToolUse", "before-edit", ((DENY, {**_REFUSED, **decided("PreToolUse", "deny")}),), {"paths": ("/w/a.py",)}, **_WRITE
    ),
    _cursor("Stop", "stop", ((GO_ON, {"followup_message": "[a question]"}),), stop_hook_active=False),
]

# --- Gemini CLI ------------------------------------------------------------------------------------------------------


def _gemini(event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {
        "session_id": "m-1",
        "transcript_path": "/home/x/.gemini/tmp/1.json",
        "cwd": "/w",
        "hook_event_name": event,
        "timestamp": "2026-11-21T10:00:00Z",
        **more,
    }
    known = {"agent": "gemini", "agent_id": "m-1", "ids": (("GEMINI_SESSION_ID", "m-1"),), "place": "/w", "kind": kind}
    environ = {"GEMINI_CLI": "1", "GEMINI_SESSION_ID": "m-1", "GEMINI_PROJECT_DIR": "/w", "CLAUDE_PROJECT_DIR": "/w"}
    return Sent("gemini", payload, {**known, **means}, says, environ)


_REPLACE = {"tool_name": "replace", "tool_input": {"file_path": "/w/a.py", "old_string": "x", "new_string": "y"}}
_GEMINI = [
    _gemini("SessionStart", "start", ((TELL, context("SessionStart")),), {"source": "startup"}, source="startup"),
    _gemini("SessionStart", "start", ((TELL, None),), {"source": "clear"}, source="clear"),  # it drops that
    _gemini("BeforeAgent", "prompt", ((TELL, context("BeforeAgent")),), prompt="x"),
    _gemini(
        "BeforeTool",
        "before-edit",
        (
            (DENY, {"decision": "deny", "reason": "ada has it until 14:00"}),
            (TELL, None),
            (NOTHING, None),
            (ASK, None),
        ),
        {"paths": ("/w/a.py",)},
        **_REPLACE,
    ),
    _gemini("BeforeTool", "before-edit", (), {"paths": ("b.py",)}, tool_name="write_file", tool_input={"file_path": "b.py"}),
    _gemini("BeforeTool", "other", ((DENY, None),), tool_name="run_shell_command", tool_input={"command": "ls"}),
    _gemini("AfterTool", "after-edit", ((TELL, context("AfterTool")),), {"paths": ("/w/a.py",)}, **_REPLACE, tool_response={}),
    _gemini("AfterTool", "after-tool", ((TELL, context("AfterTool")),), tool_name="run_shell_command", tool_input={}),
    _gemini(
        "AfterAgent",
        "stop",
        ((GO_ON, {"decision": "deny", "reason": "[a question]"}), (TELL, None)),
        prompt="x",
        prompt_response="y",
        stop_hook_active=False,
    ),
    _gemini("AfterAgent", "stop", (), {"nagged": True}, prompt="x", prompt_response="y", stop_hook_active=True),
    _gemini("SessionEnd", "end", ((TELL, None), (NOTE, None)), {"source": "exit"}, reason="exit"),
    _gemini("PreCompress", "other", ((TELL, None),), trigger="auto"),
    _gemini("BeforeModel", "other", ((TELL, None), (DENY, None)), llm_request={}),
    _gemini("Notification", "other", ((TELL, None),), notification_type="ToolPermission", message="x", details={}),
]

# --- Antigravity CLI -------------------------------------------------------------------------------------------------


def _agy(event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, *, named: bool = True, **more: Any) -> Sent:
    payload = {
        "conversationId": "a-1",
        "workspacePaths": ["/w"],
        "transcriptPath": "/t",
        "artifactDirectoryPath": "/d",
        "modelName": "m",
        **more,
    }
    known = {"agent": "antigravity", "agent_id": "a-1", "ids": (("ANTIGRAVITY_AGENT", "a-1"),), "place": "/w", "kind": kind}
    return Sent("antigravity", payload, {**known, **means}, says, {}, f"antigravity:{event}" if named else "")


_STEPS = {"injectSteps": [{"ephemeralMessage": "[news]"}]}
_CALL = {"name": "write_to_file", "args": {"TargetFile": "/w/a.py", "CodeContent": ""}}
_AGY = [
    _agy("SessionStart", "start", ((TELL, _STEPS),)),
    _agy(
        "PreInvocation", "prompt", ((TELL, _STEPS), (NOTHING, None)), {"key": "invocationNum-0"}, invocationNum=0, initialNumSteps=1
    ),
    _agy("", "prompt", ((TELL, _STEPS),), named=False, invocationNum=3, initialNumSteps=9),
    _agy(
        "PreToolUse",
        "before-edit",
        (
            (DENY, {"decision": "deny", "reason": "ada has it until 14:00"}),
            (TELL, {"decision": "allow"}),
            (ASK, {"decision": "ask", "reason": "ada has it until 14:00"}),
            (NOTHING, {"decision": "allow"}),
        ),
        {"paths": ("/w/a.py",), "key": "stepIdx-4"},
        toolCall=_CALL,
        stepIdx=4,
    ),
    _agy("", "before-edit", ((NOTHING, {"decision": "allow"}),), {"paths": ("/w/a.py",)}, named=False, toolCall=_CALL),
    _agy("PreToolUse", "other", ((DENY, {"decision": "allow"}),), toolCall={"name": "run_command", "args": {"CommandLine": "ls"}}),
    _agy(
        "PostToolUse", "after-edit", ((TELL, None), (NOTHING, None)), {"paths": ("/w/a.py",)}, toolCall=_CALL, stepIdx=4, error=""
    ),
    _agy("PostToolUse", "after-tool", ((TELL, None),), stepIdx=4, error=""),
    _agy(
        "Stop",
        "stop",
        ((GO_ON, {"decision": "continue", "reason": "[a question]"}), (TELL, None), (NOTHING, None)),
        executionNum=1,
        terminationReason="model_stop",
        fullyIdle=True,
    ),
    _agy("Stop", "other", ((GO_ON, None),), executionNum=1, terminationReason="model_stop", fullyIdle=False),
    _agy("", "stop", (), named=False, executionNum=1, terminationReason="model_stop", fullyIdle=True),
    _agy("PostInvocation", "other", ((TELL, None),), invocationNum=0, initialNumSteps=1),
]

# --- our own form: the plugins of opencode and Amp, and anybody ---------------------------------------------------------------


def _own(who: str, event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {"event": event, "session": "o-1", "cwd": "/w", **more}
    known = {"agent_id": "o-1", "ids": (("GITCOORD_AGENT_ID", "o-1"),), "place": "/w", "kind": kind}
    return Sent(who, payload, {**known, **means}, says, {}, who if who != "generic" else "")


_NEWS = {"context": "[news]"}
_OWN = [
    _own("opencode", "start", "start", ((TELL, _NEWS),), {"agent": "opencode", "source": "startup"}, source="startup"),
    _own("opencode", "prompt", "prompt", ((TELL, _NEWS), (NOTHING, None)), id="msg_1"),
    _own(
        "opencode",
        "before-edit",
        "before-edit",
        ((DENY, {"verdict": "deny", "reason": "ada has it until 14:00"}), (TELL, None), (ASK, None)),
        {"paths": ("/w/a.py",), "key": "call_1"},
        paths=["/w/a.py"],
        id="call_1",
    ),
    _own("opencode", "before-edit", "before-edit", (), {"subagent": True, "paths": ()}, subagent=True),
    _own("opencode", "after-edit", "after-edit", ((TELL, _NEWS),), {"paths": ("/w/a.py",)}, paths=["/w/a.py"]),
    _own(
        "opencode",
        "stop",
        "stop",
        ((GO_ON, {"context": "[a question]", "go_on": True}), (TELL, None)),
        {"nagged": False},
    ),
    _own("opencode", "stop", "stop", ((GO_ON, None),), {"nagged": True}, nagged=True),
    _own("opencode", "after-tool", "after-tool", ((TELL, _NEWS),), {"paths": ()}, id="call_2"),
    _own("opencode", "end", "end", ((TELL, None),)),
    _own("opencode", "compact", "compact", ((TELL, None),)),
    _own("amp", "start", "start", ((TELL, _NEWS),), {"agent": "amp", "source": "resume"}, agent="amp", source="resume"),
    _own("amp", "prompt", "prompt", ((TELL, _NEWS), (NOTHING, None)), id="1"),
    _own(
        "amp",
        "before-edit",
        "before-edit",
        ((DENY, {"verdict": "deny", "reason": "ada has it until 14:00"}), (TELL, None), (ASK, None)),
        {"paths": ("/w/a.py",), "key": "toolu_1"},
        paths=["/w/a.py"],
        id="toolu_1",
    ),
    _own("amp", "after-edit", "after-edit", ((TELL, None),), {"paths": ("/w/a.py",)}, paths=["/w/a.py"]),
    _own("amp", "stop", "stop", ((GO_ON, {"context": "[a question]", "go_on": True}), (TELL, None)), {"nagged": False}),
    _own("amp", "stop", "stop", ((GO_ON, None),), {"nagged": True}, nagged=True),
    _own("amp", "end", "end", ((TELL, None),)),
    _own("generic", "start", "start", ((TELL, _NEWS),), {"agent": "my-agent"}, agent="my-agent"),
    _own(
        "generic",
        "before-edit",
        "before-edit",
        ((ASK, {"verdict": "ask", "reason": "ada has it until 14:00"}), (TELL, _NEWS)),
        {"paths": ("a.py", "b.py"), "agent": "agent"},
        paths=["a.py", "b.py"],
    ),
    _own("generic", "dance", "other", ((TELL, None), (DENY, None), (GO_ON, None), (NOTE, None))),
]

# --- programs that took a form over from another one -----------------------------------------------------------------


def _like(agent: str, event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {"session_id": "q-1", "cwd": "/w", "hook_event_name": event, **more}
    variable = {"qwen": "QWEN_CODE", "tabnine": "TABNINE_CLI"}.get(agent, "GITCOORD_AGENT_ID")
    known = {"agent_id": "q-1", "ids": ((variable, "q-1"),), "place": "/w", "kind": kind}
    return Sent(agent, payload, {**known, **means}, says, {}, agent)


_BLOCK = {"decision": "block", "reason": "[a question]"}
_QWEN_EDIT = {
    "tool_name": "edit",
    "tool_input": {"file_path": "/w/a.py", "old_string": "x", "new_string": "y"},
    "tool_use_id": "t-1",
}
_QWEN = [
    _like("qwen", "SessionStart", "start", ((TELL, None),), {"agent": "qwen-code", "source": "startup"}, source="startup"),
    _like("qwen", "SessionStart", "start", (), {"source": "fork"}, source="branch"),
    _like("qwen", "UserPromptSubmit", "prompt", ((TELL, context("UserPromptSubmit")),), {"late": True}, prompt="x"),
    _like(
        "qwen", "PreToolUse", "before-edit", ((DENY, decided("PreToolUse", "deny")), (ASK, None), (TELL, None)),
        {"paths": ("/w/a.py",), "key": "t-1"}, **_QWEN_EDIT,
    ),
    _like("qwen", "PreToolUse", "other", ((DENY, None),), tool_name="read_file", tool_input={"file_path": "/w/a.py"}),
    _like("qwen", "PostToolUse", "after-edit", ((TELL, context("PostToolUse")),), {"paths": ("/w/a.py",)}, **_QWEN_EDIT),
    _like("qwen", "PostToolUse", "after-tool", ((TELL, context("PostToolUse")),), tool_name="run_shell_command", tool_input={}),
    _like("qwen", "Stop", "stop", ((GO_ON, _BLOCK),), {"nagged": False}, stop_hook_active=True),
    _like("qwen", "SessionEnd", "end", ((TELL, None),), reason="prompt_input_exit"),
]  # fmt: skip
_DROID_EDIT = {"tool_name": "Create", "tool_input": {"file_path": "/w/a.py", "content": "x"}}
_DROID = [
    _like("droid", "SessionStart", "start", ((TELL, context("SessionStart")),), {"agent": "droid"}, source="startup"),
    _like("droid", "UserPromptSubmit", "prompt", ((TELL, context("UserPromptSubmit")),), prompt="x"),
    _like(
        "droid", "PreToolUse", "before-edit",
        ((DENY, decided("PreToolUse", "deny")), (ASK, decided("PreToolUse", "ask")), (TELL, None)),
        {"paths": ("/w/a.py",)}, **_DROID_EDIT,
    ),
    _like("droid", "PreToolUse", "before-edit", (), {"paths": _FILES}, tool_name="ApplyPatch", tool_input={"input": PATCH}),
    _like("droid", "PostToolUse", "after-edit", ((TELL, context("PostToolUse")),), {"paths": ("/w/a.py",)}, **_DROID_EDIT),
    _like("droid", "PostToolUse", "after-tool", ((TELL, context("PostToolUse")),), tool_name="Execute", tool_input={}),
    _like("droid", "Stop", "stop", ((GO_ON, _BLOCK), (TELL, None)), stop_hook_active=False),
    _like("droid", "Stop", "stop", ((GO_ON, None),), {"nagged": True}, stop_hook_active=True),
    _like("droid", "SessionEnd", "end", (), reason="other"),
    _like("droid", "Notification", "other", ((TELL, None),), message="x"),
]  # fmt: skip
_TABNINE_EDIT = {"tool_name": "write_file", "tool_input": {"file_path": "/w/a.py", "content": "x"}}
_TABNINE = [
    _like("tabnine", "SessionStart", "start", ((TELL, context("SessionStart")),), {"agent": "tabnine"}, source="startup"),
    _like("tabnine", "BeforeAgent", "prompt", ((TELL, context("BeforeAgent")),), prompt="x"),
    _like(
        "tabnine", "BeforeTool", "before-edit", ((DENY, {"decision": "deny", "reason": "ada has it until 14:00"}), (ASK, None)),
        {"paths": ("/w/a.py",)}, **_TABNINE_EDIT,
    ),
    _like("tabnine", "AfterTool", "after-edit", ((TELL, context("AfterTool")),), {"paths": ("/w/a.py",)}, **_TABNINE_EDIT),
    _like("tabnine", "AfterAgent", "stop", ((GO_ON, {"decision": "deny", "reason": "[a question]"}),), prompt="x"),
    _like("tabnine", "SessionEnd", "end", (), reason="exit"),
    _like("tabnine", "BeforeModel", "other", ((TELL, None),)),
]  # fmt: skip


def _vscode(event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {"timestamp": "2026-11-21T10:00:00Z", "cwd": "/w", "sessionId": "v-1", "hookEventName": event, **more}
    known = {"agent": "vscode", "agent_id": "v-1", "ids": (("GITCOORD_AGENT_ID", "v-1"),), "place": "/w", "kind": kind}
    return Sent("vscode", payload, {**known, **means}, says)


_VSCODE_EDIT = {"tool_name": "editFiles", "tool_input": {"files": ["/w/a.py"]}, "tool_use_id": "t-1"}
_VSCODE = [
    _vscode("SessionStart", "start", ((TELL, context("SessionStart")),), {"source": "startup"}, source="new"),
    _vscode("UserPromptSubmit", "prompt", ((TELL, None),), prompt="x"),
    _vscode(
        "PreToolUse", "before-edit",
        ((DENY, decided("PreToolUse", "deny")), (ASK, decided("PreToolUse", "ask")), (TELL, context("PreToolUse"))),
        {"paths": ("/w/a.py",), "key": "t-1"}, **_VSCODE_EDIT,
    ),
    _vscode("PreToolUse", "other", ((DENY, None),), tool_name="runTerminalCommand", tool_input={"command": "ls"}),
    _vscode("PostToolUse", "after-edit", ((TELL, context("PostToolUse")),), {"paths": ("/w/a.py",)}, **_VSCODE_EDIT),
    _vscode(
        "Stop", "stop", ((GO_ON, specific("Stop", decision="block", reason="[a question]")), (TELL, None)), stop_hook_active=False
    ),
    _vscode("Stop", "stop", ((GO_ON, None),), {"nagged": True}, stop_hook_active=True),
    _vscode("SubagentStop", "other", ((TELL, None),)),
]  # fmt: skip

# --- programs with a form of their own, and those that are only kept from what others hold ---------------------------


def _cline(event: str, kind: str, says: Says, means: Mapping[str, Any] = {}, **more: Any) -> Sent:
    payload = {"clineVersion": "4", "hookName": event, "taskId": "1", "workspaceRoots": ["/w"], **more}
    known = {"agent": "cline", "agent_id": "1", "ids": (("GITCOORD_AGENT_ID", "1"),), "place": "/w", "kind": kind}
    return Sent("cline", payload, {**known, **means}, says)


_CLINE_NEWS = {"cancel": False, "contextModification": "[news]"}
_CLINE_EDIT = {"toolName": "write_to_file", "parameters": {"path": "/w/a.py", "content": "x"}}
_CLINE = [
    _cline("TaskStart", "start", ((TELL, _CLINE_NEWS),), {"source": "startup"}),
    _cline("TaskResume", "start", (), {"source": "resume"}),
    _cline("UserPromptSubmit", "prompt", ((TELL, _CLINE_NEWS),), {"late": True}),
    _cline(
        "PreToolUse", "before-edit", ((DENY, {"cancel": True, "errorMessage": "ada has it until 14:00"}), (ASK, None)),
        {"paths": ("/w/a.py",)}, preToolUse=_CLINE_EDIT,
    ),
    _cline("PostToolUse", "after-edit", ((TELL, _CLINE_NEWS),), {"paths": ("/w/a.py",)}, postToolUse=_CLINE_EDIT),
    _cline("PreToolUse", "other", ((DENY, None),), preToolUse={"toolName": "read_file", "parameters": {"path": "/w/a.py"}}),
    _cline("TaskComplete", "end", ()),
]  # fmt: skip


def _guarded(agent: str, kind: str, payload: Mapping[str, Any], means: Mapping[str, Any] = {}) -> Sent:
    says: Says = ((DENY, {"decision": "block", "reason": "ada has it until 14:00"}), (ASK, None), (TELL, None))
    known = {"agent": agent, "agent_id": "", "ids": (), "kind": kind, "guards": True}
    return Sent(agent, payload, {**known, **means}, says if kind == "before-edit" else ((DENY, None),), {}, agent)


_GOOSE = {"event": "PreToolUse", "session_id": "g", "tool_name": "developer__edit", "working_dir": "/w"}
_KIRO = {
    "hook_event_name": "PreToolUse",
    "cwd": "/w",
    "tool_name": "fs_write",
    "tool_input": {"command": "create", "path": "/w/a.py"},
}
_WINDSURF = {"agent_action_name": "pre_write_code", "trajectory_id": "x", "tool_info": {"file_path": "/w/a.py", "edits": []}}
_GUARDED = [
    _guarded("goose", "before-edit", {**_GOOSE, "tool_input": {"path": "src/api.py"}}, {"paths": ("src/api.py",), "place": "/w"}),
    _guarded("goose", "other", {**_GOOSE, "event": "Stop"}),
    _guarded("kiro", "before-edit", _KIRO, {"paths": ("/w/a.py",), "place": "/w"}),
    _guarded("kiro", "other", {**_KIRO, "hook_event_name": "agentSpawn"}),
    _guarded("windsurf", "before-edit", _WINDSURF, {"paths": ("/w/a.py",)}),
    _guarded("windsurf", "other", {**_WINDSURF, "agent_action_name": "pre_read_code"}),
]
GUARDED = {one.agent for one in _GUARDED}
"""The agents that are only kept from what others hold."""

ALL: list[Sent] = [
    *_CLAUDE, *_CODEX, *_COPILOT, *_CURSOR, *_GEMINI, *_AGY, *_OWN, *_QWEN, *_DROID, *_TABNINE, *_VSCODE, *_CLINE, *_GUARDED,
]  # fmt: skip
