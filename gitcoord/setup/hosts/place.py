"""Which host a remote lies on, of which kind, and at which address its API is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

Kind = Literal["github", "gitlab", "gitea"]
KINDS: tuple[Kind, ...] = ("gitea", "gitlab", "github")

_BY_NAME: tuple[tuple[str, Kind], ...] = (
    (r"github\.com|.+\.ghe\.com|.*\bgithub\b.*", "github"),
    (r"gitlab\.com|.*\bgitlab\b.*", "gitlab"),
    (r"codeberg\.org|.*\b(?:gitea|forgejo)\b.*", "gitea"),
)
_API = {"github": "api/v3", "gitlab": "api/v4", "gitea": "api/v1"}
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Place:
    """A repository on a host: the host's name, its web address, and the repository's path there (`owner/name`)."""

    host: str
    web: str
    path: str

    @classmethod
    def of(cls, url: str) -> Place | None:
        """Return the place that a remote's URL names; None for a folder, or what is no repository on a host."""
        if "://" in url:
            parts = urlsplit(url)
            scheme, host, path = parts.scheme, (parts.hostname or "").lower(), unquote(parts.path)
            port = f":{parts.port}" if parts.port and scheme in {"http", "https"} else ""
        else:
            before, colon, path = url.partition(":")
            scheme, host, port = "ssh", before.rpartition("@")[2].lower(), ""
            if not colon or "/" in before:
                return None
        path = path.strip("/").removesuffix(".git")
        if scheme not in {"http", "https", "ssh", "git"} or not re.fullmatch(r"[a-z0-9.:-]+", host) or path.count("/") < 1:
            return None
        web = "http" if scheme == "http" else "https"
        return cls(host, f"{web}://{f'[{host}]' if ':' in host else host}{port}", path)

    @property
    def kind(self) -> Kind | None:
        """Return the kind that the host's name tells; None where it has to be asked."""
        return next((kind for pattern, kind in _BY_NAME if re.fullmatch(pattern, self.host)), None)

    @property
    def may_hear_secrets(self) -> bool:
        """Return True if nobody on the way hears a token."""
        return self.web.startswith("https://") or self.host in LOOPBACK

    def api(self, kind: Kind) -> str:
        """Return the address of the API of a host of that kind."""
        if kind == "github" and self.host == "github.com":
            return "https://api.github.com"
        if kind == "github" and self.host.endswith(".ghe.com"):
            return f"https://api.{self.host}"
        return f"{self.web}/{_API[kind]}"

    @property
    def project(self) -> str:
        """Return the whole path, as one word of an address: GitLab takes that for a project's number."""
        return quote(self.path, safe="")

    @property
    def pair(self) -> str:
        """Return owner and name, as words of an address."""
        return "/".join(quote(part, safe="") for part in self.path.split("/")[-2:])
