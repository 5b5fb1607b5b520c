"""What is known of each coding agent: the one table from which all else that names agents is derived.

Derived from it: by which variables a session is bound (`identity`), which variables a git hook hands on (`githooks.folder` writes
them into the hook's text), whose dialect is spoken (`agents.dialects`), whose settings are written (`agents.settings.table` has
the files), and who is used here (`find`). A new agent is a new row here, and its dialect and its files there.

Every hook loads this: the standard library only, and as little of it as can be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Agent(NamedTuple):
    """What is known of one agent.

    name: what it is called on the command line (`--agent`).
    title: what people call it; "" for a program that has no files of its own.
    record: what it is called in records.
    variable: the variable by which its sessions are bound; "" for one that has no sessions here. If it differs from `mark`, the
        commands that the agent runs find their session's id in it.
    mark: the variable that says no more to its commands than that it is at work; "" if there is none.
    outer: the variable that tells the commands of a helper inside of a session which session that is; "" if there is none.
    pid: the variable that tells its commands the number of its process; "" if there is none.
    threads: True if one process of it may run several sessions at once: then a process is nobody's identity.
    login_shell: True if its commands run in a login shell, whose PATH may be another than its hooks'.
    nameless: True if its commands find nothing that says whose they are: it has to name its session in each.
    helpers_apart: True if the commands of a helper find an id of their own in `variable`, of which nothing else tells.
    late: True if not every start is told: then a prompt may be the first that is heard of a session. Its prompts' hooks find the
        first of `hook_marks`.
    by_form: True if the form of what its hooks send before an edit decides how that is read: which fields there are, and not what
        is in them.
    hook_has_id: True if its hooks, too, find the session's id in `variable`.
    hook_marks: the variables by which its hooks know that it called.
    rank: whose marks count: the agent's with the lowest rank. Agents run inside agents and find the outer ones' marks, too.
    programs: what it is called on PATH.
    in_project, in_home: folders that it has in a project, and in its user's home.
    """

    name: str
    title: str = ""
    record: str = ""
    variable: str = ""
    mark: str = ""
    outer: str = ""
    pid: str = ""
    threads: bool = False
    login_shell: bool = False
    nameless: bool = False
    helpers_apart: bool = False
    late: bool = False
    by_form: bool = False
    hook_has_id: bool = False
    hook_marks: tuple[str, ...] = ()
    rank: int = 0
    programs: tuple[str, ...] = ()
    in_project: tuple[str, ...] = ()
    in_home: tuple[str, ...] = ()


OWN_VARIABLE = "GITCOORD_AGENT_ID"
"""Ours, for agents whose commands find no id of their session: whoever calls gitcoord for them sets it (opencode's plugin does)."""

AGENTS = {
    agent.name: agent
    for agent in (
        Agent(
            "claude", "Claude Code", "claude-code", "CLAUDE_CODE_SESSION_ID", pid="CLAUDE_PID",
            by_form=True, hook_has_id=True, hook_marks=("CLAUDECODE", "CLAUDE_CODE_SESSION_ID"),
            rank=6,  # the last: Cursor, Copilot and Gemini set some of its variables, too
            programs=("claude",), in_project=(".claude",), in_home=(".claude",),
        ),
        Agent(
            "codex", "Codex", "codex", "CODEX_THREAD_ID", outer="CODEX_SESSION_ID", threads=True,
            login_shell=True, hook_has_id=True,
            programs=("codex",), in_project=(".codex",), in_home=(".codex",),
        ),
        Agent(
            "copilot", "Copilot CLI", "copilot", "COPILOT_AGENT_SESSION_ID", mark="COPILOT_CLI",
            helpers_apart=True, hook_marks=("COPILOT_CLI", "COPILOT_PROJECT_DIR", "COPILOT_PLUGIN_ROOT"), rank=1,
            programs=("copilot",), in_project=(".github/hooks", ".github/copilot"), in_home=(".copilot",),
        ),
        Agent(
            "cursor", "Cursor", "cursor", "CURSOR_CONVERSATION_ID",
            hook_marks=("CURSOR_VERSION", "CURSOR_AGENT"), rank=3,
            programs=("cursor", "cursor-agent"), in_project=(".cursor",), in_home=(".cursor",),
        ),
        Agent(
            "gemini", "Gemini CLI", "gemini", "GEMINI_SESSION_ID", mark="GEMINI_CLI",
            hook_has_id=True, hook_marks=("GEMINI_CLI", "GEMINI_SESSION_ID"), rank=4,
            programs=("gemini",), in_project=(".gemini",), in_home=(".gemini",),
        ),
        Agent(
            "antigravity", "Antigravity CLI", "antigravity", "ANTIGRAVITY_AGENT", mark="ANTIGRAVITY_AGENT", rank=5,
            programs=("agy",),  # not its folder .agents: that is everybody's by now
        ),
        Agent(
            "opencode", "opencode", "opencode", OWN_VARIABLE, mark="OPENCODE", threads=True, rank=2,
            programs=("opencode",), in_project=(".opencode",), in_home=(".config/opencode",),
        ),
        Agent(
            "qwen", "Qwen Code", "qwen-code", "QWEN_CODE", mark="QWEN_CODE", late=True, hook_marks=("QWEN_PROJECT_DIR",), rank=1,
            programs=("qwen",), in_project=(".qwen",), in_home=(".qwen",),
        ),
        Agent(
            "tabnine", "Tabnine CLI", "tabnine", "TABNINE_CLI", mark="TABNINE_CLI", hook_marks=("TABNINE_PROJECT_DIR",), rank=3,
            programs=("tabnine",), in_project=(".tabnine",), in_home=(".tabnine",),
        ),
        Agent(
            "droid", "Factory Droid", "droid", OWN_VARIABLE, nameless=True, hook_marks=("FACTORY_PROJECT_DIR",), rank=1,
            programs=("droid",), in_project=(".factory",), in_home=(".factory",),
        ),
        Agent("vscode", "VS Code", "vscode", OWN_VARIABLE, nameless=True, threads=True),  # its folder says nothing of its agent
        Agent(
            "cline", "Cline", "cline", OWN_VARIABLE, nameless=True, threads=True, late=True,
            programs=("cline",), in_project=(".clinerules",),
        ),
        Agent(
            "amp", "Amp", "amp", OWN_VARIABLE, nameless=True, threads=True,
            programs=("amp",), in_project=(".amp",), in_home=(".config/amp",),
        ),
        Agent("goose", "Goose", "goose", OWN_VARIABLE, programs=("goose",), in_home=(".config/goose",)),
        Agent("kiro", "Kiro", "kiro", OWN_VARIABLE, programs=("kiro-cli", "kiro"), in_project=(".kiro",), in_home=(".kiro",)),
        Agent(
            "windsurf", "Devin Desktop (Windsurf)", "windsurf", OWN_VARIABLE,
            programs=("windsurf",), in_project=(".windsurf",), in_home=(".codeium/windsurf",),
        ),
        Agent("generic", "", "agent", OWN_VARIABLE),
        Agent("aider", "aider"),
        Agent("agents-md", "AGENTS.md"),
        Agent("skill", "the skill in .agents/skills"),
    )
}  # fmt: skip
"""Every agent, by its name. `generic`: any program that speaks gitcoord's own form; `agents-md`, `skill`: any agent that reads
these.
"""

_BY_RANK = sorted(AGENTS.values(), key=lambda agent: agent.rank)

SESSION_VARIABLES = {agent.variable: agent.record for agent in AGENTS.values() if agent.variable != agent.mark}
"""The variables by which agents name their own session to the commands that they run, and what each agent is called in records. The
last one is ours, which several share: there the record says no more than "agent".
"""

OUTER = {agent.variable: agent.outer for agent in AGENTS.values() if agent.outer}
"""The variable on the right tells a helper whose it is. It counts before the one on the left, which binds an agent's sessions."""

HELPERS_APART = {agent.variable: agent.mark for agent in AGENTS.values() if agent.helpers_apart}
"""The variables of the agents whose helpers' commands find an id of their own, each with the one that says that it is at work."""

THREADED = frozenset(agent.variable for agent in AGENTS.values() if agent.threads)
"""The variables of the agents whose processes run several sessions at once."""

MARKS = {agent.mark: agent for agent in _BY_RANK if agent.mark}
"""The variables by which agents say that they are at work, and which agent it is; the one whose mark counts most comes first."""

HOOK_MARKS = {mark: agent.name for agent in _BY_RANK for mark in agent.hook_marks}
"""The same for the hooks of agents: the variables, and the agents' names."""

LOGIN_SHELLS = {agent.record: agent for agent in AGENTS.values() if agent.login_shell}
"""The agents whose commands run in a login shell, by what they are called in records."""

NAMELESS = frozenset(agent.record for agent in AGENTS.values() if agent.nameless)
"""The agents whose commands don't know whose they are, by what they are called in records."""

LATE = tuple(agent.hook_marks[0] for agent in AGENTS.values() if agent.late and agent.hook_marks)
"""Variables that the hooks of agents have whose prompt may be the first that is heard of a session."""

PIDS = tuple(agent.pid for agent in AGENTS.values() if agent.pid)
"""The variables that tell the number of an agent's process."""


def agent_ids(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the agent's variables that are set: the whole set, since agents run inside agents. A helper's are its session's."""
    found = {name: environ.get(OUTER.get(name, ""), "") or environ.get(name, "") for name in SESSION_VARIABLES}
    return {name: value for name, value in found.items() if value}


def agent_name(environ: Mapping[str, str]) -> str | None:
    """Return what the agent is called in records, or None for a person."""
    for variable, record in SESSION_VARIABLES.items():
        if environ.get(variable):
            return record
    return next((agent.record for mark, agent in MARKS.items() if environ.get(mark)), None)


def short_name(record: str | None) -> str:
    """Return what an agent that records call so is called in the names of its sessions; "" for a person."""
    known = next((agent.name for agent in AGENTS.values() if record and agent.record == record), record or "")
    return re.sub(r"[^a-z0-9]+", "-", known.lower()).strip("-")[:20].rstrip("-")


def find(environ: Mapping[str, str], top: str, home: str) -> dict[str, tuple[str, ...]]:
    """Return the names of the agents that are used here, each with what tells it: programs, folders of the project and of the home.

    An agent's folder in the home doesn't say that this project is meant, but that its user has the agent.

    top: the project's folder; "" if there is none.
    home: the user's home; "" to look at no folder there.
    """
    import shutil  # here: the hooks, which load the table, don't pay for it

    used = {}
    for agent in AGENTS.values():
        by = [f"the program {name}" for name in agent.programs if shutil.which(name, path=environ.get("PATH", ""))]
        by += [name for name in agent.in_project if top and (Path(top) / name).is_dir()]
        by += [f"~/{name}" for name in agent.in_home if home and (Path(home) / name).is_dir()]
        if by:
            used[agent.name] = tuple(by)
    return used
