"""Where the branch lives: the URL of a remote or of a hub, as git makes it of what is configured, and handed to git so that it is
rewritten exactly once.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from gitcoord.errors import BadInput, mask
from gitcoord.git.answers import whole_lines
from gitcoord.git.environment import PROTOCOLS, with_config
from gitcoord.git.repo import Repository

_ALIAS = "gitcoord-exactly-this"  # longer than what anybody replaces: of several that fit, git takes the longest
_KINDS = "a path, or file:, git:, http:, https:, ssh:"


def push_url(repo: Repository, remote: str) -> str:
    """The one URL that pushes to the remote go to, absolute. Raises BadInput for none, several, or a kind not allowed."""
    if remote not in repo.remotes:
        raise BadInput(f"there is no remote called {remote!r}", hint="git remote -v")
    if _rewrites(repo):  # insteadOf and pushInsteadOf: git alone applies them
        urls = repo.reading("remote", "get-url", "--push", "--all", remote, parse=whole_lines)
    else:
        urls = repo.config.get(f"remote.{remote}.pushurl") or repo.config[f"remote.{remote}.url"]
    if len(urls) != 1:
        raise BadInput(
            f"remote {remote} has {len(urls)} push URLs; coordination needs exactly one",
            hint="gitcoord config remote NAME",
        )
    return _usable(repo, urls[0])


def hub_url(repo: Repository, url: str) -> str:
    """The URL that pushes to the hub go to, as this clone's configuration rewrites it. Raises BadInput."""
    return _usable(repo, _rewritten(repo, url, "pushinsteadof") or _rewritten(repo, url, "insteadof") or url)


def kept_hub(repo: Repository, url: str) -> str:
    """How a hub is to be noted in the configuration: as it was typed, where that is rewritten each time it is used; else absolute.
    Raises BadInput.
    """
    used = hub_url(repo, url)
    return url if used != check_url(url, repo.cwd) else used


def unrewritten(repo: Repository, url: str) -> tuple[str, dict[str, str]]:
    """The word that stands for exactly that URL among git's arguments, and what git's environment needs for it: where the user's
    configuration rewrites URLs, one that was rewritten already must not be once more.
    """
    if not _rewrites(repo):
        return url, {}
    pairs = [(f"url.{url}.{how}", _ALIAS) for how in ("insteadOf", "pushInsteadOf")]
    return _ALIAS, with_config(repo.environment, pairs)


def _rewrites(repo: Repository) -> bool:
    return any(key.startswith("url.") for key in repo.config)


def _rewritten(repo: Repository, url: str, how: str) -> str:
    """The URL as git makes it of this one: the longest beginning that fits is replaced, of equal ones the first; else ""."""
    best, base = "", None
    for key, beginnings in repo.config.items():
        if key.startswith("url.") and key.endswith(f".{how}"):
            for beginning in beginnings:
                if url.startswith(beginning) and (base is None or len(beginning) > len(best)):
                    best, base = beginning, key[len("url.") : -len(how) - 1]
    return "" if base is None else base + url[len(best) :]


def _usable(repo: Repository, url: str) -> str:
    checked = check_url(url, repo.cwd)
    protocol = protocol_of(checked)
    if protocol not in repo.protocols:
        raise BadInput(
            f"your own git settings don't allow the protocol {protocol!r}",
            hint=f"git config --show-origin --get-regexp '^protocol\\.'; echo $GIT_ALLOW_PROTOCOL; then allow {protocol}",
        )
    return checked


def protocol_of(url: str) -> str:
    """The protocol of a URL that was checked."""
    scheme, colon, _ = url.partition("://")
    return scheme if colon else "file" if url.startswith("/") else "ssh"


def check_url(url: str, base: str) -> str:
    """The URL, if git may be given it; a relative path becomes absolute (from `base`). Raises BadInput."""
    if url.startswith("-") or re.match(r"[A-Za-z0-9]+::", url) or any(ord(char) < 32 or ord(char) == 127 for char in url):
        raise BadInput(f"{mask(url)[:80]!r} is not a URL that gitcoord uses", hint=_KINDS)
    scheme, colon, rest = url.partition("://")
    if colon:
        if scheme not in PROTOCOLS:
            raise BadInput(f"the protocol {scheme[:40]!r} is not one that gitcoord uses", hint="file:, git:, http:, https:, ssh:")
        if scheme != "file" and _is_an_option(rest.partition("/")[0]):
            raise BadInput(f"{mask(url)[:80]!r} names no host", hint=_KINDS)
        return url
    host, colon, path = url.partition(":")
    if host and colon and "/" not in host:
        if _is_an_option(host) or path.startswith("-"):
            raise BadInput(f"{mask(url)[:80]!r} names no host, or no path that ssh can be given", hint=_KINDS)
        return url  # host:path, git's short form of ssh
    return os.path.normpath(os.path.join(base, os.path.expanduser(url)))


def _is_an_option(host: str) -> bool:
    """Return True if a program could take the host, or the user before it, for one of its options; or if there is no host."""
    user, _, name = unquote(host).rpartition("@")
    return not name.strip("[]") or any(part.lstrip("[").startswith("-") for part in (user, name))
