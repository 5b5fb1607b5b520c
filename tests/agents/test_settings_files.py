"""gitcoord's part in the files of coding agents: it comes in, stays what it is, and goes without a trace."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitcoord.agents.dialects.choose import choose
from gitcoord.agents.settings import files
from gitcoord.agents.settings.edits import JsonHooks
from gitcoord.agents.settings.files import Placed, SettingsPlace
from gitcoord.agents.settings.table import SAFE, AgentFiles, Scope, agents, packaged
from gitcoord.errors import GitcoordError

AGENTS = agents()
EVERY = list(AGENTS)
JSON = [name for name, agent in AGENTS.items() if isinstance(agent.targets[0].edit, JsonHooks)]
OURS = re.compile(r"gitcoord hook( --agent [\w:]+)?( \|\| .*|; exit 0)?|said=\$\(gitcoord hook --agent \w+\) && .*; exit 0")

THEIRS = {
    "claude": {
        "model": "opus",
        "permissions": {"deny": ["Read(.env)"], "allow": ["Bash(ls:*)", "Bash(gitcoord status:*)"]},
        "hooks": {
            "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "./check.sh", "timeout": 3}]}],
            "Notification": [{"hooks": [{"type": "command", "command": "notify-send é; gitcoord hooks status"}]}],
            "Stop": [
                {
                    "hooks": [
                        {"type": "command", "command": "gitcoord heartbeat"},
                        {"type": "command", "command": "gitcoord hook | tee log"},
                    ]
                }
            ],
        },
        "futureKey": {"x": [1, 2, {"y": None}]},
    },
    "codex": {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say done"}]}]}, "note": 1},
    "copilot": {"version": 1, "hooks": {"preToolUse": [{"type": "command", "bash": "./x.sh"}]}},
    "cursor": {"version": 1, "hooks": {"stop": [{"command": "./x.sh"}], "afterFileEdit": [{"command": "./format.sh"}]}},
    "gemini": {"hooks": {"AfterTool": [{"matcher": ".*", "hooks": [{"type": "command", "command": "x"}]}]}, "theme": "Dracula"},
    "qwen": {"hooks": {"PostToolUse": [{"matcher": ".*", "hooks": [{"type": "command", "command": "x"}]}]}, "ui": {"theme": "x"}},
    "tabnine": {"hooks": {"AfterTool": [{"matcher": ".*", "hooks": [{"type": "command", "command": "x"}]}]}},
    "droid": {"PostToolUse": [{"matcher": "Edit", "hooks": [{"type": "command", "command": "./format.sh"}]}]},
    "vscode": {"version": 1, "hooks": {"preToolUse": [{"type": "command", "bash": "./x.sh"}]}},
    "windsurf": {"hooks": {"post_write_code": [{"command": "./format.sh", "show_output": True}]}},
    "antigravity": {"my-linter": {"PostToolUse": [{"matcher": "*", "hooks": [{"command": "./lint.sh"}]}]}},
}
"""What else may be in such a file."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A person's home."""
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project."""
    made = tmp_path / "it's a project"
    (made / ".git").mkdir(parents=True)
    return made


@pytest.fixture
def place(home: Path, root: Path) -> SettingsPlace:
    """The project's files."""
    return SettingsPlace("project", home, {}, root, root / ".git")


def at(place: SettingsPlace, scope: Scope) -> SettingsPlace:
    """The same for the other kind of files."""
    return place if scope == "project" else SettingsPlace("user", place.home, {})


def files_of(agent: AgentFiles, place: SettingsPlace) -> list[Path]:
    """The agent's files there."""
    found = [target.path(place.scope, place.root or Path(), place.home, place.environ) for target in agent.targets]
    assert all(found)
    return [path for path in found if path]


def picture(*folders: Path) -> dict[str, tuple[int, bytes | str]]:
    """Every file and folder below, but for what gitcoord keeps for itself."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(one for folder in folders for one in folder.rglob("*")):
        if "/.git/gitcoord" in str(path) or "/.local" in str(path):
            continue
        said = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_bytes()
        found[str(path)] = (stat.S_IMODE(path.lstat().st_mode), said)
    return found


def write(path: Path, value: Any, **how: Any) -> Path:
    """A file of the user's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, **{"indent": 2, **how}) + "\n")
    return path


def handlers(path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Every handler in a file of hooks: event, matcher, handler."""
    found = json.loads(path.read_text())
    holder = found.get("gitcoord", found.get("hooks", found))
    rows = []
    for event, entries in holder.items():
        for entry in entries if isinstance(entries, list) else ():
            rows += [(event, entry.get("matcher", ""), one) for one in entry.get("hooks", [entry])]
    return rows


def ours(path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Those that call gitcoord."""
    return [row for row in handlers(path) if OURS.fullmatch(str(row[2].get("command", row[2].get("bash"))))]


def change(placed: tuple[Placed, ...]) -> set[str]:
    """What was done to the files."""
    return {one.change for one in placed}


# --- in and out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["project", "user"])
@pytest.mark.parametrize("name", EVERY)
def test_an_empty_place_is_empty_again(name: str, scope: Scope, place: SettingsPlace, home: Path, root: Path) -> None:
    agent, where = AGENTS[name], at(place, scope)
    if scope == "user" and name in {"aider", "agents-md"}:
        with pytest.raises(GitcoordError, match="only in a project"):
            files.install(agent, where)
        return
    before = picture(home, root)
    assert {one.state for one in files.status(agent, where)} == {"absent"}
    assert change(files.install(agent, where)) == {"installed"}
    assert all(path.is_file() for path in files_of(agent, where))
    assert {one.state for one in files.status(agent, where)} == {"installed"}

    there = picture(home, root)
    again = files.install(agent, where)
    assert {(one.state, one.change) for one in again} == {("installed", "none")}
    assert picture(home, root) == there

    assert change(files.uninstall(agent, where)) == {"removed"}
    assert picture(home, root) == before
    assert {(one.state, one.change) for one in files.uninstall(agent, where)} == {("absent", "none")}
    assert not where.kept.exists()


@pytest.mark.parametrize(
    "how", [{"indent": 4}, {"indent": "\t"}, {"indent": None}, {"indent": None, "separators": (",", ":")}], ids=str
)
@pytest.mark.parametrize("name", JSON)
def test_what_others_have_there_stays_and_every_byte_comes_back(
    name: str, how: dict[str, Any], place: SettingsPlace, root: Path
) -> None:
    agent = AGENTS[name]
    [path] = files_of(agent, place)
    write(path, THEIRS[name], **how).chmod(0o640)
    before = picture(root)
    files.install(agent, place)
    found, theirs = json.loads(path.read_text()), THEIRS[name]
    assert list(found)[: len(theirs)] == list(theirs)
    assert _without(found) == theirs
    assert len(ours(path)) == len(agent.targets[0].edit.entries)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640

    there = path.read_bytes()
    assert change(files.install(agent, place)) == {"none"}
    assert path.read_bytes() == there
    assert change(files.uninstall(agent, place)) == {"restored"}
    assert picture(root) == before


def _without(value: Any) -> Any:
    """The value without what calls or allows gitcoord, and what that leaves empty."""
    if isinstance(value, list):
        kept = [
            _without(one) for one in value if not (isinstance(one, str) and one.startswith("Bash(gitcoord") and "status" not in one)
        ]
        return [one for one in kept if one is not None]
    if isinstance(value, dict):
        if OURS.fullmatch(str(value.get("command", value.get("bash", "")))):
            return None
        kept_members = {key: _without(one) for key, one in value.items()}
        gone = {key for key, one in value.items() if one not in ([], {}, None) and kept_members[key] in ([], {}, None)}
        if "hooks" in gone and isinstance(value["hooks"], list):
            return None
        return {key: one for key, one in kept_members.items() if key not in gone}
    return value


@pytest.mark.parametrize("ledger", [True, False], ids=["", "on another machine"])
@pytest.mark.parametrize("name", JSON)
def test_after_a_change_by_the_user_only_ours_go(name: str, ledger: bool, place: SettingsPlace) -> None:
    agent = AGENTS[name]
    [path] = files_of(agent, place)
    write(path, THEIRS[name])
    files.install(agent, place)
    found = json.loads(path.read_text())
    found["added later"] = {"by": "the user"}
    path.write_text(json.dumps(found, indent=2) + "\n")
    if not ledger:
        shutil.rmtree(place.kept)
    assert change(files.uninstall(agent, place)) == {"removed"}
    expected = {**THEIRS[name], "added later": {"by": "the user"}}
    if not ledger and name == "claude":  # nothing tells there that this rule was the user's own
        expected["permissions"] = {"deny": ["Read(.env)"], "allow": ["Bash(ls:*)"]}
    assert path.read_text() == json.dumps(expected, indent=2) + "\n"


@pytest.mark.parametrize("name", JSON)
def test_a_file_made_for_ours_stays_if_somebody_else_uses_it_now(name: str, place: SettingsPlace) -> None:
    agent = AGENTS[name]
    [path] = files_of(agent, place)
    files.install(agent, place)
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "theirs": {"x": 1}}, indent=2))
    files.uninstall(agent, place)
    left = json.loads(path.read_text())
    assert left.pop("theirs") == {"x": 1}
    assert left in ({}, {"version": 1})


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "antigravity"])
def test_a_hook_that_somebody_put_into_our_group_stays(name: str, place: SettingsPlace) -> None:
    agent = AGENTS[name]
    [path] = files_of(agent, place)
    files.install(agent, place)
    found = json.loads(path.read_text())
    event = next(event for event in ("PreToolUse", "BeforeTool") if event in (found.get("hooks") or found["gitcoord"]))
    group = (found.get("hooks") or found["gitcoord"])[event][0]
    group["hooks"].append({"type": "command", "command": "theirs.sh"})
    path.write_text(json.dumps(found, indent=2))
    assert {one.state for one in files.status(agent, place)} == {"outdated"}
    files.uninstall(agent, place)
    assert "gitcoord hook" not in path.read_text()
    assert path.read_text().count("theirs.sh") == 1
    assert group["matcher"] in path.read_text()


@pytest.mark.parametrize("name", JSON)
def test_another_versions_hooks_are_replaced_and_what_was_before_is_not_forgotten(
    name: str, place: SettingsPlace, root: Path
) -> None:
    agent = AGENTS[name]
    [path] = files_of(agent, place)
    write(path, THEIRS[name])
    before = picture(root)
    files.install(agent, place)
    current = path.read_text()
    old = re.sub(r'"(timeout|timeoutSec)": 5(000)?\b', r'"\1": 7\2', current)
    if old == current:  # the last one is ours
        old = '"show_output": false\n'.join(current.rsplit('"show_output": true\n', 1))
    assert old != current
    record = next(place.kept.iterdir())
    said = json.loads(record.read_text())
    path.write_text(old)
    record.write_text(json.dumps({**said, "after": files._digest(old.encode())}))
    assert change(files.install(agent, place)) == {"updated"}
    assert path.read_text() == current
    assert change(files.uninstall(agent, place)) == {"restored"}
    assert picture(root) == before


@pytest.mark.parametrize("name", ["claude", "codex"])
@pytest.mark.parametrize("ledger", [True, False])
def test_what_stays_the_same_keeps_its_place_also_beside_others(name: str, ledger: bool, place: SettingsPlace) -> None:
    """Codex knows a hook by its event, its group's number there and what it says, and asks its person about each other one."""
    [path] = files_of(AGENTS[name], place)
    files.install(AGENTS[name], place)
    value = json.loads(path.read_text())
    theirs = {"matcher": "Bash", "hooks": [{"type": "command", "command": "./check.sh"}]}
    for groups in value["hooks"].values():
        groups.append(theirs)
    value["hooks"]["Stop"][0]["hooks"][0]["timeout"] = 99  # as another version has it
    value["hooks"]["Gone"] = [{"hooks": [{"type": "command", "command": "gitcoord hook"}]}]
    before = json.dumps(value, indent=2)
    path.write_text(before)
    if not ledger:
        shutil.rmtree(place.kept)
    [placed] = files.install(AGENTS[name], place)
    assert (placed.change, placed.asked) == ("updated", True)
    after = json.loads(path.read_text())
    assert not after["hooks"].pop("Gone", [])
    entries = {path[-1]: group for path, group in AGENTS[name].targets[0].edit.entries}  # type: ignore[attr-defined]
    assert after["hooks"] == {event: [entries[event], theirs] for event in entries}
    del value["hooks"]["Stop"], after["hooks"]["Stop"]
    assert list(after["hooks"].items()) == [(event, groups) for event, groups in value["hooks"].items() if event != "Gone"]
    [again] = files.install(AGENTS[name], place)
    assert (again.change, again.asked) == ("none", False)
    files.uninstall(AGENTS[name], place)
    assert [groups for groups in json.loads(path.read_text())["hooks"].values() if groups] == [[theirs]] * len(entries)


def test_a_change_that_no_agent_asks_about_asks_nobody_for_anything(place: SettingsPlace) -> None:
    [path] = files_of(AGENTS["codex"], place)
    [placed] = files.install(AGENTS["codex"], place)
    assert placed.asked
    value = json.loads(path.read_text())
    value["hooks"]["PostToolUse"] = value["hooks"]["Stop"]  # as an earlier version had it
    path.write_text(json.dumps(value))
    [placed] = files.install(AGENTS["codex"], place)
    assert (placed.change, placed.asked) == ("updated", False)


def test_two_agents_that_were_installed_go_one_by_one(place: SettingsPlace, root: Path) -> None:
    before = picture(root)
    for name in EVERY:
        files.install(AGENTS[name], place)
    assert {one.state for name in EVERY if name != "cursor" for one in files.status(AGENTS[name], place)} == {"installed"}
    for name in EVERY:
        files.uninstall(AGENTS[name], place)
    assert picture(root) == before


def test_a_dry_run_changes_nothing_and_shows_what_would_be(place: SettingsPlace, root: Path, home: Path) -> None:
    write(root / ".claude" / "settings.json", THEIRS["claude"])
    before = picture(root, home)
    for name in EVERY:
        placed = files.install(AGENTS[name], place, dry=True)
        assert name == "cursor" or change(placed) == {"installed"}
        assert all(any(line.startswith("+") and "gitcoord" in line.lower() for line in one.diff) for one in placed)
        assert not any(line.startswith("-") and "./check.sh" in line for one in placed for line in one.diff)
    assert picture(root, home) == before
    assert not place.kept.exists()
    files.install(AGENTS["claude"], place)
    there = picture(root)
    assert change(files.uninstall(AGENTS["claude"], place, dry=True)) == {"restored"}
    assert picture(root) == there


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize(
    "text",
    [
        '{\n  // mine\n  "hooks": {}\n}', '{"hooks": {},}', '{"hooks": ', '{"hooks": {}, "hooks": {}}', '["hooks"]', "hooks: {}",
        "\ufeff{}", "[" * 50_000,
    ],
    ids=["comment", "comma", "broken", "twice", "list", "yaml", "mark", "deep"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_for_sure_is_not_touched(name: str, text: str, place: SettingsPlace, root: Path) -> None:
    [path] = files_of(AGENTS[name], place)
    write(path, text.replace("hooks", {"antigravity": "gitcoord", "droid": "Stop"}.get(name, "hooks")))
    before = picture(root)
    with pytest.raises(GitcoordError, match="not touched") as told:
        files.install(AGENTS[name], place)
    assert path.name in told.value.message
    assert "gitcoord hooks install --agent" in told.value.hint
    assert picture(root) == before
    assert not place.kept.exists()


@pytest.mark.parametrize(
    "value", ['{"hooks": []}', '{"hooks": "x"}', '{"hooks": {"Stop": {}}}', '{"hooks": null}', '{"hooks": {"Stop": null}}']
)
def test_another_shape_than_the_agents_own_is_not_touched(value: str, place: SettingsPlace) -> None:
    [path] = files_of(AGENTS["claude"], place)
    write(path, value)
    with pytest.raises(GitcoordError, match="not touched"):
        files.install(AGENTS["claude"], place)
    assert path.read_text() == value


def test_a_read_only_file_is_not_touched(place: SettingsPlace) -> None:
    for name in ("claude", "agents-md"):
        [path] = files_of(AGENTS[name], place)
        write(path, "{}").chmod(0o444)
        with pytest.raises(GitcoordError, match="read-only"):
            files.install(AGENTS[name], place)
        assert path.read_text() == "{}"
    assert not place.kept.exists()


def test_other_encodings_and_other_things_are_not_touched(place: SettingsPlace, root: Path) -> None:
    [path] = files_of(AGENTS["claude"], place)
    path.parent.mkdir()
    path.write_bytes('{"a": "ä"}'.encode("latin-1"))
    with pytest.raises(GitcoordError, match="UTF-8"):
        files.install(AGENTS["claude"], place)
    path.unlink()
    path.mkdir()
    with pytest.raises(GitcoordError, match="no file"):
        files.install(AGENTS["claude"], place)
    (root / ".codex").write_text("a file where a folder is needed")
    with pytest.raises(GitcoordError, match="can't be used"):
        files.install(AGENTS["codex"], place)


def test_a_link_is_followed_inside_the_project_and_stays_a_link(place: SettingsPlace, root: Path) -> None:
    real = write(root / "shared" / "settings.json", THEIRS["claude"])
    (root / ".claude").mkdir()
    (root / ".claude" / "settings.json").symlink_to("../shared/settings.json")
    before = picture(root)
    files.install(AGENTS["claude"], place)
    assert (root / ".claude" / "settings.json").is_symlink()
    assert ours(real)
    files.uninstall(AGENTS["claude"], place)
    assert picture(root) == before


@pytest.mark.parametrize("link", ["file", "folder", "dangling"])
def test_a_link_that_leads_out_of_the_project_is_not_followed(link: str, place: SettingsPlace, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write(outside / "settings.json", "{}\n")
    if link == "folder":
        (root / ".claude").symlink_to(outside)
    else:
        (root / ".claude").mkdir()
        (root / ".claude" / "settings.json").symlink_to(outside / ("settings.json" if link == "file" else "new.json"))
    before = picture(root, outside)
    with pytest.raises(GitcoordError, match="out of this project"):
        files.install(AGENTS["claude"], place)
    assert picture(root, outside) == before


def test_a_users_own_link_is_followed_wherever_it_leads(home: Path, place: SettingsPlace, tmp_path: Path) -> None:
    real = write(tmp_path / "dotfiles" / "claude.json", THEIRS["claude"])
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").symlink_to(real)
    before = picture(home, tmp_path / "dotfiles")
    files.install(AGENTS["claude"], at(place, "user"))
    assert ours(real)
    files.uninstall(AGENTS["claude"], at(place, "user"))
    assert picture(home, tmp_path / "dotfiles") == before


def test_a_full_disk_leaves_the_file_as_it_was(place: SettingsPlace, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / ".claude" / "settings.json", THEIRS["claude"])
    before = picture(root)
    real: Callable[..., Any] = os.open

    def full(path: Any, *rest: Any, **more: Any) -> Any:
        if "settings.json" in str(path):
            raise OSError(28, "No space left on device")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(GitcoordError, match="No space left"):
        files.install(AGENTS["claude"], place)
    monkeypatch.undo()
    assert picture(root) == before
    files.install(AGENTS["claude"], place)
    files.uninstall(AGENTS["claude"], place)
    assert picture(root) == before


# --- files that are text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "# Rules\n\nBe kind.\n", "# Rules", "a\r\nb\r\n", "\n\n"])
def test_the_block_goes_in_at_the_end_and_out_again(text: str, place: SettingsPlace, root: Path) -> None:
    path = root / "AGENTS.md"
    path.write_bytes(text.encode())
    files.install(AGENTS["agents-md"], place)
    assert path.read_bytes().startswith(text.encode())
    assert "gitcoord claim" in path.read_text()
    assert ("\r\n" in path.read_bytes().decode()) == ("\r\n" in text)
    path.write_bytes(path.read_bytes() + b"more\n")
    files.uninstall(AGENTS["agents-md"], place)
    left = path.read_bytes().decode()
    assert left.replace("\r\n", "\n").rstrip("\n").removesuffix("more").rstrip("\n") == text.replace("\r\n", "\n").rstrip("\n")
    assert "gitcoord" not in left


def test_a_block_that_somebody_edited_stays(place: SettingsPlace, root: Path) -> None:
    files.install(AGENTS["agents-md"], place)
    path = root / "AGENTS.md"
    path.write_text(path.read_text().replace("Claim narrowly.", "Claim what you like."))
    edited = path.read_text()
    for do in (files.install, files.uninstall):
        [placed] = do(AGENTS["agents-md"], place)
        assert (placed.state, placed.change) == ("edited", "none")
        assert "stays" in placed.note
        assert path.read_text() == edited


def test_a_plugin_of_somebody_else_and_an_edited_one_stay(place: SettingsPlace, root: Path) -> None:
    path = write(root / ".opencode" / "plugins" / "gitcoord.js", "export const X = 1\n")
    with pytest.raises(GitcoordError, match="isn't gitcoord's"):
        files.install(AGENTS["opencode"], place)
    assert files.uninstall(AGENTS["opencode"], place)[0].state == "foreign"
    path.unlink()
    files.install(AGENTS["opencode"], place)
    path.write_text(path.read_text() + "// mine\n")
    assert files.install(AGENTS["opencode"], place)[0].state == "edited"
    assert files.uninstall(AGENTS["opencode"], place)[0].change == "none"
    assert path.read_text().endswith("// mine\n")


def test_aider_reads_the_rules_beside_its_other_settings(place: SettingsPlace, root: Path) -> None:
    conf = write(root / ".aider.conf.yml", "# mine\nmodel: x\n")
    files.install(AGENTS["aider"], place)
    assert conf.read_text().startswith("# mine\nmodel: x\n")
    assert "\nread: [GITCOORD.md]\n" in conf.read_text()
    assert "gitcoord claim" in (root / "GITCOORD.md").read_text()
    files.uninstall(AGENTS["aider"], place)
    assert conf.read_text() == "# mine\nmodel: x\n"
    assert not (root / "GITCOORD.md").exists()

    write(conf, "read: [CONVENTIONS.md]\n")
    with pytest.raises(GitcoordError, match=r"`read:` already.*GITCOORD\.md"):
        files.install(AGENTS["aider"], place)
    assert not (root / "GITCOORD.md").exists()


# --- what is put there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JSON)
def test_only_what_every_agent_reads_is_used(name: str, place: SettingsPlace) -> None:
    files.install(AGENTS[name], place)
    [path] = files_of(AGENTS[name], place)
    rows = ours(path)
    assert len(rows) == len(handlers(path))
    for event, _, one in rows:
        if name == "windsurf":  # it has no time limits
            assert set(one) == {"command", "show_output"}
            continue
        assert set(one) <= {"type", "command", "bash", "powershell", "timeout", "timeoutSec", "name", "matcher"}
        seconds = one.get("timeout", one.get("timeoutSec")) / (1000 if name in {"gemini", "tabnine", "qwen"} else 1)
        assert isinstance(one.get("timeout", one.get("timeoutSec")), int)
        assert (3 <= seconds <= 20) if "End" not in event else seconds == 3
        if name in {"claude", "codex", "cursor", "gemini"}:
            assert one["command"] == "gitcoord hook"


@pytest.mark.parametrize("name", [name for name in JSON if name != "vscode"])  # that is Copilot CLI's file
def test_every_event_that_is_installed_means_something_to_its_dialect(name: str, place: SettingsPlace) -> None:
    files.install(AGENTS[name], place)
    [path] = files_of(AGENTS[name], place)
    for event, matcher, one in ours(path):
        command = str(one.get("command", one.get("bash")))
        named = re.search(r"--agent (\S+)", command)
        dialect = choose({"hook_event_name": event}, {}, named[1].rstrip(")") if named else name)
        assert dialect.kinds.get(event), event
        others = (
            {"Bash", "bash", "Read", "mcp__.*", "run_shell_command", "Execute"}
            if dialect.kinds[event] == "after-edit" or dialect.alone
            else set()
        )
        assert set(filter(None, matcher.split("|"))) <= dialect.tools | others


def test_copilots_hooks_run_at_edits_and_behind_a_shell_command_only(place: SettingsPlace) -> None:
    """In the names that it gives its tools, those of its own and Claude Code's."""
    files.install(AGENTS["copilot"], place)
    [path] = files_of(AGENTS["copilot"], place)
    matchers = {event: matcher for event, matcher, _ in ours(path)}
    at = {event: [tool for tool in ("Edit", "create", "Bash", "bash", "Read", "view") if re.fullmatch(matchers[event], tool)]
          for event in ("PreToolUse", "PostToolUse")}  # fmt: skip
    assert at == {"PreToolUse": ["Edit", "create"], "PostToolUse": ["Edit", "create", "Bash", "bash"]}
    assert matchers["UserPromptSubmit"] == ""


def test_permissions_name_each_command_and_none_that_could_do_harm(place: SettingsPlace, root: Path) -> None:
    files.install(AGENTS["claude"], place)
    rules = json.loads((root / ".claude" / "settings.json").read_text())["permissions"]["allow"]
    assert len(rules) == len(SAFE)
    for rule in rules:
        assert re.fullmatch(r"Bash\(gitcoord [a-z]+(:\*)?\)", rule)
    harmful = {"claim", "run", "relay", "init", "config", "hooks", "doctor", "demo", "mcp", "hook", "install"}
    assert not harmful & {re.split(r"[ :)]", rule)[1] for rule in rules}
    assert "Bash(gitcoord board)" in rules


def test_cursor_is_left_alone_where_it_imports_claudes_hooks(place: SettingsPlace, root: Path) -> None:
    files.install(AGENTS["claude"], at(place, "user"))
    [placed] = files.install(AGENTS["cursor"], place)
    assert (placed.state, placed.change) == ("absent", "none")
    assert "imports" in placed.note
    assert not (root / ".cursor").exists()


def test_the_variables_of_agents_move_their_folders(home: Path, tmp_path: Path) -> None:
    for name, variable, below in (
        ("codex", "CODEX_HOME", "hooks.json"), ("copilot", "COPILOT_HOME", "hooks/gitcoord.json"),
        ("claude", "CLAUDE_CONFIG_DIR", "settings.json"), ("opencode", "XDG_CONFIG_HOME", "opencode/plugins/gitcoord.js"),
    ):  # fmt: skip
        where = SettingsPlace("user", home, {variable: str(tmp_path / "moved")})
        [placed] = files.install(AGENTS[name], where)
        assert placed.path == tmp_path / "moved" / below
        files.uninstall(AGENTS[name], where)
    assert not (tmp_path / "moved").exists()


def test_the_block_is_short_and_says_what_there_is() -> None:
    text = packaged("AGENTS.md")
    assert 15 <= len(text.splitlines()) <= 30
    assert not re.search(r"--break|--force|gitcoord (run|relay)", text)


def stand_in(folder: Path) -> None:
    """A stand-in for gitcoord: it notes what it is sent, and answers what the tests say."""
    (folder / "gitcoord").write_text(
        "#!/bin/sh\n"
        f'said=$(cat); printf "%s %s\\n" "$*" "$said" >>"{folder}/log"\n'
        'case $said in *\'"event":"start"\'*) echo \'{"context":"[briefing]"}\';;'
        ' *held.py*) echo \'{"verdict":"deny","reason":"ada has it"}\';; *after-edit*) echo \'{"context":"[news]"}\';;'
        ' *\'"event":"stop","nagged":false\'*) echo \'{"context":"[question]","go_on":true}\';; esac\n'
    )
    (folder / "gitcoord").chmod(0o755)


def noted(folder: Path, agent: str) -> list[tuple[str, tuple[str, ...], bool, bool]]:
    """What the stand-in was sent, as that agent's dialect reads it."""
    sent = []
    for line in (folder / "log").read_text().splitlines():
        words, _, payload = line.partition(" {")
        assert words == f"hook --agent {agent}"
        one = json.loads("{" + payload)
        occasion = choose(one, {}, agent).read(one, {})
        assert (occasion.agent_id, occasion.place) == ("s1", "/w")
        sent.append((occasion.kind, occasion.paths, occasion.subagent, occasion.nagged))
    return sent


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
def test_the_plugin_for_opencode_passes_each_step_on(tmp_path: Path) -> None:
    """A stand-in for gitcoord notes what it is sent, and answers what the test says; opencode's part is played by a few lines."""
    (tmp_path / "plugin.mjs").write_text(packaged("opencode.js"))
    stand_in(tmp_path)
    (tmp_path / "play.mjs").write_text("""
import { Gitcoord } from "./plugin.mjs"
const told = []
const client = { session: { prompt: async (said) => {
  told.push([said.path.id, said.body.parts[0].text])
  await prompt(said.path.id, "m2") // opencode hands the plugin's own prompts to the plugin, too
} } }
const prompt = async (sessionID, messageID) => {
  const parts = [{ id: "prt_1", sessionID, messageID, type: "text", text: "hello" }]
  await on["chat.message"]({ sessionID, messageID }, { message: {}, parts })
  return parts
}
const on = await Gitcoord({ client, directory: "/w", worktree: "/w" })
const event = (type, properties) => on.event({ event: { type, properties } })
await event("session.created", { info: { id: "s1" } })
await event("session.created", { info: { id: "helper", parentID: "s1" } })
const said = await prompt("s1", "m1")
let refused = ""
const held = { args: { filePath: "/w/held.py" } }
await on["tool.execute.before"]({ tool: "edit", sessionID: "s1", callID: "c1" }, held).catch((e) => (refused = e.message))
await on["tool.execute.before"]({ tool: "write", sessionID: "helper", callID: "c2" }, { args: { filePath: "/w/free.py" } })
await on["tool.execute.before"]({ tool: "bash", sessionID: "s1", callID: "c3" }, { args: { command: "ls" } })
const output = { output: "ok" }
await on["tool.execute.after"]({ tool: "write", sessionID: "s1", callID: "c2", args: { filePath: "/w/free.py" } }, output)
await on["tool.execute.after"]({ tool: "bash", sessionID: "s1", callID: "c3", args: { command: "ls" } }, { output: "ok" })
await on["tool.execute.after"]({ tool: "read", sessionID: "s1", callID: "c4", args: { filePath: "/w/x" } }, { output: "ok" })
await event("session.idle", { sessionID: "s1" })
await event("session.idle", { sessionID: "s1" })
await event("session.idle", { sessionID: "helper" })
await event("session.deleted", { info: { id: "s1" } })
const shell = { env: {} }
await on["shell.env"]({ cwd: "/w", sessionID: "helper" }, shell)
console.log(JSON.stringify({ told, said, refused, output, shell }))
""")
    done = subprocess.run(
        ["node", "play.mjs"], cwd=tmp_path, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done
    assert json.loads(done.stdout) == {
        "told": [["s1", "[question]"]],
        "said": [
            {"id": "prt_1", "sessionID": "s1", "messageID": "m1", "type": "text", "text": "hello"},
            {"id": "prt_10", "sessionID": "s1", "messageID": "m1", "type": "text", "text": "[briefing]", "synthetic": True},
        ],
        "refused": "ada has it",
        "output": {"output": "ok\n[news]"},
        "shell": {"env": {"GITCOORD_AGENT_ID": "s1"}},
    }
    assert noted(tmp_path, "opencode") == [
        ("start", (), False, False), ("prompt", (), False, False), ("before-edit", ("/w/held.py",), False, False),
        ("before-edit", ("/w/free.py",), True, False), ("after-edit", ("/w/free.py",), False, False),
        ("after-tool", (), False, False), ("stop", (), False, False),
        ("stop", (), False, True), ("end", (), False, False),
    ]  # fmt: skip


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
def test_the_plugin_for_amp_passes_each_step_on(tmp_path: Path) -> None:
    """As the one for opencode; Amp's part is played by a few lines, in the forms of its own documents (`amp plugins show-docs`)."""
    (tmp_path / "plugin.mjs").write_text(packaged("amp.ts"))
    stand_in(tmp_path)
    (tmp_path / "play.mjs").write_text(
        """
import plugin from "./plugin.mjs"
const on = {}, ends = []
const uri = (path) => ({ toString: () => `file://${path}`, path })
plugin({
  system: { workspaceRoot: uri("/w") },
  helpers: {
    filePathFromURI: (one) => one.path,
    filesModifiedByToolCall: ({ tool, input }) => (tool === "edit_file" ? [uri(input.path)] : null),
  },
  on: (name, does) => (on[name] = does),
  onDispose: (does) => ends.push(does),
})
const parents = { s1: null, helper: "s1" }
const fire = (name, thread, event) => on[name]({ thread: { id: thread }, ...event }, {
  thread: { parentThreadID: async () => parents[thread] },
})
const edit = (path) => ({ toolUseID: path, tool: "edit_file", input: { path } })
const patch = { toolUseID: "p", tool: "apply_patch", input: { patch: "*** Begin Patch\\n*** Update File: held.py\\n" } }
const said = []
said.push(await fire("agent.start", "s1", { id: 1, message: "hello" }))
said.push(await fire("tool.call", "s1", edit("/w/held.py")))
said.push(await fire("tool.call", "s1", patch))
said.push(await fire("tool.call", "helper", edit("/w/free.py")))
said.push(await fire("tool.call", "s1", { toolUseID: "b", tool: "Bash", input: { cmd: "ls" } }))
said.push(await fire("tool.result", "s1", { ...edit("/w/free.py"), status: "done", output: "ok" }))
said.push(await fire("agent.end", "helper", { id: 1, status: "done", messages: [] }))
said.push(await fire("agent.end", "s1", { id: 1, status: "done", messages: [] }))
said.push(await fire("agent.start", "s1", { id: 2, message: "[question]" })) // its own prompt comes here, too
said.push(await fire("agent.end", "s1", { id: 2, status: "done", messages: [] }))
for (const end of ends) await end()
console.log(JSON.stringify(said.map((one) => one ?? null)))
""".replace("\\\\n", "\\n")
    )
    done = subprocess.run(
        ["node", "play.mjs"], cwd=tmp_path, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done
    no, yes = {"action": "reject-and-continue", "message": "ada has it"}, {"action": "allow"}
    assert json.loads(done.stdout) == [
        {"message": {"content": "[briefing]"}}, no, no, yes, yes, None, None,
        {"action": "continue", "userMessage": "[question]"}, {}, None,
    ]  # fmt: skip
    assert noted(tmp_path, "amp") == [
        ("start", (), False, False), ("prompt", (), False, False), ("before-edit", ("/w/held.py",), False, False),
        ("before-edit", ("held.py",), False, False), ("before-edit", ("/w/free.py",), True, False),
        ("after-edit", ("/w/free.py",), False, False), ("stop", (), False, False), ("stop", (), False, True),
        ("end", (), False, False),
    ]  # fmt: skip
