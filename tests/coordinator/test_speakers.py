"""Who really spoke, asked of a clone: in a long day nothing honest is named."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gits import git
from pure_branch import Story
from remotes import create_bare

from gitcoord import __version__
from gitcoord.connection.connect import connect
from gitcoord.coordinator import speakers
from gitcoord.core.state import State
from gitcoord.git.objects import NewCommit, Objects
from gitcoord.git.repo import NULL, Repository
from gitcoord.log import wire
from gitcoord.views.projection import TreeProjection

EVENTS = 2000


@dataclass
class Day:
    """A day's events, each with the address under which it was pushed."""

    story: Story
    commits: list[NewCommit] = field(default_factory=list)
    before: State = field(default_factory=State)
    projection: TreeProjection = field(default_factory=TreeProjection)

    def push(self, email: str) -> None:
        """Note the story's newest events as pushed under that address."""
        for happened in self.story.past:
            changes = self.projection.changes(self.before, self.story.state)
            files = {path: None if one is None else self.projection.render(one) for path, one in changes.items()}
            message = wire.encode(happened.event, writer=__version__, skip_ci=True)
            name = happened.event.session
            self.commits.append(
                NewCommit(message, name, email or f"{name}@localhost", happened.event.at, happened.committed_at, files)
            )
            self.before = self.story.state
        self.story.past.clear()

    def write(self, bare: Path) -> None:
        """Write the branch."""
        repo = Repository.find(str(bare), {**os.environ, "GIT_DIR": str(bare)})
        with Objects(repo) as objects:
            repo.ask("update-ref", "refs/heads/coordination", objects.write_chain(NULL, NULL, self.commits)[-1])


def _day(seed: int, events: int = EVENTS) -> Day:
    """An honest day: people at one machine or at two, agents, a continuous integration that has no address, names used anew."""
    chance = random.Random(seed)
    people = {f"person-{number}": f"person-{number}@example.com" for number in range(6)}
    machines = {name: (address, f"{name}@home.example") for name, address in people.items()}
    story = Story.of(now=datetime.now(UTC).replace(microsecond=0) - timedelta(hours=20))
    day = Day(story)
    day.push("")
    owners: dict[str, str] = {}

    def start(person: str, **given: object) -> None:
        name = story.start(f"{person}-work", generated=True, **given).session
        owners[name] = machines[person][0]
        day.push(owners[name])

    for person in people:
        start(person)
    story.start("nightly")
    owners["nightly"] = ""
    day.push("")
    while len(day.commits) < events:
        story.wait(timedelta(seconds=30))
        name = chance.choice(sorted(owners))
        what = chance.random()
        if what < 0.02 and name != "nightly":  # the work is done, and another piece of it begins
            story.end(name, done=("it",))
            day.push(owners.pop(name))
            start(name.rpartition("-work")[0])
            continue
        if what < 0.4:
            story.beat(name, "building")
        elif what < 0.6 and not story.holds(name):
            story.claim(name, f"src/{name}.py")
        elif what < 0.7 and story.holds(name):
            story.release(name, f"src/{name}.py")
        else:
            story.send(name, chance.choice([one for one in sorted(owners) if one != name]), "how is it going?")
        second = machines.get(name.rpartition("-work")[0], ("", ""))[1]
        day.push(second if second and chance.random() < 0.2 else owners[name].upper() if chance.random() < 0.05 else owners[name])
    return day


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a remote without a branch yet."""
    create_bare(tmp_path / "remote.git")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), str(tmp_path / "clone"))
    return tmp_path / "clone"


def test_nothing_honest_is_named_in_a_day_of_two_thousand_events(clone: Path, tmp_path: Path) -> None:
    day = _day(1)
    day.write(tmp_path / "remote.git")
    config = tmp_path / "config" / "gitcoord"
    config.mkdir(parents=True, mode=0o700)
    (config / "people").write_text("".join(f"person-{number}@example.com,person-{number}@home.example\n" for number in range(6)))
    env = {**os.environ, "GITCOORD_DESK": str(tmp_path / "outbox"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with connect(str(clone), env) as found:
        found.coordinator.branch.view()
        examined = found.coordinator.speakers.examine(signatures=True)
        assert examined.doubtful == []
        assert examined.signatures == {"unsigned": len(day.commits)}
        assert [item for item in found.coordinator.speakers.status().attention if item.kind in {"speaker", "look_alike"}] == []


def test_a_long_past_is_gone_through_in_the_background_and_not_while_somebody_looks(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = _day(2, 60)
    day.write(tmp_path / "remote.git")
    monkeypatch.setattr(speakers, "_SHORT", 30)
    env = {**os.environ, "GITCOORD_DESK": str(tmp_path / "outbox")}
    with connect(str(clone), env, heard=False) as found:
        begun: list[None] = []
        monkeypatch.setattr(found.coordinator.log, "background", lambda: begun.append(None))
        found.coordinator.branch.view()
        assert [found.coordinator.speakers.table() for _ in range(3)] == [None] * 3
        assert len(begun) == 1  # it is listed once, however many sessions are asked about
        assert found.coordinator.speakers.table(everything=True) is not None  # as the process does that was begun
    with connect(str(clone), env, heard=False) as found:
        found.coordinator.branch.view()
        kept = found.coordinator.speakers.table()
        assert kept is not None
        assert kept.seq == len(day.commits)
        newest = day.commits[-1]
        assert kept.of(kept.seq).origin.email in (newest.email, "")  # type: ignore[union-attr]
