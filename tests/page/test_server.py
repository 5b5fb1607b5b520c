"""The served page: who may ask it, what it tells as the branch changes, and what a person writes through it."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from clones import Seat

pytest.importorskip("uvicorn", reason="needs the extra page")
pytest.importorskip("starlette", reason="needs the extra page")

PATIENCE = 60


def unpacked_data(text: str) -> dict[str, Any]:
    """What the page is given."""
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))
    return found


@dataclass
class Served:
    """A page that is served."""

    url: str
    child: subprocess.Popen[str]

    @property
    def host(self) -> str:
        """Where it is, with the port."""
        return urlsplit(self.url).netloc

    def ask(self, path: str = "", method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
        """Ask for something below the address, or (with a slash in front) anywhere; the status, the headers and the text."""
        line = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        line.request(method, path if path.startswith("/") else urlsplit(self.url).path + path, body, named)
        answer = line.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        line.close()
        return found

    def write(self, what: str, **fields: str) -> tuple[int, dict[str, Any]]:
        """Write as the page does."""
        code, _, text = self.ask(what, "POST", json.dumps(fields), Content_Type="application/json", Origin=f"http://{self.host}")
        return code, json.loads(text)

    @contextmanager
    def events(self) -> Iterator[Iterator[str]]:
        """The lines of what is told as it changes."""
        line = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        line.request("GET", urlsplit(self.url).path + "events")
        answer = line.getresponse()
        assert answer.getheader("content-type", "").startswith("text/event-stream")
        yield (data for data in iter(lambda: answer.readline().decode().strip(), None) if data.startswith("data:"))
        line.close()


@contextmanager
def served(seat: Seat, *options: str) -> Iterator[Served]:
    """Serves the page of a clone, and ends it by Ctrl-C."""
    with seat.start("page", "--serve", "--json", *options) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first, child.communicate()
        try:
            yield Served(json.loads(first)["url"], child)
        finally:
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=PATIENCE)
    assert child.returncode == 0


def test_only_who_has_the_address_and_asks_this_machine_is_answered(pair: tuple[Seat, Seat]) -> None:
    with served(pair[0]) as page:
        answers = {
            "it": page.ask(),
            "data": page.ask("data"),
            "another token": page.ask("/" + "x" * 32 + "/"),
            "no token": page.ask("/"),
            "another host": page.ask(Host="evil.example"),
            "a name that leads here": page.ask("data", Host=f"evil.example:{urlsplit(page.url).port}"),
            "another site": page.ask("data", Sec_Fetch_Site="cross-site"),
            "a site beside it": page.ask("data", Sec_Fetch_Site="same-site"),
            "write": page.ask("send", "POST", "{}", Content_Type="application/json", Origin=f"http://{page.host}"),
        }
        assert {name: code for name, (code, _, _) in answers.items()} == {
            "it": 200, "data": 200, "another token": 404, "no token": 404, "another host": 421, "a name that leads here": 421,
            "another site": 403, "a site beside it": 403, "write": 404,
        }  # fmt: skip
        assert urlsplit(page.url).hostname == "127.0.0.1"
        assert len(urlsplit(page.url).path) > 24
        for _, headers, text in answers.values():
            assert not [name for name in headers if name.startswith("access-control-")]
            assert "ada" not in text or headers["cache-control"] == "no-store"
        policy = answers["it"][1]["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_what_happens_is_told_and_can_be_fetched(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    with served(ada) as page, page.events() as told:
        assert next(told) == "data: 1"
        ben.ok("claim", "src/api.py")
        assert next(told) == "data: 2"
        bars = unpacked_data(page.ask("data")[2])["bars"]
    assert [(bar[0], bar[1]) for bar in bars] == [("ben", "file:src/api.py")]


def test_a_person_answers_a_question_and_a_request_and_sends_a_message(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    ada.ok("claim", "src/api.py")
    ben.ok("send", "ada", "Which zone?", "--type", "question")
    request = ben.ok("request", "file", "src/api.py")
    with served(ada, "--write") as page:
        notes = unpacked_data(page.ask("data")[2])["notes"]
        question, asked = (next(note[10] for note in notes if note[4] == kind) for kind in ("question", "release_request"))
        assert page.write("reply", id=question, text="UTC.")[0] == 200
        assert page.write("respond", id=asked, answer="approve", text="")[0] == 200
        code, receipt = page.write("send", to="ben", subject="pull first", text="src/api.py has moved")
        assert (code, receipt["state"]) == (200, "committed")
    mail = {one["type"]: one for one in ben.ok("inbox")["messages"]}
    assert mail["note"]["subject"] == "pull first"
    assert "UTC." in json.dumps(mail)
    assert [one["from"] for one in mail.values()] == ["ada"] * len(mail)
    assert ben.ok("claim", "src/api.py")["outcome"] == "held"
    assert request["state"] == "committed"


def test_nothing_else_is_written(pair: tuple[Seat, Seat]) -> None:
    ada, ben = pair
    good = json.dumps({"to": "ben", "subject": "hello"})
    with served(ada, "--write") as page:
        here, kind = f"http://{page.host}", "application/json"
        codes = [
            page.ask("send", "POST", good, Content_Type=kind)[0],
            page.ask("send", "POST", good, Content_Type=kind, Origin="http://evil.example")[0],
            page.ask("send", "POST", good, Content_Type="text/plain", Origin=here)[0],
            page.ask("send", "POST", good, Content_Type=kind, Origin=here, Host="evil.example")[0],
            page.ask("/" + "x" * 32 + "/send", "POST", good, Content_Type=kind, Origin=here)[0],
            page.ask("end", "POST", "{}", Content_Type=kind, Origin=here)[0],
            page.ask("send", "POST", "[]", Content_Type=kind, Origin=here)[0],
            page.ask("send", "POST", '{"to": 1}', Content_Type=kind, Origin=here)[0],
            page.ask("send", "POST", '{"to": "x", "op": "1"}', Content_Type=kind, Origin=here)[0],
            page.ask("send", "POST", " " * 200_000, Content_Type=kind, Origin=here)[0],
        ]
        assert codes == [403, 403, 403, 421, 404, 400, 400, 400, 400, 413]
        code, error = page.write("send", to="nobody-at-all", subject="hello")
        assert (code, "nobody-at-all" in error["message"]) == (409, True)
    assert ben.ok("inbox")["messages"] == []


@pytest.mark.parametrize("options", [("--write",), ("--serve", "--since", "2h"), ("--serve", "--port", "70000")])
def test_what_makes_no_sense_is_refused(options: tuple[str, ...], pair: tuple[Seat, Seat]) -> None:
    assert pair[0].run("page", *options).code == 2
