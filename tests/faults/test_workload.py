"""A storm of killed, stopped and misled processes over each kind of remote: nothing acknowledged is lost, nothing is said in error.

`--soak MINUTES` lets it blow for so long in all, with a new seed each time.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import checker
import pytest
import workload
from remotes import KINDS, Remote, RemoteFactory
from workload import Config, Result

STORMS = {
    "file": Config(remote="file", seed=101, clones=1, sessions=2),
    "ssh": Config(remote="ssh", seed=102, clones=2, sessions=1),
    "http": Config(remote="http", seed=103, clones=2, sessions=1),
    "git": Config(remote="git", seed=104, clones=1, sessions=2),
}


def _pass(config: Config, remote: Remote, remotes: RemoteFactory, record: Path) -> Result:
    result = workload.run(config, remote, remotes.folder / f"storm-{config.remote}-{config.seed}", record)
    assert result.report.ok, result.words()
    print(result.summary())
    return result


@pytest.mark.usually("file", "http")
def test_a_storm_loses_nothing_and_says_nothing_in_error(remote: Remote, remotes: RemoteFactory, tmp_path: Path) -> None:
    config = replace(STORMS[remote.kind], operations=60, outboxes=2, at_once=6, pace=12, cut=0.02)
    result = _pass(config, remote, remotes, tmp_path / "record")
    # A storm that kills nobody, or in which nothing gets done, would show nothing.
    assert result.report.counts["operations"] >= 60
    assert result.report.counts["killed"] >= 5
    assert result.report.counts["done"] >= 10
    if remote.kind == "file":
        _judge_again(tmp_path / "record")


def _judge_again(record: Path) -> None:
    """The record alone is enough to judge the storm again; and a call that was told what isn't so is found in it."""
    words = [sys.executable, checker.__file__, str(record)]
    first = json.loads((record / "verdict.json").read_text())
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert json.loads((record / "verdict.json").read_text()) == first
    lines = (record / "calls.jsonl").read_text().splitlines()
    index = next(number for number, line in enumerate(lines) if json.loads(line)["answer"] == "done" and "seq" in line)
    forged = {**json.loads(lines[index]), "op": "nowhere"}
    (record / "calls.jsonl").write_text("\n".join([*lines[:index], json.dumps(forged), *lines[index + 1 :]]) + "\n")
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "it is not on the branch" in ran.stdout


def test_the_plan_comes_from_the_seed_alone() -> None:
    one, same, other = (list(islice(workload.plan(Config(seed=seed, operations=400)), 400)) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert {call["kind"] for call in one} == {*workload.KINDS_OF_CALLS, "start"}
    assert 0.3 < sum(call["kill"] is not None for call in one) / len(one) < 0.5


def test_what_fails_names_its_record_and_the_command_that_makes_it_again(tmp_path: Path) -> None:
    report = checker.Report(counts={"operations": 7})
    report.add("lost", "call 3 (ada: send op-3, done): it is not on the branch")
    words = Result(Config(remote="http", seed=9, operations=7, kill=0.2), tmp_path, report, 2.0).words()
    assert "lost 1, false held 0" in words
    assert "it is not on the branch" in words
    assert f"python tests/support/workload.py --remote http --seed 9 --operations 7 --kill 0.2 --record {tmp_path}" in words


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=() if kind == "file" else pytest.mark.servers) for kind in KINDS])
def test_a_long_storm(kind: str, remotes: RemoteFactory, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    minutes = pytestconfig.getoption("--soak") / len(KINDS)
    if not minutes:
        pytest.skip("--soak MINUTES runs it")
    reason = remotes.available(kind)
    if reason is not None:
        pytest.skip(reason)
    seed = random.SystemRandom().randrange(1_000_000)
    _pass(Config(remote=kind, seed=seed, minutes=minutes), remotes.make(kind), remotes, tmp_path / "record")
