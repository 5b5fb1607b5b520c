"""The reference says what the program does: synopsis, options, examples, exit codes, settings, JSON."""

from __future__ import annotations

import ast
import compileall
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import answers
import jsonschema
import pytest
import reference
from reference import REFERENCE, SCHEMAS, TOP, Example

import gitcoord
from gitcoord.core.records import SharedSettings as Shared
from gitcoord.errors import GitcoordError
from gitcoord.settings import KEYS, Settings
from gitcoord.setup import doctor
from gitcoord.setup.checks import builds

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


def test_every_command_says_its_exit_codes() -> None:
    silent = []
    for page in PAGES:
        parts = re.split(r"<!-- command: (.*) -->", page.values[0].read_text(encoding="utf-8"))
        silent += [name for name, text in zip(parts[1::2], parts[2::2], strict=True) if "\nExit codes: " not in text]
    assert silent == []


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
        self.places = {str(remote.url): "<remote>", str(tmp_path / "outboxes"): "<outbox>", os.environ["HOME"]: "<home>"}
        self.places |= {str(seat.path): "<clone>" for seat in self.seats.values()}
        if not bare:
            with first.here() as found:
                found.coordinator.setup.init()
            for name in ("ada", "ben"):
                with self.seats[name].here() as found:
                    found.coordinator.sessions.start(name)

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


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile the program's modules first: `doctor` says how many are not, which depends on what ran before."""
    compileall.compile_dir(Path(gitcoord.__file__).parent, quiet=1)


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
    assert reference.agrees(["held: file:src/api.py until ..."], told)
    assert not reference.agrees(["held: file:src/db.py ..."], told)


# --- exit codes and settings ---------------------------------------------------------------------------------------------


def _table(text: str, *header: str) -> list[list[str]]:
    """The rows of the table with that header."""
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if _cells(line)[: len(header)] == [*header])
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(_cells(line))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]


def _errors(kind: type[GitcoordError]) -> Iterator[type[GitcoordError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _errors(child)


def test_the_page_of_exit_codes_has_every_error_with_its_code() -> None:
    text = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    # `run` answers by itself for a command that isn't there, before there is any error of ours.
    told = {(row[0], int(row[1])) for row in _table(text, "error", "code") if "," not in row[1]}
    raised = {(kind.name, kind.exit_code) for kind in _errors(GitcoordError)}
    assert told == raised
    codes = {int(row[0]) for row in _table(text, "code", "meaning")}
    assert codes == {code for _, code in raised} | {0, 130}


def test_the_page_of_settings_has_every_setting_as_it_is() -> None:
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    rows = _table(text, "setting", "where")
    clone = {row[0]: row for row in rows if row[1].startswith("clone")}
    assert set(clone) == set(KEYS)
    for key, usual in vars(Settings()).items():
        if usual != "":
            assert clone[key][4] == (f"{usual:g}" if isinstance(usual, float) else str(usual).lower()), key
    shared = {row[0]: row for row in rows if row[1] == "shared" and not row[0].startswith("capacity.")}
    assert set(shared) == set(Shared.model_fields) - {"capacities"}
    for key, field in Shared.model_fields.items():
        if key == "capacities":
            continue
        assert shared[key][4] == (str(field.default).lower() if isinstance(field.default, bool) else str(field.default)), key
        if field.annotation is int:
            low, high = (next(getattr(one, name) for one in field.metadata if hasattr(one, name)) for name in ("ge", "le"))
            assert shared[key][2] == f"{low} to {high}", key


def test_what_is_set_for_a_clone_or_for_all_is_described() -> None:
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8").partition("## What each one does")[2]
    assert [key for key in {*KEYS, *Shared.model_fields} - {"capacities"} if f"**`{key}`**" not in text] == []


# --- JSON ------------------------------------------------------------------------------------------------------------------

TOLD_WITH_MORE = {"claim", "next", "run", "guard", "doctor", "install", "trial", "land"}
"""Commands that answer with keys of their own also where they fail."""

PLAYED = """
ada$ gitcoord init
ada$ gitcoord start ada --work "the landing page"
ben$ gitcoord start ben --role reviewer
ada$ gitcoord whoami
ada$ gitcoord peers
ada$ gitcoord heartbeat building form
ada$ gitcoord claim src/api.py slot:staging --phase BUILD
ben$ gitcoord claim src/api.py
ben$ gitcoord claim src/api.py --wait --timeout 1s
cy$ gitcoord start cy
cy$ gitcoord claim src/api.py --wait --timeout 1s
ada$ gitcoord claims
ada$ gitcoord check src/api.py
ada$ gitcoord renew src/api.py
ben$ gitcoord request slot:staging "May I?"
ada$ gitcoord status
ada$ gitcoord listen --announce --session ada
ada$ gitcoord statusline
ada$ gitcoord inbox
ada$ gitcoord respond 10 approve
ada$ gitcoord release src/api.py --done "it works" --next REVIEW
ben$ gitcoord ask ada "Which version?" --timeout 60s
ada$ gitcoord listen --timeout 60s
ada$ gitcoord reply "Version 2."
ben$ gitcoord inbox --sent
ada$ gitcoord send ben "Hello"
ben$ gitcoord listen
ada$ gitcoord run --claim src/db.py -- true
ada$ gitcoord run --claim src/db.py -- ./missing
ada$ gitcoord handoff ben --next "the rest"
ben$ gitcoord handoffs
ben$ gitcoord take 22
ben$ gitcoord take --from ada
ada$ gitcoord next
ada$ gitcoord task add "Intake form" --file src/form.py
ada$ gitcoord task add "Its tests" --needs 1
ada$ gitcoord task import plan.md --dry-run
ada$ gitcoord task import plan.md
ada$ gitcoord next --peek
ben$ gitcoord next
ben$ gitcoord task edit 2 --priority 1
ada$ gitcoord next
ada$ gitcoord task drop 3
ben$ gitcoord task done
ben$ gitcoord task reopen 3
ben$ gitcoord task show 2
ben$ gitcoord tasks --all
ben$ gitcoord tasks --tree
ben$ gitcoord tasks --plan 2
ben$ gitcoord conflicts
ben$ gitcoord conflicts --brief ada ben
ben$ gitcoord trial -- true
ben$ git switch -q -c form
ben$ git commit -q --allow-empty -m "nothing"
ben$ gitcoord trial -- true
ben$ git mv docs/intro.md docs/welcome.md
ben$ git commit -q -m "another name"
ben$ gitcoord trial -- false
ben$ gitcoord trial -- test -d .git
ben$ gitcoord land -- false
ben$ gitcoord land -- test -d .git
ben$ gitcoord land
ada$ gitcoord log
ben$ gitcoord log --refused
ada$ gitcoord report
ben$ gitcoord blame docs/welcome.md
ada$ gitcoord history src/api.py
ada$ gitcoord board
ada$ gitcoord board --output board.md
ada$ gitcoord page --output page.html
ada$ gitcoord timeline
ada$ gitcoord briefing
ada$ gitcoord compact
ada$ gitcoord verify
ada$ gitcoord verify --signatures
ada$ gitcoord trust add zoe@example.org "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBvq7UzVqAfwhNqDLmbAEz1ig5j6VVDwMvBv9ZRtuuZA"
ada$ gitcoord trust add zoe@example.org,zoe@example.net
ada$ gitcoord trust import keys
ada$ gitcoord trust list
ada$ gitcoord trust remove zoe@example.org
ada$ gitcoord trust remove yan@example.org
ada$ git init --quiet --bare project.git
ada$ gitcoord serve-policy install project.git
ada$ gitcoord sync
ada$ gitcoord config
ada$ gitcoord config deadline 20
ada$ gitcoord config --shared talk_limit 20
ada$ gitcoord config colour
ada$ gitcoord doctor
ben$ gitcoord claim docs
ada$ gitcoord guard docs/intro.md
ada$ gitcoord config guard block
ada$ gitcoord guard docs/intro.md
ada$ gitcoord relay --from-file notes.txt --once
ada$ gitcoord hooks install --git --agent agents-md
ada$ gitcoord hooks status
ada$ gitcoord hooks uninstall --git
ada$ gitcoord install --yes --agent none
ben$ gitcoord uninstall --yes
ada$ gitcoord end
ada$ gitcoord init --remove
"""


def test_the_schemas_are_as_the_program_has_them() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")}
    assert written == reference.schemas(), "python tests/house/reference.py"


def test_every_command_has_a_schema() -> None:
    assert set(answers.ANSWERS) == {*COMMANDS, "error"} - {"mcp", "watch"}


def test_the_answers_of_all_commands_fit_their_schemas(file_remote, seats, tmp_path: Path) -> None:
    stage, fitted = Stage(file_remote, seats, tmp_path, bare=True), set()
    (stage.seats["ada"].path / "notes.txt").touch()
    (stage.seats["ada"].path / "keys").write_text(
        "yan@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBvq7UzVqAfwhNqDLmbAEz1ig5j6VVDwMvBv9ZRtuuZA\n"
    )
    (stage.seats["ada"].path / "plan.md").write_text("- [ ] write it down\n")
    for session, line, _ in reference.parts(PLAYED.strip()):
        before, separated, behind = line.partition(" -- ")
        if before.startswith("gitcoord ask "):  # it waits for what the lines below do
            asking = stage.seats[session].start(*shlex.split(before)[1:], "--json")
            continue
        if before.startswith("git "):
            stage.seats[session].git(*shlex.split(before)[1:])
            continue
        ran = stage.seats[session].run(*shlex.split(before)[1:], "--json", *shlex.split(separated + behind))
        told = ran.out.splitlines() or ran.err.splitlines()[-1:]
        name = max((name for name in COMMANDS if f"{before} ".startswith(f"gitcoord {name} ")), key=len)
        form = "error" if ran.code and name not in TOLD_WITH_MORE else name
        assert not _misfits(form, json.loads(told[-1])), (line, ran)
        fitted.add(form)
    with asking:
        assert not _misfits("ask", json.loads(asking.communicate()[0]))
    # The demo is run by a test of its own.
    assert set(answers.ANSWERS) - fitted == {"demo", "ask"}


def _misfits(name: str, answer: object) -> list[str]:
    schema = answers.schema(name) if name == "error" else answers.strict(answers.schema(name))
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(answer)]


def test_an_answer_with_a_key_too_many_or_too_few_is_noticed() -> None:
    good = {"state": "committed", "id": "x", "seq": 3, "commit": "abc"}
    assert _misfits("send", good) == []
    assert _misfits("send", {**good, "more": 1})
    assert _misfits("send", {key: value for key, value in good.items() if key != "seq"})
    assert _misfits("send", {**good, "state": "done"})


# --- troubleshooting ---------------------------------------------------------------------------------------------------------

TROUBLE = TOP / "docs" / "troubleshooting.md"


def _findings() -> Iterator[list[str]]:
    """What each finding of `doctor` says for sure, in parts; one whose text is the message of an error says nothing for sure."""
    for path in (Path(doctor.__file__), *Path(builds.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                words = [
                    one.value for one in ast.walk(node.args[1]) if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
                if words:
                    yield words


def test_every_line_of_doctor_is_explained() -> None:
    text = _unquoted(TROUBLE.read_text(encoding="utf-8"))
    every = list(_findings())
    assert len(every) > 30
    assert [words for words in every if _unquoted(max(words, key=len).strip(" ;:,.({")) not in text] == []


def _unquoted(text: str) -> str:
    """The text without quotes of any kind, as one line: a page can't quote within a quote as the program does."""
    return " ".join(re.sub("[`']", "", text).split())


def test_every_exit_code_is_explained() -> None:
    explained = {int(code) for code in re.findall(r"^### (\d+):", TROUBLE.read_text(encoding="utf-8"), flags=re.MULTILINE)}
    assert explained == {kind.exit_code for kind in _errors(GitcoordError)} | {130}


def test_every_variable_of_the_environment_stands_in_the_settings() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in Path(gitcoord.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'"(GITCOORD(?:_[A-Z]+)*)"', source))
    inner = {"GITCOORD_HOOK", "GITCOORD_HEAD"}  # from one process of gitcoord to another
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert {name for name in named - inner if f"`{name}`" not in text} == set()
