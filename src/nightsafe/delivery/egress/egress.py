"""Where scripts may connect to: what workerd checks each address against, after names were looked up.

Of the rules that fit an address the narrowest holds, and a refusal before a permission of the same width.
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

from nightsafe.delivery.egress.addresses import Network, changes, own_networks
from nightsafe.delivery.lasting import lasting

_log = structlog.get_logger()

FILE: Final = "reach.capnp"
"""What `runtime/runtime.capnp` imports."""

NOT_PUBLIC: Final = tuple(
    ip_network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "::/3", "4000::/2", "8000::/1",  # all but the global addresses, 2000::/3: IPv4 in IPv6 and NAT64 among them
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
)  # fmt: skip
"""What is nobody's, or means another address, or is a network's own (the special-purpose registries of IANA)."""

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
    """The same network as a NAT64 gateway is asked for it."""
    whole = int(_NAT64.network_address) | int(network.network_address)
    return IPv6Network((whole, _NAT64.prefixlen + network.prefixlen))


def refused(closed: Collection[Network], reach: Collection[Network]) -> list[Network]:
    """What is refused of networks, with what leads to them by NAT64, when the operator has opened some."""
    every = {*closed, *(through_nat64(one) for one in closed if isinstance(one, IPv4Network))}
    narrow = [one for one in every if one not in reach and not _is_covered(one, every, reach)]
    return sorted(narrow, key=lambda one: (one.version, int(one.network_address), one.prefixlen))


def _is_covered(one: Network, every: Iterable[Network], reach: Iterable[Network]) -> bool:
    """Whether a wider rule refuses it already, and nothing that the operator has named opens it again."""
    return any(one != wider and _within(one, wider) and wider not in reach for wider in every) and not any(
        _within(one, named) for named in reach
    )


def _within(one: Network, other: Network) -> bool:
    """Whether a network lies in another."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


def _configuration(allow: Iterable[object], deny: Iterable[object]) -> str:
    """The file's text."""
    return _BASE % tuple(", ".join(f'"{one}"' for one in some) for some in (allow, deny))


class Egress:
    """What scripts may connect to, in a file of its own that every workerd reads as it starts.

    Args:
        folder: a directory to make, for this file alone.
        reach: networks that the operator has opened.
        never: networks that the operator has closed.
        private: whether scripts may reach this machine and private networks too.
        look: gives what leads to this machine.
    """

    def __init__(
        self,
        folder: Path,
        reach: Iterable[Network] = (),
        never: Iterable[Network] = (),
        *,
        private: bool = False,
        look: Callable[[], frozenset[Network]] = own_networks,
    ) -> None:
        self._never: Final = frozenset(never)
        self._reach: Final = [one for one in reach if not any(_within(one, closed) for closed in self._never)]
        self._private: Final = private
        self._look = look
        self._refused: frozenset[Network] = frozenset()
        self._task: asyncio.Task[None] | None = None
        self._text = ""
        self.folder: Final = folder

    def write(self) -> bool:
        """Write down what holds now; tells whether something is refused that was not before.

        Raises:
            NightsafeError: UNAVAILABLE, when the addresses of this machine cannot be read.
        """
        own = () if self._private else (*NOT_PUBLIC, *self._look())
        now = refused((*own, *self._never), self._reach)
        added = not self._refused.issuperset(now)
        text = _configuration(["public", *(["private"] if self._private else []), *self._reach], now)
        if text == self._text:
            os.utime(self.folder / FILE)  # so that nobody clears it away as old
            return False
        if not self._text:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        new = self.folder / "new.capnp"
        new.write_text(text)
        new.replace(self.folder / FILE)  # a workerd that starts meanwhile reads one or the other
        self._text, self._refused = text, frozenset(now)
        return added

    def start(self, renew: Callable[[], None]) -> None:
        """From now on, have every workerd replaced when this machine gets an address that they let scripts reach."""
        self._task = asyncio.create_task(lasting("reach", partial(self._follow, renew)))

    async def stop(self) -> None:
        """Look no longer, and remove the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._text:  # else it may be another process's
            (self.folder / FILE).unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()

    async def watch(self) -> None:
        """Return when it looks no longer, or raise what has ended that: it must not be left at that."""
        assert self._task is not None  # noqa: S101 - only of a started one
        await asyncio.wait({self._task})
        self._task.result()

    async def _follow(self, renew: Callable[[], None]) -> None:
        """Write down each change. An address that has gone waits for the next workerd."""
        async with aclosing(changes()) as news:
            while True:
                await anext(news)
                if self.write():
                    _log.info("delivery.addresses_changed")
                    renew()
