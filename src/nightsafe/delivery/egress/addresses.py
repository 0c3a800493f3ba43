"""Reads the addresses that lead to this machine, and watches for changes to them."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError

Network = IPv4Network | IPv6Network

_TABLES: Final = Path("/proc/self/net")
_POLL_SECONDS: Final = 5.0
"""How often to read the addresses, for systems where the kernel announces no changes."""

_CHANGES: Final = 0x10 | 0x100
"""RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR (rtnetlink(7))."""

_MAX_ANNOUNCEMENT: Final = 1 << 16
_LOCAL: Final = 0x80000000 | 0x00100000
"""RTF_LOCAL and RTF_ANYCAST: routes that end at this machine (linux/ipv6_route.h)."""

_FLAGS: Final = 8


def own_networks(tables: Path = _TABLES) -> frozenset[Network]:
    """Return the networks that end at this machine: addresses of its interfaces, and routes of the type `local`.

    Args:
        tables: the directory where the kernel lists its routes.

    Raises:
        NightsafeError: UNAVAILABLE, when the list cannot be read: then the addresses to refuse are not known.
    """
    try:
        ipv4 = (tables / "fib_trie").read_text()
    except OSError as error:
        detail = f"the addresses of this machine cannot be read from {tables}/fib_trie: {error.strerror}; "
        advice = "start where /proc/net is available, or let scripts reach this machine too, with --reach-private"
        raise NightsafeError(Code.UNAVAILABLE, detail + advice) from None
    ipv6 = ""
    with suppress(FileNotFoundError):  # IPv6 is off
        ipv6 = (tables / "ipv6_route").read_text()
    return frozenset((*collapse_addresses(_local_ipv4(ipv4)), *collapse_addresses(_local_ipv6(ipv6))))


def _local_ipv4(trie: str) -> Iterator[IPv4Network]:
    """Yield the local networks in `fib_trie`, which has an address and below it prefix lengths, scopes and types."""
    address = ""
    for line in trie.splitlines():
        mark, *rest = line.split() or [""]
        if mark == "|--":
            address = rest[0]
        elif rest[-1:] == ["LOCAL"]:
            yield IPv4Network(address + mark)


def _local_ipv6(routes: str) -> Iterator[IPv6Network]:
    """Yield the local networks in `ipv6_route`, which has one route a line, in hexadecimal digits."""
    for line in routes.splitlines():
        destination, length, *rest = line.split()
        if int(rest[_FLAGS - 2], 16) & _LOCAL:
            yield IPv6Network((int(destination, 16), int(length, 16)))


async def address_changes() -> AsyncGenerator[None]:
    """Yield whenever the machine may have a new address: when the kernel announces one, and every few seconds."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    netlink = _open_netlink()
    if netlink is not None:
        loop.add_reader(netlink, _read_announcement, netlink, changed)
    try:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _POLL_SECONDS)
            changed.clear()
            yield
    finally:
        if netlink is not None:
            loop.remove_reader(netlink)
            netlink.close()


def _open_netlink() -> socket.socket | None:
    """Open the socket on which the kernel announces addresses; None if it cannot be opened."""
    with suppress(OSError):
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        try:
            netlink.bind((0, _CHANGES))
        except OSError:
            netlink.close()
        else:
            return netlink
    return None


def _read_announcement(netlink: socket.socket, changed: asyncio.Event) -> None:
    """Read an announcement of the kernel. An error counts as news too: the kernel had more than it could keep."""
    with suppress(OSError):
        netlink.recv(_MAX_ANNOUNCEMENT)
    changed.set()
