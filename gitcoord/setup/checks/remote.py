"""The remote: whether it takes what we push, how large the branch has become, and what its host is known to limit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitcoord.connection.connect import Connection
from gitcoord.core.carrying import may_carry
from gitcoord.core.names import show, web_of
from gitcoord.core.times import spell
from gitcoord.git.remote_tip import RemoteTip
from gitcoord.setup.checks.finding import Finding

LARGE, MANY, FEW = 20 * 1000 * 1000, 20_000, 1_000
"""Bytes of the branch, or events of its epoch, from which on a new clone feels it; events that are not worth making it short."""
_SECONDS = 5.0
_SHOWN = 5  # carriers that were refused

# From GitHub's own pages about limits of repositories and GitLab's about rate limits, as of 2026.
_LIMITS = {
    "github.com": "GitHub advises at most 6 pushes a minute to one repository (sessions fold their heartbeats for that), and takes "
    "no push over 2 GB",
    "gitlab.com": "GitLab counts git operations over ssh, by default 600 a minute for a user and project",
}
_RULES = {
    "github.com": "a ruleset or a protected branch whose pattern covers {branch} (such as *) and asks for pull requests or checks "
    "stops every push: leave {branch} out of it",
    "gitlab.com": "a protected branch whose pattern covers {branch} (such as *) stops who may not push there: allow all who "
    "coordinate",
}


def look(found: Connection) -> Iterator[Finding]:
    """All of it; changes nothing."""
    if not isinstance(found.tip, RemoteTip) or not found.tip.local():
        return
    refusal = found.outbox.refusal()
    if refusal is not None:
        yield Finding(
            "wrong",
            f"{found.tip.where} refuses what this machine pushes to {found.settings.branch}, since {spell(refusal.since)}: "
            f"{show(refusal.words, 300)}. Nobody sees the sessions that start here; they only read",
            f"whoever keeps the repository allows pushes to {found.settings.branch} (leaves it out of the rule). "
            + _carrying(found),
        )
    else:
        yield from _write(found, found.tip)
    yield from _carriers(found)
    yield from _size(found, found.tip)
    host = host_of(found.tip.url)
    if host in _LIMITS:
        yield Finding("ok", _LIMITS[host])
    yield from _links(found, found.tip)


def _links(found: Connection, tip: RemoteTip) -> Iterator[Finding]:
    """Return how the board could link to branches and commits, where the remote lies on a host that shows them."""
    rules, web = found.coordinator.log.view().state.rules, web_of(tip.url)
    if web and rules.settings.web == "none" and not rules.repositories:
        yield Finding("ok", "the board names branches and commits without links to them", f"gitcoord config --shared web {web}")


def _write(found: Connection, tip: RemoteTip) -> Iterator[Finding]:
    answered, words = tip.would_take(min(_SECONDS, found.settings.deadline))
    if answered:
        rule = _RULES.get(host_of(tip.url), "").format(branch=found.settings.branch)
        more = f": {rule}" if rule else ""
        yield Finding("ok", f"{tip.where} answers to a push of yours; whether its rules allow one only a real one shows{more}")
    else:
        yield Finding("wrong", f"{tip.where} takes no push of yours: {words}", "check that you may write there: git push --dry-run")


def _carrying(found: Connection) -> str:
    """Return what else would help where the branch can't be pushed."""
    settings = found.coordinator.log.view().state.rules.settings
    if not settings.carry:
        return "Or somebody who may push has it carried: gitcoord config --shared carry true"
    if not may_carry(settings.carry_from, found.repo.branch):
        return f"Or work on a branch that carries what you say: {settings.carry_from}"
    return f"Till then what you say rides on {found.repo.branch}, and counts once another session adopts it"


def _carriers(found: Connection) -> Iterator[Finding]:
    """Return what other branches carry that was not adopted here, and why."""
    settings = found.coordinator.log.view().state.rules.settings
    if settings.carry:
        yield Finding("ok", f"what branches carry for sessions that may not push is adopted with each sync: {settings.carry_from}")
        for text in found.outbox.adopted()[1][-_SHOWN:]:
            yield Finding("warning", f"not adopted: {show(text, 300)}", "nothing of it counts; ask who pushes that branch")


def _size(found: Connection, tip: RemoteTip) -> Iterator[Finding]:
    size = found.home.disk_usage(tip.local(), _SECONDS)
    checked = found.coordinator.log.view().checked
    events = checked.seq - checked.before
    if events > MANY or (events > FEW and (size or 0) > LARGE):
        how = f"{size / 1e6:.0f} MB and " if size is not None else ""
        yield Finding(
            "warning",
            f"{tip.ref} has {how}{events:,} events since its beginning: every new clone fetches them",
            "gitcoord compact makes it short, for all; gitcoord doctor --fix packs it, here",
        )
    elif size is None:
        yield Finding("ok", f"how large {tip.ref} is could not be counted in {_SECONDS:.0f} s")
    else:
        yield Finding("ok", f"{tip.ref} has {size / 1e6:.1f} MB in this clone")


def host_of(url: str) -> str:
    """The host that the URL names, in small letters; "" for a path."""
    if "://" in url:
        authority = re.split(r"[/?#]", url.partition("://")[2])[0]
        return re.sub(r":[0-9]*$", "", authority.rpartition("@")[2]).strip("[]").lower()
    before, colon, _ = url.partition(":")
    return before.rpartition("@")[2].lower() if colon and "/" not in before else ""
