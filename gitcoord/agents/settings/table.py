"""The files of coding agents: which of them gets what, so that the agents call `gitcoord hook`.

What an agent runs stays the same over all versions: Codex asks its person again whenever it changes. Only what all of them read is
used: one command, a time-out, a matcher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from gitcoord.agents.settings.edits import COMMAND, Block, Edit, JsonHooks, Whole, WholeJson, refusing
from gitcoord.machine.agents import AGENTS

Scope = Literal["project", "user"]

_START, _STEP, _END = 10, 5, 3  # seconds; at an end Codex waits for 3 at most
_SECONDS = {"SessionStart": _START, "sessionStart": _START, "SessionEnd": _END, "sessionEnd": _END}
_EDITS = "Edit|Write|MultiEdit|NotebookEdit"

_OTHERS = "Bash|Read|mcp__.*"
"""Tools that edit nothing, behind which a session hears what was said to it: there are turns without an edit."""

SAFE = (
    "ask", "board", "briefing", "check", "claims", "end", "handoff", "handoffs", "heartbeat", "history", "inbox", "listen", "log",
    "peers", "release", "renew", "reply", "request", "respond", "send", "start", "status", "sync", "take", "verify", "whoami",
)  # fmt: skip
"""The commands that an agent may run unasked. Not `claim`: with `--break` it takes from others, and a rule can't tell; not `run`,
`relay`, `demo`, which run other things; nothing that sets up or takes away.
"""
_EXACT = frozenset({"board"})  # it can write a file: only without options


@dataclass(frozen=True)
class SettingsFile:
    """One file: what is done to it, and where it lies from the project's root and from the user's home. `moved`: the variable that
    names another folder than `home`'s first part; "" there is none. `whole`: the file has no other use than ours. `runs`: it is a
    program.
    """

    edit: Edit
    project: str = ""
    home: str = ""
    moved: str = ""
    whole: bool = False
    runs: bool = False

    def path(self, scope: Scope, root: Path, home: Path, environ: Mapping[str, str]) -> Path | None:
        """Where the file lies; None where this agent has none of that kind."""
        if scope == "project":
            return root / self.project if self.project else None
        if not self.home:
            return None
        folder = environ.get(self.moved, "") if self.moved else ""
        return Path(folder, *Path(self.home).parts[1:]) if Path(folder).is_absolute() and folder else home / self.home


@dataclass(frozen=True)
class AgentFiles:
    """An agent's files. `name`: the agent's in the table of all (`machine.agents`); `then`: what its person has to do once."""

    name: str
    targets: tuple[SettingsFile, ...]
    then: str = ""

    @property
    def title(self) -> str:
        """Return the name by which people know the agent."""
        return AGENTS[self.name].title


def _grouped(
    matchers: Mapping[str, str], *, unit: int = 1, root: tuple[str, ...] = ("hooks",), agent: str = "", **more: str
) -> tuple[Any, ...]:
    """Claude Code's form: a list of groups for each event, each with a matcher and its handlers. `agent`: named in the command."""
    found = []
    command = f"{COMMAND} --agent {agent}" if agent else COMMAND
    for event, matcher in matchers.items():
        handler = {"type": "command", **more, "command": command, "timeout": _SECONDS.get(event, _STEP) * unit}
        found.append(((*root, event), {**({"matcher": matcher} if matcher else {}), "hooks": [handler]}))
    return tuple(found)


def _claude_events(edits: str) -> dict[str, str]:
    tools = {"PreToolUse": edits, "PostToolUse": f"{edits}|{_OTHERS}" if edits else ""}
    return {"SessionStart": "", "UserPromptSubmit": "", **tools, "Stop": "", "SessionEnd": "", "PreCompact": ""}


def _codex() -> JsonHooks:
    """One call for a tool, before it: Codex shows its person two lines for each, and hands over what it says with the result."""
    events = {**_claude_events(""), "PreToolUse": f"apply_patch|Edit|Write|{_OTHERS}"}
    del events["PostToolUse"]
    return JsonHooks(_grouped(events))


def _copilot() -> JsonHooks:
    # A hook before a tool that fails counts as a no: without the last part, nobody without gitcoord could use a tool there.
    shells = {"bash": f"{COMMAND} || true", "powershell": f"{COMMAND}; exit 0"}
    # By Claude's names, which these events have, and by its own: not every version takes the same for a matcher. Not behind Read:
    # there it would cost more than a look is worth.
    edits = f"{_EDITS}|edit|create|apply_patch|str_replace_editor"
    matchers = {"PreToolUse": edits, "PostToolUse": f"{edits}|Bash|bash"}
    entries = tuple(
        (
            ("hooks", event),
            {
                "type": "command",
                **({"matcher": matchers[event]} if event in matchers else {}),
                **shells,
                "timeoutSec": _SECONDS.get(event, _STEP),
            },
        )
        for event in _claude_events("")
    )
    return JsonHooks(entries, members=((("version",), 1),))


def _cursor() -> JsonHooks:
    # One event that it doesn't know makes the whole file invalid: these it knows.
    matchers = {"preToolUse": "Write|Delete", "postToolUse": "Write|Delete"}
    events = ("sessionStart", "beforeSubmitPrompt", "preToolUse", "postToolUse", "stop", "sessionEnd", "preCompact")
    entries = tuple(
        (
            ("hooks", event),
            {
                "command": COMMAND,
                **({"matcher": matchers[event]} if event in matchers else {}),
                "timeout": _SECONDS.get(event, _STEP),
            },
        )
        for event in events
    )
    return JsonHooks(entries, members=((("version",), 1),))


def _gemini(agent: str = "") -> JsonHooks:
    tools = "write_file|replace"
    after = f"{tools}|run_shell_command"
    events = {"SessionStart": "", "BeforeAgent": "", "BeforeTool": tools, "AfterTool": after, "AfterAgent": "", "SessionEnd": ""}
    return JsonHooks(_grouped(events, unit=1000, agent=agent, name="gitcoord"))


def _qwen() -> JsonHooks:
    """Milliseconds, as 0.15 to 0.26 count; a later version that counts seconds is kept from waiting for long by the hook itself."""
    edits = "edit|write_file|replace|notebook_edit"
    matchers = {**_claude_events(""), "PreToolUse": edits, "PostToolUse": f"{edits}|run_shell_command"}
    return JsonHooks(_grouped(matchers, unit=1000, agent="qwen", name="gitcoord"))


def _droid() -> JsonHooks:
    """The events stand at the top of its file."""
    edits = "Create|Edit|ApplyPatch"
    matchers = {**_claude_events(""), "PreToolUse": edits, "PostToolUse": f"{edits}|Execute"}
    return JsonHooks(_grouped(matchers, root=(), agent="droid"))


def _kiro() -> WholeJson:
    hook = {
        "name": "gitcoord",
        "trigger": "PreToolUse",
        "matcher": "fs_write|str_replace|write",
        "action": {"type": "command", "command": refusing(f"{COMMAND} --agent kiro")},
        "timeout": _STEP,
        "enabled": True,
    }
    return WholeJson({"version": "v1", "hooks": [hook]}, COMMAND)


def _goose() -> tuple[SettingsFile, ...]:
    """A plugin: what it is called, and its one hook."""
    called = {"name": "gitcoord", "version": "1.0.0", "description": "Keeps a session from what another one holds."}
    hooks = JsonHooks(_grouped({"PreToolUse": "developer__write|developer__edit|developer__text_editor"}, agent="goose"))
    folder = ".agents/plugins/gitcoord"
    return (
        SettingsFile(WholeJson(called, '"gitcoord"'), f"{folder}/plugin.json", f"{folder}/plugin.json", whole=True),
        SettingsFile(hooks, f"{folder}/hooks/hooks.json", f"{folder}/hooks/hooks.json", whole=True),
    )


_CLINE = """# Tells gitcoord of a step of a Cline task, and passes on what it answers. A missing gitcoord changes nothing.
# In: gitcoord hooks install --agent cline. Out: gitcoord hooks uninstall --agent cline.
said=$(gitcoord hook --agent cline 2>/dev/null) || said=
echo "${said:-{\\"cancel\\": false\\}}"
"""


def _cline() -> tuple[SettingsFile, ...]:
    """A program for each event, called like it."""
    events = ("TaskStart", "TaskResume", "UserPromptSubmit", "PreToolUse", "PostToolUse", "TaskComplete", "TaskCancel")
    edit = Whole(_CLINE, "#!/bin/sh\n# ")
    return tuple(
        SettingsFile(edit, f".clinerules/hooks/{event}", f"Documents/Cline/Hooks/{event}", whole=True, runs=True)
        for event in events
    )


def _windsurf() -> JsonHooks:
    command = refusing(f"{COMMAND} --agent windsurf")
    return JsonHooks(((("hooks", "pre_write_code"), {"command": command, "show_output": True}),))


def _antigravity() -> JsonHooks:
    """Below a name of ours; the payload doesn't tell the event, so the command does."""
    tools = "write_to_file|replace_file_content|multi_replace_file_content"
    entries: list[tuple[tuple[str, str], Any]] = []
    for event in ("SessionStart", "PreInvocation", "PreToolUse", "PostToolUse", "Stop"):
        command = f"{COMMAND} --agent antigravity:{event}"
        if event == "PreToolUse":
            command += """ || echo '{"decision": "allow"}'"""  # silence counts as a no there: also where there is no gitcoord
        handler = {"type": "command", "command": command, "timeout": _SECONDS.get(event, _STEP)}
        entries.append((("gitcoord", event), {"matcher": tools, "hooks": [handler]} if event.endswith("ToolUse") else handler))
    return JsonHooks(tuple(entries))


def _rules() -> tuple[tuple[tuple[str, str], str], ...]:
    return tuple((("permissions", "allow"), f"Bash(gitcoord {name}{'' if name in _EXACT else ':*'})") for name in SAFE)


def packaged(name: str) -> str:
    """Return the text of a file that comes with the program."""
    return (resources.files("gitcoord.agents.settings") / name).read_text(encoding="utf-8")


def _skill() -> Whole:
    """The plugin's skill, with our mark as a comment in its head."""
    there = resources.files("gitcoord.agents.settings") / "SKILL.md"
    path = there if there.is_file() else Path(__file__).parents[3] / "plugin/skills/gitcoord/SKILL.md"  # an editable installation
    return Whole(path.read_text(encoding="utf-8").removeprefix("---\n"), "---\n# ")


def agents() -> dict[str, AgentFiles]:
    """Every agent, by its name; Claude Code before Cursor, which may import what it has."""
    block = packaged("AGENTS.md")
    found = (
        _agent(
            "claude", JsonHooks(_grouped(_claude_events(_EDITS)), rules=_rules()),
            ".claude/settings.json", moved="CLAUDE_CONFIG_DIR",
        ),
        _agent(
            "codex", _codex(),
            ".codex/hooks.json", moved="CODEX_HOME", then="open /hooks in Codex once and trust them",
        ),
        _agent(
            "copilot", _copilot(),
            ".github/hooks/gitcoord.json", ".copilot/hooks/gitcoord.json", moved="COPILOT_HOME", whole=True,
        ),
        _agent("cursor", _cursor(), ".cursor/hooks.json"),
        _agent("gemini", _gemini(), ".gemini/settings.json"),
        _agent("qwen", _qwen(), ".qwen/settings.json"),
        _agent("tabnine", _gemini("tabnine"), ".tabnine/agent/settings.json"),
        _agent("droid", _droid(), ".factory/hooks.json"),
        _agent("vscode", _copilot(), ".github/hooks/gitcoord.json", ".copilot/hooks/gitcoord.json", whole=True),
        _agent("kiro", _kiro(), ".kiro/hooks/gitcoord.json", whole=True),
        _agent("windsurf", _windsurf(), ".windsurf/hooks.json", ".codeium/windsurf/hooks.json"),
        AgentFiles("goose", _goose()),
        AgentFiles("cline", _cline(), "switch hooks on in Cline's settings, and these in its tab of hooks"),
        _agent("antigravity", _antigravity(), ".agents/hooks.json", ".gemini/config/hooks.json"),
        _agent(
            "opencode", Whole(packaged("opencode.js")),
            ".opencode/plugins/gitcoord.js", ".config/opencode/plugins/gitcoord.js", moved="XDG_CONFIG_HOME", whole=True,
        ),
        _agent("amp", Whole(packaged("amp.ts")), ".amp/plugins/gitcoord.ts", ".config/amp/plugins/gitcoord.ts", whole=True),
        AgentFiles(
            "aider",
            (
                SettingsFile(Whole(block, "<!-- ", " -->"), "GITCOORD.md", whole=True),
                SettingsFile(Block("read: [GITCOORD.md]\n", "# ", "", unless="read:"), ".aider.conf.yml"),
            ),
        ),
        AgentFiles("agents-md", (SettingsFile(Block(block), "AGENTS.md"),)),
        _agent("skill", _skill(), ".agents/skills/gitcoord/SKILL.md", whole=True),
    )  # fmt: skip
    return {one.name: one for one in found}


def _agent(
    name: str, edit: Edit, project: str, home: str = "", *, moved: str = "", whole: bool = False, then: str = ""
) -> AgentFiles:
    """An agent with one file; in the user's home it is called the same unless said."""
    return AgentFiles(name, (SettingsFile(edit, project, home or project, moved, whole),), then)
