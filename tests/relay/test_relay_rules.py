"""What a relay refuses: addresses, redirects, secrets that others can see, text that calls or hides; and how services end."""

from __future__ import annotations

import logging
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chat import Discord, Ntfy, Service, SlackServer, in_turn
from clones import Seat
from hypothesis import given
from hypothesis import strategies as st
from pure_branch import Story

from gitcoord.core.messages import MessageSent
from gitcoord.core.names import UNSAFE
from gitcoord.core.trials import TrialDone
from gitcoord.errors import BadInput
from gitcoord.relay.filter import Choice, line
from gitcoord.relay.plan import Typed, make_plan
from gitcoord.relay.redact import HIDDEN, inert, redact
from gitcoord.relay.services.api import Busy, Delivery, Parcel
from gitcoord.relay.services.file import Lines
from gitcoord.relay.services.gate import Gate, is_public
from gitcoord.relay.services.webhook import Webhook
from gitcoord.relay.settings import read_settings

HERE = Gate(private=True)
PARCEL = Parcel("#7 ada to all: hello", "01ID", 7, event={"seq": 7})


# --- where it may connect to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "::",
        "fe80::1%eth0",
        "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "224.0.0.1", "::7f00:1", "nonsense",
        "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.9", "192.88.99.1", "240.0.0.1", "255.255.255.255",
        "fec0::1", "ff02::1", "2001:db8::1", "3fff::1", "2001:2::1", "2001:10::1", "2001:20::1", "100::1", "5f00::1",
        "64:ff9b:1::5db8:d70e", "64:ff9b::c0a8:101", "::ffff:0:10.0.0.1", "::ffff:198.18.0.1", "2002:c0a8:101::1",
        "2001:0:5db8:d70e::f5ff:fffe", "2001:0:a00:1::a247:28f1", "2606:4700::5efe:a00:1", "2606:4700::200:5efe:7f00:1",
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "2606:4700::1111",
        "::ffff:93.184.215.14",
        "64:ff9b::5db8:d70e",
        "2002:5db8:d70e::1",
        "2001:0:5db8:d70e::a247:28f1",
        "2606:4700::5efe:5db8:d70e",
        "192.31.196.1",
        "2001:4860:4860::8888",
    ],
)
def test_public_addresses_are(address: str) -> None:
    assert is_public(address)


def test_a_private_address_is_refused_where_the_connection_is_made() -> None:
    with Service() as service:
        shut = Webhook("ops", service.url + "/x", Gate(private=False, plain=True)).send(PARCEL)
        assert (shut.end, service.tries) == ("barred", 0)
        assert Webhook("ops", service.url + "/x", HERE).send(PARCEL).end == "sent"


def test_a_name_that_leads_to_a_private_address_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    with Service() as service:
        url = f"http://hooks.example.org:{service.port}/x"
        assert Webhook("ops", url, Gate(plain=True)).send(PARCEL).end == "barred"
        assert service.tries == 0
        assert Webhook("ops", url, HERE).send(PARCEL).end == "sent"


def test_the_gate_binds_only_who_is_inside() -> None:
    with Service() as service, Gate().kept(), pytest.raises(OSError, match="no public address"):
        socket.create_connection(("127.0.0.1", service.port), 5)
    with Service() as service:
        socket.create_connection(("127.0.0.1", service.port), 5).close()


def test_a_redirect_is_not_followed() -> None:
    with Service() as aim, Service(faults=lambda: f"to:{aim.url}/stolen") as service:
        delivery = Webhook("ops", service.url + "/x", HERE).send(PARCEL)
        assert (delivery.end, aim.tries) == ("shut", 0)


@pytest.mark.parametrize("url", ["http://hooks.example.org/x", "ftp://example.org/x", "https:///x", "file:///etc/passwd"])
def test_what_is_not_encrypted_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        Gate(private=True).check_url(url)
    Gate().check_url("https://hooks.example.org/x")


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.5",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "localhost",
        "Hook.LOCALHOST.",
        "[::1]",
        "[fec0::1]",
        "[::ffff:10.0.0.5]",
    ],
)
def test_an_address_that_is_plainly_private_is_refused_when_it_is_set(host: str) -> None:
    with pytest.raises(BadInput, match="private"):
        Gate().check_url(f"https://{host}/x")
    HERE.check_url(f"https://{host}/x")


def test_http_to_this_machine_needs_the_person_to_allow_private_addresses() -> None:
    with pytest.raises(BadInput):
        Gate().check_url("http://127.0.0.1/x")
    HERE.check_url("http://127.0.0.1/x")
    Gate(plain=True).check_url("http://hooks.example.org/x")


# --- secrets ---------------------------------------------------------------------------------------------------------


def settings(folder: Path, text: str, mode: int = 0o600) -> Path:
    """The person's settings."""
    path = folder / "gitcoord" / "relay.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_settings_that_others_can_read_are_refused(tmp_path: Path, mode: int) -> None:
    path = settings(tmp_path, '[urls]\nops = "https://example.org/secret-part-of-it"\n', mode)
    with pytest.raises(BadInput, match="others than you can read it") as caught:
        read_settings(path, "chat", outside="")
    assert caught.value.hint == f"chmod 600 {path}"
    path.chmod(0o600)
    assert read_settings(path, "chat", outside="").urls == {"ops": "https://example.org/secret-part-of-it"}


def test_settings_inside_of_the_work_tree_are_refused(tmp_path: Path) -> None:
    path = settings(tmp_path / "tree" / "config", "")
    with pytest.raises(BadInput, match="lies in the work tree"):
        read_settings(path, "chat", outside=str(tmp_path / "tree"))
    link = tmp_path / "relay.toml"
    link.symlink_to(path)
    with pytest.raises(BadInput, match="lies in the work tree"):
        read_settings(link, "chat", outside=str(tmp_path / "tree"))
    assert read_settings(path, "chat", outside=str(tmp_path / "other")).urls == {}


@pytest.mark.parametrize(
    "text", ["not toml =", "[relay.chat]\nunknown = 1\n", "[relay.chat]\nto = 'x'\n", "[urls]\nops = 5\n", "relay = 3\n"]
)
def test_settings_that_are_none_are_refused_without_quoting_them(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput):
        read_settings(settings(tmp_path, text), "chat", outside="")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T000/B000/XXXX", "https://discord.com/api/webhooks/1/abc", "discord://1/abc",
        "https://user:pass@example.org/x", "https://example.org/x?key=1", "https://example.org/0123456789abcdef0", "ntfys://topic",
        "tgram://1/2", "mailtos://me:pass@example.org",
    ],
)  # fmt: skip
def test_an_address_that_may_be_a_secret_is_not_taken_from_the_command_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput, match="can be seen by others") as caught:
        make_plan(Typed(to=[url]), {"HOME": str(tmp_path)}, "", _no_runner)
    assert url not in caught.value.message + caught.value.hint


def _no_runner(command: str, seconds: float) -> Any:
    raise AssertionError


def test_secrets_come_from_the_settings_and_the_environment(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "OPS": "https://example.org/0123456789abcdef0"}
    settings(tmp_path, '[urls]\nops = "https://example.org/abcdef0123456789"\n[relay.chat]\nto = ["ops"]\nevents = "alert"\n')
    plan = make_plan(Typed(), environ, "", _no_runner)
    assert [one.name for one in plan.outlets] == ["ops"]
    assert plan.choice.words == {"alert"}
    assert [one.name for one in make_plan(Typed(to=["env:OPS"]), environ, "", _no_runner).outlets] == ["ops"]
    assert [
        one.name for one in make_plan(Typed(name="other"), {**environ, "GITCOORD_RELAY_TO": "ops"}, "", _no_runner).outlets
    ] == ["ops"]
    with pytest.raises(BadInput, match="needs somewhere"):
        make_plan(Typed(name="other"), environ, "", _no_runner)


def test_the_program_shows_no_secret_whatever_goes_wrong(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    secret = "verysecretverysecret"
    ada.extra = {"XDG_CONFIG_HOME": str(tmp_path), "GITCOORD_RELAY_WEBHOOK_TOKEN": secret}
    text = '[urls]\nops = "{}"\n[relay.chat]\nto = ["ops"]\n'
    ada.ok("send", "broadcast", "news", "--type", "alert")
    with Service(faults=lambda: "401") as service:
        for url in (
            f"http://127.0.0.1:{service.port}/{secret}", f"https://127.0.0.1:{service.port}/{secret}", f"http://example.org/{secret}",
            f"https://name:{secret}@example.org/", f"nothing://{secret}", f"json://{secret}:x", f"https://[{secret}",
        ):  # fmt: skip
            settings(tmp_path, text.format(url))
            ran = ada.run("relay", "--once", "--allow-private", "--since", "0", "--name", "chat")
            assert secret not in ran.out + ran.err
        assert service.tries
    for place in (ada.git("log", "--format=%B", "origin/coordination"), ada.git("log", "-p", "--format=", "origin/coordination")):
        assert secret not in place


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "a" * 36, "github_pat_" + "A1" * 20, "glpat-" + "x" * 20, "xoxb-" + "1234567890-abcdef",
        "AKIA" + "ABCDEFGHIJKLMNOP", "sk-" + "proj-" + "a1" * 12, "eyJ" + "hbGciOiJ9.eyJzdWIiOiIx.c2lnbmF0dXJl",
        "password=hunter2hunter2", '"api_key": "0123456789ab"',
        "https://user:" + "pass1234@example.org/", "Authorization: Bearer " + "abcdef0123456789",
        "https://hooks.slack.com/services/" + "T0/B0/abcDEF", "https://discord.com/api/webhooks/" + "123/abcDEF",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nMIIEcut off",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    hidden = redact(f"before {text} after")
    assert HIDDEN in hidden
    assert hidden.startswith("before ")
    for part in text.replace("\n", " ").split(" ")[-1:]:
        assert part not in hidden


@pytest.mark.parametrize(
    "text",
    [
        "commit 0123456789abcdef0123456789abcdef01234567",
        "the token ring",
        "file:src/api.py is mine until 14:00",
        "https://example.org/x",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_secret_that_stands_where_a_line_is_cut_is_hidden_first() -> None:
    token = "ghp_" + "a" * 36
    for length in range(60):
        assert "ghp_a" not in inert("x" * length + " " + token, 50)


def test_a_secret_in_a_long_message_is_hidden_wherever_it_is_cut() -> None:
    token = "ghp_" + "a" * 36
    for length in range(190, 250):
        event = MessageSent(
            id="X", seq=7, session="ada", at=datetime.now(UTC), to="ben", subject="s", message="x" * length + " " + token
        )
        assert "ghp_a" not in line(event, "")


# --- text ------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "@everyone", "@here", "<!channel>", "<!here|x>", "<@U123>", "<@&99>", "<#C1>", "@room", "<at>All</at>",
    "[safe](https://evil.example)", "<https://evil.example|safe>", "`code` **bold** ~~gone~~ ||spoiler||",
    "![x](https://evil.example/p.png)", "a\x1b[31mred", "a\u202etxt",
    "a\u200bb", "# heading", "line\n@everyone", "\ufeff@everyone", "&lt;!channel&gt;",
]  # fmt: skip
CALLS = set("@<>&[]`*~|\\")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_calls_nobody_and_formats_nothing(text: str) -> None:
    told = inert(text, 400)
    assert not CALLS & set(told)
    assert not UNSAFE.search(told)
    assert "\n" not in told


@given(st.text(max_size=300), st.integers(1, 200))
def test_any_text_becomes_one_inert_line(text: str, limit: int) -> None:
    told = inert(text, limit)
    assert len(told) <= limit
    assert not CALLS & set(told)
    assert not UNSAFE.search(told)
    assert len(told.splitlines()) <= 1


@given(st.lists(st.sampled_from([*HOSTILE, "@", "<", "!", "everyone", " ", "＠", "\u200b", "_", "#"]), max_size=12))
def test_pieces_of_mentions_put_together_make_none(parts: list[str]) -> None:
    told = inert("".join(parts), 2000)
    assert not CALLS & set(told)
    assert inert(told, 4000) == told  # made inert again, it is the same: nothing in it was left to do


def test_plain_text_is_left_alone() -> None:
    text = "#42 ada finished file:src/my_api.py: all tests pass (3 of 3), see https://example.org/x_y"
    assert inert(text, 400) == text


# --- what is told ----------------------------------------------------------------------------------------------------


def test_branches_that_are_red_together_are_told_if_nothing_else_is_asked_for() -> None:
    story = Story.of("ada")
    commit = "a" * 40
    trial = {"onto": "main", "base": commit, "incoming": (f"{commit} ada login",), "program": "make", "digest": "0" * 32}
    green, red = (story.event(TrialDone, "ada", **trial, exit_code=code) for code in (0, 2))
    assert [Choice().takes(one, ()) for one in (green, red)] == [False, True]
    assert line(red, red.headline()).endswith("trial: login (ada) is red on main (make, exit 2), by ada")


@pytest.mark.parametrize("text", ["nonsense", "session:No Name", "resource:x", "!!alert", "claim.*;x", ""])
def test_a_filter_that_chooses_nothing_known_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Choice.parse((text,))


# --- services --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "end", "after"),
    [
        (None, "sent", None), ("500", "later", None), ("503:5", "later", 5.0), ("429:9", "later", 9.0),
        ("429:99999999", "later", 3600.0), ("502", "open", None), ("504", "open", None),
        ("400", "refused", None), ("413", "refused", None), ("401", "shut", None),
        ("404", "shut", None), ("before", "open", None), ("after", "open", None),
    ],
)  # fmt: skip
def test_each_end_of_a_delivery(fault: str | None, end: str, after: float | None) -> None:
    with Service(faults=in_turn(fault)) as service:
        delivery = Webhook("ops", service.url + "/x", HERE).send(PARCEL)
    assert (delivery.end, delivery.after) == (end, after)


def test_nothing_listens() -> None:
    with Service() as service:
        url = service.url
    assert Webhook("ops", url, HERE).send(PARCEL).end == "later"


def test_a_webhook_gets_the_line_the_event_and_a_key_to_know_repetitions_by() -> None:
    with Service() as service:
        Webhook("ops", service.url + "/x", HERE, "token").send(PARCEL)
    [got] = service.got
    assert got.json == {"text": PARCEL.text, "id": "01ID", "event": {"seq": 7}}
    assert (got.headers["idempotency-key"], got.headers["authorization"]) == ("01ID", "Bearer token")


def chat(service: Service, url: str) -> Any:
    """The service by way of apprise."""
    pytest.importorskip("apprise", reason="the extra chat is not installed")
    from gitcoord.relay.services.apprise import Chat

    return Chat("ops", url.replace("HOST", f"127.0.0.1:{service.port}"), HERE)


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What any library logs."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            """Keeps it."""
            found.append(record.getMessage())

    handler = Keep()
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    ("fault", "end", "after"),
    [
        (None, "sent", None), ("500", "later", None), ("429:9", "later", 9.0), ("400", "refused", None), ("403", "shut", None),
        ("502", "open", None), ("before", "open", None), ("after", "open", None),
    ],
)  # fmt: skip
def test_each_end_of_a_delivery_by_apprise(fault: str | None, end: str, after: float | None, told: list[str]) -> None:
    with Ntfy(faults=in_turn(fault)) as service:
        delivery = chat(service, "ntfy://HOST/topic").send(PARCEL)
        assert (delivery.end, delivery.after) == (end, after)
        assert service.tries == 1  # apprise tries nothing again by itself
    assert told == []


def test_apprise_follows_no_redirect_and_uses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Service() as proxy, Ntfy() as aim, Ntfy(faults=in_turn(f"to:{aim.url}/topic")) as service:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        ways = chat(service, "ntfy://HOST/topic")
        assert ways.send(PARCEL).end == "shut"
        assert ways.send(PARCEL).end == "sent"
        assert (aim.tries, proxy.tries, service.tries) == (0, 0, 2)


def test_apprise_is_kept_from_private_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apprise", reason="the extra chat is not installed")
    from gitcoord.relay.services.apprise import Chat

    with Ntfy() as service:
        with pytest.raises(BadInput, match="private"):
            Chat("ops", f"ntfy://127.0.0.1:{service.port}/topic", Gate(plain=True))
        real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
        delivery = Chat("ops", f"ntfy://hooks.example.org:{service.port}/topic", Gate(plain=True)).send(PARCEL)
        assert (delivery.end, service.tries) == ("barred", 0)


def test_apprise_needs_nothing_listening_to_know_that_nothing_came() -> None:
    with Ntfy() as service:
        way = chat(service, "ntfy://HOST/topic")
    assert way.send(PARCEL).end == "later"


@pytest.mark.parametrize(
    "url", ["json://hooks.example.org/x", "mailto://me:pass@example.org", "jsons://example.org/?verify=no", "what://x"]
)
def test_apprise_addresses_that_are_refused(url: str) -> None:
    with Service() as service, pytest.raises(BadInput) as caught:
        chat(service, url)
    assert "example.org" not in caught.value.message


def test_discord_gets_a_line_that_calls_nobody() -> None:
    with Discord() as service:
        way = chat(service, "discord://123456789012345678/abcdefghijklmnopqrstuvwxyz")
        way._service.notify_url = service.url + "/api/webhooks"
        assert way.send(Parcel(inert("#7 ada: hello @everyone <@123>", 400), "01ID", 7)).end == "sent"
    [got] = service.got
    assert got.path.startswith("/api/webhooks/123456789012345678/")
    assert got.json["content"].strip() == "#7 ada: hello ＠everyone ‹＠123›"


# --- Slack -----------------------------------------------------------------------------------------------------------


def channel(server: SlackServer, token: str | None = None) -> Any:
    """The channel."""
    pytest.importorskip("slack_sdk", reason="the extra slack is not installed")
    from gitcoord.relay.services.slack import Slack

    return Slack("slack", server.channel, token or server.token, HERE, server.url + "/api/")


@pytest.mark.parametrize(
    ("fault", "end"),
    [("500", "later"), ("429:5", "later"), ("503", "later"), ("502", "open"), ("before", "open"), ("after", "open")],
)
def test_each_end_of_a_post_to_slack(fault: str, end: str) -> None:
    with SlackServer(faults=in_turn(fault)) as server:
        delivery: Delivery = channel(server).send(PARCEL)
        assert (delivery.end, server.tries) == (end, 1)
        if fault == "429:5":
            assert delivery.after == 5.0


@pytest.mark.parametrize(
    ("error", "end"),
    [
        ("ratelimited", "later"),
        ("invalid_auth", "shut"),
        ("channel_not_found", "shut"),
        ("msg_too_long", "refused"),
        ("fatal_error", "open"),
    ],
)
def test_each_no_of_slack(error: str, end: str) -> None:
    with SlackServer(errors=lambda method: error) as server:
        delivery = channel(server).send(PARCEL)
    assert delivery.end == end
    assert "xoxb" not in delivery.why


def test_slack_follows_no_redirect_with_its_token() -> None:
    with Service() as aim, SlackServer(faults=lambda: f"to:{aim.url}/x") as server:
        assert channel(server).send(PARCEL).end == "shut"
        with pytest.raises(Busy):
            channel(server).poll("1.0")
        assert aim.tries == 0


def test_slack_is_heard_from_the_end_and_each_once_with_threads_and_pages() -> None:
    with SlackServer() as server:
        one = channel(server)
        server.say("before")
        said, place = one.poll("")
        assert said == ()
        root = server.say("root")
        for number in range(8):
            server.say(f"reply {number}", thread=root)
            server.say(f"top {number}")
        server.say("joined", subtype="channel_join")
        server.say("I am a bot", bot_id="B1")
        server.say("me", user="U0BOT")
        said, place = one.poll(place)
        assert [each.text for each in said] == ["root", *(f"{kind} {n}" for n in range(8) for kind in ("reply", "top"))]
        assert {each.thread for each in said if each.text.startswith("reply")} == {root}
        assert {each.author for each in said} == {"Grace"}
        assert one.poll(place) == ((), place)
        server.say("late reply", thread=root)
        said, place = one.poll(place)
        assert [each.text for each in said] == ["late reply"]


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_file_is_heard_through_truncation_and_rotation(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_text("old\n")
    lines = Lines("file", path)
    heard: list[str] = []
    ids: set[str] = set()
    place = lines.poll("")[1]

    def look() -> list[str]:
        nonlocal place
        said, place = lines.poll(place)
        ids.update(one.id for one in said)
        heard.extend(one.text for one in said)
        return [one.text for one in said]

    with path.open("a") as file:
        file.write("one\ntw")
    assert look() == ["one"]
    with path.open("a") as file:
        file.write("o\n\n  \nthree\n")
    assert look() == ["two", "three"]
    path.write_text("one\n")  # truncated and written anew: the same words are said again
    assert look() == ["one"]
    with path.open("a") as file:
        file.write("last words\n")
    path.rename(tmp_path / "said.1")
    path.write_text("new file\n")
    assert look() == ["last words"]
    assert look() == ["new file"]
    assert look() == []
    again = Lines("file", path)
    assert again.poll(place)[0] == []
    again.close()
    path.unlink()
    assert look() == []
    assert len(ids) == len(heard) == 6
    lines.close()
    assert stat.S_ISREG((tmp_path / "said.1").stat().st_mode)


def test_a_file_of_any_bytes_is_heard_as_text(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_bytes(b"")
    lines = Lines("file", path)
    place = lines.poll("")[1]
    path.write_bytes(b"\xff\xfe\x00bad\nfine\n" + b"x" * 100_000 + b"\n")
    said, place = lines.poll(place)
    assert [one.text for one in said][1] == "fine"
    assert len(said[2].text) == 16 * 1024
    lines.close()
