"""Everything that apprise can talk to: Slack, Discord, Teams, e-mail, ntfy and a hundred others. The only room that imports it.

apprise says only whether it worked, so what its HTTP requests met is looked at on their way: `requests` is told to follow no
redirect and to use no proxy or password of the environment, and each answer is noted. Services that don't speak HTTP (e-mail,
MQTT) are bound by the gate's rule about addresses alone.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from gitcoord.errors import BadInput
from gitcoord.relay.services.api import TIMEOUT, Delivery, Parcel, judged
from gitcoord.relay.services.gate import Gate, NotAllowed

HINT = "pip install 'gitcoord[chat]'"
_local = threading.local()
_patching = threading.Lock()


@dataclass
class _Met:
    """What the requests of one delivery met."""

    answers: list[Delivery] = field(default_factory=list)


def _requests() -> Any:
    """The module `requests`, with each session's `send` and `request` looked at while a delivery is under way."""
    import requests

    with _patching:
        if not hasattr(requests.Session, "_gitcoord"):
            _look_at(requests)
    return requests


def _look_at(requests: Any) -> None:
    request, send = requests.Session.request, requests.Session.send

    def plain_request(session: Any, *args: Any, **given: Any) -> Any:
        if getattr(_local, "met", None) is not None:
            session.trust_env = False
            given["allow_redirects"] = False
            given["timeout"] = (TIMEOUT, TIMEOUT)
        return request(session, *args, **given)

    def noted_send(session: Any, *args: Any, **given: Any) -> Any:
        met: _Met | None = getattr(_local, "met", None)
        if met is None:
            return send(session, *args, **given)
        try:
            answer = send(session, *args, **{**given, "allow_redirects": False})
        except Exception as error:
            met.answers.append(_failed(requests, error))
            raise
        met.answers.append(judged(answer.status_code, answer.headers.get("Retry-After")))
        return answer

    requests.Session.request, requests.Session.send = plain_request, noted_send
    requests.Session._gitcoord = True


def _failed(requests: Any, error: BaseException) -> Delivery:
    """Whether anything can have come when a request failed: not before there was a connection."""
    chain: list[BaseException] = []
    todo: list[Any] = [error]
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and one not in chain:
            chain.append(one)
            todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    if any(isinstance(one, NotAllowed) for one in chain):
        return Delivery("barred", "it is no public address")
    never = {"NewConnectionError", "ConnectTimeoutError", "ConnectTimeout", "NameResolutionError", "SSLError", "InvalidURL"}
    if any(type(one).__name__ in never for one in chain):
        return Delivery("later", "no connection")
    return Delivery("open", f"no answer ({type(error).__name__})")


@contextmanager
def _met() -> Iterator[_Met]:
    _local.met = _Met()
    try:
        yield _local.met
    finally:
        _local.met = None


class Chat:
    """One service, by its address as apprise spells it."""

    def __init__(self, name: str, url: str, gate: Gate) -> None:
        """Raises BadInput, which never names the address: most of them are secrets."""
        self.name = name
        self._gate = gate
        for logger in ("apprise", "urllib3", "requests"):
            quiet = logging.getLogger(logger)  # their warnings name addresses, and would land on the terminal
            quiet.handlers[:] = [logging.NullHandler()]
            quiet.propagate = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what it uses that is old is not the person's business
                import apprise
        except ImportError:
            raise BadInput(f"relaying to {name} needs the extra chat", hint=HINT) from None
        _requests()
        asset = apprise.AppriseAsset(
            app_id="gitcoord", app_desc="gitcoord", app_url="", image_url_mask="", image_url_logo="", async_mode=False,
            http_redirects=False, storage_mode="memory", secure_logging=True,
        )  # fmt: skip
        with redirect_stderr(StringIO()), redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parts are loaded here
            service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise BadInput(f"the address of {name} is none that apprise knows", hint="see docs/relay.md")
        self._service: Any = service
        scheme = url.partition("://")[0].lower()
        plain = type(service).protocol
        unsafe: set[str] = {plain} if isinstance(plain, str) else set(plain or ())
        if host := str(getattr(service, "host", "") or ""):  # most services have one of their own
            gate.check_host(host)
        if not getattr(service, "secure", False):
            gate.check_plain(secure=scheme not in unsafe, host=str(getattr(service, "host", "") or ""))
        if getattr(service, "verify_certificate", True) is not True:
            raise BadInput(f"the address of {name} turns the check of certificates off", hint="leave verify=no out")
        self._text = apprise.NotifyFormat.TEXT

    def thread_of(self, message: str, details: Mapping[str, str]) -> str:
        """Nothing comes in this way."""
        return ""

    def send(self, parcel: Parcel) -> Delivery:
        """Hands it to apprise, in one request where the service takes it in one."""
        self._service.redirects = False
        with self._gate.kept(), _met() as met:
            try:
                worked = bool(self._service.notify(body=parcel.text, title="", body_format=self._text))
            except NotAllowed as error:
                return Delivery("barred", str(error))
            except Exception as error:  # a plugin's own fault must not end the relay, nor may its words be shown
                return Delivery("open", f"it failed ({type(error).__name__})")
        bad = [one for one in met.answers if one.end != "sent"]
        if worked and not bad:
            return Delivery("sent")
        if bad:
            return bad[-1]
        return Delivery("open", "apprise could not deliver it")
