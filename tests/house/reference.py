"""The made parts of docs/reference: what a command takes is written from the program itself, what it prints is compared with it.

A page holds two things that must not go stale:

    <!-- command: claim -->      the synopsis, arguments and options of `gitcoord claim`; written by `describe`
    <!-- end -->

    ```console                   an example: what is typed behind the prompt of a session, and what is printed
    ada$ gitcoord check src/api.py
    file:src/api.py: free
    ```

`python tests/house/reference.py` writes both anew, and the JSON schemas, too. The tests compare.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import agent_pages
import answers
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from gitcoord.cli.app import program

TOP = Path(__file__).parents[2]
REFERENCE = TOP / "docs" / "reference"
SCHEMAS = REFERENCE / "schemas"

Command = TyperCommand | TyperGroup


# --- what a command takes ----------------------------------------------------------------------------------------------


def _walk(command: object, *path: str) -> Iterator[tuple[str, TyperCommand]]:
    children = command.commands if isinstance(command, TyperGroup) else {}
    for name, child in children.items():
        if isinstance(child, TyperGroup):
            yield from _walk(child, *path, name)
        elif isinstance(child, TyperCommand):
            yield " ".join((*path, name)), child


def commands() -> dict[str, TyperCommand]:
    """Return every command of the program, by the words that call it."""
    return dict(_walk(typer.main.get_command(program())))


def _value(parameter: TyperOption | TyperArgument) -> str:
    """Return what stands for the value of an option, or "" for a switch."""
    if isinstance(parameter, TyperOption) and parameter.is_flag:
        return ""
    return parameter.metavar or ("N" if parameter.type_descriptor.annotation is int else "TEXT")


def _argument(argument: TyperArgument) -> str:
    """Return an argument as a synopsis shows it."""
    name = argument.metavar or str(argument.name).upper()
    return name if argument.required or re.fullmatch(r"(?:\[[^]]*\](?:\.\.\.)? ?)+", name) else f"[{name}]"


def _option(option: TyperOption) -> str:
    """Return an option as a synopsis shows it."""
    value = _value(option)
    text = option.opts[0] + (f" {value}" if value else "")
    many = "..." if option.multiple else ""
    return f"{text}{many and f' [{text}]'}{many}" if option.required else f"[{text}]{many}"


def describe(name: str, command: TyperCommand) -> str:
    """Return the Markdown of what a command does and takes."""
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    options = [one for one in command.params if isinstance(one, TyperOption) and not one.hidden]
    # What follows `--` is the caller's own command line, so it stands last.
    arguments.sort(key=lambda one: str(one.metavar).startswith("--"))
    behind = [_argument(one) for one in arguments if str(one.metavar).startswith("--")]
    before = [_argument(one) for one in arguments if not str(one.metavar).startswith("--")]
    lines = [" ".join((command.help or "").split()), "", "```text"]
    line = f"gitcoord {name}"
    for word in [*before, *map(_option, options), *behind]:
        if len(line) + len(word) > 72:
            lines.append(line)
            line = "   "
        line += f" {word}"
    lines += [line, "```"]
    rows = [(f"`{_argument(one)}`", one.help, one.default) for one in arguments if one.help]
    rows += [(_names(one), one.help, one.default) for one in options]
    if rows:
        lines += ["", "| | what it does |", "| --- | --- |"]
    for what, words, default in rows:
        usual = f" Default: `{default}`." if default not in (None, False, (), []) else ""
        told = f"{words}{usual}".replace("|", "\\|")
        lines.append(f"| {what.replace('|', chr(92) + '|')} | {told} |")
    return "\n".join(lines)


def _names(option: TyperOption) -> str:
    value = _value(option)
    return ", ".join(f"`{name}{value and ' ' + value}`" for name in (*option.opts, *option.secondary_opts))


_MADE = re.compile(r"(?P<begin><!-- command: (?P<name>[a-z -]+?) -->\n)(?P<body>.*?)(?P<end><!-- end -->)", re.DOTALL)


def described(text: str) -> list[str]:
    """Return the commands that a page describes, in its order."""
    return [match["name"] for match in _MADE.finditer(text)]


def answered() -> str:
    """Return the table of what each command answers with --json."""
    rows = [f"| `{name}` | [schema](schemas/{file_of(name)}) | {_listed(answers.keys(name))} |" for name in sorted(answers.ANSWERS)]
    return "\n".join(["| answer of | | keys |", "| --- | --- | --- |", *rows])


def _listed(keys: list[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def file_of(name: str) -> str:
    """Return the name of the file with a command's schema."""
    return f"{name.replace(' ', '-')}.json"


def schemas() -> dict[str, str]:
    """Return the files of docs/reference/schemas, by their names."""
    return {file_of(name): pretty(answers.schema(name)) + "\n" for name in answers.ANSWERS}


_ANSWERED = re.compile(r"(<!-- answers -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(text: str) -> str:
    """Return the page with its made parts as the program has them now."""
    known = commands()
    text = _ANSWERED.sub(lambda match: f"{match[1]}{answered()}\n{match[2]}", text)
    return _MADE.sub(lambda match: f"{match['begin']}{describe(match['name'], known[match['name']])}\n{match['end']}", text)


# --- examples ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """What is typed in one session's terminal, and what the page says is printed."""

    session: str
    line: str
    printed: tuple[str, ...]
    command: str
    """The command that the example belongs to: that of the last made part above it, "" if there is none."""


_BLOCK = re.compile(r"(^```console\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
_PROMPT = re.compile(r"(ada|ben|cy)\$ (.*)")


def examples(text: str) -> list[Example]:
    """Return the examples of a page, in the order in which they are played."""
    made: list[Example] = []
    for block in _BLOCK.finditer(text):
        above = described(text[: block.start()])
        for session, line, printed in parts(block[2]):
            made.append(Example(session, line, tuple(printed), above[-1] if above else ""))
    return made


def parts(block: str) -> list[tuple[str, str, list[str]]]:
    """Return what a block holds: for each prompt its session, what is typed, and the lines below."""
    typed: list[tuple[str, str, list[str]]] = []
    for line in block.splitlines():
        prompt = _PROMPT.fullmatch(line)
        if prompt:
            typed.append((prompt[1], prompt[2], []))
        else:
            assert typed, f"an example begins with a prompt, not with {line!r}"
            typed[-1][2].append(line)
    return typed


def with_output(text: str, printed: list[list[str]]) -> str:
    """Return the page with what its examples print now; an answer that agrees stays as it is written."""
    answers = iter(printed)

    def block(match: re.Match[str]) -> str:
        lines = []
        for session, line, old in parts(match[2]):
            new = next(answers)
            lines += [f"{session}$ {line}", *(old if agrees(old, new) else new)]
        return match[1] + "".join(f"{line}\n" for line in lines) + match[3]

    return _BLOCK.sub(block, text)


_WARM = "a warm process (pid <number>) has the program loaded: commands and hooks begin in forks of it"
_SPAN = r"\d+ (?:s|min|h|days?)(?: \d+ min)?"
_MASKS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # A relative time: as many seconds lie between two commands as the run makes of it. In a column it keeps its width, too.
    (re.compile(rf"\b(?:just now|{_SPAN} ago)\b(?=  )"), lambda match: "<ago>".ljust(len(match[0]))),
    (re.compile(rf"\bin {_SPAN}(?=  )"), lambda match: "<soon>".ljust(len(match[0]))),
    (re.compile(rf"\b(?:just now|{_SPAN} ago)\b"), "<ago>"),
    (re.compile(rf"\bin {_SPAN}(?=[\s,.;:)]|$)", re.MULTILINE), "in <span>"),
    (re.compile(rf"\bfor another {_SPAN}\b"), "for another <span>"),
    # A time keeps its width where a column follows, so that tables stay straight.
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ(?=  )"), "<time>              "),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?: UTC)?"), "<time>"),
    (re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"), "<id>"),
    (re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{12}|(?=[0-9a-f]*[a-f])[0-9a-f]{9})\b"), "<commit>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<mark>"),
    # Whether there is one is the run's matter (`--plain-starts`), and not the page's.
    (re.compile(r"^✓ (?:a|the|no) warm process.*"), f"✓ {_WARM}"),
    (re.compile(r"<outbox>/\w+/[0-9a-f]{20}\b"), "<outbox>"),
    (re.compile(r"\bgit \d+(?:\.\d+)+\b"), "git <version>"),
    (re.compile(r"\bPython \d+(?:\.\d+)+\b"), "Python <version>"),
    (re.compile(r"\b\d\d:\d\d UTC\b"), "<time>"),
    (re.compile(r"(?<=[ *(])\d\d:\d\d(?=[ *,)]|$)", re.MULTILINE), "<time>"),
    (re.compile(r"\b\d+ seconds?(?= in all\b)"), "<span>"),
    (re.compile(r"(?<=[ :])\d{13}\b"), "<time>"),
    (re.compile(r"\bhost-[0-9a-f]{6}\b"), "host-<digest>"),
    (re.compile(r"\bfile-\d+\b"), "project"),  # what the remote of a test is called
    (re.compile(r"(?<=  )\d+ seconds?(?=  )"), "<span>"),
    (re.compile(r"(?<=[ (])[\d.]+ (?=[KM]B\b)"), "<size> "),
)
_NUMBERS = frozenset({"seconds", "view_age"})  # keys of --json whose numbers no two runs share


def masked(text: str, places: dict[str, str]) -> str:
    """Return what was printed with a placeholder for all that no two runs share. `places`: paths, and what stands for them."""
    for place, name in sorted(places.items(), key=lambda one: -len(one[0])):
        text = text.replace(place, name)
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return text


def as_shown(line: str, out: str, err: str, code: int, places: dict[str, str]) -> list[str]:
    """Return the lines of a page for what was printed: the answer, then the words for people, then the exit code if it isn't 0."""
    lines = []
    for text in out.splitlines():
        if "--json" in line and text.startswith("{"):
            lines += pretty(_with_fewer_numbers(json.loads(masked(text, places)))).splitlines()
        else:
            lines.append(masked(text, places).rstrip())
    lines += [masked(text, places).rstrip() for text in err.splitlines()]
    return [*lines, *([f"[exit code {code}]"] if code else [])]


def _with_fewer_numbers(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: "<number>" if key in _NUMBERS and isinstance(one, int | float) else _with_fewer_numbers(one)
            for key, one in value.items()
        }
    return [_with_fewer_numbers(one) for one in value] if isinstance(value, list) else value


def pretty(value: object, before: int = 0, width: int = 100) -> str:
    """Return the JSON of a value, indented where it doesn't fit into a line. `before`: characters that stand before it."""
    flat = json.dumps(value, ensure_ascii=False)
    indent = " " * (before + 2)
    if len(flat) + before <= width or not value or not isinstance(value, dict | list):
        return flat
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {pretty(one, before + 2, width - len(key) - 4)}" for key, one in value.items()]
        return "{\n" + ",\n".join(indent + line for line in inner) + "\n" + " " * before + "}"
    return "[\n" + ",\n".join(indent + pretty(one, before + 2, width) for one in value) + "\n" + " " * before + "]"


def agrees(written: list[str] | tuple[str, ...], printed: list[str]) -> bool:
    """Return True if the page says what was printed: a line `...` stands for any lines, `...` at the end of a line for
    the rest of it; runs of blanks count as one.
    """
    pattern = r"\n".join(r"(?:.*\n)*?.*" if line.strip() == "..." else _pattern(line) for line in written)
    return re.fullmatch(pattern, "\n".join(_narrow(line) for line in printed)) is not None


def _narrow(line: str) -> str:
    return re.sub(r"  +", "  ", line).rstrip()


def _pattern(line: str) -> str:
    return re.escape(_narrow(line.removesuffix("..."))) + (".*" if line.endswith("...") else "")


# --- all of it -----------------------------------------------------------------------------------------------------------


def pages() -> list[Path]:
    """Return every page that describes commands or shows examples."""
    return sorted(
        path for path in (TOP / "docs").rglob("*.md") if _MADE.search(path.read_text()) or _BLOCK.search(path.read_text())
    )


def main() -> int:
    """Write all made parts anew; the exit code."""
    import os

    import pytest

    agent_pages.write()
    for path in pages():
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
    for old in SCHEMAS.glob("*.json"):
        old.unlink()
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
    os.environ["WRITE_REFERENCE"] = "1"
    return int(pytest.main(["-q", "-p", "no:cacheprovider", str(Path(__file__).with_name("test_reference.py")), *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
