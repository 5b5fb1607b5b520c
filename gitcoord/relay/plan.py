"""Builds a relay's plan of what was typed, the person's own settings file, and the environment.

Secrets are in the last two only.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from gitcoord.core import names
from gitcoord.core.times import parse_duration
from gitcoord.errors import BadInput
from gitcoord.relay.filter import Choice
from gitcoord.relay.redact import has_secret
from gitcoord.relay.services.api import Inlet, Outlet
from gitcoord.relay.services.apprise import Chat
from gitcoord.relay.services.file import Lines
from gitcoord.relay.services.gate import Gate
from gitcoord.relay.services.slack import Slack
from gitcoord.relay.services.webhook import Webhook
from gitcoord.relay.settings import RelayFile, parse_name, read_settings

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
_OF_APPRISE = re.compile(
    r"hooks\.slack\.com|(?:\w+\.)?discord(?:app)?\.com|.+\.webhook\.office\.com|.+\.logic\.azure\.com|.+\.powerplatform\.com"
)
_PLAIN_PART = 16  # characters of a part of a path from which on it may be a secret


@dataclass(frozen=True)
class Typed:
    """What was typed. None, empty or False: not given."""

    name: str = "chat"
    to: Sequence[str] = ()
    events: Sequence[str] = ()
    source: str | None = None
    file: Path | None = None
    command: str | None = None
    command_on: Sequence[str] = ()
    command_timeout: str | None = None
    ttl: str | None = None
    since: int | None = None
    allow_private: bool = False
    allow_http: bool = False


def settings_path(environ: Mapping[str, str]) -> Path:
    """Where the person's own settings are."""
    home = environ.get("HOME") or os.path.expanduser("~")
    return Path(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")) / "gitcoord" / "relay.toml"


def make_plan(
    typed: Typed, environ: Mapping[str, str], work_tree: str, runner: Callable[[str, float], Runner] | None = None
) -> Plan:
    """The plan. `runner`: what runs the person's command (None: it is only looked at). Raises BadInput, in words that quote no
    address.
    """
    name = parse_name(typed.name)
    place = settings_path(environ)
    file = read_settings(place, name, outside=work_tree)
    values = file.values
    gate = Gate(typed.allow_private or bool(values.get("allow_private")), typed.allow_http or bool(values.get("allow_http")))
    maker = _Maker(gate, file, environ, place)
    if typed.to:
        maker.typed(typed.to)
    else:
        maker.trusted([*values.get("to", ()), *environ.get("GITCOORD_RELAY_TO", "").split()])
    source = typed.source or values.get("from")
    inlets: list[Inlet] = []
    if source:
        inlets.append(maker.source(source))
    path = typed.file or (Path(os.path.expanduser(values["from_file"])) if values.get("from_file") else None)
    if path is not None:
        inlets.append(Lines("file", path))
    if not maker.outlets and not inlets:
        raise BadInput("a relay needs somewhere to relay to, or from", hint=f"set it in {place}: see docs/relay.md")
    command = typed.command or _words(values.get("exec"))
    limit = parse_duration(typed.command_timeout or str(values.get("exec_timeout", "30m"))).total_seconds()
    run_on = tuple(typed.command_on) or _many(values.get("exec_on"))
    ttl = int(parse_duration(typed.ttl or str(values.get("ttl", "15m"))).total_seconds())
    if ttl < 300:
        raise BadInput("a relay's claim lasts at least 5 minutes", hint="gitcoord relay --ttl 5m")
    return Plan(
        name=name, choice=Choice.parse(tuple(typed.events) or _many(values.get("events"))), outlets=tuple(maker.outlets),
        inlets=tuple(inlets), runner=runner(command, limit) if command and runner else None,
        run_on=Choice.parse(run_on) if run_on else None, ttl_seconds=ttl, since=typed.since,
        answers_only=maker.answers_only,
    )  # fmt: skip


def _many(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value or ()))


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(shlex.quote(str(one)) for one in value)
    return str(value or "")


class _Maker:
    """Makes the ways out and in."""

    def __init__(self, gate: Gate, file: RelayFile, environ: Mapping[str, str], place: Path) -> None:
        self.outlets: list[Outlet] = []
        self.answers_only = ""
        self._gate, self._file, self._environ, self._place = gate, file, environ, place

    def typed(self, texts: Sequence[str]) -> None:
        """Those that were typed. An address that may be a secret is refused there: other users of the machine see what is typed,
        and the shell keeps it.
        """
        for text in texts:
            if "://" in text and _may_be_secret(text):
                raise BadInput(
                    "an address on the command line can be seen by others, and this one may hold a secret; it was not used",
                    hint=f'put it under [urls] in {self._place} (mode 600) as ops = "…", and then: gitcoord relay --to ops',
                )
        self.trusted(texts)

    def trusted(self, texts: Sequence[str]) -> None:
        """Those that may hold secrets."""
        for text in texts:
            outlet = self._outlet(text)
            if any(one.name == outlet.name for one in self.outlets):
                raise BadInput(f"{outlet.name} is given twice")
            self.outlets.append(outlet)

    def source(self, text: str) -> Inlet:
        """The way in. It answers the same way, so it is a way out as well."""
        if not text.startswith("slack:"):
            raise BadInput(f"{names.show(text, 60)!r} is nowhere to relay from", hint="slack:CHANNEL, or --from-file FILE")
        slack = self._slack(text)
        if not any(one.name == slack.name for one in self.outlets):
            self.outlets.append(slack)
            self.answers_only = slack.name
        return slack

    def _outlet(self, text: str) -> Outlet:
        if text.startswith("slack:") and "://" not in text:
            return self._slack(text)
        if text.startswith("env:"):
            key = text.removeprefix("env:")
            if not self._environ.get(key):
                raise BadInput(f"the variable {names.show(key, 60)} is not set")
            return self._address(_label(key.lower()), self._environ[key])
        if "://" not in text:
            if text not in self._file.urls:
                raise BadInput(f"{names.show(text, 60)!r} is not one of [urls] in {self._place}", hint="see docs/relay.md")
            return self._address(_label(text), self._file.urls[text])
        scheme = re.sub(r"[^a-z0-9]", "", text.partition("://")[0].lower()) or "url"
        if not _may_be_secret(text):
            return self._address(f"{scheme}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", text)
        count = sum(1 for one in self.outlets if one.name.startswith(f"{scheme}."))
        return self._address(f"{scheme}.{count + 1}", text)  # no digest: this name is told on the branch

    def _address(self, name: str, url: str) -> Outlet:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise BadInput(f"the address of {name} is none") from None
        host = parts.hostname or ""
        if parts.scheme in {"http", "https"} and not _OF_APPRISE.fullmatch(host):
            if parts.username or parts.password or (port is not None and not 0 < port < 65536):
                raise BadInput(f"the address of {name} must have no name and password in it", hint="use webhook_token")
            self._gate.check_url(url)
            token = str(self._file.values.get("webhook_token") or self._environ.get("GITCOORD_RELAY_WEBHOOK_TOKEN", ""))
            return Webhook(name, url, self._gate, token)
        return Chat(name, url, self._gate)

    def _slack(self, text: str) -> Slack:
        channel = text.removeprefix("slack:").strip()
        token = str(self._file.values.get("slack_token") or self._environ.get("GITCOORD_RELAY_SLACK_TOKEN", ""))
        url = str(self._file.values.get("slack_url") or "https://slack.com/api/")
        return Slack(f"slack.{channel}", channel, token, self._gate, url)


def _label(text: str) -> str:
    label = re.sub(r"[^A-Za-z0-9_-]", "-", text)[:32]
    if not _LABEL.fullmatch(label):
        raise BadInput(f"{names.show(text, 60)!r} can't be the name of an address: letters, digits, '-', '_'")
    return label


def _may_be_secret(url: str) -> bool:
    """Whether an address may hold a secret: most of chat services do. A plain webhook with a short path doesn't."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    if parts.scheme not in {"http", "https"} or _OF_APPRISE.fullmatch(parts.hostname or ""):
        return True
    if "@" in parts.netloc or parts.query or parts.fragment or has_secret(url):
        return True
    return any(len(part) >= _PLAIN_PART for part in parts.path.split("/"))


class Runner(Protocol):
    """Runs the person's command, one at a time."""

    def start(self, message: Mapping[str, Any]) -> None:
        """Starts it with that message."""
        ...

    def busy(self) -> bool:
        """Whether it still runs."""
        ...


@dataclass(frozen=True)
class Plan:
    """What a relay is to do. `since`: the event behind which a relay that never worked begins; None: with what happens next."""

    name: str
    choice: Choice
    outlets: tuple[Outlet, ...] = ()
    inlets: tuple[Inlet, ...] = ()
    runner: Runner | None = None
    run_on: Choice | None = None
    answers_only: str = ""  # the outlet that takes nothing but answers to what came in there
    ttl_seconds: int = 900
    since: int | None = None
