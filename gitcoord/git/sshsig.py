"""ssh's signatures of commits, read and checked in this process: a process for each of a hundred thousand would take a quarter of
an hour. What the library can't check, or isn't there for, git checks with the user's own programs.

The form is that of OpenSSH's PROTOCOL.sshsig, the namespace git's own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_NAMESPACE = b"git"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_SMALLEST_RSA = 1024  # bits: what ssh itself takes
_KEYS = {b"ssh-ed25519": (b"ssh-ed25519",), b"ssh-rsa": (b"rsa-sha2-256", b"rsa-sha2-512"),
         b"ecdsa-sha2-nistp256": (b"ecdsa-sha2-nistp256",), b"ecdsa-sha2-nistp384": (b"ecdsa-sha2-nistp384",),
         b"ecdsa-sha2-nistp521": (b"ecdsa-sha2-nistp521",)}  # fmt: skip
"""For each type of key that is checked here, the forms of its signatures."""
_CERTIFICATE = b"-cert-v01@openssh.com"


class Malformed(ValueError):
    """It is no signature of ssh's."""


@dataclass(frozen=True)
class Signer:
    """Whose signature it is. `blob`: the plain public key; `authority`: that which certified it, for whom, and when that ends."""

    blob: bytes
    authority: bytes = b""
    principals: tuple[str, ...] = ()
    since: int = 0
    until: int = 0


class _Wire:
    """Reads ssh's own encoding."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, size: int) -> bytes:
        """Return the next so many bytes. Raises Malformed."""
        if len(self._data) < size:
            raise Malformed("it ends too early")
        part, self._data = self._data[:size], self._data[size:]
        return part

    def number(self) -> int:
        """Return the next number of four bytes."""
        return int.from_bytes(self.take(4))

    def text(self) -> bytes:
        """Return the next string."""
        return self.take(self.number())

    def end(self) -> None:
        """Make sure that there is nothing more."""
        if self._data:
            raise Malformed("there is more than it should hold")


def is_ssh(signature: bytes) -> bool:
    """Return True if that is a signature of ssh's, as it stands in a commit."""
    return signature.startswith(_BEGIN)


def check(payload: bytes, signature: bytes) -> Signer | bool | None:
    """Return whose signature that is; False if it doesn't fit the payload; None if this can't be told here."""
    try:
        key, kind, data, signed = _parts(payload, signature)
    except Malformed:
        return False
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity
    except ImportError:
        return None
    try:
        plain = _plain(key)
        name = _Wire(plain).text() if plain else b""
        if name not in _KEYS:
            return None
        if kind not in _KEYS[name]:
            return False
        identity = load_ssh_public_identity(_line(key))
        certified = isinstance(identity, SSHCertificate)
        _verify(identity.public_key() if isinstance(identity, SSHCertificate) else identity, kind, data, signed)
        return _certified(identity, plain) if certified else Signer(plain)
    except (InvalidSignature, Malformed):
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _parts(payload: bytes, signature: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the key, the signature's form and bytes, and what it signs. Raises Malformed."""
    begin, end = signature.find(_BEGIN), signature.find(_END)
    try:
        wire = _Wire(
            base64.b64decode(b"".join(signature[begin + len(_BEGIN) : end].split()), validate=True) if begin <= end else b""
        )
    except binascii.Error:
        raise Malformed("it is no base64") from None
    if wire.take(6) != b"SSHSIG" or wire.number() != 1:
        raise Malformed("another version")
    key, namespace, reserved, algorithm, inner = (wire.text() for _ in range(5))
    wire.end()
    if namespace != _NAMESPACE or algorithm not in _HASHES:
        raise Malformed("it is for something else")
    digest = _HASHES[algorithm](payload).digest()
    signed = b"SSHSIG" + b"".join(map(_text, (namespace, reserved, algorithm, digest)))
    form = _Wire(inner)
    return key, form.text(), form.text(), signed


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def _line(blob: bytes) -> bytes:
    """Return the key as a file has it."""
    return _Wire(blob).text() + b" " + base64.b64encode(blob)


def _plain(blob: bytes) -> bytes:
    """Return the public key without what certifies it; b"" for a type that isn't known."""
    wire = _Wire(blob)
    name = wire.text()
    if not name.endswith(_CERTIFICATE):
        return blob
    base = name.removesuffix(_CERTIFICATE)
    parts = {b"ssh-ed25519": 1, b"ssh-rsa": 2}.get(base, 2 if base.startswith(b"ecdsa-sha2-") else 0)
    wire.text()  # the nonce
    return _text(base) + b"".join(_text(wire.text()) for _ in range(parts)) if parts else b""


def _verify(public: object, kind: bytes, data: bytes, signed: bytes) -> None:
    """Make sure that the key made that signature. Raises InvalidSignature, Malformed."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(public, Ed25519PublicKey):
        public.verify(data, signed)
    elif isinstance(public, RSAPublicKey):
        if public.key_size < _SMALLEST_RSA:
            raise Malformed("the key is too short")
        size = (public.key_size + 7) // 8
        algorithm = hashes.SHA512() if kind == b"rsa-sha2-512" else hashes.SHA256()
        public.verify(data.rjust(size, b"\0"), signed, padding.PKCS1v15(), algorithm)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        wire = _Wire(data)
        first, second = (int.from_bytes(wire.text(), signed=True) for _ in range(2))
        wire.end()
        if first <= 0 or second <= 0:
            raise Malformed("no signature of such a key")
        bits = public.curve.key_size
        chosen = hashes.SHA256() if bits <= 256 else hashes.SHA384() if bits <= 384 else hashes.SHA512()
        public.verify(utils.encode_dss_signature(first, second), signed, ec.ECDSA(chosen))
    else:
        raise Malformed("another type of key")


def _certified(identity: object, plain: bytes) -> Signer:
    """Return the signer that a certificate names, its own signature checked. Raises InvalidSignature, Malformed."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        SSHCertificate,
        SSHCertificateType,
    )

    if not isinstance(identity, SSHCertificate) or identity.type is not SSHCertificateType.USER or identity.critical_options:
        raise Malformed("no certificate of a person")
    identity.verify_cert_signature()
    authority = identity.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    principals = tuple(one.decode("utf-8", "replace") for one in identity.valid_principals)
    blob = base64.b64decode(authority.split()[1])
    return Signer(plain, blob, principals, identity.valid_after, min(identity.valid_before, 1 << 40))
