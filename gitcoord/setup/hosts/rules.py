"""What the three kinds of hosts say of a branch, in one form. Pure but for what is asked through `Api`.

What gitcoord needs: nobody may rewrite or delete the branch, and whoever coordinates may push to it, directly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from gitcoord.setup.hosts.api import Answer, Api
from gitcoord.setup.hosts.place import Kind, Place


@dataclass(frozen=True)
class Way:
    """How somebody who administers the repository changes it: by a call, and by clicks."""

    call: str
    clicks: str


@dataclass(frozen=True)
class Stop:
    """A rule that stops, or may stop, what sessions push. `always`: it stops everybody."""

    words: str
    way: Way
    always: bool = True


@dataclass(frozen=True)
class Rules:
    """What applies to the branch. `rules`: as the host calls them; `may`: what anybody who may push can still do to the branch;
    `protect`: how that is ended; `unknown`: what the host didn't tell.
    """

    rules: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    protect: Way = Way("", "")
    stops: tuple[Stop, ...] = ()
    unknown: str = ""


REWRITE, DELETE = "rewrite", "delete"


def ask(kind: Kind, api: Api, place: Place, branch: str) -> Rules:
    """Ask a host of that kind."""
    asked: dict[Kind, Callable[[Api, Place, str], Rules]] = {"github": _github, "gitlab": _gitlab, "gitea": _gitea}
    return asked[kind](api, place, branch)


def _json(value: Mapping[str, Any]) -> str:
    """Return the value as a word of a shell that stands between single quotes."""
    return json.dumps(value).replace("'", "'\\''")


def _entries(answer: Answer) -> list[Mapping[str, Any]]:
    return [one for one in answer.value if isinstance(one, dict)] if isinstance(answer.value, list) else []


# --- GitHub ----------------------------------------------------------------------------------------------------------------

_STOPPING = {
    "pull_request": "a pull request", "required_status_checks": "status checks", "update": "nobody but who may bypass it",
    "merge_queue": "the merge queue", "required_deployments": "a deployment", "workflows": "a workflow",
    "code_scanning": "code scanning", "required_signatures": "signatures of all commits",
}  # fmt: skip
_OPEN = {"non_fast_forward": REWRITE, "deletion": DELETE}


def _github(api: Api, place: Place, branch: str) -> Rules:
    answer = api.get(f"repos/{place.pair}/rules/branches/{quote(branch, safe='')}?per_page=100")
    if not answer.ok:
        return Rules(unknown=_why(answer, "a token that may read it: gh auth login"))
    found = [(str(one.get("type")), one) for one in _entries(answer)]
    types = {kind for kind, _ in found}
    stops = [_github_stop(api, place, branch, kind, rule) for kind, rule in found if kind in _STOPPING]
    classic = api.get(f"repos/{place.pair}/branches/{quote(branch, safe='')}/protection")
    closed = {_OPEN[kind] for kind in types if kind in _OPEN}
    if classic.ok and isinstance(classic.value, dict):
        closed |= {REWRITE} if not _is_on(classic.value, "allow_force_pushes") else set()
        closed |= {DELETE} if not _is_on(classic.value, "allow_deletions") else set()
        stops += _classic_stops(classic.value, place, branch)
        types.add("a protected branch")
    body = {
        "name": branch, "target": "branch", "enforcement": "active",
        "conditions": {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}},
        "rules": [{"type": "non_fast_forward"}, {"type": "deletion"}], "bypass_actors": [],
    }  # fmt: skip
    protect = Way(
        f"echo '{_json(body)}' | {_gh(place)} --method POST repos/{place.pair}/rulesets --input -",
        f"Settings, Rules, Rulesets, New branch ruleset: enforcement Active, target {branch}, "
        "tick Restrict deletions and Block force pushes only",
    )
    may = tuple(one for one in (REWRITE, DELETE) if one not in closed)
    return Rules(tuple(sorted(types)), may, protect, tuple(stops))


def _gh(place: Place) -> str:
    return "gh api" if place.host == "github.com" else f"gh api --hostname {place.host}"


def _github_stop(api: Api, place: Place, branch: str, kind: str, rule: Mapping[str, Any]) -> Stop:
    number, source = rule.get("ruleset_id"), str(rule.get("ruleset_source") or "")
    number = number if isinstance(number, int) else 0
    owned = rule.get("ruleset_source_type") == "Organization" and bool(re.fullmatch(r"[\w.-]+", source))
    path = f"orgs/{source}/rulesets/{number}" if owned else f"repos/{place.pair}/rulesets/{number}"
    answer = api.get(path)
    known = answer.value if answer.ok and isinstance(answer.value, dict) else {}
    names = known.get("conditions", {}).get("ref_name", {}) if isinstance(known.get("conditions"), dict) else {}
    ref = f"refs/heads/{branch}"
    if isinstance(names, dict) and isinstance(names.get("include"), list):
        excluded = [one for one in names.get("exclude") or [] if one != ref]
        changed = {"conditions": {**known["conditions"], "ref_name": {"include": names["include"], "exclude": [*excluded, ref]}}}
        call = f"echo '{_json(changed)}' | {_gh(place)} --method PUT {path} --input -"
    else:
        call = f"{_gh(place)} {path} shows it, to who may see it"
    name = known.get("name")
    which = f"ruleset {number}" + (f" {name!r}" if isinstance(name, str) else "") + (f" of {source}" if owned else "")
    where = "the organization's Settings, Repository, Rulesets" if owned else "Settings, Rules, Rulesets"
    way = Way(call, f"{where}, {which}, Target branches, Add target, Exclude by pattern: {branch}")
    return Stop(f"{which} asks for {_STOPPING[kind]} ({kind})", way, always=kind != "required_signatures")


def _is_on(protection: Mapping[str, Any], key: str) -> bool:
    part = protection.get(key)
    return isinstance(part, dict) and part.get("enabled") is True


def _classic_stops(protection: Mapping[str, Any], place: Place, branch: str) -> list[Stop]:
    asks = {
        "required_pull_request_reviews": "a pull request",
        "required_status_checks": "status checks",
        "restrictions": "certain people",
    }
    words = [what for key, what in asks.items() if protection.get(key)]
    words += ["nobody: it is locked"] if _is_on(protection, "lock_branch") else []
    way = Way(
        f"{_gh(place)} repos/{place.pair}/branches/{quote(branch, safe='')}/protection shows it, to who may see it",
        f"Settings, Branches: let no protection rule cover {branch}; a ruleset that blocks force pushes does for it",
    )
    return [Stop(f"the branch protection asks for {what}", way, always=what != "certain people") for what in words]


# --- GitLab ----------------------------------------------------------------------------------------------------------------

_DEVELOPERS, _MAINTAINERS = 30, 40


def _gitlab(api: Api, place: Place, branch: str) -> Rules:
    answer = api.get(f"projects/{place.project}/protected_branches?per_page=100")
    if not answer.ok:
        return Rules(unknown=_why(answer, "a token that may read the project: GITLAB_TOKEN"))
    covering = [
        one for one in _entries(answer) if fnmatchcase(branch, str(one.get("name")).replace("[", "[[]").replace("?", "[?]"))
    ]
    clicks = (
        f"Settings, Repository, Protected branches: {branch}, Allowed to push: Developers + Maintainers, Allowed to force push: off"
    )
    glab = "glab api" if place.host == "gitlab.com" else f"glab api --hostname {place.host}"
    fields = "-F push_access_level=30 -F merge_access_level=30 -F allow_force_push=false"
    call = f"{glab} --method POST projects/{place.project}/protected_branches -f name={branch} {fields}"
    own = any(one.get("name") == branch for one in covering)
    patch = f"{glab} --method PATCH projects/{place.project}/protected_branches/{quote(branch, safe='')}"
    if not covering:
        return Rules((), (REWRITE, DELETE), Way(call, clicks))
    rules = tuple(f"protected branch {one.get('name')}" for one in covering)
    forced = any(one.get("allow_force_push") is True for one in covering)  # of several rules the most permissive one counts
    levels = [level for one in covering for level in one.get("push_access_levels") or () if isinstance(level, dict)]
    least = [level.get("access_level") for level in levels if not (level.get("user_id") or level.get("group_id"))]
    numbers = [level for level in least if isinstance(level, int) and level > 0]
    stops = []
    widen = Way(f"{patch} -F push_access_level=30" if own else call, clicks)
    if not levels or (not numbers and not any(level.get("user_id") or level.get("group_id") for level in levels)):
        stops.append(Stop("nobody may push to it", widen))
    elif not numbers or min(numbers) > _DEVELOPERS:
        who = "maintainers" if numbers and min(numbers) == _MAINTAINERS else "certain people"
        stops.append(Stop(f"only {who} may push to it", widen, always=False))
    protect = Way(f"{patch} -F allow_force_push=false" if own else call, clicks)
    return Rules(rules, (REWRITE,) if forced else (), protect, tuple(stops))


# --- Gitea and Forgejo -----------------------------------------------------------------------------------------------------


def _gitea(api: Api, place: Place, branch: str) -> Rules:
    answer = api.get(f"repos/{place.pair}/branch_protections")
    if not answer.ok:
        return Rules(unknown=_why(answer, "a token of somebody who administers the repository: GITEA_TOKEN"))
    covering = [one for one in _entries(answer) if _covers(str(one.get("rule_name") or one.get("branch_name") or ""), branch)]
    exact = [one for one in covering if (one.get("rule_name") or one.get("branch_name")) == branch]
    clicks = f"Settings, Branches, Add new rule: {branch}, Enable push, no force push"
    base = f"{place.api('gitea')}/repos/{place.pair}/branch_protections"
    curl = "curl -fsS -H \"Authorization: token $GITEA_TOKEN\" -H 'Content-Type: application/json' -d"
    wanted = {"enable_push": True, "enable_push_whitelist": False, "enable_force_push": False, "require_signed_commits": False}
    call = f"{curl} '{_json({'rule_name': branch, **wanted})}' {base}"
    if not covering:
        return Rules((), (REWRITE, DELETE), Way(call, clicks))
    rule = (exact or covering)[0]  # one rule counts; a plain name goes before a pattern
    name = str(rule.get("rule_name") or rule.get("branch_name"))
    if exact:
        call = f"{curl} '{_json(wanted)}' -X PATCH {base}/{quote(branch, safe='')}"
    way = Way(call, clicks)
    stops = []
    if rule.get("enable_push") is not True:
        stops.append(Stop("nobody may push to it", way))
    elif rule.get("enable_push_whitelist") is True:
        stops.append(Stop("only people and teams on its list may push to it", way, always=False))
    if rule.get("require_signed_commits") is True:
        stops.append(Stop("it asks for signatures of all commits", way, always=False))
    if rule.get("protected_file_patterns"):
        stops.append(Stop(f"it protects files ({rule['protected_file_patterns']})", way, always=False))
    may = (REWRITE,) if rule.get("enable_force_push") is True else ()
    return Rules((f"branch protection {name}",), may, way, tuple(stops))


def _covers(pattern: str, branch: str) -> bool:
    return pattern == branch or fnmatchcase(branch, pattern)


# --- all of them -----------------------------------------------------------------------------------------------------------


def _why(answer: Answer, needed: str) -> str:
    if answer.status in {401, 403, 404}:
        return f"{answer.why}, as it does to who may not see it; it needs {needed}"
    return answer.why or f"it answers {answer.status}"


def tell_kind(place: Place, apis: Sequence[tuple[Kind, Api]]) -> Kind | None:
    """Return the kind of a host whose name doesn't tell it, by what it answers without a token; None where that tells nothing."""
    if place.kind:
        return place.kind
    for kind, api in apis:
        answer = api.get({"gitea": "version", "gitlab": "version", "github": "meta"}[kind])
        known = answer.ok and isinstance(answer.value, dict)
        if (kind != "gitlab" and known) or (kind == "gitlab" and (known or answer.status == 401)):
            return kind
    return None
