"""The plugin holds what every agent takes, names only what exists, and teaches what is true."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from gitcoord import __version__
from gitcoord.agents.settings.table import agents
from gitcoord.cli.app import program
from gitcoord.core.messages import TYPES

TOP = Path(__file__).parents[2]
PLUGIN = TOP / "plugin"
SKILL = PLUGIN / "skills" / "gitcoord" / "SKILL.md"
COMMANDS = sorted((PLUGIN / "commands").glob("*.md"))
PAGES = [SKILL, *COMMANDS]
PROGRAM = typer.main.get_command(program())

EVENTS = {"SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SessionEnd", "PreCompact"}
EDITS = {"Edit", "Write", "MultiEdit", "NotebookEdit", "apply_patch"}
PERMITTED = {"gitcoord status", "gitcoord inbox --peek", "gitcoord handoffs"}  # what only looks, in so many words


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _front(path: Path) -> tuple[dict[str, str], str]:
    """The front matter (a line a field, which is all that we use of YAML) and the text."""
    _, head, text = path.read_text(encoding="utf-8").split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert all(re.fullmatch(r"[a-z-]+", name) for name in fields)
    return fields, text


# --- hooks and manifests -----------------------------------------------------------------------------------------------------


def test_hooks_use_only_what_every_agent_reads() -> None:
    """Codex drops `args`, Cursor drops `async`: with those an entry would mean something else there."""
    record = _json(PLUGIN / "hooks" / "hooks.json")
    assert record.keys() == {"hooks"}
    assert record["hooks"].keys() == EVENTS
    for event, groups in record["hooks"].items():
        [group] = groups
        [handler] = group["hooks"]
        assert handler.keys() == {"type", "command", "timeout"}
        assert (handler["type"], handler["command"]) == ("command", "gitcoord hook")  # constant: Codex asks for trust in it
        assert type(handler["timeout"]) is int
        assert 0 < handler["timeout"] <= 20
        assert group.keys() - {"hooks"} == ({"matcher"} if event in {"PreToolUse", "PostToolUse"} else set())
        others = {"Bash", "Read", "mcp__.*"} if event == "PostToolUse" else set()  # behind these only messages are told
        assert set(group.get("matcher", "|".join(EDITS)).split("|")) == EDITS | others
    assert record["hooks"]["SessionEnd"][0]["hooks"][0]["timeout"] <= 3  # Codex allows no more


def test_codex_has_hooks_of_its_own_as_a_project_has() -> None:
    """One for a tool: it shows its person two lines for each."""
    called, codexs = _json(PLUGIN / ".claude-plugin" / "plugin.json"), _json(PLUGIN / ".codex-plugin" / "plugin.json")
    assert codexs == {**called, "hooks": "./hooks/codex.json"}
    text, _ = agents()["codex"].targets[0].edit.add("")
    assert (PLUGIN / "hooks" / "codex.json").read_text() == text


def test_as_an_agent_plugin_the_repository_has_the_same_parts() -> None:
    """A client of that standard reads hooks only where they are its own (Copilot CLI, VS Code). Where its manifest lies in the
    folder of the others' plugin, Codex passes over that one's hooks.
    """
    assert not (PLUGIN / "plugin.json").exists()
    own = _json(TOP / "plugin.json")
    assert own.pop("$schema") == "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json"
    assert own == _json(PLUGIN / ".claude-plugin" / "plugin.json")
    servers = _json(TOP / "mcp.json")["mcpServers"]
    assert {name: {**one, "type": "stdio"} for name, one in _json(PLUGIN / ".mcp.json")["mcpServers"].items()} == servers
    assert (TOP / "com.github.copilot" / "hooks" / "hooks.json").resolve() == PLUGIN / "hooks" / "hooks.json"
    assert (TOP / "skills" / "gitcoord" / "SKILL.md").resolve() == SKILL
    assert (TOP / ".agents" / "skills" / "gitcoord" / "SKILL.md").resolve() == SKILL
    for folder in (TOP / "skills", TOP / ".agents" / "skills"):  # a linked folder would take the skill out of the sdist
        assert not folder.is_symlink()
        assert not (folder / "gitcoord").is_symlink()


def test_everything_is_called_by_its_name_on_the_path() -> None:
    servers = _json(PLUGIN / ".mcp.json")["mcpServers"]
    assert {name: (one["command"], one["args"]) for name, one in servers.items()} == {"gitcoord": ("gitcoord", ["mcp"])}
    [monitor] = _json(PLUGIN / "monitors" / "monitors.json")
    assert monitor.keys() == {"name", "command", "description", "when"}
    assert shlex.split(monitor["command"])[0] == "gitcoord"
    assert "--announce" in monitor["command"]  # it may not take what it only announces


def test_versions_and_places_agree() -> None:
    manifest, market = _json(PLUGIN / ".claude-plugin" / "plugin.json"), _json(TOP / ".claude-plugin" / "marketplace.json")
    [listed] = market["plugins"]
    assert (manifest["version"], listed["version"], market["metadata"]["version"]) == (__version__,) * 3
    assert (manifest["name"], listed["name"]) == ("gitcoord", "gitcoord")
    assert (TOP / listed["source"]).resolve() == PLUGIN
    [codex] = _json(TOP / ".agents" / "plugins" / "marketplace.json")["plugins"]
    assert (codex["name"], (TOP / codex["source"]["path"]).resolve()) == ("gitcoord", PLUGIN)
    server = _json(TOP / "server.json")
    assert [server["version"], *(one["version"] for one in server["packages"])] == [__version__] * 2
    assert f"<!-- mcp-name: {server['name']} -->" in (TOP / "README.md").read_text()
    assert len(server["description"]) <= 100  # the registry takes no more
    packed = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {"/plugin", "/.claude-plugin", "/.agents", "/server.json"} <= set(packed)


# --- the skill and the commands ----------------------------------------------------------------------------------------------


def test_the_skill_is_short_and_its_front_matter_is_valid() -> None:
    fields, text = _front(SKILL)
    assert fields["name"] == SKILL.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fields["name"])
    assert 0 < len(fields["description"]) <= 1024
    assert ": " not in fields["description"]  # as YAML that would be another field
    assert len(fields["compatibility"]) <= 500
    assert fields.keys() <= {"name", "description", "license", "compatibility"}
    assert len(SKILL.read_text().splitlines()) < 150
    assert len(text.encode()) < 24_000


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_says_what_it_does(path: Path) -> None:
    fields, text = _front(path)
    assert fields["description"]
    assert text.strip()


def _spans(text: str) -> Iterator[str]:
    """The lines of code blocks, and what stands between backticks."""
    for number, part in enumerate(re.split(r"^ *```.*$", text, flags=re.MULTILINE)):
        if number % 2:
            yield from part.splitlines()
        else:
            yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", part))


def _calls(text: str) -> list[list[str]]:
    """The words of each call of the program in that text, as a shell would give them."""
    found = []
    for span in _spans(text):
        words = shlex.split(span, comments=True)
        if words[:1] == ["gitcoord"]:
            found.append(words[1 : words.index("<") if "<" in words else None])
    return found


def _parse(words: list[str]) -> None:
    """Reads the words as the program would, and carries nothing out. Raises where it would refuse them."""
    assert isinstance(PROGRAM, TyperGroup)
    if words:
        command, *rest = words
        found: object = PROGRAM.commands[command]
        if isinstance(found, TyperGroup):
            command, *rest = rest
            found = found.commands[command]
        assert isinstance(found, TyperCommand)
        found.make_context(command, rest)


EVERY = [
    *((path.name, words) for path in PAGES for words in _calls(path.read_text(encoding="utf-8"))),
    ("monitors.json", shlex.split(_json(PLUGIN / "monitors" / "monitors.json")[0]["command"])[1:]),
    (".mcp.json", _json(PLUGIN / ".mcp.json")["mcpServers"]["gitcoord"]["args"]),
]


@pytest.mark.parametrize(("where", "words"), EVERY, ids=lambda one: one if isinstance(one, str) else " ".join(one))
def test_every_call_is_one_that_the_program_takes(where: str, words: list[str]) -> None:
    assert where
    _parse(words)
    kinds = [words[at + 1] for at, word in enumerate(words) if word == "--type"]
    assert set(kinds) <= set(TYPES)


@pytest.mark.parametrize("words", [["clam", "x"], ["claim", "x", "--reazon", "y"], ["send"], ["respond", "42"]])
def test_a_call_that_does_not_exist_would_be_seen(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"clam|reazon|(?i:missing)"):
        _parse(words)


def test_the_skill_teaches_what_matters() -> None:
    first = {words[0] for words in _calls(SKILL.read_text()) if words}
    assert {"claim", "release", "request", "respond", "ask", "reply", "inbox", "handoff", "take", "heartbeat", "end"} <= first
    assert any(words[:2] == ["ask", "repo:library"] for words in _calls(SKILL.read_text()))
    text = " ".join(SKILL.read_text().split())
    for part in (
        "upgraded a dependency",
        "broke your build",
        "found a bug",
        "information, not instructions",
        "Never edit it anyway",
    ):
        assert part in text


def test_nothing_is_taught_or_permitted_that_forces() -> None:
    for path in PAGES:
        fields, text = _front(path)
        assert not re.search(r"--break|relay|--no-verify|\bforce\b", text), path.name
        allowed = re.findall(r"\w+\(([^)]*)\)", fields.get("allowed-tools", ""))
        assert set(allowed) <= PERMITTED, path.name
        assert not re.search(r"[*?]|\bBash\b(?!\()", fields.get("allowed-tools", ""))
