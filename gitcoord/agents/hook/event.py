"""What an agent's hook was called for, and what it is to be told: the same for every agent.

`dialects` reads the one out of what an agent sent and says the other in that agent's words. Loads the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["start", "prompt", "before-edit", "after-edit", "after-tool", "stop", "end", "compact", "other"]
"""The steps that matter to us; `other`: an event that nothing is done about."""

WORDS = 2_000
"""Characters of a reason or a note: what is longer is cut."""

Verdict = Literal["", "allow", "ask", "deny"]
"""About an edit; "": nothing is said about it, so the agent's own rules decide."""


@dataclass(frozen=True)
class Occasion:
    """One call of the hook.

    `agent`: what the agent is called in records (`claude-code`); `agent_id`: its own name of its session; `ids`: the variables that
    a command which it runs would find (`CLAUDE_CODE_SESSION_ID` and so on): by them a session is bound to it; `place`: the
    folder that it works in, "" unknown; `event`: its own name of the event; `source`: why it started or ended (`startup`,
    `resume`, `clear`, `compact`, `fork`; `logout` …); `paths`: the files of an edit, absolute or relative to `place`; `subagent`:
    a helper inside of the session called; `nagged`: it goes on only because a hook asked for it; `key`: what is the same in two
    calls for one event ("": nothing is); `asks`: its person can be asked about an edit; `project`: the folder that
    the agent's variables name, "" for none; `perhaps`: another id that the session that starts may have instead, "" for none;
    `alone`: no call need come after the edit, so what is done then is done now; `late`: no start need have been told before;
    `guards`: it has no session here, it is only kept from what others hold.
    """

    kind: Kind
    agent: str
    agent_id: str
    ids: tuple[tuple[str, str], ...] = ()
    place: str = ""
    event: str = ""
    source: str = ""
    paths: tuple[str, ...] = ()
    subagent: bool = False
    nagged: bool = False
    key: str = ""
    asks: bool = False
    project: str = ""
    perhaps: str = ""
    alone: bool = False
    late: bool = False
    guards: bool = False


@dataclass(frozen=True)
class HookAnswer:
    """A hook gives its agent this answer. `context`: text for the model, bounded and quoted already; `verdict` and `reason`: about
    the edit, the reason in our words, another session's only between marks; `note`: a line for the person; `go_on`: at a stop, that
    the agent shall go on with `context`.
    """

    context: str = ""
    verdict: Verdict = ""
    reason: str = ""
    note: str = ""
    go_on: bool = False


NOTHING = HookAnswer()
"""Says nothing: the agent goes on as if there were no hook."""
