"""Chat services on loopback for tests: real HTTP servers that speak the services' interfaces as their documents have them."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Got:
    """A request that was read to its end. `answered`: whether it was taken and said so."""

    path: str
    headers: dict[str, str]
    body: bytes
    answered: bool = True

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


Fault = str | None
"""What happens to a request: None, a status such as `500` or `429:7` (with Retry-After), `before` (the connection is dropped and
nothing was read), `after` (it is dropped when all was read and taken), `to:URL` (a redirect), `hang`."""


@dataclass
class Service:
    """A server. `faults` gives what happens to the next request; `got` is what was taken, in order."""

    faults: Callable[[], Fault] = lambda: None
    got: list[Got] = field(default_factory=list)
    tries: int = 0
    refused: list[Fault] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)

    def __enter__(self) -> Service:
        outer = self
        self._let_go = threading.Event()
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                """Says nothing."""

            def do_GET(self) -> None:
                """Any request."""
                outer._handle(self)

            do_POST = do_PUT = do_GET

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that went away is none of the test's business; a fault of the server's own is."""
                error = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
                if not isinstance(error, OSError):
                    outer.faulty.append(repr(error))

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self._let_go.set()
        self._server.shutdown()
        self._server.server_close()
        assert self.faulty == []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.tries += 1
            fault = self.faults()
            if fault is not None:
                self.refused.append(fault)
        if fault == "before":
            self._drop(request)
            return
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        got = Got(request.path, {key.lower(): value for key, value in request.headers.items()}, body, fault is None)
        if fault == "hang":
            self._let_go.wait(60)
            self._drop(request)
            return
        if fault is not None and fault.startswith("to:"):
            self._send(request, 302, {"Location": fault[3:]}, b"")
            return
        if fault is not None and fault[0].isdigit():
            status, _, wait = fault.partition(":")
            self._send(request, int(status), {"Retry-After": wait} if wait else {}, b'{"error": "not now"}')
            return
        with self._lock:
            status, answer = self.take(got)
        if fault == "after":
            self._drop(request)
            return
        self._send(request, status, {"Content-Type": "application/json"}, answer)

    def take(self, got: Got) -> tuple[int, bytes]:
        """Takes a request that nothing happened to; its status and answer."""
        self.got.append(got)
        return 200, b'{"ok": true, "id": "x"}'

    def _drop(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        with suppress(OSError):
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.shutdown(socket.SHUT_RDWR)
            request.connection.close()

    def _send(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
        with suppress(OSError):
            request.send_response(status)
            for key, value in headers.items():
                request.send_header(key, value)
            request.send_header("Content-Length", str(len(body)))
            request.send_header("Connection", "close")
            request.end_headers()
            request.wfile.write(body)
        request.close_connection = True


@dataclass
class Ntfy(Service):
    """ntfy: a POST to a topic, or JSON with the topic in it."""

    def take(self, got: Got) -> tuple[int, bytes]:
        """https://docs.ntfy.sh/publish/"""
        self.got.append(got)
        return 200, json.dumps({"id": f"m{len(self.got)}", "event": "message", "topic": "t"}).encode()


@dataclass
class Discord(Service):
    """A Discord webhook: JSON with `content` of at most 2000 characters, answered with 204 (or the message, with wait=true)."""

    def take(self, got: Got) -> tuple[int, bytes]:
        """https://discord.com/developers/docs/resources/webhook#execute-webhook"""
        content = got.json.get("content") or ""
        if not content or len(content) > 2000:
            return 400, b'{"message": "Cannot send an empty message", "code": 50006}'
        self.got.append(got)
        return 204, b""


@dataclass
class SlackServer(Service):
    """Slack's Web API for one channel: chat.postMessage, conversations.history and .replies, auth.test, users.info."""

    channel: str = "C0123456789"
    token: str = "xoxb-test-0000"
    messages: list[dict[str, Any]] = field(default_factory=list)
    errors: Callable[[str], str | None] = lambda method: None
    asked: list[str] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=lambda: {"U0PERSON": "Grace", "U0BOT": "relay"})

    def _stamp(self) -> str:
        return f"17000000{len(self.messages) // 100:02d}.{len(self.messages) % 100:06d}"

    def say(self, text: str, *, user: str = "U0PERSON", thread: str = "", **more: Any) -> str:
        """A person writes; the time stamp of it."""
        stamp = self._stamp()
        message = {"type": "message", "user": user, "text": text, "ts": stamp, **more}
        if thread:
            message["thread_ts"] = thread
        self.messages.append(message)
        return stamp

    @property
    def posts(self) -> list[dict[str, Any]]:
        """What the bot posted."""
        return [one for one in self.messages if one.get("bot_id") == "B0BOT"]

    def take(self, got: Got) -> tuple[int, bytes]:
        """https://docs.slack.dev/reference/methods"""
        method = urlsplit(got.path).path.rpartition("/")[2]
        self.asked.append(method)
        if got.headers.get("authorization") != f"Bearer {self.token}":
            return self._no("invalid_auth")
        error = self.errors(method)
        if error:
            return self._no(error)
        if got.body.startswith(b"{"):
            given = got.json
        else:
            query = got.body.decode() or urlsplit(got.path).query
            given = {key: values[-1] for key, values in parse_qs(query).items()}
        given.update({key: values[-1] for key, values in parse_qs(urlsplit(got.path).query).items()})
        if method == "auth.test":
            return self._ok(user_id="U0BOT", bot_id="B0BOT", team="T")
        if method == "users.info":
            name = self.users.get(given["user"])
            return (
                self._ok(user={"id": given["user"], "name": name, "profile": {"display_name": name}})
                if name
                else self._no("user_not_found")
            )
        if given.get("channel") != self.channel:
            return self._no("channel_not_found")
        if method == "chat.postMessage":
            return self._post(given, got)
        if method == "conversations.history":
            return self._page(
                [one for one in self.messages if one.get("thread_ts", one["ts"]) == one["ts"]], given, newest_first=True
            )
        if method == "conversations.replies":
            thread = [one for one in self.messages if given["ts"] in (one["ts"], one.get("thread_ts"))]
            return self._page(thread, given, newest_first=False) if thread else self._no("thread_not_found")
        return self._no("unknown_method")

    def _post(self, given: dict[str, Any], got: Got) -> tuple[int, bytes]:
        if not given.get("text"):
            return self._no("no_text")
        self.got.append(got)
        stamp = self._stamp()
        message = {"type": "message", "user": "U0BOT", "bot_id": "B0BOT", "text": given["text"], "ts": stamp}
        message |= {key: given[key] for key in ("thread_ts", "metadata") if key in given}
        self.messages.append(message)
        return self._ok(ts=stamp, channel=self.channel, message=message)

    def _page(self, found: list[dict[str, Any]], given: dict[str, Any], *, newest_first: bool) -> tuple[int, bytes]:
        oldest = float(given.get("oldest", 0))
        limit = min(int(given.get("limit", 100)), 3 if given.get("limit") != "1" else 1)  # small pages: nobody may rely on one
        kept = [one for one in found if float(one["ts"]) > oldest or (not newest_first and one is found[0])]
        kept.sort(key=lambda one: float(one["ts"]), reverse=newest_first)
        start = int(given.get("cursor") or 0)
        page = [self._shown(one, given) for one in kept[start : start + limit]]
        more = start + limit < len(kept)
        return self._ok(messages=page, has_more=more, response_metadata={"next_cursor": str(start + limit) if more else ""})

    def _shown(self, message: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        replies = [one for one in self.messages if one.get("thread_ts") == message["ts"] and one is not message]
        shown = {
            **message,
            **({"reply_count": len(replies), "latest_reply": replies[-1]["ts"], "thread_ts": message["ts"]} if replies else {}),
        }
        if str(given.get("include_all_metadata", "")).lower() not in {"true", "1"}:
            shown.pop("metadata", None)
        return shown

    @staticmethod
    def _ok(**more: Any) -> tuple[int, bytes]:
        return 200, json.dumps({"ok": True, **more}).encode()

    @staticmethod
    def _no(error: str) -> tuple[int, bytes]:
        return 200, json.dumps({"ok": False, "error": error}).encode()


def in_turn(*faults: Fault) -> Callable[[], Fault]:
    """These, one after the other, and then none."""
    left: Iterator[Fault] = iter(faults)
    return lambda: next(left, None)
