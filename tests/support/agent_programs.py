"""The real coding agents, as players: each program that npm installs, in a home of its own, with a made-up model on loopback.

A row of the table says how its program is found and started, what its settings are, and how its tools are called. None of them is
logged in anywhere; whatever they look for elsewhere they don't find, since their proxy is a closed port.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clones import Seat
from model_server import Call, ModelServer

INSTALLED_WITHIN = 420.0  # seconds
GITCOORD = Path(sys.executable).parent / "gitcoord"
"""The program by its path: Codex's shells read a profile that may set another PATH."""
WITHIN = 180.0  # seconds that a program has for a session: only a hang gets there
_NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY")
_SEALED = {
    **dict.fromkeys(_PROXIES, _NOWHERE),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
    "DO_NOT_TRACK": "1",
    "NO_COLOR": "1",
}


@dataclass(frozen=True)
class Program:
    """How one agent is played.

    name: what gitcoord calls it. package: its npm package. files: where the program lies in node_modules, the first that is there.
    words: what follows the program's name to play one prompt in the project. variables, settings: its environment, and the files
    that it needs in its home, both by the model's address. edit: the calls by which its model changes a text in a file. shell: the
    call by which it runs a command.

    help: the calls by which it has a helper of its own do what a prompt says, and waits for it; none
    where it has none. more: words that it needs for that. again, copy: words by which it goes on with its last session, or with a
    copy of it; none where it can't (`copy` gets what it had
    printed, and the prompt). node: it is a program of node's.
    """

    name: str
    package: str
    files: tuple[str, ...]
    words: Callable[[str], Sequence[str]]
    variables: Callable[[str], Mapping[str, str]]
    edit: Callable[[str, str, str], tuple[Call, ...]]
    shell: Callable[[str], Call]
    settings: Callable[[str, str], Mapping[str, str]] = lambda url, project: {}
    help: Callable[[str], tuple[Call, ...]] = lambda prompt: ()
    more: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    copy: Callable[[str, str], Sequence[str]] | None = None
    node: bool = False

    def found(self, folder: Path) -> list[str]:
        """The words that start the program; none where it isn't installed."""
        for pattern in self.files:
            for path in sorted((folder / "node_modules").glob(pattern)):
                if path.is_file():
                    return [shutil.which("node") or "node", str(path)] if self.node else [str(path)]
        return []


@dataclass
class Player:
    """One program with a home of its own, at work in a seat."""

    program: Program
    start: Sequence[str]
    seat: Seat
    home: Path
    model: ModelServer
    log: list[str] = field(default_factory=list)
    child: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        for name, text in self.program.settings(self.model.url, str(self.seat.path)).items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    @property
    def env(self) -> dict[str, str]:
        """Its environment: the tests' own sealed one, with its home and `gitcoord` on the PATH."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        folders = {f"XDG_{name}_HOME": str(self.home / f".{name.lower()}") for name in ("CONFIG", "STATE", "CACHE", "DATA")}
        return {
            **self.seat.env, "PATH": path, "HOME": str(self.home), **folders, **_SEALED, **self.program.variables(self.model.url)
        }  # fmt: skip

    def kill(self) -> None:
        """kill -9 of the program and all that it has started."""
        assert self.child is not None
        os.killpg(self.child.pid, signal.SIGKILL)

    def do(self, *words: str) -> None:
        """Runs the program for something that isn't a prompt."""
        done = subprocess.run(
            [*self.start, *words], cwd=self.seat.path, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=WITHIN, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done

    def run(self, prompt: str, *more: str, cwd: Path | None = None) -> str:
        """Plays one prompt to its end; what the program printed."""
        where = cwd or self.seat.path
        with subprocess.Popen(
            [*self.start, *self.program.words(prompt), *more], cwd=where, env={**self.env, "PWD": str(where)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        ) as self.child:  # fmt: skip
            try:
                out, err = self.child.communicate(timeout=WITHIN)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self.log.append(f"exit {self.child.returncode}\n{out}\n{err}")
        return out


def install(folder: Path, packages: Sequence[str]) -> str:
    """Installs npm packages there, without running anything of theirs; why it couldn't, or ""."""
    npm = shutil.which("npm")
    if npm is None:
        return "there is no npm on this machine"
    try:
        words = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *packages]
        done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALLED_WITHIN, check=False)
    except subprocess.TimeoutExpired:
        return f"npm did not install them in {INSTALLED_WITHIN:.0f} s"
    return f"npm can't install them: {done.stderr.strip()[-300:]}" if done.returncode else ""


def _text(value: object) -> str:
    return json.dumps(value)


def _claude_edit(path: str, old: str, new: str) -> tuple[Call, ...]:
    return (Call("Read", {"file_path": path}), Call("Edit", {"file_path": path, "old_string": old, "new_string": new}))


def _patch(path: str, old: str, new: str) -> tuple[Call, ...]:
    return (Call("apply_patch", text=f"*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch\n"),)


def _codex_settings(url: str, project: str) -> Mapping[str, str]:
    return {
        ".codex/config.toml": f"""
model = "gpt-5.5"
model_provider = "made-up"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[model_providers.made-up]
name = "made-up"
base_url = "{url}/v1"
env_key = "MADE_UP_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
[projects."{project}"]
trust_level = "trusted"
[analytics]
enabled = false
"""
    }


def _gemini_settings(url: str, project: str) -> Mapping[str, str]:
    chosen = {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False},
        "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
    }  # fmt: skip
    return {".gemini/settings.json": _text(chosen)}


def _qwen_settings(url: str, project: str) -> Mapping[str, str]:
    chosen = {
        "security": {"auth": {"selectedType": "openai"}, "folderTrust": {"enabled": False}},
        "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False}, "general": {"enableAutoUpdate": False},
    }  # fmt: skip
    return {".qwen/settings.json": _text(chosen)}


def _opencode_settings(url: str, project: str) -> Mapping[str, str]:
    provider = {
        "npm": "@ai-sdk/openai-compatible", "name": "made-up", "options": {"baseURL": f"{url}/v1", "apiKey": "made-up"},
        "models": {"made-up": {"name": "made-up", "tool_call": True}},
    }  # fmt: skip
    chosen = {
        "$schema": "https://opencode.ai/config.json", "provider": {"made-up": provider}, "model": "made-up/made-up",
        "small_model": "made-up/made-up", "share": "disabled", "autoupdate": False, "permission": {"*": "allow"},
    }  # fmt: skip
    return {".config/opencode/opencode.json": _text(chosen)}


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "claude", "@anthropic-ai/claude-code", ("@anthropic-ai/claude-code-*/claude*",),
            words=lambda prompt: ["-p", prompt, "--permission-mode", "acceptEdits", "--allowedTools", "Bash", "Read", "Edit"],
            variables=lambda url: {
                "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "made-up", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1", "ANTHROPIC_MODEL": "claude-sonnet-4-5",
            },
            edit=_claude_edit,
            shell=lambda command: Call("Bash", {"command": command, "description": "a command"}),
            help=lambda prompt: (
                Call("Agent", {
                    "description": "help", "prompt": prompt, "subagent_type": "general-purpose", "run_in_background": False,
                }),
            ),
            more=("--allowedTools", "Bash", "Read", "Edit", "Agent"),
            again=("--continue",),
            copy=lambda printed, prompt: ("--continue", "--fork-session"),
        ),
        Program(
            "codex", "@openai/codex", ("@openai/codex-*/vendor/*/bin/codex", "@openai/codex-*/vendor/*/codex/codex"),
            words=lambda prompt: ["exec", "--dangerously-bypass-hook-trust", "--skip-git-repo-check", prompt],
            variables=lambda url: {"MADE_UP_KEY": "made-up"},
            settings=_codex_settings,
            edit=_patch,
            shell=lambda command: Call("exec_command", {"cmd": command}),
            help=lambda prompt: (
                Call("collaboration__spawn_agent", {"message": prompt, "task_name": "helper", "fork_turns": "none"}),
                Call("collaboration__wait_agent", {"timeout_ms": 30000}),
            ),
            more=("--enable", "multi_agent_v2"),
            again=("resume", "--last"),
            copy=lambda printed, prompt: ("fork", printed.partition("session id: ")[2].split()[0], prompt),
        ),
        Program(
            "copilot", "@github/copilot", ("@github/copilot-*/copilot",),
            words=lambda prompt: ["-p", prompt, "--allow-all-tools", "--allow-all-paths", "--trust-folder"],
            variables=lambda url: {
                "COPILOT_PROVIDER_BASE_URL": f"{url}/v1", "COPILOT_PROVIDER_API_KEY": "made-up", "COPILOT_MODEL": "gpt-4.1",
                "COPILOT_PROVIDER_TYPE": "openai", "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false",
            },
            edit=lambda path, old, new: (Call("edit", {"path": path, "old_str": old, "new_str": new}),),
            shell=lambda command: Call("bash", {"command": command, "description": "a command"}),
            help=lambda prompt: (
                Call("task", {
                    "description": "help", "prompt": prompt, "agent_type": "general-purpose", "name": "helper", "mode": "sync",
                }),
            ),
        ),
        Program(
            "gemini", "@google/gemini-cli", ("@google/gemini-cli/bundle/gemini.js",),
            words=lambda prompt: ["-p", prompt, "--approval-mode", "yolo"],
            variables=lambda url: {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "made-up", "GEMINI_MODEL": "gemini-2.5-pro"},
            settings=_gemini_settings,
            edit=lambda path, old, new: (
                Call("replace", {"file_path": path, "old_string": old, "new_string": new, "instruction": "change it"}),
            ),
            shell=lambda command: Call("run_shell_command", {"command": command}),
            help=lambda prompt: (Call("invoke_agent", {"agent_name": "generalist", "prompt": prompt}),),
            again=("--resume", "latest"),
            node=True,
        ),
        Program(
            "opencode", "opencode-ai", ("opencode-linux-x64/bin/opencode", "opencode-*/bin/opencode"),
            words=lambda prompt: ["run", prompt],
            variables=lambda url: {
                "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1",
                # For the sake of any plugin it installs a package of its own and waits for it: no is said at once.
                "npm_config_registry": url, "npm_config_fetch_retries": "0",
            },
            settings=_opencode_settings,
            edit=lambda path, old, new: (
                Call("read", {"filePath": path}),
                Call("edit", {"filePath": path, "oldString": old, "newString": new}),
            ),
            shell=lambda command: Call("bash", {"command": command, "description": "a command"}),
            help=lambda prompt: (Call("task", {"description": "help", "prompt": prompt, "subagent_type": "general"}),),
            again=("--continue",),
            copy=lambda printed, prompt: ("--continue", "--fork"),
        ),
        Program(
            "qwen", "@qwen-code/qwen-code", ("@qwen-code/qwen-code/cli.js",),
            words=lambda prompt: ["-p", prompt, "--approval-mode", "yolo"],
            variables=lambda url: {
                "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "made-up", "OPENAI_MODEL": "made-up",
                **dict.fromkeys(_PROXIES, ""),  # it would ask its proxy for loopback, too
            },
            settings=_qwen_settings,
            edit=lambda path, old, new: (
                Call("read_file", {"file_path": path}),
                Call("edit", {"file_path": path, "old_string": old, "new_string": new}),
            ),
            shell=lambda command: Call("run_shell_command", {"command": command, "is_background": False}),
            help=lambda prompt: (Call("agent", {"description": "help", "prompt": prompt, "subagent_type": "general-purpose"}),),
            again=("--continue",),
            node=True,
        ),
    )
}  # fmt: skip
"""Every program that npm can install, by gitcoord's name for it."""

STAY = {
    "copilot": "with -p it says `complete` after each turn, which is no end",
    "qwen": "with -p it tells of no end (0.15)",
}
"""Those whose end no hook tells, and why."""
