"""task add | import | show | edit | done | drop | reopen: what there is to do, one task at a time."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

from gitcoord.cli import complete, moments
from gitcoord.cli.arguments import resource, text_or_stdin
from gitcoord.cli.commands.handoff import code
from gitcoord.cli.connect import answer, connection, options, others_words, out, say
from gitcoord.connection.connect import Connection
from gitcoord.coordinator.tasks import Closed
from gitcoord.core import handoffs, names, readiness, task_lists
from gitcoord.core.names import show
from gitcoord.core.task_cards import NewTask
from gitcoord.errors import BadInput, GitcoordError
from gitcoord.views import as_json, worksheet

app = typer.Typer(
    help="Tasks: what there is to do. Add one, import many, say that one is done.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RENEWED = 300.0  # seconds after which the lease on a task is renewed while its proof runs
_LISTS = 16 << 20  # bytes of a list of tasks

Which = Annotated[str, typer.Argument(metavar="ID", help="Its number, key or id.")]
Mine = Annotated[str | None, typer.Argument(metavar="[ID]", help="Its number, key or id; none: the only one that you hold.")]
BODY = typer.Argument(metavar="[BODY]", help="All that one should know for it; - for standard input.")
NEEDS = typer.Option("--needs", metavar="ID", help="A task that must be done first; may be repeated.")
FILES = typer.Option("--file", metavar="PATH", help="A file, folder or TYPE:NAME that the work touches; may be repeated.")
TO = typer.Option("--for", metavar="WHO", help="A session, role:R, cap:C, repo:NAME or anyone.", autocompletion=complete.sessions)
PRIORITY = typer.Option("--priority", "-p", min=0, max=4, help="0 is the most urgent, 4 the least.")
PHASES = typer.Option(
    "--phases", metavar="LIST", help="The line of phases, each for somebody or anyone: SPECS@role:architect,BUILD."
)
PART = typer.Option("--in", metavar="ID", help="The larger task of which it is a part.")
FOUND = typer.Option("--found-in", metavar="ID", help="The task during which it was found.")
KIND = typer.Option(metavar="KIND", help="markdown, github or beads; none: it is found out.", show_default=False)
PROOF = typer.Option(metavar="COMMAND", help="Run this here first: the task is done if it succeeds.")
NOTES = typer.Option("--notes", help="What the next one should know; - for standard input.")


@app.command()
def add(
    title: Annotated[str, typer.Argument(help="What is to do, in one line.")],
    body: Annotated[str | None, BODY] = None,
    needs: Annotated[list[str] | None, NEEDS] = None,
    file: Annotated[list[str] | None, FILES] = None,
    to: Annotated[str | None, TO] = None,
    priority: Annotated[int, PRIORITY] = 2,
    phases: Annotated[str | None, PHASES] = None,
    part_of: Annotated[str | None, PART] = None,
    found_in: Annotated[str | None, FOUND] = None,
    key: Annotated[str | None, typer.Option(metavar="K", help="Its id elsewhere: adding it twice gives one task.")] = None,
) -> None:  # fmt: skip
    """Add a task. Anybody may take it as soon as all that it needs is done."""
    with connection() as found:
        card = NewTask(
            title=_title(title), body=names.parse_text(text_or_stdin(body), "body") if body else None, priority=priority,
            needs=tuple(_ids(needs)), files=_files(found, file), to=_to(to), phases=_phases(phases), parent=part_of,
            found_in=found_in, key=names.parse_line(key, "key") if key else None,
        )  # fmt: skip
        added = found.coordinator.tasks.add([card], op=options.op)
        receipt = as_json.receipt(added.receipt)
        number = next(iter((*added.numbers, *added.known)), None)
        identity = receipt["id"]
        if added.known:
            task, _, _ = found.coordinator.tasks.find(str(number))
            identity = task.id
            say(f"note: {show(key or '', 80)} stands for #{number} already")
        queued = " (queued: the remote is away; it gets its number then)" if added.receipt.state == "queued" else ""
        lines = f"added: #{number} {show(title, 120)}" if number and not added.known else f"added: {show(title, 120)}"
        answer(
            {**receipt, "id": identity, "seq": number, "event": receipt["seq"]},
            f"there already: #{number}" if added.known else f"{lines}{queued}",
        )


@app.command("import")
def import_list(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The list; - for standard input.")],
    kind: Annotated[str, KIND] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be added.")] = False,
) -> None:  # fmt: skip
    """Add the tasks of a Markdown checklist, of `gh issue list --json number,title,body,labels`, or of a beads export.

    Importing again adds only what is new, and closes nothing. A list that can't be read is refused as a whole.
    """
    if kind and kind not in task_lists.KINDS:
        raise BadInput(f"a list is {', '.join(task_lists.KINDS)}, not {show(kind, 40)!r}")
    text, source = _list(file)
    with connection() as found:
        cards = task_lists.read(text, source, kind, repo=_project(found))
        if dry_run:
            new = [card for card in cards if not found.coordinator.tasks.is_known(card.key or "")]
            answer(
                {"added": 0, "known": len(cards) - len(new), "tasks": [{"title": card.title, "key": card.key} for card in new]},
                *(f"would add: {show(card.title, 120)}" for card in new), f"{len(cards) - len(new)} are there already",
            )  # fmt: skip
            return
        added = found.coordinator.tasks.bring_in(cards, op=options.op)
        count, known = len(added.numbers), len(added.known)
        first = f" (#{added.numbers[0]} to #{added.numbers[-1]})" if count > 1 else f" (#{added.numbers[0]})" if count else ""
        queued = f"{len(cards)} tasks are queued: the remote is away" if added.receipt.state == "queued" else ""
        answer(
            {**as_json.receipt(added.receipt), "added": count, "known": known, "seqs": list(added.numbers)},
            queued or f"{count} added{first}, {known} were there already",
        )


@app.command("show")
def show_task(named: Which) -> None:
    """Show all of a task: what to do, how it stands, what came of what it needs."""
    with connection() as found:
        task, standing, needs = found.coordinator.tasks.find(named)
        answer({"task": as_json.task(task, standing, needs)})
        if not options.json and not options.quiet:
            with others_words():
                for line in worksheet.lines(task, needs, standing, limit=32_000, when=moments.moment):
                    out(line)


@app.command()
def edit(
    named: Which,
    title: Annotated[str | None, typer.Option(help="Another title.")] = None,
    body: Annotated[str | None, typer.Option(help="Another text; - for standard input.")] = None,
    needs: Annotated[list[str] | None, NEEDS] = None,
    file: Annotated[list[str] | None, FILES] = None,
    to: Annotated[str | None, TO] = None,
    priority: Annotated[int | None, PRIORITY] = None,
    phases: Annotated[str | None, PHASES] = None,
    part_of: Annotated[str | None, PART] = None,
    found_in: Annotated[str | None, FOUND] = None,
) -> None:
    """Change an open task. A list replaces the old one; "" takes it away."""
    with connection() as found:
        fields: dict[str, Any] = {}
        if title is not None:
            fields["title"] = _title(title)
        if body is not None:
            fields["body"] = names.parse_text(text_or_stdin(body), "body") or None
        if needs is not None:
            fields["needs"] = _ids(needs)
        if file is not None:
            fields["files"] = list(_files(found, [one for one in file if one]))
        if to is not None:
            fields["for"] = _to(to or handoffs.ANYONE)
        if priority is not None:
            fields["priority"] = priority
        if phases is not None:
            fields["phases"] = list(_phases(phases))
        for key, value in (("parent", part_of), ("found_in", found_in)):
            if value is not None:
                fields[key] = value or None
        if not fields:
            raise BadInput("say what changes", hint="gitcoord task edit --help")
        receipt, seq = found.coordinator.tasks.change(named, fields, op=options.op)
        _tell(receipt, seq, f"changed: #{seq}" if receipt.state != "unchanged" else f"#{seq} is so already")


@app.command()
def done(
    named: Mine = None,
    tests: Annotated[str | None, typer.Option(help="pass or fail.")] = None,
    proof: Annotated[str | None, PROOF] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Done even if the proof fails; that is recorded.")] = False,
    notes: Annotated[str | None, NOTES] = None,
    branch: Annotated[str | None, typer.Option(help="The branch that the work is on, if not the one that is checked out.")] = None,
    following: Annotated[str | None, typer.Option("--next", metavar="PHASE", help="It goes on in this phase.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="WHO", help="For whom it goes on.")] = None,
) -> None:  # fmt: skip
    """Say that a task is done, or its phase: it, and its files, are free. Exit 4 if another session holds it."""
    if tests not in (None, "pass", "fail"):
        raise BadInput(f"--tests is pass or fail, not {tests!r}")
    if anyway and not proof:
        raise BadInput("--anyway is about a --proof", hint="gitcoord task done 42 --proof 'make test' --anyway")
    with connection() as found:
        number = named or _held(found)
        note = names.parse_text(text_or_stdin(notes), "notes") if notes else None
        given: dict[str, Any] = {"note": note, "tests": tests, "next_phase": following, "to": to}
        if proof:
            found.coordinator.tasks.check_closable(number)
            given |= _proved(found, proof, number, anyway=anyway)
        given |= code(found, branch)
        _tell_closed(found.coordinator.tasks.close(number, "done", op=options.op, **given))


@app.command()
def drop(named: Which, notes: Annotated[str | None, NOTES] = None) -> None:
    """Say that a task won't be done. What needs it waits for it no more."""
    with connection() as found:
        note = names.parse_text(text_or_stdin(notes), "notes") if notes else None
        _tell_closed(found.coordinator.tasks.close(named, "dropped", op=options.op, note=note))


@app.command()
def reopen(named: Which, notes: Annotated[str | None, NOTES] = None) -> None:
    """Open a task again that was done or dropped."""
    with connection() as found:
        note = names.parse_text(text_or_stdin(notes), "notes") if notes else None
        receipt, seq = found.coordinator.tasks.reopen(named, note, op=options.op)
        _tell(receipt, seq, f"open again: #{seq}" if receipt.state != "unchanged" else f"#{seq} is open")


def _title(text: str) -> str:
    title = names.parse_line(text.strip(), "title", names.SUBJECT_LIMIT)
    if not title:
        raise BadInput("a task needs a title", hint='gitcoord task add "Log in by e-mail"')
    return title


def _ids(words: list[str] | None) -> list[str]:
    return [part.strip() for word in words or [] for part in word.split(",") if part.strip()]


def _files(found: Connection, words: list[str] | None) -> tuple[str, ...]:
    return tuple(str(resource(found, word)) for word in words or [])


def _to(text: str | None) -> str | None:
    to = handoffs.parse_receiver(text) if text else None
    return None if to == handoffs.ANYONE else to


def _phases(text: str | None) -> tuple[str, ...]:
    return tuple(names.parse_line(part.strip(), "phase", 100) for part in (text or "").split(",") if part.strip())


def _list(file: str) -> tuple[str, str]:
    """Return the text of a list, and what it is called. Raises BadInput."""
    if file == "-":
        data, source = (sys.stdin.buffer.read(_LISTS + 1) if sys.stdin is not None else b""), "standard input"
    else:
        path = Path(options.path or ".") / file
        try:
            with path.open("rb") as stream:
                data = stream.read(_LISTS + 1)
        except OSError as error:
            raise BadInput(f"{show(file, 120)} can't be read: {error.strerror}") from None
        source = path.name
    if len(data) > _LISTS:
        raise BadInput(f"{show(source, 80)} has more than {_LISTS >> 20} MB")
    try:
        return data.decode("utf-8"), source
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{show(source, 80)}, line {line}: not UTF-8; nothing was added") from None


def _project(found: Connection) -> str:
    """Return owner and name of the repository where its first remote lies (`org/shop`); "" where that can't be told."""
    urls = [urls[-1] for name in found.repo.remotes if (urls := found.repo.config.get(f"remote.{name}.url"))]
    elsewhere = [url for url in urls if "://" in url or re.match(r"[^/]+@[^/]+:", url)]
    match = re.search(r"[/:]([^/:]+/[^/:]+?)(?:\.git)?/?\Z", elsewhere[0]) if elsewhere else None
    return match[1] if match else ""


def _held(found: Connection) -> str:
    """Return the number of the only task that the caller holds. Raises BadInput."""
    held = found.coordinator.tasks.noted()  # by this work tree's notes, for which nobody has to be asked
    if len(held) != 1:
        mine = found.coordinator.claims.leases(mine=True, overlapping=None)
        held = [seq for one in mine if (seq := readiness.number(one.resource)) is not None]
    if len(held) != 1:
        which = ", ".join(f"#{seq}" for seq in held) if held else "no task"
        raise BadInput(f"you hold {which}: say which is done", hint="gitcoord task done ID")
    return str(held[0])


def _proved(found: Connection, command: str, number: str, *, anyway: bool) -> dict[str, Any]:
    """Run the caller's own command where it stands; return what is recorded of it. Raises GitcoordError where it fails."""
    command = names.parse_line(command, "proof")
    what, start = readiness.resource(found.coordinator.tasks.find(number, fresh=False)[0].seq), monotonic()
    # The caller typed it, and nothing of it comes from the branch. What it prints is for people: standard output is the answer's.
    with subprocess.Popen(["/bin/sh", "-c", command], cwd=options.path or None, stdout=2) as child:
        while child.poll() is None:
            try:
                child.wait(RENEWED)
            except subprocess.TimeoutExpired:  # a long one must not outlive the lease on its task
                with suppress(GitcoordError):
                    found.coordinator.claims.renew([what], again=False)
            except BaseException:
                child.kill()
                raise
    seconds = int(monotonic() - start)
    code = child.returncode if child.returncode >= 0 else 128 - child.returncode
    if code and not anyway:
        raise GitcoordError(
            f"the proof failed (exit {code}, {seconds} s): task #{number.removeprefix('#')} stays open",
            hint="mend it and run the same command again; to close it all the same: --anyway",
            data={"proof": {"command": command, "exit_code": code, "seconds": seconds}},
        )
    return {"proof": command, "proof_exit": code, "proof_commit": found.repo.head().commit or None, "proof_seconds": seconds}


def _tell(receipt: Any, seq: int, line: str) -> None:
    told = as_json.receipt(receipt)
    queued = " (queued: the remote is away)" if receipt.state == "queued" else ""
    answer({**told, "seq": seq, "event": told["seq"]}, f"{line}{queued}")


def _tell_closed(closed: Closed) -> None:
    task, told = closed.task, as_json.receipt(closed.receipt)
    if closed.receipt.state == "queued":
        line = f"#{task.seq} (queued: the remote is away)"
    elif task.is_open:
        phase = show(task.phase, 100) if task.phase and not options.agent else "its next worker"  # others may have named it
        line = f"#{task.seq} is ready for {phase}" + (f" ({task.to})" if task.to else "")
    else:
        line = f"{task.status}: #{task.seq}"
    freed = [entry.split(" ", 1)[1] for entry in closed.freed]
    answer(
        {
            **told,
            "id": task.id,
            "seq": task.seq,
            "event": told["seq"],
            "status": task.status,
            "phase": task.phase,
            "released": freed,
        },
        line,
        *(f"released: {name}" for name in freed),
    )
