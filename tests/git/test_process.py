"""The environment of our git children: the user's git works for us as for them, and what we set only narrows."""

from __future__ import annotations

import os

import pytest

from gitcoord.errors import GitcoordError, mask
from gitcoord.git.environment import PROTOCOLS, clean_environment, given_config, outside, protocols, with_config
from gitcoord.git.process import GitChild


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("'http.extraheader'='a: b'", [("http.extraheader", "a: b")]),
        ("'http.extraheader=a: b'", [("http.extraheader", "a: b")]),  # as git before 2.31 writes it
        ("'a.b'='it'\\''s'  'c.d'=", [("a.b", "it's"), ("c.d", "true")]),
        ("'url.https://h/?x=1.insteadof'='x'\\!'='", [("url.https://h/?x=1.insteadof", "x!=")]),
        ("'remote.origin.URL'='elsewhere' 'core.workTree'='/' 'Extensions.X'='1' 'a.b'='1'", [("a.b", "1")]),
        ("not quoted at all", []),
    ],
)
def test_configuration_of_the_command_line_is_passed_on_but_for_what_names_a_repository(
    given: str, expected: list[tuple[str, str]]
) -> None:
    assert given_config({"GIT_CONFIG_PARAMETERS": given}) == expected


def test_configuration_of_the_environment_comes_first_and_ours_last() -> None:
    environ = {
        "GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_0": "gc.auto", "GIT_CONFIG_VALUE_0": "7", "GIT_CONFIG_KEY_1": "gitcoord.hub",
        "GIT_CONFIG_VALUE_1": "x", "GIT_CONFIG_KEY_2": "a.b", "GIT_CONFIG_VALUE_2": "", "GIT_CONFIG_PARAMETERS": "'c.d'='e'",
    }  # fmt: skip
    kept = outside(environ)
    assert given_config(kept) == [("gc.auto", "7"), ("a.b", ""), ("c.d", "e")]
    assert "GIT_CONFIG_PARAMETERS" not in kept
    assert given_config({**kept, **with_config(kept, [("x.y=z", "=")])})[-1] == ("x.y=z", "=")
    for wrong in ("-1", "x", "", "99999999999"):
        assert "GIT_CONFIG_COUNT" not in outside({"GIT_CONFIG_COUNT": wrong})


@pytest.mark.parametrize(
    ("environ", "config", "expected"),
    [
        ({}, {}, set(PROTOCOLS)),
        ({"GIT_ALLOW_PROTOCOL": "https:ext:ssh"}, {}, {"https", "ssh"}),
        ({"GIT_ALLOW_PROTOCOL": ""}, {}, set()),
        ({}, {"protocol.allow": ["never"]}, set()),
        ({}, {"protocol.allow": ["never"], "protocol.ssh.allow": ["always"], "protocol.ext.allow": ["always"]}, {"ssh"}),
        ({}, {"protocol.file.allow": ["always", "never"]}, {"git", "http", "https", "ssh"}),
        ({"GIT_PROTOCOL_FROM_USER": "0"}, {"protocol.git.allow": ["user"]}, {"http", "https", "ssh"}),
        ({"GIT_ALLOW_PROTOCOL": "file"}, {"protocol.file.allow": ["never"]}, {"file"}),  # as git has it: the variable decides alone
    ],
)
def test_protocols_are_only_narrowed(environ: dict[str, str], config: dict[str, list[str]], expected: set[str]) -> None:
    assert set(protocols(environ, config)) == expected
    assert set(filter(None, clean_environment(environ, config)["GIT_ALLOW_PROTOCOL"].split(":"))) == expected


@pytest.mark.parametrize(
    ("environ", "config", "expected"),
    [
        ({}, {}, "ssh -oBatchMode=yes"),
        ({}, {"core.sshcommand": ["/opt/ssh -i key"]}, "/opt/ssh -i key -oBatchMode=yes"),
        ({"GIT_SSH_COMMAND": "ssh -v"}, {"core.sshcommand": ["other"]}, "ssh -v -oBatchMode=yes"),
        ({"GIT_SSH": "/a b/ssh"}, {}, "'/a b/ssh' -oBatchMode=yes"),
        ({"GIT_SSH": "/a b/wrap"}, {}, None),
        ({"GIT_SSH_COMMAND": "wrap"}, {}, "wrap"),
        ({}, {"core.sshcommand": ["wrap"]}, None),
        ({}, {"core.sshcommand": ["wrap"], "ssh.variant": ["ssh"]}, "wrap -oBatchMode=yes"),
        ({}, {"ssh.variant": ["simple"]}, None),
        ({"GIT_SSH_VARIANT": "plink"}, {"ssh.variant": ["ssh"]}, None),
        ({"SSH_ASKPASS": "/ask"}, {}, "ssh -oConnectTimeout=10"),
    ],
)
def test_ssh_gets_options_only_where_it_takes_them(
    environ: dict[str, str], config: dict[str, list[str]], expected: str | None
) -> None:
    command = clean_environment(environ, config).get("GIT_SSH_COMMAND")
    assert command == expected if expected in {None, "wrap"} else command.startswith(expected)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    ("environ", "config", "answers"),
    [
        ({}, {}, False),
        ({"GIT_ASKPASS": "/ask"}, {}, True),
        ({}, {"core.askpass": ["/ask"]}, True),
        ({"SSH_ASKPASS": "/ask"}, {}, True),
        ({"GIT_ASKPASS": ""}, {"core.askpass": ["/ask"]}, False),
    ],
)
def test_a_program_that_answers_is_asked_and_a_terminal_never(
    environ: dict[str, str], config: dict[str, list[str]], answers: bool
) -> None:
    env = clean_environment(environ, config)
    assert env["GIT_TERMINAL_PROMPT"] == "0"
    assert ("credential.interactive", "never") not in given_config(env) if answers else True
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        assert env.get(name) == environ.get(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://x-access-token:S3CR3T@host/r.git", "https://…@host/r.git"),
        ("fatal: could not read from 'http://S3CR3T@127.0.0.1:80/'", "fatal: could not read from 'http://…@127.0.0.1:80/'"),
        ("https://a:S3@CR3T@host and https://S3CR3T@other", "https://…@host and https://…@other"),
        ("ssh://git@host/r", "ssh://git@host/r"),
        ("ssh://git:S3CR3T@host/r", "ssh://git:…@host/r"),
        ("HTTPS://host/r?private_token=S3CR3T&x=1 …", "HTTPS://host/r?… …"),
        ("https://host/r", "https://host/r"),
        ("mail me@host.org, or git@host:r", "mail me@host.org, or git@host:r"),
    ],
)
def test_no_secret_of_a_url_is_in_what_we_say(text: str, expected: str) -> None:
    assert mask(text) == expected
    error = GitcoordError(text, hint=text)
    assert (error.message, error.hint, str(error), error.as_record()["message"]) == (expected,) * 4


def test_a_child_is_waited_for_where_the_system_has_no_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    child = GitChild(["/bin/sh", "-c", "exec >&- 2>&-; read line"], env={}, cwd="/", asked=True)
    assert not child.ended(0.01)
    child.hang_up()
    assert child.close().returncode == 1  # `read` had nothing to read: it ended by itself
