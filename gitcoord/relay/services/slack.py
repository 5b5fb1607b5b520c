"""A channel of Slack, both ways, as a bot. The only room that imports slack_sdk.

Each post carries the event's id and number as metadata. So a post whose fate is unknown is looked for before it is tried again,
and an answer in its thread finds the event, from whatever machine.
"""

from __future__ import annotations

import html
import logging
import re
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.error import URLError

from gitcoord.errors import BadInput
from gitcoord.relay.services.api import TIMEOUT, Busy, ChatMessage, Delivery, Parcel, judged
from gitcoord.relay.services.gate import Gate, NotAllowed

HINT = "pip install 'gitcoord[slack]'"
_DAY = 86400  # seconds: replies in threads that began earlier than that before the last look aren't seen
_PAGES = 10  # pages of a channel's history in one look
_KIND = "gitcoord_event"
_PEOPLE = frozenset({None, "", "thread_broadcast", "file_share", "me_message"})  # subtypes of what people write
_SHUT = frozenset(
    {
        "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission", "missing_scope",
        "channel_not_found", "not_in_channel", "is_archived", "ekm_access_denied", "access_denied", "org_login_required",
        "team_access_not_granted",
    }
)  # fmt: skip
_OPEN = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout"})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **given: Any) -> None:
        """A redirect would carry the token elsewhere."""


def _client(token: str, base_url: str) -> Any:
    try:
        from slack_sdk import WebClient
    except ImportError:
        raise BadInput("Slack needs the extra slack", hint=HINT) from None

    class Client(WebClient):
        def _perform_urllib_http_request_internal(self, url: str, req: Any) -> dict[str, Any]:
            opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
            with opener.open(req, timeout=TIMEOUT) as answer:
                return {"status": answer.status, "headers": answer.headers, "body": answer.read().decode("utf-8", "replace")}

    quiet = logging.getLogger("gitcoord.slack")
    quiet.handlers[:] = [logging.NullHandler()]
    quiet.propagate = False
    return Client(token=token, base_url=base_url, timeout=int(TIMEOUT), retry_handlers=[], logger=quiet)


class Slack:
    """One channel (its id, such as C0123456789) with a bot's token."""

    def __init__(self, name: str, channel: str, token: str, gate: Gate, base_url: str = "https://slack.com/api/") -> None:
        """Raises BadInput."""
        if not re.fullmatch(r"[A-Z0-9]{3,32}", channel, re.ASCII):
            raise BadInput("a Slack channel is given by its id, as its details show it", hint="for example slack:C0123456789")
        if not token:
            raise BadInput("relaying with Slack needs a bot's token: slack_token in the relay's settings", hint="see docs/relay.md")
        gate.check_url(base_url)
        self.name = name
        self.channel = channel
        self._gate = gate
        self._client = _client(token, base_url)
        self._me: dict[str, str] | None = None
        self._names: dict[str, str] = {}

    # --- out -------------------------------------------------------------------------------------------------------

    def thread_of(self, message: str, details: Mapping[str, str]) -> str:
        """The thread of a message that came from this channel."""
        prefix = f"slack.{self.channel}."
        if not message.startswith(prefix):
            return ""
        thread = details.get("thread", "")
        thread = thread if re.fullmatch(r"\d+\.\d+", thread, re.ASCII) else message.removeprefix(prefix)
        return thread if re.fullmatch(r"\d+\.\d+", thread, re.ASCII) else ""

    def send(self, parcel: Parcel) -> Delivery:
        """Posts it; one that may have come before is looked for first."""
        try:
            if parcel.again:
                found = self._posted(parcel)
                if found:
                    return Delivery("sent", "it had come", ref=found)
            given = {"thread_ts": parcel.thread} if parcel.thread else {}
            answer = self._call(
                "chat.postMessage", channel=self.channel, text=parcel.text, mrkdwn=False, parse="none", link_names=False,
                unfurl_links=False, unfurl_media=False, **given,
                metadata={"event_type": _KIND, "event_payload": {"id": parcel.key, "seq": parcel.seq}},
            )  # fmt: skip
        except _Failed as failed:
            return failed.delivery
        return Delivery("sent", ref=str(answer.get("ts", "")))

    def _posted(self, parcel: Parcel) -> str:
        """The post of that event among the newest of the channel or thread; "" when it isn't there."""
        method, where = ("conversations.replies", {"ts": parcel.thread}) if parcel.thread else ("conversations.history", {})
        answer = self._call(method, channel=self.channel, limit=200, include_all_metadata=True, **where)
        for one in answer.get("messages", ()):
            payload = _payload(one)
            if self._is_mine(one) and payload.get("id") == parcel.key:
                return str(one.get("ts", ""))
        return ""

    # --- in --------------------------------------------------------------------------------------------------------

    def poll(self, place: str) -> tuple[Sequence[ChatMessage], str]:
        """What people wrote in the channel and its threads behind that place (a time stamp of Slack's)."""
        try:
            if not place:
                newest = self._call("conversations.history", channel=self.channel, limit=1).get("messages") or [{}]
                return (), str(newest[0].get("latest_reply") or newest[0].get("ts") or "0.000001")
            found: dict[str, ChatMessage] = {}
            last = place
            for root in self._history(_back(place)):
                stamp = str(root.get("ts", ""))
                if not _stamp(stamp):
                    continue
                if _stamp(stamp) > _stamp(place):
                    last = max(last, stamp, key=_stamp)
                    self._keep(found, root, stamp, 0)
                newest = str(root.get("latest_reply") or "")
                if newest and _stamp(newest) > _stamp(place):
                    # Up to what the history showed: what came since may have company elsewhere that it didn't show.
                    last = max(last, newest, key=_stamp)
                    answers = int(_payload(root).get("seq") or 0) if self._is_mine(root) else 0
                    for reply in self._replies(stamp, place):
                        own = str(reply.get("ts", ""))
                        if own != stamp and _stamp(place) < _stamp(own) <= _stamp(newest):
                            self._keep(found, reply, stamp, answers)
        except _Failed as failed:
            raise Busy(failed.delivery.why, failed.delivery.after) from None
        return tuple(found[stamp] for stamp in sorted(found, key=_stamp)), last

    def close(self) -> None:
        """Nothing stays open."""

    def _keep(self, found: dict[str, ChatMessage], message: Mapping[str, Any], thread: str, answers: int) -> None:
        """Keeps what a person wrote: nothing of ours, and nothing of another bot, which may answer to whatever is posted."""
        user = str(message.get("user") or "")
        if message.get("bot_id") or message.get("subtype") not in _PEOPLE or not user or self._is_mine(message):
            return
        stamp = str(message["ts"])
        text = self._plain(str(message.get("text") or ""))
        if text:
            found[stamp] = ChatMessage(f"slack.{self.channel}.{stamp}", self._name(user), text, "slack", thread, answers)

    def _history(self, oldest: str) -> Iterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(_PAGES):
            more = {"cursor": cursor} if cursor else {}
            answer = self._call(
                "conversations.history", channel=self.channel, oldest=oldest, limit=200, include_all_metadata=True, **more
            )
            yield from answer.get("messages") or ()
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return

    def _replies(self, thread: str, oldest: str) -> Iterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(_PAGES):
            more = {"cursor": cursor} if cursor else {}
            answer = self._call("conversations.replies", channel=self.channel, ts=thread, oldest=oldest, limit=200, **more)
            yield from answer.get("messages") or ()
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return

    def _is_mine(self, message: Mapping[str, Any]) -> bool:
        if self._me is None:
            answer = self._call("auth.test")
            self._me = {"user": str(answer.get("user_id") or ""), "bot": str(answer.get("bot_id") or "")}
        return bool(
            (message.get("user") and message["user"] == self._me["user"])
            or (message.get("bot_id") and message["bot_id"] == self._me["bot"])
        )

    def _name(self, user: str) -> str:
        if user not in self._names:
            try:
                found = self._call("users.info", user=user).get("user") or {}
                profile = found.get("profile") or {}
                self._names[user] = str(profile.get("display_name") or found.get("real_name") or found.get("name") or user)
            except _Failed:  # without the scope users:read people have no names, and are heard all the same
                self._names[user] = user
        return self._names[user]

    def _plain(self, text: str) -> str:
        """Slack's markup as plain text; a mention of this bot at the start is only how it was called."""
        me = (self._me or {}).get("user", "")
        text = re.sub(rf"^\s*<@{re.escape(me)}(\|[^>]*)?>[:,]?\s*", "", text) if me else text
        text = re.sub(r"<@([A-Z0-9]+)(?:\|[^>]*)?>", lambda found: f"@{self._name(found[1])}", text)
        text = re.sub(
            r"<([#!])([^|>]*)(?:\|([^>]*))?>", lambda found: ("#" if found[1] == "#" else "@") + (found[3] or found[2]), text
        )
        text = re.sub(r"<([^|>]+)\|([^>]*)>", r"\2 (\1)", text)
        text = re.sub(r"<([^>]+)>", r"\1", text)
        return html.unescape(text).strip()

    # --- asking ------------------------------------------------------------------------------------------------------

    def _call(self, method: str, **given: Any) -> Mapping[str, Any]:
        """Calls a method of Slack's. Raises _Failed, whose words name neither the token nor the address."""
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            with self._gate.kept():
                data = (
                    self._client.api_call(method, json=given)
                    if method == "chat.postMessage"
                    else self._client.api_call(method, params=given)
                )
                answer: Mapping[str, Any] = data.data
                return answer
        except SlackApiError as error:
            raise _Failed(_judge(error.response)) from None
        except URLError as error:
            reason = error.reason
            if isinstance(reason, NotAllowed):
                raise _Failed(Delivery("barred", str(reason))) from None
            never = isinstance(reason, ConnectionRefusedError) or type(reason).__name__ in {"gaierror", "SSLCertVerificationError"}
            raise _Failed(Delivery("later" if never else "open", f"no connection ({type(reason).__name__})")) from None
        except (OSError, SlackClientError, ValueError, EOFError) as error:
            raise _Failed(Delivery("open", f"no answer ({type(error).__name__})")) from None
        except Exception as error:  # http.client's own faults, or the library's: its words may name what is secret
            raise _Failed(Delivery("open", f"it failed ({type(error).__name__})")) from None


class _Failed(Exception):
    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery.why)
        self.delivery = delivery


def _judge(response: Any) -> Delivery:
    headers = {str(key).lower(): value for key, value in dict(response.headers or {}).items()}
    wait = headers.get("retry-after")
    wait = wait[0] if isinstance(wait, list) else wait
    if response.status_code != 200:
        return judged(int(response.status_code), wait)
    data = response.data if isinstance(response.data, dict) else {}
    error = re.sub(r"[^a-z_]", "", str(data.get("error", "")))[:60]
    if error in {"ratelimited", "rate_limited"}:
        return judged(429, wait)
    why = f"Slack says {error or 'no'}"
    return Delivery("shut" if error in _SHUT else "open" if error in _OPEN else "refused", why)


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") if isinstance(metadata, dict) and metadata.get("event_type") == _KIND else None
    return payload if isinstance(payload, dict) else {}


def _stamp(text: str) -> tuple[int, int]:
    """A time stamp of Slack's, to compare; (0, 0) for what is none."""
    match = re.fullmatch(r"(\d{1,12})\.(\d{1,9})", text, re.ASCII)
    return (int(match[1]), int(match[2].ljust(9, "0"))) if match else (0, 0)


def _back(place: str) -> str:
    whole, _, rest = place.partition(".")
    return f"{max(0, int(whole) - _DAY)}.{rest}"
