"""How the delivery side is set up."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from msgspec import Struct

from nightsafe.delivery.workerd.limits import Limits

_BYTES: Final = 16
_MAPPED: Final = bytes(10) + b"\xff\xff"


class Settings(Struct, frozen=True, kw_only=True):
    """What an operator can choose.

    Attributes:
        account_id: whose scripts are served.
        folder: a directory for sockets; made when it is not there. Its path must be short.
        serials: file of the highest serials seen.
        binary: workerd.
        domains: what host names of scripts end in.
        trusted_proxies: networks of proxies that are believed what they say of their clients.
        script_header: whether a request may name its script in the header `nightsafe-script`: for tests.
        worker_output: whether what scripts print, throw and call goes to the log, in their words. It may be secret.
        reach: networks that scripts may connect to besides public ones.
        reach_never: networks that scripts may not connect to, public or not.
        reach_private: whether scripts may fetch from this machine, at all of its addresses, and private networks: for
            development.
        max_loaded: scripts that one process has loaded at once; who was idle longest makes room.
        limits: of the runtime's processes.
    """

    account_id: str
    folder: Path
    serials: Path
    binary: Path
    domains: tuple[str, ...] = ("localhost",)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    script_header: bool = False
    worker_output: bool = False
    reach: tuple[IPv4Network | IPv6Network, ...] = ()
    reach_never: tuple[IPv4Network | IPv6Network, ...] = ()
    reach_private: bool = False
    max_loaded: int = 1000
    limits: Limits = Limits()


def as_range(network: IPv4Network | IPv6Network) -> tuple[list[int], int]:
    """A network as `runtime/front.js` has it: 16 bytes, IPv4 as IPv4-mapped IPv6, and how many bits count."""
    packed = network.network_address.packed
    mapped = _MAPPED + packed if len(packed) < _BYTES else packed
    return list(mapped), network.prefixlen + 8 * (_BYTES - len(packed))
