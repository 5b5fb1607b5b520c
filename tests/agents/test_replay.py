"""What each agent sends, replayed through `gitcoord hook` by real processes: it is briefed, told, kept from what another holds."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agent_payloads import ALL, DENY, GUARDED, TELL, Sent
from clones import PROGRAM, Seat, at_work, file, until
from guards import commit

from gitcoord.machine.identity import Identity

AGENTS = sorted({one.agent for one in ALL} - {"generic"} - GUARDED)  # whose table has only what is its own
HELD = {"/w/a.py", "src/api.py"}


def here(value: Any, tree: str) -> Any:
    """A payload's value, with the work tree for `/w`."""
    if isinstance(value, str):
        return re.sub(r"(?<![\w/-])/w(?=/|$)", tree, value)
    if isinstance(value, Mapping):
        return {key: here(one, tree) for key, one in value.items()}
    return [here(one, tree) for one in value] if isinstance(value, list | tuple) else value


def fits(said: Any, expected: Any, marks: Mapping[str, str]) -> bool:
    """Whether the answer has that form. `marks`: what has to be found where the form has that text."""
    if isinstance(expected, Mapping):
        return isinstance(said, Mapping) and said.keys() == expected.keys() and all(fits(said[k], expected[k], marks) for k in said)
    if isinstance(expected, list | tuple):
        return isinstance(said, list) and len(said) == len(expected) and all(map(lambda a, b: fits(a, b, marks), said, expected))
    return marks[expected] in said if isinstance(expected, str) and expected in marks else bool(said == expected)


def call(seat: Seat, sent: Sent) -> Any:
    """Calls the hook; the object that is printed, None for nothing."""
    done = subprocess.run(
        [*PROGRAM, "hook", *(["--agent", sent.named] if sent.named else [])], cwd="/",
        env={**seat.env, **{name: here(value, str(seat.path)) for name, value in sent.environ.items()}},
        input=json.dumps(here(sent.payload, str(seat.path))), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), (sent.label, done)
    return json.loads(done.stdout) if done.stdout else None


def form(sent: Sent, answer: object) -> tuple[bool, Any]:
    """Whether the table knows what is printed for that answer, and what."""
    found = [what for one, what in sent.says if one == answer]
    return bool(found), found[0] if found else None


def rows(agent: str, *kinds: str) -> list[Sent]:
    """What the agent sends from this work tree at these steps."""
    mine = (one for one in ALL if one.agent == agent and one.means.get("place", "/w") == "/w" and not one.means.get("subagent"))
    return [one for one in mine if one.means["kind"] in kinds]


def _drops_its_start(agent: str) -> bool:
    """Whether it reads nothing of what it is told as it starts: then it is briefed with its first prompt."""
    return all(form(one, TELL)[1] is None for one in rows(agent, "start"))


@pytest.fixture
def office(pair: tuple[Seat, Seat]) -> tuple[Seat, Seat]:
    """A work tree whose files another holds, where the guard blocks."""
    ada, ben = pair
    commit(ada, "files", "a.py", "src/api.py", "free.py")
    ada.git("push", "--quiet", "origin", "HEAD")
    ben = replace(ben, session="ben")
    with ben.here() as found:
        found.coordinator.claims.acquire(file("a.py", "src/api.py"))
    ada.git("config", "gitcoord.guard", "block")
    return ada, ben


@pytest.mark.usually("cursor")  # how each one is answered: test_dialects; the others differ in nothing else
@pytest.mark.parametrize("agent", AGENTS)
def test_each_event_is_answered_in_the_agents_own_words(office: tuple[Seat, Seat], agent: str) -> None:
    ada, _ = office
    starts, denied = 0, 0
    briefed = {"start", "prompt"} if _drops_its_start(agent) else {"start"}
    for sent in (one for one in ALL if one.agent == agent):
        kind, is_here = sent.means["kind"], sent.means.get("place", "/w") == "/w"
        said = call(ada, sent)
        if kind in briefed and is_here and form(sent, TELL)[0]:
            assert said is None or fits(said, form(sent, TELL)[1], {"[news]": "gitcoord briefing for"}), (sent.label, said)
            starts += said is not None
        elif kind == "before-edit" and is_here and HELD & set(sent.means.get("paths", ())) and form(sent, DENY)[1] is not None:
            assert fits(said, form(sent, DENY)[1], {DENY.reason: "is held by ben until"}), (sent.label, said)
            denied += 1
        elif kind == "other":
            assert said == (sent.says[0][1] if sent.says else None), (sent.label, said)  # whatever it would be told
        until(lambda: not at_work(ada), "the background never ended")
    assert starts
    assert denied


@pytest.mark.usually("opencode")
@pytest.mark.parametrize("agent", AGENTS)
def test_a_message_waits_for_an_event_at_which_the_agent_reads(office: tuple[Seat, Seat], agent: str) -> None:
    ada, ben = office
    call(ada, rows(agent, "start")[0])
    if _drops_its_start(agent):
        call(ada, rows(agent, "prompt")[0])
    until(lambda: not at_work(ada), "the background never ended")
    [mine] = [one.session for one in Identity(ada.path / ".git").all() if one.agent]
    with ben.here() as found:
        found.coordinator.messages.send(mine, "the schema moved", "")
    told = []
    for sent in (one for one in rows(agent, "prompt", "after-edit") if form(one, TELL)[0]):
        (ada.path / ".git" / "gitcoord" / "synced").unlink(missing_ok=True)
        with replace(ada, session=mine).here() as found:
            found.coordinator.branch.sync(if_due=False)
        ada.run("sync", "--if-due")
        said = call(ada, sent)
        until(lambda: not at_work(ada), "the background never ended")
        if form(sent, TELL)[1] is None:
            assert "the schema moved" not in json.dumps(said), sent.label
        elif not told:
            assert fits(said, form(sent, TELL)[1], {"[news]": "the schema moved"}), (sent.label, said)
            told.append(sent.label)
        else:
            assert "the schema moved" not in json.dumps(said), sent.label
    assert told, agent


@pytest.mark.parametrize(("agent", "mode"), [("cursor", "warn"), ("codex", "ask"), ("gemini", "ask")])
def test_who_can_not_be_asked_is_denied_once(office: tuple[Seat, Seat], agent: str, mode: str) -> None:
    ada, _ = office
    ada.git("config", "gitcoord.guard", mode)
    call(ada, rows(agent, "start")[0])
    until(lambda: not at_work(ada), "the background never ended")
    edit = next(one for one in rows(agent, "before-edit") if form(one, DENY)[1])
    assert fits(call(ada, edit), form(edit, DENY)[1], {DENY.reason: "The same edit again goes through, and ben will be told"})
    assert call(ada, edit) is None


def test_what_gemini_drops_when_it_is_cleared_is_told_with_the_next_prompt(office: tuple[Seat, Seat]) -> None:
    ada, _ = office
    common = {"session_id": "m-1", "transcript_path": "/home/x/.gemini/tmp/p/chats/s.jsonl", "cwd": str(ada.path)}

    def hook(event: str, **more: str) -> str:
        sent = Sent("gemini", {**common, "hook_event_name": event, **more}, {"kind": ""}, environ={"GEMINI_CLI": "1"})
        return json.dumps(call(ada, sent))

    assert "You are session gemini-main" in hook("SessionStart", source="startup")
    assert "You are session" not in hook("BeforeAgent", prompt="one")
    assert "You are session" not in hook("SessionStart", source="clear")
    assert "You are session gemini-main." in hook("BeforeAgent", prompt="two")
    assert "You are session" not in hook("BeforeAgent", prompt="three")


@pytest.mark.parametrize("off", [{"GITCOORD": "0"}, {}])
def test_who_takes_silence_for_a_no_is_answered_in_any_case(office: tuple[Seat, Seat], tmp_path: Path, off: dict[str, str]) -> None:
    """Switched off, and where nobody coordinates: the edit goes on."""
    ada, _ = office
    seat = replace(ada, extra=off) if off else Seat(tmp_path, ada.outbox)
    edit = next(one for one in rows("antigravity", "before-edit") if form(one, DENY)[1])
    assert call(seat, edit) == {"decision": "allow"}


def test_a_program_that_takes_only_a_refusal_is_guarded_and_never_listed(office: tuple[Seat, Seat]) -> None:
    """What the person holds in whose work tree it works is not in its way."""
    ada, ben = office
    ada.ok("start", "ada")
    ada.ok("claim", "free.py")
    for agent in sorted(GUARDED):
        [held] = rows(agent, "before-edit")
        said = call(ada, held)
        assert fits(said, form(held, DENY)[1], {DENY.reason: "is held by ben until"}), (agent, said)
        free = json.loads(json.dumps(held.payload).replace("/w/a.py", "/w/free.py").replace("src/api.py", "free.py"))
        assert call(ada, replace(held, payload=free)) is None, agent
    ada.git("config", "gitcoord.guard", "warn")
    reason = call(ada, held)["reason"]
    assert ("The same edit again goes through." in reason, call(ada, held)) == (True, None)  # nobody tells ben
    until(lambda: not at_work(ada), "the background never ended")
    with ben.here() as found:
        assert set(found.coordinator.branch.view().state.sessions) == {"ada", "ben"}


def test_a_form_that_is_not_known_is_told_once_and_never_registered(office: tuple[Seat, Seat]) -> None:
    ada, ben = office
    start = {"hook_event_name": "SessionStart", "session_id": "x", "cwd": "/w", "workspace": "/w"}
    assert call(ada, Sent("generic", start, {})) is None
    assert call(ada, Sent("generic", {"event": "tool/before", "cwd": "/w"}, {})) is None
    first, second = ada.run("doctor").out, ada.run("doctor").out
    assert "isn't known (event SessionStart, fields cwd, hook_event_name, session_id, workspace)" in first
    assert "isn't known (event tool/before, fields cwd, event)" in first
    assert "isn't known" not in second
    with ben.here() as found:
        assert set(found.coordinator.branch.view().state.sessions) == {"ada", "ben"}
