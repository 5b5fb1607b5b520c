"""`gitcoord help [WORD]`: the help of a command, also by the words that people try for it; what no single command explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitcoord.core.names import show
from gitcoord.errors import BadInput

DAILY = ("start", "status", "claim", "release", "heartbeat", "send", "inbox", "ask", "tasks", "next", "conflicts", "end")
"""The commands that a session needs on most days: `gitcoord --help` shows these, `gitcoord help --all` shows every one."""

MEANT = {
    "acquire": "claim", "lock": "claim", "reserve": "claim",
    "unclaim": "release", "unlock": "release", "free": "release", "drop": "release", "yield": "release",
    "finish": "end", "stop": "end", "quit": "end", "close": "end", "leave": "end",
    "done": "task done", "complete": "task done", "add": "task add", "todo": "tasks", "todos": "tasks",
    "register": "start", "join": "start", "who": "peers", "sessions": "peers", "ls": "claims", "list": "claims",
    "msg": "send", "message": "send", "tell": "send", "mail": "inbox", "messages": "inbox", "read": "inbox", "answer": "reply",
    "say": "heartbeat", "beat": "heartbeat", "push": "sync", "pull": "sync", "fetch": "sync", "flush": "sync",
    "merge": "land", "collisions": "conflicts", "setup": "install", "remove": "uninstall", "settings": "config", "set": "config",
}  # fmt: skip
"""Words that people try, and the command that they mean."""

TOPICS = {
    "refused": """\
A claim is refused (exit 3) when another session holds what you asked for, or something that overlaps it.
The answer names who, until when, and why. From the best choice to the last one:

  gitcoord request file:src/api.py "May I have it?"   the holder answers; if it gives way, the lease is offered to you first
  gitcoord claims                                     what others hold: choose other work
  gitcoord next                                       takes the first task that is ready, with its files
  gitcoord claim src/api.py --wait                    stand in line; you get it when your turn comes, and are told
  gitcoord claim src/api.py --if-stale                only where the holder has been silent for long (`takeover_after`, 30 minutes)

A lease that is over can simply be claimed. Whoever held it is told at its next command.""",
}
"""`gitcoord help WORD` says this of words that are no command."""


def words(rest: Sequence[str], known: Mapping[str, object]) -> list[str] | str:
    """Return the command line that shows the help asked for by `help WORD…`, or the text of a topic. `known`: the commands that
    there are. Raises BadInput for a word that means nothing.
    """
    asked = [word for word in rest if word not in {"--help", "-h", "--all"}]
    if not asked:
        return ["--help", *(["--all"] if "--all" in rest else [])]
    if asked[0] in TOPICS:
        return TOPICS[asked[0]]
    meant = MEANT.get(asked[0], asked[0]).split(" ") if asked[0] not in known else [asked[0]]
    if meant[0] not in known:
        raise BadInput(f"there is no command or topic {show(asked[0], 80)!r}", hint="gitcoord help --all")
    return [*meant, *asked[1:], "--help"]


def unknown(word: str) -> BadInput:
    """Return what is said of a command that doesn't exist, by the word that was typed."""
    meant = MEANT.get(word)
    return BadInput(
        f"there is no command {show(word, 80)!r}" + (f"; what it may mean is {meant!r}" if meant else ""),
        hint=f"gitcoord help {meant}" if meant else "gitcoord help --all",
    )
