"""The reference says what the program does: synopsis, options, examples, exit codes, settings, JSON."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import reference
from reference import REFERENCE, TOP, Example

PAGES = [pytest.param(path, id=path.relative_to(TOP / "docs").as_posix()) for path in reference.pages()]
COMMANDS = reference.commands()
WRITES = bool(os.environ.get("WRITE_REFERENCE"))
FILES = ("src/api.py", "src/db.py", "docs/intro.md")


# --- commands ----------------------------------------------------------------------------------------------------------


def test_every_command_is_described_once() -> None:
    described = [name for page in PAGES for name in reference.described(page.values[0].read_text(encoding="utf-8"))]
    assert sorted(described) == sorted(COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_the_made_parts_are_as_the_program_has_them(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert reference.renewed(text) == text, "python tests/house/reference.py"


def test_every_command_has_an_example_of_its_own() -> None:
    shown = set()
    for page in PAGES:
        for example in reference.examples(page.values[0].read_text(encoding="utf-8")):
            if re.search(rf"\bgitcoord (?:-\S+ )*{example.command}\b", example.line):
                shown.add(example.command)
    assert sorted(set(COMMANDS) - shown) == []


class Stage:
    """Two clones of one remote, and a third one in which nobody has started a session."""

    def __init__(self, remote, seats, tmp_path: Path, *, bare: bool) -> None:
        (first,) = seats(remote, "ada")
        for name in FILES:
            (first.path / name).parent.mkdir(exist_ok=True)
            (first.path / name).write_text("# to be written\n")
        first.git("add", ".")
        first.git("commit", "--quiet", "-m", "a beginning")
        first.git("push", "--quiet", "origin", "HEAD")
        self.seats = {"ada": first, **dict(zip(("ben", "cy"), seats(remote, "ben", "cy"), strict=True))}
        self.places = {str(remote.url): "<remote>", str(tmp_path / "desks"): "<outbox>", os.environ["HOME"]: "<home>"}
        self.places |= {str(seat.path): "<clone>" for seat in self.seats.values()}
        if not bare:
            with first.here() as found:
                found.coordinator.init()
            for name in ("ada", "ben"):
                with self.seats[name].here() as found:
                    found.coordinator.start(name)

    def play(self, example: Example) -> list[str]:
        """Run what the example types; the lines that it prints, as a page shows them."""
        seat, line = self.seats[example.session], example.line
        said = re.fullmatch(r"echo ('[^']*'|\S+) \| (gitcoord .*)", line)
        stdin = shlex.split(said[1])[0] + "\n" if said else None
        words = shlex.split(said[2] if said else line, comments=True)
        if words[0] == "gitcoord":
            ran = seat.run(*words[1:], stdin=stdin)
            return reference.as_shown(line, ran.out, ran.err, ran.code, self.places)
        done = subprocess.run(["/bin/sh", "-c", line], cwd=seat.path, env=seat.env, capture_output=True, text=True, check=False)
        return reference.as_shown("", done.stdout, done.stderr, done.returncode, self.places)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_print_what_the_page_says(page: Path, file_remote, seats, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    stage = Stage(file_remote, seats, tmp_path, bare="<!-- examples begin without a branch -->" in text)
    printed = [stage.play(example) for example in reference.examples(text)]
    if WRITES:
        page.write_text(reference.with_output(text, printed), encoding="utf-8")
        return
    for example, lines in zip(reference.examples(text), printed, strict=True):
        assert reference.agrees(example.printed, lines), "\n".join(
            [f"{example.session}$ {example.line}", "--- the page:", *example.printed, "--- printed:", *lines]
        )


def test_a_page_that_says_something_else_is_noticed() -> None:
    told = ["held: file:src/api.py until <time> (fence 3)"]
    assert reference.agrees(told, told)
    assert reference.agrees(["held:  ...", "..."], ["held:      ...", "a", "b"])
    assert not reference.agrees(told, ["held: file:src/api.py until <time> (fence 4)"])
    assert not reference.agrees(told, [*told, "warning: and more"])
    assert not reference.agrees(["..."], [*told][:0]) or reference.agrees(["..."], [""])
