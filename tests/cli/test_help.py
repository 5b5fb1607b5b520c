"""Help: the daily commands first, every one where it is asked for, and the words that people try led to the command they mean."""

from __future__ import annotations

import re

import pytest
from clones import Seat

from gitcoord.cli import help as help_of
from gitcoord.cli.app import _NAMES


def _shown(text: str) -> set[str]:
    return {name for name in re.findall(r"^│ ([a-z-]+) ", text, re.MULTILINE) if name in _NAMES}


def test_the_help_shows_the_daily_commands_and_all_of_them_where_it_is_asked_for(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    assert _shown(ada.run("--help").out) == _shown(ada.run("help").out) == set(help_of.DAILY)
    assert _shown(ada.run("help", "--all").out) == set(_NAMES)


def test_a_word_that_people_try_leads_to_the_command_that_it_means(pair: tuple[Seat, Seat]) -> None:
    ada, _ = pair
    assert set(help_of.MEANT).isdisjoint(_NAMES)
    assert {meant.split(" ")[0] for meant in help_of.MEANT.values()} <= set(_NAMES)
    tried = ada.run("unclaim", "src/api.py")
    assert (tried.code, "hint: gitcoord help release" in tried.err) == (2, True)
    assert ada.run("help", "unclaim").out == ada.run("release", "--help").out
    assert ada.run("help", "done").out == ada.run("task", "done", "--help").out
    assert ada.run("help", "frobnicate").code == ada.run("frobnicate").code == 2


@pytest.mark.parametrize("words", [("task", "add"), ("claim", "--nonsense"), ("task", "frobnicate")], ids=" ".join)
def test_a_command_that_was_typed_wrong_names_its_own_help(pair: tuple[Seat, Seat], words: tuple[str, ...]) -> None:
    tried = pair[0].run(*words)
    own = words if words == ("task", "add") else words[:1]
    assert (tried.code, tried.err.splitlines()[-1]) == (2, f"hint: gitcoord {' '.join(own)} --help")


def test_a_topic_explains_what_no_single_command_does(pair: tuple[Seat, Seat]) -> None:
    said = pair[0].run("help", "refused")
    assert (said.code, "--wait" in said.out) == (0, True)
