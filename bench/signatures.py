"""S1: what it costs to check who signed what, in a long past: every event signed, none, and a clone that looks at it every day.

The signatures are those of one key, made in this process: git would take half an hour for a hundred thousand.
"""

from __future__ import annotations

import base64
import hashlib
import resource
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from long_branch import tell

from bench.measure import Row, middle, ms
from bench.one_command import PROGRAM
from bench.places import Place
from gitcoord.warm import address

_LIVE = 20
_BRANCH = "refs/heads/coordination"


def _text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


class Pen:
    """A key, and what it signs commits with."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.line = self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        self._blob = base64.b64decode(self.line.split()[1])

    def signed(self, commit: bytes) -> bytes:
        """Return the commit with a signature."""
        inner = _text(b"git") + _text(b"") + _text(b"sha512")
        signature = self._key.sign(b"SSHSIG" + inner + _text(hashlib.sha512(commit).digest()))
        blob = b"SSHSIG" + struct.pack(">I", 1) + _text(self._blob) + inner + _text(_text(b"ssh-ed25519") + _text(signature))
        body = base64.b64encode(blob)
        lines = [
            b"-----BEGIN SSH SIGNATURE-----",
            *(body[at : at + 70] for at in range(0, len(body), 70)),
            b"-----END SSH SIGNATURE-----",
        ]
        head, _, rest = commit.partition(b"\n\n")
        return head + b"\ngpgsig " + b"\n ".join(lines) + b"\n\n" + rest


def sign_all(bare: Path, pen: Pen, *, each: int = 1) -> None:
    """Write the branch anew, with a signature on each commit, or on each so many'th, which then is for all of them."""
    names = subprocess.run(["git", "rev-list", "--reverse", _BRANCH], cwd=bare, capture_output=True, check=True).stdout.split()
    read = subprocess.run(["git", "cat-file", "--batch"], cwd=bare, input=b"\n".join(names), capture_output=True, check=True).stdout
    pack, at, parent = [struct.pack(">4sII", b"PACK", 2, len(names))], 0, b""
    for number, name in enumerate(names, 1):
        end = read.index(b"\n", at)
        size = int(read[at:end].split()[2])
        commit = read[end + 1 : end + 1 + size]
        at = end + size + 2
        if parent:
            start = commit.index(b"parent ") + 7
            commit = commit[:start] + parent + commit[start + len(parent) :]
        if number % each == 0:
            commit = commit.replace(b"\nCoord-Writer: ", b"\nCoord-Signs: %d\nCoord-Writer: " % each) if each > 1 else commit
            commit = pen.signed(commit)
        parent = hashlib.sha1(b"commit %d\0" % len(commit) + commit, usedforsecurity=False).hexdigest().encode()
        pack.append(_header(len(commit)) + zlib.compress(commit, 1))
        del name
    data = b"".join(pack)
    data += hashlib.sha1(data, usedforsecurity=False).digest()
    subprocess.run(["git", "index-pack", "--stdin", "--fix-thin"], cwd=bare, input=data, capture_output=True, check=True)
    subprocess.run(["git", "update-ref", _BRANCH, parent.decode()], cwd=bare, check=True)


def _header(size: int) -> bytes:
    """Return what stands before a commit in a pack."""
    first, size = (1 << 4) | (size & 15), size >> 4
    found = bytearray()
    while size:
        found.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes([*found, first])


def run(place: Place, events: int) -> Iterator[Row]:
    """The rows of S1."""
    cost: dict[str, float] = {}
    bare = place.remote("file")
    tell(bare.path, place.env, events=events, past=1000, live=_LIVE)
    for name, each in (("unsigned", 0), ("signed", 1), ("a signature in four", 4)):
        remote, pen = place.remote("file") if each else bare, Pen()
        if each:
            shutil.copytree(bare.path, remote.path, dirs_exist_ok=True)
            sign_all(remote.path, pen, each=each)
        clone = place.clone(remote, f"signed-{each}")
        env = {**place.outbox(f"signed-{each}"), "GITCOORD_SESSION": "now-00", address.SWITCH: "0"}
        env["XDG_CONFIG_HOME"] = str(place.folder / f"config-{each}")
        _cost(clone, env, "trust", "add", "session:*", pen.line.decode())
        for words in (("verify",), ("verify", "--signatures")):
            cost[f"{name} {words[-1]}"] = _cost(clone, env, *words)
        cost[f"{name} status"] = middle([_cost(clone, env, "status") for _ in range(5)])
    plain = cost["unsigned verify"]
    for name in ("unsigned", "signed", "a signature in four"):
        took = cost[f"{name} --signatures"]
        what = f"S1 verify --signatures, {events:,} events, {name}"
        yield Row(what, f"{took:.1f} s", f"{plain:.1f} s verify, unsigned", took / plain, "", None, {"ours_s": took})
        took, beside = cost[f"{name} status"], cost["unsigned status"]
        yield Row(f"S1 status, {events:,} events, {name}", ms(took), f"{ms(beside)} unsigned", took / beside, "", None)


def _cost(clone: Path, env: dict[str, str], *words: str) -> float:
    """Return the seconds of processor that the program takes, its children's included: others may be at work on this machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*PROGRAM, *words], cwd=clone, env=env, check=True, capture_output=True, timeout=3600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
