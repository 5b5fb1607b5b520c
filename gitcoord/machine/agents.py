"""Which coding agents are used here, by their programs on PATH and their folders in the project and the home."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitcoord.agents.settings.table import agents

_KNOWN = {
    "claude": (("claude",), (".claude",), (".claude",)),
    "codex": (("codex",), (".codex",), (".codex",)),
    "copilot": (("copilot",), (".github/hooks", ".github/copilot"), (".copilot",)),
    "cursor": (("cursor", "cursor-agent"), (".cursor",), (".cursor",)),
    "gemini": (("gemini",), (".gemini",), (".gemini",)),
    "antigravity": (("agy",), (".agents",), ()),
    "opencode": (("opencode",), (".opencode",), (".config/opencode",)),
}
"""By the name on the command line: programs, folders in a project, folders in a home."""


@dataclass(frozen=True)
class Agent:
    """One that was found. `by`: what tells that it is used here."""

    name: str
    title: str
    by: tuple[str, ...]


def find(environ: Mapping[str, str], top: str, home: str) -> tuple[Agent, ...]:
    """Those that are used here; `top` and `home` may be "". An agent's folder in a home doesn't say that this project is meant, but
    that a person has it.
    """
    found, titles = [], agents()
    for name, (programs, in_project, in_home) in _KNOWN.items():
        by = [f"the program {one}" for one in programs if shutil.which(one, path=environ.get("PATH", ""))]
        by += [one for one in in_project if top and (Path(top) / one).is_dir()]
        by += [f"~/{one}" for one in in_home if home and (Path(home) / one).is_dir()]
        if by:
            found.append(Agent(name, titles[name].title, tuple(by)))
    return tuple(found)
