"""Rules for the addresses that scripts may connect to. workerd checks each address after it has resolved a name.

The narrowest rule that matches an address wins. If two rules have the same width, the refusal wins.
"""

import asyncio
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import aclosing, suppress
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final

import structlog

from nightsafe.delivery.egress.addresses import Network, address_changes, own_networks
from nightsafe.delivery.keep_running import keep_running

_log = structlog.get_logger()

FILE: Final = "reach.capnp"
"""Name of the file that `runtime/runtime.capnp` imports."""

NOT_PUBLIC: Final = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "::/3", "4000::/2", "8000::/1",  # all except the global 2000::/3; includes IPv4 in IPv6 and NAT64
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
)  # fmt: skip
"""Addresses that are unassigned, stand for other addresses, or are private (IANA's special-purpose registries)."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
_BASE: Final = """# Made by Nightsafe: where scripts may connect to.
using Workerd = import "/workerd/workerd.capnp";
const network :Workerd.Network = (
  allow = [%s],
  deny = [%s],
  tlsOptions = (trustBrowserCas = true),
);
"""


def through_nat64(network: IPv4Network) -> IPv6Network:
    """Return the IPv6 network through which a NAT64 gateway reaches this network."""
    address = int(_NAT64.network_address) | int(network.network_address)
    return IPv6Network((address, _NAT64.prefixlen + network.prefixlen))


def networks_to_refuse(closed: Collection[Network], reach: Collection[Network]) -> list[Network]:
    """Return the networks to refuse: the closed ones, also through NAT64, less the ones that the operator opened."""
    candidates = {*closed, *(through_nat64(network) for network in closed if isinstance(network, IPv4Network))}
    narrow = [
        network for network in candidates if network not in reach and not _is_covered(network, candidates, reach)
    ]
    return sorted(narrow, key=lambda network: (network.version, int(network.network_address), network.prefixlen))


def _is_covered(network: Network, candidates: Iterable[Network], reach: Iterable[Network]) -> bool:
    """Return whether a wider rule refuses a network already, and no network in `reach` opens it again."""
    return any(
        network != wider and _is_subnet(network, wider) and wider not in reach for wider in candidates
    ) and not any(_is_subnet(network, named) for named in reach)


def _is_subnet(network: Network, other: Network) -> bool:
    """Return whether a network lies in another."""
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)


def _config_text(allow: Iterable[object], deny: Iterable[object]) -> str:
    """Return the text of the file."""
    return _BASE % tuple(", ".join(f'"{network}"' for network in networks) for networks in (allow, deny))


class Egress:
    """Writes the file with the addresses that scripts may connect to. Every workerd reads it when it starts.

    Args:
        folder: a directory to make, for this file only.
        reach: networks that the operator has opened.
        never: networks that the operator has closed.
        private: whether scripts may reach this machine and private networks too.
        find_own_networks: returns the networks that lead to this machine.
    """

    def __init__(
        self,
        folder: Path,
        reach: Iterable[Network] = (),
        never: Iterable[Network] = (),
        *,
        private: bool = False,
        find_own_networks: Callable[[], frozenset[Network]] = own_networks,
    ) -> None:
        self._never: Final = frozenset(never)
        self._reach: Final = [
            network for network in reach if not any(_is_subnet(network, closed) for closed in self._never)
        ]
        self._private: Final = private
        self._find_own_networks = find_own_networks
        self._refused: frozenset[Network] = frozenset()
        self._task: asyncio.Task[None] | None = None
        self._text = ""
        self.folder: Final = folder

    def write(self) -> bool:
        """Write the current rules; return whether they refuse something that they did not refuse before.

        Raises:
            NightsafeError: UNAVAILABLE, when the addresses of this machine cannot be read.
        """
        own = () if self._private else (*NOT_PUBLIC, *self._find_own_networks())
        now = networks_to_refuse((*own, *self._never), self._reach)
        added = not self._refused.issuperset(now)
        text = _config_text(["public", *(["private"] if self._private else []), *self._reach], now)
        if text == self._text:
            os.utime(self.folder / FILE)  # so that no clean-up of old files removes it
            return False
        if not self._text:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        new = self.folder / "new.capnp"
        new.write_text(text)
        new.replace(self.folder / FILE)  # a workerd that starts meanwhile reads the old file or the new one
        self._text, self._refused = text, frozenset(now)
        return added

    def start(self, renew: Callable[[], None]) -> None:
        """Watch for changes: when this machine gets an address that scripts could reach, `renew` every workerd."""
        self._task = asyncio.create_task(keep_running("reach", partial(self._follow, renew)))

    async def stop(self) -> None:
        """Stop watching, and remove the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._text:  # otherwise the file may belong to another process
            (self.folder / FILE).unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()

    async def watch(self) -> None:
        """Wait until watching ends, and raise the error that ended it. The process must not go on without it."""
        assert self._task is not None  # noqa: S101 - called only after `start`
        await asyncio.wait({self._task})
        self._task.result()

    async def _follow(self, renew: Callable[[], None]) -> None:
        """Write each change. Only a new address replaces workerd; a removed one takes effect in the next workerd."""
        async with aclosing(address_changes()) as changes:
            while True:
                await anext(changes)
                if self.write():
                    _log.info("delivery.addresses_changed")
                    renew()
