"""`gitcoord tasks`: list what there is to do."""

from __future__ import annotations

from typing import Annotated

import typer

from gitcoord.cli import colours, moments
from gitcoord.cli.connect import answer, connection, left_out, mark_unverified, options, others_words, out, table
from gitcoord.connection.connect import Connection
from gitcoord.coordinator.tasks import ListedTask
from gitcoord.core.names import show
from gitcoord.core.readiness import Standing
from gitcoord.errors import BadInput
from gitcoord.views import as_json, task_tree


def tasks(
    ready: Annotated[bool, typer.Option("--ready", help="Only what you could take now.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Those that are done or dropped, too.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="Parts below larger tasks, with needs; * marks the longest way.")] = False,
    plan: Annotated[
        int | None, typer.Option("--plan", metavar="N", min=1, help="What N workers could do at once without sharing a file.")
    ] = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="Only what you hold, and what is for you by name, role or capability.")
    ] = False,
) -> None:
    """List what there is to do: what is ready comes first, in the order in which it is taken."""
    if (tree or plan) and (ready or everything or mine or (tree and plan)):
        raise BadInput("--tree and --plan stand alone", hint="gitcoord tasks --tree")
    with connection(unverified=True) as found:
        coordinator = found.coordinator
        if tree:
            _show_tree(found)
            return
        if plan:
            _show_wave(found, plan)
            return
        entries = [
            one
            for one in coordinator.tasks.listed(closed=everything)
            if (not ready or (one.standing is not None and one.standing.ready)) and (not mine or _is_mine(one))
        ]
        mark_unverified(found)
        counts = coordinator.branch.last_view().state.rules.tasks
        if options.json:
            answer({"tasks": [as_json.entry(*one) for one in entries], "counts": counts.model_dump()})
            return
        with others_words():
            table(
                ["TASK", "P", "TITLE", "STATE", "PHASE", "FOR"], [_row(one) for one in entries], firm=["TASK", "P"],
                meanings=[_meaning(one) for one in entries],
            )  # fmt: skip
        out(f"{counts.done} of {counts.added - counts.dropped} done, {counts.open} open")


def _show_tree(found: Connection) -> None:
    coordinator = found.coordinator
    look = coordinator.tasks.look(coordinator.branch.view().state)
    mark_unverified(found)
    if options.json:
        every = [as_json.entry(None, look.standing(one)) for one in look.survey.tasks.values()]
        answer({"tasks": every, "critical": list(task_tree.critical(look.survey))})
        return
    with others_words():
        for line in task_tree.lines(look):
            out(line)


def _show_wave(found: Connection, workers: int) -> None:
    coordinator = found.coordinator
    state = coordinator.branch.view().state
    wave = task_tree.wave(coordinator.tasks.look(state, anybody=True), workers, state.rules.settings)
    mark_unverified(found)
    if options.json:
        left = [{"seq": one.task.seq, "shares_with": seq} for one, seq in wave.left]
        answer({"tasks": [as_json.entry(None, one) for one in wave.chosen], "left": left})
        return
    with others_words():
        for one in wave.chosen:
            to = f" (for {one.task.to})" if one.task.to else ""
            out(f"#{one.task.seq} {show(one.task.title, 80)}{to}" + (f": {_files(one)}" if one.task.files else ""))
        for one, seq in wave.left[:10]:
            out(f"  later: #{one.task.seq} {show(one.task.title, 60)} shares a file with #{seq}")
        left_out(len(wave.left) - 10, "that share a file")
    if len(wave.chosen) < workers:
        out(f"{len(wave.chosen)} of {workers} workers have something to do")


def _files(standing: Standing) -> str:
    return show(", ".join(map(as_json.file_words, standing.task.files)), 100)


def _is_mine(entry: ListedTask) -> bool:
    standing = entry.standing
    return standing is not None and (standing.mine or standing.offered or (standing.task.to is not None and standing.for_me))


def _row(entry: ListedTask) -> list[str]:
    task = entry.task or (entry.standing.task if entry.standing is not None else None)
    assert task is not None
    if entry.standing is None:
        state = f"{entry.task.status} by {entry.task.done_by}" if entry.task is not None else ""
    elif entry.standing.mine:
        state = "you work on it"
    else:
        state = moments.in_words(entry.standing.why()) or "ready"
    limit = 60 if options.agent else 400
    return [f"#{task.seq}", str(task.priority), show(task.title, limit), show(state, limit), task.phase or "", task.to or ""]


def _meaning(entry: ListedTask) -> str:
    if entry.standing is None:
        return colours.OVER
    return colours.MINE if entry.standing.mine else "" if entry.standing.ready else colours.WAITING
