"""A coding agent for tests: its steps replayed as it would send them, by real processes of `gitcoord hook`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sandbox
from clones import PROGRAM, Ran, Seat, at_work, until

from gitcoord.agents import arrival, background
from gitcoord.agents.mailbox import Mailbox
from gitcoord.guard import cache
from gitcoord.machine import processes
from gitcoord.machine.identity import Binding, Identity
from gitcoord.warm import address

HOST = """
import json, os, subprocess, sys
for line in sys.stdin:
    job = json.loads(line)
    done = subprocess.run(job["argv"], cwd=job["cwd"], env={**os.environ, "CLAUDE_PID": str(os.getpid()), **job["env"]},
                          input=job["stdin"], capture_output=True, text=True)
    print(json.dumps([done.returncode, done.stdout, done.stderr]), flush=True)
"""


class Host:
    """The process that an agent is."""

    def __init__(self, seat: Seat) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", HOST], cwd=seat.path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, argv: list[str], stdin: str, env: dict[str, str], cwd: Path) -> Ran:
        """Runs a program as the agent's child."""
        assert self.child.stdin
        assert self.child.stdout
        self.child.stdin.write(json.dumps({"argv": argv, "stdin": stdin, "env": env, "cwd": str(cwd)}) + "\n")
        self.child.stdin.flush()
        return Ran(*json.loads(self.child.stdout.readline()))

    def kill(self) -> None:
        """kill -9."""
        self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream:
                stream.close()


@dataclass
class Claude:
    """An agent in a work tree. `id`: its own name of its session; `cwd`: where its hooks are started, which means nothing;
    `hidden`: the remote that its own commands don't see, since they run in a sandbox (None: they don't).
    """

    seat: Seat
    id: str
    host: Host
    cwd: Path = Path("/")
    env: dict[str, str] = field(default_factory=dict)
    hidden: Path | None = None
    count: int = 0

    @property
    def own(self) -> Path:
        """Our folder in its work tree's git folder."""
        return Path(self.seat.git("rev-parse", "--absolute-git-dir")) / "gitcoord"

    @property
    def variables(self) -> dict[str, str]:
        """What its commands and hooks find in their environment."""
        # Its state apart, too: the ids of other tests' agents are the same.
        state = self.seat.outbox.parent / f"state-{self.seat.path.name}"
        outbox = {"GITCOORD_DESK": str(self.seat.outbox), "XDG_STATE_HOME": str(state)}
        return {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": self.id, **outbox, **self.seat.extra, **self.env}

    @property
    def session(self) -> str:
        """The session that is bound to it."""
        return self.binding.session

    @property
    def run(self) -> str:
        """The run of that session."""
        return self.binding.run_id

    @property
    def binding(self) -> Binding:
        """What is known of it in its work tree."""
        found = Identity(self.own.parent).of_agent({"CLAUDE_CODE_SESSION_ID": self.id})
        assert found is not None
        return found

    def payload(self, event: str, **given: Any) -> dict[str, Any]:
        """What it sends for an event."""
        common = {"session_id": self.id, "transcript_path": "/nowhere", "cwd": str(self.seat.path), "hook_event_name": event}
        return {**common, **given}

    def raw(self, stdin: str, *words: str) -> Ran:
        """Calls the hook with that on its standard input."""
        return self.host.run([*PROGRAM, "hook", *words], stdin, self.variables, self.cwd)

    def run_python(self, code: str, payload: dict[str, Any]) -> Ran:
        """Runs that code as the hook would run, in a process of its own: in a fork of the warm one it would change nothing."""
        return self.host.run([sys.executable, "-c", code], json.dumps(payload), {**self.variables, address.SWITCH: "0"}, self.cwd)

    def send(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Calls the hook; its answer."""
        ran = self.raw(json.dumps(payload))
        assert (ran.code, ran.err) == (0, ""), ran
        answer = json.loads(ran.out) if ran.out else {}
        assert isinstance(answer, dict)
        return answer

    def hook(self, event: str, **given: Any) -> dict[str, Any]:
        """Something happens; what is said of it."""
        return self.send(self.payload(event, **given))

    def told(self, event: str, **given: Any) -> str:
        """The same: what is put into its context."""
        return str(self.hook(event, **given).get("hookSpecificOutput", {}).get("additionalContext", ""))

    def start(self, source: str = "startup") -> str:
        """It starts; what it is told."""
        return self.told("SessionStart", source=source)

    def prompt(self) -> str:
        """Its person says something; what it is told beside."""
        self.count += 1
        return self.told("UserPromptSubmit", prompt="go on", prompt_id=f"prompt-{self.count}")

    def edit(self, path: str, event: str = "PreToolUse", **given: Any) -> dict[str, Any]:
        """It is about to edit a file (or has)."""
        self.count += 1
        edit = {"tool_name": "Edit", "tool_input": {"file_path": path}, "tool_use_id": f"tool-{self.count}"}
        return dict(self.hook(event, **edit, **given).get("hookSpecificOutput", {}))

    def stop(self, *, nagged: bool = False) -> dict[str, Any]:
        """Its turn is over."""
        self.count += 1
        return self.hook("Stop", stop_hook_active=nagged, prompt_id=f"prompt-{self.count}")

    def end(self, reason: str = "other") -> None:
        """It ends."""
        assert self.hook("SessionEnd", reason=reason) == {}

    def gitcoord(self, *words: str) -> Any:
        """A command that it types."""
        argv = [*PROGRAM, *words, "--json"]
        if self.hidden:
            argv = sandbox.inside(argv, shut=[str(self.seat.path / ".git"), str(self.seat.outbox.parent)], hidden=str(self.hidden))
        ran = self.host.run(argv, "", self.variables, self.seat.path)
        assert ran.code == 0, (words, ran)
        return ran.json

    def settle(self) -> None:
        """Waits for what was left to the background; then it may be begun again at once."""
        until(lambda: not at_work(self.seat), "the background never ended")
        (self.own / "synced").unlink(missing_ok=True)

    def look(self) -> None:
        """What the background does, in this process: it is quicker."""
        with self.seat.here() as found:
            _, view, there = background.look_after(found.coordinator, found.repo, found.settings)
            assert there
            assert view is not None
            claims = view.state.claims.values()
            cache.note(found.memory.path, view.checked.good, claims, view.state.rules.grace, found.coordinator.actor.namespace)

    def arrive(self, source: str = "startup") -> None:
        """It starts, in this process: the same without the hook."""
        with self.seat.here() as found:
            agent, pid = {"CLAUDE_CODE_SESSION_ID": self.id}, self.host.child.pid
            owner = (pid, processes.born(pid))
            actor = replace(found.coordinator.actor, agent=agent, agent_name="claude-code", owner=owner, cached=True)
            coordinator = found.coordinator.acting_as(actor)
            arrived = arrival.arrive(coordinator, source)
            assert arrived is not None
            Mailbox.of(self.own, arrived.session).touch()
            arrival.shown(coordinator, arrived)

    def fetch(self) -> None:
        """Has the background look once, now."""
        self.settle()
        self.count += 1
        self.hook("PreCompact", custom_instructions=str(self.count))  # two alike within two seconds are taken for one
        until(lambda: (self.own / "synced").exists() or not (self.own / "mailbox").exists(), "nothing was begun")
        self.settle()
