"""The coding agents that are used here: what of gitcoord their programs don't run, or don't find."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from gitcoord.agents.hook import unknown
from gitcoord.connection.connect import Connection
from gitcoord.core.names import show
from gitcoord.machine import agents, processes
from gitcoord.setup.checks.finding import Finding

_PROGRAM = "gitcoord"


def look(found: Connection) -> Iterator[Finding]:
    """Yield what is to be known of each agent that is found; changes nothing."""
    environ = found.repo.environ
    used = agents.find(environ, found.repo.work_tree, environ.get("HOME", ""))
    for event, *names in unknown.take(environ):
        yield Finding(
            "warning",
            f"a program calls gitcoord hook in a form that isn't known (event {show(event, 40) or 'without a name'}, fields "
            f"{show(', '.join(names), 300)}): it is neither registered nor guarded",
            "gitcoord hooks install --agent NAME, if it is one of those; any other: docs/agents.md, the generic form",
        )
    if "claude" in used:
        yield Finding(
            "ok",
            "Claude Code starts the plugin's monitor only where a switch of its maker is on; without it a message comes with the "
            "next prompt or step",
        )
    if "codex" in used and shutil.which(_PROGRAM, path=environ.get("PATH", "")):
        finds = processes.login_shell_finds(_PROGRAM, environ)
        if finds is None:
            yield Finding(
                "warning",
                "Codex runs its commands in a login shell; whether that one finds the program isn't known: it can't be run, or its "
                "profile takes long",
                "open a login shell, and try: gitcoord --version",
            )
        elif not finds:
            yield Finding(
                "warning",
                "Codex runs its commands in a login shell, whose profile sets another PATH than its hooks have: that one does not "
                "find gitcoord",
                "add gitcoord's folder to PATH in your shell's profile, or put a link to it into /usr/local/bin",
            )
        else:
            yield Finding("ok", "Codex's commands run in a login shell; it finds gitcoord, as its hooks do")
