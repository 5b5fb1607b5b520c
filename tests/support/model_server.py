"""A made-up model on loopback: it plays a script to whatever coding agent asks it, and keeps what it was shown.

It speaks Anthropic's Messages, OpenAI's Responses and Chat, and Gemini's generateContent, each with streaming and without. A prompt
names the conversation that its script belongs to by a mark, `[[name]]`: so a helper inside of a session, which gets a prompt of its
own, plays a script of its own. How far a conversation is, is read off its request. What an agent asks beside it (a title, a
summary: it offers no tools there) is answered with a word and moves nothing on.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

PATIENCE = 60.0  # seconds: only a hang gets there
WAIT = "made-up-wait"
"""Marks a command that the model runs while it waits for something: no answer of the script is one with it."""
_MARK = re.compile(r"\[\[([a-z0-9-]+)\]\]")
_USAGE = {"input_tokens": 9, "output_tokens": 9}


@dataclass(frozen=True)
class Call:
    """A call of one of the agent's tools. `text`: what a tool is given that takes a text, not an object (Codex's `apply_patch`)."""

    tool: str
    given: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True)
class Turn:
    """What the model answers to one request. `first`: what the test does before it answers, so while the agent waits for it.
    `awaits`: words that the model must have read before; until then it calls `meanwhile`, a tool that does nothing (`WAIT` in it).
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    first: Callable[[], object] | None = None
    awaits: str = ""
    meanwhile: Call | None = None


@dataclass(frozen=True)
class Request:
    """One request of a conversation. `step`: how many answers of the model it holds; `text`: all that the model reads."""

    conversation: str
    step: int
    text: str
    tools: frozenset[str]
    body: Mapping[str, Any] = field(repr=False)


class ModelServer:
    """The server, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.asides: list[Mapping[str, Any]] = []
        self.failures: list[str] = []
        self._scripts: dict[str, Sequence[Turn]] = {}
        self._changed = threading.Condition()

    def play(self, conversation: str, *turns: Turn | Call | str) -> str:
        """Sets the script of a conversation; the mark that its prompt has to hold."""
        self._scripts[conversation] = [_turn(one) for one in turns]
        return f"[[{conversation}]]"

    def shown(self, conversation: str) -> list[str]:
        """What the model read in that conversation, request by request."""
        with self._changed:
            return [one.text for one in self.requests if one.conversation == conversation]

    def times(self, conversation: str, words: str) -> list[int]:
        """How often words stood in what the model read, request by request."""
        return [text.count(words) for text in self.shown(conversation)]

    def wait(self, conversation: str, step: int) -> Request:
        """The request of a conversation that holds so many answers; waits until it has come."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: next((one for one in self.requests if (one.conversation, one.step) == (conversation, step)), None), PATIENCE
            )
        assert found is not None, f"{conversation} never came to its request {step}"
        return found

    def answer(self, messages: Sequence[tuple[str, str]], tools: frozenset[str], body: Mapping[str, Any]) -> Turn:
        """The turn for a request. `messages`: who said what, in order: `user`, `model`, or anything else."""
        conversation, step = "", 0
        for who, text in messages:
            marks = _MARK.findall(text) if who == "user" else []
            if marks:
                conversation, step = marks[-1], 0
            elif who == "model" and WAIT not in text:
                step += 1
        if not tools or conversation not in self._scripts:
            self.asides.append(body)
            return Turn("ok")
        request = Request(conversation, step, "\n".join(text for _, text in messages), tools, body)
        script = self._scripts[conversation]
        turn = script[step] if step < len(script) else Turn("There is no more.")
        if turn.meanwhile is not None and turn.awaits not in request.text:
            return Turn(calls=(turn.meanwhile,))
        missing = [call.tool for call in turn.calls if call.tool not in tools and "__" not in call.tool]
        if missing:
            self.failures.append(f"{conversation} {step}: no tool {missing} among {sorted(tools)}")
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        if turn.first is not None:
            turn.first()
        return turn


def _turn(given: Turn | Call | str) -> Turn:
    if isinstance(given, Call):
        return Turn(calls=(given,))
    return Turn(given) if isinstance(given, str) else given


@contextmanager
def serving() -> Iterator[ModelServer]:
    """The server, on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    made = ModelServer(f"http://127.0.0.1:{server.server_address[1]}")
    _Handler.models[server.server_address[1]] = made
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
        assert not made.failures, made.failures
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    models: ClassVar[dict[int, ModelServer]] = {}
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test tells what was wrong."""

    def do_GET(self) -> None:
        """A list of models, for whoever asks."""
        self._json({"object": "list", "data": [{"id": "made-up", "object": "model", "owned_by": "test"}], "models": []})

    def do_HEAD(self) -> None:
        """Whether it is there."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Answers in the form of the path."""
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        body = json.loads(data or b"{}")
        model = self.models[self.server.server_address[1]]  # type: ignore[index]
        try:
            if path.endswith("/count_tokens"):
                self._json({"input_tokens": 9})
            elif path.endswith("/messages"):
                self._anthropic(model, body)
            elif path.endswith("/responses"):
                self._responses(model, body)
            elif path.endswith("/chat/completions"):
                self._chat(model, body)
            elif path.endswith(":countTokens"):
                self._json({"totalTokens": 9})
            elif path.endswith(("enerateContent", "treamGenerateContent")):
                self._gemini(model, body, stream="stream" in path)
            else:
                self._json({})
        except (BrokenPipeError, ConnectionResetError):
            pass  # the agent went away
        except Exception as error:
            model.failures.append(f"{path}: {type(error).__name__}: {error}")
            raise

    # --- in each protocol's form -----------------------------------------------------------------------------------------

    def _anthropic(self, model: ModelServer, body: Mapping[str, Any]) -> None:
        messages = [("system", _flat(body.get("system")))]
        for one in body["messages"]:
            who = "model" if one["role"] == "assistant" else one["role"]
            parts = one["content"] if isinstance(one["content"], list) else [{"type": "text", "text": one["content"]}]
            messages += [(who if each.get("type") == "text" else "tool", _flat(each)) for each in parts] if who == "user" else []
            messages += [(who, _flat(parts))] if who != "user" else []
        turn = model.answer(messages, frozenset(each["name"] for each in body.get("tools") or ()), body)
        blocks: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text else []
        blocks += [
            {"type": "tool_use", "id": f"toolu_{_number()}", "name": each.tool, "input": dict(each.given)} for each in turn.calls
        ]
        why = "tool_use" if turn.calls else "end_turn"
        message = {
            "id": f"msg_{_number()}", "type": "message", "role": "assistant", "model": body.get("model"), "content": blocks,
            "stop_reason": why, "stop_sequence": None, "usage": _USAGE,
        }  # fmt: skip
        if not body.get("stream"):
            self._json(message)
            return
        events: list[dict[str, Any]] = [{"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}]
        for number, block in enumerate(blocks):
            is_text = block["type"] == "text"
            empty = {**block, "text": ""} if is_text else {**block, "input": {}}
            delta = (
                {"type": "text_delta", "text": block["text"]}
                if is_text
                else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            )
            events += [
                {"type": "content_block_start", "index": number, "content_block": empty},
                {"type": "content_block_delta", "index": number, "delta": delta},
                {"type": "content_block_stop", "index": number},
            ]
        ended = {"type": "message_delta", "delta": {"stop_reason": why, "stop_sequence": None}, "usage": _USAGE}
        self._stream([(one["type"], one) for one in [*events, ended, {"type": "message_stop"}]])

    def _responses(self, model: ModelServer, body: Mapping[str, Any]) -> None:
        given = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
        messages = [("system", _flat(body.get("instructions")))]
        answered = False  # several items of the model that follow each other are one answer
        for one in given:
            kind = one.get("type", "message")
            mine = one.get("role") == "assistant" or kind in {"function_call", "custom_tool_call", "local_shell_call", "reasoning"}
            who = "model" if mine and not answered else "more" if mine else one.get("role", "tool")
            who = "user" if kind == "agent_message" else who  # what a session has its helper do
            answered = mine
            messages.append((who, _flat(one)))
        free = frozenset(one["name"] for one in body.get("tools") or () if one.get("type") == "custom")
        turn = model.answer(messages, frozenset(_names(body.get("tools") or ())), body)
        items: list[dict[str, Any]] = []
        if turn.text:
            said = {"type": "output_text", "text": turn.text, "annotations": []}
            items.append({"type": "message", "role": "assistant", "id": f"msg_{_number()}", "content": [said]})
        for each in turn.calls:
            names = {"id": f"fc_{_number()}", "call_id": f"call_{_number()}", "name": each.tool, "status": "completed"}
            text = each.text if each.text is not None else json.dumps(dict(each.given))
            space, _, name = each.tool.rpartition("__")
            if space:
                names |= {"namespace": space, "name": name}
            if each.tool in free:
                items.append({"type": "custom_tool_call", **names, "input": text})
            else:
                items.append({"type": "function_call", **names, "arguments": text})
        usage = {
            **_USAGE, "total_tokens": 18, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip
        done = {
            "id": f"resp_{_number()}", "object": "response", "created_at": 1, "status": "completed",
            "model": body.get("model"), "output": items, "usage": usage,
        }  # fmt: skip
        if not body.get("stream"):
            self._json(done)
            return
        begun = {**done, "status": "in_progress", "output": [], "usage": None}
        events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
        for number, item in enumerate(items):
            at = {"output_index": number, "item_id": item["id"]}
            events.append({"type": "response.output_item.added", "output_index": number, "item": {**item, **_empty(item)}})
            if item["type"] == "message":
                part = {"type": "output_text", "text": "", "annotations": []}
                events.append({"type": "response.content_part.added", **at, "content_index": 0, "part": part})
                events.append({"type": "response.output_text.delta", **at, "content_index": 0, "delta": turn.text})
                events.append({"type": "response.output_text.done", **at, "content_index": 0, "text": turn.text})
            elif item["type"] == "function_call":
                events.append({"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]})
                events.append({"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]})
            events.append({"type": "response.output_item.done", "output_index": number, "item": item})
        events.append({"type": "response.completed", "response": done})
        self._stream([(one["type"], {**one, "sequence_number": number}) for number, one in enumerate(events)])

    def _chat(self, model: ModelServer, body: Mapping[str, Any]) -> None:
        messages = [("model" if one["role"] == "assistant" else one["role"], _flat(one)) for one in body["messages"]]
        turn = model.answer(messages, frozenset(_names(body.get("tools") or ())), body)
        calls = [
            {
                "index": number, "id": f"call_{_number()}_{number}", "type": "function",
                "function": {"name": each.tool, "arguments": json.dumps(dict(each.given))},
            }
            for number, each in enumerate(turn.calls)
        ]  # fmt: skip
        message = {"role": "assistant", "content": turn.text or None, **({"tool_calls": calls} if calls else {})}
        why = "tool_calls" if calls else "stop"
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        common = {"id": f"chat_{_number()}", "created": 1, "model": body.get("model")}
        if not body.get("stream"):
            self._json(
                {
                    **common, "object": "chat.completion", "usage": usage,
                    "choices": [{"index": 0, "message": message, "finish_reason": why}],
                }
            )  # fmt: skip
            return
        part = {**common, "object": "chat.completion.chunk"}
        self._stream(
            [
                ("", {**part, "choices": [{"index": 0, "delta": message, "finish_reason": None}]}),
                ("", {**part, "choices": [{"index": 0, "delta": {}, "finish_reason": why}], "usage": usage}),
                ("", "[DONE]"),
            ]
        )

    def _gemini(self, model: ModelServer, body: Mapping[str, Any], *, stream: bool) -> None:
        messages = [("system", _flat(body.get("systemInstruction")))]
        for one in body["contents"]:
            if one.get("role") == "model":
                messages.append(("model", _flat(one)))
            else:
                messages += [("user" if "text" in each else "tool", _flat(each)) for each in one["parts"]]
        declared = [each for one in body.get("tools") or () for each in one.get("functionDeclarations") or ()]
        turn = model.answer(messages, frozenset(each["name"] for each in declared), body)
        parts: list[dict[str, Any]] = [{"text": turn.text}] if turn.text else []
        parts += [{"functionCall": {"name": each.tool, "args": dict(each.given)}} for each in turn.calls]
        given = {
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18},
        }
        if stream:
            self._stream([("", given)])
        else:
            self._json(given)

    # --- what is sent ------------------------------------------------------------------------------------------------------

    def _json(self, value: Mapping[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Sequence[tuple[str, Any]]) -> None:
        text = ""
        for event, value in events:
            text += (f"event: {event}\n" if event else "") + f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n"
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _flat(value: Any) -> str:
    """All texts in a value, one a line: what the model reads of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(filter(None, map(_flat, value.values())))
    return "\n".join(filter(None, map(_flat, value))) if isinstance(value, list) else ""


def _names(tools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The names of the tools; those of a group with the group's before them."""
    for one in tools:
        inner = one.get("function") or one
        if inner.get("name"):
            yield inner["name"]
        yield from _names(one.get("tools") or ())


def _empty(item: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in an item of a stream before it is filled."""
    return {"content": []} if item["type"] == "message" else {"arguments" if "arguments" in item else "input": ""}


_COUNT = itertools.count(1)


def _number() -> str:
    """A number that no other has."""
    return f"{next(_COUNT):06d}"
