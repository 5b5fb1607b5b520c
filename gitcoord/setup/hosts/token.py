"""Who asks a host: with the token that the user's programs have for that very host, or as nobody. It is never printed."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Mapping
from urllib.parse import urlsplit

from gitcoord.git import process
from gitcoord.git.environment import clean_environment, safe_path
from gitcoord.git.repo import Repository
from gitcoord.setup.hosts.place import Place

_SECONDS = 5.0


def authorization(kind: str, place: Place, repo: Repository) -> str:
    """Return the header with which to ask that host; "" where there is no token, or where others could hear it."""
    if not place.may_hear_secrets:
        return ""
    token = _from_environment(kind, place, repo.environ) or (_from_gh(place, repo) if kind == "github" else "")
    if token:
        return f"token {token}" if kind == "gitea" else f"Bearer {token}"
    user, password = _from_git(place, repo)
    if not password:
        return ""
    if kind == "gitlab":
        return f"Bearer {password}"
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _from_environment(kind: str, place: Place, environ: Mapping[str, str]) -> str:
    """Return a token of the environment, if it is meant for that host."""
    names: tuple[str, ...]
    if kind == "github":
        cloud = place.host == "github.com" or place.host.endswith(".ghe.com")
        names = ("GH_TOKEN", "GITHUB_TOKEN") if cloud else ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
        meant = cloud or _host(environ.get("GH_HOST", "")) == place.host
    elif kind == "gitlab":
        names, meant = ("GITLAB_TOKEN",), _host(environ.get("GITLAB_HOST", "gitlab.com")) == place.host
    else:
        named = environ.get("GITEA_SERVER_URL") or environ.get("FORGEJO_SERVER_URL") or ""
        names, meant = ("GITEA_TOKEN", "FORGEJO_TOKEN"), _host(named) == place.host
    return next((environ[name] for name in names if environ.get(name)), "") if meant else ""


def _host(named: str) -> str:
    return (urlsplit(named if "://" in named else f"//{named}").hostname or "").lower()


def _from_gh(place: Place, repo: Repository) -> str:
    """Return the token that GitHub's own program has for that host."""
    found = shutil.which("gh", path=safe_path(repo.environ.get("PATH", os.defpath)))
    if not found or (repo.work_tree and os.path.realpath(found).startswith(f"{repo.work_tree}{os.sep}")):
        return ""
    env = {**clean_environment(repo.environ), "GH_PROMPT_DISABLED": "1"}
    done = process.run([found, "auth", "token", "--hostname", place.host], env=env, cwd=os.sep, seconds=_SECONDS)
    return done.stdout.decode("ascii", "replace").strip() if done.ok else ""


def _from_git(place: Place, repo: Repository) -> tuple[str, str]:
    """Return user and password that the user's git has for that host, without anybody being asked."""
    scheme, _, host = place.web.partition("://")
    asked = f"protocol={scheme}\nhost={host}\npath={place.path}.git\n\n".encode()
    silent = {"GIT_ASKPASS": "", "SSH_ASKPASS": "", "GIT_TERMINAL_PROMPT": "0"}
    done = repo.run("credential", "fill", stdin=asked, seconds=_SECONDS, extra=silent)
    lines = done.stdout.decode("utf-8", "replace").splitlines() if done.ok else []
    given = dict(line.partition("=")[::2] for line in lines)
    return given.get("username", ""), given.get("password", "")
