"""The pages docs/agents/NAME.md, one for each coding agent, and the table of what was seen in the running programs.

A page's made part stands between `<!-- agent: NAME -->` and `<!-- end -->`. It is written from what the program itself goes by (the
agent's files in `agents.settings.table`, its row in `machine.agents`, its dialect), and from `SEEN` below: how that was checked.
What else there is to know is written by hand, below the made part.

`python tests/house/reference.py` writes the made parts anew. A test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from gitcoord.agents.dialects.base import Dialect
from gitcoord.agents.dialects.choose import choose
from gitcoord.agents.settings.edits import JsonHooks
from gitcoord.agents.settings.table import AgentFiles, agents
from gitcoord.machine.agents import AGENTS

TOP = Path(__file__).parents[2]
PAGES = TOP / "docs" / "agents"
TABLE = TOP / "docs" / "agents.md"

PROMISES = (
    "registered, briefed", "denied", "warned before an edit, once", "holder told", "message in a turn without an edit",
    "question at a stop", "end", "resumed", "copied (fork)", "killed, and its place taken", "two at once in one clone",
    "helper", "another work tree",
)  # fmt: skip

_YES = dict.fromkeys(PROMISES, "yes")

SEEN: dict[str, tuple[str, dict[str, str]]] = {
    "claude": ("2.1.197, `claude -p`", _YES),
    "codex": ("0.171, `codex exec`", {**_YES, "helper": "yes, with `multi_agent_v2`"}),
    "gemini": (
        "0.61, `gemini -p`",
        {**_YES, "copied (fork)": "it has none"},
    ),
    "opencode": (
        "1.18, `opencode run`",
        {**_YES, "question at a stop": "no: `run` leaves as soon as it is idle"},
    ),
    "copilot": (
        "1.0.102, `copilot -p`",
        {**_YES, "end": "no: it tells of one after each turn; claims run out", "copied (fork)": "it has none"},
    ),
    "qwen": (
        "0.15.10, `qwen -p`",
        {
            **_YES,
            "registered, briefed": "yes, with its first prompt",
            "end": "no: `-p` tells of none; the next one takes its place",
            "copied (fork)": "it has none",
        },
    ),
}
"""The programs that the tests run, each with its version, how it was started, and what was seen of each promise."""

ELSEWISE = {
    "amp": "Its plugin was run by Amp's own program (0.0.1790142911, `amp plugins exec`): that loaded it, told it the files of "
    "made-up tool calls, and got gitcoord's answers: registered, briefed, denied, resumed, ended. A whole thread needs a login, so "
    "none was played.",
    "aider": "It has no hooks: what it reads at its start is all.",
}
"""How an agent was checked that isn't in `SEEN`; else by its documents."""

_DOCUMENTS = (
    "By its documents of November 2026: calls as they describe them are played to `gitcoord hook`. "
    "It was not tried in the running program."
)
_STEPS = (
    ("start", "a session starts"), ("prompt", "a prompt"), ("before-edit", "before an edit"), ("after-edit", "after an edit"),
    ("stop", "it stops"), ("end", "the session ends"), ("compact", "its context is compacted"),
)  # fmt: skip


def dialect(name: str) -> Dialect | None:
    """Return the dialect that the agent speaks; None for one that calls no hook."""
    return choose({}, {}, name if name != "antigravity" else "antigravity:PreToolUse") if AGENTS[name].variable else None


def described(agent: AgentFiles) -> str:
    """Return the Markdown of what every page has: where the hooks are, what they hear and tell, how that was checked."""
    name = agent.name
    lines = ["```sh", f"gitcoord hooks install --agent {name}   # {_places(agent, home=False)}"]
    if _places(agent, home=True):
        lines.append(f"gitcoord hooks install --agent {name} --scope user   # {_places(agent, home=True)}")
    lines += ["```", ""]
    if agent.then:
        lines += [f"Then, once: {agent.then}.", ""]
    spoken = dialect(name)
    if spoken is None:
        return "\n".join([*lines, _checked(name)])
    if spoken.guards:
        lines += [
            "It is kept from editing what others hold; it takes no text from a hook, so it has no session here.",
            "",
            _checked(name),
        ]
        return "\n".join(lines)
    lines += ["| step | gitcoord hears of it | can tell the model something then |", "| --- | --- | --- |"]
    installed = {path[-1] for one in agent.targets if isinstance(one.edit, JsonHooks) for path, _ in one.edit.entries}
    for kind, words in _STEPS:
        events = [event for event, meant in spoken.kinds.items() if meant == kind and (event in installed or not installed)]
        if events:
            told = "yes" if any(event in spoken.contexts for event in events) else "no"
            lines.append(f"| {words} | yes | {told} |")
        else:
            lines.append(f"| {words} | no | no |")
    asked = (
        "its person is asked with `guard ask`"
        if "ask" in spoken.verdicts
        else "it can't ask its person: with `guard ask` it is denied once"
    )
    lines += ["", f"Before an edit of a held file it is denied, once or each time; {asked}."]
    if spoken.row.nameless:
        words = "The commands that it runs find nothing that says whose they are: its briefing tells it to put"
        lines += ["", f"{words} `--session NAME` into each."]
    return "\n".join([*lines, "", _checked(name)])


def _places(agent: AgentFiles, *, home: bool) -> str:
    places = [f"~/{one.home}" if home else one.project for one in agent.targets if (one.home if home else one.project)]
    return f"{places[0]} and {len(places) - 1} more" if len(places) > 2 else ", ".join(places)


def _checked(name: str) -> str:
    if name not in SEEN:
        return f"**How it was checked.** {ELSEWISE.get(name, _DOCUMENTS)}"
    how, seen = SEEN[name]
    rows = [f"| {promise} | {seen[promise]} |" for promise in PROMISES]
    return "\n".join([f"**Seen in the running program** ({how}), with a made-up model:", "", "| | |", "| --- | --- |", *rows])


def promised() -> str:
    """Return the table of programs and promises."""
    names = list(SEEN)
    head = " | ".join(f"[{AGENTS[name].title}](agents/{name}.md) {SEEN[name][0].partition(',')[0]}" for name in names)
    rows = [f"| {promise} | " + " | ".join(SEEN[name][1][promise] for name in names) + " |" for promise in PROMISES]
    return "\n".join([f"| | {head} |", "| --- |" + " --- |" * len(names), *rows])


_AGENT = re.compile(r"(<!-- agent: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PROMISED = re.compile(r"(<!-- promises -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(text: str) -> str:
    """Return the page with its made parts as they are now."""
    known = agents()
    text = _PROMISED.sub(lambda match: f"{match[1]}{promised()}\n{match[2]}", text)
    return _AGENT.sub(lambda match: f"{match[1]}{described(known[match['name']])}\n{match[3]}", text)


def names() -> list[str]:
    """Return the agents that have a page: all but those that are no program of their own."""
    return [name for name in agents() if name not in {"agents-md", "skill"}]


def write() -> None:
    """Write all made parts anew."""
    for path in (TABLE, *(PAGES / f"{name}.md" for name in names())):
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
