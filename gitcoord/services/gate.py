"""Where a relay may connect to: public addresses, encrypted, unless the person allows more.

The rule is kept where a connection is made, on the address itself, whatever library makes it: a name that is looked up again
between a check and the connection can't slip through. It binds the thread that is inside `kept`, and no other.
"""

from __future__ import annotations

import ipaddress
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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

    def check_plain(self, *, secure: bool, host: str) -> None:
        """Raises BadInput where something unencrypted isn't allowed: it is to this machine itself, if private addresses are."""
        if not secure and not self.plain and not (self.private and _is_loopback(host)):
            raise BadInput("relaying needs an encrypted connection", hint="use https, or allow_http in the relay's settings")

    def allows(self, address: str) -> bool:
        """Whether a connection to that IP address is allowed."""
        return self.private or is_public(address)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; an IPv4 address inside of an IPv6 one counts, too."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [one for one in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if one is not None]
        if ip in ipaddress.ip_network("64:ff9b::/96") or ip in ipaddress.ip_network("::/96"):
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return all(one.is_global and not one.is_multicast for one in (inner or [ip]))


def _look(event: str, args: tuple[Any, ...]) -> None:
    if event not in {"socket.connect", "socket.sendto"}:
        return
    gate: Gate | None = getattr(_here, "gate", None)
    if gate is None:
        return
    address = args[1]
    if not (isinstance(address, tuple) and gate.allows(str(address[0]))) and not gate.private:
        raise NotAllowed("it is no public address")
