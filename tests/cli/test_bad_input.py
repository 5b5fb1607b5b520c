"""Whatever is typed, or pushed: a clear error, nothing lost, never a traceback (the seats look for that in every run)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clones import Seat
from gits import git
from remotes import Remote

LONG = "x" * 10_000


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("start", ".."), "not a session name"),
        (("start", "../../etc/passwd"), "not a session name"),
        (("start", "UPPER"), "not a session name"),
        (("start", "con"), "reserved"),
        (("start", "broadcast"), "reserved"),
        (("start", LONG), "64 characters"),
        (("start", "a\x1b[2J"), "not a session name"),
        (("start", "--", "-rf"), "not a session name"),
        (("claim", "../outside"), "outside"),
        (("claim", "/etc/passwd"), "outside"),
        (("claim", "a\x07b"), "U+0007"),
        (("claim", "a\u202eb"), "U+202E"),
        (("claim", LONG), "at most"),
        (("claim", "droplet", ""), "empty"),
        (("claim", "x", "--ttl", "soon"), "not a duration"),
        (("claim", "x", "--ttl", "1s"), "5 minutes"),
        (("claim", "x", "--ttl", "999d"), "at most"),
        (("claim", "x", "--break", "one"), "valid integer"),
        (("heartbeat", "two\nlines"), "one plain line"),
        (("send", "nobody", "hi"), "no session is called nobody"),
        (("send", "Nobody!", "hi"), "not a session name"),
        (("send", "broadcast", ""), "a message needs words"),
        (("send", "broadcast", "s", "x" * 70_000), "65536"),
        (("send", "broadcast", LONG, "text"), "200"),
        (("send", "broadcast", "s", "--type", "shout"), "no type of message"),
        (("send", "broadcast", "s", "--detail", "novalue"), "KEY=VALUE"),
        (("send", "broadcast", "s", "--reply-to", "999"), "no message 999"),
        (("send", "broadcast", "s", "--detail", "two=lines\nof it"), "one plain line"),
        (("send", "broadcast", "s", "--detail", "raw=\udcff"), "one plain line"),
        (("send", "broadcast", "s", "raw \udcff bytes"), "UTF-8"),
        (("claim", "file", *(f"f{n}" for n in range(65))), "resources"),
        (("start", "fine", *(word for n in range(2) for word in ("--capability", "x" * 70))), "60"),
        (("release",), "say what to release"),
        (("config", "--shared", "color", "blue"), "not a shared setting"),
        (("config", "--shared", "default_ttl", "1s"), "default_ttl"),
        (("config", "url", "x"), "not a setting"),
        (("config", "branch", "HEAD"), "plain branch name"),
        (("config", "hub", "ssh://-oProxyCommand=x/r"), "names no host"),
        (("log", "--since", "yesterday-ish"), "not a time"),
        (("--op", "a b", "heartbeat"), "operation id"),
        (("--session", "NOT OK", "heartbeat"), "not a session name"),
        (("frobnicate",), "frobnicate"),
        (("claim", "x", "--nonsense"), "--nonsense"),
        (("-C",), "needs a value"),
        (("-C", "/nowhere/at/all", "status"), "not a folder"),
    ],
)
def test_bad_input_is_exit_2_with_a_reason(lookers: tuple[Seat, Seat], words: tuple[str, ...], part: str) -> None:
    ada, _ = lookers
    before = ada.git("ls-remote", "origin")
    ran = ada.run(*words)
    assert ran.code == 2, ran
    assert ran.err.startswith("error: ")
    assert part in ran.err
    assert not any(ord(char) < 32 and char != "\n" for char in ran.err + ran.out)
    assert len(ran.err) < 2500
    as_json = ada.run("--json", *words)
    assert as_json.json["exit_code"] == 2
    assert ada.git("ls-remote", "origin") == before


def test_outside_of_a_repository_it_says_so(tmp_path: Path, pair: tuple[Seat, Seat]) -> None:
    ran = pair[0].run("status", cwd=tmp_path)
    assert ran.code == 2
    assert "not inside a git repository" in ran.err


def test_before_init_it_names_the_next_step(file_remote: Remote, seats) -> None:  # type: ignore[no-untyped-def]
    (ada,) = seats(file_remote, "ada")
    for words in (("status",), ("start",), ("claim", "x"), ("inbox",), ("board",), ("verify",), ("log",)):
        ran = ada.run(*words)
        assert ran.code in (1, 2), (words, ran)
        assert "hint: gitcoord init" in ran.err or "hint: gitcoord start" in ran.err, (words, ran)


def test_an_empty_remote_is_not_given_a_default_branch(remotes, seats) -> None:  # type: ignore[no-untyped-def]
    remote = remotes.make("file", empty=True)
    (ada,) = seats(remote, "ada")
    ran = ada.run("init")
    assert ran.code == 1
    assert "first commit" in ran.err
    assert git(remote.path, "for-each-ref") == ""


def test_a_fork_must_say_which_remote_is_shared(file_remote: Remote, seats, remotes) -> None:  # type: ignore[no-untyped-def]
    (ada,) = seats(file_remote, "ada")
    upstream = remotes.make("file")
    ada.git("remote", "add", "upstream", str(upstream.path))
    ran = ada.run("init")
    assert ran.code == 2
    assert "gitcoord init --remote" in ran.err
    assert ada.ok("init", "--remote", "upstream")["branch"] == "upstream/coordination"
    assert git(file_remote.path, "for-each-ref", "refs/heads/coordination") == ""


@pytest.mark.parametrize("url", ["ext::sh -c touch% pwned", "--upload-pack=touch pwned", "ftp://example.org/x", "fd::17"])
def test_a_url_that_could_run_something_is_refused(file_remote: Remote, seats, url: str) -> None:  # type: ignore[no-untyped-def]
    (ada,) = seats(file_remote, "ada")
    ada.git("config", "remote.origin.url", url)
    ran = ada.run("init")
    assert ran.code == 2, ran
    assert not (ada.path / "pwned").exists()


HOSTILE = {
    "sessions/../../../escape.json": "{}",
    "sessions/ada.json": "not json at all",
    "sessions/ben.json": json.dumps({"session_id": "ben", "started_at": "2026-02-30T00:00:00Z", "last_heartbeat": "NaN"}),
    "claims/file-x.claim": '{"ttl_seconds": 1e999, "claimed_by": "\\u001b[2J"}',
    "claims/file-deep.claim": "[" * 20_000,
    "messages/direct/ada/huge.json": '{"message": "' + "A" * 3_000_000 + '"}',
    "heartbeats/ada.json": "",
}


def test_hostile_records_on_the_branch_change_nothing_and_crash_nothing(
    pair: tuple[Seat, Seat], file_remote: Remote, tmp_path: Path
) -> None:
    ada, ben = pair
    ada.ok("claim", "x")
    hand = tmp_path / "hand"
    git(tmp_path, "clone", "-q", "-b", "coordination", str(file_remote.path), str(hand))
    for name, text in HOSTILE.items():
        place = hand / name.replace("../", "up-")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    git(hand, "add", "-A")
    git(hand, "commit", "-q", "-m", "\x1b[2J Coord-Event: claim.acquired")
    git(hand, "push", "-q", "origin", "HEAD:coordination")
    for words in (("status",), ("claims",), ("inbox",), ("log",), ("board",), ("peers",), ("verify",), ("doctor",)):
        ran = ada.run(*words)
        assert ran.code in (0, 1)
        assert "\x1b" not in ran.out + ran.err
    assert ben.run("claim", "x").code == 3
    assert ben.ok("heartbeat", "building")["state"] == "committed"
    assert ada.ok("verify")["ok"] is True
    assert git(hand, "ls-remote", "origin", "coordination")
    assert [one["claimed_by"] for one in ada.ok("claims")["claims"]] == ["ada"]


def test_a_bare_repository_in_a_checkout_is_used_only_if_it_is_named(pair: tuple[Seat, Seat], tmp_path: Path) -> None:
    ada, _ = pair
    evil = ada.path / "vendor" / "evil"
    evil.parent.mkdir()
    git(evil.parent, "init", "-q", "--bare", str(evil))
    git(evil, "config", "remote.origin.url", "ssh://host/x")
    git(evil, "config", "core.sshCommand", f"touch {tmp_path}/ran; false")
    git(evil, "config", "ssh.variant", "simple")
    for where, words in ((evil, ("status",)), (evil / "objects", ("claim", "x")), (ada.path, ("-C", "vendor/evil", "start"))):
        ran = ada.run(*words, cwd=where)
        assert ran.code == 2
        assert "bare repository" in ran.err
    assert not (tmp_path / "ran").exists()
    named = Seat(evil, tmp_path / "outbox", extra={"GIT_DIR": "."})
    assert named.run("status").code == 6
    assert (tmp_path / "ran").exists()  # what was kept from running


@pytest.mark.parametrize("user", ["S3CR3T", "x-access-token:S3CR3T"])
def test_a_secret_in_a_url_is_shown_by_nothing_and_named_by_nothing_on_the_branch(pair: tuple[Seat, Seat], user: str) -> None:
    ada, _ = pair
    url = f"http://{user}@127.0.0.1:9/team.git?private_token=S3CR3T"
    ada.git("remote", "set-url", "origin", url)
    said = [ada.run(*words) for words in (("status",), ("doctor",), ("claim", "x", "--json"), ("send", "ben", "hi"))]
    said += [ada.run("config", "hub", url), ada.run("config", "hub"), ada.run("config", "--json"), ada.run("doctor", "--json")]
    assert "S3CR3T" not in "".join(ran.out + ran.err for ran in said)
    assert "127.0.0.1:9/team.git" in said[0].err
    ada.git("config", "--unset", "gitcoord.hub")
    with ada.here() as found:
        assert found.coordinator.actor.repo == "team"
    assert not [path for path in ada.outbox.rglob("*") if path.is_file() and b"S3CR3T" in path.read_bytes()]
