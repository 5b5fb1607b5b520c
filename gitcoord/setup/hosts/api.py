"""Asking a host: with a time-out, at most a megabyte, and never at another address than the one that was asked."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urljoin, urlsplit

_SECONDS = 10.0
_LARGEST = 1 << 20  # bytes of an answer


@dataclass(frozen=True)
class Answer:
    """What a host answered: the status (0: nothing), the JSON value (None: none), and what went wrong."""

    status: int
    value: Any = None
    why: str = ""

    @property
    def ok(self) -> bool:
        """Return True if it is an answer to what was asked."""
        return self.status == 200 and self.value is not None


class _SameHost(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        here, there = urlsplit(req.full_url), urlsplit(urljoin(req.full_url, newurl))
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            return None  # what is asked, and the token with it, goes nowhere else
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass(frozen=True)
class Api:
    """The API at one address. `authorization`: the header that says who asks, "" for nobody; `ca`: a file of certificates."""

    base: str
    authorization: str = field(default="", repr=False)
    ca: str = ""
    seconds: float = _SECONDS

    def get(self, path: str) -> Answer:
        """Ask for that path."""
        headers = {"Accept": "application/json", "User-Agent": "gitcoord", "X-GitHub-Api-Version": "2022-11-28"}
        if self.authorization:
            headers["Authorization"] = self.authorization
        request = urllib.request.Request(f"{self.base}/{path}", headers=headers)  # noqa: S310  # http or https, by `Place`
        try:
            with self._opener().open(request, timeout=self.seconds) as reply:
                return _read(reply.status, reply.read(_LARGEST + 1))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, why=f"it answers {error.code}")
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            return Answer(0, why=f"it can't be asked ({reason})")

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context()
        if self.ca:
            context.load_verify_locations(self.ca)
        return urllib.request.build_opener(_SameHost, urllib.request.HTTPSHandler(context=context))


def _read(status: int, data: bytes) -> Answer:
    if len(data) > _LARGEST:
        return Answer(status, why="its answer is too large")
    try:
        return Answer(status, json.loads(data))
    except ValueError:
        return Answer(status, why="its answer is no JSON")
