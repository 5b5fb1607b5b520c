"""Saying that a message is there, without taking it: a line for a monitor that an agent reads, or a call that wakes the agent.

A monitor's line enters an agent's session by itself, at any time. So it is short, it comes seldom, it holds nothing of the
message but its subject between two random marks, and the message itself stays unread until the session takes it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

from gitcoord.cli import output
from gitcoord.cli.connect import connection, options, say
from gitcoord.core.names import show
from gitcoord.core.records import Message
from gitcoord.errors import BadInput, GitcoordError, GitFault, NoSession, NotInTime, Unknown, Unreachable
from gitcoord.git import discovery
from gitcoord.machine import processes
from gitcoord.machine.agents import AGENTS, agent_ids
from gitcoord.machine.identity import Binding, Identity, seated

LIMIT = 200  # characters of a line
AT_ONCE = 3  # messages that get a line of their own at a time
BETWEEN = 10.0  # seconds between two times that something is said
WAKES_BETWEEN = 300.0  # seconds between two calls that wake an agent: each begins a turn, which costs somebody money
_AGAIN = 2.0  # seconds between two looks for a session that sits here
_WITHIN = 30.0  # seconds that the other program may take
_CODEX = AGENTS["codex"].variable
_THREAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")

Tell = Callable[[Sequence[Message], Binding | None], None]


def follow(seconds: float, *, go_on: bool, wake: str) -> None:
    """Says it as messages come, for the session of whoever started this; ends with it. Silent where nobody could have one.

    Raises NotInTime when none came in time and `go_on` isn't said, BadInput.
    """
    end, owner = time.monotonic() + seconds, os.getppid()
    tell, between = (_waker(wake), WAKES_BETWEEN) if wake else (_say, BETWEEN)

    def is_over() -> bool:
        return time.monotonic() >= end or os.getppid() != owner

    near = discovery.find(os.path.abspath(options.path or os.getcwd()))
    if near is None or os.environ.get("GITCOORD") == "0":
        return
    asked = options.session or os.environ.get("GITCOORD_SESSION", "")
    while not is_over():
        sitting = _sitting(seated(near.git_dir, discovery.git_dirs(near.common_dir), os.environ), asked, wake)
        if sitting is not None or asked:
            options.speak_for(asked or (sitting.session if sitting else ""))
            try:
                for found in _coming(end - time.monotonic(), between, is_over):
                    tell(found, sitting)
                    if not go_on:
                        return
            except (Unreachable, NoSession, GitFault, Unknown):
                if not go_on:
                    raise
        time.sleep(min(_AGAIN, max(0.0, end - time.monotonic())))
    if not go_on:
        raise NotInTime("no message came in time", hint="gitcoord listen", data={"messages": []})


def _coming(seconds: float, between: float, is_over: Callable[[], bool]) -> Iterator[list[Message]]:
    """The messages to tell of, as they come."""
    with connection(heard=False) as found:  # what is told once is for the session's next command
        yield from found.coordinator.messages.announced(seconds, between=between, stop=is_over)


def _sitting(identity: Identity, asked: str, wake: str) -> Binding | None:
    """Whose messages are announced: the named session's, else that of the caller's agent, which is told by its variables or because
    this process comes from it; without an agent a person's. Who is woken need not be the caller.
    """
    known = identity.all()
    if asked:
        return next((one for one in known if one.session == asked), None)
    agent = agent_ids(os.environ)
    exact = next((one for one in known if one.agent and one.agent.items() <= agent.items()), None)
    if exact is not None:  # an agent that began anew within its process has another id by now
        return next(one for one in known if one.agent and (one is exact or (one.pid, one.born) == (exact.pid, exact.born)))
    agents = {(one.pid, one.born): one for one in reversed(known) if one.agent}
    near = next((agents[one] for one in processes.ancestors() if one in agents), None)
    if near is not None or agent:
        return near
    person = next((one for one in known if not one.agent), None)
    return next((one for one in known if _CODEX in one.agent and one.alive), None) or person if wake else person


# --- a line ------------------------------------------------------------------------------------------------------------


def _say(found: Sequence[Message], sitting: Binding | None) -> None:
    if options.json:
        records = [{"id": one.id, "seq": one.seq, "from": one.sender, "type": one.type, "subject": one.subject} for one in found]
        print(json.dumps({"messages": records}, ensure_ascii=True))
    else:
        for one in found[:AT_ONCE]:
            print(line(one, secrets.token_hex(4)))
        if len(found) > AT_ONCE:
            print(f"gitcoord: {len(found) - AT_ONCE} more messages wait; read them: gitcoord inbox")
    output.require()


def line(message: Message, nonce: str) -> str:
    """What is said of a message: at most 200 characters, its subject between the marks."""
    head = f"gitcoord: {message.type} #{message.seq} of {show(message.sender, 64)} waits: gitcoord inbox. Its subject: [{nonce}] "
    tail = f" [{nonce}]"
    return head + show(message.subject.replace(nonce, ""), max(1, LIMIT - len(head) - len(tail))) + tail


# --- waking an agent ---------------------------------------------------------------------------------------------------


def _waker(agent: str) -> Tell:
    """How to wake that agent: by its own program, in our words alone. Raises BadInput where that can't be."""
    if agent != "codex":
        raise BadInput(f"{agent!r} is no agent that can be woken", hint="gitcoord listen --follow --wake codex")
    program = shutil.which("codex")
    if program is None:
        raise BadInput("there is no program codex on PATH", hint="gitcoord listen --follow --announce")

    def wake(found: Sequence[Message], sitting: Binding | None) -> None:
        thread = (sitting.agent.get(_CODEX) if sitting else None) or os.environ.get(_CODEX, "")
        if not _THREAD.fullmatch(thread):
            raise BadInput("that session is none of Codex's", hint="gitcoord listen --follow --announce")
        try:
            done = subprocess.run(
                [program, "queue", "--thread", thread, "--message", words(found)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_WITHIN, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitcoordError(f"codex could not be called: {error}", hint="gitcoord listen --follow --announce") from None
        if done.returncode:
            say(f"warning: codex queue ended with {done.returncode}: the message stays unread, and comes with the next hook")

    return wake


def words(found: Sequence[Message]) -> str:
    """What the agent is told: how many messages there are, from whom, under which numbers; nothing that anybody else wrote."""
    senders = list(dict.fromkeys(show(one.sender, 64) for one in found))
    some = ", ".join(senders[:AT_ONCE]) + (" and others" if len(senders) > AT_ONCE else "")
    numbers = ", ".join(f"#{one.seq}" for one in found[:10])
    many = "1 message waits" if len(found) == 1 else f"{len(found)} messages wait"
    return f"gitcoord: {many} for this session, from {some} ({numbers}). Read with: gitcoord inbox"
