"""What a feed's URLs may ask for: http and https on the usual ports, and public addresses only.

An address is checked where it stands in the URL, when a name is resolved, and again just before a socket connects, so
that a name whose DNS answer changes gets no further.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

PORTS = {80, 443, 8080, 8443}
IP4_IN_IP6 = {"::ffff:0:0/96": 0, "64:ff9b::/96": 0, "2002::/16": 80}
"""Networks whose IPv6 addresses lead to an IPv4 address, and how many bits stand behind it: mapped, NAT64, 6to4."""
NOT_PUBLIC = [ipaddress.ip_network(n) for n in ("168.63.129.16/32", "192.88.99.0/24", "2001::/23", "3fff::/20")]
"""What `ipaddress` takes for public: Azure's own services, 6to4 relays, Teredo and its kin, documentation."""


class Refused(OSError):
    """This URL gives nothing: why. An OSError, so that aiohttp carries it out of resolver and connector."""


def check_url(text: str | URL, allow_private: bool = False) -> URL:
    """The URL to ask for, an address in it in its usual spelling. Raises Refused."""
    try:
        url = URL(text.strip() if isinstance(text, str) else text).with_fragment(None)
        host, port = (url.raw_host or "").rstrip("."), url.port
    except (ValueError, TypeError) as error:
        raise Refused(f"not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not host:
        raise Refused(f"not an http or https URL: {str(text)[:100]}")
    if url.raw_user is not None or url.raw_password is not None:
        raise Refused("URL with credentials")
    if port not in PORTS and not allow_private:
        raise Refused(f"port not allowed: {port}")
    address = _literal(host)
    if address is None:
        return url
    if not allow_private and not is_public(address):
        raise Refused(f"not a public address: {host}")
    return url.with_host(address)


def _literal(host: str) -> str | None:
    """The address that a host spells, in any way that a system reads: 127.0.0.1, 2130706433, 0x7f.1, 0177.0.0.1."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None


def is_public(address: str) -> bool:
    """May a stranger's URL lead there? False for every address that isn't plainly of the public internet."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.version == 6:
        for network, shift in IP4_IN_IP6.items():
            if ip in ipaddress.ip_network(network):
                return is_public(str(ipaddress.IPv4Address(int(ip) >> shift & 0xFFFFFFFF)))
        if ip not in ipaddress.ip_network("2000::/3"):  # all that is given out as global unicast
            return False
    if any(ip in network for network in NOT_PUBLIC):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


class Resolver(AbstractResolver):
    """The system's resolver, public addresses only."""

    def __init__(self, allow_private: bool) -> None:
        self.system = aiohttp.ThreadedResolver()
        self.allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self.system.resolve(host, port, family)
        public = [answer for answer in found if self.allow_private or is_public(answer["host"])]
        if found and not public:
            raise Refused(f"not a public address: {host} is {found[0]['host']}")
        return public

    async def close(self) -> None:
        await self.system.close()


def open_socket(info: Any, allow_private: bool) -> socket.socket:
    """A socket for the address that is about to be connected to: the last check, whatever was resolved or cached."""
    family, kind, protocol, _, address = info
    if not allow_private and not is_public(address[0]):
        raise Refused(f"not a public address: {address[0]}")
    return socket.socket(family, kind, protocol)
