"""Links of a page to branches and commits of code, on a host that the branch's own settings name."""

from __future__ import annotations

from dataclasses import dataclass

from gitcoord.core.records import BranchRecord
from gitcoord.views.inert import inert

_SAFE = frozenset(b"/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")  # of a URL's path

_PLACES = {
    "github.com": ("tree", "commit"), "gitlab.com": ("-/tree", "-/commit"), "codeberg.org": ("src/branch", "commit"),
    "bitbucket.org": ("src", "commits"),
}  # fmt: skip
"""Where a host shows a branch, and a commit."""


@dataclass(frozen=True)
class Links:
    """Links to a repository, or to none. `web`: where its host shows it."""

    web: str = "none"

    @classmethod
    def of(cls, rules: BranchRecord) -> Links:
        """Return the links of a branch: none where several repositories share it, for their branches are called alike."""
        return cls() if rules.repositories else cls(rules.settings.web)

    def branch(self, name: str, limit: int) -> str:
        """Return a branch of code by its name, as Markdown."""
        return self._link(0, name, inert(name, limit))

    def commit(self, oid: str) -> str:
        """Return a commit by the beginning of its name, as Markdown."""
        return self._link(1, oid, inert(oid[:12]))

    def _link(self, kind: int, name: str, text: str) -> str:
        places = _PLACES.get(self.web.partition("/")[0])
        return f"[{text}](https://{self.web}/{places[kind]}/{_quoted(name)})" if places else text


def _quoted(name: str) -> str:
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in name.encode())
