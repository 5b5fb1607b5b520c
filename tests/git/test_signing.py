"""Signatures: what this process says of one is what git says of it, and a key that waits for a person holds nobody up for long."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gits import git

from gitcoord.core.trust import fingerprint
from gitcoord.errors import NotSigned
from gitcoord.git import sshsig
from gitcoord.git.objects import Commit, NewCommit, Objects
from gitcoord.git.repo import Repository, own_ref
from gitcoord.git.signing import BAD, UNREAD, Signing

WHEN = datetime(2025, 11, 15, 10, tzinfo=UTC)
NEW = NewCommit("message: ada to ben: hello\n\nCoord-Event: message.sent\n", "ada", "ada@example.com", WHEN, WHEN, {})
KINDS = (("ed25519",), ("rsa", "-b", "2048"), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "521"))


def _key(folder: Path, *kind: str) -> Path:
    path = folder / "-".join(("key", *kind))
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path


def _repository(folder: Path, **config: str) -> Repository:
    path = folder / "r"
    if not path.exists():
        git(folder, "init", "-q", str(path))
        git(path, "commit", "-q", "--allow-empty", "-m", "code")
    for key, value in config.items():
        git(path, "config", key.replace("_", "."), value)
    return Repository.find(str(path), os.environ)


def _signed(repo: Repository, signing: Signing) -> Commit:
    with Objects(repo) as objects:
        ref = own_ref("sending")
        oids = objects.write_chain("", "", [NEW, NEW], keep=ref)
        oid = signing.sign(oids[-1], oids[-2], NEW, ref=ref, seconds=60)
        assert repo.oid_of(ref) == oid
        return objects.newest(oid)


def _altered(repo: Repository, commit: Commit) -> str:
    data = subprocess.run(["git", "cat-file", "commit", commit.oid], cwd=repo.cwd, capture_output=True, check=True).stdout
    other = data.replace(b"hello", b"HELLO")
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"], cwd=repo.cwd, input=other, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_this_process_and_git_say_the_same_of_a_signature_of_ssh(tmp_path: Path, kind: tuple[str, ...]) -> None:
    key = _key(tmp_path, *kind)
    repo = _repository(tmp_path, gpg_format="ssh", user_signingkey=f"{key}.pub")
    signing = Signing(repo, repo)
    commit = _signed(repo, signing)
    assert (commit.message, commit.email, commit.committed_at) == (NEW.message, NEW.email, WHEN)
    name = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, check=True, text=True).stdout.split()[1]
    signer = sshsig.check(commit.payload, commit.signature)
    assert isinstance(signer, sshsig.Signer)
    assert fingerprint(signer.blob) == signing.check(commit.oid, 60) == name
    with Objects(repo) as objects:
        altered = objects.newest(_altered(repo, commit))
    assert sshsig.check(altered.payload, altered.signature) is False
    assert signing.check(altered.oid, 60) == BAD


def test_a_certificate_says_who_certified_whom(tmp_path: Path) -> None:
    key, authority = _key(tmp_path, "ed25519"), _key(tmp_path, "ecdsa", "-b", "256")
    words = ["-s", str(authority), "-I", "ada", "-n", "ada@example.com,session:ada", "-V", "+1w", f"{key}.pub"]
    subprocess.run(["ssh-keygen", "-q", *words], check=True)
    repo = _repository(tmp_path, gpg_format="ssh", user_signingkey=f"{key}-cert.pub")
    commit = _signed(repo, Signing(repo, repo))
    signer = sshsig.check(commit.payload, commit.signature)
    assert isinstance(signer, sshsig.Signer)
    name = subprocess.run(["ssh-keygen", "-lf", f"{authority}.pub"], capture_output=True, check=True, text=True).stdout.split()[1]
    assert (fingerprint(signer.authority), signer.principals) == (name, ("ada@example.com", "session:ada"))
    assert 0 < signer.since < signer.until


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----",
        b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAf////8=\n-----END SSH SIGNATURE-----",
        b"-----BEGIN SSH SIGNATURE-----\n???\n-----END SSH SIGNATURE-----",
        b"-----BEGIN SSH SIGNATURE-----\n" + b"QUFB" * 5000,
    ],
)
def test_what_is_no_signature_is_none(signature: bytes) -> None:
    assert sshsig.check(b"payload", signature) is False


def test_every_byte_of_a_signature_counts(tmp_path: Path) -> None:
    key = _key(tmp_path, "ed25519")
    repo = _repository(tmp_path, gpg_format="ssh", user_signingkey=f"{key}.pub")
    commit = _signed(repo, Signing(repo, repo))
    start = commit.signature.index(b"\n") + 1
    for at in range(start, commit.signature.index(b"\n-----END"), 7):
        old = commit.signature[at : at + 1]
        if old.isalnum():
            other = b"A" if old != b"A" else b"B"
            changed = commit.signature[:at] + other + commit.signature[at + 1 :]
            assert sshsig.check(commit.payload, changed) in (False, None), at


def test_a_key_that_waits_for_a_person_is_not_waited_for_in_the_background(tmp_path: Path) -> None:
    waiting = tmp_path / "waits"
    waiting.write_text("#!/bin/sh\nexec sleep 3600\n")
    waiting.chmod(0o755)
    key = _key(tmp_path, "ed25519")
    repo = _repository(tmp_path, gpg_format="ssh", user_signingkey=f"{key}.pub", gpg_ssh_program=str(waiting))
    with pytest.raises(NotSigned, match="no answer in time"):
        _signed(repo, Signing(repo, repo, alone=True))


def test_a_key_that_wants_a_touch_is_not_even_asked_in_the_background(tmp_path: Path) -> None:
    key = tmp_path / "token.pub"
    key.write_text("sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t ada\n")
    repo = _repository(tmp_path, gpg_format="ssh", user_signingkey=str(key), gpg_ssh_program="/nonexistent")
    with pytest.raises(NotSigned, match="needs a touch"):
        _signed(repo, Signing(repo, repo, alone=True))
    with pytest.raises(NotSigned) as asked:
        _signed(repo, Signing(repo, repo))
    assert "touch" not in asked.value.message


def test_a_commit_reads_the_same_with_and_without_its_signature(tmp_path: Path) -> None:
    key = _key(tmp_path, "ed25519")
    repo = _repository(tmp_path, gpg_format="ssh", user_signingkey=f"{key}.pub")
    with Objects(repo) as objects:
        ref = own_ref("sending")
        oids = objects.write_chain("", "", [NEW, NEW], keep=ref)
        plain = objects.newest(oids[-1])
        signed = objects.newest(Signing(repo, repo).sign(oids[-1], oids[0], NEW, ref=ref, seconds=60))
    assert replace(signed, oid=plain.oid, signature=b"", payload=b"") == plain


@pytest.mark.skipif(shutil.which("gpg") is None, reason="needs GnuPG")
def test_a_signature_of_gnupg_is_checked_by_it_and_one_by_a_key_that_isnt_there_is_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))  # a socket's path must be short
    monkeypatch.setenv("GNUPGHOME", str(home))
    try:
        words = ["--batch", "--passphrase", "", "--quick-gen-key", "Ada <ada@example.com>", "ed25519", "sign", "never"]
        subprocess.run(["gpg", *words], check=True, capture_output=True)
        listed = subprocess.run(["gpg", "--with-colons", "--list-keys"], check=True, capture_output=True, text=True).stdout
        name = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        repo = _repository(tmp_path, gpg_format="openpgp", user_signingkey=name)
        signing = Signing(repo, repo)
        commit = _signed(repo, signing)
        assert not sshsig.is_ssh(commit.signature)
        assert signing.check(commit.oid, 60) == f"gpg:{name}"
        assert signing.check(_altered(repo, commit), 60) == BAD
        subprocess.run(["gpgconf", "--kill", "all"], check=True, capture_output=True)
        (home / "pubring.kbx").unlink()
        assert signing.check(commit.oid, 60) == UNREAD
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def test_a_signature_for_something_else_is_none_of_a_commit(tmp_path: Path) -> None:
    key = _key(tmp_path, "ed25519")

    def sign(namespace: str) -> bytes:
        words = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)]
        return subprocess.run(words, input=b"payload", capture_output=True, check=True).stdout.strip()

    assert isinstance(sshsig.check(b"payload", sign("git")), sshsig.Signer)
    assert sshsig.check(b"payload", sign("file")) is False
