"""A plain JSON webhook: one POST an event, with nothing but the standard library. Follows no redirect, uses no proxy."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gitcoord.relay.services.api import TIMEOUT, Delivery, Parcel, judged
from gitcoord.relay.services.gate import Gate, NotAllowed

_ANSWER = 4096  # bytes of an answer that are read


@dataclass(frozen=True)
class Webhook:
    """An address that takes `{"text": …, "event": {…}}`. The header `Idempotency-Key` has the event's id."""

    name: str
    url: str
    gate: Gate
    token: str = ""

    def thread_of(self, message: str, details: Mapping[str, str]) -> str:
        """Nothing comes in this way."""
        return ""

    def send(self, parcel: Parcel) -> Delivery:
        """Posts it."""
        parts = urlsplit(self.url)
        body = json.dumps({"text": parcel.text, "id": parcel.key, "event": parcel.event}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": parcel.key, "User-Agent": "gitcoord"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.hostname or ""
        connection = (
            http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT)
        )
        try:
            with self.gate.kept():
                connection.connect()
        except NotAllowed as error:
            return Delivery("barred", str(error))
        except (OSError, ValueError) as error:
            return Delivery("later", f"no connection ({type(error).__name__})")
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(_ANSWER)
            return judged(answer.status, answer.getheader("Retry-After"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Delivery("open", f"no answer ({type(error).__name__})")
        finally:
            connection.close()
