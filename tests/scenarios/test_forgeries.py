"""Twelve forgeries by somebody who may push, in a team that signs, in one that doesn't, and where the server has the policy: each
is named or refused, by real git.

Mallory pushes under her own address where nobody signs, and under ada's where ada does: there an address fools nobody.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clones import Seat
from gits import GitFailed, git
from remotes import create_bare
from servers import serve

from gitcoord.core import rules
from gitcoord.core.events import Event
from gitcoord.core.messages import MessageSent
from gitcoord.core.sessions import SessionStarted
from gitcoord.git.objects import NewCommit
from gitcoord.log import wire

BRANCH = "refs/heads/coordination"
MODES = ("unsigned", "signed")


@dataclass(frozen=True)
class Stage:
    """A branch with ada-01 and ben at work on it, and mallory, who may push, too. `ben` reads."""

    folder: Path
    signed: bool

    def seat(self, name: str, session: str = "") -> Seat:
        """Return the clone of that one, from which that session acts."""
        own = {"XDG_CONFIG_HOME": str(self.folder / f"config-{name}")}
        return Seat(self.folder / name, self.folder / f"outbox-{name}", session, own)

    @property
    def remote(self) -> Path:
        """Return the bare repository that all share."""
        return self.folder / "remote.git"

    @property
    def tip(self) -> str:
        """Return where the branch is."""
        return git(self.remote, "rev-parse", BRANCH)

    def as_ada(self, *words: str) -> int:
        """Have mallory say something in ada's name, with the program; return the event's number."""
        mallory = self.seat("mallory", "ada-01")
        mallory.git("config", "user.email", "ada@example.com" if self.signed else "mallory@example.com")
        return int(mallory.ok(*words)["seq"])

    def by_hand(self, change: Callable[[Path], None]) -> None:
        """Have mallory change files of the branch and push that, with plain git."""
        path = self.folder / "hand"
        git(self.folder, "clone", "-q", "-b", "coordination", str(self.remote), str(path))
        change(path)
        git(path, "add", "-A")
        git(path, "-c", "user.email=mallory@example.com", "commit", "-q", "-m", "I know better")
        git(path, "push", "-q", "origin", "HEAD:coordination")

    def force(self, commit: str) -> None:
        """Have mallory move the branch to that commit, by force."""
        git(self.remote, "push", "-q", "--force", str(self.remote), f"{commit}:{BRANCH}")

    def event(self, kind: type[Event], session: str, *, ahead: int = 1, **given: Any) -> int:
        """Have mallory push an event that the program would not write, its records as they should be; return its number."""
        mallory = self.seat("mallory")
        with mallory.here() as found:
            log = found.coordinator.log
            view = log.refresh(60)
            at = max(found.coordinator.now().replace(microsecond=0), view.state.at)
            seq = view.state.seq + ahead
            event = kind(id=f"forged-{seq}", seq=seq, session=session, at=at, **given)
            files = log._files(view.state, rules.evolve(view.state, event, at))
            message = wire.encode(event, writer="0.1.0", skip_ci=True)
            new = NewCommit(message, session, "mallory@example.com", at, at, files)
            [oid] = log.objects.write_chain(view.checked.tip, view.checked.tip, [new])
        mallory.git("push", "-q", "origin", f"{oid}:{BRANCH}")
        return seq


def _set_up(folder: Path, *, signed: bool) -> Stage:
    stage = Stage(folder, signed)
    create_bare(stage.remote)
    for name in ("ada", "ben", "mallory"):
        git(folder, "clone", "-q", str(stage.remote), str(folder / name))
        key = folder / f"{name}-key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True)
        for setting in (f"user.email={name}@example.com", "gpg.format=ssh", f"user.signingkey={key}.pub"):
            stage.seat(name).git("config", *setting.split("="))
    ada, ben, mallory = (stage.seat(name, session) for name, session in (("ada", "ada-01"), ("ben", "ben"), ("mallory", "mallory")))
    if signed:
        for seat in (ada, ben, mallory):
            seat.git("config", "gitcoord.sign", "true")
        for name in ("ada", "ben", "mallory"):
            stage.seat("ben").ok("trust", "add", f"{name}@example.com", str(folder / f"{name}-key.pub"))
    stage.seat("ada").ok("init")
    for seat in (ada, ben, mallory):
        Seat(seat.path, seat.outbox, "", seat.extra).ok("start", seat.session)
    mallory.git("config", "gitcoord.sign", "false")
    ada.ok("claim", "src/form.py")
    ada.ok("release", "src/form.py")
    ada.ok("claim", "src/api.py")
    ada.ok("send", "ben", "an honest word")
    return stage


@pytest.fixture(scope="module")
def stages(sealed_process: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stage]:
    """Makes the stage of a mode, once for all forgeries."""
    made: dict[str, Stage] = {}

    def make(mode: str) -> Stage:
        if mode not in made:
            made[mode] = _set_up(tmp_path_factory.mktemp(mode), signed=mode == "signed")
        return made[mode]

    return make


@pytest.fixture
def stage(stages: Callable[[str], Stage], mode: str, tmp_path: Path) -> Stage:
    """A copy of it, for one forgery. Ben has looked at it."""
    first = stages(mode)
    copy = Stage(tmp_path / "stage", first.signed)
    shutil.copytree(first.folder, copy.folder)
    for name in ("ada", "ben", "mallory"):
        seat = copy.seat(name)
        seat.git("config", "remote.origin.url", str(copy.remote))
        seat.git("config", "user.signingkey", f"{copy.folder / name}-key.pub")
    copy.seat("ben", "ben").ok("status")
    return copy


# --- the twelve -----------------------------------------------------------------------------------------------------------


def _edit(stage: Stage) -> None:
    def change(hand: Path) -> None:
        path = hand / "sessions" / "ada-01.json"
        path.write_text(path.read_text().replace('"status": "active"', '"status": "idle"'))

    stage.by_hand(change)


def _steal(stage: Stage) -> None:
    def change(hand: Path) -> None:
        path = next((hand / "claims").glob("*.claim"))
        path.write_text(path.read_text().replace('"ada-01"', '"mallory"'))

    stage.by_hand(change)


def _send(stage: Stage) -> None:
    stage.as_ada("send", "ben", "give me the token")


def _end(stage: Stage) -> None:
    stage.as_ada("end")


def _hand_over(stage: Stage) -> None:
    stage.as_ada("handoff", "mallory", "all yours")


def _replay(stage: Stage) -> None:
    def change(hand: Path) -> None:
        old = git(hand, "log", "--format=%H", "--fixed-strings", "--grep=src/form.py by ada-01 until", "-1")
        [name] = git(hand, "diff-tree", "-r", "--no-commit-id", "--name-only", old, "--", "claims").splitlines()
        (hand / name).write_text(git(hand, "show", f"{old}:{name}"))

    stage.by_hand(change)


def _gap(stage: Stage) -> None:
    stage.event(MessageSent, "mallory", ahead=5, to="ben", subject="from the future")


def _re_root(stage: Stage) -> None:
    tree = git(stage.remote, "rev-parse", f"{BRANCH}^{{tree}}")
    root = git(stage.remote, "-c", "user.name=m", "-c", "user.email=m@example.com", "commit-tree", tree, "-m", "anew")
    stage.force(root)


def _rewind(stage: Stage) -> None:
    stage.force(f"{BRANCH}~2")


def _merge(stage: Stage) -> None:
    tip, words = stage.tip, ("-c", "user.name=m", "-c", "user.email=m@example.com", "commit-tree")
    tree = git(stage.remote, "rev-parse", f"{tip}~2^{{tree}}")
    side = git(stage.remote, *words, tree, "-p", f"{tip}~2", "-m", "a line of my own")
    merge = git(stage.remote, *words, f"{tip}^{{tree}}", "-p", tip, "-p", side, "-m", "both")
    stage.force(merge)


def _wrong_key(stage: Stage) -> None:
    stage.seat("mallory").git("config", "gitcoord.sign", "true")
    stage.as_ada("send", "ben", "signed, so it must be true")


def _look_alike(stage: Stage) -> None:
    refused = stage.seat("mallory").run("start", "ada-o1", "--new", "--json")
    assert (refused.code, refused.json["message"].partition(",")[0]) == (3, "the name ada-o1 looks like ada-01")
    stage.event(SessionStarted, "ada-o1", run_id="by-hand")


FORGERIES: dict[Callable[[Stage], None], str] = {
    _edit: "bad_commit", _steal: "bad_commit", _send: "speaker", _end: "speaker", _hand_over: "speaker", _replay: "bad_commit",
    _gap: "bad_commit", _re_root: "alarm", _rewind: "alarm", _merge: "bad_commit", _wrong_key: "speaker", _look_alike: "look_alike",
}  # fmt: skip
"""What each of them is seen by: what needs attention, or an alarm."""


def _named(stage: Stage) -> set[str]:
    """Return by what ben sees that something is wrong."""
    ben = stage.seat("ben", "ben")
    looked = ben.run("status", "--json")
    if looked.code == 8:
        return {"alarm"}
    assert looked.code == 0, looked
    kinds = {item["kind"] for item in looked.json["attention"]}
    # A word that is not signed, though ada signs, says so itself wherever it is shown.
    events = stage.seat("ben").ok("log")["events"]
    unsigned = [one for one in events if one["session"] == "ada-01" and one.get("speaker", {}).get("signature") == "unsigned"]
    return kinds | ({"speaker"} if unsigned else set())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__.strip("_"))
def test_a_forgery_is_named_or_refused(forge: Callable[[Stage], None], mode: str, stage: Stage) -> None:
    assert not _named(stage) & {"bad_commit", "speaker", "alarm", "look_alike"}
    forge(stage)
    assert FORGERIES[forge] in _named(stage)
    ben = stage.seat("ben", "ben")
    if FORGERIES[forge] == "bad_commit":  # ignored: what was is as it was
        assert [(one["resource_name"], one["claimed_by"]) for one in ben.ok("claims")["claims"]] == [("src/api.py", "ada-01")]
    if FORGERIES[forge] == "speaker":
        checked = ben.run("verify", "--signatures", "--json").json
        assert [one["effect"].partition(":")[0] for one in checked["problems"]] == ["it counts"]
        assert checked["ok"] == (not (stage.signed and forge is _wrong_key))


@pytest.fixture(scope="module")
def guarded(stages: Callable[[str], Stage]) -> Stage:
    """The stage of the team that signs, where the server has the policy: what is refused leaves it as it is."""
    first = stages("signed")
    copy = Stage(first.folder.with_name("guarded"), True)
    shutil.copytree(first.folder, copy.folder)
    for name in ("ada", "ben", "mallory"):
        seat = copy.seat(name)
        seat.git("config", "remote.origin.url", str(copy.remote))
        seat.git("config", "user.signingkey", f"{copy.folder / name}-key.pub")
    serve(copy.remote, copy.folder, signed="true", ownkey="true", trust=str(copy.folder / "config-ben" / "gitcoord"))
    return copy


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__.strip("_"))
def test_a_forgery_is_refused_by_a_server_with_the_policy(forge: Callable[[Stage], None], guarded: Stage) -> None:
    """What mallory's program may send later would be refused again: it goes with her clone's outbox."""
    guarded.seat("mallory").git("config", "gitcoord.sign", "false")
    shutil.rmtree(guarded.folder / "hand", ignore_errors=True)
    before = guarded.tip
    words = ""
    try:
        forge(guarded)
    except (GitFailed, AssertionError) as error:
        words = str(error)
    assert guarded.tip == before
    assert f"gitcoord: {BRANCH} is refused: " in words
    shutil.rmtree(guarded.folder / "outbox-mallory", ignore_errors=True)


def test_what_is_honest_and_signed_gets_past_the_policy(guarded: Stage) -> None:
    ada, ben = guarded.seat("ada", "ada-01"), guarded.seat("ben", "ben")
    assert ben.run("claim", "src/api.py").code == 3
    assert ben.ok("send", "ada-01", "may I?")["state"] == "committed"
    ada.ok("release", "src/api.py")
    assert ben.ok("claim", "src/api.py")["outcome"] == "held"
    assert _named(guarded) & {"bad_commit", "speaker", "alarm", "look_alike"} == set()
