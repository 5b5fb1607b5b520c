"""Long branches: made by the program's own rules, and written by `git fast-import`, thousands of commits at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pure_branch import Story

from gitcoord import __version__
from gitcoord.core import retention
from gitcoord.core.events import Clock, Command, Event
from gitcoord.core.state import State
from gitcoord.git.objects import NewCommit, Objects
from gitcoord.git.repo import NULL, Repository
from gitcoord.log import wire
from gitcoord.views.projection import TreeProjection

AT_ONCE = 5000  # commits in one fast-import
STEP = timedelta(seconds=20)


class Writer:
    """Writes a story's events to a branch, the board with every commit or with the last one of a batch."""

    def __init__(self, bare: Path, env: dict[str, str], *, boards: bool) -> None:
        self._repo = Repository.find(str(bare), {**env, "GIT_DIR": str(bare)})
        self._objects = Objects(self._repo)
        self._boards, self._tip, self._waiting = boards, NULL, list[NewCommit]()
        self._projection, self._before = TreeProjection(), State()

    def add(self, story: Story) -> None:
        """Writes the story's newest event."""
        happened, state = story.past.pop(), story.state
        changes = self._projection.changes(self._before, state)
        files = {path: None if one is None else self._projection.render(one) for path, one in changes.items()}
        self._before = state
        first = state.seq == 1
        if self._boards or first or len(self._waiting) + 1 == AT_ONCE:
            files |= self._projection.pages(state, first=first)
        message = wire.encode(happened.event, writer=__version__, skip_ci=True)
        name = happened.event.session
        self._waiting.append(NewCommit(message, name, f"{name}@localhost", happened.event.at, happened.committed_at, files))
        if len(self._waiting) == AT_ONCE:
            self.flush()

    def go_on(self, tip: str, state: State) -> None:
        """Go on from a commit that somebody else has written, with the state after it."""
        self._tip, self._before = tip, state

    def flush(self, state: State | None = None) -> None:
        """Writes what waits, and moves the branch; with the state, the last commit has the board."""
        if self._waiting:
            if state is not None:
                last = self._waiting[-1]
                self._waiting[-1] = replace(last, changes={**last.changes, **self._projection.pages(state, first=False)})
            self._tip = self._objects.write_chain(self._tip, self._tip, self._waiting)[-1]
            self._waiting.clear()
            self._repo.ask("update-ref", "refs/heads/coordination", self._tip)


class Sparing(Story):
    """A story that doesn't judge again what the rules decided, and looks only now and then for what may leave the tree: at most
    64 records leave with a commit, and each commit brings one or two.
    """

    def decide(self, command: Command, clock: Clock | None = None) -> Event | None:
        """What the command makes happen."""
        looks = retention.sweep
        if self.state.seq % 24:
            retention.sweep = lambda *_: ((), ())
        try:
            return super().decide(command, clock)
        finally:
            retention.sweep = looks

    def problem(self, event: Event, committed_at: datetime | None = None) -> str | None:
        """Nothing: the measured program judges every one of them."""
        return None


def tell(bare: Path, env: dict[str, str], *, events: int, past: int, live: int, boards: bool = False) -> None:
    """Write a history of that many events on which `past` sessions came and went before the `live` ones of the end."""
    now = datetime.now(UTC).replace(microsecond=0)
    story = Sparing.of(now=now - events * STEP - timedelta(minutes=5))
    writer = Writer(bare, env, boards=boards)
    writer.add(story)
    generations = [(f"old-{number}", events // (past + live)) for number in range(past)]
    for name, share in generations:
        story.start(name)
        writer.add(story)
        for turn in range(max(0, share - 2)):
            story.wait(STEP)
            work(story, name, turn)
            writer.add(story)
        story.wait(STEP)
        story.end(name)
        writer.add(story)
    names = [f"now-{number:02}" for number in range(live)]
    for name in names:
        story.start(name)
        writer.add(story)
    turn = 0
    while story.state.seq < events:
        story.wait(STEP)
        work(story, names[turn % live], turn // live)
        writer.add(story)
        turn += 1
    writer.flush(story.state)


def work(story: Story, name: str, turn: int) -> None:
    """One event of a session's day."""
    kind = turn % 8
    if kind == 1:
        story.claim(name, f"src/{name}/module_{turn // 8 % 50}.py", phase="BUILD", reason="the landing page needs it")
    elif kind == 6 and story.holds(name):
        story.release(name, *sorted(story.holds(name)))
    elif kind == 4:
        story.send(name, "broadcast", f"{name}: module {turn} is done", message="All tests pass. Next is the one after it.")
    else:
        story.beat(name, "committed", target="module", files_touched=(f"src/{name}/module_{turn // 8 % 50}.py",))
