"""What `doctor --host` says of a host's rules, by servers on loopback that answer as the hosts' documents have them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from clones import Seat
from gits import git

from gitcoord.git.repo import Repository
from gitcoord.setup.checks import host
from gitcoord.setup.hosts import rules
from gitcoord.setup.hosts.api import Api
from gitcoord.setup.hosts.place import Place
from gitcoord.setup.hosts.token import authorization


@dataclass
class Host:
    """A server. `answers`: what it says to each path, a status in place of a JSON value; `asked`: each path, with who asked."""

    port: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    moved: str = ""

    @property
    def place(self) -> Place:
        """The repository `team/project` there."""
        found = Place.of(f"http://127.0.0.1:{self.port}/team/project.git")
        assert found is not None
        return found


@pytest.fixture
def server() -> Iterator[Host]:
    """A host that knows nothing yet."""
    known = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            known.asked.append((path, self.headers.get("Authorization", "")))
            answer = known.answers.get(path, 404)
            data = b"" if isinstance(answer, int) else json.dumps(answer).encode()
            self.send_response(302 if known.moved else answer if isinstance(answer, int) else 200)
            if known.moved:
                self.send_header("Location", known.moved)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        known.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield known
        http.shutdown()
        thread.join()


def ask(kind: Any, server: Host) -> rules.Rules:
    """Ask the server as a host of that kind."""
    return rules.ask(kind, Api(server.place.api(kind)), server.place, "coordination")


def lines(found: rules.Rules) -> list[tuple[str, str]]:
    """What doctor says of it, each with its level."""
    return [(one.level, one.what) for one in host.say("GitHub (x)", found, "coordination")]


# --- GitHub ----------------------------------------------------------------------------------------------------------------

GITHUB = "api/v3/repos/team/project"


def rule(kind: str, number: int = 7, source: str = "Repository") -> dict[str, Any]:
    """A rule as `rules/branches/…` lists it."""
    name = "team" if source == "Organization" else "team/project"
    return {"type": kind, "ruleset_source_type": source, "ruleset_source": name, "ruleset_id": number}


def test_of_github_the_rules_that_are_missing_are_named_with_the_call_that_sets_them(server: Host) -> None:
    server.answers[f"{GITHUB}/rules/branches/coordination"] = []
    found = ask("github", server)
    assert found.may == ("rewrite", "delete")
    assert lines(found) == [("warning", "GitHub (x) lets whoever may push rewrite and delete coordination")]
    echoed = found.protect.call.split("'")[1]
    body = json.loads(echoed)
    assert {one["type"] for one in body["rules"]} == {"non_fast_forward", "deletion"}
    assert body["conditions"]["ref_name"]["include"] == ["refs/heads/coordination"]
    assert found.protect.call.endswith("gh api --hostname 127.0.0.1 --method POST repos/team/project/rulesets --input -")
    assert "Block force pushes" in found.protect.clicks


def test_of_github_what_is_as_it_should_be_is_said(server: Host) -> None:
    server.answers[f"{GITHUB}/rules/branches/coordination"] = [rule("non_fast_forward"), rule("deletion")]
    assert lines(ask("github", server)) == [
        ("ok", "GitHub (x) keeps everybody from rewriting or deleting coordination (deletion, non_fast_forward)")
    ]


@pytest.mark.parametrize("kind", ["pull_request", "required_status_checks", "update", "merge_queue"])
def test_of_github_a_rule_that_stops_pushes_is_wrong_and_the_branch_is_to_be_left_out(kind: str, server: Host) -> None:
    server.answers[f"{GITHUB}/rules/branches/coordination"] = [rule("non_fast_forward"), rule("deletion"), rule(kind, 9)]
    conditions = {"ref_name": {"include": ["~ALL"], "exclude": ["refs/heads/scratch"]}}
    server.answers[f"{GITHUB}/rulesets/9"] = {"id": 9, "name": "everything", "conditions": conditions}
    [stop] = ask("github", server).stops
    assert stop.always
    assert "ruleset 9 'everything' asks for " in stop.words
    changed = json.loads(stop.way.call.split("'")[1])
    assert changed["conditions"]["ref_name"] == {"include": ["~ALL"], "exclude": ["refs/heads/scratch", "refs/heads/coordination"]}
    assert stop.way.call.endswith("--method PUT repos/team/project/rulesets/9 --input -")


def test_of_github_an_organizations_rule_is_the_organizations_to_change(server: Host) -> None:
    server.answers[f"{GITHUB}/rules/branches/coordination"] = [rule("pull_request", 3, "Organization")]
    [stop] = ask("github", server).stops
    assert "orgs/team/rulesets/3 shows it" in stop.way.call
    assert stop.way.clicks.startswith("the organization's Settings")


def test_of_github_a_protected_branch_of_the_old_kind_counts(server: Host) -> None:
    server.answers[f"{GITHUB}/rules/branches/coordination"] = []
    server.answers[f"{GITHUB}/branches/coordination/protection"] = {
        "required_pull_request_reviews": {"required_approving_review_count": 1},
        "allow_force_pushes": {"enabled": False}, "allow_deletions": {"enabled": True}, "lock_branch": {"enabled": False},
    }  # fmt: skip
    found = ask("github", server)
    assert (found.may, [stop.words for stop in found.stops]) == (("delete",), ["the branch protection asks for a pull request"])


# --- GitLab ----------------------------------------------------------------------------------------------------------------

GITLAB = "api/v4/projects/team%2Fproject/protected_branches"


def protected(name: str, *levels: int, force: bool = False) -> dict[str, Any]:
    """A protected branch as GitLab lists it."""
    return {"name": name, "push_access_levels": [{"access_level": one} for one in levels], "allow_force_push": force}


@pytest.mark.parametrize(
    ("listed", "may", "stops"),
    [
        ([], ("rewrite", "delete"), []),
        ([protected("main", 40)], ("rewrite", "delete"), []),
        ([protected("coordination", 30)], (), []),
        ([protected("coordination", 30, force=True)], ("rewrite",), []),
        ([protected("*", 40)], (), [("only maintainers may push to it", False)]),
        ([protected("*", 40), protected("coord*", 30)], (), []),
        ([protected("coordination", 0)], (), [("nobody may push to it", True)]),
        ([protected("coordinatio?", 0)], ("rewrite", "delete"), []),
    ],
)
def test_of_gitlab_the_protected_branches_that_cover_it_count(listed: Any, may: Any, stops: Any, server: Host) -> None:
    server.answers[GITLAB] = listed
    found = ask("gitlab", server)
    assert (found.may, [(stop.words, stop.always) for stop in found.stops]) == (may, stops)
    assert "glab api --hostname 127.0.0.1" in found.protect.call
    assert "Protected branches" in found.protect.clicks


# --- Gitea -----------------------------------------------------------------------------------------------------------------

GITEA = "api/v1/repos/team/project/branch_protections"


@pytest.mark.parametrize(
    ("listed", "may", "stops"),
    [
        ([], ("rewrite", "delete"), []),
        ([{"rule_name": "coordination", "enable_push": True}], (), []),
        ([{"rule_name": "coordination", "enable_push": True, "enable_force_push": True}], ("rewrite",), []),
        ([{"rule_name": "*", "enable_push": False}], (), [("nobody may push to it", True)]),
        ([{"rule_name": "*", "enable_push": False}, {"rule_name": "coordination", "enable_push": True}], (), []),
        (
            [{"rule_name": "coordination", "enable_push": True, "enable_push_whitelist": True}],
            (),
            [("only people and teams on its list may push to it", False)],
        ),
    ],
)
def test_of_gitea_the_rule_that_covers_it_counts(listed: Any, may: Any, stops: Any, server: Host) -> None:
    server.answers[GITEA] = listed
    found = ask("gitea", server)
    assert (found.may, [(stop.words, stop.always) for stop in found.stops]) == (may, stops)
    assert '"enable_push": true' in found.protect.call
    assert "$GITEA_TOKEN" in found.protect.call


# --- who is asked, and by whom ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind", "api"),
    [
        ("git@github.com:team/project.git", "github", "https://api.github.com"),
        ("https://github.com/team/project", "github", "https://api.github.com"),
        ("https://acme.ghe.com/team/project.git", "github", "https://api.acme.ghe.com"),
        ("ssh://git@github.example.com:2222/team/project.git", "github", "https://github.example.com/api/v3"),
        ("https://user@gitlab.com/group/sub/project.git", "gitlab", "https://gitlab.com/api/v4"),
        ("https://codeberg.org/team/project.git", "gitea", "https://codeberg.org/api/v1"),
        ("https://git.example.com:8443/team/project.git", None, "https://git.example.com:8443/api/v1"),
    ],
)
def test_the_api_is_at_the_remotes_own_host(url: str, kind: Any, api: str) -> None:
    place = Place.of(url)
    assert place is not None
    assert (place.kind, place.api(kind or "gitea")) == (kind, api)


@pytest.mark.parametrize("url", ["/srv/git/project.git", "../project.git", "file:///srv/project.git", "host:project.git"])
def test_a_folder_has_no_host(url: str) -> None:
    assert Place.of(url) is None


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({"api/v1/version": {"version": "1.24.0"}}, "gitea"),
        ({"api/v4/version": 401}, "gitlab"),
        ({"api/v3/meta": {"installed_version": "3.21"}}, "github"),
        ({}, None),
    ],
)
def test_a_host_whose_name_says_nothing_is_known_by_what_it_answers(answers: Any, kind: Any, server: Host) -> None:
    server.answers |= answers
    apis = [(one, Api(server.place.api(one))) for one in ("gitea", "gitlab", "github")]
    assert rules.tell_kind(server.place, apis) == kind  # type: ignore[arg-type]
    assert {who for _, who in server.asked} == {""}


def test_a_host_that_points_elsewhere_is_not_followed(server: Host) -> None:
    server.moved = "http://localhost:1/elsewhere"
    found = Api(server.place.api("github"), "Bearer secret").get("meta")
    assert (found.ok, found.status, len(server.asked)) == (False, 302, 1)


@pytest.mark.parametrize("answer", [401, 403, 404, 500])
def test_what_a_host_does_not_tell_is_said_to_be_unknown(answer: int, server: Host) -> None:
    for path in (f"{GITHUB}/rules/branches/coordination", GITLAB, GITEA):
        server.answers[path] = answer
    for kind in ("github", "gitlab", "gitea"):
        [(level, what)] = lines(ask(kind, server))
        assert level == "warning"
        assert f"doesn't say which rules apply to coordination: it answers {answer}" in what


Answering = Callable[[str, dict[str, str], dict[str, str]], str]


@pytest.fixture
def asking(tmp_path: Path) -> Answering:
    """Gives the header with which a host of that kind is asked, by those variables and settings of git."""
    git(tmp_path, "init", "-q", "clone")

    def header(url: str, environ: dict[str, str], config: dict[str, str]) -> str:
        for key, value in config.items():
            git(tmp_path / "clone", "config", key, value)
        place = Place.of(url)
        assert place is not None
        found = Repository.find(str(tmp_path / "clone"), {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environ})
        return authorization(place.kind or "gitea", place, found)

    return header


def test_a_token_goes_to_the_host_that_it_is_for_and_to_no_other(asking: Answering) -> None:
    every = {"GH_TOKEN": "a", "GH_ENTERPRISE_TOKEN": "b", "GITLAB_TOKEN": "c", "GITEA_TOKEN": "d"}
    assert asking("git@github.com:a/b", every, {}) == "Bearer a"
    assert asking("git@github.example.com:a/b", every, {}) == ""
    assert asking("git@github.example.com:a/b", {**every, "GH_HOST": "github.example.com"}, {}) == "Bearer b"
    assert asking("git@gitlab.com:a/b", every, {}) == "Bearer c"
    assert asking("git@gitlab.example.com:a/b", every, {}) == ""
    assert asking("https://codeberg.org/a/b", every, {}) == ""
    assert asking("https://codeberg.org/a/b", {**every, "GITEA_SERVER_URL": "https://codeberg.org"}, {}) == "token d"


def test_else_it_is_asked_with_what_git_has_and_never_where_others_hear_it(asking: Answering) -> None:
    helper = {"credential.helper": "!f() { echo username=ada; echo password=secret; }; f"}
    assert asking("https://codeberg.org/a/b", {}, helper) == "Basic " + base64.b64encode(b"ada:secret").decode()
    assert asking("git@gitlab.com:a/b", {}, helper) == "Bearer secret"
    assert asking("http://gitea.example.com/a/b", {}, helper) == ""


def test_doctor_asks_the_host_with_the_users_token_and_prints_none(server: Host, pair: tuple[Seat, Seat]) -> None:
    ada = pair[0]
    assert any("on no host with rules of its own" in one["what"] for one in ada.ok("doctor", "--host")["findings"])
    server.answers |= {"api/v1/version": {"version": "1.24.0"}, GITEA: []}
    ada.git("config", "credential.helper", "!f() { echo username=ada; echo password=topsecret; }; f")
    ada.git("config", "remote.origin.pushurl", f"http://127.0.0.1:{server.port}/team/project.git")
    with ada.here() as found:
        said = list(host.look(found))
    assert [(one.level, one.what) for one in said] == [
        ("warning", "Gitea (127.0.0.1) lets whoever may push rewrite and delete coordination")
    ]
    assert "topsecret" not in str(said)
    assert server.asked[-1] == (GITEA, "Basic " + base64.b64encode(b"ada:topsecret").decode())
