"""The rules of the host: whether sessions may push to the branch, and nobody rewrite it. Changes nothing there."""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord.connection.connect import Connection
from gitcoord.core.names import show
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.setup.checks.finding import Finding
from gitcoord.setup.hosts import rules as host_rules
from gitcoord.setup.hosts.api import Api
from gitcoord.setup.hosts.place import KINDS, Place
from gitcoord.setup.hosts.rules import Rules, Way
from gitcoord.setup.hosts.token import authorization

_NAMES = {"github": "GitHub", "gitlab": "GitLab", "gitea": "Gitea"}
_WIDTH = 2000  # characters of a call


def look(found: Connection) -> Iterator[Finding]:
    """Ask the host of the remote for the rules that apply to the branch, and say what is missing and what is in the way."""
    place = Place.of(found.tip.url) if isinstance(found.tip, RemoteTip) else None
    if place is None:
        yield Finding("ok", "the remote is on no host with rules of its own: on a server of yours, gitcoord serve-policy sets some")
        return
    ca = (found.repo.setting("http.sslcainfo") or "") if place.web.startswith("https") else ""
    kind = host_rules.tell_kind(place, [(one, Api(place.api(one), ca=ca)) for one in KINDS])
    if not kind:
        yield Finding("warning", f"{place.host} is no GitHub, GitLab, Gitea or Forgejo that answers: its rules can't be asked")
        return
    api = Api(place.api(kind), authorization(kind, place, found.repo), ca)
    yield from say(f"{_NAMES[kind]} ({place.host})", host_rules.ask(kind, api, place, found.settings.branch), found.settings.branch)


def say(host: str, rules: Rules, branch: str) -> Iterator[Finding]:
    """Return what there is to say of those rules."""
    if rules.unknown:
        yield Finding("warning", f"{host} doesn't say which rules apply to {branch}: {show(rules.unknown, 300)}")
        return
    for stop in rules.stops:
        if stop.always:
            yield Finding("wrong", f"{host} stops what sessions push to {branch}: {show(stop.words, 300)}", _hint(stop.way))
        else:
            yield Finding("warning", f"{host} may stop what sessions push to {branch}: {show(stop.words, 300)}", _hint(stop.way))
    if rules.may:
        yield Finding("warning", f"{host} lets whoever may push {' and '.join(rules.may)} {branch}", _hint(rules.protect))
    else:
        named = ", ".join(rules.rules)
        yield Finding("ok", f"{host} keeps everybody from rewriting or deleting {branch} ({show(named, 300)})")


def _hint(way: Way) -> str:
    return f"who administers the repository: {show(way.call, _WIDTH)} | or by hand: {show(way.clicks, 400)}"
