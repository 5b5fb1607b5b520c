"""Several repositories that coordinate through one: their files apart, all else shared, and none of it in their own clones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Clone, Seat, collect, snapshot
from gits import attempt, git
from remotes import KINDS, Remote, RemoteFactory

Hub = Callable[..., list[Seat]]


@pytest.fixture
def hub(remotes: RemoteFactory) -> Remote:
    """An empty repository that is to be the hub."""
    return remotes.make("file", empty=True)


@pytest.fixture
def projects(tmp_path: Path, remotes: RemoteFactory, clone: Clone) -> Hub:
    """`projects(hub, "app", "library", "app")`: a clone of each on a machine of its own, connected with the hub."""
    made: dict[str, Remote] = {}

    def make(hub: Remote, *names: str, machine: str | None = None) -> list[Seat]:
        seats = []
        for number, name in enumerate(names):
            home = made.get(name) or made.setdefault(name, remotes.make("file", f"{tmp_path.name}-{name}"))
            place = tmp_path / f"m{number}" / name
            seat = Seat(clone(home, place), tmp_path / "outboxes" / (machine or f"m{number}"))
            for key, value in hub.config.items():
                git(place, "config", key, value)
            git(place, "config", "gitcoord.repo", name)
            seat.ok("init", "--hub", hub.url)
            seats.append(seat)
        return seats

    return make


def paths(hub: Remote) -> list[str]:
    """All files on the hub's branch."""
    return git(hub.path, "ls-tree", "-r", "--name-only", "coordination").splitlines()


def test_an_empty_hub_gets_a_first_branch_of_its_own(hub: Remote, projects: Hub) -> None:
    [app] = projects(hub, "app")
    branches = git(hub.path, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    assert branches == ["coordination", "main"]
    assert "STATUS_BOARD.md" in paths(hub)
    assert app.ok("init", "--hub", hub.url)["state"] == "unchanged"
    assert app.ok("init")["state"] == "unchanged"  # what was said once is remembered


def test_two_repositories_of_one_name_never_share_a_hub_unsaid(hub: Remote, projects: Hub, tmp_path: Path) -> None:
    """They would hold each other's files. Clones of one repository are one repository, whatever branch is checked out in them."""
    app, again = projects(hub, "app", "app")
    git(again.path, "switch", "-q", "--orphan", "pages")
    git(again.path, "commit", "-q", "--allow-empty", "-m", "pages")
    assert again.ok("init", "--hub", hub.url)["state"] == "unchanged"
    (tmp_path / "there" / "app").mkdir(parents=True)
    git(tmp_path / "there" / "app", "init", "-q")
    other = Seat(tmp_path / "there" / "app", tmp_path / "outboxes" / "there")  # called app by its folder
    git(other.path, "commit", "-q", "--allow-empty", "-m", "another beginning")
    refused = other.run("init", "--hub", hub.url)
    assert refused.code == 2
    assert "app" in refused.err
    assert "gitcoord config repo NAME" in refused.err
    assert not attempt(other.path, "config", "gitcoord.hub").out  # and nothing is half set
    other.ok("config", "repo", "shop")
    other.ok("init", "--hub", hub.url)
    for seat, name in ((app, "ada"), (other, "zoe")):
        seat.ok("start", name)
        assert seat.ok("claim", "src/api.py")["outcome"] == "held"


@pytest.mark.parametrize("way", ["config", "git config", "another name"])
def test_however_a_clone_comes_to_a_hub_a_name_stands_for_one_repository(
    way: str, hub: Remote, projects: Hub, tmp_path: Path
) -> None:
    """The first writing command says so, whatever it is; what only looks may look."""
    app, library = projects(hub, "app", "library")
    git(app.path, "config", "gitcoord.repo", "shop")  # a name that nobody entered
    git(tmp_path, "init", "-q", "other")
    other = Seat(tmp_path / "other", tmp_path / "desks" / "other")
    git(other.path, "commit", "-q", "--allow-empty", "-m", "another beginning")
    git(other.path, "config", "gitcoord.repo", "mine" if way == "another name" else "shop")
    if way == "config":
        other.ok("config", "hub", hub.url)
    else:
        git(other.path, "config", "gitcoord.hub", hub.url)
    app.ok("start", "ada")  # this enters it
    if way == "another name":
        other.ok("start", "zoe")
        other.ok("config", "repo", "shop")
    assert other.run("status").code == 0
    for words in (
        (("start", "eve"), ("claim", "src/api.py"), ("send", "ada", "hello")) if way == "another name" else (("start", "eve"),)
    ):
        refused = other.run(*words)
        assert (refused.code, "gitcoord config repo NAME" in refused.err) == (2, True), refused
    assert {one["session_id"] for one in library.ok("status")["sessions"]} <= {"ada", "zoe"}
    other.ok("config", "repo", "mine")
    other.ok("start", "zoe")
    for seat in (app, other):
        assert seat.ok("claim", "src/api.py")["outcome"] == "held"
    git(app.path, "switch", "-q", "--orphan", "pages")  # the same repository, whatever is checked out
    git(app.path, "commit", "-q", "--allow-empty", "-m", "pages")
    assert app.ok("claim", "more.py")["outcome"] == "held"


@pytest.mark.usually("ssh")  # ssh: what a clone itself says about how to get there; the dialogue below is on http
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=() if kind == "file" else pytest.mark.servers) for kind in KINDS])
def test_files_of_two_repositories_never_meet_and_all_else_is_shared(kind: str, remotes: RemoteFactory, projects: Hub) -> None:
    if reason := remotes.available(kind):
        pytest.skip(reason)
    hub = remotes.make(kind, empty=True)
    app, library, other = projects(hub, "app", "library", "library")
    for seat, name in ((app, "ada"), (library, "lib"), (other, "ben")):
        seat.ok("start", name)
    [lease] = app.ok("claim", "src/api.py")["claims"]
    assert (lease["resource_name"], lease["repo"]) == ("app//src/api.py", "app")
    assert library.ok("claim", "src")["outcome"] == "held"
    blocked = other.run("claim", "src/api.py", "--json")
    assert blocked.code == 3
    assert [one["claimed_by"] for one in blocked.json["blocked_by"]] == ["lib"]
    assert app.run("claim", "file:library//src/api.py").code == 3
    assert "file:library//src/api.py" in app.run("claim", "library//src/api.py").err
    app.ok("claim", "deploy:production")
    assert library.run("claim", "deploy:production").code == 3
    expected = {"claims/app/file-src%2Fapi.py.claim", "claims/library/file-src.claim", "claims/deploy-production.claim"}
    assert expected <= set(paths(hub))
    record = json.loads(git(hub.path, "show", "coordination:claims/library/file-src.claim"))
    assert (record["resource_name"], record["repo"], record["claimed_by"]) == ("library//src", "library", "lib")
    app.ok("release", "src/api.py")
    app.ok("release", "deploy:production")
    assert library.ok("claim", "deploy:production")["outcome"] == "held"
    assert library.ok("verify", "--full")["ok"]


def test_nothing_of_the_hub_is_in_the_clones(
    hub: Remote, projects: Hub, clone: Clone, remotes: RemoteFactory, tmp_path: Path
) -> None:
    plain = clone(remotes.make("file"), tmp_path / "plain")
    projects(hub, "library")
    git(plain, "config", "gitcoord.hub", hub.url)
    before = snapshot(plain)
    seat = Seat(plain, tmp_path / "outbox")
    seat.ok("start", "ada")
    seat.ok("claim", "a.py")
    assert snapshot(plain) == before
    assert "coordination" not in git(plain, "for-each-ref")
    assert git(plain, "rev-list", "--all", "--count") == "1"
    git(plain, "push", "--all")
    seat.ok("init", "--remove")
    assert not (plain / ".git/gitcoord").exists()
    assert not list((tmp_path / "outbox").glob("*/*"))


def test_messages_and_sessions_are_shared(hub: Remote, projects: Hub) -> None:
    app, library = projects(hub, "app", "library")
    app.ok("start", "ada")
    library.ok("start", "lib")
    app.ok("send", "lib", "hello")
    assert [one["subject"] for one in library.ok("inbox")["messages"]] == ["hello"]
    sessions = {one["session_id"]: one["repo"] for one in app.ok("status")["sessions"]}
    assert sessions == {"ada": "app", "lib": "library"}


def test_status_of_one_repository(hub: Remote, projects: Hub) -> None:
    app, library = projects(hub, "app", "library")
    app.ok("start", "ada")
    library.ok("start", "lib")
    app.ok("claim", "a.py")
    library.ok("claim", "a.py")
    library.ok("claim", "port:8080")
    app.ok("send", "lib", "to lib")
    app.ok("send", "ada", "to myself")
    library.ok("send", "lib", "among us")
    now = library.ok("status", "--repo", "app")
    assert [one["session_id"] for one in now["sessions"]] == ["ada"]
    assert {(one["resource_type"], one["resource_name"]) for one in now["claims"]} == {("file", "app//a.py"), ("port", "8080")}
    assert [one["subject"] for one in now["messages"]] == ["to lib", "to myself"]
    [row] = [line for line in library.run("board").out.splitlines() if line.startswith("| lib |")]
    assert "library" in row.split(" | ")[3]


def test_the_same_file_touched_in_two_repositories_is_no_overlap(hub: Remote, projects: Hub) -> None:
    app, library, other = projects(hub, "app", "library", "library")
    for seat, name in ((app, "ada"), (library, "lib"), (other, "ben")):
        seat.ok("start", name)
        (seat.path / "same.py").write_text(name)
        git(seat.path, "add", "same.py")
        git(seat.path, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "same")
        assert seat.run("hook", "git", "post-commit").code == 0  # as the shim does
        seat.ok("sync")
    [item] = [one for one in app.ok("status")["attention"] if one["kind"] == "overlap"]
    assert item["sessions"] == ["ben", "lib"]
    assert item["resource"] == "file:library//same.py"


def test_the_guard_minds_its_own_repository(hub: Remote, projects: Hub) -> None:
    app, library, other = projects(hub, "app", "library", "library")
    for seat, name in ((app, "ada"), (library, "lib"), (other, "ben")):
        seat.ok("start", name)
        (seat.path / "a.py").write_text("a")
        git(seat.path, "add", "a.py")
    library.ok("config", "--shared", "guard", "block")
    library.ok("claim", "a.py")
    for seat in (app, other):
        seat.ok("sync")
    for _ in range(2):  # the second time by the short list that the first one left
        assert app.run("guard", "--staged").code == 0
        assert other.run("guard", "--staged").code == 0  # the file is new
    for seat in (app, other):
        git(seat.path, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "a")
        (seat.path / "a.py").write_text("b")
        git(seat.path, "add", "a.py")
    for _ in range(2):
        assert app.run("guard", "--staged").code == 0
        blocked = other.run("guard", "--staged")
        assert blocked.code == 3
        assert "library//a.py is held by lib" in blocked.err
        assert other.run("guard", "a.py").code == 3


def test_work_goes_over_to_a_session_of_another_repository_and_stays_where_it_was(hub: Remote, projects: Hub) -> None:
    app, library = projects(hub, "app", "library")
    app.ok("start", "ada")
    library.ok("start", "lib")
    library.ok("claim", "src/api.py")
    library.ok("claim", "docs.md")
    library.ok("release", "docs.md", "--next", "REVIEW")
    library.ok("handoff", "ada", "--next", "the rest")
    for offer in app.ok("handoffs")["handoffs"]:
        app.ok("take", offer["id"])
    held = {(one["resource_name"], one["repo"], one["claimed_by"]) for one in library.ok("claims")["claims"]}
    assert held == {("library//src/api.py", "library", "ada"), ("library//docs.md", "library", "ada")}
    assert app.ok("verify", "--full")["ok"]


def test_a_briefing_knows_whose_files_one_works_on(hub: Remote, projects: Hub) -> None:
    app, library, other = projects(hub, "app", "library", "library")
    for seat, name in ((app, "ada"), (library, "lib"), (other, "ben")):
        seat.ok("start", name)
    (other.path / "mine.py").write_text("x")
    git(other.path, "add", "mine.py")
    app.ok("claim", "mine.py", "--reason", "far away")
    library.ok("claim", "mine.py", "--reason", "close by")
    text = other.ok("briefing")["text"]
    near = text.partition("Claims near your work:")[2].partition("Who is there:")[0]
    assert "close by" in near
    assert "far away" not in near


def test_the_hub_is_away_and_comes_back(hub: Remote, projects: Hub) -> None:
    app, library = projects(hub, "app", "library")
    app.ok("start", "ada")
    library.ok("start", "lib")
    hub.away()
    assert app.run("claim", "a.py").code == 6
    assert app.ok("send", "lib", "later")["state"] == "queued"
    hub.back()
    app.ok("sync")
    assert [one["subject"] for one in library.ok("inbox")["messages"]] == ["later"]


def test_two_projects_on_one_machine_share_its_outbox_and_a_lost_outbox_is_made_anew(hub: Remote, projects: Hub) -> None:
    app, library = projects(hub, "app", "library", machine="one")
    app.ok("start", "ada")
    library.ok("start", "lib")
    outboxes = [path for path in app.outbox.iterdir() if path.is_dir()]
    assert len(outboxes) == 1
    app.ok("claim", "a.py")
    shutil.rmtree(outboxes[0])
    assert library.ok("claim", "a.py")["outcome"] == "held"
    assert [one["repo"] for one in app.ok("claims")["claims"]] == ["app", "library"]


def test_a_hub_with_another_hash(hub: Remote, projects: Hub, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "--object-format=sha256", "other.git")
    seed = tmp_path / "seed"
    git(tmp_path, "init", "--quiet", "--object-format=sha256", str(seed))
    git(seed, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "first", "--allow-empty")
    git(seed, "push", "--quiet", str(tmp_path / "other.git"), "HEAD:main")
    other = Remote("file", str(tmp_path / "other.git"), tmp_path / "other.git")
    [app] = projects(other, "app")
    app.ok("start", "ada")
    assert app.ok("claim", "a.py")["outcome"] == "held"
    assert len(git(other.path, "rev-parse", "coordination")) == 64


def test_racing_first_inits_end_with_one_root(
    hub: Remote, projects: Hub, remotes: RemoteFactory, clone: Clone, tmp_path: Path
) -> None:
    seats = [Seat(clone(remotes.make("file"), tmp_path / f"r{n}"), tmp_path / f"d{n % 2}") for n in range(4)]
    done = collect([seat.start("init", "--hub", hub.url, "--json") for seat in seats])
    assert [ran.code for ran in done] == [0, 0, 0, 0]
    assert len(git(hub.path, "rev-list", "--max-parents=0", "coordination").split()) == 1


def test_a_repository_is_called_by_its_remote(tmp_path: Path, clone: Clone, remotes: RemoteFactory) -> None:
    seat = Seat(clone(remotes.make("file", f"{tmp_path.name}.thing"), tmp_path / "somewhere"), tmp_path / "outbox")
    seat.ok("init")
    seat.ok("start", "ada")
    linked = tmp_path / "linked"
    git(seat.path, "worktree", "add", "-q", str(linked))
    Seat(linked, seat.outbox).ok("start", "ben")
    assert {one["repo"] for one in seat.ok("status")["sessions"]} == {f"{tmp_path.name}.thing"}
    refused = seat.run("config", "repo", "a/b")
    assert refused.code == 2
    assert "no repository's name" in refused.err


def test_what_can_not_be_a_hub_is_refused(tmp_path: Path, clone: Clone, remotes: RemoteFactory, hub: Remote) -> None:
    seat = Seat(clone(remotes.make("file"), tmp_path / "one"), tmp_path / "outbox")
    assert seat.run("init", "--hub", hub.url, "--local").code == 2
    assert seat.run("init", "--hub", "ext::sh -c true").code == 2
    assert seat.run("init", "--hub", str(tmp_path / "nothing")).code == 6
    assert attempt(seat.path, "config", "--get-regexp", r"^gitcoord\.").out == ""


@pytest.mark.servers
def test_library_and_app_talk_about_version_2(remotes: RemoteFactory, projects: Hub) -> None:
    """The dialogue of the seed: a question, a counter-question, code, a bug that is found, told, mended and tested."""
    if reason := remotes.available("http"):
        pytest.skip(reason)
    hub = remotes.make("http", empty=True)
    app, library = projects(hub, "app", "library")
    app.ok("start", "app-upgrade", "--work", "upgrading library to v2")
    library.ok("start", "lib-v2", "--work", "releasing v2")

    asking = app.start("ask", "repo:library", "What changed in v2?", "--timeout", "100s", "--json")
    [question] = library.ok("listen", "--timeout", "100s")["messages"]
    assert (question["from"], question["subject"]) == ("app-upgrade", "What changed in v2?")
    which = ["Sync or async client?", "--reply-to", str(question["seq"])]
    back = library.start("ask", "app-upgrade", *which, "--timeout", "100s", "--json")
    [counter] = collect([asking])[0].json["messages"]
    assert (counter["type"], counter["subject"]) == ("question", "Sync or async client?")
    final = app.start("reply", "Async.", "--wait", "--timeout", "100s", "--json")
    [told] = collect([back])[0].json["messages"]
    assert told["subject"] == "Async."
    code = "get() is awaitable now:\n\n    async with Client() as client:\n        print(await client.get('/x'))"
    library.ok("reply", str(question["seq"]), code)
    [answer] = collect([final])[0].json["messages"]
    assert answer["message"] == code

    told = "Bug in v2: close() hangs\n\nclient.close() never returns"
    report = app.start("ask", "repo:library", told, "--timeout", "100s", "--json")
    [bug] = library.ok("listen", "--timeout", "100s")["messages"]
    assert "never returns" in bug["message"]
    library.ok("claim", "src/client.py", "--reason", "close() hangs")
    (library.path / "client.py").write_text("def close(): return None\n")
    git(library.path, "add", "client.py")
    git(library.path, "-c", "user.name=lib", "-c", "user.email=l@b", "commit", "-qm", "close: return")
    commit = git(library.path, "rev-parse", "HEAD").strip()
    library.ok("release", "src/client.py", "--done", "close() returns", "--tests", "pass")
    library.ok("reply", str(bug["seq"]), f"Fixed in {commit}.")
    [fixed] = collect([report])[0].json["messages"]
    assert commit in fixed["subject"]
    news = app.ok("inbox")["messages"]
    assert [(one["type"], one["from"]) for one in news] == [("work_completed", "lib-v2")]
    app.ok("send", "lib-v2", "Tested: close() returns here, too")
    assert [one["subject"] for one in library.ok("inbox")["messages"]] == ["Tested: close() returns here, too"]
    assert app.ok("status")["attention"] == []
    assert app.ok("verify")["ok"]


def test_what_was_set_wrong_can_be_set_right(tmp_path: Path, clone: Clone, remotes: RemoteFactory) -> None:
    place = clone(remotes.make("file"), tmp_path / "one")
    git(place, "remote", "rename", "origin", "mine")
    git(place, "remote", "add", "theirs", str(tmp_path))
    seat = Seat(place, tmp_path / "outbox")
    told = seat.run("init")
    assert told.code == 2
    assert "hint: gitcoord config remote NAME" in told.err
    assert seat.run("config", "remote", "mine").code == 0
    assert seat.run("init").code == 0
    assert seat.run("config", "hub", "ext::x").code == 2
    git(place, "config", "gitcoord.hub", "ext::x")
    assert seat.run("status").code == 2
    assert seat.run("config", "hub", str(tmp_path / "other.git")).code == 0
