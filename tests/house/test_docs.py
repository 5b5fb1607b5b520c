"""What is written about the program agrees with it: commands, options, exit codes, settings, events, trailers, fields, links."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import agent_pages
import pytest
import typer
from agent_programs import PROGRAMS
from typer.core import TyperCommand, TyperGroup, TyperOption

import gitcoord
from gitcoord.cli import connect
from gitcoord.cli.app import program
from gitcoord.core.messages import TYPES
from gitcoord.core.records import BranchRecord, Claim, Handoff, Heartbeat, Ignored, Message, Session, Ticket
from gitcoord.core.records import SharedSettings as Shared
from gitcoord.core.rules import EVENTS
from gitcoord.core.times import spell_ttl
from gitcoord.errors import GitcoordError
from gitcoord.log import wire
from gitcoord.settings import KEYS

TOP = Path(__file__).parents[2]
DOCS = [
    TOP / "README.md",
    TOP / "ARCHITECTURE.md",
    TOP / "CHANGELOG.md",
    TOP / "CONTRIBUTING.md",
    TOP / "SECURITY.md",
    TOP / "AGENTS.md",
    *sorted((TOP / "docs").rglob("*.md")),
    TOP / "gitcoord" / "agents" / "settings" / "AGENTS.md",
]
PROTOCOL = (TOP / "docs" / "protocol.md").read_text(encoding="utf-8")
GUARANTEES = (TOP / "docs" / "guarantees.md").read_text(encoding="utf-8")
PAGE = TOP / "man" / "gitcoord.1"
GLOBALS = {*connect._FLAGS, *connect._VALUES, "--help", "-h", "--version"}


Command = TyperCommand | TyperGroup


def _walk(command: object, *path: str) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Every command below the program, with the words that call it."""
    for name, child in sorted(command.commands.items()) if isinstance(command, TyperGroup) else ():
        assert isinstance(child, Command)
        yield (*path, name), child
        yield from _walk(child, *path, name)


PROGRAM = typer.main.get_command(program())
COMMANDS = dict(_walk(PROGRAM))


def _options(command: object) -> list[TyperOption]:
    """What can be given to the command and is meant to be seen."""
    assert isinstance(command, Command)
    return [one for one in command.params if isinstance(one, TyperOption) and not one.hidden]


def _names(command: object) -> set[str]:
    return {name for option in _options(command) for name in (*option.opts, *option.secondary_opts)}


def _man() -> dict[str, str]:
    """The man page as plain text, by the headings of its sections and subsections."""
    sections: dict[str, str] = {}
    title = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        plain = re.sub(r"\\f[BIR]", "", line).replace("\\-", "-").replace("\\&", "")
        heading = re.fullmatch(r"\.S[HS] \"?(.*?)\"?", plain)
        if heading:
            title = heading[1]
        sections[title] = sections.get(title, "") + plain + "\n"
    return sections


MAN = _man()


def _has(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def _kinds(cls: type[GitcoordError]) -> Iterator[type[GitcoordError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _kinds(child)


def _code(text: str) -> Iterator[str]:
    """The lines of code in Markdown: those of its blocks, and what stands between backticks."""
    for number, part in enumerate(re.split(r"^```.*$", text, flags=re.MULTILINE)):
        if number % 2:
            yield from part.splitlines()
        else:
            yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", part))


# --- the program -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help(path: tuple[str, ...]) -> None:
    assert (COMMANDS[path].help or "").strip()
    for option in _options(COMMANDS[path]):
        assert option.help, option.opts


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_stands_in_the_man_page_with_each_of_its_options(path: tuple[str, ...]) -> None:
    section = MAN[f"gitcoord {path[0]}"]
    assert _has(section, path[-1])
    missing = {name for name in _names(COMMANDS[path]) - GLOBALS if not _has(section, name)}
    assert not missing


def test_the_man_page_names_no_option_that_does_not_exist() -> None:
    for title, text in MAN.items():
        name = title.removeprefix("gitcoord ")
        if name == title:
            continue
        known = set(GLOBALS).union(*(_names(command) for path, command in COMMANDS.items() if path[0] == name))
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)) <= known, title


def test_the_man_page_has_no_command_that_does_not_exist() -> None:
    headings = {title.removeprefix("gitcoord ") for title in MAN if title.startswith("gitcoord ")}
    assert headings == {path[0] for path in COMMANDS}


def test_every_global_option_stands_in_the_man_page() -> None:
    wanted = GLOBALS | _names(PROGRAM)
    assert {name for name in wanted if not _has(MAN["GLOBAL OPTIONS"], name)} == set()


def test_every_exit_code_stands_in_the_man_page() -> None:
    told = set(re.findall(r"^\.TP\n(\d+)$", MAN["EXIT STATUS"], flags=re.MULTILINE))
    raised = {str(kind.exit_code) for kind in _kinds(GitcoordError)}
    assert told == raised | {"0", "130"}  # done, interrupted: no exception of ours


def test_every_setting_stands_in_the_man_page() -> None:
    assert [name for name in (*KEYS, *Shared.model_fields) if not _has(MAN["SETTINGS"], name)] == []


def test_the_man_page_is_of_this_version() -> None:
    assert f'"gitcoord {gitcoord.__version__}"' in MAN[""]


def test_the_second_man_page_is_the_first() -> None:
    assert (TOP / "man" / "git-coord.1").read_text() == ".so man1/gitcoord.1\n"


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff on this machine")
@pytest.mark.parametrize("device", ["ascii", "utf8"])
def test_the_man_page_is_set_without_a_warning(device: str) -> None:
    done = subprocess.run(["groff", "-man", f"-T{device}", "-ww", str(PAGE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- the format ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_stands_in_the_protocol_with_each_of_its_trailers(kind: str) -> None:
    assert f"Coord-Event: {kind}\n" in PROTOCOL
    for title, _ in wire._fields(EVENTS[kind]).values():
        assert f"`{title}`" in PROTOCOL


@pytest.mark.parametrize("record", [Session, Heartbeat, Claim, Ticket, Message, Handoff, BranchRecord, Shared, Ignored])
def test_every_field_of_a_record_stands_in_the_protocol(record: type[Session]) -> None:
    fields = {info.alias or name for name, info in record.model_fields.items()}
    assert {name for name in fields if f"`{name}`" not in PROTOCOL} == set()


def test_every_type_of_message_stands_in_the_protocol() -> None:
    assert [name for name in TYPES if f"`{name}`" not in PROTOCOL] == []


def test_the_protocol_tells_the_settings_as_they_are() -> None:
    for name, value in Shared().model_dump().items():
        told = str(value).lower() if isinstance(value, bool) else "empty" if value == {} else str(value)
        assert re.search(rf"`{name}`[^`]*(?<!\w){re.escape(told)}(?!\w)", PROTOCOL), (name, told, spell_ttl(value))


# --- the documents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        aim = (path.parent / file).resolve() if file else path
        assert aim.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", aim.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_documents_call_only_commands_and_options_that_exist(path: Path) -> None:
    for line in _code(path.read_text(encoding="utf-8")):
        for words in re.findall(r"\b(?:gitcoord|git coord) ([a-z][^#;|`]*)", line):
            # Behind `--` stands a command of the reader's own. In what the program prints, a comma or a quote may follow a word.
            name, *rest = (word.rstrip('",') for word in words.partition(" -- ")[0].split())
            # `hook` is for programs, and `help` is help: both are answered before there are any commands.
            before = {"hook": {"--agent"}, "help": {"--all"}}
            assert (name,) in COMMANDS or name in before, line
            known = (
                before[name]
                if name in before
                else set(GLOBALS).union(*(_names(command) for where, command in COMMANDS.items() if where[0] == name))
            )
            assert {word for word in rest if word.startswith("--")} <= known, line


def test_every_promise_names_a_test_that_exists() -> None:
    parts = re.split(r"^### ", GUARANTEES, flags=re.MULTILINE)[1:]
    assert parts
    for part in parts:
        named = re.findall(r"`(tests/[\w/]+\.py)`", part)
        assert named, part.partition("\n")[0]
        assert [name for name in named if not (TOP / name).is_file()] == []


def test_every_room_stands_in_the_architecture() -> None:
    text = "\n".join(_code((TOP / "ARCHITECTURE.md").read_text(encoding="utf-8")))
    rooms = [path for path in (TOP / "gitcoord").rglob("*.py") if not path.name.startswith("__") and path.parent.name != "cli"]
    assert [path.name for path in rooms if not _has(text, path.stem)] == []


def test_every_agent_has_a_page_that_says_what_the_program_goes_by() -> None:
    assert {path.stem for path in agent_pages.PAGES.glob("*.md")} == set(agent_pages.names())
    for path in (agent_pages.TABLE, *agent_pages.PAGES.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert agent_pages.renewed(text) == text, f"{path.name}: python tests/house/reference.py"
        assert path == agent_pages.TABLE or f"<!-- agent: {path.stem} -->" in text


def test_what_was_seen_is_said_of_each_program_that_the_tests_run() -> None:
    assert set(agent_pages.SEEN) == set(PROGRAMS)
    assert all(seen.keys() == set(agent_pages.PROMISES) for _, seen in agent_pages.SEEN.values())
