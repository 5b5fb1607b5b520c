"""Where a relay may connect to: public addresses, encrypted, unless the person allows more.

The rule is kept where a connection is made, on the address itself, whatever library makes it: a name that is looked up again
between a check and the connection can't slip through. It binds the thread that is inside `kept`, and no other.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gitcoord.errors import BadInput

_here = threading.local()
_installed = threading.Lock()
_hooked: list[bool] = []


class NotAllowed(OSError):
    """A connection that the gate refuses."""


@dataclass(frozen=True)
class Gate:
    """What the person allows. `private`: addresses of this machine and of private networks; `plain`: unencrypted http."""

    private: bool = False
    plain: bool = False

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within, this thread connects only to what is allowed; else NotAllowed is raised where it tries to."""
        with _installed:
            if not _hooked:
                sys.addaudithook(_look)
                _hooked.append(True)
        before = getattr(_here, "gate", None)
        _here.gate = self
        try:
            yield
        finally:
            _here.gate = before

    def check_url(self, url: str) -> None:
        """Raises BadInput for an address that isn't http, or not encrypted where it has to be. Never names the address."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadInput("an address to relay to begins with https://")
        self.check_plain(secure=parts.scheme == "https", host=parts.hostname)
        self.check_host(parts.hostname)

    def check_host(self, host: str) -> None:
        """Raises BadInput for a host that is plainly no public one: an address, or this machine's own name. Where another name
        leads to shows only when a connection is made.
        """
        address = _literal(host)
        if not self.private and (not is_public(address) if address else _is_loopback(host)):
            raise BadInput("an address to relay to is a private one", hint="--allow-private, if it is meant: see docs/relay.md")

    def check_plain(self, *, secure: bool, host: str) -> None:
        """Raises BadInput where something unencrypted isn't allowed: it is to this machine itself, if private addresses are."""
        if not secure and not self.plain and not (self.private and _is_loopback(host)):
            raise BadInput("relaying needs an encrypted connection", hint="use https, or allow_http in the relay's settings")

    def allows(self, address: str) -> bool:
        """Whether a connection to that IP address is allowed."""
        return self.private or is_public(address)


def _is_loopback(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _literal(host)
    return bool(address) and ipaddress.ip_address(address).is_loopback


# What IANA's registries of special-purpose addresses name, and what is no unicast: nothing of it is on the public internet. Written
# out here, because Python's own lists differ between its versions.
_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
        "240.0.0.0/4",
    )
)  # fmt: skip
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
"""All global unicast addresses: what lies outside (loopback, link-local, site-local, private, multicast …) is not public."""
_NOT_PUBLIC_6 = tuple(ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_TEREDO = ipaddress.IPv6Network("2001::/32")
_TRANSLATED = tuple(ipaddress.IPv6Network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96"))  # mapped; NAT64
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def is_public(address: str) -> bool:
    """Return True if an IP address is one of the public internet, and so is every IPv4 address that stands inside of it."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_4)
    if any(ip in network for network in _TRANSLATED):
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    inner = [one for one in (ip.sixtofour, *(ip.teredo or ())) if one is not None]
    if int(ip) >> 32 & 0xFFFFFFFF in _ISATAP:
        inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    special = ip not in _TEREDO and any(ip in network for network in _NOT_PUBLIC_6)
    return ip in _UNICAST_6 and not special and all(is_public(str(one)) for one in inner)


def _literal(host: str) -> str:
    """The IP address that a host is written as, in any spelling that a system takes (`127.1`, `0x7f000001`); "" for a name."""
    for read in (ipaddress.ip_address, lambda text: ipaddress.IPv4Address(socket.inet_aton(text))):
        with suppress(ValueError, OSError):
            return str(read(host.partition("%")[0]))
    return ""


def _look(event: str, args: tuple[Any, ...]) -> None:
    if event not in {"socket.connect", "socket.sendto"}:
        return
    gate: Gate | None = getattr(_here, "gate", None)
    if gate is None:
        return
    address = args[1]
    if not (isinstance(address, tuple) and gate.allows(str(address[0]))) and not gate.private:
        raise NotAllowed("it is no public address")
