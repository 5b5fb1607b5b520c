"""What is read of many tasks: nothing for a claim and its board, one for what is about one, one folder where one changed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from plans import PlanStory, new_task
from pure_branch import Lines, listing

from gitcoord.core.names import Resource
from gitcoord.core.readiness import Look, check_claimable, find, summary
from gitcoord.core.retention import sweep
from gitcoord.core.state import State
from gitcoord.views import board, tree

COUNT = 1000


class Counted:
    """The files of a state whose looks are counted. Each object's name is its path and what is in it."""

    def __init__(self, state: State, facts: dict[str, str]) -> None:
        self.files = {path: tree.render(record) for path, record in tree.all_files(state).items()}
        self.facts = facts
        self.read: list[str] = []
        self.listed: list[str] = []
        self._list = listing(self.files)
        self._at = state.seq, state.at

    def _name(self, path: str) -> str:
        inside = sorted(
            hash(data) for where, data in self.files.items() if where == path or where.startswith(f"{path}/") or not path
        )
        return f"{path}@{hash(tuple(inside))}"

    def load(self) -> State:
        """The state, with nothing read yet of what is not always read; the counts begin anew."""

        def lists(names: Sequence[str]) -> list[Lines]:
            self.listed += [name.partition("@")[0] for name in names]
            found = self._list([name.partition("@")[0] for name in names])
            return [Lines(line._replace(oid=self._name(line.oid)) for line in lines) for lines in found]

        def reads(names: Sequence[str]) -> list[bytes | None]:
            self.read += [name.partition("@")[0] for name in names]
            return [self.files.get(name.partition("@")[0]) for name in names]

        state = tree.load("@", lists, reads, self.facts, seq=self._at[0], at=self._at[1])
        self.read, self.listed = [], []
        return state

    def of_tasks(self) -> list[str]:
        """The files of tasks that were read."""
        return [path for path in self.read if path.startswith("tasks/")]


@pytest.fixture(scope="module")
def story() -> PlanStory:
    """A thousand tasks in ways of ten."""
    story = PlanStory.of("ann", "bob")
    assert isinstance(story, PlanStory)
    for start in range(0, COUNT, 500):
        rows = range(start, start + 500)
        story.add_many("ann", *(new_task(f"t{n}", key=f"k{n}", needs=(f"=k{n - 1}",) if n % 10 else ()) for n in rows))
    return story


def test_claim_and_its_board_read_no_task(story: PlanStory) -> None:
    facts: dict[str, str] = {}
    whole = summary(Counted(story.state, facts).load().tasks)
    counted = Counted(story.state, facts)
    state = counted.load()
    check_claimable(state, [Resource("file", "a.py"), Resource("slot", "ci")])
    sweep(state, "ann", story.now)
    assert "0 in work, 100 ready, 900 blocked" in board.render(state)
    assert counted.of_tasks() == []
    assert {path for path in counted.listed if path.startswith("tasks")} <= {"tasks", "tasks/closed"}
    assert summary(state.tasks) == whole == summary(story.state.tasks)


def test_what_is_about_one_task_reads_one(story: PlanStory) -> None:
    counted = Counted(story.state, {})
    state = counted.load()
    task = find(state, "#742")
    assert task is not None
    assert task.title == "t741"
    assert counted.of_tasks() == ["tasks/open/0007/742.json"]
    assert state.task_keys["k3"].seq == 4
    assert len(counted.of_tasks()) == 2
    assert "unknown" not in state.task_keys


def test_after_a_change_only_its_folder_is_read_again(story: PlanStory) -> None:
    facts: dict[str, str] = {}
    counted = Counted(story.state, facts)
    before = counted.load()
    assert len(Look(before, None, story.now).ready()) == 100
    assert len(counted.of_tasks()) == COUNT
    later = PlanStory(now=story.now, state=story.state, runs=dict(story.runs))
    later.close("ann", 1)
    counted = Counted(later.state, facts)
    after = counted.load()
    ready = {one.task.seq for one in Look(after, None, story.now).ready()}
    assert (1 in ready, 2 in ready, len(ready)) == (False, True, 100)
    folders = {path.rpartition("/")[0] for path in counted.of_tasks()}
    assert folders == {"tasks/open/0000"}
    assert len(counted.of_tasks()) == 98
