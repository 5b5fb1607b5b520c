"""What a clone or user has set: a frozen record parsed from git's own `gitcoord.*` configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitcoord.errors import BadInput

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)

_NO_BRANCH = re.compile(r"head|[a-z]+_head|[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)  # what git takes for another ref or a commit

_REPO = re.compile(r"(?!.*\.(?:claim|d|lock)$)[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?", re.ASCII)  # as core/names

_RELAY = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)

KEYS = (
    "remote", "hub", "repo", "branch", "desk", "deadline", "host", "sshpersist", "guard", "autoclaim", "pull", "relay", "warm",
    "touches", "sign",
)  # fmt: skip
"""The settings of a clone or user, each `gitcoord.<key>` in git's configuration."""


@dataclass(frozen=True)
class Settings:
    """Per clone or user. `remote`: a remote's name, `.` for none, "" to find out; `hub`: the URL of a repository where several
    projects coordinate, "" for none; `repo`: what this project is called there, "" to find out; `deadline` in seconds;
    `sshpersist`: seconds that an ssh connection stays open for the next command, 0 for not at all; `guard`: warn, ask, block, off,
    or "" for what all share; `autoclaim`: whether what an agent edits is claimed for it; `pull`: whether an agent that stops is
    told of a task that is ready; `relay`: the name of a relay that the hooks' background work lets go once, "" for none; `warm`:
    whether commands may begin in a fork of a warm process; `touches`: whether heartbeats say which lines were changed;
    `sign`: whether what is pushed is signed.
    """

    remote: str = ""
    branch: str = "coordination"
    desk: str = "machine"
    deadline: float = 20.0
    host: str = ""
    sshpersist: int = 0
    guard: str = ""
    autoclaim: bool = False
    pull: bool = False
    relay: str = ""
    hub: str = ""
    repo: str = ""
    warm: bool = True
    touches: bool = True
    sign: bool = False

    @classmethod
    def read(cls, config: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
        """The settings in a configuration (keys in small letters) and an environment. Raises BadInput."""
        values = {key: config[f"gitcoord.{key}"] for key in KEYS if f"gitcoord.{key}" in config}
        branch = values.get("branch", cls.branch)
        if not _BRANCH.fullmatch(branch) or ".." in branch or branch.endswith((".lock", ".")) or _NO_BRANCH.fullmatch(branch):
            raise BadInput(f"gitcoord.branch {branch!r} is not a plain branch name", hint="gitcoord config branch coordination")
        try:
            deadline = float(values.get("deadline", cls.deadline))
        except ValueError:
            deadline = -1.0
        if not 0 < deadline <= 3600:
            raise BadInput(
                f"gitcoord.deadline {values['deadline']!r} is not a number of seconds up to 3600",
                hint="gitcoord config deadline 20",
            )
        persist = values.get("sshpersist", "0")
        if not re.fullmatch(r"[0-9]{1,4}", persist, re.ASCII) or int(persist) > 3600:
            raise BadInput(
                f"gitcoord.sshpersist {persist!r} is not a number of seconds up to 3600",
                hint="gitcoord config sshpersist 60, or 0 for no connection that stays",
            )
        guard = values.get("guard", cls.guard)
        if guard not in {"", "warn", "ask", "block", "off"}:
            raise BadInput(f"gitcoord.guard {guard!r} is not warn, ask, block or off", hint="gitcoord config guard warn")
        switches = ("autoclaim", "pull", "warm", "touches", "sign")
        autoclaim, pull, warm, touches, sign = (_switch(values, key, getattr(cls, key)) for key in switches)
        desk = environ.get("GITCOORD_DESK") or values.get("desk", cls.desk)
        if desk not in {"machine", "clone"} and not os.path.isabs(os.path.expanduser(desk)):
            raise BadInput(
                f"gitcoord.desk {desk!r} is not machine, clone or an absolute path: a folder would appear wherever you stand",
                hint="gitcoord config desk machine",
            )
        repo = values.get("repo", cls.repo)
        if repo and not _REPO.fullmatch(repo):
            raise BadInput(
                f"gitcoord.repo {repo!r} is no repository's name: 1 to 64 ASCII letters, digits, '.', '_', '-'",
                hint="gitcoord config repo library",
            )
        relay = values.get("relay", cls.relay)
        if relay and not _RELAY.fullmatch(relay):
            raise BadInput(f"gitcoord.relay {relay!r} is no relay's name", hint="gitcoord config relay chat")
        return cls(
            relay=relay,
            hub=values.get("hub", cls.hub),
            repo=repo,
            sshpersist=int(persist),
            guard=guard,
            autoclaim=autoclaim,
            pull=pull,
            warm=warm,
            touches=touches,
            sign=sign,
            remote=values.get("remote", cls.remote),
            branch=branch,
            desk=desk,
            deadline=deadline,
            host=values.get("host", cls.host),
        )


def _switch(values: Mapping[str, str], key: str, default: bool) -> bool:
    value = values.get(key, str(default)).lower()
    if value not in {"true", "false"}:
        raise BadInput(f"gitcoord.{key} {value!r} is not true or false", hint=f"gitcoord config {key} {str(default).lower()}")
    return value == "true"
