"""Who sits in a work tree, by the variables that whoever calls finds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitcoord.machine.identity import Binding, Identity, owner, seated, seated_as

COPILOT = "COPILOT_AGENT_SESSION_ID"
HELPER = {"COPILOT_CLI": "1", COPILOT: "of a helper"}


def bind(where: Path, session: str, agent: dict[str, str], process: tuple[int, str] | None = None) -> Identity:
    """Binds that session there, to the process that the tests are, or to the one that is given."""
    identity = Identity(where)
    pid, born = process or owner(HELPER)
    identity.bind(Binding(session, "r", pid, born, "/outbox", agent))
    return identity


def test_whoever_calls_under_an_id_of_a_helper_is_its_process_s_session(tmp_path: Path) -> None:
    identity = bind(tmp_path, "copilot-main", {COPILOT: "c-1"})
    assert identity.agent(HELPER) == {COPILOT: "c-1"}
    assert identity.agent({COPILOT: "of a hook"}) == {COPILOT: "of a hook"}  # a start's, of another session of that process
    assert identity.agent({**HELPER, COPILOT: "c-1"}) == {COPILOT: "c-1"}
    bind(tmp_path, "another", {COPILOT: "c-2"})
    assert identity.agent(HELPER) == {COPILOT: "of a helper"}  # of two nobody can tell


def test_another_process_s_session_is_nobody_s_helper(tmp_path: Path) -> None:
    identity = bind(tmp_path, "copilot-main", {COPILOT: "c-1"}, (os.getpid(), "another birth"))
    assert identity.agent(HELPER) == {COPILOT: "of a helper"}


@pytest.mark.parametrize("variables", [{"QWEN_CODE": "1"}, HELPER])
def test_what_says_only_that_it_is_there_sits_where_the_only_such_session_is(tmp_path: Path, variables: dict[str, str]) -> None:
    here, there, elsewhere = (tmp_path / name for name in ("here", "there", "elsewhere"))
    places = [str(here), str(there), str(elsewhere)]
    bound = {"QWEN_CODE": "q-1"} if "QWEN_CODE" in variables else {COPILOT: "c-1"}
    for place in (here, there, elsewhere):
        place.mkdir()
    identity = bind(there, "its", bound)
    assert seated(str(here), places, variables).own == identity.own
    assert seated(str(here), places, {}).own == Identity(here).own  # a person
    if "QWEN_CODE" in variables:
        bind(elsewhere, "another", {"QWEN_CODE": "q-2"})
        assert seated(str(here), places, variables).own == Identity(here).own  # of two nobody can tell
        bind(elsewhere, "another", {"QWEN_CODE": "q-2"}, (os.getpid(), "another birth"))
        assert seated(str(here), places, variables).own == identity.own  # the other's process is gone


def test_a_hook_s_session_is_found_by_its_own_id_and_no_other(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for place in (here, there):
        place.mkdir()
    identity = bind(there, "its", {"QWEN_CODE": "q-1"})
    places = [str(here), str(there)]
    assert seated_as(str(here), places, {"QWEN_CODE": "q-1"}).own == identity.own
    assert seated_as(str(here), places, {"QWEN_CODE": "q-2"}).own == Identity(here).own
    assert seated_as(str(here), places, {}).own == Identity(here).own
