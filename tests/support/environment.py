"""A clean environment for child processes: no test may depend on the person, the agent or the machine that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

STRIPPED_PREFIXES = ("CLAUDE", "CODEX", "CURSOR", "GEMINI", "COPILOT", "GITCOORD", "GIT_", "XDG_")
STRIPPED_NAMES = frozenset(
    {
        "AI_AGENT",
        "AGENT",
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "EDITOR",
        "VISUAL",
        "CI",
        "PYTHONDONTWRITEBYTECODE",
        "DISPLAY",
        "NO_COLOR",
        "FORCE_COLOR",
        "LANGUAGE",  # gettext reads it before LC_ALL: git would answer in another language
        "EMAIL",  # git's second choice for user.email
    }
)

GITCONFIG = """\
[user]
\tname = Test Person
\temail = test@example.org
[init]
\tdefaultBranch = main
[protocol "file"]
\tallow = always
[gc]
\tauto = 0
"""


def stripped(name: str) -> bool:
    """True for a variable that says who runs the tests, or that changes what git does."""
    return name in STRIPPED_NAMES or name.startswith(STRIPPED_PREFIXES)


def seal(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Returns `environ` without the runner's traces and with a home of its own.

    Writes `home/gitconfig` once: a second call for the same home keeps what a test added to it.
    The XDG folders are named, not made: on a new machine they don't exist either.
    """
    home.mkdir(parents=True, exist_ok=True)
    gitconfig = home / "gitconfig"
    if not gitconfig.exists():
        gitconfig.write_text(GITCONFIG, encoding="utf-8")
    kept = {name: value for name, value in environ.items() if not stripped(name)}
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "GIT_CONFIG_GLOBAL": str(gitconfig),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
    }
