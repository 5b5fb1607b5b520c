"""What looks like a secret, what doesn't, and what is done about it before it goes onto the branch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitcoord.core import secrecy
from gitcoord.errors import BadInput

# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "github token": ["ghp_" + "aB3" * 12, "github_pat_" + "A1" * 20, "ghs_" + "x" * 36],
    "gitlab token": ["glpat-" + "x1" * 10],
    "slack token": ["xoxb-" + "1234567890-abcdef", "xapp-" + "1-A0-1-abc123"],
    "slack webhook": ["https://hooks.slack.com/services/" + "T0/B0/abcDEF"],
    "discord webhook": ["https://discord.com/api/webhooks/" + "123/abcDEF",
                        "https://discordapp.com/api/v10/webhooks/" + "1/abcdefg"],
    "teams webhook": ["https://acme.webhook.office.com/" + "webhookb2/0123"],
    "google chat webhook": ["https://chat.googleapis.com/v1/spaces/" + "AAA/messages?key=b&token=c"],
    "webhook address": ["https://chat.example.org/hooks/" + "abcdefgh1jklmnopqrstuvwxyz",
                        "https://hooks.zapier.com/hooks/catch/" + "123/abc4"],
    "signed address": ["https://x.blob.core.windows.net/a?sv=1&sig=" + "abcdefgh%2Bijklmnop"],
    "aws access key": ["AKIA" + "ABCDEFGHIJKLMNOP"],
    "google api key": ["AIza" + "x" * 35],
    "api key": ["sk-" + "proj-" + "a1" * 12, "sk-" + "ant-api03-" + "Ab1" * 10, "sk-" + "a" * 48],
    "stripe key": ["sk_live_" + "a" * 24, "whsec_" + "a1" * 12],
    "npm token": ["npm_" + "a" * 36],
    "pypi token": ["pypi-Ag" + "EIcHlwaS5vcmc" * 2],
    "hugging face token": ["hf_" + "abcdefghij" * 3],
    "cloud token": ["dop_v1_" + "0a" * 32, "hvs." + "a1" * 12, "dapi" + "0a" * 16],
    "telegram token": ["123456789:AA" + "b" * 33],
    "json web token": ["eyJ" + "hbGciOiJ9.eyJzdWIiOiIx.c2lnbmF0dXJl"],
    "private key": ["-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----",
                    "-----BEGIN PRIVATE KEY-----\ncut"],
    "password in an address": ["postgres://app:" + "s3cret@db.example.org/x"],
    "token in an address": ["https://" + "0a1b2c3d4e5f6a7b8c9d" + "@git.example.org/x.git"],
    "bearer token": ["Authorization: Bearer " + "abcdef0123456789"],
    "basic credentials": ["Authorization: Basic " + "dXNlcjpwYXNzMTIzNA=="],
    secrecy.NAMED.name: ["password=hunter2hunter2", '"api_key": "0123456789ab"',
        "AWS_SECRET_ACCESS_KEY = wJalrXUtnFEMI0K7MDENG", "token: S3cr3tT0ken"],
}  # fmt: skip
PLAIN = [
    "commit 0123456789abcdef0123456789abcdef01234567 is on main", "01KA3FDTE091ESFY1RER9H06RG.0", "fence 12 file:src/token2.py",
    "550e8400-e29b-41d4-a716-446655440000", "the token ring", "file:src/api.py is mine until 2025-11-15T14:00:00Z",
    "https://github.com/org/hooks/commit/0123456789abcdef0123456789abcdef01234567", "src/auth/secret_store2.py", "token: expired",
    "https://docs.github.com/en/webhooks/using-webhooks/creating-webhooks", "secret: base64-encoded", "password: $DB_PASSWORD_2",
    "token=${{ secrets.NPM_TOKEN_2 }}", "password: see docs/setup2.md", "git@github.com:org/repo.git", "ssh://git@host:22/x.git",
    "https://host:8080/path@v2", "a basic understanding2", "basic docs/protocol/part2", "the bearer of news",
    "api key: os.environ[1]",
    "sk-learn-1-compatible-things", "npm_config_cache_directory_of_the_build", "pypi-publish-workflow-job-2", "tokens=128000",
    "risk-assessment-2025-for-the-release", "branch fix/token-refresh-2", "role:reviewer", "sha256:" + "0a" * 32,
    "key: src/keys/v2.py",
    "operation token: 01KA3FDTE091ESFY1RER9H06RG", "refs/remotes/origin/coordination", "pwd: /home/ada1/work2", "https://example.org/x",
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in SECRETS.items() for text in texts])
def test_each_kind_is_found_by_its_name_and_hidden(rule: str, text: str) -> None:
    whole = f"before {text} after"
    assert secrecy.find(whole) == rule
    hidden = secrecy.hide(whole)
    assert f"[hidden: {rule}]" in hidden
    assert secrecy.find(hidden) == ""
    with pytest.raises(BadInput) as refused:
        secrecy.cleared({"message": whole}, "refuse")
    assert refused.value.data["rule"] == rule
    assert text.split()[-1].strip('"') not in str(refused.value.as_record())


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_passes(text: str) -> None:
    assert secrecy.find(text) == ""
    assert secrecy.hide(text) == text
    assert secrecy.cleared({"message": text, "resources": (text,)}, "refuse") == ({"message": text, "resources": (text,)}, [])


def test_words_can_be_hidden_and_names_can_not() -> None:
    [secret] = SECRETS["npm token"]
    fields = {"details": ("a=1", f"b={secret}"), "subject": f"{'x' * 150} {secret}", "branch": secret, "host": secret}
    found, rules = secrecy.cleared(fields, "hide")
    assert found["details"] == ("a=1", "b=[hidden: npm token]")
    assert len(found["subject"]) <= 200
    assert found["branch"] is None
    assert secret not in str(found)
    assert rules == ["npm token"] * 3
    assert secrecy.cleared(fields, "allow") == (fields, [])
    for manner in ("hide", "refuse"):
        with pytest.raises(BadInput):
            secrecy.cleared({"resources": (f"file:{secret}",)}, manner)
    assert secrecy.cleared({"branch": secret, "message": "hi"}, "refuse", branch=secret)[0] == {"branch": None, "message": "hi"}
    with pytest.raises(BadInput):
        secrecy.cleared({"branch": secret}, "refuse", branch="main")


@given(st.text(max_size=200))
def test_any_text_comes_through(text: str) -> None:
    assert secrecy.find(secrecy.hide(text)) == "" or secrecy.find(text) != ""
    assert secrecy.find(text) != "" or secrecy.hide(text) == text
